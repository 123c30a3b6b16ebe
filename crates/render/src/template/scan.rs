//! The words of a template's tags, with their places: enough to name a wrong filter or variable before any render.
//!
//! It does not parse: minijinja did. It only splits tags into words, strings and signs.

use super::TemplateFault;
use super::filters::{FILTERS, TESTS};
use types::resource::TemplateKind;

/// One token of a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Text,
    Sign(char),
}

/// One `{{ … }}` or `{% … %}`.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    /// Tokens with their byte offset in the template.
    pub(super) tokens: Vec<(usize, Token<'a>)>,
}

impl<'a> Tag<'a> {
    pub(super) fn word(&self, at: usize) -> Option<&'a str> {
        match self.tokens.get(at) {
            Some((_, Token::Word(word))) => Some(word),
            _ => None,
        }
    }

    pub(super) fn sign(&self, at: usize) -> Option<char> {
        match self.tokens.get(at) {
            Some((_, Token::Sign(sign))) => Some(*sign),
            _ => None,
        }
    }

    /// Words it assigns: `set`, `for`, `with` and `macro` do.
    pub(super) fn assigns(&self, name: &str) -> bool {
        let until = match self.word(0) {
            Some("set") => self.tokens.iter().position(|(_, token)| *token == Token::Sign('=')),
            Some("for") => self.tokens.iter().position(|(_, token)| *token == Token::Word("in")),
            Some("with" | "macro" | "call") => None,
            _ => return false,
        };
        let until = until.unwrap_or(self.tokens.len());
        self.tokens.iter().take(until).skip(1).any(|(_, token)| *token == Token::Word(name))
    }
}

/// Line and column (from 1, in characters) of a byte offset.
pub(super) fn place(text: &str, offset: usize) -> (u32, Option<u32>) {
    let before = text.get(..offset.min(text.len())).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).ok())
}

/// Splits the tags of a template that parses.
pub(super) fn scan(text: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| rest.find('{')).map(|found| at + found) {
        match text.as_bytes().get(open + 1) {
            Some(b'#') => at = after(text, open + 2, "#}"),
            Some(sign @ (b'{' | b'%')) => {
                let close = if *sign == b'{' { '}' } else { '%' };
                let (tag, end) = tag(text, open + 2, close);
                at = end;
                if tag.word(0) == Some("raw") {
                    at = end_of_raw(text, end);
                } else {
                    tags.push(tag);
                }
            }
            _ => at = open + 1,
        }
    }
    tags
}

/// The offset behind `what`, or the end.
fn after(text: &str, from: usize, what: &str) -> usize {
    text.get(from..).and_then(|rest| rest.find(what)).map_or(text.len(), |found| from + found + what.len())
}

/// The offset behind `{% endraw %}`, or the end.
fn end_of_raw(text: &str, from: usize) -> usize {
    let mut at = from;
    while at < text.len() {
        let open = after(text, at, "{%");
        let inner = text.get(open..).unwrap_or("").trim_start_matches(['-', '+']).trim_start();
        at = open;
        if inner.starts_with("endraw") {
            return after(text, open, "%}");
        }
    }
    text.len()
}

fn tag(text: &str, from: usize, close: char) -> (Tag<'_>, usize) {
    let mut tokens = Vec::new();
    let mut at = from;
    // Maps nest braces; an expression's end is the first `}}` outside of them.
    let mut depth = 0_u32;
    while let Some(char) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let next = text.get(at + char.len_utf8()..).and_then(|rest| rest.chars().next());
        if char == close && next == Some('}') && depth == 0 {
            return (Tag { tokens }, at + 2);
        }
        match char {
            '"' | '\'' => {
                let end = end_of_text(text, at + 1, char);
                tokens.push((at, Token::Text));
                at = end;
                continue;
            }
            _ if char.is_alphanumeric() || char == '_' => {
                let rest = text.get(at..).unwrap_or("");
                let end =
                    rest.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(rest.len());
                tokens.push((at, Token::Word(rest.get(..end).unwrap_or(""))));
                at += end;
                continue;
            }
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        // White-space control stands at the ends only.
        let control = matches!(char, '-' | '+') && (tokens.is_empty() || (next == Some(close)));
        if !char.is_whitespace() && !control {
            tokens.push((at, Token::Sign(char)));
        }
        at += char.len_utf8();
    }
    (Tag { tokens }, text.len())
}

fn end_of_text(text: &str, from: usize, quote: char) -> usize {
    let mut escaped = false;
    for (offset, char) in text.get(from..).unwrap_or("").char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return from + offset + 1,
            _ => {}
        }
    }
    text.len()
}

/// Refuses filters and tests that do not exist: minijinja would only find out on the way.
pub(super) fn check_words(
    name: &str,
    text: &str,
    tags: &[Tag<'_>],
    kind: TemplateKind,
) -> Result<(), TemplateFault> {
    for tag in tags {
        for (index, (offset, token)) in tag.tokens.iter().enumerate() {
            let (what, word, known) = match *token {
                Token::Sign('|') => match tag.word(index + 1) {
                    Some(word) => ("filter", word, FILTERS),
                    None => continue,
                },
                Token::Word("filter") if index == 0 => match tag.word(1) {
                    Some(word) => ("filter", word, FILTERS),
                    None => continue,
                },
                Token::Word("is") if tag.sign(index.wrapping_sub(1)) != Some('.') => {
                    let negated = tag.word(index + 1) == Some("not");
                    match tag.word(index + 1 + usize::from(negated)) {
                        Some(word) => ("test", word, TESTS),
                        None => continue,
                    }
                }
                _ => continue,
            };
            if known.contains(&word) {
                continue;
            }
            let (line, column) = place(text, *offset);
            let fix = match word {
                "safe" | "escape" | "e" => format!(
                    "values of kind {} are put in by its own rules; see | quote, | json, | xml",
                    kind.as_str()
                ),
                "tojson" | "to_json" => "it is | json here".to_owned(),
                "b64encode" => "it is | b64 here".to_owned(),
                _ => match nearest(word, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", known.join(", ")),
                },
            };
            return Err(TemplateFault::new(name, format!("there is no {what} `{word}`"))
                .fix(fix)
                .at(line, column));
        }
    }
    Ok(())
}

/// The nearest of some words, when one is near: at most a third of its letters differ.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|other| (distance(word, other), *other));
    scored.filter(|(score, other)| *score <= other.len().div_ceil(3)).min().map(|(_, other)| other)
}

/// Levenshtein's distance, two neighbours swapped counting one.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut last: Option<char> = None;
    for (line, &char) in left.iter().enumerate() {
        let mut next = vec![line + 1];
        for (at, &other) in right.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best = (cell(&row, at) + usize::from(char != other))
                .min(cell(&row, at + 1) + 1)
                .min(cell(&next, at) + 1);
            let swapped = at > 0 && last == Some(other) && right.get(at - 1) == Some(&char);
            if swapped && let Some(two) = before.get(at - 1) {
                best = best.min(two + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(char);
    }
    row.last().copied().unwrap_or(0)
}
