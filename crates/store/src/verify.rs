//! Reading everything there is and comparing it, and writing it out for people.

use crate::checkpoint::{self, Unusable};
use crate::disk::{Disk, RealDisk};
use crate::envelope;
use crate::error::{RecordError, StoreError, error_chain};
use crate::model::{Change, Revision, Table, record_name};
use crate::records;
use crate::report::Finding;
use crate::shared::Shared;
use crate::truth::{self, History, Position, State};
use crate::wire::{hex, unhex};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What `verify` read and found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyReport {
    /// Revision at which index and files were compared.
    pub revision: Revision,
    /// Records in the index.
    pub records: usize,
    /// Checkpoints that are sound.
    pub checkpoints: usize,
    /// Journal segments.
    pub segments: usize,
    /// Journal frames that are sound.
    pub frames: usize,
    /// Bytes of journal read.
    pub journal_bytes: u64,
    /// Everything that is not as it should be.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// True when nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VerifyReport { revision, records, checkpoints, segments, frames, .. } = self;
        write!(
            f,
            "revision {revision}: {records} records, {checkpoints} checkpoints, {frames} frames in {segments} segments; "
        )?;
        match self.findings.as_slice() {
            [] => f.write_str("all sound"),
            findings => {
                write!(f, "{} findings", findings.len())?;
                findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
            }
        }
    }
}

/// Why a record cannot be read by this program, with its name. What has no version, or stands in a table whose records are
/// its owner's, is not looked into.
pub(crate) fn unreadable_record(key: &[u8], envelope: &[u8]) -> Option<(String, String)> {
    let stored = envelope::open(key, envelope)?;
    let value = stored.value.as_slice();
    records::version(value)?;
    let fault = match key.first().copied().and_then(Table::from_byte)? {
        Table::Hosts => records::decode_owned::<types::resource::Host>(&records::HOST, value).err(),
        Table::Images => records::decode_image(value).err(),
        Table::Leases => records::decode_lease(value).err(),
        Table::Groups => records::decode_owned::<types::resource::Group>(&records::GROUP, value).err(),
        Table::Rules => records::decode_owned::<types::resource::Rule>(&records::RULE, value).err(),
        Table::Templates => {
            records::decode_owned::<types::resource::Template>(&records::TEMPLATE, value).err()
        }
        Table::Bundles => records::decode_owned::<types::resource::Bundle>(&records::BUNDLE, value).err(),
        Table::RuleSets => records::RULE_SET.decode::<records::RuleSet>(value).err(),
        Table::Boots if records::life_host(key.get(1..)?).is_some() => records::decode_life(value).err(),
        Table::Boots if records::rollout_name(key.get(1..)?).is_some() => {
            records::check_rollout_order(value).err()
        }
        Table::Boots if records::rollout_part(key.get(1..)?).is_some() => {
            records::check_rollout_part(value).err()
        }
        Table::Boots if records::bundle_runs_host(key.get(1..)?).is_some() => {
            records::decode_bundle_runs(value).err()
        }
        Table::Facts if records::is_ignored_key(key.get(1..)?) => {
            records::IGNORED.decode::<records::Ignored>(value).err()
        }
        Table::Facts if records::machine_mac(key.get(1..)?).is_some() => records::decode_machine(value).err(),
        Table::Facts if records::is_alarm_key(key.get(1..)?) => {
            records::ALARM.decode::<records::Alarm>(value).err()
        }
        Table::Manifests | Table::Facts | Table::Boots | Table::Meta => None,
    }?;
    Some((record_name(key), error_chain(&fault)))
}

fn unreadable_records(records: &BTreeMap<Vec<u8>, Vec<u8>>) -> impl Iterator<Item = Finding> + '_ {
    records
        .iter()
        .filter_map(|(key, envelope)| unreadable_record(key, envelope))
        .map(|(record, reason)| Finding::RecordUnreadable { record, reason })
}

