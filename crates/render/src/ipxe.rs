//! iPXE scripts, for every iPXE from the snapshot of 2019 that Debian 12 ships.
//!
//! Only commands that build has are used (no `shim`, no `param` form, no HTTPS). Names of files are full URLs by HTTP
//! and `/name` by TFTP, so that nothing is resolved against the folder of the script.
//!
//! Shape of every script: do the thing, `|| goto failed`; `:failed` says what happened and waits; `:local` ends at the
//! machine's own disk.

use crate::cmdline::{Additions, CommandLine};
use crate::{BootImage, RenderError, esxi, message, need, text};
use std::net::{IpAddr, SocketAddr};
use types::resource::{Image, ImageKind};
use types::{Facts, Firmware};

/// What iPXE is asked to say of itself. `netX` is the interface opened last: the one it boots from. `smbios/11.4.0` is the
/// string whose number stands where the OEM strings' structure has their count: the last of them.
///
/// QUIRK(ipxe-2019-ampersand): the iPXE of 2019 leaves `&` as it is in `uristring`, so a vendor called `A & B` makes a parameter more. What
/// decides identity and firmware therefore stands first, and readers take the first of each name.
pub const FACTS_QUERY: &str = "mac=${netX/mac}&uuid=${uuid}&arch=${buildarch}&platform=${platform}\
&serial=${serial:uristring}&asset=${asset:uristring}&vendor=${manufacturer:uristring}&model=${product:uristring}\
&board=${board-serial:uristring}&busid=${netX/busid}&oem=${smbios/11.4.0:uristring}";

/// Name of the script in the boot tree.
pub const SCRIPT_NAME: &str = "boot.ipxe";

/// How long a message stays before the machine goes to its disk, in seconds.
pub const MESSAGE_SECS: u64 = 10;

/// How long a menu waits for a choice, in seconds.
pub const MENU_SECS: u64 = 30;

/// Between two questions of a machine that waits, in seconds.
pub const HOLD_SECS: u64 = 5;

/// Most images one menu shows.
pub const MENU_IMAGES_MAX: usize = 100;

/// Where the files named in a script come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// `http://address:port/name`.
    Http(SocketAddr),
    /// `/name` on the server the script came from.
    Tftp,
}

impl Origin {
    /// Our HTTP door, as this machine reaches it.
    pub fn http(local: IpAddr, port: u16) -> Origin {
        Origin::Http(SocketAddr::new(local, port))
    }

    /// A name of the boot tree as iPXE must write it.
    pub fn url(self, name: &str) -> String {
        match self {
            Origin::Http(address) => format!("http://{address}/{}", text::url_path(name)),
            Origin::Tftp => format!("/{}", text::url_path(name)),
        }
    }

    fn script(self, name: &str) -> String {
        match self {
            Origin::Http(_) => format!("{}?{FACTS_QUERY}", self.url(name)),
            Origin::Tftp => self.url(name),
        }
    }
}

/// The script for a machine that has not said who it is: it asks again, with its facts.
///
/// It brings the network up where it is down, as it is when iPXE reads `autoexec.ipxe` before its own DHCP.
pub fn first(local: IpAddr, port: u16) -> String {
    let url = Origin::http(local, port).script(SCRIPT_NAME);
    let mut script = Script::new("asks again, with its facts");
    script.line("isset ${netX/ip} || dhcp || goto failed");
    script.line(&format!("chain --replace --autofree {url} || goto failed"));
    script.fail(&format!("reveille: {SCRIPT_NAME} did not come from {}", SocketAddr::new(local, port)), None);
    script.text
}

