//! Why an action did not come about. Every text names the thing and the cause; [`RedfishError::fix`] says what to do.

use super::link::LinkError;
use super::reset::ResetType;
use super::system::PowerState;
use crate::limits::{PAGES_MAX, QUESTIONS_MAX, REDIRECTS_MAX, SYSTEMS_MAX};
use fetch::{FetchError, LocationError};
use std::time::Duration;

/// Why an action did not come about. No text has a password or a token.
#[derive(Debug, thiserror::Error)]
pub enum RedfishError {
    /// The configured address is none.
    #[error("the controller's address cannot be used")]
    Address(#[source] LocationError),
    /// No answer, however often.
    #[error("{url} does not answer, in {tries} tries")]
    Unanswered {
        /// What was asked.
        url: String,
        /// How often.
        tries: u32,
        /// What the last try gave.
        source: FetchError,
    },
    /// User name or password are wrong. Tried once.
    #[error("{url} does not know user `{user}`, or the password is wrong")]
    Credentials {
        /// What was asked.
        url: String,
        /// Who asked.
        user: String,
    },
    /// The account may not do that.
    #[error("user `{user}` may not {what} {url}{}", said(.message.as_deref()))]
    Forbidden {
        /// Who asked.
        user: String,
        /// Ask for, change, post to.
        what: &'static str,
        /// What was asked.
        url: String,
        /// What the service said.
        message: Option<String>,
    },
    /// The service said no.
    #[error("{url} refuses with status {status}{}", said(.message.as_deref()))]
    Refused {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// What it said of it.
        message: Option<String>,
    },
    /// The answer is none.
    #[error("the answer of {url} {flaw}")]
    Malformed {
        /// What was asked.
        url: String,
        /// What is wrong: `is no JSON`.
        flaw: &'static str,
    },
    /// A link that is not followed.
    #[error("a link of {url} ({name}) is not followed: it {source}")]
    Link {
        /// Whose.
        url: String,
        /// Which.
        name: &'static str,
        /// Why not.
        source: LinkError,
    },
    /// Round and round.
    #[error("{0} redirects more than {REDIRECTS_MAX} times")]
    Redirects(String),
    /// A collection without end.
    #[error("{0} has more than {SYSTEMS_MAX} systems, or more than {PAGES_MAX} pages of them")]
    TooMany(String),
    /// Nothing behind the service.
    #[error("there is no system behind {0}")]
    NoSystem(String),
    /// Several, and nobody says which.
    #[error("several systems stand behind {url}, and nothing says which is meant; there are {found}")]
    Which {
        /// The service.
        url: String,
        /// Those there are.
        found: String,
    },
    /// None is called so.
    #[error("no system behind {url} is `{wanted}`; there are {found}")]
    NotThere {
        /// The service.
        url: String,
        /// What was asked for.
        wanted: String,
        /// Those there are.
        found: String,
    },
    /// Somebody else's controller.
    #[error("{url} is the controller of another machine: it has {found}, the host {own}")]
    OtherMachine {
        /// The service.
        url: String,
        /// What it says.
        found: String,
        /// What the host record says.
        own: String,
    },
    /// It has no such action.
    #[error("{0} offers no reset")]
    NoReset(String),
    /// None of the kinds that would do.
    #[error("{url} offers none of {wanted}, which that takes; it offers {offered}", wanted = names(.wanted))]
    NoKind {
        /// The system.
        url: String,
        /// Any of these would do.
        wanted: Vec<ResetType>,
        /// What it has.
        offered: String,
    },
    /// The firmware cannot start from there.
    #[error("{url} does not offer `{wanted}` as the next boot; it offers {offered}")]
    NoTarget {
        /// The system.
        url: String,
        /// What was asked for.
        wanted: &'static str,
        /// What it has.
        offered: String,
    },
    /// It did not get there.
    #[error("the machine is {state} and not {wanted} {} s after {after}", waited.as_secs(), state = state.as_str(), wanted = wanted.as_str())]
    Stuck {
        /// Where it is.
        state: PowerState,
        /// Where it should be.
        wanted: PowerState,
        /// After what was sent.
        after: String,
        /// How long we looked.
        waited: Duration,
    },
    /// A reset that may have been heard, and must not be sent twice.
    #[error("whether {url} has heard `{}` is not known: the connection broke after it was sent", kind.as_str())]
    Uncertain {
        /// What was posted to.
        url: String,
        /// Which.
        kind: ResetType,
        /// How it broke.
        source: FetchError,
    },
    /// The last bound.
    #[error("{0} needs more than {QUESTIONS_MAX} questions")]
    TooLong(String),
    /// The caller wanted no more.
    #[error("cancelled")]
    Cancelled,
}

fn said(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| format!(": {message}"))
}

