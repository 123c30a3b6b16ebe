use super::*;

fn of(text: &str) -> Option<String> {
    let cfg = BootCfg::parse(format!("kernel=k\n{text}\n").as_bytes()).unwrap();
    version(&cfg).map(|version| version.to_string())
}

#[test]
fn build_lines_of_all_shapes_are_read() {
    for (line, read) in [
        ("build=8.0.3-0.0.24022510", Some("8.0.3 build 24022510")),
        ("build=7.0.3-0.35.19482537", Some("7.0.3 build 19482537")),
        ("build=6.7.0-0.0.8169922", Some("6.7.0 build 8169922")),
        ("build=9.0.0.0.24755229", Some("9.0.0 build 24755229")),
        ("build=8.0.3", Some("8.0.3")),
        ("build=8.0-24022510", Some("8.0.0 build 24022510")),
        ("build=", None),
        ("build=x", None),
        ("build=8", None),
        ("build=99999.1.2", None),
        ("updated=8.0.3", None),
    ] {
        assert_eq!(of(line).as_deref(), read, "{line}");
    }
}

#[test]
fn the_title_helps_where_there_is_no_build() {
    assert_eq!(of("title=Loading VMware ESXi 6.0.0 installer").as_deref(), Some("6.0.0"));
    assert_eq!(of("title=Loading ESXi installer"), None);
    assert_eq!(of("title=Disk 1.2 of server"), None);
    assert_eq!(of("title=ESXi 5.5.0\nbuild=7.0.2-0.0.17630552").as_deref(), Some("7.0.2 build 17630552"));
}

#[test]
fn releases_are_ordered_by_their_numbers() {
    let order = [
        "build=6.7.0-0.0.8169922",
        "build=7.0.3",
        "build=7.0.3-0.0.18644231",
        "build=7.0.3-0.35.19482537",
        "build=8.0.0-1.0.20513097",
        "build=10.0.0-0.0.99999999",
    ];
    let versions: Vec<EsxiVersion> = order
        .iter()
        .filter_map(|line| version(&BootCfg::parse(format!("kernel=k\n{line}").as_bytes()).unwrap()))
        .collect();
    assert_eq!(versions.len(), order.len());
    assert!(versions.is_sorted(), "{versions:?}");
}

#[test]
fn what_a_release_boots_on() {
    let on = |major, minor, update| {
        boots_on(EsxiVersion { build: Some(1), ..EsxiVersion::new(major, minor, update) })
    };
    assert!(!on(5, 5, 0).uefi_pxe && on(6, 0, 0).uefi_pxe);
    assert!(!on(7, 0, 1).uefi_http && on(7, 0, 2).uefi_http);
    assert!(!on(7, 0, 3).any_case_headers && on(8, 0, 0).any_case_headers);
    assert!(!on(8, 0, 0).leaves_after_failure && on(8, 0, 1).leaves_after_failure);
    assert!(!on(8, 0, 3).redirects && on(9, 0, 0).redirects);
    assert!(on(8, 0, 3).kickstart_serial && !on(9, 0, 0).kickstart_serial);
    assert!(on(9, 0, 0).bios);
}
