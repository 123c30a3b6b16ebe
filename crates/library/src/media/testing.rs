//! Writers of small media for tests: ISO 9660 with each kind of names, UDF, tar and zip, all with knobs to lie.

pub(crate) mod depot;

use std::collections::BTreeMap;

pub(crate) const SECTOR: usize = 2048;

/// A disc as a test wants it.
#[derive(Clone, Default)]
pub(crate) struct Disc {
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) rock_ridge: bool,
    pub(crate) joliet: bool,
    /// POSIX modes for Rock Ridge, by name.
    pub(crate) modes: BTreeMap<String, u32>,
    /// Longest extent: longer files are written in several.
    pub(crate) extent_bytes_max: Option<usize>,
}

#[derive(Default)]
struct Folder {
    folders: BTreeMap<String, Folder>,
    files: BTreeMap<String, usize>,
    sector: usize,
    sectors: usize,
    number: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Tree {
    Plain,
    RockRidge,
    Joliet,
}

impl Disc {
    pub(crate) fn of(files: &[(&str, &[u8])]) -> Disc {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        Disc { files, ..Disc::default() }
    }

    pub(crate) fn rock_ridge(files: &[(&str, &[u8])]) -> Disc {
        Disc { rock_ridge: true, ..Disc::of(files) }
    }

    pub(crate) fn joliet(files: &[(&str, &[u8])]) -> Disc {
        Disc { joliet: true, ..Disc::of(files) }
    }

    /// The image.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut trees = vec![if self.rock_ridge { Tree::RockRidge } else { Tree::Plain }];
        if self.joliet {
            trees.push(Tree::Joliet);
        }
        let mut next = 16 + trees.len() + 1;
        let mut roots = Vec::new();
        for tree in &trees {
            let mut root = self.tree();
            place(&mut root, *tree, self, &mut next);
            roots.push(root);
        }
        let mut places = Vec::new();
        for (_, bytes) in &self.files {
            places.push(next);
            next += bytes.len().div_ceil(SECTOR);
        }
        let mut image = vec![0u8; next * SECTOR];
        for ((_, bytes), sector) in self.files.iter().zip(&places) {
            image[sector * SECTOR..sector * SECTOR + bytes.len()].copy_from_slice(bytes);
        }
        for (number, (tree, root)) in trees.iter().zip(&roots).enumerate() {
            let descriptor = (16 + number) * SECTOR;
            image[descriptor] = if *tree == Tree::Joliet { 2 } else { 1 };
            image[descriptor + 1..descriptor + 7].copy_from_slice(b"CD001\x01");
            if *tree == Tree::Joliet {
                image[descriptor + 88..descriptor + 91].copy_from_slice(b"%/E");
            }
            both16(&mut image[descriptor + 128..], 2048);
            both32(&mut image[descriptor + 80..], next);
            let record = record(b"\0", root.sector, root.sectors * SECTOR, 2, &[]);
            image[descriptor + 156..descriptor + 156 + record.len()].copy_from_slice(&record);
            self.write(root, root, *tree, &places, &mut image);
        }
        let end = (16 + trees.len()) * SECTOR;
        image[end..end + 7].copy_from_slice(b"\xffCD001\x01");
        image
    }

    fn tree(&self) -> Folder {
        let mut root = Folder::default();
        for (number, (name, _)) in self.files.iter().enumerate() {
            let mut folder = &mut root;
            let mut parts: Vec<&str> = name.split('/').collect();
            let last = parts.pop().unwrap();
            for part in parts {
                folder = folder.folders.entry(part.to_owned()).or_default();
            }
            folder.files.insert(last.to_owned(), number);
        }
        root
    }

