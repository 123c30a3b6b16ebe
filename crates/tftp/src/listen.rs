//! The listening port: which datagrams are requests, which get an answer, which start a transfer.

use crate::admission::{self, Bucket, Verdict};
use crate::counters::{Counters, count};
use crate::drive::{self, Drive, Path};
use crate::files::{File, Files, Refusal};
use crate::limits::{NO_SOCKET_WARNINGS_PER_SECOND, REFUSED_EVENTS_BURST, REFUSED_EVENTS_PER_SECOND};
use crate::sessions::{Admission, Key, Session, Sessions};
use crate::{TftpListen, TftpOptions};
use bytes::Bytes;
use ipnet::Ipv4Net;
use net::{BindError, Listener, TransferSocket};
use plan::Decider;
use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tftp_proto::limits::{NETASCII_BYTES_MAX, REQUEST_BYTES_MAX};
use tftp_proto::{ErrorCode, Mode, Packet, Policy, Request, Transfer, Trust, negotiate, netascii, wire};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tree::names::may_hold_a_token;
use types::{Arrival, Event, EventName, EventSink, Facts, Stage};

/// Room for a request too long to be one, so that it is refused and not cut.
const BUFFER_BYTES: usize = REQUEST_BYTES_MAX * 4;
/// Our addresses are asked for again after this.
const NETWORKS_HOLD: Duration = Duration::from_secs(10);
/// After the kernel reported a fault, before the next try: a dead interface must not make us spin.
const FAULT_PAUSE: Duration = Duration::from_millis(100);
/// Converted files that may be in memory at once, all transfers together: a forged request must not cost a megabyte.
pub(crate) const NETASCII_KIB_MAX: usize = 16 << 10;
/// Source ports that belong to services which would answer our answer: a loop. 69 is ours.
const PORTS_NEVER_ANSWERED: [u16; 6] = [0, 7, 19, 53, 67, 69];

/// False for sources no answer may go to: ports of services that answer back, and addresses of no single machine.
pub(crate) fn may_answer(from: SocketAddrV4) -> bool {
    let address = from.ip();
    !PORTS_NEVER_ANSWERED.contains(&from.port())
        && !address.is_unspecified()
        && !address.is_broadcast()
        && !address.is_multicast()
}

/// True for an address that means every machine of one of our networks.
fn is_everybody(address: Ipv4Addr, networks: &[Ipv4Net]) -> bool {
    networks
        .iter()
        .any(|net| net.prefix_len() < 31 && (address == net.broadcast() || address == net.network()))
}

/// The bound door, not yet serving.
pub struct TftpDoor {
    listeners: Vec<(Arc<Listener>, TftpListen)>,
    shared: Arc<Shared>,
}

/// What every listener and transfer needs.
struct Shared {
    options: TftpOptions,
    files: Arc<dyn Files>,
    decider: Arc<dyn Decider>,
    events: Arc<dyn EventSink>,
    counters: Arc<Counters>,
    sessions: Sessions,
    /// The rates of new requests.
    admission: Mutex<admission::Admission<RandomState>>,
    refused_events: Mutex<Bucket>,
    socket_warnings: Mutex<Bucket>,
    opens: Arc<Semaphore>,
    /// In KiB.
    netascii: Arc<Semaphore>,
    networks: Mutex<Option<(Instant, Arc<[Ipv4Net]>)>>,
    /// Shutdown began: nothing new is taken on.
    draining: AtomicBool,
    own_ports: Vec<SocketAddrV4>,
}

impl TftpDoor {
    /// Binds every address of the options. Needs a running tokio runtime.
    ///
    /// # Errors
    /// The first address that cannot be bound.
    pub fn bind(
        options: TftpOptions,
        files: Arc<dyn Files>,
        decider: Arc<dyn Decider>,
        events: Arc<dyn EventSink>,
    ) -> Result<TftpDoor, BindError> {
        let mut listeners = Vec::with_capacity(options.listen.len());
        for place in &options.listen {
            let address = SocketAddrV4::new(place.address, place.port);
            let listener = Listener::bind("TFTP", address, place.interface.as_deref())?;
            listeners.push((Arc::new(listener), place.clone()));
        }
        let now = Instant::now();
        let own_ports = listeners.iter().map(|(listener, _)| listener.address()).collect();
        let shared = Shared {
            files,
            decider,
            events,
            counters: Arc::default(),
            sessions: Sessions::new(options.transfers_max, options.per_source_max),
            admission: Mutex::new(admission::Admission::new(now, RandomState::new())),
            refused_events: Mutex::new(Bucket::new(now, REFUSED_EVENTS_PER_SECOND, REFUSED_EVENTS_BURST)),
            socket_warnings: Mutex::new(Bucket::new(now, NO_SOCKET_WARNINGS_PER_SECOND, 1)),
            opens: Arc::new(Semaphore::new(options.opens_max.max(1))),
            netascii: Arc::new(Semaphore::new(NETASCII_KIB_MAX)),
            networks: Mutex::default(),
            draining: AtomicBool::new(false),
            own_ports,
            options,
        };
        Ok(TftpDoor { listeners, shared: Arc::new(shared) })
    }

