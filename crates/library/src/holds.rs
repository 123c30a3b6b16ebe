//! What of an image's files matters to firmware, for [`Image::notes`]: which loaders are there, whether the first one is
//! signed, how much is loaded.

use crate::limits::PEEK_BYTES_MAX;
use crate::media::boot_cfg_files;
use crate::{Library, Manifest, loaders};
use std::sync::Arc;
use types::Firmware;
use types::resource::{Holds, Image, ImageKind, UefiLoader};

/// The loader of BIOS machines on an ESXi medium.
const ESXI_BIOS_LOADER: &str = "mboot.c32";

/// Names of the loader of UEFI machines in an ESXi image, the one they are given first.
const ESXI_UEFI_LOADERS: [&str; 2] = ["mboot.efi", "efi/boot/bootx64.efi"];

/// Where ESXi media keep `boot.cfg`.
const BOOT_CFG_PLACES: [&str; 2] = ["efi/boot/boot.cfg", "boot.cfg"];

impl Library {
    /// What of an image's files, and of those of its base, matters to firmware. Whether another image lends it a loader
    /// is not looked at ([`UefiLoader::NotOwn`]); of the loaders of this machine the usual one is taken for the first.
    pub fn holds(&self, image: &Image) -> Holds {
        let found = self.loaders();
        let mut holds = Holds { wimboot: found.find_base(loaders::WIMBOOT).is_some(), ..Holds::default() };
        if image.kind != ImageKind::Esxi {
            let usual = found.default_choices().into_iter();
            let usual = usual.filter(|choice| choice.firmware == Firmware::UefiX64).map(|choice| choice.file);
            holds.unsigned =
                usual.filter(|file| self.is_signed(file) == Some(false)).map(|file| file.to_string()).next();
            let manifest = self.manifest(image.name.as_str());
            holds.loaded_bytes = manifest.map_or(0, |manifest| loaded_bytes(image, &[manifest], &[]));
            return holds;
        }
        let holders: Vec<Arc<Manifest>> = [Some(&image.name), image.base.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|holder| self.manifest(holder.as_str()))
            .collect();
        holds.bios_loader = holders.iter().any(|holder| holder.find(ESXI_BIOS_LOADER).is_some());
        let own = holders.iter().find_map(|holder| {
            let name = ESXI_UEFI_LOADERS.into_iter().find(|name| holder.find(name).is_some())?;
            Some((holder, name))
        });
        if let Some((holder, name)) = own {
            holds.uefi_loader = UefiLoader::Own;
            let signed = self.open_held(holder, name).and_then(|bytes| loaders::is_signed(&bytes));
            holds.unsigned = (signed == Some(false)).then(|| name.to_owned());
        }
        let config = BOOT_CFG_PLACES
            .iter()
            .find_map(|place| holders.iter().find_map(|holder| self.open_held(holder, place)))
            .filter(|bytes| bytes.len() as u64 <= PEEK_BYTES_MAX);
        let named = config.and_then(|bytes| boot_cfg_files(&String::from_utf8_lossy(&bytes)));
        holds.loaded_bytes = loaded_bytes(image, &holders, &named.unwrap_or_default());
        holds
    }

    /// Whether a loader of this machine carries a signature; `None` when it is not there or no EFI program.
    pub fn is_signed(&self, loader: &str) -> Option<bool> {
        loaders::is_signed(&self.loaders().find(loader)?.bytes)
    }

    /// A file of one version, when it can be read.
    fn open_held(&self, holder: &Manifest, file: &str) -> Option<bytes::Bytes> {
        let (_, entry) = holder.find(file)?;
        self.inner.blobs.open(entry.sha256, entry.size).ok()
    }
}

/// Bytes of what is in memory before the system starts; a drive is read as it is needed.
fn loaded_bytes(image: &Image, holders: &[Arc<Manifest>], named: &[String]) -> u64 {
    let own = match image.kind {
        ImageKind::Linux => image.kernel.iter().chain(&image.initrd).collect(),
        ImageKind::Windows => image.initrd.iter().collect(),
        ImageKind::Esxi => named.iter().chain(&image.modules).collect(),
        ImageKind::Efi | ImageKind::Iso | ImageKind::IpxeScript => Vec::new(),
    };
    let size = |name: &String| {
        let found = holders.iter().find_map(|holder| holder.find(name.trim_start_matches(['/', '\\'])));
        found.map_or(0, |(_, entry)| entry.size)
    };
    own.into_iter().map(size).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
