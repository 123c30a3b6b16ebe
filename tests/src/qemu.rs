//! QEMU machines: firmware, identity, cable, and a serial console that can be waited for.
//!
//! Everything a machine says goes to its serial line: SeaBIOS and what it starts because the machine has no graphics
//! (`-machine graphics=off`), OVMF by default, Linux by its command line.

use crate::{Lab, Port, Running, Segment};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What the machine is switched on with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Firmware {
    /// SeaBIOS and the iPXE option ROM QEMU brings: iPXE from its first packet.
    Bios,
    /// SeaBIOS and a plain PXE ROM. None is packaged: iPXE started directly stands in, says it is not iPXE and
    /// chains to whatever boot file it is given. Needs a port that hides its options 77 and 175:
    /// [`Machine::start`] takes one from [`Lab::packet_port`] with [`plain_rom`](crate::packet::plain_rom).
    BiosPxe,
    /// OVMF's own PXE.
    UefiPxe,
    /// OVMF's own HTTP boot.
    UefiHttp,
}

/// OVMF without Secure Boot.
const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const IPXE_KERNEL: &str = "/usr/lib/ipxe/ipxe.lkrn";

/// The stand-in's script. The server is the one that gave the boot file, which beside another DHCP server is not the
/// one that gave the address. The user class is cleared before the chain: the next loader would inherit it.
const STAND_IN: &str = "#!ipxe
set user-class PXE
dhcp net0 || goto failed
isset ${filename} || goto nothing
set server ${next-server}
isset ${proxydhcp/filename} && set server ${proxydhcp/next-server} ||
isset ${pxebs/filename} && set server ${pxebs/next-server} ||
echo STANDIN got ${filename} from ${server}
clear user-class
chain tftp://${server}/${filename} || goto failed
exit
:nothing
echo STANDIN no boot file
exit
:failed
echo STANDIN failed
exit
";

/// A machine to be started.
pub struct Machine {
    name: String,
    firmware: Firmware,
    uuid: String,
    mac: String,
    vendor: String,
    product: String,
    serial: String,
    asset: String,
    memory_mib: u32,
    screen: bool,
    disk: Option<std::path::PathBuf>,
}

impl Machine {
    /// A machine called `name`, with an identity made from `number` (1..=255).
    pub fn new(name: &str, firmware: Firmware, number: u8) -> Machine {
        Machine {
            name: name.to_string(),
            firmware,
            uuid: format!("11223344-5566-7788-99aa-0000000000{number:02x}"),
            mac: format!("52:54:00:12:34:{number:02x}"),
            vendor: "Reveille".to_string(),
            product: "Lab machine".to_string(),
            serial: format!("LAB{number:04}"),
            asset: format!("asset-{number}"),
            // The kernel, its ramdisk and the firmware; OVMF itself wants more.
            screen: false,
            disk: None,
            memory_mib: if matches!(firmware, Firmware::Bios | Firmware::BiosPxe) { 256 } else { 512 },
        }
    }

    /// Another SMBIOS UUID, in the text form Linux and iPXE show.
    #[must_use]
    pub fn uuid(mut self, uuid: &str) -> Machine {
        self.uuid = uuid.to_string();
        self
    }

    /// Another hardware address.
    #[must_use]
    pub fn mac(mut self, mac: &str) -> Machine {
        self.mac = mac.to_string();
        self
    }

    /// Another serial number.
    #[must_use]
    pub fn serial(mut self, serial: &str) -> Machine {
        self.serial = serial.to_string();
        self
    }

