//! The loaders inside a payload, where a package has them: `mboot.efi`, `crypto64.efi`, `mboot.c32`.
//!
//! Only payloads that are plain tar archives are looked through. What is no such archive, or ends early, has none: payloads
//! are the machine's to judge. `bootx64.efi` is not taken: on a boot partition that name is the disk's loader.

use super::super::tar;
use super::super::xml::Element;
use crate::limits::{DEPOT_LOADER_SEARCH_BYTES_MAX, LOADER_BYTES_MAX};
use flate2::read::MultiGzDecoder;
use std::io::{self, Read};

pub(super) const MBOOT_EFI: &str = "mboot.efi";

/// A loader: the name it is asked by, and its bytes.
pub(super) type Loader = (&'static str, Vec<u8>);

/// Last part of a name in a payload, and the name it is asked by.
const LOADERS: [(&str, &str); 4] = [
    ("mboot.efi", MBOOT_EFI),
    ("mboot64.efi", MBOOT_EFI),
    ("crypto64.efi", "crypto64.efi"),
    ("mboot.c32", "mboot.c32"),
];

fn wanted(name: &str) -> Option<&'static str> {
    let last = name.rsplit('/').next()?;
    LOADERS.iter().find(|(own, _)| own.eq_ignore_ascii_case(last)).map(|(_, asked)| *asked)
}

/// True when the list of files in a descriptor names one.
pub(super) fn may_hold(descriptor: &Element) -> bool {
    let files = descriptor.child("filelist").into_iter().flat_map(|list| list.all("file"));
    files.into_iter().any(|file| wanted(&file.text).is_some())
}

/// Adds what is found; the first of a name counts.
pub(super) fn search(payload: impl Read, found: &mut Vec<Loader>) {
    // Ends early at anything odd.
    let _ = walk(MultiGzDecoder::new(payload).take(DEPOT_LOADER_SEARCH_BYTES_MAX), found);
}

fn walk(mut archive: impl Read, found: &mut Vec<Loader>) -> io::Result<()> {
    const BLOCK: u64 = 512;
    let mut header = [0u8; 512];
    loop {
        archive.read_exact(&mut header)?;
        // `visor` archives keep their bytes elsewhere.
        if !tar::is_header(&header) || header.get(257..262) != Some(b"ustar") {
            return Ok(());
        }
        let (Ok(size), Ok(name)) = (tar::number_field(&header, 124, 12), tar::header_name(&header)) else {
            return Ok(());
        };
        let is_file = matches!(header.get(156), Some(0 | b'0'));
        let asked = wanted(&name).filter(|asked| {
            is_file && size <= LOADER_BYTES_MAX && !found.iter().any(|(own, _)| own == asked)
        });
        let mut passed = 0;
        if let Some(asked) = asked {
            let mut bytes = Vec::new();
            passed = archive.by_ref().take(size).read_to_end(&mut bytes)? as u64;
            if passed == size {
                found.push((asked, bytes));
            }
        }
        let rest =
            size.checked_next_multiple_of(BLOCK).map_or(u64::MAX, |padded| padded.saturating_sub(passed));
        io::copy(&mut archive.by_ref().take(rest), &mut io::sink())?;
    }
}
