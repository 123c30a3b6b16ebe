//! Depots: what is made of them, and hostile ones.

use super::super::testing::depot::{Bundle, Profile, Vib, ar, boot_partition, noise};
use super::*;
use crate::limits::{DEPOT_METADATA_BYTES_MAX, XML_BYTES_MAX};
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

fn read(bundle: &Bundle, profile: Option<&str>) -> Result<(Files, Vec<String>), MediaError> {
    read_bytes(bundle.bytes(), profile)
}

fn read_bytes(bytes: Vec<u8>, profile: Option<&str>) -> Result<(Files, Vec<String>), MediaError> {
    let bytes = Arc::new(bytes);
    let mut medium = open_profile(MediumKind::Depot, bytes.clone(), profile.map(str::to_owned));
    let (entries, notes) = medium.list(CAPS)?.into_parts();
    let mut files = Files::new();
    for entry in &entries {
        let mut content = Vec::new();
        match &entry.content {
            Content::Ranges(ranges) => RangesReader::new(&*bytes, ranges).read_to_end(&mut content),
            Content::Stream { .. } => medium.open(entry)?.read_to_end(&mut content),
        }
        .map_err(MediaError::from_io)?;
        assert_eq!(content.len() as u64, entry.size, "{}", entry.name);
        files.insert(entry.name.clone(), content);
    }
    Ok((files, notes))
}

fn line(files: &Files, key: &str) -> String {
    let text = std::str::from_utf8(&files["boot.cfg"]).unwrap().to_owned();
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap_or_else(|| panic!("no {key} in {text}"))
        .to_owned()
}

fn payload<'b>(bundle: &'b Bundle, name: &str) -> &'b [u8] {
    let mut payloads = bundle.vibs.iter().flat_map(|vib| &vib.payloads);
    &payloads.find(|(own, _, _)| own == name).unwrap().2
}

#[test]
fn a_bundle_becomes_the_files_of_its_standard_profile() {
    for deflated in [false, true] {
        let bundle = Bundle { deflated, ..Bundle::usual() };
        let (files, notes) = read(&bundle, None).unwrap();
        assert_eq!(line(&files, "kernel="), "b.b00");
        assert_eq!(
            line(&files, "modules="),
            "jumpstrt.gz --- useropts.gz --- features.gz --- k.b00 --- net_drv.v00 --- s.v00 --- sb.v00 --- vmx.v00"
        );
        assert_eq!(
            (line(&files, "build="), line(&files, "prefix=")),
            ("8.0.2-0.0.22380479".into(), String::new())
        );
        assert_eq!(line(&files, "title="), "Loading ESXi-8.0U2-22380479-standard");
        assert_eq!(files.len(), 10);
        for (name, file) in [("b", "b.b00"), ("s", "s.v00"), ("net-drv", "net_drv.v00")] {
            assert!(files[file] == payload(&bundle, name), "{file} is not the payload as it is");
        }
        let notes = notes.join("; ");
        assert!(notes.contains("`ESXi-8.0U2-22380479-standard` of 2"), "{notes}");
        assert!(notes.contains("no boot order") && notes.contains("`upgrade` (upgrade)"), "{notes}");
        assert!(!notes.contains("signature"), "{notes}");
    }
}

#[test]
fn a_profile_is_chosen_by_name_or_refused_with_the_names() {
    let bundle = Bundle::usual();
    let (files, notes) = read(&bundle, Some("esxi-8.0u2-22380479-TOOL")).unwrap();
    // What replaces files of others is unpacked last.
    assert!(line(&files, "modules=").ends_with("vmx.v00 --- tool.t00"), "{}", line(&files, "modules="));
    assert!(notes.join("; ").contains("1 packages have no signature, `tool` first"), "{notes:?}");
    let error = read(&bundle, Some("other")).unwrap_err();
    assert_eq!(error.refusal, Refusal::Profile);
    assert!(error.detail.contains("`other`; it has `ESXi-8.0U2-22380479-standard`, `ESXi"), "{error}");
    let mut several = bundle.clone();
    several.profiles[1].0 = "ESXi-8.0U2sb-standard".to_owned();
    let error = read(&several, None).unwrap_err();
    assert!(error.detail.contains("has 2 image profiles") && error.detail.contains("--profile"), "{error}");
    let mut one = bundle.clone();
    one.profiles.remove(0);
    assert!(read(&one, None).unwrap().0.contains_key("tool.t00"));
    let mut none = bundle;
    none.profiles.clear();
    assert!(read(&none, None).unwrap_err().detail.contains("looked for `profiles/*.xml`"));
}

