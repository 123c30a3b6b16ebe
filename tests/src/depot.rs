//! Synthetic ESXi offline bundles: the layout of real ones, payloads of noise, two vendors, two image profiles, a package of
//! the community without a signature. Written with a zip writer of our own, that stores and does not pack.

use crate::esxi::noise;
use anyhow::{Context, Result, ensure};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Profile without a name asked for: the one that ends so.
pub const STANDARD: &str = "ESXi-8.0U2-22380479-standard";

/// The other profile: with the community's package.
pub const WITH_TOOL: &str = "ESXi-8.0U2-22380479-with-tool";

/// `build=` of the image.
pub const BUILD: &str = "8.0.2-0.0.22380479";

/// Payloads: package, payload, kind, what both profiles call the file. In an order that is not that of booting.
const PAYLOADS: [(&str, &str, &str, &str); 10] = [
    ("net-acme", "net-acme", "vgz", "net_acme.v00"),
    ("esx-base", "s", "vgz", "s.v00"),
    ("esx-base", "sb", "vgz", "sb.v00"),
    ("esx-base", "k", "boot", "k.b00"),
    ("esx-base", "features", "boot", "features.gz"),
    ("esx-base", "useropts", "boot", "useropts.gz"),
    ("esx-base", "jumpstrt", "boot", "jumpstrt.gz"),
    ("esx-base", "b", "boot", "b.b00"),
    ("vmx", "vmx", "vgz", "vmx.v00"),
    ("tool", "tool", "tgz", "tool.t00"),
];

/// Modules behind the kernel of [`STANDARD`], in loading order.
pub const MODULES: [&str; 8] =
    ["jumpstrt.gz", "useropts.gz", "features.gz", "k.b00", "net_acme.v00", "s.v00", "sb.v00", "vmx.v00"];

/// Vendor and version of a package.
const PACKAGES: [(&str, &str, &str); 4] = [
    ("net-acme", "ACME", "1.0-1OEM.800"),
    ("esx-base", "VMware", BUILD),
    ("vmx", "VMware", BUILD),
    ("tool", "someone", "0.1-1"),
];

/// The file that is the kernel.
pub const KERNEL: &str = "b.b00";

/// The bytes of a module.
pub fn module(name: &str, bytes: usize) -> Vec<u8> {
    let place = PAYLOADS.iter().position(|(_, _, _, file)| *file == name).unwrap_or(PAYLOADS.len());
    noise(1000 + place as u64, bytes)
}