    /// Where it listens, with the ports the kernel chose.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.shared.own_ports.clone()
    }

    /// The live counters.
    pub fn counters(&self) -> Arc<Counters> {
        self.shared.counters.clone()
    }

    /// Serves until `shutdown` turns true; then takes no request more, and gives running transfers the grace of the
    /// options before they are told to end.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let (stop, stopping) = watch::channel(false);
        let (alive, mut all_done) = mpsc::channel::<()>(1);
        let mut loops = tokio::task::JoinSet::new();
        for (listener, place) in self.listeners {
            let door = Door {
                listener,
                place,
                shared: self.shared.clone(),
                stopping: stopping.clone(),
                alive: alive.downgrade(),
            };
            loops.spawn(door.serve());
        }
        // An error means the sender is gone: nobody can ask us to stop any more, so we stop.
        let _ = shutdown.wait_for(|stop| *stop).await;
        self.shared.draining.store(true, Ordering::Release);
        drop(alive);
        // In single-port mode the ACKs of running transfers come by the listening port.
        if !self.shared.options.single_port {
            loops.shutdown().await;
        }
        if tokio::time::timeout(self.shared.options.shutdown_grace, all_done.recv()).await.is_err() {
            let _ = stop.send(true);
            let _ = tokio::time::timeout(self.shared.options.shutdown_grace, all_done.recv()).await;
        }
        loops.shutdown().await;
    }
}

const _: () = assert!(NETASCII_KIB_MAX > NETASCII_BYTES_MAX * 2 / 1024);

/// One listening port.
struct Door {
    listener: Arc<Listener>,
    place: TftpListen,
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    /// Held up by `run` until shutdown, then by the transfers alone.
    alive: mpsc::WeakSender<()>,
}

