//! What can go wrong with a socket, said so that an operator can act.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A socket could not be opened. `Display` says what was attempted and where, the source says why, [`hint`](Self::hint)
/// what to do.
#[derive(Debug)]
pub struct BindError {
    /// What we wanted to listen for: `DHCP`, `TFTP`, `a TFTP transfer`.
    pub service: &'static str,
    /// Address and port.
    pub address: SocketAddr,
    /// Interface it was to be tied to.
    pub interface: Option<Arc<str>>,
    /// The cause.
    pub source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen for {} on {}", self.service, self.address)?;
        match &self.interface {
            Some(interface) => write!(f, ", interface {interface}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl BindError {
    /// What to do about it, when we know.
    pub fn hint(&self) -> Option<String> {
        let port = self.address.port();
        match self.source.raw_os_error() {
            Some(libc::EADDRINUSE) => Some(format!("`ss -lunp 'sport = :{port}'` shows who holds it")),
            Some(libc::EACCES | libc::EPERM) => Some(format!(
                "port {port} needs root or CAP_NET_BIND_SERVICE; tying a socket to an interface may need CAP_NET_RAW"
            )),
            Some(libc::ENODEV) => Some("`ip -brief link` shows the interfaces".to_owned()),
            Some(libc::EADDRNOTAVAIL) => Some("`ip -brief address` shows our addresses".to_owned()),
            Some(libc::EMFILE | libc::ENFILE) => {
                Some("raise the limit of open files (`ulimit -n`)".to_owned())
            }
            _ => None,
        }
    }
}

/// A datagram did not leave.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// By route.
    #[error("cannot send to {to}")]
    Unicast {
        /// Receiver.
        to: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// To 255.255.255.255 on one interface.
    #[error("cannot broadcast on interface index {interface_index}")]
    Broadcast {
        /// The interface.
        interface_index: u32,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The payload is longer than one UDP datagram can carry.
    #[error("payload of {bytes} bytes is longer than a UDP datagram")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}
