use super::*;
use crate::found::Proposal;

fn read_text(text: &str) -> Found {
    read("dhcpd.conf", text.as_bytes(), &Options::default())
}

fn faults(text: &str) -> Vec<(Code, u32)> {
    read_text(text).faults.iter().map(|fault| (fault.code, fault.origin.line)).collect()
}

fn one(text: &str) -> Proposal {
    let mut found = read_text(text);
    assert_eq!((found.hosts.len(), &found.faults[..]), (1, &[][..]), "{text}");
    found.hosts.remove(0)
}

const MAC: &str = "hardware ethernet 52:54:00:00:00:01;";

#[test]
fn the_example_is_read_whole() {
    let options = Options { groups: true, ..Options::default() };
    let found = read("dhcpd.conf", include_bytes!("../../../../examples/host-import/dhcpd.conf"), &options);
    let [printer, first, second] = &found.hosts[..] else { panic!("three hosts: {:?}", found.hosts) };
    assert_eq!(printer.identity.mac.0[0].to_string(), "00:01:e6:0a:0b:0c");
    assert_eq!((printer.served.boot_file.as_deref(), &printer.group), (None, &None));
    assert_eq!((first.name.as_str(), first.given.as_str()), ("build-01", "build_01"));
    assert_eq!(first.served.boot_file.as_deref(), Some("pxelinux.0"));
    assert_eq!(first.served.next_server.as_deref(), Some("10.77.0.2"));
    assert_eq!(first.group.as_ref().unwrap().as_str(), "linux");
    let addresses: Vec<String> = first.reservations.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(addresses, ["10.77.0.41", "10.78.0.41"]);
    assert_eq!(first.reservations[0].hostname.as_deref(), Some("build-01"));
    assert_eq!(second.served.boot_file.as_deref(), Some("other.0"));
    let codes: Vec<(Code, u32)> = found.faults.iter().map(|fault| (fault.code, fault.origin.line)).collect();
    assert_eq!(codes, [(Code::Include, 4), (Code::Address, 34)]);
}

#[test]
fn hosts_are_found_wherever_they_stand() {
    for text in [
        format!("host a {{ {MAC} }}"),
        format!("group {{ host a {{ {MAC} }} }}"),
        format!("subnet 10.0.0.0 netmask 255.0.0.0 {{ pool {{ range 10.0.0.1; }} host a {{ {MAC} }} }}"),
        format!(
            "shared-network n {{ subnet 10.0.0.0 netmask 255.0.0.0 {{ }} group g {{ host a {{ {MAC} }} }} }}"
        ),
        format!("if known {{ x y; }} elsif z {{ }} else {{ host a {{ {MAC} }} }}"),
        format!("on commit {{ set x = binary-to-ascii(16, 8, \":\", \"}}\"); }} HOST a {{ {MAC} }}"),
        "host a{hardware ethernet 52:54:00:00:00:01}".to_owned(),
    ] {
        assert_eq!(one(&text).name.as_str(), "a", "{text}");
    }
}

#[test]
fn what_stands_around_a_host_counts_even_when_it_stands_behind() {
    let text = format!(
        "filename \"top\"; group {{ group {{ host a {{ {MAC} }} next-server 10.0.0.9; }} filename \"in\"; }}"
    );
    let host = one(&text);
    assert_eq!(host.served.boot_file.as_deref(), Some("in"));
    assert_eq!(host.served.next_server.as_deref(), Some("10.0.0.9"));
}

#[test]
fn conditions_inside_a_host_count_for_nothing() {
    let host = one(&format!("host a {{ {MAC} filename \"x\"; if option y {{ filename \"z\"; }} }}"));
    assert_eq!(host.served.boot_file.as_deref(), Some("x"));
}

#[test]
fn comments_and_strings_hide_marks() {
    let host = one(&format!("# host b {{\nhost a {{ {MAC} # }}\n filename \"}};#\"; }}"));
    assert_eq!(host.served.boot_file.as_deref(), Some("};#"));
    assert_eq!(host.origin.line, 2);
}

#[test]
fn what_is_not_carried_is_told() {
    for (statement, code) in [
        ("fixed-address6 fd00::1;", Code::NotCarried),
        ("option dhcp-client-identifier \"x\";", Code::NotCarried),
        ("host-identifier option dhcp6.client-id 0:1;", Code::NotCarried),
        ("option routers 10.0.0.1;", Code::NotCarried),
        ("deny booting;", Code::NotCarried),
        ("hardware token-ring 1:2:3:4:5:6;", Code::NotCarried),
        ("fixed-address name.example;", Code::Address),
        ("fixed-address 0.0.0.0;", Code::Address),
        ("option host-name \"no name\";", Code::NotCarried),
        ("include \"x\";", Code::Include),
    ] {
        let text = format!("host a {{ {MAC} {statement} }}");
        assert_eq!(faults(&text), [(code, 1)], "{text}");
        assert_eq!(read_text(&text).hosts.len(), 1, "{text}");
    }
}

#[test]
fn entries_that_cannot_be_are_refused() {
    for (text, code) in [
        ("host a { }", Code::NoIdentity),
        ("host a { hardware ethernet 52:54:00; }", Code::Mac),
        ("host a! { hardware ethernet 52:54:00:00:00:01; }", Code::Name),
    ] {
        assert_eq!(faults(text), [(code, 1)], "{text}");
        assert!(read_text(text).hosts.is_empty());
    }
}

#[test]
fn broken_nesting_is_told_with_its_line() {
    assert_eq!(faults("subnet x {\nhost a {\n"), [(Code::Syntax, 2)]);
    assert_eq!(faults("}\n}"), [(Code::Syntax, 1), (Code::Syntax, 2)]);
    assert_eq!(faults("a \"b\nc;"), [(Code::Syntax, 1)]);
    assert_eq!(faults(&"x {".repeat(100_000))[0].0, Code::Limit);
}

#[test]
fn what_many_hosts_have_is_told_once() {
    let host = |at: u32| {
        format!("host a{at} {{ hardware ethernet 52:54:00:00:00:{at:02x}; option routers 10.0.0.1; }}\n")
    };
    let text: String = (1..=50).map(host).collect();
    let found = read_text(&text);
    assert_eq!((found.hosts.len(), found.faults.len()), (50, 1));
    assert_eq!(found.faults[0].again, 49);
    assert!(found.faults[0].to_string().contains("(and 49 more)"));
}
