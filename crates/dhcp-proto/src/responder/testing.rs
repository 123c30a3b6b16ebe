//! Packets, places and a decider for the tests of this crate.

use crate::wire::message::BROADCAST_FLAG;
use crate::wire::{Message, MessageType, Op, code};
use plan::{BootPlan, Catalog, Decider, Decision, LeaveAloneReason, Step, Target, Trace, Verdict};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use types::subnet::{DhcpMode, LeaseTimes, Subnet};
use types::{Arrival, Facts, Firmware, MacAddr, Now, Stage, UnixTime};

/// Our address in every test.
pub(crate) const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// A first moment; everything else is counted from it.
pub(crate) fn start() -> Now {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made otherwise; tests only count from it"
    )]
    let instant = Instant::now();
    Now { instant, unix: UnixTime(1_800_000_000) }
}

/// Seconds.
pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A broadcast to port 67 from a machine without an address.
pub(crate) fn arrival() -> Arrival {
    Arrival {
        interface_index: 3,
        interface: "pxe0".into(),
        local: LOCAL,
        sent_to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
        remote: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
    }
}

/// A datagram to our own address.
pub(crate) fn unicast(from: Ipv4Addr, from_port: u16, port: u16) -> Arrival {
    Arrival {
        sent_to: SocketAddrV4::new(LOCAL, port),
        remote: SocketAddrV4::new(from, from_port),
        ..arrival()
    }
}

/// 10.77.0.0/24, authoritative, pool .100 to .199.
pub(crate) fn lab() -> Subnet {
    Subnet {
        name: "lab".into(),
        network: "10.77.0.0/24".parse().unwrap(),
        mode: DhcpMode::Server,
        pools: vec!["10.77.0.100-10.77.0.199".parse().unwrap()],
        excluded: Vec::new(),
        reservations: Vec::new(),
        lease_times: LeaseTimes { default: secs(3600), min: secs(300), max: secs(7200) },
        routers: vec![Ipv4Addr::new(10, 77, 0, 254)],
        dns: vec![Ipv4Addr::new(10, 77, 0, 53), Ipv4Addr::new(10, 77, 0, 54)],
        domain: Some("lab.example".into()),
        options: Vec::new(),
        authoritative: true,
        uefi_discovery_control: false,
        next_server: None,
    }
}

/// The address `10.77.0.host`.
pub(crate) fn ip(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host)
}

/// Hardware address number `n`.
pub(crate) fn mac(n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([0x52, 0x54, a, b, c, d])
}

/// A request of machine `n` without any mark.
pub(crate) fn message(n: u32, kind: MessageType) -> Message {
    let mut message = Message::new(Op::BootRequest);
    message.chaddr[..6].copy_from_slice(&mac(n).0);
    message.xid = 0x1000_0000 + n;
    message.secs = 4;
    message.options.set(code::MESSAGE_TYPE, [kind.code()]);
    message
}

/// DISCOVER of machine `n`.
pub(crate) fn discover(n: u32) -> Message {
    message(n, MessageType::Discover)
}

/// REQUEST of an offered address.
pub(crate) fn selecting(n: u32, address: Ipv4Addr, server: Ipv4Addr) -> Message {
    let mut message = message(n, MessageType::Request);
    message.options.set_ip(code::REQUESTED_ADDRESS, address);
    message.options.set_ip(code::SERVER_IDENTIFIER, server);
    message
}

/// REQUEST to verify a remembered address.
pub(crate) fn reboot(n: u32, address: Ipv4Addr) -> Message {
    let mut message = message(n, MessageType::Request);
    message.options.set_ip(code::REQUESTED_ADDRESS, address);
    message
}

/// REQUEST to extend a lease.
pub(crate) fn renew(n: u32, address: Ipv4Addr) -> Message {
    let mut message = message(n, MessageType::Request);
    message.ciaddr = address;
    message
}

