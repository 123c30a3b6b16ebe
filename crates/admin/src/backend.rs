//! What the daemon does behind the routes.
//!
//! Methods are plain and may block on the store: the router calls them on the blocking pool. The router has already
//! checked ownership and that a precondition was given; the backend checks the precondition again where it counts, inside
//! its commit.

mod apply;
mod fleet;
mod hooks;
mod logs;
mod policy;
mod traces;

pub use apply::Applies;
pub use fleet::{Fleet, RolloutOrder};
pub use hooks::Hooks;
pub use logs::BootLogs;
pub use policy::{Policy, RuleChange};
pub use traces::{Traces, Watched, forgotten};

use crate::problem::{FieldError, Problem};
use crate::view::{
    BootView, ConfigView, Explanation, Health, HostView, ImageView, ImportRequest, ImportView, LeaseView,
    PruneReport, PruneRequest, Status, StoreReport, VersionInfo,
};
use std::fmt;
use std::str::FromStr;
use types::resource::{Host, Name};
use types::{Facts, MacAddr, MachineGuid};

/// Which host is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostRef {
    /// By name.
    Name(Name),
    /// `mac:…`
    Mac(MacAddr),
    /// `uuid:…`
    Uuid(MachineGuid),
    /// `serial:…`, compared without case.
    Serial(String),
}

impl FromStr for HostRef {
    type Err = String;

    fn from_str(text: &str) -> Result<HostRef, String> {
        let with = |error: &dyn fmt::Display| format!("`{text}`: {error}");
        match text.split_once(':') {
            None => text.parse().map(HostRef::Name).map_err(|error| with(&error)),
            Some(("mac", mac)) => mac.parse().map(HostRef::Mac).map_err(|error| with(&error)),
            Some(("uuid", uuid)) => uuid.parse().map(HostRef::Uuid).map_err(|error| with(&error)),
            Some(("serial", serial)) if !serial.is_empty() => Ok(HostRef::Serial(serial.to_owned())),
            Some(_) => Err(with(&"not a host; write a name, mac:…, uuid:… or serial:…")),
        }
    }
}

impl fmt::Display for HostRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostRef::Name(name) => write!(f, "{name}"),
            HostRef::Mac(mac) => write!(f, "mac:{mac}"),
            HostRef::Uuid(uuid) => write!(f, "uuid:{uuid}"),
            HostRef::Serial(serial) => write!(f, "serial:{serial}"),
        }
    }
}

/// What a write expects to find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing: it creates (`If-None-Match: *`).
    Absent,
    /// Exactly this revision (`If-Match: "r41"`).
    Revision(u64),
    /// Anything, as long as it is there (`If-Match: *`).
    Present,
}

impl Expect {
    /// True when a current revision (or none) is what was expected.
    pub fn holds(self, current: Option<u64>) -> bool {
        match self {
            Expect::Absent => current.is_none(),
            Expect::Revision(revision) => current == Some(revision),
            Expect::Present => current.is_some(),
        }
    }
}

/// Which part of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Items at most, 1..=1000.
    pub limit: usize,
    /// The `next` of the page before.
    pub after: Option<String>,
}

/// Part of a list.
#[derive(Clone, PartialEq, Debug)]
pub struct ListPage<T> {
    /// Items in order of their key.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
    /// Revision of the store the list was read at.
    pub revision: u64,
}

/// Cuts a page out of items that come in ascending order of `key`.
pub fn paginate<T>(
    items: impl IntoIterator<Item = T>,
    page: &Page,
    revision: u64,
    key: impl Fn(&T) -> String,
) -> ListPage<T> {
    let mut kept = Vec::new();
    let mut next = None;
    for item in items {
        if page.after.as_ref().is_some_and(|after| key(&item) <= *after) {
            continue;
        }
        if kept.len() == page.limit {
            next = kept.last().map(&key);
            break;
        }
        kept.push(item);
    }
    ListPage { items: kept, next, revision }
}

/// A write that was done, or with `dry_run` would have been.
#[derive(Clone, PartialEq, Debug)]
pub struct Written<T> {
    /// The object as it is now.
    pub item: T,
    /// It was not there before.
    pub created: bool,
    /// False when it was like this already.
    pub changed: bool,
}

