//! One query over one connection. Every wait has an end; nothing is kept when it fails.

use crate::error::{DirectoryError, plain, words};
use crate::filter::Filter;
use crate::limits::{
    ANSWER_BYTES_MAX, ENTRIES_MAX, MESSAGE_BYTES_MAX, PAGES_MAX, RANGES_MAX, REFERRALS_MAX, TEXT_BYTES_MAX,
    VALUES_MAX,
};
use crate::location::Security;
use crate::message::{self, Frame, Message, Op, Outcome, Scope, Search};
use crate::{Answer, Bind, Query, trust};
use inventory::wds::{ATTRIBUTES, Entry};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) async fn read(query: &Query) -> Result<Answer, DirectoryError> {
    let texts =
        [("base", query.base.as_deref()), ("bind name", query.bind.as_ref().map(|bind| bind.dn.as_str()))];
    for (what, text) in texts {
        let bytes = text.map_or(0, str::len);
        if bytes > TEXT_BYTES_MAX {
            return Err(DirectoryError::TooLong { what, bytes, max: TEXT_BYTES_MAX });
        }
    }
    let mut session = Session::open(query).await?;
    if let Some(bind) = &query.bind {
        session.bind(bind).await?;
    }
    let base = match &query.base {
        Some(base) => base.clone(),
        None => session.usual_base().await?,
    };
    let mut answer = Answer { base, ..Answer::default() };
    session.pages(&query.filter, &mut answer).await?;
    session.ranges(&mut answer).await?;
    session.close().await;
    Ok(answer)
}

/// An open connection.
struct Session<'a> {
    query: &'a Query,
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    /// Bytes taken so far.
    taken: u64,
    /// Entries so far, for messages.
    entries: usize,
    last_id: u32,
    until: Instant,
}

/// One answer to a search.
struct Page {
    outcome: Outcome,
    cookie: Option<Vec<u8>>,
}

impl<'a> Session<'a> {
    async fn open(query: &'a Query) -> Result<Session<'a>, DirectoryError> {
        // Files are read before anybody waits for us.
        let trusted = match query.security {
            Security::Plain => None,
            Security::Tls | Security::StartTls => Some(trust::config(&query.roots)?),
        };
        let connected = Instant::now() + query.limits.connect_wait;
        let stream = connect(query, connected).await?;
        let mut session = Session {
            query,
            stream: Box::new(stream),
            buffer: Vec::new(),
            taken: 0,
            entries: 0,
            last_id: 0,
            until: Instant::now() + query.limits.whole_wait,
        };
        let Some(trusted) = trusted else { return Ok(session) };
        if query.security == Security::StartTls {
            session.start_tls().await?;
        }
        let tls = |source| DirectoryError::Tls { location: session.location(), source };
        let name = ServerName::try_from(query.location.host().to_owned());
        let name = name.map_err(|error| tls(io::Error::other(error)))?;
        // Whoever is in between can put words in front of TLS; they must not be taken for the directory's.
        if !session.buffer.is_empty() {
            return Err(session.protocol("words between StartTLS and TLS"));
        }
        let bare = std::mem::replace(&mut session.stream, Box::new(tokio::io::empty()));
        let shaking = tokio_rustls::TlsConnector::from(trusted).connect(name, bare);
        session.stream = match timeout_at(connected, shaking).await {
            Ok(Ok(stream)) => Box::new(stream),
            Ok(Err(source)) => return Err(DirectoryError::Tls { location: session.location(), source }),
            Err(_) => return Err(session.late("did not finish TLS", query.limits.connect_wait)),
        };
        Ok(session)
    }

    fn location(&self) -> String {
        self.query.location.to_string()
    }

    fn protocol(&self, what: &'static str) -> DirectoryError {
        DirectoryError::Protocol { location: self.location(), what }
    }

    fn late(&self, what: &'static str, wait: Duration) -> DirectoryError {
        DirectoryError::Late { location: self.location(), what, wait, entries: self.entries }
    }

    fn broken(&self, source: io::Error) -> DirectoryError {
        DirectoryError::Broken { location: self.location(), entries: self.entries, source }
    }

    fn too_much(&self, what: &'static str, max: u64) -> DirectoryError {
        DirectoryError::TooMuch { location: self.location(), what, max }
    }

    fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), DirectoryError> {
        let until = self.until.min(Instant::now() + self.query.limits.stall_wait);
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout_at(until, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(self.broken(source)),
            Err(_) => Err(self.late("did not take a request", self.query.limits.stall_wait)),
        }
    }

