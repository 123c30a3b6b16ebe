//! A request to import, read: where the bytes are, what they should hash to, what the image is called and how it boots.

use admin::view::ImportRequest;
use admin::{BackendError, FieldError};
use fetch::Location;
use library::Source;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use types::resource::{Image, ImageKind, Name};

/// Where the bytes of an import are.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// On this machine.
    Here(Source),
    /// On a server.
    There(Location),
    /// They follow the request.
    Sent,
}

impl FromStr for Origin {
    type Err = String;

    /// A URL, or what [`Source`] reads: a path alone is a folder, or a medium told by its first bytes.
    fn from_str(text: &str) -> Result<Origin, String> {
        if Location::is_meant(text) {
            text.parse().map(Origin::There).map_err(|error: fetch::LocationError| error.to_string())
        } else {
            text.parse().map(Origin::Here).map_err(|error: library::SourceParseError| error.to_string())
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Here(source) => source.fmt(f),
            Origin::There(location) => location.fmt(f),
            Origin::Sent => f.write_str("-"),
        }
    }
}

/// A request that was read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) origin: Origin,
    pub(super) image: Image,
    pub(super) sha256: Option<String>,
    /// The image profile of an ESXi offline bundle.
    pub(super) profile: Option<String>,
}

/// Where the files come from and the profile as far as the request has it.
pub(super) fn read_request(request: &ImportRequest) -> Result<Wanted, BackendError> {
    let fault = |pointer: &str, detail: String| BackendError::Invalid {
        what: "import",
        errors: vec![FieldError { pointer: pointer.to_owned(), detail }],
    };
    let base = |path: &str| PathBuf::from(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let (origin, kernel, initrd) = if request.source == "files" {
        let kernel =
            request.kernel.as_ref().ok_or_else(|| fault("/kernel", "files need a kernel".to_owned()))?;
        let paths: Vec<PathBuf> = std::iter::once(kernel).chain(&request.initrd).map(PathBuf::from).collect();
        let initrd = request.initrd.iter().filter_map(|path| base(path)).collect();
        (Origin::Here(Source::Files(paths)), base(kernel), initrd)
    } else if request.source == "-" {
        (Origin::Sent, request.kernel.clone(), request.initrd.clone())
    } else {
        let origin = request.source.parse().map_err(|error| fault("/source", error))?;
        (origin, request.kernel.clone(), request.initrd.clone())
    };
    let sha256 = read_sha256(request, &origin).map_err(|detail| fault("/sha256", detail))?;
    let name = match &request.name {
        Some(name) => name.clone(),
        None => exported_name(&origin)
            .or_else(|| derived_name(&origin))
            .ok_or_else(|| fault("/name", format!("no name follows from `{origin}`; give one")))?,
    };
    let image = Image {
        kind: request.kind.unwrap_or(if request.script.is_some() {
            ImageKind::IpxeScript
        } else {
            ImageKind::Linux
        }),
        kernel,
        initrd,
        script: request.script.clone(),
        efi: request.efi.clone(),
        disk: request.disk.clone(),
        base: request.base.clone(),
        modules: request.modules.clone(),
        stateless: request.stateless,
        template: request.template.clone(),
        cmdline: request.cmdline.clone().unwrap_or_default(),
        destructive: request.destructive.unwrap_or(false),
        firmware: request.firmware.clone(),
        description: request.description.clone().unwrap_or_default(),
        ..Image::new(name, ImageKind::Linux)
    };
    Ok(Wanted { origin, image, sha256, profile: request.profile.clone() })
}

/// What the source must hash to, in lower case; only one file has a hash.
fn read_sha256(request: &ImportRequest, origin: &Origin) -> Result<Option<String>, String> {
    let Some(text) = &request.sha256 else { return Ok(None) };
    let text = text.trim().to_ascii_lowercase();
    if text.len() != 64 || !text.chars().all(|char| char.is_ascii_hexdigit()) {
        return Err("a sha256 has 64 hex digits".to_owned());
    }
    match origin {
        Origin::Here(Source::Iso(_) | Source::Tar(_) | Source::Zip(_)) | Origin::There(_) | Origin::Sent => {
            Ok(Some(text))
        }
        Origin::Here(Source::Detect(path)) if !path.is_dir() => Ok(Some(text)),
        Origin::Here(_) => Err(format!("`{origin}` is not one file, so it has no sha256")),
    }
}

/// An exported image has its name inside.
fn exported_name(origin: &Origin) -> Option<Name> {
    match origin {
        Origin::Here(source) => source.path().and_then(library::export::name_within),
        Origin::There(_) | Origin::Sent => None,
    }
}

/// `debian-netboot` is its own name; a folder or a medium gives its last part without `.iso` and the like, made a DNS
/// label.
fn derived_name(origin: &Origin) -> Option<Name> {
    let text = match origin {
        Origin::Here(source @ (Source::DebianNetboot { .. } | Source::Memtest { .. })) => source.to_string(),
        Origin::Here(source) => source.path()?.file_name()?.to_string_lossy().into_owned(),
        Origin::There(location) => location.file_name()?,
        Origin::Sent => return None,
    };
    name_of_file(&text, matches!(origin, Origin::Here(Source::Dir(_))))
}

/// A DNS label from the name of a file or folder.
pub(super) fn name_of_file(text: &str, is_folder: bool) -> Option<Name> {
    let ending = [".iso", ".tar.gz", ".tgz", ".tar", ".zip"].into_iter().find(|ending| {
        !is_folder && text.len() > ending.len() && text.to_ascii_lowercase().ends_with(ending)
    });
    let text = text.get(..text.len() - ending.map_or(0, str::len)).unwrap_or(text);
    let label: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() { char } else { '-' })
        .collect();
    label.trim_matches('-').parse().ok()
}

