//! The appliance's API, as commands use it: documents, streams, and failures in the form of every command.

use crate::cli::{Global, Output};
use crate::failure::{Exit, Failure};
use crate::out::putln;
use admin::client::{Answer, Condition};
use admin::{Client, ClientError};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Where the appliance listens unless it is told otherwise (`admin.socket`).
const SOCKET_DEFAULT: &str = "/run/reveille/admin.sock";

/// A document and the tag of its revision.
pub(crate) struct Document {
    pub(crate) body: Value,
    pub(crate) etag: String,
}

/// The appliance this command talks to.
pub(crate) struct Api {
    client: Client,
}

impl Api {
    pub(crate) fn new(global: &Global) -> Api {
        let socket = global.socket.clone().unwrap_or_else(|| PathBuf::from(SOCKET_DEFAULT));
        Api { client: Client::new(socket) }
    }

    /// For answers that take as long as a machine takes to shut down and come up.
    pub(crate) fn patient(global: &Global) -> Api {
        let Api { client } = Api::new(global);
        Api { client: client.patient(std::time::Duration::from_secs(1800)) }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Document, Failure> {
        self.client.get::<Value>(&format!("/{path}")).await.map(document).map_err(failure)
    }

    /// Every page of a list, as one.
    pub(crate) async fn list(&self, path: &str) -> Result<Value, Failure> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let query =
                after.as_ref().map_or_else(String::new, |after| format!("&after={}", self.escape(after)));
            let page = self.get(&format!("{path}?limit=1000{query}")).await?.body;
            items.extend(page.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default());
            after = page.pointer("/next").and_then(Value::as_str).map(str::to_owned);
            if after.is_none() {
                let revision = page.pointer("/revision").cloned().unwrap_or(Value::Null);
                return Ok(json!({ "items": items, "revision": revision }));
            }
        }
    }

    pub(crate) async fn create(&self, path: &str, body: &Value, dry_run: bool) -> Result<Value, Failure> {
        let answer = self.client.put::<Value>(&written(path, dry_run), body, &Condition::Create).await;
        answer.map(|answer| answer.body).map_err(failure)
    }

    pub(crate) async fn replace(
        &self,
        path: &str,
        body: &Value,
        etag: &str,
        dry_run: bool,
    ) -> Result<Value, Failure> {
        let condition = Condition::Match(etag.to_owned());
        let answer = self.client.put::<Value>(&written(path, dry_run), body, &condition).await;
        answer.map(|answer| answer.body).map_err(failure)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.client.post::<Value>(&format!("/{path}"), body).await;
        answer.map(|answer| answer.body).map_err(failure)
    }

    /// A `PUT` that needs no condition.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.client.put::<Value>(&format!("/{path}"), body, &Condition::Nothing).await;
        answer.map(|answer| answer.body).map_err(failure)
    }

    /// A `DELETE` that needs no condition.
    pub(crate) async fn remove(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.client.delete::<Value>(&format!("/{path}"), &Condition::Nothing).await;
        answer.map(|answer| answer.body).map_err(failure)
    }

    pub(crate) async fn delete(&self, path: &str, etag: &str) -> Result<Value, Failure> {
        let condition = Condition::Match(etag.to_owned());
        let answer = self.client.delete::<Value>(&format!("/{path}"), &condition).await;
        answer.map(|answer| answer.body).map_err(failure)
    }

    /// Asks for the end of something that has no revision.
    pub(crate) async fn end(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.client.delete::<Value>(&format!("/{path}"), &Condition::Nothing).await;
        answer.map(|answer| answer.body).map_err(failure)
    }

    /// Sends something large, in pieces as they come.
    pub(crate) async fn upload(
        &self,
        path: &str,
        pieces: tokio::sync::mpsc::Receiver<std::io::Result<admin::client::Piece>>,
        length: Option<u64>,
    ) -> Result<Value, Failure> {
        let answer = self.client.upload::<Value>(&format!("/{path}"), pieces, length).await;
        answer.map(|answer| answer.body).map_err(failure)
    }

    /// Something large, in pieces.
    pub(crate) async fn download(&self, path: &str) -> Result<Pieces, Failure> {
        self.client.download(&format!("/{path}")).await.map(Pieces).map_err(failure)
    }

    /// Gives every line of a stream to `take` until it says false or the stream ends; true when the appliance ended it.
    pub(crate) async fn stream(
        &self,
        path: &str,
        mut take: impl FnMut(Value) -> bool,
    ) -> Result<bool, Failure> {
        let mut lines = self.client.follow(&format!("/{path}")).await.map_err(failure)?;
        while let Some(line) = lines.next().await.map_err(failure)? {
            let Ok(value) = serde_json::from_slice::<Value>(&line) else { continue };
            if !take(value) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A stream whose lines are taken one by one.
    pub(crate) async fn follow(&self, path: &str) -> Result<Lines, Failure> {
        self.client.follow(&format!("/{path}")).await.map(Lines).map_err(failure)
    }

    /// Percent-encodes one segment or value of a URL (RFC 3986 §2.3: unreserved characters and the colon stay).
    pub(crate) fn escape(&self, text: &str) -> String {
        let mut escaped = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                    escaped.push(char::from(byte))
                }
                other => escaped.push_str(&format!("%{other:02X}")),
            }
        }
        escaped
    }
}

