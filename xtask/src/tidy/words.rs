//! Words that have no place in the tree: paths of somebody's machine and numbers of somebody's tracker.

use super::Tree;

/// Written in halves, so that this file does not hold them.
const PATHS: &[(&str, &str)] = &[("/wo", "rk/"), ("/far", "m/"), ("/ro", "ot/"), ("/tmp/t", "-")];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, text) in &tree.files {
        if name.ends_with("Cargo.lock") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{name}:{}", number + 1);
            for (head, tail) in PATHS {
                let path = format!("{head}{tail}");
                // `…/name/` is a path of ours or a URL; an absolute one follows a blank, a quote or nothing.
                let absolute = line.match_indices(&path).any(|(at, _)| {
                    !line
                        .get(..at)
                        .unwrap_or_default()
                        .ends_with(|c: char| c.is_alphanumeric() || "./-_}~".contains(c))
                });
                if absolute {
                    faults.push(format!("{} has the path {path} of one machine", place()));
                }
            }
            if tracker_number(line) {
                faults.push(format!("{} refers to a tracker by number; say what it is about", place()));
            }
        }
    }
    faults
}

/// The word and a number: a reader of the tree has no such tracker. `owner/repo#12` names its own.
fn tracker_number(line: &str) -> bool {
    let lower = line.to_lowercase();
    lower.match_indices("issue").any(|(at, word)| {
        let rest = lower.get(at + word.len()..).unwrap_or_default();
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        rest.strip_prefix([' ', '-', '#'])
            .is_some_and(|rest| rest.trim_start_matches('#').starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::tracker_number;

    #[test]
    fn a_number_after_the_word_is_found() {
        let word = "issue";
        assert!(tracker_number(&format!("see {word} 12")));
        assert!(tracker_number(&format!("{word} #3")));
        assert!(!tracker_number(&format!("an {word} of style")));
        assert!(!tracker_number("danderson/netboot#134"));
    }
}
