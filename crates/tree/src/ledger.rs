//! Boot attempts, as the tree needs them; the daemon keeps them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use types::Facts;
use types::resource::{Host, Image, Name};

/// A boot attempt that has just begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootTicket {
    /// Its id, for events.
    pub boot: Arc<str>,
    /// Its secret: 32 lower-case hex digits, known to the machine alone. Never in an event.
    pub token: Arc<str>,
}

/// Why a call-back is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallbackError {
    /// No boot has this token.
    #[error("no boot has this token")]
    Unknown,
    /// The token was good once.
    #[error("the token is no longer good")]
    Expired,
    /// Another machine uses it.
    #[error("the token belongs to another address")]
    ForeignAddress,
    /// No stage of that name.
    #[error("there is no such stage")]
    BadStage,
}

impl CallbackError {
    /// The stable reason code.
    pub fn reason(self) -> &'static str {
        match self {
            CallbackError::Unknown => "token_unknown",
            CallbackError::Expired => "token_expired",
            CallbackError::ForeignAddress => "token_foreign_address",
            CallbackError::BadStage => "bad_stage",
        }
    }
}

/// Whom a token belongs to, as it was when the boot began.
#[derive(Clone, Debug)]
pub struct BootHolder {
    /// Id of the boot, for events.
    pub boot: Arc<str>,
    /// The machine.
    pub facts: Facts,
    /// Name of the recorded host, when it is one.
    pub host: Option<Arc<str>>,
    /// The image it boots.
    pub image: Name,
}

/// A machine that waits to be recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// What its screen shows, and an operator names it by: `W4H-9TN`.
    pub code: Arc<str>,
    /// How long it still waits.
    pub left: Duration,
}

/// Who asks for a payload.
#[derive(Clone, Copy, Debug)]
pub enum Opener<'a> {
    /// Somebody at this address.
    Address(IpAddr),
    /// Whoever has the token of this boot.
    Holder(&'a BootHolder),
}

/// What a machine tells of a script of its bundles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BundleReport {
    /// The bundle.
    pub bundle: Name,
    /// The script.
    pub script: Name,
    /// What became of it.
    pub step: BundleStep,
    /// Its last words.
    pub output: Option<String>,
}

/// What becomes of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BundleStep {
    /// It begins.
    Started,
    /// It ended, with this status: 0 is good.
    Exited(u8),
}

/// Boot attempts and their secrets.
pub trait BootLedger: Send + Sync {
    /// Whether this request may be that machine's: asked before anything of a host's record is given. `host` is whom the facts
    /// were taken for.
    ///
    /// # Errors
    /// What speaks against it, in words for an event.
    fn vouch(&self, facts: &Facts, host: Option<&Host>) -> Result<(), String> {
        let _ = (facts, host);
        Ok(())
    }

    /// A script or configuration that boots `image` is about to be given to this machine.
    ///
    /// A machine that asks again within the same attempt may be given the same ticket.
    ///
    /// # Errors
    /// Why it may not be begun, in words for the machine's screen: the image may erase disks and the host is not armed.
    fn begin_boot(&self, facts: &Facts, host: Option<&Host>, image: &Image) -> Result<BootTicket, String>;

    /// The kernel, a ramdisk, a module or the answer file of `image` is about to be handed out. To be asked before every such
    /// file; what permits it is durable when this returns.
    ///
    /// # Errors
    /// Why it may not be: the image may erase disks, and this is not a boot that may have it.
    fn open_payload(&self, opener: Opener<'_>, image: &Image) -> Result<(), String>;

    /// A machine asked for an image that cannot be given to it as things are; `fault` says what is wrong.
    fn refuse_boot(&self, facts: &Facts, host: Option<&Host>, image: &Image, fault: &str);

    /// An unknown machine asks what it boots and is to wait: its code, and how long it still waits. `None` when it has waited
    /// long enough, or cannot be told from others.
    fn hold(&self, facts: &Facts) -> Option<Held>;

    /// Whom the token belongs to, when `from` may be that machine. Uses nothing up.
    ///
    /// # Errors
    /// When the token is unknown, expired or bound to another address.
    fn holder(&self, token: &str, from: IpAddr) -> Result<BootHolder, CallbackError>;

    /// A machine reports a stage with its token.
    ///
    /// # Errors
    /// When the token is unknown, expired or bound to another address, or the stage has no name we know.
    fn call_back(
        &self,
        token: &str,
        from: IpAddr,
        stage: &str,
        detail: Option<&str>,
    ) -> Result<(), CallbackError>;

    /// A machine tells of a script of its bundles, with its token.
    ///
    /// # Errors
    /// When the token is unknown, expired or bound to another address, or the machine has no such script.
    fn report_bundle(&self, token: &str, from: IpAddr, report: &BundleReport) -> Result<(), CallbackError>;
}
