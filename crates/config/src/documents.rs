//! Documents that are applied to a running appliance: `resources:` and nothing else, in the form of the configuration file.
//!
//! They go the way of the file (`merge`, `templates`, `check`, `meaning`), so all faults of all documents come at once, with
//! their places. Templates and scripts name files relative to their own document. The other way round, [`write_documents`] makes of
//! resources a text that reads back as exactly these.

use crate::fault::{Code, Draft, Fault, Faults, Report};
use crate::file::{BundleFile, File, ResourcesFile};
use crate::limits::TEXT_BYTES_MAX;
use crate::merge::Merge;
use crate::source::{Source, Spot, Texts};
use crate::suggest::nearest;
use crate::tree::{self, Budget, Kind, Node};
use crate::{check, meaning, templates, yaml};
use serde::Serialize;
use types::resource::{Name, Resource, Resources};

/// Reads a file that a template or a script of a document names: the path of the document, the path of the file in it; as
/// [`FileLoader`](crate::FileLoader) answers.
pub type DocumentFiles<'a> = dyn Fn(&str, &str) -> Result<(String, String), String> + 'a;

/// What the appliance has already: documents may name it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Its images.
    pub images: &'a [Name],
    /// Its templates.
    pub templates: &'a [Name],
    /// Its bundles.
    pub bundles: &'a [Name],
    /// Its groups.
    pub groups: &'a [Name],
    /// It has groups or rules that may give hosts values of which the documents say nothing.
    pub gives_values: bool,
}

/// Sound documents.
#[derive(Clone, PartialEq, Debug)]
pub struct Documents {
    /// All that they define, in their order; names are unique in each kind.
    pub resources: Resources,
    /// What an operator should look at.
    pub warnings: Vec<Fault>,
}

/// Keys at the top of a document.
const KEYS: [&str; 2] = ["version", "resources"];

/// Reads documents, merges them and checks the whole.
///
/// # Errors
/// A [`Report`] with every fault found, never an empty one, and the warnings.
pub fn read_documents(
    sources: &[Source],
    files: &DocumentFiles<'_>,
    known: Known<'_>,
) -> Result<Documents, Report> {
    let mut texts = Texts::default();
    let mut faults = Faults::default();
    let mut merge = Merge::new(&mut texts, &mut faults);
    let mut whole: Option<Node> = None;
    let mut bytes_left = TEXT_BYTES_MAX;
    for source in sources {
        let Some(mut found) = merge.read_file(&source.path, &source.text) else { continue };
        only_resources(&mut found, merge.faults);
        let loader = |path: &str| files(&source.path, path);
        templates::bring_in_within(&mut found, &loader, &mut bytes_left, merge.texts, merge.faults);
        merge.join(&mut whole, found);
    }
    let incomplete = merge.incomplete;
    let tree = whole.unwrap_or_else(|| Node::empty_map(Spot::NOWHERE));
    let checked = check::check(tree, &mut faults);
    let file: File = match yaml::from_tree(&checked.tree) {
        Ok(file) => file,
        Err(error) => {
            faults.add(yaml::disagreement(&error));
            return Err(faults.finish(&texts));
        }
    };
    if !incomplete {
        let elsewhere = meaning::Elsewhere {
            ghosts: &checked.ghosts,
            images: known.images,
            templates: known.templates,
            bundles: known.bundles,
            groups: known.groups,
        };
        meaning::check(&file, &checked.tree, &elsewhere, &texts, &mut faults);
    }
    if faults.has_errors() {
        return Err(faults.finish(&texts));
    }
    let mut warnings = faults.finish(&texts).warnings;
    if known.gives_values {
        warnings.retain(|warning| !matches!(warning.code, Code::TemplateValues | Code::BundleValues));
    }
    Ok(Documents { resources: resources(file.resources), warnings })
}

/// Takes out, and tells of, what is no resource, and images.
fn only_resources(document: &mut Node, faults: &mut Faults) {
    let Kind::Map(entries) = &mut document.kind else { return };
    entries.retain(|entry| {
        let fits = KEYS.contains(&entry.key.as_str());
        if !fits {
            let near = nearest(&entry.key, KEYS).map(|near| format!("did you mean `{near}`?"));
            let message = format!("`{}` does not belong in a document that is applied", entry.key);
            let draft = Draft::new(Code::Document, entry.spot, message).hint_maybe(near);
            faults
                .add(draft.fix(
                    "settings stand in the appliance's configuration file; documents have `resources:`",
                ));
        }
        fits
    });
    let resources = entries.iter_mut().find(|entry| entry.key == "resources");
    let Some(Kind::Map(lists)) = resources.map(|entry| &mut entry.value.kind) else { return };
    lists.retain(|entry| {
        let images = entry.key == "images";
        if images {
            let draft = Draft::new(Code::Document, entry.spot, "images cannot be applied")
                .cause("an image is its files, and those are imported")
                .fix("reveille image import, or resources.images of the configuration file; hosts, groups and rules name it");
            faults.add(draft);
        }
        !images
    });
}

