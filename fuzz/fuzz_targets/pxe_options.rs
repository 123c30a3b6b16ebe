//! Any bytes as option 43, 60, 77, 82 or 175 (the first byte chooses).
#![no_main]

use dhcp_proto::wire::RelayInfo;
use dhcp_proto::wire::pxe::{Ipxe, PxeError, PxeOptions, VendorClass, encode_user_classes, user_classes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, value)) = bytes.split_first() else { return };
    match choice % 5 {
        0 => {
            let Ok(options) = PxeOptions::decode(value) else { return };
            match options.encode() {
                Ok(written) => assert_eq!(PxeOptions::decode(&written), Ok(options)),
                Err(error) => assert!(matches!(error, PxeError::TooLong { .. })),
            }
        }
        1 => drop(VendorClass::parse(value)),
        2 => {
            let classes = user_classes(value);
            if let Some(written) = encode_user_classes(&classes) {
                assert_eq!(user_classes(&written), classes);
            }
        }
        3 => {
            let relay = RelayInfo::new(value);
            assert_eq!(relay.raw(), value);
            let _ = (relay.circuit_id(), relay.remote_id(), relay.link_selection(), relay.server_override());
        }
        _ => drop(Ipxe::decode(value)),
    }
});
