//! Versions of one image side by side: which is current, what the others are called, and what may go.
//!
//! A version is a manifest, called by the digest of its file list ([`Manifest::id`]). Importing the same files again is
//! no new version; importing others makes theirs current and keeps what was current beside it. A tag is a name for a
//! version that an operator moves at will.
//!
//! Every change here is one [`Change`] of the records, made before memory follows: what a crash leaves is the old or the
//! new, never a mix.
//!
//! Deliberately absent: which host uses what. Whoever prunes says what must stay.

use crate::limits::{TAGS_MAX, VERSION_DIGITS, VERSION_PREFIX_MIN};
use crate::records::{Change, Tags};
use crate::{Library, LibraryError, Manifest, lock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use types::resource::{Image, Name};

/// Every version of one image, and its tags.
#[derive(Clone, Debug)]
pub struct Versions {
    /// The one the image's name stands for.
    pub current: Arc<Manifest>,
    /// The others, by id.
    pub others: BTreeMap<Name, Arc<Manifest>>,
    /// Names for versions. Each is of a version that is kept.
    pub tags: Tags,
}

impl Versions {
    pub(crate) fn of(current: Arc<Manifest>) -> Versions {
        Versions { current, others: BTreeMap::new(), tags: Tags::new() }
    }

    /// The version of that id, all of its digits.
    pub fn get(&self, id: &str) -> Option<&Arc<Manifest>> {
        if self.current.id().as_str() == id { Some(&self.current) } else { self.others.get(id) }
    }

    /// Every version, the latest import first.
    pub fn newest_first(&self) -> Vec<&Arc<Manifest>> {
        let mut all: Vec<_> = std::iter::once(&self.current).chain(self.others.values()).collect();
        all.sort_by(|one, other| other.imported.cmp(&one.imported).then_with(|| one.id().cmp(other.id())));
        all
    }

    /// Tags of a version.
    pub fn tags_of<'a>(&'a self, id: &'a Name) -> impl Iterator<Item = &'a Name> {
        self.tags.iter().filter(move |(_, own)| *own == id).map(|(tag, _)| tag)
    }

    /// The version a host means: by tag, or by all digits of its id. Never by less: what is short now may fit two later.
    pub fn pinned(&self, version: &Name) -> Option<&Arc<Manifest>> {
        self.get(self.tags.get(version).unwrap_or(version).as_str())
    }

    /// The version an operator means: also by the first digits of its id.
    ///
    /// # Errors
    /// [`LibraryError::NoVersion`] with what there is, [`LibraryError::VersionUnclear`].
    pub fn find(&self, version: &Name) -> Result<&Arc<Manifest>, LibraryError> {
        if let Some(found) = self.pinned(version) {
            return Ok(found);
        }
        let all = self.newest_first();
        let short = version.as_str().len() >= VERSION_PREFIX_MIN;
        let mut fitting = all.iter().filter(|it| short && it.id().as_str().starts_with(version.as_str()));
        match (fitting.next(), fitting.next()) {
            (Some(found), None) => Ok(found),
            (Some(_), Some(_)) => Err(LibraryError::VersionUnclear {
                image: self.current.image.to_string(),
                version: version.clone(),
            }),
            (None, _) => {
                let ids = all.iter().map(|it| it.id().to_string());
                let there: Vec<String> = ids.chain(self.tags.keys().map(ToString::to_string)).collect();
                Err(LibraryError::NoVersion {
                    image: self.current.image.to_string(),
                    version: version.clone(),
                    there: there.join(", "),
                })
            }
        }
    }

    fn is_kept(&self, id: &Name) -> bool {
        self.get(id.as_str()).is_some()
    }

    /// What stands here after `current` became current: what was is kept beside it.
    pub(crate) fn with_current(&self, current: Arc<Manifest>) -> Versions {
        let mut new = self.clone();
        new.others.remove(current.id());
        let before = std::mem::replace(&mut new.current, current);
        if before.id() != new.current.id() {
            new.others.insert(before.id().clone(), before);
        }
        new
    }
}

/// A tag looks like no id: whoever reads one knows which it is.
///
/// # Errors
/// [`LibraryError::TagRefused`].
pub fn check_tag(tag: &Name) -> Result<(), LibraryError> {
    let digits = tag.as_str().bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits && (VERSION_PREFIX_MIN..=VERSION_DIGITS).contains(&tag.as_str().len()) {
        return Err(LibraryError::TagRefused(tag.clone()));
    }
    Ok(())
}

/// A version that prunes removed, or would remove.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// Of which image.
    pub image: Name,
    /// Its manifest.
    pub manifest: Arc<Manifest>,
}

