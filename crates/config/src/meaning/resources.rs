//! Hosts and images: names, identities, references.

use super::{Elsewhere, View};
use crate::fault::{Code, Draft};
use crate::file::{File, UnknownHostsFile};
use crate::suggest::{listed, nearest};
use crate::tree::Step;
use std::collections::{BTreeMap, BTreeSet};
use types::resource::{Host, Image, ImageKind, Name};

pub(super) fn check(file: &File, elsewhere: &Elsewhere<'_>, view: &mut View<'_>) {
    let resources = &file.resources;
    let images = &resources.images;
    let image_names = images.iter().map(|image| &image.name);
    doubled("images", image_names, view);
    doubled("hosts", resources.hosts.iter().map(|host| &host.name), view);
    for (index, image) in images.iter().enumerate() {
        image_is_complete(image, index, view);
        source_of_an_image(image, index, view);
    }
    let mut known: BTreeSet<&str> = images.iter().map(|image| image.name.as_str()).collect();
    known.extend(elsewhere.images.iter().map(Name::as_str));
    let mut owners = Owners::default();
    for (index, host) in resources.hosts.iter().enumerate() {
        identity(host, index, &mut owners, view);
        for fault in host.power.iter().flat_map(types::resource::PowerSpec::faults) {
            let spot = view.spot(&item("hosts", index, "power"));
            let at = if fault.at.is_empty() { String::new() } else { format!(".{}", fault.at) };
            let message = format!("host `{}`, power{at}: {}", host.name, fault.fault);
            view.add(Draft::new(Code::Power, spot, message).fix(fault.fix));
        }
        if let Some(name) = &host.image {
            let steps = item("hosts", index, "image");
            refers(name, &format!("host `{}`", host.name), &steps, &known, elsewhere, view);
        }
        version_of_an_image(host, index, file.boot.default_image.as_ref(), view);
    }
    if let Some(name) = &file.boot.default_image {
        let steps = [Step::Key("boot"), Step::Key("default_image")];
        refers(name, "boot.default_image", &steps, &known, elsewhere, view);
        if file.dhcp.unknown_hosts != UnknownHostsFile::Menu {
            let steps = [Step::Key("dhcp"), Step::Key("unknown_hosts")];
            let message =
                format!("`unknown_hosts` has no effect: default image `{name}` is for every machine");
            view.add(Draft::new(Code::NoEffect, view.spot(&steps), message));
        }
        if images.iter().any(|image| image.name == *name && image.destructive) {
            let draft = Draft::new(
                Code::DestructiveDefault,
                view.spot(&steps),
                format!("default image `{name}` is destructive"),
            )
            .cause("every machine without an image of its own would be sent to it")
            .fix("name it in the hosts it is for");
            view.add(draft);
        }
    }
}

pub(super) fn item<'a>(list: &'a str, index: usize, key: &'a str) -> [Step<'a>; 4] {
    [Step::Key("resources"), Step::Key(list), Step::Index(index), Step::Key(key)]
}

pub(super) fn doubled<'a>(list: &str, names: impl Iterator<Item = &'a Name>, view: &mut View<'_>) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, name) in names.enumerate() {
        match seen.get(name.as_str()) {
            None => {
                seen.insert(name.as_str(), index);
            }
            Some(first) => {
                let first = view.spot(&item(list, *first, "name"));
                let kind = list.trim_end_matches('s');
                let spot = view.spot(&item(list, index, "name"));
                view.add(
                    Draft::new(Code::DuplicateName, spot, format!("{kind} `{name}` is defined twice"))
                        .first_at(first),
                );
            }
        }
    }
}

