//! Timelines of boots, and how boots stand, as the API shows them.

use super::{Daemon, explain, policy, simulate};
use crate::world::{Glance, Told};
use admin::view::{
    EventView, MoreView, Simulation, SimulationRequest, StepView, TraceView, UsualView, WatchRow, timestamp,
};
use admin::{BackendError, HostRef, ListPage, Traces, Watched, forgotten};
use boots::timeline::{Step, Timeline, Usual};
use plan::Decider;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use types::event::Value;
use types::{Facts, MacAddr};

/// Digits of a ULID: Crockford's base 32.
const ULID_DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Traces for Daemon {
    fn trace(&self, boot: &str) -> Result<TraceView, BackendError> {
        let told = self.world.boot(boot);
        told.map(view).ok_or_else(|| forgotten(&format!("boot `{boot}`"), Some(&self.since())))
    }

    fn trace_host(&self, reference: &HostRef, last: bool) -> Result<TraceView, BackendError> {
        let (host, macs) = self.machines_of(reference)?;
        let told = self.world.boot_of(host.as_deref(), &macs, last);
        let what = if last { "a boot that is over, of" } else { "a boot of" };
        told.map(view).ok_or_else(|| forgotten(&format!("{what} {reference}"), Some(&self.since())))
    }

    fn watch(&self, watched: &Watched) -> Result<ListPage<WatchRow>, BackendError> {
        let mut items = match watched {
            Watched { group: None, selector: None, hosts } if hosts.is_empty() => {
                self.world.glances(|_, _| true).iter().map(row).collect()
            }
            _ => self.chosen(watched)?,
        };
        items.sort_by(|one, other| (&one.host, one.mac).cmp(&(&other.host, other.mac)));
        Ok(ListPage { items, next: None, revision: self.revision() })
    }

    fn simulate(&self, request: &SimulationRequest, facts: Facts) -> Result<Simulation, BackendError> {
        simulate::simulate(self, request, facts)
    }
}

impl Daemon {
    fn since(&self) -> String {
        let since = SystemTime::now().checked_sub(self.started.elapsed());
        let since = since.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        timestamp(millis(since))
    }