/// The script that boots an image.
///
/// # Errors
/// When a word or a name of the image cannot stand in a script.
pub fn image(boot: &BootImage<'_>, origin: Origin) -> Result<String, RenderError> {
    let name = boot.image.name.as_str();
    let host = boot.host.map(|host| format!(", host {}", host.name)).unwrap_or_default();
    let mut script = Script::new(&format!("image {name}{host}, generation {}", boot.generation));
    script.line(&format!("echo reveille: booting {name}"));
    let file = |file: &str| origin.url(&format!("{name}/{file}"));
    let image = boot.image;
    match image.kind {
        ImageKind::Linux => linux(&mut script, boot, need(image, "kernel", image.kernel.as_deref())?, file)?,
        ImageKind::IpxeScript => {
            let own = need(image, "script", image.script.as_deref())?;
            if let Some(url) = &boot.additions.callback {
                script.line(&format!("set reveille-callback {url}"));
                // A stage name goes behind it.
                script.line(&format!("set reveille-base {}", url.strip_suffix("/up").unwrap_or(url)));
            }
            script.line(&format!("chain --autofree {} || goto failed", file(own)));
            // It came back: whatever it decided, what is left is the local disk.
            script.line("goto local");
        }
        ImageKind::Esxi => esxi(&mut script, boot, file),
        ImageKind::Windows => {
            let words = CommandLine::of(image, boot.host, &Additions::default())?.for_ipxe(&[])?;
            let wimboot = match image.kernel.as_deref() {
                Some(own) => file(own),
                None => origin.url(WIMBOOT_FILE),
            };
            script.line("imgfree");
            script.line(&format!("kernel --name wimboot {} || goto failed", joined(&wimboot, &words)));
            for initrd in &image.initrd {
                let base = initrd.rsplit('/').next().unwrap_or(initrd);
                if text::url_path(base) != base {
                    return Err(RenderError::FileName { name: text::screen(base) });
                }
                script.line(&format!("initrd --name {base} {} || goto failed", file(initrd)));
            }
            // wimboot puts it beside the other files of Windows PE, into X:\Windows\System32.
            if let Some(url) = &boot.additions.answer {
                script.line(&format!("initrd --name {UNATTEND_FILE} {url} || goto failed"));
            }
            script.line("boot || goto failed");
        }
        ImageKind::Efi => {
            let words = CommandLine::of(image, boot.host, &boot.additions)?.for_ipxe(&[])?;
            let program = need(image, "efi", image.efi.as_deref())?;
            let efi = format!("kernel {} || goto failed", joined(&file(program), &words));
            let bios = image
                .kernel
                .as_deref()
                .map(|kernel| format!("kernel {} || goto failed", joined(&file(kernel), &words)));
            script.line("imgfree");
            script.by_platform(boot.firmware, bios.as_deref(), &efi)?;
            script.line("boot || goto failed");
        }
        ImageKind::Iso => {
            let disk = need(image, "disk", image.disk.as_deref())?;
            if origin == Origin::Tftp {
                // A drive is read in ranges.
                return Err(RenderError::KindUnfit {
                    kind: image.kind.as_str(),
                    loader: "iPXE without HTTP",
                });
            }
            // Detached again when it does not boot, so that the machine's own disk is drive 0x80 as before.
            script.line(&format!("sanboot --no-describe {} || goto failed", file(disk)));
        }
    }
    script.fail(&format!("reveille: booting {name} failed, see the iPXE error above"), boot.firmware);
    Ok(script.text)
}

fn linux(
    script: &mut Script,
    boot: &BootImage<'_>,
    kernel: &str,
    file: impl Fn(&str) -> String,
) -> Result<(), RenderError> {
    let words = CommandLine::of(boot.image, boot.host, &boot.additions)?;
    // The EFI stub loads its ramdisks itself, by these names; the BIOS path has them in memory already.
    let by_stub = boot.firmware != Some(Firmware::Bios);
    let initrd_words: Vec<String> =
        (0..boot.image.initrd.len()).filter(|_| by_stub).map(|at| format!("initrd=initrd{at}")).collect();
    let line = words.for_ipxe(&initrd_words)?;
    script.line("imgfree");
    script.line(&format!("kernel --name kernel {} || goto failed", joined(&file(kernel), &line)));
    for (at, initrd) in boot.image.initrd.iter().enumerate() {
        script.line(&format!("initrd --name initrd{at} {} || goto failed", file(initrd)));
    }
    script.line("boot || goto failed");
    Ok(())
}

/// `mboot` with the machine's own `boot.cfg`, named in full: started by a script it cannot tell where it came from
/// (esx-boot, `bootlib/tftpfile.c`). The BIOS form needs an iPXE with COMBOOT.
fn esxi(script: &mut Script, boot: &BootImage<'_>, file: impl Fn(&str) -> String) {
    // Its own setting, so nothing is encoded in it.
    let config = format!("{}{OWN_FOLDER}/{}", file(""), esxi::BOOT_CFG);
    let start = |mboot: &str| format!("kernel {} -c {config} || goto failed", file(mboot));
    script.line("imgfree");
    let (bios, efi) = (start(esxi::MBOOT_BIOS), start(esxi::MBOOT_EFI));
    // Both are there, so this cannot be refused.
    let _ = script.by_platform(boot.firmware, Some(&bios), &efi);
    script.line("boot || goto failed");
}

/// A command and its words.
fn joined(first: &str, words: &str) -> String {
    if words.is_empty() { first.to_owned() } else { format!("{first} {words}") }
}

/// The folder of the machine that runs the script, as `mboot` asks for it by itself.
const OWN_FOLDER: &str = "01-${netX/mac:hexhyp}";

/// What Windows PE finds its answer file as.
pub const UNATTEND_FILE: &str = "unattend.xml";

/// The loader of Windows images that bring none, by its name in the boot tree.
pub const WIMBOOT_FILE: &str = "wimboot";

