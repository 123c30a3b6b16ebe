//! For the fuzz targets: the parts of a bundle behind its zips, whose checksums no fuzzer makes.

use super::super::ar::Ar;
use super::super::xml::Element;
use super::modules::lay;
use super::profile::Profile;
use super::vib::{self, Payload, Vib};
use std::io::Read;

/// Kinds of the payloads that profiles name here, by the lengths of their names.
const KINDS: [&str; 4] = ["boot", "vgz", "tgz", "upgrade"];

/// Bytes as an `ar` archive: what its members say lies inside it, in order.
pub(crate) fn ar(bytes: &[u8]) {
    let Ok(mut archive) = Ar::new(bytes) else { return };
    let mut end = 0;
    while let Ok(Some(member)) = archive.next() {
        assert!(member.offset >= end && !member.name.is_empty());
        let mut content = Vec::new();
        if archive.read_to_end(&mut content).is_err() {
            return;
        }
        end = member.offset + member.size;
        assert_eq!((content.len() as u64, end <= bytes.len() as u64), (member.size, true));
    }
}

/// Bytes as XML.
pub(crate) fn xml(bytes: &[u8]) {
    if let Ok(root) = Element::parse(bytes, "it") {
        let mut found = Vec::new();
        root.anywhere(&root.name, &mut found);
        assert!(!found.is_empty());
        let _ = (vib::id(&root), vib::sha256(&root), vib::order(&root));
    }
}

/// Bytes as an image profile whose packages have just the payloads it names: the `boot.cfg` loads each of them once.
pub(crate) fn profile(bytes: &[u8]) {
    let Ok(profile) = Element::parse(bytes, "it").and_then(|root| Profile::of(&root, "it")) else { return };
    let made = |wanted: &super::profile::Wanted| {
        let payloads = wanted.payloads.iter().map(|named| Payload {
            name: named.payload.clone(),
            kind: KINDS.get(named.payload.len() % KINDS.len()).copied().unwrap_or_default().to_owned(),
            size: 1,
            sha256: None,
            order: None,
            file: None,
            offset: 0,
        });
        Vib {
            id: wanted.id.clone(),
            name: wanted.id.clone(),
            version: wanted.id.clone(),
            overlay: wanted.id.len().is_multiple_of(2),
            signed: true,
            payloads: payloads.collect(),
        }
    };
    let vibs: Vec<Vib> = profile.vibs.iter().map(made).collect();
    let Ok(laid) = lay(&profile, &vibs.iter().collect::<Vec<_>>()) else { return };
    assert_eq!(laid.boot_cfg.lines().count(), 9, "{}", laid.boot_cfg);
    let value = |key: &str| laid.boot_cfg.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let modules = value("modules=").split(" --- ").filter(|name| !name.is_empty());
    let files: Vec<&str> = std::iter::once(value("kernel=")).chain(modules).collect();
    let wanted: Vec<&str> = laid.modules.iter().map(|module| module.file.as_str()).collect();
    assert_eq!(files, wanted);
}

/// Bytes as a package.
pub(crate) fn package(bytes: &[u8]) {
    let descriptor = |bytes: &[u8]| -> Option<String> {
        let mut archive = Ar::new(bytes).ok()?;
        archive.next().ok()??;
        let mut content = Vec::new();
        archive.read_to_end(&mut content).ok()?;
        vib::id(&Element::parse(&content, "it").ok()?)
    };
    let Some(id) = descriptor(bytes) else { return };
    let Ok((vib, loaders)) = vib::read(&id, bytes) else { return };
    for payload in &vib.payloads {
        assert!(payload.offset + payload.size <= bytes.len() as u64);
    }
    assert!(loaders.len() <= 3);
}
