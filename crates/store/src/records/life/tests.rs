use super::super::{
    ROLLOUT_BYTES_MAX, decode_rollout, encode_rollout, rollout_key, rollout_keys, rollout_name, rollout_part,
};
use super::*;
use crate::RecordError;
use boots::life::{LifeEvent, Meant, Report, step};
use boots::rollout::{HostState, Rollout, RolloutEvent, RolloutPlan};
use proptest::prelude::*;

const T0: UnixTime = UnixTime(1_800_000_000);

fn image(name: &str) -> ImageRef {
    ImageRef { name: name.parse().unwrap(), version: Some("9f2c".parse().unwrap()) }
}

/// Texts that are hard to write down, and one at every limit.
fn texts(max: usize) -> impl Strategy<Value = Arc<str>> {
    let long = "\u{1}".repeat(max);
    prop_oneof![
        Just("alice".into()),
        Just("\"\\\n\u{0}\u{7f}\u{2028}".into()),
        Just(long.into()),
        proptest::string::string_regex("(?s).{1,20}").unwrap().prop_map(Arc::from),
    ]
}

fn events() -> impl Strategy<Value = LifeEvent> {
    let boot = || prop_oneof![Just(Arc::from("B1")), Just(Arc::from("B2")), texts(64)];
    let names = || prop_oneof![Just(image("esxi")), Just(image("live"))];
    let end = || prop::option::of(prop_oneof![Just(UnixTime(u64::MAX)), Just(UnixTime(T0.0 + 100_000))]);
    let reports =
        prop_oneof![Just(Report::Installed), Just(Report::Up), Just(Report::Failed), Just(Report::Progress)];
    prop_oneof![
        (texts(128), end(), 0..10u8).prop_map(|(by, expires, retries)| LifeEvent::Arm {
            by,
            image: Some("esxi".parse().unwrap()),
            expires,
            retries
        }),
        (texts(128), prop::option::of(names()), end(), any::<bool>()).prop_map(
            |(by, what, expires, armed)| LifeEvent::BootOnce {
                by,
                armed,
                retries: if armed { 3 } else { 0 },
                what: what.map_or(OnceBoot::LocalDisk, OnceBoot::Image),
                expires
            }
        ),
        (texts(128), texts(256), end()).prop_map(|(by, reason, until)| LifeEvent::Quarantine {
            by,
            reason,
            until
        }),
        (texts(128), texts(256)).prop_map(|(by, reason)| LifeEvent::Lock { by, reason }),
        texts(128).prop_map(|by| LifeEvent::Release { by }),
        texts(128).prop_map(|by| LifeEvent::Unlock { by }),
        (texts(128), names()).prop_map(|(by, image)| LifeEvent::MarkInstalled {
            by,
            image,
            destructive: true
        }),
        (boot(), names()).prop_map(|(boot, image)| LifeEvent::BootBegan {
            destructive: image.name.as_str() == "esxi",
            boot,
            image
        }),
        (boot(), names()).prop_map(|(boot, image)| LifeEvent::PayloadOpened {
            destructive: image.name.as_str() == "esxi",
            boot,
            image
        }),
        (boot(), any::<Option<u64>>()).prop_map(|(boot, values)| LifeEvent::BootMeant {
            meant: Meant { boot, version: image("esxi").version, values }
        }),
        (boot(), reports, prop::option::of(texts(300)))
            .prop_map(|(boot, report, detail)| LifeEvent::Reported { boot, report, detail }),
        prop::option::of(boot()).prop_map(|boot| LifeEvent::SentToDisk { boot }),
        prop::option::of(boot()).prop_map(|reported| LifeEvent::SeenWithoutNetworkBoot { reported }),
    ]
}

/// A life as a story of events leaves it.
fn lives() -> impl Strategy<Value = Life> {
    prop::collection::vec(events(), 0..40).prop_map(|story| {
        let (mut life, mut now) = (Life::adopted(T0), T0);
        for event in story {
            now = UnixTime(now.0 + 60);
            if let Ok(step) = step(&life, event, now) {
                life = step.life;
            }
        }
        life
    })
}

fn rollout(hosts: usize) -> Rollout {
    let plan = RolloutPlan {
        name: "rack12".parse().unwrap(),
        by: "alice".into(),
        image: Some(image("esxi")),
        hosts: (0..hosts).map(|number| format!("{}-{number}", "h".repeat(57)).parse().unwrap()).collect(),
        at_once: 5,
        failures_max: 2,
        retries: 1,
        trusts_silence: true,
        expires: Some(std::time::Duration::from_secs(7200)),
        power_cycle: true,
    };
    Rollout::new(plan, T0).unwrap()
}

