//! Whose a stored resource is: one owner each, and only that one writes it.

use super::{Name, NameParseError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Owner of a stored resource. Text form: `api`, or `apply:<name>`.
///
/// What the configuration file defines is not stored and has no `Owner`; it is shown as `file:<path>:<line>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Owner {
    /// Whoever uses the API or its commands.
    #[default]
    Api,
    /// Documents that are applied under this name (`reveille apply --owner NAME`).
    Apply(Name),
}

/// Text before the name of an owner of applied documents.
pub const APPLY_PREFIX: &str = "apply:";

impl Owner {
    /// True for [`Owner::Api`], the owner a record has that names none.
    pub fn is_api(&self) -> bool {
        *self == Owner::Api
    }

    /// `api`, or the name after `apply:`: how commands name an owner.
    ///
    /// # Errors
    /// When the text is no name.
    pub fn from_short(text: &str) -> Result<Owner, NameParseError> {
        match text {
            "api" => Ok(Owner::Api),
            text => text.strip_prefix(APPLY_PREFIX).unwrap_or(text).parse().map(Owner::Apply),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Api => f.write_str("api"),
            Owner::Apply(name) => write!(f, "{APPLY_PREFIX}{name}"),
        }
    }
}

impl FromStr for Owner {
    type Err = NameParseError;

    /// The full text form only.
    fn from_str(text: &str) -> Result<Owner, NameParseError> {
        match text.strip_prefix(APPLY_PREFIX) {
            _ if text == "api" => Ok(Owner::Api),
            Some(name) => name.parse().map(Owner::Apply),
            None => Err(NameParseError),
        }
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Owner, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_as_they_are_written() {
        for text in ["api", "apply:ci", "apply:default"] {
            assert_eq!(text.parse::<Owner>().unwrap().to_string(), text);
        }
        for text in ["", "ci", "apply:", "apply:No", "file:x", "apply:a b"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
        assert_eq!(Owner::from_short("ci"), Ok(Owner::Apply("ci".parse().unwrap())));
        assert_eq!(Owner::from_short("apply:ci"), Owner::from_short("ci"));
        assert_eq!(Owner::from_short("api"), Ok(Owner::Api));
    }
}
