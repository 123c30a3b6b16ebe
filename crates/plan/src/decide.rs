//! The decision function.

use crate::catalog::image_fits;
use crate::identity::Identity;
use crate::{Catalog, Trace, TraceLine, UnknownPolicy};
use std::fmt;
use std::sync::Arc;
use types::resource::{Host, Image, ImageKind, LoaderKind, Name};
use types::{Facts, Firmware, Stage};

/// The pxelinux NBP, by its name in the boot tree.
const PXELINUX_FILE: &str = "pxelinux.0";

/// ESXi's loader for UEFI, by its name in the boot tree, below the image.
const ESXI_LOADER_FILE: &str = "mboot.efi";

/// What outlives a step and gates the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BootState {
    /// The host may run a destructive image once.
    pub armed: bool,
    /// First loaders fetched in the last ten minutes without a boot in between.
    pub loader_fetches: u32,
}

/// What the machine does next, for whom, and why.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Boot or be left alone.
    pub decision: Decision,
    /// The recorded host, when it is one.
    pub host: Option<Arc<Host>>,
    /// Every step that led here.
    pub trace: Trace,
    /// Generation of the catalog asked.
    pub generation: u64,
}

/// Boot or be left alone.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It gets boot data.
    Boot(BootPlan),
    /// It gets none; a lease in server mode all the same.
    LeaveAlone(LeaveAloneReason),
}

/// What a machine boots and what it fetches next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootPlan {
    /// Where the boot ends.
    pub target: Target,
    /// What this step is given.
    pub step: Step,
}

/// Where a boot ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// This image.
    Image(Arc<Image>),
    /// A menu of harmless images.
    Menu,
    /// The machine's own disk.
    LocalDisk,
}

/// What a machine fetches next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// An NBP, by its name in the boot tree: over TFTP, or over HTTP for an HTTP boot ROM.
    Loader(Arc<str>),
    /// iPXE's boot script.
    Script,
    /// The configuration of a loader that sends no DHCP of its own.
    Config,
}

/// Why a machine gets no boot data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LeaveAloneReason {
    /// It did not ask to boot.
    NotABootClient,
    /// No record, and the policy is `ignore`.
    UnknownIgnored,
    /// It boots its own disk.
    LocalDisk,
    /// No loader for its firmware.
    NoLoader,
    /// Its firmware could not be told.
    FirmwareUnknown,
    /// Its image does not boot on its firmware.
    FirmwareUnfit,
    /// Its identities belong to different hosts.
    IdentityConflict,
    /// The image it should boot is not there.
    ImageMissing,
    /// It came back for its loader too often.
    LoopStopped,
}

impl LeaveAloneReason {
    /// The stable reason code.
    pub fn as_str(self) -> &'static str {
        match self {
            LeaveAloneReason::NotABootClient => "not_a_boot_client",
            LeaveAloneReason::UnknownIgnored => "unknown_ignored",
            LeaveAloneReason::LocalDisk => "local_disk",
            LeaveAloneReason::NoLoader => "no_loader",
            LeaveAloneReason::FirmwareUnknown => "firmware_unknown",
            LeaveAloneReason::FirmwareUnfit => "firmware_unfit",
            LeaveAloneReason::IdentityConflict => "identity_conflict",
            LeaveAloneReason::ImageMissing => "image_missing",
            LeaveAloneReason::LoopStopped => "loop_stopped",
        }
    }
}

impl fmt::Display for LeaveAloneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeaveAloneReason::NotABootClient => "it did not ask to boot",
            LeaveAloneReason::UnknownIgnored => "unknown machines are ignored here",
            LeaveAloneReason::LocalDisk => "it boots its local disk",
            LeaveAloneReason::NoLoader => "there is no loader for its firmware",
            LeaveAloneReason::FirmwareUnknown => "its firmware could not be told",
            LeaveAloneReason::FirmwareUnfit => "its image does not boot on its firmware",
            LeaveAloneReason::IdentityConflict => "its mac, uuid or serial belong to different hosts",
            LeaveAloneReason::ImageMissing => "the image it should boot is not there",
            LeaveAloneReason::LoopStopped => "it fetched its loader again and again",
        })
    }
}

/// What this machine does next. Total: every input has an answer. O(1) in the number of hosts.
pub fn decide(catalog: &Catalog, facts: &Facts, state: &BootState) -> Verdict {
    let mut trace = Vec::with_capacity(8);
    let host = match identify(catalog, facts, &mut trace) {
        Ok(host) => host,
        Err(reason) => return verdict(catalog, None, Decision::LeaveAlone(reason), trace),
    };
    let decision = plan_step(catalog, facts, state, host.as_ref(), &mut trace);
    verdict(catalog, host, decision, trace)
}

