//! pxelinux.cfg, for pxelinux and lpxelinux 6.04 (and syslinux.efi, which reads the same language).
//!
//! Text only: no `DISPLAY` files, no menu modules, so nothing but `ldlinux.c32` is fetched besides the kernel. File
//! names are written `::/name`, which pxelinux sends as `/name` whatever folder it was loaded from.
//!
//! ESXi is the exception: its `mboot.c32` is a COM32 program that VMware makes and tests for Syslinux 3.86 alone. 4.x
//! has worked for some; 5.x and 6.x changed what a COM32 program is and fail with `Failed to load COM32 file`, after
//! which the machine goes to its own disk. The configuration says so on the screen. BIOS machines that boot ESXi go
//! through iPXE, or through a pxelinux 3.86 the operator brings.

use crate::cmdline::{Additions, CommandLine};
use crate::ipxe::{MENU_IMAGES_MAX, MENU_SECS, MESSAGE_SECS, menu_text};
use crate::{BootImage, RenderError, esxi, need, text};
use types::resource::{Image, ImageKind};

/// Longest file name pxelinux takes in a configuration (its `FILENAME_MAX`), with `::/` and the final NUL.
pub const FILE_NAME_BYTES_MAX: usize = 250;

/// The next device of the boot order. (0 and 0x80 start the first disk, whether it can boot or not.)
/// The label has a dot, which no image name has.
const LOCAL: &str = "LABEL local.disk\n  LOCALBOOT -1\n";

/// What stands on the screen while `mboot.c32` loads, or does not.
const MBOOT_CAVEAT: &str = "SAY reveille: mboot.c32 needs pxelinux 3.86; 5.x and 6.x cannot load it\n";

/// The configuration that boots an image.
///
/// # Errors
/// When a word or a name of the image cannot stand in a configuration, or pxelinux cannot boot its kind.
pub fn image(boot: &BootImage<'_>) -> Result<String, RenderError> {
    let name = boot.image.name.as_str();
    let host = boot.host.map(|host| format!(", host {}", host.name)).unwrap_or_default();
    let label = label(boot)?;
    let caveat = if boot.image.kind == ImageKind::Esxi { MBOOT_CAVEAT } else { "" };
    Ok(format!(
        "# reveille: image {name}{host}, generation {}\nDEFAULT {name}\nPROMPT 0\nONERROR local.disk\n\
         SAY reveille: booting {name}\n{caveat}{label}{LOCAL}",
        boot.generation
    ))
}

/// A list of images to choose from by name; nobody choosing means the local disk. Images pxelinux cannot boot are
/// left out. No boot attempt is begun by it: which image is chosen is not said.
pub fn menu(images: &[&Image], generation: u64) -> String {
    let mut says = String::new();
    let mut labels = String::new();
    for image in images.iter().take(MENU_IMAGES_MAX) {
        let boot =
            BootImage { image, host: None, generation, firmware: None, additions: Additions::default() };
        if let Ok(label) = label(&boot) {
            says.push_str(&format!("SAY   {}\n", menu_text(image)));
            labels.push_str(&label);
        }
    }
    format!(
        "# reveille: menu, generation {generation}\nDEFAULT local.disk\nPROMPT 1\nTIMEOUT {}\nONERROR local.disk\n\
         SAY reveille: type a name and press Enter, or wait {MENU_SECS} seconds for the local disk\n\
         SAY   local.disk\n{says}{LOCAL}{labels}",
        MENU_SECS * 10
    )
}

/// The configuration that goes to the machine's own disk at once.
pub fn local_disk() -> String {
    format!("# reveille: local disk\nDEFAULT local.disk\nPROMPT 0\n{LOCAL}")
}

/// The configuration that shows a message, then goes to the machine's own disk.
pub fn message(message: &str) -> String {
    let says: String = text::screen_lines(message).iter().map(|line| format!("SAY {line}\n")).collect();
    format!(
        "# reveille: message\nDEFAULT local.disk\nPROMPT 1\nTIMEOUT {}\n{says}\
         SAY reveille: local disk in {MESSAGE_SECS} seconds\n{LOCAL}",
        MESSAGE_SECS * 10
    )
}

fn label(boot: &BootImage<'_>) -> Result<String, RenderError> {
    let image = boot.image;
    match image.kind {
        ImageKind::Linux => {}
        ImageKind::Esxi => return esxi_label(boot),
        ImageKind::IpxeScript | ImageKind::Windows | ImageKind::Efi | ImageKind::Iso => {
            return Err(RenderError::KindUnfit { kind: image.kind.as_str(), loader: "pxelinux" });
        }
    }
    let kernel = file_name(image, need(image, "kernel", image.kernel.as_deref())?)?;
    let initrds: Vec<String> =
        image.initrd.iter().map(|file| file_name(image, file)).collect::<Result<_, _>>()?;
    let words = CommandLine::of(image, boot.host, &boot.additions)?.for_pxelinux()?;
    let mut label = format!("LABEL {}\n  LINUX {kernel}\n", image.name);
    if !initrds.is_empty() {
        label.push_str(&format!("  INITRD {}\n", initrds.join(",")));
    }
    // `APPEND -` would mean "no options at all", which is what an empty line must say.
    label.push_str(&format!("  APPEND {}\n", if words.is_empty() { "-" } else { &words }));
    if boot.additions.boot_mac.is_none() {
        // pxelinux adds BOOTIF itself.
        label.push_str("  IPAPPEND 2\n");
    }
    Ok(label)
}

/// `mboot.c32` and the machine's own `boot.cfg`, by the name every loader of ESXi knows it by. Without a MAC none is
/// named: the loader then looks for it by itself. Kernel options are in `boot.cfg`; what stands in `APPEND` beside `-c`
/// would be added to them. `BOOTIF=` always comes from pxelinux: the loader looks for it there.
fn esxi_label(boot: &BootImage<'_>) -> Result<String, RenderError> {
    let image = boot.image;
    let mboot = file_name(image, esxi::MBOOT_BIOS)?;
    let append = match boot.additions.boot_mac {
        // An absolute name to the loader, so not `::/…`.
        Some(mac) => format!("-c /{}/{}/{}", image.name, mac.pxelinux(), esxi::BOOT_CFG),
        None => "-".to_owned(),
    };
    Ok(format!("LABEL {}\n  KERNEL {mboot}\n  APPEND {append}\n  IPAPPEND 2\n", image.name))
}

/// A name in the dialect: blanks end it, a comma separates ramdisks.
fn file_name(image: &Image, file: &str) -> Result<String, RenderError> {
    let name = format!("::/{}/{file}", image.name);
    let fits = name.len() <= FILE_NAME_BYTES_MAX
        && name.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b',');
    if fits { Ok(name) } else { Err(RenderError::FileName { name: text::screen(file) }) }
}

#[cfg(test)]
mod tests;
