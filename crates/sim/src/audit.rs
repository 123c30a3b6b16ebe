//! What an appliance promised, kept beside it: what its store acknowledged, which offers are open, which addresses are in
//! quarantine. Every decision and every datagram it sends is held against that.
//!
//! Written from RFC 2131 and the promises alone; shares no code with what it checks.

use crate::disk::Disk;
use crate::report::{Book, Promise};
use dhcp_proto::Responder;
use dhcp_proto::limits::LEASE_GRACE;
use dhcp_proto::wire::{Message, MessageType, code};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use types::lease::{ClientKey, LeaseRecord, LeaseState};
use types::{MacAddr, Now, UnixTime};

/// Two readings of one moment in whole seconds may differ by so much.
const ROUNDING: Duration = Duration::from_secs(2);

/// Whom a datagram is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Who {
    mac: Option<MacAddr>,
    id: Option<Vec<u8>>,
    /// Hardware type and address as they came: what names a client that has neither of the others (a damaged packet).
    hardware: Option<(u8, Vec<u8>)>,
}

impl Who {
    pub(crate) fn of(message: &Message) -> Who {
        let address = message.chaddr.get(..usize::from(message.hlen)).unwrap_or_default();
        let hardware = Some((message.htype, address.to_vec())).filter(|_| !address.is_empty());
        Who { mac: message.mac(), id: message.options.client_identifier().map(Into::into), hardware }
    }

    /// The owner in a record.
    fn owns(record: &LeaseRecord) -> Who {
        let (id, hardware) = match &record.key {
            ClientKey::ClientId(id) => (Some(id.to_vec()), None),
            ClientKey::Hardware { htype, address } => (None, Some((*htype, address.to_vec()))),
        };
        Who { mac: record.mac, id, hardware }
    }

    /// One board under any of its names.
    fn is(&self, other: &Who) -> bool {
        (self.mac.is_some() && self.mac == other.mac)
            || (self.id.is_some() && self.id == other.id)
            || (self.hardware.is_some() && self.hardware == other.hardware)
    }
}

#[derive(Debug)]
struct Quarantine {
    until: Instant,
    /// The store has it: a restart does not forget it.
    durable: bool,
}

/// One appliance's promises.
pub(crate) struct Audit {
    /// What the store acknowledged, by address.
    durable: BTreeMap<Ipv4Addr, LeaseRecord>,
    /// What the last batch took the place of.
    overtaken: Vec<LeaseRecord>,
    /// What it refused since it last acknowledged something: may be on disk all the same, each whole.
    refused: Vec<Vec<LeaseRecord>>,
    /// Something was refused since the start of the process: its memory knows more than the store.
    ahead: bool,
    offers: BTreeMap<Ipv4Addr, (Who, Instant)>,
    quarantined: BTreeMap<Ipv4Addr, Quarantine>,
    /// Clocks are read in whole seconds, also when they are handed on: by so much two readings may differ.
    rounding: Duration,
    /// What a lease is kept for beyond its end, where that is not known: dated anew, it may be nearly over.
    unsure: Duration,
}

impl Audit {
    pub(crate) fn new() -> Audit {
        Audit {
            durable: BTreeMap::new(),
            overtaken: Vec::new(),
            refused: Vec::new(),
            ahead: false,
            offers: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            rounding: ROUNDING,
            unsure: Duration::ZERO,
        }
    }

    /// All leases were dated anew.
    pub(crate) fn redated(&mut self) {
        self.unsure = self.unsure.max(LEASE_GRACE);
        self.clock_changes_hands();
    }

    /// The clock went on from what the store knew last, which may be long ago. A lease is loaded for no longer than a fresh
    /// one, so it may end before its record says.
    pub(crate) fn clock_falls_behind(&mut self) {
        self.unsure = Duration::from_secs(24 * 3600);
    }

    /// The clock was handed on.
    pub(crate) fn clock_changes_hands(&mut self) {
        self.rounding += Duration::from_secs(1);
    }

    /// A request led to this reply, not sent yet.
    pub(crate) fn decided(
        &mut self,
        now: Now,
        request: &Message,
        reply: Option<&Message>,
        records: &[LeaseRecord],
        hold: Duration,
        book: &mut Book,
    ) {
        let who = Who::of(request);
        self.quarantines(now, records);
        let Some(reply) = reply.filter(|reply| !reply.yiaddr.is_unspecified()) else {
            return;
        };
        let (at, address) = (now.instant, reply.yiaddr);
        if let Some((other, until)) = self.offers.get(&address) {
            book.check(at, other.is(&who) || *until <= at, Promise::OneOwner, || {
                format!("{address} is held for {other:?} and goes to {who:?}")
            });
        }
        if let Some(quarantine) = self.quarantined.get(&address) {
            book.check(at, quarantine.until <= at + self.rounding, Promise::QuarantineHolds, || {
                let left = quarantine.until.saturating_duration_since(at);
                format!("{address} is in quarantine for {left:?} and goes to {who:?}")
            });
        }
        self.offers.retain(|_, (other, _)| !other.is(&who));
        if reply.message_type() == Some(MessageType::Offer) {
            self.offers.insert(address, (who, at + hold));
        }
    }

