//! Any bytes as a checkpoint, with the checksum made to fit.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| store::fuzzing::checkpoint(bytes));
