use super::*;
use crate::testing::{Recorded, SERVER, bytes, decider, request, responder, taking};
use dhcp_proto::wire::{Message, MessageType, code};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use types::UnixTime;
use types::event::Value;

/// A log that keeps what it was given; each commit takes one permit first, and fails while told so.
struct FakeLog {
    commits: Arc<Mutex<Vec<Vec<LeaseRecord>>>>,
    permits: Arc<Semaphore>,
    full: Arc<Mutex<bool>>,
    /// Only what keeps a promise is taken.
    reserved: Arc<Mutex<bool>>,
}

impl LeaseLog for FakeLog {
    async fn commit(&self, batch: &LeaseBatch<'_>) -> Result<(), LeaseLogError> {
        self.permits.acquire().await.unwrap().forget();
        if *self.full.lock().unwrap() {
            let source = Arc::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
            return Err(CommitError::Journal { source }.into());
        }
        if *self.reserved.lock().unwrap() && !batch.essential {
            return Err(CommitError::Reserved { reason: "full".to_owned() }.into());
        }
        self.commits.lock().unwrap().push(batch.records.to_vec());
        Ok(())
    }

    fn takes_new(&self) -> bool {
        !*self.full.lock().unwrap() && !*self.reserved.lock().unwrap()
    }
}

struct Bench {
    core: Core<FakeLog>,
    now: Now,
    recorded: Recorded,
    commits: Arc<Mutex<Vec<Vec<LeaseRecord>>>>,
    permits: Arc<Semaphore>,
    full: Arc<Mutex<bool>>,
    reserved: Arc<Mutex<bool>>,
}

impl Bench {
    fn new(permits: usize) -> Bench {
        let recorded = Recorded::default();
        let (commits, full, reserved) = (Arc::default(), Arc::default(), Arc::<Mutex<bool>>::default());
        let permits = Arc::new(Semaphore::new(permits));
        let log = FakeLog {
            commits: Arc::clone(&commits),
            permits: Arc::clone(&permits),
            full: Arc::clone(&full),
            reserved: Arc::clone(&reserved),
        };
        let core = Core {
            responder: responder(),
            log,
            decider: decider(),
            events: Arc::new(recorded.clone()),
            tally: Tally::new(),
            probing: Probing::default(),
            clock_durable: false,
        };
        let now = Now { instant: Instant::now(), unix: UnixTime(1_800_000_000) };
        Bench { core, now, recorded, commits, permits, full, reserved }
    }

    /// One batch; the log must not make it wait.
    fn turn(&mut self, messages: &[Message]) -> Vec<Outgoing> {
        let now = self.now;
        ready(self.core.turn(now, messages.iter().map(received).collect()))
    }

    fn later(&mut self, by: Duration) {
        self.now = self.now.plus(by);
    }

    /// DISCOVER; the address offered.
    fn offered(&mut self, machine: u8) -> Ipv4Addr {
        let out = self.turn(&[request(MessageType::Discover, machine)]);
        reply(&out[0]).yiaddr
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("waits for something"),
    }
}

fn received(message: &Message) -> Received {
    let arrival = Arrival {
        interface_index: 2,
        interface: "lab0".into(),
        local: SERVER,
        sent_to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
        remote: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
    };
    Received { socket: 0, arrival, bytes: bytes(message), conflicts: 0 }
}

fn reply(outgoing: &Outgoing) -> Message {
    Message::decode(&outgoing.transmit.as_ref().unwrap().payload).unwrap()
}

#[test]
fn an_ack_leaves_only_after_its_lease_is_durable() {
    let mut bench = Bench::new(0);
    let address = bench.offered(1);
    let before = bench.recorded.names().len();
    let batch = vec![received(&taking(1, address))];
    let (now, permits, commits) = (bench.now, Arc::clone(&bench.permits), Arc::clone(&bench.commits));
    {
        let mut turn = pin!(bench.core.turn(now, batch));
        let mut context = Context::from_waker(Waker::noop());
        assert!(turn.as_mut().poll(&mut context).is_pending());
        assert!(commits.lock().unwrap().is_empty());
        assert_eq!(bench.recorded.names().len(), before);

        permits.add_permits(1);
        let Poll::Ready(out) = turn.as_mut().poll(&mut context) else { panic!("still waits") };
        assert_eq!(reply(&out[0]).message_type(), Some(MessageType::Ack));
        assert!(out[0].events.iter().any(|event| event.name == EventName::DhcpAck));
    }
    assert_eq!(commits.lock().unwrap()[0][0].address, address);
}

#[test]
fn a_batch_is_decided_whole_and_committed_once() {
    let mut bench = Bench::new(1);
    let addresses: Vec<Ipv4Addr> = (1..=20).map(|machine| bench.offered(machine)).collect();
    let requests: Vec<Message> =
        (1..=20).zip(&addresses).map(|(machine, address)| taking(machine, *address)).collect();
    let out = bench.turn(&requests);
    assert_eq!(out.len(), 20);
    assert_eq!(bench.commits.lock().unwrap().len(), 1);
    assert_eq!(bench.commits.lock().unwrap()[0].len(), 20);
    assert_eq!(bench.core.tally.snapshot().committed, 20);
}

#[test]
fn offers_need_no_commit() {
    let mut bench = Bench::new(0);
    assert!(bench.offered(1).octets()[3] >= 100);
    assert!(bench.commits.lock().unwrap().is_empty());
}

