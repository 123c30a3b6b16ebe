//! Conditional requests in the order of RFC 9110 §13.2.2. Pure.
//!
//! Files have a strong entity tag and no modification date, so the date conditions never hold: `If-Unmodified-Since`
//! and `If-Modified-Since` are ignored (§13.1.3, §13.1.4), a date in `If-Range` never matches (§13.1.5).

use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, HeaderName};

/// What the conditions say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Answer; `ranges` tells whether a `Range` still counts.
    Proceed { ranges: bool },
    /// The client has it: 304.
    NotModified,
    /// The file is not the one the client means: 412.
    Failed,
}

/// Checks a GET or HEAD against the file's tag (without quotes).
pub(crate) fn evaluate(headers: &HeaderMap, etag: &str) -> Outcome {
    if headers.contains_key(IF_MATCH) && !listed(headers, &IF_MATCH, etag, false) {
        return Outcome::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) && listed(headers, &IF_NONE_MATCH, etag, true) {
        return Outcome::NotModified;
    }
    let mut given = headers.get_all(IF_RANGE).iter();
    let ranges = match (given.next(), given.next()) {
        (None, _) => true,
        (Some(value), None) => value.to_str().is_ok_and(|text| is_strong(text.trim(), etag)),
        _ => false,
    };
    Outcome::Proceed { ranges }
}

fn is_strong(text: &str, etag: &str) -> bool {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(etag)
}

/// True when `*` or the tag stands in the list. Weak comparison takes `W/"x"` for `"x"`.
fn listed(headers: &HeaderMap, name: &HeaderName, etag: &str, weak: bool) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|text| text.trim() == "*" || tags(text).any(|(is_weak, tag)| tag == etag && (weak || !is_weak)))
}

/// The entity tags of a list: commas inside the quotes belong to the tag. Ends at the first thing that is no tag.
fn tags(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.trim_start_matches([' ', '\t', ',']);
        let (weak, quoted) = match start.strip_prefix("W/") {
            Some(after) => (true, after),
            None => (false, start),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        rest = after;
        Some((weak, tag))
    })
}

#[cfg(test)]
mod tests;
