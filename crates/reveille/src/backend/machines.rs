//! Machines nobody recorded: those that wait, those that were seen, those that are to be ignored.

use super::{Daemon, internal};
use crate::failure::chain;
use admin::view::{IgnoredView, MachineView, timestamp};
use admin::{BackendError, ListPage};
use plan::Decider;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use store::records::{IGNORED, Ignored, ignored_key};
use store::{Batch, Table};
use types::selector::{Match, Subject};
use types::{Event, EventName, EventSink, Facts, Selector};

/// Prefixes that may be ignored; a decision looks at each.
const IGNORED_MAX: usize = 1_000;

pub(super) fn machines(
    daemon: &Daemon,
    selector: Option<&Selector>,
) -> Result<ListPage<MachineView>, BackendError> {
    let catalog = daemon.world.catalog();
    let ignored = daemon.inventory.ignored().map_err(internal)?;
    let none = BTreeMap::new();
    let mut items: Vec<MachineView> = Vec::new();
    for facts in daemon.world.machines() {
        let Some(mac) = facts.mac.filter(|_| catalog.identify(&facts).is_none()) else { continue };
        let asked = Facts { smbios: true, ..facts.clone() };
        let subject = Subject {
            facts: &asked,
            host: None,
            groups: &[],
            labels: &none,
            site: catalog.site(),
            may_tell: false,
        };
        if selector.is_some_and(|selector| selector.judge(&subject) != Match::Yes) {
            continue;
        }
        let claim = daemon.world.claim(mac);
        let text = |value: &Option<std::sync::Arc<str>>| value.as_deref().map(str::to_owned);
        items.push(MachineView {
            mac,
            uuid: facts.own_guid(),
            vendor: text(&facts.vendor),
            model: text(&facts.model),
            serial: text(&facts.serial),
            asset: text(&facts.asset),
            firmware: facts.firmware.map(|firmware| firmware.to_string()),
            address: facts.address.map(|address| address.to_string()),
            via: facts.relay.map(|relay| relay.to_string()).or_else(|| text(&facts.interface)),
            code: claim.as_ref().map(|(code, _)| code.to_string()),
            waited_secs: claim.map(|(_, waited)| waited.as_secs()),
            ignored: ignored.iter().any(|ignored| mac.0.starts_with(&ignored.octets)),
        });
    }
    items.sort_by(|one, other| (one.code.is_none(), one.mac).cmp(&(other.code.is_none(), other.mac)));
    Ok(ListPage { items, next: None, revision: daemon.revision() })
}

pub(super) fn ignored(daemon: &Daemon) -> Result<ListPage<IgnoredView>, BackendError> {
    let items = daemon.inventory.ignored().map_err(internal)?.into_iter().map(|ignored| IgnoredView {
        octets: shown(&ignored.octets),
        since: timestamp(ignored.since.saturating_mul(1000)),
        by: ignored.by,
    });
    Ok(ListPage { items: items.collect(), next: None, revision: daemon.revision() })
}

pub(super) fn ignore(daemon: &Daemon, octets: &[u8], by: &str, ignore: bool) -> Result<(), BackendError> {
    let _changing = daemon.inventory.change();
    let all = daemon.inventory.ignored().map_err(internal)?;
    let there = all.iter().any(|ignored| ignored.octets == octets);
    let name = shown(octets);
    let batch = match (ignore, there) {
        (true, true) => return Ok(()),
        (false, false) => return Err(BackendError::NotFound { what: "ignored machine", name }),
        (true, false) if all.len() >= IGNORED_MAX => {
            return Err(BackendError::Problem(
                admin::Problem::new(409, "R-MAC-01", "too-many", "too many machines are ignored one by one")
                    .with_fix("ignore their makers by the first three octets"),
            ));
        }
        (true, false) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let record = Ignored { octets: octets.to_vec(), since, by: by.to_owned() };
            let value = IGNORED.encode(&record).map_err(|error| BackendError::Internal(chain(&error)))?;
            Batch::new().put(Table::Facts, ignored_key(octets), value)
        }
        (false, true) => Batch::new().delete(Table::Facts, ignored_key(octets)),
    };
    daemon
        .store
        .commit_blocking(batch)
        .map_err(|error| super::not_committed(&error, "ignored machine", &name, None))?;
    daemon.replace_catalog()?;
    let event = Event::new(EventName::HostIgnored).with("octets", name).with("by", by.to_owned());
    daemon.world.record(event.with("ignored", ignore));
    Ok(())
}

fn shown(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}
