//! Hooks as the daemon uses them.

use crate::file::{BodyKindFile, HookFile, SecretFile, TrustFile};
use std::path::PathBuf;
use std::time::Duration;
use types::EventPattern;
use types::resource::{Name, TemplateKind};

/// Who is told of events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    /// Unique name.
    pub name: Name,
    /// Events it is told of, at least one.
    pub events: Vec<EventPattern>,
    /// How.
    pub target: HookTarget,
    /// Template of the body, which compiles; `None`: the event as JSON.
    pub body: Option<String>,
    /// What the body is: JSON or text.
    pub body_kind: TemplateKind,
    /// How long one try may take, 1s..=5m.
    pub timeout: Duration,
    /// Tries after the first, 0..=20.
    pub retries: u32,
}

/// How a hook is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HookTarget {
    /// By POST.
    Web {
        /// `http://` or `https://`.
        url: String,
        /// Key of the signature.
        secret: Option<HookSecret>,
        /// Whom to trust over https.
        trust: HookTrust,
    },
    /// By a program.
    Command {
        /// Its whole path.
        program: PathBuf,
        /// Templates of its arguments, which compile.
        arguments: Vec<String>,
    },
}

/// Where a secret stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HookSecret {
    /// In a file, by its whole path.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

/// Whom to trust over https.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HookTrust {
    /// The CA certificates of this machine.
    System,
    /// The server whose certificate has this SHA-256.
    Sha256([u8; 32]),
    /// The certificates of a PEM file, by its whole path.
    CaFile(PathBuf),
    /// Anybody.
    Anyone,
}

/// Tries of a webhook after the first.
const WEB_RETRIES: u32 = 5;

/// Turns a checked hook into settings; `None` only for what the checks have refused before.
pub(super) fn hook(file: &HookFile) -> Option<Hook> {
    let target = match (&file.url, file.command.as_slice()) {
        (Some(url), []) => HookTarget::Web {
            url: url.clone(),
            secret: match &file.secret {
                None => None,
                Some(secret) => Some(secret_of(secret)?),
            },
            trust: file.trust.as_ref().map_or(Some(HookTrust::System), trust_of)?,
        },
        (None, [program, arguments @ ..]) => {
            HookTarget::Command { program: program.into(), arguments: arguments.to_vec() }
        }
        _ => return None,
    };
    let retries = match &target {
        HookTarget::Web { .. } => WEB_RETRIES,
        HookTarget::Command { .. } => 0,
    };
    Some(Hook {
        name: file.name.clone(),
        events: file.events.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?,
        target,
        body: file.body.clone(),
        body_kind: match file.body_kind {
            BodyKindFile::Json => TemplateKind::Json,
            BodyKindFile::Text => TemplateKind::Text,
        },
        timeout: file.timeout.0,
        retries: file.retries.unwrap_or(retries),
    })
}

fn secret_of(file: &SecretFile) -> Option<HookSecret> {
    match (&file.file, &file.env) {
        (Some(path), None) => Some(HookSecret::File(path.as_str().into())),
        (None, Some(name)) => Some(HookSecret::Env(name.clone())),
        _ => None,
    }
}

fn trust_of(file: &TrustFile) -> Option<HookTrust> {
    match (&file.sha256, &file.ca_file, file.insecure) {
        (Some(text), None, false) => fingerprint(text).map(HookTrust::Sha256),
        (None, Some(path), false) => Some(HookTrust::CaFile(path.as_str().into())),
        (None, None, true) => Some(HookTrust::Anyone),
        _ => None,
    }
}

/// 64 hex digits, with or without colons.
pub(crate) fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| *byte != b':')
        .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let mut bytes = [0u8; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |value, digit| value << 4 | digit);
    }
    Some(bytes)
}
