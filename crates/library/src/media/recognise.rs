//! What a set of files is: told by names without regard to case and by a few small files, and turned into a profile.
//!
//! First family that fits, in this order; each line says what must be there:
//!
//! | family | told by |
//! |---|---|
//! | ESXi | `boot.cfg` (or `efi/boot/boot.cfg`) beside `mboot.c32`, `efi/boot/bootx64.efi`, `b.b00` or the kernel it names |
//! | Debian netboot | `debian-installer/amd64/linux` and its `initrd.gz` |
//! | Debian installer | `install.amd/vmlinuz` and `install.amd/initrd.gz` |
//! | Debian live | `live/vmlinuz…` and `live/initrd…` |
//! | Ubuntu | `casper/vmlinuz` and `casper/initrd…` |
//! | Rocky, RHEL, Fedora | `images/pxeboot/vmlinuz` and `images/pxeboot/initrd.img` |
//! | Photon OS | `isolinux/vmlinuz`, `isolinux/initrd.img` and a folder `RPMS` |
//! | Alpine | `boot/vmlinuz-lts` or `-virt` and its `boot/initramfs-…` |
//! | Windows | `sources/boot.wim`, `boot/bcd` and `boot/boot.sdi` |
//! | memtest86+ | `memtest64.efi` or `memtest64.bin` (also as `memtest86+x64.…`) |
//!
//! Nothing is guessed: a number in a note was read from the medium. Where a network boot needs more than the files (a
//! repository, a share), the note says so.

use crate::limits::PEEK_BYTES_MAX;
use crate::manifest::EsxiFacts;
use std::collections::BTreeMap;
use types::Firmware;
use types::resource::{Image, ImageKind};

/// What is looked for, for the refusal of what is nothing of it.
pub(crate) const LOOKED_FOR: &str = "ESXi (boot.cfg with mboot.c32 or b.b00; an offline bundle \
     as the zip it is, with index.xml), Debian (install.amd/vmlinuz, live/vmlinuz, \
     debian-installer/amd64/linux), Ubuntu (casper/vmlinuz), Rocky or RHEL (images/pxeboot/vmlinuz), Photon OS \
     (isolinux/vmlinuz with RPMS), Alpine (boot/vmlinuz-lts), Windows (sources/boot.wim with boot/bcd), memtest86+ \
     (memtest64.efi)";

/// Reads a small file by its own name; `None` when it is larger than [`PEEK_BYTES_MAX`] or cannot be read.
type Peek<'a> = dyn FnMut(&str) -> Option<Vec<u8>> + 'a;

/// Names of a source, looked up without regard to case.
pub(crate) struct Names<'a> {
    folded: BTreeMap<String, (String, u64)>,
    peek: &'a mut Peek<'a>,
}

