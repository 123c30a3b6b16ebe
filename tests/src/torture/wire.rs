//! DHCP frames as a listener on the cable reads them and a client writes them (RFC 2131 §2, RFC 2132).
//!
//! Independent of the appliance's own codec: an oracle that shares code with what it judges shares its faults.

use std::net::Ipv4Addr;

const ETHERNET: usize = 14;
/// Where options start in a message.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// DHCP message type, option 53.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// 1
    Discover,
    /// 2
    Offer,
    /// 3
    Request,
    /// 4
    Decline,
    /// 5
    Ack,
    /// 6
    Nak,
    /// 7
    Release,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        use Kind::{Ack, Decline, Discover, Nak, Offer, Release, Request};
        [Discover, Offer, Request, Decline, Ack, Nak, Release].into_iter().find(|kind| kind.byte() == byte)
    }

    fn byte(self) -> u8 {
        match self {
            Kind::Discover => 1,
            Kind::Offer => 2,
            Kind::Request => 3,
            Kind::Decline => 4,
            Kind::Ack => 5,
            Kind::Nak => 6,
            Kind::Release => 7,
        }
    }
}

/// What one DHCP message says, as far as leases go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// Option 53.
    pub kind: Kind,
    /// Transaction.
    pub xid: u32,
    /// Client's hardware address, six bytes.
    pub mac: [u8; 6],
    /// Option 61; an answer carries it too (RFC 6842).
    pub client_id: Option<Vec<u8>>,
    /// `ciaddr`.
    pub ciaddr: Ipv4Addr,
    /// `yiaddr`.
    pub yiaddr: Ipv4Addr,
    /// Option 51, seconds.
    pub lease: Option<u32>,
    /// Option 54.
    pub server: Option<Ipv4Addr>,
}

/// Reads a frame; `None` when it is no DHCP over UDP over IPv4.
pub fn read(frame: &[u8]) -> Option<Said> {
    if frame.get(12..14)? != [8, 0] {
        return None;
    }
    let ip = frame.get(ETHERNET..)?;
    let header = usize::from(ip.first()? & 0x0f) * 4;
    if *ip.get(9)? != 17 {
        return None;
    }
    let udp = ip.get(header..)?;
    let port = |at: usize| Some(u16::from_be_bytes(udp.get(at..at + 2)?.try_into().ok()?));
    if ![port(0)?, port(2)?].contains(&SERVER_PORT) {
        return None;
    }
    message(udp.get(8..)?)
}

fn message(bytes: &[u8]) -> Option<Said> {
    if bytes.get(236..OPTIONS)? != COOKIE {
        return None;
    }
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
    let option = |code| find(bytes.get(OPTIONS..)?, code);
    let number = |code| Some(u32::from_be_bytes(option(code)?.try_into().ok()?));
    Some(Said {
        kind: Kind::from_byte(*option(53)?.first()?)?,
        xid: u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?),
        mac: bytes.get(28..34)?.try_into().ok()?,
        client_id: option(61).map(<[u8]>::to_vec),
        ciaddr: address(12)?,
        yiaddr: address(16)?,
        lease: number(51),
        server: number(54).map(Ipv4Addr::from),
    })
}

fn find(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [255, ..] | [] | [_] => return None,
            [code, len, rest @ ..] => {
                let value = rest.get(..usize::from(*len))?;
                if *code == wanted {
                    return Some(value);
                }
                options = rest.get(usize::from(*len)..)?;
            }
        }
    }
}

/// A whole broadcast frame of a client without an address. Answers are asked for by broadcast, so that a raw socket of
/// any MAC hears them.
pub fn request(kind: Kind, mac: [u8; 6], xid: u32, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = vec![0; OPTIONS];
    // op, htype, hlen, hops
    put(&mut message, 0, &[1, 1, 6, 0]);
    put(&mut message, 4, &xid.to_be_bytes());
    put(&mut message, 10, &[0x80, 0]);
    put(&mut message, 28, &mac);
    put(&mut message, 236, &COOKIE);
    message.extend([53, 1, kind.byte()]);
    for (code, value) in options {
        message.extend([*code, u8::try_from(value.len()).unwrap_or(0)]);
        message.extend(*value);
    }
    message.push(255);
    // RFC 1542 §2.1: old servers drop less.
    message.resize(message.len().max(300), 0);
    let mut frame = [&[0xff; 6][..], &mac, &[8, 0]].concat();
    frame.extend(ip_header(message.len()));
    frame.extend(CLIENT_PORT.to_be_bytes());
    frame.extend(SERVER_PORT.to_be_bytes());
    frame.extend(length(8 + message.len()));
    // RFC 768: zero means no checksum.
    frame.extend([0, 0]);
    frame.extend(message);
    frame
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// From 0.0.0.0 to 255.255.255.255.
fn ip_header(payload: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    put(&mut header, 2, &length(20 + 8 + payload));
    let sum: u32 =
        header.chunks(2).map(|pair| pair.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = (!(folded + (folded >> 16)) & 0xffff).to_be_bytes();
    put(&mut header, 10, &[high, low]);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_writes_is_read_back() {
        let frame =
            request(Kind::Request, [2, 0, 0, 0, 0, 9], 0x0102_0304, &[(61, b"\x00id"), (54, &[10, 0, 0, 1])]);
        let said = read(&frame).unwrap();
        assert_eq!((said.kind, said.xid, said.mac), (Kind::Request, 0x0102_0304, [2, 0, 0, 0, 0, 9]));
        assert_eq!(said.client_id.as_deref(), Some(&b"\x00id"[..]));
        assert_eq!(said.server, Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(said.lease, None);
    }

    #[test]
    fn the_ip_checksum_sums_to_all_ones() {
        let sum: u32 =
            ip_header(300).chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }

    #[test]
    fn cut_frames_say_nothing() {
        let frame = request(Kind::Discover, [2; 6], 1, &[(51, &[0, 0, 0, 9])]);
        for len in 0..ETHERNET + 20 + 8 + OPTIONS + 3 {
            assert_eq!(read(&frame[..len]), None, "{len}");
        }
    }
}
