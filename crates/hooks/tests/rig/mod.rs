//! A receiver that says what it is told to, and hooks that write down what they record.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

use reveille_hooks::{Hook, Hooks, Notice, SecretRef, Target, TrustSpec};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use types::{Event, EventName, EventPattern, EventSink};

/// For anything to happen on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What was sent to the receiver.
#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub fields: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub at: Instant,
}

/// What it does with the next question; the last one stays.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes, then the end.
    Says(String),
    /// Nothing at all.
    Hangs,
    /// The end without a word.
    Closes,
    /// A good answer without end.
    Endless,
}

impl Answer {
    pub fn status(status: &str) -> Answer {
        Answer::with(status, "")
    }

    pub fn with(status: &str, fields: &str) -> Answer {
        Answer::Says(format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\n\r\n"))
    }
}

pub struct Receiver {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Receiver {
    pub async fn start(answers: &[Answer]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/secret-path?token=secret-query", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (mut answers, kept) = (VecDeque::from(answers.to_vec()), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
                tokio::spawn(serve(stream, answer.unwrap(), kept.clone()));
            }
        });
        Receiver { url, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, kept: Arc<Mutex<Vec<Asked>>>) {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.lines();
    let line = lines.next().unwrap().to_owned();
    let fields: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = fields.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let body = bytes[head + 4..].to_vec();
    kept.lock().unwrap().push(Asked { line, fields, body, at: Instant::now() });
    match answer {
        Answer::Says(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Answer::Hangs => std::future::pending().await,
        Answer::Closes => {}
        Answer::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        }
    }
}

/// Keeps what is recorded.
#[derive(Default)]
pub struct Kept(Mutex<Vec<Event>>);

impl EventSink for Kept {
    fn record(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub struct Rig {
    pub hooks: Arc<Hooks>,
    kept: Arc<Kept>,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
}

impl Rig {
    pub fn start(all: Vec<Hook>) -> Rig {
        let kept = Arc::new(Kept::default());
        let hooks = Arc::new(Hooks::new(all, Some("lab".to_owned()), kept.clone()));
        let (stop, stopping) = watch::channel(false);
        let running = tokio::spawn(hooks.clone().run(stopping));
        Rig { hooks, kept, stop, running }
    }

    pub fn recorded(&self) -> Vec<Event> {
        self.kept.0.lock().unwrap().clone()
    }

    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }
}

/// Waits until it holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn all() -> Vec<EventPattern> {
    vec![EventPattern::Any]
}

pub fn web(url: &str) -> Hook {
    web_with(url, None)
}

pub fn web_with(url: &str, secret: Option<SecretRef>) -> Hook {
    let at = Hook::location("web", url).unwrap();
    Hook::new("web", all(), Target::Web { at, secret, trust: TrustSpec::System })
}

pub fn notice(seq: u64, event: Event) -> Notice {
    let json = format!("{{\"seq\":{seq},\"event\":\"{}\"}}", event.name);
    Notice { seq, time: "2030-01-01T00:00:00.000Z".to_owned(), event, json }
}

pub fn seen(seq: u64) -> Notice {
    notice(seq, Event::new(EventName::HostSeen).host(Some("web01".into())))
}
