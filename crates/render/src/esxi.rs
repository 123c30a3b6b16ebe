//! ESXi: the `boot.cfg` its loader reads, as that loader parses it, and the one made for a machine.

/// What the loader looks for.
pub const BOOT_CFG: &str = "boot.cfg";
/// The loader for UEFI machines, as the boot tree names it.
pub const MBOOT_EFI: &str = "mboot.efi";
/// The loader for BIOS machines.
pub const MBOOT_BIOS: &str = "mboot.c32";
