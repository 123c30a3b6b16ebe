//! Templates: they compile, they are where they are named, and the hosts have what they ask for.

use super::{Elsewhere, View, resources};
use crate::fault::{Code, Draft};
use crate::file::{File, TemplateFile};
use crate::source::{Spot, Texts};
use crate::suggest::{listed, nearest};
use crate::templates::place;
use crate::tree::Step;
use plan::Catalog;
use render::kickstart::{self, Severity, Target};
use render::template::{Compiled, TemplateFault, Values, compile};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use types::resource::{Host, Image, Name, TemplateKind};
use types::selector::{Key, Match};

pub(super) fn check(
    file: &File,
    elsewhere: &Elsewhere<'_>,
    catalog: Option<&Catalog>,
    texts: &Texts,
    view: &mut View<'_>,
) {
    let resources = &file.resources;
    resources::doubled("templates", resources.templates.iter().map(|template| &template.name), view);
    let mut compiled: BTreeMap<&str, Compiled> = BTreeMap::new();
    for (index, template) in resources.templates.iter().enumerate() {
        if let Some(ready) = sound(template, index, texts, view) {
            compiled.insert(template.name.as_str(), ready);
        }
    }
    let mut known: BTreeSet<&str> =
        resources.templates.iter().map(|template| template.name.as_str()).collect();
    known.extend(elsewhere.templates.iter().map(Name::as_str));
    for (index, image) in resources.images.iter().enumerate() {
        if let Some(name) = &image.template {
            refers(name, &format!("image `{}`", image.name), "images", index, &known, elsewhere, view);
        }
    }
    for (index, group) in resources.groups.iter().enumerate() {
        if let Some(name) = &group.template {
            refers(name, &format!("group `{}`", group.name), "groups", index, &known, elsewhere, view);
        }
    }
    for (index, rule) in resources.rules.iter().enumerate() {
        if let Some(name) = &rule.template {
            refers(name, &format!("rule `{}`", rule.name), "rules", index, &known, elsewhere, view);
        }
    }
    let images: BTreeMap<&str, &Image> =
        resources.images.iter().map(|image| (image.name.as_str(), image)).collect();
    for (index, host) in resources.hosts.iter().enumerate() {
        if let Some(name) = &host.template {
            refers(name, &format!("host `{}`", host.name), "hosts", index, &known, elsewhere, view);
        }
        let Some(host) = given(host, catalog) else { continue };
        let host = &*host;
        let image = host.image.as_ref().or(file.boot.default_image.as_ref());
        let image = image.and_then(|name| images.get(name.as_str()).copied());
        let name = host.template.as_ref().or_else(|| image?.template.as_ref());
        if let Some(template) = name.and_then(|name| compiled.get(name.as_str())) {
            values(host, image, index, template, view);
        }
    }
}

/// The host with what groups and rules give it; `None` when that depends on what only the machine can say.
pub(super) fn given<'a>(host: &'a Host, catalog: Option<&Catalog>) -> Option<Cow<'a, Host>> {
    let Some(catalog) = catalog else { return Some(Cow::Borrowed(host)) };
    let facts = types::Facts {
        mac: host.identity.mac.0.first().copied(),
        guid: host.identity.uuid,
        serial: host.identity.serial.as_deref().map(Into::into),
        stage: types::Stage::Rom,
        ..types::Facts::default()
    };
    let resolved = plan::resolve(catalog, &facts);
    let open = |asked: &plan::Asked| {
        asked.answer != Match::Yes
            && asked
                .rule
                .when
                .terms()
                .iter()
                .any(|term| !matches!(term.key(), Key::Group | Key::Host | Key::Label(_)))
    };
    if resolved.rules.iter().any(open) {
        return None;
    }
    let mut profile = Host::clone(&*resolved.profile?);
    if profile.image.is_none() {
        let image = resolved.values.iter().find(|(key, ..)| key == "image");
        profile.image = image.and_then(|(_, image, _)| image.split('@').next()?.parse().ok());
    }
    Some(Cow::Owned(profile))
}

