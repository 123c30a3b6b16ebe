//! Hooks: who is told is clear, every event there is, every template compiles.

use super::View;
use crate::fault::{Code, Draft};
use crate::file::{File, HookFile};
use crate::limits::{ARGUMENTS_MAX, HOOKS_MAX, SHORT_LIST_MAX};
use crate::settings::fingerprint;
use crate::source::{Spot, Texts};
use crate::suggest::nearest;
use crate::templates::place;
use crate::tree::Step;
use render::template::EventTemplate;
use std::collections::BTreeMap;
use types::pattern::EventPatternError;
use types::resource::TemplateKind;
use types::{EventName, EventPattern};

pub(super) fn check(file: &File, texts: &Texts, view: &mut View<'_>) {
    view.short("hooks", file.hooks.len(), HOOKS_MAX, &[Step::Key("hooks")]);
    let mut seen = BTreeMap::new();
    for (index, hook) in file.hooks.iter().enumerate() {
        let at = |key| [Step::Key("hooks"), Step::Index(index), Step::Key(key)];
        let first = *seen.entry(&hook.name).or_insert(index);
        if first != index {
            let message = format!("hook `{}` stands twice", hook.name);
            let first = view.spot(&[Step::Key("hooks"), Step::Index(first), Step::Key("name")]);
            view.add(Draft::new(Code::DuplicateName, view.spot(&at("name")), message).first_at(first));
        }
        events(hook, index, view);
        target(hook, index, view);
        if let Some(body) = &hook.body {
            let kind = match hook.body_kind {
                crate::file::BodyKindFile::Json => TemplateKind::Json,
                crate::file::BodyKindFile::Text => TemplateKind::Text,
            };
            template(hook, kind, body, &at("body"), texts, view);
        }
        for (number, argument) in hook.command.iter().enumerate().skip(1) {
            let steps = [at("command").as_slice(), &[Step::Index(number)]].concat();
            template(hook, TemplateKind::Text, argument, &steps, texts, view);
        }
    }
}

/// A fault of one hook, at one of its keys.
fn fault(hook: &HookFile, index: usize, key: &str, what: &str, fix: &str, view: &mut View<'_>) {
    let spot = view.key_spot(&[Step::Key("hooks"), Step::Index(index)], key);
    let message = format!("hook `{}`: {what}", hook.name);
    view.add(Draft::new(Code::Hook, spot, message).fix(fix));
}

fn events(hook: &HookFile, index: usize, view: &mut View<'_>) {
    let steps = [Step::Key("hooks"), Step::Index(index), Step::Key("events")];
    view.short("events", hook.events.len(), SHORT_LIST_MAX, &steps);
    if hook.events.is_empty() && !view.spoiled(&steps) {
        fault(
            hook,
            index,
            "events",
            "it is told of nothing",
            "name events, such as [host.seen, boot.*]",
            view,
        );
    }
    for (number, text) in hook.events.iter().enumerate() {
        let Err(error) = text.parse::<EventPattern>() else { continue };
        let spot = view.spot(&[steps.as_slice(), &[Step::Index(number)]].concat());
        view.faults.add_error(|| match error {
            EventPatternError::OfHooks => {
                let message =
                    format!("hook `{}`: `{text}` is of hooks, and no hook is told of hooks", hook.name);
                Draft::new(Code::Hook, spot, message).fix("`reveille hook list` shows how hooks do")
            }
            EventPatternError::Unknown => {
                let known = EventPattern::known();
                let near = nearest(text, known.iter().map(String::as_str));
                let near = near.map(|near| format!("did you mean `{near}`?"));
                let message = format!("hook `{}`: no event is called `{text}`", hook.name);
                let mut areas: Vec<&str> =
                    EventName::ALL.iter().map(|name| name.area()).filter(|area| *area != "hook").collect();
                areas.dedup();
                areas.sort_unstable();
                areas.dedup();
                let fix = format!("write area.what, area.* or *; the areas are {}", areas.join(", "));
                Draft::new(Code::Hook, spot, message).hint_maybe(near).fix(fix)
            }
        });
    }
}

