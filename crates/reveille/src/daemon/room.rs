//! What the store can take, told as it changes.

use crate::world::World;
use std::sync::Arc;
use store::{Room, Store};
use tokio::sync::watch;
use types::{Event, EventName, EventSink};

/// Records an event for every change until we stop, and one at once when not everything can be taken.
pub(super) async fn tell(world: Arc<World>, store: Store, mut stopping: watch::Receiver<bool>) {
    let mut room = store.room();
    let now = room.borrow_and_update().clone();
    if now != Room::Plenty {
        world.record(event(&now));
    }
    let mut told = now.as_str();
    loop {
        tokio::select! {
            changed = room.changed() => if changed.is_err() { return },
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let now = room.borrow_and_update().clone();
        // Only its reason may be another.
        if now.as_str() != told {
            told = now.as_str();
            world.record(event(&now));
        }
    }
}

fn event(room: &Room) -> Event {
    let name = match room {
        Room::Plenty => EventName::StoreRoomBack,
        Room::Reserve { .. } => EventName::StoreRoomLow,
        Room::Nothing { .. } => EventName::StoreReadOnly,
    };
    match room.reason() {
        Some(reason) => Event::new(name).with("cause", reason),
        None => Event::new(name),
    }
}
