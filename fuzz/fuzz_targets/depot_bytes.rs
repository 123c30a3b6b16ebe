//! Any bytes as a part of an ESXi offline bundle (the first byte chooses): an `ar` archive, XML, an image profile, a package.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, value)) = bytes.split_first() else { return };
    match choice % 4 {
        0 => library::fuzzing::ar(value),
        1 => library::fuzzing::depot_xml(value),
        2 => library::fuzzing::depot_profile(value),
        _ => library::fuzzing::depot_package(value),
    }
});
