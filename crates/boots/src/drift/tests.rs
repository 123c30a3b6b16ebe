use super::*;
use crate::life::{LifeEvent, Report, step};

const T0: UnixTime = UnixTime(1_800_000_000);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn image(text: &str) -> ImageRef {
    ImageRef::of(&match text.split_once('@') {
        Some((own, version)) => name(own).at_version(&name(version)),
        None => name(text),
    })
}

fn wants(text: &str, destructive: bool) -> Wanted {
    Wanted::Image { image: image(text), destructive, values: 7 }
}

fn lived(story: Vec<LifeEvent>) -> Life {
    story.into_iter().fold(Life::adopted(T0), |life, event| step(&life, event, T0).unwrap().life)
}

/// A boot of an image, made of this version and these values, to its payload.
fn boots(text: &str, version: &str, values: Option<u64>, destructive: bool) -> Vec<LifeEvent> {
    let boot: Arc<str> = "B1".into();
    let arm = LifeEvent::Arm { by: "alice".into(), image: None, expires: None, retries: 0 };
    let version = Some(version).filter(|text| !text.is_empty()).map(name);
    let mut story = if destructive { vec![arm] } else { vec![] };
    story.extend([
        LifeEvent::BootBegan { boot: boot.clone(), image: image(text), destructive },
        LifeEvent::BootMeant { meant: Meant { boot: boot.clone(), version, values } },
        LifeEvent::PayloadOpened { boot, image: image(text), destructive },
    ]);
    story
}

fn says(report: Report) -> LifeEvent {
    LifeEvent::Reported { boot: "B1".into(), report, detail: Some("no disk".into()) }
}

fn codes(wanted: &Wanted, life: Option<&Life>) -> (&'static str, Vec<&'static str>, Vec<&'static str>) {
    let Drift { standing, differences, notes, .. } = drift(wanted, life, T0);
    let differences = differences.iter().map(Difference::code).collect();
    (standing.as_str(), differences, notes.iter().map(Note::code).collect())
}

#[test]
fn an_installed_host_is_in_step_until_image_version_or_values_change() {
    let life = lived([boots("esxi", "v1", Some(7), true), vec![says(Report::Installed)]].concat());
    let of = |wanted| codes(&wanted, Some(&life));
    assert_eq!(of(wants("esxi@v1", true)), ("in-step", vec![], vec![]));
    assert_eq!(of(wants("esxi@v2", true)), ("drifted", vec!["version"], vec![]));
    assert_eq!(of(wants("debian@v1", true)), ("drifted", vec!["image"], vec![]));
    let changed = Wanted::Image { image: image("esxi@v1"), destructive: true, values: 8 };
    assert_eq!(of(changed), ("drifted", vec!["values"], vec![]));
    // Its next boots go to its disk, as they should.
    let rests = step(&life, LifeEvent::SentToDisk { boot: None }, T0).unwrap().life;
    assert_eq!(codes(&wants("esxi@v1", true), Some(&rests)), ("in-step", vec![], vec![]));
}

#[test]
fn a_rescue_system_that_fails_on_an_installed_host_is_no_drift() {
    let own = |boot: &str| -> Arc<str> { boot.into() };
    let mut life = lived([boots("esxi", "v1", Some(7), true), vec![says(Report::Installed)]].concat());
    for event in [
        LifeEvent::BootBegan { boot: own("B2"), image: image("rescue"), destructive: false },
        LifeEvent::PayloadOpened { boot: own("B2"), image: image("rescue"), destructive: false },
    ] {
        life = step(&life, event, T0).unwrap().life;
    }
    let after = |event| {
        let life =
            step(&life, event, T0.saturating_add(std::time::Duration::from_secs(86_400))).unwrap().life;
        (life.phase, codes(&wants("esxi@v1", true), Some(&life)))
    };
    let in_step = ("in-step", vec![], vec![]);
    let failed = LifeEvent::Reported { boot: own("B2"), report: Report::Failed, detail: None };
    assert_eq!(after(failed), (Phase::Failed, in_step.clone()));
    assert_eq!(after(LifeEvent::Tick { timeouts: Default::default() }), (Phase::Silent, in_step.clone()));
    let cached = LifeEvent::SeenWithoutNetworkBoot { reported: Some(own("B0")) };
    let (_, cached) = after(cached);
    assert_eq!((cached.0, cached.1), ("in-step", vec![]));
    // The installation itself is another matter.
    let arm = LifeEvent::Arm { by: "alice".into(), image: None, expires: None, retries: 0 };
    let mut life = step(&life, arm, T0).unwrap().life;
    for event in [
        LifeEvent::BootBegan { boot: own("B3"), image: image("esxi"), destructive: true },
        LifeEvent::PayloadOpened { boot: own("B3"), image: image("esxi"), destructive: true },
        LifeEvent::Reported { boot: own("B3"), report: Report::Failed, detail: None },
    ] {
        life = step(&life, event, T0).unwrap().life;
    }
    assert!(codes(&wants("esxi@v1", true), Some(&life)).1.contains(&"failed"));
}

