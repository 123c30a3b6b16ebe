//! Configuration files and the environment, read for the pure `config` crate.

use crate::failure::{Exit, Failure};
use config::{Loaded, Loading, Overrides, Report, Source};
use render::template::limits::TEMPLATE_BYTES_MAX;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use types::resource::Name;

/// Files an `include` pattern may bring in; more is a mistake.
const INCLUDED_MAX: usize = 4_096;

/// Why a configuration could not be had.
pub(crate) enum Refusal {
    /// It could not be read.
    Unreadable(Failure),
    /// It could be read and is faulty.
    Faulty(Box<Report>),
}

/// Reads and checks one configuration file with its includes, the environment and `key=value` flags.
pub(crate) fn load(file: &Path, flags: &[String], stored_images: &[Name]) -> Result<Loaded, Refusal> {
    let text = fs::read_to_string(file).map_err(|error| Refusal::Unreadable(unreadable(file, &error)))?;
    let sources = [Source::new(file.display().to_string(), text)];
    load_sources(&sources, file.parent().unwrap_or(Path::new(".")), flags, stored_images)
}

/// Defaults, the environment and flags; no file.
pub(crate) fn load_defaults(flags: &[String]) -> Result<Loaded, Refusal> {
    load_sources(&[], Path::new("."), flags, &[])
}

fn load_sources(
    sources: &[Source],
    folder: &Path,
    flags: &[String],
    images: &[Name],
) -> Result<Loaded, Refusal> {
    let overrides = Overrides { environment: environment(), flags: parse_flags(flags)? };
    let loader = |pattern: &str| included(folder, pattern);
    let files = |path: &str| template(folder, path);
    let loading = Loading::new(sources)
        .overrides(&overrides)
        .includes(&loader)
        .files(&files)
        .stored_images(images)
        .load();
    let mut loaded = loading.map_err(|report| Refusal::Faulty(Box::new(report)))?;
    if let Some(inbox) = &mut loaded.settings.library.inbox {
        // Without a working folder it stays as written, and is found or not when it is opened.
        *inbox = std::path::absolute(folder.join(&*inbox)).unwrap_or_else(|_| folder.join(&*inbox));
    }
    Ok(loaded)
}

/// Variables that are text; others are nobody's setting.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn parse_flags(flags: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    flags
        .iter()
        .map(|flag| match flag.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(Refusal::Unreadable(
                Failure::new("R-CLI-03", format!("`--set {flag}` sets nothing"))
                    .fix("write --set KEY=VALUE, such as --set http.listen=:80")
                    .exit(Exit::Usage),
            )),
        })
        .collect()
}

/// The files a pattern names, by name: `resources.d/*.yaml`, or one file. Only the last part may hold a `*`.
fn included(folder: &Path, pattern: &str) -> Result<Vec<(String, String)>, String> {
    let whole = folder.join(pattern);
    let (Some(parent), Some(last)) = (whole.parent(), whole.file_name().and_then(|name| name.to_str()))
    else {
        return Err(format!("`{pattern}` names no file"));
    };
    let mut paths: Vec<PathBuf> = match last.split_once('*') {
        None => vec![whole.clone()],
        Some((before, after)) => {
            let entries = fs::read_dir(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
            let fits = |path: &PathBuf| {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
            };
            entries.take(INCLUDED_MAX).filter_map(|entry| Some(entry.ok()?.path())).filter(fits).collect()
        }
    };
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok((path.display().to_string(), text))
        })
        .collect()
}

/// A template's file. One byte too many is enough to be refused.
pub(crate) fn template(folder: &Path, path: &str) -> Result<(String, String), String> {
    let whole = folder.join(path);
    let most = TEMPLATE_BYTES_MAX as u64 + 1;
    let mut text = String::new();
    fs::File::open(&whole)
        .and_then(|file| file.take(most).read_to_string(&mut text))
        .map_err(|error| format!("{}: {error}", whole.display()))?;
    Ok((whole.display().to_string(), text))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::new("R-CFG-00", format!("cannot read configuration {}", file.display()))
        .cause(error)
        .exit(Exit::Usage);
    match error.kind() {
        std::io::ErrorKind::NotFound => failure.fix("name it with --config FILE; `reveille run` needs none"),
        std::io::ErrorKind::PermissionDenied => failure.fix("run as root, or make it readable for this user"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inbox_is_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reveille.yaml");
        let inbox = |text: &str| {
            fs::write(&file, text).unwrap();
            let Ok(loaded) = load(&file, &[], &[]) else { panic!("{text} is sound") };
            loaded.settings.library.inbox
        };
        assert_eq!(inbox("library: { inbox: in/box }"), Some(folder.path().join("in/box")));
        assert_eq!(inbox("library: { inbox: /srv/inbox }"), Some("/srv/inbox".into()));
        assert_eq!(inbox("version: 1"), None);
    }

    #[test]
    fn a_pattern_brings_its_files_in_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yaml", "c.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let found = included(folder.path(), "*.yaml").unwrap();
        let texts: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a.yaml", "b.yaml"]);
        assert!(included(folder.path(), "missing.yaml").unwrap_err().contains("missing.yaml"));
    }
}
