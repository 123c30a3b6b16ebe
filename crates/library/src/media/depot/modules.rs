//! Which payloads are loaded, under which names and in which order, and the `boot.cfg` that says so.
//!
//! The order: the kernel, then what has a boot order by that, then the boot payloads in the order of installer media
//! (`jumpstrt`, `useropts`, `features`, `k`, the others), then the rest as the profile lists it, packages that replace
//! files of others last. The names: the profile's, else the descriptor's, else 8.3 names like those of media.

use super::profile::Profile;
use super::vib::Vib;
use super::{MediaError, Refusal};
use crate::limits::DEPOT_MODULES_MAX;
use std::collections::HashSet;
use std::fmt::Write as _;

/// Kinds of payloads that are loaded: module files, and the installer's own.
const LOADED: [&str; 4] = ["boot", "vgz", "tgz", "insttgz"];

/// Boot payloads in the order of installer media. `tboot` is the kernel of releases that have it.
const FIRST: [&str; 6] = ["tboot", "b", "jumpstrt", "useropts", "features", "k"];

/// Names of files that are ours or the loader's.
const RESERVED: [&str; 4] = ["boot.cfg", "mboot.efi", "crypto64.efi", "mboot.c32"];

/// Most bytes of a `boot.cfg` that is read again (`render::esxi`).
const BOOT_CFG_BYTES_MAX: usize = 64 << 10;

/// A payload that is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Module {
    pub(super) file: String,
    /// Its package's place in the profile.
    pub(super) vib: usize,
    pub(super) payload: usize,
}

/// What becomes of a profile.
#[derive(Debug)]
pub(super) struct Laid {
    /// The kernel first.
    pub(super) modules: Vec<Module>,
    pub(super) boot_cfg: String,
    pub(super) notes: Vec<String>,
}

/// A payload on its way to its place.
struct Candidate {
    module: Module,
    name: String,
    kind: String,
    order: Option<u64>,
    overlay: bool,
}

pub(super) fn lay(profile: &Profile, vibs: &[&Vib]) -> Result<Laid, MediaError> {
    let mut notes = Vec::new();
    let mut candidates = candidates(profile, vibs, &mut notes)?;
    name_the_nameless(&mut candidates, &mut notes);
    check_names(&candidates)?;
    let kernel = kernel(&candidates, &profile.name)?;
    if candidates.iter().all(|candidate| candidate.order.is_none()) {
        notes.push(
            "the profile gives no boot order: modules are loaded in the order of installer media, then as it lists them"
                .to_owned(),
        );
    }
    let first = candidates.remove(kernel);
    // Stable: what is equal stays in the order of the profile.
    candidates.sort_by_key(rank);
    let base = vibs.get(first.module.vib).map(|vib| vib.version.as_str()).unwrap_or_default();
    let boot_cfg = boot_cfg(&profile.name, base, &first, &candidates)?;
    let modules = std::iter::once(first).chain(candidates).map(|candidate| candidate.module).collect();
    Ok(Laid { modules, boot_cfg, notes })
}

fn candidates(
    profile: &Profile,
    vibs: &[&Vib],
    notes: &mut Vec<String>,
) -> Result<Vec<Candidate>, MediaError> {
    let (mut candidates, mut left_out) = (Vec::new(), Vec::new());
    for (vib_place, (wanted, vib)) in profile.vibs.iter().zip(vibs).enumerate() {
        let absent = wanted.payloads.iter().find(|own| !vib.payloads.iter().any(|it| it.name == own.payload));
        if let Some(absent) = absent {
            let text = format!(
                "image profile `{}` names payload `{}` of package `{}`, which has none of that name",
                profile.name, absent.payload, vib.id
            );
            return Err(MediaError::new(Refusal::Missing, text));
        }
        for (place, payload) in vib.payloads.iter().enumerate() {
            if !LOADED.contains(&payload.kind.as_str()) {
                left_out.push(format!("`{}` ({})", payload.name, payload.kind));
                continue;
            }
            let named = wanted.payloads.iter().find(|own| own.payload == payload.name);
            let file = named.and_then(|named| named.file.clone()).or_else(|| payload.file.clone());
            candidates.push(Candidate {
                module: Module { file: file.unwrap_or_default(), vib: vib_place, payload: place },
                name: payload.name.clone(),
                kind: payload.kind.clone(),
                order: named.and_then(|named| named.order).or(payload.order),
                overlay: vib.overlay,
            });
        }
    }
    if let Some(first) = left_out.first() {
        notes.push(format!("{} payloads that are not loaded are left out, {first} first", left_out.len()));
    }
    if candidates.len() > DEPOT_MODULES_MAX {
        let text = format!("image profile `{}` has more than {DEPOT_MODULES_MAX} modules", profile.name);
        return Err(MediaError::limit(text));
    }
    Ok(candidates)
}

