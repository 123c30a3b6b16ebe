//! For the fuzz targets: bytes of an operator's files to the readers of this crate.

use crate::Manifest;
use crate::loaders::machine_firmware;
use crate::manifest::check_file_name;
use crate::media::depot;

/// Bytes as a PE image.
pub fn pe(bytes: &[u8]) {
    let _ = machine_firmware(bytes);
}

/// Bytes as the record of an image's files, and a name asked of it.
pub fn manifest(bytes: &[u8], name: &str) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else { return };
    let _ = manifest.bytes();
    if let Some((own, entry)) = manifest.find(name) {
        assert_eq!(manifest.files.get(&*own), Some(&entry));
    }
    let text = serde_json::to_string(&manifest).expect("a manifest has a JSON form");
    assert_eq!(serde_json::from_str::<Manifest>(&text).expect("what was written is read"), manifest);
}

/// A name of a file in a source.
pub fn file_name(name: &str) {
    if check_file_name(name).is_ok() {
        assert!(
            !name.starts_with('/')
                && !name.split('/').any(|part| part == "..")
                && !name.chars().any(char::is_control)
        );
    }
}

/// Bytes as an `ar` archive.
pub fn ar(bytes: &[u8]) {
    depot::fuzzing::ar(bytes);
}

/// Bytes as the XML of a depot.
pub fn depot_xml(bytes: &[u8]) {
    depot::fuzzing::xml(bytes);
}

/// Bytes as an image profile of a depot.
pub fn depot_profile(bytes: &[u8]) {
    depot::fuzzing::profile(bytes);
}

/// Bytes as a package of a depot.
pub fn depot_package(bytes: &[u8]) {
    depot::fuzzing::package(bytes);
}
