//! What is told of boots and what boots would be: `trace`, `host watch`, `simulate` and `explain --pcap` of a running appliance,
//! with real clients in the place of ROM and iPXE.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::clients::{self, CLIENT_DEADLINE};
use harness::daemon::{Config, workspace};
use harness::packages::{self, BOOT, CLIENTS};
use harness::scene::{EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::{Namespace, Scene};
use serde_json::{Value, json};
use std::process::Command;

const FILES: u64 = 40;

fn json_of(scene: &Scene, args: &[&str]) -> Value {
    let text = scene.daemon.command(&[args, &["-o", "json"]].concat()).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}"))
}

fn refused(scene: &Scene, args: &[&str]) -> String {
    scene.daemon.command(args).map(|said| panic!("{args:?} was done: {said}")).unwrap_err().to_string()
}

fn url(path: &str) -> String {
    format!("http://{SERVER}:8080/{path}")
}

fn mac_of(scene: &Scene, station: &Namespace) -> String {
    let mut ip = Command::new("ip");
    ip.args(["-o", "link", "show", "dev", "eth0"]);
    // A namespace of the network alone has the /sys of outside.
    let said = station.output(&scene.lab, "link", ip, CLIENT_DEADLINE).unwrap();
    let mut words = said.split_whitespace().skip_while(|word| *word != "link/ether");
    words.nth(1).unwrap_or_else(|| panic!("no address in {said}")).to_owned()
}

/// A boot file that was captured, as it is written in `testdata`.
fn golden(name: &str) -> Vec<u8> {
    let path = workspace().join("crates/dhcp-proto/testdata").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut bytes = Vec::new();
    for word in text.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace()) {
        let (pair, times) =
            word.split_once('*').map_or((word, 1), |(pair, times)| (pair, times.parse().unwrap()));
        bytes.extend(vec![u8::from_str_radix(pair, 16).unwrap(); times]);
    }
    bytes
}

