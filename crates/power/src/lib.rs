//! Power of machines: Wake-on-LAN and Redfish, the next boot included.
//!
//! [`perform`] is the whole of it for daemon and command line: an [`Order`] in, an [`Outcome`] out. Below it, `wol` and `redfish`
//! are pure (bytes, links, what to ask next); `wake` and `drive` have the sockets, `secret` the files. [`spec`] is what a host
//! record says, in the form of configuration, API and store.
//!
//! What is deliberately absent: IPMI, virtual media, BIOS attributes, firmware updates, tasks and event subscriptions, every OEM
//! extension, a memory between two orders (each begins a session and gives it back), and retries of a wrong password.
//!
//! Invariants: a password is in memory only, read from its file or variable for each order, and shown by nothing. Nobody is talked
//! to but the origin of the configured address. Nothing is switched when the controller says that it is another machine's. What
//! restarts a machine is sent once: a restart that was heard has used up the one-time boot.
//!
//! Sources: DMTF DSP0266 and DSP0268; AMD publication 20213 for the magic packet.

mod drive;
pub mod error;
pub mod event;
pub mod limits;
pub mod redfish;
mod request;
pub mod secret;
pub mod spec;
pub mod wake;
pub mod wol;

pub use drive::Unwatched;
pub use error::PowerError;
pub use event::PowerEvent;
pub use fetch::Watch;
pub use limits::Limits;
pub use redfish::{
    Action, BootMode, BootTarget, Identity, NextBoot, PowerState, Report, ResetType, Sameness,
};
pub use request::{ActionName, PowerRequest, RequestError};
pub use secret::Secret;
pub use spec::PowerSpec;

use limits::GRACE_MAX;
use redfish::{Did, Plan};
use spec::{RedfishSpec, WolSpec};
use std::time::Duration;
use types::MacAddr;
use types::event::{Level, Value};
use wake::{Woken, wake};
use wol::SecureOn;

/// What is to be done with one host.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// Name of the host, for messages.
    pub host: &'a str,
    /// What its record says of power.
    pub spec: Option<&'a PowerSpec>,
    /// What its record says of the machine: compared with the controller's word before anything is switched.
    pub identity: Identity,
    /// Its first MAC address, which Wake-on-LAN wakes.
    pub mac: Option<MacAddr>,
    /// What to start from next; by Redfish only.
    pub next_boot: Option<NextBoot>,
    /// What to do with its power, after that. With neither: a look at the state.
    pub action: Option<Action>,
    /// Look at everything, change nothing, say what would be sent.
    pub dry_run: bool,
    /// The bounds.
    pub limits: Limits,
}

impl<'a> Order<'a> {
    /// A look at the state.
    pub fn state(host: &'a str, spec: &'a PowerSpec) -> Order<'a> {
        Order {
            host,
            spec: Some(spec),
            identity: Identity::default(),
            mac: None,
            next_boot: None,
            action: None,
            dry_run: false,
            limits: Limits::default(),
        }
    }

    /// The name of what is asked for, in texts and events.
    pub fn name(&self) -> &'static str {
        match (&self.action, &self.next_boot) {
            (Some(action), _) => action.as_str(),
            (None, Some(_)) => "next-boot",
            (None, None) => "state",
        }
    }
}

/// What came of an order.
#[derive(Debug)]
pub struct Outcome {
    /// Whose power.
    pub host: String,
    /// What was asked for: `cycle`.
    pub action: &'static str,
    /// It was a dry run.
    pub dry_run: bool,
    /// By which way: `redfish`, `wol`, or none of them.
    pub by: Option<&'static str>,
    /// What the controller said and did, also in a failure.
    pub report: Option<Report>,
    /// The magic packets that left, or would leave.
    pub woken: Option<Woken>,
    /// Whether it came about.
    pub result: Result<(), PowerError>,
}

impl Outcome {
    fn new(order: &Order<'_>) -> Outcome {
        Outcome {
            host: order.host.to_owned(),
            action: order.name(),
            dry_run: order.dry_run,
            by: None,
            report: None,
            woken: None,
            result: Ok(()),
        }
    }

