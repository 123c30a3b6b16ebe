//! Bundles of scripts as the file has them: a script's text may stand in a file of its own.

use super::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::resource::bundle::INTERPRETER_DEFAULT;
use types::resource::{Bundle, Delivery, Name, OnFailure, Script};

/// Scripts that a machine runs in their order, each rendered for it like a template.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleFile {
    /// Unique name.
    pub(crate) name: Name,
    /// How it reaches the machine.
    #[serde(default)]
    pub(crate) deliver: Delivery,
    /// The scripts, in the order they run: 1 to 32.
    pub(crate) scripts: Vec<ScriptFile>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
}

/// One script of a bundle. Either `text` or `file` gives it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScriptFile {
    /// Unique name in its bundle.
    pub(crate) name: Name,
    /// The text, a template. For a shell a value that is more than one plain word has to be quoted:
    /// `{{ params.motd | quote }}`.
    #[schemars(extend("format" = "lines"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// A file with the text, relative to the configuration file, at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<Path>,
    /// What runs it: a program by its whole path, with arguments if any.
    #[serde(default = "interpreter")]
    pub(crate) interpreter: String,
    /// Seconds after which it is stopped, where the machine has `timeout`; without it never.
    #[schemars(range(min = 1, max = 86400))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_secs: Option<u32>,
    /// What its failure means for those behind it.
    #[serde(default)]
    pub(crate) on_failure: OnFailure,
}

fn interpreter() -> String {
    INTERPRETER_DEFAULT.to_owned()
}

impl BundleFile {
    /// The resource: a script without its text was told of and stopped the load.
    pub(crate) fn resource(self) -> Option<Bundle> {
        let scripts = self.scripts.into_iter().map(ScriptFile::resource).collect::<Option<Vec<_>>>()?;
        Some(Bundle { name: self.name, deliver: self.deliver, scripts, description: self.description })
    }
}

impl ScriptFile {
    fn resource(self) -> Option<Script> {
        Some(Script {
            name: self.name,
            text: self.text?,
            interpreter: self.interpreter,
            timeout_secs: self.timeout_secs,
            on_failure: self.on_failure,
        })
    }

    /// The same without taking it.
    pub(crate) fn script(&self) -> Option<Script> {
        self.clone().resource()
    }
}
