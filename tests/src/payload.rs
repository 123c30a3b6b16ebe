//! The system our test machines boot: Debian's installer kernel and a ramdisk of our own.
//!
//! Both come from packages on this machine: the kernel from `debian-installer-12-netboot-amd64`, the network driver
//! out of its ramdisk, the shell from `busybox-static`. The ramdisk says who it is on the serial console, takes an
//! address, calls back to the URL on its command line and switches the machine off:
//!
//! ```text
//! PAYLOAD up <kernel command line>
//! PAYLOAD uuid <product_uuid>           PAYLOAD serial <product_serial>
//! PAYLOAD tag <payload.tag=…>
//! PAYLOAD address 10.77.0.100/24 boot <option 54>
//! PAYLOAD called-back HTTP/1.1 204 No Content
//! PAYLOAD done
//! ```
//!
//! `payload.halt=0` on the command line keeps it running.

use crate::cpio;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Where the installer's files are.
pub const INSTALLER: &str = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64";
/// A shell that needs no library.
pub const BUSYBOX: &str = "/bin/busybox";

/// In loading order: each needs those before it.
pub(crate) const MODULES: [&str; 13] = [
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "mmc_core",
    "cqhci",
    "sdhci",
    "sdhci-pci",
    "mmc_block",
];

/// A boot sector that says `LOCAL DISK` on the serial line and halts: what the payload installs. 16-bit code: `si` goes
/// through the text and each byte goes out of port 0x3f8.
const BOOT_SECTOR: &str = "\\372\\061\\300\\216\\330\\276\\026\\174\\254\\204\\300\\164\\006\\272\\370\\003\\356\\353\\365\\364\\353\\375\\r\\nLOCAL DISK\\r\\n\\000";

