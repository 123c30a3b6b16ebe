//! A password by reference: a file or an environment variable, never an argument that a list of processes shows.

use crate::limits::PASSWORD_BYTES_MAX;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a password stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretRef {
    /// In a file; one line end behind it does not belong to it.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

/// A password. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the password file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The variable is not set, or no text.
    #[error("the environment variable {0} holds no password")]
    Env(String),
    /// Empty: a directory would take it for a question by nobody and say yes (RFC 4513 §5.1.2).
    #[error("the password in {0} is empty")]
    Empty(SecretRef),
    /// Longer than any.
    #[error("the password in {0} is longer than {PASSWORD_BYTES_MAX} bytes, or not text")]
    Unusable(SecretRef),
    /// No reference.
    #[error("`{0}` names no place of a password; write file:PATH or env:NAME")]
    Reference(String),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::File(path) => write!(f, "file:{}", path.display()),
            SecretRef::Env(name) => write!(f, "env:{name}"),
        }
    }
}

impl FromStr for SecretRef {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(SecretRef::File(path.into())),
            Some(("env", name)) if !name.is_empty() && !name.contains('=') => {
                Ok(SecretRef::Env(name.to_owned()))
            }
            // Shown as it is: somebody may have written the password itself.
            _ => Err(SecretError::Reference("…".to_owned())),
        }
    }
}

impl SecretRef {
    /// Reads the password.
    ///
    /// # Errors
    /// When there is none, or it is empty or too long.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let mut text = match self {
            SecretRef::File(path) => {
                let failed = |source| SecretError::File { path: path.clone(), source };
                let file = std::fs::File::open(path).map_err(failed)?;
                let mut bytes = Vec::new();
                let most = u64::try_from(PASSWORD_BYTES_MAX + 3).unwrap_or(u64::MAX);
                file.take(most).read_to_end(&mut bytes).map_err(failed)?;
                let mut text = String::from_utf8(bytes).map_err(|_| SecretError::Unusable(self.clone()))?;
                if text.ends_with('\n') {
                    text.pop();
                }
                if text.ends_with('\r') {
                    text.pop();
                }
                text
            }
            SecretRef::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone()))?,
        };
        match text.len() {
            0 => Err(SecretError::Empty(self.clone())),
            1..=PASSWORD_BYTES_MAX => Ok(Secret(std::mem::take(&mut text))),
            _ => Err(SecretError::Unusable(self.clone())),
        }
    }
}

impl Secret {
    /// For tests and callers that have it from elsewhere; `None` when it is empty or too long.
    pub fn new(text: &str) -> Option<Secret> {
        (1..=PASSWORD_BYTES_MAX).contains(&text.len()).then(|| Secret(text.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> (tempfile::TempDir, SecretRef) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, text).unwrap();
        (folder, SecretRef::File(path))
    }

    #[test]
    fn one_line_end_does_not_belong_to_it() {
        for (text, wanted) in
            [(&b"pass word"[..], "pass word"), (b"p\n", "p"), (b"p\r\n", "p"), (b"p\n\n", "p\n")]
        {
            assert_eq!(file(text).1.read().unwrap(), Secret(wanted.to_owned()));
        }
    }

    #[test]
    fn no_password_is_told() {
        assert!(matches!(file(b"\n").1.read(), Err(SecretError::Empty(_))));
        assert!(matches!(file(&[b'x'; PASSWORD_BYTES_MAX + 1]).1.read(), Err(SecretError::Unusable(_))));
        assert!(matches!(file(b"\xff").1.read(), Err(SecretError::Unusable(_))));
        assert!(matches!(SecretRef::File("/no/such/file".into()).read(), Err(SecretError::File { .. })));
        let unset = "env:REVEILLE_NO_SUCH_PASSWORD".parse::<SecretRef>().unwrap();
        assert!(matches!(unset.read(), Err(SecretError::Env(_))));
    }

    #[test]
    fn a_reference_is_no_password_and_neither_is_shown() {
        assert_eq!("file:/etc/x".parse::<SecretRef>().unwrap(), SecretRef::File("/etc/x".into()));
        let error = "hunter2".parse::<SecretRef>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert!(!format!("{:?}", Secret::new("hunter2").unwrap()).contains("hunter2"));
    }
}
