//! The model of ESXi's loader against the real appliance, over real sockets, through every way a machine can come: UEFI by
//! TFTP and by HTTP, iPXE, pxelinux; every release line; from an ISO image to the kickstart.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use harness::daemon::Config;
use harness::depot;
use harness::esxi::{Medium, RELEASES};
use harness::packages::{self, BOOT, CLIENTS, MEDIA};
use harness::scene::{EVENT_DEADLINE, NETWORK, POOL, SERVER};
use harness::{Namespace, Scene, clients};
use serde_json::json;
use sim::mboot::{Answer, Ask, Booted, Machine, Mboot, Method, Outcome, Release, Start};
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

const MAC: &str = "52:54:00:e5:e5:01";
const PATIENCE: Duration = Duration::from_secs(10);
const MODULE_BYTES: usize = 30_011;

const KICKSTART: &str = "vmaccepteula\ninstall --firstdisk --overwritevmfs\nrootpw --iscrypted {{ params.rootpw }}\n\
network --bootproto=dhcp --device={{ machine.mac }}\nreboot\n%firstboot --interpreter=busybox\n\
wget -O - {{ callback }}/up\n";
const ROOTPW: &str = "$6$0123456789abcdef$uC6LYVYfQG0zJ1eZy7m1n2o3p4q5r6s7t8u9v0w1x2y3z4A5B6C7D8E9F0G1H2I3J4K5L6M7N8O9P0Q1R2S3T4";

/// One name by TFTP, as firmware reads it: the size alone, or the whole file.
fn tftp(name: &str, blksize: u16, size_only: bool) -> Answer {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = vec![0, 1];
    for word in [name, "octet", "tsize", "0", "blksize", &blksize.to_string()] {
        request.extend(word.bytes());
        request.push(0);
    }
    socket.send_to(&request, (SERVER, 69)).unwrap();
    let (mut file, mut next, mut size) = (Vec::new(), 1u16, None);
    let mut buffer = vec![0; 70_000];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut buffer) else { return Answer::Nothing };
        let packet = &buffer[..count];
        match packet {
            [0, 6, options @ ..] => {
                let mut words =
                    options.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
                while let (Some(key), Some(value)) = (words.next(), words.next()) {
                    if key.eq_ignore_ascii_case("tsize") {
                        size = value.parse().ok();
                    }
                }
                if size_only {
                    socket.send_to(&[0, 5, 0, 8, 0], from).unwrap();
                    return Answer::Size(size);
                }
                socket.send_to(&[0, 4, 0, 0], from).unwrap();
            }
            [0, 3, high, low, data @ ..] => {
                let block = u16::from_be_bytes([*high, *low]);
                if block == next {
                    file.extend_from_slice(data);
                    next = next.wrapping_add(1);
                }
                socket.send_to(&[0, 4, *high, *low], from).unwrap();
                if block.wrapping_add(1) == next && data.len() < usize::from(blksize) {
                    return Answer::File(file);
                }
            }
            [0, 5, high, low, ..] => return Answer::TftpError(u16::from_be_bytes([*high, *low])),
            _ => return Answer::Nothing,
        }
    }
}

