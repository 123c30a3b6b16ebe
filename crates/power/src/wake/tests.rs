use super::*;
use std::time::Duration;

fn interface(name: &str, up: bool, nets: &[&str]) -> Interface {
    Interface {
        name: name.into(),
        index: 1,
        up,
        running: up,
        loopback: name == "lo",
        is_virtual: false,
        broadcast: name != "lo",
        mac: None,
        ipv4: nets.iter().map(|net| net.parse().unwrap()).collect(),
    }
}

fn rack() -> Vec<Interface> {
    vec![
        interface("lo", true, &["127.0.0.1/8"]),
        interface("eth0", true, &["192.0.2.10/24", "198.51.100.10/25"]),
        interface("eth1", false, &["203.0.113.1/24"]),
        interface("ppp0", true, &["203.0.113.9/32", "203.0.113.11/31"]),
        interface("eth2", true, &[]),
    ]
}

fn sent_to(spec: &WolSpec) -> Result<Vec<String>, String> {
    let found = targets(&rack(), spec);
    let shown = |target: Target| {
        format!("{} {} > {}", target.interface.as_deref().unwrap_or("-"), target.source, target.to)
    };
    found.map(|found| found.into_iter().map(shown).collect()).map_err(|error| {
        assert!(!error.fix().is_empty() && !error.reason().is_empty());
        error.to_string()
    })
}

#[test]
fn a_packet_goes_to_the_broadcast_addresses_of_its_interface() {
    let by = |name: &str| WolSpec { interface: Some(name.into()), ..WolSpec::default() };
    assert_eq!(
        sent_to(&by("eth0")).unwrap(),
        ["eth0 192.0.2.10 > 192.0.2.255:9", "eth0 198.51.100.10 > 198.51.100.127:9"]
    );
    let seven = WolSpec { port: 7.try_into().ok(), ..by("eth0") };
    assert_eq!(sent_to(&seven).unwrap()[0], "eth0 192.0.2.10 > 192.0.2.255:7");
    let other = WolSpec { broadcast: "198.51.100.255".parse().ok(), ..by("eth0") };
    assert_eq!(sent_to(&other).unwrap(), ["eth0 192.0.2.10 > 198.51.100.255:9"]);
    assert_eq!(sent_to(&by("eth1")).unwrap_err(), "interface `eth1` is down");
    for none in ["ppp0", "eth2"] {
        assert!(sent_to(&by(none)).unwrap_err().contains("no IPv4 subnet"), "{none}");
    }
    let unknown = sent_to(&by("eth9")).unwrap_err();
    assert_eq!(unknown, "there is no interface `eth9`; there are lo, eth0, eth1, ppp0, eth2");
}

#[test]
fn without_an_interface_it_goes_everywhere_that_is_up() {
    let all = sent_to(&WolSpec::default()).unwrap();
    assert_eq!(all, ["eth0 192.0.2.10 > 192.0.2.255:9", "eth0 198.51.100.10 > 198.51.100.127:9"]);
    let one = WolSpec { broadcast: "203.0.113.255".parse().ok(), ..WolSpec::default() };
    assert_eq!(sent_to(&one).unwrap(), ["- 0.0.0.0 > 203.0.113.255:9"]);
    assert!(matches!(
        targets(&[interface("lo", true, &["127.0.0.1/8"])], &WolSpec::default()),
        Err(WakeError::Nowhere)
    ));
    let many: Vec<Interface> =
        (0..100).map(|n| interface(&format!("e{n}"), true, &["192.0.2.1/24"])).collect();
    assert_eq!(targets(&many, &WolSpec::default()).unwrap().len(), WAKE_TARGETS_MAX);
}

#[tokio::test]
async fn three_packets_reach_who_listens_to_the_broadcast_address() {
    let broadcast = Ipv4Addr::new(127, 255, 255, 255);
    let listener = UdpSocket::bind((broadcast, 0)).await.unwrap();
    let to = SocketAddrV4::new(broadcast, listener.local_addr().unwrap().port());
    let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    let password = SecureOn::parse(&crate::secret::Secret::new("192.0.2.1")).unwrap();
    let target = Target { interface: Some("lo".into()), source: Ipv4Addr::LOCALHOST, to };
    let woken = wake(mac, Some(&password), &[target]).await.unwrap();
    assert_eq!((woken.mac, woken.targets.len(), woken.notes.len()), (mac, 1, 0));
    for _ in 0..WAKE_REPEATS {
        let mut bytes = [0; 200];
        let received = tokio::time::timeout(Duration::from_secs(20), listener.recv_from(&mut bytes));
        let (length, from) = received.await.expect("a packet in time").unwrap();
        assert_eq!(bytes[..length], magic_packet(mac, Some(&password)));
        assert_eq!(from.ip(), Ipv4Addr::LOCALHOST);
    }
}

#[tokio::test]
async fn a_packet_that_cannot_leave_says_where_and_why() {
    let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    // RFC 1112 §4: class E, nobody's address.
    let target = Target {
        interface: Some("eth7".into()),
        source: Ipv4Addr::new(240, 0, 0, 1),
        to: SocketAddrV4::new(Ipv4Addr::new(127, 255, 255, 255), PORT),
    };
    let error = wake(mac, None, &[target]).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot send a magic packet to 127.255.255.255:9 by interface `eth7`");
    assert!(std::error::Error::source(&error).is_some() && error.fix().contains("interface"), "{error:?}");
    let group = wake(MacAddr::BROADCAST, None, &[]).await.unwrap_err();
    assert_eq!(group.reason(), "no_mac");
}
