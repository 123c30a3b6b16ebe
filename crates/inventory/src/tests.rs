//! Properties of every reader: no input panics, bounds hold, what is proposed is sound, messages are safe to print.

use crate::limits::{FAULTS_MAX, HOSTS_MAX, MACS_MAX};
use crate::plan::{Existing, Rest, Rules};
use crate::{Code, Format, Found, GuidOrder, Options, Weight, plan_import, read};
use proptest::prelude::*;

fn check(found: &Found) {
    assert!(found.hosts.len() <= HOSTS_MAX && found.faults.len() <= FAULTS_MAX);
    for host in &found.hosts {
        assert!(!host.identity.is_empty(), "{host:?}");
        assert!(host.identity.mac.0.len() <= MACS_MAX);
        assert!(host.identity.mac.0.iter().all(|mac| mac.is_unicast()));
        assert!(host.identity.uuid.is_none_or(|uuid| !uuid.is_nobodys()));
        assert!(host.reservations.iter().all(|one| host.identity.mac.0.first() == Some(&one.mac)));
    }
    for fault in &found.faults {
        assert!(!fault.to_string().contains(char::is_control), "{fault:?}");
        assert!(!fault.message.ends_with('.') && !fault.message.is_empty());
    }
    let plan = plan_import(&Existing::default(), found.clone(), &Rules::default());
    assert!(!plan.to_string().replace('\n', "").contains(char::is_control));
    let all = plan.writes(Rest::Stop);
    let some = plan.writes(Rest::LeaveOut).unwrap();
    if let Ok(all) = all {
        assert_eq!(all, some);
        assert!(plan.refused.is_empty());
    }
    // What is written can be told apart: no name and no identity twice.
    let names: std::collections::HashSet<_> = some.iter().map(|write| &write.host.name).collect();
    assert_eq!(names.len(), some.len());
    let macs: Vec<_> = some.iter().flat_map(|write| &write.host.identity.mac.0).collect();
    let unique: std::collections::HashSet<_> = macs.iter().collect();
    assert_eq!(unique.len(), macs.len());
}

fn check_all(bytes: &[u8]) {
    for format in Format::ALL {
        for options in [Options::default(), Options { groups: true, guid_order: GuidOrder::Text }] {
            check(&read(format, "a list", bytes, &options));
        }
    }
    let _ = Format::guess("x", bytes);
}

/// Texts of the words and marks that the formats are made of.
fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "name",
        "mac",
        "uuid",
        "params.x",
        ",",
        ";",
        "\t",
        "\"",
        "\n",
        "\r\n",
        " ",
        "host ",
        "{",
        "}",
        "[",
        "]",
        "#",
        "group ",
        "hardware ethernet ",
        "fixed-address ",
        "52:54:00:12:34:56",
        "525400123457",
        "5.25401E+11",
        "10.0.0.5",
        "10.0.0.6",
        "dhcp-host=",
        "id:",
        "set:a",
        "ignore",
        "infinite",
        ":",
        "\\",
        "/*",
        "*/",
        "//",
        "<?",
        "?>",
        "\"Dhcp4\"",
        "\"reservations\"",
        "\"hw-address\"",
        "\"subnet4\"",
        "null",
        "-1e5",
        "\\u00e4",
        "dn: ",
        "cn: ",
        "netbootGUID:: ",
        "AAAAAAAAAAAAAFJUABI0Vg==",
        "CN=a,OU=b",
        "::",
        ":<",
        "changetype: ",
        "version: 1",
        "a",
        "B_1",
        "\u{fc}",
        "\u{202e}",
        "\x1b[2J",
        "4c4c4544-0057-5810-804a-c3c04f463732",
        "sep=;",
        "include ",
        "=",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

const EXAMPLES: [&[u8]; 6] = [
    include_bytes!("../../../examples/host-import/hosts.csv"),
    include_bytes!("../../../examples/host-import/dhcpd.conf"),
    include_bytes!("../../../examples/host-import/dnsmasq.conf"),
    include_bytes!("../../../examples/host-import/dnsmasq.hosts"),
    include_bytes!("../../../examples/host-import/kea-dhcp4.json"),
    include_bytes!("../../../examples/host-import/prestaged.ldif"),
];

proptest! {
    // Each case is read ten times.
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check_all(&bytes);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        check_all(text.as_bytes());
    }

    #[test]
    fn no_soup_of_words_panics(text in soup()) {
        check_all(text.as_bytes());
    }

    #[test]
    fn no_damaged_example_panics(
        which in 0..EXAMPLES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = EXAMPLES[which].to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        check_all(&bytes);
    }
}

#[test]
fn faults_beyond_the_bound_are_counted() {
    let rows: String = (0..2 * FAULTS_MAX).map(|at| format!("n{at},zz{at}\n")).collect();
    let found = read(Format::Csv, "x", format!("name,mac\n{rows}").as_bytes(), &Options::default());
    assert_eq!(found.faults.len(), FAULTS_MAX);
    assert_eq!(found.faults_left_out, FAULTS_MAX as u64);
    check(&found);
}

#[test]
fn hosts_beyond_the_bound_are_not_read_and_that_is_told() {
    let mut rows = String::from("name,mac\n");
    for at in 0..HOSTS_MAX + 5 {
        rows.push_str(&format!("n{at},52{at:010x}\n"));
    }
    let found = read(Format::Csv, "x", rows.as_bytes(), &Options::default());
    assert_eq!(found.hosts.len(), HOSTS_MAX);
    let last = found.faults.last().unwrap();
    assert_eq!((last.code, last.origin.line), (Code::Limit, u32::try_from(HOSTS_MAX + 2).unwrap()));
    assert_eq!(last.weight(), Weight::Refused, "half a list is not imported by accident");
}

#[test]
fn a_list_beyond_the_bound_is_refused() {
    let bytes = vec![b'\n'; crate::limits::TEXT_BYTES_MAX + 1];
    for format in Format::ALL {
        let found = read(format, "x", &bytes, &Options::default());
        assert_eq!(found.faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), [Code::Limit]);
    }
}

#[test]
fn codes_are_numbered_in_order() {
    for (at, code) in Code::ALL.iter().enumerate() {
        assert_eq!(code.as_str(), format!("R-INV-{:02}", at + 1));
        assert!(code.about().ends_with('.'));
        assert!(matches!(code.weight().as_str(), "refused" | "doubtful"));
    }
    assert_eq!(Code::Mac.weight(), Weight::Refused);
}

/// The page for operators has every code.
#[test]
fn the_document_names_every_code() {
    let document = include_str!("../../../docs/host-import.md");
    for code in Code::ALL {
        assert!(document.contains(code.as_str()), "{} is missing in docs/host-import.md", code.as_str());
    }
}
