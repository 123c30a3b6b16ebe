//! What recorded hosts are meant to boot, one after the other: what drift is told by, and who is meant by a selector.
//!
//! A host is looked at as its next boot will be once it has passed every gate. What a machine has not said of itself is not
//! guessed: where a rule asks for it, nothing is decided.
//!
//! [`Meant`] is what a boot is made of. Its digest covers everything that a script and an answer file are rendered from and that
//! an operator can change: the image's recipe, the text of the template, parameters, location, kernel arguments, the scripts of its
//! bundles, the site. It is
//! FNV-1a of 64 bits over fields with their lengths, the same in every build, and no secret: it tells a change, it does not
//! withstand somebody who looks for two texts with one digest.

use crate::decide::{given, profile};
use crate::{BootState, Catalog, Decision, Target, TraceLine, decide};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use types::resource::{Host, Image, Name, Rule};
use types::selector::{Key, Match, Subject};
use types::{Facts, Selector, Stage};

/// What a boot is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meant {
    /// Version id of the image, or of the image it stands on; `None` where its files have none.
    pub version: Option<Name>,
    /// Digest of what it is rendered from.
    pub values: u64,
}

/// What a host is meant to boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// This image.
    Image(Arc<Image>, Meant),
    /// No image: it goes to its own disk or to a menu, as it likes.
    Nothing,
    /// It cannot be told; why.
    Undecided(String),
}

/// What is known of a host: its record, and what was seen of it; asked as a running iPXE that can be asked for more.
pub fn known(host: &Host, seen: Option<&Facts>) -> Facts {
    let own = Facts {
        mac: host.identity.mac.0.first().copied(),
        guid: host.identity.uuid,
        serial: host.identity.serial.as_deref().map(Into::into),
        ..Facts::default()
    };
    let known = seen.map_or_else(|| own.clone(), |seen| own.clone().or(seen));
    Facts { stage: Stage::Ipxe, http: true, ..known }
}

/// Digests of the templates and bundles of one catalog, each taken when it is first asked for: many hosts share one.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    templates: HashMap<Name, OnceLock<u64>>,
    bundles: HashMap<Name, OnceLock<u64>>,
}

impl Digests {
    /// None of them is taken yet.
    pub(crate) fn of<'a>(
        templates: impl Iterator<Item = &'a Name>,
        bundles: impl Iterator<Item = &'a Name>,
    ) -> Digests {
        Digests {
            templates: templates.map(|name| (name.clone(), OnceLock::new())).collect(),
            bundles: bundles.map(|name| (name.clone(), OnceLock::new())).collect(),
        }
    }
}

/// Looks at the hosts of one catalog.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    catalog: &'a Catalog,
}

