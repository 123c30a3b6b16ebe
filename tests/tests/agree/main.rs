//! Every door gives a machine the same: DHCP, TFTP, HTTP and what `explain` and `simulate` show, against an oracle that knows
//! nothing of the code that decides.
//!
//! Worlds (records, groups, rules, policy) and their machines come from seeds. What fails prints the seed of its world;
//! `REVEILLE_AGREE_SEED=<seed>` tries that world alone, `REVEILLE_AGREE_HOSTS=<number>` tries more machines or fewer. `cargo xtask agree` tries 100,000.
//!
//! Left out: orders for one boot and quarantine, versions of images, ESXi's own loader, the guard against loops.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says which seed did it"
)]

mod doors;
mod draw;
mod oracle;
mod simulator;

use doors::{Client, Doors, Offer};
use draw::{Machine, World, images, world};
use library::{ImportRequest, Library, LibraryOptions, MemoryRecords, Source, Unwatched};
use oracle::{End, Expected, Heard, expect, fits, offered};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use tree::{OpenError, Opened};
use types::resource::LoaderKind;
use types::{Firmware, UnixTime};

/// Machines in all, when nobody says otherwise.
const HOSTS: usize = 10_000;
/// Machines of one world.
const WORLD_HOSTS: usize = 50;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Folders with every loader, and with the files of an image.
fn media(root: &std::path::Path) -> (PathBuf, PathBuf) {
    let (loaders, files) = (root.join("loaders"), root.join("files"));
    for (folder, names) in [
        (&loaders, &["undionly.kpxe", "snponly.efi", "snponly-arm64.efi", "pxelinux.0"][..]),
        (&files, &["linux", "initrd"][..]),
    ] {
        std::fs::create_dir_all(folder).unwrap();
        names.iter().for_each(|name| std::fs::write(folder.join(name), name).unwrap());
    }
    (loaders, files)
}

/// Every image imported, every loader there.
fn library(root: &std::path::Path) -> Library {
    let (loaders, files) = media(root);
    let options = LibraryOptions {
        loader_sources: vec![loaders.display().to_string()],
        ..LibraryOptions::at(root.join("library"))
    };
    let library = Library::open(options, MemoryRecords::default()).unwrap();
    for image in images() {
        let source = Source::Dir(files.clone());
        let request = ImportRequest {
            image,
            source,
            profile: None,
            kind_given: true,
            replace: false,
            record_image: false,
            now: UnixTime(1),
        };
        library.import(&request, &mut Unwatched).unwrap();
    }
    library
}

#[test]
fn every_door_gives_a_machine_what_the_order_of_decision_says() {
    let root = tempfile::tempdir().unwrap();
    let library = library(root.path());
    let mut tally = Tally::default();
    if let Some(seed) = number("REVEILLE_AGREE_SEED") {
        one_world(seed, &library, &mut tally);
        return;
    }
    let hosts = number("REVEILLE_AGREE_HOSTS").map_or(HOSTS, |hosts| usize::try_from(hosts).unwrap());
    let worlds = u64::try_from(hosts.div_ceil(WORLD_HOSTS)).unwrap();
    for seed in 0..worlds {
        let tried = catch_unwind(AssertUnwindSafe(|| one_world(seed, &library, &mut tally)));
        assert!(tried.is_ok(), "seed {seed}: replay with cargo xtask agree --seed {seed}");
    }
    // What never happened was not tried.
    if worlds >= 40 {
        for door in ["rom", "http rom", "ipxe", "query", "pxelinux"] {
            for end in ["left", "disk", "menu", "image"] {
                assert!(tally.count(door, end) >= 10, "{door} {end} is rare: {tally:#?}");
            }
        }
        for door in ["rom", "http rom", "ipxe"] {
            assert!(tally.count(door, "ask") >= 10, "{door} ask is rare: {tally:#?}");
        }
    }
}

/// How often each door ended where.
#[derive(Default, Debug)]
struct Tally(BTreeMap<(&'static str, &'static str), usize>);

impl Tally {
    fn add(&mut self, door: &'static str, end: &End) {
        let end = match end {
            End::Left(_) => "left",
            End::Ask => "ask",
            End::Disk => "disk",
            End::Menu => "menu",
            End::Image(_) => "image",
        };
        *self.0.entry((door, end)).or_default() += 1;
    }

    fn count(&self, door: &'static str, end: &'static str) -> usize {
        self.0.get(&(door, end)).copied().unwrap_or_default()
    }
}

fn one_world(seed: u64, library: &Library, tally: &mut Tally) {
    let world = world(seed, WORLD_HOSTS);
    let mut doors = Doors::open(&world, library);
    for machine in &world.machines {
        let mut check = Check { seed, world: &world, machine, doors: &mut doors, tally };
        check.whole_boot();
    }
}

