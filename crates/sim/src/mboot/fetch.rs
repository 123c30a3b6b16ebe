//! One file, or its size: by the firmware's HTTP, by TFTP, through iPXE, through pxelinux, or as the installer does.

use super::{Answer, Ask, Method, Release, Why, path};
use std::time::Duration;

/// `blksize` on UEFI, unless told otherwise.
pub(super) const BLKSIZE_UEFI: u16 = 1468;
const BLKSIZE_PXELINUX: u16 = 1408;
const BLKSIZE_IPXE: u16 = 1432;
/// Tries in all, per URL.
const TRIES: u32 = 3;
const REDIRECTS_MAX: usize = 20;
/// TFTP ERROR 1.
const FILE_NOT_FOUND: u16 = 1;

/// What is wanted of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    Size,
    Bytes,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Got {
    Size,
    Bytes(Vec<u8>),
}

impl Got {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self {
            Got::Size => Vec::new(),
            Got::Bytes(bytes) => bytes,
        }
    }
}

/// Why nothing came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Trouble {
    /// It counts as not found.
    pub(super) missing: bool,
    pub(super) why: Why,
}

/// The way to a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// The firmware's HTTP.
    Http { release: Release, query: String },
    /// The firmware's TFTP: the size first, always.
    Tftp { blksize: u16 },
    /// iPXE's downloads.
    Ipxe { base: String, query: String },
    /// pxelinux' downloads.
    Pxelinux,
    /// The installer's HTTP.
    Installer,
    /// None.
    Nowhere,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// URLs that led here by redirects, each with the tries it has had; the last is asked.
    Http(Vec<(String, u32)>),
    TftpSize,
    /// The firmware reads a file to learn its size, for a server without `tsize`.
    TftpCount,
    TftpRead {
        size: Option<u64>,
    },
    Ipxe {
        url: String,
        hops: usize,
    },
    IpxeWait {
        url: String,
        hops: usize,
        secs: u64,
    },
    Ended(Result<Got, Trouble>),
}

/// One file on its way.
#[derive(Debug)]
pub(super) struct Fetch {
    route: Route,
    name: String,
    want: Want,
    state: State,
    asked: bool,
}

impl Fetch {
    pub(super) fn new(route: Route, name: String, want: Want) -> Fetch {
        let with = |query: &str| {
            if query.is_empty() || want == Want::Size || !name.contains("://") {
                return name.clone();
            }
            format!("{name}{}{query}", if name.contains('?') { '&' } else { '?' })
        };
        let state = match &route {
            Route::Http { query, .. } => State::Http(vec![(with(query), 1)]),
            Route::Installer => State::Http(vec![(name.clone(), TRIES)]),
            Route::Tftp { .. } => State::TftpSize,
            Route::Pxelinux if want == Want::Size => State::TftpSize,
            Route::Pxelinux => State::TftpRead { size: None },
            Route::Ipxe { base, query } => State::Ipxe { url: path::resolve(base, &with(query)), hops: 0 },
            Route::Nowhere => State::Ended(Err(Trouble { missing: true, why: Why::NoWay })),
        };
        Fetch { route, name, want, state, asked: false }
    }

    /// True once after every step.
    pub(super) fn is_new(&mut self) -> bool {
        !std::mem::replace(&mut self.asked, true)
    }

    pub(super) fn ended(&mut self) -> Result<Got, Trouble> {
        match std::mem::replace(&mut self.state, State::TftpCount) {
            State::Ended(ended) => ended,
            _ => Err(Trouble { missing: false, why: Why::Confused }),
        }
    }

    pub(super) fn ask(&self) -> Option<Ask> {
        let name = || self.name.strip_prefix("::").unwrap_or(&self.name).to_owned();
        let blksize = match self.route {
            Route::Tftp { blksize } => blksize,
            _ => BLKSIZE_PXELINUX,
        };
        Some(match &self.state {
            State::Ended(_) => return None,
            State::Http(stack) => self.http(&stack.last()?.0),
            State::TftpSize => Ask::TftpSize { name: name(), blksize },
            State::TftpCount | State::TftpRead { .. } => Ask::TftpRead { name: name(), blksize },
            State::Ipxe { url, .. } => match url.strip_prefix("tftp://") {
                Some(rest) => {
                    let name = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/").to_owned();
                    Ask::TftpRead { name, blksize: BLKSIZE_IPXE }
                }
                None => Ask::Http {
                    method: Method::Get,
                    url: url.clone(),
                    headers: vec![
                        ("User-Agent", "iPXE/1.21.1".to_owned()),
                        ("Connection", "keep-alive".to_owned()),
                        ("Host", path::host(url).unwrap_or_default()),
                    ],
                },
            },
            State::IpxeWait { secs, .. } => Ask::Wait(Duration::from_secs(*secs)),
        })
    }

