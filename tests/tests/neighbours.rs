//! What another machine on the segment gets of a host's secrets: nothing, in any of the ways below.
//!
//! The images erase nothing, so that no arming stands before them: what keeps the neighbour out is that it is not the machine. Two
//! neighbours try everything: one with a lease of its own, one that DHCP never saw. They try before the host ever booted, while
//! it has a boot under way, and when it has gone and its address is theirs. The host itself gets its answer file each time it
//! boots, or nothing of this would mean anything.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use harness::clients;
use harness::daemon::{Config, Daemon};
use harness::packages::{self, BOOT, CLIENTS};
use harness::scene::{NETWORK, POOL, SERVER};
use harness::{Lab, Namespace};
use serde_json::json;
use std::process::Command;

const MAC: &str = "52:54:00:12:34:01";
const DASHED: &str = "52-54-00-12-34-01";
const UUID: &str = "11223344-5566-7788-99aa-000000000001";
const SEED_MAC: &str = "52:54:00:12:34:02";
const HASH: &str = "$6$nZ8b0VqL1sXc2dEf$8m1bW2n3v4x5z6A7S8D9F0G1H2J3K4L5Z6X7C8V9B0N1M2Q3W4E5R6T7Y8U9I0O1P2a3s4d5f6g7h8j9k0l1z2";
const MARK: &str = "only-for-this-host";
const WORD: &str = "rd.iscsi.password=hush";
const ROM: &str = "PXEClient:Arch:00007:UNDI:003016";

/// curl with these arguments: everything it was told, head and body, whatever it says.
fn curl(lab: &Lab, from: &Namespace, args: &[&str]) -> String {
    let mut command = Command::new("sh");
    command
        .args(["-c", "curl -s -i --path-as-is --noproxy '*' --max-time 10 \"$@\" || true", "curl"])
        .args(args);
    from.output(lab, "neighbour", command, clients::CLIENT_DEADLINE).unwrap()
}

fn url(path: &str) -> String {
    format!("http://{SERVER}:8080/{path}")
}

fn boot_cfg() -> String {
    url(&format!("esxi/01-{DASHED}/boot.cfg"))
}

