//! The daemon behind the admin API: reads the inventory, the world and the store, writes through the store, and swaps the
//! catalog after every change.

mod apply;
mod bundles;
mod explain;
mod fault;
mod fleet;
mod hooks;
mod images;
mod imports;
mod life;
mod logs;
mod machines;
mod policy;
mod power;
mod rollouts;
mod simulate;
mod status;
mod traces;
mod wanted;
mod whole;

pub(crate) use fault::Fault;
pub(crate) use imports::{Importer, Unimported};
pub(crate) use rollouts::drive as drive_rollouts;
pub(crate) use simulate::{Place, Simulator};
pub(crate) use status::Meters;
pub(crate) use wanted::Origin;
pub(crate) use whole::{finding, table_names, view as report_view};

use crate::failure::{Failure, chain};
use crate::inventory::{API_OWNER, Inventory, Owned};
use crate::world::World;
use admin::view::{
    BootView, ChangeView, ConfigView, Explanation, Health, HostView, ImageView, ImportRequest, ImportView,
    LeaseView, PruneReport, PruneRequest, Setting, Status, StoreReport, VersionInfo, timestamp,
};
use admin::{
    Backend, BackendError, Download, Expect, FieldError, HostRef, ListPage, Page, Written, paginate,
};
use library::Library;
use plan::Decider;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::records::{decode_lease, encode_host, name_key};
use store::{Batch, CommitError, Store, StoreError, Table};
use types::resource::{Host, Image, Name};
use types::{Event, EventName, EventSink, Facts};

/// Leases read from the store at once.
const SCAN_STEP: usize = 1_000;

/// Everything the API needs of the daemon.
pub(crate) struct Daemon {
    pub(crate) store: Store,
    pub(crate) store_path: PathBuf,
    pub(crate) library: Library,
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) world: Arc<World>,
    pub(crate) importer: Arc<Importer>,
    pub(crate) hooks: Arc<::hooks::Hooks>,
    pub(crate) logs: crate::bootlogs::BootLogs,
    pub(crate) meters: Meters,
    pub(crate) settings: Vec<Setting>,
    pub(crate) files: Vec<String>,
    pub(crate) started: Instant,
    pub(crate) simulator: Simulator,
}

impl Daemon {
    fn revision(&self) -> u64 {
        self.store.status().revision.0
    }

    fn find_host(&self, reference: &HostRef) -> Result<Owned<Host>, BackendError> {
        let catalog = self.world.catalog();
        let found = match reference {
            HostRef::Name(name) => catalog.host(name.as_str()),
            HostRef::Mac(mac) => catalog.host_by_mac(*mac),
            HostRef::Uuid(guid) => catalog.host_by_guid(*guid),
            HostRef::Serial(serial) => catalog.host_by_serial(serial),
        };
        let missing = || BackendError::NotFound { what: "host", name: reference.to_string() };
        let name = found.map(|host| host.name.clone()).ok_or_else(missing)?;
        self.owned_host(&name)?.ok_or_else(missing)
    }

    fn owned_host(&self, name: &Name) -> Result<Option<Owned<Host>>, BackendError> {
        self.inventory.host(name).map_err(internal)
    }

    fn owned_image(&self, name: &Name) -> Result<Option<Owned<Image>>, BackendError> {
        let images = self.inventory.images().map_err(internal)?;
        Ok(images.into_iter().find(|image| image.resource.name == *name))
    }

    fn host_view(&self, host: &Owned<Host>) -> HostView {
        self.host_view_with(host, machines::changes(&self.world, &host.resource.name))
    }

    fn host_view_with(&self, host: &Owned<Host>, identity_changes: Vec<ChangeView>) -> HostView {
        let macs = host.resource.identity.mac.0.iter();
        let seen = macs.clone().find_map(|&mac| self.world.remembered(mac));
        let when = machines::seen(&self.world, macs.copied());
        HostView {
            host: host.resource.clone(),
            managed_by: host.owner.clone(),
            revision: host.revision.0,
            life: self.world.life(&host.resource.name).map(|life| life::view(&life)),
            first_seen: when.as_ref().map(|(first, _)| first.clone()),
            bundle_runs: Vec::new(),
            last_seen: when.map(|(_, last)| last),
            identity_changes,
            address: seen.and_then(|facts| facts.address).map(|address| address.to_string()),
        }
    }

