//! Redfish as far as power needs it: which question comes next, what an answer means, which kind of reset to ask for. Pure: no
//! socket, no clock, no secret. `drive` has those.
//!
//! ```text
//!            ┌────────── a session, unless `basic` ──────────┐
//! Root ──► Login ──► Systems ──► Search ──► (ActionInfo) ──► plan ──► Patch ──► Read ──► Reset ──► Look … ──► Logout ──► end
//!  GET      POST      GET pages   GET each    GET                     PATCH     GET      POST      GET         DELETE
//! ```
//!
//! Sources: DMTF DSP0266 (Redfish specification) 1.x (requests, responses, data model, security); DSP0268 `ComputerSystem`,
//! `ServiceRoot`, `ActionInfo`, `SessionService`. What a named controller needs beside them is marked as a quirk and stands in
//! `docs/quirks.md`.
//!
//! Invariants: a link is followed within the origin of the configured address only. Nothing that switches power and
//! may have been heard is sent again without a look at the machine in between, and a restart not even then. A wrong password is tried once. Every loop has a bound from
//! [`crate::limits`].

mod answer;
mod boot;
mod conversation;
mod error;
mod link;
mod reset;
mod system;

pub use answer::{Answer, Unanswered};
pub use boot::{BootMode, BootTarget, NextBoot};
pub use conversation::{Body, Conversation, Did, Method, Plan, Planned, Question, Report, Step};
pub use error::RedfishError;
pub use link::{LinkError, follow, service_root};
pub use reset::{Action, ResetType, Stage, program};
pub use system::{Boot, PowerState, Reset, System};

use types::MachineGuid;

/// Whom we mean: what a host record says of the machine, to compare with what the service says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// SMBIOS GUID, in either byte order.
    pub uuid: Option<MachineGuid>,
    /// SMBIOS serial number.
    pub serial: Option<String>,
}

/// Whether a system is the machine meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sameness {
    /// UUID or serial number say so.
    Same,
    /// Nothing that both sides know is the same.
    Other,
    /// Nothing is known to both.
    Unknown,
}

impl Identity {
    /// Compares with what a service says.
    pub fn compare(&self, system: &System) -> Sameness {
        let own = self.uuid.filter(|uuid| !uuid.is_nobodys());
        let said = system.guid().filter(|uuid| !uuid.is_nobodys());
        let by_uuid = own.zip(said).map(|(own, said)| own == said || own.swapped() == said);
        let serial = |text: &Option<String>| {
            text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_ascii_lowercase)
        };
        let by_serial = serial(&self.serial).zip(serial(&system.serial)).map(|(own, said)| own == said);
        match (by_uuid, by_serial) {
            (Some(true), _) | (_, Some(true)) => Sameness::Same,
            (None, None) => Sameness::Unknown,
            _ => Sameness::Other,
        }
    }
}

#[cfg(test)]
mod tests;
