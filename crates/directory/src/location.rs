//! Where a directory is: `ldap://` and `ldaps://` URLs (RFC 4516), as far as host and port.

use std::fmt;
use std::str::FromStr;

/// Host and port of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    secure: bool,
    host: String,
    port: u16,
}

/// How a connection is secured.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Security {
    /// TLS from the first byte (`ldaps://`).
    Tls,
    /// The connection becomes TLS before anything is said (StartTLS). What `ldap://` means here.
    StartTls,
    /// Nothing: password and answers can be read on the way. Only when it is asked for.
    Plain,
}

/// The text is no location.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocationParseError;

impl fmt::Display for LocationParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the URL of a directory; write ldaps://dc1.corp.example, with :PORT where it is not the usual one")
    }
}

impl std::error::Error for LocationParseError {}

impl Location {
    /// What the URL means: TLS for `ldaps://`, StartTLS for `ldap://`.
    pub fn usual_security(&self) -> Security {
        if self.secure { Security::Tls } else { Security::StartTls }
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "ldaps" } else { "ldap" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Location {
    type Err = LocationParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(LocationParseError)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ldaps" => true,
            "ldap" => false,
            _ => return Err(LocationParseError),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, behind) = rest.split_once(']').ok_or(LocationParseError)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| LocationParseError)?;
                let port = behind.strip_prefix(':');
                if port.is_none() && !behind.is_empty() {
                    return Err(LocationParseError);
                }
                (host, port)
            }
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
            return Err(LocationParseError);
        }
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(LocationParseError)?,
            None if secure => 636,
            None => 389,
        };
        Ok(Location { secure, host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        for (text, written, security) in [
            ("ldaps://dc1.corp.example", "ldaps://dc1.corp.example:636", Security::Tls),
            ("LDAP://dc1/", "ldap://dc1:389", Security::StartTls),
            ("ldap://127.0.0.1:3389", "ldap://127.0.0.1:3389", Security::StartTls),
            ("ldaps://[fd00::1]", "ldaps://[fd00::1]:636", Security::Tls),
            ("ldaps://[fd00::1]:1636", "ldaps://[fd00::1]:1636", Security::Tls),
        ] {
            let location: Location = text.parse().unwrap();
            assert_eq!((location.to_string().as_str(), location.usual_security()), (written, security));
        }
        for bad in [
            "",
            "dc1",
            "http://dc1",
            "ldap://",
            "ldap://a:0",
            "ldap://a:x",
            "ldap://a b",
            "ldap://a@b",
            "ldap://[x]",
            "ldap://[fd00::1]x",
            "ldap://a/dc=x",
            "ldap://a:1:2",
        ] {
            assert_eq!(bad.parse::<Location>(), Err(LocationParseError), "{bad}");
        }
    }
}
