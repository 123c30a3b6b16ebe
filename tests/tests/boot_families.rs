//! The examples of each family, booted: the medium imported, the firmware's loader, the command line of the example, every file it
//! names fetched, and its call-backs. The media are stand-ins (`src/stand_in.rs`): the layout is the family's, the kernel Debian's.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::clients;
use harness::daemon::{Config, Daemon, workspace};
use harness::packages::{self, BOOT, CLIENTS, MEDIA};
use harness::qemu::wait_payload;
use harness::reference::Dnsmasq;
use harness::scene::{BOOT_DEADLINE, EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::stand_in::Family;
use harness::{Firmware, Lab, Machine, Namespace, Running, Segment};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS) && packages::here(MEDIA)) {
            return;
        }
    };
}

const HASH: &str = "$6$oRWLiHCgRnBoSqXD$PY8ugxc5QtxkU.jZrdibCAkglNZ2q/fLI6uIWuW69ulk03WLIU2zrLcinrsAa5i1CyE7keLd791D/mO4fGTnU.";

fn example(folder: &str, file: &str) -> String {
    std::fs::read_to_string(workspace().join("examples").join(folder).join(file)).unwrap()
}

/// A value of the example's image, which stands on a line of its own.
fn of_example(folder: &str, key: &str) -> String {
    let text = example(folder, "reveille.yaml");
    let mut lines = text.lines().skip_while(|line| *line != "  images:");
    let value = lines.find_map(|line| line.trim().strip_prefix(&format!("{key}: ")).map(str::to_owned));
    value.unwrap_or_else(|| panic!("{folder} has no line {key}"))
}

/// Fields in dropping order.
struct Site {
    daemon: Daemon,
    _other: Option<(Running, Namespace)>,
    _server: Namespace,
    segment: Segment,
    lab: Lab,
}

/// Who the host is, what it boots, and how it comes to its address.
struct Plan {
    matched: Value,
    image: Value,
    template: Option<(&'static str, String)>,
    params: Value,
    /// Beside dnsmasq, which gives the addresses.
    proxy: bool,
}

impl Site {
    fn new(lab: Lab, plan: Plan) -> Site {
        let Plan { matched, image, template, params, proxy } = plan;
        let segment = lab.segment().unwrap();
        let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24"))).unwrap();
        let config = if proxy { Config::proxy(NETWORK) } else { Config::server(NETWORK, POOL) };
        let mut config = config.host(json!({
            "name": "host-1", "match": matched, "image": image["name"], "params": params,
            "kernel_args_append": ["console=ttyS0", "quiet"],
        }));
        if let Some((kind, text)) = template {
            config.set(
                &["resources", "templates"],
                json!([{ "name": image["template"], "kind": kind, "text": text }]),
            );
        }
        config.set(&["resources", "images"], json!([image]));
        let daemon = Daemon::start(&lab, &server, config).unwrap();
        let other = proxy.then(|| {
            let station = lab.station(&segment, "other", Some("10.77.0.2/24")).unwrap();
            let running = Dnsmasq::new("10.77.0.200", "10.77.0.220").start(&lab, &station).unwrap();
            (running, station)
        });
        Site { daemon, _other: other, _server: server, segment, lab }
    }