/// Reads checkpoints and journal of a store that nobody writes.
pub(crate) fn files(disk: &RealDisk) -> Result<VerifyReport, StoreError> {
    let mut findings = Vec::new();
    let mut history = truth::read(disk, None)?;
    let checkpoints = look_at_files(disk, &mut history, &mut findings)?;
    let revision = Revision(history.state.position.revision.max(history.newest));
    let (segments, frames, journal_bytes) =
        (history.journal.segments, history.journal.frames.len(), history.journal.bytes);
    let reached = history.state.position.revision;
    if let Some(tail) = history.journal.tail.as_ref().filter(|tail| tail.revision() < reached) {
        findings.push(Finding::DamagedSegment { file: tail.name().to_owned(), offset: tail.good() });
    }
    let broken = history.broken.take().map(|broken| broken.into_error().to_string());
    let (state, revision) = match &broken {
        None => (history.state, revision),
        // What can be read at all, so that nobody takes it for nothing.
        Some(_) => {
            let state = truth::salvage(history.state, &history.journal);
            let reached = Revision(state.position.revision);
            (state, revision.max(reached))
        }
    };
    findings.extend(unreadable_records(&state.records));
    let records = state.records.len();
    findings.extend(broken.map(|reason| Finding::HistoryBroken { reason }));
    Ok(VerifyReport { revision, records, checkpoints, segments, frames, journal_bytes, findings })
}

/// What is wrong with single files; answers how many checkpoints are sound.
fn look_at_files(
    disk: &dyn Disk,
    history: &mut History,
    findings: &mut Vec<Finding>,
) -> Result<usize, StoreError> {
    findings.append(&mut history.journal.findings);
    findings.extend(
        history
            .journal
            .damages
            .iter()
            .map(|damage| Finding::DamagedSegment { file: damage.file.clone(), offset: damage.offset }),
    );
    let mut sound = 0;
    for (_, name) in checkpoint::list(disk).map_err(|source| StoreError::read(checkpoint::DIR, source))? {
        let known =
            |finding: &Finding| matches!(finding, Finding::DamagedCheckpoint { file, .. } if *file == name);
        let reason = match checkpoint::read(disk, &name) {
            Ok(Ok(_)) => {
                sound += 1;
                continue;
            }
            Ok(Err(Unusable::Newer(version))) => return Err(StoreError::NewerFormat { file: name, version }),
            Ok(Err(Unusable::Damaged)) => "its checksum does not match".to_owned(),
            Err(error) => error.to_string(),
        };
        if !findings.iter().any(known) {
            findings.push(Finding::DamagedCheckpoint { file: name, reason });
        }
    }
    Ok(sound)
}

/// Compares the index with checkpoint and journal. Readers go on; commits go on while the files are read.
pub(crate) fn verify(shared: &Shared) -> Result<VerifyReport, StoreError> {
    let _maintenance = shared.maintain();
    let (position, entries) = {
        let index = shared.index();
        let entries = index.entries();
        (index.position(), entries)
    };
    let disk = shared.disk.as_ref();
    let mut findings = Vec::new();
    let entries = entries.unwrap_or_else(|fault| {
        findings.push(Finding::RecordDiffers { record: "index".to_owned(), reason: fault.reason() });
        Default::default()
    });
    let mut history = truth::read(disk, Some(position.revision))?;
    let checkpoints = look_at_files(disk, &mut history, &mut findings)?;
    let (segments, frames, journal_bytes) =
        (history.journal.segments, history.journal.frames.len(), history.journal.bytes);
    let records = entries.len();
    findings.extend(unreadable_records(&entries));
    match history.whole() {
        Ok(state) => compare(&state, position, &entries, &mut findings),
        Err(error) => findings.push(Finding::HistoryBroken { reason: error.to_string() }),
    }
    let revision = Revision(position.revision);
    Ok(VerifyReport { revision, records, checkpoints, segments, frames, journal_bytes, findings })
}

