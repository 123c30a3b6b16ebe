use super::score::{Change, FIRM, GUID_WEIGHT, MAC_WEIGHT, SERIAL_WEIGHT, Score, score};
use crate::tests_support::{name, parts};
use crate::{BootState, Catalog, CatalogParts, Decision, Standing, Target, decide};
use proptest::prelude::*;
use types::resource::{Host, HostMatch, OneOrMany};
use types::{Facts, MacAddr, MachineGuid, Stage};

fn guid(number: u8) -> MachineGuid {
    MachineGuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, number])
}

fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

/// A record or a machine: the number of each term, 0 for none.
type Terms = (u8, u8, u8);

fn record((own_guid, own_serial, own_mac): Terms) -> HostMatch {
    HostMatch {
        mac: OneOrMany((own_mac > 0).then(|| mac(own_mac)).into_iter().collect()),
        uuid: (own_guid > 0).then(|| guid(own_guid)),
        serial: (own_serial > 0).then(|| format!("SN{own_serial}")),
    }
}

fn machine((own_guid, own_serial, own_mac): Terms) -> Facts {
    Facts {
        mac: (own_mac > 0).then(|| mac(own_mac)),
        guid: (own_guid > 0).then(|| guid(own_guid)),
        serial: (own_serial > 0).then(|| format!("sn{own_serial} ").into()),
        smbios: own_serial > 0,
        stage: Stage::Ipxe,
        ..Facts::default()
    }
}

fn catalog(records: &[(&str, Terms)]) -> Catalog {
    let hosts = records.iter().map(|(own, terms)| {
        let mut host = Host::new(name(own), record(*terms));
        host.image = Some(name("wipe"));
        host
    });
    Catalog::build(CatalogParts { hosts: hosts.collect(), ..parts() }).unwrap()
}

/// Host, firmness and number of changes; `not web` for another machine with something of it.
fn stands(records: &[(&str, Terms)], terms: Terms) -> String {
    match catalog(records).standing(&machine(terms)) {
        Standing::Unknown => "unknown".to_owned(),
        Standing::Known { host, changes, firm, .. } => {
            let firm = if firm { "firm" } else { "unsure" };
            let changed: Vec<_> = changes.iter().map(Change::term).collect();
            format!("{} {firm} {}", host.name, changed.join("+")).trim_end().to_owned()
        }
        Standing::Other { host, .. } => format!("not {}", host.name),
        Standing::Conflict(claims) => {
            let hosts: Vec<_> = claims.iter().map(|(host, _)| host.name.to_string()).collect();
            format!("conflict {}", hosts.join("+"))
        }
    }
}

#[test]
fn every_change_of_a_machine_has_its_answer() {
    let whole = ("web", (1, 1, 1));
    // (guid, serial, mac): 1 as recorded, 9 another, 0 not said.
    for (terms, expected) in [
        ((1, 1, 1), "web firm"),
        ((0, 0, 1), "web firm"),
        ((1, 0, 1), "web firm"),
        // The card was replaced.
        ((1, 0, 9), "web unsure mac"),
        ((1, 1, 9), "web firm mac"),
        // The board was replaced, the card is an add-in one.
        ((9, 0, 1), "web unsure uuid"),
        ((9, 1, 1), "web firm uuid"),
        // The board was replaced with the card on it.
        ((9, 1, 9), "web unsure uuid+mac"),
        ((9, 1, 0), "web unsure uuid"),
        // The serial number was not written into the new board.
        ((1, 9, 1), "web firm serial"),
        // A cloned virtual machine.
        ((1, 9, 9), "web unsure serial+mac"),
        ((1, 9, 0), "web unsure serial"),
        // Its card is in another machine.
        ((9, 9, 1), "not web"),
        ((9, 0, 9), "unknown"),
        ((9, 9, 9), "unknown"),
        ((0, 0, 0), "unknown"),
    ] {
        assert_eq!(stands(&[whole], terms), expected, "{terms:?}");
    }
    // What a record does not say cannot differ.
    assert_eq!(stands(&[("web", (0, 0, 1))], (9, 9, 1)), "web firm");
    assert_eq!(stands(&[("web", (1, 0, 0))], (1, 9, 9)), "web firm");
}

