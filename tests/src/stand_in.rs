//! Media in the layout of a family's own, with Debian's kernel and a ramdisk of ours in the places of theirs.
//!
//! The ramdisk reads its kernel command line as that family's does, fetches by HTTP what it names, cuts the commands out of its
//! answer file and runs them, and says so on the serial line:
//!
//! ```text
//! PAYLOAD up <kernel command line>
//! PAYLOAD fetched <last part of the URL> <bytes>      PAYLOAD no-file <URL>
//! PAYLOAD ran <section>
//! PAYLOAD done
//! ```
//!
//! It tells that firmware, loader, import, command line, files and call-backs fit together. What it does not tell is whether the
//! family's own installer likes its answer file.

use crate::cpio;
use crate::payload::{BUSYBOX, INSTALLER, LEASE, MODULES, modules};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// A family of installers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// `isolinux/`, `RPMS/`; `ks=` names JSON, `repo=` the packages.
    Photon,
    /// `images/pxeboot/`, `.treeinfo`, `repodata/`; `inst.ks=`, `inst.repo=`.
    Rocky,
    /// `boot/`, `apks/`; `modloop=`, `alpine_repo=`, `apkovl=`.
    Alpine,
    /// `casper/`, and the medium itself; `url=`, `ds=nocloud-net;s=`.
    Ubuntu,
}

const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
echo 1 >/proc/sys/kernel/printk
read -r line </proc/cmdline
echo "PAYLOAD up $line"
for module in $(cat /modules/order); do
  insmod /modules/$module.ko || echo "PAYLOAD no-module $module"
done
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -t 8 -T 1 -s /lease >/tmp/udhcpc 2>&1 || cat /tmp/udhcpc
word() { for word in $line; do case $word in "$1"=*) echo "${word#*=}"; return ;; esac; done; }
fetch() {
  if wget -q -O "$2" "$1"; then echo "PAYLOAD fetched ${1##*/} $(wc -c <"$2")"; else echo "PAYLOAD no-file $1"; fi
}
run() { "$1" /tmp/script && echo "PAYLOAD ran $2" || echo "PAYLOAD failed $2"; }
. /family
echo "PAYLOAD done"
poweroff -f
"#;

/// busybox' wget where a recipe wants curl.
const CURL: &str = r#"#!/bin/sh
for url; do :; done
case "$*" in
  *"--data-binary @-"*) cat >/tmp/body; exec wget -q -O /dev/null --post-file=/tmp/body "$url" ;;
esac
exec wget -q -O /dev/null "$url"
"#;

const NOTHING: &str = "#!/bin/sh\nexit 0\n";

const PHOTON: &str = r#"
fetch "$(word ks)" /tmp/ks
fetch "$(word repo)/repodata/repomd.xml" /tmp/repomd
lines() { sed -n "/\"$1\": \[/,/^  \]/p" /tmp/ks | sed '1d;$d' | sed 's/^ *"//; s/",\{0,1\}$//' >/tmp/script; }
lines preinstall; run sh preinstall
fetch "$(word repo)/x86_64/$(cat /tmp/repomd)" /tmp/package
lines postinstall; run sh postinstall
"#;

const ROCKY: &str = r#"
fetch "$(word inst.ks)" /tmp/ks
fetch "$(word inst.repo)/.treeinfo" /tmp/treeinfo
section() { awk -v head="$1" '/^%/ { on = index($0, head) == 1; next } on' /tmp/ks >/tmp/script; }
section %pre; run sh %pre
fetch "$(word inst.repo)/repodata/repomd.xml" /tmp/repomd
section %post; run sh %post
"#;