/// One HTTP exchange on a connection of its own, headers in the spelling of the wire.
fn http(method: Method, url: &str, headers: &[(&str, String)]) -> Answer {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let verb = if method == Method::Head { "HEAD" } else { "GET" };
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream.write_all(format!("{verb} /{path} HTTP/1.1\r\n{fields}\r\n").as_bytes()).unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 65536]);
    let (head_end, mut wanted) = (|bytes: &[u8]| bytes.windows(4).position(|four| four == b"\r\n\r\n"), None);
    loop {
        if wanted.is_none()
            && let Some(end) = head_end(&bytes)
        {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .and_then(|length| length.parse::<usize>().ok());
            wanted = Some(end + 4 + if method == Method::Head { 0 } else { length.unwrap_or(0) });
        }
        if wanted.is_some_and(|wanted| bytes.len() >= wanted) {
            break;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    let Some(end) = head_end(&bytes) else { return Answer::Nothing };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let headers = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Answer::Http { status, headers, body: bytes[end + 4..].to_vec() }
}

fn answer(ask: &Ask) -> Answer {
    match ask {
        Ask::Http { method, url, headers } => http(*method, url, headers),
        Ask::TftpSize { name, blksize } => tftp(name, *blksize, true),
        Ask::TftpRead { name, blksize } => tftp(name, *blksize, false),
        Ask::Wait(time) => {
            std::thread::sleep(*time);
            Answer::Nothing
        }
    }
}

fn get(url: &str) -> String {
    let host = vec![("Host", SERVER.to_owned())];
    match http(Method::Get, url, &host) {
        Answer::Http { status: 200, body, .. } => String::from_utf8(body).unwrap(),
        other => panic!("{url}: {other:?}"),
    }
}

/// What iPXE would run as `kernel`, by the script that it gets.
fn by_ipxe(image: &str) -> Start {
    let base = format!("http://{SERVER}:8080/boot.ipxe");
    let script = get(&format!("{base}?mac={MAC}&platform=efi&arch=x86_64"));
    let line =
        script.lines().find_map(|line| line.strip_prefix("kernel ")).unwrap_or_else(|| panic!("{script}"));
    let line = line.replace("${netX/mac:hexhyp}", &MAC.replace(':', "-"));
    let (program, words) = line.strip_suffix(" || goto failed").unwrap().split_once(' ').unwrap();
    assert_eq!(program, format!("http://{SERVER}:8080/{image}/mboot.efi"));
    Start::Ipxe { base, words: words.to_owned() }
}

/// What pxelinux would run, by the configuration that it gets.
fn by_pxelinux() -> Start {
    let Answer::File(config) = tftp(&format!("pxelinux.cfg/01-{}", MAC.replace(':', "-")), 1408, false)
    else {
        panic!("no configuration")
    };
    let config = String::from_utf8(config).unwrap();
    let value = |key: &str| {
        config
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(key))
            .unwrap_or_else(|| panic!("no {key} in {config}"))
            .trim()
            .to_owned()
    };
    let mut append = value("APPEND ");
    if config.contains("IPAPPEND 2") {
        append = format!("{append} BOOTIF=01-{}", MAC.replace(':', "-"));
    }
    Start::Pxelinux { mboot: value("KERNEL ").trim_start_matches("::").to_owned(), append }
}

fn boots(station: &Namespace, release: Release, start: impl FnOnce() -> Start + Send + 'static) -> Booted {
    let outcome = station.run(move || {
        let machine = Machine { release, start: start(), mac: MAC.parse().unwrap(), secure_boot: false };
        Mboot::new(machine).run(answer)
    });
    match outcome.unwrap() {
        (Outcome::Booted(booted), _) => booted,
        (failed, asked) => panic!("{failed:?} after {asked:#?}"),
    }
}

/// Everything arrived, in order and unchanged, and the installer got the host's script.
fn check(booted: &Booted, modules: &[&str], content: impl Fn(&str) -> Vec<u8>, prefix: &str) {
    assert_eq!(booted.kernel, format!("{prefix}/b.b00"));
    let names: Vec<String> = booted.modules.iter().map(|module| module.name.clone()).collect();
    let expected: Vec<String> = std::iter::once("b.b00")
        .chain(modules.iter().copied())
        .map(|name| format!("{prefix}/{name}"))
        .collect();
    assert_eq!(names, expected);
    for module in &booted.modules {
        let name = module.name.rsplit('/').next().unwrap();
        assert!(module.bytes == content(name), "{name} has other bytes than on the medium");
    }
    let words: Vec<&str> = booted.cmdline.split(' ').collect();
    assert!(words.contains(&"runweasel") && !words.contains(&"cdromBoot"), "{words:?}");
    assert!(words.contains(&"logPort=com1"), "{words:?}");
    let bootif = format!("BOOTIF=01-{}", MAC.replace(':', "-"));
    assert_eq!(words.iter().filter(|word| **word == bootif).count(), 1, "{words:?}");
    let script = String::from_utf8(booted.kickstart.clone().expect("a kickstart")).unwrap();
    assert!(script.contains(ROOTPW) && script.contains(&format!("--device={MAC}")), "{script}");
}

/// An appliance with the template, and the machine with its address.
fn scene() -> (Scene, Namespace) {
    let mut config = Config::server(NETWORK, POOL);
    config.set(
        &["resources", "templates"],
        json!([{ "name": "esxi-std", "kind": "esxi-kickstart", "text": KICKSTART }]),
    );
    let scene = Scene::new(config).unwrap();
    let station = scene.lab.station(&scene.segment, "machine", None).unwrap();
    station.ip(&["link", "set", "eth0", "address", MAC]).unwrap();
    clients::udhcpc(&scene.lab, &station, &[]).unwrap();
    (scene, station)
}