    /// More or less memory.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Machine {
        self.memory_mib = memory_mib;
        self
    }

    /// With a graphics card, which nobody looks at.
    #[must_use]
    pub fn screen(mut self) -> Machine {
        self.screen = true;
        self
    }

    /// With a disk of its own (a memory card, which the installer's ramdisk has a driver for), asked after the network.
    #[must_use]
    pub fn disk(mut self, file: &Path) -> Machine {
        self.disk = Some(file.to_path_buf());
        self
    }

    /// Its UUID.
    pub fn uuid_text(&self) -> &str {
        &self.uuid
    }

    /// Its hardware address.
    pub fn mac_text(&self) -> &str {
        &self.mac
    }

    /// The port this firmware needs on `segment`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn port(&self, lab: &Lab, segment: &Segment) -> Result<Port> {
        match self.firmware {
            Firmware::BiosPxe => {
                let tamper = crate::packet::Tamper {
                    outbound: Some(crate::packet::plain_rom()),
                    ..Default::default()
                };
                lab.packet_port(segment, tamper)
            }
            _ => lab.port(segment),
        }
    }

    /// Switches it on at `port`. Its console is the transcript and `<name>.log` in the lab's folder.
    ///
    /// # Errors
    /// When QEMU or a firmware file is missing.
    pub fn start(&self, lab: &Lab, segment: &Segment, port: &Port) -> Result<Running> {
        port.make_ready();
        segment.switch().start(lab, &self.name, self.command(lab, port)?)
    }

    fn command(&self, lab: &Lab, port: &Port) -> Result<Command> {
        let uefi = matches!(self.firmware, Firmware::UefiPxe | Firmware::UefiHttp);
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-name", &self.name, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        let board = if uefi { "q35" } else { "pc" };
        qemu.args(["-machine", &format!("{board},graphics=off,accel={}", accelerator())]);
        qemu.args(["-m", &self.memory_mib.to_string(), "-smp", "1"]);
        qemu.args([
            "-chardev",
            "stdio,id=console,signal=off",
            "-serial",
            "chardev:console",
            "-monitor",
            "none",
        ]);
        qemu.args(["-uuid", &self.uuid]);
        qemu.args([
            "-smbios",
            &format!(
                "type=1,uuid={},manufacturer={},product={},serial={}",
                self.uuid, self.vendor, self.product, self.serial
            ),
        ]);
        qemu.args(["-smbios", &format!("type=3,asset={}", self.asset)]);
        qemu.args(["-smbios", &format!("type=2,serial=board-{}", self.serial)]);
        qemu.args(["-smbios", &format!("type=11,value=oem-{}", self.asset)]);
        qemu.args(["-netdev", &port.netdev()]);
        if self.screen {
            qemu.args(["-device", "VGA"]);
        }
        if let Some(disk) = &self.disk {
            let drive = format!("if=none,id=disk,format=raw,file={}", disk.display());
            qemu.args(["-device", "sdhci-pci", "-drive", &drive, "-device", "sd-card,drive=disk"]);
        }
        let device = format!("virtio-net-pci,netdev=net0,mac={}", self.mac);
        match self.firmware {
            Firmware::Bios => {
                qemu.args(["-device", &format!("{device},bootindex=1")]);
            }
            Firmware::BiosPxe => {
                let script = lab.path(&format!("{}.ipxe", self.name));
                std::fs::write(&script, STAND_IN)?;
                qemu.args(["-device", &format!("{device},romfile=")]);
                qemu.args(["-kernel", IPXE_KERNEL]).arg("-initrd").arg(script);
            }
            Firmware::UefiPxe | Firmware::UefiHttp => {
                let variables = lab.path(&format!("{}-vars.fd", self.name));
                std::fs::copy(OVMF_VARS, &variables)
                    .with_context(|| format!("cannot copy {OVMF_VARS} (package ovmf)"))?;
                qemu.args(["-drive", &format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}")]);
                qemu.args(["-drive", &format!("if=pflash,format=raw,unit=1,file={}", variables.display())]);
                // Without this, 60 seconds each for protocols nobody answers.
                qemu.args(["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]);
                if self.firmware == Firmware::UefiHttp {
                    qemu.args(["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"]);
                }
                qemu.args(["-device", &format!("{device},romfile=,bootindex=1")]);
            }
        }
        Ok(qemu)
    }
}

/// `kvm` where the processor's own virtualisation is loaded, else `tcg`. Other KVM modules hang firmware (seen).
pub fn accelerator() -> &'static str {
    let loaded = ["kvm_intel", "kvm_amd"].iter().any(|module| Path::new("/sys/module").join(module).exists());
    let usable = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    if loaded && usable() { "kvm" } else { "tcg" }
}

/// Waits until a booted payload has said everything and switched its machine off; returns its lines.
///
/// # Errors
/// When the deadline passes first or QEMU fails.
pub fn wait_payload(machine: &mut Running, deadline: Duration) -> Result<Vec<String>> {
    let left = |machine: &Running| deadline.saturating_sub(machine.age());
    machine.wait_for("PAYLOAD done", left(machine))?;
    let status = machine.wait_exit(left(machine))?;
    if !status.success() {
        bail!("qemu ended with {status}; last lines:\n{}", machine.transcript().tail());
    }
    let text = machine.transcript().text();
    // The kernel's last words may stand before the first of them.
    Ok(text.lines().filter_map(|line| Some(line.split_once("PAYLOAD ")?.1.to_owned())).collect())
}
