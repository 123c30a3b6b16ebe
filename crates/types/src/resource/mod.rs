//! Resources: what an operator writes and the store keeps. One wire form everywhere (YAML, API, CLI, store).

pub mod bundle;
mod group;
mod host;
mod image;
mod notes;
mod owner;
mod param;
pub mod power;
mod rule;
mod set;
mod template;

pub use bundle::{Bundle, Delivery, OnFailure, Script};
pub use group::Group;
pub use host::{Host, HostMatch, LoaderKind, OneOrMany};
pub use image::{Image, ImageKind};
pub use notes::{Holds, LOADED_TOLD_MIN, UefiLoader};
pub use owner::{APPLY_PREFIX, Owner};
pub use param::secret_of;
pub use power::{PowerSpec, SecretRef};
pub use rule::{ORDER_DEFAULT, Rule};
pub use set::{Resource, ResourceKind, Resources};
pub use template::{Template, TemplateKind};

use std::fmt;
use std::str::FromStr;

/// Gives a newtype its text form in serde and JSON Schema (`format` names the checker of the config crate).
macro_rules! text_form {
    ($type:ty, $format:literal, $about:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": $format, "description": $about })
            }
        }
    };
}
pub(crate) use text_form;

/// The name of a resource: a DNS label, so that it can stand in URLs, file names and host names.
///
/// 1..=63 of `a-z 0-9 -`, neither first nor last a hyphen.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name(std::sync::Arc<str>);

/// Longest resource name: a DNS label (RFC 1035 §2.3.4).
pub const NAME_BYTES_MAX: usize = 63;

/// The text is no resource name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameParseError;

impl fmt::Display for NameParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a name; use 1 to 63 of a-z, 0-9 and -, not starting or ending with -")
    }
}

impl std::error::Error for NameParseError {}

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `name@version`: what one version of an image is called in the boot tree. No text is read as such a name, so
    /// that no resource can have it.
    #[must_use]
    pub fn at_version(&self, version: &Name) -> Name {
        Name(format!("{self}@{version}").into())
    }

    /// The shared text, cheap to keep in events.
    pub fn shared(&self) -> std::sync::Arc<str> {
        self.0.clone()
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits { Ok(Name(text.into())) } else { Err(NameParseError) }
    }
}

text_form!(Name, "name", "Resource name: 1 to 63 of a-z, 0-9 and -");

#[cfg(test)]
mod tests;
