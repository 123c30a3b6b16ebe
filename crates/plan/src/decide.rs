//! The decision function.

mod naming;
mod place;

use crate::catalog::image_fits;
use crate::groups;
use crate::identity::Identity;
use crate::identity::score::own_serial;
use crate::rules::Given;
use crate::{Catalog, Trace, TraceLine, UnknownPolicy};
use naming::{Named, Naming, name_image};
use place::{Place, identify, unsure};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use types::resource::{Host, HostMatch, Image, ImageKind, LoaderKind, Name};
use types::selector::Subject;
use types::{Facts, Firmware, Stage};

/// The pxelinux NBP, by its name in the boot tree.
const PXELINUX_FILE: &str = "pxelinux.0";

/// ESXi's loader for UEFI, by its name in the boot tree, below the image.
const ESXI_LOADER_FILE: &str = "mboot.efi";

/// What outlives a step and decides before the pins, or gates what they say.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootState<'a> {
    /// First loaders fetched in the last ten minutes without a boot in between.
    pub loader_fetches: u32,
    /// What was ordered for this boot.
    pub ordered: Option<&'a Ordered>,
    /// Whether an image that may erase disks is given.
    pub gate: Gate<'a>,
}

impl BootState<'_> {
    /// A host that may be given any image: for looks at what would be.
    pub fn armed() -> BootState<'static> {
        BootState { gate: Gate::Open, ..BootState::default() }
    }
}

/// What was ordered for one boot of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ordered {
    /// It gets nothing: it is quarantined.
    Nothing {
        /// Who ordered it, and why.
        why: Arc<str>,
    },
    /// It boots this image, in this version when one is named.
    Image {
        /// The image.
        image: Name,
        /// Its version: an id or a tag.
        version: Option<Name>,
        /// Who ordered it.
        by: Arc<str>,
    },
    /// It boots its own disk.
    LocalDisk {
        /// Who ordered it.
        by: Arc<str>,
    },
}

/// Stands before images that may erase disks.
#[derive(Clone, Copy, Default)]
pub enum Gate<'a> {
    /// None is given.
    #[default]
    Closed,
    /// All are given.
    Open,
    /// Asked for each; the error says why not and what to do.
    Ask(&'a (dyn Fn(&Image) -> Result<(), Arc<str>> + 'a)),
}

impl Gate<'_> {
    fn passes(self, image: &Image) -> Result<(), Arc<str>> {
        match self {
            _ if !image.destructive => Ok(()),
            Gate::Open => Ok(()),
            Gate::Closed => Err("it is not armed".into()),
            Gate::Ask(ask) => ask(image),
        }
    }
}

impl fmt::Debug for Gate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Gate::Closed => "Closed",
            Gate::Open => "Open",
            Gate::Ask(_) => "Ask",
        })
    }
}

/// What the machine does next, for whom, and why.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Boot or be left alone.
    pub decision: Decision,
    /// The recorded host, when it is one.
    pub host: Option<Arc<Host>>,
    /// What it is given: the record with all that groups and rules add. A machine without a record that rules give values to
    /// has a stand-in, named after its hardware address.
    pub profile: Option<Arc<Host>>,
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
    /// It waits until it is recorded.
    Hold,
    /// Not known before it said more of itself: it is sent to iPXE, which is asked.
    Ask,
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
    /// The group it is in is not there.
    GroupMissing,
    /// It is quarantined.
    Quarantined,
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
            LeaveAloneReason::GroupMissing => "group_missing",
            LeaveAloneReason::Quarantined => "quarantined",
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
            LeaveAloneReason::GroupMissing => "the group it is in is not there",
            LeaveAloneReason::Quarantined => "it is quarantined",
            LeaveAloneReason::LoopStopped => "it fetched its loader again and again",
        })
    }
}

/// What this machine does next. Total: every input has an answer. O(rules), whatever the number of hosts.
pub fn decide(catalog: &Catalog, facts: &Facts, state: &BootState<'_>) -> Verdict {
    let mut trace = Vec::with_capacity(8);
    let place = match identify(catalog, facts, &mut trace) {
        Ok(place) => place,
        Err(reason) => return verdict(catalog, None, None, Decision::LeaveAlone(reason), trace),
    };
    let Place { at: place, firm } = place;
    let host = place.and_then(|at| catalog.fixed.hosts.get(at)).cloned();
    let own = place.and_then(|at| catalog.profile_at(at)).cloned();
    let given = given(catalog, facts, own.as_deref(), false);
    let profile = profile(catalog, facts, own, &given);
    let decision =
        plan_step(catalog, facts, state, (host.as_ref(), firm), profile.as_ref(), &given, &mut trace);
    verdict(catalog, host, profile, decision, trace)
}

