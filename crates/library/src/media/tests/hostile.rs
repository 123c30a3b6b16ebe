//! Media made to harm: whatever they say, they are refused with a reason or give harmless files, and nothing else happens.

use super::super::testing::{
    Disc, Member, SECTOR, deflate, gzip, pax, record, tar, tar_entry, tar_sum, udf, zip,
};
use super::*;
use crate::limits::{FILE_NAME_BYTES_MAX, IMAGE_FILES_MAX};
use crate::manifest::check_file_name;

/// What must become of it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Must {
    /// Refused for this.
    Be(Refusal),
    /// Refused, for whatever is found first.
    Fail,
    /// Refused or harmless.
    BeHarmless,
}

struct Case {
    what: String,
    kind: MediumKind,
    bytes: Vec<u8>,
    must: Must,
}

fn case(what: impl Into<String>, kind: MediumKind, bytes: Vec<u8>, must: Must) -> Case {
    Case { what: what.into(), kind, bytes, must }
}

/// Names that leave the image, hide, or cannot be asked for.
fn names() -> Vec<String> {
    let names = [
        "../evil",
        "../../etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "a/../../b",
        "a/../b",
        "a/./b",
        "..",
        ".",
        "a//b",
        "C:\\windows\\x",
        "C:/x",
        "c:x",
        "\\\\server\\share",
        "..\\..\\x",
        "a\\..\\b",
        "a\nb",
        "a\rb",
        "a\tb",
        "\u{1b}[31mred",
        "\u{202e}gpj.exe",
        "a\u{2066}b",
        "a\u{85}b",
        "\u{feff}a",
        "a\u{7f}",
        "a/..",
        "/",
        "./../x",
        "~/../x",
        "",
    ];
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    names.push("x".repeat(FILE_NAME_BYTES_MAX + 1));
    names.push(format!("{}x", "d/".repeat(40)));
    names
}

fn named() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in names() {
        let long = [pax("path", &name)].concat();
        let mut bytes = tar_entry(b"pax", b'x', long.len() as u64, &long);
        bytes.extend(tar_entry(b"x", b'0', 1, b"x"));
        bytes.resize(bytes.len() + 1024, 0);
        cases.push(case(format!("tar.gz named {name:?}"), MediumKind::TarGz, gzip(&bytes), Must::Fail));
        cases.push(case(format!("tar named {name:?}"), MediumKind::Tar, bytes, Must::Fail));
        let bytes = zip(&[Member::stored("fine", b"x"), Member::deflated(&name, b"x")]);
        cases.push(case(format!("zip named {name:?}"), MediumKind::Zip, bytes, Must::Fail));
        if name.len() < 100 {
            let bytes = raw_disc(&[record(b"X", 19, 1, 0, &name_area(name.as_bytes()))], true);
            cases.push(case(format!("Rock Ridge named {name:?}"), MediumKind::Iso, bytes, Must::Fail));
            let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let bytes = raw_joliet(&[record(&units, 20, 1, 0, &[])]);
            cases.push(case(format!("Joliet named {name:?}"), MediumKind::Iso, bytes, Must::Fail));
        }
    }
    cases
}

fn name_area(name: &[u8]) -> Vec<u8> {
    let mut area = vec![b'N', b'M', u8::try_from(name.len() + 5).unwrap(), 1, 0];
    area.extend(name);
    area
}

/// A disc whose root (sector 18) has these records; sector 19 is content, 20 sectors in all.
fn raw_disc(records: &[Vec<u8>], rock_ridge: bool) -> Vec<u8> {
    let mut image = vec![0u8; 24 * SECTOR];
    image[16 * SECTOR..16 * SECTOR + 7].copy_from_slice(b"\x01CD001\x01");
    image[16 * SECTOR + 128..16 * SECTOR + 130].copy_from_slice(&2048u16.to_le_bytes());
    let root = record(b"\0", 18, SECTOR, 2, &[]);
    image[16 * SECTOR + 156..16 * SECTOR + 156 + root.len()].copy_from_slice(&root);
    image[17 * SECTOR..17 * SECTOR + 7].copy_from_slice(b"\xffCD001\x01");
    let area = if rock_ridge { vec![b'S', b'P', 7, 1, 0xbe, 0xef, 0] } else { vec![] };
    put_records(&mut image, 18, records, &area);
    image
}

