//! Reading everything there is and comparing it with its name, a piece at a time.
//!
//! Every blob is read once, whatever number of files and versions share it. What is removed meanwhile is no finding.

use crate::blobs::BlobReader;
use crate::limits::COPY_BYTES;
use crate::{BlobError, Digest, Library};
use std::collections::BTreeMap;
use types::resource::Name;

/// A file whose blob is missing or damaged.
#[derive(Debug)]
pub struct BadFile {
    /// The image.
    pub image: Name,
    /// The version.
    pub version: Name,
    /// The file.
    pub name: String,
    /// What is wrong, as text: the same blob may be of several files.
    pub fault: String,
}

/// What a step found.
#[derive(Debug)]
pub enum VerifyStep {
    /// That many bytes more were read.
    Read(u64),
    /// These files are bad: all that share one blob.
    Bad(Vec<BadFile>),
}

/// A verification under way: an iterator of its steps.
pub struct Verifier {
    library: Library,
    blobs: std::collections::btree_map::IntoIter<(Digest, u64), Vec<User>>,
    open: Option<(BlobReader, Vec<User>)>,
    buffer: Vec<u8>,
    bytes: u64,
    versions: u64,
    files: u64,
}

/// Whose a blob is.
struct User {
    image: Name,
    version: Name,
    file: String,
}

impl Library {
    /// Reads every version of these images; of all, when none is named.
    pub fn verifier(&self, images: &[Name]) -> Verifier {
        let mut blobs: BTreeMap<(Digest, u64), Vec<User>> = BTreeMap::new();
        let (mut versions, mut files) = (0, 0);
        for image in self.all_versions() {
            if !images.is_empty() && !images.contains(&image.current.image) {
                continue;
            }
            for manifest in image.newest_first() {
                versions += 1;
                for (name, file) in &manifest.files {
                    files += 1;
                    let (image, version) = (manifest.image.clone(), manifest.id().clone());
                    let user = User { image, version, file: name.clone() };
                    blobs.entry((file.sha256, file.size)).or_default().push(user);
                }
            }
        }
        let bytes = blobs.keys().map(|(_, size)| *size).fold(0, u64::saturating_add);
        let buffer = vec![0; COPY_BYTES];
        Verifier {
            library: self.clone(),
            blobs: blobs.into_iter(),
            open: None,
            buffer,
            bytes,
            versions,
            files,
        }
    }

    /// Reads every file of every version of an image whole and lists those that are missing or damaged; `None` without such
    /// an image.
    pub fn verify(&self, image: &str) -> Option<Vec<BadFile>> {
        let name = self.manifest(image)?.image.clone();
        let steps = self.verifier(&[name]);
        Some(
            steps
                .filter_map(|step| match step {
                    VerifyStep::Bad(files) => Some(files),
                    VerifyStep::Read(_) => None,
                })
                .flatten()
                .collect(),
        )
    }
}

impl Verifier {
    /// Bytes that will be read when nothing is missing.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Versions it reads.
    pub fn versions(&self) -> u64 {
        self.versions
    }

    /// Their files.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// Files that are still of a version that is kept.
    fn bad(&self, users: Vec<User>, fault: &BlobError) -> Option<VerifyStep> {
        let text = match std::error::Error::source(fault) {
            Some(cause) => format!("{fault}: {cause}"),
            None => fault.to_string(),
        };
        let kept = users
            .into_iter()
            .filter(|user| self.library.manifest(user.image.at_version(&user.version).as_str()).is_some());
        let files: Vec<BadFile> = kept
            .map(|user| BadFile {
                image: user.image,
                version: user.version,
                name: user.file,
                fault: text.clone(),
            })
            .collect();
        (!files.is_empty()).then_some(VerifyStep::Bad(files))
    }
}

impl Iterator for Verifier {
    type Item = VerifyStep;

    fn next(&mut self) -> Option<VerifyStep> {
        loop {
            let fault = match self.open.take() {
                None => {
                    let ((digest, size), users) = self.blobs.next()?;
                    match self.library.inner.blobs.reader(digest, size) {
                        Ok(reader) => {
                            self.open = Some((reader, users));
                            continue;
                        }
                        Err(fault) => self.bad(users, &fault),
                    }
                }
                Some((mut reader, users)) => match reader.read(&mut self.buffer) {
                    Ok(0) => continue,
                    Ok(read) => {
                        self.open = Some((reader, users));
                        return Some(VerifyStep::Read(read as u64));
                    }
                    Err(fault) => self.bad(users, &fault),
                },
            };
            if fault.is_some() {
                return fault;
            }
        }
    }
}