    fn replace_catalog(&self) -> Result<(), BackendError> {
        self.world.replace_catalog(self.inventory.catalog().map_err(internal)?);
        Ok(())
    }
}

fn internal_store(error: &StoreError) -> BackendError {
    BackendError::Internal(chain(error))
}

fn internal(failure: Failure) -> BackendError {
    BackendError::Internal(failure.to_string())
}

/// A commit that did not happen, as the API says it.
fn not_committed(error: &CommitError, what: &'static str, name: &str, current: Option<u64>) -> BackendError {
    match error {
        CommitError::Conflict { .. } => BackendError::Unexpected { what, name: name.to_owned(), current },
        full if full.is_disk_full() => BackendError::Problem(
            admin::Problem::new(
                507,
                "R-STO-12",
                "no-room",
                format!("{what} `{name}` was not changed: the disk is full"),
            )
            .with_cause(chain(full))
            .with_fix("make room where the store lies; reveille status shows how much there is"),
        ),
        other => BackendError::Internal(chain(other)),
    }
}

/// Checks ownership and the expectation of a write.
fn check_write<T>(
    what: &'static str,
    name: &Name,
    current: Option<&Owned<T>>,
    expect: Expect,
) -> Result<(), BackendError> {
    if let Some(owner) = current.map(|object| &object.owner).filter(|owner| *owner != API_OWNER) {
        return Err(BackendError::Owned { what, name: name.to_string(), owner: owner.clone() });
    }
    let revision = current.map(|object| object.revision.0);
    match (expect.holds(revision), revision) {
        (true, _) => Ok(()),
        (false, None) => Err(BackendError::NotFound { what, name: name.to_string() }),
        (false, current) => Err(BackendError::Unexpected { what, name: name.to_string(), current }),
    }
}

/// The same expectation, checked again inside the commit.
fn precondition<T>(current: Option<&Owned<T>>) -> store::Expect {
    current.map_or(store::Expect::Absent, |object| store::Expect::Revision(object.revision))
}

