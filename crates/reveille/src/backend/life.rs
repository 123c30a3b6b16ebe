//! Orders for hosts, and what is remembered of them.

use super::{Daemon, internal};
use crate::world::{LifeFault, unix_now};
use admin::view::{InstalledView, LifeView, Order, OrderRequest, OrderView, timestamp};
use admin::{BackendError, FieldError, HostRef, Problem};
use boots::life::{ImageRef, Life, LifeEvent, OnceBoot};
use plan::Decider;
use std::sync::Arc;
use types::UnixTime;
use types::resource::{Image, Name};

/// Who orders, when nobody says.
const NOBODY: &str = "api";

pub(super) fn order(
    daemon: &Daemon,
    reference: &HostRef,
    request: &OrderRequest,
) -> Result<LifeView, BackendError> {
    let host = daemon.find_host(reference)?.resource;
    let by: Arc<str> = request.by.as_deref().unwrap_or(NOBODY).into();
    let event = event_of(daemon, &host.name, by, &request.order)?;
    let life = daemon.world.live(&host.name, event).map_err(|fault| match fault {
        LifeFault::Refused(refusal) => BackendError::Problem(
            Problem::new(409, "R-LIF-01", "order-refused", format!("host `{}`: not done", host.name))
                .with_cause(refusal.to_string()),
        ),
        LifeFault::Store(error) => super::not_committed(&error, "host", host.name.as_str(), None),
        other => BackendError::Problem(
            Problem::new(409, "R-LIF-02", "life-unreadable", format!("host `{}`: not done", host.name))
                .with_cause(other.to_string())
                .with_fix(format!("reveille host forget {}", host.name)),
        ),
    })?;
    Ok(view(&life))
}

fn event_of(daemon: &Daemon, host: &Name, by: Arc<str>, order: &Order) -> Result<LifeEvent, BackendError> {
    let after = |secs: &Option<u64>| secs.map(|secs| UnixTime(unix_now().0.saturating_add(secs)));
    Ok(match order {
        Order::Arm { image, expires_secs, retries } => {
            let image = image.as_deref().map(|image| named(daemon, image)).transpose()?;
            if let Some((_, image)) = image.as_ref().filter(|(_, image)| !image.destructive) {
                return Err(BackendError::Problem(
                    Problem::new(409, "R-LIF-03", "nothing-to-arm", format!("host `{host}`: not armed"))
                        .with_cause(format!("image `{}` erases no disk and boots unarmed", image.name))
                        .with_fix(format!("reveille host boot {host} --image {}", image.name)),
                ));
            }
            LifeEvent::Arm {
                by,
                image: image.map(|(reference, _)| reference.name),
                expires: after(expires_secs),
                retries: *retries,
            }
        }
        Order::Disarm { running } => LifeEvent::Disarm { by, running: *running },
        Order::BootOnce { image: None, expires_secs, .. } => LifeEvent::BootOnce {
            by,
            what: OnceBoot::LocalDisk,
            armed: false,
            expires: after(expires_secs),
            retries: 0,
        },
        Order::BootOnce { image: Some(image), arm, expires_secs, retries } => {
            let (reference, image) = named(daemon, image)?;
            if image.destructive && !arm {
                return Err(BackendError::Problem(
                    Problem::new(409, "R-LIF-04", "needs-arming", format!("host `{host}`: not ordered"))
                        .with_cause(format!("image `{}` may erase its disk", image.name))
                        .with_fix(format!("reveille host boot {host} --image {} --arm", image.name)),
                ));
            }
            let armed = *arm && image.destructive;
            LifeEvent::BootOnce {
                by,
                what: OnceBoot::Image(reference),
                armed,
                expires: after(expires_secs),
                retries: if armed { *retries } else { 0 },
            }
        }
        Order::CancelOnce {} => LifeEvent::CancelOnce { by },
        Order::Quarantine { reason, secs } => {
            LifeEvent::Quarantine { by, reason: reason.as_str().into(), until: after(secs) }
        }
        Order::Release {} => LifeEvent::Release { by },
        Order::Lock { reason } => LifeEvent::Lock { by, reason: reason.as_str().into() },
        Order::Unlock {} => LifeEvent::Unlock { by },
        Order::Installed { image } => {
            let (image, known) = named(daemon, image)?;
            // By its id: a tag moves.
            let image = if image.version.is_some() { ImageRef::of(&known.name) } else { image };
            LifeEvent::MarkInstalled { by, image, destructive: known.destructive }
        }
        Order::Forget {} => LifeEvent::Forget { by },
    })
}

