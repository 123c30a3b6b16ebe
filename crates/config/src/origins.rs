//! Every effective key with its value and where that came from: `config show --origin`.

use crate::source::{Origin, Texts};
use crate::tree::{Kind, Node, Step};
use crate::yaml;

/// One effective key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// Dotted key with list positions: `dhcp.subnets[0].lease_time`.
    pub key: String,
    /// The value as YAML on one line; `[]` and `{}` for empty ones.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Lists the leaves of `effective` with the places of `given`.
pub(crate) fn origins(effective: &Node, given: &Node, texts: &Texts) -> Vec<Effective> {
    let mut found = Vec::new();
    let mut steps = Vec::new();
    collect(effective, given, texts, &mut steps, "", &mut found);
    found
}

fn collect<'a>(
    node: &'a Node,
    given: &Node,
    texts: &Texts,
    steps: &mut Vec<Step<'a>>,
    at: &str,
    found: &mut Vec<Effective>,
) {
    match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => {
            for entry in entries {
                steps.push(Step::Key(&entry.key));
                collect(&entry.value, given, texts, steps, &crate::check::join(at, &entry.key), found);
                steps.pop();
            }
        }
        Kind::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                steps.push(Step::Index(index));
                collect(item, given, texts, steps, &format!("{at}[{index}]"), found);
                steps.pop();
            }
        }
        _ => {
            let value = yaml::render(node).trim_end().to_owned();
            found.push(Effective { key: at.to_owned(), value, origin: origin(given, steps, texts) });
        }
    }
}

/// A value is given when the path leads to it, or ends at a single value that was written for a list of one.
pub(crate) fn origin(given: &Node, steps: &[Step<'_>], texts: &Texts) -> Origin {
    let (node, taken) = given.follow(steps);
    let rest = steps.get(taken..).unwrap_or_default();
    let single = matches!(rest, [Step::Index(0)]) && !matches!(node.kind, Kind::Map(_) | Kind::List(_));
    if rest.is_empty() || single { texts.public_origin(node.spot) } else { Origin::Default }
}
