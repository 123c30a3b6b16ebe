//! Any bytes as a DHCP message. What decodes must read without a panic and, written again, mean the same.
#![no_main]

use dhcp_proto::wire::{Encoding, Message, Options, RelayInfo, code};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::decode(bytes) else { return };
    let options = &message.options;
    let _ = (message.mac(), message.hardware(), message.file_name(), message.server_name());
    let _ =
        (options.host_name(), options.client_archs(), options.undi(), options.guid(), options.vendor_class());
    let _ = (options.user_classes(), options.ipxe(), options.pxe(), options.client_identifier());
    for (code, _) in options.iter() {
        let _ = options.text(code);
    }
    if let Some(raw) = options.get(code::RELAY_INFO) {
        let relay = RelayInfo::new(raw);
        let _ = (relay.circuit_id(), relay.remote_id(), relay.link_selection(), relay.server_override());
        assert!(relay.sub_options().map(|(_, value)| value.len() + 2).sum::<usize>() <= raw.len());
    }

    let roomy = Encoding { size_max: 64 * 1024, overload_file: false, overload_sname: false };
    if let Ok(encoded) = message.encode(options.param_list(), &roomy) {
        assert!(encoded.dropped.is_empty());
        let again = Message::decode(&encoded.bytes).expect("our own bytes decode");
        assert_eq!(sorted(&again.options), sorted(&message.options));
    }
    let tight = Encoding { overload_file: true, overload_sname: true, ..Encoding::default() };
    if let Ok(encoded) = message.encode(options.param_list(), &tight) {
        assert!(encoded.bytes.len() <= tight.size_max);
        let again = Message::decode(&encoded.bytes).expect("our own bytes decode");
        for (code, value) in message.options.iter() {
            assert_eq!(again.options.get(code).is_none(), encoded.dropped.contains(&code));
            assert!(again.options.get(code).is_none_or(|own| own == value));
        }
    }
});

fn sorted(options: &Options) -> Vec<(u8, Vec<u8>)> {
    let mut all: Vec<(u8, Vec<u8>)> = options.iter().map(|(code, value)| (code, value.to_vec())).collect();
    all.sort();
    all
}
