//! What would change, line by line, in the form documents have.

use admin::view::AppliedChange;
use serde_json::Value;
use types::resource::Resources;

/// Lines shown around what changed.
const AROUND: usize = 3;
/// Cells of the table that finds the common lines; beyond it everything between first and last difference is shown as changed.
const CELLS_MAX: usize = 4_000_000;

/// One object as a unified diff.
pub(super) fn change(change: &AppliedChange) -> String {
    let (before, after) = (lines(change, change.before.as_ref()), lines(change, change.after.as_ref()));
    let (kind, name) = (change.kind, &change.name);
    match change.action.as_str() {
        "taken-over" => return format!("~ {kind} {name} would be taken over from the API, unchanged\n"),
        "activated" => return format!("~ {kind} {name} would be put in force, unchanged\n"),
        _ => {}
    }
    let old = if change.before.is_some() { format!("{kind} {name}") } else { "/dev/null".to_owned() };
    let new = if change.after.is_some() { format!("{kind} {name}") } else { "/dev/null".to_owned() };
    format!("--- {old}\n+++ {new}\n{}", unified(&before, &after))
}

/// The object as it stands in a document, without the lists around it.
fn lines(change: &AppliedChange, object: Option<&Value>) -> Vec<String> {
    let Some(object) = object else { return Vec::new() };
    let mut resources = Resources::default();
    let text = match resources.add(change.kind, object.clone()) {
        Ok(()) => config::write_documents(&resources).ok(),
        Err(_) => None,
    };
    match text {
        Some(text) => {
            let own = text
                .lines()
                .skip_while(|line| !line.trim_start().starts_with("- "))
                .map(|line| line.get(6..).unwrap_or_default().to_owned());
            own.collect()
        }
        // It has what no document can say; shown all the same.
        None => format!("{object:#}").lines().map(str::to_owned).collect(),
    }
}

