//! Telling others what was committed. A watcher that falls behind is told to read anew; no writer ever waits for one.

use crate::limits::WATCH_EVENTS_MAX;
use crate::model::{Change, Revision, Table};
use std::sync::{Arc, OnceLock};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// What a watcher learns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Watched {
    /// A batch changed records of the table.
    Changed {
        /// The batch.
        revision: Revision,
        /// Its changes to this table, in order.
        changes: Arc<[Change]>,
    },
    /// Some batches were missed: scan the table, then go on. Everything committed after that scan began is still announced.
    Resync,
}

/// One table's changes from now on.
#[derive(Debug)]
pub struct Watch {
    receiver: broadcast::Receiver<(Revision, Arc<[Change]>)>,
}

impl Watch {
    /// The next change. `None`: the store was closed.
    pub async fn next(&mut self) -> Option<Watched> {
        match self.receiver.recv().await {
            Ok((revision, changes)) => Some(Watched::Changed { revision, changes }),
            Err(RecvError::Lagged(_)) => Some(self.resync()),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next change if there is one already.
    pub fn try_next(&mut self) -> Option<Watched> {
        match self.receiver.try_recv() {
            Ok((revision, changes)) => Some(Watched::Changed { revision, changes }),
            Err(TryRecvError::Lagged(_)) => Some(self.resync()),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    /// What is left in the channel is older than the scan that follows.
    fn resync(&mut self) -> Watched {
        self.receiver = self.receiver.resubscribe();
        Watched::Resync
    }
}

type Sender = broadcast::Sender<(Revision, Arc<[Change]>)>;

/// The sending ends, one for each table, made when somebody first follows it; emptied when the store closes, which ends
/// every watch.
pub(crate) struct Watchers(Vec<OnceLock<Sender>>);

impl Watchers {
    pub(crate) fn new() -> Watchers {
        Watchers(Table::ALL.iter().map(|_| OnceLock::new()).collect())
    }

    pub(crate) fn watch(&self, table: Table) -> Option<Watch> {
        let sender = self.0.get(table.slot())?.get_or_init(|| Sender::new(WATCH_EVENTS_MAX));
        Some(Watch { receiver: sender.subscribe() })
    }

    pub(crate) fn publish(&self, revision: Revision, changes: &[Change]) {
        for (table, sender) in Table::ALL.into_iter().zip(&self.0) {
            let Some(sender) = sender.get() else { continue };
            if sender.receiver_count() > 0 && changes.iter().any(|change| change.table == table) {
                let own = changes.iter().filter(|change| change.table == table).cloned().collect();
                // Nobody listening any more is no fault.
                let _ = sender.send((revision, own));
            }
        }
    }

    pub(crate) fn close(&mut self) {
        self.0.clear();
    }
}