    fn http(&self, url: &str) -> Ask {
        let host = path::host(url).unwrap_or_default();
        let method = if self.want == Want::Size { Method::Head } else { Method::Get };
        let headers = match self.route {
            Route::Installer => vec![("Host", host), ("Connection", "close".to_owned())],
            _ => vec![("User-Agent", "esx-boot/2.0".to_owned()), ("Host", host)],
        };
        Ask::Http { method, url: url.to_owned(), headers }
    }

    pub(super) fn take(&mut self, answer: Answer) {
        self.asked = false;
        let state = std::mem::replace(&mut self.state, State::TftpCount);
        self.state = match state {
            State::Http(stack) => self.take_http(stack, answer),
            State::TftpSize => match (answer, self.want) {
                (Answer::Size(Some(_)), Want::Size) => State::Ended(Ok(Got::Size)),
                (Answer::Size(Some(size)), Want::Bytes) => State::TftpRead { size: Some(size) },
                // pxelinux tells no size then; the firmware reads the file for it.
                (Answer::Size(None), _) if self.route == Route::Pxelinux => tftp_trouble(&Answer::Size(None)),
                (Answer::Size(None), _) => State::TftpCount,
                (other, _) => tftp_trouble(&other),
            },
            State::TftpCount => match answer {
                Answer::File(_) if self.want == Want::Size => State::Ended(Ok(Got::Size)),
                Answer::File(bytes) => State::TftpRead { size: u64::try_from(bytes.len()).ok() },
                other => tftp_trouble(&other),
            },
            State::TftpRead { size } => self.take_file(size, answer),
            State::Ipxe { url, hops } => self.take_ipxe(url, hops, answer),
            State::IpxeWait { url, hops, .. } => State::Ipxe { url, hops },
            State::Ended(ended) => State::Ended(ended),
        };
    }

    fn take_file(&self, size: Option<u64>, answer: Answer) -> State {
        match answer {
            Answer::File(bytes) if bytes.is_empty() && self.route == Route::Pxelinux => {
                State::Ended(Err(Trouble { missing: true, why: Why::Empty }))
            }
            Answer::File(bytes)
                if size.is_some_and(|size| u64::try_from(bytes.len()).is_ok_and(|n| n > size)) =>
            {
                State::Ended(Err(Trouble { missing: false, why: Why::Long }))
            }
            Answer::File(bytes) => State::Ended(Ok(Got::Bytes(bytes))),
            other => tftp_trouble(&other),
        }
    }

    fn take_http(&self, mut stack: Vec<(String, u32)>, answer: Answer) -> State {
        // After all ways of the firmware failed, what it says is "not found" whatever HTTP said.
        let over = |why| State::Ended(Err(Trouble { missing: true, why }));
        let (status, headers, mut body) = match answer {
            Answer::Http { status, headers, body } => (status, headers, body),
            Answer::Nothing => return again(stack, Why::NoAnswer),
            Answer::Size(_) | Answer::File(_) | Answer::TftpError(_) => return over(Why::Confused),
        };
        if self.route == Route::Installer {
            // [model] as any HTTP library.
            let length = find(&headers, "content-length", false).and_then(|value| value.trim().parse().ok());
            return match status {
                200 if length.is_some_and(|length: usize| body.len() < length) => over(Why::Short),
                200 => State::Ended(Ok(Got::Bytes(body))),
                status => over(Why::Status(status)),
            };
        }
        let Some(length) = self.length(&headers) else { return again(stack, Why::NoContentLength) };
        if self.want == Want::Bytes {
            if body.len() < length {
                return again(stack, Why::Short);
            }
            body.truncate(length);
        }
        let follows = matches!(self.route, Route::Http { release, .. } if release >= Release::V9_0);
        if follows && matches!(status, 301 | 302 | 307 | 308) {
            let Some(location) = find(&headers, "location", false) else {
                return again(stack, Why::NoLocation);
            };
            let Some((url, _)) = stack.last() else { return over(Why::NoLocation) };
            let target = path::resolve(url, location);
            if stack.len() > REDIRECTS_MAX {
                return over(Why::Redirects);
            }
            stack.push((target, 1));
            return State::Http(stack);
        }
        match (status, self.want) {
            (200, Want::Size) => State::Ended(Ok(Got::Size)),
            (200, Want::Bytes) => State::Ended(Ok(Got::Bytes(body))),
            _ => over(Why::Status(status)),
        }
    }