const ALPINE: &str = r#"
fetch "$(word modloop)" /tmp/modloop
fetch "$(word alpine_repo)/x86_64/APKINDEX.tar.gz" /tmp/index
fetch "$(word apkovl)" /tmp/overlay
mkdir /tmp/root && tar -C /tmp/root -xzf /tmp/overlay
for start in /tmp/root/etc/local.d/*.start; do
  cp "$start" /tmp/script; run sh local.d
done
"#;

const UBUNTU: &str = r#"
fetch "$(word url)" /tmp/medium
seed=$(word ds); seed=${seed#*;s=}
fetch "${seed}meta-data" /tmp/meta-data
fetch "${seed}user-data" /tmp/user-data
items() { awk -v head="  $1:" '$0 == head { on = 1; next } on && !/^    / { on = 0 } on { sub(/^    - /, ""); print }' /tmp/user-data >/tmp/script; }
items early-commands; run sh early-commands
items late-commands; run sh late-commands
"#;

impl Family {
    fn script(self) -> &'static str {
        match self {
            Family::Photon => PHOTON,
            Family::Rocky => ROCKY,
            Family::Alpine => ALPINE,
            Family::Ubuntu => UBUNTU,
        }
    }

    /// Where kernel and ramdisk are.
    fn places(self) -> [&'static str; 2] {
        match self {
            Family::Photon => ["isolinux/vmlinuz", "isolinux/initrd.img"],
            Family::Rocky => ["images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"],
            Family::Alpine => ["boot/vmlinuz-lts", "boot/initramfs-lts"],
            Family::Ubuntu => ["casper/vmlinuz", "casper/initrd"],
        }
    }

    /// Everything else by which the family is told, or that is fetched: name and text.
    fn others(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Family::Photon => &[
                ("RPMS/repodata/repomd.xml", "photon-release-5.0-1.ph5.noarch.rpm\n"),
                ("RPMS/x86_64/photon-release-5.0-1.ph5.noarch.rpm", "package"),
            ],
            Family::Rocky => &[
                (".treeinfo", "[general]\narch = x86_64\nfamily = Rocky Linux\nversion = 9.9\n"),
                ("repodata/repomd.xml", "<repomd/>\n"),
                ("images/install.img", "stage 2"),
            ],
            Family::Alpine => &[
                (".alpine-release", "alpine-standard-3.22.0\n"),
                ("apks/x86_64/APKINDEX.tar.gz", "index"),
                ("boot/modloop-lts", "modules"),
            ],
            Family::Ubuntu => &[(".disk/info", "Ubuntu-Server 24.04 LTS \"Noble Numbat\"\n")],
        }
    }

    /// Builds the medium below `folder`, unpacked.
    ///
    /// # Errors
    /// When a package is missing or a file cannot be written.
    pub fn unpacked(self, folder: &Path) -> Result<PathBuf> {
        let [kernel, ramdisk] = self.places().map(|place| folder.join(place));
        for (name, text) in self.others() {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().context("a file of a medium is in no folder")?)?;
            std::fs::write(&path, text)?;
        }
        std::fs::create_dir_all(kernel.parent().context("the kernel is in no folder")?)?;
        std::fs::copy(Path::new(INSTALLER).join("linux"), &kernel)
            .context("cannot copy the kernel (package debian-installer-12-netboot-amd64)")?;
        std::fs::write(&ramdisk, self.ramdisk()?)?;
        Ok(folder.to_path_buf())
    }

    /// The same as an ISO image with the names as they are.
    ///
    /// # Errors
    /// As [`unpacked`](Family::unpacked), or what genisoimage said.
    pub fn iso(self, folder: &Path) -> Result<PathBuf> {
        self.unpacked(folder)?;
        let path = folder.with_extension("iso");
        let mut command = crate::world::command("genisoimage");
        command.args(["-quiet", "-R", "-o"]).arg(&path).arg(folder);
        let output = command.output().context("cannot run genisoimage (package genisoimage)")?;
        if !output.status.success() {
            bail!("genisoimage: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(path)
    }

    fn ramdisk(self) -> Result<Vec<u8>> {
        let busybox = std::fs::read(BUSYBOX)
            .with_context(|| format!("cannot read {BUSYBOX} (package busybox-static)"))?;
        let mut archive = cpio::Writer::default();
        for folder in ["bin", "dev", "proc", "sys", "tmp", "modules"] {
            archive.folder(folder);
        }
        archive.file("bin/busybox", &busybox);
        archive.file("bin/curl", CURL.as_bytes());
        archive.file("bin/systemctl", NOTHING.as_bytes());
        archive.file("init", INIT.as_bytes());
        archive.file("family", self.script().as_bytes());
        archive.file("lease", LEASE.as_bytes());
        for (name, module) in MODULES.iter().zip(modules()?) {
            archive.file(&format!("modules/{name}.ko"), &module);
        }
        archive.file("modules/order", MODULES.join("\n").as_bytes());
        Ok(archive.finish())
    }
}
