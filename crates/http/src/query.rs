//! From the query of `boot.ipxe` to [`Facts`]. Pure.
//!
//! iPXE expands a setting it does not have to nothing, so an empty value means *not said*. A value that says
//! something we cannot read is refused: a machine booted under a wrong identity is worse than one that stops with a text.

use crate::limits::FACT_BYTES_MAX;
use crate::refusal::Refusal;
use crate::target::escapes_are_whole;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use std::sync::Arc;
use types::{Facts, Firmware, Stage};

/// Reads the facts; `None` when the query names none of ours. Unknown keys are ignored.
pub(crate) fn facts(query: Option<&str>, from: IpAddr) -> Result<Option<Facts>, Refusal> {
    let mut facts = Facts { stage: Stage::Ipxe, http: true, address: Some(from), ..Facts::default() };
    let mut seen: Vec<&'static str> = Vec::new();
    let (mut build_arch, mut platform) = (None, None);
    for pair in query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(key) = KEYS.into_iter().find(|known| *known == key) else { continue };
        // A vendor called `A & B` makes parameters of its own (QUIRK(ipxe-2019-ampersand)); ours come first and count.
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let Some(value) = decoded(key, value)? else { continue };
        match key {
            "mac" => facts.mac = Some(value.parse().map_err(|error| unreadable(key, &error))?),
            "uuid" => facts.guid = Some(value.parse().map_err(|error| unreadable(key, &error))?),
            "serial" => facts.serial = Some(value),
            "vendor" => facts.vendor = Some(value),
            "model" => facts.model = Some(value),
            "asset" => facts.asset = Some(value),
            "board" => facts.board_serial = Some(value),
            "busid" => facts.nic_bus = Some(value),
            "oem" => facts.oemstring = Some(value),
            "arch" => build_arch = Some(choice(key, &value, &BUILD_ARCHS)?),
            "platform" => platform = Some(choice(key, &value, &PLATFORMS)?),
            _ => {}
        }
    }
    // The whole set is asked for at once: what is missing is not there.
    facts.smbios = seen.iter().any(|key| matches!(*key, "serial" | "vendor" | "model" | "asset"));
    facts.firmware = platform.and_then(|platform| firmware(build_arch, platform));
    Ok((!seen.is_empty()).then_some(facts))
}

const KEYS: [&str; 11] =
    ["mac", "uuid", "serial", "vendor", "model", "asset", "arch", "platform", "board", "busid", "oem"];

/// Values of iPXE's `${buildarch}`.
const BUILD_ARCHS: [&str; 7] = ["i386", "x86_64", "arm32", "arm64", "riscv32", "riscv64", "loong64"];

/// Values of iPXE's `${platform}`.
const PLATFORMS: [&str; 5] = ["pcbios", "efi", "linux", "sbi", "fdt"];

fn firmware(build_arch: Option<&str>, platform: &str) -> Option<Firmware> {
    Some(match (platform, build_arch?) {
        // A BIOS build may be compiled for either.
        ("pcbios", "i386" | "x86_64") => Firmware::Bios,
        ("efi", "i386") => Firmware::UefiIa32,
        ("efi", "x86_64") => Firmware::UefiX64,
        ("efi", "arm32") => Firmware::UefiArm32,
        ("efi", "arm64") => Firmware::UefiArm64,
        ("efi", "riscv64") => Firmware::UefiRiscv64,
        ("efi", "loong64") => Firmware::UefiLoongarch64,
        _ => return None,
    })
}

fn choice<const N: usize>(
    key: &str,
    value: &str,
    known: &[&'static str; N],
) -> Result<&'static str, Refusal> {
    known
        .iter()
        .find(|own| **own == value)
        .copied()
        .ok_or_else(|| unreadable(key, &format!("known are {}", known.join(", "))))
}

fn unreadable(key: &str, why: &dyn std::fmt::Display) -> Refusal {
    Refusal::bad_request("bad_fact", format!("cannot read `{key}` of the query: {why}"))
}

/// Decoded once, control characters out, cut to a bound, trimmed; `None` when nothing is left.
fn decoded(key: &str, value: &str) -> Result<Option<Arc<str>>, Refusal> {
    if !escapes_are_whole(value) {
        return Err(unreadable(key, &"broken percent escape"));
    }
    // Vendors put Latin-1 and worse into SMBIOS strings; such bytes become the replacement character.
    let text: String =
        percent_decode_str(value).decode_utf8_lossy().chars().filter(|one| !one.is_control()).collect();
    let text = text.trim();
    let end = (0..=text.len().min(FACT_BYTES_MAX)).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    Ok(text.get(..end).map(str::trim_end).filter(|kept| !kept.is_empty()).map(Arc::from))
}

#[cfg(test)]
mod tests;
