//! ESXi offline bundles (depots): a zip of packages and what an image is made of, read as the files of that image.
//!
//! ```text
//! index.xml ─► vendor's index ─► metadata.zip ─┬─► profiles/*.xml   which packages, and what their files are called
//!                                              └─► vibs/*.xml       where a package lies, its size and sha-256
//! vib20/…/x.vib (ar) ─► descriptor.xml, sig.pkcs7, payloads ─► kernel and modules, byte for byte
//! ```
//!
//! The listing has the payloads of one profile under the names it gives them, the loaders where a package holds them, and a
//! `boot.cfg` of our own making. Everything behind a medium then works as for a disc.
//!
//! What is sure and what is not: packages, their descriptor and the members of metadata were seen in public tools; index
//! files and profiles in part. So elements are found by their local name in any spelling ([`super::xml`]), and where
//! something is not there the refusal names what was looked for. Not done: signatures are not verified (the machine does
//! it, of the modules, under Secure Boot); no image database (`imgdb.tgz`) is made up.
//!
//! Every package of the profile is read whole while listing: its sha-256 must be the one its metadata says. Payloads of
//! packages that lie in the bundle as they are become ranges of it; of compressed ones they are unpacked once more, in rising
//! order, and compared with the checksum in their descriptor.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod loader;
mod metadata;
mod modules;
mod profile;
mod vib;

use super::listing::{Content, Entry, Listing, Range};
use super::zip::{Unpacked, Zip};
use super::{Caps, MediaError, Medium, ReadAt, Refusal};
use crate::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

/// Tells a bundle by the names in a zip.
pub(super) fn is_depot(entries: &[Entry]) -> bool {
    let has = |end: &str| entries.iter().any(|entry| entry.name.to_ascii_lowercase().ends_with(end));
    entries.iter().any(|entry| entry.name.eq_ignore_ascii_case(metadata::INDEX)) && has(".vib") && has(".zip")
}

pub(super) struct Depot {
    medium: Arc<dyn ReadAt>,
    /// The image profile asked for.
    profile: Option<String>,
    bundle: Option<Bundle>,
    files: Vec<Held>,
    stream: Option<Stream>,
}

/// The zip and its files.
struct Bundle {
    zip: Zip,
    entries: Vec<Entry>,
    /// Place by name in lower case.
    places: HashMap<String, usize>,
}

/// A file of the listing that is no range of the bundle.
enum Held {
    /// Made or found while listing.
    Bytes(Vec<u8>),
    /// Bytes inside a compressed package.
    Part { package: usize, offset: u64, sha256: Option<Digest> },
}

/// A package that is being unpacked.
struct Stream {
    package: usize,
    at: u64,
    inner: Unpacked,
}

impl Depot {
    pub(super) fn new(medium: Arc<dyn ReadAt>, profile: Option<String>) -> Depot {
        Depot { medium, profile, bundle: None, files: Vec::new(), stream: None }
    }
}

impl Bundle {
    fn open(medium: Arc<dyn ReadAt>, caps: Caps) -> Result<(Bundle, Vec<String>), MediaError> {
        let mut zip = Zip::new(medium);
        let (entries, notes) = zip.list(caps)?.into_parts();
        let places = entries.iter().map(|entry| (entry.name.to_ascii_lowercase(), entry.index)).collect();
        Ok((Bundle { zip, entries, places }, notes))
    }

    /// The file of the first of these names that is there. A name that leaves the bundle refuses it.
    fn find(&self, names: &[String], what: &str) -> Result<&Entry, MediaError> {
        for name in names {
            let name = super::listing::plain(name);
            super::listing::check_name(name)
                .map_err(|error| MediaError::new(error.refusal, format!("{what}: {error}")))?;
            let place = self.places.get(&name.to_ascii_lowercase());
            if let Some(entry) = place.and_then(|place| self.entries.get(*place)) {
                return Ok(entry);
            }
        }
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let text = format!("{what} is not in the bundle: looked for {}", names.join(" and "));
        Err(MediaError::new(Refusal::Missing, text))
    }

    /// A file that is kept in memory.
    fn bytes(&self, entry: &Entry, bytes_max: u64) -> Result<Vec<u8>, MediaError> {
        if entry.size > bytes_max {
            return Err(MediaError::limit(format!("`{}` has more than {bytes_max} bytes", entry.name)));
        }
        let mut bytes = Vec::new();
        let mut reader = self.zip.unpacked(entry)?.take(bytes_max.saturating_add(1));
        reader.read_to_end(&mut bytes).map_err(MediaError::from_io)?;
        Ok(bytes)
    }
}

