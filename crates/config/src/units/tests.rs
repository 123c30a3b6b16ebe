use super::*;
use proptest::prelude::*;

#[test]
fn durations_need_a_unit_and_print_in_the_largest() {
    for (text, millis, printed) in [
        ("500ms", 500, "500ms"),
        ("30s", 30_000, "30s"),
        ("90s", 90_000, "90s"),
        ("120s", 120_000, "2m"),
        ("1h30m", 5_400_000, "90m"),
        ("8h", 28_800_000, "8h"),
        ("7d", 604_800_000, "7d"),
        ("0s", 0, "0s"),
    ] {
        let period: Period = text.parse().unwrap();
        assert_eq!(period.0, Duration::from_millis(millis), "{text}");
        assert_eq!(period.to_string(), printed);
    }
    for text in
        ["", "60", "s", "5 m", "5w", "-1s", "1.5h", "5M", "3651d", "99999999999999999999s", "1m2", "5µs"]
    {
        assert!(text.parse::<Period>().is_err(), "{text}");
    }
}

#[test]
fn sizes_honour_decimal_and_binary_units() {
    for (text, bytes, printed) in [
        ("64MiB", 64 << 20, "64MiB"),
        ("40GB", 40_000_000_000, "40GB"),
        ("1024KiB", 1 << 20, "1MiB"),
        ("1000B", 1000, "1kB"),
        ("7B", 7, "7B"),
        ("0", 0, "0B"),
    ] {
        let size: Size = text.parse().unwrap();
        assert_eq!(size.0, bytes, "{text}");
        assert_eq!(size.to_string(), printed);
    }
    for text in ["", "64", "64M", "-1B", "99999999999TiB", "1.5GB"] {
        assert!(text.parse::<Size>().is_err(), "{text}");
    }
    assert_eq!("40MB/s".parse::<Rate>().unwrap(), Rate(40_000_000));
    assert_eq!(Rate(40_000_000).to_string(), "40MB/s");
    assert!("40MB".parse::<Rate>().is_err());
}

#[test]
fn networks_have_no_bits_behind_the_prefix() {
    assert!("10.77.0.0/24".parse::<Cidr>().is_ok());
    for text in ["10.77.0.1/24", "10.77.0.0", "10.77.0.0/33", "10.77.0/24", "fd00::/8"] {
        assert!(text.parse::<Cidr>().is_err(), "{text}");
    }
}

#[test]
fn listen_addresses_are_a_port_with_or_without_address() {
    for text in [":8080", "10.0.0.1:80", "[fd00::1]:80", ":0"] {
        assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
    }
    for text in ["", "8080", ":", ":65536", ":+1", "fd00::1:80", "[fd00::1]", "host:80", "10.0.0.1"] {
        assert!(text.parse::<Listen>().is_err(), "{text}");
    }
}

#[test]
fn names_of_files_sockets_interfaces_and_domains_are_bounded() {
    assert!("a".repeat(127).parse::<BootFile>().is_ok());
    assert!("a".repeat(128).parse::<BootFile>().is_err());
    assert!("a b".parse::<BootFile>().is_err());
    assert!("a".repeat(108).parse::<SocketPath>().is_err());
    assert!("enp3s0.100".parse::<InterfaceName>().is_ok());
    for text in ["", "a/b", "..", "eth0:1", "a23456789012345x"] {
        assert!(text.parse::<InterfaceName>().is_err(), "{text}");
    }
    assert!("lab.example".parse::<Domain>().is_ok());
    for text in ["", ".", "a..b", "-a", "a b", "ä.example"] {
        assert!(text.parse::<Domain>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(millis in 0..DURATION_SECS_MAX * 1000, bytes in any::<u64>()) {
        let period = Period(Duration::from_millis(millis));
        prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
        prop_assert_eq!(Size(bytes).to_string().parse::<Size>().unwrap(), Size(bytes));
        prop_assert_eq!(Rate(bytes).to_string().parse::<Rate>().unwrap(), Rate(bytes));
    }

    #[test]
    fn no_text_makes_a_unit_panic(text in any::<String>()) {
        for format in ["mac", "uuid", "name", "duration", "size", "rate", "cidr", "range", "address", "listen", "path"] {
            let _ = check_format(format, &text);
        }
    }
}
