//! The API on a socket in a folder of its own, over a daemon in memory.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use reveille_admin::view::{
    BootView, ConfigView, Explanation, Health, HostView, ImageView, ImportRequest, ImportState, ImportView,
    LeaseView, PruneReport, PruneRequest, Setting, Status, StoreFinding, StoreReport, VerifyFinding,
    VerifyLine, VerifyReport, VersionInfo,
};
use reveille_admin::{
    AdminDoor, Api, Backend, BackendError, Client, Download, EventBus, Expect, HostRef, ListPage, Options,
    Page, Written, paginate,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use types::Facts;
use types::resource::{Host, Image, ImageKind, Name};

/// Longest any single step may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub const OWNER: &str = "file:/etc/reveille.yaml:17";

#[derive(Default)]
struct Memory {
    revision: u64,
    hosts: BTreeMap<String, HostView>,
    images: BTreeMap<String, ImageView>,
    imports: BTreeMap<String, ImportView>,
}

/// A daemon that keeps everything in memory. `web-file` and `rescue` belong to a file.
pub struct MemoryBackend(Mutex<Memory>);

impl MemoryBackend {
    pub fn new() -> MemoryBackend {
        let mut memory = Memory { revision: 10, ..Memory::default() };
        let host = r#"{"name":"web-file","match":{"mac":"52:54:00:00:00:01","serial":"F1"},"managed_by":"file:/etc/reveille.yaml:17","revision":3}"#;
        let host: HostView = serde_json::from_str(host).unwrap();
        memory.hosts.insert("web-file".into(), host);
        for (name, owner) in [("debian", "api"), ("rescue", OWNER)] {
            let image =
                Image { kernel: Some("linux".into()), ..Image::new(name.parse().unwrap(), ImageKind::Linux) };
            let view = ImageView {
                image,
                managed_by: owner.into(),
                revision: 5,
                bytes: 9,
                files: 1,
                imported: None,
                fault: None,
                notes: Vec::new(),
                version: Some("9f2c00000000".into()),
                versions: Vec::new(),
                tags: BTreeMap::new(),
            };
            memory.images.insert(name.into(), view);
        }
        MemoryBackend(Mutex::new(memory))
    }

    pub fn imports_started(&self) -> usize {
        self.0.lock().unwrap().imports.len()
    }
}

impl reveille_admin::Policy for MemoryBackend {}
impl reveille_admin::Hooks for MemoryBackend {}

impl Backend for MemoryBackend {
    fn version(&self) -> VersionInfo {
        VersionInfo { version: "0.1.0".into(), api: "v1".into(), features: vec!["hosts".into()] }
    }

    fn health(&self) -> Health {
        Health { ok: false, checks: Vec::new() }
    }

    fn status(&self) -> Status {
        Status { uptime_secs: 5, ..Status::default() }
    }

    fn hosts(&self, page: &Page) -> Result<ListPage<HostView>, BackendError> {
        let memory = self.0.lock().unwrap();
        Ok(paginate(memory.hosts.values().cloned(), page, memory.revision, |view| view.host.name.to_string()))
    }

    fn host(&self, reference: &HostRef) -> Result<HostView, BackendError> {
        let memory = self.0.lock().unwrap();
        let found = memory.hosts.values().find(|view| match reference {
            HostRef::Name(name) => view.host.name == *name,
            HostRef::Mac(mac) => view.host.identity.mac.0.contains(mac),
            HostRef::Uuid(uuid) => view.host.identity.uuid == Some(*uuid),
            HostRef::Serial(serial) => {
                view.host.identity.serial.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(serial))
            }
        });
        found.cloned().ok_or_else(|| BackendError::NotFound { what: "host", name: reference.to_string() })
    }

    fn put_host(&self, host: Host, expect: Expect, dry_run: bool) -> Result<Written<HostView>, BackendError> {
        let mut memory = self.0.lock().unwrap();
        let name = host.name.to_string();
        let before = memory.hosts.get(&name).cloned();
        let current = before.as_ref().map(|view| view.revision);
        if !expect.holds(current) {
            return Err(BackendError::Unexpected { what: "host", name, current });
        }
        if name == "broken" {
            return Err(BackendError::Internal("disk on fire".into()));
        }
        assert_ne!(name, "panics");
        let changed = before.as_ref().is_none_or(|view| view.host != host);
        let revision = if changed { memory.revision + 1 } else { current.unwrap_or_default() };
        let view = HostView {
            host,
            managed_by: "api".into(),
            revision,
            life: None,
            bundle_runs: Vec::new(),
            last_seen: None,
            address: None,
        };
        if !dry_run {
            memory.revision = memory.revision.max(revision);
            memory.hosts.insert(name, view.clone());
        }
        Ok(Written { item: view, created: before.is_none(), changed })
    }

    fn delete_host(&self, name: &Name, expect: Expect, dry_run: bool) -> Result<u64, BackendError> {
        let mut memory = self.0.lock().unwrap();
        let current = memory.hosts.get(name.as_str()).map(|view| view.revision);
        if current.is_none() {
            return Err(BackendError::NotFound { what: "host", name: name.to_string() });
        }
        if !expect.holds(current) {
            return Err(BackendError::Unexpected { what: "host", name: name.to_string(), current });
        }
        if !dry_run {
            memory.hosts.remove(name.as_str());
            memory.revision += 1;
        }
        Ok(memory.revision)
    }

    fn explain(&self, facts: Facts) -> Result<Explanation, BackendError> {
        let boots = if facts.mac.is_some() { "menu" } else { "nothing" };
        let firmware = facts.firmware.map(|firmware| ("firmware".to_owned(), firmware.to_string()));
        Ok(Explanation {
            boots: boots.into(),
            facts: firmware.into_iter().collect(),
            ..Explanation::default()
        })
    }

    fn explain_host(&self, reference: &HostRef) -> Result<Explanation, BackendError> {
        let host = self.host(reference)?.host.name.to_string();
        Ok(Explanation { boots: "image".into(), host: Some(host), ..Explanation::default() })
    }

    fn images(&self, page: &Page) -> Result<ListPage<ImageView>, BackendError> {
        let memory = self.0.lock().unwrap();
        Ok(paginate(memory.images.values().cloned(), page, memory.revision, |view| {
            view.image.name.to_string()
        }))
    }

    fn image(&self, name: &Name) -> Result<ImageView, BackendError> {
        let memory = self.0.lock().unwrap();
        let found = memory.images.get(name.as_str()).cloned();
        found.ok_or_else(|| BackendError::NotFound { what: "image", name: name.to_string() })
    }

    fn delete_image(
        &self,
        name: &Name,
        expect: Expect,
        force: bool,
        dry_run: bool,
    ) -> Result<u64, BackendError> {
        if name.as_str() == "used" && !force {
            return Err(BackendError::Unexpected { what: "image", name: name.to_string(), current: None });
        }
        let current = Some(self.image(name)?.revision);
        if !expect.holds(current) {
            return Err(BackendError::Unexpected { what: "image", name: name.to_string(), current });
        }
        let mut memory = self.0.lock().unwrap();
        if !dry_run {
            memory.images.remove(name.as_str());
            memory.revision += 1;
        }
        Ok(memory.revision)
    }

    fn rollback_image(&self, name: &Name, to: Option<&Name>) -> Result<ImageView, BackendError> {
        let mut view = self.image(name)?;
        view.version = Some(to.map_or("0123456789ab".to_owned(), ToString::to_string));
        Ok(view)
    }

    fn tag_image(&self, name: &Name, tag: &Name, version: Option<&Name>) -> Result<ImageView, BackendError> {
        let mut view = self.image(name)?;
        let version = version.map(ToString::to_string).or(view.version.clone()).unwrap();
        view.tags.insert(tag.to_string(), version);
        self.0.lock().unwrap().images.insert(name.to_string(), view.clone());
        Ok(view)
    }

    fn untag_image(&self, name: &Name, tag: &Name) -> Result<ImageView, BackendError> {
        let mut view = self.image(name)?;
        match view.tags.remove(tag.as_str()) {
            Some(_) => Ok(view),
            None => Err(BackendError::NotFound { what: "tag", name: tag.to_string() }),
        }
    }

    fn prune_images(&self, request: &PruneRequest) -> Result<PruneReport, BackendError> {
        let removed = request.images.iter().map(|name| format!("{name}@{}", request.keep.unwrap_or(3)));
        Ok(PruneReport { removed: removed.collect(), blobs: 1, bytes: 2, dry_run: request.dry_run })
    }

    fn export_image(&self, name: &Name, version: Option<&Name>) -> Result<Download, BackendError> {
        self.image(name)?;
        let text = format!("{name}@{version:?}").into_bytes();
        let bytes = Some(text.len() as u64);
        Ok(Download { revision: 10, records: 1, bytes, pieces: Box::new([text].into_iter()) })
    }

    fn verify_images(&self, names: &[Name]) -> Result<Download, BackendError> {
        let finding = names.first().map(|name| VerifyFinding {
            image: format!("{name}@9f2c00000000"),
            file: "linux".into(),
            what: "missing".into(),
        });
        let report = VerifyReport { ok: finding.is_none(), ..VerifyReport::default() };
        let found = VerifyLine { finding, ..VerifyLine::default() };
        let lines = [found, VerifyLine { report: Some(report), ..VerifyLine::default() }];
        let pieces = lines.map(|line| format!("{}\n", serde_json::to_string(&line).unwrap()).into_bytes());
        Ok(Download { revision: 10, records: 2, bytes: None, pieces: Box::new(pieces.into_iter()) })
    }

    fn start_import(&self, request: ImportRequest, dry_run: bool) -> Result<ImportView, BackendError> {
        let mut memory = self.0.lock().unwrap();
        let id = format!("i{}", memory.imports.len() + 1);
        let view = ImportView {
            id: id.clone(),
            source: request.source,
            state: ImportState::Running,
            ..ImportView::default()
        };
        if !dry_run {
            memory.imports.insert(id, view.clone());
        }
        Ok(view)
    }

    fn imports(&self, page: &Page) -> Result<ListPage<ImportView>, BackendError> {
        let memory = self.0.lock().unwrap();
        Ok(paginate(memory.imports.values().cloned(), page, memory.revision, |view| view.id.clone()))
    }

    fn import(&self, id: &str) -> Result<ImportView, BackendError> {
        let memory = self.0.lock().unwrap();
        let found = memory.imports.get(id).cloned();
        found.ok_or_else(|| BackendError::NotFound { what: "import", name: id.to_owned() })
    }

    fn cancel_import(&self, id: &str) -> Result<ImportView, BackendError> {
        let mut memory = self.0.lock().unwrap();
        let found = memory.imports.get_mut(id);
        let found = found.ok_or_else(|| BackendError::NotFound { what: "import", name: id.to_owned() })?;
        found.state = ImportState::Cancelled;
        Ok(found.clone())
    }

    fn receive_import(
        &self,
        id: &str,
        body: &mut dyn std::io::Read,
        length: Option<u64>,
    ) -> Result<ImportView, BackendError> {
        let mut buffer = [0u8; 1000];
        let mut sum = 0;
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => sum += read as u64,
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {}
                Err(error) => return Err(BackendError::Internal(error.to_string())),
            }
        }
        let mut memory = self.0.lock().unwrap();
        let found = memory.imports.get_mut(id);
        let found = found.ok_or_else(|| BackendError::NotFound { what: "import", name: id.to_owned() })?;
        (found.bytes_done, found.bytes_total) = (sum, length);
        Ok(found.clone())
    }

    fn leases(&self, _: &Page) -> Result<ListPage<LeaseView>, BackendError> {
        Ok(ListPage { items: Vec::new(), next: None, revision: 10 })
    }

    fn boots(&self, _: &Page) -> Result<ListPage<BootView>, BackendError> {
        Ok(ListPage { items: Vec::new(), next: None, revision: 10 })
    }

    fn store_backup(&self) -> Result<Download, BackendError> {
        let pieces = (0..40u8).map(|byte| vec![byte; 100_000]);
        Ok(Download { revision: 10, records: 3, bytes: Some(4_000_000), pieces: Box::new(pieces) })
    }

    fn store_dump(&self, table: Option<&str>) -> Result<Download, BackendError> {
        if table == Some("beds") {
            return Err(BackendError::NotFound { what: "table", name: "beds".into() });
        }
        let line = format!("{{\"table\":{table:?}}}\n").into_bytes();
        Ok(Download { revision: 10, records: 1, bytes: None, pieces: Box::new([line].into_iter()) })
    }

    fn store_verify(&self) -> Result<StoreReport, BackendError> {
        let finding = StoreFinding { what: "a file is damaged".into(), fix: "look at the disk".into() };
        Ok(StoreReport { revision: 10, findings: vec![finding], ..StoreReport::default() })
    }

    fn config(&self) -> Result<ConfigView, BackendError> {
        let setting = Setting { key: "http.port".into(), value: 8080.into(), origin: "default".into() };
        Ok(ConfigView { files: Vec::new(), settings: vec![setting] })
    }
}

pub struct Rig {
    pub folder: tempfile::TempDir,
    pub socket: PathBuf,
    pub client: Client,
    pub backend: Arc<MemoryBackend>,
    pub events: Arc<EventBus>,
    pub stop: watch::Sender<bool>,
    pub running: tokio::task::JoinHandle<std::io::Result<()>>,
}

pub fn api(backend: Arc<MemoryBackend>, events: Arc<EventBus>, shutdown: watch::Receiver<bool>) -> Api {
    Api::new(backend, events, shutdown)
}

pub fn start() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/admin.sock");
    let backend = Arc::new(MemoryBackend::new());
    let events = Arc::new(EventBus::new(100));
    let (stop, shutdown) = watch::channel(false);
    let options = Options { socket: socket.clone(), group: None };
    let door = AdminDoor::bind(&options, api(backend.clone(), events.clone(), shutdown.clone())).unwrap();
    let running = tokio::spawn(door.run(shutdown));
    Rig { folder, client: Client::new(&socket), socket, backend, events, stop, running }
}
