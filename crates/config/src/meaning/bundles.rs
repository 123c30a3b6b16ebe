//! Bundles: their scripts compile, they are where they are named, and the hosts have what they ask for.

use super::templates::{at, given};
use super::{Elsewhere, View, resources};
use crate::fault::{Code, Draft};
use crate::file::{BundleFile, File, ScriptFile};
use crate::source::Texts;
use crate::suggest::{listed, nearest};
use crate::tree::Step;
use plan::Catalog;
use render::bundle::{BundleFault, compile};
use render::template::{Compiled, Values};
use std::collections::{BTreeMap, BTreeSet};
use types::resource::bundle::interpreter_fault;
use types::resource::bundle::limits::{BUNDLES_MAX, SCRIPTS_MAX, SCRIPTS_OF_MACHINE_MAX};
use types::resource::{Host, Name};

pub(super) fn check(
    file: &File,
    elsewhere: &Elsewhere<'_>,
    catalog: Option<&Catalog>,
    texts: &Texts,
    view: &mut View<'_>,
) {
    let resources = &file.resources;
    resources::doubled("bundles", resources.bundles.iter().map(|bundle| &bundle.name), view);
    let mut compiled: BTreeMap<&str, Vec<Compiled>> = BTreeMap::new();
    for (index, bundle) in resources.bundles.iter().enumerate() {
        compiled.insert(bundle.name.as_str(), sound(bundle, index, texts, view));
    }
    let mut known: BTreeSet<&str> = resources.bundles.iter().map(|bundle| bundle.name.as_str()).collect();
    known.extend(elsewhere.bundles.iter().map(Name::as_str));
    let mut refers = |names: &[Name], key: &'static str, who: String, list: &'static str, index: usize| {
        for (at, name) in names.iter().enumerate() {
            let steps = [resources::item(list, index, key).as_slice(), &[Step::Index(at)]].concat();
            is_there(name, &who, &steps, &known, elsewhere, view);
        }
    };
    for (index, host) in resources.hosts.iter().enumerate() {
        let who = || format!("host `{}`", host.name);
        refers(host.bundles.as_deref().unwrap_or_default(), "bundles", who(), "hosts", index);
        refers(&host.bundles_append, "bundles_append", who(), "hosts", index);
    }
    for (index, group) in resources.groups.iter().enumerate() {
        let who = || format!("group `{}`", group.name);
        refers(group.bundles.as_deref().unwrap_or_default(), "bundles", who(), "groups", index);
        refers(&group.bundles_append, "bundles_append", who(), "groups", index);
    }
    for (index, rule) in resources.rules.iter().enumerate() {
        let who = format!("rule `{}`", rule.name);
        refers(rule.bundles.as_deref().unwrap_or_default(), "bundles", who, "rules", index);
    }
    for (index, host) in resources.hosts.iter().enumerate() {
        if let Some(host) = given(host, catalog) {
            values(file, &host, index, &compiled, view);
        }
    }
}

/// The scripts of a bundle that compile; what is wrong with the others is told.
fn sound(bundle: &BundleFile, index: usize, texts: &Texts, view: &mut View<'_>) -> Vec<Compiled> {
    let steps = [Step::Key("resources"), Step::Key("bundles"), Step::Index(index)];
    let own = |key| resources::item("bundles", index, key);
    if bundle.scripts.len() > SCRIPTS_MAX {
        let message = format!(
            "bundle `{}` has {} scripts; at most {SCRIPTS_MAX} are possible",
            bundle.name,
            bundle.scripts.len()
        );
        view.add(Draft::new(Code::Limit, view.spot(&own("scripts")), message).fix("make two of it"));
    }
    if bundle.scripts.is_empty() && !view.spoiled(&steps) {
        let message = format!("bundle `{}` has no scripts", bundle.name);
        view.add(Draft::new(Code::Bundle, view.spot(&own("scripts")), message));
    }
    let mut seen = BTreeMap::new();
    let mut compiled = Vec::new();
    for (at, script) in bundle.scripts.iter().enumerate() {
        let steps = [own("scripts").as_slice(), &[Step::Index(at)]].concat();
        let first = *seen.entry(script.name.as_str()).or_insert(at);
        if first != at {
            let first = [own("scripts").as_slice(), &[Step::Index(first), Step::Key("name")]].concat();
            let message = format!("bundle `{}` has script `{}` twice", bundle.name, script.name);
            let spot = view.spot(&[steps.as_slice(), &[Step::Key("name")]].concat());
            view.add(Draft::new(Code::DuplicateName, spot, message).first_at(view.spot(&first)));
        }
        compiled.extend(script_is_sound(bundle, script, &steps, texts, view));
    }
    compiled
}

