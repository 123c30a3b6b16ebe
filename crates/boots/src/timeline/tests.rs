use super::*;
use std::fmt::Write as _;
use types::event::Level;

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// Feeds events and keeps the time.
struct Tape {
    zero: Instant,
    timelines: Timelines,
    boot: Arc<str>,
}

impl Tape {
    #[expect(clippy::disallowed_methods, reason = "only differences count, and an Instant begins somewhere")]
    fn new() -> Tape {
        Tape { zero: Instant::now(), timelines: Timelines::default(), boot: "B1".into() }
    }

    fn at(&self, ms: u64) -> At {
        At { instant: self.zero + Duration::from_millis(ms), unix_ms: 1_700_000_000_000 + ms }
    }

    fn tell(&mut self, ms: u64, event: Event) {
        let event = Event { mac: event.mac.or(Some(MAC)), ..event }.boot(Some(self.boot.clone()));
        self.timelines.observe(self.at(ms), &event);
    }

    fn says(&mut self, ms: u64, name: EventName, stage: Stage) {
        let event = Event { stage: Some(stage), ..Event::new(name) };
        self.tell(ms, event);
    }

    fn boot(&self) -> &Timeline {
        self.timelines.get(&self.boot).expect("it is kept")
    }

    fn standing(&self, ms: u64) -> (State, String) {
        let image = self.boot().image.clone().unwrap_or_default();
        let standing = self.boot().standing(self.at(ms).instant, self.timelines.usual(&image).as_ref());
        (standing.state, standing.note)
    }
}

fn event(name: EventName, stage: Stage) -> Event {
    Event { stage: Some(stage), ..Event::new(name) }
}

fn file(name: EventName, file: &str, role: &str, bytes: u64, ms: u64) -> Event {
    event(name, Stage::Ipxe).with("file", file).with("role", role).with("bytes", bytes).with("ms", ms)
}

/// A boot of a BIOS machine that is leased its address, as the doors tell it.
fn pxe_boot(tape: &mut Tape, from: u64, up: u64) {
    let discover = |stage| {
        let mut event = event(EventName::DhcpDiscover, stage);
        event.interface = Some("eth0".into());
        event
    };
    let offer =
        |name, stage, file: &str| event(name, stage).with("address", "10.77.0.100").with("boot_file", file);
    tape.tell(from, discover(Stage::Rom));
    tape.tell(from, offer(EventName::DhcpOffer, Stage::Rom, "undionly.kpxe"));
    tape.tell(from + 90, event(EventName::DhcpRequest, Stage::Rom));
    tape.tell(from + 100, offer(EventName::DhcpAck, Stage::Rom, "undionly.kpxe"));
    tape.tell(
        from + 110,
        file(EventName::TftpStart, "undionly.kpxe", "loader", 74_000, 0).with("blksize", 1468u64),
    );
    tape.tell(
        from + 310,
        file(EventName::TftpDone, "undionly.kpxe", "loader", 74_000, 200).with("blksize", 1468u64),
    );
    tape.tell(from + 310, file(EventName::LoaderFetched, "undionly.kpxe", "loader", 74_000, 200));
    tape.tell(from + 2_900, discover(Stage::Ipxe));
    tape.tell(from + 2_910, offer(EventName::DhcpOffer, Stage::Ipxe, "http://10.77.0.1:8080/boot.ipxe"));
    tape.tell(from + 2_990, offer(EventName::DhcpAck, Stage::Ipxe, "http://10.77.0.1:8080/boot.ipxe"));
    tape.tell(from + 3_000, event(EventName::HttpScript, Stage::Ipxe).with("file", "boot.ipxe"));
    tape.tell(from + 3_010, event(EventName::BootStarted, Stage::Ipxe).with("image", "debian"));
    let script = event(EventName::HttpScript, Stage::Ipxe).with("file", "boot.ipxe").with("image", "debian");
    tape.tell(from + 3_020, script);
    tape.tell(
        from + 3_500,
        file(EventName::HttpFile, "debian/linux", "kernel", 8_000_000, 400).with("image", "debian"),
    );
    tape.tell(from + 5_000, file(EventName::HttpFile, "debian/initrd.gz", "initrd", 40_000_000, 1_400));
    if up > 0 {
        tape.says(from + up, EventName::BootUp, Stage::Ipxe);
    }
}