#[test]
fn boot_orders_and_names_of_the_profile_and_of_packages_count() {
    let mut bundle = Bundle::usual();
    let orders =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    bundle.vibs[0].descriptor = orders(&[
        ("name=\"k\"", "name=\"k\" boot-order=\"1\""),
        ("name=\"sb\"", "name=\"sb\" bootOrder=\"2\""),
    ]);
    let (files, notes) = read(&bundle, None).unwrap();
    assert_eq!(line(&files, "kernel="), "k.b00");
    assert!(
        line(&files, "modules=").starts_with("sb.v00 --- b.b00 --- jumpstrt.gz"),
        "{}",
        line(&files, "modules=")
    );
    assert!(!notes.join("; ").contains("no boot order"));
    // Without names of the profile: those of the descriptor, then 8.3 ones.
    for (_, vibs) in &mut bundle.profiles {
        vibs.iter_mut().for_each(|(_, payloads)| payloads.clear());
    }
    bundle.vibs[0].descriptor = orders(&[("name=\"k\"", "name=\"k\" vfat-name=\"kernel.b00\"")]);
    let (files, notes) = read(&bundle, None).unwrap();
    assert_eq!(line(&files, "kernel="), "b.b00");
    assert_eq!(
        line(&files, "modules="),
        "jumpstrt.gz --- useropts.gz --- features.gz --- kernel.b00 --- net_drv.v00 --- s.v00 --- sb.v00 --- vmx.v00"
    );
    assert!(notes.join("; ").contains("names no file for 8 payloads"), "{notes:?}");
    // Eight letters are the same twice.
    bundle.vibs[2].payloads = vec![
        ("net-driver-a".into(), "vgz".into(), noise("a", 9)),
        ("net-driver-b".into(), "vgz".into(), noise("b", 9)),
    ];
    let (files, _) = read(&bundle, None).unwrap();
    assert!(line(&files, "modules=").contains("net_driv.v00 --- net_driv.v01 --- "));
}

#[test]
fn loaders_in_a_payload_become_the_images_own() {
    let mut bundle = Bundle::usual();
    let loaders = boot_partition(&[
        ("boot/efi/VMware/mboot64.efi", b"MZ uefi"),
        ("boot/efi/VMware/crypto64.efi", b"MZ crypto"),
        ("boot/efi/boot/bootx64.efi", b"MZ of the disk"),
        ("boot/mboot.c32", b"bios"),
    ]);
    bundle.vibs[0].payloads.insert(0, ("esx-boot".into(), "bootpart".into(), loaders));
    bundle.vibs[0].file_list = vec!["boot/mboot.c32".into()];
    let (files, _) = read(&bundle, None).unwrap();
    assert_eq!((&files["mboot.efi"][..], &files["mboot.c32"][..]), (&b"MZ uefi"[..], &b"bios"[..]));
    assert_eq!(files["crypto64.efi"], b"MZ crypto");
    // Without a file of that name in its list it is not looked through, and one that is damaged has none.
    bundle.vibs[0].file_list = vec!["bin/sh".into()];
    assert!(!read(&bundle, None).unwrap().0.contains_key("mboot.efi"));
    bundle.vibs[0].file_list = vec!["boot/mboot.c32".into()];
    bundle.vibs[0].payloads[0].2.truncate(20);
    assert!(!read(&bundle, None).unwrap().0.contains_key("mboot.efi"));
}

#[test]
fn checksums_are_read_in_both_spellings() {
    let mut bundle = Bundle::usual();
    let digest = crate::Digest::of(&bundle.vibs[1].package()).to_string();
    bundle.vibs[1].metadata = vec![
        (
            format!("<checksum checksum-type=\"sha-256\">{digest}</checksum></vib>"),
            format!(
                "<checksum><checksumType>SHA-256</checksumType><checksum>{digest}</checksum></checksum></vib>"
            ),
        ),
        ("relative-path".to_owned(), "relativePath".to_owned()),
        ("packed-size".to_owned(), "packedSize".to_owned()),
    ];
    assert!(read(&bundle, None).unwrap().0.contains_key("vmx.v00"));
}

/// What a change makes of the usual bundle.
fn refused(change: impl Fn(&mut Bundle)) -> MediaError {
    let mut first = None;
    for deflated in [false, true] {
        let mut bundle = Bundle { deflated, ..Bundle::usual() };
        change(&mut bundle);
        let error = read(&bundle, None).unwrap_err();
        assert!(first.replace(error.refusal).is_none_or(|own| own == error.refusal), "{error}");
        if deflated {
            return error;
        }
    }
    unreachable!()
}

