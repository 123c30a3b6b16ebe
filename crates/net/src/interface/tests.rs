use super::*;
use std::net::Ipv4Addr;

#[test]
fn the_loopback_is_listed_with_its_address() {
    let interfaces = list().unwrap();
    let loopback = interfaces.iter().find(|interface| interface.loopback).unwrap();
    assert!(loopback.index > 0);
    assert!(loopback.mac.is_none());
    if loopback.up {
        assert!(loopback.ipv4.iter().any(|net| net.addr() == Ipv4Addr::LOCALHOST && net.prefix_len() == 8));
    }
}

#[test]
fn the_default_route_with_the_lowest_metric_wins() {
    let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
        eth0\t00000000\t01004D0A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        down0\t00000000\t01004D0A\t0002\t0\t0\t1\t00000000\t0\t0\t0\n\
        eth1\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    assert_eq!(parse_default_route(table).as_deref(), Some("eth0"));
}

#[test]
fn a_table_without_default_route_or_with_junk_names_none() {
    assert_eq!(parse_default_route(""), None);
    assert_eq!(parse_default_route("Iface\nx y\neth0\t00000000\tz\tq\t0\t0\t1\t00000000\n"), None);
}
