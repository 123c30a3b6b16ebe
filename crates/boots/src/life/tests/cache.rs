//! Rule 10: boots from a cache.

use super::*;

fn seen(reported: Option<&str>) -> LifeEvent {
    LifeEvent::SeenWithoutNetworkBoot { reported: reported.map(text) }
}

/// A host that runs a stateless image from the network, booted as `B1`.
fn stateless() -> Told {
    Told::adopted()
        .on(0, began("B1", "esxi-live", false))
        .on(1, opened("B1", "esxi-live", false))
        .on(60, says("B1", Report::Up))
}

#[test]
fn who_names_an_older_boot_runs_from_its_cache_until_its_next() {
    let life = stateless();
    assert!(!life.life.booted_from_cache());
    let life = life.on(100, began("B2", "esxi-live", false));
    let life = life.on(160, says("B1", Report::Up));
    assert_eq!(life.names(), ["boot.from_cache"]);
    let cache = life.life.from_cache.clone().unwrap();
    assert_eq!((cache.reported.as_deref(), cache.expected.as_deref()), (Some("B1"), Some("B2")));
    let again = life.clone().on(200, says("B1", Report::Up));
    assert!(again.effects.is_empty(), "told once");
    assert_eq!(again.life.from_cache.unwrap().since, at(160));
    let begun = life.on(300, began("B3", "esxi-live", false));
    assert!(begun.life.booted_from_cache(), "a script is no boot yet: it may fall back again");
    let opened = begun.clone().on(301, opened("B3", "esxi-live", false));
    assert_eq!(opened.names(), ["boot.left_cache"]);
    let up = begun.on(360, says("B3", Report::Up));
    assert_eq!(up.names(), ["boot.left_cache", "boot.up"]);
}

#[test]
fn who_is_up_without_any_boot_of_ours_runs_from_its_cache() {
    for reported in [None, Some("B1"), Some("B0")] {
        let life = stateless().on(100, seen(reported));
        assert_eq!(life.names(), ["boot.from_cache"], "{reported:?}");
        assert_eq!(life.life.from_cache.unwrap().reported.as_deref(), reported);
    }
    let unknown = Told::adopted().on(0, seen(Some("B0")));
    assert!(unknown.life.booted_from_cache(), "it names a boot of ours that we no longer know");
    assert!(!Told::adopted().on(0, seen(None)).life.booted_from_cache(), "it never booted from us");
}

#[test]
fn a_host_on_its_own_disk_is_no_cached_boot() {
    let installed = installing(0).on(30, says("B1", Report::Installed)).on(100, seen(None));
    assert_eq!((installed.stage(100), installed.life.booted_from_cache()), ("local_disk", false));
    let once = stateless().on(100, once("local disk", false)).on(101, to_disk("B2")).on(160, seen(None));
    assert!(!once.life.booted_from_cache());
    let installing = installing(0).on(60, seen(None));
    assert_eq!((installing.stage(60), installing.commit), ("installing", Commit::Nothing));
    let silent = super::installing(0).on(20 + 4 * 3600, tick()).on(30 + 4 * 3600, seen(None));
    assert_eq!(silent.stage(30 + 4 * 3600), "local_disk");
    assert_eq!(silent.names(), ["boot.install_unconfirmed"]);
}

#[test]
fn what_an_installed_system_says_with_the_id_of_its_installation_is_no_cached_boot() {
    let life = installing(0).on(30, says("B1", Report::Installed)).on(40, to_disk("B2"));
    let life = life.on(100, says("B1", Report::Up));
    assert!(!life.life.booted_from_cache());
    // A rescue boot in between is newer; what the installed system says still counts as its own.
    let life = life.on(200, began("B3", "live", false)).on(201, opened("B3", "live", false));
    let life = life.on(300, says("B1", Report::Up));
    assert!(!life.life.booted_from_cache());
    assert_eq!(life.stage(300), "booting");
}
