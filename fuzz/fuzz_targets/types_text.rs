//! Any text as each of the small types. What parses is shown as text that parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fmt::{Debug, Display};
use std::str::FromStr;
use types::resource::Name;
use types::subnet::Ipv4Range;
use types::{Firmware, MacAddr, MachineGuid};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    again::<MacAddr>(text);
    again::<MachineGuid>(text);
    again::<Name>(text);
    again::<Firmware>(text);
    if let Ok(range) = text.parse::<Ipv4Range>() {
        assert!(range.first <= range.last && range.size() >= 1 && range.contains(range.first));
        let shown = format!("{}-{}", range.first, range.last);
        assert_eq!(shown.parse::<Ipv4Range>(), Ok(range));
    }
});

fn again<T: FromStr + Display + PartialEq + Debug>(text: &str)
where
    T::Err: Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            let shown = value.to_string();
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
            assert!(shown.parse::<T>().is_ok_and(|again| again == value), "{shown}");
        }
        Err(error) => drop(error.to_string()),
    }
}
