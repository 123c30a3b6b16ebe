use super::super::limits::{UNKNOWN_KEPT_MAX, UNKNOWN_PRUNED_AT_ONCE};
use super::super::{Hearsay, Lives, Loaded, Memory, Sightings};
use super::*;
use admin::EventBus;
use plan::{CatalogParts, Decider};
use std::time::Duration;
use store::records::{encode_machine, machine_key, machine_mac};
use store::{Batch, Store, StoreOptions, Table};
use tree::BootLedger;
use types::resource::{Host, HostMatch, Image, ImageKind, OneOrMany};
use types::{EventSink, MachineGuid, Stage};

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn guid(last: u8) -> MachineGuid {
    MachineGuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, last])
}

/// `web`: GUID, serial number and MAC address 1. `db`: MAC address 2 only. `old`: GUID and MAC address 3.
fn hosts() -> Vec<Host> {
    let host = |name: &str, uuid, serial: Option<&str>, macs: &[u8]| {
        let identity = HostMatch {
            mac: OneOrMany(macs.iter().map(|last| mac(*last)).collect()),
            uuid,
            serial: serial.map(str::to_owned),
        };
        Host::new(name.parse().unwrap(), identity)
    };
    vec![
        host("web", Some(guid(1)), Some("SN1"), &[1]),
        host("db", None, None, &[2]),
        host("old", Some(guid(3)), None, &[3]),
    ]
}

fn catalog(hosts: Vec<Host>) -> Catalog {
    Catalog::build(CatalogParts { hosts, ..CatalogParts::default() }).unwrap()
}

struct Rig {
    world: Arc<World>,
    bus: Arc<EventBus>,
    store: Option<Store>,
}

impl Rig {
    fn new() -> Rig {
        let loaded = Loaded { memory: Memory::in_memory(), machines: Vec::new(), alarms: Vec::new() };
        Rig::of(loaded, None)
    }

    fn at(folder: &std::path::Path) -> Rig {
        let store = Store::open(StoreOptions::new(folder)).unwrap();
        Rig::of(Memory::load(store.clone()).unwrap(), Some(store))
    }

    fn of(loaded: Loaded, store: Option<Store>) -> Rig {
        let bus = Arc::new(EventBus::new(10_000));
        let world = World::waiting(
            catalog(hosts()),
            bus.clone(),
            (Sightings::default(), loaded),
            Lives::in_memory(),
            Duration::from_secs(600),
        );
        Rig { world: Arc::new(world), bus, store }
    }

    /// Its ROM asks, and is given an address.
    fn rom(&self, own: u8, guid: Option<MachineGuid>) {
        self.world.learn(&Facts { mac: Some(mac(own)), guid, stage: Stage::Rom, ..Facts::default() });
        let address = Some([10, 0, 0, own].into());
        self.world.learn(&Facts {
            mac: Some(mac(own)),
            guid,
            address,
            stage: Stage::Rom,
            ..Facts::default()
        });
    }

    /// Its iPXE says what SMBIOS has.
    fn ipxe(&self, own: u8, guid: Option<MachineGuid>, serial: &str) {
        Hearsay(self.world.clone()).learn(&Facts {
            mac: Some(mac(own)),
            guid,
            address: Some([10, 0, 0, own].into()),
            stage: Stage::Ipxe,
            smbios: true,
            serial: Some(serial.into()),
            vendor: Some("Dell Inc.".into()),
            ..Facts::default()
        });
    }

    fn round(&self) {
        self.world.look_at_machines();
    }

    fn told(&self, name: EventName) -> Vec<Event> {
        self.bus
            .recent(0)
            .into_iter()
            .map(|stamped| stamped.event.clone())
            .filter(|event| event.name == name)
            .collect()
    }

    fn host(&self, own: u8, guid: Option<MachineGuid>) -> Option<String> {
        let facts = Facts { mac: Some(mac(own)), guid, stage: Stage::Rom, ..Facts::default() };
        self.world.decide(&facts).host.map(|host| host.name.to_string())
    }

    fn kept(&self) -> Vec<MacAddr> {
        let all = self.store.as_ref().unwrap().scan(Table::Facts, None, 65_536).unwrap();
        all.iter().filter_map(|(key, _)| machine_mac(key)).collect()
    }

    fn close(self) {
        let Rig { world, store, .. } = self;
        drop(world);
        store.unwrap().close();
    }
}

