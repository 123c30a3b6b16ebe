use super::*;
use crate::commit::{LeaseBatch, LeaseLogError};
use crate::counters::Tally;
use crate::testing::{Recorded, SERVER, bytes, decider, request, settings};
use dhcp_proto::limits::WAITING_MAX;
use dhcp_proto::wire::{Message, MessageType};
use dhcp_proto::{Responder, Settings};
use std::net::Ipv4Addr;
use std::net::SocketAddrV4;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use types::lease::{LeaseRecord, LeaseState};
use types::{Arrival, EventName, MacAddr, UnixTime};

const WAIT: Duration = Duration::from_millis(500);
const OTHER: MacAddr = MacAddr([0x52, 0x54, 9, 9, 9, 9]);

#[derive(Default)]
struct Log(Mutex<Vec<LeaseRecord>>);

impl LeaseLog for Arc<Log> {
    async fn commit(&self, batch: &LeaseBatch<'_>) -> Result<(), LeaseLogError> {
        self.0.lock().unwrap().extend_from_slice(batch.records);
        Ok(())
    }

    fn takes_new(&self) -> bool {
        true
    }
}

/// Remembers what it was asked; refuses when told so.
#[derive(Default)]
struct Asked {
    addresses: Mutex<Vec<Ipv4Addr>>,
    refuses: Mutex<bool>,
}

impl Ask for Asked {
    fn ask(&self, probe: &Probe) -> io::Result<()> {
        if *self.refuses.lock().unwrap() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.addresses.lock().unwrap().push(probe.address);
        Ok(())
    }
}

struct Bench {
    core: Core<Arc<Log>>,
    now: Now,
    log: Arc<Log>,
    asked: Arc<Asked>,
    recorded: Recorded,
}

impl Bench {
    fn new() -> Bench {
        let (log, asked, recorded) = (Arc::<Log>::default(), Arc::<Asked>::default(), Recorded::default());
        let settings = Settings { probe_wait: WAIT, stranger_rate: 0, ..settings() };
        let core = Core {
            responder: Responder::new(settings),
            log: log.clone(),
            decider: decider(),
            events: Arc::new(recorded.clone()),
            tally: Tally::new(),
            probing: Probing::new(Some(asked.clone())),
            clock_durable: true,
        };
        let now = Now { instant: Instant::now(), unix: UnixTime(1_800_000_000) };
        Bench { core, now, log, asked, recorded }
    }

    fn discover(&mut self, machine: u8, xid: u32) -> Vec<Outgoing> {
        let arrival = Arrival {
            interface_index: 2,
            interface: "lab0".into(),
            local: SERVER,
            sent_to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
            remote: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
        };
        let bytes = bytes(&Message { xid, ..request(MessageType::Discover, machine) });
        let datagram = Received { socket: 0, arrival, bytes, conflicts: 0 };
        ready(self.core.turn(self.now, vec![datagram]))
    }

    fn after(&mut self, wait: Duration) -> Vec<Outgoing> {
        self.now = self.now.plus(wait);
        self.core.probes_due(self.now)
    }

    fn heard(&mut self, address: Ipv4Addr, mac: MacAddr) -> Vec<Outgoing> {
        ready(self.core.heard(self.now, InUse { address, mac: Some(mac), interface_index: 2 }))
    }

    fn asked(&self) -> Vec<Ipv4Addr> {
        self.asked.addresses.lock().unwrap().clone()
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("waits for something"),
    }
}

fn offer(outgoing: &[Outgoing]) -> Message {
    assert_eq!(outgoing.len(), 1);
    Message::decode(&outgoing[0].transmit.as_ref().unwrap().payload).unwrap()
}

fn ip(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host)
}

#[test]
fn an_offer_leaves_when_nobody_answered_and_the_question_was_put_twice() {
    let mut bench = Bench::new();
    assert!(bench.discover(1, 1).is_empty());
    assert_eq!(bench.core.probing.next_due(), Some(bench.now.instant + WAIT / 2));
    assert!(bench.after(WAIT / 2).is_empty());
    assert_eq!(bench.asked(), [ip(100), ip(100)]);
    assert_eq!(offer(&bench.after(WAIT / 2)).yiaddr, ip(100));
    assert_eq!((bench.core.probing.len(), bench.core.probing.next_due()), (0, None));
    assert_eq!(offer(&bench.discover(1, 2)).yiaddr, ip(100), "its offer stands: not asked again");
}

