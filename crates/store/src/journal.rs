//! The journal: what was acknowledged, in the order in which it was. Everything else can be made from it.
//!
//! `journal/<first revision, 20 digits>.log` is a segment: a header, then frames ([`crate::frame`]) without gaps.
//!
//! | offset | bytes | field of the segment header (big-endian) |
//! |---|---|---|
//! | 0 | 8 | magic `RVLJRNL` and a line feed |
//! | 8 | 4 | format version, 1 |
//! | 12 | 4 | chain: checksum of the last frame before this segment |
//! | 16 | 8 | revision of its first batch |
//! | 24 | 4 | CRC-32 over bytes 0..24 |
//!
//! Rules, each with a test in `journal/tests.rs`:
//! 1. A frame is written with one write, then synced, and only then is the next one written. So only the last frame of the
//!    last segment can be torn: bytes behind the last whole frame are cut, and reported.
//! 2. A bad frame with a whole, later frame behind it is damage, never a tail.
//! 3. After a failed write or sync nothing is acknowledged until the segment was cut back to its last good frame, that cut
//!    was synced, and a new segment was begun: a sync that failed once may report success the next time without having
//!    written anything.
//! 4. When a segment exists, frames of an older one with its revisions are leftovers of rule 3 and do not count.
//! 5. At start the last frame is written again in place and synced: it may have been read from memory that never reached
//!    the disk. Where that fails, rule 3 holds, and the frame is written once more with each try.

use crate::disk::{Disk, DiskFile};
use crate::frame::{self, Frame};
use crate::report::{Damage, Finding};
use crate::wire::{Reader, crc32};
use std::io;
use std::sync::Arc;

/// The folder.
pub(crate) const DIR: &str = "journal";
const MAGIC: [u8; 8] = *b"RVLJRNL\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 28;

fn segment_name(first: u64) -> String {
    format!("{DIR}/{first:020}.log")
}

fn header(first: u64, chain: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&chain.to_be_bytes());
    bytes.extend_from_slice(&first.to_be_bytes());
    let crc = crc32(&[&bytes]);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

enum HeaderFault {
    Damaged,
    Newer(u32),
}

fn read_header(bytes: &[u8], first: u64) -> Result<(), HeaderFault> {
    let mut reader = Reader(bytes);
    let fields =
        (|| Some((reader.array::<8>()?, reader.u32()?, reader.u32()?, reader.u64()?, reader.u32()?)))();
    match (fields, bytes.get(..HEADER_BYTES - 4)) {
        (Some((MAGIC, version, _, found, crc)), Some(summed))
            if found == first && crc == crc32(&[summed]) =>
        {
            if version == VERSION {
                Ok(())
            } else {
                Err(HeaderFault::Newer(version))
            }
        }
        _ => Err(HeaderFault::Damaged),
    }
}