    /// The next message about a request.
    async fn receive(&mut self, id: u32) -> Result<Message, DirectoryError> {
        loop {
            let length = match message::frame(&self.buffer) {
                Ok(Frame::Whole(length)) => length,
                Ok(Frame::Partial) => {
                    self.fill().await?;
                    continue;
                }
                Ok(Frame::TooLong(_)) => {
                    return Err(self.too_much("bytes in one message", MESSAGE_BYTES_MAX as u64));
                }
                Err(_) => return Err(self.protocol("a message without a head")),
            };
            let bytes: Vec<u8> = self.buffer.drain(..length).collect();
            let Ok(message) = message::decode(&bytes) else {
                return Err(self.protocol("a message that cannot be read"));
            };
            match message {
                Message { id: 0, op: Op::Extended(outcome), .. } => {
                    let outcome = words(&outcome);
                    return Err(DirectoryError::Disconnected { location: self.location(), outcome });
                }
                message if message.id == id => return Ok(message),
                // Nothing else was asked.
                _ => return Err(self.protocol("an answer to no question")),
            }
        }
    }

    async fn fill(&mut self) -> Result<(), DirectoryError> {
        let mut piece = [0u8; 16 * 1024];
        let now = Instant::now();
        let until = self.until.min(now + self.query.limits.stall_wait);
        let count = match timeout_at(until, self.stream.read(&mut piece)).await {
            Ok(Ok(0)) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(count)) => count,
            Ok(Err(source)) => return Err(self.broken(source)),
            Err(_) if until == self.until => {
                return Err(self.late("did not finish", self.query.limits.whole_wait));
            }
            Err(_) => return Err(self.late("did not answer", self.query.limits.stall_wait)),
        };
        self.taken += count as u64;
        if self.taken > ANSWER_BYTES_MAX {
            return Err(self.too_much("bytes", ANSWER_BYTES_MAX));
        }
        self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(())
    }

    async fn start_tls(&mut self) -> Result<(), DirectoryError> {
        let id = self.next_id();
        self.send(&message::start_tls(id)).await?;
        match self.receive(id).await?.op {
            Op::Extended(outcome) if outcome.code == 0 => Ok(()),
            Op::Extended(outcome) => {
                Err(DirectoryError::StartTls { location: self.location(), outcome: words(&outcome) })
            }
            _ => Err(self.protocol("another answer than StartTLS has")),
        }
    }

    async fn bind(&mut self, bind: &Bind) -> Result<(), DirectoryError> {
        let id = self.next_id();
        self.send(&message::bind(id, &bind.dn, bind.password.expose())).await?;
        let Op::Bound(outcome) = self.receive(id).await?.op else {
            return Err(self.protocol("another answer than a bind has"));
        };
        let (location, dn) = (self.location(), plain(&bind.dn));
        match outcome.code {
            0 => Ok(()),
            49 => Err(DirectoryError::Credentials { location, dn, outcome: words(&outcome) }),
            code => Err(DirectoryError::Bind { location, dn, code, outcome: words(&outcome) }),
        }
    }

    /// Where to search when nobody says (RFC 4512 §5.1).
    async fn usual_base(&mut self) -> Result<String, DirectoryError> {
        let filter = Filter::any();
        let attributes = ["defaultNamingContext", "namingContexts"];
        let search = Search {
            base: "",
            scope: Scope::Base,
            filter: &filter,
            attributes: &attributes,
            seconds: self.seconds(),
            page: None,
        };
        let mut root = Answer::default();
        let page = self.search(&search, &mut root).await?;
        self.entries = 0;
        if page.outcome.code != 0 {
            return Err(self.refused("", &page.outcome));
        }
        let values = |wanted: &str| -> Vec<String> {
            let attributes = root.entries.iter().flat_map(|entry| &entry.attributes);
            let wanted = attributes.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            wanted.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
        };
        let contexts = values("namingContexts");
        match (values("defaultNamingContext").first(), &contexts[..]) {
            (Some(context), _) => Ok(context.clone()),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(DirectoryError::WhichBase { location: self.location(), contexts }),
        }
    }

    fn seconds(&self) -> u32 {
        let left = self.until.saturating_duration_since(Instant::now());
        u32::try_from(left.as_secs().max(1)).unwrap_or(0)
    }

    /// Every page of the search.
    async fn pages(&mut self, filter: &Filter, answer: &mut Answer) -> Result<(), DirectoryError> {
        let base = answer.base.clone();
        let mut cookie = Vec::new();
        for _ in 0..PAGES_MAX {
            let search = Search {
                base: &base,
                scope: Scope::Subtree,
                filter,
                attributes: &ATTRIBUTES,
                seconds: self.seconds(),
                page: Some((self.query.limits.page_size.max(1), &cookie)),
            };
            let page = self.search(&search, answer).await?;
            if page.outcome.code != 0 {
                return Err(self.refused(&base, &page.outcome));
            }
            match page.cookie {
                Some(next) if !next.is_empty() => cookie = next,
                Some(_) => return Ok(()),
                // It took the control for critical and did not answer it: there may be more than it gave.
                None => return Err(self.protocol("a page without the word for the next one")),
            }
        }
        Err(self.too_much("pages", PAGES_MAX as u64))
    }

    /// Asks one search and takes its entries.
    async fn search(&mut self, search: &Search<'_>, answer: &mut Answer) -> Result<Page, DirectoryError> {
        let id = self.next_id();
        self.send(&message::search(id, search)).await?;
        let most = self.query.limits.entries_max.min(ENTRIES_MAX);
        loop {
            let message = self.receive(id).await?;
            match message.op {
                Op::Entry(entry) => {
                    if answer.entries.len() >= most {
                        return Err(self.too_much("entries", most as u64));
                    }
                    answer.entries.push(entry);
                    self.entries = answer.entries.len();
                }
                Op::Referral(servers) => {
                    for server in servers {
                        if answer.referrals.len() < REFERRALS_MAX {
                            answer.referrals.push(plain(&server));
                        }
                    }
                }
                Op::Done(outcome) => return Ok(Page { outcome, cookie: message.cookie }),
                Op::Bound(_) | Op::Extended(_) | Op::Other(_) => {
                    return Err(self.protocol("another answer than a search has"));
                }
            }
        }
    }

    fn refused(&self, base: &str, outcome: &Outcome) -> DirectoryError {
        let (location, said) = (self.location(), words(outcome));
        match outcome.code {
            code @ (3 | 4 | 11) => {
                DirectoryError::ServerLimit { location, entries: self.entries, code, outcome: said }
            }
            12 => DirectoryError::NoPages { location, outcome: said },
            32 => DirectoryError::NoBase { location, base: plain(base), matched: plain(&outcome.matched) },
            code => DirectoryError::Search { location, base: plain(base), code, outcome: said },
        }
    }

    /// Fetches what came in ranges: `attribute;range=0-1499` tells that there is more than that.
    async fn ranges(&mut self, answer: &mut Answer) -> Result<(), DirectoryError> {
        let mut entries = std::mem::take(&mut answer.entries);
        for entry in &mut entries {
            let mut asked = 0;
            while let Some((attribute, next)) = open_range(entry) {
                asked += 1;
                if asked > RANGES_MAX || entry.attributes.len() > VALUES_MAX {
                    return Err(self.too_much("values of one attribute", VALUES_MAX as u64));
                }
                let filter = Filter::any();
                let wanted = format!("{attribute};range={next}-*");
                let search = Search {
                    base: &entry.dn,
                    scope: Scope::Base,
                    filter: &filter,
                    attributes: &[&wanted],
                    seconds: self.seconds(),
                    page: None,
                };
                let mut more = Answer::default();
                let page = self.search(&search, &mut more).await?;
                if page.outcome.code != 0 {
                    return Err(self.refused(&entry.dn, &page.outcome));
                }
                close_range(entry, &attribute);
                entry.attributes.extend(more.entries.into_iter().flat_map(|entry| entry.attributes));
            }
        }
        self.entries = entries.len();
        answer.entries = entries;
        Ok(())
    }

    /// Says good-bye. What goes wrong here goes wrong after everything has come.
    async fn close(mut self) {
        let id = self.next_id();
        let _ = self.send(&message::unbind(id)).await;
        let until = self.until.min(Instant::now() + self.query.limits.stall_wait);
        let _ = timeout_at(until, self.stream.shutdown()).await;
    }
}

