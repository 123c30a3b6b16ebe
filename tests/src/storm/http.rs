//! HTTP clients that take their time: some never finish their request, some never read the answer.

use crate::Namespace;
use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

/// Clients of one address: what the appliance allows.
const PER_SOURCE: usize = 60;
/// Longest wait for one connection: the appliance may not take any more.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Open connections; dropping the value hangs up.
pub struct SlowClients {
    held: Vec<TcpStream>,
    refused: usize,
}

impl SlowClients {
    /// Opens `count` connections from `station`, which gets an address for every sixty: even ones send half a head, odd ones
    /// ask for `path` and read nothing.
    ///
    /// # Errors
    /// When an address cannot be added or nobody answers.
    pub fn open(
        station: &Namespace,
        count: usize,
        server: (Ipv4Addr, u16),
        path: &str,
    ) -> Result<SlowClients> {
        let sources: Vec<Ipv4Addr> = (0..count.div_ceil(PER_SOURCE))
            .map(|number| {
                let [_, _, high, low] = u32::try_from(number).unwrap_or(0).to_be_bytes();
                Ipv4Addr::new(10, 77, 4 + high, low)
            })
            .collect();
        for source in &sources {
            station.ip(&["address", "add", &format!("{source}/16"), "dev", "eth0"])?;
        }
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        station.run(move || {
            let mut clients = SlowClients { held: Vec::new(), refused: 0 };
            for number in 0..count {
                let source = sources.get(number / PER_SOURCE).copied().context("an address")?;
                match connect_from(source, server) {
                    Ok(mut stream) => {
                        let sent = match number % 2 {
                            0 => stream.write_all(b"GET /boot.ipxe HTTP/1.1\r\nHost: a\r\nX-Slow: "),
                            _ => stream.write_all(&request),
                        };
                        // A client turned away at once may have hung up on already.
                        clients.refused += usize::from(sent.is_err());
                        clients.held.push(stream);
                    }
                    Err(_) => clients.refused += 1,
                }
            }
            Ok(clients)
        })?
    }

    /// Connections open on our side, and those that could not be opened or were hung up on at once.
    pub fn count(&self) -> (usize, usize) {
        (self.held.len(), self.refused)
    }
}

/// A connection from one of our addresses; its small receive buffer fills at once.
fn connect_from(source: Ipv4Addr, (server, port): (Ipv4Addr, u16)) -> Result<TcpStream> {
    let fd: OwnedFd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::RcvBuf, &4096)?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(source, 0)))?;
    let stream = TcpStream::from(fd);
    stream.set_write_timeout(Some(PATIENCE))?;
    // The send timeout bounds connect(), too.
    connect(stream.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(server, port)))?;
    Ok(stream)
}
