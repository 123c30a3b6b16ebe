//! Versions of an image: what became of them, reading them all, and one of them as a file.

use crate::cli::{Global, ImageRef, Output};
use crate::cmd::api::{Api, print_json};
use crate::cmd::table::{self, size};
use crate::failure::{Exit, Failure, chain};
use crate::out::putln;
use admin::view::{PruneReport, VerifyLine};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use types::resource::Name;

/// Off a terminal, one line per this.
const QUIET_PROGRESS: Duration = Duration::from_secs(10);
const TERMINAL_PROGRESS: Duration = Duration::from_millis(200);

/// `current  esxi-8@9f2c…`
pub(super) fn say(global: &Global, image: &Value, what: &str, version: &str) {
    if global.output == Output::Json {
        print_json(image);
        return;
    }
    putln!("{what:<8} {}@{}", table::cell(image, "/name"), table::cell(image, version));
}

pub(super) async fn prune(
    global: &Global,
    api: &Api,
    names: &[Name],
    keep: u16,
    dry_run: bool,
) -> Result<(), Failure> {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    let answer =
        api.post("images:prune", &json!({"images": names, "keep": keep, "dry_run": dry_run})).await?;
    if global.output == Output::Json {
        print_json(&answer);
        return Ok(());
    }
    let report: PruneReport = serde_json::from_value(answer).map_err(unreadable)?;
    for version in &report.removed {
        putln!("{:<8} {version}", if dry_run { "would go" } else { "removed" });
    }
    match (dry_run, report.removed.len()) {
        (_, 0) => putln!("result   nothing to remove"),
        (true, _) => putln!("result   nothing was removed: this was a dry run"),
        (false, _) => putln!("freed    {} in {} files", size(report.bytes), report.blobs),
    }
    Ok(())
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::new("R-API-16", "the appliance's answer cannot be read").cause(error)
}

pub(super) async fn verify(global: &Global, api: &Api, names: &[Name]) -> Result<ExitCode, Failure> {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    let path = match names.as_slice() {
        [] => "images:verify".to_owned(),
        names => format!("images:verify?image={}", names.join(",")),
    };
    let mut progress = Progress::new("reading");
    let (mut findings, mut report) = (Vec::new(), None);
    let mut wrong = None;
    api.stream(&path, |line| {
        let line: VerifyLine = match serde_json::from_value(line) {
            Ok(line) => line,
            Err(error) => {
                wrong = Some(unreadable(error));
                return false;
            }
        };
        if let Some(finding) = line.finding {
            progress.clear();
            if global.output != Output::Json {
                putln!("bad      {}/{}  {}", finding.image, finding.file, finding.what);
            }
            findings.push(finding);
        }
        report = line.report;
        progress.said(line.bytes_done, line.bytes_total);
        true
    })
    .await?;
    progress.clear();
    if let Some(failure) = wrong {
        return Err(failure);
    }
    let Some(report) = report else {
        return Err(Failure::new("R-IMG-12", "cannot verify the images")
            .cause("the appliance ended in the middle")
            .fix("look at its log, and try again"));
    };
    if global.output == Output::Json {
        print_json(&json!({
            "ok": report.ok,
            "versions": report.versions,
            "files": report.files,
            "bytes": report.bytes,
            "findings": findings,
        }));
    } else {
        putln!("read     {} in {} files of {} versions", size(report.bytes), report.files, report.versions);
        match report.bad {
            0 => putln!("result   all sound"),
            bad => {
                putln!("result   {bad} files are missing or damaged");
                putln!(
                    "  do     import these images again with --replace: whole files are found and not copied"
                );
            }
        }
    }
    Ok(ExitCode::from(if report.ok { 0 } else { Exit::Found as u8 }))
}

pub(super) async fn export(global: &Global, api: &Api, image: &ImageRef, file: &Path) -> Result<(), Failure> {
    let mut aside = file.file_name().unwrap_or_default().to_owned();
    aside.push(".new");
    let aside = file.with_file_name(aside);
    let written = receive(api, image, file, &aside).await;
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(failure) => {
            // What stays is named `.new`, and overwritten by the next one.
            let _ = fs::remove_file(&aside);
            return Err(failure);
        }
    };
    if global.output == Output::Json {
        print_json(&json!({"file": file.display().to_string(), "bytes": bytes}));
    } else {
        putln!("saved    {}  {}", file.display(), size(bytes));
    }
    Ok(())
}

async fn receive(api: &Api, image: &ImageRef, file: &Path, aside: &Path) -> Result<u64, Failure> {
    let unwritable = |error: io::Error| {
        let failure =
            Failure::new("R-IMG-13", format!("cannot write {}", file.display())).cause(chain(&error));
        match error.kind() {
            io::ErrorKind::PermissionDenied => failure.exit(Exit::Permission),
            io::ErrorKind::NotFound => failure.fix("make its folder first").exit(Exit::NotFound),
            _ => failure,
        }
    };
    let query = image.version.as_ref().map_or_else(String::new, |version| format!("?version={version}"));
    let mut pieces = api.download(&format!("images/{}/export{query}", image.name)).await?;
    let mut open =
        OpenOptions::new().write(true).create(true).truncate(true).open(aside).map_err(unwritable)?;
    let (mut progress, mut bytes) = (Progress::new("saving"), 0u64);
    let ended = loop {
        match pieces.next().await {
            Ok(None) => break Ok(()),
            Ok(Some(piece)) => {
                let piece = piece.as_ref();
                open.write_all(piece).map_err(unwritable)?;
                bytes += piece.len() as u64;
                progress.said(bytes, pieces.bytes().unwrap_or(bytes));
            }
            Err(failure) => break Err(failure),
        }
    };
    progress.clear();
    if ended.is_err() || pieces.bytes().is_some_and(|whole| whole != bytes) {
        return Err(Failure::new("R-IMG-11", format!("cannot export image {}", image.name))
            .cause("the appliance ended in the middle; a file of the image may be damaged")
            .fix(format!("reveille image verify {} names every damaged file", image.name)));
    }
    open.sync_all().map_err(unwritable)?;
    fs::rename(aside, file).map_err(unwritable)?;
    // A folder that cannot be opened is synced by whoever made it.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        folder.sync_all().map_err(unwritable)?;
    }
    Ok(bytes)
}

/// How far it is: redrawn on a terminal, else a line now and then.
struct Progress {
    what: &'static str,
    said: Instant,
    on_terminal: bool,
}

impl Progress {
    fn new(what: &'static str) -> Progress {
        Progress { what, said: Instant::now(), on_terminal: io::stderr().is_terminal() }
    }

    fn said(&mut self, done: u64, total: u64) {
        let interval = if self.on_terminal { TERMINAL_PROGRESS } else { QUIET_PROGRESS };
        if self.said.elapsed() >= interval {
            self.said = Instant::now();
            let (begin, end) = if self.on_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
            eprint!("{begin}{:<8} {} of {}{end}", self.what, size(done), size(total));
        }
    }

    fn clear(&self) {
        if self.on_terminal {
            eprint!("\r\x1b[K");
        }
    }
}
