//! Spoofed TFTP read requests: every packet from another address and port.

use crate::Namespace;
use crate::packet::RawSocket;
use anyhow::{Context, Result, anyhow};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at the clock; what is due by then leaves in one system call or a few.
const PAUSE: Duration = Duration::from_millis(1);
/// Where the appliance listens.
pub const TFTP_PORT: u16 = 69;

/// Requests ready to be sent. They are built before the clock runs: a sender that builds while it sends takes so much of a
/// processor that it measures itself.
pub struct Requests {
    frames: Vec<u8>,
    frame_bytes: usize,
}

impl Requests {
    /// The requests of these numbers for `name`, each from an address and port of its own, to `port` of `server`. `options`
    /// adds a block size.
    pub fn new(
        (server, mac): (Ipv4Addr, [u8; 6]),
        port: u16,
        name: &str,
        options: bool,
        numbers: Range<u64>,
    ) -> Requests {
        let mut request = format!("\0\u{1}{name}\0octet\0").into_bytes();
        if options {
            request.extend_from_slice(b"tsize\x000\0blksize\x001468\0");
        }
        let frame_bytes = HEADER_BYTES + request.len();
        let mut frames = Vec::new();
        for number in numbers {
            frames.extend(frame(number, (server, port), mac, &request));
        }
        Requests { frames, frame_bytes }
    }
}

/// A flood that goes on until it has sent everything, or is dropped.
pub struct RrqFlood {
    sent: Arc<AtomicU64>,
    frame_bytes: u64,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RrqFlood {
    /// Sends `requests` from `station`'s `eth0`, `rate` a second.
    ///
    /// # Errors
    /// When no raw socket can be opened.
    pub fn start(station: &Namespace, requests: Requests, rate: u64) -> Result<RrqFlood> {
        let frame_bytes = requests.frame_bytes as u64;
        let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let shared = (Arc::clone(&sent), Arc::clone(&stop));
        let thread = station.run(move || -> Result<JoinHandle<()>> {
            let socket = RawSocket::open("eth0")?;
            let (sent, stop) = shared;
            let work = move || {
                let frames: Vec<&[u8]> = requests.frames.chunks(requests.frame_bytes).collect();
                let began = Instant::now();
                let mut number = 0;
                while number < frames.len() && !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(PAUSE);
                    let due = began.elapsed().as_micros() * u128::from(rate.max(1)) / 1_000_000;
                    let due = frames.len().min(usize::try_from(due).unwrap_or(usize::MAX));
                    socket.send_all_patiently(frames.get(number..due).unwrap_or_default());
                    number = due;
                    sent.store(number as u64, Ordering::Relaxed);
                }
            };
            Ok(std::thread::Builder::new().name("rrq-flood".into()).spawn(work)?)
        })??;
        Ok(RrqFlood { sent, frame_bytes, stop, thread: Some(thread) })
    }

    /// Requests and bytes of frames sent so far.
    pub fn sent(&self) -> (u64, u64) {
        let sent = self.sent.load(Ordering::Relaxed);
        (sent, sent * self.frame_bytes)
    }

    /// True until everything was sent.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Waits until everything was sent.
    ///
    /// # Errors
    /// When the sender panicked.
    pub fn finish(mut self) -> Result<(u64, u64)> {
        let thread = self.thread.take().context("it was finished before")?;
        thread.join().map_err(|_| anyhow!("the flood panicked"))?;
        Ok(self.sent())
    }
}

impl Drop for RrqFlood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Hardware address of `eth0` of a station.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn hardware_address(station: &Namespace) -> Result<[u8; 6]> {
    let found = station.run(|| {
        let all = nix::ifaddrs::getifaddrs().ok()?;
        all.filter(|own| own.interface_name == "eth0").find_map(|own| own.address?.as_link_addr()?.addr())
    })?;
    found.context("eth0 has no hardware address")
}

/// Ethernet, IPv4 and UDP.
const HEADER_BYTES: usize = 14 + 20 + 8;

/// Request number `number`: an address of 10.0.0.0/8 outside of the lab's network and a port, both its own.
fn frame(number: u64, (server, to): (Ipv4Addr, u16), mac: [u8; 6], request: &[u8]) -> Vec<u8> {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let [a, b, c, d, e, ..] = mixed;
    let source = [10, 128 | a, b, c];
    let port = u16::from_be_bytes([d, e]) | 1024;
    let udp_bytes = u16::try_from(8 + request.len()).unwrap_or(u16::MAX);
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ip[2..4].copy_from_slice(&(20 + udp_bytes).to_be_bytes());
    ip[12..16].copy_from_slice(&source);
    ip[16..20].copy_from_slice(&server.octets());
    let sum: u32 =
        ip.chunks(2).map(|pair| pair.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    let [_, _, high, low] = (!folded).to_be_bytes();
    (ip[10], ip[11]) = (high, low);
    let mut frame = Vec::with_capacity(HEADER_BYTES + request.len());
    frame.extend(mac);
    frame.extend([0x52, 0x54, 0, 0x66, 0x66, 0x66, 0x08, 0x00]);
    frame.extend(ip);
    frame.extend(port.to_be_bytes());
    frame.extend(to.to_be_bytes());
    frame.extend(udp_bytes.to_be_bytes());
    // No checksum: RFC 768 allows 0.
    frame.extend([0, 0]);
    frame.extend(request);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spoofed_requests_have_sound_headers_and_sources_of_their_own() {
        let frames: Vec<Vec<u8>> = (0..1000)
            .map(|number| {
                frame(number, (Ipv4Addr::new(10, 77, 0, 1), TFTP_PORT), [2; 6], b"\0\x01a\0octet\0")
            })
            .collect();
        for frame in &frames {
            let words = frame[14..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
            let sum: u32 = words.sum();
            assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
            assert_eq!(frame.len(), 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]])));
        }
        let mut sources: Vec<&[u8]> = frames.iter().map(|frame| &frame[26..36]).collect();
        sources.sort();
        sources.dedup();
        assert_eq!(sources.len(), frames.len());
    }
}
