use super::*;

#[test]
fn a_whole_life_goes_through_every_stage() {
    let life = Told { life: Life::discovered(T0), ..Told::adopted() };
    assert_eq!(life.stage(0), "discovered");
    let life = life.on(0, adopt());
    assert_eq!((life.stage(0), life.names(), life.commit), ("adopted", vec!["host.adopted"], Commit::First));
    let life = life.on(1, arm());
    assert_eq!((life.stage(1), life.names(), life.commit), ("armed", vec!["host.armed"], Commit::First));
    let life = life.on(2, began("B1", "esxi@v1", true));
    assert_eq!((life.stage(2), life.commit), ("booting", Commit::Later));
    let life = life.on(3, opened("B1", "esxi", true));
    assert_eq!((life.stage(3), life.names()), ("installing", vec!["boot.install_began"]));
    assert_eq!(life.commit, Commit::First, "rule 2: durable before the first byte");
    assert_eq!(life.life.installation().map(|grant| grant.image.to_string()).as_deref(), Some("esxi@v1"));
    let life = life.on(4, says("B1", Report::Progress));
    assert_eq!((life.stage(4), life.life.heard), ("installing", at(4)));
    let life = life.on(5, says("B1", Report::Installed));
    assert_eq!((life.stage(5), life.names()), ("installed", vec!["boot.installed"]));
    let life = life.on(6, to_disk("B2"));
    assert_eq!(life.stage(6), "local_disk");
    let life = life.on(7, says("B1", Report::Up));
    assert_eq!((life.stage(7), life.names()), ("up", vec!["boot.up"]));
    let installed = life.life.installed.unwrap();
    assert_eq!((installed.image, installed.told), (image("esxi@v1"), super::super::Told::Installed));
}

#[test]
fn rule_1_an_arming_is_for_one_boot_and_goes_on_serving_it() {
    let life = installing(0);
    for name in ["esxi", "esxi@v1"] {
        assert_eq!(life.payload(30, "B1", name), Ok(Allowed::ThisBoot), "{name}");
    }
    let same = life.clone().on(30, opened("B1", "esxi", true));
    assert_eq!((same.commit, same.effects.len()), (Commit::Nothing, 0), "a second GET changes nothing");
    assert!(matches!(life.begin(40, "B2", "esxi"), Err(Denied::Used { .. })));
    assert!(matches!(life.payload(40, "B2", "esxi"), Err(Denied::NotOfThisBoot)));
    assert!(matches!(
        life.refuses(40, began("B2", "esxi", true)),
        LifeRefusal::NotPermitted(Denied::Used { .. })
    ));
    assert!(
        matches!(life.payload(40, "B1", "debian"), Err(Denied::Over { .. })),
        "another image is another boot"
    );
}

#[test]
fn rule_1_a_payload_is_of_the_boot_whose_script_named_it() {
    let armed = Told::adopted().on(0, arm());
    assert_eq!(armed.payload(1, "B1", "esxi"), Err(Denied::NotOfThisBoot), "no script");
    let other = armed.clone().on(1, began("B1", "esxi", true));
    assert_eq!(other.payload(2, "B1", "debian"), Err(Denied::NotOfThisBoot), "another image");
    assert_eq!(other.payload(2, "B9", "esxi"), Err(Denied::NotOfThisBoot), "another boot");
    assert_eq!(other.payload(2, "B1", "esxi"), Ok(Allowed::Arming));
    let harmless = armed.on(1, began("B1", "rescue", false));
    assert_eq!(
        harmless.payload(2, "B1", "rescue"),
        Err(Denied::NotOfThisBoot),
        "it became destructive since"
    );
    // Whoever runs on the machine and reads a file of an installer uses nothing up.
    assert!(matches!(harmless.refuses(2, opened("B1", "esxi", true)), LifeRefusal::NotPermitted(_)));
    assert!(harmless.life.arming.is_some());
}

