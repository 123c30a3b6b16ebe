//! Which release a `boot.cfg` belongs to, and what that release can do.

use super::BootCfg;
use std::fmt;

/// A release: `8.0.3`, and its build. Ordered by these numbers; one of unknown build stands before those of known build.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EsxiVersion {
    /// `8`.
    pub major: u16,
    /// `0`.
    pub minor: u16,
    /// `3`, for Update 3.
    pub update: u16,
    /// `24022510`.
    pub build: Option<u32>,
}

impl EsxiVersion {
    /// A release of unknown build.
    pub const fn new(major: u16, minor: u16, update: u16) -> EsxiVersion {
        EsxiVersion { major, minor, update, build: None }
    }

    /// `8.0.3-0.0.24022510`, `9.0.0.0.24755229`, `8.0.3`; anything may stand behind the numbers.
    pub fn parse(text: &str) -> Option<EsxiVersion> {
        let end = text.find(|char: char| !char.is_ascii_digit() && char != '.' && char != '-');
        let text = text.get(..end.unwrap_or(text.len()))?;
        let numbers: Vec<u32> = text
            .split(['.', '-'])
            .map(|number| number.parse().ok())
            .take_while(Option::is_some)
            .flatten()
            .collect();
        let (&[major, minor], behind) = numbers.split_first_chunk()?;
        let update = behind.first().copied().filter(|number| *number < BUILD_MIN).unwrap_or_default();
        Some(EsxiVersion {
            major: major.try_into().ok()?,
            minor: minor.try_into().ok()?,
            update: update.try_into().ok()?,
            build: behind.last().copied().filter(|number| *number >= BUILD_MIN),
        })
    }
}

/// Builds of ESXi have six digits and more, the numbers of a release few.
const BUILD_MIN: u32 = 100_000;

impl fmt::Display for EsxiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.update)?;
        match self.build {
            Some(build) => write!(f, " build {build}"),
            None => Ok(()),
        }
    }
}

/// The release of a medium: out of `build=`, else out of a title that names one (`VMware ESXi 6.7.0 …`).
pub fn version(cfg: &BootCfg) -> Option<EsxiVersion> {
    if let Some(version) = cfg.other("build").and_then(EsxiVersion::parse) {
        return Some(version);
    }
    let title = cfg.title.as_deref()?;
    let mut words = title.split(' ').skip_while(|word| !word.contains("ESX"));
    words.find_map(|word| EsxiVersion::parse(word.trim_start_matches(['v', 'V', '('])))
}

/// What a release can be booted by, and what its own loader knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BootsOn {
    /// BIOS machines, by pxelinux or iPXE. IPv4 only.
    pub bios: bool,
    /// UEFI machines by PXE: from 6.0 (Auto Deploy from 6.5).
    pub uefi_pxe: bool,
    /// UEFI machines by HTTP boot: from 7.0 Update 2.
    pub uefi_http: bool,
    /// The loader follows redirects: from 9.0.
    pub redirects: bool,
    /// The loader finds `content-length` in any case: from 8.0.
    pub any_case_headers: bool,
    /// The loader can leave after a failure (`errtimeout`, `skip`): from 8.0.1.
    pub leaves_after_failure: bool,
    /// Kickstart may set a serial number: before 9.0.
    pub kickstart_serial: bool,
}

/// What a release can be booted by. An image boots with the loader of a newer release, never with that of an older one.
pub fn boots_on(version: EsxiVersion) -> BootsOn {
    let from = |major, minor, update| version >= EsxiVersion::new(major, minor, update);
    BootsOn {
        bios: true,
        uefi_pxe: from(6, 0, 0),
        uefi_http: from(7, 0, 2),
        redirects: from(9, 0, 0),
        any_case_headers: from(8, 0, 0),
        leaves_after_failure: from(8, 0, 1),
        kickstart_serial: !from(9, 0, 0),
    }
}

#[cfg(test)]
mod tests;