/// The script that goes on to another NBP of the boot tree (pxelinux, when the host asks for it), always by TFTP: that
/// is where pxelinux looks for its modules and configuration.
pub fn loader(file: &str, local: IpAddr, firmware: Option<Firmware>) -> String {
    let mut script = Script::new("goes on to another loader");
    let server = match local {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    script.line(&format!("chain --autofree tftp://{server}/{} || goto failed", text::url_path(file)));
    script.fail(&format!("reveille: loader {file} failed, see the iPXE error above"), firmware);
    script.text
}

/// A menu of images; nobody choosing means the local disk. Images come in the order given.
pub fn menu(images: &[&Image], generation: u64, origin: Origin, firmware: Option<Firmware>) -> String {
    let mut script = Script::new(&format!("menu, generation {generation}"));
    let images = images.get(..MENU_IMAGES_MAX.min(images.len())).unwrap_or_default();
    script.line("menu reveille: what does this machine boot?");
    script.line("item local the local disk of this machine");
    for (at, image) in images.iter().enumerate() {
        script.line(&format!("item image{at} {}", menu_text(image)));
    }
    script.line(&format!("choose --default local --timeout {} chosen || goto local", MENU_SECS * 1000));
    script.line("goto ${chosen}");
    for (at, image) in images.iter().enumerate() {
        script.line(&format!(":image{at}"));
        let url = origin.script(&format!("{SCRIPT_NAME}/{}", image.name));
        script.line(&format!("chain --replace --autofree {url} || goto failed"));
    }
    script.fail("reveille: the choice could not be fetched, see the iPXE error above", firmware);
    script.text
}

/// Name and description of an image as one line of at most a screen.
pub(crate) fn menu_text(image: &Image) -> String {
    let line = match image.description.as_str() {
        "" => image.name.to_string(),
        description => format!("{}: {description}", image.name),
    };
    text::screen_lines(&line).into_iter().next().unwrap_or_default()
}

/// The script that goes to the machine's own disk at once.
pub fn local_disk(firmware: Option<Firmware>) -> String {
    let mut script = Script::new("local disk");
    script.local(firmware);
    script.text
}

/// The script of a machine that waits to be recorded: who it is, the code to record it by, how long it waits. It asks again
/// after [`HOLD_SECS`] and goes on with whatever it is given then.
pub fn hold(facts: &Facts, code: &str, left_secs: u64, local: IpAddr, port: u16) -> String {
    let url = Origin::http(local, port).script(SCRIPT_NAME);
    let mut script = Script::new("waits to be recorded");
    // A screen of its own, not a growing one, where the console can do that.
    script.line("clear ||");
    for line in text::screen_lines(&message::held(facts, code, left_secs)) {
        script.line(&format!("echo {line}"));
    }
    script.line(&format!("sleep {HOLD_SECS}"));
    script.line(&format!("chain --replace --autofree {url} || goto failed"));
    script.fail("reveille: asking again failed, see the iPXE error above", facts.firmware);
    script.text
}

/// The script that shows a message, then goes to the machine's own disk.
pub fn message(message: &str, firmware: Option<Firmware>) -> String {
    let mut script = Script::new("message");
    script.say(message);
    script.local(firmware);
    script.text
}

struct Script {
    text: String,
}

impl Script {
    fn new(about: &str) -> Script {
        Script { text: format!("#!ipxe\n# reveille: {about}\n") }
    }

    fn line(&mut self, line: &str) {
        debug_assert!(!line.contains(['\n', '\r']), "one command per line");
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn say(&mut self, message: &str) {
        for line in text::screen_lines(message) {
            self.line(&format!("echo {line}"));
        }
        self.line(&format!("echo reveille: local disk in {MESSAGE_SECS} seconds"));
        self.line(&format!("sleep {MESSAGE_SECS}"));
    }

    /// One line on BIOS machines, another on all others; where the firmware is not known, the machine says which.
    fn by_platform(
        &mut self,
        firmware: Option<Firmware>,
        bios: Option<&str>,
        efi: &str,
    ) -> Result<(), RenderError> {
        match (firmware, bios) {
            (Some(Firmware::Bios), None) => return Err(RenderError::FirmwareUnfit { field: "kernel" }),
            (Some(Firmware::Bios), Some(bios)) => self.line(bios),
            (Some(_), _) => self.line(efi),
            (None, bios) => {
                self.line("iseq ${platform} pcbios || goto efi");
                self.line(bios.unwrap_or("goto failed"));
                self.line("goto loaded");
                self.line(":efi");
                self.line(efi);
                self.line(":loaded");
            }
        }
        Ok(())
    }

    /// `:failed` with its message, then `:local`.
    fn fail(&mut self, message: &str, firmware: Option<Firmware>) {
        self.line(":failed");
        self.say(message);
        self.line(":local");
        self.local(firmware);
    }

    fn local(&mut self, firmware: Option<Firmware>) {
        self.line("imgfree");
        match firmware {
            Some(Firmware::Bios) => self.line(SANBOOT),
            Some(_) => self.line(EXIT),
            None => {
                self.line(&format!("iseq ${{platform}} pcbios || {EXIT}"));
                self.line(SANBOOT);
            }
        }
    }
}

/// First BIOS disk; a machine without one goes on down its boot order.
const SANBOOT: &str = "sanboot --no-describe --drive 0x80 || exit 1";

/// Back to the firmware. Not 0: a boot option that ends with success stops UEFI's boot order at its menu
/// (UEFI 2.10 §3.1.1).
const EXIT: &str = "exit 1"; // QUIRK(ovmf-exit-menu)

#[cfg(test)]
mod tests;