#[test]
fn nobody_else_waits_for_it() {
    let mut bench = Bench::new();
    assert!(bench.discover(1, 1).is_empty());
    *bench.asked.refuses.lock().unwrap() = true;
    assert_eq!(offer(&bench.discover(2, 1)).yiaddr, ip(101), "cannot be asked for: offered at once");
    assert_eq!(bench.core.tally.snapshot().unprobed, 1);
}

#[test]
fn a_client_that_asks_again_meanwhile_is_answered_in_its_newer_words_once() {
    let mut bench = Bench::new();
    bench.discover(1, 7);
    bench.now = bench.now.plus(WAIT / 4);
    assert!(bench.discover(1, 8).is_empty());
    assert_eq!(bench.asked().len(), 1);
    bench.after(WAIT / 4);
    let offer = offer(&bench.after(WAIT));
    assert_eq!(offer.xid, 8);
    assert!(bench.after(WAIT).is_empty());
}

#[test]
fn an_address_in_use_is_quarantined_durably_and_the_next_one_is_asked_for_at_once() {
    let mut bench = Bench::new();
    bench.discover(1, 1);
    assert!(bench.heard(ip(100), OTHER).is_empty());
    assert_eq!(bench.asked(), [ip(100), ip(101)]);
    let records = bench.log.0.lock().unwrap().clone();
    assert_eq!((records[0].address, records[0].state), (ip(100), LeaseState::Quarantined));
    assert!(bench.recorded.names().contains(&EventName::DhcpAddressInUse));
    bench.after(WAIT / 2);
    assert_eq!(offer(&bench.after(WAIT / 2)).yiaddr, ip(101));
}

#[test]
fn its_own_answer_another_links_and_one_nobody_asked_for_change_nothing() {
    let mut bench = Bench::new();
    bench.discover(1, 1);
    assert!(bench.heard(ip(100), MacAddr([0x52, 0x54, 0, 0, 0, 1])).is_empty());
    let elsewhere = InUse { address: ip(100), mac: Some(OTHER), interface_index: 3 };
    assert!(ready(bench.core.heard(bench.now, elsewhere)).is_empty());
    assert!(bench.heard(ip(150), OTHER).is_empty());
    assert!(bench.log.0.lock().unwrap().is_empty());
    bench.after(WAIT / 2);
    assert_eq!(offer(&bench.after(WAIT)).yiaddr, ip(100));
}

#[test]
fn a_datagram_that_meets_only_used_addresses_ends() {
    let mut bench = Bench::new();
    bench.discover(1, 1);
    for host in 100..100 + CONFLICTS_MAX {
        assert!(bench.heard(ip(host), OTHER).is_empty());
    }
    assert_eq!((bench.core.probing.len(), bench.core.tally.snapshot().probes_given_up), (0, 1));
    assert!(bench.discover(1, 2).is_empty(), "its next try is asked for anew");
    assert_eq!(*bench.asked().last().unwrap(), ip(100 + CONFLICTS_MAX));
}

#[test]
fn a_client_that_took_another_servers_offer_gets_none_of_ours() {
    let mut bench = Bench::new();
    bench.discover(1, 1);
    let mut other = request(MessageType::Request, 1);
    other.options.set_ip(dhcp_proto::wire::code::SERVER_IDENTIFIER, ip(9));
    let arrival = Arrival {
        interface_index: 2,
        interface: "lab0".into(),
        local: SERVER,
        sent_to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
        remote: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
    };
    let datagram = Received { socket: 0, arrival, bytes: bytes(&other), conflicts: 0 };
    ready(bench.core.turn(bench.now, vec![datagram]));
    bench.after(WAIT / 2);
    assert!(bench.after(WAIT).is_empty());
}

#[test]
fn offers_that_wait_are_bounded() {
    let mut bench = Bench::new();
    for n in 0..WAITING_MAX {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 90, 0, 0)) + u32::try_from(n).unwrap());
        let probe = Probe { address, way: ProbeWay::Arp(2), client: None };
        let arrival = Arrival {
            interface_index: 2,
            interface: "lab0".into(),
            local: SERVER,
            sent_to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
            remote: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
        };
        let datagram = Received { socket: 0, arrival, bytes: Vec::new(), conflicts: 0 };
        let action = Action { probe: Some(probe), ..Action::default() };
        assert!(bench.core.ask_first(bench.now, datagram, action).is_none());
    }
    assert_eq!(offer(&bench.discover(1, 1)).yiaddr, ip(100), "offered unasked");
    assert_eq!(bench.core.probing.len(), WAITING_MAX);
}
