use super::*;

fn host(name: &str, mac: Option<&str>, uuid: Option<&str>) -> Host {
    let mut host: Host = serde_json_host(name);
    host.identity.mac.0 = mac.map(|text| text.parse().unwrap()).into_iter().collect();
    host.identity.uuid = uuid.map(|text| text.parse().unwrap());
    host
}

fn serde_json_host(name: &str) -> Host {
    Host {
        name: name.parse().unwrap(),
        identity: types::resource::HostMatch::default(),
        image: None,
        image_version: None,
        group: None,
        location: None,
        power: None,
        labels: Default::default(),
        loader: None,
        params: Default::default(),
        template: None,
        kernel_args_append: Vec::new(),
        bundles: None,
        bundles_append: Vec::new(),
    }
}

#[test]
fn every_fault_is_reported_not_only_the_first() {
    let parts = CatalogParts {
        hosts: vec![
            host("a", Some("52:54:00:00:00:01"), Some("11223344-5566-7788-99aa-bbccddeeff00")),
            host("a", Some("52:54:00:00:00:01"), None),
            // The same GUID, written in the other byte order.
            host("b", None, Some("44332211-6655-8877-99aa-bbccddeeff00")),
            host("c", None, None),
            host("d", None, Some("ffffffff-ffff-ffff-ffff-ffffffffffff")),
        ],
        ..CatalogParts::default()
    };
    let faults = Catalog::build(parts).unwrap_err();
    let has = |wanted: fn(&CatalogFault) -> bool| faults.iter().any(wanted);
    assert!(has(|fault| matches!(fault, CatalogFault::DuplicateHost(_))));
    assert!(has(|fault| matches!(fault, CatalogFault::DuplicateMac(..))));
    assert!(has(|fault| matches!(fault, CatalogFault::DuplicateGuid(..))));
    assert!(has(|fault| matches!(fault, CatalogFault::EmptyMatch(_))));
    assert!(has(|fault| matches!(fault, CatalogFault::NobodysGuid(..))));
}

#[test]
fn one_host_may_list_a_mac_twice_and_a_palindromic_guid() {
    let mut twice = host("a", Some("52:54:00:00:00:01"), Some("11111111-2222-2222-99aa-bbccddeeff00"));
    twice.identity.mac.0.push("52:54:00:00:00:01".parse().unwrap());
    assert!(Catalog::build(CatalogParts { hosts: vec![twice], ..CatalogParts::default() }).is_ok());
}

#[test]
fn a_missing_image_is_a_warning() {
    let mut pinned = host("a", Some("52:54:00:00:00:01"), None);
    pinned.image = Some("gone".parse().unwrap());
    let catalog = Catalog::build(CatalogParts {
        hosts: vec![pinned],
        default_image: Some("gone-too".parse().unwrap()),
        ..CatalogParts::default()
    })
    .unwrap();
    assert_eq!(catalog.warnings().len(), 2);
}
