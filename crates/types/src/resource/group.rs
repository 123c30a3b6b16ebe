//! A group of hosts: what they have in common.

use super::{LoaderKind, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What hosts have in common: a data center, a cluster, a rack. A group has at most one parent and gives on what its
/// parent has.
///
/// Root → parent → group → host: single values of the nearer one count, maps are merged by key, lists that end in
/// `_append` go one after the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Unique name.
    pub name: Name,
    /// The group above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Name>,
    /// Image its hosts boot, unless they name one themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Name>,
    /// Version of that image they stay at: an id or a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_version: Option<Name>,
    /// Loader they chain through instead of the firmware's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader: Option<LoaderKind>,
    /// Template of their answer file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Name>,
    /// Where they belong, for templates and call-backs (`dc1/cluster-a`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Values for templates and scripts, read as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// What selectors may ask for as `label.<key>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Words added to the kernel command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_args_append: Vec<String>,
    /// Bundles its hosts run, in their order, in place of those of the groups above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundles: Option<Vec<Name>>,
    /// Bundles they run after those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundles_append: Vec<Name>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Group {
    /// A group of which nothing but the name is known yet.
    pub fn new(name: Name) -> Group {
        Group {
            name,
            parent: None,
            image: None,
            image_version: None,
            loader: None,
            template: None,
            location: None,
            params: BTreeMap::new(),
            labels: BTreeMap::new(),
            kernel_args_append: Vec::new(),
            bundles: None,
            bundles_append: Vec::new(),
            description: String::new(),
        }
    }
}
