use super::*;
use crate::found::Proposal;

fn read_text(text: &str) -> Found {
    read("hosts.csv", text.as_bytes(), &Options::default())
}

fn one(text: &str) -> Proposal {
    let mut found = read_text(text);
    assert_eq!(found.faults, [], "{text}");
    assert_eq!(found.hosts.len(), 1);
    found.hosts.remove(0)
}

/// Codes and lines.
fn faults(text: &str) -> Vec<(Code, u32)> {
    read_text(text).faults.iter().map(|fault| (fault.code, fault.origin.line)).collect()
}

fn message(text: &str) -> String {
    read_text(text).faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_read_whole() {
    let found =
        read("hosts.csv", include_bytes!("../../../../examples/host-import/hosts.csv"), &Options::default());
    let names: Vec<&str> = found.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["web01", "web-02", "esx-r12-07"]);
    let [web01, web02, esx] = &found.hosts[..] else { panic!("three hosts") };
    assert_eq!(web01.identity.uuid.unwrap().to_string(), "4c4c4544-0057-5810-804a-c3c04f463732");
    assert_eq!(web01.identity.serial.as_deref(), Some("7WXJF72"));
    assert_eq!(web01.group.as_ref().unwrap().as_str(), "web");
    assert_eq!(web01.reservations[0].hostname.as_deref(), Some("web01"));
    assert_eq!(web02.given, "WEB_02");
    assert_eq!(web02.identity.mac.0.len(), 2);
    assert_eq!(web02.reservations.len(), 1);
    assert_eq!(esx.image.as_ref().unwrap().as_str(), "esxi-8");
    assert_eq!(esx.params.get("rack").unwrap(), "r12");
    assert_eq!(esx.origin.line, 4);
    let codes: Vec<Code> = found.faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, [Code::Column, Code::Address], "the column `location`, and one address for two ports");
}

#[test]
fn columns_stand_in_any_order_and_any_separator() {
    for text in [
        "mac,name\n52:54:00:00:00:01,a\n",
        "NAME;MAC\na;52:54:00:00:00:01\n",
        "name\tmac\r\na\t52:54:00:00:00:01\r\n",
        "sep=;\nname;mac\na;52:54:00:00:00:01\n",
        "\u{feff}\"name\",\"mac\"\n\"a\",\"52:54:00:00:00:01\"\n",
        "\n\nname,mac\n\n,\na,52:54:00:00:00:01",
    ] {
        let host = one(text);
        assert_eq!(
            (host.name.as_str(), host.identity.mac.0[0].to_string().as_str()),
            ("a", "52:54:00:00:00:01")
        );
    }
}

#[test]
fn lines_are_those_an_editor_shows() {
    let found =
        read_text("name,mac,params.note\n\n\na,52:54:00:00:00:01,\"two\nlines\"\n\nb,52:54:00:00:00:02,\n");
    let lines: Vec<u32> = found.hosts.iter().map(|host| host.origin.line).collect();
    assert_eq!(lines, [4, 7]);
    assert_eq!(found.hosts[0].params.get("note").unwrap(), "two\nlines");
    assert_eq!(faults("sep=,\nname,mac\nx,y"), [(Code::Mac, 3)]);
}

#[test]
fn several_macs_stand_in_one_cell() {
    let host = one("name,mac\na,\"52:54:00:00:00:01 5254.0000.0002;525400000003\"\n");
    assert_eq!(host.identity.mac.0.len(), 3);
}

#[test]
fn a_slip_in_a_columns_name_reads_nothing() {
    let text = "name,mac,imgae\na,52:54:00:00:00:01,debian\n";
    assert!(read_text(text).hosts.is_empty());
    assert!(message(text).contains("did you mean `image`?"), "{}", message(text));
    assert!(message("ip,mac\n").contains("did you mean `address`?"));
    assert!(message("MAC Address,name\n").contains("did you mean `mac`?"));
    assert!(message("name,mac,param.x\n").contains("`params.<key>`"));
    assert_eq!(faults("name,mac,mac\n"), [(Code::Header, 1)]);
    assert_eq!(faults("name,mac,params.\n"), [(Code::Header, 1)]);
}