#[test]
fn rule_2_what_must_be_durable_says_so() {
    let first = [adopt(), arm(), once("rescue", false), lock(), quarantine(None)];
    for event in first {
        let life = match event {
            LifeEvent::Adopt { .. } => Told { life: Life::discovered(T0), ..Told::adopted() },
            _ => Told::adopted(),
        };
        assert_eq!(life.on(1, event.clone()).commit, Commit::First, "{event:?}");
    }
    assert_eq!(installing(0).on(30, says("B1", Report::Failed)).commit, Commit::First);
    assert_eq!(installing(0).on(30, disarm(true)).commit, Commit::First);
    for end in [to_disk("B2"), to_disk("B1"), began("B2", "live", false)] {
        assert_eq!(installing(1).on(30, end).commit, Commit::First, "a crash does not bring it back");
    }
    assert_eq!(Told::adopted().on(1, began("B1", "live", false)).commit, Commit::Later);
    assert_eq!(Told::adopted().on(1, tick()).commit, Commit::Nothing);
}

#[test]
fn rule_3_a_restart_before_the_payload_leaves_it_armed_and_one_behind_it_does_not() {
    let life = Told::adopted().on(0, arm());
    let life = life.on(1, began("B1", "esxi", true)).on(60, began("B2", "esxi", true));
    assert_eq!(life.payload(61, "B2", "esxi"), Ok(Allowed::Arming));
    assert_eq!(life.payload(61, "B1", "esxi"), Err(Denied::NotOfThisBoot), "the boot before is over");
    let life = life.on(61, to_disk("B3"));
    assert_eq!(life.stage(61), "armed");
    let life = life.on(62, began("B4", "esxi", true)).on(63, opened("B4", "esxi", true));
    let life = life.on(100, to_disk("B5"));
    assert_eq!((life.stage(100), life.names()), ("local_disk", vec!["boot.install_unconfirmed"]));
    assert!(matches!(life.begin(101, "B6", "esxi"), Err(Denied::Used { .. })));
}

#[test]
fn rule_3_a_boot_that_began_ends_the_one_before() {
    let life = installing(0).on(30, began("B2", "live", false));
    assert_eq!((life.stage(30), life.names()), ("booting", vec!["boot.install_unconfirmed"]));
    assert!(matches!(life.payload(31, "B1", "esxi"), Err(Denied::Over { .. })));
    let life = life.on(32, says("B1", Report::Installed));
    assert_eq!(life.stage(32), "booting", "what the one before still says is noted and no more");
    assert_eq!(life.life.installed.map(|it| it.told), Some(super::super::Told::Installed));
}

#[test]
fn rule_4_the_script_is_not_given_again_under_the_id_whose_payload_was_opened() {
    let life = installing(0);
    assert!(matches!(life.begin(21, "B1", "esxi"), Err(Denied::Over { .. })));
    assert!(matches!(
        life.refuses(21, began("B1", "esxi", true)),
        LifeRefusal::NotPermitted(Denied::Over { .. })
    ));
    assert!(matches!(life.next(21, "B1"), NextBoot::PinsExcept { why: Spared::Begun { .. }, .. }));
    // Even when somebody armed it anew: that is for a boot with an id of its own.
    let life = life.on(30, to_disk("B1"));
    assert!(matches!(life.payload(31, "B1", "esxi"), Err(Denied::Over { .. })), "it was restarted");
    let life = life.on(40, arm());
    assert!(matches!(life.begin(41, "B1", "esxi"), Err(Denied::Over { .. })));
    assert_eq!(life.begin(41, "B2", "esxi"), Ok(Allowed::Arming));
}

#[test]
fn rule_4_somebody_elses_packet_does_not_take_the_files_of_an_installation_away() {
    let life = installing(0).on(30, to_disk("FORGED"));
    assert_eq!(life.payload(31, "B1", "esxi"), Ok(Allowed::ThisBoot));
    let life = life.on(32, says("B1", Report::Progress));
    assert_eq!(life.stage(32), "installing");
    let life = life.on(40, says("B1", Report::Installed));
    assert_eq!(life.stage(40), "installed");
    assert!(
        matches!(life.payload(41, "B1", "esxi"), Err(Denied::Over { .. })),
        "and it is over with its report"
    );
}