impl<'a> Names<'a> {
    pub(crate) fn new<'n>(names: impl Iterator<Item = (&'n str, u64)>, peek: &'a mut Peek<'a>) -> Names<'a> {
        let folded = names.map(|(name, size)| (name.to_ascii_lowercase(), (name.to_owned(), size))).collect();
        Names { folded, peek }
    }

    /// The name as the source has it.
    fn own(&self, folded: &str) -> Option<String> {
        self.folded.get(folded).map(|(name, _)| name.clone())
    }

    fn has(&self, folded: &str) -> bool {
        self.folded.contains_key(folded)
    }

    /// The first of these that is there.
    fn one_of(&self, folded: &[&str]) -> Option<String> {
        folded.iter().find_map(|name| self.own(name))
    }

    /// The first name, in order, that starts so.
    fn starting(&self, folded: &str) -> Option<String> {
        let from = self.folded.range(folded.to_owned()..).next();
        from.filter(|(name, _)| name.starts_with(folded)).map(|(_, (own, _))| own.clone())
    }

    fn text(&mut self, folded: &str) -> Option<String> {
        let (name, size) = self.folded.get(folded)?;
        if *size > PEEK_BYTES_MAX {
            return None;
        }
        (self.peek)(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What a source is known to be.
#[derive(Default, Debug)]
pub(crate) struct Known {
    kind: Option<ImageKind>,
    kernel: Option<String>,
    initrd: Vec<String>,
    cmdline: String,
    efi: Option<String>,
    firmware: Vec<Firmware>,
    description: String,
    pub(crate) version: Option<String>,
    pub(crate) esxi: Option<EsxiFacts>,
    pub(crate) notes: Vec<String>,
}

impl Known {
    /// Fills what the profile leaves open. What it says stays.
    pub(crate) fn complete(&self, image: &mut Image, kind_given: bool) {
        if let Some(kind) = self.kind {
            if kind_given && image.kind != kind {
                return;
            }
            image.kind = kind;
        }
        let own_kernel = image.kernel.is_some();
        if !own_kernel {
            image.kernel.clone_from(&self.kernel);
        }
        if image.initrd.is_empty() && !own_kernel {
            image.initrd.clone_from(&self.initrd);
        }
        if image.efi.is_none() {
            image.efi.clone_from(&self.efi);
        }
        if image.cmdline.is_empty() && !own_kernel {
            image.cmdline.clone_from(&self.cmdline);
        }
        if image.firmware.is_empty() {
            image.firmware.clone_from(&self.firmware);
        }
        if image.description.is_empty() {
            image.description.clone_from(&self.description);
        }
    }
}

/// What the files are, or `None`.
pub(crate) fn recognise(mut names: Names<'_>) -> Option<Known> {
    let names = &mut names;
    esxi(names)
        .or_else(|| debian(names))
        .or_else(|| ubuntu(names))
        .or_else(|| red_hat(names))
        .or_else(|| photon(names))
        .or_else(|| alpine(names))
        .or_else(|| windows(names))
        .or_else(|| memtest(names))
}

/// One line without control characters, cut: it comes from the medium and is shown.
fn line(text: &str) -> String {
    let text: String = text.chars().filter(|char| !char.is_control()).take(80).collect();
    text.trim().to_owned()
}

/// The value of `key=value` lines whose key is this without regard to case; the last one counts, as for mboot.
fn boot_cfg_value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let pairs = text.lines().filter_map(|line| line.trim().split_once('='));
    pairs.rev().find(|(own, _)| own.eq_ignore_ascii_case(key)).map(|(_, value)| value.trim())
}

/// Kernel and modules of a `boot.cfg`, as written; `None` without a kernel.
pub(crate) fn boot_cfg_files(text: &str) -> Option<Vec<String>> {
    let kernel = boot_cfg_value(text, "kernel")?.to_owned();
    let modules = boot_cfg_value(text, "modules").unwrap_or_default().split("---");
    let modules = modules.filter_map(|item| item.split_whitespace().next()).map(str::to_owned);
    Some(std::iter::once(kernel).chain(modules).collect())
}

fn esxi(names: &mut Names<'_>) -> Option<Known> {
    let loaders = ["mboot.c32", "b.b00", "efi/boot/bootx64.efi", "efi/boot/bootaa64.efi"];
    let config = ["efi/boot/boot.cfg", "boot.cfg"].into_iter().find(|name| names.has(name))?;
    let text = names.text(config)?;
    // A `boot.cfg` without a kernel is somebody else's.
    let files = boot_cfg_files(&text)?;
    let (kernel, modules) = files.split_first()?;
    let own = kernel.trim_start_matches(['/', '\\']).to_ascii_lowercase();
    if names.one_of(&loaders).is_none() && !names.has(&own) {
        return None;
    }
    let build = boot_cfg_value(&text, "build").map(line).filter(|text| !text.is_empty());
    let title = boot_cfg_value(&text, "title").map(line).filter(|text| !text.is_empty());
    let mut known = Known { kind: Some(ImageKind::Esxi), ..Known::default() };
    let absent: Vec<&str> = files
        .iter()
        .map(String::as_str)
        .filter(|item| !names.has(&item.trim_start_matches(['/', '\\']).to_ascii_lowercase()))
        .collect();
    if let Some(first) = absent.first() {
        known.notes.push(format!(
            "boot.cfg names {} files that are not there, `{}` first: they must come from the image's `base`",
            absent.len(),
            line(first)
        ));
    }
    for (loader, firmware) in [
        ("mboot.c32", Firmware::Bios),
        ("efi/boot/bootx64.efi", Firmware::UefiX64),
        ("mboot.efi", Firmware::UefiX64),
        ("efi/boot/bootaa64.efi", Firmware::UefiArm64),
    ] {
        if names.has(loader) && !known.firmware.contains(&firmware) {
            known.firmware.push(firmware);
        }
    }
    // `8.0.2-22380479`: what stands before the hyphen is what people call the version.
    let version = build.as_deref().and_then(|build| build.split('-').next()).map(line);
    known.description = match (&version, &title) {
        (Some(version), _) if !version.is_empty() => format!("VMware ESXi {version}"),
        (_, Some(title)) => title.clone(),
        _ => "VMware ESXi".to_owned(),
    };
    known.version.clone_from(&build);
    known.esxi = Some(EsxiFacts { version, build, title, modules: modules.len() as u64 });
    Some(known)
}

fn linux(names: &Names<'_>, kernel: &str, initrd: &[&str]) -> Option<Known> {
    let kernel = names.own(kernel)?;
    let initrd = initrd.iter().find_map(|name| names.own(name).or_else(|| names.starting(name)))?;
    Some(Known {
        kind: Some(ImageKind::Linux),
        kernel: Some(kernel),
        initrd: vec![initrd],
        ..Known::default()
    })
}

fn on_x64(mut known: Known) -> Known {
    known.firmware = vec![Firmware::Bios, Firmware::UefiX64];
    known
}

fn debian(names: &mut Names<'_>) -> Option<Known> {
    let info = names.text(".disk/info").map(|text| line(text.lines().next().unwrap_or_default()));
    let info = info.filter(|text| !text.is_empty());
    let described = |mut known: Known, plain: &str| {
        known.description = info.clone().unwrap_or_else(|| plain.to_owned());
        known.version.clone_from(&info);
        on_x64(known)
    };
    if let Some(mut known) =
        linux(names, "debian-installer/amd64/linux", &["debian-installer/amd64/initrd.gz"])
    {
        known.cmdline = "--- quiet".to_owned();
        return Some(described(known, "Debian installer"));
    }
    if let Some(mut known) = linux(names, "install.amd/vmlinuz", &["install.amd/initrd.gz"]) {
        known.cmdline = "--- quiet".to_owned();
        known.notes.push(
            "the ramdisk of this medium looks for its packages on a disc drive; for machines without one import the \
             network installer (debian-netboot)"
                .to_owned(),
        );
        return Some(described(known, "Debian installer"));
    }
    let kernel = names.starting("live/vmlinuz")?;
    let mut known = linux(names, &kernel.to_ascii_lowercase(), &["live/initrd"])?;
    known.cmdline = "boot=live components".to_owned();
    known.notes.push(
        "the live system fetches live/filesystem.squashfs: add fetch= with its URL on this appliance to the command line"
            .to_owned(),
    );
    Some(described(known, "Debian live"))
}

fn ubuntu(names: &mut Names<'_>) -> Option<Known> {
    let mut known = linux(names, "casper/vmlinuz", &["casper/initrd"])?;
    let info = names.text(".disk/info").map(|text| line(text.lines().next().unwrap_or_default()));
    let info = info.filter(|text| !text.is_empty());
    known.cmdline = "ip=dhcp".to_owned();
    known.notes.push(
        "the installer fetches the whole medium: add url= with the URL of the ISO to the command line; the machine holds \
         it in memory"
            .to_owned(),
    );
    known.description = info.clone().unwrap_or_else(|| "Ubuntu installer".to_owned());
    known.version = info;
    Some(on_x64(known))
}

fn red_hat(names: &mut Names<'_>) -> Option<Known> {
    let mut known = linux(names, "images/pxeboot/vmlinuz", &["images/pxeboot/initrd.img"])?;
    let info = names.text(".treeinfo").unwrap_or_default();
    // An ini file; `[general]` has them all since Fedora 7, `[release]` on newer ones.
    let value = |key: &str| {
        let pairs = info.lines().filter_map(|line| line.split_once('='));
        let mut values = pairs.filter(|(own, _)| own.trim() == key).map(|(_, value)| line(value));
        values.find(|value| !value.is_empty())
    };
    let (family, version) = (value("family"), value("version"));
    known.description = match (family.or_else(|| value("name")), &version) {
        (Some(family), Some(version)) if !family.contains(version.as_str()) => {
            format!("{family} {version} installer")
        }
        (Some(family), _) => format!("{family} installer"),
        _ => "Installer of the Red Hat family".to_owned(),
    };
    known.version = version;
    known.cmdline = "ip=dhcp".to_owned();
    known.notes.push(
        "the installer needs its repository: add inst.repo= with the URL of this image on the appliance, or of a mirror"
            .to_owned(),
    );
    match value("arch").as_deref() {
        Some("aarch64") => known.firmware = vec![Firmware::UefiArm64],
        Some("x86_64") | None => known = on_x64(known),
        Some(_) => {}
    }
    Some(known)
}

fn photon(names: &mut Names<'_>) -> Option<Known> {
    let mut known = linux(names, "isolinux/vmlinuz", &["isolinux/initrd.img"])?;
    names.starting("rpms/")?;
    known.cmdline = "root=/dev/ram0 loglevel=3".to_owned();
    known.description = "Photon OS installer".to_owned();
    known.notes.push(
        "the installer needs its packages: add repo= with the URL of this image's RPMS folder to the command line"
            .to_owned(),
    );
    // `photon-release-5.0-1.ph5.noarch.rpm`
    let release = names.folded.keys().find_map(|name| {
        let rest = name.rsplit('/').next()?.strip_prefix("photon-release-")?;
        rest.split(".ph").next().map(line)
    });
    if let Some(release) = release.filter(|release| !release.is_empty()) {
        known.description = format!("Photon OS {} installer", release.split('-').next().unwrap_or_default());
        known.version = Some(release);
    }
    Some(on_x64(known))
}

fn alpine(names: &mut Names<'_>) -> Option<Known> {
    let flavour = ["lts", "virt"].into_iter().find(|it| names.has(&format!("boot/vmlinuz-{it}")))?;
    let initrd = format!("boot/initramfs-{flavour}");
    let mut known = linux(names, &format!("boot/vmlinuz-{flavour}"), &[&initrd])?;
    let release = names.text(".alpine-release").map(|text| line(text.lines().next().unwrap_or_default()));
    let release = release.filter(|text| !text.is_empty());
    known.cmdline = "ip=dhcp modules=loop,squashfs quiet".to_owned();
    known.description = match &release {
        Some(release) => format!("Alpine Linux ({release})"),
        None => "Alpine Linux".to_owned(),
    };
    known.version = release;
    known.notes.push(
        "the system fetches its modules and packages: add modloop= and alpine_repo= with URLs to the command line"
            .to_owned(),
    );
    Some(on_x64(known))
}

fn windows(names: &mut Names<'_>) -> Option<Known> {
    let own: Option<Vec<String>> =
        ["boot/bcd", "boot/boot.sdi", "sources/boot.wim"].into_iter().map(|name| names.own(name)).collect();
    let mut known = Known { kind: Some(ImageKind::Windows), initrd: own?, ..Known::default() };
    let setup = ["sources/install.wim", "sources/install.esd", "sources/install.swm"];
    known.description = if names.one_of(&setup).is_some() {
        known.notes.push(
            "Windows PE boots from it; Setup then reads its install.wim or install.esd from a share, which must be there"
                .to_owned(),
        );
        "Windows Setup".to_owned()
    } else {
        "Windows PE".to_owned()
    };
    for (loader, firmware) in [
        ("bootmgr", Firmware::Bios),
        ("efi/boot/bootx64.efi", Firmware::UefiX64),
        ("efi/boot/bootaa64.efi", Firmware::UefiArm64),
    ] {
        if names.has(loader) {
            known.firmware.push(firmware);
        }
    }
    if !known.firmware.iter().any(|firmware| *firmware != Firmware::Bios) {
        known.notes.push("no UEFI loader on it (efi/boot/bootx64.efi)".to_owned());
    }
    Some(known)
}

fn memtest(names: &mut Names<'_>) -> Option<Known> {
    let efi =
        names.one_of(&["memtest64.efi", "memtest86+x64.efi", "boot/memtest64.efi", "boot/memtest86+x64.efi"]);
    let kernel =
        names.one_of(&["memtest64.bin", "memtest86+x64.bin", "boot/memtest64.bin", "boot/memtest86+x64.bin"]);
    if efi.is_none() && kernel.is_none() {
        return None;
    }
    let mut known = Known { description: "Memtest86+".to_owned(), ..Known::default() };
    if kernel.is_some() {
        known.firmware.push(Firmware::Bios);
    }
    if efi.is_some() {
        known.firmware.push(Firmware::UefiX64);
        known.kind = Some(ImageKind::Efi);
    } else {
        known.kind = Some(ImageKind::Linux);
        known.notes.push("no UEFI program on it (memtest64.efi)".to_owned());
    }
    (known.efi, known.kernel) = (efi, kernel);
    Some(known)
}
