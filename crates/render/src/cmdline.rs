//! The kernel command line: the image's words, the host's words and ours, in the order each consumer needs.
//!
//! Order: words of the image up to `---`, then ours (`initrd=`, `BOOTIF=`, `reveille.callback=`), then what follows
//! `---`, then the host's words. Debian's installer copies what stands after `---` (or, of old, `--`) into the boot
//! configuration of the system it installs: our words are of this boot only and must not end up there, the host's
//! words (a console, say) must.

use crate::RenderError;
use crate::text;
use std::fmt;
use types::MacAddr;
use types::resource::{Host, Image};

/// Longest command line we write, in bytes: `COMMAND_LINE_SIZE` of Linux on x86 and arm64 is 2048 with the NUL, and
/// loaders cut silently.
pub const COMMAND_LINE_BYTES_MAX: usize = 2047;

/// Prefix of every kernel parameter of ours.
pub const CALLBACK_PARAMETER: &str = "reveille.callback";

/// Where the words of an image or a host want the URL of the answer file: `inst.ks={{ url }}`.
pub const ANSWER_PLACE: &str = "{{url}}";

/// What is wrong with a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WordFault {
    /// A control byte, or a character that is not ASCII.
    NotPrintable,
    /// `${` would be expanded by iPXE and cannot be escaped.
    Setting,
    /// `||`, `&&`, `;` as a word of its own, or a leading `#`: iPXE ends the command there.
    CommandEnd,
    /// It starts ESXi's installer, and the image is to run from memory.
    Installer,
}

impl fmt::Display for WordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WordFault::NotPrintable => "has a character that is not printable ASCII",
            WordFault::Setting => "has `${`, which iPXE would expand",
            WordFault::CommandEnd => "would end the command in iPXE",
            WordFault::Installer => "is for the installer, and this image only boots",
        })
    }
}

/// Our own words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Additions {
    /// URL the booted system calls when it is up.
    pub callback: Option<String>,
    /// The interface it booted from, as `BOOTIF=01-…`.
    pub boot_mac: Option<MacAddr>,
    /// URL of the machine's answer file: what stands for [`ANSWER_PLACE`] in the words of image and host.
    pub answer: Option<String>,
    /// ESXi: the module that carries the machine's scripts, below the image.
    pub overlay: Option<String>,
}

impl Additions {
    /// Words with the URL of the answer file where they want it. The place may be written with blanks, as in a template.
    pub fn place(&self, words: &str) -> String {
        let words = words.replace("{{ url }}", ANSWER_PLACE);
        match &self.answer {
            Some(url) => words.replace(ANSWER_PLACE, url),
            None => words,
        }
    }
}

/// A checked command line in three parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandLine {
    before: Vec<String>,
    ours: Vec<String>,
    after: Vec<String>,
}

/// True when the words of image or host want the URL of an answer file.
pub fn wants_answer(image: &Image, host: Option<&Host>) -> bool {
    let wants = |words: &str| words.replace("{{ url }}", ANSWER_PLACE).contains(ANSWER_PLACE);
    wants(&image.cmdline) || host.is_some_and(|host| host.kernel_args_append.iter().any(|words| wants(words)))
}

impl CommandLine {
    /// Takes the words of image and host apart and checks each.
    ///
    /// # Errors
    /// [`RenderError::Word`] for a word that is not printable ASCII.
    pub fn of(image: &Image, host: Option<&Host>, additions: &Additions) -> Result<CommandLine, RenderError> {
        let mut before: Vec<String> = Vec::new();
        let mut after: Vec<String> = Vec::new();
        let place = |words: &str| additions.place(words);
        for word in place(&image.cmdline).split_ascii_whitespace() {
            if !after.is_empty() || word == "---" || word == "--" {
                after.push(word.to_owned());
            } else {
                before.push(word.to_owned());
            }
        }
        let appended = host.map(|host| host.kernel_args_append.as_slice()).unwrap_or_default();
        for words in appended {
            after.extend(place(words).split_ascii_whitespace().map(str::to_owned));
        }
        let mut ours = Vec::new();
        if let Some(mac) = additions.boot_mac
            && !before.iter().chain(&after).any(|word| word.starts_with("BOOTIF="))
        {
            ours.push(format!("BOOTIF={}", mac.pxelinux()));
        }
        ours.extend(additions.callback.iter().map(|url| format!("{CALLBACK_PARAMETER}={url}")));
        for word in before.iter().chain(&ours).chain(&after) {
            if !word.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) {
                return Err(RenderError::Word { word: text::screen(word), fault: WordFault::NotPrintable });
            }
        }
        Ok(CommandLine { before, ours, after })
    }

    /// The line for an iPXE `kernel` command; `first` are words of the script's own (`initrd=initrd0`).
    ///
    /// # Errors
    /// A word iPXE would read as something else, or a line too long.
    pub fn for_ipxe(&self, first: &[String]) -> Result<String, RenderError> {
        for word in self.before.iter().chain(&self.ours).chain(&self.after) {
            let fault = if word.contains("${") {
                WordFault::Setting
            } else if word.starts_with('#') || matches!(word.as_str(), "||" | "&&" | ";") {
                WordFault::CommandEnd
            } else {
                continue;
            };
            return Err(RenderError::Word { word: text::screen(word), fault });
        }
        self.join(first)
    }

    /// The line for pxelinux' `APPEND`: everything up to the end of the line is the kernel's.
    ///
    /// # Errors
    /// A line too long.
    pub fn for_pxelinux(&self) -> Result<String, RenderError> {
        self.join(&[])
    }

    fn join(&self, first: &[String]) -> Result<String, RenderError> {
        let words = self.before.iter().chain(first).chain(&self.ours).chain(&self.after);
        let line = words.map(String::as_str).collect::<Vec<_>>().join(" ");
        if line.len() > COMMAND_LINE_BYTES_MAX {
            return Err(RenderError::CommandLineTooLong {
                bytes: line.len(),
                bytes_max: COMMAND_LINE_BYTES_MAX,
            });
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests;