impl Door {
    async fn serve(self) {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match self.listener.recv(&mut buffer).await {
                Ok((bytes, arrival)) => self.handle(&arrival, buffer.get(..bytes).unwrap_or_default()),
                Err(error) => {
                    tracing::warn!(%error, address = %self.listener.address(), "TFTP cannot receive");
                    tokio::time::sleep(FAULT_PAUSE).await;
                }
            }
        }
    }

    /// One datagram. Never waits: whatever takes time runs in a task of its own.
    fn handle(&self, arrival: &Arrival, bytes: &[u8]) {
        let counters = &self.shared.counters;
        // A request to a broadcast address is for nobody (RFC 1123 §4.2.3.5); without an own address there is no answer.
        let to_us = arrival.local == *arrival.sent_to.ip() && !arrival.local.is_unspecified();
        if !to_us
            || !may_answer(arrival.remote)
            || is_everybody(*arrival.remote.ip(), &self.shared.networks())
            || self.shared.is_own_port(arrival.remote)
        {
            return count(&counters.ignored);
        }
        let key = Key { remote: arrival.remote, local: arrival.local };
        // Whatever could cost something is judged before it is read; a repeated request of a session under way is its own.
        let known = match wire::is_request(bytes) && self.shared.sessions.find(key).is_none() {
            true => match self.shared.judge(key, arrival) {
                Some(known) => known,
                None => return,
            },
            false => false,
        };
        match wire::decode(bytes) {
            Ok(Packet::Rrq(request)) => {
                count(&counters.requests);
                self.read(arrival, key, bytes, &request, known);
            }
            Ok(Packet::Wrq(request)) => {
                let refusal = Refusal {
                    code: ErrorCode::AccessViolation,
                    text: "writing is not allowed".to_owned(),
                    reason: "write",
                };
                self.refuse(key, arrival, Some(request.name), refusal);
            }
            Ok(Packet::Ack { .. } | Packet::Error { .. }) if self.shared.options.single_port => {
                match self.shared.sessions.find(key) {
                    Some(session) => {
                        if let Some(transfer) = session.transfer().as_mut() {
                            transfer.handle_packet(Instant::now(), bytes);
                        }
                        session.wake.notify_one();
                    }
                    None => count(&counters.ignored),
                }
            }
            Ok(Packet::Ack { .. } | Packet::Error { .. } | Packet::Data { .. } | Packet::Oack(_)) => {
                count(&counters.ignored);
            }
            Err(fault) => match fault.answer() {
                Some(code) => {
                    let refusal = Refusal { code, text: fault.to_string(), reason: fault.reason() };
                    self.refuse(key, arrival, None, refusal);
                }
                None => count(&counters.ignored),
            },
        }
    }

    fn read(&self, arrival: &Arrival, key: Key, bytes: &[u8], request: &Request<'_>, known: bool) {
        if request.mode == Mode::Mail {
            let refusal = Refusal {
                code: ErrorCode::IllegalOperation,
                text: "mail is not served".to_owned(),
                reason: "mail",
            };
            return self.refuse(key, arrival, Some(request.name), refusal);
        }
        let counters = &self.shared.counters;
        let alive = self.alive.upgrade().filter(|_| !self.shared.draining.load(Ordering::Acquire));
        let Some(alive) = alive else { return count(&counters.ignored) };
        match self.shared.sessions.admit(Instant::now(), key, bytes, known) {
            Admission::New { session, evicted } => {
                if evicted {
                    count(&counters.evicted);
                }
                let reader = Reader {
                    key,
                    session,
                    interface: arrival.interface.clone(),
                    shared: self.shared.clone(),
                    stopping: self.stopping.clone(),
                    path: self.path(),
                    _alive: alive,
                };
                counters.active.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(reader.run(bytes.to_vec()));
            }
            Admission::Joined => count(&counters.joined),
            Admission::Busy => count(&counters.busy),
        }
    }

    fn path(&self) -> PathChoice {
        if self.shared.options.single_port {
            PathChoice::Shared(self.listener.clone())
        } else {
            PathChoice::Own(self.place.interface.clone())
        }
    }

    fn refuse(&self, key: Key, arrival: &Arrival, name: Option<&str>, refusal: Refusal) {
        self.shared.refused(key, &arrival.interface, name, &refusal);
        let path = self.path();
        tokio::spawn(async move {
            if let Err(error) = path.send_error(key, &refusal).await {
                tracing::debug!(%error, remote = %key.remote, "TFTP refusal not sent");
            }
        });
    }
}

#[derive(Clone)]
enum PathChoice {
    Own(Option<Arc<str>>),
    Shared(Arc<Listener>),
}

impl PathChoice {
    fn open(&self, local: Ipv4Addr) -> Result<Path, BindError> {
        match self {
            PathChoice::Own(interface) => TransferSocket::bind(local, interface.as_deref()).map(Path::Own),
            PathChoice::Shared(listener) => Ok(Path::Shared(listener.clone())),
        }
    }

    async fn send_error(&self, key: Key, refusal: &Refusal) -> std::io::Result<()> {
        let packet = wire::error(refusal.code, &refusal.text);
        match self.open(key.local).map_err(|error| error.source)? {
            Path::Own(socket) => socket.send(&packet, key.remote).await,
            Path::Shared(listener) => listener.send(&packet, key.local, 0, key.remote).await,
        }
    }
}

impl Shared {
    fn is_own_port(&self, from: SocketAddrV4) -> bool {
        self.own_ports
            .iter()
            .any(|own| own.port() == from.port() && (own.ip() == from.ip() || own.ip().is_unspecified()))
    }

    /// True: a request of a machine with a lease, false: of a stranger, `None`: over the rate, counted, and now and then told.
    fn judge(&self, key: Key, arrival: &Arrival) -> Option<bool> {
        let (now, source) = (Instant::now(), *key.remote.ip());
        let mut admission = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = admission.judge(now, key.remote, || self.decider.recall(IpAddr::V4(source)).is_some());
        let counter = match verdict {
            Verdict::Admitted(known) => return Some(known),
            Verdict::SourceFlood => &self.counters.flood_source,
            Verdict::StrangersFlood => &self.counters.flood_strangers,
            Verdict::KnownFlood => &self.counters.flood_known,
        };
        count(counter);
        let told = admission.note_dropped(now);
        drop(admission);
        if let Some(dropped) = told {
            let mut event = Event::new(EventName::TftpFlood).because(verdict.reason());
            event.interface = Some(arrival.interface.clone());
            self.events.record(event.with("address", source).with("dropped", dropped));
        }
        None
    }

