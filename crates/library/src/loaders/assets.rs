//! The list of known loaders, `boot-assets/manifest.yaml`, compiled in.

use crate::Digest;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use types::Firmware;

/// What a loader is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoaderRole {
    /// A firmware can be sent straight to it.
    Nbp,
    /// Another loader fetches it.
    Module,
}

/// A package that has loaders.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The distribution it is of.
    pub distribution: String,
    /// Its version there.
    pub version: String,
    /// Licence of the loaders, an SPDX expression.
    pub licence: String,
    /// Where its sources are.
    pub source: String,
}

/// The bytes of one version.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetVersion {
    /// Package version.
    pub version: String,
    /// Digest of the file.
    pub sha256: Digest,
}

/// A loader we know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Its name in the boot tree; one folder at most.
    pub name: String,
    /// Firmware it runs on.
    pub firmware: Vec<Firmware>,
    /// What it is for.
    pub role: LoaderRole,
    /// The package it comes from.
    pub package: String,
    /// Where packages install it, first found wins.
    pub paths: Vec<PathBuf>,
    /// Versions whose bytes we have seen.
    pub versions: Vec<AssetVersion>,
}

/// The list of known loaders.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assets {
    /// Packages they come from.
    pub packages: Vec<Package>,
    /// The loaders, in order of search.
    pub loaders: Vec<Asset>,
}

impl Assets {
    /// The list this binary was built with.
    pub fn compiled_in() -> Arc<Assets> {
        static LIST: OnceLock<Arc<Assets>> = OnceLock::new();
        LIST.get_or_init(|| {
            let text = include_str!("../../../../boot-assets/manifest.yaml");
            Arc::new(serde_yaml::from_str(text).expect("a test reads the list this binary was built with"))
        })
        .clone()
    }

    /// The loader of that name, lower case.
    pub fn find(&self, name: &str) -> Option<&Asset> {
        self.loaders.iter().find(|asset| asset.name == name)
    }

    /// The first loader whose last part is that name.
    pub fn find_base(&self, base: &str) -> Option<&Asset> {
        self.loaders.iter().find(|asset| super::base_name(&asset.name).eq_ignore_ascii_case(base))
    }
}