const INIT: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
echo 1 >/proc/sys/kernel/printk
# What the kernel was about to say ends here.
echo
read -r line </proc/cmdline
echo "PAYLOAD up $line"
echo "PAYLOAD uuid $($b cat /sys/class/dmi/id/product_uuid)"
echo "PAYLOAD serial $($b cat /sys/class/dmi/id/product_serial)"
tag= url= halt=1 install=
for word in $line; do
  case $word in
    payload.tag=*) tag=${word#*=} ;;
    payload.halt=*) halt=${word#*=} ;;
    payload.install=*) install=${word#*=} ;;
    reveille.callback=*) url=${word#*=} ;;
  esac
done
echo "PAYLOAD tag $tag"
for module in $($b cat /modules/order); do
  $b insmod /modules/$module.ko || echo "PAYLOAD no-module $module"
done
$b ip link set lo up
$b ip link set eth0 up
if $b udhcpc -i eth0 -n -q -t 8 -T 1 -s /lease >/tmp/udhcpc 2>&1; then
  $b cat /tmp/address
else
  echo "PAYLOAD no-address"; $b cat /tmp/udhcpc
fi
if [ -n "$install" ]; then
  disk=/dev/mmcblk0
  for try in 1 2 3 4 5 6 7 8 9 10; do [ -b $disk ] || $b sleep 1; done
  [ -b $disk ] || echo "PAYLOAD no-disk"
  # Counts how often it was installed, behind the boot sector.
  $b dd if=$disk of=/tmp/count bs=512 skip=1 count=1 2>/dev/null
  count=$($b tr -d '\000' </tmp/count)
  count=$((${count:-0} + 1))
  printf 'BOOT_SECTOR' >/tmp/sector
  $b dd if=/tmp/sector of=$disk conv=notrunc 2>/dev/null
  printf '\125\252' | $b dd of=$disk bs=1 seek=510 conv=notrunc 2>/dev/null
  printf '%s' "$count" | $b dd of=$disk bs=512 seek=1 conv=notrunc 2>/dev/null
  $b sync
  echo "PAYLOAD installed $count"
  [ "$install" = silent ] && url=
  url=${url%/*}/$install
  [ "$url" = "/$install" ] && url=
fi
if [ -n "$url" ]; then
  rest=${url#http://}
  place=${rest%%/*}
  host=${place%%:*}
  port=${place#"$host"}; port=${port#:}
  export HOST=$place FILE=/${rest#*/}
  $b timeout 20 $b nc -w 10 "$host" "${port:-80}" -e /call || echo "PAYLOAD no-connection $url"
  read -r status </tmp/status && echo "PAYLOAD called-back $status"
fi
echo "PAYLOAD done"
[ "$halt" = 0 ] && while :; do $b sleep 3600; done
$b poweroff -f
"#;

/// What udhcpc calls. It writes to a file: the console is the main script's.
pub(crate) const LEASE: &str = r#"#!/bin/busybox sh
b=/bin/busybox
[ "$1" = bound ] || exit 0
$b ip address add "$ip/$mask" dev "$interface"
[ -n "$router" ] && $b ip route add default via "${router%% *}"
echo "PAYLOAD address $ip/$mask boot $serverid" >/tmp/address
"#;

/// One HTTP request with the connection as input and output. The status line goes to a file.
const CALL: &str = r#"#!/bin/busybox sh
printf 'GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: reveille-payload/1\r\n\r\n' "$FILE" "$HOST"
read -r status
printf '%s\n' "${status%?}" >/tmp/status
while read -r rest; do :; done
"#;

/// Kernel and ramdisk in a folder.
#[derive(Clone, Debug)]
pub struct Payload {
    /// A Debian kernel.
    pub kernel: PathBuf,
    /// Our ramdisk.
    pub initrd: PathBuf,
}

impl Payload {
    /// Builds both in `folder` as `linux` and `payload.img`.
    ///
    /// # Errors
    /// When a package is missing or its files are not what we know.
    pub fn build(folder: &Path) -> Result<Payload> {
        let payload = Payload { kernel: folder.join("linux"), initrd: folder.join("payload.img") };
        let kernel = Path::new(INSTALLER).join("linux");
        std::fs::copy(&kernel, &payload.kernel).with_context(|| {
            format!("cannot copy {} (package debian-installer-12-netboot-amd64)", kernel.display())
        })?;
        let busybox = std::fs::read(BUSYBOX)
            .with_context(|| format!("cannot read {BUSYBOX} (package busybox-static)"))?;
        let mut archive = cpio::Writer::default();
        for folder in ["bin", "dev", "proc", "sys", "tmp", "modules"] {
            archive.folder(folder);
        }
        archive.file("bin/busybox", &busybox);
        archive.file("init", INIT.replace("BOOT_SECTOR", BOOT_SECTOR).as_bytes());
        archive.file("lease", LEASE.as_bytes());
        archive.file("call", CALL.as_bytes());
        for (name, module) in MODULES.iter().zip(modules()?) {
            archive.file(&format!("modules/{name}.ko"), &module);
        }
        archive.file("modules/order", MODULES.join("\n").as_bytes());
        std::fs::write(&payload.initrd, archive.finish())?;
        Ok(payload)
    }
}

/// The modules of [`MODULES`], out of the installer's ramdisk.
pub(crate) fn modules() -> Result<Vec<Vec<u8>>> {
    let initrd = Path::new(INSTALLER).join("initrd.gz");
    let mut gzip = crate::world::command("gzip")
        .args(["-dc"])
        .arg(&initrd)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start gzip (package gzip)")?;
    let mut found: Vec<Option<Vec<u8>>> = vec![None; MODULES.len()];
    let output = gzip.stdout.take().context("gzip has no output")?;
    let read = cpio::read(output, |name, data| {
        let Some(file) = name.rsplit('/').next().and_then(|file| file.strip_suffix(".ko")) else {
            return true;
        };
        for (module, place) in MODULES.iter().zip(&mut found) {
            if file == *module {
                *place = Some(data.to_vec());
            }
        }
        found.iter().any(Option::is_none)
    });
    // The rest of the archive is of no interest.
    let _ = gzip.kill();
    let _ = gzip.wait();
    read.with_context(|| format!("cannot read {}", initrd.display()))?;
    let missing: Vec<&str> =
        MODULES.iter().zip(&found).filter(|(_, data)| data.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        bail!("{} holds no module {}", initrd.display(), missing.join(", "));
    }
    Ok(found.into_iter().flatten().collect())
}

impl Payload {
    /// A disc image that boots it on BIOS machines, by isolinux; its tag is `tag`.
    ///
    /// # Errors
    /// When a file cannot be written, or what genisoimage said.
    pub fn disc(&self, folder: &Path, tag: &str) -> Result<PathBuf> {
        let inside = folder.join("isolinux");
        std::fs::create_dir_all(&inside)?;
        for (from, name) in [
            (Path::new("/usr/lib/ISOLINUX/isolinux.bin"), "isolinux.bin"),
            (Path::new("/usr/lib/syslinux/modules/bios/ldlinux.c32"), "ldlinux.c32"),
            (&self.kernel, "linux"),
            (&self.initrd, "payload.img"),
        ] {
            std::fs::copy(from, inside.join(name))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
        let config = format!(
            "DEFAULT payload\nPROMPT 0\nLABEL payload\n  KERNEL linux\n  \
             APPEND initrd=payload.img console=ttyS0 quiet payload.tag={tag}\n"
        );
        std::fs::write(inside.join("isolinux.cfg"), config)?;
        let path = folder.with_extension("iso");
        let mut command = crate::world::command("genisoimage");
        command.args(["-quiet", "-R", "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat"]);
        command.args(["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "-o"]);
        let output = command.arg(&path).arg(folder).output().context("cannot run genisoimage")?;
        if !output.status.success() {
            bail!("genisoimage: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(path)
    }
}