type Disk = std::collections::BTreeMap<Vec<u8>, Vec<u8>>;

/// The rollout of a disk that holds one.
fn read(disk: &Disk) -> Result<Rollout, RecordError> {
    let order = disk.iter().find(|(key, _)| rollout_name(key).is_some()).unwrap().1;
    let parts = disk.iter().filter(|(key, _)| rollout_part(key).is_some());
    decode_rollout(order, parts.map(|(_, value)| value.as_slice()))
}

proptest! {
    #[test]
    fn a_life_is_read_back_as_it_was(life in lives()) {
        let written = encode_life(&life).unwrap();
        prop_assert!(written.len() <= LIFE_BYTES_MAX, "{}", written.len());
        prop_assert_eq!(decode_life(&written).unwrap(), life);
    }

    #[test]
    fn a_damaged_life_is_refused_or_sound(life in lives(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut written = encode_life(&life).unwrap();
        let at = at.index(written.len());
        written[at] = byte;
        if let Ok(life) = decode_life(&written) {
            prop_assert_eq!(life.check(), Ok(()));
        }
        let _ = decode_rollout(&written, [&written[..]]);
    }

    #[test]
    fn decoding_never_panics(value in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_life(&value);
        let _ = decode_rollout(&value, []);
        let _ = (life_host(&value), rollout_name(&value), rollout_part(&value));
    }

    #[test]
    fn a_rollout_is_read_back_as_it_was(
        failures in prop::collection::vec((0..150usize, texts(160)), 0..8),
        began in prop::collection::vec(0..150usize, 0..8),
    ) {
        let mut rollout = rollout(150);
        let mut disk: Disk = encode_rollout(&rollout, None).unwrap().into_iter().collect();
        let host = |rollout: &Rollout, at: usize| rollout.plan.hosts[at].clone();
        let mut story = vec![RolloutEvent::Resume];
        story.extend(began.into_iter().map(|at| RolloutEvent::Began { host: host(&rollout, at) }));
        story.extend(failures.into_iter().map(|(at, why)| RolloutEvent::Failed { host: host(&rollout, at), why }));
        story.push(RolloutEvent::Cancel { by: "bob".into() });
        for event in story {
            if let Ok(step) = boots::rollout::step(&rollout, event, T0) {
                // Only what changed is written, over what is there.
                disk.extend(encode_rollout(&step.rollout, Some(&rollout)).unwrap());
                rollout = step.rollout;
            }
            prop_assert_eq!(&read(&disk).unwrap(), &rollout);
        }
    }
}

#[test]
fn the_stored_form_of_a_life_is_this() {
    let story = [
        LifeEvent::Arm { by: "alice".into(), image: None, expires: Some(UnixTime(T0.0 + 600)), retries: 1 },
        LifeEvent::BootBegan { boot: "B1".into(), image: image("esxi"), destructive: true },
        LifeEvent::PayloadOpened { boot: "B1".into(), image: image("esxi"), destructive: true },
        LifeEvent::BootOnce {
            by: "bob".into(),
            what: OnceBoot::LocalDisk,
            armed: false,
            expires: None,
            retries: 0,
        },
    ];
    let life = story.into_iter().fold(Life::adopted(T0), |life, event| step(&life, event, T0).unwrap().life);
    let text = String::from_utf8(encode_life(&life).unwrap()).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"v":1,"record":{"phase":"installing","since":1800000000,"heard":1800000000,"#,
            r#""one_shot":{"armed":false,"by":"bob","at":1800000000,"retries":0},"#,
            r#""grant":{"boot":"B1","image":{"name":"esxi","version":"9f2c"},"at":1800000000,"#,
            r#""used":{"arming":{"by":"alice","at":1800000000,"expires":1800000600,"retries":1}},"open":true},"#,
            r#""last_boot":{"boot":"B1","image":{"name":"esxi","version":"9f2c"},"destructive":true,"#,
            r#""at":1800000000,"opened":true}}}"#
        )
    );
    assert_eq!(decode_life(text.as_bytes()).unwrap(), life);
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let newer = br#"{"v":2,"record":{"whatever":true}}"#;
    assert_eq!(
        decode_life(newer).unwrap_err().to_string(),
        "life record has version 2, this program reads up to 1"
    );
    assert_eq!(
        decode_rollout(newer, []).unwrap_err().to_string(),
        "rollout record has version 2, this program reads up to 1"
    );
}