/// The lines of a stream.
pub(crate) struct Lines(admin::client::Lines);

impl Lines {
    /// The next line as a document; `None` when the stream ended. May be dropped at any time without losing a line.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            let Some(line) = self.0.next().await.map_err(failure)? else { return Ok(None) };
            if let Ok(value) = serde_json::from_slice::<Value>(&line) {
                return Ok(Some(value));
            }
        }
    }
}

/// The pieces of a download.
pub(crate) struct Pieces(admin::client::Pieces);

impl Pieces {
    /// Length of the whole, where the appliance knows it before.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.0.bytes
    }

    pub(crate) async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, Failure> {
        self.0.next().await.map_err(failure)
    }
}

fn written(path: &str, dry_run: bool) -> String {
    match (dry_run, path.contains('?')) {
        (false, _) => format!("/{path}"),
        (true, false) => format!("/{path}?dry_run=true"),
        (true, true) => format!("/{path}&dry_run=true"),
    }
}

/// The resource inside a document: what may be sent back.
pub(crate) fn resource_of(document: &Value) -> Value {
    let mut resource = document.clone();
    if let Some(fields) = resource.as_object_mut() {
        for added in admin::view::ADDED_KEYS {
            fields.remove(added);
        }
    }
    resource
}

/// A resource that was written, or with `dry_run` would be.
pub(crate) fn print_written(global: &Global, document: &Value, dry_run: bool, what: &str) {
    if global.output == Output::Json {
        return print_json(document);
    }
    let would = if dry_run { "would be " } else { "" };
    let cell = |pointer| super::table::cell(document, pointer);
    eprintln!("{} {would}{what}, revision {}", cell("/name"), cell("/revision"));
}

/// A resource that was as it should be.
pub(crate) fn print_unchanged(global: &Global, document: &Value) {
    match global.output {
        Output::Json => print_json(document),
        Output::Table | Output::Otlp => eprintln!("unchanged"),
    }
}

fn document(answer: Answer<Value>) -> Document {
    Document { body: answer.body, etag: answer.etag.unwrap_or_default() }
}

fn failure(error: ClientError) -> Failure {
    let exit = match error.exit_code() {
        2 => Exit::Usage,
        4 => Exit::Permission,
        5 => Exit::NotFound,
        6 => Exit::Conflict,
        7 => Exit::TimedOut,
        8 => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let mut failure = match &error {
        ClientError::Problem(problem) => {
            let mut failure = Failure::new(&problem.code, problem.title.clone());
            let details: Vec<String> = problem.errors.iter().map(|error| error.detail.clone()).collect();
            failure.cause = problem.cause.clone().or((!details.is_empty()).then(|| details.join("; ")));
            failure
        }
        other => {
            let mut failure = Failure::new("R-API-16", other.to_string());
            failure.cause = std::error::Error::source(other).map(crate::failure::chain);
            failure
        }
    };
    failure.fix = error.hint();
    failure.exit(exit)
}

/// What was removed: a line for people, a document for programs.
pub(crate) fn print_removed(global: &Global, name: &str, answer: &Value) {
    if global.output == Output::Json {
        print_json(answer);
    } else {
        eprintln!("removed {name}");
    }
}

/// A document on standard output, pretty on a terminal and off it.
pub(crate) fn print_json(document: &Value) {
    putln!("{document:#}");
}
