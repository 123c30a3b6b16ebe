//! Operator templates: kickstarts, preseeds, user-data and their like, rendered for one machine.
//!
//! Pure: text and values in, text out. What is deliberately absent: a loader (a template cannot name another one or a
//! file), a clock, randomness, the environment, a dump of what is known, and a way to switch escaping off by accident.
//!
//! ```text
//! compile ── text is small, parses, uses known filters and tests, and names only variables that can exist
//! check ──── everything that would stop a render for one host, one fault per missing variable, long before a boot
//! render ─── the text; the first thing that is missing is a fault, never an empty word in an answer file
//! ```
//!
//! Invariants, each with a test:
//! - A variable that is not there is a fault with its name, its line and the fix. Optional ones are written as such:
//!   `{% if params.vlan is defined %}`, `{{ params.domain | default('lab') }}`.
//! - In the kinds that are read line by line a value cannot add a line, whatever filters it passed.
//! - A value of a JSON or XML template stays inside its string or its text; a rendered JSON template is JSON.
//! - Steps, memory, depth, source and output are bounded, see [`limits`].
//! - The same input gives the same bytes.
//!
//! Source: minijinja 3.1, in the dialect Ansible users know (`trim_blocks`, strict variables).

mod escape;
mod event;
mod fault;
mod filters;
mod scan;
mod values;

pub use event::{EventTemplate, EventValues};
pub use fault::TemplateFault;
pub(crate) use scan::nearest;
pub use values::{BootValues, BundleValues, ImageValues, MachineValues, ServerValues, Values};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use std::collections::BTreeSet;
use std::io;
use types::resource::TemplateKind;

/// Every bound of a template, with its reason.
pub mod limits {
    /// Largest template. The longest kickstart seen in the field has 40 KiB.
    pub const TEMPLATE_BYTES_MAX: usize = 256 * 1024;
    /// Largest rendered text: loops may multiply a template, but an answer file is read by an installer's parser.
    pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
    /// Steps of one render, each an instruction or 64 bytes of text made: about 6 MiB in all. A template of a thousand
    /// lines takes about five thousand.
    pub const FUEL: u64 = 100_000;
    /// Nesting of one render; a macro counts several.
    pub const DEPTH_MAX: usize = 100;
    /// Missing variables told at once by [`check`](super::Compiled::check).
    pub const FAULTS_MAX: usize = 64;
}

use limits::{DEPTH_MAX, FAULTS_MAX, FUEL, OUTPUT_BYTES_MAX, TEMPLATE_BYTES_MAX};

/// The name minijinja knows the template by; its own name stands in [`Compiled`].
const ONLY: &str = "template";

/// A template that parses, ready to be rendered for many machines. Cheap to share between threads.
pub struct Compiled {
    name: String,
    kind: TemplateKind,
    text: String,
    needs: BTreeSet<String>,
    environment: Environment<'static>,
}

/// Compiles a template; `name` is used in faults only.
///
/// # Errors
/// When it is too large, does not parse, or names a filter, a test or a variable that cannot exist.
pub fn compile(name: &str, kind: TemplateKind, text: &str) -> Result<Compiled, TemplateFault> {
    compile_over(values::NAMES, name, kind, text)
}

/// Compiles a script of a bundle: as a template, but it cannot name what carries it.
pub(crate) fn compile_script(name: &str, kind: TemplateKind, text: &str) -> Result<Compiled, TemplateFault> {
    compile_over(values::SCRIPT_NAMES, name, kind, text)
}

/// Compiles a template that may name these variables.
fn compile_over(
    names: values::Names,
    name: &str,
    kind: TemplateKind,
    text: &str,
) -> Result<Compiled, TemplateFault> {
    if text.len() > TEMPLATE_BYTES_MAX {
        let message = format!("it has {} bytes, at most {TEMPLATE_BYTES_MAX} are read", text.len());
        return Err(
            TemplateFault::new(name, message).fix("split what is not for every host into its own template")
        );
    }
    let mut environment = Environment::empty();
    filters::install(&mut environment, kind);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH_MAX);
    // It names what is undefined. What else it gathers is dropped with the error, see `fault`.
    environment.set_debug(true);
    // Any escaping but none: captured text (macros, `set` blocks) is then marked as what went through `escape` already.
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("reveille".into()));
    environment.set_formatter(move |out, _, value| escape::write(out, kind, value));
    if let Ok(syntax) =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()
    {
        environment.set_syntax(syntax);
    }
    environment
        .add_template_owned(ONLY, text.to_owned())
        .map_err(|error| fault::of(name, text, &error, None))?;
    let needs = match environment.get_template(ONLY) {
        Ok(template) => template.undeclared_variables(true).into_iter().collect(),
        Err(error) => return Err(fault::of(name, text, &error, None)),
    };
    let scan = scan::scan(text);
    scan::check_words(name, text, &scan, kind)?;
    let needs = values::check_names(names, name, text, &scan, needs)?;
    Ok(Compiled { name: name.to_owned(), kind, text: text.to_owned(), needs, environment })
}

impl Compiled {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What reads it.
    pub fn kind(&self) -> TemplateKind {
        self.kind
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Every variable it may look up, as it is written (`params.ntp`, `machine.mac`), optional ones and those of
    /// branches not taken too. Which of them a host lacks tells [`check`](Compiled::check).
    pub fn needs(&self) -> &BTreeSet<String> {
        &self.needs
    }

    /// Renders it.
    ///
    /// # Errors
    /// The first thing that stops it: a missing variable, a value that cannot stand where it is put, a limit, or a
    /// result that is no JSON though it should be.
    pub fn render(&self, values: &Values) -> Result<String, TemplateFault> {
        self.render_assuming(values, &[])
    }

    /// Everything that would stop [`render`](Compiled::render) for these values: one fault per missing variable, in
    /// the order they are met. Empty means it renders.
    pub fn check(&self, values: &Values) -> Vec<TemplateFault> {
        let mut faults: Vec<TemplateFault> = Vec::new();
        let mut assumed: Vec<String> = Vec::new();
        while faults.len() < FAULTS_MAX {
            let Err(fault) = self.render_assuming(values, &assumed) else { break };
            match fault.variable.clone() {
                Some(variable) if !assumed.contains(&variable) => {
                    assumed.push(variable);
                    faults.push(fault);
                }
                // With stand-ins in place, what else goes wrong may be their fault.
                _ if !faults.is_empty() => break,
                _ => {
                    faults.push(fault);
                    break;
                }
            }
        }
        faults
    }

    fn render_assuming(&self, values: &Values, assumed: &[String]) -> Result<String, TemplateFault> {
        self.render_over(values.context(self.kind, assumed), Some(values))
    }

    fn render_over(&self, context: Value, values: Option<&Values>) -> Result<String, TemplateFault> {
        let told = |error: &minijinja::Error| fault::of(&self.name, &self.text, error, values);
        let template = self.environment.get_template(ONLY).map_err(|error| told(&error))?;
        let mut out = Bounded { bytes: Vec::new(), full: false };
        let rendered = template.render_captured_to(context, &mut out).map(drop);
        if out.full {
            let message = format!("the rendered text has more than {OUTPUT_BYTES_MAX} bytes");
            return Err(TemplateFault::new(&self.name, message).fix("look for a loop that repeats too much"));
        }
        rendered.map_err(|error| told(&error))?;
        let text = String::from_utf8(out.bytes)
            .map_err(|_| TemplateFault::new(&self.name, "the rendered text is not UTF-8"))?;
        escape::check_whole(&self.name, self.kind, &text)?;
        Ok(text)
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Takes text up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.full || self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