fn compare(
    state: &State,
    position: Position,
    entries: &BTreeMap<Vec<u8>, Vec<u8>>,
    findings: &mut Vec<Finding>,
) {
    if state.position != position {
        findings.push(Finding::RecordDiffers {
            record: "index".to_owned(),
            reason: format!(
                "stands at revision {}, the files at {}",
                position.revision, state.position.revision
            ),
        });
    }
    let keys: BTreeSet<&Vec<u8>> = state.records.keys().chain(entries.keys()).collect();
    for key in keys {
        let reason = match (state.records.get(key), entries.get(key)) {
            (Some(true_one), Some(own)) if true_one == own => continue,
            (Some(_), None) => "is missing from the index",
            (None, Some(_)) => "is in the index only",
            (_, Some(own)) if envelope::revision(key, own).is_none() => "fails its checksum in the index",
            _ => "differs between index and files",
        };
        findings.push(Finding::RecordDiffers { record: record_name(key), reason: reason.to_owned() });
    }
}

/// All records of one moment as JSON lines: first a line about the whole, then one for each record, by table and key.
///
/// `{"store":1,"revision":7,"records":2}`, then `{"table":"leases","key":"04c0a80001","revision":7,"value":{…}}`; the key is
/// hex, the value is what was committed when that is JSON, else `"hex"` takes the place of `"value"`.
pub struct Dump {
    head: Option<String>,
    revision: Revision,
    only: Option<Table>,
    records: std::collections::btree_map::IntoIter<Vec<u8>, Vec<u8>>,
}

impl Dump {
    pub(crate) fn new(state: State) -> Dump {
        let head = json!({ "store": 1, "revision": state.position.revision, "records": state.records.len() });
        Dump {
            head: Some(head.to_string()),
            revision: Revision(state.position.revision),
            only: None,
            records: state.records.into_iter(),
        }
    }

    /// The revision it is of.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Records in all tables that are still to come.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// Leaves out the records of other tables; the line about the whole stays as it is.
    #[must_use]
    pub fn only(mut self, table: Table) -> Dump {
        self.only = Some(table);
        self
    }
}

impl Iterator for Dump {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if let Some(head) = self.head.take() {
            return Some(head);
        }
        // A snapshot holds sound records of known tables only.
        let only = self.only.map(Table::byte);
        let (key, envelope) =
            self.records.by_ref().find(|(key, _)| only.is_none_or(|only| key.first() == Some(&only)))?;
        let stored = envelope::open(&key, &envelope)?;
        let (byte, own) = key.split_first()?;
        let table = Table::from_byte(*byte).map_or("unknown", Table::as_str);
        let (name, value) = match serde_json::from_slice::<Value>(&stored.value) {
            Ok(value) => ("value", value),
            Err(_) => ("hex", hex(&stored.value).into()),
        };
        Some(
            json!({ "table": table, "key": hex(own), "revision": stored.revision.0, name: value })
                .to_string(),
        )
    }
}

impl Change {
    /// Reads a record line of a [`Dump`] back as the change that writes it; `None` for the line about the whole. JSON values
    /// come back equal, with their fields in alphabetical order.
    ///
    /// # Errors
    /// [`RecordError::Malformed`] when it is no JSON, [`RecordError::BadField`] when it is not such a line.
    pub fn from_dump(line: &str) -> Result<Option<Change>, RecordError> {
        let kind = "dump";
        let bad = |field: &'static str| RecordError::BadField { kind, field };
        let line: Value =
            serde_json::from_str(line).map_err(|source| RecordError::Malformed { kind, source })?;
        if line.get("store").is_some() {
            return Ok(None);
        }
        let text = |field: &'static str| line.get(field).and_then(Value::as_str).ok_or(bad(field));
        let table = Table::from_name(text("table")?).ok_or(bad("table"))?;
        let key = unhex(text("key")?).ok_or(bad("key"))?;
        let value = match line.get("value") {
            Some(value) => value.to_string().into_bytes(),
            None => unhex(text("hex")?).ok_or(bad("hex"))?,
        };
        Ok(Some(Change { table, key, value: Some(value) }))
    }
}