#[test]
fn every_release_boots_by_every_way_from_its_iso_image() {
    harness::enter!();
    if !(packages::here(BOOT) && packages::here(CLIENTS) && packages::here(MEDIA)) {
        return;
    }
    let (scene, station) = scene();
    // The loader of a release boots that release and older ones; each medium here comes with its own.
    let loaders = [Release::V7_0_3, Release::V7_0_3, Release::V8_0_2, Release::V9_0];
    for (at, (release, loader)) in RELEASES.into_iter().zip(loaders).enumerate() {
        let medium = Medium::build(&scene.lab.path("media"), release, MODULE_BYTES).unwrap();
        let (iso, image) = (medium.iso().unwrap(), format!("esxi-{at}"));
        scene
            .daemon
            .command(&["image", "import", &iso.to_string_lossy(), "--name", &image, "--template", "esxi-std"])
            .unwrap();
        let (name, param) = (format!("esx{at}"), format!("rootpw={ROOTPW}"));
        let args = ["host", "add", &name, "--mac", MAC, "--image", &image, "--param", &param];
        scene.daemon.command(&[&args[..], &["--kernel-arg", "logPort=com1"]].concat()).unwrap();
        let url = format!("http://{SERVER}:8080/{image}");
        let (modules, content) = (medium.release.modules, |name: &str| medium.module(name).unwrap());
        let (by_tftp, by_http, own) =
            (format!("{image}/mboot.efi"), format!("{url}/mboot.efi"), image.clone());
        check(
            &boots(&station, loader, || Start::UefiTftp { boot_file: by_tftp }),
            modules,
            content,
            &format!("/{image}"),
        );
        // HTTP boot is from 7.0 Update 2.
        if at > 0 {
            check(&boots(&station, loader, || Start::UefiHttp { url: by_http }), modules, content, &url);
        }
        check(&boots(&station, loader, move || by_ipxe(&own)), modules, content, &url);
        check(&boots(&station, loader, by_pxelinux), modules, content, &format!("/{image}"));
        scene
            .daemon
            .wait_order(MAC, &["tftp.done:config", "tftp.done:module", "http.file:answer"], EVENT_DEADLINE)
            .unwrap();
        scene.daemon.command(&["host", "rm", &name]).unwrap();
    }
}