#[test]
fn a_failed_commit_sends_nothing_and_says_so() {
    let mut bench = Bench::new(9);
    let address = bench.offered(1);
    *bench.full.lock().unwrap() = true;
    let out = bench.turn(&[taking(1, address)]);
    assert!(out[0].transmit.is_none());
    assert!(!out[0].events.iter().any(|event| says_sent(event.name)));
    let failed =
        bench.recorded.all().into_iter().find(|event| event.name == EventName::DhcpCommitFailed).unwrap();
    assert_eq!(failed.reason, Some("disk_full"));
    assert_eq!(failed.mac.map(|mac| mac.to_string()).as_deref(), Some("52:54:00:00:00:01"));
    assert_eq!(failed.field("address"), Some(&Value::from(address)));
    assert_eq!(failed.field("fallback"), Some(&Value::Flag(false)));
    assert_eq!(bench.core.tally.snapshot().commit_failed, 1);
}

#[test]
fn the_repeated_request_after_a_failed_commit_is_committed_before_its_ack() {
    let mut bench = Bench::new(9);
    let address = bench.offered(1);
    *bench.full.lock().unwrap() = true;
    assert!(bench.turn(&[taking(1, address)])[0].transmit.is_none());
    *bench.full.lock().unwrap() = false;
    bench.later(Duration::from_secs(1));
    let out = bench.turn(&[taking(1, address)]);
    assert_eq!(reply(&out[0]).message_type(), Some(MessageType::Ack));
    assert_eq!(bench.commits.lock().unwrap()[0][0].address, address);
}

#[test]
fn a_failed_commit_holds_back_only_what_needed_it() {
    let mut bench = Bench::new(9);
    let address = bench.offered(1);
    *bench.full.lock().unwrap() = true;
    let out = bench.turn(&[taking(1, address), request(MessageType::Discover, 2)]);
    assert!(out[0].transmit.is_none());
    assert_eq!(reply(&out[1]).message_type(), Some(MessageType::Offer));
}

#[test]
fn a_known_machine_keeps_its_durable_lease_on_a_full_disk() {
    let mut bench = Bench::new(9);
    let address = bench.offered(1);
    bench.turn(&[taking(1, address)]);
    *bench.full.lock().unwrap() = true;
    bench.later(Duration::from_secs(600));
    let mut again = taking(1, address);
    again.xid += 0x100;
    again.options.remove(code::SERVER_IDENTIFIER);
    let out = bench.turn(&[again]);
    let ack = reply(&out[0]);
    assert_eq!((ack.message_type(), ack.yiaddr), (Some(MessageType::Ack), address));
    assert!(ack.options.u32(code::LEASE_TIME).unwrap() <= 3000);
    let told = out[0].events.iter().find(|event| event.name == EventName::DhcpAck).unwrap();
    assert_eq!((told.field("fallback"), told.field("lease_secs")), (Some(&Value::Flag(true)), None));
    assert_eq!(bench.core.tally.snapshot().fallbacks, 1);
    assert!(bench.recorded.names().contains(&EventName::DhcpCommitFailed));
}

#[test]
fn what_is_not_answered_is_counted_by_reason() {
    let mut bench = Bench::new(0);
    let now = bench.now;
    let mut reply = request(MessageType::Offer, 1);
    reply.op = dhcp_proto::wire::Op::BootReply;
    let garbage = Received { bytes: b"GET / HTTP/1.0".to_vec(), ..received(&reply) };
    let out = ready(bench.core.turn(now, vec![garbage, received(&reply)]));
    assert!(out.is_empty());
    let counters = bench.core.tally.snapshot();
    assert_eq!(counters.received, 2);
    assert_eq!(counters.refused["too_short"], 1);
    assert_eq!(counters.ignored["not_a_request"], 1);
    assert_eq!(counters.ignored["pool_empty"], 0);
    let mut odd = request(MessageType::Discover, 2);
    odd.options.set(code::LEASE_TIME, [1]);
    bench.turn(&[odd]);
    assert_eq!(bench.core.tally.snapshot().option_faults, 1);
    let refused =
        bench.recorded.all().into_iter().find(|event| event.name == EventName::DhcpRefused).unwrap();
    assert_eq!((refused.reason, refused.interface.as_deref()), (Some("too_short"), Some("lab0")));
}

#[test]
fn with_the_reserve_only_a_batch_keeps_its_promises_and_makes_no_new_ones() {
    let mut bench = Bench::new(9);
    let known = bench.offered(1);
    bench.turn(&[taking(1, known)]);
    let fresh = bench.offered(2);
    bench.later(Duration::from_secs(600));
    // Found out by the very batch that holds both.
    *bench.reserved.lock().unwrap() = true;
    let mut renewal = taking(1, known);
    renewal.xid += 0x100;
    renewal.options.remove(code::SERVER_IDENTIFIER);
    let out = bench.turn(&[renewal, taking(2, fresh)]);
    let ack = reply(&out[0]);
    assert_eq!((ack.message_type(), ack.options.u32(code::LEASE_TIME)), (Some(MessageType::Ack), Some(3600)));
    assert!(out[1].transmit.is_none());
    assert_eq!(bench.commits.lock().unwrap().last().unwrap()[0].address, known);
    let before = bench.core.tally.snapshot().ignored["store_refuses"];
    assert!(
        bench.turn(&[request(MessageType::Discover, 3)]).is_empty(),
        "and from then on nobody new is offered any"
    );
    assert_eq!(bench.core.tally.snapshot().ignored["store_refuses"], before + 1);
}
