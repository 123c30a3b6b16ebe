//! Any bytes as a file of an operator (the first byte chooses): a PE image, the record of an image's files, a file name.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, value)) = bytes.split_first() else { return };
    match choice % 3 {
        0 => library::fuzzing::pe(value),
        1 => {
            let at = value.iter().rposition(|byte| *byte == b'\n').unwrap_or(value.len());
            let (record, name) = value.split_at(at);
            library::fuzzing::manifest(record, &String::from_utf8_lossy(name));
        }
        _ => library::fuzzing::file_name(&String::from_utf8_lossy(value)),
    }
});
