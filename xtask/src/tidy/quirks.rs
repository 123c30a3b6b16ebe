//! Every firmware quirk that is tolerated is documented, and every documented one is still in the code.

use super::Tree;
use std::collections::BTreeMap;

const DOCUMENT: &str = "docs/quirks.md";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut in_code = BTreeMap::new();
    for (name, text) in tree.with_ending(".rs").filter(|(name, _)| name.starts_with("crates/")) {
        for (number, line) in text.lines().enumerate() {
            for quirk in marks(line) {
                in_code.entry(quirk.to_string()).or_insert_with(|| format!("{name}:{}", number + 1));
            }
        }
    }
    let document = tree.with_ending(DOCUMENT).next().map_or("", |(_, text)| text);
    let documented = headings(document);
    let missing =
        in_code.iter().filter(|(quirk, _)| !documented.contains(&quirk.as_str())).map(|(quirk, place)| {
            format!("{place} tolerates the quirk {quirk}, which has no entry in {DOCUMENT}")
        });
    let stale = documented
        .iter()
        .filter(|quirk| !in_code.contains_key(**quirk))
        .map(|quirk| format!("{DOCUMENT} has an entry {quirk}, which no code mentions"));
    missing.chain(stale).collect()
}

/// Names in `QUIRK(name)`.
fn marks(line: &str) -> impl Iterator<Item = &str> {
    line.split("QUIRK(").skip(1).filter_map(|rest| rest.split_once(')').map(|(name, _)| name))
}

/// First words of second- and third-level headings, which are quirk names: `## ovmf-2022: …`, `` ### `ipxe-2019` ``.
fn headings(document: &str) -> Vec<&str> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")))
        .filter_map(|title| title.split([' ', ':']).next())
        .map(|name| name.trim_matches('`'))
        .filter(|name| {
            name.contains('-')
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{headings, marks};

    #[test]
    fn marks_and_headings_are_read() {
        assert_eq!(marks("// QUIRK(ovmf-2022): waits").collect::<Vec<_>>(), ["ovmf-2022"]);
        assert_eq!(
            headings("# Quirks\n## `ovmf-2022`: waits\n## Other\n### ipxe-2019 x\n"),
            ["ovmf-2022", "ipxe-2019"]
        );
    }
}