/// Writes a bundle into `folder` with this kernel, whose other payloads have `bytes` each.
///
/// # Errors
/// When a file cannot be written or hashed.
pub fn build(folder: &Path, kernel: &[u8], bytes: usize) -> Result<PathBuf> {
    let (mut bundle, mut own, mut acme) = (Zip::default(), Zip::default(), Zip::default());
    for (name, vendor, version) in PACKAGES {
        let payloads = PAYLOADS.iter().filter(|(package, _, _, _)| *package == name);
        let mut described = String::new();
        let mut members = Vec::new();
        for (_, payload, kind, called) in payloads {
            let content = if *called == KERNEL { kernel.to_vec() } else { module(called, bytes) };
            described.push_str(&format!(
                "<payload name=\"{payload}\" type=\"{kind}\" size=\"{}\"><checksum checksum-type=\"sha-256\">{}\
                 </checksum></payload>",
                content.len(),
                sha256(&content)?
            ));
            members.push(((*payload).to_owned(), content));
        }
        let about = format!(
            "<vib version=\"5.0\"><type>bootbank</type><name>{name}</name><version>{version}</version>\
             <vendor>{vendor}</vendor><overlay>{}</overlay><payloads>{described}</payloads>",
            name == "tool"
        );
        let signature = if name == "tool" { Vec::new() } else { b"a signature would be here".to_vec() };
        members.insert(0, ("sig.pkcs7".to_owned(), signature));
        members.insert(0, ("descriptor.xml".to_owned(), format!("{about}</vib>").into_bytes()));
        let package = ar(&members);
        let path = format!("vib20/{name}/{vendor}_bootbank_{name}_{version}.vib");
        let record = format!(
            "{about}<relative-path>{path}</relative-path><packed-size>{}</packed-size>\
             <checksum checksum-type=\"sha-256\">{}</checksum></vib>",
            package.len(),
            sha256(&package)?
        );
        let metadata = if vendor == "ACME" { &mut acme } else { &mut own };
        metadata.add(&format!("vibs/{name}.xml"), record.as_bytes());
        bundle.add(&path, &package);
    }
    for (name, packages) in
        [(STANDARD, &["net-acme", "esx-base", "vmx"][..]), (WITH_TOOL, &["tool", "esx-base", "vmx"][..])]
    {
        own.add(&format!("profiles/{name}.xml"), profile(name, packages).as_bytes());
    }
    own.add("vmware.xml", b"<metadataResponse/>");
    let index = |url: &str| {
        format!(
            "<metaList><metadata><productId>embeddedEsx</productId><url>{url}</url></metadata></metaList>"
        )
    };
    bundle.add(
        "index.xml",
        b"<vendorList><vendor><name>VMware</name><indexfile>vendor-index.xml</indexfile></vendor>\
          <vendor><name>ACME</name><indexfile>acme-index.xml</indexfile></vendor></vendorList>",
    );
    bundle.add("vendor-index.xml", index("metadata.zip").as_bytes());
    bundle.add("acme-index.xml", index("acme-metadata.zip").as_bytes());
    bundle.add("metadata.zip", &own.end());
    bundle.add("acme-metadata.zip", &acme.end());
    std::fs::create_dir_all(folder)?;
    let path = folder.join("VMware-ESXi-8.0U2-22380479-depot.zip");
    std::fs::write(&path, bundle.end()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn profile(name: &str, packages: &[&str]) -> String {
    let mut list = String::new();
    for package in packages {
        let Some((_, vendor, version)) = PACKAGES.iter().find(|(own, _, _)| own == package) else { continue };
        list.push_str(&format!("<vib><vib-id>{vendor}_bootbank_{package}_{version}</vib-id><payloads>"));
        for (_, payload, _, file) in PAYLOADS.iter().filter(|(own, _, _, _)| own == package) {
            list.push_str(&format!("<payload payload-name=\"{payload}\">{file}</payload>"));
        }
        list.push_str("</payloads></vib>");
    }
    format!("<imageprofile><name>{name}</name><viblist>{list}</viblist></imageprofile>")
}

fn ar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let size = content.len();
        bytes.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644).bytes());
        bytes.extend(content);
        if !size.is_multiple_of(2) {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// By `sha256sum`: a hash of somebody else's.
fn sha256(bytes: &[u8]) -> Result<String> {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("sha256sum has no input")?.write_all(bytes)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "sha256sum failed");
    Ok(String::from_utf8_lossy(&output.stdout).chars().take(64).collect())
}

/// A zip whose members are stored as they are.
#[derive(Default)]
struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

impl Zip {
    fn add(&mut self, name: &str, content: &[u8]) {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc32(content).to_le_bytes());
        common.extend(number(content.len()));
        common.extend(number(content.len()));
        common.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        common.extend([0, 0]);
        self.directory.extend(b"PK\x01\x02\x14\x03");
        self.directory.extend(&common);
        self.directory.extend([0; 6]);
        self.directory.extend((0o100_644u32 << 16).to_le_bytes());
        self.directory.extend(number(self.bytes.len()));
        self.directory.extend(name.as_bytes());
        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&common);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(content);
        self.count += 1;
    }

    fn end(mut self) -> Vec<u8> {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        let (offset, size) = (number(self.bytes.len()), number(self.directory.len()));
        self.bytes.extend(&self.directory);
        self.bytes.extend(b"PK\x05\x06\0\0\0\0");
        self.bytes.extend(self.count.to_le_bytes());
        self.bytes.extend(self.count.to_le_bytes());
        self.bytes.extend(size);
        self.bytes.extend(offset);
        self.bytes.extend([0, 0]);
        self.bytes
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
