//! YAML in; checked settings and resources, or all faults with line and column, out.
//!
//! Deliberately absent: files, the environment, flags and the clock. The caller reads files and passes text;
//! `include` goes through a loader it gives; variables and flags come as pairs.
//!
//! ```text
//! texts ─ tree ─► places known ─ merge ─► one tree ─ check ─► typed tree ─ yaml ─► File ─ meaning ─► Settings
//!         size, depth, aliases   files, environment,  against the JSON         serde        two values
//!         are bounded            flags                Schema of `File`                      or more
//! ```
//!
//! Each step adds to one list of faults and hands on what is still sound, so one run reports everything. Sources:
//! YAML 1.2.2 for the text, JSON Schema draft-07 for editors, RFC 2131 and RFC 2132 for what DHCP settings may say.

mod check;
mod dhcp_options;
mod document;
mod documents;
mod fault;
mod file;
pub mod limits;
mod meaning;
mod merge;
mod origins;
mod settings;
mod shape;
mod source;
mod suggest;
mod templates;
mod tree;
pub mod units;
mod yaml;

pub use document::document;
pub use documents::{DocumentFiles, Documents, Known, read_documents, write_documents};
pub use fault::{Code, Fault, Report, Severity, render};
pub use merge::IncludeLoader;
pub use origins::Effective;
pub use settings::{
    Admin, AssetPath, Assets, Backend, Boot, Dhcp, DhcpPolicy, Hook, HookSecret, HookTarget, HookTrust, Http,
    Interface, Library, Log, LogFormat, LogLevel, Settings, Store, Tftp, UnknownHosts,
};
pub use source::{Origin, Overrides, Source};
pub use templates::FileLoader;

use fault::{Draft, Faults};
use file::File;
use source::Texts;
use tree::{Node, Step};
use types::resource::{Bundle, Group, Host, Image, Name, Rule, Template};

/// A sound configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct Loaded {
    /// What the daemon uses.
    pub settings: Settings,
    /// Hosts of the files, in their order, names unique.
    pub hosts: Vec<Host>,
    /// Images of the files, in their order, names unique.
    pub images: Vec<Image>,
    /// Templates of the files, in their order, names unique; each compiles.
    pub templates: Vec<Template>,
    /// Bundles of the files, in their order, names unique; each of their scripts compiles.
    pub bundles: Vec<Bundle>,
    /// Groups of the files, in their order, names unique, no cycles.
    pub groups: Vec<Group>,
    /// Rules of the files, in their order, names unique.
    pub rules: Vec<Rule>,
    /// How many expectations hold.
    pub expectations: usize,
    /// What an operator should look at; `--strict` refuses it.
    pub warnings: Vec<Fault>,
    /// Every effective key with its value and where it came from.
    pub origins: Vec<Effective>,
    /// Where each of `hosts` is defined, in the same order.
    pub host_origins: Vec<Origin>,
    /// Where each of `images` is defined, in the same order.
    pub image_origins: Vec<Origin>,
    /// Where each of `templates` is defined, in the same order.
    pub template_origins: Vec<Origin>,
    /// Where each of `bundles` is defined, in the same order.
    pub bundle_origins: Vec<Origin>,
    /// Where each of `groups` is defined, in the same order.
    pub group_origins: Vec<Origin>,
    /// Where each of `rules` is defined, in the same order.
    pub rule_origins: Vec<Origin>,
    effective: Node,
}

impl Loaded {
    /// Refuses warnings too: `--strict`.
    ///
    /// # Errors
    /// A report of the warnings when there are any.
    pub fn strict(self) -> Result<Loaded, Report> {
        if self.warnings.is_empty() {
            return Ok(self);
        }
        Err(Report { warnings: self.warnings, ..Report::default() })
    }

    /// The whole effective configuration as YAML, defaults included. Loads again to the same settings.
    pub fn to_yaml(&self) -> String {
        yaml::render(&self.effective)
    }
}

/// A configuration about to be loaded.
pub struct Loading<'a> {
    sources: &'a [Source],
    overrides: Overrides,
    loader: &'a IncludeLoader<'a>,
    files: &'a FileLoader<'a>,
    stored_images: &'a [Name],
    stored_templates: &'a [Name],
    stored_groups: &'a [Name],
}

