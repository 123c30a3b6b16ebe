//! Pure crates stay pure: nothing in their normal dependency trees does I/O, waits or rolls dice.

use super::Tree;
use crate::run::{cargo_command, output};
use anyhow::Result;

const PURE: &[&str] =
    &["types", "plan", "boots", "render", "config", "dhcp-proto", "tftp-proto", "inventory"];
const BANNED: &[&str] =
    &["tokio", "mio", "socket2", "sled", "axum", "hyper", "rand", "getrandom", "tracing-subscriber"];
/// What is not followed, with the reason.
const PRUNED: &[(&str, &str)] = &[(
    "dhcproto",
    "its constructors draw a random transaction id; `dhcp-proto/src/wire` calls none of them and passes every id in",
)];

pub(super) fn check(tree: &Tree) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for name in PURE {
        let folder = tree.root().join("crates").join(name);
        if !folder.join("clippy.toml").exists() {
            faults.push(format!("crates/{name} is pure and has no clippy.toml that bans clocks and sockets"));
        }
        let package = format!("reveille-{name}");
        let mut command = cargo_command(&["tree", "--quiet", "--package", &package, "--edges", "normal"]);
        command.args(["--prefix", "none", "--format", "{p}"]);
        for (pruned, _) in PRUNED {
            // An unknown name is an error, and not every tree has it.
            if std::fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains(pruned)) {
                command.args(["--prune", pruned]);
            }
        }
        let mut found: Vec<String> = output(&mut command)?
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| BANNED.contains(name))
            .map(str::to_string)
            .collect();
        found.sort();
        found.dedup();
        faults.extend(found.iter().map(|banned| format!("crates/{name} is pure and depends on {banned}")));
    }
    Ok(faults)
}