fn script_is_sound(
    bundle: &BundleFile,
    script: &ScriptFile,
    steps: &[Step<'_>],
    texts: &Texts,
    view: &mut View<'_>,
) -> Option<Compiled> {
    let who = format!("bundle `{}`, script `{}`", bundle.name, script.name);
    if let Some(fault) = interpreter_fault(&script.interpreter) {
        let spot = view.key_spot(steps, "interpreter");
        let message = format!("{who}: interpreter `{}`: {fault}", script.interpreter);
        view.add(Draft::new(Code::Bundle, spot, message).fix("write it as /bin/sh or /usr/bin/python3 -u"));
    }
    match (&script.text, &script.file) {
        (Some(_), None) => {}
        // It could not be read, which is told already.
        (None, Some(_)) => return None,
        (None, None) => {
            if !view.spoiled(steps) {
                let message = format!("{who} has neither `text` nor `file`");
                view.add(Draft::new(Code::MissingKey, view.spot(steps), message));
            }
            return None;
        }
        (Some(_), Some(_)) => {
            let spot = view.key_spot(steps, "file");
            view.add(
                Draft::new(Code::Bundle, spot, format!("{who} has both `text` and `file`")).fix("leave one"),
            );
            return None;
        }
    }
    let resource = script.script()?;
    match compile(&bundle.name, &resource) {
        Ok(compiled) => Some(compiled),
        Err(fault) => {
            let spot = view.spot(&[steps, &[Step::Key("text")]].concat());
            let (line, column, what) = match &fault {
                BundleFault::Script { fault, .. } => (fault.line, fault.column, fault.message.clone()),
                other => (0, None, other.to_string()),
            };
            let (spot, line) = at(spot, line, column, &resource.text, texts);
            let draft = Draft::new(Code::Bundle, spot, format!("{who}{line}: {what}"));
            view.add(match fault.fix() {
                Some(fix) => draft.fix(fix),
                None => draft,
            });
            None
        }
    }
}

fn is_there(
    name: &Name,
    who: &str,
    steps: &[Step<'_>],
    known: &BTreeSet<&str>,
    elsewhere: &Elsewhere<'_>,
    view: &mut View<'_>,
) {
    if known.contains(name.as_str()) || elsewhere.ghosts.contains(name.as_str()) {
        return;
    }
    let spot = view.spot(steps);
    view.faults.add_error(|| {
        let near =
            nearest(name.as_str(), known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let fix = match known.is_empty() {
            true => "define it in resources.bundles".to_owned(),
            false => format!("defined bundles are {}", listed(known.iter().copied())),
        };
        Draft::new(Code::UnknownBundle, spot, format!("{who} names bundle `{name}`, which no file defines"))
            .hint_maybe(near)
            .fix(fix)
    });
}

/// Says what would keep a host from its boot.
fn values(
    file: &File,
    host: &Host,
    index: usize,
    compiled: &BTreeMap<&str, Vec<Compiled>>,
    view: &mut View<'_>,
) {
    let names = host.bundle_names();
    if names.is_empty() || view.faults.warnings_are_full() {
        return;
    }
    let spot = view.spot(&resources::item("hosts", index, "name"));
    let mut told = |what: String, fix: Option<String>| {
        let message = format!("host `{}` cannot be given its bundles: {what}", host.name);
        let draft = Draft::new(Code::BundleValues, spot, message);
        view.add(match fix {
            Some(fix) => draft.fix(fix),
            None => draft,
        });
    };
    if names.len() > BUNDLES_MAX {
        told(format!("{} of them; at most {BUNDLES_MAX} are possible", names.len()), None);
    }
    let scripts: Vec<&Compiled> =
        names.iter().filter_map(|name| compiled.get(name.as_str())).flatten().collect();
    if scripts.len() > SCRIPTS_OF_MACHINE_MAX {
        let most = SCRIPTS_OF_MACHINE_MAX;
        told(format!("{} scripts; at most {most} are possible", scripts.len()), None);
    }
    let image = host.image.as_ref().or(file.boot.default_image.as_ref());
    let image = image.and_then(|name| file.resources.images.iter().find(|image| image.name == *name));
    let values = Values::preview(host, image);
    for script in scripts {
        for fault in script.check(&values) {
            let line = if fault.line > 0 { format!(", line {}", fault.line) } else { String::new() };
            told(format!("script `{}`{line}: {}", script.name(), fault.message), fault.fix);
        }
    }
}
