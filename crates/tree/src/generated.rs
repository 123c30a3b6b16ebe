//! Files made for the machine that asks: iPXE scripts and pxelinux configurations.

use crate::{Door, OpenError, Opened, Role, Tree, Who};
use plan::{Decision, LeaveAloneReason, Step, Target, Verdict};
use render::cmdline::Additions;
use render::ipxe::{Origin, SCRIPT_NAME};
use render::{BootImage, ipxe, message, pxelinux};
use std::net::Ipv4Addr;
use std::sync::Arc;
use types::resource::{Image, ImageKind};
use types::{Facts, Firmware, MacAddr, MachineGuid, Stage};

/// The folder pxelinux looks into, relative to its own.
const PXELINUX_FOLDER: &str = "pxelinux.cfg";

/// What iPXE looks for beside itself and at the root.
const AUTOEXEC_NAME: &str = "autoexec.ipxe";

/// A name of the list pxelinux goes through, lower case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ConfigKey {
    /// GUID in the order of the wire bytes.
    Guid(MachineGuid),
    /// `01-` and the MAC.
    Mac(MacAddr),
    /// Address in hex.
    Address(Ipv4Addr),
    /// What is left.
    Default,
}

impl ConfigKey {
    /// `None` for anything else, the shorter and shorter prefixes of the address among it: no machine has these.
    fn parse(name: &str) -> Option<ConfigKey> {
        if name == "default" {
            return Some(ConfigKey::Default);
        }
        if let Some(mac) = name.strip_prefix("01-") {
            return mac.parse().ok().map(ConfigKey::Mac);
        }
        match name.len() {
            8 if name.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                u32::from_str_radix(name, 16).ok().map(|bits| ConfigKey::Address(bits.into()))
            }
            36 => MachineGuid::parse_wire_text(name).ok().map(ConfigKey::Guid),
            _ => None,
        }
    }
}

impl Tree {
    /// Generated names at their own places. `None` when the name is no such name.
    pub(crate) fn open_generated(&self, name: &str, who: &Who) -> Option<Result<Opened, OpenError>> {
        let folded = name.to_ascii_lowercase();
        match folded.split_once('/') {
            None if folded == SCRIPT_NAME || folded == AUTOEXEC_NAME => Some(Ok(self.script(&folded, who))),
            Some((SCRIPT_NAME, image)) => Some(self.chosen_script(image, who)),
            Some((PXELINUX_FOLDER, key)) => Some(self.config(key, who)),
            _ => None,
        }
    }

    /// The same names below any folder, for loaders that look beside themselves.
    pub(crate) fn open_generated_anywhere(&self, name: &str, who: &Who) -> Option<Result<Opened, OpenError>> {
        let folded = name.to_ascii_lowercase();
        let (folder, last) = folded.rsplit_once('/')?;
        if last == SCRIPT_NAME || last == AUTOEXEC_NAME {
            return Some(Ok(self.script(last, who)));
        }
        let parent = folder.rsplit('/').next()?;
        (parent == PXELINUX_FOLDER).then(|| self.config(last, who))
    }

    /// `boot.ipxe`: asks for facts first, where they are to be had and worth asking for.
    ///
    /// By HTTP that is a request without a query. By TFTP it is every iPXE that is not known to lack HTTP: it comes
    /// back by HTTP and says more than its address does.
    fn script(&self, name: &str, who: &Who) -> Opened {
        let recalled = self.parts.decider.recall(who.address);
        let lacks_http = recalled.as_ref().is_some_and(|known| known.stage == Stage::Ipxe && !known.http);
        let (said, origin) = match (who.door, &who.facts) {
            (Door::Http, Some(said)) => (said.clone(), Origin::http(who.local, self.parts.http_port)),
            (Door::Tftp, _) if lacks_http => (Facts::default(), Origin::Tftp),
            (Door::Http, None) | (Door::Tftp, _) => {
                let text = ipxe::first(who.local, self.parts.http_port);
                return Opened { facts: recalled, ..self.opened_text(name, Role::Script, text) };
            }
        };
        let facts = facts_at(Stage::Ipxe, who, said, recalled);
        let verdict = self.parts.decider.decide(&facts);
        let scripted = self.scripted(&facts, &verdict, origin, who);
        self.opened_scripted(name, Role::Script, facts, &verdict, scripted)
    }

