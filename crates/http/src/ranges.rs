//! The `Range` field (RFC 9110 §14.1.2, §14.2): which bytes of a file are asked for. Pure.
//!
//! DIVERGES RFC 9110 §14.6: we send no multipart. Ranges that touch or overlap become one; if more than one is left,
//! the whole file is sent, which §14.2 allows.

use crate::limits::RANGES_MAX;
use std::ops::Range;

/// What to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Selection {
    /// Everything: no range, one we do not understand, or too many.
    Whole,
    /// These bytes, half open, not empty, inside the file.
    Part(Range<u64>),
    /// Only ranges outside the file: 416.
    Unsatisfiable,
}

/// Reads a `Range` value against a file of `length` bytes.
pub(crate) fn select(value: &str, length: u64) -> Selection {
    let Some((unit, set)) = value.split_once('=') else { return Selection::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Selection::Whole;
    }
    let mut wanted: Vec<Range<u64>> = Vec::new();
    let mut seen = 0usize;
    for spec in set.split(',').map(|spec| spec.trim_matches([' ', '\t'])) {
        if spec.is_empty() {
            continue;
        }
        seen += 1;
        if seen > RANGES_MAX {
            return Selection::Whole;
        }
        match one(spec, length) {
            Ok(Some(range)) => wanted.push(range),
            Ok(None) => {}
            Err(BadSyntax) => return Selection::Whole,
        }
    }
    if seen == 0 {
        return Selection::Whole;
    }
    wanted.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in wanted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    match merged.as_slice() {
        [] => Selection::Unsatisfiable,
        // A non-empty suffix of an empty file is the whole of it.
        [only] if only.is_empty() => Selection::Whole,
        [only] => Selection::Part(only.clone()),
        _ => Selection::Whole,
    }
}

struct BadSyntax;

/// `None`: understood, but outside the file.
fn one(spec: &str, length: u64) -> Result<Option<Range<u64>>, BadSyntax> {
    let (first, last) = spec.split_once('-').ok_or(BadSyntax)?;
    if first.is_empty() {
        let count = number(last)?;
        return Ok((count > 0).then(|| length.saturating_sub(count)..length));
    }
    let first = number(first)?;
    let end = if last.is_empty() {
        length
    } else {
        let last = number(last)?;
        if last < first {
            return Err(BadSyntax);
        }
        last.saturating_add(1).min(length)
    };
    Ok((first < length).then_some(first..end))
}

/// Digits only; what does not fit 64 bits is farther than any file (CVE-2017-7529).
fn number(text: &str) -> Result<u64, BadSyntax> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadSyntax);
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
