//! Sockets, timer, commands: the loop around [`Core`].

use crate::commit::{Core, LeaseLog, Outgoing, Received, StoreLog, says_sent};
use crate::counters::{Counters, Tally, count};
use crate::probing::{Ask, Probing};
use crate::{BATCH_MAX, COMMANDS_MAX, QUEUE_MAX};
use dhcp_proto::limits::MESSAGE_BYTES_MAX;
use dhcp_proto::{Responder, Settings};
use net::{BindError, DhcpSocket, InUse, Prober};
use plan::Decider;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};
use store::Store;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use types::{EventSink, Now, UnixTime};

/// How often time alone may change something.
const TICK: Duration = Duration::from_secs(1);

/// Rest after a failed read: a link that is down reports it again and again.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// One port to listen on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    /// The interface; `None` listens on all.
    pub interface: Option<Arc<str>>,
    /// 67 or 4011; 0 takes a free one (tests).
    pub port: u16,
    /// Which of the interface's addresses we answer from; `None` takes its first.
    pub address: Option<Ipv4Addr>,
}

impl Listen {
    /// Both DHCP ports on each interface with its address, or on all when none is named.
    pub fn on(interfaces: &[(Arc<str>, Option<Ipv4Addr>)]) -> Vec<Listen> {
        let mut places: Vec<(Option<Arc<str>>, Option<Ipv4Addr>)> =
            interfaces.iter().map(|(interface, address)| (Some(interface.clone()), *address)).collect();
        if places.is_empty() {
            places.push((None, None));
        }
        let ports = [dhcp_proto::destination::SERVER_PORT, dhcp_proto::destination::BOOT_SERVER_PORT];
        places
            .iter()
            .flat_map(|(interface, address)| {
                ports.map(|port| Listen { interface: interface.clone(), port, address: *address })
            })
            .collect()
    }
}

/// What the door is connected to.
#[derive(Clone)]
pub struct Wiring<L> {
    /// Who decides.
    pub decider: Arc<dyn Decider>,
    /// Where leases become durable.
    pub log: L,
    /// Where events go.
    pub events: Arc<dyn EventSink>,
}

/// The DHCP door: bound, not yet answering.
pub struct Door<L = StoreLog> {
    core: Core<L>,
    sockets: Vec<Arc<DhcpSocket>>,
    /// [`Listen::address`] of each socket.
    addresses: Vec<Option<Ipv4Addr>>,
    commands: mpsc::Receiver<Settings>,
    prober: Option<Arc<Prober>>,
    handle: Handle,
}

/// Talks to a running door. Cheap to clone; keeps no port open.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Settings>,
    tally: Tally,
    sockets: Arc<[Weak<DhcpSocket>]>,
    ports: Arc<[u16]>,
}

impl Handle {
    /// Everything counted since start.
    pub fn counters(&self) -> Counters {
        let truncated = self.sockets.iter().filter_map(Weak::upgrade).map(|socket| socket.truncated()).sum();
        Counters { truncated, ..self.tally.snapshot() }
    }

    /// Takes new settings over between two batches; leases and open offers stay. False when the door has stopped.
    pub async fn reconfigure(&self, settings: Settings) -> bool {
        self.commands.send(settings).await.is_ok()
    }

    /// The ports in the order they were asked for, as bound.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }
}

impl Door<StoreLog> {
    /// Binds all ports, or none. The responder has its leases already. Privileges may be dropped afterwards.
    ///
    /// # Errors
    /// See [`BindError`]: it names address, port, cause and hint.
    pub fn bind(
        listen: &[Listen],
        responder: Responder,
        store: Store,
        decider: Arc<dyn Decider>,
        events: Arc<dyn EventSink>,
    ) -> Result<Self, BindError> {
        Door::bind_with(listen, responder, Wiring { decider, log: StoreLog(store), events })
    }
}

impl<L: LeaseLog> Door<L> {
    /// Like [`bind`](Door::bind), with leases made durable elsewhere.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind_with(listen: &[Listen], responder: Responder, wiring: Wiring<L>) -> Result<Self, BindError> {
        let sockets: Vec<Arc<DhcpSocket>> = listen
            .iter()
            .map(|listen| DhcpSocket::bind(listen.interface.as_deref(), listen.port).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let tally = Tally::new();
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let handle = Handle {
            commands: sender,
            tally: tally.clone(),
            sockets: sockets.iter().map(Arc::downgrade).collect(),
            ports: sockets.iter().map(|socket| socket.port()).collect(),
        };
        let Wiring { decider, log, events } = wiring;
        let addresses = listen.iter().map(|listen| listen.address).collect();
        let prober = prober(responder.settings());
        let probing = Probing::new(prober.clone().map(|prober| prober as Arc<dyn Ask>));
        Ok(Door {
            core: Core { responder, log, decider, events, tally, probing, clock_durable: false },
            prober,
            sockets,
            addresses,
            commands,
            handle,
        })
    }

