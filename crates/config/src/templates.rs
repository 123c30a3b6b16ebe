//! Texts of templates and scripts that stand in files of their own: they are put in the place of the name before anything is checked,
//! so that a fault in one points into its own file.

use crate::fault::{Code, Draft, Faults};
use crate::limits::TEXT_BYTES_MAX;
use crate::source::{Spot, TextOrigin, Texts};
use crate::tree::{Entry, Kind, Node};
use render::template::limits::TEMPLATE_BYTES_MAX;
use types::resource::bundle::limits::SCRIPT_BYTES_MAX;

/// Reads a file that a template or a script names, relative to the configuration file: its path as the operator knows it, and its
/// text; or why it cannot. It need not read more than one byte above [`TEMPLATE_BYTES_MAX`].
pub type FileLoader<'a> = dyn Fn(&str) -> Result<(String, String), String> + 'a;

/// Puts the text of every `file` in its place and ends every text with a line end, which YAML's block scalars lose.
/// A file that cannot be had stays where it is, and is told of.
pub(crate) fn bring_in(tree: &mut Node, loader: &FileLoader<'_>, texts: &mut Texts, faults: &mut Faults) {
    let mut bytes_left = TEXT_BYTES_MAX;
    bring_in_within(tree, loader, &mut bytes_left, texts, faults);
}

/// The same, with what all files together may still have.
pub(crate) fn bring_in_within(
    tree: &mut Node,
    loader: &FileLoader<'_>,
    bytes_left: &mut usize,
    texts: &mut Texts,
    faults: &mut Faults,
) {
    let Some(resources) = entry(tree, "resources") else { return };
    for template in items(entry(resources, "templates")) {
        texts_of(template, &TEMPLATES, loader, bytes_left, texts, faults);
    }
    for bundle in items(entry(resources, "bundles")) {
        for script in items(entry(bundle, "scripts")) {
            texts_of(script, &SCRIPTS, loader, bytes_left, texts, faults);
        }
    }
}

/// What has a text of its own.
struct Texted {
    what: &'static str,
    bytes_max: usize,
    code: Code,
}

const TEMPLATES: Texted = Texted { what: "template", bytes_max: TEMPLATE_BYTES_MAX, code: Code::Template };
const SCRIPTS: Texted = Texted { what: "script", bytes_max: SCRIPT_BYTES_MAX, code: Code::Bundle };

fn items(node: Option<&mut Node>) -> impl Iterator<Item = &mut Node> {
    let list = match node.map(|node| &mut node.kind) {
        Some(Kind::List(items)) => Some(items),
        _ => None,
    };
    list.into_iter().flatten()
}

/// Puts the text of one in its place.
fn texts_of(
    node: &mut Node,
    texted: &Texted,
    loader: &FileLoader<'_>,
    bytes_left: &mut usize,
    texts: &mut Texts,
    faults: &mut Faults,
) {
    let Kind::Map(entries) = &mut node.kind else { return };
    let has_text = entries.iter().any(|entry| entry.key == "text");
    for entry in entries {
        match entry.key.as_str() {
            // Both is told by the check of meaning.
            "file" if !has_text => file(entry, texted, loader, bytes_left, texts, faults),
            "text" => {
                if let Kind::Text(text) | Kind::Plain(text) = &mut entry.value.kind
                    && !text.is_empty()
                    && !text.ends_with('\n')
                {
                    text.push('\n');
                    entry.value.kind = Kind::Text(std::mem::take(text));
                }
            }
            _ => {}
        }
    }
}

fn entry<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value),
        _ => None,
    }
}

fn file(
    entry: &mut Entry,
    texted: &Texted,
    loader: &FileLoader<'_>,
    bytes_left: &mut usize,
    texts: &mut Texts,
    faults: &mut Faults,
) {
    let Some(path) = entry.value.as_text().filter(|path| !path.is_empty()) else { return };
    let (what, bytes_max) = (texted.what, texted.bytes_max);
    let refused = match loader(path) {
        Err(why) => Draft::new(texted.code, entry.value.spot, format!("cannot read {what} file `{path}`"))
            .cause(why)
            .fix("the path is relative to the configuration file"),
        Ok((_, text)) if text.len() > bytes_max => {
            let message = format!("{what} file `{path}` has more than {bytes_max} bytes");
            Draft::new(Code::Limit, entry.value.spot, message)
        }
        Ok((_, text)) if text.len() > *bytes_left => {
            let message =
                format!("files of templates and scripts have more than {TEXT_BYTES_MAX} bytes together");
            Draft::new(Code::Limit, entry.value.spot, message)
        }
        Ok((path, mut text)) => {
            *bytes_left -= text.len();
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            let source = texts.add(TextOrigin::File(path), text.clone());
            let spot = Spot { source, line: 1, column: 1, length: 1 };
            "text".clone_into(&mut entry.key);
            entry.value = Node::new(spot, Kind::Text(text));
            return;
        }
    };
    faults.add(refused);
}

/// Where line and column of a template's text stand in the texts of the load.
pub(crate) fn place(spot: Spot, line: u32, column: Option<u32>, text: &str, texts: &Texts) -> Option<Spot> {
    let whole = texts.text(spot.source);
    let column = column.unwrap_or(1);
    if line == 0 {
        return None;
    }
    if spot.line == 1 && spot.column == 1 && whole == text {
        return Some(Spot { line, column, length: 1, ..spot });
    }
    // A literal block keeps its lines: they are found by their first one, and all are indented alike.
    let first = text.lines().next()?;
    let mut rows = (1_u32..).zip(whole.lines()).skip(spot.line.saturating_sub(1) as usize).take(2);
    let (row, indent) = rows.find_map(|(row, raw)| {
        let indent = raw.len() - raw.trim_start_matches(' ').len();
        let body = raw.get(indent..)?.trim_end_matches('\r');
        // The first line may be indented further than the block.
        let more = body.len() as isize - first.trim_start_matches(' ').len() as isize;
        (more == 0 && body == first.trim_start_matches(' ')).then_some((row, indent))
    })?;
    let indent = indent.checked_sub(first.len() - first.trim_start_matches(' ').len())?;
    // A folded or quoted text has other lines.
    let wanted = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or("");
    let found = Spot { line: row + line - 1, ..spot };
    let raw = texts.line(found);
    if raw.get(indent..).unwrap_or("") != wanted {
        return None;
    }
    Some(Spot { column: column + u32::try_from(indent).ok()?, length: 1, ..found })
}
