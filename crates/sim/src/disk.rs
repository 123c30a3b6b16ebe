//! An appliance's store on its simulated disk: the engine the daemon runs, and leases written as the daemon writes them.

use crate::Seed;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use store::records::{decode_lease, encode_lease, lease_key};
use store::sim::{Fault, Rng, SimDisk, SimStore};
use store::{Batch, Finding, Room, Table};
use types::lease::LeaseRecord;

/// How an appliance ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Death {
    /// The process is killed; what it wrote is seen by the next one.
    Killed,
    /// The power goes; what was not synced may be there, or parts of it.
    PowerCut,
}

/// The record of the lease clock: in which boot, how long after it, what the clock read; seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoredClock {
    pub(crate) boot: u64,
    pub(crate) since_boot: u64,
    pub(crate) unix: u64,
}

const CLOCK_KEY: &[u8] = b"lease-clock";

impl StoredClock {
    fn encode(self) -> Vec<u8> {
        [self.boot, self.since_boot, self.unix].iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn decode(bytes: &[u8]) -> Option<StoredClock> {
        let mut numbers =
            bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok()).map(u64::from_be_bytes);
        Some(StoredClock { boot: numbers.next()?, since_boot: numbers.next()?, unix: numbers.next()? })
    }
}

pub(crate) struct Disk {
    disk: SimDisk,
    /// `None` while no process runs.
    store: Option<SimStore>,
    /// Operation at which the power goes.
    cut: Option<u64>,
    full: bool,
    rng: Rng,
}

impl Disk {
    pub(crate) fn new(mut seed: Seed) -> Disk {
        Disk { disk: SimDisk::new(), store: None, cut: None, full: false, rng: Rng::new(seed.next_u64()) }
    }

    /// Opens the store.
    ///
    /// # Errors
    /// Why it does not open.
    pub(crate) fn open(&mut self) -> Result<(), String> {
        let store =
            SimStore::open(&self.disk).map_err(|error| format!("the store does not open: {error:?}"))?;
        self.store = Some(store);
        Ok(())
    }

    /// What opening found that no crash leaves behind.
    pub(crate) fn oddity(&self) -> Option<String> {
        let report = self.store.as_ref()?.report();
        let odd = report.findings.iter().find(|finding| !is_of_a_crash(finding))?;
        Some(format!("found after a crash: {odd}"))
    }

    /// Makes records durable, and with them what clock they are dated by; as the door does.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn commit(
        &mut self,
        records: &[LeaseRecord],
        essential: bool,
        clock: Option<StoredClock>,
    ) -> Result<(), String> {
        let Some(store) = &mut self.store else { return Err("the store is closed".into()) };
        let mut batch = Batch::new();
        for record in records {
            let value = encode_lease(record).map_err(|error| error.to_string())?;
            batch = batch.put(Table::Leases, lease_key(record.address.into()), value);
        }
        if let Some(clock) = clock {
            batch = batch.put(Table::Meta, CLOCK_KEY, clock.encode());
        }
        let batch = if essential { batch.essential() } else { batch };
        let mut answers = store.commit(vec![batch]);
        answers.pop().unwrap_or(Ok(store::Revision(0))).map(drop).map_err(|error| error.to_string())
    }

    /// The record of an address, as last acknowledged.
    pub(crate) fn find(&self, address: Ipv4Addr) -> Option<LeaseRecord> {
        let stored = self.store.as_ref()?.get(Table::Leases, &lease_key(IpAddr::V4(address))).ok()??;
        decode_lease(&stored.value).ok()
    }

    /// All leases by address, as the daemon reads them at start.
    ///
    /// # Errors
    /// When something cannot be read.
    pub(crate) fn all(&self) -> Result<Vec<LeaseRecord>, String> {
        let Some(store) = &self.store else { return Err("the store is closed".into()) };
        let stored = store.scan(Table::Leases, None, usize::MAX).map_err(|error| error.to_string())?;
        stored.iter().map(|(_, one)| decode_lease(&one.value).map_err(|error| error.to_string())).collect()
    }

    /// What clock the leases are dated by.
    pub(crate) fn clock(&self) -> Option<StoredClock> {
        let stored = self.store.as_ref()?.get(Table::Meta, CLOCK_KEY).ok()??;
        StoredClock::decode(&stored.value)
    }

    /// True while the store takes new leases.
    pub(crate) fn takes_new(&self) -> bool {
        self.store.as_ref().is_some_and(SimStore::has_plenty)
    }

    /// What the store says of its room, when that is not plenty.
    pub(crate) fn shortage(&self) -> Option<String> {
        let status = self.store.as_ref().filter(|store| !store.has_plenty())?.status();
        (status.room != Room::Plenty).then(|| format!("{:?} {:?}", status.room, status.space))
    }

    /// Once a second: the store looks whether there is room.
    pub(crate) fn look(&mut self) {
        if let Some(store) = &mut self.store {
            store.look();
        }
    }

    /// Writes a checkpoint; false when it could not.
    pub(crate) fn checkpoint(&mut self) -> bool {
        self.store.as_mut().is_some_and(|store| store.checkpoint().is_ok())
    }

    /// True when the power went during an operation.
    pub(crate) fn is_off(&self) -> bool {
        self.cut.is_some_and(|operation| self.disk.operations() >= operation)
    }

    /// Lets the operation after so many others fail.
    pub(crate) fn fail_after(&mut self, operations: u64, kind: ErrorKind) {
        self.disk.fail(self.disk.operations() + operations + 1, Fault::Once(kind));
    }

    /// Cuts the power at the operation after so many others.
    pub(crate) fn cut_after(&mut self, operations: u64) {
        if self.cut.is_none() {
            let operation = self.disk.operations() + operations + 1;
            self.disk.fail(operation, Fault::PowerOff);
            self.cut = Some(operation);
        }
    }

    pub(crate) fn set_full(&mut self, full: bool) {
        self.full = full;
        self.disk.set_full(full);
    }

    /// The process ended; the disk is as the next one finds it. Faults still to come do not come.
    pub(crate) fn die(&mut self, death: Death) {
        self.store = None;
        let cut = self.is_off() || death == Death::PowerCut;
        self.disk = if cut { self.disk.crash(&mut self.rng) } else { self.disk.fork() };
        self.disk.set_full(self.full);
        self.cut = None;
    }
}

/// True for what power cuts, deaths and refusing disks leave behind. Anything else says that the store takes its own traces
/// for damage, or lost something.
fn is_of_a_crash(finding: &Finding) -> bool {
    match finding {
        Finding::TornTail { .. }
        | Finding::UnbornSegment { .. }
        | Finding::AbandonedTail { .. }
        | Finding::CheckpointFailed { .. }
        | Finding::RoomLow { .. }
        | Finding::RoomBack
        | Finding::NoBallast { .. }
        | Finding::JournalReadOnly { .. } => true,
        Finding::DamagedCheckpoint { .. }
        | Finding::DamagedSegment { .. }
        | Finding::SetAside { .. }
        | Finding::IndexRebuilt { .. }
        | Finding::IndexInMemory { .. }
        | Finding::IndexLost { .. }
        | Finding::RestoredFromIndex { .. }
        | Finding::LossAccepted { .. }
        | Finding::Removed { .. }
        | Finding::HistoryBroken { .. }
        | Finding::RecordUnreadable { .. }
        | Finding::RestoreFinished { .. }
        | Finding::RecordDiffers { .. } => false,
    }
}
