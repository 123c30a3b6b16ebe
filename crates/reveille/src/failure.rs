//! How a command fails: code, what was attempted, cause, fix, exit code.

use serde_json::json;
use std::fmt;

/// Exit codes of every command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// It failed.
    Failed = 1,
    /// Usage, or a configuration that cannot be read.
    Usage = 2,
    /// A check found something.
    Found = 3,
    /// Permission.
    Permission = 4,
    /// No such thing.
    NotFound = 5,
    /// Stale revision, or owned elsewhere.
    Conflict = 6,
    /// It took too long.
    TimedOut = 7,
    /// The appliance does not answer.
    Unreachable = 8,
    /// Some of it was done, some not.
    Partly = 10,
    /// Ctrl-C.
    Interrupted = 130,
}

/// A failure in the form every command uses.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Stable code such as `R-NET-02`.
    pub(crate) code: String,
    /// What was attempted, on which thing.
    pub(crate) what: String,
    /// Why it failed.
    pub(crate) cause: Option<String>,
    /// What to do.
    pub(crate) fix: Option<String>,
    /// Process exit code.
    pub(crate) exit: Exit,
}

impl Failure {
    pub(crate) fn new(code: &str, what: impl Into<String>) -> Failure {
        Failure { code: code.to_owned(), what: what.into(), cause: None, fix: None, exit: Exit::Failed }
    }

    pub(crate) fn cause(mut self, cause: impl fmt::Display) -> Failure {
        self.cause = Some(cause.to_string());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Failure {
        self.fix = Some(fix.into());
        self
    }

    pub(crate) fn exit(mut self, exit: Exit) -> Failure {
        self.exit = exit;
        self
    }

    /// The machine form, for `-o json`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        json!({ "error": { "code": self.code, "what": self.what, "cause": self.cause, "fix": self.fix } })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}] {}", self.code, self.what)?;
        if let Some(cause) = &self.cause {
            write!(f, "\n  cause  {cause}")?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "\n  fix    {fix}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// The chain of causes of an error on one line. One that an error has in its own text already is not said twice.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let own = cause.to_string();
        if !text.ends_with(&own) {
            text.push_str(": ");
            text.push_str(&own);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::chain;
    use library::media::Refusal;
    use library::{ImportError, MediaError};

    #[test]
    fn a_cause_is_said_once() {
        let source = MediaError::new(Refusal::Unknown, "it is empty");
        let error = ImportError::Medium { path: "inbox:x.iso".into(), source };
        assert_eq!(chain(&error), "cannot import inbox:x.iso: it is empty");
        let source = std::io::Error::other("broken");
        let error = ImportError::Source { path: "/x".into(), source };
        assert_eq!(chain(&error), "cannot read /x: broken");
    }
}