#[test]
fn a_list_without_header_says_what_it_needs() {
    assert_eq!(faults(""), [(Code::Header, 0)]);
    assert_eq!(faults("\n\n"), [(Code::Header, 0)]);
    let text = "web01,52:54:00:00:00:01\n";
    assert!(message(text).contains("none of the columns `mac`, `uuid` and `serial`"), "{}", message(text));
}

#[test]
fn a_column_without_meaning_is_told_once_and_left_out() {
    let found = read_text("name,mac,location\na,52:54:00:00:00:01,x\nb,52:54:00:00:00:02,y\n");
    assert_eq!(found.hosts.len(), 2);
    assert_eq!(found.faults.len(), 1);
    assert_eq!(found.faults[0].code, Code::Column);
}

#[test]
fn what_a_spreadsheet_did_to_numbers_is_told() {
    let scientific = "name,mac\na,5.25401E+11\n";
    assert_eq!(faults(scientific), [(Code::Mangled, 2)]);
    assert!(message(scientific).contains("spreadsheet"), "{}", message(scientific));
    assert_eq!(faults("name;mac\na;5,25401E+11\n"), [(Code::Mangled, 2)]);
    let zeros = "name,mac\na,1122334455\n";
    assert_eq!(faults(zeros), [(Code::Mangled, 2)]);
    assert!(message(zeros).contains("zeros in front are lost"));
    assert_eq!(faults("name,serial\na,1.23457E+14\n"), [(Code::Mangled, 2)]);
    assert_eq!(faults("name,mac,uuid\na,,4.4E+31\n"), [(Code::Mangled, 2)]);
    assert_eq!(one("name,serial\na,=\"0012\"\n").identity.serial.as_deref(), Some("0012"));
    assert_eq!(one("name,serial\na,'0012\n").identity.serial.as_deref(), Some("0012"));
}

#[test]
fn each_doubtful_row_is_told_with_its_line_and_the_others_are_read() {
    let text = "name,mac,uuid,image,address\n\
        a,52:54:00:00:00:01,,,10.0.0.300\n\
        b,nonsense,,,\n\
        c,,nonsense,,\n\
        d,,,,\n\
        e,52:54:00:00:00:05,,No Such,\n\
        f,ff:ff:ff:ff:ff:ff,,,\n\
        g,,ffffffff-ffff-ffff-ffff-ffffffffffff,,\n\
        \u{fc},52:54:00:00:00:08,,,\n\
        ,52:54:00:00:00:09,,,\n\
        k,52:54:00:00:00:0a,,,,extra\n\
        l,52:54:00:00:00:0b\n\
        m,,4c4c4544-0057-5810-804a-c3c04f463732,,10.0.0.1\n";
    assert_eq!(
        faults(text),
        [
            (Code::Address, 2),
            (Code::Mac, 3),
            (Code::Uuid, 4),
            (Code::NoIdentity, 5),
            (Code::Reference, 6),
            (Code::Mac, 7),
            (Code::Nobodys, 8),
            (Code::NoIdentity, 8),
            (Code::Name, 9),
            (Code::NameMade, 10),
            (Code::Cells, 11),
            (Code::ShortRow, 12),
            (Code::Address, 13),
        ]
    );
    let names: Vec<String> = read_text(text).hosts.iter().map(|host| host.name.to_string()).collect();
    assert_eq!(names, ["a", "mac-525400000009", "l", "m"]);
}

#[test]
fn a_quote_that_is_not_closed_is_found() {
    let text = format!("name,mac\na,\"52:54:00:00:00:01\n{}", "b,52:54:00:00:00:02\n".repeat(300));
    assert_eq!(faults(&text), [(Code::Limit, 2)]);
}

#[test]
fn messages_carry_no_terminal_sequences() {
    let text = message("name,mac\n\x1b[2J,zz\x1b[31m\n");
    assert!(!text.contains('\x1b'), "{text:?}");
}