impl<'a> Loading<'a> {
    /// From files in the order they are to be merged. None at all is the configuration of all defaults.
    pub fn new(sources: &'a [Source]) -> Loading<'a> {
        Loading {
            sources,
            overrides: Overrides::default(),
            loader: &no_includes,
            files: &no_files,
            stored_images: &[],
            stored_templates: &[],
            stored_groups: &[],
        }
    }

    /// With variables and flags.
    pub fn overrides(mut self, overrides: &Overrides) -> Self {
        self.overrides = overrides.clone();
        self
    }

    /// With a way to fetch included files; without one `include` is a fault.
    pub fn includes(mut self, loader: &'a IncludeLoader<'a>) -> Self {
        self.loader = loader;
        self
    }

    /// With a way to read the files that templates and scripts name; without one naming a file is a fault.
    pub fn files(mut self, loader: &'a FileLoader<'a>) -> Self {
        self.files = loader;
        self
    }

    /// With the names of templates that the store holds: hosts and images may refer to them too.
    pub fn stored_templates(mut self, names: &'a [Name]) -> Self {
        self.stored_templates = names;
        self
    }

    /// With the names of groups that the store holds: hosts, groups and rules may refer to them too.
    pub fn stored_groups(mut self, names: &'a [Name]) -> Self {
        self.stored_groups = names;
        self
    }

    /// With the names of images that the store holds: hosts may refer to them too.
    pub fn stored_images(mut self, names: &'a [Name]) -> Self {
        self.stored_images = names;
        self
    }

    /// Reads, merges and checks.
    ///
    /// # Errors
    /// A [`Report`] with every fault found, never an empty one, and the warnings.
    pub fn load(self) -> Result<Loaded, Report> {
        let mut texts = Texts::default();
        let mut faults = Faults::default();
        let mut merge = merge::Merge::new(&mut texts, &mut faults);
        let mut tree = merge.run(self.sources, &self.overrides, self.loader);
        let incomplete = merge.incomplete;
        templates::bring_in(&mut tree, self.files, &mut texts, &mut faults);
        let checked = check::check(tree, &mut faults);
        let mut file: File = match yaml::from_tree(&checked.tree) {
            Ok(file) => file,
            Err(error) => {
                faults.add(yaml::disagreement(&error));
                return Err(faults.finish(&texts));
            }
        };
        settings::complete(&mut file);
        if !incomplete {
            // With a file missing, every reference into it would be reported as broken.
            let elsewhere = meaning::Elsewhere {
                ghosts: &checked.ghosts,
                images: self.stored_images,
                templates: self.stored_templates,
                bundles: &[],
                groups: self.stored_groups,
            };
            meaning::check(&file, &checked.tree, &elsewhere, &texts, &mut faults);
        }
        if faults.has_errors() {
            return Err(faults.finish(&texts));
        }
        // It is the whole; nothing is left to include.
        file.include.clear();
        let effective = match effective(&file) {
            Ok(effective) => effective,
            Err(draft) => {
                faults.add(*draft);
                return Err(faults.finish(&texts));
            }
        };
        let place = |list, index| {
            origins::origin(
                &checked.tree,
                &[Step::Key("resources"), Step::Key(list), Step::Index(index)],
                &texts,
            )
        };
        Ok(Loaded {
            settings: settings::settings(&file),
            origins: origins::origins(&effective, &checked.tree, &texts),
            host_origins: (0..file.resources.hosts.len()).map(|index| place("hosts", index)).collect(),
            image_origins: (0..file.resources.images.len()).map(|index| place("images", index)).collect(),
            template_origins: (0..file.resources.templates.len())
                .map(|index| place("templates", index))
                .collect(),
            bundle_origins: (0..file.resources.bundles.len()).map(|index| place("bundles", index)).collect(),
            group_origins: (0..file.resources.groups.len()).map(|index| place("groups", index)).collect(),
            rule_origins: (0..file.resources.rules.len()).map(|index| place("rules", index)).collect(),
            expectations: file.expect.len(),
            groups: file.resources.groups,
            rules: file.resources.rules,
            templates: file.resources.templates.into_iter().filter_map(template).collect(),
            bundles: file.resources.bundles.into_iter().filter_map(file::BundleFile::resource).collect(),
            hosts: file.resources.hosts,
            images: file.resources.images,
            warnings: faults.finish(&texts).warnings,
            effective,
        })
    }
}

/// Loads files with overrides, without includes.
///
/// # Errors
/// As [`Loading::load`].
pub fn load(sources: &[Source], overrides: &Overrides) -> Result<Loaded, Report> {
    Loading::new(sources).overrides(overrides).load()
}

/// The JSON Schema (draft-07) of the file, for editors.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&shape::schema_value()).unwrap_or_default();
    text.push('\n');
    text
}

/// The typed file as a tree whose scalars have their kinds. The file went through the checker, so it passes again.
fn effective(file: &File) -> Result<Node, Box<Draft>> {
    let tree = yaml::to_tree(file).map_err(|error| Box::new(yaml::disagreement(&error)))?;
    let mut faults = Faults::default();
    let checked = check::check(tree, &mut faults);
    if faults.has_errors() {
        return Err(Box::new(yaml::disagreement("the effective configuration is faulty")));
    }
    Ok(checked.tree)
}

/// The resource: a template without its text was told of and stopped the load.
fn template(file: file::TemplateFile) -> Option<Template> {
    Some(Template { name: file.name, kind: file.kind, text: file.text? })
}

fn no_files(_: &str) -> Result<(String, String), String> {
    Err("files cannot be read here".to_owned())
}

fn no_includes(_: &str) -> Result<Vec<(String, String)>, String> {
    Err("files cannot be included here".to_owned())
}

#[cfg(test)]
mod tests;
