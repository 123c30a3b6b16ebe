//! Why an import failed: a reason for programs, a cause and a way out for people.

use crate::failure::chain;
use admin::Problem;
use fetch::FetchError;
use library::ImportError;
use std::fmt;

/// A failed import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// Stable reason code.
    pub(crate) reason: &'static str,
    /// Everything that is known of it, on one line.
    pub(crate) cause: String,
    /// What to do.
    fix: Option<String>,
    /// It may go better later without anybody doing something: a server that is down, a mirror that is behind.
    passes: bool,
}

impl Fault {
    pub(crate) fn new(reason: &'static str, cause: impl Into<String>) -> Fault {
        Fault { reason, cause: cause.into(), fix: None, passes: false }
    }

    pub(crate) fn fix(self, fix: impl Into<String>) -> Fault {
        Fault { fix: Some(fix.into()), ..self }
    }

    /// It may go better later without anybody doing something.
    pub(crate) fn passing(self) -> Fault {
        Fault { passes: true, ..self }
    }

    /// What to do, where that is known.
    pub(crate) fn way_out(&self) -> Option<&str> {
        self.fix.as_deref()
    }

    /// Whether another try may go better.
    pub(crate) fn passes(&self) -> bool {
        self.passes
    }

    /// As the API says it.
    pub(crate) fn problem(&self) -> Problem {
        let title =
            if self.reason == "cancelled" { "the import was cancelled" } else { "nothing was imported" };
        let problem = Problem::new(422, "R-IMG-03", "import-failed", title).with_cause(self.cause.clone());
        match &self.fix {
            Some(fix) => *problem.with_fix(fix.clone()),
            None => *problem,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl From<ImportError> for Fault {
    fn from(error: ImportError) -> Fault {
        let fault = Fault::new(error.reason(), chain(&error));
        match error {
            ImportError::PackageMissing { package, .. } => fault.fix(format!("apt-get install {package}")),
            _ => fault,
        }
    }
}

impl From<FetchError> for Fault {
    fn from(error: FetchError) -> Fault {
        let passes = !matches!(error, FetchError::Cancelled);
        let fault = Fault { passes, ..Fault::new(error.reason(), chain(&error)) };
        match error.fix() {
            Some(fix) => fault.fix(fix),
            None => fault,
        }
    }
}
