//! Hosts, images and policy of one moment, indexed by every identity a request can carry.

use crate::fleet::Digests;
use crate::groups::{self, Chain, Groups};
use crate::identity::IdentityIndex;
use crate::rules::{RuleFinding, Rules};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};
use types::resource::{Bundle, Group, Host, Image, Name, Rule, Template};
use types::subnet::LoaderChoice;
use types::{Firmware, MacAddr, MachineGuid};

/// How often a machine may fetch its first loader in ten minutes before we send it to its disk (conformance P21).
pub const LOOP_LIMIT_DEFAULT: u32 = 6;

/// What a machine without a record and without a default image gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum UnknownPolicy {
    /// A menu of the images that destroy nothing, then the local disk.
    #[default]
    Menu,
    /// Its local disk.
    LocalDisk,
    /// No boot answer at all.
    Ignore,
    /// It waits on its screen, with a code, until it is recorded; then its local disk. A recorded host without an image goes
    /// to its disk at once.
    Claim,
}

impl UnknownPolicy {
    /// The name used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            UnknownPolicy::Menu => "menu",
            UnknownPolicy::LocalDisk => "local-disk",
            UnknownPolicy::Ignore => "ignore",
            UnknownPolicy::Claim => "claim",
        }
    }
}

/// A version of an image.
#[derive(Clone, Debug)]
pub struct ImageVersion {
    /// The image it is a version of.
    pub of: Name,
    /// What hosts may call it: its id and its tags.
    pub known_as: Vec<Name>,
    /// How it boots. Its own name is `image@id`, so that everything a machine fetches names the version.
    pub image: Image,
}

/// What a catalog is built from.
#[derive(Clone, Debug, Default)]
pub struct CatalogParts {
    /// Number of this catalog; grows by one with every change.
    pub generation: u64,
    /// Recorded machines.
    pub hosts: Vec<Host>,
    /// Images that can be booted.
    pub images: Vec<Image>,
    /// Versions of images that are kept, the current ones too.
    pub versions: Vec<ImageVersion>,
    /// Id of the version that is current, by image; images whose files have no versions have none.
    pub current: HashMap<Name, Name>,
    /// Templates of answer files.
    pub templates: Vec<Template>,
    /// Bundles of scripts.
    pub bundles: Vec<Bundle>,
    /// Groups of hosts.
    pub groups: Vec<Group>,
    /// Rules in force, in any order.
    pub rules: Vec<Rule>,
    /// Unknown machines whose hardware address begins like this are ignored: 1 to 6 octets.
    pub ignored: Vec<Box<[u8]>>,
    /// Site of this appliance, a selector key.
    pub site: Option<Arc<str>>,
    /// Image of every machine without a pin, known or not.
    pub default_image: Option<Name>,
    /// For machines without a record when there is no default image.
    pub unknown: UnknownPolicy,
    /// NBP by firmware; a firmware without one is not served.
    pub loaders: Vec<LoaderChoice>,
    /// See [`LOOP_LIMIT_DEFAULT`]; `None` takes it, `Some(0)` switches the guard off.
    pub loop_limit: Option<u32>,
}

/// Why parts do not make a catalog. All faults are reported, in the order of the hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CatalogFault {
    /// Two hosts share a name.
    DuplicateHost(Name),
    /// Two images share a name.
    DuplicateImage(Name),
    /// Two templates share a name.
    DuplicateTemplate(Name),
    /// Two bundles share a name.
    DuplicateBundle(Name),
    /// Two groups share a name.
    DuplicateGroup(Name),
    /// Two rules share a name.
    DuplicateRule(Name),
    /// A group is above itself.
    GroupCycle(Name),
    /// More groups stand above it than [`DEPTH_MAX`](crate::GROUP_DEPTH_MAX).
    GroupTooDeep(Name),
    /// A group names a version of no image.
    GroupVersionWithoutImage(Name),
    /// A rule names a version of no image.
    RuleVersionWithoutImage(Name),
    /// Two hosts claim one MAC.
    DuplicateMac(MacAddr, Name, Name),
    /// Two hosts claim one GUID, in either byte order.
    DuplicateGuid(MachineGuid, Name, Name),
    /// Two hosts claim one serial.
    DuplicateSerial(String, Name, Name),
    /// A host that could match no machine.
    EmptyMatch(Name),
    /// A host names a version of no image.
    VersionWithoutImage(Name),
    /// A host named by a GUID that many machines carry.
    NobodysGuid(Name, MachineGuid),
}