    /// The recorded host and the hardware addresses of a reference; one that nobody has recorded may have been seen.
    pub(super) fn machines_of(
        &self,
        reference: &HostRef,
    ) -> Result<(Option<String>, Vec<MacAddr>), BackendError> {
        let seen = |wanted: &dyn Fn(&Facts) -> bool| {
            self.world.machines().iter().filter(|facts| wanted(facts)).filter_map(|facts| facts.mac).collect()
        };
        match (self.find_host(reference), reference) {
            (Ok(host), _) => Ok((Some(host.resource.name.to_string()), host.resource.identity.mac.0.clone())),
            (Err(BackendError::NotFound { .. }), HostRef::Mac(mac)) => Ok((None, vec![*mac])),
            (Err(BackendError::NotFound { .. }), HostRef::Uuid(guid)) => {
                Ok((None, seen(&|facts| facts.guid == Some(*guid))))
            }
            (Err(BackendError::NotFound { .. }), HostRef::Serial(serial)) => Ok((
                None,
                seen(&|facts| facts.serial.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(serial))),
            )),
            (Err(error), _) => Err(error),
        }
    }

    /// Recorded hosts that are meant, with and without a boot, and unknown machines that a selector means.
    fn chosen(&self, watched: &Watched) -> Result<Vec<WatchRow>, BackendError> {
        let catalog = self.world.catalog();
        if let Some(group) = watched.group.as_ref().filter(|group| catalog.group(group).is_none()) {
            return Err(BackendError::NotFound { what: "group", name: group.to_string() });
        }
        if let Some(name) = watched.hosts.iter().find(|name| catalog.host(name.as_str()).is_none()) {
            return Err(BackendError::NotFound { what: "host", name: name.to_string() });
        }
        let mut chosen = Vec::new();
        for (name, facts) in policy::machines(self, &catalog) {
            let host = catalog.host(&name);
            let named = watched.hosts.is_empty() || watched.hosts.iter().any(|host| host.as_str() == name);
            let in_group = watched.group.as_ref().is_none_or(|group| {
                host.is_some() && plan::resolve(&catalog, &facts).groups.iter().any(|own| own == group)
            });
            let selected = watched.selector.as_ref().is_none_or(|selector| {
                plan::means(&catalog, &facts, selector) == types::selector::Match::Yes
            });
            if named && in_group && selected {
                let macs = host.map(|host| host.identity.mac.0.clone()).unwrap_or_default();
                let macs: Vec<MacAddr> = macs.into_iter().chain(facts.mac).collect();
                chosen.push((name, facts.mac, host.is_some(), macs));
            }
        }
        let names: HashSet<&str> = chosen.iter().map(|(name, ..)| name.as_str()).collect();
        let macs: HashSet<MacAddr> = chosen.iter().flat_map(|(.., macs)| macs.iter().copied()).collect();
        let glances = self
            .world
            .glances(|mac, host| macs.contains(&mac) || host.is_some_and(|host| names.contains(host)));
        let by_mac: HashMap<MacAddr, &Glance> = glances.iter().map(|glance| (glance.mac, glance)).collect();
        let mut by_host: HashMap<&str, &Glance> = HashMap::new();
        for glance in &glances {
            if let Some(host) = glance.host.as_deref() {
                let newest = by_host.entry(host).or_insert(glance);
                if newest.started_ms < glance.started_ms {
                    *newest = glance;
                }
            }
        }
        let mut rows = Vec::new();
        for (name, mac, recorded, macs) in &chosen {
            let of_macs = macs.iter().filter_map(|mac| by_mac.get(mac).copied());
            let newest = by_host.get(name.as_str()).copied().into_iter().chain(of_macs);
            let glance = newest.max_by_key(|glance| glance.started_ms);
            let host = recorded.then(|| name.clone());
            match glance {
                Some(glance) => {
                    rows.push(WatchRow { host: host.or_else(|| row(glance).host), ..row(glance) })
                }
                None if *recorded => rows.push(WatchRow {
                    host,
                    mac: *mac,
                    state: "none".to_owned(),
                    note: "no boot of it since the appliance was started".to_owned(),
                    ..WatchRow::default()
                }),
                None => {}
            }
        }
        Ok(rows)
    }
}

fn row(glance: &Glance) -> WatchRow {
    WatchRow {
        host: glance.host.as_deref().map(str::to_owned),
        mac: Some(glance.mac),
        boot_id: Some(glance.id.to_string()),
        stage: Some(glance.stage.as_str().to_owned()),
        state: glance.standing.state.as_str().to_owned(),
        outcome: glance.ending.map(|ending| ending.as_str().to_owned()),
        image: glance.image.as_deref().map(str::to_owned),
        started_ms: Some(glance.started_ms),
        age_ms: millis(glance.age),
        bytes: glance.bytes,
        rate: glance.standing.rate,
        note: shown(&glance.standing.note),
    }
}

fn view(Told { timeline, usual }: Told) -> TraceView {
    let now = Instant::now();
    let standing = timeline.standing(now, usual.as_ref());
    TraceView {
        id: timeline.id.to_string(),
        trace_id: trace_id(&timeline.id),
        host: timeline.host.as_deref().map(str::to_owned),
        mac: timeline.mac,
        uuid: timeline.guid,
        image: timeline.image.as_deref().map(str::to_owned),
        armed_by: timeline.armed_by.as_deref().map(shown),
        stage: timeline.stage.as_str().to_owned(),
        outcome: timeline.ending.map(|ending| ending.as_str().to_owned()),
        state: standing.state.as_str().to_owned(),
        note: shown(&standing.note),
        started: timestamp(timeline.started.unix_ms),
        started_ms: timeline.started.unix_ms,
        elapsed_ms: millis(timeline.ended.unwrap_or_else(|| timeline.age(now))),
        bytes: timeline.bytes,
        usual: usual.map(usual_view),
        steps: timeline.steps().iter().map(step_view).collect(),
        events: timeline.entries.iter().map(event_view).collect(),
        more: more(&timeline),
    }
}