/// ESXi that runs from memory: the module with its scripts is fetched as the last of all, has one size however it is asked for,
/// and is a tar that unpacks to scripts which run and are told of.
#[test]
fn esxi_from_memory_fetches_the_module_that_carries_its_scripts() {
    harness::enter!();
    if !(packages::here(BOOT) && packages::here(CLIENTS) && packages::here(MEDIA)) {
        return;
    }
    let mut config = Config::server(NETWORK, POOL);
    config.set(
        &["resources", "bundles"],
        json!([{ "name": "memory", "deliver": "module", "scripts": [
            { "name": "ntp", "text": "echo time from {{ params.ntp }}\n" },
            { "name": "vmk", "text": "echo no such interface\nexit 4\n" },
        ]}]),
    );
    let host = json!({ "name": "esx01", "match": { "mac": MAC }, "image": "esxi", "bundles": ["memory"], "params": { "ntp": "10.77.0.1" } });
    let scene = Scene::new(config.host(host)).unwrap();
    let station = scene.lab.station(&scene.segment, "machine", None).unwrap();
    station.ip(&["link", "set", "eth0", "address", MAC]).unwrap();
    clients::udhcpc(&scene.lab, &station, &[]).unwrap();
    let medium = Medium::build(&scene.lab.path("media"), RELEASES[2], MODULE_BYTES).unwrap();
    let iso = medium.iso().unwrap();
    scene
        .daemon
        .command(&["image", "import", &iso.to_string_lossy(), "--name", "esxi", "--stateless"])
        .unwrap();
    let url = format!("http://{SERVER}:8080/esxi/mboot.efi");
    let starts = [Start::UefiTftp { boot_file: "esxi/mboot.efi".to_owned() }, Start::UefiHttp { url }];
    for (start, prefix) in starts.into_iter().zip(["/esxi".to_owned(), format!("http://{SERVER}:8080/esxi")])
    {
        let booted = boots(&station, Release::V8_0_2, move || start);
        assert_eq!(
            booted.modules.len(),
            medium.release.modules.len() + 2,
            "the kernel, those of the medium, and ours"
        );
        assert!(!booted.cmdline.contains("runweasel"), "{}", booted.cmdline);
        let ours = booted.modules.last().unwrap();
        let token =
            ours.name.strip_prefix(&format!("{prefix}/reveille/")).unwrap().strip_suffix("/bundles.tgz");
        assert_eq!(token.map(str::len), Some(32), "{}", ours.name);
        let (file, folder) = (scene.lab.path("bundles.tgz"), scene.lab.path("root"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, &ours.bytes).unwrap();
        let status = std::process::Command::new("tar")
            .arg("-xzpf")
            .arg(&file)
            .arg("-C")
            .arg(&folder)
            .status()
            .unwrap();
        assert!(status.success());
        let hook = std::fs::read_to_string(folder.join("etc/rc.local.d/reveille-bundles.sh")).unwrap();
        let script = std::fs::read_to_string(folder.join("etc/reveille/bundles/001-ntp")).unwrap();
        assert_eq!(script, "echo time from 10.77.0.1\n");
        // Its root is a folder here.
        let own = format!("'{}/etc/reveille/", folder.display());
        let here = scene.lab.path("hook.sh");
        std::fs::write(&here, hook.replace("'/etc/reveille/", &own)).unwrap();
        let mut command = std::process::Command::new("/bin/sh");
        command.arg("-c").arg(format!("sh {}; echo STATUS $?", here.display()));
        let said = station.output(&scene.lab, "hook", command, PATIENCE).unwrap();
        assert!(said.contains("time from 10.77.0.1") && said.ends_with("STATUS 4\n"), "{said}");
    }
    let host = scene.daemon.command(&["host", "get", "esx01"]).unwrap();
    assert!(
        host.contains("memory/ntp done at") && host.contains("memory/vmk failed with status 4"),
        "{host}"
    );
    let order = [
        "tftp.done:config",
        "tftp.done:module",
        "bundle.script_started",
        "bundle.failed",
        "http.file:module",
        "bundle.failed",
    ];
    scene.daemon.wait_order(MAC, &order, EVENT_DEADLINE).unwrap();
}

/// An offline bundle has no loader: it boots with that of the newest image of its line, and the events and `explain` say so.
#[test]
fn an_offline_bundle_boots_with_the_loader_of_a_newer_image() {
    harness::enter!();
    if !(packages::here(BOOT) && packages::here(CLIENTS) && packages::here(MEDIA)) {
        return;
    }
    let (scene, station) = scene();
    let media = scene.lab.path("media");
    std::fs::create_dir_all(&media).unwrap();
    let kernel = std::fs::read(harness::esxi::kernel(&media).unwrap()).unwrap();
    let bundle = depot::build(&media, &kernel, MODULE_BYTES).unwrap();
    let bundle = bundle.to_string_lossy();
    let refused = scene.daemon.command(&["image", "import", &bundle, "--profile", "none", "--name", "x"]);
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(refused.contains(depot::STANDARD) && refused.contains(depot::WITH_TOOL), "{refused}");
    let import = ["image", "import", &bundle, "--name", "esxi-depot", "--template", "esxi-std"];
    println!("{}", scene.daemon.command(&import).unwrap());
    let tool = ["image", "import", &bundle, "--name", "esxi-tool", "--profile", depot::WITH_TOOL];
    println!("{}", scene.daemon.command(&tool).unwrap());
    let param = format!("rootpw={ROOTPW}");
    let host = ["host", "add", "esx01", "--mac", MAC, "--image", "esxi-depot", "--param", &param];
    scene.daemon.command(&[&host[..], &["--kernel-arg", "logPort=com1"]].concat()).unwrap();
    let loader = |station: &Namespace| station.run(|| tftp("esxi-depot/mboot.efi", 1468, false)).unwrap();
    assert!(matches!(loader(&station), Answer::TftpError(1)), "there is none yet");

    // 7.0.3 is of another line; 8.0.3 is newer than the bundle.
    for (release, name) in [(RELEASES[1], "esxi-7"), (RELEASES[2], "esxi-8")] {
        let iso = Medium::build(&media, release, MODULE_BYTES).unwrap().iso().unwrap();
        scene.daemon.command(&["image", "import", &iso.to_string_lossy(), "--name", name]).unwrap();
    }
    assert!(matches!(loader(&station), Answer::File(bytes) if bytes.starts_with(b"MZ")));
    let explained = scene.daemon.command(&["explain", "--mac", MAC]).unwrap();
    assert!(explained.contains("with the UEFI loader of esxi-8 (8.0.3 build 24022510)"), "{explained}");
    assert!(explained.contains("UEFI machines are given that of image `esxi-8`"), "{explained}");
    let content =
        |name: &str| if name == depot::KERNEL { kernel.clone() } else { depot::module(name, MODULE_BYTES) };
    let (boot_file, url) =
        ("esxi-depot/mboot.efi".to_owned(), format!("http://{SERVER}:8080/esxi-depot/mboot.efi"));
    check(
        &boots(&station, Release::V8_0_2, || Start::UefiTftp { boot_file }),
        &depot::MODULES,
        content,
        "/esxi-depot",
    );
    let prefix = format!("http://{SERVER}:8080/esxi-depot");
    check(&boots(&station, Release::V8_0_2, || Start::UefiHttp { url }), &depot::MODULES, content, &prefix);
    check(&boots(&station, Release::V8_0_2, || by_ipxe("esxi-depot")), &depot::MODULES, content, &prefix);
    let events = scene.daemon.events();
    let lent = events.iter().find(|event| event.text("file") == Some("esxi-8/EFI/BOOT/BOOTX64.EFI"));
    assert_eq!(lent.and_then(|event| event.text("image")), Some("esxi-depot"), "{events:?}");
}