/// Steps as lines: offset, kind, text.
fn told(timeline: &Timeline) -> String {
    let mut text = String::new();
    for step in timeline.steps() {
        let (at, until) = (step.at.as_millis(), step.until.as_millis());
        let bytes = if step.bytes > 0 {
            format!(" {} B {} B/s", step.bytes, step.rate().unwrap_or(0))
        } else {
            String::new()
        };
        let open = if step.open { " …" } else { "" };
        let _ =
            writeln!(text, "{at}-{until} {} {}{bytes}{}{open}", step.kind.as_str(), step.text, step.tail());
    }
    text
}

#[test]
fn a_whole_boot_is_told_in_a_dozen_lines() {
    let mut tape = Tape::new();
    pxe_boot(&mut tape, 0, 21_000);
    assert_eq!(
        told(tape.boot()),
        "0-0 discover PXE ROM on eth0\n\
         0-100 offer 10.77.0.100, undionly.kpxe\n\
         110-310 tftp undionly.kpxe 74000 B 370000 B/sblksize 1468\n\
         2900-2900 loader iPXE runs and asks on eth0\n\
         2910-2990 offer 10.77.0.100, http://10.77.0.1:8080/boot.ipxe\n\
         3000-3000 script boot.ipxe by http\n\
         3010-3010 start image debian\n\
         3020-3020 script boot.ipxe by http, for image debian\n\
         3100-5000 http 2 files 48000000 B 25263157 B/s\n\
         5000-5000 kernel has everything it was to fetch\n\
         21000-21000 callback up\n"
    );
    let boot = tape.boot();
    assert_eq!((boot.stage, boot.ending, boot.bytes), (BootStage::Up, Some(Ending::Up), 48_074_000));
    assert_eq!(tape.standing(90_000), (State::Up, "up after 21 s".to_owned()));
}

#[test]
fn a_hundred_files_are_counted_and_none_is_lost() {
    let mut tape = Tape::new();
    pxe_boot(&mut tape, 0, 0);
    for number in 0..150u64 {
        tape.tell(
            6_000 + number * 10,
            file(EventName::HttpFile, &format!("esxi/{number}"), "module", 1_000, 5),
        );
    }
    let boot = tape.boot();
    let kept = boot.entries.iter().filter(|entry| is_file(&entry.event)).count();
    assert_eq!(kept, limits::FILES_OF_BOOT_MAX);
    let counted: u64 = boot.more.iter().map(|more| more.count).sum();
    // Start and end of the loader, kernel and ramdisk are kept, too.
    assert_eq!(kept as u64 + counted, 154);
    assert_eq!(boot.bytes, 48_224_000);
    let told = told(boot);
    assert!(told.contains("http 152 files 48150000 B"), "{told}");
}

