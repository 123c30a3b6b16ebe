//! Why the power of a machine was not switched.

use crate::redfish::RedfishError;
use crate::secret::SecretError;
use crate::spec::SpecFault;
use crate::wake::WakeError;
use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why the power of a machine was not switched. No text has a password or a token.
#[derive(Debug, thiserror::Error)]
pub enum PowerError {
    /// The host has no power section.
    #[error("host `{0}` does not say how its power is switched")]
    NoSpec(String),
    /// It has one that cannot be used.
    #[error("`power{}` of host `{host}`: {}", dotted(.fault.at), .fault.fault)]
    Spec {
        /// Whose.
        host: String,
        /// What is wrong.
        fault: SpecFault,
    },
    /// Wake-on-LAN cannot do that.
    #[error("host `{host}` has Wake-on-LAN only, which turns on and nothing else: not `{wanted}`")]
    WakesOnly {
        /// Whose.
        host: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// Somebody would wait too long.
    #[error("{0} s are longer than a shutdown is waited for")]
    Grace(u64),
    /// No password.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The CA file cannot be used.
    #[error("no certificates from the file {}", path.display())]
    CaFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A password that the protocol cannot carry.
    #[error("user name or password for {0} cannot be sent in a header")]
    Unsendable(String),
    /// There is nobody to trust.
    #[error("no connection to {url} can be trusted")]
    NoTrust {
        /// The controller.
        url: String,
        /// Why.
        source: fetch::FetchError,
    },
    /// No packet left.
    #[error(transparent)]
    Wake(#[from] WakeError),
    /// The controller.
    #[error(transparent)]
    Redfish(#[from] RedfishError),
}

fn dotted(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!(".{at}") }
}

impl PowerError {
    /// The stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            PowerError::NoSpec(_) => "power_unset",
            PowerError::Spec { .. } => "power_malformed",
            PowerError::WakesOnly { .. } => "wakes_only",
            PowerError::Grace(_) => "grace_too_long",
            PowerError::Secret(_) | PowerError::Unsendable(_) => "secret_unreadable",
            PowerError::CaFile { .. } | PowerError::NoTrust { .. } => "bmc_not_trusted",
            PowerError::Wake(error) => error.reason(),
            PowerError::Redfish(error) => error.reason(),
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            PowerError::NoSpec(_) => "give the host `power: {redfish: …}` or `power: {wol: {}}`".to_owned(),
            PowerError::Spec { fault, .. } => fault.fix.to_owned(),
            PowerError::WakesOnly { .. } => {
                "give the host `power.redfish`, or do it at the machine".to_owned()
            }
            PowerError::Grace(_) => {
                format!("give {} s or fewer", crate::limits::GRACE_MAX.as_secs())
            }
            PowerError::Secret(error) => error.fix(),
            PowerError::CaFile { .. } => {
                "name a PEM file with `-----BEGIN CERTIFICATE-----` that the appliance may read".to_owned()
            }
            PowerError::Unsendable(_) => {
                "a user name has no colon, and neither has control characters: change it on the controller"
                    .to_owned()
            }
            PowerError::NoTrust { .. } => {
                "apt-get install ca-certificates, or set `power.redfish.trust: {sha256: …}`".to_owned()
            }
            PowerError::Wake(error) => error.fix(),
            PowerError::Redfish(error) => error.fix(),
        }
    }
}

/// An error and its causes in one line: `a: b: c`.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
