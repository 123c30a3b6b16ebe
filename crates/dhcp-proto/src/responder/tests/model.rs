//! Any sequence of operations against a plain model: who was told which address, until when.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::Instant;

const MACHINES: u32 = 6;

#[derive(Clone, Debug)]
enum Step {
    Discover { machine: u32, stage: u8, wanted: Option<u8> },
    Select { machine: u32 },
    SelectOther { machine: u32 },
    Reboot { machine: u32, stage: u8, host: u8 },
    Renew { machine: u32, stage: u8, broadcast: bool },
    Decline { machine: u32 },
    Release { machine: u32 },
    Repeat,
    Wait { seconds: u64 },
    MoveClock { seconds: i64 },
    Restart,
    Reconfigure,
}

fn steps() -> impl Strategy<Value = Vec<(Step, bool)>> {
    let machine = || 1..=MACHINES;
    let step = prop_oneof![
        4 => (machine(), 0u8..3, proptest::option::of(9u8..16))
            .prop_map(|(machine, stage, wanted)| Step::Discover { machine, stage, wanted }),
        6 => machine().prop_map(|machine| Step::Select { machine }),
        1 => machine().prop_map(|machine| Step::SelectOther { machine }),
        2 => (machine(), 0u8..3, 9u8..16).prop_map(|(machine, stage, host)| Step::Reboot { machine, stage, host }),
        3 => (machine(), 0u8..3, any::<bool>())
            .prop_map(|(machine, stage, broadcast)| Step::Renew { machine, stage, broadcast }),
        1 => machine().prop_map(|machine| Step::Decline { machine }),
        1 => machine().prop_map(|machine| Step::Release { machine }),
        2 => Just(Step::Repeat),
        4 => prop_oneof![1u64..30, 30u64..400, 400u64..4000].prop_map(|seconds| Step::Wait { seconds }),
        1 => (-100_000i64..100_000).prop_map(|seconds| Step::MoveClock { seconds }),
        1 => Just(Step::Restart),
        1 => Just(Step::Reconfigure),
    ];
    // The flag: the commit of this step succeeds.
    proptest::collection::vec((step, prop::bool::weighted(0.85)), 1..80)
}

fn subnet(odd: bool) -> Subnet {
    let mut subnet = Subnet { pools: vec!["10.77.0.10-10.77.0.14".parse().unwrap()], ..lab() };
    if odd {
        subnet.reservations.push(types::subnet::Reservation { mac: mac(1), address: ip(12), hostname: None });
        subnet.excluded.push(ip(13).to_string().parse().unwrap());
    }
    subnet
}

fn as_stage(message: Message, stage: u8) -> Message {
    match stage {
        0 => rom(message, 7),
        1 => ipxe(message, 7),
        _ => {
            let mut message = message;
            let id: Vec<u8> = [0xff, 0, 1].into_iter().chain(message.hardware().to_vec()).collect();
            message.options.set(code::CLIENT_IDENTIFIER, id);
            message
        }
    }
}

/// What the machines believe and what the store has.
struct World {
    lab: Lab,
    /// Clock steps are allowed while nothing restarts: a store read with another clock cannot know better.
    restarted: bool,
    odd: bool,
    xid: u32,
    /// Address a machine uses, its stage, and when it must stop.
    leases: HashMap<u32, (Ipv4Addr, u8, Instant)>,
    offers: HashMap<u32, (Message, Message, Instant)>,
    store: HashMap<Ipv4Addr, LeaseRecord>,
    last: Option<(u32, u8, Message, Arrival)>,
}

impl World {
    fn new() -> World {
        World {
            lab: Lab::new(vec![subnet(false)]),
            restarted: false,
            odd: false,
            xid: 0,
            leases: HashMap::new(),
            offers: HashMap::new(),
            store: HashMap::new(),
            last: None,
        }
    }

    fn live(&self, machine: u32) -> Option<(Ipv4Addr, u8)> {
        let (address, stage, until) = self.leases.get(&machine)?;
        (*until > self.lab.now.instant).then_some((*address, *stage))
    }

