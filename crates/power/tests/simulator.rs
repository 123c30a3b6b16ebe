//! The whole crate against sushy-tools' Redfish simulator with its fake driver: a real service with its own mind about links,
//! credentials and the time a reset takes. It has no sessions and no entity tags: those are tried in `service.rs`.
//!
//! Installed by `cargo xtask test` (`tests/python/redfish-simulator.txt`); without it the tests say loudly that they were skipped,
//! or fail with `REVEILLE_REQUIRE_TOOLS=1`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::Running;
use harness::python::{self, REDFISH};
use power::redfish::Did;
use power::spec::{Fingerprint, RedfishSpec, SecretRef, TrustSpec};
use power::{
    Action, BootTarget, Identity, NextBoot, Order, Outcome, PowerSpec, PowerState, ResetType, Sameness,
    Unwatched,
};
use reveille_power as power;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const FIRST: &str = "27946b59-9e44-4fa7-8e91-f3527a1ef094";
const SECOND: &str = "9f1c7d20-5a3b-4c7d-8e6f-001122334455";
/// Python with its libraries takes seconds on a busy machine.
const READY: Duration = Duration::from_secs(60);

struct Simulator {
    folder: tempfile::TempDir,
    _running: Running,
    url: String,
}

impl Simulator {
    /// `None` when the simulator is not installed, which was said.
    fn start(systems: &[&str], secure: bool) -> Option<Simulator> {
        if !python::here(&REDFISH) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        std::fs::write(&users, format!("reveille:{}\n", hashed(folder.path()))).unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "correct horse\n").unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let systems: Vec<String> = systems
            .iter()
            .enumerate()
            .map(|(place, uuid)| {
                format!("{{'uuid': '{uuid}', 'name': 'node-{place}', 'power_state': 'Off', 'nics': []}}")
            })
            .collect();
        let mut settings = format!(
            "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\nSUSHY_EMULATOR_LISTEN_PORT = 0\n\
             SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_FAKE_SYSTEMS = [{}]\n\
             SUSHY_EMULATOR_STATE_DIR = '{}'\nSUSHY_EMULATOR_AUTH_FILE = '{}'\n",
            systems.join(", "),
            folder.path().display(),
            users.display(),
        );
        if secure {
            for (name, file) in [("CERT", "test-server.pem"), ("KEY", "test-server.key.pem")] {
                settings += &format!("SUSHY_EMULATOR_SSL_{name} = '{}'\n", testdata(file).display());
            }
        }
        let config = folder.path().join("emulator.conf");
        std::fs::write(&config, settings).unwrap();
        let mut command = REDFISH.command();
        command.arg("--config").arg(&config).arg("--fake");
        let running = Running::start("redfish-simulator", command, None).unwrap();
        // Its web server says which port the kernel gave it.
        let line = running.wait_for("Running on http", READY).unwrap();
        let url = line.split_whitespace().last().unwrap().to_owned();
        Some(Simulator { folder, _running: running, url })
    }

    fn spec(&self) -> PowerSpec {
        PowerSpec {
            wol: None,
            redfish: Some(RedfishSpec {
                url: self.url.clone(),
                user: "reveille".into(),
                password: SecretRef::File(self.folder.path().join("password")),
                login: None,
                system: None,
                trust: TrustSpec::Insecure,
            }),
        }
    }
}

fn testdata(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fetch/testdata").join(file)
}