/// The image of `name` or `name@version`, which has to be there.
pub(super) fn named(daemon: &Daemon, text: &str) -> Result<(ImageRef, Arc<Image>), BackendError> {
    let unreadable = |detail: String| BackendError::Invalid {
        what: "order",
        errors: vec![FieldError { pointer: "/order".to_owned(), detail }],
    };
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let parsed = |text: &str| text.parse::<Name>().map_err(|error| unreadable(format!("`{text}`: {error}")));
    let (name, version) = (parsed(name)?, version.map(parsed).transpose()?);
    let catalog = daemon.world.catalog();
    let found = match &version {
        Some(version) => catalog.version(&name, version),
        None => catalog.image(name.as_str()),
    };
    let missing = || BackendError::NotFound { what: "image", name: text.to_owned() };
    Ok((ImageRef { name, version }, found.cloned().ok_or_else(missing)?))
}

fn shown(time: UnixTime) -> String {
    timestamp(time.0.saturating_mul(1000))
}

pub(super) fn view(life: &Life) -> LifeView {
    let now = unix_now();
    LifeView {
        stage: life.stage(now).as_str().to_owned(),
        since: shown(life.since),
        detail: life.detail.as_deref().map(str::to_owned),
        armed: life.arming.as_ref().map(|arming| OrderView {
            by: arming.by.to_string(),
            at: shown(arming.at),
            what: arming.image.as_ref().map(ToString::to_string),
            expires: arming.expires.map(shown),
            retries: Some(arming.retries),
        }),
        once: life.one_shot.as_ref().map(|once| OrderView {
            by: once.by.to_string(),
            at: shown(once.at),
            what: Some(once.what.to_string()),
            expires: once.expires.map(shown),
            retries: once.armed.then_some(once.retries),
        }),
        quarantine: life.quarantined(now).map(|quarantine| OrderView {
            by: quarantine.by.to_string(),
            at: shown(quarantine.at),
            what: Some(quarantine.reason.to_string()),
            expires: quarantine.until.map(shown),
            retries: None,
        }),
        lock: life.lock.as_ref().map(|lock| OrderView {
            by: lock.by.to_string(),
            at: shown(lock.at),
            what: Some(lock.reason.to_string()),
            ..OrderView::default()
        }),
        installed: life.installed.as_ref().map(|installed| InstalledView {
            image: installed.image.to_string(),
            boot: installed.boot.as_deref().map(str::to_owned),
            at: shown(installed.at),
            told: Some(installed.told.as_str().to_owned()),
        }),
        last_boot: life.last_boot.as_ref().map(|boot| InstalledView {
            image: boot.image.to_string(),
            boot: Some(boot.boot.to_string()),
            at: shown(boot.at),
            told: None,
        }),
        booted_from_cache: life.booted_from_cache(),
    }
}

/// Removes what is remembered of a host together with its record. Asked for within [`World::remove_hosts`], so that nothing is
/// written of it after it was looked for.
///
/// [`World::remove_hosts`]: crate::world::World::remove_hosts
pub(super) fn with_removal(
    daemon: &Daemon,
    host: &Name,
    batch: store::Batch,
) -> Result<store::Batch, BackendError> {
    let mut batch = batch;
    for key in [store::records::life_key(host), store::records::bundle_runs_key(host)] {
        let stored = daemon.store.get(store::Table::Boots, &key).map_err(|error| {
            internal(
                crate::failure::Failure::new("R-STO-01", "cannot read boots")
                    .cause(crate::failure::chain(&error)),
            )
        })?;
        if stored.is_some() {
            batch = batch.delete(store::Table::Boots, key);
        }
    }
    Ok(batch)
}
