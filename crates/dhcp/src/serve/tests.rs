use super::*;
use crate::testing::{RELAY, Recorded, SERVER, bytes, decider, request, responder, settings, taking};
use dhcp_proto::wire::{Message, MessageType, code};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use store::{StoreOptions, Table};
use tokio::net::UdpSocket;
use types::EventName;

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test hangs")
    })
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(folder.path())).unwrap();
    (folder, store)
}

async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "the condition never came true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const ANY: Listen = Listen { interface: None, port: 0, address: None };

#[test]
fn garbage_is_refused_and_counted_and_the_door_stops_when_told() {
    run(async {
        let (_folder, store) = store();
        let recorded = Recorded::default();
        let door =
            Door::bind(&[ANY, ANY], responder(), store, decider(), Arc::new(recorded.clone())).unwrap();
        let handle = door.handle();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(door.run(stopped));
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for port in handle.ports() {
            client.send_to(b"default send string", ("127.0.0.1", *port)).await.unwrap();
        }
        until(|| handle.counters().refused["too_short"] == 2).await;
        assert_eq!(recorded.names(), [EventName::DhcpRefused; 2]);
        assert!(handle.reconfigure(settings()).await);
        stop.send(true).unwrap();
        running.await.unwrap();
        assert!(!handle.reconfigure(settings()).await);
    });
}

#[test]
fn the_door_stops_when_nobody_can_tell_it_any_more() {
    run(async {
        let (_folder, store) = store();
        let door = Door::bind(&[ANY], responder(), store, decider(), Arc::new(Recorded::default())).unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(door.run(stopped));
        drop(stop);
        running.await.unwrap();
    });
}

#[test]
fn a_taken_port_names_address_port_cause_and_hint() {
    run(async {
        let holder = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let port = holder.local_addr().unwrap().port();
        let (_folder, store) = store();
        let listen = Listen { interface: None, port, address: None };
        let bound = Door::bind(&[listen], responder(), store, decider(), Arc::new(Recorded::default()));
        let Err(error) = bound else { panic!("bound a taken port") };
        assert_eq!(error.to_string(), format!("cannot listen for DHCP on 0.0.0.0:{port}"));
        assert!(error.source().unwrap().to_string().contains("in use"));
        assert_eq!(error.hint(), Some(format!("`ss -lunp 'sport = :{port}'` shows who holds it")));
    });
}

#[test]
fn both_ports_of_each_interface_are_asked_for() {
    let ports = |listen: Vec<Listen>| -> Vec<(Option<String>, u16)> {
        listen
            .into_iter()
            .map(|listen| (listen.interface.map(|name| name.to_string()), listen.port))
            .collect()
    };
    assert_eq!(ports(Listen::on(&[])), [(None, 67), (None, 4011)]);
    let lab = Some("lab0".to_owned());
    assert_eq!(ports(Listen::on(&[("lab0".into(), None)])), [(lab.clone(), 67), (lab, 4011)]);
}

/// Runs the named test again where it is root over a network of its own. True when already there.
fn inside_namespace(test: &str) -> bool {
    if std::env::var_os("REVEILLE_INSIDE_NAMESPACE").is_some() {
        return true;
    }
    let possible = Command::new("unshare").args(["-Urn", "ip", "link"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        let text = format!("SKIPPED {test}: `unshare -Urn` or `ip` does not work here");
        assert!(std::env::var("REVEILLE_REQUIRE_TOOLS").as_deref() != Ok("1"), "{text}");
        eprintln!("{text}");
        return false;
    }
    let inside = Command::new("unshare")
        .arg("-Urn")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("REVEILLE_INSIDE_NAMESPACE", "1")
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&inside.stdout).into_owned() + &String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success() && text.contains("1 passed"), "in the namespace:\n{text}");
    false
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A relay agent of our own: sends with `giaddr`, and asks for the reply at its own port (RFC 8357), because port 67 of
/// this namespace is the door's.
struct Relay(UdpSocket);

impl Relay {
    async fn exchange(&self, mut message: Message) -> Message {
        message.giaddr = RELAY;
        message.hops = 1;
        message.options.set(code::RELAY_INFO, *b"\x01\x04ge01\x13\x00");
        self.0.send_to(&bytes(&message), SocketAddrV4::new(SERVER, 67)).await.unwrap();
        let mut buffer = [0; 1500];
        let (len, from) = self.0.recv_from(&mut buffer).await.unwrap();
        assert_eq!(from, SocketAddrV4::new(SERVER, 67).into());
        Message::decode(&buffer[..len]).unwrap()
    }
}

#[test]
fn a_relayed_machine_gets_its_lease_and_the_store_has_it() {
    if !inside_namespace("serve::tests::a_relayed_machine_gets_its_lease_and_the_store_has_it") {
        return;
    }
    ip("link set lo up");
    ip("address add 10.77.0.1/24 dev lo");
    ip("address add 10.78.0.1/24 dev lo");
    run(async {
        let (_folder, store) = store();
        let recorded = Recorded::default();
        let events = Arc::new(recorded.clone());
        let door = Door::bind(&Listen::on(&[]), responder(), store.clone(), decider(), events).unwrap();
        let handle = door.handle();
        assert_eq!(handle.ports(), [67, 4011]);
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(door.run(stopped));

        let relay = Relay(UdpSocket::bind(SocketAddrV4::new(RELAY, 0)).await.unwrap());
        let offer = relay.exchange(request(MessageType::Discover, 1)).await;
        assert_eq!(offer.message_type(), Some(MessageType::Offer));
        assert_eq!(offer.yiaddr, Ipv4Addr::new(10, 78, 0, 100));
        assert_eq!(offer.options.get(code::RELAY_INFO), Some(b"\x01\x04ge01\x13\x00".as_slice()));
        let ack = relay.exchange(taking(1, offer.yiaddr)).await;
        assert_eq!(ack.message_type(), Some(MessageType::Ack));

        // Durable before the ACK was seen, so there is nothing to wait for.
        let stored =
            store.get(Table::Leases, &store::records::lease_key(ack.yiaddr.into())).unwrap().unwrap();
        let lease = store::records::decode_lease(&stored.value).unwrap();
        assert_eq!((lease.address, &*lease.subnet), (ack.yiaddr, "behind"));
        until(|| handle.counters().replies.get("dhcp.ack") == Some(&1)).await;
        stop.send(true).unwrap();
        running.await.unwrap();
        let names = recorded.names();
        let place = |name| names.iter().position(|own| *own == name).unwrap();
        assert!(place(EventName::DhcpDiscover) < place(EventName::DhcpOffer));
        assert!(place(EventName::DhcpOffer) < place(EventName::DhcpAck));

        // A restarted door knows the machine: INIT-REBOOT is answered with the same address.
        let mut restarted = responder();
        restarted.load([lease]);
        let door = Door::bind(&Listen::on(&[]), restarted, store, decider(), Arc::new(recorded)).unwrap();
        let (_stop, stopped) = watch::channel(false);
        let _running = tokio::spawn(door.run(stopped));
        let mut again = taking(1, ack.yiaddr);
        again.options.remove(code::SERVER_IDENTIFIER);
        again.xid += 0x100;
        let again = relay.exchange(again).await;
        assert_eq!((again.message_type(), again.yiaddr), (Some(MessageType::Ack), ack.yiaddr));
    });
}