/// One machine at all doors.
struct Check<'a> {
    seed: u64,
    world: &'a World,
    machine: &'a Machine,
    doors: &'a mut Doors,
    tally: &'a mut Tally,
}

impl Check<'_> {
    fn whole_boot(&mut self) {
        let (world, machine) = (self.world, self.machine);
        let untold = expect(world, Heard { machine, smbios: false, can_be_asked: true });
        self.offer("rom", Client::Rom, &untold);
        if machine.firmware != Firmware::Bios {
            self.offer("http rom", Client::HttpRom, &untold);
        }
        // It would answer by HTTP.
        let by_ipxe = expect(world, Heard { machine, smbios: false, can_be_asked: machine.http });
        let address = self.offer("ipxe", Client::Ipxe, &by_ipxe).address;
        // A loader without a tongue: what nobody said holds neither way.
        let silent = expect(world, Heard { machine, smbios: false, can_be_asked: false });
        self.config("pxelinux", address, &silent);

        let by_tftp = self.doors.tftp("boot.ipxe", address);
        if machine.http {
            // Whoever has HTTP comes back by it.
            self.same("tftp script", &"asks again, with its facts", &about(&by_tftp).as_str(), &untold);
            let told = expect(world, Heard { machine, smbios: true, can_be_asked: false });
            let answer = self.doors.http(machine, address);
            self.script("query", &answer, &told);
            self.config("pxelinux after the query", address, &told);
        } else {
            self.script("tftp script", &by_tftp, &by_ipxe);
        }
    }

    fn offer(&mut self, door: &'static str, client: Client, expected: &Expected) -> Offer {
        let offer = self.doors.discover(self.machine, client);
        let (world, firmware) = (self.world, self.machine.firmware);
        self.tally.add(door, &expected.end);
        let loader = || world.loaders.get(&firmware).map(|file| (*file).to_owned());
        let by_pxelinux = expected.loader == Some(LoaderKind::Pxelinux)
            && firmware == Firmware::Bios
            && matches!(expected.end, End::Menu | End::Image(_));
        let rom = client != Client::Ipxe;
        let file = match &expected.end {
            End::Left(_) => None,
            End::Disk if rom => None,
            End::Image(image) if rom && !fits(world, image, firmware) => None,
            _ if by_pxelinux => Some("pxelinux.0".to_owned()),
            _ if rom => loader(),
            _ => Some("boot.ipxe".to_owned()),
        };
        let by_http = match client {
            Client::Rom => false,
            Client::HttpRom => true,
            Client::Ipxe => self.machine.http && !by_pxelinux,
        };
        let file = file.map(|file| match by_http {
            true => format!("http://{}:8080/{file}", doors::LOCAL),
            false => file,
        });
        self.same(door, &file, &offer.boot_file, expected);
        self.explained(door, expected);
        offer
    }

    fn script(&mut self, door: &'static str, answer: &Result<Opened, OpenError>, expected: &Expected) {
        self.tally.add(door, &expected.end);
        let firmware = self.machine.firmware;
        let by_pxelinux = expected.loader == Some(LoaderKind::Pxelinux)
            && firmware == Firmware::Bios
            && matches!(expected.end, End::Menu | End::Image(_));
        let said = match &expected.end {
            _ if by_pxelinux => "goes on to another loader".to_owned(),
            End::Ask => "asks again, with its facts".to_owned(),
            _ => self.said(expected),
        };
        self.same(door, &said, &about(answer), expected);
        let text = text(answer);
        match &expected.end {
            End::Image(image) if !by_pxelinux && fits(self.world, image, firmware) => {
                self.boots(door, &text, "kernel --name kernel ", image, expected);
            }
            End::Menu if !by_pxelinux => {
                let items =
                    text.lines().filter_map(|line| line.strip_prefix("item image")?.split(' ').nth(1));
                let items: Vec<String> = items.map(str::to_owned).collect();
                self.same(door, &offered(self.world, firmware), &items, expected);
            }
            End::Left(why) => {
                self.same(door, &true, &text.replace("\necho ", " ").contains(self.screen(why)), expected)
            }
            _ => {}
        }
        self.explained(door, expected);
    }

    fn config(&mut self, door: &'static str, address: Ipv4Addr, expected: &Expected) {
        let mac: Vec<String> = self.machine.mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let answer = self.doors.tftp(&format!("pxelinux.cfg/01-{}", mac.join("-")), address);
        self.tally.add(door, &expected.end);
        if expected.host.is_none() {
            let absent = matches!(answer, Err(OpenError::NotFound { .. }));
            self.same(door, &true, &absent, expected);
        } else {
            self.same(door, &self.said(expected), &about(&answer), expected);
            if let End::Image(image) = &expected.end
                && fits(self.world, image, self.machine.firmware)
            {
                self.boots(door, &text(&answer), "  APPEND ", image, expected);
            }
        }
        self.explained(door, expected);
    }

    /// What the first line of a text says.
    fn said(&self, expected: &Expected) -> String {
        match &expected.end {
            End::Left(_) => "message".to_owned(),
            End::Disk => "local disk".to_owned(),
            End::Menu => "menu, generation 17".to_owned(),
            End::Image(image) if !fits(self.world, image, self.machine.firmware) => "message".to_owned(),
            End::Image(image) => {
                let host = expected.shown.as_ref().map(|host| format!(", host {host}")).unwrap_or_default();
                format!("image {image}{host}, generation 17")
            }
            End::Ask => unreachable!("a machine that cannot be asked is never to be asked"),
        }
    }

    /// The reason as the machine's screen has it.
    fn screen<'a>(&self, why: &'a str) -> &'a str {
        if why.starts_with("unknown machines") { "no rule matches" } else { why }
    }

    /// The files of that image, and the words of rules, groups and record in their order.
    fn boots(&self, door: &str, text: &str, start: &str, image: &str, expected: &Expected) {
        self.same(door, &true, &text.contains(&format!("/{image}/linux")), expected);
        let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
        let words: Vec<String> =
            line.split(' ').filter(|word| word.starts_with("w.")).map(str::to_owned).collect();
        self.same(door, &expected.words, &words, expected);
    }

    /// What `explain` shows of the last question, and that it is what was given.
    fn explained(&self, door: &str, expected: &Expected) {
        let (facts, verdict) = self.doors.last();
        let resolved = plan::resolve(&self.doors.mind.catalog, &facts);
        let values: Vec<(String, String, String)> = resolved
            .values
            .iter()
            .map(|(key, value, from)| (key.clone(), value.clone(), from.to_string()))
            .collect();
        self.same(door, &expected.values, &values, expected);
        let groups: Vec<String> = resolved.groups.iter().map(ToString::to_string).collect();
        self.same(door, &expected.groups, &groups, expected);
        self.same(door, &verdict.profile, &resolved.profile, expected);
        self.same(door, &expected.host, &verdict.host.as_ref().map(|host| host.name.to_string()), expected);
        let Some(profile) = &verdict.profile else {
            return self.same(door, &expected.shown, &None, expected);
        };
        self.same(door, &expected.shown, &Some(profile.name.to_string()), expected);
        let value = |key: &str| {
            expected.values.iter().find(|(own, ..)| own == key).map(|(_, value, _)| value.clone())
        };
        self.same(door, &value("template"), &profile.template.as_ref().map(ToString::to_string), expected);
        self.same(door, &value("location"), &profile.location, expected);
        self.same(door, &value("group"), &profile.group.as_ref().map(ToString::to_string), expected);
        self.same(door, &expected.loader, &profile.loader, expected);
        self.same(door, &expected.words, &profile.kernel_args_append, expected);
        for (prefix, map) in [("params.", &profile.params), ("label.", &profile.labels)] {
            let own =
                expected.values.iter().filter_map(|(key, value, _)| Some((key.strip_prefix(prefix)?, value)));
            let own: BTreeMap<String, String> =
                own.map(|(key, value)| (key.to_owned(), value.clone())).collect();
            self.same(door, &own, map, expected);
        }
    }

    #[track_caller]
    fn same<T: PartialEq + Debug>(&self, door: &str, oracle: &T, found: &T, expected: &Expected) {
        assert!(
            oracle == found,
            "seed {}, {door}: the oracle says {oracle:?}, found is {found:?}\n{:#?}\n{expected:#?}\n{}",
            self.seed,
            self.machine,
            self.world
                .rules
                .iter()
                .map(|data| format!(
                    "{} {} when {}: {:?}\n",
                    data.rule.order,
                    data.rule.name,
                    data.rule.when,
                    data.rule.items()
                ))
                .collect::<String>(),
        );
    }
}

fn text(answer: &Result<Opened, OpenError>) -> String {
    match answer {
        Ok(opened) => String::from_utf8(opened.content.to_vec()).unwrap(),
        Err(error) => error.to_string(),
    }
}

/// What a script or a configuration says it is, in its first comment.
fn about(answer: &Result<Opened, OpenError>) -> String {
    let text = text(answer);
    text.lines().find_map(|line| line.strip_prefix("# reveille: ")).unwrap_or(&text).to_owned()
}
