//! The first step of a decision: which host the machine is.

use super::LeaveAloneReason;
use crate::identity::{Identity, Match};
use crate::{Catalog, TraceLine};
use std::sync::Arc;
use types::Facts;
use types::resource::Name;

/// Which host a machine is, and whether what erases disks may depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: Option<usize>,
    pub(super) firm: bool,
}

pub(super) fn identify(
    catalog: &Catalog,
    facts: &Facts,
    trace: &mut Vec<TraceLine>,
) -> Result<Place, LeaveAloneReason> {
    if let Some(guid) = facts.guid.filter(|_| facts.own_guid().is_none()) {
        trace.push(match guid.is_nobodys() {
            true => TraceLine::GuidIsNobodys(guid),
            false => TraceLine::GuidIsDoubted(guid),
        });
    }
    match catalog.fixed.identities.identify(&catalog.fixed.hosts, facts) {
        Identity::Unknown => {
            trace.push(TraceLine::Unknown);
            Ok(Place { at: None, firm: false })
        }
        Identity::Other(Match { at, evidence, changes, .. }) => {
            let host = catalog.fixed.hosts.get(at);
            trace.extend(host.map(|host| TraceLine::Other(host.clone(), evidence, changes)));
            Ok(Place { at: None, firm: false })
        }
        Identity::Known(Match { at, evidence, changes, score }) => {
            let firm = score.is_firm();
            if let Some(host) = catalog.fixed.hosts.get(at) {
                trace.push(TraceLine::Known(host.clone(), evidence));
                if !changes.is_empty() {
                    trace.push(TraceLine::Changed { host: host.clone(), changes, firm });
                }
            }
            Ok(Place { at: Some(at), firm })
        }
        Identity::Conflict(claims) => {
            let claims = claims
                .into_iter()
                .filter_map(|(at, term)| Some((catalog.fixed.hosts.get(at)?.clone(), term)));
            trace.push(TraceLine::Conflict(claims.collect()));
            Err(LeaveAloneReason::IdentityConflict)
        }
    }
}

/// Why a host whose identity changed is given nothing that erases disks.
pub(super) fn unsure(host: &Name) -> Arc<str> {
    format!("too much of its identity changed; look at it, then: reveille host accept-change {host}").into()
}
