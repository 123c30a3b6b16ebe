//! Any bytes as what a client of the admin API sends (the first byte chooses): a query string or a body.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, value)) = bytes.split_first() else { return };
    match (choice % 2, std::str::from_utf8(value)) {
        (0, Ok(text)) => admin::fuzzing::query(text),
        (1, _) => admin::fuzzing::body(value),
        _ => {}
    }
});