/// Why the backend did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No such object.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// `host`, `image`, `import`.
        what: &'static str,
        /// As asked.
        name: String,
    },
    /// The expectation does not hold.
    #[error("{what} `{name}` is not as expected")]
    Unexpected {
        /// Kind of object.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its revision now.
        current: Option<u64>,
    },
    /// It belongs to a file.
    #[error("{what} `{name}` is owned by {owner}")]
    Owned {
        /// Kind of object.
        what: &'static str,
        /// Its name.
        name: String,
        /// `file:<path>:<line>`, `apply:<name>` or `api`.
        owner: String,
    },
    /// The content is wrong; each fault by itself.
    #[error("the {what} is not valid")]
    Invalid {
        /// Kind of object.
        what: &'static str,
        /// The faults.
        errors: Vec<FieldError>,
    },
    /// A ready-made problem with a code of its own.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Our own failure; the text is for the log only.
    #[error("{0}")]
    Internal(String),
}

impl BackendError {
    /// The public form. Internal failures are logged here and say nothing outside.
    pub(crate) fn into_problem(self, expect: Option<Expect>) -> Box<Problem> {
        match self {
            BackendError::NotFound { what, name } => Problem::not_found(what, &name),
            BackendError::Unexpected { what, name, current } if expect == Some(Expect::Absent) => {
                Problem::exists(what, &name, current)
            }
            BackendError::Unexpected { what, name, current } => Problem::stale(what, &name, current),
            BackendError::Owned { what, name, owner } => Problem::owned_elsewhere(what, &name, &owner),
            BackendError::Invalid { what, errors } => Problem::invalid(what, errors),
            BackendError::Problem(problem) => problem,
            BackendError::Internal(text) => {
                tracing::error!(cause = text, "an API request failed");
                Problem::internal()
            }
        }
    }
}

/// Something that is sent as it is made.
pub struct Download {
    /// Revision of the store it shows.
    pub revision: u64,
    /// Records in it.
    pub records: u64,
    /// Length of the whole in bytes, where it is known before.
    pub bytes: Option<u64>,
    /// The bytes, in pieces that are made when they are asked for.
    pub pieces: Box<dyn Iterator<Item = Vec<u8>> + Send>,
}

