//! A rule: what machines that a selector means are given.

use super::{LoaderKind, Name};
use crate::selector::Selector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Gives items to the machines its selector means. Rules are asked in their order; the first that matches and has an item
/// decides that item: image, template, loader, group, location, kernel arguments, bundles, and each parameter by its key.
///
/// What a host or its groups say themselves counts more than any rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique name.
    pub name: Name,
    /// Its place: lower ones are asked first. Two rules of one place are asked by name.
    #[serde(default = "last")]
    pub order: u32,
    /// The machines it is for; without one, all.
    #[serde(default, skip_serializing_if = "Selector::is_everything")]
    pub when: Selector,
    /// Image they boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Name>,
    /// Version of that image: an id or a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_version: Option<Name>,
    /// Loader they chain through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader: Option<LoaderKind>,
    /// Template of their answer file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Name>,
    /// Group they are in, unless their record names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// Where they belong, for templates and call-backs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Values for templates and scripts, read as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Words added to the kernel command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_args_append: Vec<String>,
    /// Bundles they run, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundles: Option<Vec<Name>>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Place of a rule that names none: behind those that do.
pub const ORDER_DEFAULT: u32 = 1000;

fn last() -> u32 {
    ORDER_DEFAULT
}

impl Rule {
    /// A rule for every machine that gives nothing yet.
    pub fn new(name: Name) -> Rule {
        Rule {
            name,
            order: ORDER_DEFAULT,
            when: Selector::default(),
            image: None,
            image_version: None,
            loader: None,
            template: None,
            group: None,
            location: None,
            params: BTreeMap::new(),
            kernel_args_append: Vec::new(),
            bundles: None,
            description: String::new(),
        }
    }

    /// The items it has, as `explain` and findings name them.
    pub fn items(&self) -> Vec<String> {
        let single = [
            ("image", self.image.is_some()),
            ("loader", self.loader.is_some()),
            ("template", self.template.is_some()),
            ("group", self.group.is_some()),
            ("location", self.location.is_some()),
            ("kernel_args", !self.kernel_args_append.is_empty()),
            ("bundles", self.bundles.is_some()),
        ];
        let mut items: Vec<String> =
            single.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned()).collect();
        items.extend(self.params.keys().map(|key| format!("params.{key}")));
        items
    }
}