    /// `Content-Length`, in the one spelling 7.0.3 knows. What is no number counts as 0, and chunks are not understood.
    fn length(&self, headers: &[(String, String)]) -> Option<usize> {
        let exact = matches!(self.route, Route::Http { release: Release::V7_0_3, .. });
        if find(headers, "transfer-encoding", false).is_some() {
            return None;
        }
        let value = find(headers, if exact { "Content-Length" } else { "content-length" }, exact)?;
        let digits: String = value.trim_start().chars().take_while(char::is_ascii_digit).collect();
        Some(digits.parse().unwrap_or(0))
    }

    /// iPXE takes any 2xx, with a length or chunked, follows every 3xx with a target, and waits on `Retry-After`.
    fn take_ipxe(&self, url: String, hops: usize, answer: Answer) -> State {
        let over = |missing, why| State::Ended(Err(Trouble { missing, why }));
        match answer {
            Answer::File(bytes) => State::Ended(Ok(Got::Bytes(bytes))),
            Answer::TftpError(code) => over(code == FILE_NOT_FOUND, Why::TftpError(code)),
            Answer::Nothing => over(false, Why::NoAnswer),
            Answer::Size(_) => over(false, Why::Confused),
            Answer::Http { status, headers, body } => {
                let location = find(&headers, "location", false).filter(|_| (300..400).contains(&status));
                let retry = find(&headers, "retry-after", false);
                if (200..300).contains(&status) {
                    let short = find(&headers, "content-length", false)
                        .and_then(|value| value.trim().parse::<usize>().ok())
                        .is_some_and(|length| body.len() < length);
                    if short { over(false, Why::Short) } else { State::Ended(Ok(Got::Bytes(body))) }
                } else if let Some(location) = location {
                    // [model] iPXE has no limit of its own.
                    if hops >= REDIRECTS_MAX {
                        return over(false, Why::Redirects);
                    }
                    State::Ipxe { url: path::resolve(&url, location), hops: hops.saturating_add(1) }
                } else if let Some(secs) = retry {
                    State::IpxeWait { url, hops, secs: secs.trim().parse().unwrap_or(5) }
                } else {
                    over(status == 404, Why::Status(status))
                }
            }
        }
    }
}

fn tftp_trouble(answer: &Answer) -> State {
    let (missing, why) = match answer {
        Answer::TftpError(code) => (*code == FILE_NOT_FOUND, Why::TftpError(*code)),
        Answer::Nothing => (false, Why::NoAnswer),
        Answer::Http { .. } | Answer::Size(_) | Answer::File(_) => (false, Why::Confused),
    };
    State::Ended(Err(Trouble { missing, why }))
}

/// A connection that failed is opened anew: three tries for a URL, then one try less for the one that led to it.
fn again(mut stack: Vec<(String, u32)>, why: Why) -> State {
    while let Some((url, tries)) = stack.pop() {
        if tries < TRIES {
            stack.push((url, tries.saturating_add(1)));
            return State::Http(stack);
        }
    }
    State::Ended(Err(Trouble { missing: true, why }))
}

fn find<'a>(headers: &'a [(String, String)], name: &str, exact: bool) -> Option<&'a str> {
    let same = |own: &str| if exact { own == name } else { own.eq_ignore_ascii_case(name) };
    headers.iter().find(|(own, _)| same(own)).map(|(_, value)| value.as_str())
}
