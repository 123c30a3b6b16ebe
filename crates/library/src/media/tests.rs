use super::testing::{Disc, Member, deflate, gzip, pax, tar, tar_entry, udf, zip};
use super::*;

mod confined;
mod depot;
mod hostile;
mod tools;

const CAPS: Caps = Caps { bytes_max: 1 << 30 };

/// Every file with its bytes, in the order of the medium.
fn read_all(kind: MediumKind, bytes: Vec<u8>) -> Result<Vec<(String, Vec<u8>)>, MediaError> {
    let bytes = Arc::new(bytes);
    let mut medium = open_here(kind, bytes.clone());
    let (entries, _) = medium.list(CAPS)?.into_parts();
    let mut files = Vec::new();
    for entry in &entries {
        let mut content = Vec::new();
        match &entry.content {
            Content::Ranges(ranges) => {
                RangesReader::new(&*bytes, ranges).read_to_end(&mut content).map_err(MediaError::from_io)?
            }
            Content::Stream { .. } => {
                let mut stream = medium.open(entry)?.take(entry.size + 1);
                stream.read_to_end(&mut content).map_err(MediaError::from_io)?
            }
        };
        assert_eq!(content.len() as u64, entry.size);
        files.push((entry.name.clone(), content));
    }
    Ok(files)
}

fn sorted(mut files: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    files.sort();
    files
}

fn owned(files: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    sorted(files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect())
}

#[test]
fn plain_names_lose_their_version_and_the_dot_of_no_extension() {
    let big = vec![7u8; 300_001];
    let disc = Disc::of(&[
        ("boot.cfg", b"kernel=b.b00"),
        ("efi/boot/bootx64.efi", &big),
        ("readme", b""),
        ("a/b/c/d.e", b"x"),
    ]);
    let wanted = owned(&[
        ("BOOT.CFG", b"kernel=b.b00"),
        ("EFI/BOOT/BOOTX64.EFI", &big),
        ("README", b""),
        ("A/B/C/D.E", b"x"),
    ]);
    assert_eq!(sorted(read_all(MediumKind::Iso, disc.bytes()).unwrap()), wanted);
}

#[test]
fn joliet_and_rock_ridge_names_are_taken_as_they_are() {
    let long = format!("folder/{}", "n".repeat(100));
    let short = format!("Ordner/{}", "n".repeat(60));
    let files: &[(&str, &[u8])] = &[("Größe.Txt", b"g"), ("EFI/Boot/x.efi", b"efi"), (&long, b"long")];
    assert_eq!(sorted(read_all(MediumKind::Iso, Disc::rock_ridge(files).bytes()).unwrap()), owned(files));
    let files: &[(&str, &[u8])] = &[("Größe.Txt", b"g"), ("EFI/Boot/x.efi", b"efi"), (&short, b"long")];
    assert_eq!(sorted(read_all(MediumKind::Iso, Disc::joliet(files).bytes()).unwrap()), owned(files));
    let both = Disc { rock_ridge: true, ..Disc::joliet(files) };
    assert_eq!(sorted(read_all(MediumKind::Iso, both.bytes()).unwrap()), owned(files));
}

