#![expect(clippy::cast_possible_truncation, reason = "test content and wire numbers are cut on purpose")]

use super::*;
use bytes::Bytes;
use plan::{Catalog, CatalogParts};
use std::collections::HashMap;
use std::future::Future;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::{Condvar, Mutex};
use std::time::Instant;
use tftp_proto::wire::{ack, decode, error_number, read_request};
use tftp_proto::{ErrorCode, Packet};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use types::event::Value;
use types::{Event, EventName, EventSink, Facts};

/// Files by name; `slow` ones wait until the gate opens.
#[derive(Default)]
struct Shelf {
    files: Mutex<HashMap<&'static str, Bytes>>,
    gate_closed: Mutex<bool>,
    gate_moved: Condvar,
}

impl Files for Shelf {
    fn open(&self, name: &str, _: Ipv4Addr, _: &Arc<str>, local: Ipv4Addr) -> Result<File, Refusal> {
        assert!(!local.is_unspecified());
        if name == "slow" {
            let closed = self.gate_closed.lock().unwrap();
            let wait = Duration::from_secs(10);
            drop(self.gate_moved.wait_timeout_while(closed, wait, |closed| *closed).unwrap());
        }
        let content = self.files.lock().unwrap().get(name).cloned().ok_or_else(|| Refusal {
            code: ErrorCode::FileNotFound,
            text: "file not found".to_owned(),
            reason: "not_found",
        })?;
        Ok(File {
            name: name.into(),
            content,
            role: if name.ends_with(".efi") { "loader" } else { "file" },
            is_loader: name.ends_with(".efi"),
            facts: None,
            host: None,
            image: None,
            boot: None,
        })
    }
}

#[derive(Default)]
struct Record(Mutex<Vec<Event>>);

impl EventSink for Record {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

struct World {
    door: SocketAddrV4,
    events: Arc<Record>,
    counters: Arc<Counters>,
    shelf: Arc<Shelf>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

fn content(size: usize) -> Bytes {
    (0..size).map(|at| (at * 7 % 251) as u8).collect::<Vec<u8>>().into()
}

fn options() -> TftpOptions {
    TftpOptions {
        listen: vec![TftpListen { port: 0, ..TftpListen::on(Ipv4Addr::LOCALHOST) }],
        shutdown_grace: Duration::from_millis(200),
        ..TftpOptions::default()
    }
}

impl World {
    fn start(options: TftpOptions) -> World {
        let files = [
            ("small", content(700)),
            ("boot.efi", content(300_000)),
            ("empty", content(0)),
            ("slow", content(10)),
            ("text", Bytes::from_static(b"a\nb\n")),
            ("large", content(3_000_000)),
            ("book", content(900_000)),
        ];
        let shelf = Arc::new(Shelf { files: Mutex::new(files.into()), ..Shelf::default() });
        let catalog = Catalog::build(CatalogParts { generation: 1, ..CatalogParts::default() });
        let decider = Arc::new(Arc::new(catalog.unwrap()));
        let events = Arc::new(Record::default());
        let door = TftpDoor::bind(options, shelf.clone(), decider, events.clone()).unwrap();
        let (stop, shutdown) = watch::channel(false);
        World {
            door: door.addresses()[0],
            counters: door.counters(),
            events,
            shelf,
            stop,
            task: tokio::spawn(door.run(shutdown)),
        }
    }

    async fn client(&self) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Client { socket, door: self.door, peer: self.door }
    }

