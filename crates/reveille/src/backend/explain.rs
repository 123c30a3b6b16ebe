//! What a machine would boot, asked of the same decision function as every door.

use crate::inventory::Inventory;
use crate::world::World;
use admin::view::{AskedRule, AskedTerm, Because, ExplainedStep, Explanation, GivenValue};
use library::Library;
use plan::{BootPlan, Decider, Decision, Step, Target, TraceLine, Verdict};
use std::collections::BTreeMap;
use types::resource::Host;
use types::selector::Match;
use types::{Facts, Stage};

/// Facts a recorded host is known by, to ask for it without having seen it.
pub(super) fn facts_of(host: &Host) -> Facts {
    Facts {
        mac: host.identity.mac.0.first().copied(),
        guid: host.identity.uuid,
        serial: host.identity.serial.as_deref().map(Into::into),
        ..Facts::default()
    }
}

/// Asks for each stage the machine would come through. What was seen of it is added to what is given.
pub(super) fn explain(world: &World, library: &Library, inventory: &Inventory, given: Facts) -> Explanation {
    let known = given.mac.and_then(|mac| world.remembered(mac));
    let facts = world.doubted(known.map_or_else(|| given.clone(), |known| given.clone().or(&known)));
    let at = |stage: Stage| {
        let facts = Facts { stage, http: facts.http || stage != Stage::Rom, ..facts.clone() };
        world.decide_for(&facts)
    };
    let rom = at(Stage::Rom);
    let ipxe = at(Stage::Ipxe);
    let steps = [(Stage::Rom, &rom), (Stage::Ipxe, &ipxe)]
        .map(|(stage, verdict)| ExplainedStep {
            stage: stage.as_str().to_owned(),
            answer: answer(verdict, library),
        })
        .to_vec();
    let (boots, image) = outcome(&ipxe);
    let catalog = world.catalog();
    let resolved = plan::resolve(&catalog, &Facts { stage: Stage::Ipxe, http: true, ..facts.clone() });
    let mut notes = notes(library, &facts, &rom, &ipxe);
    if let Some(host) = &rom.host {
        notes.extend(world.differences(&host.name).into_iter().map(|differs| {
            let held = if differs.holds { "; it erases nothing until then" } else { "" };
            let (mac, change) = (differs.mac, differs.change);
            format!("machine {mac} has another {change}: reveille host accept-change {}{held}", host.name)
        }));
    }
    let reason = match (&rom.decision, &ipxe.decision) {
        (Decision::LeaveAlone(reason), _) | (_, Decision::LeaveAlone(reason)) => {
            Some(reason.as_str().to_owned())
        }
        _ => None,
    };
    Explanation {
        boots,
        image,
        host: rom.host.as_ref().map(|host| host.name.to_string()),
        reason,
        steps,
        because: rom
            .trace
            .0
            .iter()
            .map(|line| Because { text: format!("{:<16} {line}", line.step()), matched: applied(line) })
            .collect(),
        notes,
        bundle_runs: super::bundles::of_profile(
            world,
            &catalog,
            rom.host.as_ref().map(|host| &host.name),
            resolved.profile.as_deref(),
        ),
        script: None,
        groups: resolved.groups.iter().map(ToString::to_string).collect(),
        rules: resolved.rules.iter().map(asked).collect(),
        values: values(inventory, resolved.values),
        facts: shown(&facts),
        generation: rom.generation,
    }
}

fn asked(asked: &plan::Asked) -> AskedRule {
    AskedRule {
        order: asked.rule.order,
        rule: asked.rule.name.to_string(),
        answer: word(asked.answer).to_owned(),
        terms: asked
            .terms
            .iter()
            .map(|(term, answer, has)| AskedTerm {
                term: term.clone(),
                answer: word(*answer).to_owned(),
                has: has.clone(),
            })
            .collect(),
        decides: asked.decided.clone(),
    }
}

fn word(answer: Match) -> &'static str {
    match answer {
        Match::Yes => "yes",
        Match::No => "no",
        Match::Unknown => "unknown",
    }
}

