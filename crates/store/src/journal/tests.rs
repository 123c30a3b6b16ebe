use super::*;
use crate::frame::encode;
use crate::model::{Change, Table};
use crate::sim::{Fault, Rng, SimDisk};

fn change(value: &[u8]) -> Vec<Change> {
    vec![Change { table: Table::Meta, key: b"key".to_vec(), value: Some(value.to_vec()) }]
}

fn append(journal: &mut Journal, value: &[u8]) -> io::Result<()> {
    let changes = change(value);
    let (bytes, crc) = encode(journal.chain(), journal.next(), 0, [changes.as_slice()].into_iter());
    journal.append(&bytes, crc, 1)
}

fn resume(disk: &SimDisk) -> (Journal, Contents) {
    let mut contents = read(disk, None).unwrap();
    let end = contents.frames.last().map_or((0, 0), |frame| (frame.last(), frame.crc));
    let (journal, refused) = Journal::resume(Arc::new(disk.clone()), contents.tail.take(), end, 1 << 20);
    assert!(refused.is_none());
    (journal, contents)
}

fn revisions(contents: &Contents) -> Vec<u64> {
    contents.frames.iter().map(|frame| frame.first).collect()
}

const SEGMENT: &str = "journal/00000000000000000001.log";

/// A journal of three frames, and where each begins; the last offset is the end.
fn three_frames() -> (SimDisk, Vec<usize>) {
    let disk = SimDisk::default();
    let (mut journal, _) = resume(&disk);
    let mut offsets = vec![HEADER_BYTES];
    for value in [&b"one"[..], b"two", b"three"] {
        append(&mut journal, value).unwrap();
        offsets.push(disk.read(SEGMENT).unwrap().len());
    }
    (disk, offsets)
}

#[test]
fn a_tail_torn_at_any_byte_of_the_last_frame_is_cut_and_nothing_else() {
    let (disk, offsets) = three_frames();
    for cut in offsets[2]..offsets[3] {
        let torn = disk.fork();
        torn.edit(SEGMENT, |bytes| bytes.truncate(cut));
        let (mut journal, contents) = resume(&torn);
        assert_eq!(revisions(&contents), [1, 2], "cut at {cut}");
        assert!(contents.damages.is_empty());
        let reported = matches!(contents.findings.as_slice(), [Finding::TornTail { after: 2, .. }]);
        assert_eq!(reported, cut != offsets[2], "cut at {cut}: {:?}", contents.findings);
        append(&mut journal, b"again").unwrap();
        let (_, contents) = resume(&torn);
        assert_eq!(revisions(&contents), [1, 2, 3], "cut at {cut}");
        assert!(contents.findings.is_empty(), "the tail is gone for good");
    }
}

