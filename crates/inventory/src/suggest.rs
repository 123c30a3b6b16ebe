//! "Did you mean": the nearest of a few known words.

/// The known word nearest to `word`, when it is near enough to be a likely slip.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > 32 {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 2);
    known
        .iter()
        .map(|&candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words, where two neighbours that changed places are one (optimal string alignment).
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
            if column > 0 && last == Some(*other) && to.get(column - 1) == Some(&own) {
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
    use super::nearest;

    #[test]
    fn slips_find_their_word() {
        let known = ["name", "mac", "uuid", "serial", "image"];
        assert_eq!(nearest("nmae", &known), Some("name"));
        assert_eq!(nearest("serail", &known), Some("serial"));
        assert_eq!(nearest("imgae", &known), Some("image"));
        assert_eq!(nearest("location", &known), None);
        assert_eq!(nearest(&"x".repeat(10_000), &known), None);
    }
}
