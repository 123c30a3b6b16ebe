//! The machine type of a PE image: which firmware runs an `.efi` file.

use types::Firmware;

/// Reads the COFF machine field (PE format §3.3.1): at 0x3c the offset of `PE\0\0`, the field right behind it,
/// little-endian. `None` for anything else than a PE image of a machine we name.
pub(crate) fn machine_firmware(bytes: &[u8]) -> Option<Firmware> {
    if bytes.get(..2)? != b"MZ" {
        return None;
    }
    let header = usize::try_from(u32::from_le_bytes(bytes.get(0x3c..0x40)?.try_into().ok()?)).ok()?;
    let header = bytes.get(header..)?;
    if header.get(..4)? != b"PE\0\0" {
        return None;
    }
    match u16::from_le_bytes(header.get(4..6)?.try_into().ok()?) {
        0x014c => Some(Firmware::UefiIa32),
        0x8664 => Some(Firmware::UefiX64),
        0x01c0 | 0x01c2 | 0x01c4 => Some(Firmware::UefiArm32),
        0xaa64 => Some(Firmware::UefiArm64),
        0x5064 => Some(Firmware::UefiRiscv64),
        0x6264 => Some(Firmware::UefiLoongarch64),
        _ => None,
    }
}

/// A file with nothing but such a header, for tests.
#[cfg(test)]
pub(super) fn image_of(machine: u16) -> Vec<u8> {
    let mut bytes = vec![0u8; 0x46];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x40;
    bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
    bytes[0x44..0x46].copy_from_slice(&machine.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn machine_types_name_their_firmware() {
        assert_eq!(machine_firmware(&image_of(0x8664)), Some(Firmware::UefiX64));
        assert_eq!(machine_firmware(&image_of(0xaa64)), Some(Firmware::UefiArm64));
        assert_eq!(machine_firmware(&image_of(0x0ebc)), None);
        assert_eq!(machine_firmware(b"MZ"), None);
        assert_eq!(machine_firmware(b""), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<u32>()) {
            machine_firmware(&bytes);
            if bytes.len() > 0x40 {
                bytes[..2].copy_from_slice(b"MZ");
                bytes[0x3c..0x40].copy_from_slice(&at.to_le_bytes());
                machine_firmware(&bytes);
            }
        }
    }
}
