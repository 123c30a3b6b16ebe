//! What documents point to is there: relative links, and paths named in code marks.

use super::Tree;
use std::path::Path;

/// Folders whose paths are checked when a document names them.
const ROOTS: &[&str] =
    &["crates/", "docs/", "tests/", "xtask/", "examples/", "boot-assets/", "fuzz/", ".ci/", ".config/"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    // What is made by running things is named in documents and not in the tree.
    let ignored = std::fs::read_to_string(tree.root().join(".gitignore")).unwrap_or_default();
    let made = |path: &str| {
        ignored.lines().any(|line| line.starts_with('/') && path.starts_with(line.trim_matches('/')))
    };
    for (name, text) in tree.with_ending(".md") {
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        for (number, line) in text.lines().enumerate() {
            for target in links(line) {
                if !tree.root().join(folder).join(target).exists() {
                    faults.push(format!("{name}:{} links to {target}, which is not there", number + 1));
                }
            }
            for path in paths(line) {
                if !made(path) && !tree.root().join(path).exists() {
                    faults.push(format!("{name}:{} names {path}, which is not there", number + 1));
                }
            }
        }
    }
    faults
}

/// Targets of `[text](target)` that lie in this tree, without their fragment.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?.split('#').next()?;
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(target)
    })
}

/// Paths of this tree in code marks; patterns and placeholders are left alone.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter_map(|code| {
        let path = code.split_whitespace().next()?.split("::").next()?.trim_end_matches([',', '.', ')']);
        let plain = !path.contains(['*', '{', '<', '$', '…', '|', '(', '[']);
        let path = path
            .rsplit_once(':')
            .filter(|(_, line)| line.parse::<u32>().is_ok())
            .map_or(path, |(path, _)| path);
        (plain && ROOTS.iter().any(|root| path.starts_with(root))).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::{links, paths};

    #[test]
    fn links_outside_and_fragments_are_left_alone() {
        let line = "[a](docs/a.md#part), [b](https://example.org/b), [c](#d) and [e](e.md)";
        assert_eq!(links(line).collect::<Vec<_>>(), ["docs/a.md", "e.md"]);
    }

    #[test]
    fn paths_are_found_in_code_marks_only() {
        let line = "see `crates/net/src/lib.rs:12`, `docs/{a,b}.md`, docs/x and `cargo xtask docs/`";
        assert_eq!(paths(line).collect::<Vec<_>>(), ["crates/net/src/lib.rs"]);
    }
}