#[test]
fn a_transfer_without_an_end_is_open_and_a_retry_is_counted() {
    let mut tape = Tape::new();
    tape.says(0, EventName::DhcpDiscover, Stage::Rom);
    tape.says(4_000, EventName::DhcpDiscover, Stage::Rom);
    tape.tell(
        4_010,
        event(EventName::DhcpOffer, Stage::Rom).with("boot_file", "snponly.efi").with("proxy", true),
    );
    tape.says(12_000, EventName::DhcpDiscover, Stage::Rom);
    tape.tell(
        12_010,
        event(EventName::DhcpOffer, Stage::Rom).with("boot_file", "snponly.efi").with("proxy", true),
    );
    tape.tell(12_100, file(EventName::TftpStart, "snponly.efi", "loader", 174_000, 0));
    assert_eq!(
        told(tape.boot()),
        "0-12000 discover PXE ROM, asked 3 times\n\
         4010-12010 offer snponly.efi\n\
         12100-12100 tftp reads snponly.efi, 174000 bytes, no end yet …\n"
    );
    tape.tell(12_200, file(EventName::TftpSizeProbe, "snponly.efi", "loader", 0, 1));
    tape.tell(12_300, file(EventName::TftpStart, "snponly.efi", "loader", 174_000, 0));
    let abort = file(EventName::TftpAbort, "snponly.efi", "loader", 1_468, 900).because("timed_out");
    tape.tell(13_200, abort.with("retransmits", 7u64));
    let told = told(tape.boot());
    assert!(told.contains("12200-12200 tftp asks the size of snponly.efi\n"), "{told}");
    assert!(!told.contains("no end yet"), "{told}");
    assert!(
        told.ends_with("finding it stopped reading snponly.efi (timed out), 7 blocks were sent again\n"),
        "{told}"
    );
    let steps = tape.boot().steps();
    let finding = steps.last().and_then(|step| step.finding.clone()).expect("it is explained");
    assert!(finding.fix.contains("blksize"), "{finding:?}");
}

#[test]
fn a_machine_that_stops_is_stuck_for_the_reason_that_came_last() {
    let mut tape = Tape::new();
    tape.says(0, EventName::DhcpDiscover, Stage::Rom);
    tape.tell(10, event(EventName::DhcpOffer, Stage::Rom).with("address", "10.0.0.9").with("boot_file", "x"));
    assert_eq!(tape.standing(1_000).0, State::Running);
    tape.tell(75_000, Event::new(EventName::BootStuck).because("offered"));
    let (state, note) = tape.standing(80_000);
    assert_eq!(state, State::Stuck);
    assert_eq!(note, "STUCK 1:19: it has boot data and fetched nothing");
    // It goes on: stuck no more.
    tape.tell(81_000, file(EventName::TftpStart, "x", "loader", 1, 0));
    tape.tell(81_500, file(EventName::TftpDone, "x", "loader", 1, 5));
    assert_eq!(tape.standing(82_000).0, State::Running);
    let abort = file(EventName::TftpAbort, "y", "loader", 0, 5).because("timed_out");
    tape.tell(83_000, abort);
    tape.tell(160_000, Event::new(EventName::BootStuck).because("loader"));
    assert!(tape.standing(160_000).1.contains("it stopped reading y"), "{:?}", tape.standing(160_000));
}

