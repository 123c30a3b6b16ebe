//! Real DHCP clients and a real relay agent against reveille.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::clients::{self, CLIENT_DEADLINE};
use harness::daemon::Config;
use harness::packages::{self, BOOT, CLIENTS};
use harness::scene::{EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::{Scene, timeline};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS)) {
            return;
        }
    };
}

fn scene() -> Scene {
    let mut config = Config::server(NETWORK, POOL);
    config.set(
        &["dhcp", "subnets"],
        json!([{
            "name": "lab", "network": NETWORK, "pools": [POOL], "router": SERVER, "lease_time": "30m",
            "reservations": [{ "mac": "52:54:00:00:00:20", "address": "10.77.0.20", "hostname": "fixed" }],
        }]),
    );
    Scene::new(config).unwrap()
}

#[test]
fn udhcpc_gets_a_lease_and_the_same_one_again() {
    needs_tools!();
    let scene = scene();
    let client = scene.lab.station(&scene.segment, "client", None).unwrap();
    let lease = clients::udhcpc(&scene.lab, &client, &[]).unwrap();
    assert!(lease.address.starts_with("10.77.0.1") && lease.address.ends_with("/24"), "{lease:?}");
    assert_eq!((lease.server.as_str(), lease.router.as_str(), lease.seconds), (SERVER, SERVER, 1800));
    assert_eq!(clients::udhcpc(&scene.lab, &client, &[]).unwrap(), lease);
}

#[test]
fn a_lease_is_listed_and_survives_a_power_cut() {
    needs_tools!();
    let scene = scene();
    let client = scene.lab.station(&scene.segment, "client", None).unwrap();
    let lease = clients::udhcpc(&scene.lab, &client, &[]).unwrap();
    let address = lease.address.split('/').next().unwrap().to_string();
    let listed = |daemon: &harness::Daemon| daemon.command(&["lease", "list", "-o", "json"]).unwrap();
    assert!(listed(&scene.daemon).contains(&address));
    let Scene { daemon, server, segment, lab, .. } = scene;
    daemon.cut();
    let config = Config::server(NETWORK, POOL);
    let daemon = harness::Daemon::start(&lab, &server, config).unwrap();
    assert!(listed(&daemon).contains(&address));
    drop((daemon, segment));
}

#[test]
fn a_reservation_is_kept_for_its_machine() {
    needs_tools!();
    let scene = scene();
    let client = scene.lab.station(&scene.segment, "client", None).unwrap();
    client.ip(&["link", "set", "eth0", "address", "52:54:00:00:00:20"]).unwrap();
    assert_eq!(clients::udhcpc(&scene.lab, &client, &[]).unwrap().address, "10.77.0.20/24");
}

#[test]
fn a_released_address_is_given_back() {
    needs_tools!();
    let scene = scene();
    let client = scene.lab.station(&scene.segment, "client", None).unwrap();
    let udhcpc = clients::udhcpc_stays(&scene.lab, &client).unwrap();
    udhcpc.wait_for("LEASE ", CLIENT_DEADLINE).unwrap();
    udhcpc.signal(Signal::SIGTERM).unwrap();
    let released =
        |events: &[timeline::Event]| events.iter().any(|event| event.fits("dhcp.released")).then_some(());
    scene.daemon.wait_events("dhcp.released", EVENT_DEADLINE, released).unwrap();
}

#[test]
fn dhclient_gets_a_lease() {
    needs_tools!();
    let scene = scene();
    let client = scene.lab.station(&scene.segment, "client", None).unwrap();
    let dhclient = clients::dhclient(&scene.lab, &client).unwrap();
    let line = dhclient.wait_for("bound to 10.77.0.1", CLIENT_DEADLINE).unwrap();
    assert!(line.contains("renewal in"), "{line}");
}

