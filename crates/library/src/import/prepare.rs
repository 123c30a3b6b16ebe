//! A source is looked at: what it has, whether that may be an image, and what it is. Nothing is copied here.

use super::{ImportError, ImportRequest, Source, debian, listing, memtest};
use crate::export;
use crate::limits::PEEK_BYTES_MAX;
use crate::manifest::{EsxiFacts, FileEntry, Manifest};
use crate::media::{self, Caps, Known, MediaError, MediumKind, Names, Opened, Profile, Reader};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use types::resource::{Image, ImageKind};

/// A source that has been looked at: what it has, and the profile completed by what it knows.
pub(super) struct Prepared {
    pub(crate) image: Image,
    /// The source as it turned out to be.
    pub(crate) source: Source,
    pub(crate) files: BTreeMap<String, Listed>,
    /// The open medium, when files are parts of one.
    pub(crate) medium: Option<Opened>,
    pub(crate) version: Option<String>,
    /// The same version means the same bytes.
    pub(crate) versioned: bool,
    pub(crate) bytes: u64,
    pub(crate) esxi: Option<EsxiFacts>,
    pub(crate) notes: Vec<String>,
    /// For an exported image, what it was.
    pub(crate) restored: Option<Manifest>,
}

/// One file of a source.
pub(crate) struct Listed {
    pub(crate) size: u64,
    pub(crate) place: Place,
}

/// Where a file of a source is.
pub(crate) enum Place {
    /// In the file system: this file, and no link that took its place.
    File { path: PathBuf, device: u64, inode: u64 },
    /// On the open medium, at this place of its listing.
    Medium(usize),
}