fn verdict(
    catalog: &Catalog,
    host: Option<Arc<Host>>,
    profile: Option<Arc<Host>>,
    decision: Decision,
    mut trace: Vec<TraceLine>,
) -> Verdict {
    if let Decision::LeaveAlone(reason) = decision {
        trace.push(TraceLine::LeftAlone(reason));
    }
    Verdict { decision, host, profile, trace: Trace(trace), generation: catalog.generation }
}

impl Catalog {
    /// The recorded host a machine is; `None` for an unknown one and for a conflict.
    pub fn identify(&self, facts: &Facts) -> Option<&Arc<Host>> {
        match self.fixed.identities.identify(&self.fixed.hosts, facts) {
            Identity::Known(found) => self.fixed.hosts.get(found.at),
            Identity::Unknown | Identity::Other(_) | Identity::Conflict(_) => None,
        }
    }
}

/// True when the machine can still be asked what SMBIOS says: it has not got beyond iPXE, and iPXE was not asked. It answers by
/// HTTP; an iPXE without that is never asked.
pub(crate) fn may_tell(facts: &Facts) -> bool {
    !facts.smbios
        && match facts.stage {
            Stage::Rom | Stage::HttpRom => true,
            Stage::Ipxe => facts.http,
            Stage::Loader | Stage::Os => false,
        }
}

/// What the rules give. `own`: the record with what its groups add.
pub(crate) fn given(catalog: &Catalog, facts: &Facts, own: Option<&Host>, traced: bool) -> Given {
    if catalog.rules.is_empty() {
        return Given::default();
    }
    let none = BTreeMap::new();
    let named = own.and_then(|host| host.group.as_ref());
    let subject = Subject {
        facts,
        host: own.map(|host| &host.name),
        groups: named.and_then(|group| catalog.chain(group)).map_or(&[], |chain| &chain.names),
        labels: own.map_or(&none, |host| &host.labels),
        site: catalog.fixed.site.as_deref(),
        may_tell: may_tell(facts),
    };
    let chain_of = |name: &Name| catalog.chain(name).map(|chain| &**chain);
    catalog.rules.give(subject, named.is_none().then_some(&chain_of), traced)
}

