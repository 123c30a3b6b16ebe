//! What the catalog is made of: hosts and images of the configuration file (owned by it) and of the store (owned by the
//! API). One owner per object: a name in both is refused at start, and a write to a file-owned one by any door.

mod kept;

pub(crate) use kept::Kept;

use crate::failure::{Exit, Failure, chain};
use library::Library;
use plan::{Catalog, CatalogFault, CatalogParts, ImageVersion, UnknownPolicy};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::records::{
    IGNORED, Ignored, RULE_SET, RuleSet, decode_image, decode_owned, is_ignored_key, name_key,
    rule_set_number,
};
use store::{Revision, Store, Stored, Table};
use types::resource::{Bundle, Group, Host, Image, Name, Owner, Rule, Template};
use types::subnet::LoaderChoice;

/// Records read from the store at once.
const SCAN_STEP: usize = 1_000;

/// A resource, who owns it and its revision (0 for what a file owns).
#[derive(Clone, Debug)]
pub(crate) struct Owned<T> {
    pub(crate) resource: T,
    pub(crate) owner: String,
    pub(crate) revision: Revision,
}

/// A host, group or rule that stays at a version.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    /// `web01` for a host, `group rack12`, `rule base`.
    pub(crate) by: String,
    pub(crate) image: Name,
    /// Its id or a tag, as the host has it.
    pub(crate) version: Name,
}

/// Owner of everything made through the API.
pub(crate) const API_OWNER: &str = "api";

/// What the configuration file says of the catalog.
#[derive(Clone, Debug, Default)]
pub(crate) struct FromFile {
    pub(crate) hosts: Vec<(Host, String)>,
    pub(crate) images: Vec<(Image, String)>,
    pub(crate) templates: Vec<(Template, String)>,
    pub(crate) bundles: Vec<(Bundle, String)>,
    pub(crate) groups: Vec<(Group, String)>,
    pub(crate) rules: Vec<(Rule, String)>,
    pub(crate) site: Option<Name>,
    pub(crate) default_image: Option<Name>,
    pub(crate) unknown: UnknownPolicy,
    pub(crate) loaders: Vec<LoaderChoice>,
    pub(crate) loop_limit: Option<u32>,
}

/// Where the catalog comes from.
pub(crate) struct Inventory {
    store: Store,
    library: Library,
    file: FromFile,
    /// Places of the file's hosts.
    file_hosts: HashMap<Name, usize>,
    generation: AtomicU64,
    /// Held by every change from its checks until the catalog with it stands.
    changing: Mutex<()>,
    /// Images of the file as their import completed them: a source may know its kernel better than the file.
    completed: Mutex<HashMap<Name, Image>>,
}

impl Inventory {
    pub(crate) fn new(store: Store, library: Library, file: FromFile) -> Inventory {
        let places = file.hosts.iter().enumerate().map(|(at, (host, _))| (host.name.clone(), at));
        Inventory {
            store,
            library,
            file_hosts: places.collect(),
            file,
            generation: AtomicU64::new(0),
            changing: Mutex::default(),
            completed: Mutex::default(),
        }
    }

    /// Every resource of a kind, the file's first.
    pub(crate) fn all<T: Kept>(&self) -> Result<Vec<Owned<T>>, Failure> {
        let mut all = from_file(T::of_file(&self.file));
        all.extend(self.stored()?);
        Ok(all)
    }

    /// Those of the store.
    pub(crate) fn stored<T: Kept>(&self) -> Result<Vec<Owned<T>>, Failure> {
        self.scan_keys(T::TABLE, |_| true, |value| decode_owned(&T::RECORD, value))
    }

    /// One of the store.
    pub(crate) fn one_stored<T: Kept>(&self, name: &Name) -> Result<Option<Owned<T>>, Failure> {
        let stored =
            self.store.get(T::TABLE, &name_key(name)).map_err(|error| unreadable(T::TABLE, &error))?;
        let decoded = stored.map(|stored| {
            let (owner, resource) = decode_owned(&T::RECORD, &stored.value)
                .map_err(|error| undecodable(T::TABLE, name.as_str(), &error))?;
            Ok(Owned { resource, owner: owner.to_string(), revision: stored.revision })
        });
        decoded.transpose()
    }

    /// The place of one of the file.
    pub(crate) fn place_in_file<T: Kept>(&self, name: &Name) -> Option<&str> {
        let found = T::of_file(&self.file).iter().find(|(one, _)| one.name() == name);
        found.map(|(_, place)| place.as_str())
    }

    /// Every host, the file's first.
    pub(crate) fn hosts(&self) -> Result<Vec<Owned<Host>>, Failure> {
        self.all()
    }

