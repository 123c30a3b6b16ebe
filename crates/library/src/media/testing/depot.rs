//! Depots as a test wants them: packages, two image profiles, two vendors; every text and size with a knob.

use super::{Member, gzip, tar, zip};
use crate::Digest;
use std::collections::BTreeMap;

/// A header of an `ar` member.
pub(crate) fn ar_header(name: &str, size: usize) -> Vec<u8> {
    format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, "100644").into_bytes()
}

pub(crate) fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        bytes.extend(ar_header(name, content.len()));
        bytes.extend(*content);
        if !content.len().is_multiple_of(2) {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// One payload: name, kind and bytes.
pub(crate) type Payload = (String, String, Vec<u8>);

/// A package.
#[derive(Clone)]
pub(crate) struct Vib {
    pub(crate) vendor: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) signature: Vec<u8>,
    pub(crate) overlay: bool,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) file_list: Vec<String>,
    /// The whole `ar` instead of what would be made.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Replaces in its metadata: from, to.
    pub(crate) metadata: Vec<(String, String)>,
    /// Replaces in its descriptor: from, to.
    pub(crate) descriptor: Vec<(String, String)>,
}

fn replaced(text: String, pairs: &[(String, String)]) -> String {
    pairs.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from.as_str()), "{from} is not in {text}");
        text.replace(from.as_str(), to)
    })
}

impl Vib {
    pub(crate) fn of(vendor: &str, name: &str, version: &str, payloads: &[(&str, &str, &[u8])]) -> Vib {
        let owned =
            |(name, kind, bytes): &(&str, &str, &[u8])| ((*name).into(), (*kind).into(), bytes.to_vec());
        Vib {
            vendor: vendor.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            signature: b"signature".to_vec(),
            overlay: false,
            payloads: payloads.iter().map(owned).collect(),
            file_list: Vec::new(),
            bytes: None,
            metadata: Vec::new(),
            descriptor: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> String {
        format!("{}_bootbank_{}_{}", self.vendor, self.name, self.version)
    }

    pub(crate) fn path(&self) -> String {
        format!("vib20/{}/{}.vib", self.name, self.id())
    }

    fn described(&self, more: &str) -> String {
        let payloads: String = self
            .payloads
            .iter()
            .map(|(name, kind, bytes)| {
                format!(
                    "<payload name=\"{name}\" type=\"{kind}\" size=\"{}\"><checksum checksum-type=\"sha-1\" \
                     verify-process=\"gunzip\">00</checksum><checksum checksum-type=\"sha-256\">{}</checksum></payload>",
                    bytes.len(),
                    Digest::of(bytes)
                )
            })
            .collect();
        let files: String = self.file_list.iter().map(|file| format!("<file>{file}</file>")).collect();
        format!(
            "<vib version=\"5.0\"><type>bootbank</type><name>{}</name><version>{}</version><vendor>{}</vendor>\
             <file-list>{files}</file-list><overlay>{}</overlay><payloads>{payloads}</payloads>{more}</vib>",
            self.name, self.version, self.vendor, self.overlay
        )
    }

    pub(crate) fn package(&self) -> Vec<u8> {
        if let Some(bytes) = &self.bytes {
            return bytes.clone();
        }
        let descriptor = replaced(self.described(""), &self.descriptor);
        let mut members: Vec<(&str, &[u8])> =
            vec![("descriptor.xml", descriptor.as_bytes()), ("sig.pkcs7", &self.signature)];
        members.extend(self.payloads.iter().map(|(name, _, bytes)| (name.as_str(), &bytes[..])));
        ar(&members)
    }

    /// As it stands in `vibs/`.
    pub(crate) fn record(&self) -> String {
        let package = self.package();
        let more = format!(
            "<relative-path>{}</relative-path><packed-size>{}</packed-size><checksum checksum-type=\"sha-256\">{}</checksum>",
            self.path(),
            package.len(),
            Digest::of(&package)
        );
        replaced(self.described(&more), &self.metadata)
    }
}

/// A profile: its name and its packages, each with what its payloads are called.
pub(crate) type Profile = (String, Vec<(String, Vec<(String, String)>)>);

/// A bundle.
#[derive(Clone)]
pub(crate) struct Bundle {
    pub(crate) vibs: Vec<Vib>,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) deflated: bool,
    /// Files of the bundle instead of what would be made, or beside it; none takes it away.
    pub(crate) files: BTreeMap<String, Option<Vec<u8>>>,
    /// The same for the metadata of the first vendor.
    pub(crate) inner: BTreeMap<String, Option<Vec<u8>>>,
}

/// Noise that does not pack, another for each name.
pub(crate) fn noise(name: &str, count: usize) -> Vec<u8> {
    let digests = (0..count.div_ceil(32)).map(|number| Digest::of(format!("{name}{number}").as_bytes()).0);
    digests.flatten().take(count).collect()
}

/// What profiles call the payloads of the usual bundle.
pub(crate) const FILES: [(&str, &str); 10] = [
    ("b", "b.b00"),
    ("jumpstrt", "jumpstrt.gz"),
    ("useropts", "useropts.gz"),
    ("features", "features.gz"),
    ("k", "k.b00"),
    ("s", "s.v00"),
    ("sb", "sb.v00"),
    ("net-drv", "net_drv.v00"),
    ("vmx", "vmx.v00"),
    ("tool", "tool.t00"),
];

impl Bundle {
    /// A base of two packages, a driver of another vendor and a tool of the community; `…-standard` has all but the tool.
    pub(crate) fn usual() -> Bundle {
        let payload = |name: &str| gzip(&noise(name, 5_000 + name.len()));
        let (s, sb, k, b) = (payload("s"), payload("sb"), payload("k"), payload("b"));
        let (jumpstrt, useropts, features) = (payload("jumpstrt"), payload("useropts"), payload("features"));
        let base = Vib::of(
            "VMware",
            "esx-base",
            "8.0.2-0.0.22380479",
            &[
                ("s", "vgz", &s),
                ("sb", "vgz", &sb),
                ("k", "boot", &k),
                ("features", "boot", &features),
                ("useropts", "boot", &useropts),
                ("jumpstrt", "boot", &jumpstrt),
                ("b", "boot", &b),
                ("upgrade", "upgrade", b"not loaded"),
            ],
        );
        let vmx = Vib::of("VMware", "vmx", "8.0.2-0.0.22380479", &[("vmx", "vgz", &payload("vmx"))]);
        let driver = Vib::of("ACME", "net-drv", "1.2-1OEM.800", &[("net-drv", "vgz", &payload("net-drv"))]);
        let tool = Vib {
            signature: Vec::new(),
            overlay: true,
            ..Vib::of("someone", "tool", "0.1-1", &[("tool", "tgz", &payload("tool"))])
        };
        let vibs = vec![base, vmx, driver, tool];
        let named = |vib: &Vib| {
            let payloads = vib.payloads.iter().filter_map(|(name, _, _)| {
                let (_, file) = FILES.iter().find(|(own, _)| own == name)?;
                Some((name.clone(), (*file).to_owned()))
            });
            (vib.id(), payloads.collect())
        };
        let profiles = vec![
            (
                "ESXi-8.0U2-22380479-standard".to_owned(),
                vec![named(&vibs[2]), named(&vibs[0]), named(&vibs[1])],
            ),
            ("ESXi-8.0U2-22380479-tool".to_owned(), vec![named(&vibs[3]), named(&vibs[0]), named(&vibs[1])]),
        ];
        Bundle { vibs, profiles, deflated: false, files: BTreeMap::new(), inner: BTreeMap::new() }
    }

