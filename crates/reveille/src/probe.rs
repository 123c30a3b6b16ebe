//! Who else answers DHCP here? Asked once, before `run` takes a mode, so that it never leases beside another server.
//!
//! One DISCOVER as an ordinary machine and one as a PXE ROM, from an invented, locally administered MAC, broadcast flag
//! set; offers are collected and never taken up, so nothing is leased.

use dhcp_proto::wire::{Encoding, Message, MessageType, Op, code};
use net::DhcpSocket;
use net::interface::Interface;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use types::{Destination, Transmit};

/// How long offers are waited for: most servers ping the address first, for a second.
const PATIENCE: Duration = Duration::from_secs(3);
/// Servers listed at most; more than that and the network has another problem.
const SERVERS_MAX: usize = 16;
const DHCP_CLIENT_PORT: u16 = 68;
const DHCP_SERVER_PORT: u16 = 67;
/// Broadcast flag of the BOOTP header (RFC 2131 figure 2).
const BROADCAST_FLAG: u16 = 0x8000;

/// Another server, as its offers show it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct OtherServer {
    /// It offers addresses.
    pub(crate) leases: bool,
    /// It sends a boot file; which.
    pub(crate) boot_file: Option<String>,
}

/// What one interface answered.
pub(crate) type Heard = BTreeMap<Ipv4Addr, OtherServer>;

/// What `run` should do with DHCP, after the table in `docs/operations.md`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Advice {
    /// Somebody leases and sends no boot data: add it.
    Proxy,
    /// Somebody else boots machines here.
    BootServerHere,
    /// Nobody answers: leasing has to be asked for.
    NobodyHere,
}

/// What follows from what was heard.
pub(crate) fn advise(heard: &Heard) -> Advice {
    if heard.values().any(|server| server.boot_file.is_some()) {
        Advice::BootServerHere
    } else if heard.values().any(|server| server.leases) {
        Advice::Proxy
    } else {
        Advice::NobodyHere
    }
}

/// Listens for other servers on one interface.
///
/// # Errors
/// When port 68 cannot be had or nothing can be sent; the text says why.
pub(crate) async fn listen(interface: &Interface) -> Result<Heard, String> {
    let socket = DhcpSocket::bind(Some(&interface.name), DHCP_CLIENT_PORT)
        .map_err(|error| crate::failure::chain(&error))?;
    let mac = invented_mac(interface);
    let xid = std::process::id() ^ 0x7265_7665;
    for (turn, as_rom) in [(0, false), (1, true)] {
        let transmit = Transmit {
            interface_index: interface.index,
            source: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, DHCP_CLIENT_PORT),
            destination: Destination::Broadcast(DHCP_SERVER_PORT),
            payload: discover(xid.wrapping_add(turn), mac, as_rom)?,
        };
        socket.send(&transmit).await.map_err(|error| crate::failure::chain(&error))?;
    }
    let mut heard = Heard::new();
    let until = Instant::now() + PATIENCE;
    let mut buffer = [0u8; 2048];
    while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
        let Ok((length, _)) = received else { continue };
        let Some(Ok(offer)) = buffer.get(..length).map(Message::decode) else { continue };
        let ours = offer.xid == xid || offer.xid == xid.wrapping_add(1);
        if ours && heard.len() < SERVERS_MAX {
            note(&mut heard, &offer);
        }
    }
    Ok(heard)
}

fn note(heard: &mut Heard, offer: &Message) {
    if offer.message_type() != Some(MessageType::Offer) {
        return;
    }
    let server = offer.options.ip(code::SERVER_IDENTIFIER).unwrap_or(offer.siaddr);
    let entry = heard.entry(server).or_default();
    entry.leases |= !offer.yiaddr.is_unspecified();
    let header =
        || (!offer.file_name().is_empty()).then(|| String::from_utf8_lossy(offer.file_name()).into_owned());
    let file = offer.options.text(code::BOOT_FILE).map(|text| text.to_string()).or_else(header);
    entry.boot_file = entry.boot_file.take().or(file);
}

fn discover(xid: u32, mac: [u8; 6], as_rom: bool) -> Result<Vec<u8>, String> {
    let mut message = Message::new(Op::BootRequest);
    message.xid = xid;
    message.flags = BROADCAST_FLAG;
    message.htype = 1;
    message.hlen = 6;
    for (to, from) in message.chaddr.iter_mut().zip(mac) {
        *to = from;
    }
    message.options.set(code::MESSAGE_TYPE, vec![MessageType::Discover.code()]);
    message.options.set(
        code::PARAMETER_LIST,
        vec![code::SUBNET_MASK, code::ROUTER, code::TFTP_SERVER_NAME, code::BOOT_FILE],
    );
    if as_rom {
        message.options.set(code::VENDOR_CLASS, b"PXEClient:Arch:00007:UNDI:003010".to_vec());
        message.options.set(code::CLIENT_ARCH, vec![0, 7]);
        message.options.set(code::CLIENT_UNDI, vec![1, 3, 16]);
    }
    let encoded =
        message.encode(&[], &Encoding::for_client(None, 1500)).map_err(|error| error.to_string())?;
    Ok(encoded.bytes)
}

/// Locally administered, and different on every interface and run.
fn invented_mac(interface: &Interface) -> [u8; 6] {
    let [a, b, c, d] = std::process::id().wrapping_mul(2_654_435_761).to_be_bytes();
    let [.., index] = interface.index.to_be_bytes();
    [0x02, a, b, c, d, index]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(servers: &[(u8, bool, Option<&str>)]) -> Heard {
        servers
            .iter()
            .map(|&(last, leases, file)| {
                (Ipv4Addr::new(192, 168, 1, last), OtherServer { leases, boot_file: file.map(str::to_owned) })
            })
            .collect()
    }

    #[test]
    fn a_server_that_only_leases_is_joined_as_proxy() {
        assert_eq!(advise(&heard(&[(1, true, None)])), Advice::Proxy);
    }

    #[test]
    fn another_boot_server_is_never_raced() {
        assert_eq!(
            advise(&heard(&[(1, true, None), (7, false, Some("pxelinux.0"))])),
            Advice::BootServerHere
        );
    }

    #[test]
    fn silence_never_makes_us_a_dhcp_server() {
        assert_eq!(advise(&Heard::new()), Advice::NobodyHere);
    }

    #[test]
    fn both_questions_encode_and_read_back() {
        for as_rom in [false, true] {
            let bytes = discover(7, [2, 0, 0, 0, 0, 1], as_rom).unwrap();
            let message = Message::decode(&bytes).unwrap();
            assert_eq!(message.message_type(), Some(MessageType::Discover));
            assert_eq!(message.options.has(code::CLIENT_ARCH), as_rom);
            assert!(message.broadcast_flag());
        }
    }
}