fn pair(from: &str, to: &str) -> Vec<(String, String)> {
    vec![(from.to_owned(), to.to_owned())]
}

#[test]
fn parts_that_are_missing_are_named() {
    for (file, named) in [
        ("index.xml", "index.xml"),
        ("vendor-index.xml", "vendor-index.xml"),
        ("metadata.zip", "metadata.zip"),
        ("vib20/vmx/VMware_bootbank_vmx_8.0.2-0.0.22380479.vib", "VMware_bootbank_vmx_8.0.2-0.0.22380479"),
    ] {
        let error = refused(|bundle| drop(bundle.files.insert(file.to_owned(), None)));
        assert_eq!(error.refusal, Refusal::Missing, "{error}");
        assert!(error.detail.contains(named), "{error}");
    }
    let inner = [
        ("vibs/vmx-1.xml", None, "`VMware_bootbank_vmx_8.0.2-0.0.22380479`, which no `vibs/*.xml`"),
        ("vibs/vmx-1.xml", Some("<vib><name>vmx</name></vib>"), "looked for `vendor`, `name` and `version`"),
        ("profiles/p0.xml", Some("<imageprofile/>"), "no `name`"),
        ("profiles/p0.xml", Some("<p><name>a-standard</name></p>"), "no `viblist`"),
        ("profiles/p0.xml", Some("<p><name>a-standard</name><viblist/></p>"), "no `vib` in its"),
        ("profiles/p0.xml", Some("<p><name>a-standard</name><viblist><vib/></viblist></p>"), "no `vib-id`"),
    ];
    for (file, text, named) in inner {
        let text = text.map(|text: &str| text.as_bytes().to_vec());
        let error = refused(|bundle| drop(bundle.inner.insert(file.to_owned(), text.clone())));
        assert_eq!(error.refusal, Refusal::Missing, "{error}");
        assert!(error.detail.contains(named), "{error}");
    }
    let outer = [
        ("index.xml", "<vendorList/>", "looked for `vendor` with `indexfile`"),
        ("vendor-index.xml", "<metaList/>", "looked for `metadata` with `url`"),
    ];
    for (file, text, named) in outer {
        let error = refused(|bundle| drop(bundle.files.insert(file.to_owned(), Some(text.into()))));
        assert!(error.refusal == Refusal::Missing && error.detail.contains(named), "{error}");
    }
    for (from, named) in [("relative-path", "`relative-path`"), ("sha-256", "sha-256")] {
        let error = refused(|bundle| bundle.vibs[1].metadata = pair(from, "x"));
        assert!(error.refusal == Refusal::Missing && error.detail.contains(named), "{error}");
    }
    for from in [" type=\"boot\"", " size=", "name=\"k\""] {
        let error = refused(|bundle| bundle.vibs[0].descriptor = pair(from, " x="));
        assert_ne!(error.refusal, Refusal::Checksum, "{error}");
    }
    // Drivers alone are no image.
    let error = refused(|bundle| drop(bundle.profiles[0].1.remove(1)));
    assert!(error.detail.contains("has no kernel: looked for"), "{error}");
}

#[test]
fn wrong_sums_and_sizes_and_descriptors_of_others_are_refused() {
    let digest = crate::Digest::of(&Bundle::usual().vibs[1].package()).to_string();
    let other = crate::Digest::of(b"other").to_string();
    let error = refused(|bundle| bundle.vibs[1].metadata = pair(&digest, &other));
    assert_eq!(error.refusal, Refusal::Checksum);
    assert!(error.detail.contains("`VMware_bootbank_vmx_8.0.2-0.0.22380479`"), "{error}");
    let error = refused(|bundle| bundle.vibs[1].metadata = pair("<packed-size>", "<packed-size>1"));
    assert_eq!(error.refusal, Refusal::Malformed);
    let error = refused(|bundle| bundle.vibs[1].descriptor = pair("size=\"", "size=\"1"));
    assert!(error.detail.contains("`vmx` has") && error.refusal == Refusal::Malformed, "{error}");
    let error = refused(|bundle| bundle.vibs[1].descriptor = pair("<name>vmx<", "<name>esx-base<"));
    assert!(error.detail.contains("is that of `VMware_bootbank_esx-base_"), "{error}");
    // Of a payload: told while it is read, where it is unpacked again.
    let own = crate::Digest::of(payload(&Bundle::usual(), "vmx")).to_string();
    let mut bundle = Bundle { deflated: true, ..Bundle::usual() };
    bundle.vibs[1].descriptor = pair(&own, &other);
    assert_eq!(read(&bundle, None).unwrap_err().refusal, Refusal::Checksum);
}