    fn host(&self) -> Value {
        let text = self.daemon.command(&["host", "get", "host-1", "-o", "json"]).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Switches the machine on; gives its lines.
    fn boot(&self, machine: &Machine) -> Vec<String> {
        let port = machine.port(&self.lab, &self.segment).unwrap();
        let mut running = machine.start(&self.lab, &self.segment, &port).unwrap();
        let lines = wait_payload(&mut running, BOOT_DEADLINE).unwrap();
        println!("{} took {:.1?}", machine.mac_text(), running.age());
        for bad in ["no-", "failed "] {
            let refused: Vec<_> =
                self.daemon.events().into_iter().filter(|event| event.fits("http.refused")).collect();
            assert!(!lines.iter().any(|line| line.starts_with(bad)), "{lines:#?}\n{refused:#?}");
        }
        lines
    }
}

/// An installation of an example.
struct Install {
    folder: &'static str,
    family: Family,
    firmware: Firmware,
    recipe: (&'static str, &'static str),
    /// The host is told by its GUID alone.
    by_guid: bool,
    proxy: bool,
}

/// Installs; `said` is what the machine says of itself, in this order.
fn installs(install: Install, params: Value, said: &[&str]) {
    let Install { folder, family, firmware, recipe: (kind, recipe), by_guid, proxy } = install;
    let lab = Lab::new().unwrap();
    let medium = lab.path("medium");
    let source = match family {
        Family::Ubuntu => {
            // The medium itself lies beside its kernel.
            let name = of_example(folder, "cmdline");
            let name = name.split('/').find_map(|part| part.split_once(".iso")).unwrap().0.to_owned();
            let iso = family.iso(&medium).unwrap();
            std::fs::rename(iso, medium.join(format!("{name}.iso"))).unwrap();
            format!("dir:{}", medium.display())
        }
        _ => format!("iso:{}", family.iso(&medium).unwrap().display()),
    };
    let image = json!({
        "name": of_example(folder, "- name"), "kind": "linux", "source": source, "kernel": of_example(folder, "kernel"),
        "initrd": [of_example(folder, "initrd").trim_matches(['[', ']'])], "cmdline": of_example(folder, "cmdline"),
        "template": "recipe", "destructive": true,
    });
    let machine = Machine::new("machine", firmware, 1);
    let matched = match by_guid {
        true => json!({ "uuid": machine.uuid_text() }),
        false => json!({ "mac": machine.mac_text() }),
    };
    let template = Some((kind, example(folder, recipe)));
    let site = Site::new(lab, Plan { matched, image, template, params, proxy });
    site.daemon.command(&["host", "arm", "host-1"]).unwrap();
    let lines = site.boot(&machine);
    let mut rest = lines.iter();
    for wanted in said {
        assert!(rest.any(|line| line.starts_with(wanted)), "no `{wanted}` in its place: {lines:#?}");
    }
    // Its own events name the machine; those of its life name the host, which need not have a MAC.
    let order = [
        "boot.started",
        "http.file:kernel",
        "http.file:initrd",
        "http.file:answer",
        "boot.stage",
        "boot.stage",
    ];
    site.daemon.wait_order(machine.mac_text(), &order, EVENT_DEADLINE).unwrap();
    assert_eq!(site.host()["life"]["stage"], "installed");
    site.daemon.stop().unwrap();
}

#[test]
fn photon_installs_from_its_medium() {
    needs_tools!();
    let params = json!({ "root_hash": HASH, "ssh_key": "ssh-ed25519 AAAA me" });
    let said = [
        "fetched ks.json ",
        "fetched repomd.xml ",
        "ran preinstall",
        "fetched photon-release-5.0-1.ph5.noarch.rpm 7",
        "ran postinstall",
    ];
    let install = Install {
        folder: "photon",
        family: Family::Photon,
        firmware: Firmware::Bios,
        recipe: ("json", "photon.json"),
        by_guid: true,
        proxy: false,
    };
    installs(install, params, &said);
}

#[test]
fn rocky_installs_from_its_medium() {
    needs_tools!();
    let params = json!({ "root_hash": HASH, "ssh_key": "ssh-ed25519 AAAA me", "ntp": SERVER, "tree": "http://10.77.0.1:8080/rocky-9" });
    let said = ["fetched ks.cfg ", "fetched .treeinfo ", "ran %pre", "fetched repomd.xml ", "ran %post"];
    let install = Install {
        folder: "rocky-kickstart",
        family: Family::Rocky,
        firmware: Firmware::Bios,
        recipe: ("kickstart", "anaconda.ks"),
        by_guid: false,
        proxy: false,
    };
    installs(install, params, &said);
}

#[test]
fn ubuntu_installs_from_its_medium_on_uefi_beside_another_dhcp_server() {
    needs_tools!();
    let params = json!({ "root_hash": HASH, "ssh_key": "ssh-ed25519 AAAA me" });
    let said = [
        "fetched ubuntu-24.04-live-server-amd64.iso ",
        "fetched meta-data ",
        "fetched user-data ",
        "ran early-commands",
        "ran late-commands",
    ];
    let install = Install {
        folder: "ubuntu-autoinstall",
        family: Family::Ubuntu,
        firmware: Firmware::UefiPxe,
        recipe: ("user-data", "autoinstall.yaml"),
        by_guid: false,
        proxy: true,
    };
    installs(install, params, &said);
}

#[test]
fn alpine_runs_from_memory_and_says_that_it_is_up() {
    needs_tools!();
    let lab = Lab::new().unwrap();
    let medium = Family::Alpine.unpacked(&lab.path("medium")).unwrap();
    // As its README says.
    let overlay = lab.path("ovl");
    std::fs::create_dir_all(overlay.join("etc/local.d")).unwrap();
    std::fs::write(overlay.join("etc/local.d/reveille.start"), example("alpine", "reveille.start")).unwrap();
    let packed = Command::new("tar")
        .arg("-C")
        .arg(&overlay)
        .arg("-czf")
        .arg(medium.join("reveille.apkovl.tar.gz"))
        .arg("etc")
        .status();
    assert!(packed.unwrap().success());
    let image = json!({
        "name": "alpine", "kind": "linux", "source": format!("dir:{}", medium.display()), "kernel": of_example("alpine", "kernel"),
        "initrd": [of_example("alpine", "initrd").trim_matches(['[', ']'])], "cmdline": of_example("alpine", "cmdline"),
    });
    let machine = Machine::new("machine", Firmware::Bios, 1);
    let matched = json!({ "mac": machine.mac_text() });
    let site = Site::new(lab, Plan { matched, image, template: None, params: json!({}), proxy: false });
    let lines = site.boot(&machine);
    for wanted in [
        "fetched modloop-lts 7",
        "fetched APKINDEX.tar.gz 5",
        "fetched reveille.apkovl.tar.gz ",
        "ran local.d",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(wanted)), "no `{wanted}`: {lines:#?}");
    }
    let order = ["boot.started", "http.file:kernel", "http.file:initrd", "boot.up"];
    site.daemon.wait_order(machine.mac_text(), &order, EVENT_DEADLINE).unwrap();
    assert_eq!(site.host()["life"]["stage"], "up");
}

