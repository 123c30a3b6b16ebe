//! An image: a named set of files and the recipe to boot it.

use super::Name;
use crate::Firmware;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named set of files and its profile: the recipe that boots it.
///
/// `kernel`, `initrd`, `script`, `efi`, `disk` and `modules` are file names inside the image (or inside its `base`),
/// looked up in its manifest and never on a disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Unique name; also the first part of its files' names in the boot tree.
    pub name: Name,
    /// How it is booted.
    pub kind: ImageKind,
    /// Where its files come from, for images of a configuration file: a folder, a medium, a URL or a catalogue name
    /// (`dir:/srv/debian`, `iso:/srv/esxi.iso`, `https://mirror/esxi.iso`, `debian-netboot`). Imported images leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the file `source` names must hash to, 64 hex digits; a URL needs it. What was imported under it is not
    /// fetched or read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Linux: the kernel's file name in the image. `efi`: what BIOS machines boot instead of the program. Windows: the
    /// `wimboot` loader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Linux: initial ramdisks in loading order. Windows: the files `wimboot` is given (`BCD`, `boot.sdi`, `boot.wim`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub initrd: Vec<String>,
    /// The kernel command line. ESXi: options added to those of its `boot.cfg`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cmdline: String,
    /// iPXE script: its file name in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// `efi`: the program UEFI machines run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efi: Option<String>,
    /// `iso`: the disk image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// ESXi: the image this one stands on. Its files are found behind our own, and its `boot.cfg` is ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Name>,
    /// ESXi: modules loaded after those of `boot.cfg` (drivers, archives that unpack over the root file system).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// ESXi: runs from memory and leaves the disks alone; the installer is not started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stateless: bool,
    /// Template of the answer file each host gets (kickstart, preseed, user-data …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Name>,
    /// Booting it may erase a disk: never in a menu, needs an armed host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destructive: bool,
    /// Firmware it boots on; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firmware: Vec<Firmware>,
    /// One line for menus.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Image {
    /// An image of which nothing but name and kind is known yet.
    pub fn new(name: Name, kind: ImageKind) -> Image {
        Image {
            name,
            kind,
            source: None,
            sha256: None,
            kernel: None,
            initrd: Vec::new(),
            cmdline: String::new(),
            script: None,
            efi: None,
            disk: None,
            base: None,
            modules: Vec::new(),
            stateless: false,
            template: None,
            destructive: false,
            firmware: Vec::new(),
            description: String::new(),
        }
    }

    /// Every file its profile names, with what each is for.
    pub fn named_files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let single =
            [("kernel", &self.kernel), ("script", &self.script), ("efi", &self.efi), ("disk", &self.disk)];
        let single = single.into_iter().filter_map(|(role, file)| Some((role, file.as_deref()?)));
        let listed = [("initrd", &self.initrd), ("modules", &self.modules)];
        let listed =
            listed.into_iter().flat_map(|(role, files)| files.iter().map(move |file| (role, file.as_str())));
        single.chain(listed)
    }

    /// What its kind cannot do without and this one lacks.
    pub fn lacks(&self) -> Option<&'static str> {
        let (field, there) = match self.kind {
            ImageKind::Linux => ("kernel", self.kernel.is_some()),
            ImageKind::Windows => ("initrd", !self.initrd.is_empty()),
            ImageKind::IpxeScript => ("script", self.script.is_some()),
            ImageKind::Efi => ("efi", self.efi.is_some()),
            ImageKind::Iso => ("disk", self.disk.is_some()),
            // Everything is in its `boot.cfg`.
            ImageKind::Esxi => return None,
        };
        (!there).then_some(field)
    }
}

/// How an image is booted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKind {
    /// A Linux kernel with initial ramdisks.
    Linux,
    /// An iPXE script, run as it is.
    IpxeScript,
    /// VMware ESXi: `mboot` with the `boot.cfg` of its installer medium.
    Esxi,
    /// Windows PE or Setup: `wimboot` with the files it is given.
    Windows,
    /// An EFI program, and for BIOS machines a kernel.
    Efi,
    /// A disk image, booted over HTTP as a drive.
    Iso,
}

impl ImageKind {
    /// The name used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            ImageKind::Linux => "linux",
            ImageKind::IpxeScript => "ipxe-script",
            ImageKind::Esxi => "esxi",
            ImageKind::Windows => "windows",
            ImageKind::Efi => "efi",
            ImageKind::Iso => "iso",
        }
    }
}
