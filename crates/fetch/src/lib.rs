//! Files from HTTP servers: one at a time by URL, onto our disk, in as many tries as it takes.
//!
//! A download is two files in a folder of its own (`part`): the bytes so far, and what is known of the file they belong
//! to. A try that ends early leaves both; the next one, also of another run of the program, asks for the rest (`Range`
//! with `If-Range`) and begins anew when the server has another file by now. Whether an answer is what was asked for is
//! decided in `answer`, without a socket. Nothing is believed of a server that can be counted: not its length, not its
//! range, not its redirects.
//!
//! [`Client`] is for those who talk to a server rather than take a file from it: one question of any method with a small answer,
//! over the same connections, trust and bounds; nothing is followed or tried again.
//!
//! What is deliberately absent: proxies (no environment variable is read but those for CA certificates), cookies, caches,
//! decompression, HTTP/2, any scheme but http and https. What the bytes mean is for others; so is their checksum, but for
//! [`digest_of`], which reads a finished file back from the disk.
//!
//! Sources: RFC 9110 (§13.1.5 `If-Range`, §14 ranges), RFC 9112 §6.3 (where a body ends), RFC 3986 §5.2.

mod answer;
mod client;
mod error;
mod exchange;
pub mod limits;
mod location;
mod part;
mod trust;

pub use client::{Client, Question, Reply};
pub use error::FetchError;
pub use limits::Limits;
pub use location::{Location, LocationError, basic_authorization};
pub use part::{check_room, free_room};
pub use trust::Trust;

use answer::{Rest, Verdict, Why, judge};
use exchange::{Answer, Asker, patiently};
use limits::REDIRECTS_MAX;
use part::{Part, Record};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Who watches a download. It may move between threads with it.
pub trait Watch: Send + Sync {
    /// Told after every piece: bytes there are, and of the whole where that is known.
    fn advanced(&mut self, done: u64, total: Option<u64>);

    /// Told what goes on besides, in words for an operator.
    fn says(&mut self, text: &str) {
        let _ = text;
    }

    /// Asked ten times a second; `true` ends the download. What there is stays for another try.
    fn cancelled(&self) -> bool {
        false
    }
}

/// The downloads of one folder. One process uses a folder at a time.
pub struct Downloads {
    folder: PathBuf,
    limits: Limits,
    trusted: Option<Arc<rustls::ClientConfig>>,
    busy: Mutex<HashSet<String>>,
}

/// A file that is there whole. Nobody else fetches it while this lives.
pub struct Fetched<'a> {
    downloads: &'a Downloads,
    key: String,
    path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Bytes that an earlier run had left.
    pub resumed: u64,
}

impl Fetched<'_> {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it. Otherwise it stays for a while, and another download only asks whether it is still the same.
    pub fn remove(self) {
        part::remove(&self.path);
    }
}

impl Drop for Fetched<'_> {
    fn drop(&mut self) {
        self.downloads.lock().remove(&self.key);
    }
}

impl Downloads {
    /// Downloads into this folder, which is made when the first one begins. It holds nothing else.
    pub fn new(folder: impl Into<PathBuf>, limits: Limits) -> Downloads {
        Downloads { folder: folder.into(), limits, trusted: None, busy: Mutex::default() }
    }

    /// Trusts only these certificates over https, given in DER.
    ///
    /// # Errors
    /// [`FetchError::NoRoots`] when none of them can be used.
    pub fn trusting(self, certificates: Vec<Vec<u8>>) -> Result<Downloads, FetchError> {
        let trusted = trust::these(certificates.into_iter().map(Into::into).collect())?;
        Ok(Downloads { trusted: Some(trusted), ..self })
    }

    /// Removes what nobody went on with. Before each download, and when the program starts.
    pub fn tidy(&self) {
        let busy = self.lock().clone();
        part::tidy(&self.folder, |key| busy.contains(key));
    }

