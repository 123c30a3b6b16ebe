//! Which blobs an image consists of, and how its files are looked up.

use crate::Digest;
use crate::digest::Hasher;
use crate::limits::{FILE_NAME_BYTES_MAX, VERSION_DIGITS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use types::resource::{Image, Name};

/// One file of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Name of its blob.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// What an ESXi image says of itself in its `boot.cfg`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EsxiFacts {
    /// What stands before the hyphen of `build=`: `8.0.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `build=`: `8.0.2-22380479`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// `title=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How many modules follow the kernel.
    pub modules: u64,
}

/// The files of one image. Immutable: importing again makes a new one.
///
/// File names are relative, `/` between folders, as they were in the source. Lookup takes the exact name first, then
/// ignores ASCII case (ISO names are upper case and loaders ask in lower case), first in order when several fit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The image they belong to.
    pub image: Name,
    /// Where they came from, as it was asked for.
    pub source: String,
    /// Version the source gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When, in seconds since 1970 UTC.
    pub imported: u64,
    /// File name to blob.
    pub files: BTreeMap<String, FileEntry>,
    /// For ESXi, what its `boot.cfg` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub esxi: Option<EsxiFacts>,
    /// What an operator should know of it: what is missing, what was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How it boots, as it was when these files were imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Box<Image>>,
    /// That profile came out of an export: it says all of how the image boots.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
    #[serde(skip)]
    id: OnceLock<Name>,
    #[serde(skip)]
    folded: OnceLock<HashMap<String, Arc<str>>>,
}

impl PartialEq for Manifest {
    fn eq(&self, other: &Manifest) -> bool {
        let said = |it: &Manifest| (it.image.clone(), it.source.clone(), it.version.clone(), it.imported);
        said(self) == said(other)
            && (&self.files, &self.esxi, &self.notes, &self.profile, self.restored)
                == (&other.files, &other.esxi, &other.notes, &other.profile, other.restored)
    }
}

impl Manifest {
    /// A manifest of these files.
    pub fn new(
        image: Name,
        source: String,
        version: Option<String>,
        imported: u64,
        files: BTreeMap<String, FileEntry>,
    ) -> Manifest {
        Manifest {
            image,
            source,
            version,
            imported,
            files,
            esxi: None,
            notes: Vec::new(),
            profile: None,
            restored: false,
            id: OnceLock::new(),
            folded: OnceLock::new(),
        }
    }

    /// What this version is called: the first [`VERSION_DIGITS`] hex digits of the SHA-256 of its file list. The same
    /// files are the same version, whoever imports them where.
    pub fn id(&self) -> &Name {
        self.id.get_or_init(|| {
            let mut hasher = Hasher::default();
            for (name, entry) in &self.files {
                // A length before each name, so that no two lists give one text.
                hasher.update(format!("{}:{name} {} {}\n", name.len(), entry.sha256, entry.size).as_bytes());
            }
            let text = hasher.finish().to_string();
            let id = text.get(..VERSION_DIGITS).unwrap_or(&text).parse();
            id.expect("a few hex digits are a name")
        })
    }

    /// The file of that name and its name as the image has it. Backslashes stand for slashes.
    pub fn find(&self, name: &str) -> Option<(Arc<str>, FileEntry)> {
        let name = name.replace('\\', "/");
        if let Some(entry) = self.files.get(&name) {
            return Some((name.into(), *entry));
        }
        let folded = self.folded.get_or_init(|| {
            let mut folded: HashMap<String, Arc<str>> = HashMap::with_capacity(self.files.len());
            for name in self.files.keys() {
                folded.entry(name.to_ascii_lowercase()).or_insert_with(|| name.as_str().into());
            }
            folded
        });
        let own = folded.get(&name.to_ascii_lowercase())?;
        self.files.get(&**own).map(|entry| (own.clone(), *entry))
    }

    /// Bytes of all files; a blob used twice counts twice.
    pub fn bytes(&self) -> u64 {
        // A record may say any sizes.
        self.files.values().fold(0, |sum, entry| sum.saturating_add(entry.size))
    }
}

/// What is wrong with a file name of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FileNameFault {
    /// Nothing to name.
    #[error("is empty")]
    Empty,
    /// Longer than [`FILE_NAME_BYTES_MAX`].
    #[error("is longer than {FILE_NAME_BYTES_MAX} bytes")]
    TooLong,
    /// A control character or a backslash, which no machine could ask for.
    #[error("has a control character or a backslash")]
    Unaskable,
    /// `.`, `..` or nothing between two slashes.
    #[error("has an empty, `.` or `..` folder")]
    Folder,
    /// Not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
}

/// Checks a name before it enters a manifest: what passes can be asked for at every door.
///
/// # Errors
/// The first fault.
pub fn check_file_name(name: &str) -> Result<(), FileNameFault> {
    if name.is_empty() {
        Err(FileNameFault::Empty)
    } else if name.len() > FILE_NAME_BYTES_MAX {
        Err(FileNameFault::TooLong)
    } else if name.contains(|char: char| char.is_control() || char == '\\') {
        Err(FileNameFault::Unaskable)
    } else if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Err(FileNameFault::Folder)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(names: &[&str]) -> Manifest {
        let entry = |name: &str| FileEntry { sha256: Digest::of(name.as_bytes()), size: name.len() as u64 };
        let files = names.iter().map(|name| ((*name).to_owned(), entry(name))).collect();
        Manifest::new("esxi".parse().unwrap(), "dir:/x".to_owned(), None, 1, files)
    }

    #[test]
    fn names_are_found_exactly_then_without_case_and_with_backslashes() {
        let manifest = manifest(&["EFI/BOOT/BOOTX64.EFI", "b.b00", "B.B00"]);
        assert_eq!(&*manifest.find("efi/boot/bootx64.efi").unwrap().0, "EFI/BOOT/BOOTX64.EFI");
        assert_eq!(&*manifest.find(r"EFI\Boot\BootX64.efi").unwrap().0, "EFI/BOOT/BOOTX64.EFI");
        assert_eq!(&*manifest.find("b.b00").unwrap().0, "b.b00");
        assert_eq!(&*manifest.find("B.B00").unwrap().0, "B.B00");
        assert_eq!(&*manifest.find("B.b00").unwrap().0, "B.B00");
        for absent in ["", "efi", "efi/boot", "/b.b00", "b.b00/", "../b.b00", "x"] {
            assert!(manifest.find(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn a_manifest_is_read_back_from_its_record() {
        let one = manifest(&["linux", "initrd.gz"]);
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), one);
    }

    #[test]
    fn the_id_of_a_version_is_of_its_file_list_alone() {
        let one = manifest(&["linux", "initrd.gz"]);
        assert_eq!(one.id().as_str(), "9e87259d0c49");
        let mut other = manifest(&["initrd.gz", "linux"]);
        (other.imported, other.source) = (9, "iso:/y".to_owned());
        assert_eq!(one.id(), other.id());
        assert_ne!(one.id(), manifest(&["linux"]).id());
    }

    #[test]
    fn names_nobody_could_ask_for_are_refused() {
        for bad in [
            "",
            "a//b",
            "/a",
            "a/",
            "../a",
            "a/./b",
            "a\\b",
            "a\nb",
            "a\u{85}b",
            &"x".repeat(FILE_NAME_BYTES_MAX + 1),
        ] {
            assert!(check_file_name(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a b/c", "ä", "a:b", &"x".repeat(FILE_NAME_BYTES_MAX)] {
            assert!(check_file_name(good).is_ok(), "{good:?}");
        }
    }
}