/// A capture of Ethernet frames with these DHCP requests to port 67.
fn capture(requests: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4u32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 1, 0, 0, 0]);
    for payload in requests {
        let udp = u16::try_from(payload.len() + 8).unwrap();
        let mut frame = vec![0xff; 6];
        frame.extend([0x52, 0x54, 0, 1, 2, 3, 8, 0, 0x45, 0]);
        frame.extend((udp + 20).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67]);
        frame.extend(udp.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(payload);
        let len = u32::try_from(frame.len()).unwrap();
        for field in [1_700_000_000, 0, len, len] {
            file.extend(field.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// Everything that a simulation could have changed. The numbers of events say whether one happened.
fn state(scene: &Scene) -> Value {
    let events = scene.daemon.command(&["events", "-o", "json"]).unwrap();
    let host = json_of(scene, &["host", "get", "web01"]);
    json!({
        "life": host["life"],
        "address": host["address"],
        "leases": json_of(scene, &["lease", "list"])["items"],
        "boots": json_of(scene, &["boot", "list"])["items"],
        "machines": json_of(scene, &["machine", "list"])["items"],
        "store": json_of(scene, &["store", "verify"])["revision"],
        "events": events.lines().count(),
    })
}

fn step<'a>(simulation: &'a Value, stage: &str, asks: &str) -> &'a Value {
    let steps = simulation["steps"].as_array().unwrap();
    let found =
        steps.iter().find(|step| step["stage"] == stage && step["asks"].as_str().unwrap().starts_with(asks));
    found.unwrap_or_else(|| panic!("no step {stage} {asks} in {simulation:#}"))
}

/// A ROM, iPXE and an installer, played by udhcpc, tftp and curl. Gives the script it was sent and its address.
fn boots(scene: &Scene, client: &Namespace, mac: &str) -> (String, String) {
    let arch = ["-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000"];
    let rom = clients::udhcpc(&scene.lab, client, &arch).unwrap();
    clients::tftp_hpa(&scene.lab, client, SERVER, "undionly.kpxe").unwrap();
    let ipxe = [&arch[..], &["-x", "0x4d:69505845", "-x", "0xaf:130101150101"]].concat();
    let lease = clients::udhcpc(&scene.lab, client, &ipxe).unwrap();
    assert_eq!(lease.address, rom.address);
    clients::curl(&scene.lab, client, &[&url("boot.ipxe")]).unwrap();
    let asks = url(&format!("boot.ipxe?mac={mac}&uuid=&arch=i386&platform=pcbios"));
    let script = String::from_utf8(clients::curl(&scene.lab, client, &[&asks]).unwrap()).unwrap();
    for line in script.lines().filter(|line| line.starts_with("kernel ") || line.starts_with("initrd ")) {
        let file = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        clients::curl(&scene.lab, client, &[file]).unwrap();
    }
    for number in 0..FILES {
        let again = url("installer/payload.img");
        clients::curl(&scene.lab, client, &["-r", &format!("{number}-{number}"), &again]).unwrap();
    }
    let address = lease.address.split('/').next().unwrap().to_owned();
    (script, address)
}

/// A text with the secret of its boot taken out, as `simulate` shows it.
fn without_secret(script: &str) -> String {
    let at = script.find("/b/").unwrap() + 3;
    format!("{}…secret…{}", &script[..at], &script[at + 32..])
}

#[test]
fn a_boot_is_simulated_then_booted_then_told() {
    harness::enter!();
    if !(packages::here(BOOT) && packages::here(CLIENTS)) {
        return;
    }
    let scene = Scene::new(Config::server(NETWORK, POOL).unknown("ignore")).unwrap();
    let client = scene.lab.station(&scene.segment, "client", None).unwrap();
    let mac = mac_of(&scene, &client);
    let (kernel, initrd) = (scene.payload.kernel.to_string_lossy(), scene.payload.initrd.to_string_lossy());
    let import = ["image", "import", "files", "--name", "installer", "--destructive", "--kernel", &*kernel];
    scene.daemon.command(&[&import[..], &["--initrd", &*initrd]].concat()).unwrap();
    scene.daemon.command(&["host", "add", "web01", "--mac", &mac, "--image", "installer"]).unwrap();
    let forgotten = refused(&scene, &["trace", "web01"]);
    assert!(forgotten.contains("R-TRC-01") && forgotten.contains("was started"), "{forgotten}");

    // Not armed: it goes to its disk, and the reason is said.
    let simulate = ["simulate", "--host", "web01", "--arch", "bios"];
    let unarmed = json_of(&scene, &simulate);
    assert_eq!(unarmed["boots"], "local-disk", "{unarmed:#}");
    assert!(scene.daemon.command(&simulate).unwrap().contains("not armed"), "{unarmed:#}");

    scene.daemon.command(&["host", "arm", "web01"]).unwrap();
    let before = state(&scene);
    assert_eq!(
        (&before["life"]["stage"], &before["leases"], &before["boots"]),
        (&json!("armed"), &json!([]), &json!([]))
    );
    let simulation = json_of(&scene, &simulate);
    assert_eq!(
        (&simulation["boots"], &simulation["image"]),
        (&json!("image"), &json!("installer")),
        "{simulation:#}"
    );
    let shown = scene.daemon.command(&[&simulate[..], &["--verbose"]].concat()).unwrap();
    assert!(
        shown.contains("WOULD BOOT   it boots image installer") && shown.contains("67 boot file"),
        "{shown}"
    );
    scene.daemon.command(&["explain", "--name", "web01", "--firmware", "bios"]).unwrap();
    scene.daemon.command(&["simulate", "--mac", "52:54:00:99:99:99", "--arch", "uefi-x64"]).unwrap();
    scene.daemon.command(&[&simulate[..], &["--working-rules"]].concat()).unwrap();
    assert_eq!(state(&scene), before, "nothing is changed by looking");

    // The real one is given exactly that.
    let mut watch = Command::new(harness::daemon::binary().unwrap());
    watch.args(["host", "watch", "web01", "--until", "up", "--new", "--timeout", "2m", "--socket"]);
    watch.arg(scene.daemon.socket());
    let mut watch = harness::Running::start("watch", watch, None).unwrap();
    watch.wait_for("\"none\"", EVENT_DEADLINE).unwrap();
    let (script, address) = boots(&scene, &client, &mac);
    let offered = step(&simulation, "rom", "REQUEST");
    assert_eq!(offered["reply"]["yiaddr"], json!(address), "{offered:#}");
    assert_eq!(
        (&offered["reply"]["siaddr"], &offered["reply"]["file"]),
        (&json!(SERVER), &json!("undionly.kpxe"))
    );
    let events = scene.daemon.events();
    let acks: Vec<&str> = events
        .iter()
        .filter(|event| event.name() == "dhcp.ack")
        .filter_map(|event| event.text("boot_file"))
        .collect();
    let simulated =
        ["rom", "ipxe"].map(|stage| step(&simulation, stage, "REQUEST")["answer"].as_str().unwrap());
    assert_eq!(acks.len(), simulated.len(), "{acks:?}");
    for (ack, simulated) in acks.iter().zip(simulated) {
        assert!(simulated.ends_with(ack), "{simulated} is not {ack}");
    }
    let named =
        simulation["steps"].as_array().unwrap().iter().rev().find(|step| step["role"] == "script").unwrap();
    assert_eq!(named["text"].as_str().unwrap(), without_secret(&script));
    let size = std::fs::metadata(&scene.payload.kernel).unwrap().len();
    assert_eq!(step(&simulation, "loader", "/installer/linux")["bytes"], json!(size));

    // Told while it goes on, and when it is over.
    let running = json_of(&scene, &["trace", "web01"]);
    assert_eq!((&running["stage"], &running["outcome"]), (&json!("kernel"), &Value::Null), "{running:#}");
    let up = script
        .split_whitespace()
        .find_map(|word| word.split('=').find(|part| part.ends_with("/up")))
        .unwrap();
    clients::curl(&scene.lab, &client, &["-X", "POST", up]).unwrap();
    let trace = json_of(&scene, &["trace", "web01", "--last"]);
    assert_eq!((&trace["outcome"], &trace["image"]), (&json!("up"), &json!("installer")), "{trace:#}");
    let kinds: Vec<&str> =
        trace["steps"].as_array().unwrap().iter().filter_map(|step| step["step"].as_str()).collect();
    let mut rest = kinds.iter();
    for kind in ["discover", "offer", "tftp", "loader", "script", "start", "http", "kernel", "callback"] {
        assert!(rest.any(|own| *own == kind), "{kind} is not in its place: {kinds:?}");
    }
    let counted: u64 =
        trace["more"].as_array().unwrap().iter().filter_map(|more| more["count"].as_u64()).sum();
    let listed =
        trace["events"].as_array().unwrap().iter().filter(|event| event["event"] == "http.file").count();
    assert_eq!(counted + listed as u64, FILES + 2, "{trace:#}");
    let text = scene.daemon.command(&["trace", "web01"]).unwrap();
    assert!(
        text.contains("files more") && text.contains("callback   up") && text.contains("armed by"),
        "{text}"
    );
    let id = trace["id"].as_str().unwrap();
    assert_eq!(scene.daemon.command(&["trace", "--boot", id]).unwrap(), text);
    let otlp: Value =
        serde_json::from_str(&scene.daemon.command(&["trace", "web01", "-o", "otlp"]).unwrap()).unwrap();
    let spans = otlp["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), kinds.len() + 1);
    assert!(spans.iter().all(|span| span["traceId"] == trace["trace_id"] && span["traceId"].as_str().unwrap().len() == 32));
    assert!(watch.wait_exit(EVENT_DEADLINE).unwrap().success());
    let last = watch.transcript().text();
    let last: Value =
        serde_json::from_str(last.lines().rfind(|line| line.starts_with('{')).unwrap()).unwrap();
    assert_eq!(
        (&last["host"], &last["outcome"], &last["boot_id"]),
        (&json!("web01"), &json!("up"), &json!(id))
    );
    let late = refused(&scene, &["host", "watch", "web01", "--until", "up", "--new", "--timeout", "1s"]);
    assert!(late.contains("R-WAT-01") && late.contains("web01"), "{late}");
    assert!(refused(&scene, &["host", "list", "-o", "otlp"]).contains("R-CLI-08"));

    // A captured machine.
    let before = state(&scene);
    let file = scene.lab.path("machine.pcap");
    let name = file.to_string_lossy();
    std::fs::write(&file, capture(&[golden("ovmf-pxe-discover.hex")])).unwrap();
    let one = json_of(&scene, &["explain", "--pcap", &name]);
    assert_eq!(
        (&one["packet"]["stage"], &one["packet"]["firmware"]),
        (&json!("rom"), &json!("uefi-x64")),
        "{one:#}"
    );
    let reply = &one["answer"]["steps"][0]["reply"];
    assert_eq!((&reply["message"], &reply["yiaddr"].is_string()), (&json!("offer"), &true), "{one:#}");
    assert!(one["explanation"]["because"].is_array(), "{one:#}");
    std::fs::write(&file, capture(&[golden("ovmf-pxe-discover.hex"), golden("udhcpc-discover.hex")]))
        .unwrap();
    let many = json_of(&scene, &["explain", "--pcap", &name]);
    assert_eq!(many["items"].as_array().unwrap().len(), 2, "{many:#}");
    let second = scene.daemon.command(&["explain", "--pcap", &name, "--packet", "2"]).unwrap();
    assert!(second.contains("PACKET       2 2023-11-14T22:13:20.000000Z"), "{second}");
    assert!(refused(&scene, &["explain", "--pcap", &name, "--packet", "3"]).contains("R-PCP-04"));
    std::fs::write(&file, "no capture").unwrap();
    assert!(refused(&scene, &["explain", "--pcap", &name]).contains("R-PCP-02"));
    assert_eq!(state(&scene), before, "nor by captures");
}
