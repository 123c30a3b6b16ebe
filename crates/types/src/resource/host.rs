//! A machine the operator has recorded.

use super::{Name, PowerSpec};
use crate::{MacAddr, MachineGuid};
use schemars::JsonSchema;
use serde::de::{IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A machine the operator has recorded: who it is and what it boots.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Unique name; also its host name unless a reservation says otherwise.
    pub name: Name,
    /// How it is recognised.
    #[serde(rename = "match")]
    pub identity: HostMatch,
    /// Group it is in; it has what the group has, unless it says otherwise itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// Image it boots; without one the default image is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Name>,
    /// Version of that image it stays at: an id (`reveille image get`) or a tag. Without one it boots the current version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_version: Option<Name>,
    /// Loader to chain through instead of the firmware's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loader: Option<LoaderKind>,
    /// Template of its answer file, in place of its image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Name>,
    /// Where it belongs, for templates and call-backs (`dc1/cluster-a`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What selectors may ask for as `label.<key>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How it is turned on and off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerSpec>,
    /// Values for templates and scripts, read as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Words added to the image's kernel command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_args_append: Vec<String>,
    /// Bundles it runs, in their order, in place of those of its groups; `[]` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundles: Option<Vec<Name>>,
    /// Bundles it runs after those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundles_append: Vec<Name>,
}

impl Host {
    /// A host of which only name and identity are known.
    pub fn new(name: Name, identity: HostMatch) -> Host {
        Host {
            name,
            identity,
            group: None,
            image: None,
            image_version: None,
            loader: None,
            template: None,
            location: None,
            labels: BTreeMap::new(),
            power: None,
            params: BTreeMap::new(),
            kernel_args_append: Vec::new(),
            bundles: None,
            bundles_append: Vec::new(),
        }
    }

    /// The bundles it runs, in their order: those of the nearest list, then what is appended, each once.
    pub fn bundle_names(&self) -> Vec<&Name> {
        let mut names: Vec<&Name> = Vec::new();
        for name in self.bundles.iter().flatten().chain(&self.bundles_append) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Identity terms. At least one is needed; a request matches by GUID, any MAC or serial, weighed together.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostMatch {
    /// One MAC address or several.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub mac: OneOrMany<MacAddr>,
    /// SMBIOS GUID, in either byte order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<MachineGuid>,
    /// SMBIOS serial number, compared without case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

impl HostMatch {
    /// True when it could match no machine.
    pub fn is_empty(&self) -> bool {
        self.mac.is_empty() && self.uuid.is_none() && self.serial.is_none()
    }
}

/// Which loader family a machine is sent through.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoaderKind {
    /// iPXE: script, kernel and initrd by HTTP.
    Ipxe,
    /// pxelinux (BIOS only): configuration, kernel and initrd by TFTP.
    Pxelinux,
}

impl LoaderKind {
    /// The name used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            LoaderKind::Ipxe => "ipxe",
            LoaderKind::Pxelinux => "pxelinux",
        }
    }
}

/// One value or a list of them; written back in the shorter form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        OneOrMany(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    /// Asks for no form and takes what comes, so that a fault is told by `T` and not by the choice between two forms.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

/// A single value of any scalar form, read as `T` reads it.
macro_rules! visit_one {
    ($($visit:ident($form:ty)),*) => {
        $(fn $visit<E: serde::de::Error>(self, value: $form) -> Result<Self::Value, E> {
            T::deserialize(value.into_deserializer()).map(|one| OneOrMany(vec![one]))
        })*
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value or a list")
    }

    visit_one!(
        visit_str(&str),
        visit_string(String),
        visit_bool(bool),
        visit_u64(u64),
        visit_i64(i64),
        visit_f64(f64)
    );

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut many = Vec::new();
        while let Some(next) = list.next_element()? {
            many.push(next);
        }
        Ok(OneOrMany(many))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = T::json_schema(generator);
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
