//! Query parameters: every one is known, given once and readable, or the request is refused with its name.

use crate::Problem;
use crate::backend::Page;
use percent_encoding::percent_decode_str;
use std::str::FromStr;
use types::{ClientArch, Facts, Firmware, Stage};

/// Items of a page when the client does not say.
const LIMIT_DEFAULT: usize = 200;

/// Items of a page at most.
const LIMIT_MAX: usize = 1000;

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query; keys outside `known` are refused.
    pub(crate) fn read(query: Option<&str>, known: &[&str]) -> Result<Params, Box<Problem>> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decoded(key)?, decoded(value)?);
            if !known.contains(&key.as_str()) {
                let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Problem::bad_query(format!("unknown parameter `{key}`; known here: {list}")));
            }
            if pairs.iter().any(|(own, _)| *own == key) {
                return Err(Problem::bad_query(format!("`{key}` is given twice")));
            }
            pairs.push((key, value));
        }
        Ok(Params(pairs))
    }

    /// Values that came in a body, by the same rules.
    pub(crate) fn given<'a>(
        pairs: impl Iterator<Item = (&'a String, &'a String)>,
        known: &[&str],
    ) -> Result<Params, Box<Problem>> {
        let pairs: Vec<(String, String)> = pairs.map(|(key, value)| (key.clone(), value.clone())).collect();
        match pairs.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(Params(pairs)),
            Some((key, _)) => {
                Err(Problem::bad_body(format!("unknown fact `{key}`; known are {}", known.join(", "))))
            }
        }
    }

    /// The text of a parameter, when it is given and not empty.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == key)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A parameter in its own type.
    pub(crate) fn parse<T: FromStr>(&self, key: &str) -> Result<Option<T>, Box<Problem>>
    where
        T::Err: std::fmt::Display,
    {
        self.text(key)
            .map(|text| text.parse().map_err(|error| Problem::bad_query(format!("`{key}`: {error}"))))
            .transpose()
    }

    /// `true`, `false`, or the bare key for true.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, Box<Problem>> {
        match self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str()) {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(_) => Err(Problem::bad_query(format!("`{key}` is true or false"))),
        }
    }

    /// `limit` and `after`.
    pub(crate) fn page(&self) -> Result<Page, Box<Problem>> {
        let limit = self.parse("limit")?.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::bad_query(format!("`limit` is 1 to {LIMIT_MAX}")));
        }
        Ok(Page { limit, after: self.text("after").map(str::to_owned) })
    }

    /// Facts of a hypothetical machine.
    pub(crate) fn facts(&self) -> Result<Facts, Box<Problem>> {
        let stage = match self.text("stage") {
            None | Some("rom") => Stage::Rom,
            Some("ipxe") => Stage::Ipxe,
            Some("http-rom") => Stage::HttpRom,
            Some("loader") => Stage::Loader,
            Some("os") => Stage::Os,
            Some(_) => return Err(Problem::bad_query("`stage`: known are rom, http-rom, ipxe, loader, os")),
        };
        // A firmware's name, or the number of option 93.
        let (arch, firmware) = match self.text("arch").map(str::parse::<u16>) {
            Some(Ok(code)) => (Some(ClientArch(code)), ClientArch(code).firmware()),
            _ => (None, self.parse::<Firmware>("arch")?),
        };
        let shared = |key| self.text(key).map(std::sync::Arc::from);
        let smbios = ["vendor", "model", "serial", "asset", "oemstring"];
        Ok(Facts {
            mac: self.parse("mac")?,
            guid: self.parse("uuid")?,
            arch,
            firmware,
            stage,
            http: matches!(stage, Stage::Ipxe | Stage::HttpRom),
            // Who says one of them says all there is.
            smbios: smbios.iter().any(|key| self.text(key).is_some()),
            vendor: shared("vendor"),
            model: shared("model"),
            serial: shared("serial"),
            asset: shared("asset"),
            oemstring: shared("oemstring"),
            hostname: shared("hostname"),
            subnet: shared("subnet"),
            relay: self.parse("relay")?,
            circuit_id: self.text("circuit").map(|circuit| circuit.as_bytes().into()),
            address: self.parse("address")?,
            interface: shared("iface"),
            ..Facts::default()
        })
    }
}

/// What [`Params::facts`] reads.
pub(crate) const FACTS: [&str; 15] = [
    "mac",
    "uuid",
    "arch",
    "stage",
    "vendor",
    "model",
    "serial",
    "asset",
    "oemstring",
    "hostname",
    "subnet",
    "relay",
    "circuit",
    "address",
    "iface",
];

/// Form rules: `+` is a space, percent escapes are bytes of UTF-8.
fn decoded(text: &str) -> Result<String, Box<Problem>> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Problem::bad_query("the query is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_repeated_and_unreadable_parameters_are_refused_by_name() {
        let known = &["limit", "after", "dry_run"];
        let refused = |query: &str| {
            let params = Params::read(Some(query), known);
            params
                .and_then(|params| params.page().and(params.flag("dry_run")).map(|_| ()))
                .unwrap_err()
                .cause
                .unwrap()
        };
        assert_eq!(refused("limt=3"), "unknown parameter `limt`; known here: limit, after, dry_run");
        assert_eq!(refused("limit=3&limit=4"), "`limit` is given twice");
        assert_eq!(refused("limit=0"), "`limit` is 1 to 1000");
        assert!(refused("limit=x").starts_with("`limit`: "));
        assert_eq!(refused("dry_run=yes"), "`dry_run` is true or false");
        assert_eq!(refused("after=%ff"), "the query is not UTF-8");
    }

    #[test]
    fn hypothetical_machines_are_read_from_the_query() {
        let query = "mac=52:54:00:12:34:56&arch=uefi-x64&vendor=Dell+Inc.&stage=ipxe";
        let facts = Params::read(Some(query), &FACTS).unwrap().facts().unwrap();
        assert_eq!(facts.firmware, Some(Firmware::UefiX64));
        assert_eq!(facts.vendor.as_deref(), Some("Dell Inc."));
        assert!(facts.http);
        let facts = Params::read(Some("arch=7"), &FACTS).unwrap().facts().unwrap();
        assert_eq!((facts.arch, facts.firmware), (Some(ClientArch(7)), Some(Firmware::UefiX64)));
        let error = Params::read(Some("arch=z80"), &FACTS).unwrap().facts().unwrap_err();
        assert!(error.cause.unwrap().contains("known are bios"));
    }
}