/// With the owner of each: the line of a file, or the API.
fn values(inventory: &Inventory, values: Vec<(String, String, plan::Source)>) -> Vec<GivenValue> {
    let value = |(key, value, source): (String, String, plan::Source)| GivenValue {
        key,
        value,
        owner: inventory.owner_of(&source),
        from: source.to_string(),
    };
    values.into_iter().map(value).collect()
}

/// What to know of the image it ends at, on its firmware and with the loader it is sent to first.
fn notes(library: &Library, facts: &Facts, rom: &Verdict, ipxe: &Verdict) -> Vec<String> {
    let Decision::Boot(BootPlan { target: Target::Image(image), .. }) = &ipxe.decision else {
        return Vec::new();
    };
    let mut holds = tree::holds(library, image);
    if let Decision::Boot(BootPlan { step: Step::Loader(file), .. }) = &rom.decision
        && !file.starts_with(&format!("{}/", image.name))
    {
        holds.unsigned = (library.is_signed(file) == Some(false)).then(|| file.to_string());
    }
    let medium = library.manifest(image.name.as_str()).map(|manifest| manifest.notes.clone());
    medium.into_iter().flatten().chain(image.notes(&holds, Some(facts))).collect()
}

pub(super) fn outcome(verdict: &Verdict) -> (String, Option<String>) {
    match &verdict.decision {
        Decision::Boot(plan) => match &plan.target {
            Target::Image(image) => ("image".to_owned(), Some(image.name.to_string())),
            Target::Menu => ("menu".to_owned(), None),
            Target::LocalDisk => ("local-disk".to_owned(), None),
            Target::Ask => ("ask".to_owned(), None),
            Target::Hold => ("claim".to_owned(), None),
        },
        Decision::LeaveAlone(_) => ("nothing".to_owned(), None),
    }
}

pub(super) fn answer(verdict: &Verdict, library: &Library) -> String {
    match &verdict.decision {
        Decision::LeaveAlone(reason) => format!("no boot data: {reason}"),
        Decision::Boot(plan) => {
            let next = match &plan.step {
                Step::Loader(file) => format!("loader {file}"),
                Step::Script => "boot.ipxe".to_owned(),
                Step::Config => "its configuration".to_owned(),
            };
            match &plan.target {
                Target::Image(image) => match tree::lent_loader(library, image) {
                    Some(lent) => format!(
                        "{next} → image {}, with the UEFI loader of {} ({})",
                        image.name, lent.image, lent.version
                    ),
                    None => format!("{next} → image {}", image.name),
                },
                Target::Menu => format!("{next} → menu"),
                Target::LocalDisk => format!("{next} → local disk"),
                Target::Hold => format!("{next} → waits until it is recorded"),
                Target::Ask => format!("{next} → asked for its SMBIOS data, then decided"),
            }
        }
    }
}

/// Lines that say "none" or "no" are shown, but did not apply.
fn applied(line: &TraceLine) -> bool {
    !matches!(
        line,
        TraceLine::Unknown
            | TraceLine::NoHostPin
            | TraceLine::NoGroupPin(_)
            | TraceLine::NoRulePin(_)
            | TraceLine::NoDefaultImage
            | TraceLine::NoLoader(_)
    )
}

pub(super) fn shown(facts: &Facts) -> BTreeMap<String, String> {
    let text = |value: &Option<std::sync::Arc<str>>| value.as_deref().map(str::to_owned);
    [
        ("mac", facts.mac.map(|mac| mac.to_string())),
        ("uuid", facts.guid.map(|guid| guid.to_string())),
        ("arch", facts.arch.map(|arch| arch.to_string())),
        ("firmware", facts.firmware.map(|firmware| firmware.to_string())),
        ("vendor", text(&facts.vendor)),
        ("model", text(&facts.model)),
        ("serial", text(&facts.serial)),
        ("asset", text(&facts.asset)),
        ("oemstring", text(&facts.oemstring)),
        ("board serial", text(&facts.board_serial)),
        ("nic", text(&facts.nic_bus)),
        ("subnet", text(&facts.subnet)),
        ("circuit", facts.circuit_id.as_deref().map(|circuit| String::from_utf8_lossy(circuit).into_owned())),
        ("hostname", text(&facts.hostname)),
        ("interface", text(&facts.interface)),
        ("relay", facts.relay.map(|relay| relay.to_string())),
        ("address", facts.address.map(|address| address.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}