fn usual_view(usual: Usual) -> UsualView {
    UsualView {
        boots: usual.boots as u64,
        from_ms: millis(usual.whole.0),
        to_ms: millis(usual.whole.1),
        silent_from_ms: millis(usual.silent.0),
        silent_to_ms: millis(usual.silent.1),
    }
}

fn step_view(step: &Step) -> StepView {
    StepView {
        at_ms: millis(step.at),
        until_ms: millis(step.until),
        step: step.kind.as_str().to_owned(),
        text: shown(&step.text),
        tail: shown(step.tail()),
        count: step.count,
        bytes: (step.bytes > 0).then_some(step.bytes),
        rate: step.rate(),
        open: step.open,
        level: step.level.as_str().to_owned(),
        why: step.finding.as_ref().map(|finding| finding.why.to_owned()),
        fix: step.finding.as_ref().map(|finding| finding.fix.to_owned()),
    }
}

fn event_view(entry: &boots::timeline::Entry) -> EventView {
    let event = &entry.event;
    let value = |value: &Value| match value {
        Value::Text(text) => serde_json::Value::from(shown(text)),
        Value::Number(number) => serde_json::Value::from(*number),
        Value::Flag(flag) => serde_json::Value::from(*flag),
    };
    let interface = event.interface.as_deref().map(|own| ("iface".to_owned(), own.into()));
    EventView {
        at_ms: millis(entry.at),
        event: event.name.as_str().to_owned(),
        level: event.level.as_str().to_owned(),
        stage: event.stage.map(|stage| stage.as_str().to_owned()),
        reason: event.reason.map(str::to_owned),
        fields: event
            .fields
            .iter()
            .map(|(name, own)| ((*name).to_owned(), value(own)))
            .chain(interface)
            .collect(),
    }
}

fn more(timeline: &Timeline) -> Vec<MoreView> {
    let view = |more: &boots::timeline::More| MoreView {
        event: more.name.as_str().to_owned(),
        role: more.role.as_deref().map(str::to_owned),
        count: more.count,
        bytes: more.bytes,
        from_ms: millis(more.first),
        until_ms: millis(more.last),
    };
    timeline.more.iter().map(view).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What machines said, without bytes that a terminal obeys.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// The 128 bits of a ULID in hex.
fn trace_id(id: &str) -> Option<String> {
    let mut value = 0u128;
    for (at, digit) in id.bytes().enumerate() {
        let digit = ULID_DIGITS.iter().position(|own| *own == digit)?;
        // 26 digits of five bits are 130: the first has three.
        if at >= 26 || (at == 0 && digit > 7) {
            return None;
        }
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    (id.len() == 26 && value != 0).then(|| format!("{value:032x}"))
}

/// Facts of a reference that may be recorded or not.
pub(super) fn facts_of(daemon: &Daemon, reference: &HostRef) -> Result<Facts, BackendError> {
    match (daemon.find_host(reference), reference) {
        (Ok(host), _) => Ok(explain::facts_of(&host.resource)),
        (Err(BackendError::NotFound { .. }), HostRef::Mac(mac)) => {
            Ok(Facts { mac: Some(*mac), ..Facts::default() })
        }
        (Err(BackendError::NotFound { .. }), HostRef::Uuid(guid)) => {
            Ok(Facts { guid: Some(*guid), ..Facts::default() })
        }
        (Err(BackendError::NotFound { .. }), HostRef::Serial(serial)) => {
            Ok(Facts { serial: Some(serial.as_str().into()), ..Facts::default() })
        }
        (Err(error), _) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    #[test]
    fn a_boot_id_is_a_trace_id() {
        assert_eq!(trace_id("7ZZZZZZZZZZZZZZZZZZZZZZZZZ").as_deref(), Some("f".repeat(32).as_str()));
        assert_eq!(trace_id("00000000000000000000000001").as_deref(), Some(&*format!("{:032x}", 1)));
        for id in [
            "",
            "B1",
            "80000000000000000000000000",
            "0000000000000000000000000U",
            "00000000000000000000000000",
        ] {
            assert_eq!(trace_id(id), None, "{id}");
        }
    }
}