/// The token of the boot that a `boot.cfg` or script is of.
fn token(text: &str) -> Option<&str> {
    let at = text.find("/b/")?;
    text.get(at + 3..at + 35).filter(|token| token.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Secrets that have come up so far.
struct Secrets(Vec<String>);

impl Secrets {
    fn assert_not_in(&self, way: &str, said: &str) {
        for secret in &self.0 {
            assert!(!said.contains(secret.as_str()), "{way}: {secret} in\n{said}");
        }
        // Nor the place of an answer file, with a secret that is good for another reason.
        assert!(!said.contains("/answer/"), "{way}: the place of an answer file in\n{said}");
    }
}

/// One way, and what a neighbour was told there.
type Told = (&'static str, String);

/// Every way that is open without knowing a secret. `address` is where the host is or was.
fn ways(lab: &Lab, from: &Namespace, address: &str) -> Vec<Told> {
    let ask = |args: &[&str]| curl(lab, from, args);
    let each = |urls: Vec<String>| ask(&urls.iter().map(String::as_str).collect::<Vec<_>>());
    let all = |paths: &[String]| each(paths.iter().map(|path| url(path)).collect());
    let tftp = |names: &[String]| each(names.iter().map(|name| format!("tftp://{SERVER}/{name}")).collect());
    let text = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let octets = address.split('.').map(|octet| format!("{:02X}", octet.parse::<u8>().unwrap()));
    let hex_address: String = octets.collect();
    let bare_uuid = UUID.replace('-', "");
    let mut told: Vec<Told> = Vec::new();
    told.push((
        "names an answer file might have",
        all(&text(&[
            "ks.cfg",
            "web01/ks.cfg",
            "web01.cfg",
            "answer/web01",
            "answer/ks.cfg",
            "esxi/ks.cfg",
            "esxi/web01/ks.cfg",
            "templates/secret",
            "template/secret",
            "b/",
            "b",
            "b/answer/ks.cfg",
            "seed/web01/user-data",
            "user-data",
        ])),
    ));
    told.push((
        "the host's own marks in place of a token",
        all(&[
            format!("b/{bare_uuid}/answer/ks.cfg"),
            format!("b/{}/answer/ks.cfg", bare_uuid.to_uppercase()),
            format!("b/01-{DASHED}/answer/ks.cfg"),
            format!("b/{}/answer/ks.cfg", format!("{DASHED}-").repeat(2).replace('-', "")),
            "b/web01/answer/ks.cfg".to_owned(),
            format!("b/{}/answer/ks.cfg", "0".repeat(32)),
            "b//answer/ks.cfg".to_owned(),
        ]),
    ));
    told.push((
        "the boot.cfg of its folder, in all spellings",
        all(&[
            format!("esxi/01-{DASHED}/boot.cfg"),
            format!("esxi/01-{}/BOOT.CFG", DASHED.to_uppercase()),
            format!("ESXI/01-{MAC}/boot.cfg"),
            format!("esxi/01-{}/boot.cfg", DASHED.replace('-', "")),
            format!("esxi//01-{DASHED}//boot.cfg"),
            format!("./esxi/01-{DASHED}/boot.cfg"),
            format!("esxi%2f01-{DASHED}%2fboot.cfg"),
            format!("esxi\\01-{DASHED}\\boot.cfg"),
            "esxi/boot.cfg".to_owned(),
        ]),
    ));
    told.push((
        "the same by TFTP",
        tftp(&[
            format!("esxi/01-{DASHED}/boot.cfg"),
            format!("esxi/01-{}/BOOT.CFG", DASHED.to_uppercase()),
            "esxi/boot.cfg".to_owned(),
            format!("esxi\\01-{DASHED}\\boot.cfg"),
        ]),
    ));
    told.push((
        "its pxelinux configuration by MAC, GUID and address",
        tftp(&[
            format!("pxelinux.cfg/01-{DASHED}"),
            format!("pxelinux.cfg/{UUID}"),
            format!("pxelinux.cfg/{hex_address}"),
            format!("pxelinux.cfg/01-{}", SEED_MAC.replace(':', "-")),
            "autoexec.ipxe".to_owned(),
            "boot.ipxe".to_owned(),
        ]) + &all(&[format!("pxelinux.cfg/01-{DASHED}"), format!("x/pxelinux.cfg/{UUID}")]),
    ));
    let queries = [
        format!("boot.ipxe?mac={MAC}&platform=efi&arch=x86_64"),
        format!("boot.ipxe?mac={MAC}&uuid={UUID}&serial=S1&platform=efi&arch=x86_64"),
        format!("boot.ipxe?uuid={UUID}"),
        "boot.ipxe?serial=S1&mac=&uuid=".to_owned(),
        format!("boot.ipxe?mac={SEED_MAC}&platform=pcbios&arch=x86_64"),
        format!("boot.ipxe?mac={SEED_MAC}&uuid=&serial=S2"),
        format!("autoexec.ipxe?mac={SEED_MAC}"),
        "boot.ipxe/seed".to_owned(),
        "boot.ipxe/esxi".to_owned(),
    ];
    told.push(("iPXE's query in the host's name", all(&queries)));
    // Whoever says its GUID or serial number with a card of its own.
    told.push((
        "iPXE's query with the host's GUID or serial and another card",
        all(&[
            format!("boot.ipxe?mac=02:00:00:00:00:66&uuid={UUID}&platform=efi&arch=x86_64"),
            "boot.ipxe?mac=02:00:00:00:00:66&uuid=&serial=S1".to_owned(),
            "boot.ipxe?mac=02:00:00:00:00:66&uuid=&serial=S2".to_owned(),
        ]),
    ));
    let script = url(&format!("boot.ipxe?mac={SEED_MAC}"));
    let spoofed: String = [
        format!("X-Forwarded-For: {address}"),
        format!("X-Real-IP: {address}"),
        format!("Forwarded: for={address}"),
        format!("True-Client-IP: {address}"),
        format!("X-RHN-Provisioning-MAC-0: eth0 {MAC}"),
        format!("X-Client-MAC: {MAC}"),
        format!("Host: {address}"),
        format!("X-Original-URL: /esxi/01-{DASHED}/boot.cfg"),
    ]
    .iter()
    .map(|field| ask(&["-H", field, &boot_cfg(), &script]))
    .collect();
    told.push(("fields that name another address", spoofed));
    let methods: String = ["OPTIONS", "POST", "PUT", "TRACE", "PROPFIND"]
        .iter()
        .map(|method| ask(&["-X", method, "-m", "3", &boot_cfg()]))
        .chain([ask(&["-I", &boot_cfg()])])
        .collect();
    let ranges = ask(&["-r", "0-20000", &boot_cfg()]) + &ask(&["-r", "-4000", &boot_cfg()]);
    let absolute = ask(&["--request-target", &boot_cfg(), &url("")]);
    told.push(("other methods, ranges and targets", methods + &ranges + &absolute));
    let up = |path: &str| format!("esxi/{path}01-{DASHED}/boot.cfg");
    told.push((
        "ways up and around",
        all(&[
            up("../esxi/"),
            up("%2e%2e/esxi/"),
            up("..%2fesxi/"),
            up("..%5cesxi%5c"),
            up("x/../"),
            up("%252e%252e/"),
            "../../../appliance/reveille.yaml".to_owned(),
            "%2e%2e/%2e%2e/appliance/reveille.yaml".to_owned(),
            "esxi/..%00/reveille.yaml".to_owned(),
            "library/logs".to_owned(),
            "logs".to_owned(),
            "store/journal".to_owned(),
        ]) + &tftp(&text(&[
            "../appliance/reveille.yaml",
            "..\\..\\reveille.yaml",
            "/etc/reveille/reveille.yaml",
        ])),
    ));
    let ports = ["80", "443", "8443", "8081", "9090"];
    let ports = each(ports.iter().map(|port| format!("http://{SERVER}:{port}/api/v1/hosts/web01")).collect());
    let api = all(&text(&[
        "api/v1/hosts/web01",
        "api/v1/hosts/web01/explain",
        "api/v1/config",
        "api/v1/store/dump",
        "api/v1/boot-logs",
        "api/v1/events",
        "admin.sock",
        "metrics",
    ]));
    assert!(!(ports.clone() + &api).contains("200 OK"), "the admin plane answers the segment:\n{ports}{api}");
    told.push(("the admin plane", ports + &api));
    told
}

/// Every way with a secret that was overheard.
fn ways_with(lab: &Lab, from: &Namespace, token: &str) -> Vec<Told> {
    let ask = |args: &[&str]| curl(lab, from, args);
    let answer = url(&format!("b/{token}/answer/ks.cfg"));
    let last = if token.ends_with('0') { "1" } else { "0" };
    let near = format!("{}{last}", token.get(..31).unwrap());
    let of = |path: String| ask(&[&url(&path)]);
    let ranged = ask(&["-r", "0-5000", &answer])
        + &ask(&["-I", &answer])
        + &ask(&["-X", "POST", &answer])
        + &ask(&["-H", "X-Forwarded-For: 10.77.0.100", &answer]);
    let folded = of(format!("B/{token}/answer/ks.cfg"))
        + &of(format!("b/{}/answer/ks.cfg", token.to_uppercase()))
        + &of(format!("x/../b/{token}/answer/ks.cfg"))
        + &of(format!("b/{token}/answer/../answer/ks.cfg"))
        + &of(format!("b%2f{token}%2fanswer%2fks.cfg"))
        + &of(format!("b\\{token}\\answer\\ks.cfg"));
    let others = ["user-data", "meta-data", "preseed.cfg", "unattend.xml", "", "seed"]
        .iter()
        .map(|file| of(format!("b/{token}/answer/{file}")))
        .collect::<String>();
    let logs = of(format!("b/{token}/log/syslog")) + &of(format!("b/{token}/log"));
    vec![
        ("the token of the host's boot", ask(&[&answer])),
        ("a token that is nearly right", of(format!("b/{near}/answer/ks.cfg"))),
        ("the token with ranges, methods and fields", ranged),
        ("the token in other spellings", folded),
        ("other files under the token", others + &logs),
        ("the token by TFTP", ask(&[&format!("tftp://{SERVER}/b/{token}/answer/ks.cfg")])),
    ]
}

#[test]
fn a_neighbour_reads_nothing_that_is_for_another_host() {
    harness::enter!();
    if !(packages::here(BOOT) && packages::here(CLIENTS)) {
        return;
    }
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some(&format!("{SERVER}/24"))).unwrap();
    let victim = lab.station(&segment, "victim", None).unwrap();
    victim.ip(&["link", "set", "eth0", "address", MAC]).unwrap();
    let leased = lab.station(&segment, "leased", None).unwrap();
    let fixed = lab.station(&segment, "fixed", Some("10.77.0.66/24")).unwrap();

    let medium = lab.path("medium");
    std::fs::create_dir_all(medium.join("efi/boot")).unwrap();
    let config_text = "bootstate=0\ntitle=Loading\nkernel=/b.b00\nkernelopt=runweasel\nmodules=/one.gz\nbuild=8.0.2-1\nupdated=0\n";
    for (name, text) in
        [("boot.cfg", config_text), ("b.b00", "kernel"), ("one.gz", "module"), ("efi/boot/bootx64.efi", "MZ")]
    {
        std::fs::write(medium.join(name), text).unwrap();
    }
    let seed = lab.path("seed");
    std::fs::create_dir(&seed).unwrap();
    std::fs::write(seed.join("kernel"), "kernel").unwrap();
    let kickstart = format!(
        "# {MARK}\naccepteula\nrootpw --iscrypted {{{{ params.root_hash }}}}\ninstall --firstdisk\nreboot\n"
    );
    let mut config = Config::server(NETWORK, POOL).unknown("menu");
    config = config
        .host(json!({
            "name": "web01", "match": { "mac": MAC, "uuid": UUID, "serial": "S1" }, "image": "esxi",
            "params": { "root_hash": HASH }, "kernel_args_append": [WORD],
        }))
        .host(json!({
            "name": "web02", "match": { "mac": SEED_MAC, "serial": "S2" }, "image": "seed",
            "params": { "root_hash": HASH }, "kernel_args_append": [WORD],
        }));
    config.set(
        &["resources", "images"],
        json!([
            { "name": "esxi", "kind": "esxi", "source": format!("dir:{}", medium.display()), "template": "secret" },
            { "name": "seed", "kind": "linux", "source": format!("dir:{}", seed.display()), "kernel": "kernel",
              "cmdline": "ks={{ url }}", "template": "secret" },
            { "name": "plain", "kind": "linux", "source": format!("dir:{}", seed.display()), "kernel": "kernel" },
        ]),
    );
    let template = json!({ "name": "secret", "kind": "esxi-kickstart", "text": kickstart });
    config.set(&["resources", "templates"], json!([template]));
    let daemon = Daemon::start(&lab, &server, config.clone()).unwrap();

    let lease = clients::udhcpc(&lab, &leased, &[]).unwrap();
    assert!(lease.address.ends_with("/24"), "{lease:?}");
    let neighbours = [("with a lease", &leased), ("with a fixed address", &fixed)];
    let mut secrets = Secrets(vec![HASH.to_owned(), MARK.to_owned(), WORD.to_owned()]);
    let mut tried = 0;
    let mut check = |when: &str, secrets: &Secrets, told: Vec<Told>| {
        for (way, said) in told {
            secrets.assert_not_in(&format!("{when}, {way}"), &said);
            tried += 1;
        }
    };

    // Before the host ever booted: nobody knows where it is.
    for (who, neighbour) in neighbours {
        check(&format!("a neighbour {who}, before"), &secrets, ways(&lab, neighbour, "10.77.0.101"));
    }

    // The host boots as its firmware does: DHCP, boot.cfg, kickstart.
    let boots = |address: Option<&str>| {
        let request: Vec<&str> = address.map(|address| vec!["-r", address]).unwrap_or_default();
        let lease = clients::udhcpc(&lab, &victim, &[&["-V", ROM], &request[..]].concat()).unwrap();
        let config = curl(&lab, &victim, &[&boot_cfg()]);
        let token = token(&config)
            .unwrap_or_else(|| panic!("the host has no boot.cfg of its own: {config}"))
            .to_owned();
        assert!(config.contains("ks=http://") && config.contains(WORD), "{config}");
        let answer = curl(&lab, &victim, &[&url(&format!("b/{token}/answer/ks.cfg"))]);
        assert!(answer.contains(HASH) && answer.contains(MARK), "{answer}");
        (lease.address.split('/').next().unwrap().to_owned(), token)
    };
    let (address, first) = boots(None);
    secrets.0.push(first.clone());
    for (who, neighbour) in neighbours {
        let when = format!("a neighbour {who}, during a boot");
        check(&when, &secrets, ways(&lab, neighbour, &address));
        check(&when, &secrets, ways_with(&lab, neighbour, &first));
    }
    // A boot of its own, whose token opens nothing of others.
    let own = curl(&lab, &leased, &[&url("boot.ipxe/plain")]);
    let own_token =
        token(&own).unwrap_or_else(|| panic!("a neighbour boots from the menu: {own}")).to_owned();
    let other: String = ["ks.cfg", "web01/ks.cfg", "../../web01/answer/ks.cfg", "user-data"]
        .iter()
        .map(|file| curl(&lab, &leased, &[&url(&format!("b/{own_token}/answer/{file}"))]))
        .collect();
    check("a neighbour with a boot of its own", &secrets, vec![("its own token for another's file", other)]);

    // The host's boot is over and another began: the old token is somebody's memory.
    let used = curl(&lab, &victim, &[&url(&format!("b/{first}/up"))]);
    assert!(used.starts_with("HTTP/1.1 204"), "{used}");
    let (_, second) = boots(Some(&address));
    assert_ne!(first, second);
    secrets.0.push(second.clone());
    for (who, neighbour) in neighbours {
        check(&format!("a neighbour {who}, with a used token"), &secrets, ways_with(&lab, neighbour, &first));
    }

    // The host gives its lease back and is gone; its address becomes the neighbours'.
    clients::udhcpc(&lab, &victim, &["-V", ROM, "-R", "-r", &address]).unwrap();
    victim.ip(&["link", "set", "eth0", "down"]).unwrap();
    fixed.ip(&["address", "flush", "dev", "eth0"]).unwrap();
    fixed.ip(&["address", "add", &format!("{address}/24"), "dev", "eth0"]).unwrap();
    let when = "a neighbour that took the host's address";
    check(when, &secrets, ways(&lab, &fixed, &address));
    check(when, &secrets, ways_with(&lab, &fixed, &second));
    fixed.ip(&["link", "set", "eth0", "down"]).unwrap();
    let lease = clients::udhcpc(&lab, &leased, &["-r", &address]).unwrap();
    let when = format!("a neighbour that was given {} (the host had {address})", lease.address);
    check(&when, &secrets, ways(&lab, &leased, &address));
    check(&when, &secrets, ways_with(&lab, &leased, &second));

    // After a restart no token is good, not for the host either; then it boots as before.
    daemon.stop().unwrap();
    let daemon = Daemon::start(&lab, &server, config).unwrap();
    leased.ip(&["link", "set", "eth0", "down"]).unwrap();
    victim.ip(&["link", "set", "eth0", "up"]).unwrap();
    let (_, third) = boots(None);
    let old = curl(&lab, &victim, &[&url(&format!("b/{second}/answer/ks.cfg"))]);
    assert!(old.starts_with("HTTP/1.1 404"), "{old}");
    // What was looked for can be found by these ways: the host itself finds it.
    let told = ways_with(&lab, &victim, &third);
    let shows =
        |way: &str| told.iter().any(|(own, said)| *own == way && said.contains(HASH) && said.contains(MARK));
    for way in ["the token of the host's boot", "the token with ranges, methods and fields"] {
        assert!(shows(way), "{way} shows the host nothing: {told:?}");
    }
    let by_tftp = curl(&lab, &victim, &[&format!("tftp://{SERVER}/boot.ipxe")]);
    assert!(by_tftp.contains("#!ipxe"), "TFTP is served: {by_tftp}");
    secrets.0.push(third);
    for secret in &secrets.0[3..] {
        assert!(!format!("{:?}", daemon.events()).contains(secret.as_str()), "a token in the events");
        assert!(!daemon.process().transcript().text().contains(secret.as_str()), "a token in the log");
    }
    assert!(tried > 100, "{tried} ways were tried");
    daemon.stop().unwrap();
}
