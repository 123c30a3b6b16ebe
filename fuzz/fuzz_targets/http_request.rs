//! Any bytes as the parts of an HTTP request (the first byte chooses): query, target, range, conditions. Error texts are our own
//! words; what is read holds no control byte.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, value)) = bytes.split_first() else { return };
    let text = std::str::from_utf8(value);
    match (choice % 4, text) {
        (0, Ok(text)) => drop(http_door::fuzzing::query(text)),
        (1, Ok(text)) => drop(http_door::fuzzing::target(text)),
        (2, Ok(text)) => {
            for length in [0, 1, 1000, u64::MAX] {
                http_door::fuzzing::range(text, length);
            }
        }
        (3, _) => {
            let mut parts = value.splitn(3, |byte| *byte == b'\n');
            let mut next = || parts.next().unwrap_or_default();
            http_door::fuzzing::conditions([next(), next(), next()], "abc");
        }
        _ => {}
    }
});
