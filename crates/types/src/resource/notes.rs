//! What an image means to the firmware that is to boot it: said before a machine finds out.
//!
//! One rule for whoever tells it: the import, `image get` and `explain`. Each note stands by itself; those of another
//! firmware than the machine's are left out. By kind and firmware:
//!
//! | kind | BIOS | UEFI |
//! |---|---|---|
//! | `linux`, `ipxe-script` | – | Secure Boot |
//! | `esxi` | no `mboot.c32`; COMBOOT | no `mboot.efi`, or whose it is; Secure Boot; processors ESXi has no loader for |
//! | `windows` | no `wimboot` | no `wimboot`; Secure Boot |
//! | `efi` | no `kernel` for it | Secure Boot |
//! | `iso` | a drive of iPXE's | a drive of iPXE's, with `\EFI\BOOT` on it; Secure Boot |
//!
//! and for all of them what is loaded into memory, when it is much. Deliberately absent: whether the machine is given the
//! image, which `plan` decides, and what a medium's system asks for on its command line, which the import notes.

use super::{Image, ImageKind, Name};
use crate::{Facts, Firmware};

/// From here on it is said how much is loaded: every machine that boots from a network has as much.
pub const LOADED_TOLD_MIN: u64 = 256 << 20;

/// What of an image's files matters to firmware.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holds {
    /// ESXi: the loader of BIOS machines is among its files or those of its base.
    pub bios_loader: bool,
    /// ESXi: where the loader of UEFI machines comes from.
    pub uefi_loader: UefiLoader,
    /// Windows: a `wimboot` is among the loaders.
    pub wimboot: bool,
    /// Bytes that are loaded before its system starts. 0: not known, or nothing.
    pub loaded_bytes: u64,
    /// The first program a UEFI machine is sent to, when that is known to carry no signature.
    pub unsigned: Option<String>,
}

/// Where the UEFI loader of an ESXi image comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum UefiLoader {
    /// Its own files, or those of its base.
    Own,
    /// This other image.
    Of(Name),
    /// From nowhere.
    Missing,
    /// It has none itself; nobody has looked at the other images.
    #[default]
    NotOwn,
}

impl Image {
    /// What to know before it is booted: by the machine of these facts, or without any by all.
    pub fn notes(&self, holds: &Holds, machine: Option<&Facts>) -> Vec<String> {
        let firmware = machine.and_then(|facts| facts.firmware);
        let is = |one: Firmware| firmware.is_none_or(|own| own == one);
        let fits = |one: Firmware| self.firmware.is_empty() || self.firmware.contains(&one);
        if let Some(own) = firmware.filter(|own| !fits(*own)) {
            let others: Vec<&str> = self.firmware.iter().map(|firmware| firmware.as_str()).collect();
            return vec![format!("it does not boot on {own}, only on {}", others.join(", "))];
        }
        let mut notes = Vec::new();
        match self.kind {
            ImageKind::Esxi => {
                if is(Firmware::Bios) && (fits(Firmware::Bios) || !holds.bios_loader) {
                    notes.extend(esxi_on_bios(holds, machine.and_then(|facts| facts.comboot)));
                }
                if is(Firmware::UefiX64) {
                    notes.extend(esxi_on_uefi(holds, fits(Firmware::UefiX64)));
                }
                notes.extend(firmware.filter(|own| !has_esxi_loader(*own)).map(|own| {
                    format!("ESXi has no loader for {own}: boot the machine another way, or another image")
                }));
            }
            ImageKind::Windows if self.kernel.is_none() && !holds.wimboot => notes.push(
                "it needs `wimboot`, which is not among the loaders: put it into a folder of `assets.paths`, or name \
                 the image's own as `kernel`"
                    .to_owned(),
            ),
            ImageKind::Efi if self.kernel.is_none() && is(Firmware::Bios) => notes.push(
                "BIOS machines do not boot it: it is an EFI program; name a `kernel` for them".to_owned(),
            ),
            ImageKind::Iso => {
                notes.push(
                    "it is a drive only while iPXE runs, read over HTTP: an iPXE without HTTP does not boot it, and a \
                     system that goes on with drivers of its own no longer finds it"
                        .to_owned(),
                );
                if firmware.is_none_or(Firmware::is_uefi) {
                    notes.push(
                        "UEFI machines look for \\EFI\\BOOT on it, in a file system that their firmware reads"
                            .to_owned(),
                    );
                }
            }
            ImageKind::Linux | ImageKind::IpxeScript | ImageKind::Windows | ImageKind::Efi => {}
        }
        let by_uefi = match firmware {
            Some(own) => own.is_uefi(),
            None => self.firmware.is_empty() || self.firmware.iter().any(|fits| fits.is_uefi()),
        };
        if let Some(file) = holds.unsigned.as_ref().filter(|_| by_uefi) {
            notes.push(format!(
                "UEFI machines with Secure Boot on refuse the first loader they are sent to (`{file}`), which carries no \
                 signature: switch Secure Boot off there"
            ));
        }
        if holds.loaded_bytes >= LOADED_TOLD_MIN {
            notes.push(format!(
                "{} MB are loaded before it starts: machines need more memory than that",
                holds.loaded_bytes.div_ceil(1_000_000)
            ));
        }
        notes
    }
}

fn has_esxi_loader(firmware: Firmware) -> bool {
    matches!(firmware, Firmware::Bios | Firmware::UefiX64 | Firmware::UefiArm64)
}

/// `mboot.c32` is a program for Syslinux 3.86, which an iPXE runs only when it was built with COMBOOT.
fn esxi_on_bios(holds: &Holds, comboot: Option<bool>) -> Option<String> {
    let note = match comboot {
        _ if !holds.bios_loader => {
            "BIOS machines do not boot it: it has no BIOS loader (mboot.c32); name a `base` that has one"
        }
        Some(true) => return None,
        Some(false) => {
            "this machine's iPXE has no COMBOOT, without which mboot.c32 does not run: give it one that has, \
             `loader: pxelinux` with version 3.86, or UEFI"
        }
        None => {
            "BIOS machines need an iPXE with COMBOOT for it, or pxelinux 3.86: mboot.c32 runs under nothing else"
        }
    };
    Some(note.to_owned())
}

/// `fits`: the image's `firmware` allows it; what is lent goes to machines it allows alone.
fn esxi_on_uefi(holds: &Holds, fits: bool) -> Option<String> {
    const NONE: &str = "no UEFI loader in it (mboot.efi)";
    Some(match &holds.uefi_loader {
        UefiLoader::Own => return None,
        _ if !fits => format!("{NONE}, and its `firmware` has no uefi-x64: UEFI machines do not boot it"),
        UefiLoader::Of(lender) => format!("{NONE}: UEFI machines are given that of image `{lender}`"),
        UefiLoader::NotOwn => format!(
            "{NONE}: UEFI machines are given that of the newest other ESXi image of its release line, and do not boot it \
             when there is none"
        ),
        UefiLoader::Missing => format!(
            "{NONE}, and no other image of its release line that is as new has one: UEFI machines do not boot it; import \
             the installer's ISO image of that release, or name a `base`"
        ),
    })
}

#[cfg(test)]
mod tests;
