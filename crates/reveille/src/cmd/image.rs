//! `reveille image …`

mod versions;

use super::api::{Api, print_json, print_removed};
use super::table;
use crate::cli::{Global, Image, Import, Output};
use crate::failure::{Exit, Failure};
use crate::out::putln;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often an import under way is asked how far it is.
const POLL: Duration = Duration::from_millis(200);
/// Off a terminal, one line per this.
const QUIET_PROGRESS: Duration = Duration::from_secs(10);

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
        "disk": import.disk,
        "profile": import.profile,
        "base": import.base.as_ref().map(|base| base.as_str()),
        "modules": import.modules,
        "stateless": import.stateless,
        "template": import.template.as_ref().map(|template| template.as_str()),
        "replace": import.replace,
        "cmdline": import.cmdline,
        "description": import.description,
        "destructive": import.destructive,
    });
    let started = api.post("imports", &body).await?;
    let id = table::cell(&started, "/id");
    let (begun, tty) = (Instant::now(), std::io::stderr().is_terminal());
    let mut said = Instant::now();
    loop {
        let job = api.get(&format!("imports/{id}")).await?.body;
        match job.pointer("/state").and_then(Value::as_str) {
            Some("done") => {
                if tty {
                    eprint!("\r\x1b[K");
                }
                report(global, &job, begun);
                return Ok(());
            }
            Some("failed") => {
                if tty {
                    eprint!("\r\x1b[K");
                }
                return Err(failure(&import, &job));
            }
            _ if tty => eprint!("\r\x1b[K{}", progress(&job)),
            _ if said.elapsed() >= QUIET_PROGRESS => {
                said = Instant::now();
                eprintln!("{}", progress(&job));
            }
            _ => {}
        }
        tokio::time::sleep(POLL).await;
    }
}

fn source(import: &Import) -> Result<String, Failure> {
    let named = matches!(import.source.as_str(), "files" | "debian-netboot" | "memtest");
    if import.source == "files" && import.kernel.is_none() {
        return Err(Failure::new("R-IMG-01", "cannot import files without a kernel")
            .fix("reveille image import files --name NAME --kernel vmlinuz --initrd initrd.img --cmdline '…'")
            .exit(Exit::Usage));
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

fn progress(job: &Value) -> String {
    format!("importing  {} of {}", table::bytes(job, "/bytes_done"), table::bytes(job, "/bytes_total"))
}

fn report(global: &Global, job: &Value, begun: Instant) {
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
}

fn failure(import: &Import, job: &Value) -> Failure {
    let mut failure = Failure::new(
        job.pointer("/error/code").and_then(Value::as_str).unwrap_or("R-IMG-03"),
        format!("cannot import {}", import.source),
    );
    failure.cause = job.pointer("/error/cause").and_then(Value::as_str).map(str::to_owned);
    failure.fix = job.pointer("/error/fix").and_then(Value::as_str).map(str::to_owned);
    failure
}