    fn without_socket(&self, error: &BindError) {
        count(&self.counters.no_socket);
        let mut warnings = self.socket_warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.take(Instant::now()) {
            tracing::warn!(cause = %error.source, hint = error.hint(), "{error}");
        }
    }

    /// On-link sources have to answer ARP before anything leaves, others must be known to somebody.
    fn trust(&self, address: Ipv4Addr) -> Trust {
        let on_link = address.is_loopback() || self.networks().iter().any(|net| net.contains(&address));
        if on_link || self.decider.recall(IpAddr::V4(address)).is_some() {
            Trust::Known
        } else {
            Trust::Stranger
        }
    }

    fn networks(&self) -> Arc<[Ipv4Net]> {
        let now = Instant::now();
        let mut cached = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, networks)) = cached.as_ref()
            && now.duration_since(*since) < NETWORKS_HOLD
        {
            return networks.clone();
        }
        let networks: Arc<[Ipv4Net]> = net::interface::list()
            .unwrap_or_default()
            .into_iter()
            .flat_map(|interface| interface.ipv4)
            .collect();
        *cached = Some((now, networks.clone()));
        networks
    }

    fn facts(&self, file: Option<&File>, address: Ipv4Addr, interface: &Arc<str>) -> Facts {
        let address = IpAddr::V4(address);
        let known = file.and_then(|file| file.facts.clone()).or_else(|| self.decider.recall(address));
        let mut facts = known.unwrap_or_else(|| Facts { stage: Stage::Loader, ..Facts::default() });
        facts.address = Some(address);
        facts.interface = Some(interface.clone());
        facts
    }

    fn refused(&self, key: Key, interface: &Arc<str>, name: Option<&str>, refusal: &Refusal) {
        count(&self.counters.refused);
        let mut shown = self.refused_events.lock().unwrap_or_else(PoisonError::into_inner);
        if !shown.take(Instant::now()) {
            return;
        }
        drop(shown);
        let facts = self.facts(None, *key.remote.ip(), interface);
        let mut event = Event::new(EventName::TftpRefused)
            .of(&facts)
            .because(refusal.reason)
            .with("address", *key.remote.ip())
            .with("text", refusal.text.as_str());
        if let Some(name) = name.filter(|name| !may_hold_a_token(name)) {
            event = event.with("file", name);
        }
        self.events.record(event);
    }
}

/// One admitted request, from opening its file to its last event.
struct Reader {
    key: Key,
    session: Arc<Session>,
    interface: Arc<str>,
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    path: PathChoice,
    _alive: mpsc::Sender<()>,
}

