//! Raw frames: the packet port that joins QEMU to a switch without `/dev/net/tun`, and the IPv6 router that answers
//! "nothing here".
//!
//! A packet port moves frames between a raw socket on a veth and a pair of unix datagram sockets (QEMU's
//! `-netdev dgram`). It never blocks in one direction for the other and drops frames when a queue is full, as a
//! switch does. [`Tamper`] makes it lose frames or change them.
//!
//! The router advertiser sends an empty advertisement (RFC 4861 §4.2: router lifetime 0, no prefix) to whoever
//! solicits one. iPXE configures IPv4 and IPv6 together and waits 13 seconds for a router otherwise (seen).

use anyhow::{Context, Result, anyhow, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockFlag, SockProtocol,
    SockType, bind, recv, recvmsg, send, sendmmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use socket2::{SockFilter, SockRef};
use std::collections::VecDeque;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 1500 bytes of payload, the Ethernet header and a VLAN tag.
const FRAME_BYTES_MAX: usize = 1518;
/// Frames that may wait for one machine.
const QUEUE_FRAMES_MAX: usize = 1024;
/// A burst of a window or two must survive in the kernel's queue.
const SOCKET_BYTES: usize = 4 << 20;
/// Frames of one system call.
const SEND_FRAMES_MAX: usize = 64;
/// Waits of ten milliseconds for room in the send queue.
const SEND_TRIES_MAX: usize = 100;

/// A raw socket on one interface of the calling thread's namespace.
pub(crate) struct RawSocket(OwnedFd);

impl RawSocket {
    pub(crate) fn open(interface: &str) -> Result<RawSocket> {
        let fd = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::EthAll,
        )
        .context("cannot open a raw socket")?;
        let address = nix::ifaddrs::getifaddrs()?
            .filter(|own| own.interface_name == interface)
            .find_map(|own| own.address?.as_link_addr().copied())
            .ok_or_else(|| anyhow!("no interface {interface}"))?;
        bind(fd.as_raw_fd(), &address).with_context(|| format!("cannot bind to {interface}"))?;
        let _ = setsockopt(&fd, sockopt::RcvBufForce, &SOCKET_BYTES);
        let raw = RawSocket(fd);
        // What came between socket() and bind() may belong to other interfaces.
        let mut buffer = [0; FRAME_BYTES_MAX];
        while raw.receive(&mut buffer).is_some() {}
        Ok(raw)
    }

    /// From here on hears DHCP servers only (IPv4 without options, UDP to port 68), and of those what is for `mac`. A
    /// machine that shares its cable with a flood otherwise finds its own queue full when its answer comes.
    pub(crate) fn hear_servers_only(&self, mac: Option<[u8; 6]>) -> Result<()> {
        // Instruction codes of <linux/bpf_common.h>: load a half word or a word, compare with a constant, return one.
        const LOAD_HALF: u16 = 0x28;
        const LOAD_BYTE: u16 = 0x30;
        const LOAD_WORD: u16 = 0x20;
        const EQUAL: u16 = 0x15;
        const RETURN: u16 = 0x06;
        // Offsets in the frame: 14 bytes of Ethernet, 20 of IPv4, 8 of UDP; chaddr is at 28 of the message.
        let mut tests = vec![(LOAD_HALF, 12, 0x0800), (LOAD_BYTE, 14 + 9, 17), (LOAD_HALF, 14 + 20 + 2, 68)];
        if let Some([a, b, c, d, e, f]) = mac {
            tests.push((LOAD_WORD, 14 + 28 + 28, u32::from_be_bytes([a, b, c, d])));
            tests.push((LOAD_HALF, 14 + 28 + 32, u32::from(u16::from_be_bytes([e, f]))));
        }
        let mut program = Vec::new();
        for (number, &(load, offset, value)) in tests.iter().enumerate() {
            program.push(SockFilter::new(load, 0, 0, offset));
            // Past the tests that are left, and past the acceptance.
            let refuse = u8::try_from((tests.len() - number - 1) * 2 + 1).context("filter")?;
            program.push(SockFilter::new(EQUAL, 0, refuse, value));
        }
        program.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
        program.push(SockFilter::new(RETURN, 0, 0, 0));
        SockRef::from(&self.0).attach_filter(&program).context("cannot filter a raw socket")?;
        let mut buffer = [0; FRAME_BYTES_MAX];
        while self.receive(&mut buffer).is_some() {}
        Ok(())
    }

    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).ok()
    }

    /// Sends when there is room, within reason: a sender faster than the wire waits for it.
    pub(crate) fn send_patiently(&self, frame: &[u8]) {
        for _ in 0..SEND_TRIES_MAX {
            match send(self.0.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT) {
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::ENOBUFS) => {
                    let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut polled, PollTimeout::from(10u8));
                }
                _ => return,
            }
        }
    }

    /// As [`RawSocket::send_patiently`], many frames in one system call.
    pub(crate) fn send_all_patiently(&self, frames: &[&[u8]]) {
        for some in frames.chunks(SEND_FRAMES_MAX) {
            let mut left: Vec<[io::IoSlice<'_>; 1]> =
                some.iter().map(|frame| [io::IoSlice::new(frame)]).collect();
            let mut headers = MultiHeaders::<()>::preallocate(left.len(), None);
            for _ in 0..SEND_TRIES_MAX {
                let nowhere = vec![None; left.len()];
                let none: [ControlMessage<'_>; 0] = [];
                match sendmmsg(self.0.as_raw_fd(), &mut headers, &left, nowhere, none, MsgFlags::MSG_DONTWAIT)
                {
                    Ok(sent) => {
                        let sent = sent.count();
                        left.drain(..sent);
                    }
                    Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::ENOBUFS) => {
                        let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
                        let _ = poll(&mut polled, PollTimeout::from(10u8));
                    }
                    Err(_) => break,
                }
                if left.is_empty() {
                    break;
                }
            }
        }
    }

    /// Waits for a frame, at most so long.
    pub(crate) fn wait(&self, most: std::time::Duration) {
        let millis = u16::try_from(most.as_millis()).unwrap_or(u16::MAX).max(1);
        let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut polled, PollTimeout::from(millis));
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // A full queue drops the frame, as a wire would.
        let _ = send(self.0.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT);
    }

    /// Asks the kernel to say when each frame came.
    pub(crate) fn stamp_times(&self) -> Result<()> {
        setsockopt(&self.0, sockopt::ReceiveTimestamp, &true).context("cannot ask for times of frames")
    }

    /// As [`RawSocket::receive`], with the kernel's time.
    pub(crate) fn receive_at(&self, buffer: &mut [u8]) -> Option<(usize, SystemTime)> {
        let mut space = nix::cmsg_space!(TimeVal);
        let mut parts = [io::IoSliceMut::new(buffer)];
        let got =
            recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_DONTWAIT).ok()?;
        let at = got.cmsgs().ok().into_iter().flatten().find_map(|note| match note {
            ControlMessageOwned::ScmTimestamp(time) => {
                let micros = u64::try_from(time.num_microseconds()).ok()?;
                Some(UNIX_EPOCH + Duration::from_micros(micros))
            }
            _ => None,
        });
        Some((got.bytes, at.unwrap_or_else(SystemTime::now)))
    }
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Changes a frame on its way; false drops it.
pub type Change = Box<dyn FnMut(&mut Vec<u8>) -> bool + Send>;