    /// The events of that name, as soon as there are `count`.
    async fn events(&self, name: EventName, count: usize) -> Vec<Event> {
        let deadline = Instant::now() + Duration::from_secs(8);
        loop {
            let found: Vec<Event> =
                self.events.0.lock().unwrap().iter().filter(|event| event.name == name).cloned().collect();
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < deadline, "no {name}: {:?}", self.events.0.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until(&self, condition: impl Fn(CountersSnapshot) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(12);
        while !condition(self.counters.snapshot()) {
            assert!(Instant::now() < deadline, "{:?}", self.counters.snapshot());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn idle(&self) {
        let deadline = Instant::now() + Duration::from_secs(8);
        while self.counters.snapshot().active > 0 {
            assert!(Instant::now() < deadline, "transfers stay open");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

struct Client {
    socket: UdpSocket,
    door: SocketAddrV4,
    peer: SocketAddrV4,
}

impl Client {
    async fn ask(&mut self, name: &str, options: &[(&str, &str)]) {
        self.peer = self.door;
        self.raw(&read_request(name, "octet", options)).await;
    }

    async fn raw(&self, packet: &[u8]) {
        self.socket.send_to(packet, SocketAddr::V4(self.peer)).await.unwrap();
    }

    /// The next packet; its sender becomes the peer.
    async fn next(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 70_000];
        let received = tokio::time::timeout(Duration::from_secs(5), self.socket.recv_from(&mut buffer)).await;
        let (bytes, SocketAddr::V4(from)) = received.expect("no answer").unwrap() else { panic!() };
        self.peer = from;
        buffer.truncate(bytes);
        buffer
    }

    async fn nothing_within(&self, wait: Duration) {
        let mut buffer = [0; 2000];
        let received = tokio::time::timeout(wait, self.socket.recv_from(&mut buffer)).await;
        assert!(
            received.is_err(),
            "unexpected {:?}",
            received.unwrap().map(|(bytes, _)| buffer[..bytes].to_vec())
        );
    }

    async fn expect_error(&mut self, code: u16) -> String {
        let packet = self.next().await;
        match decode(&packet) {
            Ok(Packet::Error { code: own, text }) if own == code => String::from_utf8(text.to_vec()).unwrap(),
            other => panic!("{other:?} instead of ERROR {code}"),
        }
    }

    /// Fetches a whole file; acknowledges each window.
    async fn fetch(&mut self, name: &str, options: &[(&str, &str)]) -> Vec<u8> {
        self.ask(name, options).await;
        let (mut blksize, mut windowsize, mut received, mut blocks) = (512, 1, Vec::new(), 0u64);
        loop {
            let packet = self.next().await;
            match decode(&packet).unwrap() {
                Packet::Oack(accepted) => {
                    for (name, value) in accepted {
                        let value = std::str::from_utf8(value).unwrap().parse().unwrap();
                        match name {
                            b"blksize" => blksize = value,
                            b"windowsize" => windowsize = value as u64,
                            _ => {}
                        }
                    }
                    self.raw(&ack(0)).await;
                }
                Packet::Data { block, data } => {
                    if block != (blocks + 1) as u16 {
                        continue;
                    }
                    blocks += 1;
                    received.extend(data);
                    let last = data.len() < blksize;
                    if last || blocks.is_multiple_of(windowsize) {
                        self.raw(&ack(block)).await;
                    }
                    if last {
                        return received;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs")
    })
}

fn number(event: &Event, field: &str) -> u64 {
    match event.field(field) {
        Some(Value::Number(number)) => *number,
        other => panic!("{field}: {other:?}"),
    }
}

#[test]
fn a_loader_is_fetched_whole_with_every_option_and_told_in_events() {
    run(async {
        let world = World::start(options());
        let wanted = content(300_000);
        for options in [
            &[][..],
            &[("blksize", "1432"), ("tsize", "0")],
            &[("blksize", "1468"), ("windowsize", "4")],
            &[("blksize", "65464"), ("windowsize", "64"), ("timeout", "2")],
            &[("blksize", "8")],
        ] {
            assert!(world.client().await.fetch("boot.efi", options).await == wanted, "{options:?}");
        }
        let done = world.events(EventName::TftpDone, 5).await;
        assert_eq!(number(&done[2], "bytes"), 300_000);
        assert_eq!((number(&done[2], "blksize"), number(&done[2], "windowsize")), (1468, 4));
        assert_eq!(number(&done[3], "windowsize"), 64);
        assert_eq!(done[0].field("role"), Some(&Value::from("loader")));
        assert!(done[0].interface.as_deref() == Some("lo"));
        assert_eq!(world.events(EventName::LoaderFetched, 5).await.len(), 5);
        world.idle().await;
        let counters = world.counters.snapshot();
        assert_eq!((counters.completed, counters.active, counters.bytes), (5, 0, 1_500_000));
    });
}

#[test]
fn an_empty_file_is_one_empty_block() {
    run(async {
        let world = World::start(options());
        assert_eq!(world.client().await.fetch("empty", &[]).await, b"");
    });
}

#[test]
fn t1_each_transfer_has_a_port_of_its_own_and_answers_from_the_address_asked() {
    run(async {
        let mut options = options();
        options.listen[0].address = Ipv4Addr::UNSPECIFIED;
        let world = World::start(options);
        let mut ports = Vec::new();
        for last in [1, 2, 3] {
            let mut client = world.client().await;
            client.door = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), world.door.port());
            client.ask("small", &[]).await;
            client.next().await;
            assert_eq!(client.peer.ip(), client.door.ip());
            ports.push(client.peer.port());
            let mut client = world.client().await;
            client.door = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), world.door.port());
            client.ask("nothing", &[]).await;
            client.expect_error(1).await;
            assert_eq!(client.peer.ip(), client.door.ip(), "a refusal too");
        }
        ports.push(world.door.port());
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 4);
    });
}

#[test]
fn t1_in_single_port_mode_everything_comes_from_the_listening_port() {
    run(async {
        let world = World::start(TftpOptions { single_port: true, ..options() });
        let mut client = world.client().await;
        let got = client.fetch("boot.efi", &[("blksize", "1000"), ("windowsize", "8")]).await;
        assert!(got == content(300_000));
        assert_eq!(client.peer, world.door);
        client.ask("nothing", &[]).await;
        client.expect_error(1).await;
        assert_eq!(client.peer, world.door);
    });
}

#[test]
fn t2_a_stranger_gets_error_5_once_and_the_transfer_goes_on() {
    run(async {
        let world = World::start(options());
        let mut client = world.client().await;
        client.ask("small", &[]).await;
        let first = client.next().await;
        let mut stranger = world.client().await;
        stranger.peer = client.peer;
        stranger.raw(&error_number(0, "die")).await;
        stranger.raw(&ack(1)).await;
        stranger.expect_error(5).await;
        stranger.raw(&ack(1)).await;
        stranger.raw(&error_number(0, "die")).await;
        client.raw(&ack(1)).await;
        // A timed resend of block 1 may have crossed our ACK.
        let mut second = client.next().await;
        while second == first {
            second = client.next().await;
        }
        assert!(matches!(decode(&second), Ok(Packet::Data { block: 2, .. })));
        client.raw(&ack(2)).await;
        world.events(EventName::TftpDone, 1).await;
        stranger.nothing_within(Duration::from_millis(100)).await;
    });
}

#[test]
fn t3_errors_and_anything_but_requests_on_the_port_are_never_answered() {
    run(async {
        let world = World::start(options());
        let client = world.client().await;
        for packet in [
            error_number(0, "x"),
            error_number(5, ""),
            ack(0).to_vec(),
            vec![0, 3, 0, 1, 9],
            vec![0, 6, b'a', 0],
            vec![0, 9],
            vec![7],
            vec![],
            vec![0xff; 600],
        ] {
            client.raw(&packet).await;
        }
        client.nothing_within(Duration::from_millis(200)).await;
        assert_eq!(world.counters.snapshot().ignored, 9);
    });
}

#[test]
fn t25_a_request_to_a_broadcast_address_is_ignored() {
    run(async {
        let mut options = options();
        options.listen[0].address = Ipv4Addr::UNSPECIFIED;
        let world = World::start(options);
        let mut client = world.client().await;
        client.socket.set_broadcast(true).unwrap();
        client.door = SocketAddrV4::new(Ipv4Addr::new(127, 255, 255, 255), world.door.port());
        client.ask("small", &[]).await;
        client.nothing_within(Duration::from_millis(150)).await;
        let counters = world.counters.snapshot();
        assert_eq!((counters.requests, counters.ignored), (0, 1));
    });
}

#[test]
fn t14_a_size_probe_is_quiet_and_the_same_port_can_ask_again_at_once() {
    run(async {
        let world = World::start(options());
        let mut client = world.client().await;
        client.ask("boot.efi", &[("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")]).await;
        let packet = client.next().await;
        let Ok(Packet::Oack(options)) = decode(&packet) else { panic!() };
        assert_eq!(options[0], (&b"tsize"[..], &b"300000"[..]));
        client.raw(&error_number(8, "User aborted the transfer")).await;
        let got = client.fetch("boot.efi", &[("blksize", "1468"), ("windowsize", "4")]).await;
        assert!(got == content(300_000));
        world.events(EventName::TftpDone, 1).await;
        world.idle().await;
        assert_eq!(world.events(EventName::TftpSizeProbe, 1).await.len(), 1);
        assert!(world.events.0.lock().unwrap().iter().all(|event| event.name != EventName::TftpAbort));
        assert_eq!(world.counters.snapshot().size_probes, 1);
    });
}

#[test]
fn t15_a_repeated_request_joins_the_running_session() {
    run(async {
        let world = World::start(options());
        let mut client = world.client().await;
        *world.shelf.gate_closed.lock().unwrap() = true;
        for _ in 0..3 {
            client.ask("slow", &[]).await;
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while world.counters.snapshot().joined < 2 {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        *world.shelf.gate_closed.lock().unwrap() = false;
        world.shelf.gate_moved.notify_all();
        let packet = client.next().await;
        assert!(matches!(decode(&packet), Ok(Packet::Data { block: 1, .. })));
        client.raw(&ack(1)).await;
        world.events(EventName::TftpDone, 1).await;
        client.nothing_within(Duration::from_millis(100)).await;
        assert_eq!(world.counters.snapshot().started, 1);
    });
}

#[test]
fn t16_writing_is_refused_with_code_2() {
    run(async {
        let world = World::start(options());
        let mut client = world.client().await;
        client.raw(b"\0\x02up\0octet\0").await;
        client.expect_error(2).await;
        let refused = world.events(EventName::TftpRefused, 1).await;
        assert_eq!((refused[0].reason, refused[0].field("file")), (Some("write"), Some(&Value::from("up"))));
    });
}

#[test]
fn t17_netascii_is_converted_and_mail_is_refused_with_code_4() {
    run(async {
        let world = World::start(options());
        let mut client = world.client().await;
        client.raw(&read_request("text", "NetASCII", &[("tsize", "0")])).await;
        assert_eq!(client.next().await, b"\0\x03\0\x01a\r\nb\r\n");
        client.raw(&ack(1)).await;
        let mut client = world.client().await;
        client.raw(&read_request("large", "netascii", &[])).await;
        assert_eq!(client.expect_error(0).await, "too long for netascii, ask in octet mode");
        let mut client = world.client().await;
        client.raw(&read_request("text", "mail", &[])).await;
        client.expect_error(4).await;
    });
}

#[test]
fn t18_malformed_requests_get_one_error() {
    run(async {
        let world = World::start(options());
        for (packet, code) in [
            (b"\0\x01name\0octet".to_vec(), 4),
            (b"\0\x01\0octet\0".to_vec(), 1),
            (read_request("x", "octet", &[("a", "1"), ("A", "1")]), 8),
            (read_request(&"x".repeat(600), "octet", &[]), 4),
        ] {
            let mut client = world.client().await;
            client.raw(&packet).await;
            client.expect_error(code).await;
            client.nothing_within(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn t17_text_waiting_to_be_fetched_takes_bounded_memory() {
    run(async {
        let world = World::start(options());
        let fits = crate::listen::NETASCII_KIB_MAX / (900_000 * 2 / 1024 + 1);
        let mut flood = Vec::new();
        for _ in 0..fits + 3 {
            let client = world.client().await;
            client.raw(&read_request("book", "netascii", &[])).await;
            flood.push(client);
        }
        world.until(|counters| counters.busy == 3 && counters.started == fits as u64).await;
        let mut octet = world.client().await;
        assert!(octet.fetch("small", &[]).await == content(700));
        world.until(|counters| counters.active == 0).await;
        let client = world.client().await;
        client.raw(&read_request("book", "netascii", &[])).await;
        world.until(|counters| counters.started == fits as u64 + 2).await;
    });
}

#[test]
fn t21_a_transfer_keeps_the_file_it_opened() {
    run(async {
        let world = World::start(options());
        let mut client = world.client().await;
        client.ask("boot.efi", &[("blksize", "1000")]).await;
        client.next().await;
        client.raw(&ack(0)).await;
        client.next().await;
        world.shelf.files.lock().unwrap().insert("boot.efi", Bytes::from_static(b"new"));
        let mut received = content(1000).to_vec();
        let mut block = 1u16;
        while received.len() < 300_000 {
            client.raw(&ack(block)).await;
            let packet = client.next().await;
            if let Ok(Packet::Data { block: next, data }) = decode(&packet)
                && next == block + 1
            {
                received.extend(data);
                block = next;
            }
        }
        assert!(received == content(300_000));
        assert_eq!(world.client().await.fetch("boot.efi", &[]).await, b"new");
    });
}

#[test]
fn a_file_that_does_not_open_costs_its_own_client_and_nobody_else() {
    run(async {
        let options = TftpOptions { opens_max: 2, open_patience: Duration::from_millis(100), ..options() };
        let world = World::start(options);
        *world.shelf.gate_closed.lock().unwrap() = true;
        let mut client = world.client().await;
        client.ask("slow", &[]).await;
        world.until(|counters| counters.busy == 1 && counters.active == 0).await;
        assert!(world.client().await.fetch("small", &[]).await == content(700));
        *world.shelf.gate_closed.lock().unwrap() = false;
        world.shelf.gate_moved.notify_all();
        assert!(client.fetch("slow", &[]).await == content(10), "it may ask again");
    });
}

#[test]
fn in_single_port_mode_too_shutdown_lets_a_running_transfer_finish() {
    run(async {
        let options = TftpOptions { single_port: true, shutdown_grace: Duration::from_secs(8), ..options() };
        let world = World::start(options);
        let mut client = world.client().await;
        client.ask("small", &[]).await;
        client.next().await;
        world.stop.send(true).unwrap();
        client.raw(&ack(1)).await;
        loop {
            if let Ok(Packet::Data { block: 2, .. }) = decode(&client.next().await) {
                break;
            }
        }
        let mut late = world.client().await;
        late.ask("small", &[]).await;
        client.raw(&ack(2)).await;
        world.task.await.unwrap();
        assert_eq!(world.counters.snapshot().completed, 1);
        assert_eq!(world.counters.snapshot().started, 1, "nothing new is taken on");
    });
}

#[test]
fn a_missing_file_is_refused_with_code_1_and_an_event_that_names_it() {
    run(async {
        let world = World::start(options());
        let mut client = world.client().await;
        client.ask("nothing", &[("tsize", "0")]).await;
        assert_eq!(client.expect_error(1).await, "file not found");
        let refused = world.events(EventName::TftpRefused, 1).await;
        assert_eq!(refused[0].field("file"), Some(&Value::from("nothing")));
        assert_eq!(refused[0].reason, Some("not_found"));
        world.idle().await;
    });
}

#[test]
fn a_client_error_ends_the_transfer_and_is_told() {
    run(async {
        let world = World::start(options());
        let mut client = world.client().await;
        client.ask("boot.efi", &[]).await;
        client.next().await;
        client.raw(&ack(1)).await;
        client.raw(&error_number(3, "disk full")).await;
        let aborted = world.events(EventName::TftpAbort, 1).await;
        assert_eq!(aborted[0].reason, Some("client_error"));
        assert_eq!(aborted[0].field("text"), Some(&Value::from("disk full")));
        world.idle().await;
    });
}

#[test]
fn t22_a_flood_of_unanswered_requests_neither_grows_nor_harms_a_running_transfer() {
    run(async {
        let world = World::start(TftpOptions { transfers_max: 20, per_source_max: 20, ..options() });
        let mut running = world.client().await;
        running.ask("boot.efi", &[("blksize", "1468")]).await;
        running.next().await;
        running.raw(&ack(0)).await;
        running.next().await;
        let mut flood = Vec::new();
        for _ in 0..100 {
            let mut client = world.client().await;
            client.ask("small", &[]).await;
            flood.push(client);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while world.counters.snapshot().requests < 101 {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        while world.counters.snapshot().active > 20 {
            assert!(Instant::now() < deadline, "{:?}", world.counters.snapshot());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(world.counters.snapshot().evicted >= 80);
        running.raw(&ack(1)).await;
        loop {
            if let Ok(Packet::Data { block: 2, .. }) = decode(&running.next().await) {
                break;
            }
        }
        let mut fresh = world.client().await;
        assert!(fresh.fetch("small", &[]).await == content(700), "a real boot gets through");
    });
}

#[test]
fn shutdown_tells_running_clients_and_ends() {
    run(async {
        let world = World::start(options());
        let mut client = world.client().await;
        client.ask("boot.efi", &[]).await;
        client.next().await;
        client.raw(&ack(1)).await;
        client.next().await;
        world.stop.send(true).unwrap();
        loop {
            let packet = client.next().await;
            if let Ok(Packet::Error { text, .. }) = decode(&packet) {
                assert_eq!(text, b"the server is stopping");
                break;
            }
        }
        world.task.await.unwrap();
    });
}

#[test]
fn twenty_clients_at_once_all_get_their_file() {
    run(async {
        let world = World::start(options());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let mut client = world.client().await;
            tasks.spawn(
                async move { client.fetch("large", &[("blksize", "1468"), ("windowsize", "16")]).await },
            );
        }
        let wanted = content(3_000_000);
        while let Some(got) = tasks.join_next().await {
            assert!(got.unwrap() == wanted);
        }
        world.events(EventName::TftpDone, 20).await;
    });
}

#[test]
fn facts_without_any_knowledge_name_address_and_interface() {
    run(async {
        let world = World::start(options());
        world.client().await.fetch("small", &[]).await;
        let done = world.events(EventName::TftpDone, 1).await;
        let nobody = Facts::default();
        assert_eq!((done[0].mac, done[0].guid), (nobody.mac, nobody.guid));
        assert_eq!(done[0].field("address"), Some(&Value::from("127.0.0.1")));
    });
}