impl fmt::Display for CatalogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CatalogFault::DuplicateHost(name) => write!(f, "host `{name}` is defined twice"),
            CatalogFault::DuplicateImage(name) => write!(f, "image `{name}` is defined twice"),
            CatalogFault::DuplicateTemplate(name) => write!(f, "template `{name}` is defined twice"),
            CatalogFault::DuplicateBundle(name) => write!(f, "bundle `{name}` is defined twice"),
            CatalogFault::DuplicateGroup(name) => write!(f, "group `{name}` is defined twice"),
            CatalogFault::DuplicateRule(name) => write!(f, "rule `{name}` is defined twice"),
            CatalogFault::GroupCycle(name) => {
                write!(f, "group `{name}` stands above itself; follow `parent` from it")
            }
            CatalogFault::GroupTooDeep(name) => {
                write!(f, "more than {} groups stand above `{name}`", groups::DEPTH_MAX)
            }
            CatalogFault::GroupVersionWithoutImage(name) => {
                write!(f, "group `{name}` has an `image_version` and no `image` it could be of")
            }
            CatalogFault::RuleVersionWithoutImage(name) => {
                write!(f, "rule `{name}` has an `image_version` and no `image` it could be of")
            }
            CatalogFault::DuplicateMac(mac, one, other) => {
                write!(f, "hosts `{one}` and `{other}` both claim MAC {mac}")
            }
            CatalogFault::DuplicateGuid(guid, one, other) => {
                write!(f, "hosts `{one}` and `{other}` both claim GUID {guid} (byte orders count as one)")
            }
            CatalogFault::DuplicateSerial(serial, one, other) => {
                write!(f, "hosts `{one}` and `{other}` both claim serial `{serial}`")
            }
            CatalogFault::EmptyMatch(name) => {
                write!(f, "host `{name}` has no mac, uuid or serial to match by")
            }
            CatalogFault::VersionWithoutImage(name) => {
                write!(f, "host `{name}` has an `image_version` and no `image` it could be of")
            }
            CatalogFault::NobodysGuid(name, guid) => {
                write!(f, "host `{name}` is matched by GUID {guid}, a factory value that many machines carry")
            }
        }
    }
}

impl std::error::Error for CatalogFault {}

/// Something an operator should look at; the catalog works without it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CatalogWarning {
    /// A host (or, without one, the default) names an image that is not there. Machines concerned are left alone.
    ImageMissing {
        /// The host, or `None` for the default image.
        host: Option<Name>,
        /// The image named.
        image: Name,
    },
    /// A group names an image that is not there. Its hosts are left alone.
    GroupImageMissing {
        /// The group.
        group: Name,
        /// The image named.
        image: Name,
    },
    /// A host or group names a group that is not there; it inherits nothing from it.
    GroupMissing {
        /// Who names it: "host `web01`".
        by: String,
        /// The group named.
        group: Name,
    },
    /// A host or group names a bundle that is not there. What runs it is not booted.
    BundleMissing {
        /// Who names it: "host `web01`".
        by: String,
        /// The bundle named.
        bundle: Name,
    },
    /// A rule an operator should look at.
    Rule(RuleFinding),
    /// A host is recorded with a serial number that many machines carry; it counts nothing.
    NobodysSerial {
        /// The host.
        host: Name,
        /// Its serial number.
        serial: String,
    },
}