/// What a packet port does to frames.
#[derive(Default)]
pub struct Tamper {
    /// Frames lost both ways, of 10,000.
    pub loss_per_10k: u32,
    /// Applied to what the machine sends.
    pub outbound: Option<Change>,
    /// Applied to what the machine is sent.
    pub inbound: Option<Change>,
}

/// Deterministic losses: the same frames in the same order lose the same ones.
struct Dice(u64);

impl Dice {
    fn lost(&mut self, per_10k: u32) -> bool {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 10_000 < u64::from(per_10k)
    }
}

/// A thread that ends when its value is dropped.
pub(crate) struct Worker {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// `body` gets a socket that hangs up when it shall end.
    pub(crate) fn start(name: &str, body: impl FnOnce(UnixStream) + Send + 'static) -> Result<Worker> {
        let (stop, stopped) = UnixStream::pair()?;
        let thread = std::thread::Builder::new().name(name.to_string()).spawn(move || body(stopped))?;
        Ok(Worker { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Joins a machine's datagram sockets to an interface.
pub struct PacketPort {
    _worker: Worker,
}

impl PacketPort {
    /// Starts moving frames between `interface` and the machine at `machine`, whose frames come to `ours`.
    ///
    /// # Errors
    /// When a socket cannot be opened.
    pub fn start(interface: &str, ours: &Path, machine: &Path, tamper: Tamper) -> Result<PacketPort> {
        let raw = RawSocket::open(interface)?;
        let cable = UnixDatagram::bind(ours).with_context(|| format!("cannot bind {}", ours.display()))?;
        cable.set_nonblocking(true)?;
        let mut pump = Pump {
            raw,
            cable,
            machine: machine.to_path_buf(),
            connected: false,
            waiting: VecDeque::new(),
            tamper,
            dice: Dice(0x9e37_79b9_7f4a_7c15),
        };
        Ok(PacketPort { _worker: Worker::start("packet-port", move |stopped| pump.run(&stopped))? })
    }
}

struct Pump {
    raw: RawSocket,
    cable: UnixDatagram,
    machine: PathBuf,
    connected: bool,
    waiting: VecDeque<Vec<u8>>,
    tamper: Tamper,
    dice: Dice,
}

impl Pump {
    fn run(&mut self, stopped: &UnixStream) {
        loop {
            let cable = if self.waiting.is_empty() {
                PollFlags::POLLIN
            } else {
                PollFlags::POLLIN | PollFlags::POLLOUT
            };
            let mut sources = [
                PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.raw.0.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.cable.as_fd(), cable),
            ];
            if poll(&mut sources, PollTimeout::NONE).is_err() {
                continue;
            }
            if sources.first().and_then(PollFd::any).unwrap_or(true) {
                return;
            }
            self.take_from_machine();
            self.take_from_network();
            self.send_to_machine();
        }
    }

    fn take_from_machine(&mut self) {
        let mut buffer = [0; FRAME_BYTES_MAX];
        while let Ok(length) = self.cable.recv(&mut buffer) {
            let mut frame = buffer.get(..length).unwrap_or_default().to_vec();
            let keep = self.tamper.outbound.as_mut().is_none_or(|change| change(&mut frame));
            if keep && !self.dice.lost(self.tamper.loss_per_10k) {
                self.raw.send(&frame);
            }
        }
    }

    fn take_from_network(&mut self) {
        let mut buffer = [0; FRAME_BYTES_MAX];
        while let Some(length) = self.raw.receive(&mut buffer) {
            let mut frame = buffer.get(..length).unwrap_or_default().to_vec();
            let keep = self.tamper.inbound.as_mut().is_none_or(|change| change(&mut frame));
            if keep && !self.dice.lost(self.tamper.loss_per_10k) && self.waiting.len() < QUEUE_FRAMES_MAX {
                self.waiting.push_back(frame);
            }
        }
    }

    fn send_to_machine(&mut self) {
        // Connected, because only then does poll() tell when the other side has room again.
        if !self.connected && !self.waiting.is_empty() {
            self.connected = self.cable.connect(&self.machine).is_ok();
            if !self.connected {
                self.waiting.clear();
            }
        }
        while let Some(frame) = self.waiting.front() {
            match self.cable.send(frame) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // The machine is off; the next one gets a cable of its own.
                    self.connected = false;
                    self.waiting.clear();
                }
                Ok(_) => {
                    self.waiting.pop_front();
                }
            }
        }
    }
}

/// Makes a machine that says `user-class PXE` look like a ROM without iPXE: its DHCP options 77 and 175 become padding.
///
/// No such ROM is packaged; iPXE started by `-kernel` stands in for it and says everything else a ROM says. Packets
/// without that user class (the iPXE it loads later) pass unchanged.
pub fn plain_rom() -> Change {
    Box::new(|frame| {
        hide_ipxe(frame);
        true
    })
}

fn hide_ipxe(frame: &mut [u8]) -> Option<()> {
    const IP: usize = 14;
    const OPTIONS: usize = 240;
    if frame.get(12..14)? != [0x08, 0x00] || *frame.get(IP + 9)? != 17 {
        return None;
    }
    let udp = IP + usize::from(*frame.get(IP)? & 0x0f) * 4;
    let port = u16::from_be_bytes([*frame.get(udp + 2)?, *frame.get(udp + 3)?]);
    if port != 67 && port != 4011 {
        return None;
    }
    let options = udp + 8 + OPTIONS;
    let mut own = Vec::new();
    let mut at = options;
    let mut stand_in = false;
    while let Some(&code) = frame.get(at) {
        if code == 0 {
            at += 1;
            continue;
        }
        if code == 255 {
            break;
        }
        let end = at + 2 + usize::from(*frame.get(at + 1)?);
        let value = frame.get(at + 2..end)?;
        stand_in |= code == 77 && value == b"PXE";
        if matches!(code, 77 | 175) {
            own.push(at..end);
        }
        at = end;
    }
    if stand_in {
        for range in own {
            frame.get_mut(range)?.fill(0);
        }
        // RFC 768: zero means no checksum.
        frame.get_mut(udp + 6..udp + 8)?.fill(0);
    }
    Some(())
}

/// Answers router solicitations on one interface.
pub struct RouterAdvertiser {
    _worker: Worker,
}

impl RouterAdvertiser {
    /// Starts answering on `interface` of the calling thread's namespace.
    ///
    /// # Errors
    /// When a raw socket cannot be opened.
    pub fn start(interface: &str) -> Result<RouterAdvertiser> {
        let raw = RawSocket::open(interface)?;
        let body = move |stopped: UnixStream| {
            let mut buffer = [0; FRAME_BYTES_MAX];
            loop {
                let mut sources = [
                    PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
                    PollFd::new(raw.0.as_fd(), PollFlags::POLLIN),
                ];
                if poll(&mut sources, PollTimeout::NONE).is_err() {
                    continue;
                }
                if sources.first().and_then(PollFd::any).unwrap_or(true) {
                    return;
                }
                while let Some(length) = raw.receive(&mut buffer) {
                    if buffer.get(..length).is_some_and(is_router_solicitation) {
                        raw.send(&router_advertisement());
                    }
                }
            }
        };
        Ok(RouterAdvertiser { _worker: Worker::start("router", body)? })
    }
}

/// RFC 4861 §4.1: ICMPv6 type 133, hop limit 255.
fn is_router_solicitation(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x86, 0xdd])
        && frame.get(20) == Some(&58)
        && frame.get(21) == Some(&255)
        && frame.get(54) == Some(&133)
}