fn put_records(image: &mut [u8], sector: usize, records: &[Vec<u8>], dot: &[u8]) {
    let mut at = sector * SECTOR;
    for bytes in
        [record(b"\0", sector, SECTOR, 2, dot), record(b"\x01", 18, SECTOR, 2, &[])].iter().chain(records)
    {
        image[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    }
}

fn raw_joliet(records: &[Vec<u8>]) -> Vec<u8> {
    let mut image = raw_disc(&[], false);
    let descriptor = image[16 * SECTOR..17 * SECTOR].to_vec();
    let joliet = 17 * SECTOR;
    image[joliet..joliet + SECTOR].copy_from_slice(&descriptor);
    image[joliet] = 2;
    image[joliet + 88..joliet + 91].copy_from_slice(b"%/E");
    let root = record(b"\0", 19, SECTOR, 2, &[]);
    image[joliet + 156..joliet + 156 + root.len()].copy_from_slice(&root);
    put_records(&mut image, 19, records, &[]);
    image
}

fn tars() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>, must: Must| {
        cases.push(case(format!("tar.gz: {what}"), MediumKind::TarGz, gzip(&bytes), must));
        cases.push(case(format!("tar: {what}"), MediumKind::Tar, bytes, must));
    };
    let ended = |mut bytes: Vec<u8>| {
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    };
    let one = |kind: u8| ended(tar_entry(b"name", kind, 0, b""));
    for kind in [b'3', b'4', b'6'] {
        add(&format!("device of kind {}", char::from(kind)), one(kind), Must::Be(Refusal::NotPlain));
    }
    for kind in [b'S', b'V', b'D', b'M', b'N', b'Z', 0xff] {
        add(&format!("kind {kind:#x}"), one(kind), Must::Be(Refusal::Unsupported));
    }
    for (kind, target) in [(b'2', "/etc/passwd"), (b'1', "/etc/passwd"), (b'2', "../../x")] {
        let mut link = tar_entry(b"link", kind, 0, b"");
        link[157..157 + target.len()].copy_from_slice(target.as_bytes());
        tar_sum(&mut link);
        link.extend(tar_entry(b"link/file", b'0', 1, b"x"));
        add(&format!("link to {target} and a file below it"), ended(link), Must::BeHarmless);
    }
    let sized = |field: &[u8]| {
        let mut header = tar_entry(b"name", b'0', 0, b"");
        header[124..124 + field.len()].copy_from_slice(field);
        tar_sum(&mut header);
        header
    };
    add("size of 8 GiB", sized(b"77777777777\0"), Must::Fail);
    add("size in binary, 2^64-1", sized(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), Must::Fail);
    add("size in binary, 2^63", sized(b"\x80\0\0\0\x80\0\0\0\0\0\0\0"), Must::Fail);
    add("size in binary, longer", sized(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"), Must::Fail);
    add("negative size", sized(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Must::Fail);
    add("size that is no number", sized(b"00000hello \0"), Must::Fail);
    let extended = |bytes: &[u8]| {
        let mut tar = tar_entry(b"pax", b'x', bytes.len() as u64, bytes);
        tar.extend(tar_entry(b"name", b'0', 1, b"x"));
        ended(tar)
    };
    add("pax size beyond all", extended(&pax("size", "18446744073709551615")), Must::Fail);
    add("pax size that wraps when padded", extended(&pax("size", "18446744073709551614")), Must::Fail);
    add("pax size that is no number", extended(&pax("size", "-1")), Must::Fail);
    add("pax record of no length", extended(b"0 path=x\n"), Must::Fail);
    add("pax record longer than it is", extended(b"99 path=x\n"), Must::Fail);
    add("pax record without a blank", extended(b"11111111111111111111"), Must::Fail);
    add("pax record that ends in nothing", extended(b"8 path=x"), Must::Fail);
    add("pax sparse", extended(&pax("GNU.sparse.major", "1")), Must::Be(Refusal::Unsupported));
    // The pax size hides a second header from a reader that trusts the first one (CVE-2025-62518).
    let inner = tar_entry(b"smuggled", b'0', 0, b"");
    let mut smuggling = tar_entry(b"pax", b'x', pax("size", "512").len() as u64, &pax("size", "512"));
    let mut outer = tar_entry(b"outer", b'0', 0, b"");
    outer.extend(&inner);
    smuggling.extend(outer);
    add("an entry inside an entry", ended(smuggling), Must::BeHarmless);
    add("an extension of a gigabyte", tar_entry(b"x", b'x', 1 << 30, b""), Must::Be(Refusal::Limit));
    add("a long name of a gigabyte", tar_entry(b"x", b'L', 1 << 30, b""), Must::Be(Refusal::Limit));
    add("an extension and nothing", tar_entry(b"x", b'L', 4, b"name"), Must::Fail);
    add("names twice", tar(&[("a", b"1"), ("a", b"2")]), Must::Be(Refusal::Twice));
    add("names twice, once with a dot", tar(&[("a", b"1"), ("./a", b"2")]), Must::Be(Refusal::Twice));
    add("a name that is not UTF-8", ended(tar_entry(b"\xff\xfe", b'0', 1, b"x")), Must::Be(Refusal::Name));
    let mut broken = tar(&[("a", b"1")]);
    broken[0] ^= 1;
    add("a wrong checksum", broken, Must::Be(Refusal::Unknown));
    let mut second = tar(&[("a", b"1"), ("b", b"2")]);
    second[1024] ^= 1;
    add("a wrong checksum later", second, Must::Be(Refusal::Malformed));
    let many: Vec<u8> = (0..=IMAGE_FILES_MAX)
        .flat_map(|number| tar_entry(number.to_string().as_bytes(), b'0', 0, b""))
        .collect();
    add("too many files", many, Must::Be(Refusal::Limit));
    add("nothing at all", Vec::new(), Must::Be(Refusal::Unknown));
    add("no tar", b"hello".repeat(300), Must::Be(Refusal::Unknown));
    let mut bomb = tar_entry(b"zeros", b'0', 80 << 20, b"");
    bomb.resize(bomb.len() + (80 << 20), 0);
    cases.push(case("tar.gz: a bomb", MediumKind::TarGz, gzip(&bomb), Must::Be(Refusal::Limit)));
    let mut behind = gzip(&tar(&[("a", b"1")]));
    behind.extend(gzip(&vec![0; 80 << 20]));
    cases.push(case(
        "tar.gz: a bomb behind the archive",
        MediumKind::TarGz,
        behind,
        Must::Be(Refusal::Limit),
    ));
    let mut wrong = gzip(&tar(&[("a", b"1")]));
    let end = wrong.len() - 6;
    wrong[end] ^= 1;
    cases.push(case("tar.gz: a wrong checksum", MediumKind::TarGz, wrong, Must::Fail));
    let mut trailing = gzip(&tar(&[("a", b"1")]));
    trailing.extend(b"not gzip");
    cases.push(case("tar.gz: something behind", MediumKind::TarGz, trailing, Must::BeHarmless));
    cases
}

fn zips() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>, must: Must| {
        cases.push(case(format!("zip: {what}"), MediumKind::Zip, bytes, must));
    };
    let content = vec![7u8; 4000];
    let good = || Member::deflated("good", &content);
    let (bad, not_plain) = (Must::Be(Refusal::Malformed), Must::Be(Refusal::NotPlain));
    for mode in [0o020_666, 0o060_660, 0o010_644, 0o140_777] {
        add(&format!("mode {mode:o}"), zip(&[Member { mode, ..good() }]), not_plain);
    }
    add(
        "a link",
        zip(&[Member { mode: 0o120_777, ..Member::stored("link", b"/etc/passwd") }]),
        Must::BeHarmless,
    );
    let through =
        [Member { mode: 0o120_777, ..Member::stored("link", b"/etc") }, Member::stored("link/passwd", b"x")];
    add("a link and a file below it (CVE-2025-29787)", zip(&through), Must::BeHarmless);
    add("fewer bytes than come", zip(&[Member { size: 10, ..good() }]), bad);
    add("more bytes than come", zip(&[Member { size: 5000, ..good() }]), bad);
    add("a wrong checksum", zip(&[Member { crc: 1, ..good() }]), bad);
    add("data that is no deflate", zip(&[Member { packed: vec![0xff; 50], ..good() }]), bad);
    add("deflate that is cut off", zip(&[Member { packed: good().packed[..8].to_vec(), ..good() }]), bad);
    add("no data", zip(&[Member { packed: Vec::new(), ..good() }]), bad);
    add("another name inside", zip(&[Member { local_name: Some(b"evil".to_vec()), ..good() }]), bad);
    add("encrypted", zip(&[Member { flags: 1, ..good() }]), Must::Be(Refusal::Unsupported));
    for method in [1, 9, 12, 14, 93, 99, 0xffff] {
        add(&format!("method {method}"), zip(&[Member { method, ..good() }]), Must::Be(Refusal::Unsupported));
    }
    add("stored with two sizes", zip(&[Member { size: 9, ..Member::stored("a", b"x") }]), bad);
    add("names twice", zip(&[good(), good()]), Must::Be(Refusal::Twice));
    add("a name that is not UTF-8", zip(&[Member { name: vec![0xff], ..good() }]), Must::Be(Refusal::Name));
    add("a folder with bytes", zip(&[Member { name: b"a/".to_vec(), ..good() }]), Must::Fail);
    let second =
        Member { name: b"other".to_vec(), local_name: Some(b"other".to_vec()), local: Some(0), ..good() };
    add("two entries at one place", zip(&[good(), second]), bad);
    for local in [1, 40, u32::MAX - 1, u32::MAX] {
        add(&format!("its bytes at {local}"), zip(&[Member { local: Some(local), ..good() }]), Must::Fail);
    }
    // One kernel of bytes, many entries whose headers lie in the bytes of those before (Fifield 2019).
    let inner = zip(&[Member::stored("b", &content)]);
    let outer = Member::stored("a", &inner);
    let offset = 30 + 1;
    let overlapping = Member { local: Some(offset), ..Member::stored("b", &content) };
    add("entries inside entries", zip(&[outer, overlapping]), bad);
    add("a zip in a zip", zip(&[Member::stored("inner.zip", &inner)]), Must::BeHarmless);
    let zeros = vec![0; 80 << 20];
    let bomb = Member { packed: deflate(&zeros), method: 8, ..Member::stored("zeros", &zeros) };
    add("a bomb", zip(std::slice::from_ref(&bomb)), Must::Be(Refusal::Limit));
    add("a bomb that says it is none", zip(&[Member { size: 1000, ..bomb.clone() }]), bad);
    add(
        "a bomb that says it is larger",
        zip(&[Member { size: 0xffff_fff0, ..bomb }]),
        Must::Be(Refusal::Limit),
    );
    let fields: &[(&str, usize, &[u8])] = &[
        ("entries fewer", 10, &[1, 0]),
        ("entries more", 10, &[9, 0]),
        ("a directory longer", 12, &[0xff, 0xff, 0xff, 0x7f]),
        ("a directory shorter", 12, &[10, 0, 0, 0]),
        ("a directory behind the end", 16, &[0xff, 0xff, 0xff, 0x7f]),
        ("a directory at the start", 16, &[0, 0, 0, 0]),
        ("a second disk", 4, &[1, 0]),
        ("a comment longer than the file", 20, &[0xff, 0xff]),
    ];
    for (what, at, value) in fields {
        let mut bytes = zip(&[good(), Member::stored("second", b"x")]);
        let end = bytes.len() - 22;
        bytes[end + at..end + at + value.len()].copy_from_slice(value);
        add(&format!("the end says {what}"), bytes, Must::Fail);
    }
    let mut before = b"#!/bin/sh\nexit\n".to_vec();
    before.extend(zip(&[good()]));
    add("something before it", before, Must::Fail);
    let mut behind = zip(&[good()]);
    behind.extend(b"more");
    add("something behind it", behind, Must::Fail);
    let mut wide = zip(&[good()]);
    let end = wide.len() - 22;
    let mut locator = b"PK\x06\x07\0\0\0\0".to_vec();
    locator.extend(u64::MAX.to_le_bytes());
    locator.extend([1, 0, 0, 0]);
    wide.splice(end..end, locator);
    add("a 64-bit end record behind everything", wide, Must::Fail);
    let mut huge = zip(&[good()]);
    let end = huge.len() - 22;
    let mut record = b"PK\x06\x06".to_vec();
    record.resize(32, 0);
    record.extend(u64::MAX.to_le_bytes());
    record.extend(u64::MAX.to_le_bytes());
    record.extend(0u64.to_le_bytes());
    let mut locator = b"PK\x06\x07\0\0\0\0".to_vec();
    locator.extend((end as u64).to_le_bytes());
    locator.extend([1, 0, 0, 0]);
    record.extend(locator);
    huge.splice(end..end, record);
    add("2^64 entries", huge, Must::Be(Refusal::Limit));
    let many: Vec<Member> =
        (0..=IMAGE_FILES_MAX).map(|number| Member::stored(&number.to_string(), b"")).collect();
    add("too many files", zip(&many), Must::Be(Refusal::Limit));
    add("nothing in it", zip(&[]), Must::BeHarmless);
    cases
}

fn discs() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>, must: Must| {
        cases.push(case(format!("disc: {what}"), MediumKind::Iso, bytes, must));
    };
    let bad = Must::Be(Refusal::Malformed);
    let one = |record: Vec<u8>| raw_disc(&[record], false);
    add("a folder that is its parent", one(record(b"LOOP", 18, SECTOR, 2, &[])), bad);
    let mut itself = one(record(b"A", 19, SECTOR, 2, &[]));
    put_records(&mut itself, 19, &[record(b"B", 19, SECTOR, 2, &[])], &[]);
    add("a folder in itself", itself, bad);
    let mut around = one(record(b"A", 19, SECTOR, 2, &[]));
    put_records(&mut around, 19, &[record(b"B", 20, SECTOR, 2, &[])], &[]);
    put_records(&mut around, 20, &[record(b"C", 18, SECTOR, 2, &[])], &[]);
    add("folders in a circle", around, bad);
    add(
        "one folder twice",
        raw_disc(&[record(b"A", 19, SECTOR, 2, &[]), record(b"B", 19, SECTOR, 2, &[])], false),
        bad,
    );
    add("a file behind the end", one(record(b"X", 9999, 1, 0, &[])), bad);
    add("a file over the end", one(record(b"X", 23, SECTOR + 1, 0, &[])), bad);
    add(
        "a file at the last block there can be",
        one(record(b"X", 0xffff_ffff, 0xffff_ffff, 0, &[])),
        Must::Fail,
    );
    add("a folder behind the end", one(record(b"X", 9999, SECTOR, 2, &[])), bad);
    add("a folder of 4 GiB", one(record(b"X", 19, 0xffff_ffff, 2, &[])), Must::Be(Refusal::Limit));
    add("an empty file behind the end", one(record(b"X", 9999, 0, 0, &[])), Must::BeHarmless);
    add(
        "names twice",
        raw_disc(&[record(b"A", 19, 1, 0, &[]), record(b"A", 20, 1, 0, &[])], false),
        Must::Be(Refusal::Twice),
    );
    add(
        "versions of one name",
        raw_disc(&[record(b"A;1", 19, 1, 0, &[]), record(b"A;2", 20, 1, 0, &[])], false),
        Must::Be(Refusal::Twice),
    );
    add("a name that is not UTF-8", one(record(b"\xff\xfe", 19, 1, 0, &[])), Must::Be(Refusal::Name));
    add("a name with a NUL", one(record(b"a\0b", 19, 1, 0, &[])), Must::Be(Refusal::Name));
    add("a name with a slash", one(record(b"a/b", 19, 1, 0, &[])), Must::Be(Refusal::Name));
    let changed = |at: usize, value: u8| {
        let mut bytes = record(b"NAME", 19, 1, 0, &[]);
        bytes[at] = value;
        one(bytes)
    };
    add("a name longer than its record", changed(32, 200), bad);
    add("a name of nothing", changed(32, 0), bad);
    add("a record of one byte", changed(0, 1), bad);
    add("a record of 33 bytes", changed(0, 33), bad);
    add("a record over the next one", changed(0, 250), Must::BeHarmless);
    add("extended attributes before the end", changed(1, 255), bad);
    add("interleaved", changed(26, 2), Must::Be(Refusal::Unsupported));
    add("interleaved by its gap", changed(27, 2), Must::Be(Refusal::Unsupported));
    let mut over = raw_disc(&[], false);
    for at in (0..4).rev() {
        over[19 * SECTOR - 2 - at] = 0;
    }
    let filler: Vec<Vec<u8>> =
        (0..28).map(|number| record(format!("F{number:030}").as_bytes(), 19, 0, 0, &[])).collect();
    let mut full = raw_disc(&filler, false);
    let used: usize = 68 + filler.iter().map(Vec::len).sum::<usize>();
    full[18 * SECTOR + used] = 200;
    add("a record over the end of its sector", full, bad);
    add("a file that never ends", one(record(b"X", 19, SECTOR, 0x80, &[])), bad);
    add(
        "pieces of two files",
        raw_disc(&[record(b"A", 19, SECTOR, 0x80, &[]), record(b"B", 20, 1, 0, &[])], false),
        bad,
    );
    for block in [0u16, 1, 512, 4096, 0xffff] {
        let mut bytes = one(record(b"X", 19, 1, 0, &[]));
        bytes[16 * SECTOR + 128..16 * SECTOR + 130].copy_from_slice(&block.to_le_bytes());
        add(&format!("blocks of {block} bytes"), bytes, Must::Be(Refusal::Unsupported));
    }
    let mut none = one(record(b"X", 19, 1, 0, &[]));
    none[16 * SECTOR] = 0;
    add("no primary descriptor", none, bad);
    let mut root = one(record(b"X", 19, 1, 0, &[]));
    root[16 * SECTOR + 158..16 * SECTOR + 162].copy_from_slice(&u32::MAX.to_le_bytes());
    add("a root behind the end", root, bad);
    let rock = |area: &[u8]| raw_disc(&[record(b"X", 19, 1, 0, area)], true);
    let ce = |block: u32, offset: u32, length: u32| {
        let mut area = vec![b'C', b'E', 28, 1];
        for value in [block, offset, length] {
            area.extend(value.to_le_bytes());
            area.extend(value.to_be_bytes());
        }
        area
    };
    let mut endless = rock(&ce(20, 0, 28));
    endless[20 * SECTOR..20 * SECTOR + 28].copy_from_slice(&ce(20, 0, 28));
    add("continuations in a circle", endless, bad);
    add("a continuation behind the end", rock(&ce(9999, 0, 28)), bad);
    add("a continuation of 4 GiB", rock(&ce(20, 0, u32::MAX)), Must::Be(Refusal::Limit));
    add("a continuation far off", rock(&ce(u32::MAX, u32::MAX, 28)), bad);
    add("an area that runs over", rock(&[b'N', b'M', 200, 1, 0, b'x']), Must::BeHarmless);
    add("an area of no length", rock(&[b'N', b'M', 0, 1, 0, b'x']), Must::BeHarmless);
    add("a moved folder that is the root", rock(&[b'C', b'L', 12, 1, 18, 0, 0, 0, 0, 0, 0, 18]), bad);
    add(
        "a moved folder behind the end",
        rock(&[b'C', b'L', 12, 1, 255, 255, 255, 255, 255, 255, 255, 255]),
        bad,
    );
    add("packed (zisofs)", rock(b"ZF\x10\x01pz\x04\x0f\0\0\0\0\0\0\0\0"), Must::Be(Refusal::Unsupported));
    add("sparse", rock(b"SF\x15\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), Must::Be(Refusal::Unsupported));
    add("a link", rock(&[b'S', b'L', 5, 1, 0]), Must::BeHarmless);
    add("a name that is not UTF-8 (Rock Ridge)", rock(&name_area(b"\xff")), Must::Be(Refusal::Name));
    add(
        "half a character (Joliet)",
        raw_joliet(&[record(&[0xd8, 0x00], 20, 1, 0, &[])]),
        Must::Be(Refusal::Name),
    );
    let names: Vec<String> = (0..40).map(|depth| format!("D{depth}")).collect();
    let deep = format!("{}/X", names.join("/"));
    add("too deep", Disc::rock_ridge(&[(&deep, b"x")]).bytes(), Must::Be(Refusal::Limit));
    let names: Vec<String> = (0..=IMAGE_FILES_MAX).map(|number| format!("N{number}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    add("too many files", Disc::of(&files).bytes(), Must::Be(Refusal::Limit));
    // Every file is the whole disc: many times the bytes there are.
    let copies: Vec<Vec<u8>> =
        (0..40).map(|number| record(format!("C{number}").as_bytes(), 0, 24 * SECTOR, 0, &[])).collect();
    add("files that are the whole disc", raw_disc(&copies, false), Must::BeHarmless);
    cases
}

fn udfs() -> Vec<Case> {
    let mut cases = Vec::new();
    let good = || udf(&[("a/b", &[9u8; 5000][..]), ("c", b"small")], false);
    let patched = |sector: usize, at: usize, value: &[u8], tag: u16| {
        let mut image = good();
        let start = sector * SECTOR;
        image[start + at..start + at + value.len()].copy_from_slice(value);
        let block = super::super::testing::udf_tag(tag, image[start..start + SECTOR].to_vec());
        image[start..start + SECTOR].copy_from_slice(&block);
        image
    };
    let mut add = |what: &str, bytes: Vec<u8>, must: Must| {
        cases.push(case(format!("UDF: {what}"), MediumKind::Iso, bytes, must));
    };
    // Root entry: sector 258 (block 1); `a`: block 2; `b`: block 3.
    add("an entry of 2^64 bytes", patched(258, 56, &u64::MAX.to_le_bytes(), 261), Must::Fail);
    add("attributes over the block", patched(258, 168, &u32::MAX.to_le_bytes(), 261), Must::Fail);
    add("descriptors over the block", patched(258, 172, &u32::MAX.to_le_bytes(), 261), Must::Fail);
    add("content behind the end", patched(260, 180, &u32::MAX.to_le_bytes(), 261), Must::Fail);
    add("a hole", patched(260, 176, &(5000u32 | 1 << 30).to_le_bytes(), 261), Must::Be(Refusal::Unsupported));
    add(
        "descriptors elsewhere",
        patched(260, 176, &(5000u32 | 3 << 30).to_le_bytes(), 261),
        Must::Be(Refusal::Unsupported),
    );
    add(
        "fewer bytes than it says",
        patched(260, 56, &5001u64.to_le_bytes(), 261),
        Must::Be(Refusal::Malformed),
    );
    add("a device", patched(260, 27, &[6], 261), Must::Be(Refusal::NotPlain));
    add("a link", patched(260, 27, &[12], 261), Must::BeHarmless);
    add("a root that is a file", patched(258, 27, &[5], 261), Must::Be(Refusal::Malformed));
    add("a damaged root", patched(258, 0, &[0], 0), Must::Be(Refusal::Malformed));
    add("a file set elsewhere", patched(33, 252, &u32::MAX.to_le_bytes(), 6), Must::Fail);
    add("a partition elsewhere", patched(32, 188, &u32::MAX.to_le_bytes(), 5), Must::Fail);
    add("a partition of another kind", patched(33, 440, &[2, 64], 6), Must::Be(Refusal::Unsupported));
    add("blocks of 512 bytes", patched(33, 212, &512u32.to_le_bytes(), 6), Must::Be(Refusal::Unsupported));
    add("descriptors far off", patched(256, 20, &u32::MAX.to_le_bytes(), 2), Must::Fail);
    add("a sequence of 4 GiB", patched(256, 16, &u32::MAX.to_le_bytes(), 2), Must::BeHarmless);
    add("no anchor", patched(256, 0, &[0], 0), Must::Fail);
    cases
}

/// Good media cut off at many places.
fn cut_off() -> Vec<Case> {
    let files: &[(&str, &[u8])] = &[("a/first", &[1; 3000]), ("second", &[2; 5000]), ("third", b"3")];
    let members: Vec<Member> = files.iter().map(|(name, bytes)| Member::deflated(name, bytes)).collect();
    let media = [
        (MediumKind::Iso, Disc::of(files).bytes()),
        (MediumKind::Iso, Disc::rock_ridge(files).bytes()),
        (MediumKind::Iso, Disc::joliet(files).bytes()),
        (MediumKind::Iso, udf(files, true)),
        (MediumKind::Tar, tar(files)),
        (MediumKind::TarGz, gzip(&tar(files))),
        (MediumKind::Zip, zip(&members)),
    ];
    let mut cases = Vec::new();
    for (kind, bytes) in media {
        for part in 0..24 {
            let end = bytes.len() * part / 24 + part % 7;
            // A tar may end between two files, and a disc in the padding of its last one.
            let must = if kind == MediumKind::Zip || kind == MediumKind::TarGz {
                Must::Fail
            } else {
                Must::BeHarmless
            };
            cases.push(case(format!("{} of {part}/24", kind.as_str()), kind, bytes[..end].to_vec(), must));
        }
    }
    cases
}

fn corpus() -> Vec<Case> {
    [named(), tars(), zips(), discs(), udfs(), cut_off()].into_iter().flatten().collect()
}

#[test]
fn every_hostile_medium_is_refused_with_a_reason_or_gives_harmless_files() {
    let (mut cases, mut refused) = (0, 0);
    for case in corpus() {
        cases += 1;
        let outcome = read_all(case.kind, case.bytes);
        match (&outcome, case.must) {
            (Err(error), must) => {
                refused += 1;
                assert!(
                    !error.detail.is_empty() && !error.detail.chars().any(char::is_control),
                    "{}",
                    case.what
                );
                if let Must::Be(refusal) = must {
                    assert_eq!(error.refusal, refusal, "{}: {error}", case.what);
                }
            }
            (Ok(files), Must::BeHarmless) => {
                for (name, _) in files {
                    assert!(check_file_name(name).is_ok() && !name.starts_with('/'), "{}: {name}", case.what);
                }
            }
            (Ok(files), must) => panic!("{}: {must:?}, but it gave {} files", case.what, files.len()),
        }
    }
    println!("{cases} media, {refused} refused");
    assert!(cases >= 150 && refused >= 150, "{cases} media, {refused} refused");
}

/// A line of `/proc/self/status`, in KiB. Run alone (nextest does), it is that of the readers and of the media themselves.
fn memory_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_memory_of_a_reader_stays_flat() {
    let mut cases = corpus();
    let count = cases.len();
    // The peak so far is that of making the media.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory_kib("VmHWM:");
    for case in &mut cases {
        let bytes = Arc::new(std::mem::take(&mut case.bytes));
        let mut medium = open_here(case.kind, bytes.clone());
        let Ok(listing) = medium.list(CAPS) else { continue };
        for entry in listing.into_parts().0 {
            if let Ok(mut stream) = medium.open(&entry) {
                std::io::copy(&mut stream, &mut std::io::sink()).ok();
            }
        }
    }
    let more = memory_kib("VmHWM:") - before;
    println!("{count} media, {more} KiB more");
    assert!(more < 128 << 10, "{more} KiB");
}

#[test]
fn damaged_media_never_end_in_a_panic() {
    let files: &[(&str, &[u8])] = &[("a/first", &[1; 3000]), ("b/c/second", &[2; 5000]), ("third", b"3")];
    let members: Vec<Member> = files.iter().map(|(name, bytes)| Member::deflated(name, bytes)).collect();
    let media = [
        (MediumKind::Iso, Disc::of(files).bytes()),
        (MediumKind::Iso, Disc::rock_ridge(files).bytes()),
        (MediumKind::Iso, Disc::joliet(files).bytes()),
        (MediumKind::Iso, udf(files, false)),
        (MediumKind::Tar, tar(files)),
        (MediumKind::TarGz, gzip(&tar(files))),
        (MediumKind::Zip, zip(&members)),
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 1).unwrap()
    };
    for (kind, good) in media {
        // Where something stands: most of a disc is empty.
        let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
        for _ in 0..400 {
            let mut bytes = good.clone();
            for _ in 0..1 + random() % 4 {
                let near = used[random() % used.len()];
                let at = (near + random() % 5).min(bytes.len() - 1);
                bytes[at] = u8::try_from(random() % 256).unwrap();
            }
            read_all(kind, bytes).ok();
        }
    }
}

#[test]
fn a_listing_from_a_child_is_checked_like_a_medium() {
    let mut listing = Listing::new(CAPS, 1000);
    let ranges = |offset, size| Content::Ranges(vec![Range { offset, size }]);
    listing.add("fine", 10, ranges(0, 10)).unwrap();
    for (name, size, content) in [
        ("../x", 1, ranges(0, 1)),
        ("fine", 1, ranges(0, 1)),
        ("behind", 1, ranges(1000, 1)),
        ("over", 2, ranges(999, 2)),
        ("wraps", 1, ranges(u64::MAX, 1)),
        ("lies", 5, ranges(0, 4)),
        ("large", CAPS.bytes_max, Content::Stream { mark: 0 }),
    ] {
        assert!(listing.add(name, size, content).is_err(), "{name}");
    }
}