fn names(kinds: &[ResetType]) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

impl RedfishError {
    /// The stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            RedfishError::Address(_) => "address_wrong",
            RedfishError::Unanswered { source, .. } => match source {
                FetchError::Tls { .. } | FetchError::NoRoots => "bmc_not_trusted",
                FetchError::Resolve { .. } => "bmc_unknown",
                _ => "bmc_unreachable",
            },
            RedfishError::Credentials { .. } => "credentials_wrong",
            RedfishError::Forbidden { .. } => "not_allowed",
            RedfishError::Refused { .. } => "bmc_refused",
            RedfishError::Malformed { .. } => "bmc_malformed",
            RedfishError::Link { .. } | RedfishError::Redirects(_) => "link_refused",
            RedfishError::TooMany(_) | RedfishError::TooLong(_) => "too_many",
            RedfishError::NoSystem(_) | RedfishError::NotThere { .. } => "system_unknown",
            RedfishError::Which { .. } => "system_ambiguous",
            RedfishError::OtherMachine { .. } => "other_machine",
            RedfishError::NoReset(_) | RedfishError::NoKind { .. } | RedfishError::NoTarget { .. } => {
                "not_offered"
            }
            RedfishError::Stuck { .. } => "power_unchanged",
            RedfishError::Uncertain { .. } => "power_uncertain",
            RedfishError::Cancelled => "cancelled",
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        let fix = match self {
            RedfishError::Address(_) => "write https:// and the controller's host into `power.redfish.url`",
            RedfishError::Unanswered { source, .. } => match source {
                FetchError::Tls { .. } => {
                    "compare the certificate's fingerprint with the controller's own page and pin it (`power.redfish.trust: \
                     {sha256: …}`), or name its CA (`{ca_file: PATH}`); a controller that knows no TLS 1.2 with ECDHE needs new firmware"
                }
                FetchError::NoRoots => {
                    "apt-get install ca-certificates, or set `power.redfish.trust: {sha256: …}`"
                }
                FetchError::Resolve { .. } => "check the host in `power.redfish.url` and this machine's DNS",
                FetchError::TooLarge { .. } => "check that a Redfish service answers at `power.redfish.url`",
                _ => {
                    "check that the appliance reaches the controller's network and that Redfish is switched on there; a controller \
                     that hangs is reset on its own page"
                }
            },
            RedfishError::Credentials { .. } => {
                "correct `power.redfish.user` or the file of its password; too many wrong ones lock the account"
            }
            RedfishError::Forbidden { .. } => {
                "give the account the role Operator, which may switch power and set the next boot"
            }
            RedfishError::Refused { status: 404, .. } => {
                "check that a Redfish service answers at `power.redfish.url`"
            }
            RedfishError::Refused { .. } => "do what the controller says; its own log may have more",
            RedfishError::Malformed { .. } => {
                "check that a Redfish service answers at `power.redfish.url`, and update the controller's firmware"
            }
            RedfishError::Link { .. } | RedfishError::Redirects(_) => {
                "write the address that the controller calls itself into `power.redfish.url`; a link to anywhere else is not followed"
            }
            RedfishError::TooMany(_) => "name the one machine's own controller in `power.redfish.url`",
            RedfishError::NoSystem(_) => {
                "check that the address is that of a machine's controller, and that the account may read Systems"
            }
            RedfishError::Which { .. } | RedfishError::NotThere { .. } => {
                "give `power.redfish.system` one of these ids, or the host its UUID or serial number"
            }
            RedfishError::OtherMachine { .. } => {
                "correct `power.redfish.url`, or UUID and serial number of the host; nothing was switched"
            }
            RedfishError::NoReset(_) => {
                "give the account the role Operator, and update the controller's firmware"
            }
            RedfishError::NoKind { .. } => "choose another action: on, off or cycle",
            RedfishError::NoTarget { .. } => "choose another target, or set the boot order in the firmware",
            RedfishError::Stuck { wanted: PowerState::Off, .. } => {
                "look at the machine's console; turn it off without grace"
            }
            RedfishError::Stuck { .. } => "look at the machine's console and the controller's log",
            RedfishError::Uncertain { .. } => "look at the machine, then ask again: reveille host power HOST",
            RedfishError::TooLong(_) => "update the controller's firmware",
            RedfishError::Cancelled => "ask again; what was sent by then is in the report",
        };
        fix.to_owned()
    }
}
