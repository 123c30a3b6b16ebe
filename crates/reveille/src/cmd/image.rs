//! `reveille image …`

mod versions;

use super::api::{Api, print_json, print_removed};
use super::progress::Meter;
use super::table;
use crate::cli::{Global, Image, Import, Output};
use crate::failure::{Exit, Failure};
use crate::out::putln;
use serde_json::{Value, json};
use std::io::{IsTerminal, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often an import under way is asked how far it is.
const POLL: Duration = Duration::from_millis(200);
/// Bytes of standard input sent at a time.
const PIECE_BYTES: usize = 256 << 10;

pub(crate) async fn command(global: &Global, command: Image) -> Result<ExitCode, Failure> {
    let api = Api::new(global);
    match command {
        Image::List => list(global, &api).await,
        Image::Get { name } => {
            let document = api.get(&format!("images/{name}")).await?.body;
            print_json(&document);
            Ok(())
        }
        Image::Import(import) => run_import(global, &api, *import).await,
        Image::Imports => imports(global, &api).await,
        Image::Cancel { id } => {
            let job = api.end(&format!("imports/{}", api.escape(&id))).await?;
            if global.output == Output::Json {
                print_json(&job);
            } else if matches!(state(&job), "done" | "failed") {
                eprintln!("import {id} has ended: {}", state(&job));
            } else {
                eprintln!("import {id} is being cancelled");
            }
            Ok(())
        }
        Image::Rm { name, force } => {
            let path = format!("images/{name}");
            let current = api.get(&path).await?;
            let path = if force { format!("{path}?force=true") } else { path };
            let answer = api.delete(&path, &current.etag).await?;
            print_removed(global, name.as_str(), &answer);
            Ok(())
        }
        Image::Rollback { name, to } => {
            let body = json!({ "to": to.as_ref().map(|to| to.as_str()) });
            let before = api.get(&format!("images/{name}")).await?.body;
            let image = api.post(&format!("images/{name}/rollback"), &body).await?;
            let unchanged = before.pointer("/version") == image.pointer("/version");
            versions::say(global, &image, if unchanged { "unchanged" } else { "current" }, "/version");
            Ok(())
        }
        Image::Tag { name, tag, version } => {
            let body = json!({ "version": version.as_ref().map(|version| version.as_str()) });
            let image = api.put(&format!("images/{name}/tags/{tag}"), &body).await?;
            versions::say(global, &image, tag.as_str(), &format!("/tags/{tag}"));
            Ok(())
        }
        Image::Untag { name, tag } => {
            let answer = api.remove(&format!("images/{name}/tags/{tag}")).await?;
            if global.output == Output::Json {
                print_json(&answer);
            } else {
                putln!("removed  tag {tag} of {name}");
            }
            Ok(())
        }
        Image::Prune { names, keep, dry_run } => versions::prune(global, &api, &names, keep, dry_run).await,
        Image::Verify { names } => return versions::verify(global, &api, &names).await,
        Image::Export { image, file } => versions::export(global, &api, &image, &file).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn list(global: &Global, api: &Api) -> Result<(), Failure> {
    let images = api.list("images").await?;
    table::print_list(
        global,
        &images,
        &[
            ("IMAGE", |image| table::cell(image, "/name")),
            ("KIND", |image| table::cell(image, "/kind")),
            ("VERSION", |image| table::cell(image, "/version")),
            ("KEPT", |image| match image.pointer("/versions").and_then(Value::as_array) {
                Some(kept) => kept.len().to_string(),
                None => "0".to_owned(),
            }),
            ("TAGS", |image| match image.pointer("/tags").and_then(Value::as_object) {
                Some(tags) => tags.keys().map(String::as_str).collect::<Vec<_>>().join(","),
                None => String::new(),
            }),
            ("SIZE", |image| table::bytes(image, "/bytes")),
            ("FILES", |image| table::cell(image, "/files")),
            ("DESTRUCTIVE", |image| table::cell(image, "/destructive")),
            ("DESCRIPTION", |image| table::cell(image, "/description")),
        ],
    );
    Ok(())
}

async fn run_import(global: &Global, api: &Api, import: Import) -> Result<(), Failure> {
    let body = json!({
        "source": source(&import)?,
        "name": import.name.as_ref().map(|name| name.as_str()),
        "kernel": import.kernel.as_deref().map(|path| absolute_if_files(&import, path)).transpose()?,
        "initrd": import.initrd.iter().map(|path| absolute_if_files(&import, path)).collect::<Result<Vec<_>, _>>()?,
        "kind": import.kind.map(|kind| kind.as_kind().as_str()),
        "efi": import.efi,
        "script": import.script,
        "disk": import.disk,
        "profile": import.profile,
        "base": import.base.as_ref().map(|base| base.as_str()),
        "modules": import.modules,
        "stateless": import.stateless,
        "template": import.template.as_ref().map(|template| template.as_str()),
        "sha256": import.sha256,
        "replace": import.replace,
        "cmdline": import.cmdline,
        "description": import.description,
        "destructive": import.destructive,
    });
    let started = api.post("imports", &body).await?;
    let id = table::cell(&started, "/id");
    for warning in texts(&started, "/warnings") {
        eprintln!("warn     {warning}");
    }
    let mut meter = Meter::new(std::io::stderr().is_terminal());
    let watched = tokio::select! {
        ended = watch(api, &id, &mut meter) => Watched::Ended(ended),
        failed = send(api, &import, &id) => Watched::Ended(Err(failed)),
        _ = tokio::signal::ctrl_c() => Watched::Interrupted,
    };
    meter.clear();
    let job = match watched {
        Watched::Ended(job) => job?,
        Watched::Interrupted => {
            eprintln!("cancelling import {id}; interrupt again to leave it");
            api.end(&format!("imports/{id}")).await?;
            // Nothing to show: it ends at once.
            let mut silent = Meter::silent();
            let ended = tokio::select! {
                ended = watch(api, &id, &mut silent) => Some(ended?),
                _ = tokio::signal::ctrl_c() => None,
            };
            let state = ended.as_ref().map_or("cancelling", |job| state(job));
            if state != "done" {
                let kept = is_url(&import.source)
                    .then_some("what was downloaded is kept for a week; the same command goes on from there");
                let mut failure =
                    Failure::new("R-IMG-09", format!("import of {} was interrupted", shown(&started)))
                        .cause(format!("Ctrl-C; import {id} is {state}"))
                        .exit(Exit::Interrupted);
                failure.fix = kept.map(str::to_owned);
                return Err(failure);
            }
            ended.unwrap_or_default()
        }
    };
    match state(&job) {
        "done" => {
            report(global, &started, &job, meter.begun);
            Ok(())
        }
        _ => Err(failure(&started, &job)),
    }
}

enum Watched {
    Ended(Result<Value, Failure>),
    Interrupted,
}

/// Shows how far a job is until it has ended.
async fn watch(api: &Api, id: &str, meter: &mut Meter) -> Result<Value, Failure> {
    loop {
        let job = api.get(&format!("imports/{id}")).await?.body;
        if matches!(state(&job), "done" | "failed" | "cancelled") {
            return Ok(job);
        }
        meter.show(&job);
        tokio::time::sleep(POLL).await;
    }
}

/// Sends standard input when that is the source. Comes back only when it cannot be sent: the job tells the rest.
async fn send(api: &Api, import: &Import, id: &str) -> Failure {
    if import.source == "-" {
        let length = std::fs::metadata("/dev/stdin").ok().filter(|it| it.is_file()).map(|it| it.len());
        let (pieces, sending) = tokio::sync::mpsc::channel(4);
        // A thread that nobody waits for: a read of a terminal or an idle pipe has no end.
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            loop {
                let mut buffer = vec![0u8; PIECE_BYTES];
                let piece = match stdin.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(read) => {
                        buffer.truncate(read);
                        Ok(buffer.into())
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let broken = piece.is_err();
                if pieces.blocking_send(piece).is_err() || broken {
                    return;
                }
            }
        });
        // Of a file that is read from its middle the rest is sent, whatever its length.
        let length = length.filter(|_| at_start());
        if let Err(failure) = api.upload(&format!("imports/{id}/content"), sending, length).await {
            // The job knows better why its bytes were not taken.
            let job = api.get(&format!("imports/{id}")).await;
            if !job.is_ok_and(|job| matches!(state(&job.body), "failed" | "cancelled")) {
                return failure;
            }
        }
    }
    std::future::pending().await
}

fn at_start() -> bool {
    use std::io::Seek as _;
    use std::os::fd::AsFd as _;
    let own = std::io::stdin().as_fd().try_clone_to_owned();
    own.map(std::fs::File::from)
        .and_then(|mut file| file.stream_position())
        .is_ok_and(|position| position == 0)
}

fn state(job: &Value) -> &str {
    job.pointer("/state").and_then(Value::as_str).unwrap_or_default()
}

fn texts<'a>(job: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> {
    job.pointer(pointer).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The source as the appliance shows it: without what is secret in a URL.
fn shown(job: &Value) -> String {
    match table::cell(job, "/source") {
        source if source == "-" => "standard input".to_owned(),
        source => source,
    }
}

fn is_url(source: &str) -> bool {
    source.contains("://")
}

async fn imports(global: &Global, api: &Api) -> Result<(), Failure> {
    let imports = api.list("imports").await?;
    table::print_list(
        global,
        &imports,
        &[
            ("ID", |job| table::cell(job, "/id")),
            ("IMAGE", |job| table::cell(job, "/name")),
            ("STATE", |job| table::cell(job, "/state")),
            ("DONE", |job| table::bytes(job, "/bytes_done")),
            ("OF", |job| table::bytes(job, "/bytes_total")),
            ("STARTED", |job| table::cell(job, "/started")),
            ("SOURCE", |job| table::cell(job, "/source")),
            ("DETAIL", |job| match table::cell(job, "/error/cause") {
                cause if cause == "-" => table::cell(job, "/phase"),
                cause => cause,
            }),
        ],
    );
    Ok(())
}

fn source(import: &Import) -> Result<String, Failure> {
    let named = matches!(import.source.as_str(), "files" | "debian-netboot" | "memtest");
    if import.source == "files" && import.kernel.is_none() {
        return Err(Failure::new("R-IMG-01", "cannot import files without a kernel")
            .fix("reveille image import files --name NAME --kernel vmlinuz --initrd initrd.img --cmdline '…'")
            .exit(Exit::Usage));
    }
    if import.source == "-" && import.name.is_none() {
        return Err(Failure::new("R-IMG-01", "cannot import standard input without a name")
            .fix("reveille image import - --name NAME < x.iso")
            .exit(Exit::Usage));
    }
    if import.source == "-" || is_url(&import.source) {
        return Ok(import.source.clone());
    }
    match import.source.split_once(':') {
        Some((kind @ ("dir" | "iso" | "tar" | "zip" | "file"), path)) => {
            Ok(format!("{kind}:{}", absolute(path)?))
        }
        _ if named => Ok(import.source.clone()),
        _ => absolute(&import.source),
    }
}

fn absolute_if_files(import: &Import, path: &str) -> Result<String, Failure> {
    if import.source == "files" { absolute(path) } else { Ok(path.to_owned()) }
}

/// The appliance runs elsewhere in the file system: it gets absolute paths.
fn absolute(path: &str) -> Result<String, Failure> {
    let whole = std::path::absolute(Path::new(path))
        .map_err(|error| Failure::new("R-IMG-02", format!("cannot read {path}")).cause(error))?;
    if !whole.exists() {
        return Err(Failure::new("R-IMG-02", format!("cannot import {path}"))
            .cause("no such file or directory")
            .fix("sources are a medium (.iso, .tar, .tar.gz, .zip), a folder, `debian-netboot`, `memtest`, or `files` with --kernel")
            .exit(Exit::NotFound));
    }
    Ok(whole.to_string_lossy().into_owned())
}

fn report(global: &Global, started: &Value, job: &Value, begun: Instant) {
    if global.output == Output::Json {
        print_json(job);
        return;
    }
    putln!(
        "stored   {}  {} in {} files, {:.1} s",
        table::cell(job, "/name"),
        table::bytes(job, "/bytes_total"),
        table::cell(job, "/files_done"),
        begun.elapsed().as_secs_f32()
    );
    // Those known at the start were said then.
    for note in texts(job, "/warnings").filter(|note| !texts(started, "/warnings").any(|said| said == *note))
    {
        putln!("note     {note}");
    }
}

fn failure(asked: &Value, job: &Value) -> Failure {
    let mut failure = Failure::new(
        job.pointer("/error/code").and_then(Value::as_str).unwrap_or("R-IMG-03"),
        format!("cannot import {}", shown(asked)),
    );
    failure.cause = job.pointer("/error/cause").and_then(Value::as_str).map(str::to_owned);
    failure.fix = job.pointer("/error/fix").and_then(Value::as_str).map(str::to_owned);
    failure
}
