//! What kind of machine asks, and how far it has come.

use std::fmt;
use std::str::FromStr;

/// A client architecture code of option 93 (RFC 4578 §2.1, IANA "Processor Architecture Types").
///
/// QUIRK(arch-7-and-9): the RFC printed 7 and 9 the other way round (erratum 4624): 7 is x64 UEFI, 9 is EBC, which x64 firmware also sends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ClientArch(pub u16);

/// What we conclude the machine boots with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Firmware {
    /// x86 BIOS: NBPs are real-mode programs.
    Bios,
    /// 32-bit x86 UEFI.
    UefiIa32,
    /// 64-bit x86 UEFI.
    UefiX64,
    /// 32-bit ARM UEFI.
    UefiArm32,
    /// 64-bit ARM UEFI.
    UefiArm64,
    /// 64-bit RISC-V UEFI.
    UefiRiscv64,
    /// 64-bit LoongArch UEFI.
    UefiLoongarch64,
    /// 32-bit ARM U-Boot.
    UbootArm32,
    /// 64-bit ARM U-Boot.
    UbootArm64,
}

/// Who is asking, as far as the request tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub enum Stage {
    /// No network boot client: an operating system or anything else that only wants an address.
    #[default]
    Os,
    /// A PXE ROM: vendor class `PXEClient`, no iPXE marks.
    Rom,
    /// UEFI HTTP boot: vendor class `HTTPClient`.
    HttpRom,
    /// iPXE, in the ROM or chainloaded: user class or option 175.
    Ipxe,
    /// A loader that sends no DHCP of its own, met at the TFTP or HTTP door (pxelinux, GRUB, shim).
    Loader,
}

impl ClientArch {
    /// The firmware the code stands for; `None` for codes we have no name for (never guessed).
    pub fn firmware(self) -> Option<Firmware> {
        Some(match self.0 {
            0x00 | 0x14 => Firmware::Bios,
            0x06 | 0x0f => Firmware::UefiIa32,
            0x07 | 0x09 | 0x10 | 0x11 => Firmware::UefiX64,
            0x0a | 0x12 => Firmware::UefiArm32,
            0x0b | 0x13 => Firmware::UefiArm64,
            0x15 | 0x17 => Firmware::UbootArm32,
            0x16 | 0x18 => Firmware::UbootArm64,
            0x1b | 0x1c => Firmware::UefiRiscv64,
            0x27 | 0x28 => Firmware::UefiLoongarch64,
            _ => return None,
        })
    }

    /// True for the codes whose boot file is a URL (UEFI 2.5 HTTP boot and its siblings).
    pub fn boots_by_http(self) -> bool {
        matches!(self.0, 0x0f..=0x14 | 0x17 | 0x18 | 0x1a | 0x1c | 0x1e | 0x26 | 0x28)
    }
}

impl fmt::Display for ClientArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.firmware() {
            Some(firmware) => write!(f, "{firmware} ({})", self.0),
            None => write!(f, "arch {}", self.0),
        }
    }
}

impl Firmware {
    /// Every firmware we name, in the order of the declaration.
    pub const ALL: [Firmware; 9] = [
        Firmware::Bios,
        Firmware::UefiIa32,
        Firmware::UefiX64,
        Firmware::UefiArm32,
        Firmware::UefiArm64,
        Firmware::UefiRiscv64,
        Firmware::UefiLoongarch64,
        Firmware::UbootArm32,
        Firmware::UbootArm64,
    ];

    /// The name used in configuration, events and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Firmware::Bios => "bios",
            Firmware::UefiIa32 => "uefi-ia32",
            Firmware::UefiX64 => "uefi-x64",
            Firmware::UefiArm32 => "uefi-arm32",
            Firmware::UefiArm64 => "uefi-arm64",
            Firmware::UefiRiscv64 => "uefi-riscv64",
            Firmware::UefiLoongarch64 => "uefi-loongarch64",
            Firmware::UbootArm32 => "uboot-arm32",
            Firmware::UbootArm64 => "uboot-arm64",
        }
    }

    /// True for every UEFI firmware: option 67 must end in NUL there (threats.md finding 7).
    pub fn is_uefi(self) -> bool {
        !matches!(self, Firmware::Bios | Firmware::UbootArm32 | Firmware::UbootArm64)
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no firmware we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareParseError;

impl fmt::Display for FirmwareParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a firmware; known are {}", Firmware::ALL.map(Firmware::as_str).join(", "))
    }
}

impl std::error::Error for FirmwareParseError {}

impl FromStr for Firmware {
    type Err = FirmwareParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Firmware::ALL.into_iter().find(|firmware| firmware.as_str() == text).ok_or(FirmwareParseError)
    }
}

crate::resource::text_form!(Firmware, "firmware", "Firmware name such as bios, uefi-x64 or uefi-arm64");

impl Stage {
    /// The name used in events and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Os => "os",
            Stage::Rom => "rom",
            Stage::HttpRom => "http-rom",
            Stage::Ipxe => "ipxe",
            Stage::Loader => "loader",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
