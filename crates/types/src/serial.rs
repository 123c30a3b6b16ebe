//! Serial numbers that are nobody's: what makers leave in SMBIOS when they write none.

/// QUIRK(factory-serials): texts seen where a serial number belongs, in small letters. Sources: boards seen in the field, and
/// the placeholders of AMI, Phoenix and QEMU firmware.
const NOBODYS: [&str; 31] = [
    "0123456789",
    "1234567",
    "12345678",
    "123456789",
    "1234567890",
    "base board serial number",
    "chassis serial number",
    "default",
    "default string",
    "empty",
    "invalid",
    "n/a",
    "na",
    "nil",
    "no serial",
    "none",
    "not applicable",
    "not available",
    "not specified",
    "null",
    "o.e.m.",
    "oem",
    "serial",
    "serial number",
    "system serial number",
    "tbd",
    "to be filled",
    "to be filled by o.e.m",
    "to be filled by o.e.m.",
    "to be filled by oem",
    "unknown",
];

/// True for a text that many machines carry in place of a serial number: blanks, one character again and again, and known
/// placeholders, whatever their case. It identifies no machine.
pub fn is_nobodys(serial: &str) -> bool {
    let serial = serial.trim();
    let mut letters = serial.chars();
    let first = letters.next();
    if first.is_none() || letters.all(|letter| Some(letter) == first) {
        return true;
    }
    let folded = serial.to_ascii_lowercase();
    NOBODYS.contains(&folded.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_nobodys_and_real_serials_are_somebodys() {
        for text in
            ["", "  ", "0", "00000000", "xxxxxxxx", "To be filled by O.E.M.", " None ", "Default string"]
        {
            assert!(is_nobodys(text), "{text:?}");
        }
        for text in ["7XK2P13", "S1", "VMware-42 1f 0a 77", "SN0", "None1"] {
            assert!(!is_nobodys(text), "{text:?}");
        }
    }

    #[test]
    fn the_list_is_in_the_form_it_is_compared_in() {
        assert!(NOBODYS.iter().all(|text| text.trim().to_ascii_lowercase() == *text));
    }
}
