//! Any bytes as a stored record or a line of a dump (the first byte chooses). What is read is written to what reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use store::Change;
use store::records::{
    ALARM, Alarm, BUNDLE, GROUP, HOST, RULE, TEMPLATE, decode_bundle_runs, decode_host, decode_image, decode_lease,
    decode_life, decode_machine, decode_owned, decode_rollout, encode_bundle_runs, encode_host, encode_image, encode_lease,
    encode_life, encode_machine, encode_owned, encode_rollout, is_alarm_key, lease_address, lease_key,
};
use types::resource::{Bundle, Group, Host, Rule, Template};

/// A record with its owner beside it.
macro_rules! owned {
    ($resource:ty, $kind:expr, $value:expr) => {
        if let Ok((owner, record)) = decode_owned::<$resource>($kind, $value) {
            let written = encode_owned($kind, &owner, &record).expect("it is written");
            assert_eq!(decode_owned::<$resource>($kind, &written).expect("and read"), (owner, record));
        }
    };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, value)) = bytes.split_first() else { return };
    // Those that came later have a number each, so that what the others once found stays theirs.
    let reader = if matches!(choice, 5..=8 | 10 | 11 | 13..=15) { *choice } else { choice % 5 };
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
            owned!(Host, &HOST, value);
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
        7 => {
            if let Ok(machine) = decode_machine(value) {
                let written = encode_machine(&machine).expect("a machine is written");
                assert_eq!(decode_machine(&written).expect("and read"), machine);
            }
        }
        8 => {
            if let Ok(alarm) = ALARM.decode::<Alarm>(value) {
                let written = ALARM.encode(&alarm).expect("an alarm is written");
                assert_eq!(ALARM.decode::<Alarm>(&written).expect("and read"), alarm);
                assert!(is_alarm_key(&alarm.key()));
            }
        }
        10 => {
            if let Ok(runs) = decode_bundle_runs(value) {
                let written = encode_bundle_runs(&runs).expect("runs are written");
                assert_eq!(decode_bundle_runs(&written).expect("and read"), runs);
            }
        }
        11 => owned!(Group, &GROUP, value),
        13 => owned!(Rule, &RULE, value),
        14 => owned!(Template, &TEMPLATE, value),
        15 => owned!(Bundle, &BUNDLE, value),
        _ => {
            if let Ok(line) = std::str::from_utf8(value) {
                let _ = Change::from_dump(line);
            }
        }
    }
});
