use super::*;
use std::hash::{BuildHasherDefault, DefaultHasher};

type Gate = Admission<BuildHasherDefault<DefaultHasher>>;

fn gate(now: Instant) -> Gate {
    Admission::new(now, BuildHasherDefault::default())
}

fn source(number: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0x0a00_0000 + number), 2000)
}

#[test]
fn a_bucket_gives_its_burst_at_once_and_its_rate_after_that() {
    let start = Instant::now();
    let mut bucket = Bucket::new(start, 10, 5);
    assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 5);
    let given = (1..=3000).filter(|milli| bucket.take(start + Duration::from_millis(*milli))).count();
    assert_eq!(given, 30, "ten a second for three seconds, asked every millisecond");
    let rested = start + Duration::from_secs(3600);
    assert_eq!(
        (0..100).filter(|_| bucket.take(rested)).count(),
        5,
        "a rest fills it to the burst, no further"
    );
}

#[test]
fn time_below_a_millisecond_is_not_lost() {
    let start = Instant::now();
    let mut bucket = Bucket::new(start, 1000, 1);
    assert!(bucket.take(start));
    let given =
        (1..=10_000u32).filter(|step| bucket.take(start + Duration::from_micros(300) * *step)).count();
    assert_eq!(given, 3000);
}

#[test]
fn one_source_is_held_to_its_own_rate() {
    let start = Instant::now();
    let mut gate = gate(start);
    let admitted = |verdict| matches!(verdict, Verdict::Admitted(_));
    let given = (0..1000).filter(|_| admitted(gate.judge(start, source(1), || false))).count();
    assert_eq!(given, SOURCE_BURST as usize);
    assert_eq!(gate.judge(start, source(1), || panic!("not asked")), Verdict::SourceFlood);
    assert_eq!(gate.judge(start, source(2), || false), Verdict::Admitted(false));
}

#[test]
fn a_million_forged_sources_do_not_starve_a_machine_with_a_lease() {
    let start = Instant::now();
    let mut gate = gate(start);
    let mut strangers = 0u32;
    for number in 0..1_000_000u32 {
        // 100,000 a second.
        let now = start + Duration::from_micros(10) * number;
        match gate.judge(now, source(1000 + number), || false) {
            Verdict::Admitted(known) => strangers += u32::from(!known),
            Verdict::StrangersFlood => {}
            other => panic!("{other:?}"),
        }
        if number % 10_000 == 9_999 {
            assert_eq!(gate.judge(now, source(1), || true), Verdict::Admitted(true));
        }
    }
    assert!((STRANGERS_BURST..STRANGERS_BURST + 20).contains(&strangers), "{strangers} were admitted");
}

#[test]
fn in_a_flood_a_stranger_is_admitted_when_it_asks_again() {
    let start = Instant::now();
    let mut gate = gate(start);
    let flood = |gate: &mut Gate, from: u64, to: u64| {
        // 10,000 a second.
        for tenth in from * 10..to * 10 {
            let now = start + Duration::from_micros(100) * u32::try_from(tenth).unwrap();
            gate.judge(now, source(10_000 + u32::try_from(tenth).unwrap()), || false);
        }
    };
    let at = |millis| start + Duration::from_millis(millis);
    flood(&mut gate, 0, 1000);
    let machines = || (0..100).map(source);
    let admitted = |gate: &mut Gate, millis| {
        machines()
            .filter(|machine| gate.judge(at(millis), *machine, || false) == Verdict::Admitted(false))
            .count()
    };
    assert_eq!(admitted(&mut gate, 1000), 0, "a first request");
    assert_eq!(admitted(&mut gate, 1100), 0, "a packet that came twice");
    flood(&mut gate, 1000, 5000);
    let again = admitted(&mut gate, 5000);
    assert!(
        (75..=100).contains(&again),
        "{again} of 100 are remembered after 4 s and 40,000 forged requests"
    );
    // The flood is over: within seconds everything is as it was.
    assert_eq!(gate.judge(at(10_000), source(9_999), || false), Verdict::Admitted(false));
}

#[test]
fn a_rate_that_strangers_may_ask_at_is_no_flood() {
    let start = Instant::now();
    let mut gate = gate(start);
    for number in 0..100_000u32 {
        let now = start + Duration::from_micros(2_500) * number;
        assert_eq!(gate.judge(now, source(number), || false), Verdict::Admitted(false), "{number}");
    }
}

#[test]
fn a_flood_is_told_once_a_minute_with_the_number_dropped_since() {
    let start = Instant::now();
    let mut gate = gate(start);
    assert_eq!(gate.note_dropped(start), Some(1));
    for second in 0..59 {
        assert_eq!(gate.note_dropped(start + Duration::from_secs(second)), None);
    }
    assert_eq!(gate.note_dropped(start + FLOOD_EVENT_PAUSE), Some(60));
}