#[test]
fn what_was_told_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::at(folder.path());
    rig.rom(1, Some(guid(1)));
    rig.ipxe(1, Some(guid(1)), "SN1");
    rig.rom(9, Some(guid(9)));
    rig.ipxe(9, Some(guid(9)), "SN9");
    // It only asked for an address.
    rig.rom(8, Some(guid(8)));
    rig.round();
    let (first, _) = rig.world.seen(mac(9)).unwrap();
    rig.close();

    let rig = Rig::at(folder.path());
    assert_eq!(rig.kept(), [mac(1), mac(9)]);
    let known = rig.world.remembered(mac(9)).unwrap();
    assert_eq!((known.serial.as_deref(), known.vendor.as_deref()), (Some("SN9"), Some("Dell Inc.")));
    assert!(known.smbios && known.address.is_none());
    assert_eq!(rig.world.seen(mac(9)).map(|(first, _)| first), Some(first));
    // Nobody is new who was known, and nothing is written that is known.
    rig.rom(9, Some(guid(9)));
    assert!(rig.told(EventName::HostSeen).is_empty());
    rig.round();
    assert_eq!(rig.world.memory_numbers()["written"], 0);
    rig.close();
}

#[test]
fn a_neighbour_cannot_have_a_machine_kept_nor_say_its_serial_number() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::at(folder.path());
    rig.rom(9, None);
    // From another address than DHCP gave machine 9.
    Hearsay(rig.world.clone()).learn(&Facts {
        mac: Some(mac(9)),
        address: Some([10, 0, 0, 66].into()),
        smbios: true,
        serial: Some("EVIL".into()),
        ..Facts::default()
    });
    let fetched = |from: [u8; 4]| {
        let mut event = Event::new(EventName::HttpScript).with("from", IpAddr::from(from));
        event.mac = Some(mac(9));
        rig.world.record(event);
    };
    rig.rom(7, None);
    fetched([10, 0, 0, 7]);
    rig.round();
    assert_eq!(rig.kept(), []);
    fetched([10, 0, 0, 9]);
    rig.round();
    assert_eq!(rig.kept(), [mac(9)]);
    assert_eq!(rig.world.remembered(mac(9)).unwrap().serial, None);
    rig.close();
}

#[test]
fn unknown_machines_on_the_disk_are_bounded_and_recorded_ones_are_not_forgotten_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::at(folder.path());
    rig.rom(1, Some(guid(1)));
    rig.round();
    for number in 0..u32::try_from(UNKNOWN_KEPT_MAX).unwrap() + 10 {
        let [a, b, c, d] = number.to_be_bytes();
        let own = MacAddr([6, 0, a, b, c, d]);
        let from = IpAddr::from([10, b.wrapping_add(1), c, d]);
        rig.world.learn(&Facts { mac: Some(own), address: Some(from), ..Facts::default() });
        lock(&rig.world.sightings).fetched(own, from);
        if number % 8_000 == 0 {
            rig.round();
        }
    }
    rig.round();
    rig.round();
    let kept = rig.kept();
    assert!(kept.contains(&mac(1)));
    assert_eq!(kept.len(), UNKNOWN_KEPT_MAX - UNKNOWN_PRUNED_AT_ONCE + 1);
    let told = rig.told(EventName::HostMemoryFull);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(rig.world.memory_numbers()["pruned"], (UNKNOWN_PRUNED_AT_ONCE + 10) as u64);
    rig.close();
}

#[test]
fn recorded_machines_are_kept_beyond_a_restart_however_many_are_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(folder.path())).unwrap();
    let machine = |own: MacAddr, guid, last| {
        let facts = Facts { mac: Some(own), guid, ..Facts::default() };
        let kept = store::records::Machine { facts, first_seen: UnixTime(1), last_seen: UnixTime(last) };
        (machine_key(own), encode_machine(&kept).unwrap())
    };
    // `web` by its GUID and `db` by its hardware address were seen longest ago.
    let recorded = [machine(mac(41), Some(guid(1)), 5), machine(mac(2), None, 6)];
    let unknown = (0..u32::try_from(UNKNOWN_KEPT_MAX).unwrap() + 10).map(|number| {
        let [a, b, c, d] = number.to_be_bytes();
        machine(MacAddr([6, 0, a, b, c, d]), None, 1_000 + u64::from(number))
    });
    let put = |batch: Batch, (key, value)| batch.put(Table::Facts, key, value);
    store.commit_blocking(recorded.into_iter().chain(unknown).fold(Batch::new(), put)).unwrap();
    store.close();

    let rig = Rig::at(folder.path());
    assert_eq!(rig.world.memory_numbers()["kept_unknown"], (UNKNOWN_KEPT_MAX + 10) as u64);
    // Nobody has asked for anything since.
    rig.round();
    let kept = rig.kept();
    assert!(kept.contains(&mac(41)) && kept.contains(&mac(2)));
    assert_eq!(kept.len(), UNKNOWN_KEPT_MAX - UNKNOWN_PRUNED_AT_ONCE + 2);
    rig.close();
}