/// Lists the source, checks names, kinds and limits, and tells what it is. Reads no content but that of a few small files.
pub(super) fn prepare(
    request: &ImportRequest,
    source: &Source,
    reader: &Reader,
    bytes_max: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Prepared, ImportError> {
    let mut image = request.image.clone();
    let raw = request.kind_given && image.kind == ImageKind::Iso;
    let mut versioned = false;
    let (mut version, mut medium) = (None, None);
    let mut resolved = source.clone();
    let mut files = match source {
        Source::Dir(path) => listing::directory(path)?,
        Source::Files(paths) => listing::files(paths)?,
        Source::DebianNetboot { root } => {
            let (files, own) = debian::netboot(root, &mut image)?;
            (version, versioned) = (own, true);
            files
        }
        Source::Memtest { root } => memtest::memtest(root, &mut image)?,
        Source::Detect(path) if path.is_dir() => {
            resolved = Source::Dir(path.clone());
            listing::directory(path)?
        }
        Source::Held { path, .. } if path.is_dir() => listing::directory(path)?,
        // The disc itself is what is served.
        Source::Iso(path) | Source::Detect(path) if raw => {
            resolved = Source::Iso(path.clone());
            let files = listing::files(std::slice::from_ref(path))?;
            image.disk = image.disk.or_else(|| files.keys().next().cloned());
            files
        }
        Source::Held { path, name, .. } if raw => {
            let found = listing::files(std::slice::from_ref(path))?.into_values();
            image.disk = Some(name.clone());
            found.map(|listed| (name.clone(), listed)).collect()
        }
        Source::Iso(path)
        | Source::Tar(path)
        | Source::Zip(path)
        | Source::Detect(path)
        | Source::Held { path, .. } => {
            let kind = match source {
                Source::Iso(_) => Some(MediumKind::Iso),
                Source::Tar(_) => Some(MediumKind::Tar),
                Source::Zip(_) => Some(MediumKind::Zip),
                _ => None,
            };
            let profile = match request.kind_given && image.kind != ImageKind::Esxi {
                true if request.profile.is_none() => Profile::AsItIs,
                _ => Profile::OfDepot(request.profile.as_deref()),
            };
            let opened = open_medium(reader, path, kind, profile, bytes_max, stop);
            let mut opened = opened.map_err(|error| match source {
                Source::Held { of, .. } => error.about(of),
                _ => error,
            })?;
            if let Source::Held { of, .. } = source {
                opened.call(of.into());
            }
            resolved = match opened.kind {
                _ if matches!(source, Source::Held { .. }) => source.clone(),
                MediumKind::Iso => Source::Iso(path.clone()),
                MediumKind::Tar | MediumKind::TarGz => Source::Tar(path.clone()),
                MediumKind::Zip | MediumKind::Depot => Source::Zip(path.clone()),
            };
            let files = opened.entries.iter().map(|entry| {
                (entry.name.clone(), Listed { size: entry.size, place: Place::Medium(entry.index) })
            });
            let files = files.collect();
            medium = Some(opened);
            files
        }
    };
    if let (Some(profile), None) = (&request.profile, &medium) {
        let text = format!("image profile `{profile}` was asked for, and only ESXi offline bundles have any");
        let source = MediaError::new(media::Refusal::Profile, text);
        return Err(ImportError::Medium { path: resolved.to_string().into(), source });
    }
    let mut restored = None;
    if let Some(medium) = medium.as_mut()
        && let Some(read) = export::read(&files, medium)
    {
        let path = medium.path().to_owned();
        let export = read.map_err(|fault| ImportError::Export { path, fault })?;
        // All of it is as it was, but for the name it was asked for under and a warning that was added.
        let destructive = image.destructive || export.image.destructive;
        image = Image { name: image.name, sha256: image.sha256, destructive, ..export.image };
        (files, restored) = (export.files, Some(export.manifest));
    }
    if files.is_empty() {
        return Err(ImportError::Empty(source.to_string()));
    }
    let bytes = files.values().map(|file| file.size).fold(0, u64::saturating_add);
    if bytes > bytes_max {
        return Err(ImportError::TooLarge { bytes_max });
    }
    let mut notes = medium.as_ref().map(|opened| opened.notes.clone()).unwrap_or_default();
    let mut esxi = None;
    if let Some(manifest) = &restored {
        (version, esxi, notes) = (manifest.version.clone(), manifest.esxi.clone(), manifest.notes.clone());
    } else if !raw && !versioned {
        let known = tell(&files, medium.as_mut());
        let said = request.kind_given || image.lacks().is_none() && image.kind != ImageKind::Esxi;
        match known {
            Some(known) => {
                known.complete(&mut image, said);
                version = known.version;
                esxi = known.esxi;
                notes.extend(known.notes);
            }
            None if !said => {
                let names: Vec<&String> = files.keys().collect();
                return Err(ImportError::Unrecognised {
                    source_text: source.to_string(),
                    listed: some_names(&names),
                });
            }
            None => {}
        }
    }
    if restored.is_none() {
        image.source = Some(resolved.to_string());
    }
    let entries = files
        .iter()
        .map(|(name, file)| (name.clone(), FileEntry { sha256: crate::Digest([0; 32]), size: file.size }));
    let names = Manifest::new(image.name.clone(), resolved.to_string(), None, 0, entries.collect());
    check_profile(&image, &names)?;
    let prepared =
        Prepared { image, source: resolved, files, medium, version, versioned, bytes, esxi, notes, restored };
    // Of different sizes they are different.
    check_twins(&prepared.image, prepared.files.iter().map(|(name, file)| (name.as_str(), file.size)))?;
    Ok(prepared)
}

fn open_medium(
    reader: &Reader,
    path: &Path,
    kind: Option<MediumKind>,
    profile: Profile<'_>,
    bytes_max: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Opened, ImportError> {
    let metadata = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
    if !metadata.is_file() {
        return Err(ImportError::NotPlain { path: path.to_owned(), kind: listing::kind(&metadata) });
    }
    Opened::open(reader, path, kind, profile, Caps { bytes_max }, stop).map_err(|source| {
        if stop() { ImportError::Cancelled } else { ImportError::Medium { path: path.to_owned(), source } }
    })
}

/// What the files are.
fn tell(files: &BTreeMap<String, Listed>, mut medium: Option<&mut Opened>) -> Option<Known> {
    let mut peek = |name: &str| {
        let listed = files.get(name)?;
        let mut bytes = Vec::new();
        match (&listed.place, medium.as_deref_mut()) {
            (Place::File { path, device, inode }, _) => {
                let file = listing::open_again(path, *device, *inode).ok()?;
                file.take(PEEK_BYTES_MAX).read_to_end(&mut bytes).ok()?;
            }
            (Place::Medium(index), Some(medium)) => {
                // To its end: a stream that is left in the middle gives nothing more.
                medium.read(*index).ok()?.read_to_end(&mut bytes).ok()?;
            }
            (Place::Medium(_), None) => return None,
        }
        Some(bytes)
    };
    media::recognise(Names::new(files.iter().map(|(name, file)| (name.as_str(), file.size)), &mut peek))
}

/// Refuses names that differ only in case where machines ask without regard to it and what they stand for differs.
pub(super) fn check_twins<'f, T: PartialEq>(
    image: &Image,
    files: impl Iterator<Item = (&'f str, T)>,
) -> Result<(), ImportError> {
    if !matches!(image.kind, ImageKind::Esxi | ImageKind::Windows) {
        return Ok(());
    }
    let mut folded: BTreeMap<String, (&str, T)> = BTreeMap::new();
    for (name, what) in files {
        match folded.get(&name.to_ascii_lowercase()) {
            Some((one, first)) if *first != what => {
                return Err(ImportError::CaseTwins { one: (*one).to_owned(), other: name.to_owned() });
            }
            Some(_) => {}
            None => {
                folded.insert(name.to_ascii_lowercase(), (name, what));
            }
        }
    }
    Ok(())
}

/// Every file the profile names must be there.
pub(super) fn check_profile(image: &Image, manifest: &Manifest) -> Result<(), ImportError> {
    if let Some(field) = image.lacks() {
        return Err(ImportError::ProfileIncomplete { kind: image.kind.as_str(), field });
    }
    match image.named_files().find(|(_, file)| manifest.find(file).is_none()) {
        None => Ok(()),
        Some((role, file)) => Err(ImportError::ProfileFile {
            role,
            file: file.to_owned(),
            source_text: manifest.source.clone(),
            listed: some_names(&manifest.files.keys().collect::<Vec<_>>()),
        }),
    }
}

fn some_names(names: &[&String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> ImportError {
    ImportError::Source { path: path.to_owned(), source }
}
