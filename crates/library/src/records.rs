//! Where manifests are remembered: the store in the daemon, memory in tests and tools.
//!
//! In the store, table `manifests`:
//!
//! | key | value |
//! |---|---|
//! | `<image>` | the [`Manifest`] of the current version ([`MANIFEST`]) |
//! | `<image>@<id>` | that of another version that is kept |
//! | `<image>@` | tags: name to id, version 1; absent without any |
//!
//! and the image resource in table `images`. Every [`Change`] is one batch: a crash leaves all of it or none.

use crate::{Manifest, lock};
use std::collections::BTreeMap;
use std::sync::Mutex;
use store::records::Kind;
use store::{Batch, Store, Table};
use types::resource::{Image, Name};

/// A manifest. Version 1 had no profile: that of the current version stands in table `images`. A program of that time
/// would take another version's record for the image itself, so it must not read them.
pub const MANIFEST: Kind = Kind { name: "manifest", steps: &[|_| Ok(())] };

/// Version of a record of tags.
const TAGS_VERSION: u32 = 1;

/// Tags of one image: name to version id.
pub type Tags = BTreeMap<Name, Name>;

/// Manifests read at a time.
const PAGE_RECORDS: usize = 256;

/// Why the record of an image cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The store said no.
    #[error("cannot {action} the record of image `{image}`")]
    Store {
        /// What was attempted.
        action: &'static str,
        /// Of which image.
        image: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What was remembered.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// The current version of each image, as far as it can be read.
    pub current: Vec<Manifest>,
    /// The other versions.
    pub others: Vec<Manifest>,
    /// Tags, by image.
    pub tags: BTreeMap<String, Tags>,
    /// Keys of what cannot be read, and why. Their blobs must not be swept.
    pub unreadable: Vec<(String, String)>,
}

/// What changes of one image, all of it at once.
#[derive(Clone, Copy, Default, Debug)]
pub struct Change<'a> {
    /// This version is current now.
    pub current: Option<&'a Manifest>,
    /// This one is kept beside it.
    pub aside: Option<&'a Manifest>,
    /// These are not kept beside it any more.
    pub forget: &'a [Name],
    /// All tags, when they change.
    pub tags: Option<&'a Tags>,
    /// The image resource, when it is to be kept here.
    pub image: Option<&'a Image>,
}

/// Where manifests are remembered. `commit` and `remove` are durable when they return.
pub trait Records: Send + Sync {
    /// Everything. What cannot be read is no error: the other images boot.
    ///
    /// # Errors
    /// When nothing can be read.
    fn load(&self) -> Result<Remembered, RecordsError>;

    /// Changes what is kept of an image: all of it or nothing.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn commit(&self, image: &str, change: &Change<'_>) -> Result<(), RecordsError>;

    /// Forgets every version, the tags and the image resource of that name.
    ///
    /// # Errors
    /// When they cannot be removed.
    fn remove(&self, image: &str) -> Result<(), RecordsError>;
}

/// Records that live as long as the process.
#[derive(Default)]
pub struct MemoryRecords {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    current: BTreeMap<String, Manifest>,
    others: BTreeMap<(String, Name), Manifest>,
    tags: BTreeMap<String, Tags>,
    images: BTreeMap<String, Image>,
}

impl MemoryRecords {
    /// Images kept with their manifests.
    pub fn images(&self) -> Vec<Image> {
        lock(&self.kept).images.values().cloned().collect()
    }
}

impl Records for MemoryRecords {
    fn load(&self) -> Result<Remembered, RecordsError> {
        let kept = lock(&self.kept);
        Ok(Remembered {
            current: kept.current.values().cloned().collect(),
            others: kept.others.values().cloned().collect(),
            tags: kept.tags.clone(),
            unreadable: Vec::new(),
        })
    }

    fn commit(&self, image: &str, change: &Change<'_>) -> Result<(), RecordsError> {
        let mut kept = lock(&self.kept);
        let key = |id: &Name| (image.to_owned(), id.clone());
        for id in change.forget {
            kept.others.remove(&key(id));
        }
        if let Some(aside) = change.aside {
            kept.others.insert(key(aside.id()), aside.clone());
        }
        if let Some(current) = change.current {
            kept.current.insert(image.to_owned(), current.clone());
        }
        if let Some(tags) = change.tags {
            kept.tags.insert(image.to_owned(), tags.clone());
        }
        if let Some(profile) = change.image {
            kept.images.insert(image.to_owned(), profile.clone());
        }
        Ok(())
    }

    fn remove(&self, image: &str) -> Result<(), RecordsError> {
        let mut kept = lock(&self.kept);
        kept.current.remove(image);
        kept.others.retain(|(own, _), _| own != image);
        kept.tags.remove(image);
        kept.images.remove(image);
        Ok(())
    }
}

