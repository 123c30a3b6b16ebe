//! The header of a PE image: which firmware runs an `.efi` file, and whether it carries a signature.

use types::Firmware;

/// Reads the COFF machine field (PE format §3.3.1): at 0x3c the offset of `PE\0\0`, the field right behind it,
/// little-endian. `None` for anything else than a PE image of a machine we name.
pub(crate) fn machine_firmware(bytes: &[u8]) -> Option<Firmware> {
    match le16(header(bytes)?, 4)? {
        0x014c => Some(Firmware::UefiIa32),
        0x8664 => Some(Firmware::UefiX64),
        0x01c0 | 0x01c2 | 0x01c4 => Some(Firmware::UefiArm32),
        0xaa64 => Some(Firmware::UefiArm64),
        0x5064 => Some(Firmware::UefiRiscv64),
        0x6264 => Some(Firmware::UefiLoongarch64),
        _ => None,
    }
}

/// Whether the image carries a signature: an entry of its certificate table (PE format §3.4.3, the fifth data directory).
/// Whose it is, and whether firmware trusts it, is not asked. `None` for anything else than a PE image.
pub(crate) fn is_signed(bytes: &[u8]) -> Option<bool> {
    /// Signature and COFF header.
    const OPTIONAL: usize = 4 + 20;
    /// Place of the certificate table among the data directories, eight bytes each: offset and size.
    const CERTIFICATES: u32 = 4;
    let optional = header(bytes)?.get(OPTIONAL..)?;
    // PE32 and PE32+: where the count of data directories is, and behind it they.
    let count_at = match le16(optional, 0)? {
        0x10b => 92,
        0x20b => 108,
        _ => return None,
    };
    if le32(optional, count_at)? <= CERTIFICATES {
        return Some(false);
    }
    let size = le32(optional, count_at + 4 + 8 * CERTIFICATES as usize + 4)?;
    Some(size > 0)
}

/// What begins with `PE\0\0`.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.get(..2)? != b"MZ" {
        return None;
    }
    let header = bytes.get(usize::try_from(le32(bytes, 0x3c)?).ok()?..)?;
    (header.get(..4)? == b"PE\0\0").then_some(header)
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
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

    /// With an optional header of this magic and that many data directories, the fifth of this size.
    fn with_directories(magic: u16, count: u32, certificates: u32) -> Vec<u8> {
        let mut bytes = image_of(0x8664);
        bytes.resize(0x400, 0);
        let optional = 0x40 + 24;
        let at = optional + if magic == 0x20b { 108 } else { 92 };
        bytes[optional..optional + 2].copy_from_slice(&magic.to_le_bytes());
        bytes[at..at + 4].copy_from_slice(&count.to_le_bytes());
        bytes[at + 4 + 36..at + 4 + 40].copy_from_slice(&certificates.to_le_bytes());
        bytes
    }

    #[test]
    fn a_signature_is_an_entry_of_the_certificate_table() {
        for magic in [0x10b, 0x20b] {
            assert_eq!(is_signed(&with_directories(magic, 16, 0x5e8)), Some(true));
            assert_eq!(is_signed(&with_directories(magic, 16, 0)), Some(false));
            assert_eq!(is_signed(&with_directories(magic, 4, 0x5e8)), Some(false), "it ends before");
        }
        assert_eq!(is_signed(&with_directories(0x107, 16, 0x5e8)), None);
        assert_eq!(is_signed(&image_of(0x8664)), None, "it ends behind its header");
        assert_eq!(is_signed(b"MZ"), None);
    }

    /// As packages have them: Debian's iPXE is not signed, its shim is.
    #[test]
    fn loaders_of_packages_are_told_apart() {
        for (path, signed) in [
            ("/usr/lib/ipxe/snponly.efi", false),
            ("/usr/lib/shim/shimx64.efi.signed", true),
            ("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", true),
        ] {
            let Ok(bytes) = std::fs::read(path) else {
                eprintln!("SKIPPED: {path} is not there");
                continue;
            };
            assert_eq!(is_signed(&bytes), Some(signed), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<u32>()) {
            machine_firmware(&bytes);
            is_signed(&bytes);
            if bytes.len() > 0x40 {
                bytes[..2].copy_from_slice(b"MZ");
                bytes[0x3c..0x40].copy_from_slice(&at.to_le_bytes());
                machine_firmware(&bytes);
                is_signed(&bytes);
            }
        }
    }
}