    /// These addresses are taken out of use.
    pub(crate) fn quarantines(&mut self, now: Now, records: &[LeaseRecord]) {
        for record in records.iter().filter(|record| record.state == LeaseState::Quarantined) {
            let until = now.instant + record.expires.saturating_since(now.unix);
            self.quarantined.insert(record.address, Quarantine { until, durable: false });
            self.offers.remove(&record.address);
        }
    }

    /// Somebody answers at an address that was about to be offered. `last_owner`: whose it was, and is kept for instead of
    /// whatever that one was offered.
    pub(crate) fn conflict(&mut self, address: Ipv4Addr, last_owner: Option<MacAddr>) {
        self.offers.remove(&address);
        self.offers.retain(|_, (other, _)| other.mac.is_none() || other.mac != last_owner);
    }

    /// The client took another server's offer, or has none of ours any more.
    pub(crate) fn went_elsewhere(&mut self, request: &Message) {
        let who = Who::of(request);
        self.offers.retain(|_, (other, _)| !other.is(&who));
    }

    /// The store answered.
    pub(crate) fn committed(&mut self, records: &[LeaseRecord], taken: bool) {
        if !taken {
            self.ahead = true;
            self.refused.push(records.to_vec());
            return;
        }
        self.refused.clear();
        self.overtaken.clear();
        for record in records {
            self.overtaken.extend(self.durable.insert(record.address, record.clone()));
            if let Some(quarantine) = self.quarantined.get_mut(&record.address) {
                quarantine.durable = record.state == LeaseState::Quarantined;
            }
        }
    }

    /// A reply leaves now. What it grants must be in the store, for that client and as long as promised; or it was until
    /// this batch, and a later request of the batch ended it.
    pub(crate) fn leaves(
        &self,
        now: Now,
        reply: &Message,
        batch: &[LeaseRecord],
        disk: &Disk,
        book: &mut Book,
    ) {
        let address = reply.yiaddr;
        let (at, who) = (now.instant, Who::of(reply));
        if reply.message_type() != Some(MessageType::Ack) || address.is_unspecified() {
            return;
        }
        let ended = self.overtaken.iter().filter(|_| !batch.is_empty()).cloned();
        let stored = batch.iter().cloned().chain(ended).chain(disk.find(address));
        let grants = |record: &LeaseRecord| {
            record.address == address && record.state == LeaseState::Bound && Who::owns(record).is(&who)
        };
        let Some(record) = stored.filter(grants).max_by_key(|record| record.expires) else {
            let has = disk.find(address).map(|record| (record.state, record.mac));
            return book.broke(
                at,
                Promise::DurableFirst,
                format!("{address} goes to {who:?}, stored is {has:?}"),
            );
        };
        let seconds = reply.options.u32(code::LEASE_TIME).unwrap_or(0);
        let promised = now.unix.saturating_add(Duration::from_secs(seconds.into()));
        let stored = record.expires.saturating_add(LEASE_GRACE + self.rounding);
        book.check(at, stored >= promised, Promise::DurableFirst, || {
            format!("{address} is promised until {promised} and stored until {}", record.expires)
        });
    }

    /// The process is gone: what it only remembered is forgotten.
    pub(crate) fn died(&mut self, responder: &Responder, at_work: bool) -> Memory {
        self.offers.clear();
        self.quarantined.retain(|_, quarantine| quarantine.durable);
        let exact = !std::mem::take(&mut self.ahead) && !at_work;
        Memory { before: exact.then(|| sorted(responder.leases().cloned())) }
    }

    /// The store is open again and holds these. They must be what was acknowledged; a batch that was refused may be there,
    /// whole.
    pub(crate) fn opened(&mut self, at: Instant, found: &[LeaseRecord], book: &mut Book) {
        let found: BTreeMap<Ipv4Addr, LeaseRecord> =
            found.iter().map(|record| (record.address, record.clone())).collect();
        // Refused batches stand one after the other; any number of the first may be there.
        let mut expected = self.durable.clone();
        let mut good = found == expected;
        for batch in &self.refused {
            expected = self.durable.clone();
            expected.extend(batch.iter().map(|record| (record.address, record.clone())));
            good |= found == expected;
        }
        book.check(at, good, Promise::StoreKeeps, || {
            let durable = self.durable.values().cloned().collect::<Vec<_>>();
            let found = found.values().cloned().collect::<Vec<_>>();
            format!("acknowledged and found: {}", differences(&durable, &found))
        });
        self.durable = found;
        self.refused.clear();
    }

