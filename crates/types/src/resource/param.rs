//! Parameters whose value is a secret: the record says where it stands, and only the answer file of the machine has it.
//!
//! `secret:file:/etc/reveille/secrets/root` or `secret:env:ROOT_HASH`, as the whole value of a parameter of a host, group or
//! rule.

use super::power::SecretRef;

const MARK: &str = "secret:";

/// Where the value of a parameter stands, when it is not the value itself.
///
/// # Errors
/// When it begins with `secret:` and says neither a file by its whole path nor a variable: it is never taken for a value.
pub fn secret_of(value: &str) -> Result<Option<SecretRef>, String> {
    let Some(reference) = value.strip_prefix(MARK) else { return Ok(None) };
    match reference.split_once(':') {
        Some(("file", path)) if path.starts_with('/') && !path.chars().any(char::is_control) => {
            Ok(Some(SecretRef::File(path.into())))
        }
        Some(("env", name))
            if !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_') =>
        {
            Ok(Some(SecretRef::Env(name.to_owned())))
        }
        _ => Err("it is no reference to a secret; write secret:file:/PATH or secret:env:NAME".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_itself_unless_it_says_where_it_stands() {
        for plain in ["", "x", "$6$salt$hash", "secrets:file:/x", "Secret:file:/x"] {
            assert_eq!(secret_of(plain), Ok(None), "{plain}");
        }
        assert_eq!(secret_of("secret:file:/etc/x"), Ok(Some(SecretRef::File("/etc/x".into()))));
        assert_eq!(secret_of("secret:env:ROOT_1"), Ok(Some(SecretRef::Env("ROOT_1".into()))));
        for bad in [
            "secret:",
            "secret:x",
            "secret:file:",
            "secret:file:x",
            "secret:env:",
            "secret:env:A B",
            "secret:vault:/x",
        ] {
            assert!(secret_of(bad).is_err(), "{bad}");
        }
    }
}