impl<T: Records + ?Sized> Records for std::sync::Arc<T> {
    fn load(&self) -> Result<Remembered, RecordsError> {
        (**self).load()
    }

    fn commit(&self, image: &str, change: &Change<'_>) -> Result<(), RecordsError> {
        (**self).commit(image, change)
    }

    fn remove(&self, image: &str) -> Result<(), RecordsError> {
        (**self).remove(image)
    }
}

impl Records for Store {
    fn load(&self) -> Result<Remembered, RecordsError> {
        let mut remembered = Remembered::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self
                .scan(Table::Manifests, after.as_deref(), PAGE_RECORDS)
                .map_err(|source| fault("read", "", source))?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, stored) in &page {
                let key = String::from_utf8_lossy(key).into_owned();
                if let Err(why) = remembered.take(&key, &stored.value) {
                    remembered.unreadable.push((key, why));
                }
            }
        }
        for manifest in remembered.current.iter_mut().filter(|manifest| manifest.profile.is_none()) {
            let name = manifest.image.as_str();
            let stored = self.get(Table::Images, name.as_bytes());
            let stored = stored.map_err(|source| fault("read", name, source))?;
            manifest.profile =
                stored.and_then(|it| store::records::decode_image(&it.value).ok()).map(Box::new);
        }
        Ok(remembered)
    }

    fn commit(&self, image: &str, change: &Change<'_>) -> Result<(), RecordsError> {
        let mut batch = Batch::new();
        for id in change.forget {
            batch = batch.delete(Table::Manifests, aside_key(image, id));
        }
        let encode =
            |manifest: &Manifest| MANIFEST.encode(manifest).map_err(|source| fault("write", image, source));
        if let Some(aside) = change.aside {
            batch = batch.put(Table::Manifests, aside_key(image, aside.id()), encode(aside)?);
        }
        if let Some(current) = change.current {
            batch = batch.put(Table::Manifests, image, encode(current)?);
        }
        match change.tags {
            Some(tags) if tags.is_empty() => batch = batch.delete(Table::Manifests, tags_key(image)),
            Some(tags) => {
                let value = store::records::encode("image tags", TAGS_VERSION, tags)
                    .map_err(|source| fault("write", image, source))?;
                batch = batch.put(Table::Manifests, tags_key(image), value);
            }
            None => {}
        }
        if let Some(profile) = change.image {
            let value =
                store::records::encode_image(profile).map_err(|source| fault("write", image, source))?;
            batch = batch.put(Table::Images, image, value);
        }
        self.commit_blocking(batch).map(drop).map_err(|source| fault("keep", image, source))
    }

    fn remove(&self, image: &str) -> Result<(), RecordsError> {
        let prefix = tags_key(image);
        let mut batch = Batch::new()
            .delete(Table::Manifests, image)
            .delete(Table::Manifests, prefix.as_str())
            .delete(Table::Images, image);
        // By what is there and not by what was read: a record that cannot be read goes too.
        let mut after = prefix.clone().into_bytes();
        loop {
            let page = self
                .scan(Table::Manifests, Some(&after), PAGE_RECORDS)
                .map_err(|source| fault("remove", image, source))?;
            let own: Vec<Vec<u8>> = page
                .into_iter()
                .map(|(key, _)| key)
                .filter(|key| key.starts_with(prefix.as_bytes()))
                .collect();
            let Some(last) = own.last() else { break };
            after.clone_from(last);
            batch = own.into_iter().fold(batch, |batch, key| batch.delete(Table::Manifests, key));
        }
        self.commit_blocking(batch).map(drop).map_err(|source| fault("remove", image, source))
    }
}

impl Remembered {
    /// Takes a record in; the error says why it cannot be read.
    fn take(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        let manifest = |expected: &str| match MANIFEST.decode::<Manifest>(value) {
            Ok(manifest) if manifest.image.as_str() == expected => Ok(manifest),
            Ok(manifest) => Err(format!("it is of image `{}`", manifest.image)),
            Err(error) => Err(error.to_string()),
        };
        match key.split_once('@') {
            None => self.current.push(manifest(key)?),
            Some((image, "")) => {
                let tags = store::records::decode("image tags", TAGS_VERSION, value);
                self.tags.insert(image.to_owned(), tags.map_err(|error| error.to_string())?);
            }
            Some((image, id)) => {
                let manifest = manifest(image)?;
                if manifest.id().as_str() != id {
                    return Err(format!("its files are those of version {}", manifest.id()));
                }
                self.others.push(manifest);
            }
        }
        Ok(())
    }
}

fn aside_key(image: &str, id: &Name) -> String {
    format!("{image}@{id}")
}

fn tags_key(image: &str) -> String {
    format!("{image}@")
}

fn fault(
    action: &'static str,
    image: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> RecordsError {
    RecordsError::Store { action, image: image.to_owned(), source: Box::new(source) }
}