fn resources(file: ResourcesFile) -> Resources {
    Resources {
        templates: file.templates.into_iter().filter_map(crate::template).collect(),
        bundles: file.bundles.into_iter().filter_map(BundleFile::resource).collect(),
        groups: file.groups,
        rules: file.rules,
        hosts: file.hosts,
    }
}

/// One document with these resources, in their order, kinds in the order in which they name each other. Reads back as exactly
/// these.
///
/// # Errors
/// A [`Report`] when one of them cannot stand in a document: a value with control characters, for example.
pub fn write_documents(resources: &Resources) -> Result<String, Report> {
    #[derive(Serialize)]
    struct Document<'a> {
        version: u32,
        resources: &'a Resources,
    }
    let mut faults = Faults::default();
    let mut tree = match yaml::to_tree(&Document { version: 1, resources }) {
        Ok(tree) => tree,
        Err(error) => {
            faults.add(yaml::disagreement(&error));
            return Err(faults.finish(&Texts::default()));
        }
    };
    whole_texts(&mut tree, resources);
    let mut checked = check::check(tree, &mut faults).tree;
    if !faults.has_errors() {
        if let Kind::Map(entries) = &mut checked.kind {
            entries.retain(|entry| KEYS.contains(&entry.key.as_str()));
        }
        let text = yaml::render_kept(&checked);
        match read_back(&text) {
            Ok(back) if back == *resources => return Ok(text),
            Ok(back) => faults.add(altered(resources, &back)),
            Err(error) => faults.add(yaml::disagreement(&error)),
        }
    }
    Err(faults.finish(&Texts::default()))
}

/// Names the first resource that would come back as another.
fn altered(resources: &Resources, back: &Resources) -> Draft {
    fn first<T: Resource>(ours: &[T], back: &[T]) -> Option<String> {
        let at = ours.iter().enumerate().find(|(at, one)| back.get(*at) != Some(*one));
        at.map(|(_, one)| format!("{} `{}`", T::KIND, one.name()))
    }
    let name = first(&resources.templates, &back.templates)
        .or_else(|| first(&resources.bundles, &back.bundles))
        .or_else(|| first(&resources.groups, &back.groups))
        .or_else(|| first(&resources.rules, &back.rules))
        .or_else(|| first(&resources.hosts, &back.hosts));
    let message = format!("{} cannot be written as a document", name.as_deref().unwrap_or("a resource"));
    Draft::new(Code::Document, Spot::NOWHERE, message)
        .cause("it has a value that ends in a line end, or a key that starts with `x-`")
        .fix("change that, or leave its kind out with --kind")
}

/// Puts the texts of templates and scripts in as they are: on their way through YAML they lose line ends.
fn whole_texts(tree: &mut Node, resources: &Resources) {
    let put = |item: &mut Node, whole: &str| {
        if let Some(text) = entry_of(item, "text") {
            text.kind = Kind::Text(whole.to_owned());
        }
    };
    let Some(lists) = entry_of(tree, "resources") else { return };
    for (item, template) in items_of(lists, "templates").iter_mut().zip(&resources.templates) {
        put(item, &template.text);
    }
    for (item, bundle) in items_of(lists, "bundles").iter_mut().zip(&resources.bundles) {
        for (item, script) in items_of(item, "scripts").iter_mut().zip(&bundle.scripts) {
            put(item, &script.text);
        }
    }
}

fn items_of<'a>(node: &'a mut Node, key: &str) -> &'a mut [Node] {
    match entry_of(node, key).map(|node| &mut node.kind) {
        Some(Kind::List(items)) => items,
        _ => &mut [],
    }
}

fn entry_of<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value),
        _ => None,
    }
}

/// What a written document says, without the checks of meaning: what it names may be elsewhere.
fn read_back(text: &str) -> Result<Resources, String> {
    let mut faults = Faults::default();
    let mut texts = Texts::default();
    let tree = tree::read(u32::MAX, text, &mut Budget::default(), &mut faults);
    let mut tree = tree.ok_or_else(|| "the written text is not readable".to_owned())?;
    let files = |_: &str| Err("no files".to_owned());
    templates::bring_in(&mut tree, &files, &mut texts, &mut faults);
    let checked = check::check(tree, &mut faults);
    if faults.has_errors() {
        return Err(faults.finish(&texts).to_string());
    }
    Ok(resources(yaml::from_tree::<File>(&checked.tree)?.resources))
}

#[cfg(test)]
mod tests;