fn target(hook: &HookFile, index: usize, view: &mut View<'_>) {
    let steps = [Step::Key("hooks"), Step::Index(index)];
    let mut told = |key: &str, what: &str, fix: &str| fault(hook, index, key, what, fix, view);
    match (&hook.url, hook.command.as_slice()) {
        (Some(_), [_, ..]) => told("command", "it has both `url` and `command`", "make two hooks of it"),
        (None, []) => {
            if !view.spoiled(&steps) {
                let what = "it has neither `url` nor `command`";
                fault(
                    hook,
                    index,
                    "name",
                    what,
                    "give `url: https://…` or `command: [/usr/local/bin/…]`",
                    view,
                );
            }
        }
        (Some(url), []) => {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let authority = rest.unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default();
            if rest.is_none() || authority.is_empty() {
                told("url", "its `url` is no address to send to", "write https:// and a host, or http://");
            } else if authority.contains('@') {
                let fix = "leave them out; the receiver knows us by the signature, see `secret`";
                told("url", "its `url` has credentials in it", fix);
            } else if !url.is_ascii() || url.contains([' ', '#']) {
                told("url", "its `url` has a character that no address has", "write it as %XX");
            }
        }
        (None, [program, ..]) => {
            if !program.starts_with('/') {
                told("command", "its program is not named by its whole path", "write /usr/local/bin/… or so");
            }
            if program.contains("{{") || program.contains("{%") {
                told("command", "its program is a template", "only arguments are; name the program itself");
            }
            if hook.command.len() > ARGUMENTS_MAX {
                let what = format!("it has {} words; at most {ARGUMENTS_MAX} are taken", hook.command.len());
                told("command", &what, "give the event on standard input, where it is anyway");
            }
            for (key, given) in [("secret", hook.secret.is_some()), ("trust", hook.trust.is_some())] {
                if given {
                    told(key, &format!("`{key}` is for a webhook, and it has a command"), "leave it out");
                }
            }
        }
    }
    if let Some(secret) = &hook.secret {
        let fix = "write secret: {file: /etc/reveille/secrets/…} or secret: {env: NAME}";
        match (&secret.file, &secret.env) {
            (Some(path), None) if path.as_str().starts_with('/') => {}
            (Some(_), None) => {
                told_at(hook, index, "secret", "its file is not named by its whole path", fix, view)
            }
            (None, Some(name)) if is_variable(name) => {}
            (None, Some(_)) => {
                told_at(hook, index, "secret", "no environment variable is called so", fix, view)
            }
            _ => told_at(hook, index, "secret", "`secret` says not where it stands", fix, view),
        }
    }
    if let Some(trust) = &hook.trust {
        let fix = "write one of {sha256: …}, {ca_file: /…} and {insecure: true}";
        match (&trust.sha256, &trust.ca_file, trust.insecure) {
            (Some(text), None, false) if fingerprint(text).is_some() => {}
            (Some(_), None, false) => {
                told_at(hook, index, "trust", "it is no SHA-256, which has 64 hex digits", fix, view);
            }
            (None, Some(path), false) if path.as_str().starts_with('/') => {}
            (None, Some(_), false) => {
                told_at(hook, index, "trust", "its CA file is not named by its whole path", fix, view);
            }
            (None, None, true) => {}
            _ => told_at(hook, index, "trust", "`trust` does not say whom", fix, view),
        }
    }
}

/// The same as [`fault`], for what stands inside a key.
fn told_at(hook: &HookFile, index: usize, key: &str, what: &str, fix: &str, view: &mut View<'_>) {
    if !view.spoiled(&[Step::Key("hooks"), Step::Index(index), Step::Key(key)]) {
        fault(hook, index, key, what, fix, view);
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn template(
    hook: &HookFile,
    kind: TemplateKind,
    text: &str,
    steps: &[Step<'_>],
    texts: &Texts,
    view: &mut View<'_>,
) {
    let Err(fault) = EventTemplate::compile(hook.name.as_str(), kind, text) else { return };
    let spot = view.spot(steps);
    let whole = Spot { length: 1, ..spot };
    let spot = place(spot, fault.line, fault.column, text, texts).unwrap_or(whole);
    let draft = Draft::new(Code::Template, spot, format!("hook `{}`: {}", hook.name, fault.message));
    view.add(match fault.fix {
        Some(fix) => draft.fix(fix),
        None => draft,
    });
}
