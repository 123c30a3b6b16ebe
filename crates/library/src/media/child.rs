//! The parent of a confined reader: starts it, asks it, and believes nothing it says.

use super::listing::{Content, Entry, Listing};
use super::{Caps, MediaError, Medium, MediumKind, Refusal, le64, wire, worker};
use crate::limits::{IMAGE_FILES_MAX, NOTED_NAMES};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a listing may take: a compressed archive is unpacked whole for it.
const LIST_WAIT: Duration = Duration::from_secs(30 * 60);

/// How long we wait for the next bytes.
const READ_WAIT: Duration = Duration::from_secs(60);

/// How often a listing that is under way looks whether it is still wanted, in milliseconds.
const LOOK_EVERY_MS: u8 = 100;

/// A confined process with one medium. It is killed when this goes.
pub(super) struct Child {
    process: process::Child,
    socket: UnixStream,
    kind: MediumKind,
    medium_size: u64,
    profile: Option<String>,
    /// An answer was not read to its end: what comes next is not what was asked for.
    behind: bool,
}

impl Child {
    pub(super) fn spawn(
        program: &Path,
        file: File,
        kind: MediumKind,
        medium_size: u64,
    ) -> Result<Child, MediaError> {
        let failed = |error: io::Error| {
            MediaError::new(Refusal::Reader, format!("cannot start the process that reads media: {error}"))
        };
        let (socket, other) = UnixStream::pair().map_err(failed)?;
        let process = Command::new(program)
            .arg(worker::ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(file))
            .stdout(Stdio::from(OwnedFd::from(other)))
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        Ok(Child { process, socket, kind, medium_size, profile: None, behind: false })
    }

    /// The same for one image profile of a depot.
    pub(super) fn with_profile(mut self, profile: Option<String>) -> Child {
        self.profile = profile;
        self
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    fn ask(&mut self, tag: u8, bytes: &[u8], wait: Duration) -> Result<(), MediaError> {
        if self.behind {
            return Err(MediaError::new(
                Refusal::Reader,
                "the process that reads the medium was left in mid-file",
            ));
        }
        self.behind = true;
        let sent =
            self.socket.set_read_timeout(Some(wait)).and_then(|()| wire::write(&mut self.socket, tag, bytes));
        sent.map_err(|error| self.gone(&error))
    }

    /// Why there is no answer.
    fn gone(&mut self, error: &io::Error) -> MediaError {
        let ended = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "is stuck".to_owned(),
            io::ErrorKind::InvalidData => "says what is no answer".to_owned(),
            _ => {
                // One that closed its end and stays is ended; one that is gone keeps the status it had.
                let _ = self.process.kill();
                self.process
                    .wait()
                    .map_or_else(|error| error.to_string(), |status| format!("ended: {status}"))
            }
        };
        MediaError::new(Refusal::Reader, format!("the process that reads the medium {ended}"))
    }

    fn answer(&mut self, bytes: &mut Vec<u8>) -> Result<u8, MediaError> {
        wire::read(&mut self.socket, bytes).map_err(|error| self.gone(&error))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may be gone; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn nonsense() -> MediaError {
    MediaError::new(Refusal::Reader, "the process that reads the medium says what is no answer")
}

impl Child {
    /// Waits until the child says something, however long it is silent, but no longer than `stop` allows: a compressed
    /// archive is unpacked before the first word.
    fn first_word(&mut self, stop: &dyn Fn() -> bool) -> Result<(), MediaError> {
        let until = Instant::now() + LIST_WAIT;
        let cancelled = || MediaError::new(Refusal::Reader, "cancelled");
        loop {
            if stop() {
                return Err(cancelled());
            }
            let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, LOOK_EVERY_MS) {
                Ok(0) | Err(Errno::EINTR) if Instant::now() < until => {}
                // Whatever it is, the read that follows tells.
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }

    /// As [`Medium::list`]; once `stop` says so it fails at once, and the child ends with this.
    pub(super) fn list_until(&mut self, caps: Caps, stop: &dyn Fn() -> bool) -> Result<Listing, MediaError> {
        let request = wire::list_request(self.kind, caps.bytes_max, self.profile.as_deref());
        self.ask(b'L', &request, READ_WAIT)?;
        self.first_word(stop)?;
        let mut listing = Listing::new(caps, self.medium_size);
        let mut bytes = Vec::new();
        loop {
            match self.answer(&mut bytes)? {
                b'E' => {
                    let (name, size, content) = wire::read_entry(&bytes).ok_or_else(nonsense)?;
                    listing.add(name, size, content)?;
                }
                b'N' => listing.note(&String::from_utf8_lossy(&bytes)),
                b'O' => {
                    let count = le64(&bytes, 0).min(IMAGE_FILES_MAX as u64);
                    let names = bytes.get(8..).unwrap_or_default().split(|byte| *byte == 0);
                    let names: Vec<_> = names.take(NOTED_NAMES).map(String::from_utf8_lossy).collect();
                    for place in 0..usize::try_from(count).unwrap_or(0) {
                        listing.leave_out(names.get(place).map_or("", |name| name))?;
                    }
                }
                b'D' => break,
                b'X' => {
                    self.behind = false;
                    return Err(wire::read_error(&bytes));
                }
                _ => return Err(nonsense()),
            }
        }
        self.behind = false;
        Ok(listing)
    }
}

impl Medium for Child {
    fn list(&mut self, caps: Caps) -> Result<Listing, MediaError> {
        self.list_until(caps, &|| false)
    }

    fn open(&mut self, entry: &Entry) -> Result<Box<dyn Read + '_>, MediaError> {
        let Content::Stream { .. } = entry.content else { return Err(nonsense()) };
        self.ask(b'R', &(entry.index as u64).to_le_bytes(), READ_WAIT)?;
        Ok(Box::new(Frames { child: self, bytes: Vec::new(), at: 0, left: entry.size, done: false }))
    }
}

/// The bytes of one file as they come.
struct Frames<'a> {
    child: &'a mut Child,
    bytes: Vec<u8>,
    at: usize,
    left: u64,
    done: bool,
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.bytes.len() {
            if self.done || buffer.is_empty() {
                return Ok(0);
            }
            self.at = 0;
            match self.child.answer(&mut self.bytes)? {
                b'B' if !self.bytes.is_empty() => {
                    let Some(left) = self.left.checked_sub(self.bytes.len() as u64) else {
                        return Err(MediaError::malformed("a file has more bytes than it says").into());
                    };
                    self.left = left;
                }
                b'D' if self.left == 0 => {
                    self.bytes.clear();
                    self.done = true;
                    self.child.behind = false;
                }
                b'D' => return Err(MediaError::malformed("a file has fewer bytes than it says").into()),
                b'X' => {
                    self.child.behind = false;
                    return Err(wire::read_error(&self.bytes).into());
                }
                _ => return Err(nonsense().into()),
            }
        }
        let read = (self.bytes.get(self.at..).unwrap_or_default()).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}