#[test]
fn a_replaced_card_is_told_once_and_settled_when_it_is_recorded() {
    let rig = Rig::new();
    rig.rom(41, Some(guid(1)));
    rig.round();
    assert_eq!(rig.host(41, Some(guid(1))).as_deref(), Some("web"));
    let told = rig.told(EventName::HostIdentityChanged);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].reason, told[0].host.as_deref()), (Some("nic_changed"), Some("web")));
    for _ in 0..3 {
        rig.rom(41, Some(guid(1)));
        rig.round();
    }
    assert_eq!(rig.told(EventName::HostIdentityChanged).len(), 1);
    let differs = rig.world.differences(&"web".parse().unwrap());
    let all = rig.world.all_differences();
    assert_eq!(all.keys().map(Name::as_str).collect::<Vec<_>>(), ["web"]);
    let macs = |differs: &[Differs]| differs.iter().map(|it| (it.mac, it.change.clone())).collect::<Vec<_>>();
    assert_eq!(macs(all.values().next().unwrap()), macs(&differs));
    assert_eq!(differs.len(), 1);
    assert!(differs[0].holds && differs[0].change == Change::Mac(mac(41)));
    let mut changed = hosts();
    changed[0].identity.mac.0.push(mac(41));
    rig.world.replace_catalog(catalog(changed));
    rig.round();
    assert_eq!(rig.told(EventName::HostIdentitySettled).len(), 1);
    assert!(rig.world.alarms().is_empty());
}

#[test]
fn a_replaced_board_is_held_until_its_serial_number_is_told() {
    let rig = Rig::new();
    rig.rom(1, Some(guid(77)));
    rig.round();
    assert!(rig.world.differences(&"web".parse().unwrap())[0].holds);
    rig.ipxe(1, Some(guid(77)), "sn1");
    rig.round();
    assert!(!rig.world.differences(&"web".parse().unwrap())[0].holds);
    let told = rig.told(EventName::HostIdentityChanged);
    assert_eq!(told.iter().map(|event| event.reason).collect::<Vec<_>>(), [Some("board_changed")]);
}

#[test]
fn what_an_earlier_board_said_is_not_taken_for_the_new_ones() {
    let rig = Rig::new();
    rig.rom(1, Some(guid(1)));
    rig.ipxe(1, Some(guid(1)), "SN1");
    rig.rom(1, Some(guid(77)));
    assert_eq!(rig.world.remembered(mac(1)).unwrap().serial, None);
    rig.round();
    assert!(rig.world.differences(&"web".parse().unwrap())[0].holds);
}

#[test]
fn a_board_that_only_the_memory_knew_is_told_of() {
    let rig = Rig::new();
    rig.rom(2, Some(guid(21)));
    rig.rom(2, Some(guid(22)));
    rig.round();
    let told = rig.told(EventName::HostIdentityChanged);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].reason, told[0].host.as_deref()), (Some("board_changed"), Some("db")));
    assert_eq!(rig.host(2, Some(guid(22))).as_deref(), Some("db"));
}

