//! Links of a service: followed within its origin, or not at all. A controller that was taken over, or one that was replaced by
//! something else, must not make us talk to others with its token, nor show us things as its own that it fetched elsewhere.

use crate::limits::LINK_BYTES_MAX;
use fetch::{Location, LocationError};

/// Why a link is not followed. The text shows no more of it than its beginning.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkError {
    /// Somewhere else.
    #[error("leads to {0}, outside of the service")]
    Outside(String),
    /// Absurdly long.
    #[error("is longer than {LINK_BYTES_MAX} bytes")]
    TooLong,
    /// Nothing to follow.
    #[error("is empty")]
    Empty,
    /// No URL.
    #[error("is no link")]
    Malformed(#[from] LocationError),
}

/// Where the service begins (DSP0266, protocol version: `/redfish/v1/`), from the configured address.
///
/// # Errors
/// When it is no address, or has credentials in it.
pub fn service_root(url: &str) -> Result<Location, LocationError> {
    let given: Location = url.parse()?;
    if given.has_credentials() {
        return Err(LocationError::Malformed("it has credentials in it".to_owned()));
    }
    given.join(b"/redfish/v1/")
}

/// Where a link of an answer leads: `@odata.id`, the target of an action, a `Location` field. A path, or a whole URL of the same
/// scheme, host and port.
///
/// # Errors
/// When it leads elsewhere or nowhere.
pub fn follow(base: &Location, link: &str) -> Result<Location, LinkError> {
    match link.len() {
        0 => return Err(LinkError::Empty),
        1..=LINK_BYTES_MAX => {}
        _ => return Err(LinkError::TooLong),
    }
    // Some parsers read `\` as `/`; and `/\host` as `//host`.
    if link.contains('\\') || link.chars().any(char::is_control) {
        return Err(LinkError::Malformed(LocationError::Malformed(
            "it has characters of no link".to_owned(),
        )));
    }
    let to = base.join(link.as_bytes())?;
    if !to.is_same_origin(base) || to.has_credentials() {
        return Err(LinkError::Outside(to.to_string()));
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(link: &str) -> Result<String, LinkError> {
        follow(&service_root("https://bmc.example.net:8443").unwrap(), link).map(|to| to.to_string())
    }

    #[test]
    fn links_stay_within_their_origin() {
        let at = |path: &str| Ok(format!("https://bmc.example.net:8443{path}"));
        assert_eq!(to("/redfish/v1/Systems"), at("/redfish/v1/Systems"));
        assert_eq!(to("/redfish/v1/Systems/a b"), at("/redfish/v1/Systems/a%20b"));
        assert_eq!(to("https://BMC.example.net:8443/redfish/v1/S"), at("/redfish/v1/S"));
        assert_eq!(to("Systems/1"), at("/redfish/v1/Systems/1"));
        assert_eq!(to("/redfish/v1/Systems/1#/Boot"), at("/redfish/v1/Systems/1"));
        for hostile in [
            "https://evil.example/redfish/v1/Systems",
            "//evil.example/redfish/v1/Systems",
            "http://bmc.example.net:8443/redfish/v1/Systems",
            "https://bmc.example.net/redfish/v1/Systems",
            "https://bmc.example.net:8443@evil.example/",
            "https://user:pass@bmc.example.net:443/",
        ] {
            assert!(matches!(to(hostile), Err(LinkError::Outside(_))), "{hostile}: {:?}", to(hostile));
        }
        for malformed in
            ["file:///etc/passwd", "javascript:alert(1)", "/a\\b", "/\\evil.example", "/a\r\nX: y", "/a\0"]
        {
            assert!(
                matches!(to(malformed), Err(LinkError::Malformed(_))),
                "{malformed:?}: {:?}",
                to(malformed)
            );
        }
        assert_eq!(to(""), Err(LinkError::Empty));
        assert_eq!(to(&"/x".repeat(LINK_BYTES_MAX)), Err(LinkError::TooLong));
    }

    #[test]
    fn the_service_begins_at_one_place() {
        for url in ["https://h", "https://h/", "https://h/redfish/v1", "https://h/redfish/v1/Systems?x"] {
            assert_eq!(service_root(url).unwrap().to_string(), "https://h/redfish/v1/");
        }
        assert!(service_root("https://u:p@h").is_err() && service_root("h").is_err());
    }
}
