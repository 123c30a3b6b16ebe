//! For the fuzz targets: request bytes to the parsers of this crate. What is refused must say so in our own words.

use crate::conditions::{Outcome, evaluate};
use crate::limits::{FACT_BYTES_MAX, NAME_BYTES_MAX};
use crate::ranges::{Selection, select};
use crate::refusal::Refusal;
use crate::{query, target};
use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, Ipv4Addr};
use types::Facts;

/// Text a refusal may be at most; our own words fit easily.
const REFUSAL_BYTES_MAX: usize = 512;

/// A query of `boot.ipxe`; the facts when it is read.
pub fn query(text: &str) -> Option<Facts> {
    match query::facts(Some(text), IpAddr::V4(Ipv4Addr::LOCALHOST)) {
        Ok(facts) => {
            let facts = facts?;
            for text in [&facts.serial, &facts.vendor, &facts.model, &facts.asset].into_iter().flatten() {
                assert!(
                    !text.is_empty() && text.len() <= FACT_BYTES_MAX && !text.chars().any(char::is_control)
                );
            }
            Some(facts)
        }
        Err(refusal) => {
            check(&refusal);
            None
        }
    }
}

/// The path of a request target; the name when it is read.
pub fn target(path: &str) -> Option<String> {
    match target::name(path) {
        Ok(name) => {
            assert!((1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control));
            assert!(
                !name.starts_with('/') && !name.split(['/', '\\']).any(|part| part == ".." || part == ".")
            );
            Some(name)
        }
        Err(refusal) => {
            check(&refusal);
            None
        }
    }
}

/// A `Range` value against a file of `length` bytes.
pub fn range(value: &str, length: u64) {
    match select(value, length) {
        Selection::Part(part) => assert!(part.start < part.end && part.end <= length),
        Selection::Whole | Selection::Unsatisfiable => {}
    }
}

/// The three condition fields, whatever bytes a head may carry.
pub fn conditions(parts: [&[u8]; 3], etag: &str) {
    let mut headers = HeaderMap::new();
    for (name, value) in [IF_MATCH, IF_NONE_MATCH, IF_RANGE].into_iter().zip(parts) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let outcome = evaluate(&headers, etag);
    if headers.is_empty() {
        assert_eq!(outcome, Outcome::Proceed { ranges: true });
    }
}

fn check(refusal: &Refusal) {
    assert!(refusal.status.is_client_error());
    assert!(refusal.text.len() <= REFUSAL_BYTES_MAX, "{}", refusal.text);
    assert!(refusal.text.chars().all(|char| char == ' ' || char.is_ascii_graphic()), "{:?}", refusal.text);
}
