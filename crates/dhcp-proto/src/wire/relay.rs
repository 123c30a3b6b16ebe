//! Option 82, the relay agent information (RFC 3046), as a view over its raw bytes.
//!
//! The raw bytes are what goes back to the relay, whatever is in them. The view is for policy, and policy trusts nothing
//! odd: a sub-option list that does not add up gives no values at all, and a sub-option that is empty, of wrong length
//! or there twice gives none.

use std::net::Ipv4Addr;

const CIRCUIT_ID: u8 = 1;
const REMOTE_ID: u8 = 2;
const LINK_SELECTION: u8 = 5;
const SERVER_OVERRIDE: u8 = 11;
const SOURCE_PORT: u8 = 19;

/// A view of option 82: sub-options of code u8, length u8, value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelayInfo<'a> {
    raw: &'a [u8],
    well_formed: bool,
}

impl<'a> RelayInfo<'a> {
    /// Looks at the value of option 82. Never fails: see [`well_formed`](Self::well_formed).
    pub fn new(raw: &'a [u8]) -> RelayInfo<'a> {
        let mut rest = raw;
        let well_formed = loop {
            rest = match rest {
                [] => break !raw.is_empty(),
                [_, len, body @ ..] => match body.get(usize::from(*len)..) {
                    Some(rest) => rest,
                    None => break false,
                },
                [_] => break false,
            };
        };
        RelayInfo { raw, well_formed }
    }

    /// Exactly what came, for the echo (RFC 3046 §2.2).
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// True when the sub-options add up to the whole option.
    pub fn well_formed(&self) -> bool {
        self.well_formed
    }

    /// Codes and values in order; nothing when malformed.
    pub fn sub_options(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = if self.well_formed { self.raw } else { &[] };
        std::iter::from_fn(move || {
            let [code, len, body @ ..] = rest else { return None };
            let (value, after) = body.split_at_checked(usize::from(*len))?;
            rest = after;
            Some((*code, value))
        })
    }

    /// The one value of a sub-option; `None` when absent or there twice.
    fn single(&self, wanted: u8) -> Option<&'a [u8]> {
        let mut values = self.sub_options().filter(|(code, _)| *code == wanted).map(|(_, value)| value);
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }

    /// Where the client is plugged in, as the relay names it (RFC 3046 §3.1). Opaque, not empty.
    pub fn circuit_id(&self) -> Option<&'a [u8]> {
        self.single(CIRCUIT_ID).filter(|value| !value.is_empty())
    }

    /// Who the client is, as the relay names it (RFC 3046 §3.2). Opaque, not empty.
    pub fn remote_id(&self) -> Option<&'a [u8]> {
        self.single(REMOTE_ID).filter(|value| !value.is_empty())
    }

    /// An address of the client's subnet, stronger than `giaddr` (RFC 3527 §3).
    pub fn link_selection(&self) -> Option<Ipv4Addr> {
        self.address(LINK_SELECTION)
    }

    /// The address that goes out as option 54 in our place (RFC 5107 §4).
    pub fn server_override(&self) -> Option<Ipv4Addr> {
        self.address(SERVER_OVERRIDE)
    }

    /// True when the relay wants the reply at the port it sent from (RFC 8357 §5.1: sub-option 19, empty).
    pub fn wants_source_port(&self) -> bool {
        self.single(SOURCE_PORT).is_some_and(<[u8]>::is_empty)
    }

    fn address(&self, code: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.single(code)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets)).filter(|address| !address.is_unspecified())
    }
}

#[cfg(test)]
mod tests;
