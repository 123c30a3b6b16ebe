//! Documents on the disk, read for the pure `config` crate.

use crate::failure::{Exit, Failure};
use crate::sources::{Refusal, template};
use admin::view::ResourceView;
use config::{Documents, Known, Source, read_documents};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use types::resource::{Name, ResourceKind};

/// Documents in one go; more are a mistake.
const DOCUMENTS_MAX: usize = 4_096;
/// Bytes of one document: one more than the reader takes of all together, so that it refuses in its own words.
const DOCUMENT_BYTES_MAX: u64 = config::limits::TEXT_BYTES_MAX as u64 + 1;

/// Every document that is named, in its order; those of a folder by name.
pub(super) fn read(named: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut paths = Vec::new();
    for path in named {
        if path.is_dir() {
            let before = paths.len();
            paths.extend(of_folder(path)?);
            if paths.len() == before {
                return Err(Failure::new(
                    "R-APL-03",
                    format!("there are no documents in {}", path.display()),
                )
                .fix("documents end in .yaml or .yml; folders below it are not looked into")
                .exit(Exit::Usage));
            }
        } else {
            paths.push(path.clone());
        }
    }
    if paths.len() > DOCUMENTS_MAX {
        return Err(Failure::new(
            "R-APL-04",
            format!("{} documents; {DOCUMENTS_MAX} are possible", paths.len()),
        )
        .exit(Exit::Usage));
    }
    paths.iter().map(|path| source(path)).collect()
}

fn of_folder(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| unreadable(folder, &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let document = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if document && !hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn source(path: &Path) -> Result<Source, Failure> {
    let mut text = String::new();
    if path == Path::new("-") {
        let read = std::io::stdin().lock().take(DOCUMENT_BYTES_MAX).read_to_string(&mut text);
        read.map_err(|error| unreadable(path, &error))?;
        return Ok(Source::new("standard input", text));
    }
    fs::File::open(path)
        .and_then(|file| file.take(DOCUMENT_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| unreadable(path, &error))?;
    Ok(Source::new(path.display().to_string(), text))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("R-APL-03", format!("cannot read {}", path.display())).cause(error).exit(Exit::Usage)
}

/// Checks documents against what the appliance has.
pub(super) fn check(
    sources: &[Source],
    views: &[ResourceView],
    images: &[Name],
) -> Result<Documents, Refusal> {
    let of_kind = |kind: ResourceKind| -> Vec<Name> {
        let named = views.iter().filter(|view| view.kind == kind);
        named.filter_map(|view| view.resource.pointer("/name")?.as_str()?.parse().ok()).collect()
    };
    let (templates, groups) = (of_kind(ResourceKind::Template), of_kind(ResourceKind::Group));
    let bundles = of_kind(ResourceKind::Bundle);
    let gives_values = !groups.is_empty() || views.iter().any(|view| view.kind == ResourceKind::Rule);
    let known = Known { images, templates: &templates, bundles: &bundles, groups: &groups, gives_values };
    // Standard input is relative to where the command runs.
    let files =
        |document: &str, path: &str| template(Path::new(document).parent().unwrap_or(Path::new("")), path);
    read_documents(sources, &files, known).map_err(|report| Refusal::Faulty(Box::new(report)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_the_order_of_names_and_not_below() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yaml", "c.txt", ".hidden.yaml", "sub/d.yaml"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "resources: {}").unwrap();
        }
        let sources = read(&[folder.path().to_path_buf()]).unwrap();
        let names: Vec<_> = sources.iter().map(|source| source.path.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["a.yaml", "b.yml"]);
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(read(&[empty.path().to_path_buf()]).unwrap_err().exit, Exit::Usage);
        assert_eq!(read(&["/nowhere/x.yaml".into()]).unwrap_err().exit, Exit::Usage);
    }
}
