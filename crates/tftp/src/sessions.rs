//! Who is being served: one session per client address, port and local address.
//!
//! Room is made by ending sessions nobody answered, oldest first, so that forged requests can only push out each
//! other. A session whose client has answered once is never ended for another.

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
    /// Oldest first.
    by_age: BTreeMap<u64, Key>,
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

    /// Takes a decoded read request in.
    pub(crate) fn admit(&self, now: Instant, key: Key, request: &[u8]) -> Admission {
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
                Repeat::Replace => table.remove(key, session.serial),
            };
            session.replaced.store(true, Ordering::Release);
            session.cancel();
        }
        let source = *key.remote.ip();
        let mut evicted = false;
        if table.per_source.get(&source).is_some_and(|count| *count >= self.per_source_max) {
            evicted = table.evict(|own| *own.remote.ip() == source);
            if !evicted {
                return Admission::Busy;
            }
        }
        if table.by_key.len() >= self.transfers_max {
            evicted = table.evict(|_| true);
            if !evicted {
                return Admission::Busy;
            }
        }
        Admission::New { session: table.insert(key, request), evicted }
    }

    /// The task of a session is done.
    pub(crate) fn end(&self, key: Key, session: &Session) {
        self.lock().remove(key, session.serial);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, key: Key, request: &[u8]) -> Arc<Session> {
        let session = Arc::new(Session {
            serial: self.next_serial,
            request: request.to_vec(),
            transfer: Mutex::new(None),
            cancelled: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
            wake: Notify::new(),
        });
        self.next_serial += 1;
        self.by_age.insert(session.serial, key);
        self.by_key.insert(key, session.clone());
        *self.per_source.entry(*key.remote.ip()).or_default() += 1;
        session
    }

    /// Removes that very session; a newer one under the same key stays.
    fn remove(&mut self, key: Key, serial: u64) {
        if self.by_age.remove(&serial).is_none() {
            return;
        }
        if self.by_key.get(&key).is_some_and(|session| session.serial == serial) {
            self.by_key.remove(&key);
        }
        let source = *key.remote.ip();
        if let Some(count) = self.per_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
    }

    /// Ends the oldest unanswered session among those `wanted`; false when there is none.
    fn evict(&mut self, wanted: impl Fn(&Key) -> bool) -> bool {
        let victim = self.by_age.values().filter(|key| wanted(key)).find_map(|key| {
            self.by_key
                .get(key)
                .filter(|session| session.is_unanswered())
                .map(|session| (*key, session.clone()))
        });
        match victim {
            Some((key, session)) => {
                self.remove(key, session.serial);
                session.cancel();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
