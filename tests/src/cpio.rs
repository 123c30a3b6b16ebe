//! The `newc` archive form of initial ramdisks (kernel `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! Header: `070701`, then 13 fields of 8 hex digits; name and data are each padded to 4 bytes.

use anyhow::{Context, Result, bail};
use std::io::Read;

const HEADER_BYTES: usize = 110;
const NAME_BYTES_MAX: usize = 4096;
/// No file of a ramdisk we read is larger.
const FILE_BYTES_MAX: usize = 256 << 20;

/// Writes an archive in memory.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    entries: u32,
}

impl Writer {
    /// Adds a folder; its parents come first.
    pub fn folder(&mut self, name: &str) {
        self.entry(name, 0o040_755, &[]);
    }

    /// Adds a file that anyone may run.
    pub fn file(&mut self, name: &str, data: &[u8]) {
        self.entry(name, 0o100_755, data);
    }

    /// The archive, with its trailer.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.entries += 1;
        let links = 1;
        let fields =
            [self.entries as usize, mode as usize, 0, 0, links, 0, data.len(), 0, 0, 0, 0, name.len() + 1, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Reads an archive entry by entry, calling `take` with name and data of every regular file until it says false.
///
/// # Errors
/// When the archive is cut off or is none.
pub fn read(mut source: impl Read, mut take: impl FnMut(&str, &[u8]) -> bool) -> Result<()> {
    loop {
        let mut header = [0; HEADER_BYTES];
        source.read_exact(&mut header).context("cpio archive is cut off")?;
        let header = std::str::from_utf8(&header).context("not a cpio archive")?;
        if !header.starts_with("070701") {
            bail!("not a cpio archive of the newc form");
        }
        let field = |number: usize| -> Result<usize> {
            let digits = header.get(6 + number * 8..14 + number * 8).context("cpio header")?;
            usize::from_str_radix(digits, 16).context("cpio header")
        };
        let (mode, size, name_size) = (field(1)?, field(6)?, field(11)?);
        if size > FILE_BYTES_MAX || name_size > NAME_BYTES_MAX {
            bail!("cpio entry of {size} bytes with a name of {name_size} bytes is too large");
        }
        let mut name = vec![0; (HEADER_BYTES + name_size).next_multiple_of(4) - HEADER_BYTES];
        source.read_exact(&mut name).context("cpio archive is cut off")?;
        name.truncate(name_size.saturating_sub(1));
        let name = String::from_utf8_lossy(&name).into_owned();
        if name == "TRAILER!!!" {
            return Ok(());
        }
        let mut data = vec![0; size.next_multiple_of(4)];
        source.read_exact(&mut data).context("cpio archive is cut off")?;
        data.truncate(size);
        let regular = mode & 0o170_000 == 0o100_000;
        if regular && !take(name.trim_start_matches("./"), &data) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = Writer::default();
        writer.folder("bin");
        writer.file("bin/a", b"12345");
        writer.file("init", b"");
        let archive = writer.finish();
        let mut seen = Vec::new();
        let mut take = |name: &str, data: &[u8]| {
            seen.push((name.to_string(), data.to_vec()));
            true
        };
        read(archive.as_slice(), &mut take).unwrap();
        assert_eq!(seen, [("bin/a".into(), b"12345".to_vec()), ("init".into(), Vec::new())]);
        assert!(read(&archive[..archive.len() - 60], |_, _| true).is_err());
    }
}
