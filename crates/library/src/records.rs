//! Where manifests are remembered: the store in the daemon, memory in tests and tools.
//!
//! In the store: table `manifests`, key = image name, value = version 1 of [`Manifest`] in the store's versioned form;
//! the image resource in table `images`, in the same batch. A crash leaves both or none.

use crate::{Manifest, lock};
use std::collections::BTreeMap;
use std::sync::Mutex;
use store::{Batch, Store, Table};
use types::resource::Image;

/// Version of a manifest record.
const MANIFEST_VERSION: u32 = 1;

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
    /// Every manifest that can be read.
    pub manifests: Vec<Manifest>,
    /// Names of those that cannot, and why. Their blobs must not be swept.
    pub unreadable: Vec<(String, String)>,
}

/// Where manifests are remembered. `save` and `remove` are durable when they return.
pub trait Records: Send + Sync {
    /// Every manifest. One that cannot be read is no error: the other images boot.
    ///
    /// # Errors
    /// When nothing can be read.
    fn load(&self) -> Result<Remembered, RecordsError>;

    /// Keeps the manifest and, when given, its image resource: both or none.
    ///
    /// # Errors
    /// When they cannot be kept.
    fn save(&self, manifest: &Manifest, image: Option<&Image>) -> Result<(), RecordsError>;

    /// Forgets the manifest and the image resource of that name.
    ///
    /// # Errors
    /// When they cannot be removed.
    fn remove(&self, image: &str) -> Result<(), RecordsError>;
}

/// Records that live as long as the process.
#[derive(Default)]
pub struct MemoryRecords {
    kept: Mutex<BTreeMap<String, (Manifest, Option<Image>)>>,
}

impl MemoryRecords {
    /// Images kept with their manifests.
    pub fn images(&self) -> Vec<Image> {
        lock(&self.kept).values().filter_map(|(_, image)| image.clone()).collect()
    }
}

impl Records for MemoryRecords {
    fn load(&self) -> Result<Remembered, RecordsError> {
        let manifests = lock(&self.kept).values().map(|(manifest, _)| manifest.clone()).collect();
        Ok(Remembered { manifests, unreadable: Vec::new() })
    }

    fn save(&self, manifest: &Manifest, image: Option<&Image>) -> Result<(), RecordsError> {
        lock(&self.kept).insert(manifest.image.to_string(), (manifest.clone(), image.cloned()));
        Ok(())
    }

    fn remove(&self, image: &str) -> Result<(), RecordsError> {
        lock(&self.kept).remove(image);
        Ok(())
    }
}

impl<T: Records + ?Sized> Records for std::sync::Arc<T> {
    fn load(&self) -> Result<Remembered, RecordsError> {
        (**self).load()
    }

    fn save(&self, manifest: &Manifest, image: Option<&Image>) -> Result<(), RecordsError> {
        (**self).save(manifest, image)
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
            let Some((last, _)) = page.last() else { return Ok(remembered) };
            after = Some(last.clone());
            for (key, stored) in &page {
                match store::records::decode::<Manifest>("manifest", MANIFEST_VERSION, &stored.value) {
                    Ok(manifest) => remembered.manifests.push(manifest),
                    Err(error) => {
                        let name = String::from_utf8_lossy(key).into_owned();
                        remembered.unreadable.push((name, error.to_string()));
                    }
                }
            }
        }
    }

    fn save(&self, manifest: &Manifest, image: Option<&Image>) -> Result<(), RecordsError> {
        let name = manifest.image.as_str();
        let value = store::records::encode("manifest", MANIFEST_VERSION, manifest)
            .map_err(|source| fault("write", name, source))?;
        let mut batch = Batch::new().put(Table::Manifests, name, value);
        if let Some(image) = image {
            let value = store::records::encode_image(image).map_err(|source| fault("write", name, source))?;
            batch = batch.put(Table::Images, name, value);
        }
        self.commit_blocking(batch).map(drop).map_err(|source| fault("keep", name, source))
    }

    fn remove(&self, image: &str) -> Result<(), RecordsError> {
        let batch = Batch::new().delete(Table::Manifests, image).delete(Table::Images, image);
        self.commit_blocking(batch).map(drop).map_err(|source| fault("remove", image, source))
    }
}

fn fault(
    action: &'static str,
    image: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> RecordsError {
    RecordsError::Store { action, image: image.to_owned(), source: Box::new(source) }
}