impl Backend for Daemon {
    fn version(&self) -> VersionInfo {
        VersionInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: "v1".to_owned(),
            features: [
                "hosts",
                "orders",
                "drift",
                "rollouts",
                "machines",
                "power",
                "groups",
                "rules",
                "images",
                "versions",
                "imports",
                "leases",
                "boots",
                "bundles",
                "explain",
                "trace",
                "simulate",
                "events",
                "hooks",
                "config",
                "store",
                "apply",
                "templates",
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }

    fn health(&self) -> Health {
        status::health(self)
    }

    fn status(&self) -> Status {
        status::status(self)
    }

    fn hosts(&self, page: &Page) -> Result<ListPage<HostView>, BackendError> {
        let mut hosts = self.inventory.hosts().map_err(internal)?;
        hosts.sort_by(|one, other| one.resource.name.cmp(&other.resource.name));
        let ListPage { items, next, revision } =
            paginate(hosts, page, self.revision(), |host| host.resource.name.to_string());
        // One look at the alarms for all of the page.
        let mut changes = machines::all_changes(&self.world);
        let view = |host: Owned<Host>| {
            self.host_view_with(&host, changes.remove(&host.resource.name).unwrap_or_default())
        };
        Ok(ListPage { items: items.into_iter().map(view).collect(), next, revision })
    }

    fn host(&self, reference: &HostRef) -> Result<HostView, BackendError> {
        let host = self.find_host(reference)?;
        let bundle_runs = bundles::of_host(&self.world, &host.resource);
        Ok(HostView { bundle_runs, ..self.host_view(&host) })
    }

    fn put_host(&self, host: Host, expect: Expect, dry_run: bool) -> Result<Written<HostView>, BackendError> {
        let _changing = self.inventory.change();
        let current = self.owned_host(&host.name)?;
        check_write("host", &host.name, current.as_ref(), expect)?;
        let with_change = self.inventory.catalog_with(|parts| {
            parts.hosts.retain(|other| other.name != host.name);
            parts.hosts.push(host.clone());
        });
        if let (Ok(catalog), Some(group)) = (&with_change, &host.group)
            && catalog.group(group).is_none()
        {
            let detail = format!("there is no group `{group}`; add it first, or name another");
            let errors = vec![FieldError { pointer: "/group".to_owned(), detail }];
            return Err(BackendError::Invalid { what: "host", errors });
        }
        with_change.map_err(|failure| BackendError::Invalid {
            what: "host",
            errors: vec![FieldError {
                pointer: String::new(),
                detail: failure.cause.unwrap_or(failure.what),
            }],
        })?;
        let unchanged = current.as_ref().filter(|current| current.resource == host);
        if dry_run || unchanged.is_some() {
            let revision = current.as_ref().map(|current| current.revision).unwrap_or_default();
            let item = Owned { resource: host, owner: API_OWNER.to_owned(), revision };
            let changed = unchanged.is_none();
            return Ok(Written { item: self.host_view(&item), created: current.is_none(), changed });
        }
        let value = encode_host(&host).map_err(|error| BackendError::Internal(chain(&error)))?;
        let batch = Batch::new()
            .expect(Table::Hosts, name_key(&host.name), precondition(current.as_ref()))
            .put(Table::Hosts, name_key(&host.name), value);
        let revision = self.store.commit_blocking(batch).map_err(|error| {
            let revision = current.as_ref().map(|current| current.revision.0);
            not_committed(&error, "host", host.name.as_str(), revision)
        })?;
        self.replace_catalog()?;
        let created = current.is_none();
        self.world.record(
            Event::new(EventName::HostChanged)
                .host(Some(host.name.shared()))
                .with("created", created)
                .with("revision", revision.0),
        );
        let item = Owned { resource: host, owner: API_OWNER.to_owned(), revision };
        Ok(Written { item: self.host_view(&item), created, changed: true })
    }

    fn delete_host(&self, name: &Name, expect: Expect, dry_run: bool) -> Result<u64, BackendError> {
        let _changing = self.inventory.change();
        let current = self.owned_host(name)?;
        check_write("host", name, current.as_ref(), expect)?;
        if dry_run {
            return Ok(self.revision());
        }
        let batch = Batch::new()
            .expect(Table::Hosts, name_key(name), precondition(current.as_ref()))
            .delete(Table::Hosts, name_key(name));
        let revision = self.world.remove_hosts(std::slice::from_ref(name), || {
            let batch = life::with_removal(self, name, batch)?;
            self.store.commit_blocking(batch).map_err(|error| {
                not_committed(&error, "host", name.as_str(), current.map(|current| current.revision.0))
            })
        })?;
        self.replace_catalog()?;
        self.world.record(Event::new(EventName::HostChanged).host(Some(name.shared())).with("removed", true));
        Ok(revision.0)
    }

    fn explain(&self, mut facts: Facts) -> Result<Explanation, BackendError> {
        // A relay says where it is; what was seen of it elsewhere does not count then.
        if let (Some(relay), None) = (facts.relay, &facts.subnet) {
            facts.subnet = self.simulator.subnet_at(relay);
        }
        Ok(explain::explain(&self.world, &self.library, &self.inventory, facts))
    }

    fn explain_host(&self, reference: &HostRef) -> Result<Explanation, BackendError> {
        self.explain(traces::facts_of(self, reference)?)
    }

    fn images(&self, page: &Page) -> Result<ListPage<ImageView>, BackendError> {
        let mut images = self.inventory.images().map_err(internal)?;
        images.sort_by(|one, other| one.resource.name.cmp(&other.resource.name));
        let pins = self.inventory.pins().map_err(internal)?;
        let ListPage { items, next, revision } =
            paginate(images, page, self.revision(), |image| image.resource.name.to_string());
        let items = items.iter().map(|image| self.image_view(image, &pins)).collect();
        Ok(ListPage { items, next, revision })
    }

    fn image(&self, name: &Name) -> Result<ImageView, BackendError> {
        let image = self.owned_image(name)?;
        let image = image.ok_or_else(|| BackendError::NotFound { what: "image", name: name.to_string() })?;
        Ok(self.image_view(&image, &self.inventory.pins().map_err(internal)?))
    }

    fn delete_image(
        &self,
        name: &Name,
        expect: Expect,
        force: bool,
        dry_run: bool,
    ) -> Result<u64, BackendError> {
        images::delete(self, name, expect, force, dry_run)
    }

    fn rollback_image(&self, name: &Name, to: Option<&Name>) -> Result<ImageView, BackendError> {
        images::rollback(self, name, to)
    }

    fn tag_image(&self, name: &Name, tag: &Name, version: Option<&Name>) -> Result<ImageView, BackendError> {
        images::tag(self, name, tag, version)
    }

    fn untag_image(&self, name: &Name, tag: &Name) -> Result<ImageView, BackendError> {
        images::untag(self, name, tag)
    }

    fn prune_images(&self, request: &PruneRequest) -> Result<PruneReport, BackendError> {
        images::prune(self, request)
    }

    fn export_image(&self, name: &Name, version: Option<&Name>) -> Result<Download, BackendError> {
        images::export(self, name, version)
    }

    fn verify_images(&self, names: &[Name]) -> Result<Download, BackendError> {
        images::verify(self, names)
    }

    fn start_import(&self, request: ImportRequest, dry_run: bool) -> Result<ImportView, BackendError> {
        self.importer.start(request, dry_run)
    }

    fn imports(&self, page: &Page) -> Result<ListPage<ImportView>, BackendError> {
        Ok(paginate(self.importer.views(), page, self.revision(), |view| view.id.clone()))
    }

    fn import(&self, id: &str) -> Result<ImportView, BackendError> {
        self.importer.view(id).ok_or_else(|| BackendError::NotFound { what: "import", name: id.to_owned() })
    }

    fn cancel_import(&self, id: &str) -> Result<ImportView, BackendError> {
        self.importer.cancel(id).ok_or_else(|| BackendError::NotFound { what: "import", name: id.to_owned() })
    }

    fn receive_import(
        &self,
        id: &str,
        body: &mut dyn std::io::Read,
        length: Option<u64>,
    ) -> Result<ImportView, BackendError> {
        self.importer.receive(id, body, length)
    }

    fn leases(&self, page: &Page) -> Result<ListPage<LeaseView>, BackendError> {
        let mut views = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        let catalog = self.world.catalog();
        loop {
            let step = self
                .store
                .scan(Table::Leases, after.as_deref(), SCAN_STEP)
                .map_err(|error| BackendError::Internal(chain(&error)))?;
            let last = step.len() < SCAN_STEP;
            after = step.last().map(|(key, _)| key.clone());
            for (_, stored) in step {
                let record =
                    decode_lease(&stored.value).map_err(|error| BackendError::Internal(chain(&error)))?;
                let mut view = LeaseView::from(&record);
                let host = record.guid.and_then(|guid| catalog.host_by_guid(guid));
                let host = host.or_else(|| record.mac.and_then(|mac| catalog.host_by_mac(mac)));
                view.host = host.map(|host| host.name.to_string());
                views.push((u32::from(record.address), view));
            }
            if last {
                break;
            }
        }
        let pages = paginate(views, page, self.revision(), |(address, _)| format!("{address:08x}"));
        let items = pages.items.into_iter().map(|(_, view)| view).collect();
        Ok(ListPage { items, next: pages.next, revision: pages.revision })
    }

    fn boots(&self, page: &Page) -> Result<ListPage<BootView>, BackendError> {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = |instant: Instant| {
            let ms = now_ms.saturating_sub(instant.elapsed()).max(Duration::ZERO).as_millis();
            timestamp(u64::try_from(ms).unwrap_or(u64::MAX))
        };
        let mut attempts = self.world.attempts();
        attempts.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
        let views = attempts.into_iter().map(|(mac, attempt)| BootView {
            id: attempt.id.to_string(),
            host: attempt.host.as_deref().map(str::to_owned),
            mac: Some(mac),
            uuid: self.world.remembered(mac).and_then(|facts| facts.guid),
            image: attempt.image.as_deref().map(str::to_owned),
            stage: attempt.stage.as_str().to_owned(),
            outcome: attempt.stage.is_final().then(|| attempt.stage.as_str().to_owned()),
            started: at(attempt.started),
            ended: attempt.stage.is_final().then(|| at(attempt.last)),
            stages: Vec::new(),
        });
        Ok(paginate(views, page, self.revision(), |view| view.id.clone()))
    }

    fn store_backup(&self) -> Result<Download, BackendError> {
        whole::backup(&self.store)
    }

    fn store_dump(&self, table: Option<&str>) -> Result<Download, BackendError> {
        whole::dump(&self.store, table)
    }

    fn store_verify(&self) -> Result<StoreReport, BackendError> {
        whole::verify(&self.store)
    }

    fn config(&self) -> Result<ConfigView, BackendError> {
        Ok(ConfigView { files: self.files.clone(), settings: self.settings.clone() })
    }
}