/// One line of a diff.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// Hunks with the lines around them.
fn unified(before: &[String], after: &[String]) -> String {
    let all = compared(before, after);
    let near = |at: usize| {
        let from = at.saturating_sub(AROUND);
        let to = (at + AROUND + 1).min(all.len());
        all.get(from..to).is_some_and(|lines| lines.iter().any(|line| !matches!(line, Line::Both(_))))
    };
    let mut text = String::new();
    let (mut old, mut new) = (1usize, 1usize);
    let mut open = false;
    for (at, line) in all.iter().enumerate() {
        let shown = near(at);
        if shown && !open {
            let hunk: Vec<&Line<'_>> = all
                .iter()
                .enumerate()
                .skip(at)
                .take_while(|(at, _)| near(*at))
                .map(|(_, line)| line)
                .collect();
            let count = |skip: fn(&Line<'_>) -> bool| hunk.iter().filter(|line| !skip(line)).count();
            let (olds, news) =
                (count(|line| matches!(line, Line::New(_))), count(|line| matches!(line, Line::Old(_))));
            let start = |first: usize, many: usize| if many == 0 { first - 1 } else { first };
            text.push_str(&format!("@@ -{},{olds} +{},{news} @@\n", start(old, olds), start(new, news)));
        }
        open = shown;
        let (mark, words) = match line {
            Line::Both(words) => (' ', words),
            Line::Old(words) => ('-', words),
            Line::New(words) => ('+', words),
        };
        old += usize::from(!matches!(line, Line::New(_)));
        new += usize::from(!matches!(line, Line::Old(_)));
        if shown {
            text.push(mark);
            text.push_str(words);
            text.push('\n');
        }
    }
    text
}

/// All lines of both, the common ones once: longest common subsequence between equal heads and tails.
fn compared<'a>(before: &'a [String], after: &'a [String]) -> Vec<Line<'a>> {
    let head = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let rest = before.len().min(after.len()) - head;
    let tail = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take(rest)
        .take_while(|(one, other)| one == other)
        .count();
    let middle = |all: &'a [String]| all.get(head..all.len() - tail).unwrap_or_default();
    let (old, new) = (middle(before), middle(after));
    let mut lines: Vec<Line<'_>> = before.iter().take(head).map(|line| Line::Both(line)).collect();
    if (old.len() + 1).saturating_mul(new.len() + 1) > CELLS_MAX {
        lines.extend(old.iter().map(|line| Line::Old(line)));
        lines.extend(new.iter().map(|line| Line::New(line)));
    } else {
        lines.extend(between(old, new));
    }
    lines.extend(before.iter().skip(before.len() - tail).map(|line| Line::Both(line)));
    lines
}

fn between<'a>(old: &'a [String], new: &'a [String]) -> Vec<Line<'a>> {
    // common[i][j]: length of the longest common subsequence of old[i..] and new[j..], row after row.
    let width = new.len() + 1;
    let mut common = vec![0u32; (old.len() + 1) * width];
    let at = |common: &[u32], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let longest = match one == other {
                true => at(&common, i + 1, j + 1) + 1,
                false => at(&common, i + 1, j).max(at(&common, i, j + 1)),
            };
            if let Some(cell) = common.get_mut(i * width + j) {
                *cell = longest;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    loop {
        match (old.get(i), new.get(j)) {
            (Some(one), Some(other)) if one == other => {
                lines.push(Line::Both(one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), Some(_)) if at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                lines.push(Line::Old(one));
                i += 1;
            }
            (_, Some(other)) => {
                lines.push(Line::New(other));
                j += 1;
            }
            (Some(one), None) => {
                lines.push(Line::Old(one));
                i += 1;
            }
            (None, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use types::resource::ResourceKind;

    fn host(image: &str) -> Value {
        json!({ "name": "web01", "match": { "mac": "52:54:00:12:34:56" }, "image": image, "params": { "a": "1", "b": "2" } })
    }

    fn changed(action: &str, before: Option<Value>, after: Option<Value>) -> AppliedChange {
        let name = "web01".parse().unwrap();
        AppliedChange { kind: ResourceKind::Host, name, action: action.to_owned(), before, after }
    }

    #[test]
    fn a_changed_field_stands_between_the_lines_around_it() {
        let text = change(&changed("changed", Some(host("debian-12")), Some(host("debian-13"))));
        let expected = "\
--- host web01
+++ host web01
@@ -1,7 +1,7 @@
 name: web01
 match:
   mac: \"52:54:00:12:34:56\"
-image: debian-12
+image: debian-13
 params:
   a: \"1\"
   b: \"2\"
";
        assert_eq!(text, expected);
    }

    #[test]
    fn created_and_removed_objects_are_all_new_or_all_old() {
        let text = change(&changed("created", None, Some(host("x"))));
        assert!(text.starts_with("--- /dev/null\n+++ host web01\n@@ -0,0 +1,7 @@\n+name: web01\n"), "{text}");
        let text = change(&changed("removed", Some(host("x")), None));
        assert!(text.starts_with("--- host web01\n+++ /dev/null\n@@ -1,7 +0,0 @@\n-name: web01\n"), "{text}");
        assert!(change(&changed("taken-over", Some(host("x")), Some(host("x")))).contains("taken over"));
    }

    proptest! {
        /// Old lines and common ones are the old text, new lines and common ones the new.
        #[test]
        fn both_texts_are_in_it(before in proptest::collection::vec("[abc]", 0..12), after in proptest::collection::vec("[abc]", 0..12)) {
            let lines = compared(&before, &after);
            let old: Vec<&str> = lines.iter().filter_map(|line| match line { Line::Both(one) | Line::Old(one) => Some(*one), Line::New(_) => None }).collect();
            let new: Vec<&str> = lines.iter().filter_map(|line| match line { Line::Both(one) | Line::New(one) => Some(*one), Line::Old(_) => None }).collect();
            prop_assert_eq!(old, before.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(new, after.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(unified(&before, &after).is_empty(), before == after);
        }
    }
}
