//! Any bytes as a stored record or a line of a dump (the first byte chooses). What is read is written to what reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use store::Change;
use store::records::{
    HOST, decode_host, decode_image, decode_lease, decode_life, decode_owned, decode_rollout, encode_host, encode_image,
    encode_lease, encode_life, encode_owned, encode_rollout, lease_address, lease_key,
};
use types::resource::Host;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, value)) = bytes.split_first() else { return };
    // Two that came later have a number each, so that what the others once found stays theirs.
    let reader = if matches!(choice, 5 | 6) { *choice } else { choice % 5 };
    match reader {
        0 => {
            if let Ok(lease) = decode_lease(value) {
                let written = encode_lease(&lease).expect("a lease is written");
                assert_eq!(decode_lease(&written).expect("and read"), lease);
            }
        }
        1 => {
            if let Ok(host) = decode_host(value) {
                let written = encode_host(&host).expect("a host is written");
                assert_eq!(decode_host(&written).expect("and read"), host);
            }
            if let Ok((owner, host)) = decode_owned::<Host>(&HOST, value) {
                let written = encode_owned(&HOST, &owner, &host).expect("a host is written");
                assert_eq!(decode_owned::<Host>(&HOST, &written).expect("and read"), (owner, host));
            }
        }
        2 => {
            if let Ok(image) = decode_image(value) {
                let written = encode_image(&image).expect("an image is written");
                assert_eq!(decode_image(&written).expect("and read"), image);
            }
        }
        3 => {
            if let Some(address) = lease_address(value) {
                assert_eq!(lease_key(address), value);
            }
        }
        5 => {
            if let Ok(life) = decode_life(value) {
                let written = encode_life(&life).expect("a life is written");
                assert_eq!(decode_life(&written).expect("and read"), life);
            }
        }
        6 => {
            // An order, and its hosts behind the first zero byte.
            let cut = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
            let (order, part) = value.split_at(cut);
            if let Ok(rollout) = decode_rollout(order, [part.get(1..).unwrap_or_default()]) {
                let written = encode_rollout(&rollout, None).expect("a rollout is written");
                let parts = written.iter().skip(1).map(|(_, value)| value.as_slice());
                let order = &written.first().expect("its order").1;
                assert_eq!(decode_rollout(order, parts).expect("and read"), rollout);
            }
        }
        _ => {
            if let Ok(line) = std::str::from_utf8(value) {
                let _ = Change::from_dump(line);
            }
        }
    }
});