impl<'a> Fleet<'a> {
    /// The hosts of this one.
    pub fn new(catalog: &'a Catalog) -> Fleet<'a> {
        Fleet { catalog }
    }

    /// What a host is meant to boot, whatever it is armed for. O(rules).
    pub fn wanted(&self, host: &Host, facts: &Facts) -> Wanted {
        if let Some(rule) = self.asks_what_is_not_known(host, facts) {
            return Wanted::Undecided(format!(
                "rule `{}` ({}) asks for what the machine has not said since the appliance was started",
                rule.name, rule.when
            ));
        }
        let verdict = decide(self.catalog, facts, &BootState::armed());
        match verdict.decision {
            Decision::Boot(plan) => match plan.target {
                Target::Image(image) => {
                    let meant = self.meant(verdict.profile.as_deref(), &image);
                    Wanted::Image(image, meant)
                }
                Target::Menu | Target::LocalDisk | Target::Hold => Wanted::Nothing,
                Target::Ask => {
                    Wanted::Undecided("a rule asks for what the machine has not said yet".to_owned())
                }
            },
            Decision::LeaveAlone(reason) => {
                let missing = verdict.trace.0.iter().find_map(|line| match line {
                    TraceLine::ImageMissing(image) => Some(format!("image `{image}` is not there")),
                    TraceLine::GroupMissing(group) => Some(format!("group `{group}` is not there")),
                    _ => None,
                });
                Wanted::Undecided(missing.unwrap_or_else(|| reason.to_string()))
            }
        }
    }

    /// What a boot of an image by this machine would be made of. O(rules), as a decision.
    pub fn meant_for(&self, facts: &Facts, image: &Image) -> Meant {
        let own =
            self.catalog.identify(facts).and_then(|host| self.catalog.profile(host.name.as_str())).cloned();
        let given = given(self.catalog, facts, own.as_deref(), false);
        let whole = profile(self.catalog, facts, own, &given);
        self.meant(whole.as_deref(), image)
    }

    /// What a boot of an image is made of, for a host with all that groups and rules give it.
    pub fn meant(&self, profile: Option<&Host>, image: &Image) -> Meant {
        let catalog = self.catalog;
        let (name, own) = match image.name.as_str().split_once('@') {
            Some((name, version)) => (name, version.parse().ok()),
            None => (image.name.as_str(), catalog.current_version(image.name.as_str()).cloned()),
        };
        let base = image.base.as_ref().and_then(|base| catalog.current_version(base.as_str()));
        let mut digest = Digest::new();
        let Image {
            kind, kernel, initrd, cmdline, script, efi, disk, modules, stateless, destructive, ..
        } = image;
        digest.text(name).text(kind.as_str()).text(cmdline);
        for file in [kernel, script, efi, disk] {
            digest.maybe(file.as_deref());
        }
        digest.list(initrd).list(modules).flag(*stateless).flag(*destructive);
        digest.maybe(image.base.as_ref().map(Name::as_str)).maybe(base.map(Name::as_str));
        digest.maybe(catalog.site());
        let template = profile.and_then(|profile| profile.template.as_ref()).or(image.template.as_ref());
        digest.maybe(template.map(Name::as_str));
        if let Some(name) = template {
            digest.number(self.template(name));
        }
        if let Some(profile) = profile {
            digest.text(profile.name.as_str()).maybe(profile.location.as_deref());
            digest.list(&profile.kernel_args_append).number(profile.params.len() as u64);
            for (key, value) in &profile.params {
                digest.text(key).text(value);
            }
            for name in profile.bundle_names() {
                digest.text(name.as_str()).number(self.bundle(name));
            }
        }
        Meant { version: own.or_else(|| base.cloned()), values: digest.0 }
    }

    fn template(&self, name: &Name) -> u64 {
        let taken = || {
            let mut digest = Digest::new();
            if let Some(template) = self.catalog.template(name.as_str()) {
                digest.text(template.kind.as_str()).text(&template.text);
            }
            digest.0
        };
        self.catalog.fixed.digests.templates.get(name).map_or_else(taken, |known| *known.get_or_init(taken))
    }

    fn bundle(&self, name: &Name) -> u64 {
        let taken = || {
            let mut digest = Digest::new();
            if let Some(bundle) = self.catalog.bundle(name.as_str()) {
                digest.text(bundle.deliver.as_str());
                for script in &bundle.scripts {
                    digest.text(script.name.as_str()).text(&script.interpreter).text(&script.text);
                    digest.number(script.timeout_secs.map_or(0, u64::from)).text(script.on_failure.as_str());
                }
            }
            digest.0
        };
        self.catalog.fixed.digests.bundles.get(name).map_or_else(taken, |known| *known.get_or_init(taken))
    }

    /// True when a host is in a group, or in one below it, by its record or by a rule.
    pub fn is_in(&self, host: &Host, facts: &Facts, group: &Name) -> bool {
        let own = self.catalog.profile(host.name.as_str()).cloned();
        let given = given(self.catalog, facts, own.as_deref(), false);
        let whole = profile(self.catalog, facts, own, &given);
        let named = whole.as_ref().and_then(|whole| whole.group.as_ref());
        named.is_some_and(|named| {
            self.catalog.chain(named).is_some_and(|chain| chain.names.iter().any(|own| own == group))
        })
    }

    /// A rule that may mean the host, as far as what is known of it says, and asks for something that is not. A machine that
    /// was asked for its SMBIOS data has said whatever it has to say.
    fn asks_what_is_not_known(&self, host: &Host, facts: &Facts) -> Option<&'a Rule> {
        if facts.smbios {
            return None;
        }
        let own = self.catalog.profile(host.name.as_str());
        with_subject(self.catalog, Some(&host.name), facts, own.map(|own| &**own), |subject| {
            let is_told = |key: &Key| {
                matches!(key, Key::Group | Key::Site | Key::Host | Key::Label(_))
                    || subject.shown(key).is_some()
            };
            let waits = |rule: &&'a Arc<Rule>| {
                let mut asks = false;
                for term in rule.when.cheapest_first() {
                    match is_told(term.key()) {
                        true if term.judge(subject) == Match::Yes => {}
                        true => return false,
                        false => asks = true,
                    }
                }
                asks
            };
            let catalog: &'a Catalog = self.catalog;
            catalog.rules.iter().find(waits).map(|rule| &**rule)
        })
    }
}

/// Whether a selector means a machine, with the groups and labels it would have, by its record and by rules. O(rules).
pub fn means(catalog: &Catalog, facts: &Facts, selector: &Selector) -> Match {
    let host = catalog.identify(facts);
    let own = host.and_then(|host| catalog.profile(host.name.as_str())).cloned();
    let given = given(catalog, facts, own.as_deref(), false);
    let whole = profile(catalog, facts, own, &given);
    let name = host.map(|host| &host.name);
    with_subject(catalog, name, facts, whole.as_deref(), |subject| selector.judge(subject))
}

fn with_subject<T>(
    catalog: &Catalog,
    host: Option<&Name>,
    facts: &Facts,
    profile: Option<&Host>,
    look: impl FnOnce(&Subject<'_>) -> T,
) -> T {
    let none = BTreeMap::new();
    let group = profile.and_then(|profile| profile.group.as_ref());
    let chain = group.and_then(|group| catalog.chain(group));
    look(&Subject {
        facts,
        host,
        groups: chain.map_or(&[], |chain| &chain.names),
        labels: profile.map_or(&none, |profile| &profile.labels),
        site: catalog.site(),
        may_tell: false,
    })
}

/// FNV-1a of 64 bits.
struct Digest(u64);

impl Digest {
    fn new() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Digest {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }

    fn number(&mut self, number: u64) -> &mut Digest {
        self.bytes(&number.to_le_bytes())
    }

    fn flag(&mut self, flag: bool) -> &mut Digest {
        self.bytes(&[u8::from(flag)])
    }

    fn text(&mut self, text: &str) -> &mut Digest {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    fn maybe(&mut self, text: Option<&str>) -> &mut Digest {
        match text {
            Some(text) => self.flag(true).text(text),
            None => self.flag(false),
        }
    }

    fn list(&mut self, texts: &[String]) -> &mut Digest {
        self.number(texts.len() as u64);
        texts.iter().fold(self, |digest, text| digest.text(text))
    }
}

#[cfg(test)]
mod tests;
