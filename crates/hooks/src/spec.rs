//! What a hook is, ready to be used.

use crate::payload::Payload;
use fetch::{Location, LocationError};
use power::spec::{SecretRef, TrustSpec};
use render::template::TemplateFault;
use std::path::PathBuf;
use std::time::Duration;
use types::resource::TemplateKind;
use types::{EventName, EventPattern};

/// One hook.
#[derive(Debug)]
pub struct Hook {
    pub(crate) name: String,
    pub(crate) events: Vec<EventPattern>,
    pub(crate) target: Target,
    pub(crate) payload: Payload,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
}

/// Who is told.
#[derive(Clone, Debug)]
pub enum Target {
    /// An address, by POST.
    Web {
        /// Where.
        at: Location,
        /// Key of the signature; read anew for every try.
        secret: Option<SecretRef>,
        /// Whom to trust over https.
        trust: TrustSpec,
    },
    /// A program, with the arguments of the hook.
    Command {
        /// Its whole path.
        program: PathBuf,
    },
}

/// Why a hook cannot be.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Its address is none.
    #[error("hook `{hook}` has no address that can be sent to")]
    Address {
        /// Name of the hook.
        hook: String,
        /// What is wrong.
        source: LocationError,
    },
    /// A template does not compile.
    #[error("a template of hook `{hook}` cannot be used")]
    Template {
        /// Name of the hook.
        hook: String,
        /// What is wrong.
        source: Box<TemplateFault>,
    },
}

impl Hook {
    /// A hook that is told of these events with the event as JSON, by no more than one try of ten seconds.
    pub fn new(name: impl Into<String>, events: Vec<EventPattern>, target: Target) -> Hook {
        Hook {
            name: name.into(),
            events,
            target,
            payload: Payload::default(),
            timeout: Duration::from_secs(10),
            retries: 0,
        }
    }

    /// With a webhook's address.
    ///
    /// # Errors
    /// [`HookError::Address`] when it is none.
    pub fn location(name: &str, url: &str) -> Result<Location, HookError> {
        url.parse().map_err(|source| HookError::Address { hook: name.to_owned(), source })
    }

    /// With a template of its body.
    ///
    /// # Errors
    /// [`HookError::Template`] when it does not compile.
    pub fn body(mut self, kind: TemplateKind, text: &str) -> Result<Hook, HookError> {
        self.payload
            .set_body(&self.name, kind, text)
            .map_err(|source| HookError::Template { hook: self.name.clone(), source: Box::new(source) })?;
        Ok(self)
    }

    /// With templates of its arguments.
    ///
    /// # Errors
    /// [`HookError::Template`] when one does not compile.
    pub fn arguments(mut self, texts: &[String]) -> Result<Hook, HookError> {
        self.payload
            .set_arguments(&self.name, texts)
            .map_err(|source| HookError::Template { hook: self.name.clone(), source: Box::new(source) })?;
        Ok(self)
    }

    /// With a bound of each try.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Hook {
        Hook { timeout, ..self }
    }

    /// With so many tries after the first.
    #[must_use]
    pub fn retries(self, retries: u32) -> Hook {
        Hook { retries, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is told of events of this name.
    pub fn wants(&self, name: EventName) -> bool {
        self.events.iter().any(|pattern| pattern.takes(name))
    }
}