#[test]
fn a_client_behind_a_relay_gets_an_address_of_its_own_network() {
    needs_tools!();
    let mut config = Config::server(NETWORK, POOL).subnet(json!({
        "name": "far", "network": "10.78.0.0/24", "pools": ["10.78.0.100-10.78.0.110"], "router": "10.78.0.1",
    }));
    config.set(&["dhcp", "relay"], json!({ "accept_from": ["10.78.0.0/24"] }));
    let scene = Scene::new(config).unwrap();
    let far = scene.lab.segment().unwrap();
    let relay = scene.lab.station(&scene.segment, "relay", Some("10.77.0.2/24")).unwrap();
    far.attach(&relay, "eth1", Some("10.78.0.1/24")).unwrap();
    relay.sysctl("ipv4/ip_forward", "1").unwrap();
    scene.server.ip(&["route", "add", "10.78.0.0/24", "via", "10.77.0.2"]).unwrap();
    let _dhcrelay = clients::dhcrelay(&scene.lab, &relay, "eth1", "eth0", SERVER).unwrap();
    let client = scene.lab.station(&far, "client", None).unwrap();
    let lease = clients::udhcpc(&scene.lab, &client, &[]).unwrap();
    assert!(lease.address.starts_with("10.78.0.1"), "{lease:?}");
    assert_eq!(lease.router, "10.78.0.1");
}

#[test]
fn each_interface_serves_its_own_network_and_an_unlisted_one_is_silent() {
    needs_tools!();
    let lab = harness::Lab::new().unwrap();
    let networks = [("eth0", "10.77.0"), ("eth1", "10.78.0"), ("eth2", "10.79.0")];
    let segments: Vec<_> = networks.iter().map(|_| lab.segment().unwrap()).collect();
    let server = lab.station(&segments[0], "server", Some("10.77.0.1/24")).unwrap();
    for ((interface, network), segment) in networks.iter().zip(&segments).skip(1) {
        segment.attach(&server, interface, Some(&format!("{network}.1/24"))).unwrap();
    }
    let subnets: Vec<Value> = networks
        .iter()
        .map(|(interface, network)| {
            json!({
                "name": interface, "network": format!("{network}.0/24"), "router": format!("{network}.1"),
                "pools": [format!("{network}.100-{network}.110")],
            })
        })
        .collect();
    let mut config = Config::server(NETWORK, POOL);
    config.set(&["interfaces"], json!([{ "name": "eth0" }, { "name": "eth1" }]));
    config.set(&["dhcp", "subnets"], json!(subnets));
    let daemon = harness::Daemon::start(&lab, &server, config).unwrap();
    for (at, (interface, network)) in networks.iter().enumerate() {
        let client = lab.station(&segments[at], &format!("client{at}"), None).unwrap();
        let lease = clients::udhcpc(&lab, &client, &[]);
        if *interface == "eth2" {
            lease.unwrap_err();
        } else {
            let lease = lease.unwrap();
            assert!(lease.address.starts_with(&format!("{network}.1")), "{lease:?}");
            assert_eq!(
                lease.server,
                format!("{network}.1"),
                "the answer comes from the interface's own address"
            );
        }
    }
    drop(daemon);
}

#[test]
fn a_proxy_leases_nothing() {
    needs_tools!();
    let scene = Scene::new(Config::proxy(NETWORK)).unwrap();
    let client = scene.lab.station(&scene.segment, "client", None).unwrap();
    clients::udhcpc(&scene.lab, &client, &[]).unwrap_err();
    let leases: Value =
        serde_json::from_str(&scene.daemon.command(&["lease", "list", "-o", "json"]).unwrap()).unwrap();
    let leases = leases.get("items").unwrap_or(&leases);
    assert_eq!(leases.as_array().map(Vec::len), Some(0), "{leases}");
}

/// The event that tells of an address in use, with the fields a test looks at.
fn in_use(daemon: &harness::Daemon, address: &str) -> timeline::Event {
    let wanted = |events: &[timeline::Event]| {
        let told = |event: &&timeline::Event| {
            event.fits("dhcp.address_in_use") && event.text("address") == Some(address)
        };
        events.iter().find(told).cloned()
    };
    daemon.wait_events("dhcp.address_in_use", EVENT_DEADLINE, wanted).unwrap()
}

