use super::*;
use crate::found::Proposal;

fn read_text(text: &str) -> Found {
    read("dnsmasq.conf", text.as_bytes(), &Options::default())
}

fn faults(text: &str) -> Vec<(Code, u32)> {
    read_text(text).faults.iter().map(|fault| (fault.code, fault.origin.line)).collect()
}

fn summary(host: &Proposal) -> String {
    let macs: Vec<String> = host.identity.mac.0.iter().map(ToString::to_string).collect();
    let addresses: Vec<String> = host.reservations.iter().map(|one| one.address.to_string()).collect();
    format!("{} {} [{}] {:?}", host.name, macs.join("+"), addresses.join("+"), host.served.tags)
}

#[test]
fn the_example_is_read_whole() {
    let bytes = include_bytes!("../../../../examples/host-import/dnsmasq.conf");
    let found = read("dnsmasq.conf", bytes, &Options::default());
    let hosts: Vec<String> = found.hosts.iter().map(summary).collect();
    assert_eq!(
        hosts,
        [
            "nas 52:54:00:12:34:21 [10.77.0.51] []",
            "laptop 52:54:00:12:34:22+52:54:00:12:34:23 [10.77.0.52] []",
            "mac-525400123424 52:54:00:12:34:24 [10.77.0.53] [\"lab\"]",
            "bench 52:54:00:12:34:25 [] []",
        ]
    );
    let codes: Vec<(Code, u32)> = found.faults.iter().map(|fault| (fault.code, fault.origin.line)).collect();
    assert_eq!(
        codes,
        [
            (Code::Include, 5),
            (Code::NotCarried, 7),
            (Code::Address, 8),
            (Code::NameMade, 9),
            (Code::NotCarried, 10),
            (Code::NotCarried, 11),
            (Code::NoIdentity, 11),
            (Code::Ignored, 12),
            (Code::Mac, 13),
        ]
    );
}

#[test]
fn a_hosts_file_has_no_keyword() {
    let options = Options { groups: true, ..Options::default() };
    let found = read("hosts", include_bytes!("../../../../examples/host-import/dnsmasq.hosts"), &options);
    let hosts: Vec<String> = found.hosts.iter().map(summary).collect();
    assert_eq!(
        hosts,
        ["desk-31 52:54:00:12:34:31 [10.77.0.61] [\"desk\"]", "desk-32 52:54:00:12:34:32 [10.77.0.62] []"]
    );
    assert_eq!(found.hosts[0].group.as_ref().unwrap().as_str(), "desk");
    assert_eq!(found.faults.len(), 1, "one lease time");
}

#[test]
fn every_form_of_the_manual() {
    for (line, wanted) in [
        ("dhcp-host=11-22-33-44-55-66,a", "a 10:22"),
        ("dhcp-host=10:22:33:44:55:66,a,1.2.3.4", "a 10:22:33:44:55:66 [1.2.3.4] []"),
        ("dhcp-host = 10:22:33:44:55:66 , a", "a 10:22:33:44:55:66 [] []"),
        ("--dhcp-host=10-22-33-44-55-66,a", "a 10:22:33:44:55:66 [] []"),
        ("dhcp-host=a,10:22:33:44:55:66,infinite", "a 10:22:33:44:55:66 [] []"),
        ("dhcp-host=10:22:33:44:55:66,12h,a.lan", "a 10:22:33:44:55:66 [] []"),
        ("dhcp-host=01-10:22:33:44:55:66,a", "a 10:22:33:44:55:66 [] []"),
        ("dhcp-host=10:2:3:4:5:6,net:old,a", "a 10:02:03:04:05:06 [] [\"old\"]"),
        ("dhcp-host=10:22:33:44:55:66,tag:x,set:y,set:z,a", "a 10:22:33:44:55:66 [] [\"y\", \"z\"]"),
        ("dhcp-host=10:22:33:44:55:66,[::5],[fd00::1/64],a", "a 10:22:33:44:55:66 [] []"),
        ("dhcp-host=10:22:33:44:55:66,\"a\"", "a 10:22:33:44:55:66 [] []"),
        ("10:22:33:44:55:66,a", "a 10:22:33:44:55:66 [] []"),
        ("10:22:33:44:55:66", "mac-102233445566 10:22:33:44:55:66 [] []"),
    ] {
        let found = read_text(line);
        if line.contains("11-22") {
            assert!(found.hosts.is_empty(), "a group address is no machine's");
            continue;
        }
        assert_eq!(
            found.hosts.iter().map(summary).collect::<Vec<_>>(),
            [wanted],
            "{line}: {:?}",
            found.faults
        );
    }
}

#[test]
fn what_is_no_host_is_skipped() {
    let text = "# dhcp-host=x\n  \ndomain-needed\nserver=/lan/10.0.0.1\naddress=/a/fd00::1\ndhcp-range=10.0.0.1,10.0.0.9\n";
    assert_eq!(read_text(text), Found::default());
}

#[test]
fn what_is_doubtful_is_told() {
    for (line, code) in [
        ("dhcp-host=02-52:54:00:00:00:01,a", Code::NotCarried),
        ("dhcp-host=52:54:00:*:*:*,a", Code::Mac),
        ("dhcp-host=52:54:zz,a", Code::Mac),
        ("dhcp-host=a,10.0.0.1", Code::NoIdentity),
        ("dhcp-host=52:54:00:00:00:01,ignore", Code::Ignored),
        ("dhcp-hostsfile=/etc/hosts.dhcp", Code::Include),
        ("read-ethers", Code::Include),
        ("dhcp-host=52:54:00:00:00:01,a,127.0.0.1", Code::Address),
    ] {
        assert_eq!(faults(line).first(), Some(&(code, 1)), "{line}");
    }
    assert_eq!(faults(&format!("dhcp-host={}", "x,".repeat(5000))), [(Code::Limit, 1)]);
}
