//! From `index.xml` to the packages and profiles that a bundle describes.
//!
//! Only one metadata archive is in memory at a time, and of each package only where it lies and what it must hash to. A package
//! without place or checksum is refused when the chosen profile needs it, not before: bundles describe more than they hold.

use super::super::xml::Element;
use super::super::zip::Zip;
use super::profile::{self, Profile};
use super::{Bundle, Caps, Entry, MediaError, Medium, Refusal};
use crate::Digest;
use crate::limits::{
    DEPOT_METADATA_BYTES_MAX, DEPOT_METADATA_MAX, DEPOT_PROFILES_MAX, DEPOT_VIBS_MAX, DEPOT_XML_BYTES_MAX,
    XML_BYTES_MAX,
};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

/// Where it begins.
pub(super) const INDEX: &str = "index.xml";

/// What the metadata of a bundle describe.
pub(super) struct Shelf {
    records: HashMap<String, Record>,
    profiles: Vec<Shown>,
}

/// A package as its metadata have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Record {
    /// Below the vendor's folder, and below the root.
    places: Vec<String>,
    pub(super) size: Option<u64>,
    sha256: Option<Digest>,
    /// The file that says it.
    what: String,
}

/// Where a profile is described.
struct Shown {
    name: String,
    digest: Digest,
    /// The metadata archive in the bundle, and the profile's place in it.
    archive: usize,
    place: usize,
    what: String,
}

/// A folder of the bundle that a vendor's names stand on. What points to the network stands for nothing here.
fn folder(base: Option<&str>) -> String {
    match base.map(|base| base.trim_matches('/')) {
        Some(base) if !base.is_empty() && base != "." && !base.contains("://") => format!("{base}/"),
        _ => String::new(),
    }
}

fn below(folder: &str, name: &str) -> Vec<String> {
    let mut names = vec![format!("{folder}{name}")];
    if !folder.is_empty() {
        names.push(name.to_owned());
    }
    names
}

/// The folder a name stands in, in lower case.
fn parent(name: &str) -> String {
    name.rsplit('/').nth(1).unwrap_or_default().to_ascii_lowercase()
}

impl Shelf {
    pub(super) fn read(bundle: &Bundle) -> Result<Shelf, MediaError> {
        let missing = |text: String| MediaError::new(Refusal::Missing, text);
        let mut xml_left = DEPOT_XML_BYTES_MAX;
        let index = document(bundle, &[INDEX.to_owned()], INDEX, &mut xml_left)?;
        let mut vendors = Vec::new();
        index.anywhere("vendor", &mut vendors);
        let mut archives: Vec<(usize, String)> = Vec::new();
        let mut named = 0usize;
        for vendor in &vendors {
            let Some(file) = vendor.value(&["indexfile"]) else { continue };
            named += 1;
            if named > DEPOT_METADATA_MAX {
                return Err(MediaError::limit(format!(
                    "{INDEX} names more than {DEPOT_METADATA_MAX} vendors"
                )));
            }
            let base = folder(vendor.value(&["relativepath", "relative", "patchurl"]));
            let code = vendor.value(&["name", "code"]).unwrap_or("?");
            let what = format!("the index of vendor `{code}`");
            let own = document(bundle, &below(&base, file), &what, &mut xml_left)?;
            let mut found = Vec::new();
            own.anywhere("metadata", &mut found);
            let urls: Vec<&str> = found.iter().filter_map(|metadata| metadata.value(&["url"])).collect();
            if urls.is_empty() {
                return Err(missing(format!(
                    "{what}, `{file}`, names no metadata: looked for `metadata` with `url`"
                )));
            }
            for url in urls {
                let what = format!("metadata of vendor `{code}`");
                let entry = bundle.find(&below(&base, url), &what)?;
                if !archives.iter().any(|(place, _)| *place == entry.index) {
                    archives.push((entry.index, base.clone()));
                }
                if archives.len() > DEPOT_METADATA_MAX {
                    return Err(MediaError::limit(format!(
                        "it has more than {DEPOT_METADATA_MAX} metadata archives"
                    )));
                }
            }
        }
        if archives.is_empty() {
            return Err(missing(format!("{INDEX} names no vendor: looked for `vendor` with `indexfile`")));
        }
        let mut shelf = Shelf { records: HashMap::new(), profiles: Vec::new() };
        for (place, base) in &archives {
            shelf.read_archive(bundle, *place, base, &mut xml_left)?;
        }
        Ok(shelf)
    }