#[test]
fn a_conflict_is_listed_told_once_and_over_when_the_record_is_right() {
    let rig = Rig::new();
    for _ in 0..3 {
        rig.rom(2, Some(guid(1)));
        let mut event = Event::new(EventName::HostConflict);
        (event.mac, event.guid) = (Some(mac(2)), Some(guid(1)));
        rig.world.record(event);
        rig.round();
    }
    assert_eq!(rig.told(EventName::HostConflict).len(), 1);
    // Whoever tries a boot of it is told all the same, and the world as often as before.
    let rehearsal = rig.world.rehearsal(None, Some(mac(2)));
    let mut event = Event::new(EventName::HostConflict);
    (event.mac, event.guid) = (Some(mac(2)), Some(guid(1)));
    rehearsal.record(event);
    let happened = rehearsal.happened(0);
    assert!(happened.iter().any(|stamped| stamped.event.name == EventName::HostConflict), "{happened:?}");
    assert_eq!(rig.told(EventName::HostConflict).len(), 1);
    let alarms = rig.world.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(alarms[0].hosts.iter().map(|host| host.as_str()).collect::<Vec<_>>(), ["db", "web"]);
    let mut changed = hosts();
    changed[0].identity.uuid = None;
    rig.world.replace_catalog(catalog(changed));
    rig.round();
    assert!(rig.world.alarms().is_empty());
    assert_eq!(rig.told(EventName::HostIdentitySettled).len(), 1);
}

#[test]
fn two_machines_with_one_guid_are_told_apart_by_their_serial_numbers() {
    let rig = Rig::new();
    rig.rom(3, Some(guid(3)));
    rig.ipxe(3, Some(guid(3)), "SN3");
    rig.rom(50, Some(guid(3)));
    rig.round();
    // As far as anybody knows it is one machine with two cards.
    assert!(rig.told(EventName::HostUuidDuplicate).is_empty());
    assert_eq!(rig.host(50, Some(guid(3))).as_deref(), Some("old"));
    rig.ipxe(50, Some(guid(3).swapped()), "SN50");
    rig.round();
    let told = rig.told(EventName::HostUuidDuplicate);
    assert_eq!(told.len(), 1, "{told:?}");
    let Some(Value::Text(macs)) = told[0].field("macs") else { panic!("{told:?}") };
    assert!(macs.contains("02:00:00:00:00:03") && macs.contains("02:00:00:00:00:32"), "{macs}");
    // The GUID counts nothing: the MAC decides.
    assert_eq!(rig.host(3, Some(guid(3))).as_deref(), Some("old"));
    assert_eq!(rig.host(50, Some(guid(3))), None);
    rig.rom(50, Some(guid(3)));
    rig.round();
    assert_eq!(rig.told(EventName::HostUuidDuplicate).len(), 1);
    // The clone is given one of its own.
    rig.rom(50, Some(guid(51)));
    rig.round();
    assert!(rig.world.alarms().is_empty());
    assert_eq!(rig.host(61, Some(guid(3))).as_deref(), Some("old"));
}

#[test]
fn two_machines_that_start_at_once_with_one_guid_are_told_without_their_serial_numbers() {
    let rig = Rig::new();
    for _ in 0..2 {
        rig.rom(60, Some(guid(60)));
        rig.rom(61, Some(guid(60)));
    }
    rig.round();
    assert_eq!(rig.told(EventName::HostUuidDuplicate).len(), 1);
    // Two cards that are recorded for one host are one machine, however they take turns.
    let rig = Rig::new();
    let mut both = hosts();
    both[2].identity.mac.0.push(mac(4));
    rig.world.replace_catalog(catalog(both));
    for _ in 0..4 {
        rig.rom(3, Some(guid(3)));
        rig.rom(4, Some(guid(3)));
    }
    rig.round();
    assert!(rig.told(EventName::HostUuidDuplicate).is_empty());
}

#[test]
fn an_address_with_two_guids_in_turn_is_told_and_known_by_its_address() {
    let rig = Rig::new();
    for number in [3, 70, 3, 70] {
        rig.rom(3, Some(guid(number)));
    }
    rig.round();
    assert_eq!(rig.told(EventName::HostUuidAlternates).len(), 1);
    assert_eq!(rig.host(3, Some(guid(70))).as_deref(), Some("old"));
    assert!(rig.world.differences(&"old".parse().unwrap()).is_empty());
    assert!(rig.world.forget_machine(mac(3)).unwrap());
    assert!(rig.world.alarms().is_empty());
}

