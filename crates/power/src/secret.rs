//! A secret in memory, and where it is read from. Whatever shows a [`Secret`], shows `***`.
//!
//! What is deliberately absent: reading one from a record, wiping memory (who can read this process's memory has more).

use crate::limits::SECRET_BYTES_MAX;
use crate::spec::SecretRef;
use serde::{Serialize, Serializer};
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use tokio::io::AsyncReadExt as _;

/// A text that nothing shows: not `Debug`, not `Display`, not serde.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

const MASK: &str = "***";

impl Secret {
    /// Takes it.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for whom it is meant.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({MASK})")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
#[error("no secret from {from}")]
pub struct SecretError {
    /// Where it should stand.
    pub from: SecretRef,
    /// Why not.
    pub source: SecretFault,
}

/// What is wrong with where a secret should stand.
#[derive(Debug, thiserror::Error)]
pub enum SecretFault {
    /// The file system said no.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// A directory, a device, a pipe.
    #[error("it is no file")]
    NoFile,
    /// Others than owner and group may read it.
    #[error("everybody on this machine may read it (mode {0:03o})")]
    Open(u32),
    /// The variable is not set.
    #[error("it is not set")]
    Unset,
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// More than any password.
    #[error("it is larger than {SECRET_BYTES_MAX} bytes")]
    TooLarge,
    /// No UTF-8, several lines, control characters.
    #[error("it is not one line of text")]
    NoLine,
}

impl SecretError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match (&self.source, &self.from) {
            (SecretFault::Open(_), SecretRef::File(path)) => {
                format!("chown it to the appliance's user and chmod 600 {}", path.display())
            }
            (SecretFault::Unset, SecretRef::Env(name)) => {
                format!(
                    "set {name} where the appliance is started: in systemd `Environment=` or, better, `LoadCredential=` and {{file: …}}"
                )
            }
            (SecretFault::Read(_), _) => {
                "check that it is there and that the appliance's user may read it".to_owned()
            }
            _ => "put the password into it, in one line".to_owned(),
        }
    }
}

/// Reads a secret from where it stands.
///
/// # Errors
/// When there is none, or everybody may read it.
pub async fn read(from: &SecretRef) -> Result<Secret, SecretError> {
    let text = match from {
        SecretRef::File(path) => file(path).await,
        SecretRef::Env(name) => match std::env::var_os(name) {
            None => Err(SecretFault::Unset),
            Some(value) => value.into_string().map_err(|_| SecretFault::NoLine),
        },
    };
    text.and_then(one_line).map_err(|source| SecretError { from: from.clone(), source })
}

async fn file(path: &std::path::Path) -> Result<String, SecretFault> {
    // Asked before it is opened: opening a pipe would wait for its writer.
    let about = tokio::fs::metadata(path).await.map_err(SecretFault::Read)?;
    if !about.is_file() {
        return Err(SecretFault::NoFile);
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(SecretFault::Open(mode));
    }
    let file = tokio::fs::File::open(path).await.map_err(SecretFault::Read)?;
    let mut bytes = Vec::new();
    let most = SECRET_BYTES_MAX as u64 + 1;
    file.take(most).read_to_end(&mut bytes).await.map_err(SecretFault::Read)?;
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(SecretFault::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| SecretFault::NoLine)
}

/// Without the line end that editors put there.
fn one_line(mut text: String) -> Result<Secret, SecretFault> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(SecretFault::Empty);
    }
    if text.len() > SECRET_BYTES_MAX {
        return Err(SecretFault::TooLarge);
    }
    if text.chars().any(char::is_control) {
        return Err(SecretFault::NoLine);
    }
    Ok(Secret(text))
}

#[cfg(test)]
mod tests;
