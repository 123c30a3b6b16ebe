//! Options, binding and running.

use crate::counters::{Counters, Snapshot};
use crate::door::{Parts, Shared};
use crate::limits::BACKLOG;
use crate::pulse::Patience;
use crate::serve::{Seats, listen};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the door listens and how patient it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses and ports, one listener each. Port 0 takes any.
    pub listen: Vec<SocketAddr>,
    /// Connections in all.
    pub max_clients: usize,
    /// Connections of one address.
    pub max_clients_per_source: usize,
    /// For a whole request head, and for the body of a call-back.
    pub header_timeout: Duration,
    /// Between two requests of one connection.
    pub idle_timeout: Duration,
    /// For a full socket to take more.
    pub stall_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: Vec::new(),
            max_clients: 4096,
            max_clients_per_source: 64,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
        }
    }
}

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for HTTP on {address}")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl BindError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let port = self.address.port();
        match self.source.kind() {
            io::ErrorKind::AddrInUse => format!("`ss -ltnp 'sport = :{port}'` shows who holds it"),
            io::ErrorKind::AddrNotAvailable => {
                format!("no interface has {}; `ip -br addr` lists addresses", self.address.ip())
            }
            io::ErrorKind::PermissionDenied => {
                format!("ports below 1024 need CAP_NET_BIND_SERVICE; {port} is one")
            }
            _ => "the listen addresses are in the configuration under `http`".to_owned(),
        }
    }
}

/// The boot plane, bound and ready to run.
pub struct HttpDoor {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    door: Arc<Shared>,
    options: Options,
}

/// Reads the counters while the door runs.
#[derive(Clone)]
pub struct Meter(Arc<Counters>);

impl Meter {
    /// The totals now.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }
}

impl HttpDoor {
    /// Opens every listener, or none.
    ///
    /// # Errors
    /// The first address that cannot be listened on.
    pub fn bind(options: Options, parts: Parts) -> Result<HttpDoor, BindError> {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for &address in &options.listen {
            let open = || {
                let listener = open(address)?;
                let bound = listener.local_addr()?;
                Ok((listener, bound))
            };
            let (listener, bound) = open().map_err(|source| BindError { address, source })?;
            listeners.push(listener);
            addresses.push(bound);
        }
        let door = Shared::new(parts, options.header_timeout);
        Ok(HttpDoor { listeners, addresses, door, options })
    }

    /// What it listens on, ports filled in.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Access to the counters.
    pub fn meter(&self) -> Meter {
        Meter(self.door.counters.clone())
    }

    /// Serves until `shutdown` turns true or its sender goes; then lets running answers end within a grace.
    ///
    /// # Errors
    /// When a listener cannot be handed to the runtime. Nothing after that ends it.
    pub async fn run(self, shutdown: watch::Receiver<bool>) -> io::Result<()> {
        let options = &self.options;
        let patience = Patience {
            header: options.header_timeout,
            idle: options.idle_timeout,
            stall: options.stall_timeout,
        };
        let seats =
            Seats::new(options.max_clients, options.max_clients_per_source, self.door.counters.clone());
        let mut loops = JoinSet::new();
        for listener in self.listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loops.spawn(listen(listener, self.door.clone(), seats.clone(), patience, shutdown.clone()));
        }
        while loops.join_next().await.is_some() {}
        Ok(())
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `0.0.0.0` and `[::]` may stand side by side.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
