//! ESXi: the `boot.cfg` its loader reads, as that loader parses it, and the one made for a machine.
//!
//! | module | what |
//! |---|---|
//! | `boot_cfg` | [`BootCfg`]: read as `mboot` reads, written so that it reads the same again |
//! | `generate` | the `boot.cfg` of one machine, out of the one its medium brings |
//! | `version` | which release a `boot.cfg` belongs to, and what that release can do |
//! | `names` | names that differ in case alone |
//!
//! Deliberately absent: the bytes of modules (never changed: they are signed), and which machine gets what.
//!
//! Source of every fact: the published loader, GitHub vmware/esx-boot, 6.7u1 to 9.0, read for facts and not copied.

mod boot_cfg;
mod generate;
mod names;
mod version;

pub use boot_cfg::{BootCfg, BootCfgError, FILE_BYTES_MAX, ITEMS_MAX, Item, Line};
pub use generate::{
    COMMAND_LINE_BYTES_MAX, ERRTIMEOUT_SECS, EsxiMode, ForMachine, MODULE_BYTES_MAX, check_words, generate,
    next_entry,
};
pub use names::collisions;
pub use version::{BootsOn, EsxiVersion, boots_on, version};

/// What the loader looks for.
pub const BOOT_CFG: &str = "boot.cfg";
/// The loader for UEFI machines, as the boot tree names it.
pub const MBOOT_EFI: &str = "mboot.efi";
/// The loader for BIOS machines.
pub const MBOOT_BIOS: &str = "mboot.c32";
