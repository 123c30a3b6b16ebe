use super::*;
use crate::{Options, csv, dhcpd, dnsmasq};
use types::resource::{HostMatch, OneOrMany};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn host(text: &str, macs: &[&str]) -> Host {
    let found = csv::read(
        "recorded",
        format!("name,mac\n{text},{}\n", macs.join(" ")).as_bytes(),
        &Options::default(),
    );
    found.hosts[0].host()
}

fn recorded(host: &Host) -> Recorded<'_> {
    Recorded { host, file: None }
}

fn plan_with(hosts: &[Recorded<'_>], networks: &[Network<'_>], list: &str, rules: &Rules) -> ImportPlan {
    let found = csv::read("hosts.csv", list.as_bytes(), &Options::default());
    plan_import(&Existing { hosts, networks, images: None, groups: None }, found, rules)
}

fn plan(hosts: &[Recorded<'_>], list: &str) -> ImportPlan {
    plan_with(hosts, &[], list, &Rules::default())
}

fn marks(plan: &ImportPlan) -> String {
    let mark = |entry: &Entry| match entry.outcome {
        Outcome::Create(_) => '+',
        Outcome::Update { .. } => '~',
        Outcome::Unchanged => '=',
        Outcome::Conflict(_) => '!',
    };
    plan.entries.iter().map(mark).collect()
}

fn conflicts(plan: &ImportPlan, at: usize) -> &[Conflict] {
    match &plan.entries[at].outcome {
        Outcome::Conflict(conflicts) => conflicts,
        other => panic!("no conflict: {other:?}"),
    }
}

const A: &str = "52:54:00:00:00:0a";
const B: &str = "52:54:00:00:00:0b";
const C: &str = "52:54:00:00:00:0c";
const GUID: &str = "4c4c4544-0057-5810-804a-c3c04f463732";

#[test]
fn what_is_not_recorded_is_new() {
    let plan = plan(&[], &format!("name,mac,image\na,{A},debian-12\n"));
    assert_eq!(marks(&plan), "+");
    let writes = plan.writes(Rest::Stop).unwrap();
    assert!(writes[0].new);
    assert_eq!(writes[0].host.image, Some(name("debian-12")));
}

#[test]
fn what_is_recorded_alike_is_unchanged() {
    let a = host("a", &[A, B]);
    let plan = plan(&[recorded(&a)], &format!("name,mac\nA.example,{A}\n"));
    assert_eq!(marks(&plan), "=");
    assert!(plan.writes(Rest::Stop).unwrap().is_empty());
}

#[test]
fn an_update_names_what_differs_and_leaves_the_rest() {
    let mut a = host("a", &[A]);
    a.image = Some(name("old"));
    a.image_version = Some(name("v1"));
    a.params.insert("keep".into(), "1".into());
    a.params.insert("rack".into(), "r1".into());
    a.group = Some(name("web"));
    let before = recorded(&a);
    let list = format!("name,mac,uuid,serial,image,group,params.rack\na,{A} {B},{GUID},S1,new,db,r2\n");
    let plan = plan(&[before], &list);
    let Outcome::Update { host, changes } = &plan.entries[0].outcome else { panic!("{plan}") };
    let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["mac", "uuid", "serial", "image", "image_version", "group", "params.rack"]);
    assert_eq!(host.identity.mac.0.len(), 2);
    assert_eq!(host.image_version, None, "a version of another image means nothing");
    assert_eq!(host.params["keep"], "1");
    assert_eq!(changes[5].before.as_deref(), Some("web"));
    assert_eq!(host.group, Some(name("db")));
    assert!(!plan.writes(Rest::Stop).unwrap()[0].new);
}

#[test]
fn an_empty_cell_takes_nothing_away() {
    let mut a = host("a", &[A]);
    a.image = Some(name("old"));
    a.identity.uuid = GUID.parse().ok();
    let plan = plan(&[recorded(&a)], &format!("name,mac,uuid,image\na,{A},,\n"));
    assert_eq!(marks(&plan), "=");
}

#[test]
fn byte_orders_of_a_guid_and_case_of_a_serial_are_no_difference() {
    let guid: types::MachineGuid = GUID.parse().unwrap();
    let identity = HostMatch { mac: OneOrMany::default(), uuid: Some(guid), serial: Some("AbC".into()) };
    let a = Host { identity, ..host("a", &[A]) };
    let list = format!("name,uuid,serial\na,{},abc\n", guid.wire_text());
    assert_eq!(marks(&plan(&[recorded(&a)], &list)), "=");
    let other = format!("name,uuid\nb,{}\n", guid.wire_text());
    assert!(matches!(conflicts(&plan(&[recorded(&a)], &other), 0), [Conflict::RecordedAs { .. }]));
}