#[test]
fn terms_of_two_hosts_are_a_conflict_however_much_speaks_for_one() {
    let two = [("web", (1, 1, 1)), ("db", (2, 2, 2))];
    assert_eq!(stands(&two, (1, 1, 2)), "conflict web+db+web");
    assert_eq!(stands(&two, (2, 0, 1)), "conflict db+web");
}

#[test]
fn nothing_agrees_is_not_this_host() {
    for differ in 0..=11 {
        let score = Score { agree: 0, differ };
        assert!(!score.is_it() && !score.is_firm());
    }
}

#[test]
fn one_term_outweighs_any_one_other_and_a_serial_guid_and_mac() {
    let weights = [GUID_WEIGHT, SERIAL_WEIGHT, MAC_WEIGHT];
    for agree in weights {
        assert!(weights.iter().all(|&differ| Score { agree, differ }.is_it()));
    }
    assert!(Score { agree: SERIAL_WEIGHT, differ: GUID_WEIGHT + MAC_WEIGHT }.is_it());
    assert!(!Score { agree: MAC_WEIGHT, differ: GUID_WEIGHT + SERIAL_WEIGHT }.is_it());
}

#[test]
fn firm_is_what_does_not_differ_or_two_terms_that_agree() {
    assert!(Score { agree: MAC_WEIGHT, differ: 0 }.is_firm());
    for differ in [GUID_WEIGHT, SERIAL_WEIGHT, MAC_WEIGHT] {
        assert!(!Score { agree: GUID_WEIGHT.max(SERIAL_WEIGHT), differ }.is_firm());
    }
    for agree in [GUID_WEIGHT + MAC_WEIGHT, SERIAL_WEIGHT + MAC_WEIGHT, GUID_WEIGHT + SERIAL_WEIGHT] {
        assert!(agree >= FIRM && Score { agree, differ: SERIAL_WEIGHT }.is_firm());
    }
}

fn outcome(records: &[(&str, Terms)], facts: &Facts) -> String {
    let catalog = catalog(records);
    match decide(&catalog, facts, &BootState::armed()).decision {
        Decision::Boot(plan) => match plan.target {
            Target::Image(image) => image.name.to_string(),
            other => format!("{other:?}"),
        },
        Decision::LeaveAlone(reason) => reason.as_str().to_owned(),
    }
}

#[test]
fn an_armed_host_whose_identity_changed_erases_nothing_before_it_is_sure() {
    let whole = [("web", (1, 1, 1))];
    assert_eq!(outcome(&whole, &machine((1, 1, 1))), "wipe");
    assert_eq!(outcome(&whole, &machine((9, 1, 1))), "wipe");
    assert_eq!(outcome(&whole, &machine((1, 9, 9))), "LocalDisk");
    // A ROM cannot say its serial number; iPXE is asked before that counts.
    let rom = Facts { stage: Stage::Rom, firmware: Some(types::Firmware::Bios), ..machine((9, 0, 1)) };
    assert_eq!(outcome(&whole, &rom), "Ask");
    let told = Facts { smbios: true, stage: Stage::Ipxe, ..rom.clone() };
    assert_eq!(outcome(&whole, &told), "LocalDisk");
    // A record without one has nothing to ask for.
    assert_eq!(outcome(&[("web", (1, 0, 1))], &rom), "local_disk");
    let catalog = catalog(&whole);
    let trace = decide(&catalog, &told, &BootState::armed()).trace.to_string();
    assert!(trace.contains("reveille host accept-change web"), "{trace}");
}

#[test]
fn a_doubted_guid_counts_nothing_and_the_mac_decides() {
    let whole = [("web", (1, 0, 1))];
    let doubted = |terms| Facts { guid_doubted: true, ..machine(terms) };
    assert_eq!(outcome(&whole, &doubted((1, 0, 1))), "wipe");
    assert_eq!(outcome(&whole, &doubted((1, 0, 9))), "Menu");
    let trace = decide(&catalog(&whole), &doubted((1, 0, 9)), &BootState::armed()).trace.to_string();
    assert!(trace.contains("machine conflicts"), "{trace}");
}