#[test]
fn a_life_that_contradicts_itself_is_refused() {
    let record = |fields: &str| {
        let text = format!(r#"{{"v":1,"record":{{"since":1,"heard":1,{fields}}}}}"#);
        decode_life(text.as_bytes()).map(|_| ()).map_err(|error| error.to_string())
    };
    let armed = r#""arming":{"by":"alice","at":1,"retries":0}"#;
    assert_eq!(record(r#""phase":"adopted""#), Ok(()));
    assert_eq!(record(&format!(r#""phase":"adopted",{armed}"#)), Ok(()));
    let refused = [
        (r#""phase":"ready""#.to_owned(), "phase"),
        (r#""phase":"installing""#.to_owned(), "installation without its boot"),
        (format!(r#""phase":"discovered",{armed}"#), "arming before adoption"),
        (
            format!(r#""phase":"adopted",{armed},"lock":{{"by":"c","at":1,"reason":"r"}}"#),
            "arming or one-shot under lock or quarantine",
        ),
        (
            format!(r#""phase":"adopted",{armed},"quarantine":{{"by":"c","at":1,"reason":"r"}}"#),
            "arming or one-shot under lock or quarantine",
        ),
        (r#""phase":"adopted","arming":{"by":"","at":1,"retries":0}"#.to_owned(), "arming"),
        (r#""phase":"adopted","arming":{"by":"a","at":1,"retries":10}"#.to_owned(), "arming"),
        (r#""phase":"adopted","one_shot":{"armed":true,"by":"a","at":1,"retries":0}"#.to_owned(), "one-shot"),
        (
            format!(
                r#""phase":"adopted",{armed},"one_shot":{{"image":{{"name":"esxi"}},"armed":true,"by":"a","at":1,"retries":0}}"#
            ),
            "second arming",
        ),
    ];
    for (fields, field) in refused {
        assert_eq!(record(&fields), Err(format!("life record has a bad {field}")), "{fields}");
    }
    let long = format!(r#"{{"v":1,"record":{{"phase":"adopted"{}}}}}"#, " ".repeat(LIFE_BYTES_MAX));
    assert_eq!(decode_life(long.as_bytes()).unwrap_err().to_string(), "life record has a bad length");
}

#[test]
fn a_rollout_at_every_limit_is_written_and_read_and_a_step_writes_little() {
    let hosts = boots::rollout::limits::HOSTS_MAX;
    let mut full = rollout(hosts);
    for state in &mut full.hosts {
        *state = HostState::Failed { why: "\u{1}".repeat(160).into() };
    }
    let disk: Disk = encode_rollout(&full, None).unwrap().into_iter().collect();
    assert!(disk.values().all(|value| value.len() <= ROLLOUT_BYTES_MAX));
    assert_eq!(read(&disk).unwrap(), full);
    assert_eq!(disk.keys().cloned().collect::<Vec<_>>(), {
        let mut keys = rollout_keys(&full.plan.name, hosts);
        keys.sort();
        keys
    });
    let fresh = rollout(hosts);
    let begun = boots::rollout::step(&fresh, RolloutEvent::Resume, T0).unwrap().rollout;
    let written = encode_rollout(&begun, Some(&fresh)).unwrap();
    assert_eq!(written.len(), 2, "the order, and the part of the five hosts that are armed");
    assert!(written.iter().map(|(_, value)| value.len()).sum::<usize>() < 16 << 10);

    let mut lost = disk;
    lost.pop_first();
    assert_eq!(read(&lost).unwrap_err().to_string(), "rollout record has a bad number of hosts");
    full.hosts.pop();
    assert_eq!(encode_rollout(&full, None).unwrap_err().to_string(), "rollout record has a bad host states");
}

#[test]
fn lives_and_rollouts_have_keys_of_their_own() {
    let name: Name = "web01".parse().unwrap();
    assert_eq!(life_key(&name), b"host/web01");
    assert_eq!(rollout_key(&name), b"rollout/web01");
    assert_eq!(life_host(b"host/web01"), Some(name.clone()));
    assert_eq!(rollout_name(b"rollout/web01"), Some(name.clone()));
    assert_eq!(rollout_part(b"rollout-hosts/web01/001f"), Some((name, 31)));
    assert_eq!(rollout_name(b"rollout-hosts/web01/001f"), None);
    for other in [&b"rollout/web01"[..], b"host/", b"host/Web", b"host/a/b", b"web01", b"\xff"] {
        assert_eq!(life_host(other), None);
    }
}