    fn run(&mut self, step: Step, durable: bool) {
        self.xid += 1;
        let xid = self.xid;
        let fresh = |mut message: Message, stage: u8| {
            message.xid = xid;
            as_stage(message, stage)
        };
        match step {
            Step::Discover { machine, stage, wanted } => {
                // Whoever asks anew uses nothing any more.
                self.leases.remove(&machine);
                let mut message = discover(machine);
                if let Some(host) = wanted {
                    message.options.set_ip(code::REQUESTED_ADDRESS, ip(host));
                }
                self.send(machine, stage, fresh(message, stage), arrival(), durable);
            }
            Step::Select { machine } => {
                if let Some((request, offer, _)) = self.offers.get(&machine).cloned() {
                    let stage = if request.options.has(code::IPXE) {
                        1
                    } else if request.options.has(code::VENDOR_CLASS) {
                        0
                    } else {
                        2
                    };
                    self.send(machine, stage, take(&request, &offer), arrival(), durable);
                }
            }
            Step::SelectOther { machine } => {
                if let Some((request, ..)) = self.offers.remove(&machine) {
                    let mut message = request;
                    message.options.set(code::MESSAGE_TYPE, [3]);
                    message.options.set_ip(code::REQUESTED_ADDRESS, ip(77));
                    message.options.set_ip(code::SERVER_IDENTIFIER, ip(66));
                    self.send(machine, 0, message, arrival(), durable);
                }
            }
            Step::Reboot { machine, stage, host } => {
                if self.live(machine).is_some_and(|(address, _)| address != ip(host)) {
                    self.leases.remove(&machine);
                }
                self.send(machine, stage, fresh(reboot(machine, ip(host)), stage), arrival(), durable);
            }
            Step::Renew { machine, stage, broadcast } => {
                if let Some((address, _)) = self.live(machine) {
                    let at = if broadcast {
                        Arrival { remote: SocketAddrV4::new(address, 68), ..arrival() }
                    } else {
                        unicast(address, 68, 67)
                    };
                    self.send(machine, stage, fresh(renew(machine, address), stage), at, durable);
                }
            }
            Step::Decline { machine } => {
                if let Some((address, stage)) = self.live(machine) {
                    let mut message = message(machine, MessageType::Decline);
                    message.options.set_ip(code::REQUESTED_ADDRESS, address);
                    message.options.set_ip(code::SERVER_IDENTIFIER, LOCAL);
                    self.leases.remove(&machine);
                    self.send(machine, stage, fresh(message, stage), arrival(), durable);
                }
            }
            Step::Release { machine } => {
                if let Some((address, stage)) = self.live(machine) {
                    let mut message = message(machine, MessageType::Release);
                    message.ciaddr = address;
                    message.options.set_ip(code::SERVER_IDENTIFIER, LOCAL);
                    self.leases.remove(&machine);
                    self.send(machine, stage, fresh(message, stage), unicast(address, 68, 67), durable);
                }
            }
            Step::Repeat => {
                if let Some((machine, stage, message, at)) = self.last.clone() {
                    self.send(machine, stage, message, at, durable);
                }
            }
            Step::Wait { seconds } => {
                self.lab.now = self.lab.now.plus(secs(seconds));
                if durable {
                    self.lab.responder.tick(self.lab.now);
                }
            }
            Step::MoveClock { seconds } => {
                if !self.restarted {
                    self.lab.now.unix = types::UnixTime(self.lab.now.unix.0.saturating_add_signed(seconds));
                }
            }
            Step::Restart => {
                // The clock is right again before a restart; what it does meanwhile must not matter.
                if !self.restarted {
                    self.restarted = true;
                    self.leases.clear();
                    self.store.clear();
                }
                self.offers.clear();
                let settings =
                    Settings { subnets: vec![subnet(self.odd)], http_port: 8080, ..Settings::default() };
                self.lab.responder = Responder::new(settings);
                self.lab.responder.load(self.store.values().cloned());
            }
            Step::Reconfigure => {
                self.odd = !self.odd;
                let settings =
                    Settings { subnets: vec![subnet(self.odd)], http_port: 8080, ..Settings::default() };
                self.lab.responder.reconfigure(self.lab.now, settings);
                self.offers.clear();
            }
        }
    }

