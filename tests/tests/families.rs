//! The recipes of `examples/`: the commands of each, by a real shell with the tools its installer has, against a running appliance.
//!
//! A host is armed, asks for its boot script, fetches its answer file, and runs what that says: on a good way `installing` and
//! `installed`, on a bad one `failed` with the installer's log. No firmware and no installer are here: `boot_families.rs` boots.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::clients;
use harness::daemon::{Config, Daemon, workspace};
use harness::packages::{self, BOOT, CLIENTS, INSTALLERS};
use harness::recipe::{self, DebianInstaller};
use harness::scene::{EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::timeline::Event;
use harness::{Lab, Namespace, Segment};
use serde_json::{Value, json};
use std::path::Path;

const MAC: &str = "52:54:00:12:34:01";
const HASH: &str = "$6$oRWLiHCgRnBoSqXD$PY8ugxc5QtxkU.jZrdibCAkglNZ2q/fLI6uIWuW69ulk03WLIU2zrLcinrsAa5i1CyE7keLd791D/mO4fGTnU.";

macro_rules! needs_tools {
    () => {
        harness::enter!();
        if !(packages::here(BOOT) && packages::here(CLIENTS)) {
            return;
        }
    };
}

/// An appliance with one installer and one host, and the machine beside it.
///
/// Fields in dropping order.
struct Site {
    daemon: Daemon,
    client: Namespace,
    _server: Namespace,
    _segment: Segment,
    lab: Lab,
}

impl Site {
    /// `recipe` is a file of `examples/templates`.
    fn new(recipe: &str, kind: &str, params: Value) -> Site {
        let text = std::fs::read_to_string(workspace().join("examples/templates").join(recipe)).unwrap();
        let lab = Lab::new().unwrap();
        let segment = lab.segment().unwrap();
        let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24"))).unwrap();
        let client = lab.station(&segment, "client", None).unwrap();
        client.ip(&["link", "set", "eth0", "address", MAC]).unwrap();
        client.ip(&["address", "add", "10.77.0.9/24", "dev", "eth0"]).unwrap();
        let medium = lab.path("medium");
        std::fs::create_dir(&medium).unwrap();
        for name in ["kernel", "initrd"] {
            std::fs::write(medium.join(name), name).unwrap();
        }
        let image = json!({
            "name": "installer", "kind": "linux", "source": format!("dir:{}", medium.display()), "kernel": "kernel",
            "initrd": ["initrd"], "cmdline": "answer={{ url }}", "template": "recipe", "destructive": true,
        });
        let mut config = Config::server(NETWORK, POOL).host(
            json!({ "name": "web01", "match": { "mac": MAC }, "image": "installer", "params": params }),
        );
        config.set(&["resources", "images"], json!([image]));
        config.set(&["resources", "templates"], json!([{ "name": "recipe", "kind": kind, "text": text }]));
        let daemon = Daemon::start(&lab, &server, config).unwrap();
        Site { daemon, client, _server: server, _segment: segment, lab }
    }

    fn get(&self, url: &str) -> String {
        String::from_utf8(clients::curl(&self.lab, &self.client, &[url]).unwrap()).unwrap()
    }

    /// Arms the host, boots it, and gives its answer file.
    fn boot(&self) -> String {
        self.daemon.command(&["host", "arm", "web01"]).unwrap();
        let facts = format!("mac={MAC}&uuid=&serial=S1&platform=efi&arch=x86_64");
        let script = self.get(&format!("http://{SERVER}:8080/boot.ipxe?{facts}"));
        let url = script.split("answer=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let url = url.unwrap_or_else(|| panic!("no answer file in\n{script}"));
        let kernel = script.lines().find_map(|line| line.strip_prefix("kernel --name kernel ")).unwrap();
        self.get(kernel.split_whitespace().next().unwrap());
        self.get(&if url.ends_with('/') { format!("{url}user-data") } else { url.to_owned() })
    }

    fn stage(&self) -> String {
        let text = self.daemon.command(&["host", "get", "web01", "-o", "json"]).unwrap();
        let host: Value = serde_json::from_str(&text).unwrap();
        host["life"]["stage"].as_str().unwrap_or_else(|| panic!("{host:#}")).to_owned()
    }

    fn event(&self, name: &str, field: (&str, &str)) -> Event {
        let is = |event: &&Event| event.name() == name && event.text(field.0) == Some(field.1);
        let look = |events: &[Event]| events.iter().rev().find(is).cloned();
        self.daemon.wait_events(&format!("{name} with {field:?}"), EVENT_DEADLINE, look).unwrap()
    }

    /// Runs a script as the machine does.
    fn run(&self, shell: &[&str], script: &str, files: recipe::Files<'_>) -> String {
        recipe::run(&self.lab, &self.client, shell, script, files)
            .unwrap_or_else(|error| panic!("{error:#}\n--- of\n{script}"))
    }

    fn is_installing(&self) {
        self.event("boot.stage", ("reported", "installing"));
        assert_eq!(self.stage(), "installing");
    }

    fn is_installed(&self) {
        self.event("boot.stage", ("reported", "installed"));
        assert_eq!(self.stage(), "installed");
    }

    /// The host failed, said `detail`, and its logs have these texts.
    fn has_failed(&self, detail: &str, logs: &[(&str, &str)]) {
        let failed =
            |events: &[Event]| events.iter().rev().find(|event| event.name() == "boot.failed").cloned();
        let failed = self.daemon.wait_events("boot.failed", EVENT_DEADLINE, failed).unwrap();
        assert!(failed.text("detail").is_some_and(|own| own.contains(detail)), "{failed:?}");
        assert_eq!(self.stage(), "failed");
        for (name, text) in logs {
            self.event("boot.log_received", ("log", name));
            let shown = self.daemon.command(&["boot", "log", "web01", name]).unwrap();
            assert!(shown.contains(text), "{name}: {shown}");
        }
        let list = self.daemon.command(&["boot", "log", "web01", "-o", "json"]).unwrap();
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["items"].as_array().unwrap().len(), logs.len(), "{list:#}");
    }
}

#[test]
fn anaconda_reports_and_sends_its_logs_when_it_fails() {
    needs_tools!();
    let params = json!({ "root_hash": HASH, "ssh_key": "ssh-ed25519 AAAA it's me", "ntp": "10.77.0.1", "tree": "http://10.77.0.1/" });
    let site = Site::new("anaconda.ks", "kickstart", params);
    let script = |text: &str, head: &str| recipe::kickstart_sections(text, head).concat();
    let text = site.boot();
    site.run(&["sh"], &script(&text, "%pre"), &[]);
    site.is_installing();
    let logs = [
        ("/tmp/anaconda.log", "started\n10:00:00 CRT: no disk\n"),
        ("/tmp/storage.log", "sda is \x1b[31mgone\x1b[0m\n"),
        ("/tmp/packaging.log", ""),
    ];
    site.run(&["sh"], &script(&text, "%onerror"), &logs);
    site.has_failed(
        "no disk",
        &[("anaconda.log", "CRT: no disk"), ("storage.log", "sda is \\x1b[31mgone\\x1b[0m")],
    );
    let text = site.boot();
    site.run(&["sh"], &script(&text, "%pre"), &[]);
    site.run(&["sh"], &script(&text, "%post"), &[]);
    site.is_installed();
}

#[test]
fn debians_installer_reports_and_sends_its_log_when_a_step_fails() {
    needs_tools!();
    let params = json!({ "root_hash": HASH, "ssh_key": "ssh-ed25519 AAAA it's me", "ntp": "10.77.0.1" });
    let site = Site::new("debian.cfg", "preseed", params);
    let installer = DebianInstaller::unpack(&site.lab).unwrap();
    let syslog = installer.path("/var/log/syslog");
    std::fs::create_dir_all(syslog.parent().unwrap()).unwrap();
    let run = |text: &str, question: &str| {
        let script = recipe::preseed_value(text, question).unwrap();
        installer.run(&site.lab, &site.client, &script).unwrap_or_else(|error| panic!("{error:#}\n{script}"))
    };
    let text = site.boot();
    std::fs::write(&syslog, "main-menu[200]: INFO: Menu item 'bootstrap-base' selected\n").unwrap();
    // It ends at once, though its loop goes on.
    run(&text, "preseed/early_command");
    site.is_installing();
    let line = "main-menu[200]: WARNING **: Configuring 'bootstrap-base' failed with error code 1";
    std::fs::write(&syslog, format!("debootstrap: no space left\n{line}\n")).unwrap();
    site.has_failed("Configuring 'bootstrap-base' failed", &[("syslog", "no space left")]);
    std::fs::write(&syslog, "").unwrap();
    let text = site.boot();
    run(&text, "preseed/early_command");
    run(&text, "preseed/late_command");
    site.is_installed();
    let keys = std::fs::read_to_string(installer.path("/target/root/.ssh/authorized_keys")).unwrap();
    assert_eq!(keys, "ssh-ed25519 AAAA it's me\n");
    // The loop of the second boot ends with the installer; nothing more is to come of it here.
}

#[test]
fn esxi_reports_from_all_its_sections() {
    needs_tools!();
    if !packages::here(INSTALLERS) {
        return;
    }
    let params = json!({ "root_hash": HASH, "ssh_key": "ssh-ed25519 AAAA it's me", "ntp": "10.77.0.1" });
    let site = Site::new("esxi.ks", "esxi-kickstart", params);
    let busybox = recipe::busybox_shell(&["sh", "wget", "cat"], &["localcli", "vim-cmd", "esxcli"]);
    let busybox: Vec<&str> = busybox.iter().map(String::as_str).collect();
    let text = site.boot();
    let section = |head: &str| recipe::kickstart_sections(&text, head).remove(0);
    // The file is in the folder that is empty and of our own.
    let first_boot = section("%firstboot").replace("/etc/ssh/keys-root", "/tmp");
    assert_ne!(first_boot, section("%firstboot"));
    let said = site.run(&busybox, &section("%pre"), &[]);
    assert!(said.contains("localcli network firewall unload"), "{said}");
    site.is_installing();
    site.run(&busybox, &section("%post --interpreter=busybox"), &[]);
    site.is_installed();
    let log = [("/var/log/weasel.log", "weasel: all is well\n")];
    site.run(&["/usr/bin/python3"], &section("%post --interpreter=python"), &log);
    site.event("boot.log_received", ("log", "weasel.log"));
    assert!(site.daemon.command(&["boot", "log", "web01", "weasel.log"]).unwrap().contains("all is well"));
    let said = site.run(&busybox, &format!("{first_boot}\ncat /tmp/authorized_keys"), &[]);
    assert!(said.contains("ssh-ed25519 AAAA it's me") && said.contains("esxcli system ntp set"), "{said}");
    let up = |events: &[Event]| events.iter().any(|event| event.name() == "boot.up").then_some(());
    site.daemon.wait_events("boot.up", EVENT_DEADLINE, up).unwrap();
}

#[test]
fn photon_reports_and_sends_its_log_when_there_is_a_traceback() {
    needs_tools!();
    let site =
        Site::new("photon.json", "json", json!({ "root_hash": HASH, "ssh_key": "ssh-ed25519 AAAA it's me" }));
    let text = site.boot();
    let log = "INFO - started\nTraceback (most recent call last):\nException: no such disk\n";
    // As the installer of Photon does, it waits for the script and not for what that leaves running.
    let before = recipe::json_lines(&text, "preinstall").unwrap();
    let waiting = format!("{before}\nwait");
    site.run(&["bash"], &waiting, &[("/var/log/installer.log", log)]);
    site.event("boot.stage", ("reported", "installing"));
    site.has_failed("no such disk", &[("installer.log", "Traceback (most")]);
    let text = site.boot();
    site.run(&["bash"], &recipe::json_lines(&text, "preinstall").unwrap(), &[]);
    site.is_installing();
    let stand_in = "systemctl() { echo \"systemctl $*\"; }\n";
    let said =
        site.run(&["bash"], &format!("{stand_in}{}", recipe::json_lines(&text, "postinstall").unwrap()), &[]);
    assert!(said.contains("systemctl enable sshd"), "{said}");
    site.is_installed();
}

#[test]
fn autoinstall_reports_and_sends_its_logs_when_it_fails() {
    needs_tools!();
    let site = Site::new(
        "autoinstall.yaml",
        "user-data",
        json!({ "root_hash": HASH, "ssh_key": "ssh-ed25519 AAAA me" }),
    );
    let run = |text: &str, key: &str, files: recipe::Files<'_>| {
        let commands = recipe::autoinstall_commands(text, key);
        assert!(!commands.is_empty(), "{key} in\n{text}");
        commands.iter().for_each(|command| drop(site.run(&["sh"], command, files)));
    };
    let text = site.boot();
    run(&text, "early-commands", &[]);
    site.is_installing();
    let logs = [
        ("/var/log/installer/subiquity-server-debug.log", "started\nfinish: FAIL: partitioning\n"),
        ("/var/log/installer/curtin-install.log", "curtin: no disk\n"),
    ];
    run(&text, "error-commands", &logs);
    site.has_failed(
        "FAIL: partitioning",
        &[("subiquity-server-debug.log", "finish: FAIL"), ("curtin-install.log", "curtin: no disk")],
    );
    let text = site.boot();
    run(&text, "early-commands", &[]);
    run(&text, "late-commands", &[]);
    site.is_installed();
}

