//! A URL to fetch from, taken apart: what is asked of whom, and what of it may be shown.
//!
//! User name and password are kept for the request and never shown; nor is a query, which is where signed URLs have their
//! signature. [`Location`]'s `Display` and `Debug` are what logs, events, manifests and files beside a download have.

use crate::limits::URL_BYTES_MAX;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::str::FromStr;

/// Why a text is no location.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LocationError {
    /// Another scheme, or none.
    #[error("`{0}` is no scheme to fetch from; write http:// or https://")]
    Scheme(String),
    /// Not a URL.
    #[error("it is no URL: {0}; characters outside ASCII and spaces are written as %XX, host names as xn--…")]
    Malformed(String),
    /// Absurdly long.
    #[error("it is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
}

/// Where a file is fetched from.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    secure: bool,
    host: String,
    port: u16,
    /// Path and query, as they are asked for.
    target: String,
    /// `user:password`, decoded.
    credentials: Option<String>,
}

impl Location {
    /// Whether a text means to be one: it has a scheme and `//`.
    pub fn is_meant(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, _)| {
            !scheme.is_empty()
                && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
        })
    }

    /// Over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// It came with a user name or a password.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// Host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The last part of the path, decoded: what a file from there would be called.
    pub fn file_name(&self) -> Option<String> {
        let path = self.target.split('?').next().unwrap_or_default();
        let last = percent_decode_str(path.rsplit('/').next()?).decode_utf8().ok()?;
        (!last.is_empty()).then(|| last.into_owned())
    }

    /// Everything that says which file it is: not who asks.
    pub(crate) fn identity(&self) -> String {
        format!("{}{}", self.origin(), self.target)
    }

    fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }

    /// Host, and port where it is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == (if self.secure { 443 } else { 80 }) { host } else { format!("{host}:{}", self.port) }
    }

    /// The value of `Authorization` (RFC 7617).
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        basic(self.credentials.as_ref()?)
    }

    /// The same scheme, host and port.
    pub fn is_same_origin(&self, other: &Location) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    /// Where a `Location` field leads from here (RFC 3986 §5.2, dots left to the server). Credentials stay with the origin
    /// they were given for; those in the field are dropped.
    ///
    /// # Errors
    /// When it leads to what is no location.
    pub fn join(&self, field: &[u8]) -> Result<Location, LocationError> {
        // Some servers send what they should have encoded.
        let text: String = field
            .iter()
            .map(|byte| match byte {
                0x21..=0x7e => char::from(*byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        let text = text.split('#').next().unwrap_or_default();
        let path = self.target.split('?').next().unwrap_or_default();
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| {
            scheme.starts_with(|char: char| char.is_ascii_alphabetic())
                && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
        });
        let whole = if scheme.is_some() {
            text.to_owned()
        } else if text.starts_with("//") {
            format!("{}:{text}", if self.secure { "https" } else { "http" })
        } else if text.starts_with('/') {
            format!("{}{text}", self.origin())
        } else if text.is_empty() || text.starts_with('?') {
            format!("{}{path}{text}", self.origin())
        } else {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{}{folder}/{text}", self.origin())
        };
        let mut next: Location = whole.parse()?;
        next.credentials = self.credentials.clone().filter(|_| next.is_same_origin(self));
        Ok(next)
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Location, LocationError> {
        if text.len() > URL_BYTES_MAX {
            return Err(LocationError::TooLong);
        }
        let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let secure = match (scheme.as_str(), Location::is_meant(text)) {
            ("https", true) => true,
            ("http", true) => false,
            // The rest may hold a password.
            _ => return Err(LocationError::Scheme(scheme.chars().take(20).collect())),
        };
        // What the parser says of it has no part of the text.
        let malformed = |error: &dyn fmt::Display| LocationError::Malformed(error.to_string());
        let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| malformed(&error))?;
        let authority = uri.authority().ok_or_else(|| malformed(&"there is no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(malformed(&"there is no host"));
        }
        let behind = authority.as_str().rsplit('@').next().unwrap_or_default();
        let port = match behind.strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
            Some(port) if !port.is_empty() => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| malformed(&"its port is not from 1 to 65535"))?,
            _ if secure => 443,
            _ => 80,
        };
        let credentials = authority.as_str().rsplit_once('@').map(|(credentials, _)| credentials);
        let credentials = credentials.map(|text| {
            let text = if text.contains(':') { text.to_owned() } else { format!("{text}:") };
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        });
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let target = if target.starts_with('/') { target } else { format!("/{target}") };
        Ok(Location { secure, host, port, target, credentials })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = match self.target.split_once('?') {
            Some((path, _)) => (path, "?***"),
            None => (self.target.as_str(), ""),
        };
        let who = if self.credentials.is_some() { "***@" } else { "" };
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{who}{}{path}{query}", self.authority())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

/// The value of `Authorization` for a user name and a password (RFC 7617), marked as sensitive. `None` when the user name
/// has a colon, which that scheme cannot say.
pub fn basic_authorization(user: &str, password: &str) -> Option<HeaderValue> {
    (!user.contains(':')).then(|| basic(&format!("{user}:{password}"))).flatten()
}

fn basic(credentials: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Basic {}", base64(credentials.as_bytes()))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = ALPHABET.get((group >> shift & 63) as usize).copied().unwrap_or(b'=');
            text.push(char::from(if place > chunk.len() { b'=' } else { digit }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn secrets_of_a_url_are_never_shown() {
        let location = at("https://bob:s%40crets@Mirror.example:8443/a/x%20y.iso?token=abcdef");
        let shown = format!("{location} {location:?}");
        for secret in ["bob", "s@crets", "s%40crets", "abcdef", "token"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(location.to_string(), "https://***@mirror.example:8443/a/x%20y.iso?***");
        assert_eq!(location.authorization().unwrap(), "Basic Ym9iOnNAY3JldHM=");
        assert_eq!(location.file_name().as_deref(), Some("x y.iso"));
        assert_eq!(
            location.identity(),
            at("https://mirror.example:8443/a/x%20y.iso?token=abcdef").identity()
        );
    }

    #[test]
    fn only_http_and_https_are_fetched() {
        for bad in [
            "file:///etc/passwd",
            "ftp://h/x",
            "gopher://h",
            "http:/h",
            "x.iso",
            "",
            "http://",
            "https://u:p@/x",
            "http://h:0/",
            "http://h:99999/",
            "http://a b/",
        ] {
            let error = bad.parse::<Location>().expect_err(bad);
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
        assert!(
            Location::is_meant("ftp://h/x") && !Location::is_meant("C:/x") && !Location::is_meant("/a://b")
        );
        assert_eq!(at("HTTP://[::1]:80").to_string(), "http://[::1]/");
        assert!("http://h/".to_owned().repeat(2000).parse::<Location>().is_err());
    }

    #[test]
    fn a_redirect_is_followed_from_where_it_was_given() {
        let from = at("https://u:p@h:444/a/b.iso?x");
        let to = |field: &str| from.join(field.as_bytes()).map(|to| (to.identity(), to.has_credentials()));
        let text = |text: &str, own: bool| Ok((text.to_owned(), own));
        assert_eq!(to("c.iso"), text("https://h:444/a/c.iso", true));
        assert_eq!(to("/c.iso#f"), text("https://h:444/c.iso", true));
        assert_eq!(to("?y"), text("https://h:444/a/b.iso?y", true));
        assert_eq!(to("//other/c"), text("https://other/c", false));
        assert_eq!(to("https://v:q@other/c"), text("https://other/c", false));
        assert_eq!(to("http://h:444/"), text("http://h:444/", false));
        assert_eq!(to("/ä b"), text("https://h:444/%C3%A4%20b", true));
        for bad in ["file:///etc/passwd", "javascript:alert(1)", "ftp://h/"] {
            assert!(matches!(to(bad), Err(LocationError::Scheme(_))), "{bad}");
        }
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, text) in pairs {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }
}