    /// `boot.ipxe/<image>`: a choice from the menu. Only what the menu offers, or what the machine boots anyway.
    fn chosen_script(&self, name: &str, who: &Who) -> Result<Opened, OpenError> {
        let full = format!("{SCRIPT_NAME}/{name}");
        let Some(image) = self.parts.decider.catalog().image(name).cloned() else {
            return Err(OpenError::NotFound { name: full });
        };
        let recalled = self.parts.decider.recall(who.address);
        let facts = facts_at(Stage::Ipxe, who, who.facts.clone().unwrap_or_default(), recalled);
        let verdict = self.parts.decider.decide(&facts);
        let offered = match &verdict.decision {
            Decision::Boot(plan) => match &plan.target {
                Target::Menu => !image.destructive,
                Target::Image(own) => own.name == image.name,
                Target::LocalDisk | Target::Ask | Target::Hold => false,
            },
            Decision::LeaveAlone(_) => false,
        };
        if !offered {
            return Err(OpenError::NotFound { name: full });
        }
        let origin = match who.door {
            Door::Http => Origin::http(who.local, self.parts.http_port),
            Door::Tftp => Origin::Tftp,
        };
        let scripted = self.image_script(&facts, &verdict, &image, origin, who);
        Ok(self.opened_scripted(&full, Role::Script, facts, &verdict, scripted))
    }

    fn scripted(&self, facts: &Facts, verdict: &Verdict, origin: Origin, who: &Who) -> Made {
        match &verdict.decision {
            Decision::Boot(plan) => match (&plan.target, &plan.step) {
                // Asked for what it was not asked yet, it comes back with all it has.
                (Target::Ask, _) => Made::text(ipxe::first(who.local, self.parts.http_port)),
                (Target::Hold, _) => Made::text(self.held(facts, who)),
                (Target::LocalDisk, _) => Made::text(ipxe::local_disk(facts.firmware)),
                (_, Step::Loader(file)) => Made::text(ipxe::loader(file, who.local, facts.firmware)),
                (Target::Image(image), _) => self.image_script(facts, verdict, image, origin, who),
                (Target::Menu, _) => {
                    let images = self.menu(facts);
                    let images: Vec<&Image> = images.iter().map(|image| &**image).collect();
                    Made::text(ipxe::menu(&images, verdict.generation, origin, facts.firmware))
                }
            },
            Decision::LeaveAlone(LeaveAloneReason::LocalDisk) => Made::text(ipxe::local_disk(facts.firmware)),
            Decision::LeaveAlone(reason) => {
                Made::text(ipxe::message(&left_alone(facts, *reason, verdict.generation), facts.firmware))
            }
        }
    }

    /// It waits, or has waited long enough.
    fn held(&self, facts: &Facts, who: &Who) -> String {
        match self.parts.ledger.hold(facts) {
            Some(held) => ipxe::hold(facts, &held.code, held.left.as_secs(), who.local, self.parts.http_port),
            None => ipxe::local_disk(facts.firmware),
        }
    }

    fn image_script(
        &self,
        facts: &Facts,
        verdict: &Verdict,
        image: &Image,
        origin: Origin,
        who: &Who,
    ) -> Made {
        self.begin(facts, verdict, image, who, |boot| ipxe::image(boot, origin))
            .unwrap_or_else(|fault| Made::text(ipxe::message(&fault, facts.firmware)))
    }

