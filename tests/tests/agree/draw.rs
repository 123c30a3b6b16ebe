//! Worlds and machines from a seed. Selectors stay data; reveille is given their text.

use crate::oracle::{Key, Like, Term, Test};
use std::collections::{BTreeMap, BTreeSet};
use types::resource::{
    Group, Host, HostMatch, Image, ImageKind, LoaderKind, Name, OneOrMany, Rule, Template, TemplateKind,
};
use types::{Firmware, MacAddr, MachineGuid};

/// Raw manufacturer and what people say.
const VENDORS: [(&str, &str); 5] = [
    ("Dell Inc.", "Dell"),
    ("HPE", "HPE"),
    ("VMware, Inc.", "VMware"),
    ("LENOVO", "Lenovo"),
    ("Super Micro Computer, Inc.", "Supermicro"),
];
const MODELS: [&str; 6] = [
    "PowerEdge R750",
    "PowerEdge R650",
    "ProLiant DL380 Gen10",
    "ProLiant DL360 Gen11",
    "VMware7,1",
    "SR650 V2",
];
const LIKE: [Like; 7] = [
    Like::Starts("poweredge"),
    Like::Has("gen1"),
    Like::Then("proliant", "gen10"),
    Like::Has("R7"),
    Like::Then("R", "50"),
    Like::Starts("VM"),
    Like::Has("inc"),
];
const OUIS: [[u8; 3]; 3] = [[0x24, 0x6e, 0x96], [0x52, 0x54, 0x00], [0x24, 0x6e, 0x10]];
const PARAMS: [&str; 4] = ["ntp", "syslog", "vlan", "disk"];
const LABELS: [&str; 3] = ["tier", "role", "rack"];
const LABEL_VALUES: [&str; 3] = ["gold", "silver", "Lead"];
/// Images there are; the last is not there and may be named all the same.
const IMAGES: [&str; 7] = ["debian", "rescue", "rocky", "bios-only", "wipe", "wipe-uefi", "gone"];

/// A number that says where it comes from (Vigna's splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0..count
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap()
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn one<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn sometimes<T>(&mut self, percent: usize, make: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        self.percent(percent).then(|| make(self))
    }
}

/// A rule, and its selector as data.
#[derive(Clone, Debug)]
pub(crate) struct RuleData {
    pub(crate) rule: Rule,
    pub(crate) terms: Vec<Term>,
}

/// A machine as it is, whatever it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) mac: [u8; 6],
    /// In the order of the wire.
    pub(crate) guid: [u8; 16],
    pub(crate) serial: String,
    pub(crate) vendor: (&'static str, &'static str),
    pub(crate) model: &'static str,
    pub(crate) firmware: Firmware,
    pub(crate) relay: Option<[u8; 4]>,
    pub(crate) subnet: &'static str,
    /// Its iPXE has HTTP.
    pub(crate) http: bool,
}

/// Everything an operator decided, and the machines of the place.
pub(crate) struct World {
    pub(crate) hosts: Vec<Host>,
    pub(crate) groups: Vec<Group>,
    pub(crate) rules: Vec<RuleData>,
    pub(crate) images: Vec<Image>,
    pub(crate) templates: Vec<Template>,
    pub(crate) default_image: Option<Name>,
    /// `menu`, `local-disk` or `ignore`.
    pub(crate) unknown: String,
    /// Hosts that may be given images that erase disks.
    pub(crate) armed: BTreeSet<String>,
    /// Firmware there is a loader for.
    pub(crate) loaders: BTreeMap<Firmware, &'static str>,
    pub(crate) machines: Vec<Machine>,
}

