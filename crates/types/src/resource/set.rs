//! Resources of several kinds together: what documents define, what is applied and exported.
//!
//! A further kind has its variant in [`ResourceKind`], its list in [`Resources`] and its line in [`resource!`].

use super::{Bundle, Group, Host, Name, Rule, Template};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// Kinds of resources that the store keeps and documents define, in the order in which they name each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// Templates of answer files.
    Template,
    /// Bundles of scripts.
    Bundle,
    /// Groups of hosts.
    Group,
    /// Rules.
    Rule,
    /// Hosts.
    Host,
}

impl ResourceKind {
    /// Every kind, in order.
    pub const ALL: [ResourceKind; 5] = [
        ResourceKind::Template,
        ResourceKind::Bundle,
        ResourceKind::Group,
        ResourceKind::Rule,
        ResourceKind::Host,
    ];

    /// The name of one: `host`.
    pub fn as_str(self) -> &'static str {
        match self {
            ResourceKind::Template => "template",
            ResourceKind::Bundle => "bundle",
            ResourceKind::Group => "group",
            ResourceKind::Rule => "rule",
            ResourceKind::Host => "host",
        }
    }

    /// The name of its list in documents: `hosts`.
    pub fn list(self) -> &'static str {
        match self {
            ResourceKind::Template => "templates",
            ResourceKind::Bundle => "bundles",
            ResourceKind::Group => "groups",
            ResourceKind::Rule => "rules",
            ResourceKind::Host => "hosts",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ResourceKind {
    type Err = String;

    /// One or many: `host`, `hosts`.
    fn from_str(text: &str) -> Result<ResourceKind, String> {
        let found = ResourceKind::ALL.into_iter().find(|kind| text == kind.as_str() || text == kind.list());
        found.ok_or_else(|| {
            let known = ResourceKind::ALL.map(ResourceKind::as_str).join(", ");
            format!("no kind of resource; write one of {known}")
        })
    }
}

/// A resource that has one of the kinds.
pub trait Resource: Clone + PartialEq + Serialize + DeserializeOwned {
    /// Which.
    const KIND: ResourceKind;

    /// Its name, unique in its kind.
    fn name(&self) -> &Name;
}

macro_rules! resource {
    ($type:ident) => {
        impl Resource for $type {
            const KIND: ResourceKind = ResourceKind::$type;

            fn name(&self) -> &Name {
                &self.name
            }
        }
    };
}

resource!(Template);
resource!(Bundle);
resource!(Group);
resource!(Rule);
resource!(Host);

/// Resources of every kind.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Templates of answer files, with their text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<Template>,
    /// Bundles of scripts, with their texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<Bundle>,
    /// Groups of hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
}

impl Resources {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.templates.len() + self.bundles.len() + self.groups.len() + self.rules.len() + self.hosts.len()
    }

    /// Adds one, given in its wire form.
    ///
    /// # Errors
    /// When it is not of its kind.
    pub fn add<'de, D: Deserializer<'de>>(
        &mut self,
        kind: ResourceKind,
        resource: D,
    ) -> Result<(), D::Error> {
        match kind {
            ResourceKind::Template => self.templates.push(Template::deserialize(resource)?),
            ResourceKind::Bundle => self.bundles.push(Bundle::deserialize(resource)?),
            ResourceKind::Group => self.groups.push(Group::deserialize(resource)?),
            ResourceKind::Rule => self.rules.push(Rule::deserialize(resource)?),
            ResourceKind::Host => self.hosts.push(Host::deserialize(resource)?),
        }
        Ok(())
    }

    /// Every list by name.
    pub fn sort(&mut self) {
        self.templates.sort_by(|one, other| one.name.cmp(&other.name));
        self.bundles.sort_by(|one, other| one.name.cmp(&other.name));
        self.groups.sort_by(|one, other| one.name.cmp(&other.name));
        self.rules.sort_by(|one, other| one.name.cmp(&other.name));
        self.hosts.sort_by(|one, other| one.name.cmp(&other.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_one_and_as_many() {
        for kind in ResourceKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.list().parse(), Ok(kind));
        }
        assert!("image".parse::<ResourceKind>().unwrap_err().contains("template, bundle, group, rule, host"));
    }

    #[test]
    fn a_resource_joins_the_list_of_its_kind() {
        let mut resources = Resources::default();
        resources.add(ResourceKind::Group, serde_json::json!({ "name": "b" })).unwrap();
        resources.add(ResourceKind::Group, serde_json::json!({ "name": "a" })).unwrap();
        assert!(resources.add(ResourceKind::Host, serde_json::json!({ "name": "h", "x": 1 })).is_err());
        let bundle =
            |name: &str| serde_json::json!({ "name": name, "scripts": [{ "name": "s", "text": "true\n" }] });
        resources.add(ResourceKind::Bundle, bundle("z")).unwrap();
        resources.add(ResourceKind::Bundle, bundle("base")).unwrap();
        resources.sort();
        assert_eq!(resources.count(), 4);
        assert_eq!(resources.bundles[0].name.as_str(), "base");
        assert_eq!(resources.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
}