    fn write(&self, folder: &Folder, parent: &Folder, tree: Tree, places: &[usize], image: &mut [u8]) {
        for (at, bytes) in lay(self.records(folder, parent, tree, places)) {
            let at = folder.sector * SECTOR + at;
            image[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        for inner in folder.folders.values() {
            self.write(inner, folder, tree, places, image);
        }
    }

    fn records(&self, folder: &Folder, parent: &Folder, tree: Tree, places: &[usize]) -> Vec<Vec<u8>> {
        let dot = if tree == Tree::RockRidge { vec![b'S', b'P', 7, 1, 0xbe, 0xef, 0] } else { Vec::new() };
        let mut records = vec![
            record(b"\0", folder.sector, folder.sectors * SECTOR, 2, &dot),
            record(b"\x01", parent.sector, parent.sectors * SECTOR, 2, &[]),
        ];
        for (name, inner) in &folder.folders {
            let own = own_name(name, tree, inner.number, true);
            let area = system_use(name, tree, 0o40755);
            records.push(record(&own, inner.sector, inner.sectors * SECTOR, 2, &area));
        }
        for (name, number) in &folder.files {
            let own = own_name(name, tree, *number, false);
            let (full, bytes) = &self.files[*number];
            let area = system_use(name, tree, self.modes.get(full).copied().unwrap_or(0o100_644));
            let sector = places.get(*number).copied().unwrap_or(0);
            let most = self.extent_bytes_max.unwrap_or(usize::MAX);
            let mut done = 0;
            loop {
                let piece = (bytes.len() - done).min(most);
                let flags = if done + piece < bytes.len() { 0x80 } else { 0 };
                records.push(record(&own, sector + done / SECTOR, piece, flags, &area));
                done += piece;
                if flags == 0 {
                    break;
                }
            }
        }
        records
    }
}

fn place(folder: &mut Folder, tree: Tree, disc: &Disc, next: &mut usize) {
    let records = disc.records(folder, folder, tree, &[]);
    let end = lay(records).last().map_or(0, |(at, bytes)| at + bytes.len());
    folder.sector = *next;
    folder.sectors = end.div_ceil(SECTOR).max(1);
    folder.number = *next;
    *next += folder.sectors;
    for inner in folder.folders.values_mut() {
        place(inner, tree, disc, next);
    }
}

/// Records do not cross sectors.
fn lay(records: Vec<Vec<u8>>) -> Vec<(usize, Vec<u8>)> {
    let mut at = 0;
    let mut laid = Vec::new();
    for bytes in records {
        if at / SECTOR != (at + bytes.len() - 1) / SECTOR {
            at = (at / SECTOR + 1) * SECTOR;
        }
        let length = bytes.len();
        laid.push((at, bytes));
        at += length;
    }
    laid
}

fn own_name(name: &str, tree: Tree, number: usize, folder: bool) -> Vec<u8> {
    let version = if folder { "" } else { ";1" };
    match tree {
        Tree::Joliet => format!("{name}{version}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Tree::RockRidge => format!("F{number:05}{version}").into_bytes(),
        Tree::Plain => {
            let dot = if folder || name.contains('.') { "" } else { "." };
            format!("{}{dot}{version}", name.to_ascii_uppercase()).into_bytes()
        }
    }
}

fn system_use(name: &str, tree: Tree, mode: u32) -> Vec<u8> {
    if tree != Tree::RockRidge {
        return Vec::new();
    }
    let mut area = vec![b'P', b'X', 36, 1];
    area.extend(mode.to_le_bytes());
    area.extend(mode.to_be_bytes());
    area.resize(36, 0);
    let length = u8::try_from(5 + name.len()).expect("names of tests fit one NM");
    area.extend([b'N', b'M', length, 1, 0]);
    area.extend(name.as_bytes());
    area
}

/// A directory record (ECMA-119 9.1).
pub(crate) fn record(name: &[u8], sector: usize, bytes: usize, flags: u8, area: &[u8]) -> Vec<u8> {
    let mut record = vec![0u8; 33];
    both32(&mut record[2..], sector);
    both32(&mut record[10..], bytes);
    record[25] = flags;
    both16(&mut record[28..], 1);
    record[32] = u8::try_from(name.len()).unwrap();
    record.extend(name);
    if name.len().is_multiple_of(2) {
        record.push(0);
    }
    record.extend(area);
    if !record.len().is_multiple_of(2) {
        record.push(0);
    }
    record[0] = u8::try_from(record.len()).unwrap();
    record
}

fn both32(at: &mut [u8], value: usize) {
    let value = u32::try_from(value).unwrap();
    at[..4].copy_from_slice(&value.to_le_bytes());
    at[4..8].copy_from_slice(&value.to_be_bytes());
}

fn both16(at: &mut [u8], value: u16) {
    at[..2].copy_from_slice(&value.to_le_bytes());
    at[2..4].copy_from_slice(&value.to_be_bytes());
}

/// One tar entry: header and content.
pub(crate) fn tar_entry(name: &[u8], kind: u8, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0u8; 512];
    let shown = &name[..name.len().min(100)];
    header[..shown.len()].copy_from_slice(shown);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    tar_sum(&mut header);
    header.extend(content);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// Writes the checksum of a header.
pub(crate) fn tar_sum(header: &mut [u8]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u64 = header[..512].iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes: Vec<u8> = files
        .iter()
        .flat_map(|(name, content)| tar_entry(name.as_bytes(), b'0', content.len() as u64, content))
        .collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// One record of an extended header.
pub(crate) fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One member of a zip, with everything it says of itself.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) packed: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) size: u64,
    pub(crate) crc: u32,
    pub(crate) flags: u16,
    pub(crate) mode: u32,
    /// Says that it lies here instead.
    pub(crate) local: Option<u32>,
}

impl Member {
    pub(crate) fn stored(name: &str, content: &[u8]) -> Member {
        Member {
            name: name.as_bytes().to_vec(),
            local_name: None,
            packed: content.to_vec(),
            method: 0,
            size: content.len() as u64,
            crc: crc32fast::hash(content),
            flags: 0,
            mode: 0o100_644,
            local: None,
        }
    }

