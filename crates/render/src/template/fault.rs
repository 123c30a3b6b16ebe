//! What is wrong with a template, told so that its author can mend it.

use super::Values;
use super::scan::place;
use minijinja::value::Value;
use minijinja::{Error, ErrorKind};
use std::fmt;

/// What is wrong with a template, or with the values it was rendered with.
///
/// Its words may name variables but never carry their values: it may be shown where secrets may not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateFault {
    /// Name of the template.
    pub template: String,
    /// Line from 1; 0 when the whole is at fault.
    pub line: u32,
    /// Column from 1, in characters, when it is known.
    pub column: Option<u32>,
    /// True when line and column count in the rendered text and not in the template.
    pub rendered: bool,
    /// The variable that is missing, as it is written in the template.
    pub variable: Option<String>,
    /// What is wrong, without its place.
    pub message: String,
    /// What to do.
    pub fix: Option<String>,
}

impl TemplateFault {
    pub(super) fn new(template: &str, message: impl Into<String>) -> TemplateFault {
        TemplateFault {
            template: template.to_owned(),
            line: 0,
            column: None,
            rendered: false,
            variable: None,
            message: message.into(),
            fix: None,
        }
    }

    /// One that is of the whole text.
    pub(crate) fn of_whole(template: &str, message: impl Into<String>, fix: &str) -> TemplateFault {
        TemplateFault::new(template, message).fix(fix)
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> TemplateFault {
        self.fix = Some(fix.into());
        self
    }

    pub(super) fn at(mut self, line: u32, column: Option<u32>) -> TemplateFault {
        self.line = line;
        self.column = column;
        self
    }
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template `{}`", self.template)?;
        match (self.line, self.rendered) {
            (0, _) => {}
            (line, false) => write!(f, ", line {line}")?,
            (line, true) => write!(f, ", line {line} of the rendered text")?,
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for TemplateFault {}

/// Our own refusals travel through minijinja as the detail of an error; this mark tells them from its own.
pub(super) const REFUSED: &str = "refused: ";
/// Between the message and the fix of a refusal.
pub(super) const FIX: &str = "\u{1f}";

/// What minijinja says of a `{#` without its end.
const OPEN_COMMENT: &str = "end of comment";

/// A refusal of a value, to be raised inside a render.
pub(super) fn refusal(message: impl fmt::Display, fix: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{REFUSED}{message}{FIX}{fix}"))
}

/// Refuses an undefined value, by the error in which minijinja names it.
pub(super) fn there(value: &Value) -> Result<(), Error> {
    match value.is_undefined() {
        true => value.get_attr("it").map(drop),
        false => Ok(()),
    }
}

/// Tells an error of minijinja in our words. `values` are those it was rendered with.
pub(super) fn of(template: &str, text: &str, error: &Error, values: Option<&Values>) -> TemplateFault {
    let (line, column) = match error.range() {
        Some(range) => place(text, range.start),
        None => (error.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(0), None),
    };
    let detail = error.detail().unwrap_or("");
    if detail.contains(OPEN_COMMENT) {
        // minijinja tells the end of the file.
        let closed = text.rfind("#}").map_or(0, |close| close + 2);
        let open = text.get(closed..).and_then(|rest| rest.find("{#")).map_or(closed, |open| closed + open);
        let (line, column) = place(text, open);
        return TemplateFault::new(template, "a comment is not closed")
            .fix("`{#` starts a comment; shell's `${#name}` goes inside {% raw %} … {% endraw %}")
            .at(line, column);
    }
    if let Some((message, fix)) = detail.strip_prefix(REFUSED).and_then(|refused| refused.split_once(FIX)) {
        // A refused value of a filter is told with what is undefined behind it, if anything.
        return TemplateFault::new(template, message).fix(fix).at(line, column);
    }
    if let Some(variable) = undefined(detail) {
        return missing(template, &variable, values).at(line, column);
    }
    let (message, fix) = words(error.kind(), detail);
    let fault = TemplateFault::new(template, message).at(line, column);
    match fix {
        Some(fix) => fault.fix(fix),
        None => fault,
    }
}

/// `params.x` out of "`params.x` is undefined", with its subscripts written as attributes where they can be.
fn undefined(detail: &str) -> Option<String> {
    let (before, _) = detail.split_once("` is undefined")?;
    let name = before.rsplit_once('`')?.1;
    let mut plain = name.to_owned();
    for quoted in ["[\"", "['"] {
        plain = plain.replace(quoted, ".");
    }
    for quoted in ["\"]", "']"] {
        plain = plain.replace(quoted, "");
    }
    Some(plain)
}

/// A variable is not there.
fn missing(template: &str, variable: &str, values: Option<&Values>) -> TemplateFault {
    let host = values.and_then(|values| values.host.as_deref());
    let param = variable.strip_prefix("host.").unwrap_or(variable).strip_prefix("params.");
    let root = variable.split('.').next().unwrap_or("");
    let optional = format!("{{% if {variable} is defined %}}");
    let (message, fix) = match (param, root) {
        (Some(param), _) => {
            let shown = if is_word(param) { variable.to_owned() } else { format!("params[\"{param}\"]") };
            let (who, set) = match host {
                Some(host) => {
                    (format!("host `{host}` lacks it"), format!("set params.{param} on host `{host}`"))
                }
                None => ("no value is given".to_owned(), format!("set params.{param} on the host")),
            };
            (
                format!("`{shown}` is missing: {who}"),
                format!("{set}, or write {{{{ {shown} | default('…') }}}}"),
            )
        }
        (None, "host") => (
            format!("`{variable}` is missing: the machine is no recorded host"),
            format!("record the host, or put it in {optional}"),
        ),
        (None, "machine") => (
            format!("`{variable}` is missing: the machine did not say it"),
            format!("boot it through iPXE, which tells it, or put it in {optional}"),
        ),
        (None, "image") => (
            format!("`{variable}` is missing: the image does not say it"),
            format!("set it on the image, or put it in {optional}"),
        ),
        (None, "callback" | "boot" | "url") => (
            format!("`{variable}` is missing: there is no boot to report to"),
            format!("put it in {optional}"),
        ),
        (None, "event" | "site") => (
            format!("`{variable}` is missing: this event does not say it"),
            format!("write {{{{ {variable} | default('…') }}}}, or put it in {optional}"),
        ),
        _ => (format!("`{variable}` is undefined"), format!("set it before, or put it in {optional}")),
    };
    TemplateFault { variable: Some(variable.to_owned()), ..TemplateFault::new(template, message) }.fix(fix)
}

/// True for what can be written behind a dot.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// minijinja's own errors. Details of errors that could carry a value are left out.
fn words(kind: ErrorKind, detail: &str) -> (String, Option<String>) {
    let own = |fix: &str| (detail.to_owned(), Some(fix.to_owned()));
    match kind {
        ErrorKind::SyntaxError
            if ["include", "import", "extends", "from", "block"]
                .iter()
                .any(|word| detail == format!("unknown statement {word}")) =>
        {
            own("a template stands alone: write the text here, or render two templates")
        }
        ErrorKind::SyntaxError
            if detail.contains("expected end of block") && detail.contains("end of input") =>
        {
            own("close what is open: {% endif %}, {% endfor %}, {% endmacro %}")
        }
        ErrorKind::SyntaxError => (
            detail.to_owned(),
            Some("text with {{, {% or {# in it goes inside {% raw %} … {% endraw %}".to_owned()),
        ),
        ErrorKind::OutOfFuel => (
            format!("it takes more than {} steps", super::limits::FUEL),
            Some("look for a loop that repeats too much".to_owned()),
        ),
        ErrorKind::UnknownMethod => (
            detail.to_owned(),
            Some("values have no methods here; use a filter: {{ params.dns | split(',') }}".to_owned()),
        ),
        ErrorKind::InvalidOperation if detail.contains("recursion limit") => {
            (format!("it is nested deeper than {}", super::limits::DEPTH_MAX), None)
        }
        ErrorKind::InvalidOperation if detail.contains("unsupported types") => {
            (detail.to_owned(), Some("a name with a hyphen is written params[\"ntp-server\"]".to_owned()))
        }
        ErrorKind::InvalidOperation | ErrorKind::BadSerialization | ErrorKind::NonPrimitive => {
            ("the expression cannot be worked out with these values".to_owned(), None)
        }
        _ if detail.is_empty() => (kind.to_string(), None),
        _ => (detail.to_owned(), None),
    }
}
