//! A bundle: scripts that a machine runs in their order once its system is there.

use super::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of bundles, each with its reason.
pub mod limits {
    /// Bundles of one machine: each has a line in `explain`.
    pub const BUNDLES_MAX: usize = 16;
    /// Scripts of one bundle.
    pub const SCRIPTS_MAX: usize = 32;
    /// Scripts of one machine, of all its bundles: the last run of each is kept for each host.
    pub const SCRIPTS_OF_MACHINE_MAX: usize = 128;
    /// Bytes of one script before it is rendered.
    pub const SCRIPT_BYTES_MAX: usize = 64 * 1024;
    /// Bytes of all scripts of a machine, rendered: they may stand inside its answer file.
    pub const RENDERED_BYTES_MAX: usize = 512 * 1024;
    /// Words of an interpreter.
    pub const INTERPRETER_WORDS_MAX: usize = 8;
    /// Longest a script may take, when it says how long: a day.
    pub const TIMEOUT_SECS_MAX: u32 = 86_400;
}

/// Scripts that a machine runs in their order, each rendered for it like a template.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Unique name.
    pub name: Name,
    /// How it reaches the machine.
    #[serde(default)]
    pub deliver: Delivery,
    /// The scripts, in the order they run.
    pub scripts: Vec<Script>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Bundle {
    /// The script of that name.
    pub fn script(&self, name: &str) -> Option<&Script> {
        self.scripts.iter().find(|script| script.name.as_str() == name)
    }
}

/// How a bundle reaches the machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// By the answer file, which names its URL (`bundles.run`) or holds it (`bundles.inline`).
    #[default]
    Url,
    /// ESXi that runs from memory: in a module that unpacks over its root file system, run when the system is up. Other
    /// images do not carry it.
    Module,
}

impl Delivery {
    /// The name used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::Url => "url",
            Delivery::Module => "module",
        }
    }
}

/// What a failure of a script means for those behind it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Nothing behind it runs, in its bundle and in those after it.
    #[default]
    Stop,
    /// The next one runs.
    Continue,
}

impl OnFailure {
    /// The name used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            OnFailure::Stop => "stop",
            OnFailure::Continue => "continue",
        }
    }
}

/// What runs a script that says nothing else.
pub const INTERPRETER_DEFAULT: &str = "/bin/sh";

pub(super) fn interpreter_default() -> String {
    INTERPRETER_DEFAULT.to_owned()
}

/// One script of a bundle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Unique name in its bundle.
    pub name: Name,
    /// The text, a template. For a shell a value that is more than one plain word has to be quoted: `{{ params.motd | quote }}`.
    pub text: String,
    /// What runs it: a program by its whole path, with arguments if any.
    #[serde(default = "interpreter_default")]
    pub interpreter: String,
    /// Seconds after which it is stopped, 1 to 86400, where the machine has `timeout`; without it never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u32>,
    /// What its failure means for those behind it.
    #[serde(default)]
    pub on_failure: OnFailure,
}

impl Script {
    /// A script of `/bin/sh`.
    pub fn new(name: Name, text: impl Into<String>) -> Script {
        Script {
            name,
            text: text.into(),
            interpreter: interpreter_default(),
            timeout_secs: None,
            on_failure: OnFailure::Stop,
        }
    }
}

/// What is wrong with an interpreter.
pub fn interpreter_fault(interpreter: &str) -> Option<&'static str> {
    let words: Vec<&str> = interpreter.split_ascii_whitespace().collect();
    let plain =
        |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./+=:@%,-".contains(&byte));
    match words.first() {
        None => Some("it is empty"),
        Some(program) if !program.starts_with('/') => Some("its program is not named by its whole path"),
        Some(_) if words.len() > limits::INTERPRETER_WORDS_MAX => Some("it has more than eight words"),
        Some(_) if !words.iter().all(plain) => Some("it has a character that a shell may take for its own"),
        Some(_) => None,
    }
}

/// True for an interpreter that reads its script as a POSIX shell does.
pub fn is_shell(interpreter: &str) -> bool {
    const SHELLS: [&str; 8] = ["sh", "ash", "dash", "bash", "ksh", "mksh", "zsh", "busybox"];
    interpreter.split_ascii_whitespace().any(|word| SHELLS.contains(&word.rsplit('/').next().unwrap_or(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_a_whole_path_and_plain_words() {
        for good in ["/bin/sh", "/usr/bin/python3 -u", "/usr/bin/env bash", "/bin/sh -e"] {
            assert_eq!(interpreter_fault(good), None, "{good}");
        }
        for bad in ["", "  ", "sh", "/bin/sh -c 'x'", "/bin/sh;reboot", "/bin/$X", "/a 1 2 3 4 5 6 7 8"] {
            assert!(interpreter_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn shells_are_told_from_other_interpreters() {
        for shell in ["/bin/sh", "/bin/busybox sh", "/usr/bin/env bash", "/usr/local/bin/dash"] {
            assert!(is_shell(shell), "{shell}");
        }
        for other in ["/usr/bin/python3", "/usr/bin/perl -w", "/bin/fish"] {
            assert!(!is_shell(other), "{other}");
        }
    }

    #[test]
    fn a_bundle_is_written_short_and_read_again() {
        let text = r#"{"name":"base","scripts":[{"name":"ntp","text":"true\n"}]}"#;
        let bundle: Bundle = serde_json::from_str(text).unwrap();
        assert_eq!((bundle.deliver, bundle.scripts[0].on_failure), (Delivery::Url, OnFailure::Stop));
        assert_eq!(bundle.scripts[0].interpreter, INTERPRETER_DEFAULT);
        let again: Bundle = serde_json::from_str(&serde_json::to_string(&bundle).unwrap()).unwrap();
        assert_eq!(again, bundle);
        assert!(serde_json::from_str::<Bundle>(r#"{"name":"a","scripts":[],"when":"x=y"}"#).is_err());
    }
}
