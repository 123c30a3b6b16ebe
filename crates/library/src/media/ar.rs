//! `ar` archives, read forwards: what a VIB is.
//!
//! `!<arch>` and LF, then members: a header of 60 bytes (name 16, time 12, owner 6, group 6, mode 8, size 10, then the two
//! bytes 60 0a), as many bytes as it says, and one of padding when they are odd. Numbers are decimal, filled with blanks.
//! GNU writes `/` behind a name, and names beyond 15 bytes into a member `//` that `/<offset>` refers to.
//!
//! A size is believed for how far to read, never for what is allocated.

use super::{MediaError, Refusal};
use crate::limits::{AR_MEMBERS_MAX, AR_NAMES_BYTES_MAX};
use std::io::{self, Read};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_BYTES: usize = 60;

/// One member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) size: u64,
    /// Where its bytes start in the archive.
    pub(super) offset: u64,
}

/// An archive as far as it was read. Reading gives the bytes of the present member.
pub(super) struct Ar<R> {
    inner: R,
    at: u64,
    /// Bytes of the present member that were not read.
    left: u64,
    padded: bool,
    members: usize,
    names: Vec<u8>,
}

fn cut_off() -> MediaError {
    MediaError::malformed("the ar archive is cut off")
}

impl<R: Read> Ar<R> {
    pub(super) fn new(mut inner: R) -> Result<Ar<R>, MediaError> {
        let mut magic = [0u8; 8];
        if fill(&mut inner, &mut magic)? != magic.len() || &magic != MAGIC {
            return Err(MediaError::malformed("it is no ar archive (`!<arch>` at its start)"));
        }
        let at = magic.len() as u64;
        Ok(Ar { inner, at, left: 0, padded: false, members: 0, names: Vec::new() })
    }

    /// The next member, `None` at the end. What was not read of the one before is passed over.
    pub(super) fn next(&mut self) -> Result<Option<Member>, MediaError> {
        loop {
            self.pass()?;
            let mut header = [0u8; HEADER_BYTES];
            match fill(&mut self.inner, &mut header)? {
                0 => return Ok(None),
                HEADER_BYTES => self.at += HEADER_BYTES as u64,
                _ => return Err(cut_off()),
            }
            self.members += 1;
            if self.members > AR_MEMBERS_MAX {
                return Err(MediaError::limit(format!(
                    "an ar archive has more than {AR_MEMBERS_MAX} members"
                )));
            }
            let damaged = || MediaError::malformed("a header of the ar archive is damaged");
            if header.get(58..) != Some(b"`\n") {
                return Err(damaged());
            }
            let size = header.get(48..58).and_then(number).ok_or_else(damaged)?;
            (self.left, self.padded) = (size, !size.is_multiple_of(2));
            let raw = header.get(..16).unwrap_or_default().trim_ascii_end();
            let name = match raw {
                // A table of symbols.
                b"/" => continue,
                b"//" => {
                    if size > AR_NAMES_BYTES_MAX {
                        return Err(MediaError::limit("the long names of an ar archive are too many"));
                    }
                    let mut names = Vec::new();
                    self.read_to_end(&mut names).map_err(MediaError::from_io)?;
                    self.names = names;
                    continue;
                }
                [b'/', digits @ ..] => {
                    let at = number(digits).and_then(|at| usize::try_from(at).ok()).ok_or_else(damaged)?;
                    let rest = self.names.get(at..).ok_or_else(damaged)?;
                    rest.split(|byte| matches!(byte, b'\n' | 0)).next().unwrap_or_default()
                }
                raw => raw,
            };
            let name = std::str::from_utf8(name.strip_suffix(b"/").unwrap_or(name)).map_err(|_| damaged())?;
            if name.is_empty() || name.starts_with("#1/") {
                let text = format!("a member of an ar archive is named {name:?}, which is not read");
                return Err(MediaError::new(Refusal::Unsupported, text));
            }
            return Ok(Some(Member { name: name.to_owned(), size, offset: self.at }));
        }
    }

    /// To the next header. The last padding may be missing.
    fn pass(&mut self) -> Result<(), MediaError> {
        let mut buffer = [0u8; 16 << 10];
        while self.left > 0 {
            self.read(&mut buffer).map_err(MediaError::from_io)?;
        }
        if std::mem::take(&mut self.padded) {
            self.at += fill(&mut self.inner, &mut [0u8])? as u64;
        }
        Ok(())
    }
}

impl<R: Read> Read for Ar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        if part.is_empty() {
            return Ok(0);
        }
        let read = self.inner.read(part)?;
        if read == 0 {
            return Err(cut_off().into());
        }
        self.left -= read as u64;
        self.at += read as u64;
        Ok(read)
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits.trim_ascii()).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, MediaError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(MediaError::from_io(error)),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
