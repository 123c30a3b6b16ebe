//! The accept loop and one connection's life.

use crate::body::Ending;
use crate::counters::{Counters, bump};
use crate::door::{Link, Shared};
use crate::limits::{
    ACCEPT_PAUSE, HEAD_BYTES_MAX, HEADERS_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_TIME, SHUTDOWN_GRACE,
    UNSENT_BYTES, USER_TIMEOUT,
};
use crate::pulse::{Expiry, Patience, Pulse, Watched};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use types::{Event, EventName};

/// Connections in all and per source.
pub(crate) struct Seats {
    taken: Mutex<Taken>,
    max: usize,
    max_per_source: usize,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One taken seat.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    source: IpAddr,
}

impl Seats {
    pub(crate) fn new(max: usize, max_per_source: usize, counters: Arc<Counters>) -> Arc<Seats> {
        Arc::new(Seats { taken: Mutex::default(), max, max_per_source, counters })
    }

    /// A seat, or the reason there is none.
    fn take(self: &Arc<Self>, source: IpAddr) -> Result<Seat, &'static str> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.max {
            bump(&self.counters.refused_full);
            return Err("clients_full");
        }
        let own = taken.by_source.get(&source).copied().unwrap_or_default();
        if own >= self.max_per_source {
            bump(&self.counters.refused_source);
            return Err("source_full");
        }
        taken.by_source.insert(source, own + 1);
        taken.all += 1;
        bump(&self.counters.clients);
        Ok(Seat { seats: self.clone(), source })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_source.get_mut(&self.source) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                // Else every address ever seen would stay.
                taken.by_source.remove(&self.source);
            }
        }
        self.seats.counters.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts until told to stop, then gives running answers [`SHUTDOWN_GRACE`]. No accept error ends it.
pub(crate) async fn listen(
    listener: TcpListener,
    door: Arc<Shared>,
    seats: Arc<Seats>,
    patience: Patience,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                let remote = remote.ip().to_canonical();
                bump(&door.counters.connections);
                match seats.take(remote) {
                    Ok(seat) => {
                        connections.spawn(converse(
                            stream,
                            remote,
                            seat,
                            door.clone(),
                            patience,
                            shutdown.clone(),
                        ));
                    }
                    Err(reason) => {
                        turn_away(&stream);
                        let event = Event::new(EventName::HttpRefused).because(reason);
                        door.record_throttled(event.with("from", remote).with("status", 503));
                    }
                }
            }
            Err(error) => {
                bump(&door.counters.accept_errors);
                if is_the_peers(&error) {
                    continue;
                }
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot accept HTTP connections, trying on"
                );
                tokio::select! {
                    _ = shutdown.wait_for(|stop| *stop) => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_GRACE, all).await.is_err() {
        connections.shutdown().await;
    }
}

/// The connection broke before we took it; the next one is fine.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut, WouldBlock,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | TimedOut | WouldBlock
    )
}

/// Says why in one packet and hangs up. iPXE honours Retry-After.
fn turn_away(stream: &TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 2\r\nConnection: close\r\n\r\n";
    let _ = stream.try_write(ANSWER);
    let _ = SockRef::from(stream).shutdown(std::net::Shutdown::Write);
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL))
}

async fn converse(
    stream: TcpStream,
    remote: IpAddr,
    seat: Seat,
    door: Arc<Shared>,
    patience: Patience,
    mut shutdown: watch::Receiver<bool>,
) {
    // Both fail only on a connection that is already gone.
    let (Ok(local), Ok(())) = (stream.local_addr(), tune(&stream)) else { return };
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    let pulse = Arc::new(Pulse::new(patience));
    // If the task is aborted, what is under way still gets its event.
    let mut closing = CloseOnDrop { pulse: pulse.clone(), ending: Ending::Stopping };
    let link = Link { pulse: pulse.clone(), remote, local };
    let service = {
        let door = door.clone();
        service_fn(move |request| door.clone().answer(link.clone(), request))
    };
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        // Ours is told apart from idleness: see `pulse`.
        .header_read_timeout(None)
        .half_close(true)
        .title_case_headers(true)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let expiry = {
        let io = TokioIo::new(Watched::new(stream, pulse.clone()));
        let mut connection = pin!(protocol.serve_connection(io, service));
        let mut expired = pin!(pulse.expired());
        let mut stopping = false;
        loop {
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error = &error as &dyn std::error::Error, from = %remote, "HTTP connection ended early");
                    }
                    break None;
                }
                expiry = expired.as_mut() => {
                    if expiry == Expiry::Stalled {
                        pulse.reset();
                    }
                    break Some(expiry);
                }
                _ = shutdown.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    };
    match expiry {
        Some(Expiry::Header) => bump(&door.counters.header_timeouts),
        Some(Expiry::Idle) => bump(&door.counters.idle_timeouts),
        Some(Expiry::Stalled) => bump(&door.counters.stalled),
        None => {}
    }
    closing.ending = if expiry == Some(Expiry::Stalled) { Ending::Stalled } else { Ending::Aborted };
    drop(closing);
    drop(seat);
}

struct CloseOnDrop {
    pulse: Arc<Pulse>,
    ending: Ending,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.pulse.close(self.ending);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_tuned_for_machines_that_vanish() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, _) = accepted.unwrap();
        tune(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_TIME);
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
        drop(client);
    }

    #[test]
    fn a_source_without_connections_leaves_nothing_behind() {
        let seats = Seats::new(3, 2, Arc::default());
        let source = |last| IpAddr::from([10, 0, 0, last]);
        let held: Vec<Seat> =
            [source(1), source(1), source(2)].map(|one| seats.take(one).ok().unwrap()).into();
        assert_eq!(seats.take(source(3)).err(), Some("clients_full"));
        drop(held);
        assert!(seats.taken.lock().unwrap().by_source.is_empty());
        let _two = [seats.take(source(1)).ok(), seats.take(source(1)).ok()];
        assert_eq!(seats.take(source(1)).err(), Some("source_full"));
    }
}
