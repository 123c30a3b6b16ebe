//! `reveille store backup FILE`

use super::failed;
use crate::cli::{Global, Output};
use crate::cmd::api::{Api, print_json};
use crate::cmd::table::size;
use crate::failure::{Exit, Failure, chain};
use crate::out::putln;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Smaller ones are done before anybody could read how far they are.
const PROGRESS_BYTES_MIN: u64 = 16 << 20;
/// Off a terminal, one line per this.
const QUIET_PROGRESS: Duration = Duration::from_secs(10);
const TERMINAL_PROGRESS: Duration = Duration::from_millis(200);

pub(super) async fn command(global: &Global, file: &Path, folder: Option<PathBuf>) -> Result<(), Failure> {
    let mut target = Target::begin(file)?;
    let outcome = match folder {
        Some(folder) => offline(&mut target, &folder),
        None => online(&mut target, global).await,
    };
    if let Err(failure) = outcome {
        target.give_up();
        return Err(failure);
    }
    let (found, bytes, sha256) = target.finish()?;
    if global.output == Output::Json {
        print_json(&json!({
            "file": file.display().to_string(),
            "revision": found.revision.0,
            "records": found.records,
            "bytes": bytes,
            "sha256": sha256,
        }));
    } else {
        putln!("saved    {}", file.display());
        putln!("         revision {}, {} records, {}", found.revision, found.records, size(bytes));
        putln!("sha256   {sha256}");
    }
    Ok(())
}

fn offline(target: &mut Target, folder: &Path) -> Result<(), Failure> {
    let backup = store::offline::backup(folder)
        .map_err(|error| failed(format!("cannot back up {}", folder.display()), &error, false))?;
    target.expected = Some(backup.bytes);
    backup.into_iter().try_for_each(|piece| target.write(&piece))
}

async fn online(target: &mut Target, global: &Global) -> Result<(), Failure> {
    let api = Api::new(global);
    let mut pieces = api.download("store/backup").await?;
    target.expected = pieces.bytes();
    while let Some(piece) = pieces.next().await? {
        target.write(piece.as_ref())?;
    }
    Ok(())
}

/// The file aside, until it is whole.
struct Target {
    file: PathBuf,
    aside: PathBuf,
    open: File,
    hash: Sha256,
    bytes: u64,
    expected: Option<u64>,
    said: Instant,
    on_terminal: bool,
}

impl Target {
    fn begin(file: &Path) -> Result<Target, Failure> {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let aside = file.with_file_name(name);
        let mut options = OpenOptions::new();
        // Everything the appliance knows is in it.
        options.write(true).create(true).truncate(true).mode(0o600);
        let open = options.open(&aside).map_err(|error| unwritable(file, &error))?;
        let (said, on_terminal) = (Instant::now(), io::stderr().is_terminal());
        let hash = Sha256::new();
        Ok(Target { file: file.to_owned(), aside, open, hash, bytes: 0, expected: None, said, on_terminal })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.open.write_all(piece).map_err(|error| unwritable(&self.file, &error))?;
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        let total = self.expected.unwrap_or(0);
        let interval = if self.on_terminal { TERMINAL_PROGRESS } else { QUIET_PROGRESS };
        if total >= PROGRESS_BYTES_MIN && self.said.elapsed() >= interval {
            self.said = Instant::now();
            let (begin, end) = if self.on_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
            eprint!("{begin}saving   {} of {}{end}", size(self.bytes), size(total));
        }
        Ok(())
    }

    /// Makes it durable, proves that it is whole by reading it, and gives it its name.
    fn finish(self) -> Result<(store::restore::Inspected, u64, String), Failure> {
        if self.on_terminal && self.expected.unwrap_or(0) >= PROGRESS_BYTES_MIN {
            eprint!("\r\x1b[K");
        }
        let done = self.open.sync_all().map_err(|error| unwritable(&self.file, &error)).and_then(|()| {
            let found = store::restore::inspect(&self.aside).map_err(|error| {
                failed(format!("cannot back up to {}", self.file.display()), &error, false)
            })?;
            fs::rename(&self.aside, &self.file).map_err(|error| unwritable(&self.file, &error))?;
            Ok(found)
        });
        let found = match done {
            Ok(found) => found,
            Err(failure) => {
                self.give_up();
                return Err(failure);
            }
        };
        // A folder that cannot be opened is synced by whoever made it.
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            folder.sync_all().map_err(|error| unwritable(&self.file, &error))?;
        }
        let sha256 = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((found, self.bytes, sha256))
    }

    fn give_up(&self) {
        // What stays is named `.new`, and overwritten by the next one.
        let _ = fs::remove_file(&self.aside);
    }
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new("R-STO-11", format!("cannot write {}", file.display())).cause(chain(error));
    match error.kind() {
        io::ErrorKind::PermissionDenied => failure.exit(Exit::Permission),
        io::ErrorKind::NotFound => failure.fix("make its folder first").exit(Exit::NotFound),
        _ => failure,
    }
}