impl World {
    /// A group and those above it, nearest first; nothing when it is not there.
    pub(crate) fn chain(&self, name: &str) -> Vec<&Group> {
        let (mut chain, mut next) = (Vec::new(), Some(name.to_owned()));
        while let Some(name) = next {
            let Some(group) = self.groups.iter().find(|group| group.name.as_str() == name) else { break };
            next = group.parent.as_ref().map(ToString::to_string);
            chain.push(group);
        }
        chain
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Images every world has.
pub(crate) fn images() -> Vec<Image> {
    let names = IMAGES.iter().filter(|name| **name != "gone");
    let image = |text: &&str| Image {
        kernel: Some("linux".to_owned()),
        initrd: vec!["initrd".to_owned()],
        destructive: text.starts_with("wipe"),
        firmware: match *text {
            "bios-only" => vec![Firmware::Bios],
            "wipe-uefi" => vec![Firmware::UefiX64, Firmware::UefiArm64],
            _ => Vec::new(),
        },
        ..Image::new(name(text), ImageKind::Linux)
    };
    names.map(image).collect()
}

/// A world of that seed with so many machines.
pub(crate) fn world(seed: u64, machines: usize) -> World {
    let dice = &mut Dice::new(seed);
    let groups = groups(dice);
    let group_names: Vec<Name> = groups.iter().map(|group| group.name.clone()).collect();
    let machines: Vec<Machine> = (0..machines).map(|at| machine(dice, at)).collect();
    let share = dice.one(&[0, 30, 60, 90]);
    let mut hosts = Vec::new();
    for (at, machine) in machines.iter().enumerate() {
        if dice.percent(share) {
            hosts.push(host(dice, at, machine, &group_names));
        }
    }
    let armed = hosts.iter().filter(|_| dice.percent(50)).map(|host| host.name.to_string()).collect();
    let rules = (0..dice.below(40)).map(|at| rule(dice, at, &group_names)).collect();
    let loaders = [(Firmware::Bios, "undionly.kpxe"), (Firmware::UefiX64, "snponly.efi")];
    let template =
        |text| Template { name: name(text), kind: TemplateKind::Text, text: "{{ host.name }}".into() };
    let mut world = World {
        hosts,
        groups,
        rules,
        images: images(),
        templates: vec![template("short"), template("long")],
        default_image: dice.sometimes(20, image_name),
        unknown: dice.one(&["menu", "local-disk", "ignore"]).to_owned(),
        armed,
        loaders: loaders.into_iter().collect(),
        machines,
    };
    if dice.percent(60) {
        world.loaders.insert(Firmware::UefiArm64, "snponly-arm64.efi");
    }
    // Boards that were swapped: one says what belongs to two records.
    for at in 1..world.machines.len() {
        if dice.percent(2) {
            world.machines[at].guid = world.machines[at - 1].guid;
        }
    }
    world
}

fn image_name(dice: &mut Dice) -> Name {
    // What is not there is named seldom.
    let count = if dice.percent(10) { IMAGES.len() } else { IMAGES.len() - 1 };
    name(IMAGES[dice.below(count)])
}

fn loader(dice: &mut Dice) -> LoaderKind {
    dice.one(&[LoaderKind::Pxelinux, LoaderKind::Pxelinux, LoaderKind::Ipxe])
}

fn template(dice: &mut Dice) -> Name {
    name(dice.one(&["short", "long"]))
}

fn pairs(dice: &mut Dice, keys: &[&str], values: &[String], percent: usize) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    for key in keys {
        if dice.percent(percent) {
            pairs.insert((*key).to_owned(), dice.one(values));
        }
    }
    pairs
}

fn labels(dice: &mut Dice) -> BTreeMap<String, String> {
    pairs(dice, &LABELS, &LABEL_VALUES.map(str::to_owned), 30)
}

fn groups(dice: &mut Dice) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut depths: Vec<usize> = Vec::new();
    for at in 0..dice.below(12) {
        let own = format!("group{at}");
        let mut group = Group::new(name(&own));
        let above = dice
            .sometimes(70, |dice| dice.below(at.max(1)))
            .filter(|above| depths.get(*above).is_some_and(|depth| *depth < 4));
        depths.push(above.map_or(1, |above| depths[above] + 1));
        group.parent = above.map(|above| name(&format!("group{above}")));
        if above.is_none() && dice.percent(5) {
            group.parent = Some(name("nowhere"));
        }
        group.image = dice.sometimes(25, image_name);
        group.loader = dice.sometimes(15, loader);
        group.template = dice.sometimes(20, template);
        group.location = dice.sometimes(20, |_| own.clone());
        group.params = pairs(dice, &PARAMS, &[format!("of-{own}")], 40);
        group.labels = labels(dice);
        group.kernel_args_append =
            dice.sometimes(30, |_| vec![format!("w.{own}"), "w.group".to_owned()]).unwrap_or_default();
        groups.push(group);
    }
    groups
}

fn machine(dice: &mut Dice, at: usize) -> Machine {
    let [high, low] = u16::try_from(at).unwrap().to_be_bytes();
    let [a, b, c] = dice.one(&OUIS);
    let mut guid = [0x5a; 16];
    guid[..8].copy_from_slice(&dice.next().to_be_bytes());
    guid[8..10].copy_from_slice(&[high, low]);
    let (relay, subnet) = match dice.below(4) {
        0 => (Some([10, 4, 0, 1]), "rack4"),
        1 => (Some([10, 4, 128, 1]), "rack4"),
        2 => (Some([10, 5, 0, 1]), "rack5"),
        _ => (None, "lab"),
    };
    Machine {
        mac: [a, b, c, 0, high, low],
        guid,
        serial: format!("SN{at:05}"),
        vendor: dice.one(&VENDORS),
        model: dice.one(&MODELS),
        firmware: dice.one(&[
            Firmware::Bios,
            Firmware::Bios,
            Firmware::UefiX64,
            Firmware::UefiX64,
            Firmware::UefiArm64,
        ]),
        relay,
        subnet,
        http: dice.percent(90),
    }
}