/// The daemon behind the API.
pub trait Backend: Policy + Fleet + Hooks + Applies + BootLogs + Traces + Send + Sync + 'static {
    /// Version and features.
    fn version(&self) -> VersionInfo;

    /// Is everything that should run running?
    fn health(&self) -> Health;

    /// Listeners, counters, store, catalog.
    fn status(&self) -> Status;

    /// Hosts by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn hosts(&self, page: &Page) -> Result<ListPage<HostView>, BackendError>;

    /// One host.
    ///
    /// # Errors
    /// When there is none such.
    fn host(&self, reference: &HostRef) -> Result<HostView, BackendError>;

    /// Creates or replaces a host. With `dry_run` everything but the commit.
    ///
    /// # Errors
    /// When the expectation fails, the host is invalid or conflicts, or the commit fails.
    fn put_host(&self, host: Host, expect: Expect, dry_run: bool) -> Result<Written<HostView>, BackendError>;

    /// Removes a host; gives the new revision of the store.
    ///
    /// # Errors
    /// As [`put_host`](Backend::put_host).
    fn delete_host(&self, name: &Name, expect: Expect, dry_run: bool) -> Result<u64, BackendError>;

    /// What a machine with these facts would boot, and why.
    ///
    /// # Errors
    /// When it cannot be told.
    fn explain(&self, facts: Facts) -> Result<Explanation, BackendError>;

    /// The same for a recorded host, with what is known of it.
    ///
    /// # Errors
    /// When there is none such. A reference by MAC, GUID or serial that no host has is explained as an unknown machine.
    fn explain_host(&self, reference: &HostRef) -> Result<Explanation, BackendError>;

    /// Images by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn images(&self, page: &Page) -> Result<ListPage<ImageView>, BackendError>;

    /// One image.
    ///
    /// # Errors
    /// When there is none such.
    fn image(&self, name: &Name) -> Result<ImageView, BackendError>;

    /// Removes an image with all its versions; gives the new revision of the store.
    ///
    /// # Errors
    /// When the expectation fails, the image is in use and `force` is not given, or the commit fails.
    fn delete_image(
        &self,
        name: &Name,
        expect: Expect,
        force: bool,
        dry_run: bool,
    ) -> Result<u64, BackendError>;

    /// Makes another version current: the one named, or the one imported before.
    ///
    /// # Errors
    /// When there is no such image or version, a file says where the files come from, or the commit fails.
    fn rollback_image(&self, name: &Name, to: Option<&Name>) -> Result<ImageView, BackendError>;

    /// Gives a tag to a version: the one named, or the current one.
    ///
    /// # Errors
    /// When there is no such image or version, the tag is refused, or the commit fails.
    fn tag_image(&self, name: &Name, tag: &Name, version: Option<&Name>) -> Result<ImageView, BackendError>;

    /// Takes a tag away.
    ///
    /// # Errors
    /// When there is no such image or tag, a host stays at it, or the commit fails.
    fn untag_image(&self, name: &Name, tag: &Name) -> Result<ImageView, BackendError>;

    /// Removes old versions that nothing uses, and their files.
    ///
    /// # Errors
    /// When there is no such image, or a commit fails; what was removed before stays removed.
    fn prune_images(&self, request: &PruneRequest) -> Result<PruneReport, BackendError>;

    /// One version of an image as a file: the one named, or the current one.
    ///
    /// # Errors
    /// When there is no such image or version, or a file of it is missing. One that turns out damaged ends it early.
    fn export_image(&self, name: &Name, version: Option<&Name>) -> Result<Download, BackendError>;

    /// Reads every file of these images, or of all, and tells of it line by line
    /// ([`VerifyLine`](crate::view::VerifyLine)).
    ///
    /// # Errors
    /// When there is no such image.
    fn verify_images(&self, names: &[Name]) -> Result<Download, BackendError>;

    /// Starts an import and returns at once. With `dry_run` checks the request only.
    ///
    /// # Errors
    /// When the request is invalid or the name is taken.
    fn start_import(&self, request: ImportRequest, dry_run: bool) -> Result<ImportView, BackendError>;

    /// Imports by id, the running and the last ones.
    ///
    /// # Errors
    /// When they cannot be read.
    fn imports(&self, page: &Page) -> Result<ListPage<ImportView>, BackendError>;

    /// One import.
    ///
    /// # Errors
    /// When there is none such.
    fn import(&self, id: &str) -> Result<ImportView, BackendError>;

    /// Asks an import to end; gives it as it is now. One that has ended stays as it is.
    ///
    /// # Errors
    /// When there is none such.
    fn cancel_import(&self, id: &str) -> Result<ImportView, BackendError>;

    /// Takes the bytes of an import of source `-` and starts it. Blocks until `body` ends. `length` is what the sender says.
    ///
    /// A read that fails by [`std::io::ErrorKind::TimedOut`] means that nothing has come yet.
    ///
    /// # Errors
    /// When there is none such, it takes no bytes (any more), or they do not all arrive.
    fn receive_import(
        &self,
        id: &str,
        body: &mut dyn std::io::Read,
        length: Option<u64>,
    ) -> Result<ImportView, BackendError>;

    /// Leases by address.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn leases(&self, page: &Page) -> Result<ListPage<LeaseView>, BackendError>;

    /// Boot attempts, latest last.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn boots(&self, page: &Page) -> Result<ListPage<BootView>, BackendError>;

    /// The whole store at one revision, as a backup.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn store_backup(&self) -> Result<Download, BackendError>;

    /// All records as JSON lines, or those of one table.
    ///
    /// # Errors
    /// When there is no such table, or the store cannot be read.
    fn store_dump(&self, table: Option<&str>) -> Result<Download, BackendError>;

    /// Reads everything the store has and compares it.
    ///
    /// # Errors
    /// When files cannot be read at all; what is wrong with them is in the report.
    fn store_verify(&self) -> Result<StoreReport, BackendError>;

    /// Every setting in force and where it comes from.
    ///
    /// # Errors
    /// When it cannot be told.
    fn config(&self) -> Result<ConfigView, BackendError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_by_any_identity() {
        assert_eq!("web01".parse(), Ok(HostRef::Name("web01".parse().unwrap())));
        assert_eq!("mac:52-54-00-12-34-56".parse::<HostRef>().unwrap().to_string(), "mac:52:54:00:12:34:56");
        assert_eq!("serial:7XK:1".parse(), Ok(HostRef::Serial("7XK:1".to_owned())));
        assert!("uuid:11223344-5566-7788-99aa-bbccddeeff00".parse::<HostRef>().is_ok());
        for text in ["", "Web01", "mac:", "uuid:1", "serial:", "ip:1.2.3.4"] {
            assert!(text.parse::<HostRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap() {
        let all = ["a", "b", "c", "d", "e"];
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let page = paginate(all, &Page { limit: 2, after }, 7, |item| (*item).to_owned());
            assert!(page.items.len() <= 2 && page.revision == 7);
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }
}
