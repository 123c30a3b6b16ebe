//! A door on 127.0.0.1 over an in-memory tree, and a client that speaks raw bytes.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use bytes::Bytes;
use plan::{Catalog, CatalogParts, Decider, Verdict};
use reveille_http::{Files, HttpDoor, LogRefused, LogSink, Logs, Meter, Options, Parts, Upload};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tree::{BootHolder, BootLedger, BootTicket, CallbackError, OpenError, Opened, Role, Who};
use types::resource::{Host, Image};
use types::{Event, EventSink, Facts};

/// Longest any single step may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub const TOKEN: &str = "00112233445566778899aabbccddeeff";
pub const EXPIRED: &str = "ffffffffffffffffffffffffffffffff";
pub const FOREIGN: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

#[derive(Default)]
pub struct Recorder(pub Mutex<Vec<Event>>);

impl EventSink for Recorder {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub struct Memory {
    pub files: HashMap<String, (Bytes, Role)>,
    pub asked: Mutex<Vec<(String, Who)>>,
}

impl Files for Memory {
    fn open(&self, name: &str, who: &Who) -> Result<Opened, OpenError> {
        self.asked.lock().unwrap().push((name.to_owned(), who.clone()));
        if name == "ignored" {
            return Err(OpenError::LeftAlone(plan::LeaveAloneReason::UnknownIgnored));
        }
        if name == "broken" {
            let source = std::io::Error::other("disk on fire");
            let source = library::BlobError::Io { action: "read", path: "/secret/path".into(), source };
            return Err(OpenError::Io { name: name.to_owned(), source });
        }
        let (content, role) = match (name, &who.facts) {
            ("boot.ipxe", None) => {
                (Bytes::from_static(b"#!ipxe\nchain boot.ipxe?mac=${mac}\n"), Role::Script)
            }
            ("boot.ipxe", Some(_)) => (Bytes::from_static(b"#!ipxe\nboot\n"), Role::Script),
            _ => self.files.get(name).cloned().ok_or(OpenError::NotFound { name: name.to_owned() })?,
        };
        Ok(Opened {
            name: name.into(),
            role,
            etag: format!("len{}", content.len()).into(),
            content,
            content_type: "application/octet-stream",
            facts: who.facts.clone(),
            host: None,
            image: None,
            boot: None,
            cacheable: role != Role::Script,
        })
    }
}

#[derive(Default)]
pub struct Mind(pub Mutex<Vec<Facts>>);

impl Decider for Mind {
    fn decide(&self, facts: &Facts) -> Verdict {
        self.catalog().decide(facts)
    }
    fn learn(&self, facts: &Facts) {
        self.0.lock().unwrap().push(facts.clone());
    }
    fn catalog(&self) -> Arc<Catalog> {
        Arc::new(Catalog::build(CatalogParts::default()).unwrap())
    }
}

#[derive(Default)]
pub struct Ledger(pub Mutex<Vec<(String, Option<String>)>>);

impl BootLedger for Ledger {
    fn begin_boot(&self, _: &Facts, _: Option<&Host>, _: &Image) -> Result<BootTicket, String> {
        Ok(BootTicket { boot: "b1".into(), token: TOKEN.into() })
    }
    fn open_payload(&self, _: tree::Opener<'_>, _: &Image) -> Result<(), String> {
        Ok(())
    }
    fn refuse_boot(&self, _: &Facts, _: Option<&Host>, _: &Image, _: &str) {}
    fn hold(&self, _: &Facts) -> Option<tree::Held> {
        None
    }
    fn holder(&self, _: &str, _: IpAddr) -> Result<BootHolder, CallbackError> {
        Err(CallbackError::Unknown)
    }
    fn report_bundle(&self, _: &str, _: IpAddr, _: &tree::BundleReport) -> Result<(), CallbackError> {
        Err(CallbackError::Unknown)
    }
    fn call_back(
        &self,
        token: &str,
        _: IpAddr,
        stage: &str,
        detail: Option<&str>,
    ) -> Result<(), CallbackError> {
        match token {
            TOKEN => {
                self.0.lock().unwrap().push((stage.to_owned(), detail.map(str::to_owned)));
                Ok(())
            }
            EXPIRED => Err(CallbackError::Expired),
            FOREIGN => Err(CallbackError::ForeignAddress),
            _ => Err(CallbackError::Unknown),
        }
    }
}

/// Logs that came whole, by name.
pub type Whole = Vec<(String, Vec<u8>)>;

/// Keeps logs in memory: name and bytes of those that came whole, and how many are open.
#[derive(Default)]
pub struct Shelf {
    pub kept: Arc<Mutex<Whole>>,
    pub open: Arc<AtomicUsize>,
}

struct Open {
    name: String,
    bytes: Vec<u8>,
    kept: Arc<Mutex<Whole>>,
    open: Arc<AtomicUsize>,
}

impl Logs for Shelf {
    fn begin(&self, upload: &Upload<'_>) -> Result<Box<dyn LogSink>, LogRefused> {
        match (upload.token, upload.name) {
            (TOKEN, "full.log") => return Err(LogRefused::Full),
            (TOKEN, "busy.log") => return Err(LogRefused::Busy),
            (TOKEN, "broken.log") => {
                return Err(LogRefused::Failed(std::io::Error::other("/secret/path is on fire")));
            }
            (TOKEN, _) => {}
            (EXPIRED, _) => return Err(LogRefused::Token(CallbackError::Expired)),
            (FOREIGN, _) => return Err(LogRefused::Token(CallbackError::ForeignAddress)),
            _ => return Err(LogRefused::Token(CallbackError::Unknown)),
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        let (kept, open) = (self.kept.clone(), self.open.clone());
        Ok(Box::new(Open { name: upload.name.to_owned(), bytes: Vec::new(), kept, open }))
    }
}

impl LogSink for Open {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn finish(mut self: Box<Self>) -> std::io::Result<()> {
        let whole = (std::mem::take(&mut self.name), std::mem::take(&mut self.bytes));
        self.kept.lock().unwrap().push(whole);
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

pub struct Rig {
    pub address: SocketAddr,
    pub events: Arc<Recorder>,
    pub tree: Arc<Memory>,
    pub mind: Arc<Mind>,
    pub ledger: Arc<Ledger>,
    pub shelf: Arc<Shelf>,
    pub meter: Meter,
    pub stop: watch::Sender<bool>,
    pub running: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// `hundred` has the bytes 0..100, `big` 64 MiB, `empty` none.
pub fn start(change: impl FnOnce(&mut Options)) -> Rig {
    start_with(change, [])
}

/// The same with further files.
pub fn start_with<const N: usize>(change: impl FnOnce(&mut Options), more: [(&str, Bytes); N]) -> Rig {
    let mut options = Options { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Options::default() };
    change(&mut options);
    let files = [
        ("hundred", Bytes::from_iter(0..100u8), Role::File),
        ("debian/linux", Bytes::from(vec![7u8; 700_000]), Role::Kernel),
        ("big", Bytes::from(vec![0u8; 64 << 20]), Role::Initrd),
        ("empty", Bytes::new(), Role::File),
        ("ipxe.efi", Bytes::from_static(b"MZ"), Role::Loader),
    ];
    let files = files.into_iter().chain(more.map(|(name, content)| (name, content, Role::File)));
    let files = files.map(|(name, content, role)| (name.to_owned(), (content, role))).collect();
    let tree = Arc::new(Memory { files, asked: Mutex::default() });
    let (events, mind, ledger) =
        (Arc::<Recorder>::default(), Arc::<Mind>::default(), Arc::<Ledger>::default());
    let shelf = Arc::<Shelf>::default();
    let parts = Parts {
        files: tree.clone(),
        decider: mind.clone(),
        ledger: ledger.clone(),
        logs: shelf.clone(),
        events: events.clone(),
    };
    let door = HttpDoor::bind(options, parts).unwrap();
    let (address, meter) = (door.addresses()[0], door.meter());
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(door.run(stopped));
    Rig { address, events, tree, mind, ledger, shelf, meter, stop, running }
}

impl Rig {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes, reads until the server closes.
    pub async fn exchange(&self, request: &str) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// One request in full; a connection of its own.
    pub async fn ask(&self, request: &str) -> Reply {
        Reply::parse(&self.exchange(request).await)
    }

    /// `GET` of a path with further fields, each ending in CR LF.
    pub async fn get(&self, path: &str, fields: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: boot\r\nConnection: close\r\n{fields}\r\n")).await
    }

    /// Waits until an event satisfies the test.
    pub async fn event(&self, test: impl Fn(&Event) -> bool) -> Event {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(event) = self.events.0.lock().unwrap().iter().find(|event| test(event)) {
                return event.clone();
            }
            assert!(Instant::now() < end, "no such event among {:#?}", self.events.0.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0u8; 65536];
    loop {
        match tokio::time::timeout(DEADLINE, stream.read(&mut buffer))
            .await
            .expect("the server closes in time")
        {
            // A reset ends the answer like a close.
            Ok(0) | Err(_) => return bytes,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names as spelled on the wire.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn parse(bytes: &[u8]) -> Reply {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| {
            panic!("no answer in {:?}", String::from_utf8_lossy(bytes));
        });
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        Reply { status, fields, body: bytes[end + 4..].to_vec() }
    }

    /// The value of a field, its name as spelled on the wire.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
