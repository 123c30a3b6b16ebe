//! For the fuzz targets: what a client of the admin API may send, to its readers.

use crate::query::{FACTS, Params};
use crate::view::ImportRequest;
use crate::{HostRef, Position, Problem, Stamped};
use types::Event;
use types::resource::{Host, Image};

/// A query string at a route that takes everything.
pub fn query(text: &str) {
    let known: Vec<&str> = ["limit", "after", "dry_run", "since"].into_iter().chain(FACTS).collect();
    match Params::read(Some(text), &known) {
        Ok(params) => {
            if let Ok(page) = params.page() {
                assert!((1..=1000).contains(&page.limit));
            }
            let _ = (params.flag("dry_run"), params.parse::<Position>("since"));
            if let Err(problem) = params.facts() {
                check(&problem);
            }
        }
        Err(problem) => check(&problem),
    }
    let _ = text.parse::<HostRef>();
    let _ = text.parse::<Position>();
}

/// A body: host, image or import request.
pub fn body(bytes: &[u8]) {
    if let Ok(host) = serde_json::from_slice::<Host>(bytes) {
        again(&host);
    }
    if let Ok(image) = serde_json::from_slice::<Image>(bytes) {
        again(&image);
    }
    let _ = serde_json::from_slice::<ImportRequest>(bytes);
}

/// An event as one line of the stream.
pub fn event_line(event: &Event) -> String {
    let stamped = Stamped { at_ms: 1, seq: 1, event: event.clone() };
    serde_json::to_string(&stamped).expect("an event has a JSON form")
}

/// What is read is written to something that reads as the same.
fn again<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let text = serde_json::to_string(value).expect("a resource has a JSON form");
    assert_eq!(&serde_json::from_str::<T>(&text).expect("what was written is read"), value);
}

fn check(problem: &Problem) {
    let text = serde_json::to_string(problem).expect("a problem has a JSON form");
    assert!(!text.bytes().any(|byte| byte < b' '), "{text:?}");
}