    pub(crate) fn deflated(name: &str, content: &[u8]) -> Member {
        Member { packed: deflate(content), method: 8, ..Member::stored(name, content) }
    }
}

pub(crate) fn zip(members: &[Member]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let at = u32::try_from(bytes.len()).unwrap();
        let (size, packed) =
            (u32::try_from(member.size).unwrap(), u32::try_from(member.packed.len()).unwrap());
        let local_name = member.local_name.as_ref().unwrap_or(&member.name);
        let common = |name: &[u8]| {
            let mut common = Vec::new();
            common.extend(20u16.to_le_bytes());
            common.extend(member.flags.to_le_bytes());
            common.extend(member.method.to_le_bytes());
            common.extend([0; 4]);
            common.extend(member.crc.to_le_bytes());
            common.extend(packed.to_le_bytes());
            common.extend(size.to_le_bytes());
            common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
            common.extend([0; 2]);
            common
        };
        bytes.extend(b"PK\x03\x04");
        bytes.extend(common(local_name));
        bytes.extend(local_name);
        bytes.extend(&member.packed);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(common(&member.name));
        directory.extend([0; 6]);
        directory.extend((member.mode << 16).to_le_bytes());
        directory.extend(member.local.unwrap_or(at).to_le_bytes());
        directory.extend(&member.name);
    }
    let (offset, size) = (u32::try_from(bytes.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    let count = u16::try_from(members.len()).unwrap_or(u16::MAX);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

/// A UDF disc: one partition from sector 257, short allocation descriptors. `bridge` puts an ISO 9660 tree with one note
/// before it, as Windows media have.
pub(crate) fn udf(files: &[(&str, &[u8])], bridge: bool) -> Vec<u8> {
    const START: usize = 257;
    let disc = Disc::of(files);
    let mut blocks: Vec<Vec<u8>> = vec![Vec::new()];
    let root = udf_folder(&disc, &disc.tree(), &mut blocks);
    let mut set = vec![0u8; 512];
    set[400..404].copy_from_slice(&2048u32.to_le_bytes());
    set[404..408].copy_from_slice(&u32::try_from(root).unwrap().to_le_bytes());
    blocks[0] = udf_tag(256, set);
    let mut image = if bridge {
        Disc::of(&[("README.TXT", b"This disc contains a UDF file system")]).bytes()
    } else {
        vec![0; 16 * SECTOR]
    };
    image.resize((START + blocks.len()) * SECTOR, 0);
    let mut next = if bridge { 18 } else { 16 };
    if bridge {
        // The terminator of the ISO 9660 descriptors stands at 17.
        assert_eq!(&image[17 * SECTOR + 1..17 * SECTOR + 6], b"CD001");
        // Its folder is at 18 and its file at 19: the recognition sequence moves them.
        let moved = image[18 * SECTOR..20 * SECTOR].to_vec();
        image[40 * SECTOR..42 * SECTOR].copy_from_slice(&moved);
        for at in [16 * SECTOR + 156 + 2, 40 * SECTOR + 2, 40 * SECTOR + 34 + 2] {
            image[at..at + 4].copy_from_slice(&40u32.to_le_bytes());
        }
        let file = 40 * SECTOR + 68;
        image[file + 2..file + 6].copy_from_slice(&41u32.to_le_bytes());
    }
    for id in [b"BEA01", b"NSR02", b"TEA01"] {
        image[next * SECTOR..(next + 1) * SECTOR].fill(0);
        image[next * SECTOR + 1..next * SECTOR + 6].copy_from_slice(id);
        next += 1;
    }
    let mut put = |sector: usize, bytes: Vec<u8>| {
        image[sector * SECTOR..sector * SECTOR + bytes.len()].copy_from_slice(&bytes);
    };
    let mut partition = vec![0u8; 512];
    partition[188..192].copy_from_slice(&u32::try_from(START).unwrap().to_le_bytes());
    partition[192..196].copy_from_slice(&u32::try_from(blocks.len()).unwrap().to_le_bytes());
    put(32, udf_tag(5, partition));
    let mut logical = vec![0u8; 512];
    logical[212..216].copy_from_slice(&2048u32.to_le_bytes());
    logical[248..252].copy_from_slice(&2048u32.to_le_bytes());
    logical[264..268].copy_from_slice(&6u32.to_le_bytes());
    logical[268..272].copy_from_slice(&1u32.to_le_bytes());
    logical[440..442].copy_from_slice(&[1, 6]);
    put(33, udf_tag(6, logical));
    put(34, udf_tag(8, vec![0; 512]));
    let mut anchor = vec![0u8; 512];
    anchor[16..20].copy_from_slice(&(16 * 2048u32).to_le_bytes());
    anchor[20..24].copy_from_slice(&32u32.to_le_bytes());
    put(256, udf_tag(2, anchor));
    for (number, block) in blocks.into_iter().enumerate() {
        put(START + number, block);
    }
    image
}

/// Writes the tag of a descriptor (ECMA-167 3/7.2): number, and the sum of its other bytes.
pub(crate) fn udf_tag(number: u16, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[..2].copy_from_slice(&number.to_le_bytes());
    bytes[4] = 0;
    bytes[4] = bytes[..16].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes
}

fn udf_folder(disc: &Disc, folder: &Folder, blocks: &mut Vec<Vec<u8>>) -> usize {
    let own = blocks.len();
    blocks.push(Vec::new());
    let mut identifiers = udf_identifier("", own, 8 | 2);
    for (name, inner) in &folder.folders {
        let place = udf_folder(disc, inner, blocks);
        identifiers.extend(udf_identifier(name, place, 2));
    }
    for (name, number) in &folder.files {
        let place = blocks.len();
        blocks.push(Vec::new());
        let entry = udf_entry(5, &disc.files[*number].1, blocks);
        blocks[place] = entry;
        identifiers.extend(udf_identifier(name, place, 0));
    }
    let entry = udf_entry(4, &identifiers, blocks);
    blocks[own] = entry;
    own
}

fn udf_entry(kind: u8, content: &[u8], blocks: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let mut entry = vec![0u8; 176];
    entry[27] = kind;
    entry[56..64].copy_from_slice(&(content.len() as u64).to_le_bytes());
    // Small files stand inside their entry, as Windows writes them.
    if content.len() < 200 && kind == 5 {
        entry[34] = 3;
        entry[172..176].copy_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
        entry.extend(content);
    } else {
        entry[172..176].copy_from_slice(&8u32.to_le_bytes());
        entry.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        entry.extend(u32::try_from(blocks.len()).unwrap().to_le_bytes());
        blocks.extend(content.chunks(SECTOR).map(<[u8]>::to_vec));
    }
    udf_tag(261, entry)
}

fn udf_identifier(name: &str, block: usize, characteristics: u8) -> Vec<u8> {
    let mut raw = Vec::new();
    if !name.is_empty() {
        raw.push(16);
        raw.extend(name.encode_utf16().flat_map(u16::to_be_bytes));
    }
    let mut identifier = vec![0u8; 38];
    identifier[16] = 1;
    identifier[18] = characteristics;
    identifier[19] = u8::try_from(raw.len()).unwrap();
    identifier[20..24].copy_from_slice(&2048u32.to_le_bytes());
    identifier[24..28].copy_from_slice(&u32::try_from(block).unwrap().to_le_bytes());
    identifier.extend(raw);
    identifier.resize(identifier.len().next_multiple_of(4), 0);
    udf_tag(257, identifier)
}