#[test]
fn what_was_never_booted_or_never_confirmed_is_drift() {
    assert_eq!(codes(&wants("esxi@v1", true), None), ("drifted", vec!["never_installed"], vec![]));
    assert_eq!(codes(&wants("live@v1", false), None), ("drifted", vec!["never_booted"], vec![]));
    let silent =
        lived([boots("esxi", "v1", Some(7), true), vec![LifeEvent::SentToDisk { boot: None }]].concat());
    assert_eq!(codes(&wants("esxi@v1", true), Some(&silent)), ("drifted", vec!["unconfirmed"], vec![]));
    let failed = lived([boots("esxi", "v1", Some(7), true), vec![says(Report::Failed)]].concat());
    assert_eq!(
        codes(&wants("esxi@v1", true), Some(&failed)),
        ("drifted", vec!["never_installed", "failed"], vec![])
    );
    let by_hand =
        lived(vec![LifeEvent::MarkInstalled { by: "bob".into(), image: image("esxi"), destructive: true }]);
    assert_eq!(
        codes(&wants("esxi@v1", true), Some(&by_hand)),
        ("in-step", vec![], vec!["by_hand", "version_unknown", "values_unknown"])
    );
}

#[test]
fn a_live_image_is_compared_with_the_newest_boot() {
    let up = lived([boots("live", "v1", Some(7), false), vec![says(Report::Up)]].concat());
    assert_eq!(codes(&wants("live@v1", false), Some(&up)), ("in-step", vec![], vec![]));
    assert_eq!(codes(&wants("live@v2", false), Some(&up)), ("drifted", vec!["version"], vec![]));
    let cached =
        step(&up, LifeEvent::SeenWithoutNetworkBoot { reported: Some("B0".into()) }, T0).unwrap().life;
    assert_eq!(codes(&wants("live@v1", false), Some(&cached)), ("drifted", vec!["from_cache"], vec![]));
    let left = step(&up, LifeEvent::SentToDisk { boot: None }, T0).unwrap().life;
    assert_eq!(codes(&wants("live@v1", false), Some(&left)), ("drifted", vec!["local_disk"], vec![]));
    // Digests by other rules than today's compare with nothing.
    let unknown = lived([boots("live", "v1", None, false), vec![says(Report::Up)]].concat());
    assert_eq!(codes(&wants("live@v1", false), Some(&unknown)), ("in-step", vec![], vec!["values_unknown"]));
    let old =
        lived(vec![LifeEvent::BootBegan { boot: "B1".into(), image: image("live"), destructive: false }]);
    let (standing, _, notes) = codes(&wants("live@v1", false), Some(&old));
    assert_eq!((standing, notes), ("in-step", vec!["under_way", "version_unknown", "values_unknown"]));
}

#[test]
fn nothing_wanted_is_no_drift_and_what_cannot_be_told_says_so() {
    let life = lived(boots("live", "v1", Some(7), false));
    assert_eq!(codes(&Wanted::Nothing, Some(&life)), ("unmanaged", vec![], vec!["under_way"]));
    let undecided = Wanted::Undecided { why: "image gone".into() };
    assert_eq!(codes(&undecided, None), ("undecided", vec![], vec![]));
}

#[test]
fn who_is_locked_quarantined_or_ordered_for_is_held() {
    let held = |event| {
        let life = lived(vec![event]);
        let drift = drift(&wants("esxi@v1", true), Some(&life), T0);
        assert!(drift.is_held());
        drift.notes.iter().map(Note::code).collect::<Vec<_>>()
    };
    assert_eq!(held(LifeEvent::Lock { by: "carol".into(), reason: "production".into() }), ["locked"]);
    let quarantine = LifeEvent::Quarantine { by: "carol".into(), reason: "odd".into(), until: None };
    assert_eq!(held(quarantine), ["quarantined"]);
    let arm = LifeEvent::Arm { by: "alice".into(), image: None, expires: None, retries: 0 };
    assert_eq!(held(arm), ["ordered"]);
    assert!(!drift(&wants("esxi@v1", true), None, T0).is_held());
}
