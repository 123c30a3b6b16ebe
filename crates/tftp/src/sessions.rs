//! Who is being served: one session per client address, port and local address.
//!
//! Room is made by ending sessions nobody answered, oldest first, so that forged requests can only push out each
//! other. A session whose client has answered once is never ended for another, and one of a machine with a lease never for a
//! stranger's; a part of all places is kept for such machines.

use crate::limits::{KNOWN_SHARE, KNOWN_UNANSWERED_MAX, STRANGERS_UNANSWERED_MAX};
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tftp_proto::{Repeat, Transfer};
use tokio::sync::Notify;

/// What tells one client's transfer from another's (RFC 1350 §4: the transfer identifiers).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    pub(crate) remote: SocketAddrV4,
    pub(crate) local: Ipv4Addr,
}

/// One transfer as the listener and its task share it.
#[derive(Debug)]
pub(crate) struct Session {
    serial: u64,
    /// The source holds a lease.
    known: bool,
    /// The request, byte for byte.
    request: Vec<u8>,
    /// `None` while the file is being opened.
    transfer: Mutex<Option<Transfer>>,
    cancelled: AtomicBool,
    replaced: AtomicBool,
    /// Something changed from outside: poll again.
    pub(crate) wake: Notify,
}

impl Session {
    pub(crate) fn transfer(&self) -> MutexGuard<'_, Option<Transfer>> {
        self.transfer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Cancelled by a later request of the same client, not to make room.
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }

    pub(crate) fn is_unanswered(&self) -> bool {
        self.transfer().as_ref().is_none_or(Transfer::is_unanswered)
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Admission {
    /// A new session; `evicted` says that another had to go for it.
    New { session: Arc<Session>, evicted: bool },
    /// It belongs to a session under way.
    Joined,
    /// No room: answer nothing, the client asks again.
    Busy,
}

#[derive(Debug)]
pub(crate) struct Sessions {
    transfers_max: usize,
    per_source_max: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next_serial: u64,
    by_key: HashMap<Key, Arc<Session>>,
    /// Sessions not yet seen answered, oldest first: of strangers, and of machines with a lease.
    waiting_strangers: BTreeMap<u64, Key>,
    waiting_known: BTreeMap<u64, Key>,
    strangers: usize,
    per_source: HashMap<Ipv4Addr, usize>,
}

impl Sessions {
    pub(crate) fn new(transfers_max: usize, per_source_max: usize) -> Sessions {
        Sessions {
            transfers_max: transfers_max.max(1),
            per_source_max: per_source_max.max(1),
            table: Mutex::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    pub(crate) fn find(&self, key: Key) -> Option<Arc<Session>> {
        self.lock().by_key.get(&key).cloned()
    }

    /// Takes a decoded read request in. `known`: its source holds a lease.
    pub(crate) fn admit(&self, now: Instant, key: Key, request: &[u8], known: bool) -> Admission {
        let mut table = self.lock();
        if let Some(session) = table.by_key.get(&key).cloned() {
            let repeat = match session.transfer().as_mut() {
                None if session.request != request => Repeat::Replace,
                None => Repeat::Ignored,
                Some(transfer) if session.request != request => transfer.handle_other_request(now),
                Some(transfer) => transfer.handle_repeated_request(now),
            };
            match repeat {
                Repeat::Joined | Repeat::Ignored => {
                    session.wake.notify_one();
                    return Admission::Joined;
                }
                Repeat::Replace => table.remove(key, &session),
            }
            session.replaced.store(true, Ordering::Release);
            session.cancel();
        }
        let source = *key.remote.ip();
        let mut evicted = false;
        if table.per_source.get(&source).is_some_and(|count| *count >= self.per_source_max) {
            evicted = table.evict(known, |own| *own.remote.ip() == source);
            if !evicted {
                return Admission::Busy;
            }
        }
        if !known {
            // What is kept for machines with a lease; at least one place is everybody's.
            let places = (self.transfers_max - self.transfers_max / KNOWN_SHARE).max(1);
            if table.strangers >= places {
                if !table.evict_stranger() {
                    return Admission::Busy;
                }
                evicted = true;
            }
        }
        if table.is_crowded(known) {
            evicted |= table.evict_own_kind(known);
        }
        if table.by_key.len() >= self.transfers_max {
            if !(table.evict_stranger() || known && table.evict_own_kind(true)) {
                return Admission::Busy;
            }
            evicted = true;
        }
        Admission::New { session: table.insert(key, request, known), evicted }
    }

    /// The task of a session is done.
    pub(crate) fn end(&self, key: Key, session: &Session) {
        self.lock().remove(key, session);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, key: Key, request: &[u8], known: bool) -> Arc<Session> {
        let session = Arc::new(Session {
            serial: self.next_serial,
            known,
            request: request.to_vec(),
            transfer: Mutex::new(None),
            cancelled: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
            wake: Notify::new(),
        });
        self.next_serial += 1;
        self.strangers += usize::from(!known);
        self.waiting(known).insert(session.serial, key);
        self.by_key.insert(key, session.clone());
        *self.per_source.entry(*key.remote.ip()).or_default() += 1;
        session
    }

    /// Removes that very session; a newer one under the same key stays.
    fn remove(&mut self, key: Key, session: &Session) {
        if self.by_key.get(&key).is_none_or(|own| own.serial != session.serial) {
            return;
        }
        self.by_key.remove(&key);
        self.waiting(session.known).remove(&session.serial);
        self.strangers = self.strangers.saturating_sub(usize::from(!session.known));
        let source = *key.remote.ip();
        if let Some(count) = self.per_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }

    fn waiting(&mut self, known: bool) -> &mut BTreeMap<u64, Key> {
        if known { &mut self.waiting_known } else { &mut self.waiting_strangers }
    }

    /// Too many sessions of this kind are unanswered.
    fn is_crowded(&mut self, known: bool) -> bool {
        let most = if known { KNOWN_UNANSWERED_MAX } else { STRANGERS_UNANSWERED_MAX };
        self.waiting(known).len() >= most
    }

    fn evict_stranger(&mut self) -> bool {
        self.evict(false, |_| true)
    }

    fn evict_own_kind(&mut self, known: bool) -> bool {
        self.evict(known, |_| true)
    }

    /// Ends the oldest unanswered session of that kind among those `wanted`; false when there is none. One that was answered
    /// meanwhile waits no more: it is looked at once.
    fn evict(&mut self, known: bool, wanted: impl Fn(&Key) -> bool) -> bool {
        let mut answered = Vec::new();
        let mut victim = None;
        let waiting = if known { &self.waiting_known } else { &self.waiting_strangers };
        for (serial, key) in waiting.iter().filter(|(_, key)| wanted(key)) {
            match self.by_key.get(key).filter(|session| session.serial == *serial) {
                Some(session) if session.is_unanswered() => {
                    victim = Some((*key, session.clone()));
                    break;
                }
                Some(_) | None => answered.push(*serial),
            }
        }
        for serial in answered {
            self.waiting(known).remove(&serial);
        }
        match victim {
            Some((key, session)) => {
                self.remove(key, &session);
                session.cancel();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