impl fmt::Display for CatalogWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CatalogWarning::GroupMissing { by, group } => {
                write!(f, "{by} names group `{group}`, which is not there; nothing is inherited from it")
            }
            CatalogWarning::BundleMissing { by, bundle } => {
                write!(
                    f,
                    "{by} names bundle `{bundle}`, which is not there; no image is given until it is defined"
                )
            }
            CatalogWarning::GroupImageMissing { group, image } => {
                write!(
                    f,
                    "group `{group}` names image `{image}`, which is not there; its hosts are left alone until it is imported"
                )
            }
            CatalogWarning::NobodysSerial { host, serial } => {
                write!(
                    f,
                    "host `{host}` has the serial `{serial}`, which many machines carry; it counts nothing"
                )
            }
            CatalogWarning::Rule(finding) => write!(f, "{finding}; {}", finding.fix()),
            CatalogWarning::ImageMissing { host: Some(host), image } => {
                write!(
                    f,
                    "host `{host}` names image `{image}`, which is not there; it is left alone until it is imported"
                )
            }
            CatalogWarning::ImageMissing { host: None, image } => {
                write!(
                    f,
                    "the default image `{image}` is not there; machines without a pin are left alone until it is imported"
                )
            }
        }
    }
}

/// Everything an operator decided, of one moment. Immutable: a change makes a new one with the next generation.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Number of this catalog.
    pub generation: u64,
    pub(crate) rules: Rules,
    /// Shared by catalogs that differ in their rules alone.
    pub(crate) fixed: Arc<Fixed>,
    warnings: Vec<CatalogWarning>,
}

/// What no rule changes.
#[derive(Debug, Default)]
pub(crate) struct Fixed {
    pub(crate) hosts: Vec<Arc<Host>>,
    /// The same hosts with what their groups give them, in the same order; made when first asked for, so that a change is
    /// in force at once however many there are.
    profiles: Vec<OnceLock<Arc<Host>>>,
    pub(crate) groups: Groups,
    pub(crate) ignored: Vec<Box<[u8]>>,
    pub(crate) site: Option<Arc<str>>,
    pub(crate) identities: IdentityIndex,
    names: HashMap<Name, usize>,
    images: HashMap<Name, Arc<Image>>,
    /// By `image@id` and by `image@tag`.
    versions: HashMap<Name, Arc<Image>>,
    current: HashMap<Name, Name>,
    templates: HashMap<Name, Arc<Template>>,
    bundles: HashMap<Name, Arc<Bundle>>,
    pub(crate) digests: Digests,
    pub(crate) default_image: Option<Name>,
    pub(crate) unknown: UnknownPolicy,
    loaders: Vec<LoaderChoice>,
    pub(crate) loop_limit: Option<u32>,
    /// What is to be looked at whatever the rules are.
    warnings: Vec<CatalogWarning>,
}

impl Catalog {
    /// Checks and indexes the parts. O(hosts + images + rules²), the last for what rules shadow each other.
    ///
    /// # Errors
    /// Every fault found, not only the first.
    pub fn build(parts: CatalogParts) -> Result<Catalog, Vec<CatalogFault>> {
        let mut faults = Vec::new();
        let CatalogParts { generation, rules, .. } = parts;
        let parts = CatalogParts { rules: Vec::new(), ..parts };
        let fixed = Fixed::build(parts, &mut faults);
        check_rules(&rules, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Catalog::of(generation, Arc::new(fixed), rules))
    }

    /// This catalog with other rules, and nothing else changed. O(rules²), however many hosts there are.
    ///
    /// # Errors
    /// Every fault of the rules.
    pub fn with_rules(&self, generation: u64, rules: Vec<Rule>) -> Result<Catalog, Vec<CatalogFault>> {
        let mut faults = Vec::new();
        check_rules(&rules, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Catalog::of(generation, self.fixed.clone(), rules))
    }

