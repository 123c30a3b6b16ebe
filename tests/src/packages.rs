//! The Debian packages that tests and demo need: checked by their files, installed as root, else named in one line.

use crate::world;
use anyhow::{Context, Result, bail};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A package and the file that shows it is there.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// Name for apt.
    pub name: &'static str,
    /// A file of it.
    pub file: &'static str,
    /// What we need it for.
    pub why: &'static str,
}

const fn package(name: &'static str, file: &'static str, why: &'static str) -> Package {
    Package { name, file, why }
}

/// What a boot in QEMU needs: `cargo xtask demo`.
pub const BOOT: &[Package] = &[
    package("iproute2", "/sbin/ip", "namespaces and interfaces"),
    package("util-linux", "/usr/bin/setpriv", "namespaces without root, children that end with us"),
    package("ethtool", "/sbin/ethtool", "interfaces without offload"),
    package("qemu-system-x86", "/usr/bin/qemu-system-x86_64", "machines"),
    package("ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd", "UEFI firmware"),
    package("ipxe-qemu", "/usr/lib/ipxe/qemu/efi-virtio.rom", "the network ROM of BIOS machines"),
    package("ipxe", "/usr/lib/ipxe/undionly.kpxe", "iPXE loaders"),
    package("pxelinux", "/usr/lib/PXELINUX/pxelinux.0", "the pxelinux loader"),
    package("syslinux-common", "/usr/lib/syslinux/modules/bios/ldlinux.c32", "pxelinux's modules"),
    package(
        "debian-installer-12-netboot-amd64",
        "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux",
        "a kernel and its network driver",
    ),
    package("busybox-static", "/bin/busybox", "the shell of the test system"),
];

/// What the tests with real clients need on top.
pub const CLIENTS: &[Package] = &[
    package("dnsmasq-base", "/usr/sbin/dnsmasq", "the reference DHCP and TFTP server"),
    package("udhcpc", "/sbin/udhcpc", "DHCP client"),
    package("isc-dhcp-client", "/sbin/dhclient", "DHCP client"),
    package("isc-dhcp-relay", "/usr/sbin/dhcrelay", "DHCP relay agent"),
    package("tftp-hpa", "/usr/bin/tftp", "TFTP client"),
    package("atftp", "/usr/bin/atftp", "TFTP client with windows"),
    package("curl", "/usr/bin/curl", "HTTP and TFTP client"),
    package("wget", "/usr/bin/wget", "HTTP client"),
];

/// What the tests with installation media need on top.
pub const MEDIA: &[Package] = &[
    package("genisoimage", "/usr/bin/genisoimage", "ISO images"),
    package("isolinux", "/usr/lib/ISOLINUX/isolinux.bin", "a disc that boots"),
    package(
        "grub-efi-amd64-bin",
        "/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi",
        "an EFI program to chain to",
    ),
    package("memtest86+", "/boot/memtest86+x64.bin", "a kernel and an EFI program to boot"),
    package("gcc", "/usr/bin/gcc", "the stand-in for a loader"),
    package("binutils", "/usr/bin/ld", "the stand-in for a loader"),
];

/// What the tests with a directory need.
pub const DIRECTORY: &[Package] = &[
    package("slapd", "/usr/sbin/slapd", "an LDAP directory"),
    package("ldap-utils", "/usr/bin/ldapsearch", "exports of a directory"),
];

/// What the recipes of some installers and the scripted machine of `tests/python/machine.py` need on top.
pub const INSTALLERS: &[Package] = &[package(
    "python3",
    "/usr/bin/python3",
    "ESXi's installer has it, and a recipe uses it; the scripted machine",
)];

/// What the Python programs of `tests/python/` need: see [`crate::python`].
pub const PYTHON: &[Package] = &[
    package("python3", "/usr/bin/python3", "the Redfish simulator"),
    package("python3-pip", "/usr/lib/python3/dist-packages/pip", "the packages of the Redfish simulator"),
];

/// What building the fuzz targets needs.
pub const FUZZ: &[Package] = &[package("g++", "/usr/bin/c++", "libFuzzer is C++")];

/// What the comparison with another server needs.
pub const BENCH: &[Package] = &[
    package("kea-dhcp4-server", "/usr/sbin/kea-dhcp4", "the DHCP server beside us"),
    package("kea-admin", "/usr/sbin/perfdhcp", "the load"),
    package("nginx-light", "/usr/sbin/nginx", "the HTTP server beside us"),
    package("tftpd-hpa", "/usr/sbin/in.tftpd", "the TFTP server beside us"),
];

