//! Wake-on-LAN by an interface's name, between two machines on a switch of their own.

use harness::Lab;
use harness::packages::{self, BOOT};
use power::spec::WolSpec;
use power::{Action, Order, PowerSpec, Unwatched};
use reveille_power as power;
use std::net::UdpSocket;
use std::time::Duration;
use types::MacAddr;

#[test]
fn a_packet_reaches_every_machine_of_the_interface_s_subnet() {
    harness::enter!();
    if !packages::here(BOOT) {
        return;
    }
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some("10.77.0.1/24")).unwrap();
    let machines = ["10.77.0.20/24", "10.77.0.21/24"].map(|address| {
        let role = if address.contains(".20/") { "first" } else { "second" };
        lab.station(&segment, role, Some(address)).unwrap()
    });
    let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    for (interface, port) in [(Some("eth0"), None), (None, Some(7))] {
        let listeners = machines.each_ref().map(|machine| {
            let port = port.unwrap_or(9);
            let listener = machine.run(move || UdpSocket::bind(("0.0.0.0", port))).unwrap().unwrap();
            listener.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            listener
        });
        let wol = WolSpec {
            interface: interface.map(str::to_owned),
            port: port.and_then(|port| port.try_into().ok()),
            ..WolSpec::default()
        };
        let spec = PowerSpec { wol: Some(wol), redfish: None };
        let job = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let order = Order { mac: Some(mac), action: Some(Action::On), ..Order::state("node", &spec) };
            runtime.block_on(power::perform(&order, &mut Unwatched))
        };
        let outcome = server.run(job).unwrap();
        assert!(outcome.result.is_ok(), "{outcome:?}");
        assert_eq!(outcome.event().unwrap().name, power::event::DONE);
        let expected = power::wol::magic_packet(mac, None);
        for listener in &listeners {
            for _ in 0..power::limits::WAKE_REPEATS {
                let mut bytes = [0; 200];
                let (length, from) = listener.recv_from(&mut bytes).unwrap();
                assert_eq!(bytes.get(..length), Some(expected.as_slice()));
                assert_eq!(from.ip().to_string(), "10.77.0.1");
            }
        }
    }
}
