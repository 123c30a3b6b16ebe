//! Loaders (NBPs and their modules): found at run time, never linked, kept in memory while we run.
//!
//! Sources in order, first file of a name wins: a folder (its files and those one level below it), a single file, or
//! `auto` for the places distribution packages use. Loaders are small and hot, and a package upgrade may replace their
//! files at any time: they are read whole once, so what is announced by DHCP is what TFTP sends.

mod assets;
mod pe;

pub(crate) use pe::is_signed;
#[cfg(feature = "fuzzing")]
pub(crate) use pe::machine_firmware;

pub use assets::{Asset, Assets, LoaderRole, Package};

use crate::Digest;
use crate::limits::{LOADER_BYTES_MAX, LOADER_NAME_BYTES_MAX, LOADERS_MAX};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use types::Firmware;
use types::subnet::LoaderChoice;

/// The source that stands for distribution packages.
pub const AUTO: &str = "auto";

/// Whether we have seen these bytes before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Bytes of this package version.
    Known {
        /// The version.
        version: String,
    },
    /// Other bytes under a name we know.
    Changed,
    /// A name we do not know.
    Unlisted,
}

/// A loader we can serve.
#[derive(Clone, Debug)]
pub struct Loader {
    /// Its name in the boot tree; one folder at most.
    pub name: Arc<str>,
    /// Its bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: Digest,
    /// Firmware it runs on, as its header or the manifest says.
    pub firmware: Vec<Firmware>,
    /// A firmware can be sent straight to it.
    pub nbp: bool,
    /// The file it was read from.
    pub path: PathBuf,
    /// The package it usually comes from.
    pub package: Option<String>,
    /// Whether we have seen these bytes before.
    pub standing: Standing,
}

/// The loader of Windows images that bring none: no package has it, and its name has no ending.
pub const WIMBOOT: &str = "wimboot";

/// Something an operator should look at; everything found is served all the same.
#[derive(Debug, thiserror::Error)]
pub enum LoaderWarning {
    /// Bytes that are in no list.
    #[error("loader `{name}` ({}) is not in the list of known loaders, sha256 {digest}", path.display())]
    Unlisted {
        /// Its name.
        name: Arc<str>,
        /// Its file.
        path: PathBuf,
        /// Its digest.
        digest: Digest,
    },
    /// Other bytes than those of the packages we know.
    #[error("loader `{name}` ({}) has other bytes than the package versions we know, sha256 {digest}", path.display())]
    Changed {
        /// Its name.
        name: Arc<str>,
        /// Its file.
        path: PathBuf,
        /// Its digest.
        digest: Digest,
    },
    /// A source could not be read.
    #[error("loaders in {} cannot be read", path.display())]
    Unreadable {
        /// The source.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A file is larger than any loader.
    #[error("{} is left out: it has more than {LOADER_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// There are more files than loaders.
    #[error("loaders after the first {LOADERS_MAX} are left out")]
    TooMany,
}

/// A loader that is needed and not there. The text names the file, the package and what to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoaderMissing {
    /// Its name in the boot tree.
    pub name: String,
    /// The Debian package it comes from.
    pub package: Option<String>,
}

impl LoaderMissing {
    /// What to run on Debian.
    pub fn hint(&self) -> Option<String> {
        self.package.as_ref().map(|package| format!("apt-get install --no-install-recommends {package}"))
    }
}

impl fmt::Display for LoaderMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loader `{}` is not installed", self.name)?;
        match (&self.package, self.hint()) {
            (Some(package), Some(hint)) => write!(f, "; it comes from package {package}: {hint}"),
            _ => f.write_str("; put it into a folder of `assets.paths`"),
        }
    }
}

impl std::error::Error for LoaderMissing {}

/// Every loader found. Immutable: searching again makes a new one.
#[derive(Debug, Default)]
pub struct Loaders {
    by_name: BTreeMap<String, Arc<Loader>>,
    by_base: HashMap<String, Arc<Loader>>,
    warnings: Vec<LoaderWarning>,
    known: Arc<Assets>,
}