#[test]
fn what_a_host_should_have_is_told_by_the_facts_that_decide_what_it_boots() {
    let rig = Rig::new();
    let image =
        Image { kernel: Some("linux".into()), ..Image::new("debian".parse().unwrap(), ImageKind::Linux) };
    let mut own = hosts();
    own[1].image = Some(image.name.clone());
    own[1].params.insert("raid".into(), "1".into());
    let parts = CatalogParts { hosts: own, images: vec![image.clone()], ..CatalogParts::default() };
    rig.world.replace_catalog(Catalog::build(parts).unwrap());
    // `db` carries the GUID that is recorded for `old`, and so does `old`.
    for _ in 0..2 {
        rig.rom(3, Some(guid(3)));
        rig.rom(2, Some(guid(3)));
    }
    rig.round();
    assert_eq!(rig.host(2, Some(guid(3))).as_deref(), Some("db"), "by its hardware address");
    let catalog = rig.world.catalog();
    let db = catalog.host("db").unwrap();
    let known = rig.world.known(db);
    assert!(known.guid_doubted && known.guid == Some(guid(3)));
    let plan::Wanted::Image(_, meant) = plan::Fleet::new(&catalog).wanted(db, &known) else {
        panic!("it is meant to boot its image");
    };
    let asks = Facts {
        mac: Some(mac(2)),
        guid: Some(guid(3)),
        address: Some([10, 0, 0, 2].into()),
        stage: Stage::Ipxe,
        ..Facts::default()
    };
    rig.world.begin_boot(&asks, Some(db), &image).unwrap();
    let told = rig.world.life(&db.name).unwrap().last_meant.clone().unwrap();
    assert_eq!(told.values, Some(meant.values), "nothing was changed since");
}

#[test]
fn alarms_and_their_doubts_survive_a_restart_and_are_not_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::at(folder.path());
    for _ in 0..2 {
        rig.rom(3, Some(guid(3)));
        rig.rom(50, Some(guid(3)));
    }
    rig.rom(41, Some(guid(1)));
    rig.round();
    rig.close();
    let rig = Rig::at(folder.path());
    assert_eq!(rig.world.alarms().len(), 2, "{:?}", rig.world.alarms());
    assert_eq!(rig.host(50, Some(guid(3))), None);
    rig.rom(41, Some(guid(1)));
    rig.rom(50, Some(guid(3)));
    rig.round();
    assert!(rig.told(EventName::HostIdentityChanged).is_empty());
    assert!(rig.told(EventName::HostUuidDuplicate).is_empty());
    assert_eq!(rig.world.alarms().len(), 2);
    rig.close();
}

#[test]
fn a_flood_of_machines_with_the_guids_of_others_raises_a_bounded_number_of_alarms_and_events() {
    let rig = Rig::new();
    let own = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let mut guid = guid(200);
        guid.0[8..10].copy_from_slice(&[high, low]);
        (MacAddr([2, 1, 0, 0, high, low]), guid)
    };
    let many = (0..2_000u16).map(|number| {
        let (mac, guid) = own(number);
        let identity = HostMatch { mac: OneOrMany(vec![mac]), uuid: Some(guid), ..HostMatch::default() };
        Host::new(format!("h{number}").parse().unwrap(), identity)
    });
    rig.world.replace_catalog(catalog(many.collect()));
    for number in 0..2_000u16 {
        let (mut mac, guid) = own(number);
        mac.0[1] = 7;
        rig.world.learn(&Facts { mac: Some(mac), guid: Some(guid), stage: Stage::Rom, ..Facts::default() });
    }
    rig.round();
    let numbers = rig.world.memory_numbers();
    let most = super::super::limits::ALARMS_MAX as u64;
    assert_eq!((numbers["alarms"], numbers["alarms_dropped"]), (most, 2_000 - most), "{numbers:?}");
    assert_eq!(rig.told(EventName::HostIdentityChanged).len(), ALARM_EVENTS_MAX);
    assert_eq!(numbers["events_untold"], most - ALARM_EVENTS_MAX as u64);
}

#[test]
fn what_cannot_be_read_is_asked_anew_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::at(folder.path());
    let store = rig.store.clone().unwrap();
    let key = store::records::machine_key(mac(9));
    store.commit_blocking(store::Batch::new().put(Table::Facts, key, r#"{"v":9,"record":{}}"#)).unwrap();
    rig.close();
    let rig = Rig::at(folder.path());
    assert_eq!(rig.world.remembered(mac(9)), None);
    rig.rom(9, None);
    rig.ipxe(9, None, "SN9");
    rig.round();
    rig.close();
    let rig = Rig::at(folder.path());
    assert_eq!(rig.world.remembered(mac(9)).unwrap().serial.as_deref(), Some("SN9"));
    assert!(rig.world.forget_machine(mac(9)).unwrap());
    assert!(!rig.world.forget_machine(mac(9)).unwrap());
    assert_eq!(rig.kept(), []);
    rig.close();
}