impl Drop for Reader {
    /// Also on a panic: a session never outlives its task.
    fn drop(&mut self) {
        self.shared.sessions.end(self.key, &self.session);
        self.shared.counters.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reader {
    async fn run(self, bytes: Vec<u8>) {
        // It decoded a moment ago.
        let Ok(Packet::Rrq(request)) = wire::decode(&bytes) else { return };
        let patience = self.shared.options.open_patience;
        let opened = match tokio::time::timeout(patience, self.open(request.name, request.mode)).await {
            Ok(Some(opened)) => opened,
            // No answer: a client that still waits asks again.
            Ok(None) if self.session.is_cancelled() => return,
            Ok(None) => return count(&self.shared.counters.busy),
            Err(_) => {
                let file = Some(request.name).filter(|name| !may_hold_a_token(name));
                tracing::warn!(file, remote = %self.key.remote, "a file for TFTP takes too long to open");
                return count(&self.shared.counters.busy);
            }
        };
        // Waiting in vain costs no port and leaves no trace but its counter.
        if self.session.is_cancelled() {
            return;
        }
        let (file, content, _memory) = match opened {
            Ok(found) => found,
            Err(refusal) => {
                self.shared.refused(self.key, &self.interface, Some(request.name), &refusal);
                let sent = self.path.send_error(self.key, &refusal).await;
                if let Err(error) = sent {
                    tracing::debug!(%error, remote = %self.key.remote, "TFTP refusal not sent");
                }
                return;
            }
        };
        let path = match self.path.open(self.key.local) {
            Ok(path) => path,
            // No answer: the client asks again, and by then there may be one.
            Err(error) => return self.shared.without_socket(&error),
        };
        let bytes = content.len() as u64;
        let trust = self.shared.trust(*self.key.remote.ip());
        let negotiated = negotiate(&request, bytes, &self.policy(trust));
        let began = Instant::now();
        *self.session.transfer() = Some(Transfer::new(began, bytes, &negotiated, trust));
        count(&self.shared.counters.started);
        let facts = self.shared.facts(Some(&file), *self.key.remote.ip(), &self.interface);
        self.shared.events.record(drive::started(&file, &facts, self.key, &negotiated, bytes));

        let drive = Drive {
            key: self.key,
            session: self.session.clone(),
            path,
            content,
            counters: self.shared.counters.clone(),
            stop: self.stopping.clone(),
        };
        let finished = drive.run().await;
        drive::tally(&self.shared.counters, &finished);
        for event in drive::ended(&file, &facts, self.key, &negotiated, &finished, began.elapsed()) {
            self.shared.events.record(event);
        }
    }

    /// What this client may have.
    fn policy(&self, trust: Trust) -> Policy {
        let policy = self.shared.options.policy();
        let interface = match &self.path {
            PathChoice::Own(interface) => interface.as_deref(),
            PathChoice::Shared(_) => None,
        };
        let policy = match net::route_mtu(self.key.local, interface, self.key.remote) {
            Ok(mtu) => policy.within_mtu(mtu),
            // Then nothing can be sent either; whatever was asked is as good.
            Err(_) => policy,
        };
        cautious(policy, self.shared.options.single_port, trust)
    }

    /// `None`: no answer, for the session was cancelled while it waited or memory is short.
    async fn open(&self, name: &str, mode: Mode) -> Option<Result<Found, Refusal>> {
        let permit = loop {
            tokio::select! {
                permit = self.shared.opens.clone().acquire_owned() => break permit.ok()?,
                () = self.session.wake.notified() => if self.session.is_cancelled() { return None },
            }
        };
        if self.session.is_cancelled() {
            return None;
        }
        let (files, name, interface, key) =
            (self.shared.files.clone(), name.to_owned(), self.interface.clone(), self.key);
        let netascii = self.shared.netascii.clone();
        let opened = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, whether or not somebody still waits for it.
            let _permit = permit;
            let file = match files.open(&name, *key.remote.ip(), &interface, key.local) {
                Ok(file) => file,
                Err(refusal) => return Some(Err(refusal)),
            };
            match mode {
                Mode::Octet | Mode::Mail => {
                    let content = file.content.clone();
                    Some(Ok((file, content, None)))
                }
                Mode::Netascii => convert(file, &netascii).transpose(),
            }
        })
        .await;
        opened.unwrap_or_else(|error| {
            tracing::error!(%error, "opening a file for TFTP failed");
            Some(Err(Refusal {
                code: ErrorCode::NotDefined,
                text: "internal fault".to_owned(),
                reason: "internal",
            }))
        })
    }
}

/// With one port for all, both ports of a transfer are known to everybody: an ACK can be forged as the request was, and buys
/// one block, no more.
fn cautious(policy: Policy, single_port: bool, trust: Trust) -> Policy {
    match trust {
        Trust::Stranger if single_port => Policy { windowsize_max: 1, ..policy },
        Trust::Stranger | Trust::Known => policy,
    }
}

/// A file, its content as it travels, and the memory that takes.
type Found = (File, Bytes, Option<OwnedSemaphorePermit>);

/// `Ok(None)`: too many are in memory already.
fn convert(file: File, memory: &Arc<Semaphore>) -> Result<Option<Found>, Refusal> {
    let too_long = || Refusal {
        code: ErrorCode::NotDefined,
        text: "too long for netascii, ask in octet mode".to_owned(),
        reason: "netascii_too_long",
    };
    if file.content.len() > NETASCII_BYTES_MAX {
        return Err(too_long());
    }
    // At worst every byte becomes two.
    let kib = u32::try_from(file.content.len() * 2 / 1024 + 1).map_err(|_| too_long())?;
    let Ok(permit) = memory.clone().try_acquire_many_owned(kib) else { return Ok(None) };
    let content = netascii::encode(&file.content).map(Bytes::from).ok_or_else(too_long)?;
    Ok(Some((file, content, Some(permit))))
}

#[cfg(test)]
mod tests;