fn verdict(
    catalog: &Catalog,
    host: Option<Arc<Host>>,
    decision: Decision,
    mut trace: Vec<TraceLine>,
) -> Verdict {
    if let Decision::LeaveAlone(reason) = decision {
        trace.push(TraceLine::LeftAlone(reason));
    }
    Verdict { decision, host, trace: Trace(trace), generation: catalog.generation }
}

fn identify(
    catalog: &Catalog,
    facts: &Facts,
    trace: &mut Vec<TraceLine>,
) -> Result<Option<Arc<Host>>, LeaveAloneReason> {
    if let Some(guid) = facts.guid.filter(|guid| guid.is_nobodys()) {
        trace.push(TraceLine::GuidIsNobodys(guid));
    }
    match catalog.identities.identify(facts) {
        Identity::Unknown => {
            trace.push(TraceLine::Unknown);
            Ok(None)
        }
        Identity::Known(at, evidence) => {
            let host = catalog.hosts.get(at).cloned();
            trace.extend(host.clone().map(|host| TraceLine::Known(host, evidence)));
            Ok(host)
        }
        Identity::Conflict(claims) => {
            let claims =
                claims.into_iter().filter_map(|(at, term)| Some((catalog.hosts.get(at)?.clone(), term)));
            trace.push(TraceLine::Conflict(claims.collect()));
            Err(LeaveAloneReason::IdentityConflict)
        }
    }
}

fn plan_step(
    catalog: &Catalog,
    facts: &Facts,
    state: &BootState,
    host: Option<&Arc<Host>>,
    trace: &mut Vec<TraceLine>,
) -> Decision {
    if facts.stage == Stage::Os {
        trace.push(TraceLine::NotABootClient);
        return Decision::LeaveAlone(LeaveAloneReason::NotABootClient);
    }
    let target = match choose_target(catalog, state, host, trace) {
        Ok(target) => target,
        Err(reason) => return Decision::LeaveAlone(reason),
    };
    let target = match loops(catalog, state, trace) {
        // No answer is the fastest way to the disk, and its reason is what an operator has to see.
        true if matches!(facts.stage, Stage::Rom | Stage::HttpRom) => {
            return Decision::LeaveAlone(LeaveAloneReason::LoopStopped);
        }
        true => Target::LocalDisk,
        false => target,
    };
    choose_step(catalog, facts, host, target, trace)
}

/// Host pin, default, policy: the first that speaks. Then the destructive gate.
fn choose_target(
    catalog: &Catalog,
    state: &BootState,
    host: Option<&Arc<Host>>,
    trace: &mut Vec<TraceLine>,
) -> Result<Target, LeaveAloneReason> {
    let pin = host.and_then(|host| host.image.as_ref());
    let version = pin.and_then(|_| host?.image_version.as_ref());
    let named = |image: &Name| version.map_or_else(|| image.clone(), |version| image.at_version(version));
    if host.is_some() {
        trace.push(pin.map_or(TraceLine::NoHostPin, |image| TraceLine::HostPin(named(image))));
    }
    if pin.is_none() {
        let default = catalog.default_image.clone();
        trace.push(default.map_or(TraceLine::NoDefaultImage, TraceLine::DefaultImage));
    }
    let Some(name) = pin.or(catalog.default_image.as_ref()) else {
        trace.push(TraceLine::Policy(catalog.unknown));
        return match (catalog.unknown, host) {
            (UnknownPolicy::Menu, _) => Ok(Target::Menu),
            // A recorded host is never ignored: it goes to its disk at once instead of waiting for an answer.
            (UnknownPolicy::LocalDisk, _) | (UnknownPolicy::Ignore, Some(_)) => Ok(Target::LocalDisk),
            (UnknownPolicy::Ignore, None) => Err(LeaveAloneReason::UnknownIgnored),
        };
    };
    // A version that is gone is never replaced by another.
    let image = match version {
        Some(version) => catalog.version(name, version),
        None => catalog.image(name.as_str()),
    };
    let Some(image) = image else {
        trace.push(TraceLine::ImageMissing(named(name)));
        return Err(LeaveAloneReason::ImageMissing);
    };
    if image.destructive && !state.armed {
        trace.push(TraceLine::NotArmed(image.name.clone()));
        return Ok(Target::LocalDisk);
    }
    Ok(Target::Image(image.clone()))
}