    fn of(generation: u64, fixed: Arc<Fixed>, rules: Vec<Rule>) -> Catalog {
        let rules = Rules::new(rules);
        let mut warnings = fixed.warnings.clone();
        fixed.warn_of_rules(&rules, &mut warnings);
        Catalog { generation, rules, fixed, warnings }
    }

    /// The image of that name, or the version called `image@id`. Not by tag: a tag moves, and what a machine fetches must
    /// not change under it.
    pub fn image(&self, name: &str) -> Option<&Arc<Image>> {
        let version = || self.fixed.versions.get(name).filter(|version| version.name.as_str() == name);
        self.fixed.images.get(name).or_else(version)
    }

    /// The version of an image that a host names by id or tag.
    pub fn version(&self, image: &Name, version: &Name) -> Option<&Arc<Image>> {
        self.fixed.versions.get(&image.at_version(version))
    }

    /// Id of the current version of an image.
    pub fn current_version(&self, image: &str) -> Option<&Name> {
        self.fixed.current.get(image)
    }

    /// The template of that name.
    pub fn template(&self, name: &str) -> Option<&Arc<Template>> {
        self.fixed.templates.get(name)
    }

    /// The bundle of that name.
    pub fn bundle(&self, name: &str) -> Option<&Arc<Bundle>> {
        self.fixed.bundles.get(name)
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<&Arc<Host>> {
        self.fixed.names.get(name).and_then(|&at| self.fixed.hosts.get(at))
    }

    /// The host of that name, with what its groups give it.
    pub fn profile(&self, name: &str) -> Option<&Arc<Host>> {
        self.fixed.names.get(name).and_then(|&at| self.profile_at(at))
    }

    /// The host at that place, with what its groups give it.
    pub(crate) fn profile_at(&self, at: usize) -> Option<&Arc<Host>> {
        let (host, profile) = (self.fixed.hosts.get(at)?, self.fixed.profiles.get(at)?);
        Some(profile.get_or_init(|| {
            let Some(chain) = host.group.as_ref().and_then(|group| self.fixed.groups.chain(group)) else {
                return host.clone();
            };
            let mut profile = Host::clone(host);
            groups::inherit(&mut profile, &chain.groups);
            Arc::new(profile)
        }))
    }

    /// A group and those above it, nearest first; `None` when it is not there.
    pub fn group(&self, name: &Name) -> Option<&[Arc<Group>]> {
        self.fixed.groups.chain(name).map(|chain| chain.groups.as_slice())
    }

    /// Every group, in no order.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.fixed.groups.all()
    }

    /// The rules in force, in their order.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Site of this appliance.
    pub fn site(&self) -> Option<&str> {
        self.fixed.site.as_deref()
    }

    pub(crate) fn chain(&self, name: &Name) -> Option<&Arc<Chain>> {
        self.fixed.groups.chain(name)
    }

    /// The host recorded with this MAC.
    pub fn host_by_mac(&self, mac: MacAddr) -> Option<&Arc<Host>> {
        self.fixed.identities.by_mac(mac).and_then(|at| self.fixed.hosts.get(at))
    }

    /// The host recorded with this GUID, in either byte order.
    pub fn host_by_guid(&self, guid: MachineGuid) -> Option<&Arc<Host>> {
        self.fixed.identities.by_guid(guid).and_then(|at| self.fixed.hosts.get(at))
    }

    /// The host recorded with this serial number, whatever its case.
    pub fn host_by_serial(&self, serial: &str) -> Option<&Arc<Host>> {
        self.fixed.identities.by_serial(serial).and_then(|at| self.fixed.hosts.get(at))
    }

