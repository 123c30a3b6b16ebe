//! Who names the image a machine boots.

use super::LeaveAloneReason;
use crate::rules::Given;
use crate::{Catalog, TraceLine};
use std::sync::Arc;
use types::resource::{Host, Name, Rule};

/// An image as host, group or rule name it.
pub(super) struct Named<'a> {
    pub(super) name: &'a Name,
    pub(super) version: Option<&'a Name>,
}

impl<'a> Named<'a> {
    fn of(name: &'a Option<Name>, version: &'a Option<Name>) -> Option<Named<'a>> {
        Some(Named { name: name.as_ref()?, version: version.as_ref() })
    }

    pub(super) fn full(&self) -> Name {
        self.version.map_or_else(|| self.name.clone(), |version| self.name.at_version(version))
    }
}

/// Whether somebody names an image.
pub(super) enum Naming<'a> {
    /// This one.
    Image(Named<'a>),
    /// This rule may decide, once the machine has told more.
    Waits(&'a Arc<Rule>),
    /// Nobody does.
    Nobody,
}

/// Who names the image, in the order in which they count.
pub(super) fn name_image<'a>(
    catalog: &'a Catalog,
    host: Option<&'a Arc<Host>>,
    profile: Option<&'a Arc<Host>>,
    given: &Given,
    trace: &mut Vec<TraceLine>,
) -> Result<Naming<'a>, LeaveAloneReason> {
    let waits = |at: Option<usize>| at.and_then(|at| catalog.rules.at(at)).map(Naming::Waits);
    if let Some(host) = host {
        if let Some(named) = Named::of(&host.image, &host.image_version) {
            trace.push(TraceLine::HostPin(named.full()));
            return Ok(Naming::Image(named));
        }
        trace.push(TraceLine::NoHostPin);
    }
    // What a group says counts more than what a rule says: first it must be known which group.
    if let Some(waits) = waits(given.group_waits) {
        return Ok(waits);
    }
    if let Some(group) = profile.and_then(|profile| profile.group.as_ref()) {
        let Some(chain) = catalog.chain(group) else {
            // What it would have said is not known, and nobody else may say it instead.
            trace.push(TraceLine::GroupMissing(group.clone()));
            return Err(LeaveAloneReason::GroupMissing);
        };
        let pinned = chain.groups.iter().find(|group| group.image.is_some());
        if let Some((group, named)) =
            pinned.and_then(|group| Some((group, Named::of(&group.image, &group.image_version)?)))
        {
            trace.push(TraceLine::GroupPin(group.name.clone(), named.full()));
            return Ok(Naming::Image(named));
        }
        trace.push(TraceLine::NoGroupPin(group.clone()));
    }
    if !catalog.rules.is_empty() {
        // A rule that may have been meant before the one that matched: wait for what the machine says.
        if let Some(waits) = waits(given.image_waits) {
            return Ok(waits);
        }
        if let Some((rule, _)) = catalog.rules.image(given)
            && let Some(named) = Named::of(&rule.image, &rule.image_version)
        {
            trace.push(TraceLine::RulePin(rule.clone(), named.full()));
            return Ok(Naming::Image(named));
        }
        trace.push(TraceLine::NoRulePin(catalog.rules.len()));
    }
    let default = catalog.fixed.default_image.clone();
    trace.push(default.map_or(TraceLine::NoDefaultImage, TraceLine::DefaultImage));
    Ok(Named::of(&catalog.fixed.default_image, &None).map_or(Naming::Nobody, Naming::Image))
}