/// Segments in order: first revision and name.
pub(crate) fn segments(disk: &dyn Disk) -> io::Result<Vec<(u64, String)>> {
    let mut found: Vec<(u64, String)> = disk
        .list(DIR)?
        .into_iter()
        .filter_map(|file| {
            let first = file.strip_suffix(".log").filter(|digits| digits.len() == 20)?.parse().ok()?;
            Some((first, format!("{DIR}/{file}")))
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// The segment that was written last.
#[derive(Debug)]
pub(crate) struct Tail {
    name: String,
    /// Bytes up to the end of the last whole frame.
    good: u64,
    /// Bytes in the file.
    len: u64,
    frames: u64,
    /// Last revision in it, or before it when it is empty.
    revision: u64,
    /// Where the last frame is and its bytes.
    last: Option<(u64, Vec<u8>)>,
}

impl Tail {
    /// Its file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Last revision in it, or before it when it is empty.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Bytes up to the end of the last whole frame.
    pub(crate) fn good(&self) -> u64 {
        self.good
    }
}

/// The journal as it was found.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Whole frames that count, in order.
    pub(crate) frames: Vec<Frame>,
    /// Places that could not be read although frames follow.
    pub(crate) damages: Vec<Damage>,
    /// Everything else worth a word.
    pub(crate) findings: Vec<Finding>,
    /// Where to go on.
    pub(crate) tail: Option<Tail>,
    /// Segment files.
    pub(crate) segments: usize,
    /// Bytes in them.
    pub(crate) bytes: u64,
    /// A segment of a format this program does not know.
    pub(crate) newer: Option<(String, u32)>,
}

/// Reads the journal; with `upto`, nothing behind that revision is looked at, so that a writer may be at work.
pub(crate) fn read(disk: &dyn Disk, upto: Option<u64>) -> io::Result<Contents> {
    let mut contents = Contents::default();
    let all = segments(disk)?;
    for (at, (first, name)) in all.iter().enumerate() {
        if upto.is_some_and(|upto| *first > upto) {
            break;
        }
        let next = all.get(at + 1).map(|(next, _)| *next);
        let bytes = disk.read(name)?;
        contents.segments += 1;
        contents.bytes += bytes.len() as u64;
        read_segment(&mut contents, (*first, name), next, &bytes, upto);
    }
    Ok(contents)
}

fn read_segment(
    contents: &mut Contents,
    (first, name): (u64, &str),
    next: Option<u64>,
    bytes: &[u8],
    upto: Option<u64>,
) {
    let mut last = first.saturating_sub(1);
    let mut offset = HEADER_BYTES;
    match read_header(bytes, first) {
        Ok(()) => {}
        Err(HeaderFault::Newer(version)) => {
            contents.newer = Some((name.to_owned(), version));
            return;
        }
        Err(HeaderFault::Damaged) => match frame::find(bytes, 0, last) {
            // Died while the segment was made: no frame is written before the header is synced.
            None if bytes.len() <= HEADER_BYTES && next.is_none_or(|next| next <= first) => {
                contents.findings.push(Finding::UnbornSegment { segment: name.to_owned() });
                let len = bytes.len() as u64;
                contents.tail =
                    Some(Tail { name: name.to_owned(), good: 0, len, frames: 0, revision: last, last: None });
                return;
            }
            found => {
                contents.damages.push(Damage { file: name.to_owned(), offset: 0, after: last });
                let Some(found) = found else {
                    contents.tail = None;
                    return;
                };
                offset = found;
            }
        },
    }
    let (good, len) = (offset.min(bytes.len()) as u64, bytes.len() as u64);
    let mut tail = Tail { name: name.to_owned(), good, len, frames: 0, revision: last, last: None };
    let mut last_frame = 0..0;
    while offset < bytes.len() {
        let rest = bytes.get(offset..).unwrap_or_default();
        match frame::decode(rest) {
            Some((frame, len)) => {
                if next.is_some_and(|next| frame.first >= next) {
                    contents
                        .findings
                        .push(Finding::AbandonedTail { segment: name.to_owned(), offset: offset as u64 });
                    break;
                }
                if upto.is_some_and(|upto| frame.first > upto) {
                    return;
                }
                last = frame.last();
                tail.revision = last;
                last_frame = offset..offset + len;
                tail.frames += 1;
                offset += len;
                tail.good = offset as u64;
                contents.frames.push(frame);
            }
            None if upto.is_some_and(|upto| last >= upto) => return,
            None => match frame::find(bytes, offset + 1, last) {
                Some(found) => {
                    contents.damages.push(Damage {
                        file: name.to_owned(),
                        offset: offset as u64,
                        after: last,
                    });
                    offset = found;
                }
                None => {
                    let (segment, offset) = (name.to_owned(), offset as u64);
                    match next {
                        None => contents.findings.push(Finding::TornTail {
                            segment,
                            offset,
                            bytes: bytes.len() as u64 - offset,
                            after: last,
                        }),
                        Some(next) if last.saturating_add(1) >= next => {
                            contents.findings.push(Finding::AbandonedTail { segment, offset });
                        }
                        Some(_) => contents.damages.push(Damage { file: segment, offset, after: last }),
                    }
                    break;
                }
            },
        }
    }
    if let Some(frame) = bytes.get(last_frame.clone()).filter(|frame| !frame.is_empty()) {
        tail.last = Some((last_frame.start as u64, frame.to_vec()));
    }
    contents.tail = Some(tail);
}

struct Segment {
    name: String,
    file: Box<dyn DiskFile>,
    len: u64,
    frames: u64,
}

/// A segment as a failed write or sync left it.
struct Broken {
    name: String,
    /// Bytes up to the end of the last whole frame.
    good: u64,
    frames: u64,
    /// Rule 5, not done yet: where the last frame is and its bytes.
    last: Option<(u64, Vec<u8>)>,
}

/// The writing end. One per store.
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    segment: Option<Segment>,
    /// A segment that has to be cut back before anything is acknowledged again.
    broken: Option<Broken>,
    /// Checksum of the last frame.
    chain: u32,
    /// Revision of the next batch.
    next: u64,
    segment_bytes: u64,
}

impl Journal {
    /// Goes on behind what was found. A fault of the disk is no reason not to start: the journal then is broken, and the
    /// first append tries again.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        tail: Option<Tail>,
        (revision, chain): (u64, u32),
        segment_bytes: u64,
    ) -> (Journal, Option<Arc<io::Error>>) {
        let mut journal =
            Journal { disk, segment: None, broken: None, chain, next: revision + 1, segment_bytes };
        let Some(tail) = tail else { return (journal, None) };
        match journal.take_up(&tail) {
            Ok(()) => (journal, None),
            Err(error) => {
                let Tail { name, good, frames, last, .. } = tail;
                journal.broken = Some(Broken { name, good, frames, last });
                (journal, Some(Arc::new(error)))
            }
        }
    }

    fn take_up(&mut self, tail: &Tail) -> io::Result<()> {
        if tail.frames == 0 {
            // It would be begun under the same name: make it anew.
            self.disk.remove(&tail.name)?;
            return self.disk.sync_dir(DIR);
        }
        let mut file = self.disk.open(&tail.name, false)?;
        if let Some((offset, bytes)) = &tail.last {
            file.write_at(*offset, bytes)?;
        }
        if tail.len > tail.good {
            file.set_len(tail.good)?;
        }
        file.sync()?;
        // The name may be as new as the frame.
        self.disk.sync_dir(DIR)?;
        let (name, len, frames) = (tail.name.clone(), tail.good, tail.frames);
        self.segment = Some(Segment { name, file, len, frames });
        Ok(())
    }

    /// Checksum of the last frame, the chain value of the next.
    pub(crate) fn chain(&self) -> u32 {
        self.chain
    }

    /// Revision of the next batch.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Makes a frame of `batches` batches durable. When this returns, it is on disk or it is not part of the journal.
    pub(crate) fn append(&mut self, frame: &[u8], crc: u32, batches: u64) -> io::Result<()> {
        self.recover()?;
        if self
            .segment
            .as_ref()
            .is_some_and(|it| it.frames > 0 && it.len + frame.len() as u64 > self.segment_bytes)
        {
            self.segment = None;
        }
        let mut segment = match self.segment.take() {
            Some(segment) => segment,
            None => self.begin_segment()?,
        };
        match segment.file.write_at(segment.len, frame).and_then(|()| segment.file.sync()) {
            Ok(()) => {
                segment.len += frame.len() as u64;
                segment.frames += 1;
                self.segment = Some(segment);
                self.chain = crc;
                self.next += batches;
                Ok(())
            }
            Err(error) => {
                let Segment { name, len: good, frames, .. } = segment;
                self.broken = Some(Broken { name, good, frames, last: None });
                // At once, so that what was refused does not come back after a restart. If it fails now, the next append
                // tries again.
                let _ = self.recover();
                Err(error)
            }
        }
    }

    fn begin_segment(&self) -> io::Result<Segment> {
        let name = segment_name(self.next);
        let mut file = self.disk.open(&name, true)?;
        let header = header(self.next, self.chain);
        file.write_at(0, &header)?;
        file.sync()?;
        self.disk.sync_dir(DIR)?;
        Ok(Segment { name, file, len: header.len() as u64, frames: 0 })
    }

    /// Rule 3: cuts back what a failed write left, and catches up on rule 5. Does nothing when there is nothing.
    pub(crate) fn recover(&mut self) -> io::Result<()> {
        let Some(Broken { name, good, frames, last }) = &self.broken else { return Ok(()) };
        if *frames == 0 {
            match self.disk.remove(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.disk.sync_dir(DIR)?,
            }
        } else {
            let mut file = self.disk.open(name, false)?;
            if let Some((offset, bytes)) = last {
                file.write_at(*offset, bytes)?;
            }
            file.set_len(*good)?;
            file.sync()?;
            self.disk.sync_dir(DIR)?;
        }
        self.broken = None;
        Ok(())
    }

    /// Finds out whether the disk takes a write: cuts back what a failed one left and begins the next segment, which is
    /// wanted anyway.
    pub(crate) fn probe(&mut self) -> io::Result<()> {
        self.recover()?;
        if self.segment.is_none() {
            self.segment = Some(self.begin_segment()?);
        }
        Ok(())
    }

    /// Ends the segment; the next frame begins a new one.
    pub(crate) fn roll(&mut self) {
        if self.segment.as_ref().is_some_and(|segment| segment.frames > 0) {
            self.segment = None;
        }
    }
}

/// Removes segments whose every batch is older than `keep`; the last segment always stays.
pub(crate) fn remove_before(disk: &dyn Disk, keep: u64) -> io::Result<usize> {
    let all = segments(disk)?;
    let mut removed = 0;
    for pair in all.windows(2) {
        let [(_, name), (next, _)] = pair else { break };
        if *next > keep {
            break;
        }
        disk.remove(name)?;
        removed += 1;
    }
    if removed > 0 {
        disk.sync_dir(DIR)?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
