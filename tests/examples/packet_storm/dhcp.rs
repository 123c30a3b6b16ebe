//! DHCP: captures, damaged, to a responder that serves three networks.
//!
//! 10.77.0.0/24 and 10.78.0.0/24 (behind a relay) are leased from, 10.79.0.0/24 has its addresses from somebody else.
//! One packet in eight is a sound one of a small fleet, so that the tables hold leases, offers and quarantined addresses.

use crate::measure::Fate;
use crate::mutate::{self, pick};
use dhcp_proto::wire::{Encoding, Message, MessageType, Op, code};
use dhcp_proto::{Outcome, Responder, Settings};
use plan::{Catalog, CatalogParts, Decider};
use sim::Seed;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::resource::{Host, Image};
use types::subnet::{DhcpMode, LeaseTimes, LoaderChoice, Reservation, Subnet};
use types::{Arrival, EventName, Facts, Firmware, Now, UnixTime};

/// Machines of the sound packets; more than a pool holds.
const FLEET: u64 = 150;
/// Time between two packets, at most: few enough of each client that its rate lets them through.
const STEP_MILLIS_MAX: u64 = 200;
/// Addresses asked for where another machine answers, in so many of 1000.
const IN_USE: u32 = 60;
/// Seconds in which the wall clock is set, in so many of 1000.
const CLOCK_SET: u32 = 1;
/// Commits that fail, in so many of 1000.
const COMMIT_FAILURES: u32 = 50;
const NETWORKS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 78, 0, 1), Ipv4Addr::new(10, 79, 0, 1)];

pub(crate) struct Lab {
    responder: Responder,
    decider: Arc<Catalog>,
    now: Now,
    ticked: Instant,
    captures: Vec<Vec<u8>>,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        let [server, relayed, proxy] = NETWORKS;
        let subnets = vec![
            subnet(server, DhcpMode::Server),
            subnet(relayed, DhcpMode::Server),
            subnet(proxy, DhcpMode::Proxy),
        ];
        let now = Now { instant: Instant::now(), unix: UnixTime(1_800_000_000) };
        Lab {
            responder: Responder::new(Settings {
                subnets,
                default_mode: DhcpMode::Proxy,
                relays: vec!["10.78.0.0/16".parse().unwrap()],
                probe_wait: Duration::from_millis(500),
                ..Settings::default()
            }),
            decider: Arc::new(catalog()),
            now,
            ticked: now.instant,
            captures: captures(),
        }
    }

    /// The next packet.
    pub(crate) fn next(&self, dice: &mut Seed, packet: &mut Vec<u8>) {
        let capture = &self.captures[pick(dice, self.captures.len())];
        match dice.below(16) {
            0 => {
                let length = pick(dice, 700);
                packet.extend(dice.bytes(length));
            }
            1 | 2 => packet.extend(sound(dice)),
            kind => {
                if kind < 6 {
                    packet.extend(sound(dice))
                } else {
                    packet.extend(capture)
                }
                let other = &self.captures[pick(dice, self.captures.len())];
                mutate::dhcp(dice, packet, other);
            }
        }
    }

    /// Hands it in, as the door would.
    pub(crate) fn handle(&mut self, dice: &mut Seed, packet: &[u8]) -> Fate {
        self.now = self.now.plus(Duration::from_millis(dice.below(STEP_MILLIS_MAX)));
        if self.now.instant.duration_since(self.ticked) > Duration::from_secs(1) {
            self.ticked = self.now.instant;
            if dice.chance(CLOCK_SET) {
                self.now.unix = UnixTime(dice.below(4_000_000_000));
            }
            let ticked = self.responder.tick(self.now);
            ticked.events.iter().for_each(crate::log::event);
            if let Some(redating) = ticked.redating {
                self.responder.redated(redating.clock);
            }
        }
        let arrival = arrival(dice);
        match self.responder.handle(self.now, &arrival, packet, &self.decider) {
            Outcome::Refuse(reason) => {
                crate::log::event(&reason.event());
                Fate::Refused
            }
            Outcome::Ignore(_, event) => {
                event.iter().for_each(|event| crate::log::event(event));
                Fate::Ignored
            }
            Outcome::Act(action) => {
                if let Some(probe) = action.probe {
                    if dice.chance(IN_USE) {
                        let by = probe.client.filter(|_| dice.chance(500));
                        if let Some(conflict) = self.responder.address_in_use(self.now, probe.address, by) {
                            self.responder.committed(&conflict.commit);
                            crate::log::event(&conflict.event);
                        }
                        return Fate::Acted;
                    }
                    self.responder.probed(self.now, &probe);
                }
                let fails = !action.commit.is_empty() && dice.chance(COMMIT_FAILURES);
                let sent = if fails { action.fallback } else { action.transmit };
                if !fails {
                    self.responder.committed(&action.commit);
                }
                if let Some(sent) = sent {
                    assert!(
                        (300..=1472).contains(&sent.payload.len()),
                        "a reply of {} bytes",
                        sent.payload.len()
                    );
                    let reply = Message::decode(&sent.payload).expect("our own bytes decode");
                    assert_eq!(reply.op, Op::BootReply);
                }
                if let Some(facts) = &action.learn {
                    self.speak_of(facts);
                }
                action.events.iter().for_each(crate::log::event);
                Fate::Acted
            }
        }
    }

    /// What other doors and the world say about a machine with what it said of itself.
    fn speak_of(&self, facts: &Facts) {
        let verdict = self.decider.decide(facts);
        let mut event = types::Event::new(EventName::HostSeen).of(facts);
        for (name, text) in
            [("hostname", &facts.hostname), ("serial", &facts.serial), ("vendor", &facts.vendor)]
        {
            if let Some(text) = text {
                event = event.with(name, text.clone());
            }
        }
        crate::log::event(&event.with("verdict", format!("{verdict:?}")));
    }
}

