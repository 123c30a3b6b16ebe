//! One package (VIB): an `ar` archive of `descriptor.xml`, `sig.pkcs7` and payloads, read forwards once.

use super::super::ar::Ar;
use super::super::xml::Element;
use super::loader::{self, Loader};
use super::metadata::Record;
use super::{MediaError, Refusal};
use crate::Digest;
use crate::limits::{AR_MEMBERS_MAX, XML_BYTES_MAX};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::{self, Read};

const DESCRIPTOR: &str = "descriptor.xml";
const SIGNATURE: &str = "sig.pkcs7";

/// A package as far as an image wants to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Vib {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    /// Replaces files of others: it is unpacked after them.
    pub(super) overlay: bool,
    pub(super) signed: bool,
    pub(super) payloads: Vec<Payload>,
}

/// One payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Payload {
    pub(super) name: String,
    /// `boot`, `vgz`, `tgz` and so on, in lower case.
    pub(super) kind: String,
    pub(super) size: u64,
    /// Of the file as it is.
    pub(super) sha256: Option<Digest>,
    pub(super) order: Option<u64>,
    pub(super) file: Option<String>,
    /// Where it starts in the package.
    pub(super) offset: u64,
}

/// `<vendor>_<type>_<name>_<version>`, as profiles name a package.
pub(super) fn id(root: &Element) -> Option<String> {
    if let Some(id) = root.value(&["vibid"]) {
        return Some(id.to_owned());
    }
    let kind = root.value(&["type"]).unwrap_or("bootbank");
    Some(format!(
        "{}_{kind}_{}_{}",
        root.value(&["vendor"])?,
        root.value(&["name"])?,
        root.value(&["version"])?
    ))
}

/// The sha-256 of the file itself: `<checksum checksum-type="sha-256">…`, or type and value as elements inside it.
pub(super) fn sha256(of: &Element) -> Option<Digest> {
    of.all("checksum").find_map(|checksum| {
        let kind = checksum.value(&["checksumtype", "type"])?;
        let is = kind.eq_ignore_ascii_case("sha-256") || kind.eq_ignore_ascii_case("sha256");
        // Those of what is inside the gzip are other bytes.
        if !is || checksum.value(&["verifyprocess"]).is_some() {
            return None;
        }
        let own = Some(checksum.text.as_str()).filter(|text| !text.is_empty());
        checksum.value(&["checksum", "value"]).or(own)?.to_ascii_lowercase().parse().ok()
    })
}

pub(super) fn order(of: &Element) -> Option<u64> {
    of.value(&["bootorder", "order"]).and_then(|order| order.parse().ok())
}

/// Reads a package to its end. Its checksum, its size, its descriptor and its payloads must be what they are said to be.
pub(super) fn scan(
    id: &str,
    record: &Record,
    size: u64,
    reader: impl Read,
) -> Result<(Vib, Vec<Loader>), MediaError> {
    let named = |error: MediaError| MediaError::new(error.refusal, format!("package `{id}`: {error}"));
    if record.size.is_some_and(|said| said != size) {
        let text = format!(
            "package `{id}` has {size} bytes, and its metadata says {}",
            record.size.unwrap_or_default()
        );
        return Err(MediaError::malformed(text));
    }
    let mut hashing = Hashing { inner: reader, hasher: Sha256::new() };
    let scanned = read(id, &mut hashing).map_err(named)?;
    io::copy(&mut hashing, &mut io::sink()).map_err(MediaError::from_io).map_err(named)?;
    let found: [u8; 32] = hashing.hasher.finalize().into();
    if record.sha256().is_none_or(|wanted| wanted.0 != found) {
        let text =
            format!("package `{id}` has not the sha-256 its metadata says: the bundle is damaged or changed");
        return Err(MediaError::new(Refusal::Checksum, text));
    }
    Ok(scanned)
}

