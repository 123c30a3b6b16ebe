//! The module that carries bundles into an ESXi that runs from memory: a gzip tar that its kernel unpacks over the root file
//! system, with the scripts and a hook that the system runs when it is up.
//!
//! | name in it | mode | what |
//! |---|---|---|
//! | `etc/reveille/bundles/<nnn>-<script>` | 0700 | a script |
//! | `etc/rc.local.d/reveille-bundles.sh` | 0700 | what runs them: everything there that may be run is, at the end of a boot |
//!
//! Plain ustar (POSIX.1-1988) without prefixes or extensions; owner 0, no times: the same scripts give the same bytes. Folders
//! of the system have no entry, so that they stay as they are.
//!
//! Its content is fixed when the boot opens: the loader asks for its size before it reads it, and reads it only then.

use crate::Tree;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use render::bundle::{Place, Rendered, place_of, runner};
use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Its folder below the image; the token follows.
const FOLDER: &str = "reveille";
/// Its name behind that.
const FILE: &str = "bundles.tgz";
/// Where the scripts lie in the system.
const SCRIPTS: &str = "etc/reveille/bundles";
/// What the system runs.
const HOOK: &str = "etc/rc.local.d/reveille-bundles.sh";
/// Modules kept for boots under way; an older one is made again when it is asked for.
const KEPT_MAX: usize = 256;
/// Bytes of all that are kept.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// A block of a tar.
const BLOCK: usize = 512;

/// Modules of boots under way, by their tokens, the newest last.
#[derive(Default)]
pub(crate) struct Kept(Mutex<VecDeque<(Arc<str>, Bytes)>>);

impl Kept {
    /// The module of a boot: as it was when it was first asked for, while it is kept.
    pub(crate) fn of<E>(&self, token: &str, make: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        let find = |kept: &VecDeque<(Arc<str>, Bytes)>| {
            kept.iter().rev().find(|(own, _)| **own == *token).map(|(_, bytes)| bytes.clone())
        };
        if let Some(known) = find(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(known);
        }
        let made = make()?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been quicker.
        if let Some(known) = find(&kept) {
            return Ok(known);
        }
        kept.push_back((token.into(), made.clone()));
        let mut bytes: usize = kept.iter().map(|(_, bytes)| bytes.len()).sum();
        while kept.len() > KEPT_MAX || (bytes > KEPT_BYTES_MAX && kept.len() > 1) {
            bytes -= kept.pop_front().map_or(0, |(_, oldest)| oldest.len());
        }
        Ok(made)
    }
}

/// The module's name in `boot.cfg`, below its image.
pub(crate) fn name_of(token: &str) -> String {
    format!("{FOLDER}/{token}/{FILE}")
}

/// The token in such a name, when it is one.
pub(crate) fn token_of(name: &str) -> Option<&str> {
    let token = name.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(FILE)?.strip_suffix('/')?;
    (!token.contains('/')).then_some(token)
}

/// How it is called in events: without the secret.
pub(crate) fn shown(image: &str) -> String {
    format!("{image}/{FOLDER}/{FILE}")
}

impl Tree {
    pub(crate) fn overlays(&self) -> &Kept {
        &self.overlays
    }
}

/// The module of these scripts. `url`: where its runner tells of them.
pub(crate) fn pack(url: &str, scripts: &[Rendered]) -> std::io::Result<Bytes> {
    let mut tar = Vec::new();
    for folder in ["etc/reveille", SCRIPTS] {
        entry(&mut tar, &format!("{folder}/"), 0o755, b'5', b"");
    }
    for (at, script) in scripts.iter().enumerate() {
        entry(&mut tar, &format!("{SCRIPTS}/{}", place_of(at, script)), 0o700, b'0', script.text.as_bytes());
    }
    let hook = runner(url, scripts, Place::Folder(&format!("/{SCRIPTS}")));
    entry(&mut tar, HOOK, 0o700, b'0', hook.as_bytes());
    tar.resize(tar.len() + 2 * BLOCK, 0);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&tar)?;
    packed.finish().map(Bytes::from)
}

/// One file or folder. Names are ours and at most 99 bytes long: a script's has 63 at most.
///
/// | offset | bytes | what |
/// |---|---|---|
/// | 0 | 100 | name |
/// | 100, 108, 116 | 8 each | mode, owner, group; octal, NUL |
/// | 124, 136 | 12 each | size, time; octal, NUL |
/// | 148 | 8 | sum of all bytes, these being blanks; octal, NUL, blank |
/// | 156 | 1 | `0` file, `5` folder |
/// | 257 | 8 | `ustar`, NUL, `00` |
/// | 265, 297 | 32 each | names of owner and group |
fn entry(tar: &mut Vec<u8>, name: &str, mode: u32, kind: u8, content: &[u8]) {
    let mut head = [0u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = head.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes().get(..name.len().min(99)).unwrap_or_default());
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(265, b"root");
    put(297, b"root");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(place) = head.get_mut(148..156) {
        place.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar.extend_from_slice(&head);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

#[cfg(test)]
pub(crate) mod tests;