    fn read_archive(
        &mut self,
        bundle: &Bundle,
        place: usize,
        base: &str,
        xml_left: &mut u64,
    ) -> Result<(), MediaError> {
        let archive = Archive::open(bundle, place)?;
        for entry in &archive.entries {
            let is_xml = entry.name.to_ascii_lowercase().ends_with(".xml");
            match parent(&entry.name).as_str() {
                "vibs" if is_xml => {
                    let (what, bytes) = archive.bytes(entry, xml_left)?;
                    self.add_record(&Element::parse(&bytes, &what)?, base, what)?;
                }
                "profiles" if is_xml => {
                    let (what, bytes) = archive.bytes(entry, xml_left)?;
                    let name = profile::name(&Element::parse(&bytes, &what)?, &what)?;
                    let digest = Digest::of(&bytes);
                    let shown = Shown { name, digest, archive: place, place: entry.index, what };
                    self.add_profile(shown)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_profile(&mut self, shown: Shown) -> Result<(), MediaError> {
        match self.profiles.iter().find(|own| own.name == shown.name) {
            // Indexes list one archive for each release.
            Some(own) if own.digest == shown.digest => return Ok(()),
            Some(_) => {
                let text = format!("two image profiles are called `{}`", shown.name);
                return Err(MediaError::new(Refusal::Twice, text));
            }
            None => self.profiles.push(shown),
        }
        if self.profiles.len() > DEPOT_PROFILES_MAX {
            return Err(MediaError::limit(format!("it has more than {DEPOT_PROFILES_MAX} image profiles")));
        }
        Ok(())
    }

    fn add_record(&mut self, root: &Element, base: &str, what: String) -> Result<(), MediaError> {
        let Some(id) = super::vib::id(root) else {
            let text = format!("{what} describes no package: looked for `vendor`, `name` and `version`");
            return Err(MediaError::new(Refusal::Missing, text));
        };
        let size = root.value(&["packedsize"]).and_then(|size| size.parse().ok());
        let places = root.value(&["relativepath"]).map(|path| below(base, path)).unwrap_or_default();
        let record = Record { places, size, sha256: super::vib::sha256(root), what };
        match self.records.get(&id) {
            Some(own) if (own.size, own.sha256) != (record.size, record.sha256) => {
                let text = format!("package `{id}` is described twice, with two checksums or sizes");
                return Err(MediaError::new(Refusal::Twice, text));
            }
            Some(_) => {}
            None => {
                self.records.insert(id, record);
            }
        }
        if self.records.len() > DEPOT_VIBS_MAX {
            return Err(MediaError::limit(format!("it describes more than {DEPOT_VIBS_MAX} packages")));
        }
        Ok(())
    }

    pub(super) fn profile_names(&self) -> Vec<&str> {
        self.profiles.iter().map(|shown| shown.name.as_str()).collect()
    }

    pub(super) fn profile(&self, bundle: &Bundle, place: usize) -> Result<Profile, MediaError> {
        let absent = || MediaError::malformed("an image profile is gone");
        let shown = self.profiles.get(place).ok_or_else(absent)?;
        let archive = Archive::open(bundle, shown.archive)?;
        let (what, bytes) =
            archive.bytes(archive.entries.get(shown.place).ok_or_else(absent)?, &mut { XML_BYTES_MAX })?;
        Profile::of(&Element::parse(&bytes, &what)?, &shown.what)
    }

    /// What is known of a package of the chosen profile.
    pub(super) fn record(&self, id: &str, profile: &str) -> Result<&Record, MediaError> {
        let missing = |text: String| MediaError::new(Refusal::Missing, text);
        let record = self.records.get(id).ok_or_else(|| {
            missing(format!(
                "image profile `{profile}` wants package `{id}`, which no `vibs/*.xml` of the metadata describes"
            ))
        })?;
        if record.places.is_empty() {
            return Err(missing(format!("{} has no `relative-path`, which was looked for", record.what)));
        }
        if record.sha256.is_none() {
            let text = format!("{} has no `checksum` of type sha-256, which was looked for", record.what);
            return Err(missing(text));
        }
        Ok(record)
    }
}

impl Record {
    pub(super) fn places(&self) -> Vec<String> {
        self.places.clone()
    }

    pub(super) fn sha256(&self) -> Option<Digest> {
        self.sha256
    }
}

fn document(
    bundle: &Bundle,
    names: &[String],
    what: &str,
    xml_left: &mut u64,
) -> Result<Element, MediaError> {
    let entry = bundle.find(names, what)?;
    let bytes = bundle.bytes(entry, XML_BYTES_MAX.min(*xml_left))?;
    *xml_left -= bytes.len() as u64;
    Element::parse(&bytes, &format!("`{}`", entry.name))
}

/// A zip inside the bundle, in memory.
struct Archive {
    name: String,
    zip: Zip,
    entries: Vec<Entry>,
}

impl Archive {
    fn open(bundle: &Bundle, place: usize) -> Result<Archive, MediaError> {
        let entry = bundle.entries.get(place).ok_or_else(|| MediaError::malformed("metadata are gone"))?;
        let bytes = bundle.bytes(entry, DEPOT_METADATA_BYTES_MAX)?;
        let mut zip = Zip::new(Arc::new(bytes));
        let listed = zip.list(Caps { bytes_max: DEPOT_XML_BYTES_MAX });
        let listed =
            listed.map_err(|error| MediaError::new(error.refusal, format!("`{}`: {error}", entry.name)))?;
        Ok(Archive { name: entry.name.clone(), zip, entries: listed.into_parts().0 })
    }

    fn bytes(&self, entry: &Entry, xml_left: &mut u64) -> Result<(String, Vec<u8>), MediaError> {
        let what = format!("`{}` in `{}`", entry.name, self.name);
        let bytes_max = XML_BYTES_MAX.min(*xml_left);
        if entry.size > bytes_max {
            return Err(MediaError::limit(format!("{what} has more than {bytes_max} bytes")));
        }
        let mut bytes = Vec::new();
        let mut reader = self.zip.unpacked(entry)?.take(bytes_max + 1);
        reader.read_to_end(&mut bytes).map_err(MediaError::from_io)?;
        *xml_left -= bytes.len() as u64;
        Ok((what, bytes))
    }
}