/// A whole frame: an advertisement to all nodes from `fe80::1`, lifetime 0, no options.
fn router_advertisement() -> Vec<u8> {
    let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    // type, code, checksum, hop limit, flags, lifetime, reachable time, retrans timer
    let mut icmp = [134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let pseudo = [0, 0, 0, 16, 0, 0, 0, 58];
    let sum: u32 = source
        .octets()
        .chunks(2)
        .chain(all_nodes.octets().chunks(2))
        .chain(pseudo.chunks(2))
        .chain(icmp.chunks(2))
        .map(|pair| u32::from(pair.iter().fold(0u16, |word, byte| word << 8 | u16::from(*byte))))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = (!(folded + (folded >> 16)) & 0xffff).to_be_bytes();
    icmp[2] = high;
    icmp[3] = low;
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 1, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0, 0, 16, 58, 255]);
    frame.extend(source.octets());
    frame.extend(all_nodes.octets());
    frame.extend(icmp);
    frame
}

/// Checks that raw sockets can be opened here; the text says what is missing.
///
/// # Errors
/// When they cannot.
pub fn check() -> Result<()> {
    if let Err(error) = RawSocket::open("lo") {
        bail!("raw sockets are out of reach: {error:#}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dhcp(options: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 14 + 20 + 8 + 240];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[14 + 9] = 17;
        frame[14 + 20 + 3] = 67;
        frame[14 + 20 + 6] = 0xaa;
        frame.extend_from_slice(options);
        frame
    }

    #[test]
    fn a_stand_in_loses_its_ipxe_options_and_its_checksum() {
        let mut frame = dhcp(&[53, 1, 1, 77, 3, b'P', b'X', b'E', 175, 2, 19, 1, 97, 1, 7, 255]);
        hide_ipxe(&mut frame);
        assert_eq!(frame[282..], [53, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 97, 1, 7, 255]);
        assert_eq!(frame[40..42], [0, 0]);
    }

    #[test]
    fn ipxe_itself_passes_unchanged() {
        let mut frame = dhcp(&[53, 1, 1, 77, 4, b'i', b'P', b'X', b'E', 175, 2, 19, 1, 255]);
        let before = frame.clone();
        hide_ipxe(&mut frame);
        assert_eq!(frame, before);
    }

    #[test]
    fn cut_off_options_are_left_alone() {
        let mut frame = dhcp(&[77, 200, b'P']);
        let before = frame.clone();
        assert_eq!(hide_ipxe(&mut frame), None);
        assert_eq!(frame, before);
    }

    #[test]
    fn the_advertisement_checksum_sums_to_all_ones() {
        let frame = router_advertisement();
        let words = frame[22..].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let sum: u32 = words.sum::<u32>() + 16 + 58;
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }
}
