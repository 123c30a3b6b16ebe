//! Bundles: scripts rendered for one machine, and the script that runs them there.
//!
//! ```text
//! compile ── a script's text parses and names only what can exist
//! render ─── all scripts of a machine, in their order; the first thing that is missing is a fault
//! runner ─── one POSIX script that runs them and tells of each: it holds them, or names the folder they lie in
//! ```
//!
//! Invariants, each with a test:
//! - In a script for a shell a value is one plain word, or it passed `| quote`: it cannot end a word, a line or a quote.
//! - No line of a script can end what carries it: in the runner each begins with a colon, which `sed` takes away again.
//! - Nothing of a bundle stands unquoted in the runner: names are [`Name`]s, an interpreter's words are plain.
//!
//! The runner asks for nothing but what busybox has: `command`, `sed`, `tail`, `cat`, `rm`, and `curl` or `wget` to tell.
//! Without either it runs all the same and says so. Where there is `timeout`, in either of the two forms of its arguments
//! (busybox changed them in 1.30), a script that says so is stopped.
//!
//! Deliberately absent: who runs which bundle (`plan`), URLs with a secret (the caller's), files.

use crate::template::{self, Compiled, TemplateFault, Values};
use std::fmt;
use std::sync::Arc;
use types::resource::bundle::limits::{RENDERED_BYTES_MAX, SCRIPT_BYTES_MAX, SCRIPTS_OF_MACHINE_MAX};
use types::resource::bundle::{is_shell, limits};
use types::resource::{Bundle, Name, OnFailure, Script, TemplateKind};

/// What stands before the shell's own part of every runner.
const HEAD: &str = include_str!("bundle/runner.sh");

/// Words of the script's end that are sent along, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 1024;

/// A script as it runs on one machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// Its bundle.
    pub bundle: Name,
    /// Its name in it.
    pub name: Name,
    /// The text; ends with a line end unless it is empty.
    pub text: String,
    /// What runs it.
    pub interpreter: String,
    /// Seconds after which it is stopped; 0: never.
    pub timeout_secs: u32,
    /// What its failure means.
    pub on_failure: OnFailure,
}

/// What is wrong with a bundle, or with the values it was rendered with. Names variables, carries no value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BundleFault {
    /// A script cannot be rendered.
    Script {
        /// The bundle.
        bundle: Name,
        /// The script.
        script: Name,
        /// Why.
        fault: Box<TemplateFault>,
    },
    /// More than [`SCRIPTS_OF_MACHINE_MAX`] scripts for one machine.
    TooMany(usize),
    /// More than [`BUNDLES_MAX`](limits::BUNDLES_MAX) bundles for one machine.
    TooManyBundles(usize),
    /// More than [`RENDERED_BYTES_MAX`] bytes for one machine.
    TooLarge(usize),
}

impl fmt::Display for BundleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleFault::Script { bundle, script, fault } => {
                write!(f, "bundle `{bundle}`, script `{script}`")?;
                if fault.line > 0 {
                    write!(f, ", line {}", fault.line)?;
                }
                write!(f, ": {}", fault.message)
            }
            BundleFault::TooMany(count) => {
                write!(f, "its bundles have {count} scripts, at most {SCRIPTS_OF_MACHINE_MAX} are possible")
            }
            BundleFault::TooManyBundles(count) => {
                write!(f, "it has {count} bundles, at most {} are possible", limits::BUNDLES_MAX)
            }
            BundleFault::TooLarge(bytes) => {
                write!(f, "its bundles have {bytes} bytes, at most {RENDERED_BYTES_MAX} are possible")
            }
        }
    }
}

impl std::error::Error for BundleFault {}

impl BundleFault {
    /// What to do.
    pub fn fix(&self) -> Option<&str> {
        match self {
            BundleFault::Script { fault, .. } => fault.fix.as_deref(),
            BundleFault::TooMany(_) | BundleFault::TooManyBundles(_) => Some("give it fewer bundles"),
            BundleFault::TooLarge(_) => {
                Some("let a script fetch what is large, or look for a loop that repeats too much")
            }
        }
    }
}

/// How the values of a script are escaped: a shell's by its own rules, others are taken as they are.
pub fn kind_of(script: &Script) -> TemplateKind {
    match is_shell(&script.interpreter) {
        true => TemplateKind::Shell,
        false => TemplateKind::Text,
    }
}

