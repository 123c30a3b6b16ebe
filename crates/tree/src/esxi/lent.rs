//! The loader of another image, for ESXi images that come without one (offline bundles, old media).
//!
//! An image boots with the loader of its own release and of newer ones, never with that of an older one. So an image that
//! has no `mboot.efi`, and whose base has none, is given that of the newest other image of its major release line that is
//! not older than itself; `crypto64.efi` comes from the same image, for the two belong together. An image with a loader
//! of its own is lent nothing, and one whose release is unknown neither. One that was lent a loader lends none.

use super::PLACES;
use library::{Library, Manifest};
use render::esxi::{EsxiVersion, MBOOT_EFI};
use types::resource::{Holds, Image, ImageKind, Name, UefiLoader};

/// Names that are lent.
const LENT: [&str; 2] = [MBOOT_EFI, "crypto64.efi"];

/// Who lends its loader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LentLoader {
    /// The image.
    pub image: Name,
    /// Its release.
    pub version: EsxiVersion,
}

/// The image whose `mboot.efi` this one is given, when it has none itself. `None`: it has one, or there is none for it.
pub fn lent_loader(library: &Library, image: &Image) -> Option<LentLoader> {
    if image.kind != ImageKind::Esxi {
        return None;
    }
    let holders: Vec<_> = std::iter::once(&image.name)
        .chain(&image.base)
        .filter_map(|holder| library.manifest(holder.as_str()))
        .collect();
    if holders.iter().any(|manifest| has_loader(manifest)) {
        return None;
    }
    let own = holders.iter().find_map(|manifest| release(manifest))?;
    let lenders =
        library.manifests().into_iter().filter(|manifest| has_loader(manifest)).filter_map(|manifest| {
            let version =
                release(&manifest).filter(|version| version.major == own.major && *version >= own)?;
            Some(LentLoader { image: manifest.image.clone(), version })
        });
    // Of equal ones always the same.
    lenders.max_by(|one, other| one.version.cmp(&other.version).then_with(|| other.image.cmp(&one.image)))
}

/// What of an image's files, and of what is lent to it, matters to firmware.
pub fn holds(library: &Library, image: &Image) -> Holds {
    let mut holds = library.holds(image);
    if image.kind == ImageKind::Esxi && holds.uefi_loader == UefiLoader::NotOwn {
        holds.uefi_loader = match lent_loader(library, image) {
            Some(lent) => UefiLoader::Of(lent.image),
            None => UefiLoader::Missing,
        };
    }
    holds
}

/// Names in the lender's files for a name that is lent.
pub(super) fn lent_names(asked: &str) -> impl Iterator<Item = &'static str> {
    let lent = LENT.into_iter().find(|name| name.eq_ignore_ascii_case(asked));
    let places = PLACES.iter().filter(move |(name, _)| lent == Some(*name)).flat_map(|(_, places)| *places);
    // Never that of other processors.
    lent.into_iter().chain(places.copied().filter(|place| !place.contains("aa64")))
}

fn has_loader(manifest: &Manifest) -> bool {
    manifest.esxi.is_some() && lent_names(MBOOT_EFI).any(|name| manifest.find(name).is_some())
}

fn release(manifest: &Manifest) -> Option<EsxiVersion> {
    let facts = manifest.esxi.as_ref()?;
    let told = facts.build.as_deref().and_then(EsxiVersion::parse);
    told.or_else(|| facts.version.as_deref().and_then(EsxiVersion::parse))
}

#[cfg(test)]
mod tests;
