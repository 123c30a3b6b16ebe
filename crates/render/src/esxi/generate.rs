//! The `boot.cfg` of one machine, out of the one its medium brings.
//!
//! What changes, and why — tests named after it: `prefix` is the caller's · leading slashes go from kernel and modules,
//! for they would make the loader ignore `prefix` · `cdromBoot` goes, there is no CD · the installer's words come or go
//! with the mode · the operator's words follow, checked · extra modules follow the stock list · `errtimeout` is set ·
//! `skip` goes. Everything else stays as it was, names in their own spelling among it (no loader folds case).
//!
//! `BOOTIF=` is the loader's own to append (last, unless `nobootif` or already there); it is written only when asked
//! for, for loaders that do not know the interface they came by (BIOS, started from iPXE).

use super::{BootCfg, Item};
use crate::cmdline::{CALLBACK_PARAMETER, WordFault};
use crate::{RenderError, text};
use types::MacAddr;
use types::resource::{Host, Image, ImageKind};

/// Longest kernel command line, in bytes, with the kernel's path in front and what the loader appends: less than 4096
/// (`ESXBOOTINFO_MAXCMDLINE`).
pub const COMMAND_LINE_BYTES_MAX: usize = 4095;

/// Longest module string (full path or URL, and options), in bytes: less than 256 (`ESXBOOTINFO_MAXMODNAME`).
pub const MODULE_BYTES_MAX: usize = 255;

/// Seconds after which a loader that failed leaves, so that the machine goes on to its next boot entry (the ESXi on its
/// disk, often): without it a machine whose server was away for a minute hangs until somebody comes. Written for every
/// release: before 8.0.1 the key is unknown and ignored, and no known key begins so.
pub const ERRTIMEOUT_SECS: u16 = 30;

/// ` BOOTIF=01-` and a MAC with hyphens.
const BOOTIF_BYTES: usize = " BOOTIF=01-aa-bb-cc-dd-ee-ff".len();

/// Runs the installer; without it the image just boots.
const RUN_INSTALLER: &str = "runweasel";

/// Tells the installer that its medium is a CD.
const FROM_CD: &str = "cdromBoot";

/// Where the installer's script is.
const KICKSTART: &str = "ks=";

/// What an ESXi image does with the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EsxiMode {
    /// Runs the installer, by a kickstart if there is one.
    #[default]
    Install,
    /// Runs from memory and leaves the disks alone.
    Stateless,
}

/// What is of this machine and this boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ForMachine<'a> {
    /// What names of files stand on: a full URL for HTTP and iPXE, `/image` for TFTP.
    pub prefix: &'a str,
    /// Banner; without one the medium's.
    pub title: Option<&'a str>,
    /// Installs, or just boots.
    pub mode: EsxiMode,
    /// URL of the kickstart.
    pub kickstart: Option<&'a str>,
    /// Kernel options of the image, separated by blanks.
    pub cmdline: &'a str,
    /// Kernel options of the host.
    pub kernel_args_append: &'a [String],
    /// Modules after those of the medium.
    pub modules: &'a [String],
    /// Writes `BOOTIF=` for this interface; for loaders that cannot.
    pub boot_mac: Option<MacAddr>,
    /// URL the booted system is told of, as `reveille.callback=`. ESXi itself makes nothing of it.
    pub callback: Option<&'a str>,
    /// Seconds after which a failed loader leaves; without one the medium's, else [`ERRTIMEOUT_SECS`].
    pub errtimeout_secs: Option<u16>,
}

/// The `boot.cfg` of one machine.
///
/// # Errors
/// A word or name the loader cannot take, a command line or module string too long for it, a kickstart or installer word
/// for an image that is not to install, a base without kernel.
pub fn generate(base: &BootCfg, own: &ForMachine<'_>) -> Result<String, RenderError> {
    let kind = ImageKind::Esxi.as_str();
    let prefix = own.prefix.trim_end_matches('/');
    if base.kernel.is_empty() {
        return Err(RenderError::Lacks { kind, field: "kernel" });
    }
    if !printable(prefix) {
        return Err(RenderError::FileName { name: text::screen(prefix) });
    }
    let mut modules = Vec::with_capacity(base.modules.len().saturating_add(own.modules.len()));
    let extra = own.modules.iter().map(|name| Item::named(name));
    for item in base.modules.iter().cloned().chain(extra) {
        modules.push(Item { name: relative(&item.name)?, options: item.options });
    }
    let kernel = relative(&base.kernel)?;
    for item in &modules {
        let bytes = path_bytes(prefix, item);
        if bytes > MODULE_BYTES_MAX {
            return Err(RenderError::ModuleTooLong {
                name: text::screen(&item.name),
                bytes,
                bytes_max: MODULE_BYTES_MAX,
            });
        }
    }
    let kernel_bytes = path_bytes(prefix, &Item::named(&kernel));
    let cfg = BootCfg {
        kernel,
        kernelopt: Some(command_line(base, own, kernel_bytes)?).filter(|words| !words.is_empty()),
        modules,
        title: own.title.map(text::screen).or_else(|| base.title.clone()),
        prefix: Some(prefix.to_owned()),
        skip: None,
        errtimeout: own
            .errtimeout_secs
            .map(i32::from)
            .or(base.errtimeout)
            .or(Some(i32::from(ERRTIMEOUT_SECS))),
        ..base.clone()
    };
    Ok(cfg.to_string())
}