#[test]
fn a_record_with_a_serial_that_is_nobodys_is_warned_of_and_matches_nobody_by_it() {
    let mut host = Host::new(name("web"), record((0, 0, 1)));
    host.identity.serial = Some("To be filled by O.E.M.".to_owned());
    let mut other = Host::new(name("db"), record((0, 0, 2)));
    other.identity.serial = host.identity.serial.clone();
    let catalog = Catalog::build(CatalogParts { hosts: vec![host, other], ..parts() }).unwrap();
    assert_eq!(catalog.warnings().len(), 2);
    assert!(catalog.warnings()[0].to_string().contains("counts nothing"));
    let facts = Facts { serial: Some("to be filled by o.e.m.".into()), ..machine((0, 0, 9)) };
    assert_eq!(catalog.standing(&facts), Standing::Unknown);
}

fn any_terms() -> impl Strategy<Value = Terms> {
    (0u8..6, 0u8..6, 0u8..6)
}

/// Records that share no term.
fn any_records() -> impl Strategy<Value = Vec<(String, Terms)>> {
    let numbers = || Just((1u8..6).collect::<Vec<_>>()).prop_shuffle();
    (numbers(), numbers(), numbers(), prop::collection::vec(1u8..8, 0..=5)).prop_map(
        |(guids, serials, macs, masks)| {
            let term = |list: &[u8], at: usize, there: bool| {
                if there { list.get(at).copied().unwrap_or(0) } else { 0 }
            };
            masks
                .iter()
                .enumerate()
                .map(|(at, mask)| {
                    let own = (
                        term(&guids, at, mask & 1 > 0),
                        term(&serials, at, mask & 2 > 0),
                        term(&macs, at, mask & 4 > 0),
                    );
                    (format!("h{at}"), own)
                })
                .collect()
        },
    )
}

fn of(records: &[(String, Terms)], terms: Terms) -> String {
    let borrowed: Vec<_> = records.iter().map(|(own, terms)| (own.as_str(), *terms)).collect();
    stands(&borrowed, terms)
}

proptest! {
    #[test]
    fn the_order_of_the_records_does_not_matter(
        (one, other) in any_records().prop_flat_map(|one| (Just(one.clone()), Just(one).prop_shuffle())),
        terms in any_terms(),
    ) {
        prop_assert_eq!(of(&one, terms), of(&other, terms));
    }

    #[test]
    fn a_host_that_shares_no_term_with_a_machine_changes_nothing_for_it(
        records in any_records(), terms in any_terms(), new in (1u8..4, 1u8..4, 1u8..4),
    ) {
        let mut more = records.clone();
        // Numbers that nobody above has.
        more.insert(0, ("new".to_owned(), (new.0 + 50, new.1 + 50, new.2 + 50)));
        prop_assert_eq!(of(&records, terms), of(&more, terms));
    }

    #[test]
    fn more_that_agrees_never_speaks_against_and_more_that_differs_never_for(
        agree in 0u8..=11, differ in 0u8..=11, more in 0u8..=11,
    ) {
        let score = Score { agree, differ };
        let (better, worse) = (Score { agree: agree + more, differ }, Score { agree, differ: differ + more });
        prop_assert!(!score.is_it() || better.is_it());
        prop_assert!(!score.is_firm() || better.is_firm());
        prop_assert!(!worse.is_it() || score.is_it());
        prop_assert!(!worse.is_firm() || score.is_firm());
        prop_assert!(!score.is_firm() || score.is_it());
    }

    #[test]
    fn what_is_nobodys_weighs_nothing(own in any_terms(), said in any_terms()) {
        let nobodys = Facts {
            guid: Some(MachineGuid([0; 16])),
            serial: Some("Default string".into()),
            ..machine((0, 0, said.2))
        };
        prop_assert_eq!(score(&record(own), &nobodys), score(&record(own), &machine((0, 0, said.2))));
        let mut record_of_nobody = record((0, 0, own.2));
        record_of_nobody.uuid = Some(MachineGuid([0xff; 16]));
        record_of_nobody.serial = Some("None".to_owned());
        prop_assert_eq!(score(&record_of_nobody, &machine(said)), score(&record((0, 0, own.2)), &machine(said)));
    }

    #[test]
    fn either_byte_order_is_the_same_machine(records in any_records(), terms in any_terms()) {
        let borrowed: Vec<_> = records.iter().map(|(own, terms)| (own.as_str(), *terms)).collect();
        let catalog = catalog(&borrowed);
        let said = machine(terms);
        let swapped = Facts { guid: said.guid.map(MachineGuid::swapped), ..said.clone() };
        let host = |facts: &Facts| catalog.identify(facts).map(|host| host.name.clone());
        prop_assert_eq!(host(&said), host(&swapped));
    }
}
