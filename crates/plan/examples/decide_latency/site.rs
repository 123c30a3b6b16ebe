//! A site as large as they get: hosts, groups four deep, rules as operators write them, and machines with and without a
//! record. Shared by the bench and the example that measures.

use reveille_plan::{Catalog, CatalogParts};
use std::collections::BTreeMap;
use types::resource::{Group, Host, HostMatch, Image, ImageKind, Name, OneOrMany, Rule};
use types::subnet::LoaderChoice;
use types::{Facts, Firmware, MacAddr, MachineGuid, Stage};

/// How large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) hosts: u32,
    pub(crate) rules: u32,
    pub(crate) groups: u32,
}

const VENDORS: [(&str, &str); 5] = [
    ("Dell Inc.", "Dell"),
    ("HPE", "HPE"),
    ("Lenovo", "Lenovo"),
    ("Supermicro", "Supermicro"),
    ("Cisco Systems, Inc.", "Cisco"),
];
const SERIES: [&str; 8] = [
    "PowerEdge R7",
    "PowerEdge XE9",
    "ProLiant DL3",
    "ThinkSystem SR6",
    "SYS-2",
    "UCSC-C2",
    "PowerEdge R6",
    "Apollo ",
];
const IMAGES: [&str; 6] = ["esxi-8", "debian-12", "rocky-9", "rescue", "burn-in", "wipe"];

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn pairs<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn mac(at: u32) -> MacAddr {
    let [_, a, b, c] = at.to_be_bytes();
    MacAddr([0x24, 0x6e, 0x96, a, b, c])
}

fn guid(at: u32) -> MachineGuid {
    let mut bytes = [0x5a; 16];
    // Behind what the two byte orders have different.
    bytes[12..].copy_from_slice(&at.to_be_bytes());
    MachineGuid(bytes)
}

/// Data centers, clusters, racks: each has what its hosts have in common.
fn group(at: u32) -> Group {
    let mut group = Group::new(name(&format!("group-{at}")));
    group.parent = (at > 0).then(|| name(&format!("group-{}", at / 6)));
    group.location = Some(format!("dc1/{at}"));
    group.params = pairs([
        ("vlan", at.to_string()),
        (["ntp", "syslog", "proxy"][at as usize % 3], format!("10.0.0.{}", at % 250)),
    ]);
    group.labels =
        pairs([("tier", ["gold", "silver", "lead"][at as usize % 3].to_owned()), ("rack", at.to_string())]);
    group.kernel_args_append = if at < 6 { vec!["console=ttyS1".to_owned()] } else { Vec::new() };
    group
}

fn rule(at: u32, groups: u32) -> Rule {
    let (_, vendor) = VENDORS[at as usize % 5];
    let series = SERIES[at as usize % 8];
    let when = match at % 8 {
        0 => format!("vendor={vendor},model~{}{}", series, at % 100),
        1 => format!("relay=10.{}.0.0/16,vendor={vendor}", at % 250),
        2 => format!("label.tier=gold,label.rack={}", at % groups.max(1)),
        3 => format!("model~^{series}{}.*$,firmware=uefi-x64", at % 100),
        4 => format!("mac=24:6e:{:02x}", at % 256),
        5 => format!("group=group-{}", at % groups.max(1)),
        6 => format!("vendor={vendor}|HP,subnet=rack{},model!~Gen{}", at, at % 20),
        _ => format!("model~{series}.*{},oemstring~{vendor}", at % 100),
    };
    let mut rule = Rule::new(name(&format!("rule-{at}")));
    rule.order = at / 2;
    rule.when = when.parse().unwrap();
    rule.image = Some(name(IMAGES[at as usize % 6]));
    if at.is_multiple_of(3) {
        rule.params = pairs([("ntp", "10.0.0.1".to_owned()), ("burn-in", at.to_string())]);
    }
    rule
}

fn host(at: u32, groups: u32) -> Host {
    let identity =
        HostMatch { mac: OneOrMany(vec![mac(at)]), uuid: Some(guid(at)), serial: Some(format!("SN{at}")) };
    let mut host = Host::new(name(&format!("host-{at}")), identity);
    host.group = (groups > 0).then(|| name(&format!("group-{}", at % groups)));
    host.image = at.is_multiple_of(4).then(|| name("debian-12"));
    host.params = pairs([
        ("ip", format!("10.{}.{}.{}", at >> 16, (at >> 8) % 256, at % 256)),
        ("disk", "sda".to_owned()),
    ]);
    host.labels = pairs([("role", "compute".to_owned())]);
    host
}

/// What a catalog of that size is built from.
pub(crate) fn parts(size: Size) -> CatalogParts {
    let image = |text: &&str| Image {
        kernel: Some("linux".into()),
        destructive: *text == "wipe",
        ..Image::new(name(text), ImageKind::Linux)
    };
    CatalogParts {
        hosts: (0..size.hosts).map(|at| host(at, size.groups)).collect(),
        groups: (0..size.groups).map(group).collect(),
        rules: (0..size.rules).map(|at| rule(at, size.groups)).collect(),
        images: IMAGES.iter().map(image).collect(),
        loaders: vec![LoaderChoice { firmware: Firmware::UefiX64, file: "snponly.efi".into() }],
        ..CatalogParts::default()
    }
}

/// The catalog; and the machines ask it.
pub(crate) fn catalog(size: Size) -> Catalog {
    Catalog::build(parts(size)).unwrap()
}

/// Machine number `at`: three of four have a record, half were asked for what their SMBIOS says.
pub(crate) fn facts(size: Size, at: u32) -> Facts {
    let number = at.wrapping_mul(7_919) % size.hosts.max(1);
    let unknown = at.is_multiple_of(4);
    let told = at.is_multiple_of(2);
    let mut facts = Facts {
        mac: Some(mac(if unknown { number + 0x80_0000 } else { number })),
        guid: Some(guid(if unknown { number + 0x8000_0000 } else { number })),
        stage: if told { Stage::Ipxe } else { Stage::Rom },
        firmware: Some(Firmware::UefiX64),
        http: told,
        relay: Some([10, u8::try_from(number % 250).unwrap(), 0, 1].into()),
        subnet: Some(format!("rack{}", number % 400).into()),
        interface: Some("eth1".into()),
        ..Facts::default()
    };
    if told {
        let (vendor, short) = VENDORS[number as usize % 5];
        facts.smbios = true;
        facts.vendor = Some(vendor.into());
        facts.model = Some(format!("{}{}0", SERIES[number as usize % 8], number % 100).into());
        facts.serial = Some(format!("SN{}", if unknown { number + 1_000_000 } else { number }).into());
        facts.oemstring = Some(format!("{short} System").into());
    }
    facts
}
