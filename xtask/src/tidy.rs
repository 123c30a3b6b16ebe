//! `cargo xtask tidy`: rules of the project that the compiler does not check.
//!
//! Faults end the command; files that have grown too long are only named.

mod docs;
mod homes;
mod purity;
mod quirks;
mod words;

use crate::run::output;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file longer than this is asking to become a module.
const LINES_MAX: usize = 600;

/// What tidy looks at: text files of the tree, tracked or about to be, with their text.
pub(crate) struct Tree {
    root: PathBuf,
    files: Vec<(String, String)>,
}

impl Tree {
    fn read() -> Result<Tree> {
        let root = harness::daemon::workspace().to_path_buf();
        let mut git = Command::new("git");
        git.arg("-C").arg(&root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let mut files = Vec::new();
        for name in output(&mut git)?.split('\0').filter(|name| !name.is_empty()) {
            // Not text, or gone from the disk but not yet from the index.
            if let Ok(text) = std::fs::read_to_string(root.join(name)) {
                files.push((name.to_string(), text));
            }
        }
        files.sort();
        files.dedup();
        Ok(Tree { root, files })
    }

    fn with_ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(name, _)| name.ends_with(ending))
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    fn root(&self) -> &Path {
        &self.root
    }
}

/// Runs every check and reports all faults.
pub(crate) fn run() -> Result<()> {
    eprintln!("== tidy");
    let tree = Tree::read()?;
    let mut faults = Vec::new();
    faults.extend(purity::check(&tree)?);
    faults.extend(homes::check(&tree));
    faults.extend(docs::check(&tree));
    faults.extend(quirks::check(&tree));
    faults.extend(words::check(&tree));
    for (name, text) in tree.with_ending(".rs") {
        let lines = text.lines().count();
        if lines > LINES_MAX && !name.contains("/tests") {
            eprintln!("warning: {name} has {lines} lines; is something in it asking to become a module?");
        }
    }
    if !faults.is_empty() {
        for fault in &faults {
            eprintln!("error: {fault}");
        }
        bail!("tidy: {} faults", faults.len());
    }
    eprintln!("   tidy: good");
    Ok(())
}