    /// One host by its name.
    pub(crate) fn host(&self, name: &Name) -> Result<Option<Owned<Host>>, Failure> {
        if let Some((host, owner)) = self.file_hosts.get(name).and_then(|&at| self.file.hosts.get(at)) {
            return Ok(Some(Owned { resource: host.clone(), owner: owner.clone(), revision: Revision(0) }));
        }
        self.one_stored(name)
    }

    /// Every image, the file's first, whether its files are there or not.
    pub(crate) fn images(&self) -> Result<Vec<Owned<Image>>, Failure> {
        let completed = self.completed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut images = from_file(&self.file.images);
        for image in &mut images {
            if let Some(known) = completed.get(&image.resource.name) {
                image.resource.clone_from(known);
            }
        }
        images.extend(self.scan(Table::Images, decode_image)?);
        Ok(images)
    }

    /// Every group, the file's first.
    pub(crate) fn groups(&self) -> Result<Vec<Owned<Group>>, Failure> {
        self.all()
    }

    /// Machines that are to be ignored.
    pub(crate) fn ignored(&self) -> Result<Vec<Ignored>, Failure> {
        let decode = |value: &[u8]| Ok((Owner::Api, IGNORED.decode::<Ignored>(value)?));
        let all = self.scan_keys(Table::Facts, is_ignored_key, decode)?;
        Ok(all.into_iter().map(|ignored| ignored.resource).collect())
    }

    /// The rules of the file: always in force, and in every set.
    pub(crate) fn file_rules(&self) -> Vec<Owned<Rule>> {
        from_file(&self.file.rules)
    }

    /// Rules as they are being edited through the API.
    pub(crate) fn working_rules(&self) -> Result<Vec<Owned<Rule>>, Failure> {
        self.stored()
    }

    /// The sets that are kept, the one in force last.
    pub(crate) fn rule_sets(&self) -> Result<Vec<RuleSet>, Failure> {
        let sets = self.scan(Table::RuleSets, |value| RULE_SET.decode::<RuleSet>(value))?;
        Ok(sets.into_iter().map(|set| set.resource).collect())
    }

    /// Numbers of the sets that are kept, the one in force last.
    pub(crate) fn rule_set_numbers(&self) -> Result<Vec<u64>, Failure> {
        let number = |(key, _): &(Vec<u8>, Stored)| rule_set_number(key);
        Ok(self.kept_sets()?.iter().filter_map(number).collect())
    }

    /// Rules in force that the API put there.
    pub(crate) fn active_rules(&self) -> Result<Vec<Rule>, Failure> {
        let Some((key, last)) = self.kept_sets()?.pop() else { return Ok(Vec::new()) };
        let set = RULE_SET.decode::<RuleSet>(&last.value);
        let unread = |error| undecodable(Table::RuleSets, &String::from_utf8_lossy(&key), &error);
        Ok(set.map_err(unread)?.rules)
    }

    /// The records of the sets that are kept: ten at most.
    fn kept_sets(&self) -> Result<Vec<(Vec<u8>, Stored)>, Failure> {
        let sets = self.store.scan(Table::RuleSets, None, SCAN_STEP);
        sets.map_err(|error| unreadable(Table::RuleSets, &error))
    }

    /// An image of the file as it is written there, without what an import found out, and its owner.
    pub(crate) fn image_of_file(&self, name: &Name) -> Option<&(Image, String)> {
        self.file.images.iter().find(|(image, _)| image.name == *name)
    }

    /// Takes over what an import found out about an image of the file.
    pub(crate) fn complete(&self, image: Image) {
        self.completed.lock().unwrap_or_else(PoisonError::into_inner).insert(image.name.clone(), image);
    }

    /// Images of the file that say where their files come from.
    pub(crate) fn images_with_source(&self) -> impl Iterator<Item = &Image> {
        self.file.images.iter().map(|(image, _)| image).filter(|image| image.source.is_some())
    }

    /// True when the image's files are in the library.
    pub(crate) fn has_files(&self, image: &Name) -> bool {
        self.library.manifest(image.as_str()).is_some()
    }

    /// Hosts, groups and rules (of every set that is kept) that stay at a version of an image, and the id or tag they name.
    pub(crate) fn pins(&self) -> Result<Vec<Pin>, Failure> {
        let pin = |host: Owned<Host>| {
            let Host { name, image, image_version, .. } = host.resource;
            Some(Pin { by: name.to_string(), image: image?, version: image_version? })
        };
        let mut pins: Vec<Pin> = self.hosts()?.into_iter().filter_map(pin).collect();
        for Owned { resource: Group { name, image, image_version, .. }, .. } in self.groups()? {
            if let (Some(image), Some(version)) = (image, image_version) {
                pins.push(Pin { by: format!("group {name}"), image, version });
            }
        }
        let working = self.working_rules()?.into_iter().map(|rule| rule.resource);
        let sets = self.rule_sets()?.into_iter().flat_map(|set| set.rules);
        let file = self.file.rules.iter().map(|(rule, _)| rule.clone());
        for Rule { name, image, image_version, .. } in file.chain(working).chain(sets) {
            if let (Some(image), Some(version)) = (image, image_version) {
                pins.push(Pin { by: format!("rule {name}"), image, version });
            }
        }
        Ok(pins)
    }