    /// Every host, in the order they were given.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.fixed.hosts.iter()
    }

    /// Every image at its current version, in no order.
    pub fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.fixed.images.values()
    }

    /// Images a machine may be offered unasked, by name: nothing destructive, nothing its firmware cannot boot.
    pub fn menu_images(&self, firmware: Option<Firmware>) -> Vec<Arc<Image>> {
        let mut images: Vec<_> = self
            .fixed
            .images
            .values()
            .filter(|image| !image.destructive && image_fits(image, firmware))
            .cloned()
            .collect();
        images.sort_by(|one, other| one.name.cmp(&other.name));
        images
    }

    /// The NBP for a firmware.
    pub fn loader(&self, firmware: Firmware) -> Option<&LoaderChoice> {
        self.fixed.loaders.iter().find(|choice| choice.firmware == firmware)
    }

    /// What an operator should look at.
    pub fn warnings(&self) -> &[CatalogWarning] {
        &self.warnings
    }
}

/// What no set of rules may have.
fn check_rules(rules: &[Rule], faults: &mut Vec<CatalogFault>) {
    let mut names = HashSet::with_capacity(rules.len());
    for rule in rules {
        if !names.insert(&rule.name) {
            faults.push(CatalogFault::DuplicateRule(rule.name.clone()));
        }
        if rule.image.is_none() && rule.image_version.is_some() {
            faults.push(CatalogFault::RuleVersionWithoutImage(rule.name.clone()));
        }
    }
}

impl Fixed {
    /// Checks and indexes everything but the rules. Worth nothing with faults.
    fn build(parts: CatalogParts, faults: &mut Vec<CatalogFault>) -> Fixed {
        let mut images = HashMap::with_capacity(parts.images.len());
        for image in parts.images {
            if let Some(twice) = images.insert(image.name.clone(), Arc::new(image)) {
                faults.push(CatalogFault::DuplicateImage(twice.name.clone()));
            }
        }
        let mut versions = HashMap::new();
        for ImageVersion { of, known_as, image } in parts.versions {
            let image = Arc::new(image);
            versions.extend(known_as.iter().map(|name| (of.at_version(name), image.clone())));
        }
        let mut templates = HashMap::with_capacity(parts.templates.len());
        for template in parts.templates {
            if let Some(twice) = templates.insert(template.name.clone(), Arc::new(template)) {
                faults.push(CatalogFault::DuplicateTemplate(twice.name.clone()));
            }
        }
        let mut bundles = HashMap::with_capacity(parts.bundles.len());
        for bundle in parts.bundles {
            if let Some(twice) = bundles.insert(bundle.name.clone(), Arc::new(bundle)) {
                faults.push(CatalogFault::DuplicateBundle(twice.name.clone()));
            }
        }
        let mut warnings = Vec::new();
        let groups = Groups::build(parts.groups, faults, &mut warnings);
        let missing = |image: &Option<Name>| image.clone().filter(|name| !images.contains_key(name));
        if let Some(image) = missing(&parts.default_image) {
            warnings.push(CatalogWarning::ImageMissing { host: None, image });
        }
        let hosts: Vec<Arc<Host>> = parts.hosts.into_iter().map(Arc::new).collect();
        let mut names = HashMap::with_capacity(hosts.len());
        for (at, host) in hosts.iter().enumerate() {
            if names.insert(host.name.clone(), at).is_some() {
                faults.push(CatalogFault::DuplicateHost(host.name.clone()));
            }
            let pinned = match (&host.image, &host.image_version) {
                (Some(image), Some(version)) => Some(image.at_version(version)),
                (None, Some(_)) => {
                    faults.push(CatalogFault::VersionWithoutImage(host.name.clone()));
                    None
                }
                (_, None) => None,
            };
            let absent = match pinned {
                Some(pinned) => Some(pinned).filter(|name| !versions.contains_key(name)),
                None => missing(&host.image),
            };
            if let Some(image) = absent {
                warnings.push(CatalogWarning::ImageMissing { host: Some(host.name.clone()), image });
            }
        }
        let identities = IdentityIndex::build(&hosts, faults);
        for host in &hosts {
            if let Some(serial) = host.identity.serial.clone()
                && types::serial::is_nobodys(&serial)
            {
                warnings.push(CatalogWarning::NobodysSerial { host: host.name.clone(), serial });
            }
            if let Some(group) = host.group.as_ref().filter(|group| groups.chain(group).is_none()) {
                let by = format!("host `{}`", host.name);
                warnings.push(CatalogWarning::GroupMissing { by, group: group.clone() });
            }
        }
        let profiles = hosts.iter().map(|_| OnceLock::new()).collect();
        for group in groups.all() {
            if let Some(image) = missing(&group.image) {
                warnings.push(CatalogWarning::GroupImageMissing { group: group.name.clone(), image });
            }
        }
        let absent = |names: &Option<Vec<Name>>, append: &[Name]| {
            let named = names.iter().flatten().chain(append);
            named.filter(|name| !bundles.contains_key(*name)).cloned().collect::<Vec<_>>()
        };
        for host in &hosts {
            let by = || format!("host `{}`", host.name);
            let missing = absent(&host.bundles, &host.bundles_append).into_iter();
            warnings.extend(missing.map(|bundle| CatalogWarning::BundleMissing { by: by(), bundle }));
        }
        for group in groups.all() {
            let by = || format!("group `{}`", group.name);
            let missing = absent(&group.bundles, &group.bundles_append).into_iter();
            warnings.extend(missing.map(|bundle| CatalogWarning::BundleMissing { by: by(), bundle }));
        }
        Fixed {
            hosts,
            profiles,
            groups,
            ignored: parts.ignored,
            site: parts.site,
            identities,
            names,
            images,
            versions,
            current: parts.current,
            digests: Digests::of(templates.keys(), bundles.keys()),
            templates,
            bundles,
            default_image: parts.default_image,
            unknown: parts.unknown,
            loaders: parts.loaders,
            loop_limit: match parts.loop_limit {
                Some(0) => None,
                Some(limit) => Some(limit),
                None => Some(LOOP_LIMIT_DEFAULT),
            },
            warnings,
        }
    }