/// Compiles a script of a bundle.
///
/// # Errors
/// When it is too large, does not parse, or names what cannot exist.
pub fn compile(bundle: &Name, script: &Script) -> Result<Compiled, BundleFault> {
    let own = |fault| BundleFault::Script {
        bundle: bundle.clone(),
        script: script.name.clone(),
        fault: Box::new(fault),
    };
    let name = format!("{bundle}/{}", script.name);
    if script.text.len() > SCRIPT_BYTES_MAX {
        let message = format!("it has {} bytes, at most {SCRIPT_BYTES_MAX} are read", script.text.len());
        return Err(own(TemplateFault::of_whole(&name, message, "let it fetch what is large")));
    }
    if script.text.contains('\0') {
        return Err(own(TemplateFault::of_whole(
            &name,
            "it has a NUL in it".to_owned(),
            "name a file of text",
        )));
    }
    template::compile_script(&name, kind_of(script), &script.text).map_err(own)
}

/// Renders the scripts of a machine, in their order.
///
/// # Errors
/// The first thing that stops it: what a template would meet, or a limit.
pub fn render<'a>(
    bundles: impl IntoIterator<Item = &'a Arc<Bundle>>,
    values: &Values,
) -> Result<Vec<Rendered>, BundleFault> {
    let bundles: Vec<&Arc<Bundle>> = bundles.into_iter().collect();
    if bundles.len() > limits::BUNDLES_MAX {
        return Err(BundleFault::TooManyBundles(bundles.len()));
    }
    let count = bundles.iter().map(|bundle| bundle.scripts.len()).sum();
    if count > SCRIPTS_OF_MACHINE_MAX {
        return Err(BundleFault::TooMany(count));
    }
    let mut rendered = Vec::with_capacity(count);
    let mut bytes = 0usize;
    for bundle in bundles {
        for script in &bundle.scripts {
            let text = compile(&bundle.name, script)?.render(values);
            let mut text = text.map_err(|fault| BundleFault::Script {
                bundle: bundle.name.clone(),
                script: script.name.clone(),
                fault: Box::new(fault),
            })?;
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            bytes = bytes.saturating_add(text.len());
            rendered.push(Rendered {
                bundle: bundle.name.clone(),
                name: script.name.clone(),
                text,
                interpreter: script.interpreter.clone(),
                timeout_secs: script.timeout_secs.unwrap_or(0),
                on_failure: script.on_failure,
            });
        }
    }
    if bytes > RENDERED_BYTES_MAX {
        return Err(BundleFault::TooLarge(bytes));
    }
    Ok(rendered)
}

/// Where the runner finds the scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place<'a> {
    /// In itself.
    Inside,
    /// In this folder, each at its [`place_of`].
    Folder(&'a str),
}

/// What a script is called in a folder: `<nnn>-<script>`, `nnn` its place among all scripts of the machine, from 1.
pub fn place_of(at: usize, script: &Rendered) -> String {
    format!("{:03}-{}", at + 1, script.name)
}

/// The script that runs the scripts: POSIX, for busybox's shell as well. `url`: base of where it tells of them, behind which
/// come bundle, script and what became of it.
pub fn runner(url: &str, scripts: &[Rendered], place: Place<'_>) -> String {
    let mut text = format!("#!/bin/sh\nr_url={}\n{HEAD}", quoted(url));
    for (at, script) in scripts.iter().enumerate() {
        let file = match place {
            Place::Inside => {
                text.push_str("sed 's/^://' >\"$r_dir/run\" <<'.'\n");
                for line in script.text.split_inclusive('\n') {
                    text.push(':');
                    text.push_str(line);
                }
                text.push_str(".\n");
                "\"$r_dir/run\"".to_owned()
            }
            Place::Folder(folder) => quoted(&format!("{folder}/{}", place_of(at, script))),
        };
        let words: Vec<String> = script.interpreter.split_ascii_whitespace().map(quoted).collect();
        let (bundle, name) = (quoted(script.bundle.as_str()), quoted(script.name.as_str()));
        let (secs, then) = (script.timeout_secs, script.on_failure.as_str());
        text.push_str(&format!("r_run {bundle} {name} {file} {secs} {then} {}\n", words.join(" ")));
    }
    text.push_str("exit 0\n");
    text
}

/// The runner as it can stand inside another script: it ends itself and not that one.
pub fn inline(url: &str, scripts: &[Rendered]) -> String {
    let runner = runner(url, scripts, Place::Inside);
    let body = runner.strip_prefix("#!/bin/sh\n").unwrap_or(&runner);
    format!("(\n{body})\n")
}

/// One line for a shell that fetches a runner and runs it; its status is the runner's. It has no quotes, so that it can stand
/// in YAML, in a preseed and between the quotes of another shell.
pub fn run_line(url: &str) -> String {
    format!(
        "( f=$(mktemp) && if command -v curl >/dev/null; then curl -fsS -m 60 -o $f {url}; else wget -q -T 60 -O $f {url}; fi \
         && sh $f; s=$?; rm -f $f; exit $s )"
    )
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