#[test]
fn names_that_leave_the_bundle_or_the_list_are_refused() {
    for path in ["../x.vib", "vib20/../../x.vib", "/etc/passwd", "vib20/./x.vib", "a\\b.vib", "vib20//x.vib"]
    {
        let own = Bundle::usual().vibs[1].path();
        let error = refused(|bundle| bundle.vibs[1].metadata = pair(&own, path));
        assert_eq!(error.refusal, Refusal::Name, "{path}: {error}");
    }
    for (file, text) in [
        ("index.xml", "<l><vendor><indexfile>../vendor-index.xml</indexfile></vendor></l>"),
        ("vendor-index.xml", "<l><metadata><url>../metadata.zip</url></metadata></l>"),
    ] {
        let error = refused(|bundle| drop(bundle.files.insert(file.to_owned(), Some(text.into()))));
        assert_eq!(error.refusal, Refusal::Name, "{error}");
    }
    for file in [
        "../b.b00",
        "a/b",
        "x y",
        "x---y",
        "a=b",
        "a?b",
        "a%20",
        "boot.cfg",
        "MBOOT.EFI",
        "-c",
        "http:x",
        "\u{fc}.v00",
        &"x".repeat(65),
    ] {
        let error = refused(|bundle| file.clone_into(&mut bundle.profiles[0].1[2].1[0].1));
        assert_eq!(error.refusal, Refusal::Name, "{file}: {error}");
    }
    let error = refused(|bundle| "B.B00".clone_into(&mut bundle.profiles[0].1[2].1[0].1));
    assert_eq!(error.refusal, Refusal::Twice, "{error}");
    assert!(error.detail.contains("`B.B00`") || error.detail.contains("`b.b00`"), "{error}");
}

#[test]
fn indexes_that_point_at_themselves_end() {
    for (file, text) in [
        ("index.xml", "<l><vendor><indexfile>index.xml</indexfile></vendor></l>"),
        ("vendor-index.xml", "<l><metadata><url>vendor-index.xml</url></metadata></l>"),
        ("vendor-index.xml", "<l><metadata><url>index.xml</url></metadata></l>"),
        (
            "vendor-index.xml",
            "<l><metadata><url>vib20/vmx/VMware_bootbank_vmx_8.0.2-0.0.22380479.vib</url></metadata></l>",
        ),
    ] {
        let error = refused(|bundle| drop(bundle.files.insert(file.to_owned(), Some(text.into()))));
        assert!(matches!(error.refusal, Refusal::Missing | Refusal::Malformed), "{error}");
    }
    // Metadata inside metadata are not followed.
    let mut bundle = Bundle::usual();
    let whole = bundle.bytes();
    bundle.inner.insert("metadata.zip".to_owned(), Some(whole));
    assert!(read(&bundle, None).is_ok());
}

#[test]
fn what_is_there_twice_is_refused() {
    let error = refused(|bundle| bundle.profiles[1].0 = bundle.profiles[0].0.clone());
    assert!(error.refusal == Refusal::Twice && error.detail.contains("two image profiles"), "{error}");
    let error = refused(|bundle| {
        let first = bundle.profiles[0].1[0].clone();
        bundle.profiles[0].1.push(first);
    });
    assert!(error.refusal == Refusal::Twice && error.detail.contains("twice"), "{error}");
    let error = refused(|bundle| {
        let again = Vib { metadata: pair("<packed-size>", "<packed-size>1"), ..bundle.vibs[1].clone() };
        bundle.inner.insert("vibs/again.xml".to_owned(), Some(again.record().into_bytes()));
    });
    assert!(error.refusal == Refusal::Twice && error.detail.contains("described twice"), "{error}");
    let error = refused(|bundle| {
        let again = bundle.vibs[1].payloads[0].clone();
        bundle.vibs[1].payloads.push(again);
    });
    assert!(error.refusal == Refusal::Twice && error.detail.contains("`vmx`"), "{error}");
    // The descriptor names it once and the archive has it twice.
    let error = refused(|bundle| {
        let vib = &mut bundle.vibs[1];
        let (package, vmx) = (vib.package(), vib.payloads[0].2.clone());
        vib.bytes = Some([package, ar(&[("vmx", &vmx)])[8..].to_vec()].concat());
    });
    assert!(error.refusal == Refusal::Twice && error.detail.contains("`vmx` is there twice"), "{error}");
}