#[test]
fn a_folder_of_many_sectors_is_read_whole() {
    let names: Vec<String> = (0..500).map(|number| format!("pool/package-{number}.deb")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    for disc in [Disc::of(&files), Disc::rock_ridge(&files), Disc::joliet(&files)] {
        let plain = !disc.rock_ridge && !disc.joliet;
        let read = read_all(MediumKind::Iso, disc.bytes()).unwrap();
        assert_eq!(read.len(), 500);
        assert!(read.iter().all(|(name, bytes)| {
            let own = String::from_utf8(bytes.clone()).unwrap();
            *name == if plain { own.to_ascii_uppercase() } else { own }
        }));
    }
}

#[test]
fn a_file_in_several_extents_is_one_file() {
    let content: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
    let mut disc = Disc::joliet(&[("sources/install.wim", &content), ("z", b"after")]);
    disc.extent_bytes_max = Some(4 * testing::SECTOR);
    let read = read_all(MediumKind::Iso, disc.bytes()).unwrap();
    assert_eq!(sorted(read), owned(&[("sources/install.wim", &content), ("z", b"after")]));
}

#[test]
fn udf_discs_are_read_with_and_without_a_plain_tree() {
    let big: Vec<u8> = (0..30_000u32).flat_map(u32::to_le_bytes).collect();
    let names: Vec<String> = (0..120).map(|number| format!("sources/file-{number}.dll")).collect();
    let mut files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    files.extend([
        ("bootmgr", &b"loader"[..]),
        ("sources/boot.wim", &big),
        ("efi/Größe", b""),
        ("a/b/c/d", b"x"),
    ]);
    for bridge in [false, true] {
        let read = read_all(MediumKind::Iso, udf(&files, bridge)).unwrap();
        assert_eq!(sorted(read), owned(&files), "bridge {bridge}");
    }
}

#[test]
fn links_are_left_out_with_a_note_and_devices_refuse() {
    let files: &[(&str, &[u8])] = &[("linux", b"kernel"), ("debian", b"")];
    let with_mode = |mode: u32| {
        let mut disc = Disc::rock_ridge(files);
        disc.modes.insert("debian".to_owned(), mode);
        let mut medium = open_here(MediumKind::Iso, Arc::new(disc.bytes()));
        medium.list(CAPS).map(Listing::into_parts)
    };
    let (entries, notes) = with_mode(0o120_777).unwrap();
    assert_eq!((entries.len(), notes.as_slice()), (1, &["1 links are left out: `debian`".to_owned()][..]));
    for mode in [0o020_666, 0o060_660, 0o010_644, 0o140_777] {
        assert_eq!(with_mode(mode).unwrap_err().refusal, Refusal::NotPlain);
    }
}

#[test]
fn tar_and_its_extensions_are_read_plain_and_compressed() {
    let long = format!("{}/vmlinuz", "deep/".repeat(25).trim_end_matches('/'));
    let mut bytes = Vec::new();
    bytes.extend(tar_entry(b"./", b'5', 0, b""));
    bytes.extend(tar_entry(b"./boot/vmlinuz", b'0', 6, b"kernel"));
    bytes.extend(tar_entry(b"boot/link", b'2', 0, b""));
    bytes.extend(tar_entry(b"././@LongLink", b'L', long.len() as u64 + 1, format!("{long}\0").as_bytes()));
    bytes.extend(tar_entry(b"cut", b'0', 3, b"gnu"));
    let header = [pax("path", "pax/Größe"), pax("mtime", "1.5"), pax("size", "4")].concat();
    bytes.extend(tar_entry(b"PaxHeader", b'x', header.len() as u64, &header));
    bytes.extend(tar_entry(b"other", b'0', 0, b"size"));
    bytes.extend(tar_entry(b"empty", b'0', 0, b""));
    bytes.resize(bytes.len() + 1024, 0);
    let wanted =
        owned(&[("boot/vmlinuz", b"kernel"), (&long, b"gnu"), ("pax/Größe", b"size"), ("empty", b"")]);
    assert_eq!(sorted(read_all(MediumKind::Tar, bytes.clone()).unwrap()), wanted);
    assert_eq!(sorted(read_all(MediumKind::TarGz, gzip(&bytes)).unwrap()), wanted);
}

#[test]
fn a_file_of_a_compressed_tar_is_found_again_behind_a_later_one() {
    let bytes = gzip(&tar(&[("a", b"first"), ("b", b"second")]));
    let mut medium = open_here(MediumKind::TarGz, Arc::new(bytes));
    let (entries, _) = medium.list(CAPS).unwrap().into_parts();
    for index in [1, 0, 1, 0] {
        let mut content = String::new();
        medium.open(&entries[index]).unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, ["first", "second"][index]);
    }
}

#[test]
fn zip_members_are_read_stored_and_deflated() {
    let big = vec![3u8; 400_000];
    let mut folder = Member::stored("boot/", b"");
    folder.mode = 0o040_755;
    let bytes =
        zip(&[folder, Member::stored("boot/linux", b"kernel"), Member::deflated("boot/initrd", &big)]);
    let wanted = owned(&[("boot/linux", b"kernel"), ("boot/initrd", &big)]);
    assert_eq!(sorted(read_all(MediumKind::Zip, bytes).unwrap()), wanted);
    assert!(deflate(&big).len() < big.len());
}

#[test]
fn media_are_told_by_their_first_bytes_and_others_are_named() {
    let kind = |bytes: Vec<u8>| MediumKind::of(&bytes);
    assert_eq!(kind(Disc::of(&[("a", b"b")]).bytes()), Ok(MediumKind::Iso));
    assert_eq!(kind(tar(&[("a", b"b")])), Ok(MediumKind::Tar));
    assert_eq!(kind(gzip(b"x")), Ok(MediumKind::TarGz));
    assert_eq!(kind(zip(&[Member::stored("a", b"b")])), Ok(MediumKind::Zip));
    let refused = |bytes: &[u8]| kind(bytes.to_vec()).unwrap_err().detail;
    assert!(refused(b"\xfd7zXZ\0rest").ends_with("it starts like xz data: unpack it first"));
    assert!(refused(b"").ends_with("it is empty"));
    assert!(refused(b"\x01\x02\x03").ends_with("it starts with 01 02 03"));
}
