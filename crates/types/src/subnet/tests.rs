use super::*;

#[test]
fn ranges_read_in_both_forms_and_refuse_the_wrong_order() {
    let range: Ipv4Range = "10.0.0.5-10.0.0.9".parse().unwrap();
    assert_eq!(range.size(), 5);
    assert!(range.contains(Ipv4Addr::new(10, 0, 0, 9)) && !range.contains(Ipv4Addr::new(10, 0, 0, 10)));
    assert_eq!("10.0.0.5".parse::<Ipv4Range>().unwrap().size(), 1);
    assert_eq!("0.0.0.0-255.255.255.255".parse::<Ipv4Range>().unwrap().size(), 1 << 32);
    for bad in ["", "10.0.0.9-10.0.0.5", "10.0.0.0/24", "10.0.0.5-"] {
        assert!(bad.parse::<Ipv4Range>().is_err(), "{bad}");
    }
}
