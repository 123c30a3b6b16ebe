//! Secrets of parameters, read where they stand at the moment an answer file or the scripts of bundles are made, and kept out of
//! every message about them.
//!
//! A file has its secret in one line, is a plain file and closed to others, as the passwords of `power` are. What was read is
//! in the answer file and the scripts (`bundle.sh`, ESXi's module) alone: no record, no event, no trace has it, unless a script
//! prints it on its way down.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use types::resource::{SecretRef, secret_of};

/// Longest secret in bytes: a hash, a key in one line.
const SECRET_BYTES_MAX: usize = 4 << 10;
/// Stands for one wherever it would be shown.
const MASK: &str = "•••";

/// What was read, to be kept out of messages.
#[derive(Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Puts secrets in the place of the parameters that say where one stands.
    ///
    /// # Errors
    /// Which parameter has none, and why.
    pub(crate) fn put_into(params: &mut BTreeMap<String, String>) -> Result<Secrets, String> {
        let mut read_so_far = Secrets::default();
        for (key, value) in params.iter_mut() {
            let reference = secret_of(value).map_err(|why| format!("params.{key}: {why}"))?;
            if let Some(reference) = reference {
                let text = read(&reference).map_err(|why| format!("params.{key}: {reference}: {why}"))?;
                value.clone_from(&text);
                read_so_far.0.push(text);
            }
        }
        // The longest first: one may be part of another.
        read_so_far.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(read_so_far)
    }

    /// The text without any of them.
    pub(crate) fn masked(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| text.replace(secret.as_str(), MASK))
    }
}

fn read(from: &SecretRef) -> Result<String, String> {
    let text = match from {
        SecretRef::File(path) => read_file(path)?,
        SecretRef::Env(name) => match std::env::var_os(name) {
            None => return Err("it is not set".to_owned()),
            Some(value) => value.into_string().map_err(|_| "it is not one line of text".to_owned())?,
        },
    };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line {
        "" => Err("it is empty".to_owned()),
        line if line.len() > SECRET_BYTES_MAX => Err(format!("it is larger than {SECRET_BYTES_MAX} bytes")),
        line if line.chars().any(char::is_control) => Err("it is not one line of text".to_owned()),
        line => Ok(line.to_owned()),
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let unread = |error: std::io::Error| format!("it cannot be read: {error}");
    // Asked before it is opened: opening a pipe would wait for its writer.
    let about = std::fs::metadata(path).map_err(unread)?;
    if !about.is_file() {
        return Err("it is no file".to_owned());
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(format!("everybody on this machine may read it (mode {mode:03o}); chmod 600 it"));
    }
    let mut bytes = Vec::new();
    let most = SECRET_BYTES_MAX as u64 + 3;
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(unread)?;
    String::from_utf8(bytes).map_err(|_| "it is not one line of text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    fn params(value: &str) -> BTreeMap<String, String> {
        [("root".to_owned(), value.to_owned()), ("ntp".to_owned(), "10.0.0.1".to_owned())].into()
    }

    #[test]
    fn a_secret_is_put_where_its_reference_was_and_masked_in_messages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        std::fs::write(&path, "$6$salt$hash\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let mut own = params(&format!("secret:file:{}", path.display()));
        let secrets = Secrets::put_into(&mut own).unwrap();
        assert_eq!(own, params("$6$salt$hash"));
        assert_eq!(secrets.masked("line 3: `$6$salt$hash` is bad".to_owned()), "line 3: `•••` is bad");
        assert_eq!(secrets.masked("10.0.0.1".to_owned()), "10.0.0.1");
        let mut plain = params("x");
        assert_eq!(Secrets::put_into(&mut plain).unwrap().masked("x".to_owned()), "x");
        assert_eq!(plain, params("x"));
    }

    #[test]
    fn what_is_no_secret_is_refused_by_its_parameter_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8], mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            format!("secret:file:{}", path.display())
        };
        let long = vec![b'x'; SECRET_BYTES_MAX + 2];
        for (reference, why) in [
            (write("open", b"MARK", 0o644), "chmod 600"),
            (write("empty", b"\n", 0o600), "empty"),
            (write("lines", b"MARK\nMARK\n", 0o600), "one line"),
            (write("bytes", b"MARK\xff", 0o600), "one line"),
            (write("long", &long, 0o600), "larger"),
            (format!("secret:file:{}", folder.path().display()), "no file"),
            ("secret:file:/nowhere/at/all".to_owned(), "cannot be read"),
            ("secret:env:REVEILLE_NO_SUCH_VARIABLE".to_owned(), "not set"),
            ("secret:root".to_owned(), "no reference"),
        ] {
            let Err(fault) = Secrets::put_into(&mut params(&reference)) else { panic!("{reference}") };
            assert!(
                fault.contains("params.root") && fault.contains(why) && !fault.contains("MARK"),
                "{fault}"
            );
        }
    }
}