impl Medium for Depot {
    fn list(&mut self, caps: Caps) -> Result<Listing, MediaError> {
        (self.files, self.stream) = (Vec::new(), None);
        let (bundle, left_out) = Bundle::open(self.medium.clone(), caps)?;
        let shelf = metadata::Shelf::read(&bundle)?;
        let chosen = profile::choose(&shelf.profile_names(), self.profile.as_deref())?;
        let profile = shelf.profile(&bundle, chosen)?;
        let mut listing = Listing::new(caps, self.medium.size());
        for note in left_out {
            listing.note(&note);
        }
        if shelf.profile_names().len() > 1 {
            listing.note(&format!("image profile `{}` of {}", profile.name, shelf.profile_names().len()));
        }
        let (mut packages, mut loaders) = (Vec::new(), Vec::new());
        for wanted in &profile.vibs {
            let record = shelf.record(&wanted.id, &profile.name)?;
            let entry = bundle.find(&record.places(), &format!("package `{}`", wanted.id))?;
            let (vib, found) = vib::scan(&wanted.id, record, entry.size, bundle.zip.unpacked(entry)?)?;
            packages.push((entry.index, vib));
            for (name, bytes) in found {
                if !loaders.iter().any(|(own, _)| *own == name) {
                    loaders.push((name, bytes));
                }
            }
        }
        let vibs: Vec<&vib::Vib> = packages.iter().map(|(_, vib)| vib).collect();
        let laid = modules::lay(&profile, &vibs)?;
        for note in &laid.notes {
            listing.note(note);
        }
        note_signatures(&vibs, &mut listing);
        self.hold("boot.cfg", laid.boot_cfg.into_bytes(), &mut listing)?;
        for (name, bytes) in loaders {
            self.hold(name, bytes, &mut listing)?;
        }
        listing
            .note("made from packages: the image database of an installer medium (imgdb.tgz) is not in it");
        // In the order in which the packages are read once.
        let mut order: Vec<&modules::Module> = laid.modules.iter().collect();
        let place = |module: &modules::Module| {
            packages
                .get(module.vib)
                .and_then(|(entry, vib)| Some((*entry, vib.payloads.get(module.payload)?)))
        };
        order.sort_by_key(|module| place(module).map(|(_, payload)| (module.vib, payload.offset)));
        for module in order {
            let Some((package, payload)) = place(module) else { continue };
            let content = match bundle.zip.stored_at(bundle.entries.get(package)) {
                Some(_) if payload.size == 0 => Content::Ranges(Vec::new()),
                Some(start) => {
                    Content::Ranges(vec![Range { offset: start + payload.offset, size: payload.size }])
                }
                None => {
                    let (offset, sha256) = (payload.offset, payload.sha256);
                    self.files.push(Held::Part { package, offset, sha256 });
                    Content::Stream { mark: self.files.len() as u64 - 1 }
                }
            };
            listing.add(&module.file, payload.size, content)?;
        }
        self.bundle = Some(bundle);
        Ok(listing)
    }

    fn open(&mut self, entry: &Entry) -> Result<Box<dyn Read + '_>, MediaError> {
        let absent = || MediaError::malformed(format!("`{}` is not in the bundle", entry.name));
        let Content::Stream { mark } = entry.content else { return Err(absent()) };
        let held = usize::try_from(mark).ok().and_then(|mark| self.files.get(mark)).ok_or_else(absent)?;
        let (package, offset, sha256) = match held {
            Held::Bytes(bytes) => return Ok(Box::new(&bytes[..])),
            Held::Part { package, offset, sha256 } => (*package, *offset, *sha256),
        };
        let bundle = self.bundle.as_ref().ok_or_else(absent)?;
        let kept = self.stream.take().filter(|stream| stream.package == package && stream.at <= offset);
        let stream = match kept {
            Some(stream) => stream,
            None => {
                let inner = bundle.zip.unpacked(bundle.entries.get(package).ok_or_else(absent)?)?;
                Stream { package, at: 0, inner }
            }
        };
        let stream = self.stream.insert(stream);
        stream.skip_to(offset)?;
        Ok(Box::new(Payload { stream, left: entry.size, sha256, hasher: Sha256::new() }))
    }
}

impl Depot {
    fn hold(&mut self, name: &str, bytes: Vec<u8>, listing: &mut Listing) -> Result<(), MediaError> {
        listing.add(name, bytes.len() as u64, Content::Stream { mark: self.files.len() as u64 })?;
        self.files.push(Held::Bytes(bytes));
        Ok(())
    }
}

/// Whoever runs packages without a signature should know it.
fn note_signatures(vibs: &[&vib::Vib], listing: &mut Listing) {
    let unsigned: Vec<&str> = vibs.iter().filter(|vib| !vib.signed).map(|vib| vib.name.as_str()).collect();
    if let Some(first) = unsigned.first() {
        listing.note(&format!(
            "{} packages have no signature, `{first}` first: Secure Boot machines may refuse them",
            unsigned.len()
        ));
    }
}

impl Stream {
    fn skip_to(&mut self, offset: u64) -> Result<(), MediaError> {
        let mut buffer = vec![0u8; 64 << 10];
        while self.at < offset {
            let wanted = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(buffer.len());
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            match self.inner.read(part).map_err(MediaError::from_io)? {
                0 => return Err(MediaError::malformed("a package is cut off")),
                read => self.at += read as u64,
            }
        }
        Ok(())
    }
}

/// One payload of a compressed package; it must have the checksum of its descriptor.
struct Payload<'a> {
    stream: &'a mut Stream,
    left: u64,
    sha256: Option<Digest>,
    hasher: Sha256,
}

impl Read for Payload<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        let read = if part.is_empty() { 0 } else { self.stream.inner.read(part)? };
        self.hasher.update(part.get(..read).unwrap_or_default());
        self.left -= read as u64;
        self.stream.at += read as u64;
        if read == 0 && !buffer.is_empty() {
            if self.left > 0 {
                return Err(MediaError::malformed("a package is cut off").into());
            }
            let found: [u8; 32] = self.hasher.clone().finalize().into();
            if self.sha256.is_some_and(|wanted| wanted.0 != found) {
                let text = "a payload has not the checksum its package says: the bundle is damaged";
                return Err(MediaError::new(Refusal::Checksum, text).into());
            }
        }
        Ok(read)
    }
}
