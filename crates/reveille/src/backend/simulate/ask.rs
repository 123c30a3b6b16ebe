//! DHCP as the machine says it: the requests of ROMs and of iPXE, and replies in words.

use admin::view::{OptionView, ReplyView};
use dhcp_proto::wire::message::BROADCAST_FLAG;
use dhcp_proto::wire::{Message, MessageType, Op, code};
use std::net::Ipv4Addr;
use types::{ClientArch, Destination, Facts, Firmware, Stage, Transmit};

/// What ROMs ask for (firmware seen), boot data among it.
const ROM_ASKS: [u8; 12] = [1, 3, 6, 12, 15, 28, 43, 54, 60, 66, 67, 97];
/// What iPXE asks for.
const IPXE_ASKS: [u8; 9] = [1, 3, 6, 12, 15, 26, 43, 66, 67];
/// iPXE's TFTP and HTTP, as sub-options of 175: code, length, value.
const IPXE_FEATURES: [u8; 6] = [21, 1, 1, 19, 1, 1];
/// COM32 programs, likewise.
const IPXE_COMBOOT: [u8; 3] = [35, 1, 1];

/// A request of this machine.
pub(super) fn request(facts: &Facts, kind: MessageType, xid: u32) -> Message {
    let mut message = Message::new(Op::BootRequest);
    (message.xid, message.flags) = (xid, BROADCAST_FLAG);
    let mac = facts.mac.map(|mac| mac.0).unwrap_or_default();
    message.chaddr.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
    let options = &mut message.options;
    options.set(code::MESSAGE_TYPE, [kind.code()]);
    options.set(code::MESSAGE_SIZE_MAX, 1472u16.to_be_bytes());
    let ipxe = facts.stage == Stage::Ipxe;
    options.set(code::PARAMETER_LIST, if ipxe { &IPXE_ASKS[..] } else { &ROM_ASKS[..] });
    let arch = arch_of(facts);
    let class = if facts.stage == Stage::HttpRom { "HTTPClient" } else { "PXEClient" };
    match arch {
        Some(ClientArch(arch)) => {
            options.set(code::VENDOR_CLASS, format!("{class}:Arch:{arch:05}:UNDI:003016"));
            options.set(code::CLIENT_ARCH, arch.to_be_bytes());
        }
        None => options.set(code::VENDOR_CLASS, class),
    }
    options.set(code::CLIENT_UNDI, [1, 3, 16]);
    if let Some(guid) = facts.guid {
        options.set(code::CLIENT_GUID, [&[0], &guid.0[..]].concat());
    }
    if let Some(name) = &facts.hostname {
        options.set(code::HOST_NAME, name.as_bytes());
    }
    if ipxe {
        let mut features = IPXE_FEATURES.to_vec();
        if facts.comboot == Some(true) {
            features.extend(IPXE_COMBOOT);
        }
        options.set(code::USER_CLASS, *b"iPXE");
        options.set(code::IPXE, features);
    }
    if let Some(relay) = facts.relay {
        (message.giaddr, message.hops) = (relay, 1);
        if let Some(circuit) = &facts.circuit_id
            && let Ok(len) = u8::try_from(circuit.len())
        {
            message.options.set(code::RELAY_INFO, [&[1, len], &circuit[..]].concat());
        }
    }
    message
}

/// Option 93 of a machine at this stage.
fn arch_of(facts: &Facts) -> Option<ClientArch> {
    let by_http = facts.stage == Stage::HttpRom;
    let own = facts.arch.filter(|arch| facts.firmware.is_none() || arch.firmware() == facts.firmware);
    own.filter(|arch| arch.boots_by_http() == by_http).or_else(|| {
        let code = match (facts.firmware?, by_http) {
            (Firmware::Bios, false) => 0,
            (Firmware::Bios, true) => 0x14,
            (Firmware::UefiIa32, false) => 6,
            (Firmware::UefiIa32, true) => 0x0f,
            (Firmware::UefiX64, false) => 7,
            (Firmware::UefiX64, true) => 0x10,
            (Firmware::UefiArm32, false) => 0x0a,
            (Firmware::UefiArm32, true) => 0x12,
            (Firmware::UefiArm64, false) => 0x0b,
            (Firmware::UefiArm64, true) => 0x13,
            (Firmware::UbootArm32, false) => 0x15,
            (Firmware::UbootArm32, true) => 0x17,
            (Firmware::UbootArm64, false) => 0x16,
            (Firmware::UbootArm64, true) => 0x18,
            (Firmware::UefiRiscv64, false) => 0x1b,
            (Firmware::UefiRiscv64, true) => 0x1c,
            (Firmware::UefiLoongarch64, false) => 0x27,
            (Firmware::UefiLoongarch64, true) => 0x28,
        };
        Some(ClientArch(code))
    })
}