/// An attribute of which a later range is missing, and where it begins.
fn open_range(entry: &Entry) -> Option<(String, u32)> {
    entry.attributes.iter().find_map(|(name, _)| {
        let (attribute, range) = split_range(name)?;
        // `0-*` is the last.
        let (_, last) = range.split_once('-')?;
        Some((attribute.to_owned(), last.parse::<u32>().ok()?.checked_add(1)?))
    })
}

/// Takes the range off the names of what has come; an empty value that only carried it goes.
fn close_range(entry: &mut Entry, attribute: &str) {
    entry.attributes.retain(|(name, value)| {
        !(value.is_empty() && split_range(name).is_some_and(|(own, _)| own.eq_ignore_ascii_case(attribute)))
    });
    for (name, _) in &mut entry.attributes {
        if split_range(name).is_some_and(|(own, _)| own.eq_ignore_ascii_case(attribute)) {
            attribute.clone_into(name);
        }
    }
}

fn split_range(name: &str) -> Option<(&str, &str)> {
    let (attribute, option) = name.split_once(';')?;
    let (key, range) = option.split_at_checked("range=".len())?;
    key.eq_ignore_ascii_case("range=").then_some((attribute, range))
}

/// Tries every address, each with its share of the time that is left.
async fn connect(query: &Query, until: Instant) -> Result<TcpStream, DirectoryError> {
    let (location, host) = (&query.location, query.location.host());
    let late = || DirectoryError::Late {
        location: location.to_string(),
        what: "did not connect",
        wait: query.limits.connect_wait,
        entries: 0,
    };
    let looking = tokio::net::lookup_host((host, location.port()));
    let found = timeout_at(until, looking).await.map_err(|_| late())?;
    let addresses: Vec<SocketAddr> =
        found.map_err(|source| DirectoryError::Resolve { host: host.to_owned(), source })?.collect();
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (place, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - place).unwrap_or(u32::MAX).max(1);
        let share = until.saturating_duration_since(Instant::now()) / others;
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(DirectoryError::Connect { location: location.to_string(), source: failed })
}

#[cfg(test)]
mod tests;