pub(super) fn read(id: &str, reader: impl Read) -> Result<(Vib, Vec<Loader>), MediaError> {
    let mut archive = Ar::new(reader)?;
    let missing = |text: String| MediaError::new(Refusal::Missing, text);
    let first = archive.next()?.filter(|member| member.name == DESCRIPTOR);
    let Some(first) = first else {
        return Err(missing(format!("looked for {DESCRIPTOR} as its first member, which it is not")));
    };
    if first.size > XML_BYTES_MAX {
        return Err(MediaError::limit(format!("{DESCRIPTOR} has more than {XML_BYTES_MAX} bytes")));
    }
    let mut bytes = Vec::new();
    archive.read_to_end(&mut bytes).map_err(MediaError::from_io)?;
    let root = Element::parse(&bytes, DESCRIPTOR)?;
    drop(bytes);
    let mut vib = described(&root, id)?;
    let may_hold_loaders = loader::may_hold(&root);
    drop(root);
    let mut loaders = Vec::new();
    let mut found: HashMap<String, u64> = HashMap::new();
    while let Some(member) = archive.next()? {
        if member.name == SIGNATURE {
            vib.signed = member.size > 0;
            continue;
        }
        let Some(payload) = vib.payloads.iter_mut().find(|payload| payload.name == member.name) else {
            continue;
        };
        if payload.size != member.size {
            return Err(MediaError::malformed(format!(
                "payload `{}` has {} bytes and its descriptor says {}",
                member.name, member.size, payload.size
            )));
        }
        payload.offset = member.offset;
        let is_tar = matches!(payload.kind.as_str(), "tgz" | "boot" | "bootpart" | "insttgz");
        if found.insert(member.name.clone(), member.offset).is_some() {
            return Err(MediaError::new(Refusal::Twice, format!("payload `{}` is there twice", member.name)));
        }
        if may_hold_loaders && is_tar {
            loader::search(&mut archive, &mut loaders);
        }
    }
    match vib.payloads.iter().find(|payload| !found.contains_key(&payload.name)) {
        Some(absent) => Err(missing(format!("its payload `{}` is not in it", absent.name))),
        None => Ok((vib, loaders)),
    }
}

fn described(root: &Element, wanted: &str) -> Result<Vib, MediaError> {
    let missing = |what: &str| {
        MediaError::new(Refusal::Missing, format!("{DESCRIPTOR} has no {what}, which was looked for"))
    };
    let own = id(root).ok_or_else(|| missing("`vendor`, `name` and `version`"))?;
    if own != wanted {
        return Err(MediaError::malformed(format!("its {DESCRIPTOR} is that of `{own}`")));
    }
    let mut payloads: Vec<Payload> = Vec::new();
    for payload in root.child("payloads").into_iter().flat_map(|list| list.all("payload")) {
        let name = payload.value(&["name", "payloadname"]).ok_or_else(|| missing("`name` of a payload"))?;
        let size = payload.value(&["size"]).and_then(|size| size.parse().ok());
        if matches!(name, DESCRIPTOR | SIGNATURE) || payloads.iter().any(|own| own.name == name) {
            return Err(MediaError::new(Refusal::Twice, format!("two of its payloads are called `{name}`")));
        }
        if payloads.len() >= AR_MEMBERS_MAX {
            return Err(MediaError::limit(format!("it has more than {AR_MEMBERS_MAX} payloads")));
        }
        payloads.push(Payload {
            name: name.to_owned(),
            kind: payload
                .value(&["type"])
                .ok_or_else(|| missing("`type` of a payload"))?
                .to_ascii_lowercase(),
            size: size.ok_or_else(|| missing("`size` of a payload"))?,
            sha256: sha256(payload),
            order: order(payload),
            file: payload.value(&["vfatname", "filename", "bootname"]).map(str::to_owned),
            offset: 0,
        });
    }
    Ok(Vib {
        id: own,
        name: root.value(&["name"]).unwrap_or_default().to_owned(),
        version: root.value(&["version"]).unwrap_or_default().to_owned(),
        overlay: root.value(&["overlay"]).is_some_and(|text| text.eq_ignore_ascii_case("true")),
        signed: false,
        payloads,
    })
}

/// Bytes that are hashed as they pass.
struct Hashing<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
