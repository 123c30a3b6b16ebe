//! The Debian installer as the archive packages it for network booting.

use super::prepare::unreadable;
use super::{ImportError, Listed, listing};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use types::Firmware;
use types::resource::Image;

/// Where package `debian-installer-12-netboot-amd64` has its text installer.
pub const DEBIAN_NETBOOT_ROOT: &str = "/usr/lib/debian-installer/images/12/amd64/text";

const PACKAGE: &str = "debian-installer-12-netboot-amd64";

/// Kernel and ramdisk, the profile for them, and the installer's own build number as version.
///
/// The command line is the package's own (`boot-screens/txt.cfg`) without `vga=788`: on a machine without a screen the
/// kernel asks for another mode there and waits 30 seconds. What stands after `---` goes into the boot configuration of
/// the installed system.
pub(super) fn netboot(
    root: &Path,
    image: &mut Image,
) -> Result<(BTreeMap<String, Listed>, Option<String>), ImportError> {
    let folder = root.join("debian-installer").join("amd64");
    let mut files = BTreeMap::new();
    for name in ["linux", "initrd.gz"] {
        let path = folder.join(name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ImportError::PackageMissing { package: PACKAGE, looked_for: path });
            }
            Err(error) => return Err(unreadable(&path, error)),
        };
        listing::add(&mut files, name.to_owned(), path, &metadata)?;
    }
    image.kernel.get_or_insert_with(|| "linux".to_owned());
    if image.initrd.is_empty() {
        image.initrd = vec!["initrd.gz".to_owned()];
    }
    if image.cmdline.is_empty() {
        image.cmdline = "--- quiet".to_owned();
    }
    if image.firmware.is_empty() {
        image.firmware = vec![Firmware::Bios, Firmware::UefiX64];
    }
    let info = fs::read_to_string(root.join("version.info")).unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim().chars().take(64).collect())
    };
    let version: Option<String> = field("Installer build:");
    if image.description.is_empty() {
        let release: String = field("Debian version:").unwrap_or_else(|| "12".to_owned());
        image.description = format!("Debian {release} installer");
    }
    Ok((files, version))
}
