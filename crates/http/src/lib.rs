//! The HTTP boot plane: boot scripts, files with ranges, call-backs of booted machines and logs of their installers.
//!
//! One plain-text listener per address, HTTP/1 only: firmware speaks nothing else, and h2 would add floods
//! to bound. The serve loop is ours (hyper-util's pieces, axum's router on top) because `axum::serve` never times
//! a slow client out. Files are named by the boot tree; nothing here touches a path or decides what a machine boots.
//!
//! A connection in three lines:
//! - *head*: all of a request's head within `header_timeout`; *idle* between requests: `idle_timeout`.
//! - *busy*: whenever the socket is full, some bytes must leave within `stall_timeout`.
//! - Past any of these the connection is dropped; its file, if any, is recorded with the bytes that left.
//!
//! Every answer has a `Content-Length`, in that spelling (QUIRK(esxi-length-spelling): ESXi loaders up to 7.0.3 match it by case), and no answer
//! redirects. Sources: RFC 9110, 9112, 6585.
//!
//! Deliberately absent: TLS, HTTP/2, directory listings, compression, multipart ranges, the admin API.

mod body;
mod bundles;
mod callbacks;
mod conditions;
mod counters;
mod door;
mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
mod listen;
mod logs;
mod pulse;
mod query;
mod ranges;
mod refusal;
mod seam;
mod serve;
mod target;

pub use counters::Snapshot;
pub use door::Parts;
pub use listen::{BindError, HttpDoor, Meter, Options};
pub use logs::{LogRefused, LogSink, Logs, Upload};
pub use seam::Files;
