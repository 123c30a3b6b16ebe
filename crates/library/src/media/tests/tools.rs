//! Media written by the tools people use. A missing tool skips loudly, and fails with `REVEILLE_REQUIRE_TOOLS=1`.

use super::*;
use std::process::Command;

/// Runs a tool in the folder; false when it is not installed.
fn tool(folder: &Path, name: &str, words: &[&str]) -> bool {
    match Command::new(name).args(words).current_dir(folder).output() {
        Ok(output) => {
            assert!(output.status.success(), "{name} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(_) => {
            assert!(std::env::var_os("REVEILLE_REQUIRE_TOOLS").is_none(), "{name} is not installed");
            eprintln!("SKIPPED: {name} is not installed");
            false
        }
    }
}

/// A folder with names of every kind; `tree` in it is what goes onto the medium.
fn tree() -> (tempfile::TempDir, Vec<(String, Vec<u8>)>) {
    let folder = tempfile::tempdir().unwrap();
    let big: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
    let long = format!("folder/{}.txt", "long-name-".repeat(5));
    let names: Vec<String> = (0..300).map(|number| format!("pool/package_{number}.deb")).collect();
    let mut files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    files.extend([
        ("boot.cfg", &b"kernel=b.b00"[..]),
        ("EFI/BOOT/BOOTX64.EFI", &big),
        ("empty", b""),
        (&long, b"long"),
    ]);
    files.push(("a/b/c/d/e/f/g/h/i/deep", b"deep"));
    for (name, bytes) in &files {
        let path = folder.path().join("tree").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let files = owned(&files);
    (folder, files)
}

fn read(kind: MediumKind, folder: &Path, name: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(folder.join(name)).unwrap();
    assert_eq!(MediumKind::of(&bytes), Ok(kind));
    sorted(read_all(kind, bytes).unwrap())
}

#[test]
fn discs_of_genisoimage_are_read_in_every_form() {
    let (folder, files) = tree();
    let folder = folder.path();
    for (words, plain) in [
        (&["-R"][..], false),
        (&["-J", "-joliet-long", "-D"], false),
        (&["-R", "-J"], false),
        (&["-R", "-J", "-udf"], false),
        (&["-udf", "-D", "-l"], false),
        (&["-iso-level", "3", "-D", "-l"], true),
    ] {
        let all = [words, &["-quiet", "-o", "disc.iso", "tree"]].concat();
        if !tool(folder, "genisoimage", &all) {
            return;
        }
        let found = read(MediumKind::Iso, folder, "disc.iso");
        if plain {
            // Names are cut and changed; what is in the files is not.
            let contents = |files: &[(String, Vec<u8>)]| {
                let mut contents: Vec<Vec<u8>> = files.iter().map(|(_, bytes)| bytes.clone()).collect();
                contents.sort();
                contents
            };
            assert!(contents(&found) == contents(&files), "{words:?}");
            assert!(found.iter().any(|(name, _)| name == "EFI/BOOT/BOOTX64.EFI"));
        } else {
            let names =
                |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&found), names(&files), "{words:?}");
            assert!(found == files, "{words:?}");
        }
    }
}

#[test]
fn archives_of_tar_and_zip_are_read() {
    let (folder, files) = tree();
    let folder = folder.path();
    for format in ["ustar", "gnu", "pax", "v7"] {
        let format = format!("--format={format}");
        if tool(folder, "tar", &["-C", "tree", &format, "-cf", "a.tar", "."]) {
            assert!(read(MediumKind::Tar, folder, "a.tar") == files, "{format}");
        }
        if tool(folder, "tar", &["-C", "tree", &format, "-czf", "a.tgz", "."]) {
            assert!(read(MediumKind::TarGz, folder, "a.tgz") == files, "{format}");
        }
    }
    if tool(&folder.join("tree"), "zip", &["-qr", "../a.zip", "."]) {
        assert!(read(MediumKind::Zip, folder, "a.zip") == files);
    }
}
