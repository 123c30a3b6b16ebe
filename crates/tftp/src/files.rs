//! What the door asks of the boot tree.

use bytes::Bytes;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tftp_proto::ErrorCode;
use types::Facts;

/// A name space of files. May read disks, never waits for a network; called on the blocking pool.
pub trait Files: Send + Sync + 'static {
    /// Opens `name` as it stood in the request, for the machine at `address` that asked our address `local`.
    ///
    /// # Errors
    /// When there is no such file for that machine.
    fn open(
        &self,
        name: &str,
        address: Ipv4Addr,
        interface: &Arc<str>,
        local: Ipv4Addr,
    ) -> Result<File, Refusal>;
}

/// An opened file: its content never changes.
#[derive(Clone, Debug)]
pub struct File {
    /// Canonical name.
    pub name: Arc<str>,
    /// All of it.
    pub content: Bytes,
    /// What it is for: `loader`, `script`, `kernel` …
    pub role: &'static str,
    /// An NBP: its whole transfer is an event of its own.
    pub is_loader: bool,
    /// What is known of the machine.
    pub facts: Option<Facts>,
    /// Its host record.
    pub host: Option<Arc<str>>,
    /// The image the file belongs to.
    pub image: Option<Arc<str>>,
    /// The boot attempt the file belongs to.
    pub boot: Option<Arc<str>>,
}

/// Why a name cannot be opened.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Code of the ERROR.
    pub code: ErrorCode,
    /// Its text, shown on the machine's screen. Names no path of ours.
    pub text: String,
    /// Stable reason code of the event.
    pub reason: &'static str,
}

impl Files for tree::Tree {
    fn open(
        &self,
        name: &str,
        address: Ipv4Addr,
        interface: &Arc<str>,
        local: Ipv4Addr,
    ) -> Result<File, Refusal> {
        let who = tree::Who {
            address: address.into(),
            interface: Some(interface.clone()),
            local: local.into(),
            facts: None,
            door: tree::Door::Tftp,
        };
        let opened = tree::Tree::open(self, name, &who).map_err(|error| {
            if let tree::OpenError::Io { .. } | tree::OpenError::LoaderMissing(_) = &error {
                tracing::warn!(cause = std::error::Error::source(&error), %address, "{error}");
            }
            Refusal {
                code: match &error {
                    tree::OpenError::NotFound { .. }
                    | tree::OpenError::BadName(_)
                    | tree::OpenError::LeftAlone(_)
                    | tree::OpenError::LoaderMissing(_) => ErrorCode::FileNotFound,
                    tree::OpenError::NotArmed { .. } => ErrorCode::AccessViolation,
                    tree::OpenError::Io { .. } | tree::OpenError::Unmade(_) => ErrorCode::NotDefined,
                },
                text: error.public_text().to_owned(),
                reason: error.reason(),
            }
        })?;
        Ok(File {
            name: opened.name,
            content: opened.content,
            role: opened.role.as_str(),
            is_loader: opened.role == tree::Role::Loader,
            facts: opened.facts,
            host: opened.host,
            image: opened.image,
            boot: opened.boot,
        })
    }
}
