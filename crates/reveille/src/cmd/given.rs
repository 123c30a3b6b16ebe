//! What the hosts of a configuration file are given, without an appliance: record, groups and rules together.

use crate::failure::Failure;
use config::Loaded;
use plan::{Catalog, CatalogParts};
use std::collections::BTreeSet;
use types::Facts;
use types::resource::{Host, Image, ImageKind, Name};

/// The catalog the file makes, with a place-holder for every image that is in a store.
///
/// # Errors
/// R-RES-07 when hosts, groups and rules contradict each other.
pub(super) fn catalog(loaded: &Loaded) -> Result<Catalog, Failure> {
    let mut images = loaded.images.clone();
    let known: BTreeSet<Name> = images.iter().map(|image| image.name.clone()).collect();
    let named = loaded.hosts.iter().filter_map(|host| host.image.clone());
    let absent: BTreeSet<Name> = named.filter(|name| !known.contains(name)).collect();
    images.extend(absent.into_iter().map(|name| Image::new(name, ImageKind::Linux)));
    let parts = CatalogParts {
        hosts: loaded.hosts.clone(),
        images,
        templates: loaded.templates.clone(),
        bundles: loaded.bundles.clone(),
        groups: loaded.groups.clone(),
        rules: loaded.rules.clone(),
        site: loaded.settings.site.as_ref().map(Name::shared),
        ..CatalogParts::default()
    };
    Catalog::build(parts).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::new("R-RES-07", "hosts, groups and rules contradict each other").cause(faults.join("; "))
    })
}

/// What a host is given, as far as its record tells; the record itself where that names several hosts.
pub(super) fn given(catalog: &Catalog, host: &Host) -> Host {
    let facts = Facts {
        mac: host.identity.mac.0.first().copied(),
        guid: host.identity.uuid,
        serial: host.identity.serial.as_deref().map(Into::into),
        ..Facts::default()
    };
    let resolved = plan::resolve(catalog, &facts);
    let Some(profile) = resolved.profile else { return host.clone() };
    let mut profile = Host::clone(&profile);
    if profile.image.is_none() {
        let image = resolved.values.iter().find(|(key, ..)| key == "image");
        profile.image = image.and_then(|(_, image, _)| image.split('@').next()?.parse().ok());
    }
    profile
}

/// The name of the image that a host boots, as [`given`] has it.
pub(super) fn image_name<'a>(loaded: &'a Loaded, given: &'a Host) -> Option<&'a Name> {
    given.image.as_ref().or(loaded.settings.boot.default_image.as_ref())
}

/// The image of the file that a host boots, as [`given`] has it.
pub(super) fn image_of<'a>(loaded: &'a Loaded, given: &'a Host) -> Option<&'a Image> {
    let name = image_name(loaded, given)?;
    loaded.images.iter().find(|image| image.name == *name)
}

/// The template that a host is installed from, as [`given`] has it.
pub(super) fn template_of<'a>(loaded: &'a Loaded, given: &'a Host) -> Option<&'a Name> {
    given.template.as_ref().or_else(|| image_of(loaded, given)?.template.as_ref())
}