#[test]
fn an_identity_of_another_host_is_a_conflict() {
    let (a, b) = (host("a", &[A]), host("b", &[B]));
    let plan = plan(&[recorded(&a), recorded(&b)], &format!("name,mac\nc,{A}\na,{A} {B}\n"));
    assert_eq!(marks(&plan), "!!");
    assert!(
        conflicts(&plan, 0).contains(&Conflict::RecordedAs { identity: format!("mac {A}"), host: name("a") })
    );
    assert!(
        conflicts(&plan, 1).contains(&Conflict::RecordedAs { identity: format!("mac {B}"), host: name("b") })
    );
    let blocked = plan.writes(Rest::Stop).unwrap_err();
    assert_eq!((blocked.conflicts, blocked.refused), (2, 0));
    assert!(plan.writes(Rest::LeaveOut).unwrap().is_empty());
}

#[test]
fn two_entries_of_one_name_or_identity_are_conflicts_both() {
    let plan = plan(&[], &format!("name,mac\nWEB_1,{A}\nweb-1,{B}\nx,{C}\ny,{C}\nz,52:54:00:00:00:01\n"));
    assert_eq!(marks(&plan), "!!!!+");
    let text = plan.to_string();
    assert!(text.contains("written `web-1`, has the same name"), "{text}");
    assert!(text.contains(&format!("mac {C} also stands at hosts.csv:5 (y)")), "{text}");
    assert!(plan.writes(Rest::Stop).is_err());
    let left: Vec<String> =
        plan.writes(Rest::LeaveOut).unwrap().iter().map(|write| write.host.name.to_string()).collect();
    assert_eq!(left, ["z"]);
}

#[test]
fn a_machine_that_stands_twice_is_one() {
    let list =
        "dhcp-host=52:54:00:00:00:0a,a,10.0.0.5\ndhcp-host=52:54:00:00:00:0a,52:54:00:00:00:0b,a,10.1.0.5\n";
    let found = dnsmasq::read("d", list.as_bytes(), &Options::default());
    let plan = plan_import(&Existing::default(), found, &Rules::default());
    assert_eq!(marks(&plan), "+");
    assert_eq!((plan.entries[0].also.len(), plan.entries[0].reservations.len()), (1, 2));
    let Outcome::Create(host) = &plan.entries[0].outcome else { panic!() };
    assert_eq!(host.identity.mac.0.len(), 2);
}

#[test]
fn a_name_that_is_another_machines_is_a_conflict_unless_the_list_is_right() {
    let mut a = host("a", &[A]);
    let list = format!("name,mac\na,{B}\n");
    let refused = plan(&[recorded(&a)], &list);
    assert!(matches!(conflicts(&refused, 0), [Conflict::NameTaken { field: "mac", .. }]));
    let rules = Rules { replace_identity: true };
    let replaced = plan_with(&[recorded(&a)], &[], &list, &rules);
    let Outcome::Update { host, .. } = &replaced.entries[0].outcome else { panic!("{replaced}") };
    assert_eq!(host.identity.mac.0, [B.parse().unwrap()]);
    // Nothing to contradict: the list adds what was not known.
    a.identity = HostMatch { serial: Some("S1".into()), ..HostMatch::default() };
    assert_eq!(marks(&plan(&[recorded(&a)], &list)), "~");
    // One board, another GUID.
    a.identity = HostMatch {
        mac: OneOrMany(vec![B.parse().unwrap()]),
        uuid: Some(types::MachineGuid([7; 16])),
        serial: None,
    };
    let list = format!("name,mac,uuid\na,{B},{GUID}\n");
    assert!(matches!(
        conflicts(&plan(&[recorded(&a)], &list), 0),
        [Conflict::NameTaken { field: "uuid", .. }]
    ));
}

#[test]
fn a_host_of_a_file_is_not_changed() {
    let a = host("a", &[A]);
    let owned = Recorded { host: &a, file: Some("rack-12.yaml") };
    let plan_same = plan(&[owned], &format!("name,mac\na,{A}\n"));
    assert_eq!(marks(&plan_same), "=");
    let changed = plan(&[owned], &format!("name,mac,image\na,{A},x\n"));
    let [Conflict::FileOwned { file, fields }] = conflicts(&changed, 0) else { panic!() };
    assert_eq!((file.as_str(), &fields[..]), ("rack-12.yaml", &["image".to_owned()][..]));
}

#[test]
fn images_and_groups_that_are_not_there_are_noted() {
    let images = [name("debian-12")];
    let existing = Existing { images: Some(&images), groups: Some(&[]), ..Existing::default() };
    let list = format!("name,mac,image,group\na,{A},debian-12,\nb,{B},debain-12,g\n");
    let found = csv::read("hosts.csv", list.as_bytes(), &Options::default());
    let plan = plan_import(&existing, found, &Rules::default());
    assert!(plan.entries[0].notes.is_empty());
    assert_eq!(plan.entries[1].notes.len(), 2);
    assert_eq!(marks(&plan), "++");
}