    /// Where a value is defined: its owner, or the line of a file.
    pub(crate) fn owner_of(&self, source: &plan::Source) -> Option<String> {
        fn of<T: Kept>(inventory: &Inventory, name: &Name) -> Option<String> {
            let in_file = inventory.place_in_file::<T>(name).map(str::to_owned);
            // What is in force only (a rule out of the working set) has nobody any more.
            in_file.or_else(|| inventory.one_stored::<T>(name).ok().flatten().map(|one| one.owner))
        }
        let found = match source {
            plan::Source::Host(name) => of::<Host>(self, name),
            plan::Source::Group(name) => of::<Group>(self, name),
            plan::Source::Rule(name) => of::<Rule>(self, name),
        };
        Some(found.unwrap_or_else(|| API_OWNER.to_owned()))
    }

    /// Makes others who change hosts or images wait: two hosts checked against each other's absence could both claim
    /// one identity, and an older catalog could be put in the place of a newer one.
    pub(crate) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The catalog of this moment, with the next generation.
    ///
    /// # Errors
    /// When file and store claim the same name or identity, with every such claim.
    pub(crate) fn catalog(&self) -> Result<Catalog, Failure> {
        self.build(self.next_generation(), |_| {})
    }

    /// The catalog in force with other rules of the API, to be put in force behind their commit. Takes no longer for many hosts
    /// than for few. The caller holds the lock of changes.
    ///
    /// # Errors
    /// What is wrong with the rules.
    pub(crate) fn next_with_rules(&self, now: &Catalog, rules: Vec<Rule>) -> Result<Catalog, Failure> {
        self.rules_over(self.next_generation(), now, rules)
    }

    /// The catalog in force as it would be with other rules; nothing is changed.
    ///
    /// # Errors
    /// What is wrong with the rules.
    pub(crate) fn with_rules(&self, now: &Catalog, rules: Vec<Rule>) -> Result<Catalog, Failure> {
        self.rules_over(0, now, rules)
    }

    fn rules_over(&self, generation: u64, now: &Catalog, rules: Vec<Rule>) -> Result<Catalog, Failure> {
        now.with_rules(generation, rules).map_err(|faults| contradiction(&faults))
    }

