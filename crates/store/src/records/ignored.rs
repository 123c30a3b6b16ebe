//! Machines that are to be ignored, by the beginning of their hardware address.

use super::Kind;
use serde::{Deserialize, Serialize};

/// Ignored machines: table facts, key `ignore/<octets in hex>`.
pub const IGNORED: Kind = Kind { name: "ignored machine", steps: &[] };

const KEY_PREFIX: &str = "ignore/";

/// Who is ignored, since when, and who wants that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ignored {
    /// First octets of the hardware address, 1 to 6.
    pub octets: Vec<u8>,
    /// Since when, seconds since 1970.
    pub since: u64,
    /// Who.
    pub by: String,
}

/// Key of an ignored machine.
pub fn ignored_key(octets: &[u8]) -> Vec<u8> {
    let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{KEY_PREFIX}{digits}").into_bytes()
}

/// True for keys of ignored machines.
pub fn is_ignored_key(key: &[u8]) -> bool {
    key.starts_with(KEY_PREFIX.as_bytes())
}