#[test]
fn rule_5_a_failure_arms_nobody_unless_the_arming_said_so() {
    let failed = installing(0).on(30, says("B1", Report::Failed));
    assert_eq!((failed.stage(30), failed.names()), ("failed", vec!["boot.install_failed"]));
    assert!(matches!(failed.begin(31, "B2", "esxi"), Err(Denied::Used { .. })));

    let failed = installing(1).on(30, says("B1", Report::Failed));
    assert_eq!((failed.stage(30), failed.names()), ("armed", vec!["host.armed", "boot.install_failed"]));
    assert!(matches!(failed.payload(31, "B1", "esxi"), Err(Denied::Over { .. })));
    let again = failed.on(40, began("B2", "esxi", true)).on(41, opened("B2", "esxi", true));
    let failed = again.on(50, says("B2", Report::Failed));
    assert_eq!(failed.stage(50), "failed", "the one retry is used");
    assert!(failed.begin(51, "B3", "esxi").is_err());
}

#[test]
fn rule_5_no_retry_once_something_else_is_known() {
    let stories: [(&str, Vec<LifeEvent>); 5] = [
        ("a restart", vec![to_disk("B2")]),
        ("a restart not seen", vec![to_disk("B1")]),
        ("another boot", vec![began("B2", "live", false)]),
        ("success", vec![says("B1", Report::Installed)]),
        ("disarmed", vec![disarm(false)]),
    ];
    for (what, story) in stories {
        let life = story.into_iter().fold(installing(3), |life, event| life.on(30, event));
        let life = life.on(40, says("B1", Report::Failed));
        assert!(life.begin(50, "B3", "esxi").is_err(), "{what}");
        assert!(life.life.arming.is_none(), "{what}");
    }
}

#[test]
fn rule_5_success_after_a_failure_takes_the_retry_back() {
    let life = installing(3).on(30, says("B1", Report::Failed)).on(31, says("B1", Report::Installed));
    assert_eq!((life.stage(31), life.names()), ("installed", vec!["host.disarmed", "boot.installed"]));
    assert_eq!(life.commit, Commit::First, "a crash does not bring it back");
    assert!(life.begin(32, "B2", "esxi").is_err());
    // One that somebody armed since stays.
    let life = installing(0).on(30, says("B1", Report::Failed)).on(31, arm());
    let life = life.on(32, says("B1", Report::Installed));
    assert_eq!(life.stage(32), "armed");
}

#[test]
fn rule_5_a_retry_is_not_good_longer_than_its_arming() {
    let life = Told::adopted().on(0, arm_with(None, Some(at(100)), 3));
    let life = life.on(10, began("B1", "esxi", true)).on(20, opened("B1", "esxi", true));
    assert_eq!(life.clone().on(99, says("B1", Report::Failed)).stage(99), "armed");
    assert_eq!(life.on(100, says("B1", Report::Failed)).stage(100), "failed");
}

#[test]
fn rule_6_one_permission_at_a_time() {
    let armed = Told::adopted().on(0, arm());
    assert!(matches!(armed.refuses(1, arm()), LifeRefusal::AlreadyArmed { .. }));
    assert!(matches!(armed.refuses(1, once("esxi", true)), LifeRefusal::AlreadyArmed { .. }));
    let once_armed = Told::adopted().on(0, once("esxi", true));
    assert!(matches!(once_armed.refuses(1, arm()), LifeRefusal::AlreadyArmed { .. }));
    assert!(matches!(once_armed.refuses(1, once("rescue", false)), LifeRefusal::AlreadyOrdered { .. }));
    assert!(matches!(installing(0).refuses(30, arm()), LifeRefusal::Installing { .. }));
    assert!(matches!(installing(0).refuses(30, once("esxi", true)), LifeRefusal::Installing { .. }));
    installing(0).on(30, once("rescue", false));
    // It may be armed again once it is known how the installation ended, or when nobody expects to hear of it any more.
    for end in [says("B1", Report::Installed), says("B1", Report::Failed), to_disk("B2"), disarm(true)] {
        installing(0).on(30, end).on(31, arm());
    }
    installing(0).on(20 + 4 * 3600, tick()).on(20 + 4 * 3600, arm());
}