    /// Fetches a file whole, going on where an earlier try was left.
    ///
    /// # Errors
    /// See [`FetchError`]. What there is stays for another try unless it can be of no use.
    pub async fn fetch(&self, location: &Location, watch: &mut dyn Watch) -> Result<Fetched<'_>, FetchError> {
        let key = hex(&Sha256::digest(location.identity().as_bytes()));
        if !self.lock().insert(key.clone()) {
            return Err(FetchError::Busy(location.to_string()));
        }
        let path = self.folder.join(format!("{key}.part"));
        let mut fetched = Fetched { downloads: self, key, path, bytes: 0, resumed: 0 };
        self.tidy();
        let mut part = Part::open(&self.folder, &fetched.key)?;
        fetched.resumed = part.size();
        match self.all_tries(location, &mut part, watch).await {
            Ok(anew) => {
                (fetched.bytes, fetched.path) = (part.size(), part.path().to_owned());
                if anew {
                    fetched.resumed = 0;
                }
                Ok(fetched)
            }
            Err(error) => {
                if part.size() == 0 || matches!(error, FetchError::TooLarge { .. } | FetchError::Empty(_)) {
                    part.remove();
                }
                Err(error)
            }
        }
    }

    /// Tries until the file is there, or nothing new came too often. Says whether it began anew.
    async fn all_tries(
        &self,
        location: &Location,
        part: &mut Part,
        watch: &mut dyn Watch,
    ) -> Result<bool, FetchError> {
        let (mut tries, mut most, mut anew) = (0u32, part.size(), false);
        // One that cannot go on begins anew next time.
        let mut from_start = false;
        loop {
            let error = match self.one_try(location, part, watch, from_start, &mut anew).await {
                Ok(()) => return Ok(anew),
                Err(error) => error,
            };
            // What came is not lost to a crash of the machine either.
            part.sync()?;
            if !error.may_pass() {
                return Err(error);
            }
            from_start = matches!(error, FetchError::Changed(_) | FetchError::WrongPart { .. });
            if part.size() >= most.saturating_add(self.limits.progress_bytes) {
                (most, tries) = (part.size(), 0);
            }
            tries += 1;
            if tries >= self.limits.tries_max {
                return Err(FetchError::GaveUp { tries, source: Box::new(error) });
            }
            let pause = self.limits.pause_first.saturating_mul(1 << (tries - 1).min(16));
            watch.says(&format!("{error}; trying again in {} s", pause.as_secs_f32()));
            tracing::info!(url = %location, bytes = part.size(), cause = &error as &dyn std::error::Error, "a download is tried again");
            let slept = patiently(watch, pause, std::future::pending::<()>()).await;
            if matches!(slept, Err(exchange::Ended::Cancelled)) {
                return Err(FetchError::Cancelled);
            }
        }
    }

    async fn one_try(
        &self,
        location: &Location,
        part: &mut Part,
        watch: &mut dyn Watch,
        from_start: bool,
        anew: &mut bool,
    ) -> Result<(), FetchError> {
        let record = part.record().filter(|_| !from_start && part.size() > 0).cloned();
        let rest = record.as_ref().and_then(|record| {
            // Of a file that is there whole the last byte: the answer says whether it is still that one.
            let last = record.length.map_or(u64::MAX, |length| length.saturating_sub(1));
            record.if_range().map(|_| Rest { from: part.size().min(last), of: record })
        });
        let mut asker = Asker {
            limits: &self.limits,
            watch,
            trusted: self.trusted.clone(),
            inward: None,
            have: part.size(),
        };
        let (at, mut answer, verdict) = ask_around(&mut asker, location, rest).await?;
        let url = at.to_string();
        // Where this body ends, and the file.
        let (end, total) = match verdict {
            Verdict::Whole(found) => {
                let length = found.length;
                if length == Some(0) {
                    return Err(FetchError::Empty(url));
                }
                self.check_length(&url, length)?;
                if part.size() > 0 {
                    asker.watch.says("the server begins anew: its file changed, or it knows no ranges");
                    *anew = true;
                }
                part::check_room(&self.folder, length.unwrap_or(0))?;
                part.begin(Record { url: location.to_string(), ..found })?;
                (length, length)
            }
            Verdict::Append { bytes, length } => {
                self.check_length(&url, Some(length))?;
                part.cut(rest.map_or(0, |rest| rest.from))?;
                part::check_room(&self.folder, bytes)?;
                (Some(part.size() + bytes), Some(length))
            }
            Verdict::StartOver(Why::Changed) => return Err(FetchError::Changed(url)),
            Verdict::StartOver(Why::Wrong(what)) => return Err(FetchError::WrongPart { url, what }),
            Verdict::NoLength => return Err(FetchError::NoLength(url)),
            Verdict::Refused(status) => return Err(FetchError::Status { url, status }),
            Verdict::Elsewhere(_) => return Err(FetchError::Redirects(url)),
        };
        asker.watch.advanced(part.size(), total);
        while let Some(piece) = asker.piece(&at, &mut answer).await? {
            let size = part.size().saturating_add(piece.len() as u64);
            if end.is_some_and(|end| size > end) {
                return Err(FetchError::WrongPart { url, what: "more bytes than it says".to_owned() });
            }
            if size > self.limits.bytes_max {
                return Err(FetchError::TooLarge { url, says: None, bytes_max: self.limits.bytes_max });
            }
            part.append(&piece)?;
            asker.have = size;
            asker.watch.advanced(size, total);
            if asker.watch.cancelled() {
                return Err(FetchError::Cancelled);
            }
        }
        if total.is_some_and(|total| part.size() < total) {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(FetchError::Broken { authority: at.authority(), bytes: part.size(), source });
        }
        if part.size() == 0 {
            return Err(FetchError::Empty(url));
        }
        part.sync()
    }

    fn check_length(&self, url: &str, length: Option<u64>) -> Result<(), FetchError> {
        let bytes_max = self.limits.bytes_max;
        match length {
            Some(says) if says > bytes_max => {
                Err(FetchError::TooLarge { url: url.to_owned(), says: Some(says), bytes_max })
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks, and follows redirects. Gives who answered at last.
async fn ask_around(
    asker: &mut Asker<'_>,
    location: &Location,
    rest: Option<Rest<'_>>,
) -> Result<(Location, Answer, Verdict), FetchError> {
    let range = rest.and_then(|rest| Some((rest.from, rest.of.if_range()?)));
    let mut at = location.clone();
    let mut from: Option<Location> = None;
    for _ in 0..=REDIRECTS_MAX {
        let answer = asker.ask(&at, range, from.as_ref()).await?;
        let verdict = judge(answer.response.status(), answer.response.headers(), rest);
        let Verdict::Elsewhere(field) = &verdict else { return Ok((at, answer, verdict)) };
        let to =
            at.join(field).map_err(|source| FetchError::RedirectRefused { from: at.to_string(), source })?;
        if at.is_secure() && !to.is_secure() {
            return Err(FetchError::Downgrade { from: at.to_string(), to: to.to_string() });
        }
        from = Some(std::mem::replace(&mut at, to));
    }
    Err(FetchError::Redirects(location.to_string()))
}

/// The SHA-256 of a file, in hex, read from the disk. `None` when it is cancelled.
///
/// # Errors
/// What the file system said.
pub fn digest_of(file: &mut File, watch: &mut dyn Watch) -> io::Result<Option<String>> {
    let total = file.metadata()?.len();
    let (mut hasher, mut buffer, mut done) = (Sha256::new(), vec![0u8; 1 << 20], 0u64);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(hex(&hasher.finalize()))),
            Ok(read) => {
                hasher.update(buffer.get(..read).unwrap_or_default());
                done += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        watch.advanced(done, Some(total));
        if watch.cancelled() {
            return Ok(None);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
