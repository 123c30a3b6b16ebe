//! `simulate` of a running appliance, and the explanation it comes with, against the oracle: the whole way of a machine from its
//! power to where its boot ends.

use crate::draw::{Machine, World, world};
use crate::number;
use crate::oracle::{End, Expected, Heard, expect, fits};
use harness::daemon::{Config, Daemon, ask};
use harness::packages::{self, BOOT};
use harness::{Lab, Namespace};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::resource::LoaderKind;
use types::{Firmware, MacAddr, MachineGuid};

/// Machines in all, when nobody says otherwise.
const HOSTS: usize = 5_000;
/// Machines of one appliance: it is started for each world.
const WORLD_HOSTS: usize = 250;
const APART: u64 = 10_007;
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn the_simulator_says_what_the_order_of_decision_says() {
    harness::enter!();
    if !packages::here(BOOT) {
        return;
    }
    let lab = Lab::new().unwrap();
    let segment = lab.segment().unwrap();
    let server = lab.station(&segment, "server", Some("10.77.0.1/16")).unwrap();
    let media = crate::media(&lab.path("media"));
    let mut tally = BTreeMap::<&str, usize>::new();
    if let Some(seed) = number("REVEILLE_AGREE_SEED") {
        one_world(seed, &lab, &server, &media, &mut tally);
        return;
    }
    let hosts = number("REVEILLE_AGREE_HOSTS").map_or(HOSTS, |hosts| usize::try_from(hosts).unwrap());
    let worlds = u64::try_from(hosts.div_ceil(WORLD_HOSTS)).unwrap();
    // Neighbouring seeds draw much the same.
    for seed in (0..worlds).map(|at| at * APART) {
        one_world(seed, &lab, &server, &media, &mut tally);
    }
    // What never happened was not tried.
    if worlds >= 20 {
        for end in ["nothing", "local-disk", "menu", "image", "pxelinux"] {
            assert!(tally.get(end).is_some_and(|times| *times >= 20), "{end} is rare: {tally:?}");
        }
    }
}