#[test]
fn rule_7_lock_and_quarantine_take_everything_unused_away() {
    for doubt in [lock(), quarantine(None)] {
        for order in [arm(), once("esxi", true), once("rescue", false), once("local disk", false)] {
            let life = Told::adopted().on(0, order.clone()).on(1, doubt.clone());
            assert!(life.life.arming.is_none() && life.life.one_shot.is_none(), "{order:?}");
            let again = life.refuses(2, order.clone());
            assert!(matches!(again, LifeRefusal::Locked { .. } | LifeRefusal::Quarantined { .. }), "{again}");
        }
        let life = installing(3).on(30, doubt.clone()).on(31, says("B1", Report::Failed));
        assert!(life.life.arming.is_none(), "no retry");
    }
    let locked = installing(3).on(30, lock());
    assert_eq!(locked.payload(31, "B1", "esxi"), Ok(Allowed::ThisBoot), "the disk is erased already");
    let unlocked = locked.on(31, LifeEvent::Unlock { by: text("carol") });
    assert_eq!(
        unlocked.on(32, says("B1", Report::Failed)).stage(32),
        "failed",
        "what was allowed before is not after"
    );
    let quarantined = installing(0).on(30, quarantine(None));
    assert!(matches!(quarantined.payload(31, "B1", "esxi"), Err(Denied::Quarantined { .. })));
    assert!(matches!(quarantined.next(31, "B1"), NextBoot::Nothing { .. }));
    assert!(matches!(quarantined.refuses(31, began("B2", "live", false)), LifeRefusal::NotPermitted(_)));
}

#[test]
fn a_quarantine_ends_by_itself_or_by_somebody_and_is_not_replaced() {
    let life = Told::adopted().on(0, quarantine(Some(at(100))));
    assert!(matches!(life.refuses(1, quarantine(None)), LifeRefusal::Quarantined { .. }));
    assert!(matches!(life.next(99, "B1"), NextBoot::Nothing { .. }));
    assert_eq!(life.next(100, "B1"), NextBoot::Pins);
    let swept = life.clone().on(100, arm());
    assert_eq!(swept.names(), ["host.released", "host.armed"]);
    let released = life.on(1, LifeEvent::Release { by: text("alice") });
    assert_eq!(released.names(), ["host.released"]);
    assert!(matches!(released.refuses(2, LifeEvent::Release { by: text("a") }), LifeRefusal::NotQuarantined));
    assert!(matches!(released.refuses(2, LifeEvent::Unlock { by: text("a") }), LifeRefusal::NotLocked));
}

#[test]
fn rule_8_a_one_shot_decides_before_an_arming() {
    let life = Told::adopted().on(0, arm()).on(1, once("rescue", false));
    assert_eq!(life.next(2, "B1"), NextBoot::Image { image: image("rescue"), by: text("bob") });
    assert!(matches!(life.begin(2, "B1", "esxi"), Err(Denied::OneShotFirst { .. })));
    let life = life.on(2, began("B1", "rescue", false)).on(3, opened("B1", "rescue", false));
    assert_eq!((life.names(), life.commit), (vec!["host.once_used"], Commit::First));
    assert_eq!(life.next(60, "B2"), NextBoot::Pins);
    assert_eq!(life.begin(60, "B2", "esxi"), Ok(Allowed::Arming), "then it is the arming's turn");
}

#[test]
fn rule_8_a_harmless_one_shot_permits_nothing_destructive() {
    let life = Told::adopted().on(0, once("esxi", false));
    assert!(matches!(life.begin(1, "B1", "esxi"), Err(Denied::OneShotFirst { .. })));
    assert!(matches!(life.refuses(1, began("B1", "esxi", true)), LifeRefusal::NotPermitted(_)));
}

#[test]
fn an_armed_one_shot_is_for_its_image_and_version() {
    let life = Told::adopted().on(0, once("esxi@v1", true));
    assert_eq!(life.stage(0), "armed");
    for other in ["esxi", "esxi@v2", "debian"] {
        assert!(matches!(life.begin(1, "B1", other), Err(Denied::OtherImage { .. })), "{other}");
    }
    assert_eq!(life.begin(1, "B1", "esxi@v1"), Ok(Allowed::OneShot));
    let life = life.on(1, began("B1", "esxi@v1", true)).on(2, opened("B1", "esxi", true));
    assert_eq!(life.names(), ["host.once_used", "boot.install_began"]);
    assert!(life.life.one_shot.is_none());
    assert!(matches!(life.next(60, "B2"), NextBoot::PinsExcept { .. }));
}