    /// `pxelinux.cfg/<key>`. A key that names no recorded host is not found, so that pxelinux goes on down its list;
    /// `default` answers whoever asks, by the policy for unknown machines.
    fn config(&self, key: &str, who: &Who) -> Result<Opened, OpenError> {
        let name = format!("{PXELINUX_FOLDER}/{key}");
        let Some(key) = ConfigKey::parse(key) else { return Err(OpenError::NotFound { name }) };
        let said = match key {
            ConfigKey::Guid(guid) => Facts { guid: Some(guid), ..Facts::default() },
            ConfigKey::Mac(mac) => Facts { mac: Some(mac), ..Facts::default() },
            ConfigKey::Address(_) | ConfigKey::Default => Facts::default(),
        };
        let recalled = match key {
            ConfigKey::Address(address) => self.parts.decider.recall(address.into()),
            _ => self.parts.decider.recall(who.address),
        };
        let facts = facts_at(Stage::Loader, who, said, recalled);
        let verdict = self.parts.decider.decide(&facts);
        if key != ConfigKey::Default && verdict.host.is_none() {
            return Err(OpenError::NotFound { name });
        }
        let made = match &verdict.decision {
            Decision::Boot(plan) => match &plan.target {
                Target::Image(image) => self
                    .begin(&facts, &verdict, image, who, pxelinux::image)
                    .unwrap_or_else(|fault| Made::text(pxelinux::message(&fault))),
                Target::Menu => {
                    let images = self.menu(&facts);
                    let images: Vec<&Image> = images.iter().map(|image| &**image).collect();
                    Made::text(pxelinux::menu(&images, verdict.generation))
                }
                Target::LocalDisk | Target::Ask => Made::text(pxelinux::local_disk()),
                // Its loader cannot ask again by itself.
                Target::Hold => Made::text(pxelinux::message(&message::no_rule(&facts, verdict.generation))),
            },
            Decision::LeaveAlone(LeaveAloneReason::LocalDisk) => Made::text(pxelinux::local_disk()),
            Decision::LeaveAlone(reason @ LeaveAloneReason::UnknownIgnored) => {
                return Err(OpenError::LeftAlone(*reason));
            }
            Decision::LeaveAlone(reason) => {
                Made::text(pxelinux::message(&left_alone(&facts, *reason, verdict.generation)))
            }
        };
        Ok(self.opened_scripted(&name, Role::Config, facts, &verdict, made))
    }