/// bcrypt of the test's password, by the simulator's own library.
fn hashed(folder: &Path) -> String {
    let simulator = REDFISH.command();
    let mut python = Command::new(simulator.get_program());
    python.args([
        "-P",
        "-s",
        "-c",
        "import bcrypt; print(bcrypt.hashpw(b'correct horse', bcrypt.gensalt(4)).decode())",
    ]);
    python.current_dir(folder);
    for (key, value) in simulator.get_envs() {
        if let Some(value) = value {
            python.env(key, value);
        }
    }
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn perform(order: &Order<'_>) -> Outcome {
    power::perform(order, &mut Unwatched).await
}

fn power_of(outcome: &Outcome) -> PowerState {
    let report = outcome.report.as_ref().expect("a report");
    report.system.as_ref().unwrap_or_else(|| panic!("{outcome:?}")).power
}

fn done(outcome: Outcome) -> Outcome {
    assert!(outcome.result.is_ok(), "{outcome:?}");
    outcome
}

#[tokio::test]
async fn a_machine_is_turned_on_restarted_and_turned_off() {
    let Some(simulator) = Simulator::start(&[FIRST], false) else { return };
    let spec = simulator.spec();
    let look = Order {
        identity: Identity { uuid: FIRST.parse().ok(), serial: None },
        ..Order::state("node", &spec)
    };
    let state = done(perform(&look).await);
    assert_eq!(power_of(&state), PowerState::Off);
    assert!(state.event().is_none());
    assert_eq!(state.report.as_ref().unwrap().same, Some(Sameness::Same));
    // It has no sessions, which is said.
    assert!(state.notes()[0].contains("no sessions"), "{:?}", state.notes());

    let pxe = NextBoot::once(BootTarget::Pxe);
    let on = Order { next_boot: Some(pxe), action: Some(Action::On), ..look.clone() };
    let dry = done(perform(&Order { dry_run: true, ..on.clone() }).await);
    let planned = &dry.report.as_ref().unwrap().planned;
    assert_eq!(planned.iter().map(|planned| planned.method.as_str()).collect::<Vec<_>>(), ["PATCH", "POST"]);
    assert_eq!(power_of(&done(perform(&look).await)), PowerState::Off);

    let on = done(perform(&on).await);
    assert_eq!(power_of(&on), PowerState::On);
    let report = on.report.as_ref().unwrap();
    assert_eq!(report.did, [Did::NextBoot { target: "Pxe" }, Did::Reset { kind: ResetType::On }]);
    assert_eq!(report.system.as_ref().unwrap().boot.target.as_deref(), Some("Pxe"));
    assert_eq!(on.event().unwrap().name, power::event::DONE);

    let cycle = Order { action: Some(Action::Cycle { grace: None }), ..look.clone() };
    let cycled = done(perform(&cycle).await);
    assert_eq!(cycled.report.as_ref().unwrap().did, [Did::Reset { kind: ResetType::ForceRestart }]);
    assert_eq!(power_of(&cycled), PowerState::On);

    let grace = Some(Duration::from_secs(60));
    let off = done(perform(&Order { action: Some(Action::Off { grace }), ..look.clone() }).await);
    assert_eq!(off.report.as_ref().unwrap().did, [Did::Reset { kind: ResetType::GracefulShutdown }]);
    assert_eq!(power_of(&off), PowerState::Off);
}

#[tokio::test]
async fn the_next_boot_is_set_and_taken_back() {
    let Some(simulator) = Simulator::start(&[FIRST], false) else { return };
    let spec = simulator.spec();
    let seen =
        |outcome: &Outcome| outcome.report.as_ref().unwrap().system.as_ref().unwrap().boot.target.clone();
    // What it offers for UEFI; it makes Pxe of UefiHttp without a URL, and says so.
    for (target, said, notes) in [
        (BootTarget::Hdd, "Hdd", 0),
        (BootTarget::Pxe, "Pxe", 0),
        (BootTarget::UefiHttp, "Pxe", 1),
        (BootTarget::None, "None", 0),
    ] {
        // It holds every override until it is taken back, which would be one doubt more.
        let boot = NextBoot { once: target == BootTarget::None, ..NextBoot::once(target) };
        let order = Order { next_boot: Some(boot), ..Order::state("node", &spec) };
        let outcome = done(perform(&order).await);
        assert_eq!(seen(&outcome).as_deref(), Some(said));
        let doubts = outcome.notes().iter().filter(|note| note.contains("took it")).count();
        assert_eq!(doubts, notes, "{target:?} {:?}", outcome.notes());
    }
    let once = Order { next_boot: Some(NextBoot::once(BootTarget::Pxe)), ..Order::state("node", &spec) };
    let outcome = done(perform(&once).await);
    assert!(outcome.notes().iter().any(|note| note.contains("holds `Continuous`")), "{:?}", outcome.notes());
}

#[tokio::test]
async fn one_of_two_machines_is_meant() {
    let Some(simulator) = Simulator::start(&[FIRST, SECOND], false) else { return };
    let spec = simulator.spec();
    let any = perform(&Order::state("node", &spec)).await;
    let error = any.result.unwrap_err();
    assert_eq!(error.reason(), "system_ambiguous");
    assert!(error.to_string().contains(FIRST) && error.to_string().contains(SECOND), "{error}");
    let identity = Identity { uuid: SECOND.parse().ok(), serial: None };
    let own = done(perform(&Order { identity, ..Order::state("node", &spec) }).await);
    assert_eq!(own.report.unwrap().system.unwrap().uuid.as_deref(), Some(SECOND));
    let mut named = spec.clone();
    named.redfish.as_mut().unwrap().system = Some(FIRST.into());
    // The host is the second, the controller's first is named: nothing is switched.
    let identity = Identity { uuid: SECOND.parse().ok(), serial: None };
    let order = Order { identity, action: Some(Action::On), ..Order::state("node", &named) };
    let wrong = perform(&order).await;
    assert_eq!(wrong.event().unwrap().reason, Some("other_machine"));
    assert_eq!(power_of(&perform(&Order::state("node", &named)).await), PowerState::Off);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let Some(simulator) = Simulator::start(&[FIRST], false) else { return };
    let wrong = simulator.folder.path().join("wrong");
    std::fs::write(&wrong, "battery staple").unwrap();
    std::fs::set_permissions(&wrong, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut spec = simulator.spec();
    spec.redfish.as_mut().unwrap().password = SecretRef::File(wrong);
    let order = Order { action: Some(Action::On), ..Order::state("node", &spec) };
    let outcome = perform(&order).await;
    let event = outcome.event().unwrap();
    assert_eq!((event.name, event.reason), (power::event::FAILED, Some("credentials_wrong")));
    let shown = format!("{outcome:?} {event:?}");
    assert!(!shown.contains("battery"), "{shown}");
    assert_eq!(outcome.report.unwrap().questions, 2);
}

#[tokio::test]
async fn over_tls_it_is_known_by_its_certificate_or_its_ca() {
    let Some(simulator) = Simulator::start(&[FIRST], true) else { return };
    assert!(simulator.url.starts_with("https://"));
    let with = |trust: TrustSpec| {
        let mut spec = simulator.spec();
        spec.redfish.as_mut().unwrap().trust = trust;
        spec
    };
    let try_it = async |trust: TrustSpec| perform(&Order::state("node", &with(trust))).await;
    done(try_it(TrustSpec::CaFile(testdata("test-ca.pem"))).await);
    done(try_it(TrustSpec::Insecure).await);
    // Who pins another one is told which it is, and that one does.
    let error = try_it(TrustSpec::Sha256(Fingerprint([7; 32]))).await.result.unwrap_err();
    assert_eq!(error.reason(), "bmc_not_trusted");
    let text = power::error::chain(&error);
    let (_, rest) = text.split_once("has the SHA-256 ").unwrap_or_else(|| panic!("{text}"));
    let pin: Fingerprint = rest.get(..64).unwrap().parse().unwrap();
    done(try_it(TrustSpec::Sha256(pin)).await);
    let stranger = try_it(TrustSpec::System).await.result.unwrap_err();
    assert_eq!(stranger.reason(), "bmc_not_trusted");
    assert!(stranger.fix().contains("sha256"), "{}", stranger.fix());
}