fn one_world(
    seed: u64,
    lab: &Lab,
    server: &Namespace,
    (loaders, files): &(PathBuf, PathBuf),
    tally: &mut BTreeMap<&'static str, usize>,
) {
    let world = whole(world(seed, WORLD_HOSTS));
    // Each appliance has a store of its own.
    let mut config = config_of(&world, loaders, files);
    config.set(&["store", "path"], json!(lab.path(&format!("store-{seed}"))));
    let daemon = Daemon::start(lab, server, config).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    let ask = |path: &str, body: &Value| -> Value {
        let (status, answer) = ask(daemon.socket(), ("POST", path), "", Some(body), ANSWER_DEADLINE).unwrap();
        assert_eq!(status, 200, "seed {seed}, {path} {body}: {answer}");
        serde_json::from_str(&answer).unwrap()
    };
    for host in world.hosts.iter().map(|host| host.name.as_str()).filter(|host| world.armed.contains(*host)) {
        let order = json!({ "by": "somebody", "order": { "arm": {} } });
        ask(&format!("/hosts/{host}/orders"), &order);
    }
    for (at, machine) in world.machines.iter().enumerate() {
        let by_http = machine.firmware != Firmware::Bios && at % 3 == 0;
        let found = ask("/simulate", &json!({ "facts": facts(machine), "http_boot": by_http }));
        let told = expect(&world, Heard { machine, smbios: true, can_be_asked: false });
        let (boots, image) = way(&world, machine, &told, tally);
        *tally.entry(boots).or_default() += 1;
        let given: BTreeMap<String, String> =
            told.values.iter().map(|(key, value, _)| (key.clone(), value.clone())).collect();
        let shown: BTreeMap<String, String> = found["explanation"]["values"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|value| (text(&value["key"]).unwrap(), text(&value["value"]).unwrap()))
            .collect();
        let wanted = (boots.to_owned(), image, told.host.clone(), given);
        let seen = (text(&found["boots"]).unwrap(), text(&found["image"]), text(&found["host"]), shown);
        assert!(
            wanted == seen,
            "seed {seed}: the oracle says {wanted:?}, found is {seen:?}\n{machine:#?}\n{told:#?}\n{found:#}\nreplay with cargo \
             xtask agree --seed {seed}"
        );
    }
    daemon.stop().unwrap();
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Without what names nothing: an appliance refuses such a file. All iPXE has HTTP, as the simulator's has.
fn whole(mut world: World) -> World {
    let there = |image: &types::resource::Name| image.as_str() != "gone";
    let some = |group: &types::resource::Name| group.as_str() != "nowhere";
    for host in &mut world.hosts {
        host.image = host.image.take().filter(there);
        host.group = host.group.take().filter(some);
    }
    for group in &mut world.groups {
        group.image = group.image.take().filter(there);
        group.parent = group.parent.take().filter(some);
    }
    for data in &mut world.rules {
        data.rule.image = data.rule.image.take().filter(there);
        data.rule.group = data.rule.group.take().filter(some);
    }
    world.default_image = world.default_image.take().filter(there);
    world.machines.iter_mut().for_each(|machine| machine.http = true);
    world
}

fn config_of(world: &World, loaders: &Path, files: &Path) -> Config {
    let subnet = |name: &str, prefix: &str| json!({ "name": name, "network": format!("{prefix}.0.0/16"), "pools": [format!("{prefix}.200.0-{prefix}.209.255")] });
    let mut config = Config::server("10.77.0.0/16", "10.77.200.0-10.77.209.255")
        .subnet(subnet("rack4", "10.4"))
        .subnet(subnet("rack5", "10.5"))
        .unknown(&world.unknown);
    config.set(&["dhcp", "relay"], json!({ "accept_from": ["10.0.0.0/8"] }));
    config.set(&["dhcp", "probe_wait"], json!("0s"));
    config.set(&["dhcp", "stranger_rate"], json!(0));
    config.set(&["assets", "paths"], json!([loaders]));
    let named: serde_json::Map<String, Value> =
        world.loaders.iter().map(|(firmware, file)| (firmware.to_string(), json!(file))).collect();
    config.set(&["boot", "loaders"], Value::Object(named));
    if let Some(image) = &world.default_image {
        config = config.default_image(image.as_str());
    }
    let images: Vec<Value> = world
        .images
        .iter()
        .map(|image| {
            let mut image = serde_json::to_value(image).unwrap();
            image["source"] = json!(format!("dir:{}", files.display()));
            image
        })
        .collect();
    let rules: Vec<&types::resource::Rule> = world.rules.iter().map(|data| &data.rule).collect();
    config.set(&["resources"], json!({
        "hosts": world.hosts, "groups": world.groups, "rules": rules, "templates": world.templates, "images": images,
    }));
    config
}

/// Everything that it could say of itself; which of it is said when is for the simulator to know.
fn facts(machine: &Machine) -> Value {
    let mut facts = json!({
        "mac": MacAddr(machine.mac).to_string(),
        "uuid": MachineGuid(machine.guid).to_string(),
        "arch": machine.firmware.to_string(),
        "vendor": machine.vendor.0,
        "model": machine.model,
        "serial": machine.serial,
    });
    if let Some([a, b, c, d]) = machine.relay {
        facts["relay"] = json!(format!("{a}.{b}.{c}.{d}"));
    }
    facts
}

/// Where its boot ends: a word of `simulate`, and the image.
fn way(
    world: &World,
    machine: &Machine,
    told: &Expected,
    tally: &mut BTreeMap<&'static str, usize>,
) -> (&'static str, Option<String>) {
    let by_pxelinux = |expected: &Expected| {
        expected.loader == Some(LoaderKind::Pxelinux)
            && machine.firmware == Firmware::Bios
            && matches!(expected.end, End::Menu | End::Image(_))
    };
    let misfit = |expected: &Expected| matches!(&expected.end, End::Image(image) if !fits(world, image, machine.firmware));
    let end = |expected: &Expected| match &expected.end {
        End::Disk => ("local-disk", None),
        End::Menu => ("menu", None),
        End::Image(image) if !misfit(expected) && is_its_machine(world, machine, expected) => {
            ("image", Some(image.clone()))
        }
        // Whoever has a loader of ours is told why on its screen, and goes on to its disk.
        _ => ("local-disk", None),
    };
    let mut pxelinux = |expected: &Expected| {
        *tally.entry("pxelinux").or_default() += 1;
        // Without a record it finds its configuration as `default`, by its address.
        end(expected)
    };
    let untold = expect(world, Heard { machine, smbios: false, can_be_asked: true });
    match &untold.end {
        End::Disk => return ("local-disk", None),
        End::Left(_) => return ("nothing", None),
        _ if misfit(&untold) => return ("nothing", None),
        _ if by_pxelinux(&untold) => {
            return pxelinux(&expect(world, Heard { machine, smbios: false, can_be_asked: false }));
        }
        _ if !world.loaders.contains_key(&machine.firmware) => return ("nothing", None),
        _ => {}
    }
    if by_pxelinux(told) { pxelinux(told) } else { end(told) }
}

/// What a record holds is given to whoever has its card, or its GUID as DHCP saw it; a serial number anybody may say, and it
/// counts where the record has nothing else (`docs/images.md`).
fn is_its_machine(world: &World, machine: &Machine, expected: &Expected) -> bool {
    let Some(host) = world.hosts.iter().find(|host| Some(host.name.as_str()) == expected.host.as_deref())
    else {
        return true;
    };
    let [a, b, c, d, e, f, g, h, rest @ ..] = machine.guid;
    let other = [&[d, c, b, a, f, e, h, g], rest.as_slice()].concat();
    let by_mac = host.identity.mac.0.iter().any(|mac| mac.0 == machine.mac);
    let by_guid = host.identity.uuid.is_some_and(|own| own.0 == machine.guid || own.0[..] == other[..]);
    by_mac || by_guid || (host.identity.mac.is_empty() && host.identity.uuid.is_none())
}