/// Compiles a template and looks at what it is.
fn sound(template: &TemplateFile, index: usize, texts: &Texts, view: &mut View<'_>) -> Option<Compiled> {
    let steps = [Step::Key("resources"), Step::Key("templates"), Step::Index(index)];
    let name = &template.name;
    let text = match (&template.text, &template.file) {
        (Some(text), None) => text,
        // It could not be read, which is told already.
        (None, Some(_)) => return None,
        (None, None) => {
            if !view.spoiled(&steps) {
                let spot = view.spot(&steps);
                let message = format!("template `{name}` has neither `text` nor `file`");
                view.add(Draft::new(Code::MissingKey, spot, message));
            }
            return None;
        }
        (Some(_), Some(_)) => {
            let spot = view.key_spot(&steps, "file");
            let message = format!("template `{name}` has both `text` and `file`");
            view.add(Draft::new(Code::Template, spot, message).fix("leave one"));
            return None;
        }
    };
    let own = [steps.as_slice(), &[Step::Key("text")]].concat();
    let spot = view.spot(&own);
    if template.kind == TemplateKind::EsxiKickstart {
        let findings = kickstart::lint(text, Target::default());
        for finding in findings.into_iter().filter(|finding| finding.severity == Severity::Error) {
            let (spot, line) = at(spot, finding.line, None, text, texts);
            let message = format!("template `{name}`{line}: {}", finding.message);
            let draft = Draft::new(Code::TemplateText, spot, message);
            view.add(match finding.fix {
                Some(fix) => draft.fix(fix),
                None => draft,
            });
        }
    }
    match compile(name.as_str(), template.kind, text) {
        Ok(compiled) => Some(compiled),
        Err(fault) => {
            let (spot, line) = at(spot, fault.line, fault.column, text, texts);
            let message = format!("template `{name}`{line}: {}", fault.message);
            view.add(fixed(Draft::new(Code::Template, spot, message), &fault));
            None
        }
    }
}

/// The place of a line of a template; where only the whole can be pointed at, the line in words.
pub(super) fn at(spot: Spot, line: u32, column: Option<u32>, text: &str, texts: &Texts) -> (Spot, String) {
    match place(spot, line, column, text, texts) {
        Some(spot) => (spot, String::new()),
        None if line == 0 => (Spot { length: 1, ..spot }, String::new()),
        None => (Spot { length: 1, ..spot }, format!(", line {line}")),
    }
}

fn fixed(draft: Draft, fault: &TemplateFault) -> Draft {
    match &fault.fix {
        Some(fix) => draft.fix(fix.clone()),
        None => draft,
    }
}

fn refers(
    name: &Name,
    who: &str,
    list: &str,
    index: usize,
    known: &BTreeSet<&str>,
    elsewhere: &Elsewhere<'_>,
    view: &mut View<'_>,
) {
    if known.contains(name.as_str()) || elsewhere.ghosts.contains(name.as_str()) {
        return;
    }
    let spot = view.spot(&resources::item(list, index, "template"));
    view.faults.add_error(|| {
        let near =
            nearest(name.as_str(), known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let message = format!("{who} names template `{name}`, which no file defines");
        let fix = match known.is_empty() {
            true => "define it in resources.templates".to_owned(),
            false => format!("defined templates are {}", listed(known.iter().copied())),
        };
        Draft::new(Code::UnknownTemplate, spot, message).hint_maybe(near).fix(fix)
    });
}

/// Says what would stop the render for a host.
fn values(host: &Host, image: Option<&Image>, index: usize, template: &Compiled, view: &mut View<'_>) {
    if view.faults.warnings_are_full() {
        return;
    }
    for fault in template.check(&Values::preview(host, image)) {
        let line = if fault.line > 0 { format!(", line {}", fault.line) } else { String::new() };
        let message = format!(
            "host `{}` cannot be installed from template `{}`{line}: {}",
            host.name,
            template.name(),
            fault.message
        );
        let spot = view.spot(&resources::item("hosts", index, "name"));
        view.add(fixed(Draft::new(Code::TemplateValues, spot, message), &fault));
    }
}