#[test]
fn an_arming_for_one_image_is_for_no_other() {
    let life = Told::adopted().on(0, arm_with(Some("esxi"), None, 0));
    assert!(matches!(life.begin(1, "B1", "debian"), Err(Denied::OtherImage { .. })));
    assert_eq!(life.begin(1, "B1", "esxi@v7"), Ok(Allowed::Arming));
    assert_eq!(permits(&life.life, Gate::Begin, None, &image("esxi"), at(1)), Ok(Allowed::Arming));
    let nobody = permits(&life.life, Gate::Payload, None, &image("esxi"), at(1));
    assert_eq!(nobody, Err(Denied::NotOfThisBoot), "nothing is handed out to no boot");
}

#[test]
fn local_disk_once_holds_for_every_nic_of_one_boot() {
    let life = Told::adopted().on(0, once("local disk", false));
    assert!(matches!(life.next(1, "NIC1"), NextBoot::LocalDisk { by: Some(_) }));
    let life = life.on(1, to_disk("NIC1"));
    assert_eq!((life.stage(1), life.names()), ("local_disk", vec!["host.once_used"]));
    assert_eq!(life.next(60, "NIC2"), NextBoot::LocalDisk { by: None });
    assert_eq!(life.next(301, "NEXT"), NextBoot::Pins);
    let earlier = next(&life.life, Some("B"), UnixTime(5));
    assert_eq!(earlier, NextBoot::Pins, "a clock that was set back does not hold a machine for years");
}

#[test]
fn what_expires_is_gone_for_every_event_and_for_every_question() {
    let armed = Told::adopted().on(0, arm_with(None, Some(at(100)), 0));
    assert_eq!((armed.stage(99), armed.stage(100)), ("armed", "adopted"));
    assert_eq!(armed.begin(99, "B1", "esxi"), Ok(Allowed::Arming));
    assert!(matches!(armed.begin(100, "B1", "esxi"), Err(Denied::Expired { .. })));
    let swept = armed.clone().on(100, tick());
    assert_eq!((swept.names(), swept.commit), (vec!["host.disarmed"], Commit::Later));
    let begun = armed.on(99, began("B1", "esxi", true));
    assert!(
        matches!(begun.payload(100, "B1", "esxi"), Err(Denied::Expired { .. })),
        "too late for its payload"
    );
    let shot = LifeEvent::BootOnce {
        by: text("bob"),
        what: OnceBoot::Image(image("esxi")),
        armed: true,
        expires: Some(at(100)),
        retries: 0,
    };
    let life = Told::adopted().on(0, shot);
    assert!(matches!(life.begin(100, "B1", "esxi"), Err(Denied::Expired { .. })));
    assert_eq!(life.next(100, "B1"), NextBoot::Pins);
    assert_eq!(life.on(100, tick()).names(), ["host.disarmed", "host.once_withdrawn"]);
}

#[test]
fn rule_9_a_clock_behind_the_arming_permits_nothing() {
    let life = Told::adopted().on(0, arm_with(None, Some(at(100)), 0));
    let ask = |now| permits(&life.life, Gate::Begin, Some("B1"), &image("esxi"), now);
    assert_eq!(ask(UnixTime(T0.0 - 600)), Ok(Allowed::Arming), "small corrections are no doubt");
    assert!(matches!(ask(UnixTime(T0.0 - 601)), Err(Denied::ClockBehind { .. })));
    assert!(matches!(ask(UnixTime(0)), Err(Denied::ClockBehind { .. })));
    let later = step(&life.life, tick(), UnixTime(0)).unwrap();
    assert!(later.life.arming.is_some(), "it is kept until the clock can say");
    let forever = Told::adopted().on(0, arm());
    assert_eq!(permits(&forever.life, Gate::Begin, None, &image("esxi"), UnixTime(0)), Ok(Allowed::Arming));
}

#[test]
fn silence_is_told_once_and_does_not_end_a_slow_installation() {
    let hours = 4 * 3600;
    let life = installing(0).on(20 + hours - 1, tick());
    assert_eq!(life.commit, Commit::Nothing);
    let life = life.on(20 + hours, tick());
    assert_eq!((life.stage(20 + hours), life.names()), ("silent", vec!["boot.install_silent"]));
    assert!(life.clone().on(21 + hours, tick()).effects.is_empty());
    assert_eq!(life.payload(21 + hours, "B1", "esxi"), Ok(Allowed::ThisBoot));
    let life = life.on(22 + hours, says("B1", Report::Progress));
    assert_eq!(life.stage(22 + hours), "installing");
    let booting = Told::adopted().on(0, arm()).on(0, began("B1", "esxi", true)).on(1800, tick());
    assert_eq!(booting.names(), ["boot.went_silent"]);
    assert_eq!(booting.stage(1800), "armed", "nothing was given out");
    assert_eq!(booting.begin(1801, "B2", "esxi"), Ok(Allowed::Arming));
}

