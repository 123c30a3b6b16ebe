//! `cargo xtask assets`: the packages tests and demo need, and the loaders that are here.

use anyhow::Result;
use harness::packages::{self, BOOT, CLIENTS};
use harness::python::{self, REDFISH};
use harness::qemu;
use std::path::Path;

/// Loaders reveille finds in Debian's packages.
const LOADERS: &[(&str, &str)] = &[
    ("undionly.kpxe", "/usr/lib/ipxe/undionly.kpxe"),
    ("snponly.efi", "/usr/lib/ipxe/snponly.efi"),
    ("ipxe.efi", "/usr/lib/ipxe/ipxe.efi"),
    ("pxelinux.0", "/usr/lib/PXELINUX/pxelinux.0"),
    ("lpxelinux.0", "/usr/lib/PXELINUX/lpxelinux.0"),
    ("ldlinux.c32", "/usr/lib/syslinux/modules/bios/ldlinux.c32"),
];

pub(crate) fn run() -> Result<()> {
    packages::ensure(&[BOOT, CLIENTS].concat())?;
    println!("packages   all {} are here", BOOT.len() + CLIENTS.len());
    python::ensure(&[REDFISH])?;
    println!("simulator  {} is here: {}", REDFISH.name, REDFISH.why);
    for (name, path) in LOADERS {
        match std::fs::metadata(Path::new(path)) {
            Ok(found) => println!("loader     {name:<14} {:>8} bytes  {path}", found.len()),
            Err(_) => println!("loader     {name:<14} missing         {path}"),
        }
    }
    println!("machines   qemu with {}", qemu::accelerator());
    match harness::world::find()? {
        harness::world::World::Direct => println!("labs       network namespaces, directly"),
        harness::world::World::Rootless => println!("labs       network namespaces inside a user namespace"),
    }
    Ok(())
}
