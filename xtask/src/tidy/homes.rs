//! Libraries stay home: what may be replaced one day is named in one place only.

use super::Tree;

/// A library and the paths that may name it. Tests, benches and fuzz targets are free.
const HOMES: &[(&str, &[&str])] = &[
    ("sled", &["crates/store/"]),
    ("axum", &["crates/http/", "crates/admin/"]),
    ("serde_yaml", &["crates/config/", "crates/library/src/manifest", "crates/library/src/loaders"]),
    ("libc", &["crates/net/", "tests/", "crates/reveille/"]),
    (
        "nix",
        &[
            "crates/net/",
            "tests/",
            "xtask/",
            "crates/reveille/",
            "crates/store/",
            "crates/library/",
            "crates/fetch/",
            "crates/hooks/src/command",
            "crates/admin/src/serve",
        ],
    ),
    ("dhcproto", &["crates/dhcp-proto/src/wire"]),
    ("rustls", &["crates/fetch/", "crates/directory/"]),
    ("csv", &["crates/inventory/"]),
    ("socket2", &["crates/net/", "crates/tftp/", "crates/http/", "tests/"]),
];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, text) in tree.with_ending(".rs") {
        let free = name.starts_with("fuzz/") || name.contains("/tests") || name.contains("/benches/");
        if free && !name.starts_with("tests/src") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            // Inline tests stand last; what they use is a dev-dependency.
            if line.trim() == "#[cfg(test)]" {
                break;
            }
            for (library, homes) in HOMES {
                if names(line, library) && !homes.iter().any(|home| name.starts_with(home)) {
                    faults.push(format!(
                        "{name}:{} names {library}, whose home is {}",
                        number + 1,
                        homes.join(", ")
                    ));
                }
            }
        }
    }
    faults
}

/// `library::…` or `use library`, outside of comments and texts.
fn names(line: &str, library: &str) -> bool {
    let code = line.trim_start();
    if code.starts_with("//") {
        return false;
    }
    let code = code.split(" // ").next().unwrap_or(code);
    code.match_indices(library).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default();
        let after = code.get(at + library.len()..).unwrap_or_default();
        let own_word = !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.'))
            // `nix::` at the start of a path, not `std::os::unix::`.
            || before.ends_with("(::");
        let in_text = before.matches('"').count() % 2 == 1;
        let import = before.trim_end().ends_with("use") && after.starts_with([';', ' ', ':']);
        own_word && !in_text && (after.starts_with("::") || import)
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn only_paths_and_imports_count() {
        assert!(names("use sled;", "sled"));
        assert!(names("    let db: sled::Db = open();", "sled"));
        assert!(names("use nix::sched::setns;", "nix"));
        assert!(!names("use std::os::unix::net::UnixStream;", "nix"));
        assert!(!names("// sled::open would", "sled"));
        assert!(!names("bail!(\"sled::Db is locked\")", "sled"));
        assert!(!names("let sledge = 1;", "sled"));
    }
}
