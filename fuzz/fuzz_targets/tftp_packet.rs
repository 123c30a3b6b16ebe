//! Any bytes as a TFTP packet, and a request through negotiation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tftp_proto::wire::{Packet, decode};
use tftp_proto::{Policy, negotiate};

fuzz_target!(|bytes: &[u8]| match decode(bytes) {
    Ok(Packet::Rrq(request) | Packet::Wrq(request)) => {
        let policy = Policy::default();
        for size in [0, 1, 1 << 20, u64::MAX] {
            let agreed = negotiate(&request, size, &policy);
            assert!((8..=policy.blksize_max).contains(&agreed.blksize));
            assert!((1..=policy.windowsize_max).contains(&agreed.windowsize));
            if let Some(oack) = &agreed.oack {
                assert!(matches!(decode(oack), Ok(Packet::Oack(_))));
            }
        }
    }
    Ok(packet) => drop(format!("{packet:?}")),
    Err(error) => drop((error.reason(), error.answer(), error.to_string())),
});