    fn warn_of_rules(&self, rules: &Rules, warnings: &mut Vec<CatalogWarning>) {
        let Fixed { images, templates, groups, bundles, .. } = self;
        for finding in rules.findings() {
            warnings.push(CatalogWarning::Rule(finding));
        }
        for rule in rules.iter() {
            let absent = |kind, name: &Option<Name>, there: &dyn Fn(&Name) -> bool| {
                let name = name.clone().filter(|name| !there(name))?;
                Some(CatalogWarning::Rule(RuleFinding::Missing { rule: rule.name.clone(), kind, name }))
            };
            warnings.extend(absent("image", &rule.image, &|name| images.contains_key(name)));
            warnings.extend(absent("template", &rule.template, &|name| templates.contains_key(name)));
            warnings.extend(absent("group", &rule.group, &|name| groups.chain(name).is_some()));
            for name in rule.bundles.iter().flatten() {
                warnings.extend(absent("bundle", &Some(name.clone()), &|name| bundles.contains_key(name)));
            }
            let destroys = |name: &&Name| images.get(*name).is_some_and(|image| image.destructive);
            if rule.when.is_everything()
                && let Some(image) = rule.image.as_ref().filter(destroys)
            {
                let finding = RuleFinding::DestroysAll { rule: rule.name.clone(), image: image.clone() };
                warnings.push(CatalogWarning::Rule(finding));
            }
        }
    }
}

/// True unless the image lists firmware and the machine's is known and not in the list.
pub(crate) fn image_fits(image: &Image, firmware: Option<Firmware>) -> bool {
    image.firmware.is_empty() || firmware.is_none_or(|own| image.firmware.contains(&own))
}

#[cfg(test)]
mod tests;