/// Gives 8.3 names like those of media to payloads that neither profile nor descriptor name.
fn name_the_nameless(candidates: &mut [Candidate], notes: &mut Vec<String>) {
    let mut taken: HashSet<String> =
        candidates.iter().map(|candidate| candidate.module.file.to_ascii_lowercase()).collect();
    let mut count = 0usize;
    let mut first = None;
    for candidate in candidates.iter_mut().filter(|candidate| candidate.module.file.is_empty()) {
        let stem: String = candidate.name.to_ascii_lowercase().chars().take(8).collect();
        let stem: String =
            stem.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
        let letter = candidate.kind.chars().next().unwrap_or('m');
        let plain = FIRST.get(2..5).unwrap_or_default().contains(&stem.as_str()) && letter == 'b';
        let own = plain.then(|| format!("{stem}.gz"));
        // One of a thousand and one is free.
        let numbered = (0..=DEPOT_MODULES_MAX).map(|number| format!("{stem}.{letter}{number:02}"));
        if let Some(free) = own.into_iter().chain(numbered).find(|name| !taken.contains(name)) {
            taken.insert(free.clone());
            first.get_or_insert_with(|| free.clone());
            count += 1;
            candidate.module.file = free;
        }
    }
    if let Some(first) = first {
        notes.push(format!(
            "the profile names no file for {count} payloads: named after them, `{first}` first"
        ));
    }
}

/// A name goes into a list of a `boot.cfg` and into URLs, and must be one of its own in whatever case.
fn check_names(candidates: &[Candidate]) -> Result<(), MediaError> {
    let mut seen = HashSet::new();
    for Candidate { module, name, .. } in candidates {
        let file = module.file.as_str();
        let fits = !file.is_empty()
            && file.len() <= 64
            && file.bytes().all(|byte| byte.is_ascii_graphic() && !b"/\\?#%=:".contains(&byte))
            && !file.contains("---")
            && !file.starts_with(['-', '.'])
            && !RESERVED.contains(&file.to_ascii_lowercase().as_str());
        if !fits {
            let text =
                format!("payload `{name}` would be the file {file:?}, which no loader can be told to load");
            return Err(MediaError::new(Refusal::Name, text));
        }
        if !seen.insert(file.to_ascii_lowercase()) {
            return Err(MediaError::new(Refusal::Twice, format!("two payloads are the file `{file}`")));
        }
    }
    Ok(())
}

/// Place of the kernel: of all boot payloads the first in order, else `tboot`, else `b`, else the only one.
fn kernel(candidates: &[Candidate], profile: &str) -> Result<usize, MediaError> {
    let boot: Vec<(usize, &Candidate)> =
        candidates.iter().enumerate().filter(|(_, candidate)| candidate.kind == "boot").collect();
    let ordered = boot.iter().filter_map(|(place, candidate)| Some((candidate.order?, *place))).min();
    let called =
        |name: &str| boot.iter().find(|(_, it)| it.name.eq_ignore_ascii_case(name)).map(|(at, _)| *at);
    let only = || boot.first().filter(|_| boot.len() == 1).map(|(place, _)| *place);
    let found =
        ordered.map(|(_, place)| place).or_else(|| called("tboot")).or_else(|| called("b")).or_else(only);
    found.ok_or_else(|| {
        let text = format!(
            "image profile `{profile}` has no kernel: looked for a payload of type `boot` with a boot order or named `b`; \
             it has {} of type `boot`. Bundles of drivers or patches are no image",
            boot.len()
        );
        MediaError::new(Refusal::Missing, text)
    })
}

fn rank(candidate: &Candidate) -> (u64, u64) {
    match candidate.order {
        Some(order) => (0, order),
        None if candidate.kind == "boot" => {
            let known = FIRST.iter().position(|name| candidate.name.eq_ignore_ascii_case(name));
            (1, known.unwrap_or(FIRST.len()) as u64)
        }
        None => (2, u64::from(candidate.overlay)),
    }
}

fn boot_cfg(
    profile: &str,
    build: &str,
    kernel: &Candidate,
    rest: &[Candidate],
) -> Result<String, MediaError> {
    let line = |text: &str| {
        let kept: String =
            text.chars().filter(|char| char.is_ascii_graphic() || *char == ' ').take(80).collect();
        kept.trim().to_owned()
    };
    let modules: Vec<&str> = rest.iter().map(|candidate| candidate.module.file.as_str()).collect();
    let mut text = format!("bootstate=0\ntitle=Loading {}\ntimeout=5\nprefix=\n", line(profile));
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "kernel={}\nkernelopt=runweasel\nmodules={}\nbuild={}\nupdated=0\n",
        kernel.module.file,
        modules.join(" --- "),
        line(build)
    );
    if text.len() > BOOT_CFG_BYTES_MAX {
        return Err(MediaError::limit(format!(
            "its boot.cfg would have more than {BOOT_CFG_BYTES_MAX} bytes"
        )));
    }
    Ok(text)
}