    /// For counters and new settings.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Answers until `shutdown` says true or its sender is gone. A batch that was begun is finished.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let Door { mut core, sockets, addresses, mut commands, prober, handle: _handle } = self;
        let (queue, mut arrived) = mpsc::channel(QUEUE_MAX);
        let mut readers = JoinSet::new();
        for (number, (socket, address)) in sockets.iter().zip(addresses).enumerate() {
            readers.spawn(read(number, Arc::clone(socket), address, queue.clone(), core.tally.clone()));
        }
        drop(queue);
        let (used, mut in_use) = mpsc::channel(QUEUE_MAX);
        if let Some(prober) = prober {
            readers.spawn(listen_for_use(prober, used.clone()));
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                biased;
                () = told_to_stop(&mut shutdown) => break,
                Some(settings) = commands.recv() => core.responder.reconfigure(now(), settings),
                _ = ticks.tick() => core.tick(now()).await,
                Some(used) = in_use.recv() => {
                    for outgoing in core.heard(now(), used).await {
                        send(&core, &sockets, outgoing).await;
                    }
                }
                () = until(core.probing.next_due()) => {
                    for outgoing in core.probes_due(now()) {
                        send(&core, &sockets, outgoing).await;
                    }
                }
                taken = arrived.recv_many(&mut batch, BATCH_MAX) => {
                    if taken == 0 {
                        break;
                    }
                    for outgoing in core.turn(now(), std::mem::take(&mut batch)).await {
                        send(&core, &sockets, outgoing).await;
                    }
                }
            }
        }
        readers.shutdown().await;
    }
}

/// The sockets for asking; `None` when addresses are not asked for, or may not be.
fn prober(settings: &Settings) -> Option<Arc<Prober>> {
    if settings.probe_wait.is_zero() {
        return None;
    }
    match Prober::open() {
        Ok(prober) => Some(Arc::new(prober)),
        Err(error) => {
            tracing::warn!(%error, "no CAP_NET_RAW: addresses are offered without asking whether another machine uses them");
            None
        }
    }
}

async fn listen_for_use(prober: Arc<Prober>, used: mpsc::Sender<InUse>) {
    loop {
        match prober.hear().await {
            // A full queue waits for nobody: the question is asked twice.
            Ok(heard) => drop(used.try_send(heard)),
            Err(error) => {
                tracing::debug!(%error, "cannot hear who uses an address");
                tokio::time::sleep(RECEIVE_PAUSE).await;
            }
        }
    }
}

/// Sleeps until then; without a time, for ever.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// True was sent, or nobody can send it any more.
async fn told_to_stop(shutdown: &mut watch::Receiver<bool>) {
    drop(shutdown.wait_for(|stop| *stop).await);
}

/// Reads one socket for ever. A full queue makes it wait: the kernel's buffer holds what comes meanwhile.
async fn read(
    number: usize,
    socket: Arc<DhcpSocket>,
    address: Option<Ipv4Addr>,
    queue: mpsc::Sender<Received>,
    tally: Tally,
) {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        match socket.recv(&mut buffer).await {
            Ok((len, mut arrival)) => {
                arrival.local = address.unwrap_or(arrival.local);
                let bytes = buffer.get(..len).unwrap_or_default().to_vec();
                if queue.send(Received { socket: number, arrival, bytes, conflicts: 0 }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, port = socket.port(), "cannot receive");
                tally.add(|counters| counters.receive_failed += 1);
                tokio::time::sleep(RECEIVE_PAUSE).await;
            }
        }
    }
}

async fn send<L>(core: &Core<L>, sockets: &[Arc<DhcpSocket>], outgoing: Outgoing) {
    let Outgoing { socket, transmit, mut events } = outgoing;
    if let (Some(transmit), Some(socket)) = (transmit, sockets.get(socket)) {
        match socket.send(&transmit).await {
            Ok(()) => core.tally.add(|counters| {
                counters.sent += 1;
                for event in events.iter().filter(|event| says_sent(event.name)) {
                    count(&mut counters.replies, event.name.as_str());
                }
            }),
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, destination = ?transmit.destination, "a reply did not leave");
                core.tally.add(|counters| counters.send_failed += 1);
                events.retain(|event| !says_sent(event.name));
            }
        }
    }
    events.into_iter().for_each(|event| core.events.record(event));
}

/// Both clocks, read together.
pub fn now() -> Now {
    // A wall clock before 1970 is no clock; leases then count from zero until it is set.
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Now { instant: Instant::now(), unix: UnixTime(unix) }
}

#[cfg(test)]
mod tests;