/// A packet a client in good health sends.
fn sound(dice: &mut Seed) -> Vec<u8> {
    let [a, b] = ((dice.below(FLEET)) as u16).to_be_bytes();
    let server = NETWORKS[pick(dice, 2)];
    let [one, two, three, _] = server.octets();
    let address = Ipv4Addr::new(one, two, three, 100 + dice.below(40) as u8);
    let mut message = Message::new(Op::BootRequest);
    message.xid = dice.next_u64() as u32;
    message.chaddr[..6].copy_from_slice(&[0x52, 0x54, 0, 0, a, b]);
    let kinds = [
        MessageType::Discover,
        MessageType::Discover,
        MessageType::Request,
        MessageType::Request,
        MessageType::Request,
        MessageType::Inform,
        MessageType::Decline,
        MessageType::Release,
    ];
    let kind = kinds[pick(dice, kinds.len())];
    message.options.set(code::MESSAGE_TYPE, [kind.code()]);
    if dice.chance(700) {
        message.options.set_ip(code::REQUESTED_ADDRESS, address);
    } else {
        message.ciaddr = address;
    }
    if dice.chance(600) {
        message.options.set_ip(code::SERVER_IDENTIFIER, server);
    }
    if dice.chance(300) {
        message.giaddr = Ipv4Addr::new(10, 78, 0, 2);
        if dice.chance(500) {
            message.options.set(code::RELAY_INFO, [1, 3, b'e', b't', b'h', 5, 4, 10, 78, 0, 0]);
        }
    }
    if dice.chance(500) {
        message.options.set(code::PARAMETER_LIST, [1, 3, 6, 12, 15, 43, 51, 54, 60, 66, 67]);
        message.options.set(code::VENDOR_CLASS, b"PXEClient:Arch:00007:UNDI:003016".to_vec());
        message.options.set(code::CLIENT_ARCH, [0, 7]);
    }
    message.encode(&[], &Encoding::default()).expect("a request encodes").bytes
}

fn arrival(dice: &mut Seed) -> Arrival {
    let local = NETWORKS[pick(dice, NETWORKS.len())];
    let [a, b, c, _] = local.octets();
    let near = Ipv4Addr::new(a, b, c, dice.below(256) as u8);
    let unicast = dice.chance(300);
    Arrival {
        interface_index: 2,
        interface: "eth0".into(),
        local,
        sent_to: SocketAddrV4::new(
            if unicast { local } else { Ipv4Addr::BROADCAST },
            if dice.chance(200) { 4011 } else { 67 },
        ),
        remote: SocketAddrV4::new(if unicast { near } else { Ipv4Addr::UNSPECIFIED }, 68),
    }
}

fn subnet(server: Ipv4Addr, mode: DhcpMode) -> Subnet {
    let [a, b, c, _] = server.octets();
    let leases = mode == DhcpMode::Server;
    let pool = format!("{a}.{b}.{c}.100-{a}.{b}.{c}.199");
    Subnet {
        name: format!("net{b}").into(),
        network: format!("{a}.{b}.{c}.0/24").parse().unwrap(),
        mode,
        pools: if leases { vec![pool.parse().unwrap()] } else { Vec::new() },
        excluded: Vec::new(),
        reservations: if leases {
            vec![Reservation {
                mac: "52:54:00:00:00:07".parse().unwrap(),
                address: Ipv4Addr::new(a, b, c, 50),
                hostname: Some("seven".into()),
            }]
        } else {
            Vec::new()
        },
        lease_times: LeaseTimes {
            default: Duration::from_secs(600),
            min: Duration::from_secs(60),
            max: Duration::from_secs(3600),
        },
        routers: vec![server],
        dns: vec![server],
        domain: Some("lab.example".into()),
        options: Vec::new(),
        authoritative: true,
        uefi_discovery_control: false,
        next_server: None,
    }
}

fn catalog() -> Catalog {
    let image = |name: &str| -> Image {
        let text = format!(r#"{{"name":"{name}","kind":"linux","kernel":"linux","initrd":["initrd"]}}"#);
        serde_json::from_str(&text).unwrap()
    };
    let host = |name: &str, mac: &str| -> Host {
        let text = format!(r#"{{"name":"{name}","match":{{"mac":"{mac}"}},"image":"debian"}}"#);
        serde_json::from_str(&text).unwrap()
    };
    let loader = |firmware, file: &str| LoaderChoice { firmware, file: file.into() };
    Catalog::build(CatalogParts {
        hosts: vec![host("seven", "52:54:00:00:00:07"), host("eight", "52:54:00:00:00:08")],
        images: vec![image("debian"), image("rescue")],
        default_image: Some("rescue".parse().unwrap()),
        loaders: vec![
            loader(Firmware::Bios, "undionly.kpxe"),
            loader(Firmware::UefiX64, "snponly.efi"),
            loader(Firmware::UefiArm64, "snponly-arm64.efi"),
        ],
        ..CatalogParts::default()
    })
    .unwrap()
}

/// The golden packets; their grammar is in `crates/dhcp-proto/testdata/README.md`.
fn captures() -> Vec<Vec<u8>> {
    let folder = harness::daemon::workspace().join("crates/dhcp-proto/testdata");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // A run is a function of its seed, not of the disk.
    files.sort();
    let hex = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "hex"));
    hex.map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let words =
            text.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
        words
            .flat_map(|word| {
                let (pair, times) = word.split_once('*').unwrap_or((word, "1"));
                std::iter::repeat_n(u8::from_str_radix(pair, 16).unwrap(), times.parse().unwrap())
            })
            .collect()
    })
    .collect()
}
