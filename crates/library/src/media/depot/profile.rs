//! Image profiles: which packages, in which order, and what their payloads are called on the machine.
//!
//! Seen: `viblist/vib/vib-id`, and below it `payloads/payload` with the payload's name as attribute `payload-name` and its
//! file name as text. Accepted as well: the file name as attribute or element `vfat-name`, `file-name` or `boot-name`; an
//! order as `boot-order`.

use super::super::xml::Element;
use super::{MediaError, Refusal};
use crate::limits::DEPOT_MODULES_MAX;
use std::collections::HashSet;

/// An image profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) vibs: Vec<Wanted>,
}

/// A package of a profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) id: String,
    pub(super) payloads: Vec<Named>,
}

/// What a profile says of a payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Named {
    pub(super) payload: String,
    pub(super) file: Option<String>,
    pub(super) order: Option<u64>,
}

/// The name of a profile, which is asked for before anything else of it.
pub(super) fn name(root: &Element, what: &str) -> Result<String, MediaError> {
    let name = root.value(&["name"]).map(str::to_owned);
    name.ok_or_else(|| {
        MediaError::new(Refusal::Missing, format!("image profile {what} has no `name`, which was looked for"))
    })
}

impl Profile {
    pub(super) fn of(root: &Element, what: &str) -> Result<Profile, MediaError> {
        let name = name(root, what)?;
        let missing = |looked_for: &str| {
            let text = format!("image profile `{name}` ({what}) has no {looked_for}, which was looked for");
            MediaError::new(Refusal::Missing, text)
        };
        let list = root.child("viblist").ok_or_else(|| missing("`viblist`"))?;
        let (mut vibs, mut ids) = (Vec::new(), HashSet::new());
        for vib in list.all("vib") {
            let own = Some(vib.text.as_str()).filter(|text| !text.is_empty());
            let id = vib.value(&["vibid", "id"]).or(own).ok_or_else(|| missing("`vib-id` in a `vib`"))?;
            if !ids.insert(id.to_owned()) {
                let text = format!("image profile `{name}` names package `{id}` twice");
                return Err(MediaError::new(Refusal::Twice, text));
            }
            let mut found = Vec::new();
            vib.anywhere("payload", &mut found);
            let payloads = found.into_iter().map(|payload| {
                let own = Some(payload.text.as_str()).filter(|text| !text.is_empty());
                Ok(Named {
                    payload: payload
                        .value(&["payloadname", "name"])
                        .ok_or_else(|| missing("`payload-name` of a `payload`"))?
                        .to_owned(),
                    file: payload.value(&["vfatname", "filename", "bootname"]).or(own).map(str::to_owned),
                    order: super::vib::order(payload),
                })
            });
            vibs.push(Wanted { id: id.to_owned(), payloads: payloads.collect::<Result<_, MediaError>>()? });
        }
        if vibs.is_empty() {
            return Err(missing("`vib` in its `viblist`"));
        }
        if vibs.len() > DEPOT_MODULES_MAX {
            return Err(MediaError::limit(format!(
                "image profile `{name}` has more than {DEPOT_MODULES_MAX} packages"
            )));
        }
        Ok(Profile { name, vibs })
    }
}

/// The place of the profile asked for, else of the only one, else of the only one whose name ends in `-standard`.
pub(super) fn choose(names: &[&str], asked: Option<&str>) -> Result<usize, MediaError> {
    let listed = || {
        let shown: Vec<String> = names.iter().take(20).map(|name| format!("`{name}`")).collect();
        format!("{}{}", shown.join(", "), if names.len() > shown.len() { " …" } else { "" })
    };
    let refused = |text: String| Err(MediaError::new(Refusal::Profile, text));
    if names.is_empty() {
        let text = "it has no image profile: looked for `profiles/*.xml` in its metadata; packages alone are no image";
        return Err(MediaError::new(Refusal::Missing, text));
    }
    if let Some(asked) = asked {
        let place = names.iter().position(|name| *name == asked);
        let place = place.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(asked)));
        return match place {
            Some(place) => Ok(place),
            None => refused(format!("it has no image profile `{asked}`; it has {}", listed())),
        };
    }
    if names.len() == 1 {
        return Ok(0);
    }
    let standard = |name: &&str| name.to_ascii_lowercase().ends_with("-standard");
    let mut standards = names.iter().enumerate().filter(|(_, name)| standard(name)).map(|(place, _)| place);
    match (standards.next(), standards.next()) {
        (Some(place), None) => Ok(place),
        _ => refused(format!(
            "it has {} image profiles and none was chosen; name one with --profile: {}",
            names.len(),
            listed()
        )),
    }
}