    fn send(&mut self, machine: u32, stage: u8, message: Message, at: Arrival, durable: bool) {
        let outcome = self.lab.handle(&at, &message);
        self.last = Some((machine, stage, message.clone(), at));
        let Outcome::Act(action) = outcome else { return };
        let transmit = if action.commit.is_empty() || durable { &action.transmit } else { &action.fallback };
        if durable {
            for record in &action.commit {
                self.store.insert(record.address, record.clone());
            }
            self.lab.responder.committed(&action.commit);
        }
        let Some(reply) = transmit.as_ref().map(|transmit| Message::decode(&transmit.payload).unwrap())
        else {
            return;
        };
        let now = self.lab.now.instant;
        match kind(&reply) {
            MessageType::Offer => {
                let address = reply.yiaddr;
                self.permitted(machine, address);
                for (other, (_, offer, until)) in &self.offers {
                    assert!(
                        *other == machine || offer.yiaddr != address || *until <= now,
                        "{address} is held for {other}"
                    );
                }
                self.nobody_elses(machine, address);
                self.offers.insert(machine, (message, reply, now + secs(60)));
            }
            MessageType::Ack => {
                let address = reply.yiaddr;
                self.permitted(machine, address);
                self.nobody_elses(machine, address);
                let stored = self.store.get(&address).expect("an ACK is durable before it leaves");
                assert_eq!((stored.state, stored.mac), (LeaseState::Bound, Some(mac(machine))));
                let lease = reply.options.u32(code::LEASE_TIME).unwrap();
                self.offers.remove(&machine);
                self.leases.insert(machine, (address, stage, now + secs(lease.into())));
            }
            MessageType::Nak => {
                self.leases.remove(&machine);
                self.offers.remove(&machine);
            }
            other => panic!("a server never says {other:?}"),
        }
    }

    fn permitted(&self, machine: u32, address: Ipv4Addr) {
        let in_pool = (ip(10)..=ip(14)).contains(&address);
        let odd = !self.odd || (address != ip(13) && (address == ip(12)) == (machine == 1));
        assert!(in_pool && odd, "{address} is not for {machine}");
    }

    fn nobody_elses(&self, machine: u32, address: Ipv4Addr) {
        for other in (1..=MACHINES).filter(|other| *other != machine) {
            assert_ne!(
                self.live(other).map(|(address, _)| address),
                Some(address),
                "{other} uses {address}, {machine} gets it"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_address_has_two_users_whatever_happens(steps in steps()) {
        let mut world = World::new();
        for (step, durable) in steps {
            world.run(step, durable);
        }
        // Everything comes back: with no lease left, no address is lost.
        world.lab.now = world.lab.now.plus(secs(8 * 3600));
        world.lab.responder.tick(world.lab.now);
        let table = &world.lab.responder.tables()[0];
        prop_assert_eq!(table.free(), table.size());
        prop_assert_eq!(table.holds(), 0);
    }

    #[test]
    fn handle_never_panics_on_mutated_packets(
        machine in 1u32..4,
        kind in 1u8..10,
        stage in 0u8..3,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        at_4011 in any::<bool>(),
        mode in 0u8..3,
    ) {
        let mode = [DhcpMode::Server, DhcpMode::Proxy, DhcpMode::Off][usize::from(mode)];
        let relays = vec!["0.0.0.0/0".parse().unwrap()];
        let mut lab = Lab::with(Settings { subnets: vec![Subnet { mode, ..subnet(true) }], relays, ..Settings::default() });
        let mut message = as_stage(selecting(machine, ip(10), LOCAL), stage);
        message.options.set(code::MESSAGE_TYPE, [kind]);
        message.giaddr = ip(5);
        message.options.set(code::RELAY_INFO, *b"\x01\x03ge1\x05\x04\x0a\x4d\x00\x00\x0b\x04\x0a\x4d\x00\x02");
        let mut bytes = message.encode(&[], &Encoding::for_client(Some(1500), 1500)).unwrap().bytes;
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let at = if at_4011 { unicast(ip(60), 68, 4011) } else { arrival() };
        for _ in 0..2 {
            if let Outcome::Act(action) = lab.responder.handle(lab.now, &at, &bytes, &lab.stub)
                && let Some(transmit) = &action.transmit
            {
                let reply = Message::decode(&transmit.payload).unwrap();
                let promises = kind_of(&reply) == Some(MessageType::Ack) && !reply.yiaddr.is_unspecified();
                prop_assert!(!promises || !action.commit.is_empty(), "an ACK that grants carries its record");
                prop_assert!(mode == DhcpMode::Server || reply.yiaddr.is_unspecified());
                prop_assert!(mode != DhcpMode::Off && transmit.payload.len() <= 1472);
            }
        }
    }
}

fn kind_of(message: &Message) -> Option<MessageType> {
    message.message_type()
}
