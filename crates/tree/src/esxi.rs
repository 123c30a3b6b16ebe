//! ESXi's own names below an image: its loader under the names it is asked by, and `boot.cfg` for the machine that asks.
//!
//! | name | what |
//! |---|---|
//! | `<image>/mboot.efi`, `crypto64.efi` | `efi/boot/bootx64.efi` and its neighbour, as the medium has them |
//! | `<image>/01-<mac>/boot.cfg` | made for that machine: what `mboot` asks for first, by itself |
//! | `<image>/boot.cfg` | made for the machine at the address that asks |
//! | `<image>/reveille/<token>/bundles.tgz` | the module with the scripts of that boot ([`crate::overlay`]) |
//! | `<image>/<file>` | a file of the image, or of its base; `mboot.efi` also of another image ([`lent`]) |
//!
//! A machine that is to boot something else meanwhile is sent to its next boot entry: without an answer the loader would
//! hang. One whose `boot.cfg` cannot be made too, with the reason on its screen.

mod lent;

pub use lent::{LentLoader, holds, lent_loader};

use crate::generated::{Made, facts_at};
use crate::{Door, OpenError, Opened, Role, Tree, Who};
use library::{Digest, ImageFile};
use plan::{Decision, LeaveAloneReason, Target, Verdict};
use render::esxi::{BOOT_CFG, BootCfg, EsxiMode, ForMachine, MBOOT_BIOS, MBOOT_EFI};
use render::ipxe::Origin;
use render::{BootImage, RenderError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use types::resource::{Image, ImageKind, Name};
use types::{Facts, Firmware, MacAddr, Stage};

/// The machine's own folder begins with this: the hardware type, Ethernet.
const MAC_FOLDER: &str = "01-";

/// Where media keep `boot.cfg`, for UEFI machines and for BIOS machines.
const CONFIG_PLACES: [&str; 2] = ["efi/boot/boot.cfg", BOOT_CFG];

/// Other places of a name that is asked for.
const PLACES: [(&str, &[&str]); 3] = [
    (MBOOT_EFI, &["efi/boot/bootx64.efi", "efi/boot/bootaa64.efi"]),
    ("crypto64.efi", &["efi/boot/crypto64.efi"]),
    ("cryptoaa64.efi", &["efi/boot/cryptoaa64.efi"]),
];

/// Parsed `boot.cfg` files kept; a boot storm asks for the same.
const KEPT_MAX: usize = 64;

/// The `boot.cfg` files read lately, by digest.
#[derive(Default)]
pub(crate) struct Configs(Mutex<HashMap<Digest, Arc<BootCfg>>>);

/// A file that was asked of an image.
pub(crate) struct FoundFile {
    pub(crate) file: ImageFile,
    /// The profile of the image it was asked of.
    pub(crate) profile: Option<Arc<Image>>,
    /// The image whose file it is, when it is lent.
    pub(crate) lender: Option<Name>,
}

impl Tree {
    /// A name below an image of kind ESXi that the image's files do not have as it is asked for. `None`: no such name.
    pub(crate) fn open_esxi(&self, name: &str, who: &Who) -> Option<Result<Opened, OpenError>> {
        let (image, rest) = name.split_once('/')?;
        let image = self.parts.decider.catalog().image(&image.to_ascii_lowercase()).cloned()?;
        if image.kind != ImageKind::Esxi {
            return None;
        }
        let rest = rest.to_ascii_lowercase();
        if rest == BOOT_CFG {
            return Some(self.boot_cfg(&image, None, who));
        }
        if let Some(opened) = self.open_overlay(&image, &rest, who) {
            return Some(opened);
        }
        let (folder, last) = rest.split_once('/')?;
        let mac = folder.strip_prefix(MAC_FOLDER).filter(|_| last == BOOT_CFG)?;
        Some(match mac.parse() {
            Ok(mac) => self.boot_cfg(&image, Some(mac), who),
            Err(_) => Err(OpenError::NotFound { name: name.to_owned() }),
        })
    }

    /// A file of an image by a name it is asked by, in the image itself, in what it stands on, or a loader that is lent.
    ///
    /// # Errors
    /// When the file should be there and cannot be read.
    pub(crate) fn image_file(
        &self,
        image: &str,
        file: &str,
    ) -> Result<Option<FoundFile>, library::BlobError> {
        let catalog = self.parts.decider.catalog();
        let profile = catalog.image(image).cloned();
        let esxi = profile.as_ref().filter(|profile| profile.kind == ImageKind::Esxi);
        let base = esxi.and_then(|profile| profile.base.clone());
        for holder in std::iter::once(image).chain(base.as_ref().map(|base| base.as_str())) {
            if let Some(file) = self.parts.library.open_file(holder, file)? {
                return Ok(Some(FoundFile { file, profile, lender: None }));
            }
            let lower = file.to_ascii_lowercase();
            let others = PLACES.iter().filter(|(asked, _)| esxi.is_some() && *asked == lower);
            for other in others.flat_map(|(_, places)| *places) {
                if let Some(file) = self.parts.library.open_file(holder, other)? {
                    return Ok(Some(FoundFile { file, profile, lender: None }));
                }
            }
        }
        let mut names = lent::lent_names(file).peekable();
        let lender = esxi.filter(|_| names.peek().is_some());
        let Some(lent) = lender.and_then(|image| lent_loader(&self.parts.library, image)) else {
            return Ok(None);
        };
        for name in names {
            if let Some(file) = self.parts.library.open_file(lent.image.as_str(), name)? {
                return Ok(Some(FoundFile { file, profile, lender: Some(lent.image) }));
            }
        }
        Ok(None)
    }

    /// Why a machine of that firmware cannot boot the image: neither it, nor its base, nor for UEFI another one, has the
    /// loader.
    pub(crate) fn missing_loader(&self, image: &Image, firmware: Firmware) -> Option<String> {
        match firmware {
            Firmware::Bios if !self.has_file(image, MBOOT_BIOS) => {
                return Some("it has no BIOS loader (mboot.c32); name a base that has one".to_owned());
            }
            Firmware::UefiX64 => {}
            _ => return None,
        }
        let found = self.image_file(image.name.as_str(), MBOOT_EFI);
        // One that cannot be read is there, and says so when it is asked for.
        found.is_ok_and(|found| found.is_none()).then(|| {
            "it has no UEFI loader (mboot.efi), and no other image of its release line that is as new has one; import the \
             installer's ISO image of that release, or name a base"
                .to_owned()
        })
    }

    /// True when the image, or what it stands on, has the file.
    pub(crate) fn has_file(&self, image: &Image, file: &str) -> bool {
        let holders = std::iter::once(&image.name).chain(&image.base);
        holders
            .filter_map(|holder| self.parts.library.manifest(holder.as_str()))
            .any(|manifest| manifest.find(file).is_some())
    }

    /// What a file is for, by the `boot.cfg` of its image.
    pub(crate) fn esxi_role(&self, image: &Image, file: &str) -> Role {
        let last = file.rsplit('/').next().unwrap_or(file).to_ascii_lowercase();
        if last.ends_with(".efi") || last.ends_with(".c32") {
            return Role::Loader;
        }
        let Ok(config) = self.medium_config(image, None) else { return Role::File };
        let is = |named: &str| named.trim_start_matches(['/', '\\']).eq_ignore_ascii_case(file);
        if is(&config.kernel) {
            Role::Kernel
        } else if config.modules.iter().any(|item| is(&item.name)) || image.modules.iter().any(|own| is(own))
        {
            Role::Module
        } else {
            Role::File
        }
    }

    /// The `boot.cfg` of the medium, as it was imported.
    fn medium_config(&self, image: &Image, firmware: Option<Firmware>) -> Result<Arc<BootCfg>, String> {
        let mut places = CONFIG_PLACES;
        if firmware == Some(Firmware::Bios) {
            places.reverse();
        }
        let holders = std::iter::once(&image.name).chain(&image.base);
        for (holder, place) in holders.flat_map(|holder| places.map(|place| (holder, place))) {
            let found = self.parts.library.open_file(holder.as_str(), place);
            let Some(found) = found.map_err(|error| error.to_string())? else { continue };
            let kept =
                self.configs.0.lock().unwrap_or_else(PoisonError::into_inner).get(&found.digest).cloned();
            if let Some(config) = kept {
                return Ok(config);
            }
            let config = BootCfg::parse(&found.bytes).map_err(|error| format!("{place}: {error}"))?;
            let config = Arc::new(config);
            let mut kept = self.configs.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
            kept.insert(found.digest, config.clone());
            return Ok(config);
        }
        Err(format!("it has no {BOOT_CFG}"))
    }

    fn boot_cfg(&self, image: &Image, mac: Option<MacAddr>, who: &Who) -> Result<Opened, OpenError> {
        let name = match mac {
            Some(mac) => format!("{}/{}/{BOOT_CFG}", image.name, mac.pxelinux()),
            None => format!("{}/{BOOT_CFG}", image.name),
        };
        let recalled = self.parts.decider.recall(who.address);
        let facts = facts_at(Stage::Loader, who, Facts { mac, ..Facts::default() }, recalled);
        let verdict = self.parts.decider.decide(&facts);
        let made = match refusal(&verdict, image) {
            Some(Err(reason)) => return Err(OpenError::LeftAlone(reason)),
            Some(Ok(title)) => Made::text(render::esxi::next_entry(&title)),
            None => {
                let making = |boot: &BootImage<'_>| self.made_config(boot, who);
                self.begin(&facts, &verdict, image, who, making)
                    .unwrap_or_else(|fault| Made::text(render::esxi::next_entry(&first_line(&fault))))
            }
        };
        Ok(self.opened_scripted(&name, Role::Config, facts, &verdict, made))
    }

    fn made_config(&self, boot: &BootImage<'_>, who: &Who) -> Result<String, RenderError> {
        let image = boot.image;
        let config = self.medium_config(image, boot.firmware).map_err(RenderError::Medium)?;
        let prefix = match who.door {
            Door::Http => Origin::http(who.local, self.parts.http_port).url(image.name.as_str()),
            Door::Tftp => format!("/{}", image.name),
        };
        let (image_words, host_words) = boot.words();
        let modules: Vec<String> = image.modules.iter().chain(&boot.additions.overlay).cloned().collect();
        let mode = if image.stateless { EsxiMode::Stateless } else { EsxiMode::Install };
        render::esxi::generate(
            &config,
            &ForMachine {
                prefix: &prefix,
                mode,
                kickstart: boot.additions.answer.as_deref().filter(|_| mode == EsxiMode::Install),
                cmdline: &image_words,
                kernel_args_append: &host_words,
                modules: &modules,
                // UEFI loaders know where they came from and say so themselves.
                boot_mac: boot.additions.boot_mac.filter(|_| boot.firmware == Some(Firmware::Bios)),
                ..ForMachine::default()
            },
        )
    }
}

/// Why this machine does not boot the image now: what its screen says, or that it is left alone altogether.
fn refusal(verdict: &Verdict, image: &Image) -> Option<Result<String, LeaveAloneReason>> {
    let says = |what: &str| Some(Ok(format!("reveille: {what}, next boot entry")));
    match &verdict.decision {
        Decision::Boot(plan) => match &plan.target {
            Target::Image(own) if own.name == image.name => None,
            Target::Menu if !image.destructive => None,
            Target::Image(own) => says(&format!("this machine boots {} now", own.name)),
            Target::Menu => says("this image is not offered to this machine"),
            Target::LocalDisk => says("this machine boots its local disk"),
            Target::Hold => says("this machine is not recorded"),
            Target::Ask => says("what this machine boots is not known before iPXE was asked"),
        },
        Decision::LeaveAlone(LeaveAloneReason::UnknownIgnored) => Some(Err(LeaveAloneReason::UnknownIgnored)),
        Decision::LeaveAlone(reason) => says(&reason.to_string()),
    }
}

/// The loader's banner is one line.
fn first_line(fault: &str) -> String {
    format!("reveille: {}", fault.lines().find(|line| !line.is_empty()).unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests;