#[test]
fn every_finding_has_a_reason_and_a_fix() {
    for name in EventName::ALL {
        for reason in [None, Some("asking"), Some("offered"), Some("loader"), Some("script")] {
            let event = Event { reason, ..Event::new(*name) };
            if let Some(finding) = words::explain(&event) {
                assert!(
                    !finding.what.is_empty() && !finding.why.is_empty() && !finding.fix.is_empty(),
                    "{name}"
                );
            } else {
                // What is told as a warning of one machine is explained.
                let others =
                    ["dhcp.other_server", "dhcp.pool_low", "dhcp.address_in_use", "dhcp.flood", "tftp.flood"];
                let of_machine = matches!(name.area(), "dhcp" | "tftp" | "http" | "boot" | "loader");
                assert!(
                    event.level < Level::Warn || !of_machine || others.contains(&name.as_str()),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn what_is_usual_comes_from_boots_of_the_image_that_came_up() {
    let mut tape = Tape::new();
    for (number, up) in [(1u64, 20_000), (2, 30_000)] {
        tape.boot = format!("B{number}").into();
        pxe_boot(&mut tape, number * 100_000, up);
    }
    let usual = tape.timelines.usual("debian").expect("two came up");
    assert_eq!((usual.boots, usual.whole), (2, (Duration::from_secs(20), Duration::from_secs(30))));
    assert_eq!(usual.silent, (Duration::from_secs(15), Duration::from_secs(25)));
    tape.boot = "B3".into();
    pxe_boot(&mut tape, 300_000, 0);
    assert_eq!(
        tape.standing(325_000),
        (State::Running, "within usual time (usual 20–30 s for this image)".to_owned())
    );
    let (state, note) = tape.standing(360_000);
    assert_eq!(
        (state, note.as_str()),
        (State::Slow, "silent for 55 s, longer than usual 20–30 s for this image")
    );
    assert_eq!(tape.timelines.usual("windows"), None);
}

#[test]
fn a_machine_sent_to_its_disk_is_at_its_end_until_it_asks_again() {
    let mut tape = Tape::new();
    tape.says(0, EventName::DhcpDiscover, Stage::Rom);
    let offer =
        event(EventName::DhcpOffer, Stage::Rom).with("address", "10.0.0.9").with("left_alone", "local_disk");
    tape.tell(5, offer);
    assert_eq!(tape.boot().ending, Some(Ending::LeftAlone(LeftAlone::LocalDisk)));
    // Its own system asks for its address.
    tape.says(9_000, EventName::DhcpRequest, Stage::Os);
    assert!(tape.boot().is_over());
    assert_eq!(tape.standing(9_000), (State::LeftAlone, "sent to its own disk".to_owned()));
    tape.says(20_000, EventName::DhcpDiscover, Stage::Rom);
    assert!(!tape.boot().is_over());
    // The next boot ends it.
    tape.boot = "B2".into();
    tape.says(40_000, EventName::DhcpDiscover, Stage::Rom);
    assert_eq!(tape.timelines.get("B1").and_then(|boot| boot.ending), Some(Ending::Restarted));
    let ids: Vec<&str> = tape.timelines.of_machine(MAC).map(|boot| &*boot.id).collect();
    assert_eq!(ids, ["B1", "B2"]);
}

#[test]
fn what_comes_late_of_a_forgotten_boot_begins_nothing() {
    let mut tape = Tape::new();
    tape.says(0, EventName::BootInstallSilent, Stage::Os);
    assert_eq!(tape.timelines.sizes(), (0, 0, 0));
    tape.timelines.observe(tape.at(0), &Event::new(EventName::DhcpDiscover).boot(Some("B9".into())));
    assert_eq!(tape.timelines.sizes().0, 0, "a boot of nobody is none");
}

#[test]
fn timelines_are_bounded_whatever_is_told() {
    let mut tape = Tape::new();
    // One boot of everything, again and again: kept one by one up to its bounds, counted beyond.
    pxe_boot(&mut tape, 0, 0);
    for round in 0..400u64 {
        for name in EventName::ALL {
            let role = format!("role{round}");
            tape.tell(
                round,
                event(*name, Stage::Ipxe).with("file", "f").with("role", role.as_str()).with("bytes", 1u64),
            );
        }
    }
    let boot = tape.boot();
    assert!(boot.entries.len() <= limits::EVENTS_OF_BOOT_MAX + limits::FINDINGS_OF_BOOT_MAX);
    assert!(boot.more.len() <= limits::MORE_MAX);
    let told = boot.entries.len() as u64 + boot.more.iter().map(|more| more.count).sum::<u64>();
    assert_eq!(told, 15 + 400 * EventName::ALL.len() as u64);
    let _ = boot.steps();
    // Many boots of one machine, and machines that only say they are.
    for number in 0..3_000u64 {
        tape.boot = format!("S{number}").into();
        let [.., a, b] = number.to_be_bytes();
        let mac = if number.is_multiple_of(2) { MAC } else { MacAddr([6, 0, 0, 0, a, b]) };
        tape.tell(number, Event { mac: Some(mac), ..Event::new(EventName::BootStarted) });
    }
    let (boots, events, forgotten) = tape.timelines.sizes();
    assert!(boots <= limits::BOOTS_SAID_MAX + limits::BOOTS_OF_MACHINE_MAX, "{boots}");
    assert!(events <= limits::EVENTS_MAX && forgotten > 1_900, "{events} {forgotten}");
    assert_eq!(tape.timelines.of_machine(MAC).count(), limits::BOOTS_OF_MACHINE_MAX);
}
