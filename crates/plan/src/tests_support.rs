//! Small catalogs and machines for tests.

use crate::{Catalog, CatalogParts, Decision, Target, Verdict};
use std::collections::BTreeMap;
use types::resource::{Host, HostMatch, Image, ImageKind, Name, OneOrMany, Rule};
use types::subnet::LoaderChoice;
use types::{Facts, Firmware, Stage};

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn params(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn rule(name: &str, order: u32, when: &str) -> Rule {
    Rule { order, when: when.parse().unwrap(), ..Rule::new(name.parse().unwrap()) }
}

pub(crate) fn parts() -> CatalogParts {
    let image =
        |text: &str| Image { kernel: Some("linux".into()), ..Image::new(name(text), ImageKind::Linux) };
    let identity =
        HostMatch { mac: OneOrMany(vec!["52:54:00:12:34:56".parse().unwrap()]), ..HostMatch::default() };
    CatalogParts {
        generation: 7,
        hosts: vec![Host { image: Some(name("debian")), ..Host::new(name("web01"), identity) }],
        images: vec![image("debian"), image("rescue"), Image { destructive: true, ..image("wipe") }],
        loaders: vec![LoaderChoice { firmware: Firmware::Bios, file: "undionly.kpxe".into() }],
        ..CatalogParts::default()
    }
}

pub(crate) fn catalog(change: impl FnOnce(&mut CatalogParts)) -> Catalog {
    let mut parts = parts();
    change(&mut parts);
    Catalog::build(parts).unwrap()
}

/// The machine of `web01`, or of nobody where that is taken out.
pub(crate) fn facts(stage: Stage) -> Facts {
    Facts {
        mac: Some("52:54:00:12:34:56".parse().unwrap()),
        stage,
        firmware: Some(Firmware::Bios),
        http: true,
        ..Facts::default()
    }
}

pub(crate) fn image_of(verdict: &Verdict) -> String {
    match &verdict.decision {
        Decision::Boot(plan) => match &plan.target {
            Target::Image(image) => image.name.to_string(),
            other => format!("{other:?}"),
        },
        Decision::LeaveAlone(reason) => reason.as_str().to_owned(),
    }
}
