//! Text for machines: iPXE scripts, pxelinux configurations and ESXi's `boot.cfg` (grub.cfg will stand beside them).
//!
//! Pure: facts and resources in, text out. What is deliberately absent: decisions (who gets what is `plan`'s), files,
//! and any way to put a value into a script without passing [`text`] or [`cmdline`].
//!
//! Invariants, each with a test:
//! - No value can add a line, a command or a setting: a value that does not fit the dialect is a [`RenderError`]
//!   (command lines, file names) or is cleaned (words on a screen). It is never quoted: neither dialect has quotes.
//! - Every script and every configuration has a way that ends at the machine's own disk.
//! - The same input gives the same bytes.
//!
//! Sources: iPXE's command parser of 2019 to 2026 splits at white space, ends a command at `||`, `&&`, `;` and at a
//! word that starts with `#`, then expands `${…}` in each word again and again until none is left, so nothing can be
//! escaped. Syslinux 6.04 reads one directive per line, its value up to the end of the line.

pub mod bundle;
pub mod cmdline;
pub mod esxi;
pub mod ipxe;
pub mod kickstart;
pub mod message;
pub mod pxelinux;
pub mod template;
pub mod text;

use types::Firmware;
use types::resource::{Host, Image, ImageKind};

/// One boot of an image by one machine.
#[derive(Clone, Debug)]
pub struct BootImage<'a> {
    /// The image.
    pub image: &'a Image,
    /// The host record, when the machine has one.
    pub host: Option<&'a Host>,
    /// Generation of the catalog that decided.
    pub generation: u64,
    /// Firmware, when it is known.
    pub firmware: Option<Firmware>,
    /// Our own words on its command line.
    pub additions: cmdline::Additions,
}

/// Why a script or configuration cannot be written. The operator's data is at fault, not the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RenderError {
    /// A word of the kernel command line cannot stand in the dialect.
    Word {
        /// The word, cleaned for display.
        word: String,
        /// What is wrong with it.
        fault: cmdline::WordFault,
    },
    /// A file name cannot stand in the dialect.
    FileName {
        /// The name, cleaned for display.
        name: String,
    },
    /// The kernel command line is too long.
    CommandLineTooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The most that fits, see [`cmdline::COMMAND_LINE_BYTES_MAX`].
        bytes_max: usize,
    },
    /// A module's path and options are too long for ESXi's loader.
    ModuleTooLong {
        /// Its name, cleaned for display.
        name: String,
        /// Length of path and options in bytes.
        bytes: usize,
        /// The most that fits, see [`esxi::MODULE_BYTES_MAX`].
        bytes_max: usize,
    },
    /// What the medium of the image brings cannot be used.
    Medium(String),
    /// The image lacks what its kind cannot do without.
    Lacks {
        /// Name of the kind.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The image has nothing for machines with this firmware.
    FirmwareUnfit {
        /// The field that would say what they boot.
        field: &'static str,
    },
    /// The loader cannot boot this kind of image.
    KindUnfit {
        /// Name of the kind.
        kind: &'static str,
        /// Name of the loader.
        loader: &'static str,
    },
}

impl BootImage<'_> {
    /// The words of image and host, with the URL of the answer file where they want it.
    pub fn words(&self) -> (String, Vec<String>) {
        let place = |words: &str| self.additions.place(words);
        let host = self.host.map(|host| host.kernel_args_append.as_slice()).unwrap_or_default();
        (place(&self.image.cmdline), host.iter().map(|words| place(words)).collect())
    }
}

impl RenderError {
    /// The stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            RenderError::Word { .. } => "kernel_args_unsafe",
            RenderError::FileName { .. } => "file_name_unsafe",
            RenderError::CommandLineTooLong { .. } => "kernel_args_too_long",
            RenderError::ModuleTooLong { .. } => "module_too_long",
            RenderError::Medium(_) => "medium_unusable",
            RenderError::Lacks { .. } => "image_incomplete",
            RenderError::FirmwareUnfit { .. } => "firmware_unfit",
            RenderError::KindUnfit { .. } => "kind_unfit",
        }
    }
}

impl std::fmt::Display for RenderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RenderError::Word { word, fault } => write!(f, "kernel argument `{word}` {fault}"),
            RenderError::FileName { name } => {
                write!(f, "file name `{name}` cannot stand in a boot configuration")
            }
            RenderError::CommandLineTooLong { bytes, bytes_max } => {
                write!(f, "kernel command line has {bytes} bytes, at most {bytes_max} fit")
            }
            RenderError::ModuleTooLong { name, bytes, bytes_max } => {
                write!(
                    f,
                    "module `{name}` with its prefix and options has {bytes} bytes, at most {bytes_max} fit"
                )
            }
            RenderError::Medium(fault) => f.write_str(fault),
            RenderError::Lacks { kind, field } => write!(f, "an image of kind {kind} needs `{field}`"),
            RenderError::FirmwareUnfit { field } => {
                write!(f, "it has nothing for machines with this firmware: `{field}` is not set")
            }
            RenderError::KindUnfit { kind, loader } => {
                write!(f, "{loader} cannot boot images of kind {kind}")
            }
        }
    }
}

impl std::error::Error for RenderError {}

/// Tells before any machine asks whether an image can be rendered for a host, in every dialect that fits its kind.
///
/// # Errors
/// What a machine would meet later.
pub fn check_image(image: &Image, host: Option<&Host>) -> Result<(), RenderError> {
    if let Some(field) = image.lacks() {
        return Err(RenderError::Lacks { kind: image.kind.as_str(), field });
    }
    match image.kind {
        ImageKind::Linux | ImageKind::Windows | ImageKind::Efi => {
            let words = cmdline::CommandLine::of(image, host, &cmdline::Additions::default())?;
            words.for_ipxe(&[]).map(drop)
        }
        ImageKind::Esxi => esxi::check_words(image, host),
        ImageKind::IpxeScript | ImageKind::Iso => Ok(()),
    }
}

/// A field its kind cannot do without.
pub(crate) fn need<'a>(
    image: &Image,
    field: &'static str,
    value: Option<&'a str>,
) -> Result<&'a str, RenderError> {
    value.ok_or(RenderError::Lacks { kind: image.kind.as_str(), field })
}
