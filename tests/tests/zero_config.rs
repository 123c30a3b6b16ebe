//! `reveille run`: no configuration file. It looks who else answers DHCP, and never leases unasked.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::clients;
use harness::daemon;
use harness::packages::{self, BOOT, CLIENTS};
use harness::reference::Dnsmasq;
use harness::scene::{BOOT_DEADLINE, SERVER};
use harness::{Firmware, Lab, Machine, Namespace, Running, Segment};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const READY_DEADLINE: Duration = Duration::from_secs(60);

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS)) {
            return;
        }
    };
}

/// A segment with a machine for the appliance on it. Fields in dropping order.
struct Lan {
    server: Namespace,
    segment: Segment,
    lab: Lab,
}

impl Lan {
    fn new() -> Lan {
        let lab = Lab::new().unwrap();
        let segment = lab.segment().unwrap();
        let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24"))).unwrap();
        Lan { server, segment, lab }
    }

    /// Another server at 10.77.0.2 that gives addresses.
    fn dnsmasq(&self, lines: &[&str]) -> (Running, Namespace) {
        let other = self.lab.station(&self.segment, "other", Some("10.77.0.2/24")).unwrap();
        let dnsmasq =
            lines.iter().fold(Dnsmasq::new("10.77.0.200", "10.77.0.220"), |dnsmasq, line| dnsmasq.line(line));
        (dnsmasq.start(&self.lab, &other).unwrap(), other)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(daemon::binary().unwrap());
        command.args(args).arg("--socket").arg(self.lab.path("admin.sock"));
        command
    }

    /// `reveille run` with `args`, up and serving.
    fn run(&self, args: &[&str]) -> Running {
        let data = self.lab.path("data").display().to_string();
        let all = [&["run", "--interface", "eth0", "--data", &data], args].concat();
        let running = self.server.start(&self.lab, "reveille", self.command(&all)).unwrap();
        running.wait_for("server.ready", READY_DEADLINE).unwrap();
        running
    }

    /// The doors that listen.
    fn doors(&self) -> Vec<String> {
        let status = self.command(&["status", "-o", "json"]);
        let text = self.server.output(&self.lab, "status", status, READY_DEADLINE).unwrap();
        let status: Value = serde_json::from_str(&text).unwrap();
        let listeners = status.get("listeners").and_then(Value::as_array).cloned().unwrap_or_default();
        listeners.iter().filter_map(|listener| Some(listener.get("door")?.as_str()?.to_owned())).collect()
    }
}

#[test]
fn beside_a_server_that_leases_it_adds_boot_data_and_leases_nothing() {
    needs_tools!();
    let lan = Lan::new();
    let (dnsmasq, _other) = lan.dnsmasq(&[]);
    let running = lan.run(&[]);
    running.wait_for("10.77.0.2 answers here and sends no boot data → proxy mode", READY_DEADLINE).unwrap();
    let client = lan.lab.station(&lan.segment, "client", None).unwrap();
    let lease = clients::udhcpc(&lan.lab, &client, &[]).unwrap();
    assert_eq!(lease.server, "10.77.0.2", "addresses stay with the other server");
    let machine = Machine::new("stranger", Firmware::Bios, 9);
    let port = machine.port(&lan.lab, &lan.segment).unwrap();
    let on = machine.start(&lan.lab, &lan.segment, &port).unwrap();
    on.wait_for("reveille", BOOT_DEADLINE).unwrap();
    drop((on, dnsmasq));
}

#[test]
fn beside_another_boot_server_it_answers_no_dhcp_and_says_who_does() {
    needs_tools!();
    let lan = Lan::new();
    let _other = lan.dnsmasq(&["dhcp-boot=other.0"]);
    let running = lan.run(&[]);
    running.wait_for("10.77.0.2 sends boot file `other.0` → DHCP is not answered", READY_DEADLINE).unwrap();
    assert!(!lan.doors().iter().any(|door| door.contains("dhcp")), "{:?}", lan.doors());
}

#[test]
fn where_nobody_answers_it_does_not_become_a_dhcp_server() {
    needs_tools!();
    let lan = Lan::new();
    let running = lan.run(&[]);
    running.wait_for("nobody answers here → DHCP is not answered", READY_DEADLINE).unwrap();
    let client = lan.lab.station(&lan.segment, "client", None).unwrap();
    clients::udhcpc(&lan.lab, &client, &[]).unwrap_err();
}

#[test]
fn it_leases_when_it_is_told_to() {
    needs_tools!();
    let lan = Lan::new();
    let _running = lan.run(&["--dhcp", "server", "--pool", "10.77.0.50-10.77.0.60"]);
    let client = lan.lab.station(&lan.segment, "client", None).unwrap();
    let lease = clients::udhcpc(&lan.lab, &client, &[]).unwrap();
    assert!(lease.address.starts_with("10.77.0.5") || lease.address == "10.77.0.60/24", "{lease:?}");
}