/// True when the machine came back for its loader too often (conformance P21).
fn loops(catalog: &Catalog, state: &BootState, trace: &mut Vec<TraceLine>) -> bool {
    let fetches = state.loader_fetches;
    let Some(limit) = catalog.loop_limit.filter(|limit| fetches > *limit) else { return false };
    trace.push(TraceLine::LoopStopped { fetches, limit });
    true
}

fn choose_step(
    catalog: &Catalog,
    facts: &Facts,
    host: Option<&Arc<Host>>,
    target: Target,
    trace: &mut Vec<TraceLine>,
) -> Decision {
    let wants_pxelinux = host.is_some_and(|host| host.loader == Some(LoaderKind::Pxelinux));
    match facts.stage {
        Stage::Os => Decision::LeaveAlone(LeaveAloneReason::NotABootClient),
        Stage::Loader => {
            trace.push(TraceLine::Config);
            Decision::Boot(BootPlan { target, step: Step::Config })
        }
        Stage::Ipxe
            if wants_pxelinux && facts.firmware == Some(Firmware::Bios) && target != Target::LocalDisk =>
        {
            let file: Arc<str> = PXELINUX_FILE.into();
            trace.push(TraceLine::Loader {
                firmware: Firmware::Bios,
                file: file.clone(),
                asked: Some(LoaderKind::Pxelinux),
            });
            Decision::Boot(BootPlan { target, step: Step::Loader(file) })
        }
        Stage::Ipxe => {
            trace.push(TraceLine::Script);
            Decision::Boot(BootPlan { target, step: Step::Script })
        }
        Stage::Rom | Stage::HttpRom => choose_loader(catalog, facts, host, target, trace),
    }
}

/// A ROM gets an NBP, or nothing at all when it ends at its own disk anyway: no answer is the fastest way there.
fn choose_loader(
    catalog: &Catalog,
    facts: &Facts,
    host: Option<&Arc<Host>>,
    target: Target,
    trace: &mut Vec<TraceLine>,
) -> Decision {
    if target == Target::LocalDisk {
        return Decision::LeaveAlone(LeaveAloneReason::LocalDisk);
    }
    let Some(firmware) = facts.firmware else {
        trace.push(TraceLine::FirmwareUnknown);
        return Decision::LeaveAlone(LeaveAloneReason::FirmwareUnknown);
    };
    if let Target::Image(image) = &target
        && !image_fits(image, Some(firmware))
    {
        trace.push(TraceLine::FirmwareUnfit(image.clone(), firmware));
        return Decision::LeaveAlone(LeaveAloneReason::FirmwareUnfit);
    }
    let asked = host.and_then(|host| host.loader);
    if let (Target::Image(image), None) = (&target, asked)
        && let Some(file) = own_loader(image, firmware)
    {
        trace.push(TraceLine::OwnLoader { image: image.name.clone(), firmware, file: file.clone() });
        return Decision::Boot(BootPlan { target, step: Step::Loader(file) });
    }
    if asked == Some(LoaderKind::Pxelinux) {
        if firmware == Firmware::Bios && facts.stage == Stage::Rom {
            let file: Arc<str> = PXELINUX_FILE.into();
            trace.push(TraceLine::Loader { firmware, file: file.clone(), asked });
            return Decision::Boot(BootPlan { target, step: Step::Loader(file) });
        }
        trace.push(TraceLine::LoaderUnfit(LoaderKind::Pxelinux, firmware));
    }
    let Some(choice) = catalog.loader(firmware) else {
        trace.push(TraceLine::NoLoader(firmware));
        return Decision::LeaveAlone(LeaveAloneReason::NoLoader);
    };
    trace.push(TraceLine::Loader { firmware, file: choice.file.clone(), asked: None });
    Decision::Boot(BootPlan { target, step: Step::Loader(choice.file.clone()) })
}

/// The loader an image brings for a firmware: nothing stands between that one and the image. A host that names a loader
/// goes through that instead.
fn own_loader(image: &Image, firmware: Firmware) -> Option<Arc<str>> {
    let file = match (image.kind, firmware) {
        (ImageKind::Esxi, Firmware::UefiX64 | Firmware::UefiArm64) => ESXI_LOADER_FILE,
        _ => return None,
    };
    Some(format!("{}/{file}", image.name).into())
}

#[cfg(test)]
mod tests;