/// What cloud-init's module `phone_home` sends (`cloudinit/config/cc_phone_home.py`): a form, by POST, tried again after refusals.
/// cloud-init itself is not run: it would set up the machine the test runs on.
#[test]
fn cloud_init_phones_home_with_a_form() {
    needs_tools!();
    let site = Site::new(
        "cloud-init.yaml",
        "user-data",
        json!({ "ssh_key": "ssh-ed25519 AAAA me", "ntp": "10.77.0.1" }),
    );
    let text = site.boot();
    let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    let url = line("  url: ").trim_matches('"').to_owned();
    assert_eq!(line("  post: "), "[instance_id, hostname, fqdn]");
    let send = |url: &str| {
        let form = [
            "--data-urlencode",
            "instance_id=i-1",
            "--data-urlencode",
            "hostname=web01",
            "--data-urlencode",
            "fqdn=web01.lab & co",
        ];
        let agent = ["-A", "Cloud-Init/22.4.2", "-H", "Accept-Encoding: gzip, deflate", "-H", "Accept: */*"];
        clients::curl_head(&site.lab, &site.client, &[&agent[..], &form, &[url]].concat()).unwrap()
    };
    let answer = send(&url);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let up = |events: &[Event]| events.iter().find(|event| event.name() == "boot.up").cloned();
    let up = site.daemon.wait_events("boot.up", EVENT_DEADLINE, up).unwrap();
    assert_eq!(up.text("detail"), Some("instance_id=i-1&hostname=web01&fqdn=web01.lab+%26+co"), "{up:?}");
    assert!(send(&url).starts_with("HTTP/1.1 410"), "once");
    // All it can send: the public keys of the machine as well.
    let keys = format!("{}&pub_key_rsa=ssh-rsa+{}", "hostname=web01", "A".repeat(700));
    let other = url.replace("/up", "/keys");
    let answer = clients::curl_head(&site.lab, &site.client, &["-d", &keys, &other]).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

/// The commands of Windows by curl on Linux, and the scripts they leave for Setup.
#[test]
fn windows_reports_by_the_scripts_that_its_answer_file_leaves() {
    needs_tools!();
    let params = json!({ "admin_password": "Change-me-1", "edition": "Windows Server 2025 SERVERSTANDARD" });
    let site = Site::new("unattend.xml", "unattend", params);
    let windows = site.lab.path("Windows");
    std::fs::create_dir_all(windows.join("Panther")).unwrap();
    std::fs::write(windows.join("Panther/setuperr.log"), "Error: 0x80070057\r\n").unwrap();
    // Not in the emptied /tmp, where the lab is.
    let shell = |script: &str| {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]);
        site.client.output(&site.lab, "windows", command, clients::CLIENT_DEADLINE).unwrap()
    };
    let specialize = |text: &str| {
        for line in recipe::xml_texts(text, "Path") {
            shell(&recipe::cmd_as_shell(&line, &windows));
        }
    };
    let left = |name: &str| {
        let script = std::fs::read_to_string(windows.join("Setup/Scripts").join(name)).unwrap();
        script.lines().map(|line| recipe::cmd_as_shell(line, &windows)).collect::<Vec<_>>().join("\n")
    };
    let text = site.boot();
    specialize(&text);
    site.is_installing();
    shell(&left("ErrorHandler.cmd"));
    let failed = |events: &[Event]| events.iter().any(|event| event.name() == "boot.failed").then_some(());
    site.daemon.wait_events("boot.failed", EVENT_DEADLINE, failed).unwrap();
    assert_eq!(site.stage(), "failed");
    let shown = site.daemon.command(&["boot", "log", "web01", "setuperr.log"]).unwrap();
    assert_eq!(shown, "Error: 0x80070057\n");
    std::fs::remove_dir_all(windows.join("Setup")).unwrap();
    let text = site.boot();
    specialize(&text);
    shell(&left("SetupComplete.cmd"));
    site.is_installed();
    for line in recipe::xml_texts(&text, "CommandLine") {
        shell(&recipe::cmd_as_shell(&line, Path::new("/")));
    }
    let up = |events: &[Event]| events.iter().any(|event| event.name() == "boot.up").then_some(());
    site.daemon.wait_events("boot.up", EVENT_DEADLINE, up).unwrap();
}