#[test]
fn an_address_that_a_machine_uses_without_asking_is_found_and_another_is_given() {
    needs_tools!();
    let scene = scene();
    let _squatter = scene.lab.station(&scene.segment, "squatter", Some("10.77.0.100/24")).unwrap();
    let client = scene.lab.station(&scene.segment, "client", None).unwrap();
    let lease = clients::udhcpc(&scene.lab, &client, &[]).unwrap();
    assert_eq!(lease.address, "10.77.0.101/24");
    let event = in_use(&scene.daemon, "10.77.0.100");
    assert_eq!(event.text("reason"), Some("another_machine"));
    assert!(event.text("used_by").is_some(), "the hardware address is told: {event:?}");
    let listed = scene.daemon.command(&["lease", "list", "-o", "json"]).unwrap();
    assert!(listed.contains("quarantined"), "{listed}");
}

#[test]
fn a_lease_given_back_in_anothers_name_is_not_given_to_a_second_machine() {
    needs_tools!();
    let scene = scene();
    let victim = scene.lab.station(&scene.segment, "victim", None).unwrap();
    let udhcpc = clients::udhcpc_stays(&scene.lab, &victim).unwrap();
    udhcpc.wait_for("LEASE ", CLIENT_DEADLINE).unwrap();
    // It says goodbye and stays where it is.
    udhcpc.signal(Signal::SIGTERM).unwrap();
    let released =
        |events: &[timeline::Event]| events.iter().any(|event| event.fits("dhcp.released")).then_some(());
    scene.daemon.wait_events("dhcp.released", EVENT_DEADLINE, released).unwrap();
    let address = "10.77.0.100";
    let _ = victim.ip(&["address", "add", "10.77.0.100/24", "dev", "eth0"]);
    let client = scene.lab.station(&scene.segment, "client", None).unwrap();
    // It asks for that very address.
    let lease = clients::udhcpc(&scene.lab, &client, &["-r", address]).unwrap();
    assert_ne!(lease.address, "10.77.0.100/24");
    assert_eq!(in_use(&scene.daemon, address).text("reason"), Some("last_owner"));
}

#[test]
fn behind_a_relay_an_address_in_use_is_found_by_echo() {
    needs_tools!();
    let mut config = Config::server(NETWORK, POOL).subnet(json!({
        "name": "far", "network": "10.78.0.0/24", "pools": ["10.78.0.100-10.78.0.110"], "router": "10.78.0.1",
    }));
    config.set(&["dhcp", "relay"], json!({ "accept_from": ["10.78.0.0/24"] }));
    config.set(&["dhcp", "probe_wait"], json!("1s"));
    let scene = Scene::new(config).unwrap();
    let far = scene.lab.segment().unwrap();
    let relay = scene.lab.station(&scene.segment, "relay", Some("10.77.0.2/24")).unwrap();
    far.attach(&relay, "eth1", Some("10.78.0.1/24")).unwrap();
    relay.sysctl("ipv4/ip_forward", "1").unwrap();
    scene.server.ip(&["route", "add", "10.78.0.0/24", "via", "10.77.0.2"]).unwrap();
    let squatter = scene.lab.station(&far, "squatter", Some("10.78.0.100/24")).unwrap();
    squatter.ip(&["route", "add", "default", "via", "10.78.0.1"]).unwrap();
    let _dhcrelay = clients::dhcrelay(&scene.lab, &relay, "eth1", "eth0", SERVER).unwrap();
    let client = scene.lab.station(&far, "client", None).unwrap();
    let lease = clients::udhcpc(&scene.lab, &client, &[]).unwrap();
    assert_eq!(lease.address, "10.78.0.101/24");
    in_use(&scene.daemon, "10.78.0.100");
}