fn marks(mut message: Message, class: &str, arch: u16) -> Message {
    message.flags = BROADCAST_FLAG;
    message.options.set(code::VENDOR_CLASS, format!("{class}:Arch:{arch:05}:UNDI:003000").into_bytes());
    message.options.set(code::CLIENT_ARCH, arch.to_be_bytes());
    message.options.set(code::CLIENT_UNDI, [1, 3, 0]);
    let [.., last] = message.mac().unwrap().0;
    let mut guid = [0x11; 17];
    guid[0] = 0;
    guid[16] = last;
    message.options.set(code::CLIENT_GUID, guid);
    message.options.set(code::MESSAGE_SIZE_MAX, 1472u16.to_be_bytes());
    message
}

/// Adds what OVMF's PXE client sends.
pub(crate) fn rom(message: Message, arch: u16) -> Message {
    let mut message = marks(message, "PXEClient", arch);
    let list = [
        1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97,
    ];
    message.options.set(code::PARAMETER_LIST, list);
    message
}

/// Adds what OVMF's HTTP boot client sends.
pub(crate) fn http_rom(message: Message, arch: u16) -> Message {
    let mut message = marks(message, "HTTPClient", arch);
    message.options.set(code::PARAMETER_LIST, [1, 3, 6, 12, 15, 28, 43, 51, 54, 58, 59, 60, 67, 97, 235]);
    message
}

/// Adds what iPXE sends.
pub(crate) fn ipxe(message: Message, arch: u16) -> Message {
    let mut message = marks(message, "PXEClient", arch);
    message.flags = 0;
    message.options.set(code::USER_CLASS, *b"iPXE");
    message
        .options
        .set(code::IPXE, [177, 5, 1, 0x1a, 0xf4, 0x10, 0, 235, 3, 1, 21, 1, 19, 1, 1, 21, 1, 1, 33, 1, 1]);
    message
        .options
        .set(code::PARAMETER_LIST, [1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 175, 203]);
    let mut id = vec![1];
    id.extend(message.hardware());
    message.options.set(code::CLIENT_IDENTIFIER, id);
    message
}

/// Decides by stage as the real one does: loaders by firmware for ROMs, the script for iPXE, nothing for others.
#[derive(Default)]
pub(crate) struct Stub {
    /// Leaves every boot client alone for this reason.
    pub(crate) left_alone: Option<LeaveAloneReason>,
    /// Loader of every ROM instead of the usual one.
    pub(crate) loader: Option<Arc<str>>,
    /// The operator recorded every machine, under this name.
    pub(crate) recorded: Option<&'static str>,
    /// Every question asked.
    pub(crate) asked: Mutex<Vec<Facts>>,
}

impl Decider for Stub {
    fn decide(&self, facts: &Facts) -> Verdict {
        self.asked.lock().unwrap().push(facts.clone());
        let leave = |reason| Decision::LeaveAlone(reason);
        let boot = |step| Decision::Boot(BootPlan { target: Target::Menu, step });
        let decision = match (facts.stage, self.left_alone) {
            (Stage::Os, _) => leave(LeaveAloneReason::NotABootClient),
            (_, Some(reason)) => leave(reason),
            (Stage::Ipxe, None) => boot(Step::Script),
            (Stage::Loader, None) => boot(Step::Config),
            (Stage::Rom | Stage::HttpRom, None) => match (&self.loader, facts.firmware) {
                (Some(file), _) => boot(Step::Loader(file.clone())),
                (None, Some(Firmware::Bios)) => boot(Step::Loader("undionly.kpxe".into())),
                (None, Some(Firmware::UefiX64)) => boot(Step::Loader("snponly.efi".into())),
                (None, Some(Firmware::UefiArm64)) => boot(Step::Loader("snponly-arm64.efi".into())),
                (None, Some(_)) => leave(LeaveAloneReason::NoLoader),
                (None, None) => leave(LeaveAloneReason::FirmwareUnknown),
            },
        };
        let host = self.recorded.map(|name| Arc::new(recorded(name)));
        Verdict { decision, profile: host.clone(), host, trace: Trace::default(), generation: 17 }
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::new(Catalog::default())
    }
}

/// A host record without anything in it.
fn recorded(name: &str) -> types::resource::Host {
    types::resource::Host::new(name.parse().unwrap(), types::resource::HostMatch::default())
}