impl Loaders {
    /// Searches the sources in order. Never fails: what cannot be read is a warning.
    pub fn search(sources: &[String]) -> Loaders {
        Loaders::search_with(sources, Assets::compiled_in())
    }

    fn search_with(sources: &[String], known: Arc<Assets>) -> Loaders {
        let mut loaders = Loaders { known, ..Loaders::default() };
        for source in sources {
            if source == AUTO {
                loaders.add_packages();
            } else {
                loaders.add_path(Path::new(source));
            }
        }
        for loader in loaders.by_name.values() {
            let base = base_name(&loader.name).to_ascii_lowercase();
            // A name without a folder stands for itself; else the first folder in order (`efi64` is no `bios`).
            let better = !loader.name.contains('/') || !loaders.by_base.contains_key(&base);
            if better {
                loaders.by_base.insert(base, loader.clone());
            }
        }
        loaders
    }

    fn add_packages(&mut self) {
        for asset in &self.known.clone().loaders {
            let Some(path) = asset.paths.iter().find(|path| path.is_file()) else { continue };
            self.add_file(&asset.name, path);
        }
    }

    fn add_path(&mut self, path: &Path) {
        if path.is_file() {
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                self.add_file(name, path);
            }
            return;
        }
        let entries = match sorted(path) {
            Ok(entries) => entries,
            Err(source) => {
                return self.warnings.push(LoaderWarning::Unreadable { path: path.to_owned(), source });
            }
        };
        for (name, path) in entries {
            if path.is_dir() {
                for (file, path) in sorted(&path).unwrap_or_default() {
                    if path.is_file() && self.is_loader_name(&file) {
                        self.add_file(&format!("{name}/{file}"), &path);
                    }
                }
            } else if path.is_file() && self.is_loader_name(&name) {
                self.add_file(&name, &path);
            }
        }
    }

    fn is_loader_name(&self, name: &str) -> bool {
        const ENDINGS: [&str; 13] =
            ["0", "c32", "com", "e32", "e64", "efi", "kkpxe", "kpxe", "krn", "lkrn", "n12", "pxe", "usb"];
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
            || name.eq_ignore_ascii_case(WIMBOOT)
            || self.known.loaders.iter().any(|asset| base_name(&asset.name).eq_ignore_ascii_case(name))
    }

    fn add_file(&mut self, name: &str, path: &Path) {
        let folded = name.to_ascii_lowercase();
        if self.by_name.contains_key(&folded) || name.contains(|char: char| char.is_control() || char == '\\')
        {
            return;
        }
        if self.by_name.len() >= LOADERS_MAX {
            if !matches!(self.warnings.last(), Some(LoaderWarning::TooMany)) {
                self.warnings.push(LoaderWarning::TooMany);
            }
            return;
        }
        let bytes = match read_small(path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return self.warnings.push(LoaderWarning::TooLarge(path.to_owned())),
            Err(source) => {
                return self.warnings.push(LoaderWarning::Unreadable { path: path.to_owned(), source });
            }
        };
        let digest = Digest::of(&bytes);
        let asset = self.known.find(&folded);
        let name: Arc<str> = name.into();
        let standing = match asset {
            None => Standing::Unlisted,
            Some(asset) => match asset.versions.iter().find(|known| known.sha256 == digest) {
                Some(known) => Standing::Known { version: known.version.clone() },
                None => Standing::Changed,
            },
        };
        match standing {
            Standing::Known { .. } => {}
            Standing::Changed => {
                self.warnings.push(LoaderWarning::Changed {
                    name: name.clone(),
                    path: path.to_owned(),
                    digest,
                });
            }
            Standing::Unlisted => {
                self.warnings.push(LoaderWarning::Unlisted {
                    name: name.clone(),
                    path: path.to_owned(),
                    digest,
                });
            }
        }
        // What the header says counts more than what the name promises.
        let firmware = match pe::machine_firmware(&bytes).filter(|_| folded.ends_with(".efi")) {
            Some(firmware) => vec![firmware],
            None => match asset {
                Some(asset) => asset.firmware.clone(),
                None if [".kpxe", ".kkpxe", ".pxe", ".0"].iter().any(|ending| folded.ends_with(ending)) => {
                    vec![Firmware::Bios]
                }
                None => Vec::new(),
            },
        };
        let nbp = match asset {
            Some(asset) => asset.role == LoaderRole::Nbp,
            None => [".efi", ".kpxe", ".kkpxe", ".pxe", ".0"].iter().any(|ending| folded.ends_with(ending)),
        };
        let package = asset.map(|asset| asset.package.clone());
        let loader = Loader { name, bytes, digest, firmware, nbp, path: path.to_owned(), package, standing };
        self.by_name.insert(folded, Arc::new(loader));
    }

    /// The loader of exactly this name, whatever its case.
    pub fn find(&self, name: &str) -> Option<&Arc<Loader>> {
        self.by_name.get(&name.to_ascii_lowercase())
    }

    /// The loader whose last part is this name: machines ask for modules in folders of their own choosing.
    pub fn find_base(&self, name: &str) -> Option<&Arc<Loader>> {
        self.by_base.get(&base_name(name).to_ascii_lowercase())
    }

    /// What to tell when a loader is not there; `None` when the name is that of no loader we know.
    pub fn missing(&self, name: &str) -> Option<LoaderMissing> {
        let asset =
            self.known.find(&name.to_ascii_lowercase()).or_else(|| self.known.find_base(base_name(name)))?;
        Some(LoaderMissing { name: asset.name.clone(), package: Some(asset.package.clone()) })
    }

    /// The loader, or what to tell the operator.
    ///
    /// # Errors
    /// [`LoaderMissing`], whether we know the name or not.
    pub fn require(&self, name: &str) -> Result<&Arc<Loader>, LoaderMissing> {
        self.find(name).ok_or_else(|| {
            self.missing(name).unwrap_or(LoaderMissing { name: name.to_owned(), package: None })
        })
    }

    /// Every loader, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Loader>> {
        self.by_name.values()
    }

    /// What an operator should look at.
    pub fn warnings(&self) -> &[LoaderWarning] {
        &self.warnings
    }

    /// The NBP each firmware gets unless configured otherwise: only those found, so a firmware may be absent.
    ///
    /// BIOS: `undionly.kpxe` (uses the card's own UNDI), then `ipxe.pxe`. UEFI: `snponly.efi` (uses the firmware's
    /// driver), then `ipxe.efi`, in any folder, whose header names that firmware.
    pub fn default_choices(&self) -> Vec<LoaderChoice> {
        let pick = |firmware: Firmware| -> Option<Arc<str>> {
            let bases: &[&str] = match firmware {
                Firmware::Bios => &["undionly.kpxe", "ipxe.pxe", "undionly.kkpxe"],
                Firmware::UbootArm32 | Firmware::UbootArm64 => return None,
                _ => &["snponly.efi", "ipxe.efi"],
            };
            bases.iter().find_map(|base| {
                self.by_name
                    .values()
                    .filter(|loader| loader.nbp && loader.firmware.contains(&firmware))
                    .filter(|loader| loader.name.len() <= LOADER_NAME_BYTES_MAX)
                    .filter(|loader| base_name(&loader.name).eq_ignore_ascii_case(base))
                    .min_by_key(|loader| loader.name.contains('/'))
                    .map(|loader| loader.name.clone())
            })
        };
        Firmware::ALL
            .into_iter()
            .filter_map(|firmware| pick(firmware).map(|file| LoaderChoice { firmware, file }))
            .collect()
    }
}

fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn sorted(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)?.take(LOADERS_MAX * 8) {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

fn read_small(path: &Path) -> io::Result<Option<Bytes>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LOADER_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= LOADER_BYTES_MAX).then(|| bytes.into()))
}

#[cfg(test)]
mod tests;