    /// Begins a boot attempt and renders it; the error is what to show on the screen instead.
    pub(crate) fn begin(
        &self,
        facts: &Facts,
        verdict: &Verdict,
        image: &Image,
        who: &Who,
        render: impl Fn(&BootImage<'_>) -> Result<String, render::RenderError>,
    ) -> Result<Made, String> {
        // The record says whose boot it is; what it is given may come from groups and rules too.
        let (host, profile) = (verdict.host.as_deref(), verdict.profile.as_deref());
        let refused = |fault: String| {
            self.parts.ledger.refuse_boot(facts, host, image, &fault);
            message::image_fault(image.name.as_str(), &fault)
        };
        if let Some(fault) = self.image_fault(facts, image) {
            self.parts.ledger.refuse_boot(facts, host, image, &fault.what);
            return Err(fault.shown);
        }
        // Whoever only says to be this machine gets what is everybody's: no word of its record, no answer file. Nothing is
        // rendered for it, no secret read, and no fault of the record is shown to it.
        let template = self.template_of(profile, image);
        let (host, profile) = match self.parts.ledger.vouch(facts, host) {
            Ok(()) => (host, profile),
            Err(_) if matches!(template, Ok(None)) && !image.destructive => (None, None),
            Err(doubt) => return Err(refused(doubt)),
        };
        let template = template.map_err(refused)?;
        let values = self.values_before(facts, profile, image, who);
        let scripts = self.scripts_of(profile, image, &values).map_err(refused)?;
        if let Some(template) = &template {
            self.try_answer(template, values, &scripts, who).map_err(refused)?;
        }
        let mut boot = BootImage {
            image,
            host: profile,
            generation: verdict.generation,
            firmware: facts.firmware,
            additions: Additions {
                boot_mac: facts.mac,
                overlay: scripts.want_a_module().then(crate::bundles::overlay_before),
                ..Additions::default()
            },
        };
        // Rendered once without the secret: an attempt that cannot be rendered is none.
        render(&boot).map_err(|error| refused(error.to_string()))?;
        let ticket = self.parts.ledger.begin_boot(facts, host, image).map_err(refused)?;
        let base = Origin::http(who.local, self.parts.http_port);
        boot.additions.callback = Some(base.url(&format!("b/{}/up", ticket.token)));
        boot.additions.answer = template.map(|template| self.answer_url(&template, &ticket.token, who));
        if scripts.want_a_module() {
            boot.additions.overlay = self.begin_overlay(&ticket.token, image, who).map_err(refused)?;
        }
        let text = render(&boot).map_err(|error| refused(error.to_string()))?;
        Ok(Made { text, image: Some(image.name.shared()), boot: Some(ticket.boot) })
    }

    /// Why an image cannot be booted by this machine.
    fn image_fault(&self, facts: &Facts, image: &Image) -> Option<ImageFault> {
        if let Some(own) = facts.firmware
            && !image.firmware.is_empty()
            && !image.firmware.contains(&own)
        {
            return Some(ImageFault {
                what: format!("it does not boot on {own}"),
                shown: message::firmware_unfit(facts, image.name.as_str(), &image.firmware),
            });
        }
        let by_ipxe = facts.stage == Stage::Ipxe && facts.firmware == Some(Firmware::Bios);
        let what = match (image.kind, facts.comboot) {
            // It would take the loader for an NBP and hang.
            (ImageKind::Esxi, Some(false)) if by_ipxe => {
                "its loader for BIOS needs an iPXE with COMBOOT, which this one has not; use one that has, or UEFI"
                    .to_owned()
            }
            _ => match (self.missing_file(image), facts.firmware) {
                (Some(missing), _) => missing,
                (None, Some(firmware)) if image.kind == ImageKind::Esxi => {
                    self.missing_loader(image, firmware)?
                }
                (None, _) => return None,
            },
        };
        Some(ImageFault { shown: message::image_fault(image.name.as_str(), &what), what })
    }

    fn missing_file(&self, image: &Image) -> Option<String> {
        let holder = image.base.as_ref().unwrap_or(&image.name);
        if self.parts.library.manifest(holder.as_str()).is_none() {
            return Some(format!("the files of {holder} are not imported"));
        }
        let (_, missing) = image.named_files().find(|(_, file)| !self.has_file(image, file))?;
        Some(format!("it has no file {missing}"))
    }

    /// What a menu may offer this machine: harmless, fit for its firmware, and all there.
    fn menu(&self, facts: &Facts) -> Vec<Arc<Image>> {
        let mut images = self.parts.decider.catalog().menu_images(facts.firmware);
        images.retain(|image| !image.destructive && self.missing_file(image).is_none());
        images
    }

    pub(crate) fn opened_scripted(
        &self,
        name: &str,
        role: Role,
        facts: Facts,
        verdict: &Verdict,
        made: Made,
    ) -> Opened {
        Opened {
            facts: Some(facts),
            host: verdict.host.as_ref().map(|host| host.name.shared()),
            image: made.image,
            boot: made.boot,
            ..self.opened_text(name, role, made.text)
        }
    }
}

/// What keeps an image from this machine: in a word, and as its screen says it.
struct ImageFault {
    what: String,
    shown: String,
}

/// A generated text and the boot it began.
pub(crate) struct Made {
    text: String,
    image: Option<Arc<str>>,
    boot: Option<Arc<str>>,
}

impl Made {
    pub(crate) fn text(text: String) -> Made {
        Made { text, image: None, boot: None }
    }
}

fn left_alone(facts: &Facts, reason: LeaveAloneReason, generation: u64) -> String {
    match reason {
        LeaveAloneReason::UnknownIgnored => message::no_rule(facts, generation),
        reason => message::left_alone(facts, &reason.to_string(), generation),
    }
}

/// Facts of this step: what the machine says now, then what its address recalls, unless that is another machine.
pub(crate) fn facts_at(stage: Stage, who: &Who, said: Facts, recalled: Option<Facts>) -> Facts {
    let differ = |recalled: &Facts| {
        matches!((said.mac, recalled.mac), (Some(own), Some(other)) if own != other)
            || matches!((said.own_guid(), recalled.own_guid()), (Some(own), Some(other)) if own != other)
    };
    let recalled = recalled.filter(|recalled| !differ(recalled));
    let mut facts = match &recalled {
        Some(recalled) => said.or(recalled),
        None => said,
    };
    facts.stage = stage;
    facts.http = who.door == Door::Http || (stage == Stage::Ipxe && facts.http);
    facts.address = Some(who.address);
    if who.interface.is_some() {
        facts.interface.clone_from(&who.interface);
    }
    facts
}

#[cfg(test)]
mod tests;
