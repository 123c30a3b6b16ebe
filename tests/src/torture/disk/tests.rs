//! One test for each rule: what has to be there is there, and what may be lost is lost some time.

use super::super::syscalls::parse;
use super::*;
use std::collections::BTreeSet;

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// Lines in a short form of their own: `W file offset text`, `S path`, `M file`, `R from to`, `D file`, `L file len`,
/// `P file len` (reserve), `A n`.
fn recording(lines: &[&str]) -> Recording {
    let path = |name: &str| hex(&format!("/d/{name}").replace("/d/.", "/d"));
    let mut log = String::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        log += &match words[..] {
            ["W", file, at, text] => {
                let (path, bytes, len) = (path(file), hex(text), text.len());
                format!("1 pwrite64(3<{path}>, \"{bytes}\", {len}, {at}) = {len}\n")
            }
            ["S", file] => format!("1 fdatasync(3<{}>) = 0\n", path(file)),
            ["F", file] => format!("1 sync_file_range(3<{}>, 0, 0, 7) = 0\n", path(file)),
            ["M", file] => {
                let path = path(file);
                format!("1 openat(AT_FDCWD<{}>, \"{path}\", O_RDWR|O_CREAT, 0600) = 3<{path}>\n", hex("/"))
            }
            ["P", file, len] => format!("1 fallocate(3<{}>, 0, 0, {len}) = 0\n", path(file)),
            ["R", from, to] => format!("1 rename(\"{}\", \"{}\") = 0\n", path(from), path(to)),
            ["D", file] => format!("1 unlink(\"{}\") = 0\n", path(file)),
            ["L", file, len] => format!("1 ftruncate(3<{}>, {len}) = 0\n", path(file)),
            ["A", number] => {
                format!("1 write(1<{}>, \"{}\", 8) = 8\n", hex("/pipe"), hex(&format!("acked {number}\n")))
            }
            _ => panic!("{line}"),
        };
    }
    let base = tempfile::tempdir().unwrap();
    Recording::new(Path::new("/d"), base.path(), &parse(&log).unwrap()).unwrap()
}

/// Every state seen in many tries: names with their text.
fn states(recording: &Recording, crash: usize) -> BTreeSet<Vec<String>> {
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        let folder = tempfile::tempdir().unwrap();
        recording.write_state(crash, &mut Dice::new(seed), folder.path()).unwrap();
        let mut state: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap().replace('\0', "");
                format!("{}={text}", path.file_name().unwrap().to_str().unwrap())
            })
            .collect();
        state.sort();
        seen.insert(state);
    }
    seen
}

fn set(states: &[&[&str]]) -> BTreeSet<Vec<String>> {
    states.iter().map(|state| state.iter().map(|text| (*text).to_owned()).collect()).collect()
}

#[test]
fn synced_bytes_and_names_are_there() {
    let recording = recording(&["M a", "W a 0 one", "S a", "S ."]);
    assert_eq!(states(&recording, 4), set(&[&["a=one"]]));
    assert_eq!(recording.operations(), (4, 2));
}

#[test]
fn unsynced_bytes_are_there_or_not_and_sync_file_range_changes_nothing() {
    let recording = recording(&["M a", "S .", "W a 0 one", "F a"]);
    assert_eq!(states(&recording, 4), set(&[&["a="], &["a=one"]]));
    assert_eq!(states(&recording, 2), set(&[&["a="]]), "what had not begun is not there");
}

#[test]
fn a_write_behind_the_sync_is_not_covered_by_it() {
    let recording = recording(&["M a", "S .", "W a 0 one", "S a", "W a 0 two"]);
    assert_eq!(states(&recording, 5), set(&[&["a=one"], &["a=two"]]));
}

#[test]
fn sectors_of_one_write_are_torn_apart() {
    let long = format!("{}{}", "x".repeat(512), "y".repeat(512));
    let recording = recording(&["M a", "S .", &format!("W a 0 {long}")]);
    let seen = states(&recording, 3);
    assert!(seen.contains(&vec![format!("a={}", "y".repeat(512))]), "the second half without the first");
    assert!(seen.contains(&vec![format!("a={}", "x".repeat(512))]), "the first half without the second");
    assert!(seen.contains(&vec![format!("a={long}")]) && seen.contains(&vec!["a=".to_owned()]));
}

#[test]
fn names_stand_as_after_any_number_of_operations() {
    let recording = recording(&["M a", "W a 0 one", "S a", "S .", "R a b", "M c", "D b"]);
    let expected = set(&[&["a=one"], &["b=one"], &["b=one", "c="], &["c="]]);
    assert_eq!(states(&recording, 7), expected);
}

#[test]
fn a_cut_file_has_either_length() {
    let recording = recording(&["M a", "S .", "W a 0 onetwo", "S a", "L a 3"]);
    let seen = states(&recording, 5);
    assert!(seen.contains(&vec!["a=one".to_owned()]) && seen.contains(&vec!["a=onetwo".to_owned()]));
}

#[test]
fn reserved_room_is_there_or_not_and_changes_no_byte() {
    let recording = recording(&["M a", "S .", "W a 0 one", "S a", "P a 4096"]);
    assert_eq!(states(&recording, 5), set(&[&["a=one"]]), "zeros are not shown");
    let lengths: BTreeSet<u64> = (0..50)
        .map(|seed| {
            let folder = tempfile::tempdir().unwrap();
            recording.write_state(5, &mut Dice::new(seed), folder.path()).unwrap();
            std::fs::metadata(folder.path().join("a")).unwrap().len()
        })
        .collect();
    assert_eq!(lengths, BTreeSet::from([3, 4096]));
}

#[test]
fn acknowledgements_count_from_where_they_were_written() {
    let recording = recording(&["M a", "A 1", "A 2"]);
    assert_eq!([0, 1, 2, 3].map(|crash| recording.acked(crash)), [0, 0, 1, 2]);
}