fn host(dice: &mut Dice, at: usize, machine: &Machine, groups: &[Name]) -> Host {
    let guid = MachineGuid(machine.guid);
    let [a, b, c, d, e, f, g, h, rest @ ..] = machine.guid;
    let mut swapped = [0; 16];
    swapped[..8].copy_from_slice(&[d, c, b, a, f, e, h, g]);
    swapped[8..].copy_from_slice(&rest);
    let mut identity = HostMatch {
        mac: OneOrMany(if dice.percent(70) { vec![MacAddr(machine.mac)] } else { Vec::new() }),
        uuid: dice.sometimes(50, |dice| if dice.percent(50) { guid } else { MachineGuid(swapped) }),
        serial: dice.sometimes(30, |_| machine.serial.to_lowercase()),
    };
    if identity.is_empty() {
        identity.serial = Some(machine.serial.clone());
    }
    let own = format!("host{at}");
    let group = match groups {
        [] => None,
        groups => dice.sometimes(50, |dice| dice.one(groups)),
    };
    Host {
        group: group.or_else(|| dice.sometimes(3, |_| name("nowhere"))),
        image: dice.sometimes(25, image_name),
        loader: dice.sometimes(15, loader),
        template: dice.sometimes(15, template),
        location: dice.sometimes(15, |_| own.clone()),
        labels: labels(dice),
        params: pairs(dice, &PARAMS, &[format!("of-{own}")], 25),
        kernel_args_append: dice.sometimes(25, |_| vec![format!("w.{own}")]).unwrap_or_default(),
        ..Host::new(name(&own), identity)
    }
}

fn rule(dice: &mut Dice, at: usize, groups: &[Name]) -> RuleData {
    let terms: Vec<Term> = match dice.below(10) {
        0 => Vec::new(),
        many => (0..many.div_ceil(3)).map(|_| term(dice, groups)).collect(),
    };
    let own = format!("rule{at}");
    let mut rule = Rule::new(name(&own));
    let text: Vec<String> = terms.iter().map(Term::text).collect();
    rule.when = text.join(",").parse().unwrap_or_else(|fault| panic!("{text:?}: {fault}"));
    rule.order = u32::try_from(dice.below(20)).unwrap();
    rule.image = dice.sometimes(40, image_name);
    rule.loader = dice.sometimes(15, loader);
    rule.template = dice.sometimes(20, template);
    rule.location = dice.sometimes(15, |_| own.clone());
    rule.kernel_args_append = dice.sometimes(25, |_| vec![format!("w.{own}")]).unwrap_or_default();
    rule.params = pairs(dice, &PARAMS, &[format!("of-{own}")], 25);
    if dice.percent(25) && !groups.is_empty() {
        rule.group = Some(if dice.percent(4) { name("nowhere") } else { dice.one(groups) });
    }
    RuleData { rule, terms }
}

fn term(dice: &mut Dice, groups: &[Name]) -> Term {
    let negated = dice.percent(20);
    let any_of = |values: &[&str]| Test::AnyOf(values.iter().map(|value| (*value).to_owned()).collect());
    let (key, test) = match dice.below(11) {
        0 | 1 => {
            let (raw, short) = dice.one(&VENDORS);
            let lower = short.to_lowercase();
            let value = dice.one(&[raw, short, &lower]);
            let other = dice.one(&VENDORS).1;
            (Key::Vendor, if dice.percent(30) { any_of(&[value, other]) } else { any_of(&[value]) })
        }
        2 => (Key::Vendor, Test::Like(dice.one(&LIKE))),
        3 => (Key::Model, Test::Like(dice.one(&LIKE))),
        4 => (Key::Model, any_of(&[dice.one(&MODELS)])),
        5 => (Key::Mac, any_of(&[dice.one(&["24:6e:96", "52:54:00", "24:6e"])])),
        6 => {
            let place = ["10.4.0.0/16", "10.4.0.0/17", "10.5.0.1", "10.4.100.0-10.5.0.0", "10.5.0.0/30"];
            (Key::Relay, any_of(&[dice.one(&place)]))
        }
        7 => (Key::Firmware, any_of(&[dice.one(&["bios", "uefi-x64", "uefi-arm64"])])),
        8 if !groups.is_empty() => (Key::Group, Test::AnyOf(vec![dice.one(groups).to_string()])),
        9 => (Key::Label(dice.one(&LABELS)), any_of(&[dice.one(&["gold", "silver", "lead"])])),
        10 if dice.percent(20) => {
            (Key::Serial, Test::AnyOf((0..20).map(|_| format!("sn{:05}", dice.below(50))).collect()))
        }
        _ => (Key::Subnet, any_of(&[dice.one(&["lab", "rack4", "rack5"])])),
    };
    Term { key, negated, test }
}
