//! Which options a transfer runs with, and the OACK that says so.
//!
//! RFC 2347: names are caseless, unknown options are ignored, the OACK lists only what was asked (as the client spelled
//! it: firmware compares), and without any accepted option there is none. A value that is no plain decimal number in
//! range makes the option as good as unknown.

use crate::limits::{
    BLKSIZE_DEFAULT, BLKSIZE_ETHERNET_MAX, BLKSIZE_MAX, BLKSIZE_MIN, HEADERS_BYTES,
    IN_FLIGHT_BYTES_DEFAULT_MAX, WINDOWSIZE_DEFAULT_MAX, WINDOWSIZE_MAX,
};
use crate::wire::{Mode, Request, oack};
use std::time::Duration;

/// What we grant at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Largest block, 8..=65464.
    pub blksize_max: u16,
    /// Largest window in blocks, at least 1; never more than [`WINDOWSIZE_MAX`] is granted.
    pub windowsize_max: u16,
    /// Cap on window × block in bytes; the window shrinks to fit, down to 1.
    pub in_flight_bytes_max: u32,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            blksize_max: BLKSIZE_ETHERNET_MAX,
            windowsize_max: WINDOWSIZE_DEFAULT_MAX,
            in_flight_bytes_max: IN_FLIGHT_BYTES_DEFAULT_MAX,
        }
    }
}

impl Policy {
    /// The same for a path that carries IP packets of at most `mtu` bytes whole: many ROMs cannot put fragments together.
    pub fn within_mtu(self, mtu: u32) -> Policy {
        let fitting = u16::try_from(mtu.saturating_sub(HEADERS_BYTES)).unwrap_or(u16::MAX);
        Policy { blksize_max: self.blksize_max.min(fitting).max(BLKSIZE_MIN), ..self }
    }
}

/// What one transfer runs with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// Payload of every block but the last, 8..=65464.
    pub blksize: u16,
    /// Blocks sent per ACK, 1..=65535.
    pub windowsize: u16,
    /// The client's `timeout` option, 1..=255 s. Echoed; no resend of ours ever waits longer than the shortest of them.
    pub timeout: Option<Duration>,
    /// The OACK tells the size.
    pub tells_size: bool,
    /// The OACK to send first; `None`: straight to DATA 1.
    pub oack: Option<Vec<u8>>,
}

/// Settles the options of a read of `size` bytes (as they travel).
pub fn negotiate(request: &Request<'_>, size: u64, policy: &Policy) -> Negotiated {
    let asked = |name: &str| {
        request
            .options
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
            .and_then(|(_, value)| decimal(value))
    };
    let in_range = |value: u64, least: u16, most: u16| {
        u16::try_from(value).ok().filter(|value| (least..=most).contains(value))
    };
    // RFC 2348: 8..=65464, the answer is not larger than asked.
    let blksize = asked("blksize")
        .and_then(|value| in_range(value, BLKSIZE_MIN, BLKSIZE_MAX))
        .map(|value| value.min(policy.blksize_max.clamp(BLKSIZE_MIN, BLKSIZE_MAX)));
    let block_bytes = u32::from(blksize.unwrap_or(BLKSIZE_DEFAULT));
    let fitting = u16::try_from(policy.in_flight_bytes_max / block_bytes.max(1)).unwrap_or(u16::MAX);
    // RFC 7440 §4: 1..=65535, the answer is not larger than asked.
    let windowsize = asked("windowsize")
        .and_then(|value| in_range(value, 1, u16::MAX))
        .map(|value| value.min(policy.windowsize_max).min(WINDOWSIZE_MAX).min(fitting).max(1));
    // RFC 2349: 1..=255 seconds, echoed unchanged. DIVERGES RFC 2349 §3: we resend earlier, after the measured round
    // trip; a client that repeats itself only every six seconds is still served quickly over a lossy link.
    let timeout = asked("timeout").and_then(|value| in_range(value, 1, 255));
    // RFC 2349: the client asks with 0, and only for octet: netascii has no size before it is converted.
    let tells_size = request.mode == Mode::Octet && asked("tsize").is_some();

    let accepted: Vec<(&[u8], String)> = request
        .options
        .iter()
        .filter_map(|&(name, _)| {
            let value = match name.to_ascii_lowercase().as_slice() {
                b"blksize" => blksize?.to_string(),
                b"windowsize" => windowsize?.to_string(),
                b"timeout" => timeout?.to_string(),
                b"tsize" if tells_size => size.to_string(),
                _ => return None,
            };
            Some((name, value))
        })
        .collect();
    Negotiated {
        blksize: blksize.unwrap_or(BLKSIZE_DEFAULT),
        windowsize: windowsize.unwrap_or(1),
        timeout: timeout.map(|seconds| Duration::from_secs(seconds.into())),
        tells_size,
        oack: (!accepted.is_empty()).then(|| oack(accepted)),
    }
}

/// Plain decimal digits that fit a `u64`; no sign, no blank, no hex.
fn decimal(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests;