#[test]
fn a_clock_set_forward_and_back_does_not_make_silence_last() {
    let life = installing(0).on(1_000_000, says("B1", Report::Progress)).on(100, tick());
    assert_eq!(life.life.heard, at(100));
    assert_eq!(life.on(100 + 4 * 3600, tick()).names(), ["boot.install_silent"]);
}

#[test]
fn an_operator_says_that_it_is_installed() {
    let mark =
        |name: &str| LifeEvent::MarkInstalled { by: text("alice"), image: image(name), destructive: true };
    let life = installing(2).on(30, mark("esxi"));
    assert_eq!((life.stage(30), life.names()), ("installed", vec!["boot.installed"]));
    let installed = life.life.installed.clone().unwrap();
    assert_eq!((installed.boot.as_deref(), installed.told), (Some("B1"), super::super::Told::Operator));
    assert!(life.on(31, says("B1", Report::Failed)).life.arming.is_none());
    let other = Told::adopted().on(1, mark("debian@v1"));
    assert_eq!(other.life.installed.clone().unwrap().boot, None);
    assert!(matches!(other.next(2, "B1"), NextBoot::PinsExcept { why: Spared::Installed { .. }, .. }));
    assert!(matches!(
        Told::adopted().on(0, arm()).refuses(1, mark("esxi")),
        LifeRefusal::AlreadyArmed { .. }
    ));
}

#[test]
fn an_installed_host_is_spared_its_image_and_boots_everything_else() {
    let life = installing(0).on(30, says("B1", Report::Installed)).on(40, to_disk("B2"));
    let NextBoot::PinsExcept { image: spared, why } = life.next(41, "B3") else { panic!("it is not spared") };
    assert_eq!((spared, why), (image("esxi"), Spared::Installed { at: at(30) }));
    let life = life.on(50, began("B3", "live", false)).on(51, opened("B3", "live", false));
    let life = life.on(52, says("B3", Report::Up));
    assert_eq!(life.stage(52), "up");
    assert_eq!(life.on(60, arm()).next(61, "B4"), NextBoot::Pins);
    // An image that erases nothing is never in the way of itself.
    let harmless = Told::adopted().on(0, began("B1", "live", false)).on(1, says("B1", Report::Installed));
    assert_eq!(harmless.stage(1), "installed");
    assert_eq!(harmless.next(2, "B2"), NextBoot::Pins);
}

#[test]
fn an_assumed_installation_is_corrected_by_who_knows() {
    let assumed = installing(0).on(30, to_disk("B2"));
    assert_eq!(assumed.life.installed.as_ref().map(|it| it.told), Some(super::super::Told::Nobody));
    let up = assumed.clone().on(40, says("B1", Report::Up));
    assert_eq!(up.names(), ["boot.installed", "boot.up"]);
    assert_eq!(up.life.installed.as_ref().map(|it| it.told), Some(super::super::Told::Up));
    let failed = assumed.on(40, says("B1", Report::Failed));
    assert_eq!((failed.stage(40), failed.life.installed.is_none()), ("failed", true));
    assert!(matches!(failed.next(41, "B3"), NextBoot::PinsExcept { why: Spared::Begun { .. }, .. }));
    assert_eq!(failed.clone().on(50, to_disk("B3")).stage(50), "failed", "it stays to be seen");
}

