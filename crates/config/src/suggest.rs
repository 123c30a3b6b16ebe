//! "Did you mean": the nearest of some known words.

/// Words that are compared; thousands of images are not worth the wait for a hint.
const CANDIDATES_MAX: usize = 1000;

/// The known word nearest to `word`, when one is near enough to be a likely slip.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.replace('-', "_").to_lowercase();
    let wanted = plain(word);
    if wanted.len() > 64 {
        return None;
    }
    let allowed = (wanted.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .take(CANDIDATES_MAX)
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 6)
        .map(|candidate| (distance(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A list for a sentence: `a`, `b` and `c`, cut after a dozen.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 12;
    let words: Vec<&str> = words.into_iter().collect();
    let shown: Vec<String> = words.iter().take(SHOWN_MAX).map(|word| format!("`{word}`")).collect();
    match words.len() {
        0 => "none".to_owned(),
        count if count > SHOWN_MAX => format!("{} and {} more", shown.join(", "), count - SHOWN_MAX),
        _ => shown.join(", "),
    }
}

/// Edits between two words: insert, delete, replace, swap of neighbours (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut last = None;
    for (row, own) in from.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&above, column + 1) + 1)
                .min(at(&line, column) + 1)
                .min(at(&above, column) + usize::from(own != *other));
            let swapped = column > 0 && last == Some(*other) && to.get(column - 1) == Some(&own);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            line.push(best);
        }
        before = std::mem::replace(&mut above, line);
        last = Some(own);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let known = ["lease_time", "lease_time_min", "network", "pools", "router"];
        assert_eq!(nearest("lease-time", known), Some("lease_time"));
        assert_eq!(nearest("Network", known), Some("network"));
        assert_eq!(nearest("poosl", known), Some("pools"));
        assert_eq!(nearest("rooter", known), Some("router"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"a".repeat(10_000), known), None);
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(listed(["a", "b"]), "`a`, `b`");
        assert_eq!(listed([]), "none");
        assert!(listed(std::iter::repeat_n("x", 20)).ends_with("and 8 more"));
    }
}
