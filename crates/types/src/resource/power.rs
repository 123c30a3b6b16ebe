//! What a host record says of its power. Secrets are named, never held.
//!
//! ```yaml
//! power:
//!   redfish:
//!     url: https://bmc-17.example.net
//!     user: reveille
//!     password: {file: /etc/reveille/secrets/bmc-17}
//!     trust: {sha256: 5f8c…}
//!   wol: {interface: eth1}
//! ```

use crate::MacAddr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

/// How a machine is turned on and off. With both, Redfish does it: it can say whether it worked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerSpec {
    /// Wake-on-LAN: turns on, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wol: Option<WolSpec>,
    /// The machine's management controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redfish: Option<RedfishSpec>,
}

/// Where a magic packet goes. With nothing given: by every interface that is up, to the host's first MAC address.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WolSpec {
    /// MAC address to wake, in place of the host's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Interface of the appliance it leaves by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Broadcast address it goes to, in place of the interface's own. One of another subnet needs a router that lets
    /// directed broadcasts through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Ipv4Addr>,
    /// UDP port: 9 unless given; some want 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// SecureOn password of the network card: `0a:1b:2c:3d:4e:5f` or `192.0.2.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_on: Option<SecretRef>,
}

/// A Redfish service (DMTF DSP0266) and the system behind it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedfishSpec {
    /// Its address: `https://` and a host; the path is always `/redfish/v1/`.
    pub url: String,
    /// User name.
    pub user: String,
    /// Where its password stands.
    pub password: SecretRef,
    /// How to log in: `session` unless given. A service without sessions gets `basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// Which system, when several stand behind the service: its id, UUID or serial number. Else the one with the host's UUID or
    /// serial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Whom to trust: the CA certificates of the appliance unless given.
    #[serde(default, skip_serializing_if = "TrustSpec::is_system")]
    pub trust: TrustSpec,
}

/// How credentials are shown to a service (DSP0266, authentication methods).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// Once, for a token that every other question carries; it is given back at the end.
    #[default]
    Session,
    /// With every question.
    Basic,
}

/// Where a secret stands. The secret itself has no place in a record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "SecretForm", into = "SecretForm")]
pub enum SecretRef {
    /// `{file: PATH}`: a file of the appliance that others cannot read; one line end at its end does not count.
    File(PathBuf),
    /// `{env: NAME}`: an environment variable of the appliance.
    Env(String),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::File(path) => write!(f, "the file {}", path.display()),
            SecretRef::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

/// As it is written.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SecretForm {
    /// A file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// An environment variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    env: Option<String>,
}

impl TryFrom<SecretForm> for SecretRef {
    type Error = &'static str;

    fn try_from(form: SecretForm) -> Result<SecretRef, Self::Error> {
        match (form.file, form.env) {
            (Some(path), None) if path.is_absolute() => Ok(SecretRef::File(path)),
            (Some(_), None) => Err("the file of a secret is named by its whole path"),
            (None, Some(name)) if is_variable(&name) => Ok(SecretRef::Env(name)),
            (None, Some(_)) => Err("an environment variable's name has letters, digits and `_`"),
            _ => Err("a secret is given as {file: PATH} or as {env: NAME}"),
        }
    }
}