#[test]
fn every_flipped_bit_of_the_last_frame_is_a_torn_tail_and_of_any_other_damage() {
    let (disk, offsets) = three_frames();
    for bit in HEADER_BYTES * 8..offsets[3] * 8 {
        let flipped = disk.fork();
        flipped.edit(SEGMENT, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let contents = read(&flipped, None).unwrap();
        if bit / 8 < offsets[2] {
            let [damage] = contents.damages.as_slice() else { panic!("bit {bit}: {:?}", contents.damages) };
            let frame = usize::from(bit / 8 >= offsets[1]);
            assert_eq!((damage.offset, damage.after), (offsets[frame] as u64, frame as u64), "bit {bit}");
        } else {
            assert_eq!(revisions(&contents), [1, 2], "bit {bit}");
            assert!(
                matches!(contents.findings.as_slice(), [Finding::TornTail { after: 2, .. }]),
                "bit {bit}"
            );
        }
    }
}

#[test]
fn a_damaged_segment_header_is_damage() {
    let (disk, _) = three_frames();
    disk.edit(SEGMENT, |bytes| bytes[9] ^= 1);
    let contents = read(&disk, None).unwrap();
    assert_eq!(contents.damages, [Damage { file: SEGMENT.to_owned(), offset: 0, after: 0 }]);
}

#[test]
fn a_segment_of_a_newer_format_is_named() {
    let (disk, _) = three_frames();
    disk.edit(SEGMENT, |bytes| {
        bytes[11] = 2;
        let crc = crc32(&[&bytes[..24]]);
        bytes[24..28].copy_from_slice(&crc.to_be_bytes());
    });
    assert_eq!(read(&disk, None).unwrap().newer, Some((SEGMENT.to_owned(), 2)));
}

#[test]
fn a_segment_without_a_whole_header_is_made_anew() {
    let (disk, _) = three_frames();
    let (mut journal, _) = resume(&disk);
    journal.roll();
    append(&mut journal, b"four").unwrap();
    let name = segment_name(4);
    for len in 0..HEADER_BYTES {
        let died = disk.fork();
        died.edit(&name, |bytes| bytes.truncate(len));
        let (mut journal, contents) = resume(&died);
        assert_eq!(contents.findings, [Finding::UnbornSegment { segment: name.clone() }], "header of {len}");
        append(&mut journal, b"four").unwrap();
        assert_eq!(revisions(&read(&died, None).unwrap()), [1, 2, 3, 4]);
    }
}

#[test]
fn after_a_failed_write_or_sync_the_frame_is_not_there_and_the_next_ones_are_durable() {
    for failing in 1..=2 {
        let (disk, _) = three_frames();
        let (mut journal, _) = resume(&disk);
        disk.fail(disk.operations() + failing, Fault::Once(io::ErrorKind::Other));
        append(&mut journal, b"lost").unwrap_err();
        append(&mut journal, b"four").unwrap();
        append(&mut journal, b"five").unwrap();
        for seed in 1..50 {
            let contents = read(&disk.crash(&mut Rng::new(seed)), None).unwrap();
            assert_eq!(revisions(&contents), [1, 2, 3, 4, 5]);
            assert_eq!(contents.frames[3].batches()[0][0].value.as_deref(), Some(&b"four"[..]));
            assert!(contents.damages.is_empty());
        }
    }
}

#[test]
fn a_frame_read_back_after_a_sync_that_failed_is_written_again_at_start() {
    let (disk, _) = three_frames();
    let (mut journal, _) = resume(&disk);
    // The sync, and the first step of cutting the frame.
    disk.fail(disk.operations() + 2, Fault::Once(io::ErrorKind::Other));
    disk.fail(disk.operations() + 3, Fault::Once(io::ErrorKind::Other));
    append(&mut journal, b"only in memory").unwrap_err();
    let restarted = disk.fork();
    let (mut journal, contents) = resume(&restarted);
    assert_eq!(revisions(&contents), [1, 2, 3, 4], "the process died before it could cut the frame");
    append(&mut journal, b"five").unwrap();
    for seed in 1..50 {
        assert_eq!(revisions(&read(&restarted.crash(&mut Rng::new(seed)), None).unwrap()), [1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_frame_that_could_not_be_synced_at_start_is_written_again_before_the_next() {
    let (disk, _) = three_frames();
    let (mut journal, _) = resume(&disk);
    disk.fail(disk.operations() + 2, Fault::Once(io::ErrorKind::Other));
    disk.fail(disk.operations() + 3, Fault::Once(io::ErrorKind::Other));
    append(&mut journal, b"only in memory").unwrap_err();
    let restarted = disk.fork();
    // Written, and its sync fails: from now on the system holds the bytes for written.
    restarted.fail(restarted.operations() + 2, Fault::Once(io::ErrorKind::Other));
    let contents = read(&restarted, None).unwrap();
    let last = contents.frames.last().unwrap();
    let end = (last.last(), last.crc);
    let (mut journal, refused) = Journal::resume(Arc::new(restarted.clone()), contents.tail, end, 1 << 20);
    assert!(refused.is_some());
    append(&mut journal, b"five").unwrap();
    for seed in 1..50 {
        assert_eq!(revisions(&read(&restarted.crash(&mut Rng::new(seed)), None).unwrap()), [1, 2, 3, 4, 5]);
    }
}

#[test]
fn frames_a_newer_segment_has_again_do_not_count() {
    let (disk, _) = three_frames();
    let (mut journal, _) = resume(&disk);
    let leftover = disk.fork();
    append(&mut journal, b"leftover").unwrap();
    let with_leftover = disk.read(SEGMENT).unwrap();
    let (mut journal, _) = resume(&leftover);
    journal.roll();
    append(&mut journal, b"four").unwrap();
    leftover.edit(SEGMENT, |bytes| *bytes = with_leftover);
    let contents = read(&leftover, None).unwrap();
    assert_eq!(revisions(&contents), [1, 2, 3, 4]);
    assert_eq!(contents.frames[3].batches()[0][0].value.as_deref(), Some(&b"four"[..]));
    assert!(matches!(contents.findings.as_slice(), [Finding::AbandonedTail { .. }]));
    assert!(contents.damages.is_empty());
}

#[test]
fn segments_end_at_their_size_and_go_when_nothing_in_them_is_needed() {
    let disk = SimDisk::default();
    let (mut journal, _) = Journal::resume(Arc::new(disk.clone()), None, (0, 0), 100);
    for value in 0..10u8 {
        append(&mut journal, &[value; 40]).unwrap();
    }
    assert_eq!(segments(&disk).unwrap().len(), 10);
    assert_eq!(revisions(&read(&disk, None).unwrap()), (1..=10).collect::<Vec<_>>());
    assert_eq!(revisions(&read(&disk, Some(4)).unwrap()), (1..=4).collect::<Vec<_>>());
    assert_eq!(remove_before(&disk, 7).unwrap(), 6);
    assert_eq!(revisions(&read(&disk, None).unwrap()), (7..=10).collect::<Vec<_>>());
    assert_eq!(remove_before(&disk, 100).unwrap(), 3, "the last one stays");
}
