//! Memtest86+ as Debian packages it: a program for UEFI machines, the same as a kernel for BIOS machines.

use super::prepare::unreadable;
use super::{ImportError, Listed, listing};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use types::Firmware;
use types::resource::{Image, ImageKind};

/// Where package `memtest86+` has it.
pub const MEMTEST_ROOT: &str = "/boot";

const PACKAGE: &str = "memtest86+";

/// 64-bit machines alone: there is no other to test any more.
const PROGRAM: &str = "memtest86+x64.efi";
const KERNEL: &str = "memtest86+x64.bin";

/// Program and kernel, and the profile for them.
pub(super) fn memtest(root: &Path, image: &mut Image) -> Result<BTreeMap<String, Listed>, ImportError> {
    let mut files = BTreeMap::new();
    for name in [PROGRAM, KERNEL] {
        let path = root.join(name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ImportError::PackageMissing { package: PACKAGE, looked_for: path });
            }
            Err(error) => return Err(unreadable(&path, error)),
        };
        listing::add(&mut files, name.to_owned(), path, &metadata)?;
    }
    image.kind = ImageKind::Efi;
    image.efi.get_or_insert_with(|| PROGRAM.to_owned());
    image.kernel.get_or_insert_with(|| KERNEL.to_owned());
    if image.firmware.is_empty() {
        image.firmware = vec![Firmware::Bios, Firmware::UefiX64];
    }
    if image.description.is_empty() {
        image.description = "Memtest86+".to_owned();
    }
    Ok(files)
}