impl From<SecretRef> for SecretForm {
    fn from(secret: SecretRef) -> SecretForm {
        match secret {
            SecretRef::File(path) => SecretForm { file: Some(path), env: None },
            SecretRef::Env(name) => SecretForm { file: None, env: Some(name) },
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// Whom to trust over https.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "TrustForm", into = "TrustForm")]
pub enum TrustSpec {
    /// The CA certificates of the appliance: written by leaving `trust` out.
    #[default]
    System,
    /// `{sha256: …}`: the certificate with this fingerprint.
    Sha256(Fingerprint),
    /// `{ca_file: PATH}`: the certificates of a PEM file.
    CaFile(PathBuf),
    /// `{insecure: true}`: anybody. Only this allows an `http://` address, too.
    Insecure,
}

impl TrustSpec {
    /// Nothing was said.
    pub fn is_system(&self) -> bool {
        *self == TrustSpec::System
    }
}

/// As it is written.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TrustForm {
    /// SHA-256 of the service's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Fingerprint>,
    /// PEM file with certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// Trust anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    insecure: Option<bool>,
}

impl TryFrom<TrustForm> for TrustSpec {
    type Error = &'static str;

    fn try_from(form: TrustForm) -> Result<TrustSpec, Self::Error> {
        match (form.sha256, form.ca_file, form.insecure) {
            (None, None, None) => Ok(TrustSpec::System),
            (Some(pin), None, None) => Ok(TrustSpec::Sha256(pin)),
            (None, Some(path), None) if path.is_absolute() => Ok(TrustSpec::CaFile(path)),
            (None, Some(_), None) => Err("the CA file is named by its whole path"),
            (None, None, Some(true)) => Ok(TrustSpec::Insecure),
            (None, None, Some(false)) => Err("leave `insecure` out to be secure"),
            _ => Err("trust is one of {sha256: …}, {ca_file: PATH} and {insecure: true}"),
        }
    }
}

impl From<TrustSpec> for TrustForm {
    fn from(trust: TrustSpec) -> TrustForm {
        let none = TrustForm::default();
        match trust {
            TrustSpec::System => none,
            TrustSpec::Sha256(pin) => TrustForm { sha256: Some(pin), ..none },
            TrustSpec::CaFile(path) => TrustForm { ca_file: Some(path), ..none },
            TrustSpec::Insecure => TrustForm { insecure: Some(true), ..none },
        }
    }
}

/// The SHA-256 of a certificate in DER. Text: 64 hex digits; parsed with or without colons, as openssl prints them.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(#[schemars(skip)] pub [u8; 32]);

impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Fingerprint, Self::Err> {
        const WRONG: &str =
            "not a SHA-256; write 64 hex digits, as `openssl x509 -fingerprint -sha256` prints them";
        let digits: Vec<u8> = text
            .trim()
            .bytes()
            .filter(|byte| *byte != b':')
            .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(WRONG)?;
        if digits.len() != 64 {
            return Err(WRONG);
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |value, digit| value << 4 | digit);
        }
        Ok(Fingerprint(bytes))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Fingerprint, Self::Error> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(pin: Fingerprint) -> String {
        pin.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Something in a [`PowerSpec`] that serde cannot know to be wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpecFault {
    /// Field, from the `PowerSpec` on: `redfish.url`.
    pub at: &'static str,
    /// What is wrong.
    pub fault: &'static str,
    /// What to write.
    pub fix: &'static str,
}

impl PowerSpec {
    /// What is wrong with it, for whoever checks a configuration before it is used.
    pub fn faults(&self) -> Vec<SpecFault> {
        let mut faults = Vec::new();
        let mut fault = |at, fault, fix| faults.push(SpecFault { at, fault, fix });
        if self.wol.is_none() && self.redfish.is_none() {
            fault(
                "",
                "it names no way to turn the machine on",
                "give `redfish:` or `wol: {}`, or leave it out",
            );
        }
        if let Some(redfish) = &self.redfish {
            let lower = redfish.url.to_ascii_lowercase();
            let rest = lower.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            if !lower.starts_with("https://") && !lower.starts_with("http://") || authority.is_empty() {
                fault("redfish.url", "it is no http address", "write https:// and the controller's host");
            } else if lower.starts_with("http://") && redfish.trust != TrustSpec::Insecure {
                fault(
                    "redfish.url",
                    "it is not encrypted, and a password goes there",
                    "write https://, or `trust: {insecure: true}` if that is meant",
                );
            }
            if authority.contains('@') {
                fault(
                    "redfish.url",
                    "it has credentials in it",
                    "give `user:` and `password: {file: PATH}` instead",
                );
            }
            if !matches!(path.trim_end_matches('/'), "" | "redfish" | "redfish/v1") {
                fault("redfish.url", "it has a path", "leave it out: the path is always /redfish/v1/");
            }
            if redfish.user.is_empty() || redfish.user.contains([':', '\r', '\n', '\0']) {
                fault("redfish.user", "it is no user name", "write the name of the controller's account");
            }
            if redfish.system.as_deref().is_some_and(|system| system.trim().is_empty()) {
                fault("redfish.system", "it is empty", "leave it out, or give a system's id, UUID or serial");
            }
        }
        if self.wol.as_ref().and_then(|wol| wol.mac).is_some_and(|mac| !mac.is_unicast()) {
            fault("wol.mac", "it is no machine's own address", "give the address of its network card");
        }
        faults
    }
}

#[cfg(test)]
mod tests;