#[test]
fn faults_that_refuse_hold_up_the_rest() {
    let plan = plan(&[], &format!("name,mac,x\na,{A},\nb,zz,\n"));
    assert_eq!((plan.refused.len(), plan.doubtful.len()), (1, 1));
    assert_eq!(plan.writes(Rest::Stop).unwrap_err().refused, 1);
    assert_eq!(plan.writes(Rest::LeaveOut).unwrap().len(), 1);
    let unknown = ImportPlan { faults_left_out: 1, ..ImportPlan::default() };
    assert!(unknown.writes(Rest::Stop).is_err(), "what was not listed may be a refusal");
}

fn reservation(mac: &str, address: &str, hostname: Option<&str>) -> Reservation {
    Reservation {
        mac: mac.parse().unwrap(),
        address: address.parse().unwrap(),
        hostname: hostname.map(Into::into),
    }
}

fn network<'a>(name: &'a str, network: &str, serves: bool, reservations: &'a [Reservation]) -> Network<'a> {
    Network { name, network: network.parse().unwrap(), serves, reservations }
}

#[test]
fn addresses_are_compared_with_subnets() {
    let there = [reservation(A, "10.0.0.10", None), reservation(C, "10.0.0.30", Some("old"))];
    let networks = [network("lab", "10.0.0.0/24", true, &there), network("far", "10.1.0.0/24", false, &[])];
    let list = format!(
        "name,mac,address,hostname\n\
         a,{A},10.0.0.10,\n\
         b,{B},10.0.0.20 10.1.0.20 10.9.0.20,b\n\
         c,{C},10.0.0.30,new\n"
    );
    let plan = plan_with(&[], &networks, &list, &Rules::default());
    assert_eq!(marks(&plan), "+++", "{plan}");
    let fates: Vec<Fate> =
        plan.entries.iter().flat_map(|entry| &entry.reservations).map(|reserved| reserved.fate).collect();
    assert_eq!(fates, [Fate::Known, Fate::New, Fate::NotServed, Fate::Outside, Fate::Renamed]);
    let yaml = "# subnet lab\nreservations:\n  - { mac: \"52:54:00:00:00:0b\", address: 10.0.0.20, hostname: \"b\" }\n";
    assert_eq!(plan.reservations_yaml(), yaml);
}

#[test]
fn an_address_of_another_machine_is_a_conflict() {
    let there = [reservation(A, "10.0.0.10", None)];
    let networks = [network("lab", "10.0.0.0/24", true, &there)];
    let list = format!(
        "name,mac,address\na,{A},10.0.0.11\nb,{B},10.0.0.10\nc,{C},10.0.0.12 10.0.0.13\nd,52:54:00:00:00:0d,10.0.0.12\n"
    );
    let plan = plan_with(&[], &networks, &list, &Rules::default());
    assert_eq!(marks(&plan), "!!!!", "{plan}");
    assert!(matches!(conflicts(&plan, 0), [Conflict::OtherAddress { .. }]));
    assert!(matches!(conflicts(&plan, 1), [Conflict::AddressTaken { .. }]));
    assert!(matches!(conflicts(&plan, 2), [Conflict::AddressTaken { .. }, Conflict::OtherAddress { .. }]));
    assert!(matches!(conflicts(&plan, 3), [Conflict::AddressTaken { .. }]));
    assert!(plan.reservations().is_empty());
}

/// The dry run of the examples against a few recorded hosts, as an operator sees it. `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn the_dry_run_reads_as_recorded() {
    let mut found = csv::read(
        "hosts.csv",
        include_bytes!("../../../../examples/host-import/hosts.csv"),
        &Options::default(),
    );
    let options = Options { groups: true, ..Options::default() };
    let more =
        dhcpd::read("dhcpd.conf", include_bytes!("../../../../examples/host-import/dhcpd.conf"), &options);
    let twins = csv::read(
        "more.csv",
        b"name,mac,image\nBUILD-01,52:54:00:12:34:99,\nspare,52:54:00:12:34:98,debian-12\nnew,5.25401E+11,\nowned,52:54:00:12:34:97,debian-12\n",
        &Options::default(),
    );
    found.append(more);
    found.append(twins);
    let mut web01 = host("web01", &["52:54:00:12:34:01"]);
    web01.image = Some(name("debian-11"));
    let spare = host("printer-old", &["00:01:e6:0a:0b:0c"]);
    let owned = host("owned", &["52:54:00:12:34:97"]);
    let mut same = host("spare", &["52:54:00:12:34:98"]);
    same.image = Some(name("debian-12"));
    let hosts = [
        recorded(&web01),
        recorded(&spare),
        recorded(&same),
        Recorded { host: &owned, file: Some("resources.d/rack-12.yaml") },
    ];
    let there = [reservation("52:54:00:00:00:77", "10.77.0.22", None)];
    let networks = [network("lab", "10.77.0.0/24", true, &there)];
    let images = [name("debian-12")];
    let existing = Existing { hosts: &hosts, networks: &networks, images: Some(&images), groups: None };
    let plan = plan_import(&existing, found, &Rules::default());
    let text = format!("{plan}\n{}", plan.reservations_yaml());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/import-plan.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap());
}
