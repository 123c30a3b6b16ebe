//! An IPv4 and UDP header by hand, for replies to a machine that cannot answer ARP yet.
//!
//! ```text
//! offset  bytes  field (RFC 791 §3.1, RFC 768)        value
//!  0      1      version, header length               0x45
//!  1      1      type of service                      0
//!  2      2      total length                         28 + payload
//!  4      2      identification                       0: never fragmented (RFC 6864 §4.1)
//!  6      2      flags, fragment offset               don't fragment
//!  8      1      time to live                         64
//!  9      1      protocol                             17
//! 10      2      header checksum
//! 12      4      source
//! 16      4      destination
//! 20      2      source port
//! 22      2      destination port
//! 24      2      UDP length                           8 + payload
//! 26      2      UDP checksum over the pseudo header  0 is sent as 0xffff
//! ```

use std::net::SocketAddrV4;

/// 65,535 − 20 IP − 8 UDP.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 65_507;
const HEADER_BYTES: usize = 28;
const UDP_HEADER_BYTES: u16 = 8;
const IP_HEADER_BYTES: u16 = 20;
const PROTOCOL_UDP: u8 = 17;
const TIME_TO_LIVE: u8 = 64;
const DONT_FRAGMENT: u16 = 0x4000;

/// One whole IPv4 packet; `None` when the payload is longer than [`PAYLOAD_BYTES_MAX`].
pub(crate) fn ipv4_udp(source: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let payload_bytes = u16::try_from(payload.len()).ok()?;
    let udp_bytes = payload_bytes.checked_add(UDP_HEADER_BYTES)?;
    let total_bytes = udp_bytes.checked_add(IP_HEADER_BYTES)?;
    let (from_ip, to_ip) = (source.ip().octets(), to.ip().octets());

    let mut header = Vec::with_capacity(usize::from(IP_HEADER_BYTES));
    header.extend([0x45, 0]);
    header.extend(total_bytes.to_be_bytes());
    header.extend([0, 0]);
    header.extend(DONT_FRAGMENT.to_be_bytes());
    header.extend([TIME_TO_LIVE, PROTOCOL_UDP]);
    let checksum = !fold(sum(&header) + sum(&from_ip) + sum(&to_ip));
    header.extend(checksum.to_be_bytes());
    header.extend(from_ip);
    header.extend(to_ip);

    let ports_and_length = [source.port().to_be_bytes(), to.port().to_be_bytes(), udp_bytes.to_be_bytes()];
    let pseudo = sum(&from_ip) + sum(&to_ip) + u64::from(PROTOCOL_UDP) + u64::from(udp_bytes);
    let checksum = match !fold(pseudo + sum(ports_and_length.as_flattened()) + sum(payload)) {
        0 => 0xffff,
        other => other,
    };

    let mut packet = Vec::with_capacity(HEADER_BYTES + payload.len());
    packet.extend(header);
    packet.extend(ports_and_length.as_flattened());
    packet.extend(checksum.to_be_bytes());
    packet.extend(payload);
    Some(packet)
}

/// Sum of big-endian 16-bit words, an odd last byte padded with zero (RFC 1071 §1).
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u64::from(u16::from_be_bytes([*high, *low])),
            [high] => u64::from(*high) << 8,
            _ => 0,
        })
        .sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