#[test]
fn packages_that_are_cut_off_or_something_else_are_refused() {
    let whole = Bundle::usual().vibs[1].package();
    let end_of_descriptor = whole.windows(9).position(|nine| nine == b"sig.pkcs7").unwrap();
    for length in [0, 7, 8, 40, 68, 500, end_of_descriptor, end_of_descriptor + 60, whole.len() - 10] {
        let error = refused(|bundle| bundle.vibs[1].bytes = Some(whole[..length].to_vec()));
        assert!(matches!(error.refusal, Refusal::Malformed | Refusal::Missing), "{length}: {error}");
        assert!(error.detail.contains("VMware_bootbank_vmx_"), "{error}");
    }
    for other in [&b"PK\x03\x04"[..], &[0; 5000], b"!<arch>\n", b"!<arch>\nrubbish"] {
        let error = refused(|bundle| bundle.vibs[1].bytes = Some(other.to_vec()));
        assert!(matches!(error.refusal, Refusal::Malformed | Refusal::Missing), "{error}");
    }
}

#[test]
fn xml_made_to_harm_is_refused_wherever_it_stands() {
    let bomb = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]><l>&b;</l>".to_owned();
    let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let huge = format!("<a>{}</a>", " ".repeat(usize::try_from(XML_BYTES_MAX).unwrap()));
    let many = format!("<a>{}</a>", "<vendor/>".repeat(150_000));
    for text in [bomb, deep, huge, many, "<a>".to_owned(), "\0".to_owned(), String::new()] {
        let own = Some(text.clone().into_bytes());
        let shown = text.get(..20).unwrap_or_default().to_owned();
        for file in ["index.xml", "vendor-index.xml"] {
            let error = refused(|bundle| drop(bundle.files.insert(file.to_owned(), own.clone())));
            assert!(error.detail.contains(file), "{file} {shown}: {error}");
        }
        for file in ["profiles/p0.xml", "vibs/vmx-1.xml"] {
            let error = refused(|bundle| drop(bundle.inner.insert(file.to_owned(), own.clone())));
            assert!(error.detail.contains(file), "{file} {shown}: {error}");
        }
        let error = refused(|bundle| bundle.vibs[1].bytes = Some(ar(&[("descriptor.xml", text.as_bytes())])));
        assert!(error.detail.contains("descriptor.xml"), "{shown}: {error}");
    }
}

#[test]
fn metadata_that_are_too_large_or_no_zip_are_refused() {
    let large = vec![0u8; usize::try_from(DEPOT_METADATA_BYTES_MAX).unwrap() + 1];
    for (bytes, refusal) in [(large, Refusal::Limit), (b"PK\x03\x04 not".to_vec(), Refusal::Malformed)] {
        let mut bundle = Bundle::usual();
        bundle.files.insert("metadata.zip".to_owned(), Some(bytes));
        let error = read(&bundle, None).unwrap_err();
        assert_eq!(error.refusal, refusal, "{error}");
        assert!(error.detail.contains("metadata.zip"), "{error}");
    }
    let mut many: Profile = Bundle::usual().profiles[0].clone();
    many.1 = (0..1001).map(|number| (format!("v_bootbank_n_{number}"), Vec::new())).collect();
    let error = refused(|bundle| bundle.profiles[0].1.clone_from(&many.1));
    assert_eq!(error.refusal, Refusal::Limit, "{error}");
}

/// Every byte of a bundle's structure, changed: refused or harmless, and never another payload.
#[test]
fn a_bundle_with_any_byte_changed_is_refused_or_the_same() {
    let mut bundle = Bundle::usual();
    for vib in &mut bundle.vibs {
        vib.payloads.iter_mut().for_each(|(_, _, bytes)| bytes.truncate(40));
    }
    let whole = bundle.bytes();
    let (own, _) = read_bytes(whole.clone(), None).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x21;
        if let Ok((files, _)) = read_bytes(bytes, None) {
            for (name, content) in files.iter().filter(|(name, _)| *name != "boot.cfg") {
                assert!(own.values().any(|known| known == content), "{name} changed with byte {at}");
            }
        }
    }
}

#[test]
fn the_listing_of_a_child_is_checked_like_any() {
    let bundle = Bundle::usual();
    let mut entries = open_profile(MediumKind::Depot, Arc::new(bundle.bytes()), None).list(CAPS).unwrap();
    entries.note("line\nwith \u{1b}[31m control");
    let (_, notes) = entries.into_parts();
    assert_eq!(notes.last().map(String::as_str), Some("line\\nwith \\u{1b}[31m control"));
}