    pub(crate) fn profile_text((name, vibs): &Profile) -> String {
        let list: String = vibs
            .iter()
            .map(|(id, payloads)| {
                let payloads: String = payloads
                    .iter()
                    .map(|(payload, file)| format!("<payload payload-name=\"{payload}\">{file}</payload>"))
                    .collect();
                format!("<vib><vib-id>{id}</vib-id><payloads>{payloads}</payloads></vib>")
            })
            .collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imageprofile xmlns=\"urn:x\"><name>{name}</name>\n\
             <creator>VMware, Inc.</creator><acceptancelevel>partner</acceptancelevel><viblist>{list}</viblist></imageprofile>"
        )
    }

    fn packed(&self, files: BTreeMap<String, Vec<u8>>, over: &BTreeMap<String, Option<Vec<u8>>>) -> Vec<u8> {
        let mut files = files;
        for (name, bytes) in over {
            match bytes {
                Some(bytes) => files.insert(name.clone(), bytes.clone()),
                None => files.remove(name),
            };
        }
        let member = |(name, bytes): (&String, &Vec<u8>)| match self.deflated {
            true => Member::deflated(name, bytes),
            false => Member::stored(name, bytes),
        };
        zip(&files.iter().map(member).collect::<Vec<_>>())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut inner: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut other: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        inner.insert("vmware.xml".to_owned(), b"<metadataResponse/>".to_vec());
        for (number, profile) in self.profiles.iter().enumerate() {
            inner.insert(format!("profiles/p{number}.xml"), Bundle::profile_text(profile).into_bytes());
        }
        for (number, vib) in self.vibs.iter().enumerate() {
            let own = if vib.vendor == "ACME" { &mut other } else { &mut inner };
            own.insert(format!("vibs/{}-{number}.xml", vib.name), vib.record().into_bytes());
            files.insert(vib.path(), vib.package());
        }
        let vendor = |name: &str, code: &str, file: &str| {
            format!(
                "<vendor><name>{name}</name><code>{code}</code><indexfile>{file}</indexfile><patchUrl></patchUrl></vendor>"
            )
        };
        let index = format!(
            "<vendorList>{}{}</vendorList>",
            vendor("VMware, Inc.", "vmw", "vendor-index.xml"),
            vendor("ACME", "acme", "acme-index.xml")
        );
        let list = |url: &str, versions: &[&str]| {
            let metadata: String = versions
                .iter()
                .map(|version| {
                    format!("<metadata><productId>embeddedEsx</productId><version>{version}</version><url>{url}</url></metadata>")
                })
                .collect();
            format!("<metaList>{metadata}</metaList>").into_bytes()
        };
        files.insert("index.xml".to_owned(), index.into_bytes());
        files.insert("vendor-index.xml".to_owned(), list("metadata.zip", &["8.0.0", "8.0.1"]));
        files.insert("acme-index.xml".to_owned(), list("acme-metadata.zip", &["8.*"]));
        files.insert("metadata.zip".to_owned(), self.packed(inner, &self.inner));
        files.insert("acme-metadata.zip".to_owned(), self.packed(other, &BTreeMap::new()));
        self.packed(files, &self.files)
    }
}

/// A payload with files of a boot partition.
pub(crate) fn boot_partition(files: &[(&str, &[u8])]) -> Vec<u8> {
    gzip(&tar(files))
}