impl Library {
    /// Every version of an image.
    pub fn versions(&self, image: &str) -> Option<Versions> {
        self.inner.images.read().unwrap_or_else(PoisonError::into_inner).get(image).cloned()
    }

    /// Every image with its versions, by name.
    pub fn all_versions(&self) -> Vec<Versions> {
        self.inner.images.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn versions_or_missing(&self, image: &str) -> Result<Versions, LibraryError> {
        self.versions(image).ok_or_else(|| LibraryError::NoImage(image.to_owned()))
    }

    pub(crate) fn set_versions(&self, versions: Versions) {
        let name = versions.current.image.to_string();
        self.inner.images.write().unwrap_or_else(PoisonError::into_inner).insert(name, versions);
    }

    /// Makes another version current; without one, the latest that was imported before the current one. What was current
    /// is kept. With `record_image` the image resource becomes that of the version, where it is known.
    ///
    /// # Errors
    /// [`LibraryError::NoImage`], [`LibraryError::NoVersion`], [`LibraryError::NoEarlier`],
    /// [`LibraryError::ImportUnderWay`], or when the change cannot be kept; nothing has changed then.
    pub fn rollback(
        &self,
        image: &str,
        to: Option<&Name>,
        record_image: bool,
    ) -> Result<Arc<Manifest>, LibraryError> {
        let Some(_busy) = self.occupy(image) else { return Err(LibraryError::ImportUnderWay) };
        let versions = self.versions_or_missing(image)?;
        let target = match to {
            Some(version) => versions.find(version)?.clone(),
            None => {
                let now = versions.current.imported;
                let earlier = versions.newest_first().into_iter().find(|it| it.imported < now);
                earlier.ok_or_else(|| LibraryError::NoEarlier(image.to_owned()))?.clone()
            }
        };
        if target.id() == versions.current.id() {
            return Ok(target);
        }
        let profile: Option<&Image> = target.profile.as_deref().filter(|_| record_image);
        let forget = [target.id().clone()];
        let change = Change {
            current: Some(&target),
            aside: Some(&versions.current),
            forget: &forget,
            image: profile,
            ..Change::default()
        };
        self.inner.records.commit(image, &change)?;
        self.set_versions(versions.with_current(target.clone()));
        Ok(target)
    }

    /// Gives a version a name; without one, the current version. A name that was another's moves.
    ///
    /// # Errors
    /// As [`rollback`](Self::rollback), and [`LibraryError::TagRefused`], [`LibraryError::TooManyTags`].
    pub fn tag(&self, image: &str, tag: &Name, version: Option<&Name>) -> Result<Name, LibraryError> {
        check_tag(tag)?;
        let Some(_busy) = self.occupy(image) else { return Err(LibraryError::ImportUnderWay) };
        let mut versions = self.versions_or_missing(image)?;
        let id = match version {
            Some(version) => versions.find(version)?.id().clone(),
            None => versions.current.id().clone(),
        };
        if !versions.tags.contains_key(tag) && versions.tags.len() >= TAGS_MAX {
            return Err(LibraryError::TooManyTags(image.to_owned()));
        }
        if versions.tags.insert(tag.clone(), id.clone()).as_ref() != Some(&id) {
            let change = Change { tags: Some(&versions.tags), ..Change::default() };
            self.inner.records.commit(image, &change)?;
            self.set_versions(versions);
        }
        Ok(id)
    }

    /// Takes a name away; says which version had it, if any.
    ///
    /// # Errors
    /// As [`rollback`](Self::rollback).
    pub fn untag(&self, image: &str, tag: &Name) -> Result<Option<Name>, LibraryError> {
        let Some(_busy) = self.occupy(image) else { return Err(LibraryError::ImportUnderWay) };
        let mut versions = self.versions_or_missing(image)?;
        let Some(id) = versions.tags.remove(tag) else { return Ok(None) };
        let change = Change { tags: Some(&versions.tags), ..Change::default() };
        self.inner.records.commit(image, &change)?;
        self.set_versions(versions);
        Ok(Some(id))
    }

    /// Forgets old versions of an image beyond the `keep` latest; their blobs go with the next
    /// [`collect`](Self::collect). What is current, tagged or in `pinned` (ids) stays in any case. With `dry_run` only
    /// says which would go.
    ///
    /// # Errors
    /// As [`rollback`](Self::rollback).
    pub fn prune(
        &self,
        image: &str,
        keep: usize,
        pinned: &BTreeSet<Name>,
        dry_run: bool,
    ) -> Result<Vec<Pruned>, LibraryError> {
        let Some(_busy) = self.occupy(image) else { return Err(LibraryError::ImportUnderWay) };
        let mut versions = self.versions_or_missing(image)?;
        // The current one counts wherever it stands.
        let others = versions.newest_first().into_iter().filter(|it| it.id() != versions.current.id());
        let used = |it: &Manifest| pinned.contains(it.id()) || versions.tags_of(it.id()).next().is_some();
        let old: Vec<Arc<Manifest>> =
            others.skip(keep.saturating_sub(1)).filter(|it| !used(it)).cloned().collect();
        if !dry_run && !old.is_empty() {
            let forget: Vec<Name> = old.iter().map(|it| it.id().clone()).collect();
            self.inner.records.commit(image, &Change { forget: &forget, ..Change::default() })?;
            versions.others.retain(|id, _| !forget.contains(id));
            debug_assert!(versions.tags.values().all(|id| versions.is_kept(id)), "a tag lost its version");
            self.set_versions(versions);
        }
        let image = old.first().map(|it| it.image.clone());
        Ok(image
            .map(|image| old.into_iter().map(|manifest| Pruned { image: image.clone(), manifest }).collect())
            .unwrap_or_default())
    }

    /// Puts together what was remembered. Versions without a current one beside them, or tags of none, cannot be shown:
    /// their image is given as unreadable, so that nothing of it is swept.
    pub(crate) fn assemble(
        remembered: crate::Remembered,
    ) -> (BTreeMap<String, Versions>, BTreeMap<String, String>) {
        let mut unreadable: BTreeMap<String, String> = remembered.unreadable.into_iter().collect();
        let mut images: BTreeMap<String, Versions> = BTreeMap::new();
        for manifest in remembered.current {
            images.insert(manifest.image.to_string(), Versions::of(Arc::new(manifest)));
        }
        for manifest in remembered.others {
            match images.get_mut(manifest.image.as_str()) {
                // A batch never leaves this; what is current is read from its own record.
                Some(versions) if versions.current.id() == manifest.id() => {}
                Some(versions) => {
                    versions.others.insert(manifest.id().clone(), Arc::new(manifest));
                }
                None => {
                    let key = manifest.image.at_version(manifest.id());
                    unreadable.insert(key.to_string(), "its image has no current version".to_owned());
                }
            }
        }
        for (image, tags) in remembered.tags {
            let Some(versions) = images.get_mut(&image) else { continue };
            let kept = tags.into_iter().filter(|(_, id)| versions.is_kept(id)).collect();
            versions.tags = kept;
        }
        (images, unreadable)
    }

    /// Names of images, or of their versions, that cannot be read.
    pub fn unreadable(&self) -> Vec<String> {
        lock(&self.inner.unreadable).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