#[test]
fn a_script_of_ipxe_says_how_far_it_came() {
    needs_tools!();
    let lab = Lab::new().unwrap();
    let folder = lab.path("tool");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("script.ipxe"), example("ipxe-callback", "script.ipxe")).unwrap();
    let image = json!({
        "name": "firmware-tool", "kind": "ipxe-script", "source": format!("dir:{}", folder.display()), "script": "script.ipxe",
    });
    let machine = Machine::new("machine", Firmware::Bios, 1);
    let matched = json!({ "mac": machine.mac_text() });
    let site = Site::new(lab, Plan { matched, image, template: None, params: json!({}), proxy: false });
    let port = machine.port(&site.lab, &site.segment).unwrap();
    let running = machine.start(&site.lab, &site.segment, &port).unwrap();
    let order = ["boot.started", "boot.stage", "boot.up"];
    site.daemon.wait_order(machine.mac_text(), &order, BOOT_DEADLINE).unwrap();
    let events = site.daemon.events();
    assert!(events.iter().any(|event| event.text("reported") == Some("checking")), "{events:?}");
    assert!(!events.iter().any(|event| event.name() == "boot.failed"), "{events:?}");
    println!("up after {:.1?}", running.age());
}

/// What wimboot is told to fetch is all there, byte for byte, the host's answer file with it. Neither wimboot nor Windows runs.
#[test]
fn every_file_that_wimboot_is_to_fetch_is_there() {
    needs_tools!();
    let lab = Lab::new().unwrap();
    let medium = lab.path("medium");
    let bytes = |seed: u32, count: u32| {
        (0..count).map(|at| at.wrapping_mul(seed).to_be_bytes()[1]).collect::<Vec<u8>>()
    };
    let files = [
        ("wimboot", bytes(3, 40_000)),
        ("boot/bcd", bytes(5, 16_384)),
        ("boot/boot.sdi", bytes(7, 3_170_304)),
        ("sources/boot.wim", bytes(2_654_435_761, 9_000_001)),
    ];
    for (name, content) in &files {
        std::fs::create_dir_all(medium.join(name).parent().unwrap()).unwrap();
        std::fs::write(medium.join(name), content).unwrap();
    }
    let mac = "52:54:00:12:34:01";
    let initrd: Vec<String> = of_example("windows-unattend", "initrd")
        .trim_matches(['[', ']'])
        .split(", ")
        .map(str::to_owned)
        .collect();
    let image = json!({
        "name": "server-2025", "kind": "windows", "source": format!("dir:{}", medium.display()), "kernel": "wimboot", "initrd": initrd,
        "template": "windows", "destructive": true,
    });
    let params = json!({ "admin_password": "Change-me-1", "edition": "Windows Server 2025 SERVERSTANDARD" });
    let template = Some(("unattend", example("windows-unattend", "unattend.xml")));
    let site = Site::new(lab, Plan { matched: json!({ "mac": mac }), image, template, params, proxy: false });
    site.daemon.command(&["host", "arm", "host-1"]).unwrap();
    let client = site.lab.station(&site.segment, "client", None).unwrap();
    client.ip(&["link", "set", "eth0", "address", mac]).unwrap();
    client.ip(&["address", "add", "10.77.0.9/24", "dev", "eth0"]).unwrap();
    let get = |url: &str| clients::curl(&site.lab, &client, &[url]).unwrap();
    let script = get(&format!("http://{SERVER}:8080/boot.ipxe?mac={mac}&uuid=&platform=efi&arch=x86_64"));
    let script = String::from_utf8(script).unwrap();
    let named: Vec<(&str, &str)> = script
        .lines()
        .filter_map(|line| {
            line.strip_prefix("kernel --name ").or_else(|| line.strip_prefix("initrd --name "))
        })
        .map(|rest| (rest.split(' ').next().unwrap(), rest.split(' ').nth(1).unwrap()))
        .collect();
    let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["wimboot", "bcd", "boot.sdi", "boot.wim", "unattend.xml"], "{script}");
    for (name, url) in named {
        let body = get(url);
        match files.iter().find(|(file, _)| Path::new(file).ends_with(name)) {
            Some((_, content)) => {
                assert!(body == *content, "{name}: {} bytes in place of {}", body.len(), content.len())
            }
            None => assert!(String::from_utf8(body).unwrap().contains("<ComputerName>host-1</ComputerName>")),
        }
    }
}
