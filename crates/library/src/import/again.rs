//! An image of a configuration file whose files are here already, by their hash: nothing is fetched or read again, but how it
//! boots may be said anew.

use super::prepare::check_profile;
use super::{ImportError, Imported};
use crate::limits::PEEK_BYTES_MAX;
use crate::media::{self, Names};
use crate::{Library, Manifest};
use std::sync::{Arc, PoisonError};
use types::resource::Image;

impl Library {
    /// The current version of `image`, when it was imported under the `sha256` that `image` asks for and all of its files are
    /// there. Its profile becomes what `image` says, completed from its files as an import does; that of an export stays as it
    /// is, and `image` may only add that it erases disks.
    ///
    /// `None` when it has to be imported.
    ///
    /// # Errors
    /// As [`Library::import`], of what is wrong with a profile.
    pub fn keep_by_hash(&self, image: &Image) -> Result<Option<Imported>, ImportError> {
        let Some(_busy) = self.occupy(image.name.as_str()) else { return Ok(None) };
        let _gate = self.inner.sweep_gate.read().unwrap_or_else(PoisonError::into_inner);
        let Some(versions) = self.versions(image.name.as_str()) else { return Ok(None) };
        let current = versions.current.clone();
        let Some(profile) = current.profile.as_deref() else { return Ok(None) };
        let asked_for = match (&image.sha256, &profile.sha256) {
            (Some(wanted), Some(had)) => wanted.eq_ignore_ascii_case(had),
            _ => false,
        };
        if !asked_for || !self.has_blobs(&current) {
            return Ok(None);
        }
        let image = match current.restored {
            true => Image { destructive: image.destructive || profile.destructive, ..profile.clone() },
            false => self.completed_again(image, profile, &current),
        };
        check_profile(&image, &current)?;
        let manifest = if image == *profile {
            current
        } else {
            let mut changed = Manifest::clone(&current);
            changed.profile = Some(Box::new(image.clone()));
            let changed = Arc::new(changed);
            self.keep_version(Some(versions), &changed, None)?;
            changed
        };
        Ok(Some(Imported { image, manifest, new_bytes: 0, changed: false }))
    }

    /// `image` as an import of these files would complete it.
    fn completed_again(&self, image: &Image, profile: &Image, current: &Manifest) -> Image {
        let mut image = image.clone();
        image.source.clone_from(&profile.source);
        let sizes = current.files.iter().map(|(name, file)| (name.as_str(), file.size));
        let mut peek = |name: &str| {
            let entry = current.files.get(name)?;
            let bytes = self.inner.blobs.open(entry.sha256, entry.size).ok()?;
            let end = bytes.len().min(usize::try_from(PEEK_BYTES_MAX).unwrap_or(usize::MAX));
            bytes.get(..end).map(<[u8]>::to_vec)
        };
        match media::recognise(Names::new(sizes, &mut peek)) {
            Some(known) => known.complete(&mut image, true),
            // A disc that is served as it is.
            None => image.disk = image.disk.or_else(|| profile.disk.clone()),
        }
        image
    }
}
