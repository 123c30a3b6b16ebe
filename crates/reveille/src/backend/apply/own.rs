//! Objects given to another owner.

use super::{Daemon, internal, not_committed, precondition};
use crate::failure::chain;
use crate::inventory::Kept;
use admin::BackendError;
use admin::view::OwnerChanged;
use store::Batch;
use store::records::{encode_owned, name_key};
use types::resource::{Name, Owner};
use types::{Event, EventName, EventSink};

pub(super) fn own<T: Kept>(daemon: &Daemon, name: &Name, to: &Owner) -> Result<OwnerChanged, BackendError> {
    let _changing = daemon.inventory.change();
    let what = T::KIND.as_str();
    if let Some(place) = daemon.inventory.place_in_file::<T>(name) {
        return Err(BackendError::Owned { what, name: name.to_string(), owner: place.to_owned() });
    }
    let current = daemon.inventory.one_stored::<T>(name).map_err(internal)?;
    let current = current.ok_or_else(|| BackendError::NotFound { what, name: name.to_string() })?;
    let owner = to.to_string();
    let mut changed = OwnerChanged {
        kind: T::KIND,
        name: name.clone(),
        before: current.owner.clone(),
        owner: owner.clone(),
        revision: current.revision.0,
        changed: current.owner != owner,
    };
    if !changed.changed {
        return Ok(changed);
    }
    let value = encode_owned(&T::RECORD, to, &current.resource)
        .map_err(|error| BackendError::Internal(chain(&error)))?;
    let batch = Batch::new().expect(T::TABLE, name_key(name), precondition(Some(&current))).put(
        T::TABLE,
        name_key(name),
        value,
    );
    let revision = daemon
        .store
        .commit_blocking(batch)
        .map_err(|error| not_committed(&error, what, name.as_str(), Some(current.revision.0)))?;
    changed.revision = revision.0;
    daemon.world.record(
        Event::new(EventName::ConfigOwnerChanged)
            .with("kind", what)
            .with("name", name.shared())
            .with("before", changed.before.clone())
            .with("owner", owner),
    );
    Ok(changed)
}