/// What nobody vouches for.
pub(super) fn trust_warnings(origin: &Origin, sha256: Option<&str>) -> Vec<String> {
    let Origin::There(location) = origin else { return Vec::new() };
    let mut warnings = Vec::new();
    if !location.is_secure() && sha256.is_none() {
        warnings.push(
            "fetched over http without a sha256: anybody on the way could have changed it; give --sha256"
                .to_owned(),
        );
    }
    if !location.is_secure() && location.has_credentials() {
        warnings.push("user name and password of the URL went over the network in the clear".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_sources_where_they_can() {
        let named = |source: Source| derived_name(&Origin::Here(source)).map(|name| name.to_string());
        assert_eq!(named(Source::Dir("/srv/Rescue_2.1/".into())).as_deref(), Some("rescue-2-1"));
        assert_eq!(named("debian-netboot".parse().unwrap()).as_deref(), Some("debian-netboot"));
        assert_eq!(named(Source::Files(vec!["/boot/vmlinuz".into()])), None);
        assert_eq!(named("/iso/VMware-ESXi_8.0.ISO".parse().unwrap()).as_deref(), Some("vmware-esxi-8-0"));
        assert_eq!(named(Source::Tar("/srv/netboot.tar.gz".into())).as_deref(), Some("netboot"));
    }

    #[test]
    fn files_are_named_by_their_last_part() {
        let request = ImportRequest {
            source: "files".into(),
            name: Some("tiny".parse().unwrap()),
            kernel: Some("/boot/vmlinuz".into()),
            initrd: vec!["/boot/initrd.img".into()],
            ..ImportRequest::default()
        };
        let image = read_request(&request).unwrap().image;
        assert_eq!(
            (image.kernel.as_deref(), image.initrd.as_slice()),
            (Some("vmlinuz"), ["initrd.img".to_owned()].as_slice())
        );
        let faulty = ImportRequest { kernel: None, ..request };
        assert!(matches!(read_request(&faulty), Err(BackendError::Invalid { .. })));
    }

    #[test]
    fn a_url_gives_a_name_and_is_shown_without_its_secrets() {
        let request = ImportRequest {
            source: "https://bob:hush@mirror.example/iso/Rescue_2.iso?sig=abc".into(),
            sha256: Some("AB".repeat(32)),
            ..ImportRequest::default()
        };
        let wanted = read_request(&request).unwrap();
        assert_eq!(wanted.image.name.as_str(), "rescue-2");
        assert_eq!(wanted.sha256, Some("ab".repeat(32)));
        assert_eq!(wanted.origin.to_string(), "https://***@mirror.example/iso/Rescue_2.iso?***");
        for source in ["ftp://mirror.example/x.iso", "file:///etc/passwd", "https://"] {
            let request = ImportRequest { source: source.into(), ..ImportRequest::default() };
            assert!(matches!(read_request(&request), Err(BackendError::Invalid { .. })), "{source}");
        }
    }

    #[test]
    fn only_one_file_has_a_sha256() {
        let with = |source: &str, sha256: &str| {
            let name = Some("x".parse().unwrap());
            let (source, sha256) = (source.into(), Some(sha256.into()));
            read_request(&ImportRequest { source, name, sha256, ..ImportRequest::default() }).map(|_| ())
        };
        assert!(with("iso:/x.iso", &"0".repeat(64)).is_ok() && with("-", &"0".repeat(64)).is_ok());
        for (source, sha256) in
            [("dir:/x", "0".repeat(64)), ("memtest", "0".repeat(64)), ("iso:/x.iso", "0".repeat(63))]
        {
            assert!(matches!(with(source, &sha256), Err(BackendError::Invalid { .. })), "{source}");
        }
    }
}
