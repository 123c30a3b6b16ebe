//! What is remembered of boots, as it is asked for.

use super::{World, lock};
use boots::BootStage;
use boots::timeline::{At, Ending, Standing, Timeline, Usual};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use types::{Event, MacAddr};

/// Standings told with the lock held once: every event of a boot waits for it.
const GLANCED_AT_ONCE: usize = 64;

/// One boot, and how long boots of its image usually take.
pub(crate) struct Told {
    pub(crate) timeline: Timeline,
    pub(crate) usual: Option<Usual>,
}

/// One boot in short.
#[derive(Clone)]
pub(crate) struct Glance {
    pub(crate) mac: MacAddr,
    pub(crate) id: Arc<str>,
    pub(crate) host: Option<Arc<str>>,
    pub(crate) image: Option<Arc<str>>,
    pub(crate) stage: BootStage,
    pub(crate) ending: Option<Ending>,
    pub(crate) started_ms: u64,
    /// How long it took, or has taken so far.
    pub(crate) age: Duration,
    pub(crate) bytes: u64,
    pub(crate) standing: Standing,
}

impl World {
    /// An event that was told becomes part of its boot's timeline.
    pub(super) fn trace(&self, event: &Event) {
        if event.boot.is_none() {
            return;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        lock(&self.timelines).observe(At { instant: Instant::now(), unix_ms }, event);
    }

    /// One boot.
    pub(crate) fn boot(&self, id: &str) -> Option<Told> {
        let timelines = lock(&self.timelines);
        let timeline = timelines.get(id)?.clone();
        let usual = timeline.image.as_deref().and_then(|image| timelines.usual(image));
        Some(Told { timeline, usual })
    }

    /// The newest boot of a host or of these machines, or with `last` the newest that is over.
    pub(crate) fn boot_of(&self, host: Option<&str>, macs: &[MacAddr], last: bool) -> Option<Told> {
        let timelines = lock(&self.timelines);
        let own = timelines
            .newest()
            .filter(|(mac, newest)| macs.contains(mac) || (host.is_some() && newest.host.as_deref() == host));
        let boots = own.flat_map(|(mac, _)| timelines.of_machine(mac));
        let wanted = boots.filter(|boot| !last || boot.is_over());
        let timeline = wanted.max_by_key(|boot| boot.started.instant)?.clone();
        let usual = timeline.image.as_deref().and_then(|image| timelines.usual(image));
        Some(Told { timeline, usual })
    }

    /// The newest boot of every machine that is wanted, by its hardware address and the name of its host; in no order.
    pub(crate) fn glances(&self, wanted: impl Fn(MacAddr, Option<&str>) -> bool) -> Vec<Glance> {
        let macs: Vec<MacAddr> = {
            let timelines = lock(&self.timelines);
            let own = timelines.newest().filter(|(mac, boot)| wanted(*mac, boot.host.as_deref()));
            own.map(|(mac, _)| mac).collect()
        };
        let mut glances = Vec::with_capacity(macs.len());
        for some in macs.chunks(GLANCED_AT_ONCE) {
            let timelines = lock(&self.timelines);
            let now = Instant::now();
            glances.extend(some.iter().filter_map(|&mac| {
                let boot = timelines.of_machine(mac).next_back()?;
                let usual = boot.image.as_deref().and_then(|image| timelines.usual(image));
                Some(Glance {
                    mac,
                    id: boot.id.clone(),
                    host: boot.host.clone(),
                    image: boot.image.clone(),
                    stage: boot.stage,
                    ending: boot.ending,
                    started_ms: boot.started.unix_ms,
                    age: boot.ended.unwrap_or_else(|| boot.age(now)),
                    bytes: boot.bytes,
                    standing: boot.standing(now, usual.as_ref()),
                })
            }));
        }
        glances
    }
}
