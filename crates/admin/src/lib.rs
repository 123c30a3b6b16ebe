//! The admin plane: the API `/api/v1` on a unix socket, the event bus behind it, and the client the CLI uses.
//!
//! Never reachable from the boot plane: another listener, another router. What routes do is the daemon's, behind
//! [`Backend`]; here are the rules every route shares: revisions (`ETag`, `If-Match`), ownership, `dry_run`, paging and
//! one error form. Peers of the socket are root, the daemon's own user, or members of the socket's group.
//!
//! Deliberately absent: TLS, tokens, the UI, metrics; they come on TCP with the same [`router`].

pub mod backend;
pub mod client;
mod events;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod problem;
mod query;
mod router;
mod serve;
mod time;
pub mod view;

mod api {
    pub(crate) mod apply;
    pub(crate) mod config;
    pub(crate) mod fleet;
    pub(crate) mod hooks;
    pub(crate) mod hosts;
    pub(crate) mod images;
    pub(crate) mod lists;
    pub(crate) mod logs;
    pub(crate) mod machines;
    pub(crate) mod policy;
    pub(crate) mod store;
    pub(crate) mod stream;
    pub(crate) mod traces;
}

pub use backend::{
    Applies, Backend, BackendError, BootLogs, Download, Expect, Fleet, Hooks, HostRef, ListPage, Page,
    Policy, RolloutOrder, RuleChange, Traces, Watched, Written, forgotten, paginate,
};
pub use client::{Client, ClientError};
pub use events::{EventBus, Next, Position, Stamped, Subscription};
pub use problem::{FieldError, Problem};
pub use router::{Api, router};
pub use serve::{AdminDoor, BindError, Options};
