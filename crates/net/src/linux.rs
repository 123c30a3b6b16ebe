//! System calls with control messages, behind safe functions.

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, LinkAddr, MsgFlags, SockaddrIn, SockaddrLike, recvmsg, sendmsg,
};
use socket2::Socket;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::RawFd;
use tokio::io::unix::AsyncFd;
use types::MacAddr;

/// Metadata of one datagram as the kernel tells it.
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// Longer than the buffer; the rest is lost.
    pub(crate) truncated: bool,
    pub(crate) remote: SocketAddrV4,
    pub(crate) interface_index: u32,
    /// Our address the kernel would answer from; 0.0.0.0 when the interface has none.
    pub(crate) local: Ipv4Addr,
    /// Destination in the IP header.
    pub(crate) sent_to: Ipv4Addr,
}

/// Where a datagram leaves from.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin {
    /// 0: the route decides.
    pub(crate) interface_index: u32,
    /// `None`: the bound address, else the kernel chooses.
    pub(crate) source: Option<Ipv4Addr>,
}

fn octets(address: libc::in_addr) -> Ipv4Addr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes())
}

fn in_addr(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) }
}

/// One datagram from a socket with `IP_PKTINFO`.
pub(crate) fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = nix::cmsg_space!(libc::in_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrIn>(fd, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let mut received = Received {
        bytes: message.bytes,
        truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        remote: message.address.map_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), SocketAddrV4::from),
        interface_index: 0,
        local: Ipv4Addr::UNSPECIFIED,
        sent_to: Ipv4Addr::UNSPECIFIED,
    };
    for item in message.cmsgs()? {
        if let ControlMessageOwned::Ipv4PacketInfo(info) = item {
            received.interface_index = u32::try_from(info.ipi_ifindex).unwrap_or(0);
            received.local = octets(info.ipi_spec_dst);
            received.sent_to = octets(info.ipi_addr);
        }
    }
    Ok(received)
}

/// One datagram, or with `segment_bytes` a burst of datagrams the kernel cuts to that length (the last may be shorter).
pub(crate) fn send(
    fd: RawFd,
    parts: &[IoSlice<'_>],
    segment_bytes: Option<u16>,
    origin: Origin,
    to: SocketAddrV4,
) -> io::Result<()> {
    let info = libc::in_pktinfo {
        ipi_ifindex: libc::c_int::try_from(origin.interface_index).unwrap_or(0),
        ipi_spec_dst: in_addr(origin.source.unwrap_or(Ipv4Addr::UNSPECIFIED)),
        ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
    };
    let segment = segment_bytes.unwrap_or(0);
    let with_info = origin.interface_index != 0 || origin.source.is_some();
    let both = [ControlMessage::Ipv4PacketInfo(&info), ControlMessage::UdpGsoSegments(&segment)];
    let controls = match (with_info, segment_bytes.is_some()) {
        (true, true) => both.as_slice(),
        (true, false) => both.get(..1).unwrap_or_default(),
        (false, true) => both.get(1..).unwrap_or_default(),
        (false, false) => &[],
    };
    sendmsg(fd, parts, controls, MsgFlags::MSG_DONTWAIT, Some(&SockaddrIn::from(to)))?;
    Ok(())
}

/// Ethernet types (IEEE 802 numbers).
pub(crate) const IPV4_ETHERTYPE: u16 = 0x0800;
/// See [`IPV4_ETHERTYPE`].
pub(crate) const ARP_ETHERTYPE: u16 = 0x0806;

/// One packet of `ethertype` through an `AF_PACKET` `SOCK_DGRAM` socket, framed by the kernel to `mac`.
pub(crate) fn send_ethernet(
    fd: RawFd,
    ethertype: u16,
    interface_index: u32,
    mac: MacAddr,
    packet: &[u8],
) -> io::Result<()> {
    let address = link_address(ethertype, interface_index, mac).ok_or(io::ErrorKind::InvalidInput)?;
    sendmsg(fd, &[IoSlice::new(packet)], &[], MsgFlags::MSG_DONTWAIT, Some(&address))?;
    Ok(())
}

#[expect(unsafe_code, reason = "nix has no safe constructor for a sockaddr_ll")]
fn link_address(ethertype: u16, interface_index: u32, mac: MacAddr) -> Option<LinkAddr> {
    let [a, b, c, d, e, g] = mac.0;
    let raw = libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).ok()?,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: libc::c_int::try_from(interface_index).ok()?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [a, b, c, d, e, g, 0, 0],
    };
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).ok()?;
    // SAFETY: the pointer is to a whole, initialised sockaddr_ll on our stack, `length` is its size, and nix copies
    // it before we return.
    unsafe { LinkAddr::from_raw((&raw const raw).cast(), Some(length)) }
}

/// A socket of any family that the runtime waits for. Needs a running tokio runtime.
#[expect(unsafe_code, reason = "tokio has no safe way to wait for a socket that is neither UDP nor TCP")]
pub(crate) fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: the `Socket` owns its descriptor, gives out that one only, and lives inside the `AsyncFd` until that one is
    // dropped.
    let watched = unsafe { AsyncFd::register(socket) };
    watched.map_err(Into::into)
}