    /// A new process has taken over what the store held.
    pub(crate) fn restarted(
        &self,
        now: Now,
        dead: Memory,
        found: &[LeaseRecord],
        responder: &Responder,
        book: &mut Book,
    ) {
        let over = |record: &LeaseRecord| {
            record.state == LeaseState::Quarantined
                && record.expires <= now.unix.saturating_add(self.rounding)
        };
        let lasting = |records: Vec<LeaseRecord>| -> Vec<LeaseRecord> {
            records.into_iter().filter(|record| !over(record)).collect()
        };
        let after = lasting(sorted(responder.leases().cloned()));
        let stored = lasting(sorted(found.iter().cloned()));
        book.check(now.instant, after == stored, Promise::RestartChangesNothing, || {
            format!("stored and loaded: {}", differences(&stored, &after))
        });
        if let Some(before) = dead.before.map(lasting) {
            // The store never forgets a quarantine. By a clock that is behind, one that was over begins once more.
            let again =
                |record: &LeaseRecord| record.state == LeaseState::Quarantined && !before.contains(record);
            let after: Vec<LeaseRecord> = after.into_iter().filter(|record| !again(record)).collect();
            book.check(now.instant, after == before, Promise::RestartChangesNothing, || {
                format!("before and after: {}", differences(&before, &after))
            });
        }
    }

    /// Counters against a recomputation, and what is remembered against its bounds. Right after a tick.
    pub(crate) fn counters(&mut self, now: Now, responder: &Responder, book: &mut Book) {
        let at = now.instant;
        self.offers.retain(|_, (_, until)| *until > at);
        self.quarantined.retain(|_, quarantine| quarantine.until > at);
        for table in responder.tables() {
            let (size, free) = (table.size(), table.free());
            let holds = u64::try_from(table.holds()).unwrap_or(u64::MAX);
            let entries = u64::try_from(table.records().count()).unwrap_or(u64::MAX);
            let range = table.subnet().pools.iter().map(|pool| pool.size()).sum::<u64>();
            let name = &table.subnet().name;
            book.check(at, entries <= range && holds <= range, Promise::MemoryBounded, || {
                format!("{name}: {entries} entries and {holds} offers for {range} addresses")
            });
            book.check(at, size == range, Promise::CountersAgree, || {
                format!("{name}: size {size} of a pool of {range}")
            });
            // Expiry is written in seconds: what ends about now may count as either.
            let (mut busy, mut unsure) = (0, 0);
            for record in table.records() {
                let grace = if record.state == LeaseState::Bound { LEASE_GRACE } else { Duration::ZERO };
                let end = record.expires.saturating_add(grace);
                let near = end.saturating_since(now.unix).max(now.unix.saturating_since(end))
                    <= self.rounding + self.unsure;
                match record.state {
                    LeaseState::Released => {}
                    LeaseState::Bound | LeaseState::Quarantined if near => unsure += 1,
                    LeaseState::Bound | LeaseState::Quarantined => busy += u64::from(end > now.unix),
                }
            }
            let good = free <= size - busy.min(size) && free + busy + unsure + holds >= size;
            book.check(at, good, Promise::CountersAgree, || {
                format!("{name}: {free} free of {size}, with {busy} busy, {unsure} ending, {holds} offered")
            });
        }
    }

    /// True when the store promises this machine this address until then.
    pub(crate) fn keeps(&self, address: Ipv4Addr, mac: MacAddr, until: UnixTime) -> bool {
        self.durable.get(&address).is_some_and(|record| {
            let stored = record.expires.saturating_add(LEASE_GRACE + self.rounding);
            record.state == LeaseState::Bound && record.mac == Some(mac) && (stored >= until)
        })
    }
}

/// What a process knew when it died; `None` when that was more than its store.
pub(crate) struct Memory {
    before: Option<Vec<LeaseRecord>>,
}

fn sorted(records: impl Iterator<Item = LeaseRecord>) -> Vec<LeaseRecord> {
    let mut records: Vec<LeaseRecord> = records.collect();
    records.sort_by_key(|record| record.address);
    records
}

/// What one list has and the other has not.
fn differences(one: &[LeaseRecord], other: &[LeaseRecord]) -> String {
    let short = |record: &LeaseRecord| {
        format!("{} {:?} {:?} until {}", record.address, record.state, record.mac, record.expires.0)
    };
    let missing = |from: &[LeaseRecord], to: &[LeaseRecord]| -> String {
        let missing = from.iter().filter(|record| !to.contains(record)).map(short);
        missing.collect::<Vec<_>>().join(", ")
    };
    format!("[{}] and [{}]", missing(one, other), missing(other, one))
}
