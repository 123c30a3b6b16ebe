use super::*;
use crate::envelope::seal;
use crate::sim::SimDisk;

fn state(revision: u64) -> State {
    let mut state = State::default();
    for number in 0..revision {
        let key = [&[7u8][..], &number.to_be_bytes()].concat();
        let envelope = seal(&key, number, b"some value");
        state.set(key, Some(envelope));
    }
    state.position.revision = revision;
    state.position.chain = 77;
    state
}

#[test]
fn a_checkpoint_reads_back() {
    let disk = SimDisk::default();
    let written = state(1000);
    write(&disk, &written).unwrap();
    let [(1000, name)] = &list(&disk).unwrap()[..] else { panic!() };
    let Ok(back) = read(&disk, name).unwrap() else { panic!() };
    assert_eq!((back.position, &back.records), (written.position, &written.records));
}

#[test]
fn every_flipped_bit_and_every_cut_is_seen() {
    let disk = SimDisk::default();
    write(&disk, &state(3)).unwrap();
    let name = super::name(3);
    let len = disk.read(&name).unwrap().len();
    for bit in 0..len * 8 {
        let damaged = disk.fork();
        damaged.edit(&name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        assert!(matches!(read(&damaged, &name).unwrap(), Err(Unusable::Damaged)), "bit {bit}");
    }
    for cut in 0..len {
        let damaged = disk.fork();
        damaged.edit(&name, |bytes| bytes.truncate(cut));
        assert!(matches!(read(&damaged, &name).unwrap(), Err(Unusable::Damaged)), "cut at {cut}");
    }
}

#[test]
fn a_checkpoint_of_a_newer_format_is_named() {
    let disk = SimDisk::default();
    write(&disk, &state(3)).unwrap();
    let name = super::name(3);
    disk.edit(&name, |bytes| {
        bytes[11] = 2;
        let end = bytes.len() - 4;
        let crc = crc32(&[&bytes[..end]]);
        bytes[end..].copy_from_slice(&crc.to_be_bytes());
    });
    assert!(matches!(read(&disk, &name).unwrap(), Err(Unusable::Newer(2))));
    let error = crate::truth::read(&disk, None).err().unwrap();
    assert!(error.to_string().contains("has format 2, written by a newer reveille"), "{error}");
}

#[test]
fn a_disk_without_room_leaves_no_half_checkpoint() {
    let disk = SimDisk::default();
    write(&disk, &state(3)).unwrap();
    disk.set_full(true);
    write(&disk, &state(5)).unwrap_err();
    assert_eq!(disk.names(), [super::name(3)]);
}