/// The boot file of a reply, as firmware reads it: option 67, else the header.
pub(super) fn boot_file(reply: &Message) -> Option<String> {
    let option = reply.options.get(code::BOOT_FILE);
    let bytes = option.filter(|value| !value.is_empty()).unwrap_or_else(|| reply.file_name());
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    (!text.is_empty()).then_some(text)
}

/// A reply in words.
pub(super) fn view(reply: &Message, transmit: &Transmit) -> ReplyView {
    let address = |own: Ipv4Addr| (!own.is_unspecified()).then(|| own.to_string());
    let header = |bytes: &[u8]| dhcp_proto::wire::options::clean_text(bytes).map(|text| text.to_string());
    ReplyView {
        message: reply.message_type().map_or("none", |kind| kind.as_str()).to_owned(),
        to: match transmit.destination {
            Destination::Unicast(to) => to.to_string(),
            Destination::Broadcast(port) => format!("broadcast, port {port}"),
            Destination::Hardware { mac, to } => format!("{to} at {mac}"),
        },
        yiaddr: address(reply.yiaddr),
        siaddr: address(reply.siaddr),
        sname: header(reply.server_name()),
        file: header(reply.file_name()),
        options: reply.options.iter().map(|(code, value)| option(code, value)).collect(),
        bytes: transmit.payload.len() as u64,
    }
}

fn option(code: u8, value: &[u8]) -> OptionView {
    let addresses = || {
        let (whole, rest) = value.as_chunks::<4>();
        let list: Vec<String> = whole.iter().map(|own| Ipv4Addr::from(*own).to_string()).collect();
        (rest.is_empty() && !list.is_empty()).then(|| list.join(", "))
    };
    let seconds = || Some(format!("{} s", u32::from_be_bytes(value.try_into().ok()?)));
    let text = || dhcp_proto::wire::options::clean_text(value).map(|text| text.to_string());
    let (name, shown) = match code {
        code::SUBNET_MASK => ("subnet mask", addresses()),
        code::ROUTER => ("router", addresses()),
        code::DNS => ("domain name server", addresses()),
        code::HOST_NAME => ("host name", text()),
        code::DOMAIN_NAME => ("domain name", text()),
        code::BROADCAST_ADDRESS => ("broadcast address", addresses()),
        code::NTP_SERVERS => ("time server", addresses()),
        code::VENDOR_SPECIFIC => ("vendor specific", None),
        code::LEASE_TIME => ("lease time", seconds()),
        code::MESSAGE_TYPE => {
            let kind = value.first().and_then(|code| MessageType::from_code(*code));
            ("message type", kind.map(|kind| kind.as_str().to_owned()))
        }
        code::SERVER_IDENTIFIER => ("server identifier", addresses()),
        code::MESSAGE => ("message", text()),
        code::RENEWAL_TIME => ("renewal time", seconds()),
        code::REBINDING_TIME => ("rebinding time", seconds()),
        code::VENDOR_CLASS => ("vendor class", text()),
        code::CLIENT_IDENTIFIER => ("client identifier", None),
        code::TFTP_SERVER_NAME => ("TFTP server name", text()),
        code::BOOT_FILE => ("boot file", text()),
        code::RELAY_INFO => ("relay information", None),
        code::CLIENT_GUID => ("client GUID", None),
        code::DOMAIN_SEARCH => ("domain search", None),
        code::CLASSLESS_ROUTES => ("classless routes", None),
        code::TFTP_SERVER_ADDRESS => ("TFTP server address", addresses()),
        code::IPXE => ("iPXE", None),
        _ => ("option", None),
    };
    let hex = || value.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    OptionView { code, name: name.to_owned(), value: shown.unwrap_or_else(hex) }
}