/// What torture needs on top.
pub const TORTURE: &[Package] = &[
    package("strace", "/usr/bin/strace", "recorded and failing system calls"),
    package("kea-admin", "/usr/sbin/perfdhcp", "the load"),
    package("mount", "/bin/mount", "a small disk"),
];

/// Of `wanted`, what is missing here.
pub fn missing(wanted: &[Package]) -> Vec<Package> {
    wanted.iter().copied().filter(|package| !present(package)).collect()
}

fn present(package: &Package) -> bool {
    let path = Path::new(package.file);
    // Merged and unmerged /usr, and either sbin.
    let there = path.exists() || Path::new("/usr").join(path.strip_prefix("/").unwrap_or(path)).exists();
    // Plain busybox has the same path and no programs that run without a C library.
    there && (package.name != "busybox-static" || is_static(path))
}

/// An ELF program that asks for no interpreter.
fn is_static(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| {
        let head = bytes.get(..4096.min(bytes.len())).unwrap_or_default();
        head.starts_with(b"\x7fELF") && !head.windows(9).any(|window| window == b"/ld-linux")
    })
}

/// The line that installs them.
pub fn install_line(packages: &[Package]) -> String {
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    format!("apt-get install --no-install-recommends {}", names.join(" "))
}

/// Makes sure that everything of `wanted` is installed; as root it installs what is missing.
///
/// # Errors
/// When something is missing and cannot be installed; the text has the line to run.
pub fn ensure(wanted: &[Package]) -> Result<()> {
    let missing = missing(wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let line = install_line(&missing);
    if !nix::unistd::geteuid().is_root() {
        let list: Vec<String> =
            missing.iter().map(|package| format!("  {:<36} {}", package.name, package.why)).collect();
        bail!("missing packages:\n{}\nhint: sudo apt-get update && sudo {line}", list.join("\n"));
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("missing packages, and no apt-get here; on Debian 12 the line is: {line}");
    }
    eprintln!("installing: {line}");
    let _quiet = NoDaemons::start()?;
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    apt(&["update", "-q"])?;
    let install = ["install", "-y", "-q", "--no-install-recommends"];
    if apt(&[&install[..], &names].concat()).is_err() {
        // A backported qemu-utils conflicts with Debian's QEMU; nothing here needs it.
        eprintln!("trying again without qemu-utils");
        apt(&[&install[..], &["qemu-utils-"], &names].concat())?;
    }
    let still: Vec<&str> = self::missing(wanted).iter().map(|package| package.name).collect();
    if !still.is_empty() {
        bail!("installed, and yet not found: {}", still.join(", "));
    }
    Ok(())
}

fn apt(args: &[&str]) -> Result<()> {
    // Its report is no result of ours: it goes where the warnings go.
    let status = world::command("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(std::io::stderr())
        .status()
        .context("cannot run apt-get")?;
    if !status.success() {
        bail!("apt-get {} failed: {status}", args.first().unwrap_or(&""));
    }
    Ok(())
}

/// While it lives, installing a package starts no daemon (Debian policy 11.3.3.2).
struct NoDaemons {
    made: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoDaemons {
    fn start() -> Result<NoDaemons> {
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY) {
            Ok(mut file) => {
                file.write_all(b"#!/bin/sh\nexit 101\n")?;
                Ok(NoDaemons { made: true })
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(NoDaemons { made: false }),
            Err(error) => Err(error).with_context(|| format!("cannot write {POLICY}")),
        }
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.made {
            let _ = std::fs::remove_file(POLICY);
        }
    }
}

/// True when the tools of `wanted` are here. When one is missing, says so loudly and answers false; with
/// `REVEILLE_REQUIRE_TOOLS=1` it panics instead, so that a run that must be complete cannot pass by skipping.
///
/// # Panics
/// With `REVEILLE_REQUIRE_TOOLS=1`, when a tool is missing.
pub fn here(wanted: &[Package]) -> bool {
    let missing = missing(wanted);
    if missing.is_empty() {
        return true;
    }
    let line = install_line(&missing);
    let required = std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_some_and(|value| value != "0");
    assert!(!required, "tools are missing: {line}");
    eprintln!("SKIPPED, tools are missing: {line}");
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_names_its_package() {
        let wanted =
            [package("no-such-package", "/no/such/file", "nothing"), package("base-files", "/etc", "all")];
        let missing = missing(&wanted);
        assert_eq!(install_line(&missing), "apt-get install --no-install-recommends no-such-package");
    }
}
