//! Why a download failed, and whether another try may help.

use crate::limits::{REDIRECTS_MAX, ROOM_KEPT_BYTES};
use crate::location::LocationError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a file was not fetched. No text here has user name, password or query of the URL.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Another download has this file.
    #[error("{0} is being fetched already")]
    Busy(String),
    /// The name has no address.
    #[error("cannot resolve `{host}`")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("cannot connect to {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the last address gave.
        source: io::Error,
    },
    /// It is not who it should be, or speaks no TLS.
    #[error("no trusted connection to {authority}")]
    Tls {
        /// Host and port.
        authority: String,
        /// What rustls said.
        source: io::Error,
    },
    /// There is nothing to trust.
    #[error("there are no CA certificates on this machine, so nobody can be trusted over https")]
    NoRoots,
    /// Silence.
    #[error("{authority} {what} within {} s", wait.as_secs_f32())]
    TimedOut {
        /// Host and port.
        authority: String,
        /// What it did not do: `did not connect`.
        what: &'static str,
        /// How long we waited.
        wait: Duration,
    },
    /// The connection ended too early, or what came was no HTTP.
    #[error("the connection to {authority} broke after {bytes} bytes")]
    Broken {
        /// Host and port.
        authority: String,
        /// Bytes of the file there were by then.
        bytes: u64,
        /// What it looked like.
        source: io::Error,
    },
    /// The server said no.
    #[error("{url} gives {status}")]
    Status {
        /// Where.
        url: String,
        /// Status and its phrase.
        status: http::StatusCode,
    },
    /// Round and round.
    #[error("{0} redirects more than {REDIRECTS_MAX} times")]
    Redirects(String),
    /// From https to http.
    #[error("{from} redirects to {to}, which is not encrypted")]
    Downgrade {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// Nowhere.
    #[error("{from} redirects to what cannot be fetched")]
    RedirectRefused {
        /// From.
        from: String,
        /// Why.
        source: LocationError,
    },
    /// From outside to this machine itself.
    #[error("{from} redirects to {to}, an address of this machine or of this link only")]
    RedirectInward {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// The end of the file could not be told from a broken connection.
    #[error("{0} does not say how long the file is")]
    NoLength(String),
    /// Nothing to fetch.
    #[error("{0} is empty")]
    Empty(String),
    /// Too much.
    #[error("{url} has {bytes}more than the {bytes_max} bytes allowed", bytes = says.map_or_else(String::new, |says| format!("{says} bytes, ")))]
    TooLarge {
        /// Where.
        url: String,
        /// What the server says.
        says: Option<u64>,
        /// The limit.
        bytes_max: u64,
    },
    /// The server answered a question for the rest with something else.
    #[error("{url} answers a request for the rest with {what}")]
    WrongPart {
        /// Where.
        url: String,
        /// What is wrong.
        what: String,
    },
    /// The file became another one.
    #[error("{0} changed while it was fetched")]
    Changed(String),
    /// The file system said no.
    #[error("cannot {action} {}", path.display())]
    Disk {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Not enough room.
    #[error(
        "it takes {needed} bytes more and {free} are free, of which {ROOM_KEPT_BYTES} are kept for others"
    )]
    NoRoom {
        /// Bytes that are still to come.
        needed: u64,
        /// Bytes free on that disk.
        free: u64,
    },
    /// The caller wanted no more.
    #[error("cancelled")]
    Cancelled,
    /// Nothing new in many tries.
    #[error("nothing new in {tries} tries")]
    GaveUp {
        /// How many.
        tries: u32,
        /// The last failure.
        source: Box<FetchError>,
    },
}

impl FetchError {
    /// The stable reason code.
    pub fn reason(&self) -> &'static str {
        match self {
            FetchError::Busy(_) => "download_under_way",
            FetchError::Resolve { .. } => "host_unknown",
            FetchError::Connect { .. } => "server_unreachable",
            FetchError::Tls { .. } | FetchError::NoRoots => "server_not_trusted",
            FetchError::TimedOut { .. } => "server_silent",
            FetchError::Broken { .. } => "connection_broke",
            FetchError::Status { .. } => "server_refused",
            FetchError::Redirects(_)
            | FetchError::Downgrade { .. }
            | FetchError::RedirectRefused { .. }
            | FetchError::RedirectInward { .. } => "redirect_refused",
            FetchError::NoLength(_) => "length_unknown",
            FetchError::Empty(_) => "source_empty",
            FetchError::TooLarge { .. } => "too_large",
            FetchError::WrongPart { .. } => "server_wrong",
            FetchError::Changed(_) => "source_changed",
            FetchError::Disk { .. } => "disk_failed",
            FetchError::NoRoom { .. } => "no_room",
            FetchError::Cancelled => "cancelled",
            FetchError::GaveUp { source, .. } => source.reason(),
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            FetchError::Busy(_) => Some("reveille image imports shows the job that does it"),
            FetchError::Resolve { .. } => {
                Some("check the host name and this machine's DNS (/etc/resolv.conf)")
            }
            FetchError::Connect { .. } | FetchError::TimedOut { .. } | FetchError::Broken { .. } => Some(
                "check that this machine reaches the server; no proxy is used. The same command goes on where it was",
            ),
            FetchError::Tls { .. } => Some(
                "install the CA of that server where this machine has its CA certificates (or name it in SSL_CERT_FILE), and \
                 check this machine's clock",
            ),
            FetchError::NoRoots => Some("apt-get install ca-certificates"),
            FetchError::Status { status, .. } if status.as_u16() == 404 => Some("check the path"),
            FetchError::Status { status, .. } if matches!(status.as_u16(), 401 | 403) => {
                Some("give user name and password in the URL; they are not kept")
            }
            FetchError::Downgrade { .. } => Some("give the http:// URL and --sha256 if that is meant"),
            FetchError::RedirectInward { .. } => Some("give that URL itself if it is meant"),
            FetchError::NoLength(_) | FetchError::WrongPart { .. } => {
                Some("fetch it by other means and import the file, or pipe it in: reveille image import -")
            }
            FetchError::NoRoom { .. } => {
                Some("make room where the library lies; the file and its image are there at the same time")
            }
            FetchError::GaveUp { source, .. } => source.fix(),
            _ => None,
        }
    }

    /// Another try may go better.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            FetchError::Resolve { .. }
            | FetchError::Connect { .. }
            | FetchError::TimedOut { .. }
            | FetchError::Broken { .. }
            | FetchError::WrongPart { .. }
            | FetchError::Changed(_) => true,
            // RFC 9110 §15.5.9, RFC 8470 §5.2, RFC 6585 §4; 501 and 505 will stay.
            FetchError::Status { status, .. } => {
                matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            _ => false,
        }
    }
}