/// A `boot.cfg` that sends the machine to its next boot entry, with a word on its screen. From 8.0.1; an older loader
/// finds no kernel in it and stops.
pub fn next_entry(title: &str) -> String {
    let title = Some(text::screen(title)).filter(|title| !title.is_empty());
    BootCfg { title, skip: Some(1), errtimeout: Some(5), ..BootCfg::default() }.to_string()
}

/// Tells before any machine asks whether the operator's kernel options can be given to the loader.
///
/// # Errors
/// What [`generate`] would meet later.
pub fn check_words(image: &Image, host: Option<&Host>) -> Result<(), RenderError> {
    let own = ForMachine {
        cmdline: &image.cmdline,
        kernel_args_append: host.map(|host| host.kernel_args_append.as_slice()).unwrap_or_default(),
        ..ForMachine::default()
    };
    command_line(&BootCfg::default(), &own, 0).map(drop)
}

/// The kernel's options, in an order that never changes; `kernel_bytes` is the length of its path.
fn command_line(base: &BootCfg, own: &ForMachine<'_>, kernel_bytes: usize) -> Result<String, RenderError> {
    let operators = own.cmdline.split_ascii_whitespace();
    let hosts = own.kernel_args_append.iter().flat_map(|words| words.split_ascii_whitespace());
    let operators: Vec<&str> = operators.chain(hosts).collect();
    let given = |start: &str| operators.iter().any(|word| word.starts_with(start));

    let stock = base.kernelopt.as_deref().unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    let mut words: Vec<String> = stock.filter(|word| *word != FROM_CD).map(str::to_owned).collect();
    match own.mode {
        EsxiMode::Install => {
            if !words.iter().any(|word| word == RUN_INSTALLER) && !given(RUN_INSTALLER) {
                words.insert(0, RUN_INSTALLER.to_owned());
            }
            if own.kickstart.is_some() || given(KICKSTART) {
                words.retain(|word| !word.starts_with(KICKSTART));
            }
            // One that the operator wrote counts.
            if let Some(url) = own.kickstart.filter(|_| !given(KICKSTART)) {
                words.push(format!("{KICKSTART}{url}"));
            }
        }
        EsxiMode::Stateless => {
            words.retain(|word| !installs(word));
            if let Some(word) = operators.iter().find(|word| installs(word)) {
                return Err(RenderError::Word { word: text::screen(word), fault: WordFault::Installer });
            }
        }
    }
    words.extend(operators.iter().map(|word| (*word).to_owned()));
    words.extend(own.callback.map(|url| format!("{CALLBACK_PARAMETER}={url}")));
    let has_bootif = words.iter().any(|word| word.starts_with("BOOTIF="));
    if let Some(mac) = own.boot_mac.filter(|_| !has_bootif) {
        words.push(format!("BOOTIF={}", mac.pxelinux()));
    }
    if let Some(word) = words.iter().find(|word| !printable(word)) {
        return Err(RenderError::Word { word: text::screen(word), fault: WordFault::NotPrintable });
    }
    let line = words.join(" ");
    let appended = if has_bootif || own.boot_mac.is_some() { 0 } else { BOOTIF_BYTES };
    let bytes = kernel_bytes.saturating_add(1).saturating_add(line.len()).saturating_add(appended);
    if bytes > COMMAND_LINE_BYTES_MAX {
        return Err(RenderError::CommandLineTooLong { bytes, bytes_max: COMMAND_LINE_BYTES_MAX });
    }
    Ok(line)
}

fn installs(word: &str) -> bool {
    word == RUN_INSTALLER || word.starts_with(KICKSTART)
}

/// Not empty, and every byte printable ASCII without blank.
fn printable(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| (b'!'..=b'~').contains(&byte))
}

/// A name that stands on `prefix`. The loader encodes nothing, so a name with a character that means something in a URL
/// would ask for another file by HTTP than by TFTP: refused. A URL is left as it is.
fn relative(name: &str) -> Result<String, RenderError> {
    let refused = || RenderError::FileName { name: text::screen(name) };
    if !printable(name) || name.contains("---") {
        return Err(refused());
    }
    if name.contains("://") {
        return Ok(name.to_owned());
    }
    let name = name.trim_start_matches(['/', '\\']);
    if name.is_empty() || name.contains(['?', '#', '%']) {
        return Err(refused());
    }
    Ok(name.to_owned())
}

/// Length of the string the kernel is handed for a module.
fn path_bytes(prefix: &str, item: &Item) -> usize {
    let folder = if item.name.contains("://") { 0 } else { prefix.len().saturating_add(1) };
    let options = if item.options.is_empty() { 0 } else { item.options.len().saturating_add(1) };
    folder.saturating_add(item.name.len()).saturating_add(options)
}

#[cfg(test)]
mod tests;