    /// What the event stream is told; `None` for a look and for a dry run.
    pub fn event(&self) -> Option<PowerEvent> {
        if self.dry_run || self.action == "state" {
            return None;
        }
        let mut fields: Vec<(&'static str, Value)> = vec![("action", self.action.into())];
        fields.extend(self.by.map(|by| ("by", by.into())));
        if let Some(report) = &self.report {
            let did: Vec<String> = report.did.iter().map(did_text).collect();
            if !did.is_empty() {
                fields.push(("did", did.join(", ").into()));
            }
            fields.extend(report.system.as_ref().map(|system| ("state", system.power.as_str().into())));
        }
        let notes = self.notes();
        if !notes.is_empty() {
            fields.push(("notes", notes.join("; ").into()));
        }
        let (name, level, reason) = match &self.result {
            Ok(()) => (event::DONE, Level::Info, None),
            Err(error) => {
                fields.push(("cause", error::chain(error).into()));
                fields.push(("fix", error.fix().into()));
                (event::FAILED, Level::Warn, Some(error.reason()))
            }
        };
        Some(PowerEvent { name, level, host: self.host.clone(), reason, fields })
    }

    /// All of it, for API and scripts: `host`, `action`, `dry_run`, `by`, what the report has, `sent_to`, `notes`, and in a failure
    /// `error` with `reason`, `cause` and `fix`.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        let mut all = serde_json::Map::new();
        let mut put = |name: &str, value: serde_json::Value| all.insert(name.to_owned(), value);
        put("host", json!(self.host));
        put("action", json!(self.action));
        put("dry_run", json!(self.dry_run));
        put("by", json!(self.by));
        if let Some(report) = &self.report {
            put("system", json!(report.system));
            put("same", json!(report.same));
            put("did", report.did.iter().map(did_text).collect());
            put("planned", json!(report.planned));
        }
        if let Some(woken) = &self.woken {
            put("sent_to", woken.targets.iter().map(|target| target.to.to_string()).collect());
        }
        put("notes", json!(self.notes()));
        if let Err(error) = &self.result {
            let cause = error::chain(error);
            put("error", json!({ "reason": error.reason(), "cause": cause, "fix": error.fix() }));
        }
        all.into()
    }

    /// What an operator should know besides.
    pub fn notes(&self) -> Vec<&str> {
        let report = self.report.iter().flat_map(|report| &report.notes);
        report.chain(self.woken.iter().flat_map(|woken| &woken.notes)).map(String::as_str).collect()
    }
}

fn did_text(did: &Did) -> String {
    match did {
        Did::NextBoot { target } => format!("next boot {target}"),
        Did::Reset { kind } => kind.as_str().to_owned(),
    }
}

/// Carries out an order: by Redfish where the host has it, else by Wake-on-LAN where that can do it. `watch` is told what goes on
/// and may cancel it ten times a second; what was sent by then stays sent.
///
/// The future is not `Send`, as a watch need not be: a server runs it in `spawn_blocking` with the runtime's handle, or on a thread of
/// its own.
pub async fn perform(order: &Order<'_>, watch: &mut dyn Watch) -> Outcome {
    let mut outcome = Outcome::new(order);
    outcome.result = attempt(order, &mut outcome, watch).await;
    outcome
}

async fn attempt(order: &Order<'_>, outcome: &mut Outcome, watch: &mut dyn Watch) -> Result<(), PowerError> {
    let host = || order.host.to_owned();
    let spec = order.spec.ok_or_else(|| PowerError::NoSpec(host()))?;
    if let Some(fault) = spec.faults().into_iter().next() {
        return Err(PowerError::Spec { host: host(), fault });
    }
    if let Some(Action::Off { grace: Some(grace) } | Action::Cycle { grace: Some(grace) }) = order.action
        && grace > GRACE_MAX
    {
        return Err(PowerError::Grace(grace.as_secs()));
    }
    match (&spec.redfish, &spec.wol) {
        (Some(redfish), _) => {
            outcome.by = Some("redfish");
            let (report, result) = by_redfish(order, redfish, watch).await;
            outcome.report = Some(report);
            result
        }
        (None, Some(wol)) => {
            if order.action != Some(Action::On) || order.next_boot.is_some() {
                return Err(PowerError::WakesOnly { host: host(), wanted: order.name() });
            }
            outcome.by = Some("wol");
            outcome.woken = Some(by_wol(order, wol, watch).await?);
            Ok(())
        }
        (None, None) => Err(PowerError::NoSpec(host())),
    }
}

async fn by_redfish(
    order: &Order<'_>,
    redfish: &RedfishSpec,
    watch: &mut dyn Watch,
) -> (Report, Result<(), PowerError>) {
    let plan = Plan {
        user: redfish.user.clone(),
        login: redfish.login.unwrap_or_default(),
        system: redfish.system.clone(),
        identity: order.identity.clone(),
        next_boot: order.next_boot.clone(),
        action: order.action,
        dry_run: order.dry_run,
    };
    drive::converse(redfish, plan, &order.limits, watch).await
}

async fn by_wol(order: &Order<'_>, wol: &WolSpec, watch: &mut dyn Watch) -> Result<Woken, PowerError> {
    let mac = wol.mac.or(order.mac).ok_or(wake::WakeError::NoMac)?;
    let password = match &wol.secure_on {
        None => None,
        Some(from) => {
            let text = secret::read(from).await?;
            Some(SecureOn::parse(&text).map_err(wake::WakeError::Password)?)
        }
    };
    let interfaces = net::interface::list().map_err(wake::WakeError::List)?;
    let targets = wake::targets(&interfaces, wol)?;
    if order.dry_run {
        return Ok(Woken { mac, targets, notes: Vec::new() });
    }
    for target in &targets {
        watch.says(&format!("magic packet for {mac} to {}", target.to));
    }
    Ok(wake(mac, password.as_ref(), &targets).await?)
}

/// How long an operating system may take to shut down when the operator does not say.
pub const GRACE: Duration = limits::GRACE;