#[test]
fn disarming_takes_back_what_waits_and_when_asked_what_runs() {
    assert!(matches!(Told::adopted().refuses(0, disarm(true)), LifeRefusal::NothingArmed));
    assert!(matches!(installing(0).refuses(30, disarm(false)), LifeRefusal::NothingArmed));
    let waits = Told::adopted().on(0, arm()).on(1, disarm(false));
    assert_eq!((waits.stage(1), waits.names()), ("adopted", vec!["host.disarmed"]));
    let once = Told::adopted().on(0, once("esxi", true)).on(1, disarm(false));
    assert_eq!(once.names(), ["host.disarmed", "host.once_withdrawn"]);
    let retries = installing(2).on(30, disarm(false));
    assert_eq!((retries.stage(30), retries.names()), ("installing", vec!["host.disarmed"]));
    let running = installing(2).on(30, disarm(true));
    assert_eq!((running.stage(30), running.names()), ("failed", vec!["boot.install_failed"]));
    assert!(matches!(running.payload(31, "B1", "esxi"), Err(Denied::Over { .. })));
}

#[test]
fn forgetting_leaves_a_host_as_it_was_adopted() {
    let life = installing(3).on(30, once("rescue", false)).on(31, LifeEvent::Forget { by: text("alice") });
    assert_eq!(life.life, Life::adopted(at(31)));
    assert!(life.payload(32, "B1", "esxi").is_err());
    for doubt in [lock(), quarantine(None)] {
        let life = Told::adopted().on(0, doubt);
        let refusal = life.refuses(1, LifeEvent::Forget { by: text("alice") });
        assert!(matches!(refusal, LifeRefusal::Locked { .. } | LifeRefusal::Quarantined { .. }), "{refusal}");
    }
}

#[test]
fn nothing_is_ordered_for_a_host_that_nobody_adopted() {
    let life = Told { life: Life::discovered(T0), ..Told::adopted() };
    for order in [arm(), once("rescue", false)] {
        assert!(matches!(life.refuses(0, order), LifeRefusal::NotAdopted));
    }
    let life = life.on(1, began("B1", "live", false)).on(2, says("B1", Report::Up)).on(3, to_disk("B2"));
    assert_eq!(life.stage(3), "discovered");
    assert!(matches!(Told::adopted().refuses(0, adopt()), LifeRefusal::AlreadyAdopted));
}

#[test]
fn what_outside_gives_is_bounded() {
    let life = Told::adopted();
    let long: Arc<str> = "x".repeat(300).into();
    let refused = [
        LifeEvent::Arm { by: text(""), image: None, expires: None, retries: 0 },
        LifeEvent::Lock { by: text("a"), reason: long.clone() },
        LifeEvent::Quarantine { by: long.clone(), reason: text("r"), until: None },
        LifeEvent::Reported { boot: long.clone(), report: Report::Up, detail: None },
    ];
    for event in refused {
        assert!(matches!(life.refuses(0, event), LifeRefusal::BadText { .. }));
    }
    assert!(matches!(life.refuses(5, arm_with(None, Some(at(5)), 0)), LifeRefusal::AlreadyOver { .. }));
    assert!(matches!(life.refuses(0, arm_with(None, None, 10)), LifeRefusal::TooManyRetries { retries: 10 }));
    assert!(matches!(life.refuses(0, once("local disk", true)), LifeRefusal::DiskNeedsNoArming));
    let detail = Some("ß".repeat(300).into());
    let told = installing(0).on(30, LifeEvent::Reported { boot: text("B1"), report: Report::Failed, detail });
    assert_eq!(told.life.detail.as_ref().map(|text| text.len()), Some(256));
}

#[test]
fn every_refusal_names_its_fix() {
    let denials = [
        Denied::Quarantined { by: text("a"), reason: text("r") },
        Denied::NotArmed,
        Denied::Used { boot: text("B1"), at: T0 },
        Denied::Over { at: T0 },
        Denied::Expired { at: T0 },
        Denied::ClockBehind { at: T0 },
        Denied::OtherImage { armed_for: image("esxi") },
        Denied::OneShotFirst { what: OnceBoot::LocalDisk },
        Denied::NotOfThisBoot,
    ];
    let mut texts: Vec<String> = denials.iter().map(Denied::to_string).collect();
    texts.push(installing(0).refuses(30, arm()).to_string());
    texts.push(Told::adopted().on(0, lock()).refuses(1, arm()).to_string());
    for text in &texts {
        assert!(text.contains("; "), "{text}");
    }
    assert_eq!(
        Told::adopted().on(0, lock()).refuses(1, arm()).to_string(),
        "it was locked by carol at 2027-01-15T08:00:00Z (production); unlock it first"
    );
}