    fn next_generation(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The catalog as it would be after a change; nothing is changed.
    pub(crate) fn catalog_with(&self, change: impl FnOnce(&mut CatalogParts)) -> Result<Catalog, Failure> {
        self.build(0, change)
    }

    fn build(&self, generation: u64, change: impl FnOnce(&mut CatalogParts)) -> Result<Catalog, Failure> {
        let hosts = self.hosts()?;
        let images = self.images()?;
        refuse_two_owners("host", hosts.iter().map(|host| (&host.resource.name, host.owner.as_str())))?;
        refuse_two_owners("image", images.iter().map(|image| (&image.resource.name, image.owner.as_str())))?;
        let hosts: Vec<Host> = hosts.into_iter().map(|host| host.resource).collect();
        let groups = self.groups()?;
        refuse_two_owners("group", groups.iter().map(|group| (&group.resource.name, group.owner.as_str())))?;
        let templates: Vec<Owned<Template>> = self.all()?;
        let named = templates.iter().map(|template| (&template.resource.name, template.owner.as_str()));
        refuse_two_owners("template", named)?;
        let bundles: Vec<Owned<Bundle>> = self.all()?;
        let named = bundles.iter().map(|bundle| (&bundle.resource.name, bundle.owner.as_str()));
        refuse_two_owners("bundle", named)?;
        let active = self.active_rules()?;
        let owned = self.file.rules.iter().map(|(rule, owner)| (&rule.name, owner.as_str()));
        refuse_two_owners("rule", owned.chain(active.iter().map(|rule| (&rule.name, API_OWNER))))?;
        // A profile may have no file of its own beside those of its base.
        let complete = |image: &Owned<Image>| {
            let image = &image.resource;
            self.has_files(&image.name) || image.base.as_ref().is_some_and(|base| self.has_files(base))
        };
        let versions = images.iter().flat_map(|image| self.versions_of(&image.resource)).collect();
        let current = |image: &Owned<Image>| {
            let name = &image.resource.name;
            Some((name.clone(), self.library.manifest(name.as_str())?.id().clone()))
        };
        let current = images.iter().filter_map(current).collect();
        let mut parts = CatalogParts {
            generation,
            hosts,
            groups: groups.into_iter().map(|group| group.resource).collect(),
            rules: self.file.rules.iter().map(|(rule, _)| rule.clone()).chain(active).collect(),
            ignored: self.ignored()?.into_iter().map(|ignored| ignored.octets.into()).collect(),
            site: self.file.site.as_ref().map(Name::shared),
            versions,
            current,
            images: images.into_iter().filter(complete).map(|image| image.resource).collect(),
            templates: templates.into_iter().map(|template| template.resource).collect(),
            bundles: bundles.into_iter().map(|bundle| bundle.resource).collect(),
            default_image: self.file.default_image.clone(),
            unknown: self.file.unknown,
            loaders: self.file.loaders.clone(),
            loop_limit: self.file.loop_limit,
        };
        change(&mut parts);
        Catalog::build(parts).map_err(|faults| contradiction(&faults))
    }

    /// Every version of an image that is kept, as the catalog has it.
    fn versions_of(&self, image: &Image) -> Vec<ImageVersion> {
        let Some(versions) = self.library.versions(image.name.as_str()) else { return Vec::new() };
        let version = |manifest: &&std::sync::Arc<library::Manifest>| {
            let id = manifest.id();
            // Imported before versions had a profile of their own.
            let mut profile = manifest.profile.as_deref().unwrap_or(image).clone();
            profile.name = image.name.at_version(id);
            // What was found out to be dangerous since stays so.
            profile.destructive |= image.destructive;
            let known_as = std::iter::once(id).chain(versions.tags_of(id)).cloned().collect();
            ImageVersion { of: image.name.clone(), known_as, image: profile }
        };
        versions.newest_first().iter().map(version).collect()
    }

    fn scan<T>(
        &self,
        table: Table,
        decode: impl Fn(&[u8]) -> Result<T, store::RecordError>,
    ) -> Result<Vec<Owned<T>>, Failure> {
        self.scan_keys(table, |_| true, |value| Ok((Owner::Api, decode(value)?)))
    }

    /// Records of a table whose keys are wanted, with their owners.
    fn scan_keys<T>(
        &self,
        table: Table,
        wanted: impl Fn(&[u8]) -> bool,
        decode: impl Fn(&[u8]) -> Result<(Owner, T), store::RecordError>,
    ) -> Result<Vec<Owned<T>>, Failure> {
        let mut found = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let step: Vec<(Vec<u8>, Stored)> = self
                .store
                .scan(table, after.as_deref(), SCAN_STEP)
                .map_err(|error| unreadable(table, &error))?;
            let last = step.len() < SCAN_STEP;
            after = step.last().map(|(key, _)| key.clone());
            for (key, stored) in step.into_iter().filter(|(key, _)| wanted(key)) {
                let (owner, resource) = decode(&stored.value)
                    .map_err(|error| undecodable(table, &String::from_utf8_lossy(&key), &error))?;
                found.push(Owned { resource, owner: owner.to_string(), revision: stored.revision });
            }
            if last {
                return Ok(found);
            }
        }
    }
}

fn unreadable(table: Table, error: &store::StoreError) -> Failure {
    Failure::new("R-STO-01", format!("cannot read {} from the store", table.as_str())).cause(chain(error))
}

fn undecodable(table: Table, key: &str, error: &store::RecordError) -> Failure {
    Failure::new("R-STO-02", format!("cannot read record `{key}` of {}", table.as_str())).cause(chain(error))
}

fn contradiction(faults: &[CatalogFault]) -> Failure {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Failure::new("R-RES-07", "hosts, groups and rules contradict each other")
        .cause(faults.join("; "))
        .fix("correct one of the records named")
        .exit(Exit::Conflict)
}

fn from_file<T: Clone>(list: &[(T, String)]) -> Vec<Owned<T>> {
    let owned = |(resource, owner): &(T, String)| Owned {
        resource: resource.clone(),
        owner: owner.clone(),
        revision: Revision(0),
    };
    list.iter().map(owned).collect()
}

fn refuse_two_owners<'a>(
    kind: &str,
    names: impl Iterator<Item = (&'a Name, &'a str)>,
) -> Result<(), Failure> {
    let mut owners: BTreeMap<&Name, &str> = BTreeMap::new();
    let mut twice: HashSet<&Name> = HashSet::new();
    for (name, owner) in names {
        if let Some(first) = owners.insert(name, owner)
            && twice.insert(name)
        {
            return Err(Failure::new("R-RES-08", format!("{kind} `{name}` is defined in two places"))
                .cause(format!("{first} and {owner}"))
                .fix(format!(
                    "remove it from the file, or from where it was recorded or applied ({kind} `{name}`)"
                ))
                .exit(Exit::Conflict));
        }
    }
    Ok(())
}
