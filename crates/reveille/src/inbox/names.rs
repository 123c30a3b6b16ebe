//! Names in the inbox: which are left alone, how they are shown, and what they are called where they are moved to.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where what was imported goes.
pub(super) const DONE: &str = "done";
/// Where what was refused goes, each with its reason beside it.
pub(super) const REFUSED: &str = "refused";
/// Ending of the file that says why something was refused.
pub(super) const WHY: &str = ".why.txt";

/// Endings of files that somebody is still copying or fetching, by browsers, WinSCP, rsync and careful scripts.
const UNFINISHED: [&str; 6] = [".part", ".partial", ".filepart", ".tmp", ".crdownload", ".download"];
/// Longest name in a folder, in bytes; what Linux file systems allow.
const NAME_BYTES_MAX: usize = 255;
/// Longest ending that stays behind a number, without its dot: no known one has more.
const ENDING_BYTES_MAX: usize = 7;

/// True for our own folders and files, for hidden entries, and for what is still under way by its name.
pub(super) fn is_ignored(name: &OsStr) -> bool {
    let name = name.as_bytes().to_ascii_lowercase();
    let ends = |ending: &&str| name.ends_with(ending.as_bytes());
    name.starts_with(b".")
        || [DONE, REFUSED].iter().any(|own| name == own.as_bytes())
        || ends(&WHY)
        || UNFINISHED.iter().any(ends)
}

/// A name as it may be shown: control characters escaped, what is not UTF-8 replaced.
pub(super) fn shown(name: &OsStr) -> String {
    let mut text = String::new();
    for char in name.to_string_lossy().chars() {
        if char.is_control() { text.extend(char.escape_default()) } else { text.push(char) }
    }
    text
}

/// What an entry is called where it is moved to: as it was, and from the second of that name on with `-2`, `-3`, … before
/// its ending. Cut where the name of its reason would be too long.
pub(super) fn aside(name: &OsStr, number: usize) -> OsString {
    let bytes = name.as_bytes();
    let (stem, ending) = split(bytes);
    let mark = if number > 1 { format!("-{number}") } else { String::new() };
    let room = NAME_BYTES_MAX.saturating_sub(mark.len() + ending.len() + WHY.len());
    let stem = match std::str::from_utf8(stem) {
        Ok(text) => text.get(..text.floor_char_boundary(room)).unwrap_or_default().as_bytes(),
        Err(_) => stem.get(..room).unwrap_or(stem),
    };
    OsString::from_vec([stem, mark.as_bytes(), ending].concat())
}

/// A name and its ending with the dot: a letter and a few letters and digits, or `.tar.gz`. In `esxi-8.3` there is none.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let is_ending = |text: &[u8]| {
        text.first().is_some_and(u8::is_ascii_alphabetic)
            && text.len() <= ENDING_BYTES_MAX
            && text.iter().all(u8::is_ascii_alphanumeric)
    };
    let at = match name.to_ascii_lowercase().strip_suffix(b".tar.gz") {
        Some(stem) => Some(stem.len()),
        None => {
            name.iter().rposition(|&byte| byte == b'.').filter(|at| name.get(at + 1..).is_some_and(is_ending))
        }
    };
    name.split_at_checked(at.filter(|at| *at > 0).unwrap_or(name.len())).unwrap_or((name, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_hidden_or_unfinished_is_ignored() {
        for name in [
            "done",
            "refused",
            ".x.iso.Ab12",
            ".",
            "x.iso.part",
            "X.ISO.PART",
            "x.iso.filepart",
            "x.tmp",
            "x.crdownload",
            "garbage.iso.why.txt",
        ] {
            assert!(is_ignored(OsStr::new(name)), "{name}");
        }
        for name in ["x.iso", "done.iso", "refused-2", "part", "tmp", "x.parts", "why.txt"] {
            assert!(!is_ignored(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_second_of_the_same_name_is_numbered_before_its_ending() {
        let called = |name: &str, number| aside(OsStr::new(name), number).into_string().unwrap();
        assert_eq!(called("x.iso", 1), "x.iso");
        assert_eq!(called("x.iso", 2), "x-2.iso");
        assert_eq!(called("x.TAR.gz", 3), "x-3.TAR.gz");
        assert_eq!(called("esxi-8.0.3 build", 2), "esxi-8.0.3 build-2");
        assert_eq!(called("folder", 2), "folder-2");
        assert_eq!(called("esxi-8.3", 2), "esxi-8.3-2");
        assert_eq!(called("x.", 2), "x.-2");
    }

    #[test]
    fn a_long_name_leaves_room_for_its_reason() {
        for (name, number) in [("x".repeat(255), 1), (format!("{}.iso", "ä".repeat(125)), 999)] {
            let called = aside(OsStr::new(&name), number).into_string().unwrap();
            assert!(called.len() + WHY.len() <= NAME_BYTES_MAX, "{}", called.len());
            assert!(called.len() + WHY.len() >= NAME_BYTES_MAX - 1, "{}", called.len());
        }
        let odd = OsString::from_vec([&[0xff; 250][..], b".iso"].concat());
        assert!(aside(&odd, 2).len() <= NAME_BYTES_MAX - WHY.len());
    }

    #[test]
    fn a_shown_name_moves_no_cursor() {
        assert_eq!(shown(OsStr::new("a\x1b[2Jb\n")), "a\\u{1b}[2Jb\\n");
        assert_eq!(shown(OsStr::from_bytes(b"a\xffb")), "a\u{fffd}b");
    }
}