pub(super) fn refers(
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
    view.faults.add_warning(|| {
        let near =
            nearest(name.as_str(), known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let message = format!("{who} names image `{name}`, which no file defines");
        Draft::new(Code::UnknownImage, spot, message).hint_maybe(near).fix(format!(
            "defined images are {}; an imported one needs no definition",
            listed(known.iter().copied())
        ))
    });
}

/// A version alone says nothing, not even of the default image: that may be another one tomorrow.
fn version_of_an_image(host: &Host, index: usize, default: Option<&Name>, view: &mut View<'_>) {
    let steps = [Step::Key("resources"), Step::Key("hosts"), Step::Index(index)];
    let Some(version) = host.image_version.as_ref().filter(|_| host.image.is_none()) else { return };
    if view.spoiled(&steps) {
        return;
    }
    let spot = view.key_spot(&steps, "image_version");
    let message =
        format!("host `{}` has `image_version: {version}` and no `image` it could be of", host.name);
    let cause = default.map(|default| {
        format!("the default image `{default}` may change: a version is of the image the host itself names")
    });
    let write = default.map_or_else(|| "image: NAME".to_owned(), |default| format!("image: {default}"));
    let draft = Draft::new(Code::VersionWithoutImage, spot, message)
        .fix(format!("write `{write}` beside it, or leave `image_version` out"));
    view.add(match cause {
        Some(cause) => draft.cause(cause),
        None => draft,
    });
}

fn image_is_complete(image: &Image, index: usize, view: &mut View<'_>) {
    let steps = [Step::Key("resources"), Step::Key("images"), Step::Index(index)];
    if view.spoiled(&steps) {
        return;
    }
    let spot = view.spot(&item("images", index, "name"));
    let kind = image.kind.as_str();
    // A source from the catalogue or a folder brings its own recipe.
    let bare = image.source.is_none();
    let mut lacks = |key: &str| {
        let message = format!("image `{}` is of kind {kind} and lacks `{key}`", image.name);
        view.add(
            Draft::new(Code::IncompleteImage, spot, message)
                .fix("name the file, or give a source that has it"),
        );
    };
    if bare && let Some(field) = image.lacks() {
        lacks(field);
    }
    use ImageKind::{Efi, Esxi, IpxeScript, Iso, Linux, Windows};
    let fields: [(&str, bool, &[ImageKind]); 9] = [
        ("kernel", image.kernel.is_some(), &[Linux, Windows, Efi]),
        ("initrd", !image.initrd.is_empty(), &[Linux, Windows]),
        ("cmdline", !image.cmdline.is_empty(), &[Linux, Windows, Efi, Esxi]),
        ("script", image.script.is_some(), &[IpxeScript]),
        ("efi", image.efi.is_some(), &[Efi]),
        ("disk", image.disk.is_some(), &[Iso]),
        ("base", image.base.is_some(), &[Esxi]),
        ("stateless", image.stateless, &[Esxi]),
        ("modules", !image.modules.is_empty(), &[Esxi]),
    ];
    let idle = fields.into_iter().filter(|(_, given, kinds)| *given && !kinds.contains(&image.kind));
    for (key, _, _) in idle {
        let message = format!("`{key}` has no effect: image `{}` is of kind {kind}", image.name);
        view.add(Draft::new(Code::NoEffect, view.key_spot(&steps, key), message));
    }
}

/// Sources that are called by a name: what their packages put on the disk.
const CATALOGUE: [&str; 2] = ["debian-netboot", "memtest"];

/// A server may give another file tomorrow: what comes from one is named by its hash. Only one file has a hash.
fn source_of_an_image(image: &Image, index: usize, view: &mut View<'_>) {
    let name = &image.name;
    let mut fault = |key: &str, message: String, fix: &str| {
        let spot = view.spot(&item("images", index, key));
        view.add(Draft::new(Code::ImageSource, spot, message).fix(fix));
    };
    if let Some(sha256) = &image.sha256
        && (sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        let message = format!("image `{name}`: a sha256 has 64 hex digits");
        fault("sha256", message, "take it from whoever publishes the file");
    }
    let Some(source) = &image.source else {
        if image.sha256.is_some() {
            let message = format!("image `{name}` has a sha256 and no source it could be of");
            fault("sha256", message, "give `source: https://…`, or leave it out");
        }
        return;
    };
    let Some((scheme, rest)) = source.split_once("://") else {
        let begins = |forms: &[&str]| forms.iter().any(|form| source.starts_with(form) && source != form);
        let one_file = begins(&["iso:", "tar:", "zip:", "file:", "/"]);
        if !one_file && !begins(&["dir:"]) && !CATALOGUE.contains(&source.as_str()) {
            let message = format!("image `{name}`: `{source}` is no source");
            let near = nearest(source, CATALOGUE).map(|near| format!("did you mean `{near}`?"));
            let spot = view.spot(&item("images", index, "source"));
            let fix =
                "write a URL, iso:, tar:, zip:, dir: or file: with a path, or debian-netboot or memtest";
            view.add(Draft::new(Code::ImageSource, spot, message).hint_maybe(near).fix(fix));
        } else if image.sha256.is_some() && !one_file {
            let message = format!("image `{name}`: `{source}` is not one file, so it has no sha256");
            fault("sha256", message, "leave it out");
        }
        return;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        let message = format!("image `{name}` comes by a scheme that nothing is fetched by");
        fault(
            "source",
            message,
            "write http:// or https://; for a file on this machine iso:, tar:, zip: or dir:",
        );
    } else if authority.is_empty() {
        fault("source", format!("image `{name}`: its URL names no server"), "write https://SERVER/PATH");
    } else if authority.contains('@') {
        let message = format!("image `{name}`: its URL holds a user name or a password");
        fault("source", message, "import it once with `reveille image import`, which keeps no URL's secrets");
    } else if image.sha256.is_none() {
        let message = format!("image `{name}` comes from a URL and says no `sha256`");
        fault("source", message, "write `sha256:` with the 64 hex digits that the publisher names");
    }
}

/// Which host claimed a MAC, GUID or serial first.
#[derive(Default)]
struct Owners {
    seen: BTreeMap<String, usize>,
}

fn identity(host: &Host, index: usize, owners: &mut Owners, view: &mut View<'_>) {
    let steps = item("hosts", index, "match");
    let terms = &host.identity;
    if terms.is_empty() {
        if !view.spoiled(&steps) {
            let message = format!("host `{}` has no mac, uuid or serial to be recognised by", host.name);
            view.add(Draft::new(Code::NoIdentity, view.spot(&steps), message));
        }
        return;
    }
    for mac in terms.mac.0.iter().filter(|mac| !mac.is_unicast()) {
        let message = format!("{mac} is a group address, no machine's own");
        let spot = view.spot(&[steps.as_slice(), &[Step::Key("mac")]].concat());
        view.add(Draft::new(Code::NobodysIdentity, spot, message));
    }
    if let Some(uuid) = terms.uuid.filter(|uuid| uuid.is_nobodys()) {
        let message = format!("{uuid} is a factory value that many machines have");
        let spot = view.spot(&[steps.as_slice(), &[Step::Key("uuid")]].concat());
        let draft =
            Draft::new(Code::NobodysIdentity, spot, message).fix("recognise the host by mac or serial");
        view.add(draft);
    }
    if let Some(serial) = terms.serial.as_deref().filter(|serial| types::serial::is_nobodys(serial)) {
        let message = format!("`{serial}` is a serial number that many machines have");
        let spot = view.spot(&[steps.as_slice(), &[Step::Key("serial")]].concat());
        let draft = Draft::new(Code::NobodysIdentity, spot, message).fix("recognise the host by mac or uuid");
        view.add(draft);
    }
    let mut claims: Vec<(String, &str)> = terms.mac.0.iter().map(|mac| (mac.to_string(), "mac")).collect();
    if let Some(uuid) = terms.uuid {
        // Both byte orders name the same machine.
        claims.push((uuid.min(uuid.swapped()).to_string(), "uuid"));
    }
    claims.extend(terms.serial.iter().map(|serial| (serial.to_lowercase(), "serial")));
    for (claim, key) in claims {
        let first = *owners.seen.entry(format!("{key} {claim}")).or_insert(index);
        if first == index {
            continue;
        }
        let spot = view.spot(&[steps.as_slice(), &[Step::Key(key)]].concat());
        let first = view.spot(&item("hosts", first, "name"));
        let message = format!("host `{}` claims {key} {claim}, which another host has", host.name);
        view.add(Draft::new(Code::DuplicateIdentity, spot, message).first_at(first));
    }
}