/// The record with all that groups and rules add, in the order in which they count.
pub(crate) fn profile(
    catalog: &Catalog,
    facts: &Facts,
    own: Option<Arc<Host>>,
    given: &Given,
) -> Option<Arc<Host>> {
    let rules = &catalog.rules;
    let group = rules.group(given);
    if group.is_none() && !given.has_values() {
        return own;
    }
    let mut profile = match own {
        Some(own) => Host::clone(&own),
        None => Host::new(stand_in(facts)?, HostMatch::default()),
    };
    if let Some(name) = group {
        profile.group = Some(name.clone());
        if let Some(chain) = catalog.chain(name) {
            groups::inherit(&mut profile, &chain.groups);
        }
    }
    profile.loader = profile.loader.or_else(|| rules.loader(given));
    groups::fill(&mut profile.template, &rules.template(given));
    groups::fill(&mut profile.location, &rules.location(given));
    groups::fill(&mut profile.bundles, &rules.bundles(given));
    for (key, at) in &given.params {
        if let Some(value) = rules.at(*at).and_then(|rule| rule.params.get(key)) {
            profile.params.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    profile.kernel_args_append.splice(0..0, rules.kernel_args(given).iter().cloned());
    Some(Arc::new(profile))
}

/// A name for a machine without a record: `machine-525400123456`, or by its GUID where it said no hardware address.
fn stand_in(facts: &Facts) -> Option<Name> {
    let digits = match (facts.mac, facts.own_guid()) {
        (Some(mac), _) => mac.0.iter().map(|byte| format!("{byte:02x}")).collect(),
        (None, Some(guid)) => guid.to_string(),
        (None, None) => "unknown".to_owned(),
    };
    format!("machine-{digits}").parse().ok()
}

fn plan_step(
    catalog: &Catalog,
    facts: &Facts,
    state: &BootState<'_>,
    host: (Option<&Arc<Host>>, bool),
    profile: Option<&Arc<Host>>,
    given: &Given,
    trace: &mut Vec<TraceLine>,
) -> Decision {
    if facts.stage == Stage::Os {
        trace.push(TraceLine::NotABootClient);
        return Decision::LeaveAlone(LeaveAloneReason::NotABootClient);
    }
    let target = match choose_target(catalog, facts, state, host, profile, given, trace) {
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
    choose_step(catalog, facts, profile, target, trace)
}

/// Host pin, group pin, rules, default, policy: the first that speaks. Then the destructive gate.
fn choose_target(
    catalog: &Catalog,
    facts: &Facts,
    state: &BootState<'_>,
    (host, firm): (Option<&Arc<Host>>, bool),
    profile: Option<&Arc<Host>>,
    given: &Given,
    trace: &mut Vec<TraceLine>,
) -> Result<Target, LeaveAloneReason> {
    if host.is_none()
        && let Some(mac) = facts.mac
        && catalog.fixed.ignored.iter().any(|prefix| mac.0.starts_with(prefix))
    {
        trace.push(TraceLine::Ignored(mac));
        return Err(LeaveAloneReason::UnknownIgnored);
    }
    let ordered = match state.ordered {
        Some(Ordered::Nothing { why }) => {
            trace.push(TraceLine::Quarantined(why.clone()));
            return Err(LeaveAloneReason::Quarantined);
        }
        Some(Ordered::LocalDisk { by }) => {
            trace.push(TraceLine::DiskOnce(by.clone()));
            return Ok(Target::LocalDisk);
        }
        Some(Ordered::Image { image, version, by }) => {
            let named = Named { name: image, version: version.as_ref() };
            trace.push(TraceLine::ImageOnce(named.full(), by.clone()));
            Some(named)
        }
        None => None,
    };
    let naming = match ordered {
        Some(named) => Naming::Image(named),
        None => name_image(catalog, host, profile, given, trace)?,
    };
    let named = match naming {
        Naming::Image(named) => Some(named),
        Naming::Waits(rule) => {
            trace.push(TraceLine::Waits(rule.clone()));
            return Ok(Target::Ask);
        }
        Naming::Nobody => None,
    };
    let Some(Named { name, version }) = named else {
        trace.push(TraceLine::Policy(catalog.fixed.unknown));
        return match (catalog.fixed.unknown, host) {
            (UnknownPolicy::Menu, _) => Ok(Target::Menu),
            // A recorded host is never ignored: it goes to its disk at once instead of waiting for an answer.
            (UnknownPolicy::LocalDisk, _) | (UnknownPolicy::Ignore | UnknownPolicy::Claim, Some(_)) => {
                Ok(Target::LocalDisk)
            }
            (UnknownPolicy::Claim, None) => Ok(Target::Hold),
            (UnknownPolicy::Ignore, None) => Err(LeaveAloneReason::UnknownIgnored),
        };
    };
    // A version that is gone is never replaced by another.
    let image = match version {
        Some(version) => catalog.version(name, version),
        None => catalog.image(name.as_str()),
    };
    let Some(image) = image else {
        trace.push(TraceLine::ImageMissing(Named { name, version }.full()));
        return Err(LeaveAloneReason::ImageMissing);
    };
    if let Err(why) = state.gate.passes(image) {
        trace.push(TraceLine::NotArmed(image.name.clone(), why));
        return Ok(Target::LocalDisk);
    }
    if let Some(host) = host.filter(|_| image.destructive && !firm) {
        // Its serial number may settle it, and only iPXE tells.
        if may_tell(facts) && facts.serial.is_none() && own_serial(&host.identity).is_some() {
            trace.push(TraceLine::AskedFirst(image.name.clone()));
            return Ok(Target::Ask);
        }
        trace.push(TraceLine::NotArmed(image.name.clone(), unsure(&host.name)));
        return Ok(Target::LocalDisk);
    }
    if image.destructive {
        trace.push(TraceLine::Armed(image.name.clone()));
    }
    Ok(Target::Image(image.clone()))
}

/// True when the machine came back for its loader too often (conformance P21).
fn loops(catalog: &Catalog, state: &BootState<'_>, trace: &mut Vec<TraceLine>) -> bool {
    let fetches = state.loader_fetches;
    let Some(limit) = catalog.fixed.loop_limit.filter(|limit| fetches > *limit) else { return false };
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
            if wants_pxelinux
                && facts.firmware == Some(Firmware::Bios)
                && !matches!(target, Target::LocalDisk | Target::Ask | Target::Hold) =>
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
    // Only iPXE can be asked.
    let asked = host.and_then(|host| host.loader).filter(|_| !matches!(target, Target::Ask | Target::Hold));
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
