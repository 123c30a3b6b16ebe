//! A full disk: the store lies on a small one, and another file takes all the room at random moments under load.
//!
//! At each point, in this order: the disk fills; ACKs go on being watched; the appliance is killed and starts on the full
//! disk; a known machine renews ([`KNOWN_ARE_RENEWED`]); the room comes back; a stranger leases. After the kill and at the
//! end of each point every ACK on the wire has its record.

use super::churn::{Churn, Load};
use super::client::Client;
use super::ledger::Ledger;
use super::site::{self, SERVER, Site};
use super::sniffer::Sniffer;
use super::{Dice, Outcome, Progress, copies, percentiles};
use crate::{Namespace, Running};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A machine that was here before is answered while the disk is full, also after a restart on the full disk.
///
/// The journal must have room of its own for that. Without it such a machine gets an ACK for what is left of its lease
/// while the same process runs, and after a restart as long as its record says.
pub const KNOWN_ARE_RENEWED: bool = true;
/// A machine never seen is not given a lease while the disk is full. Holds once the room kept back is for known machines
/// only; today whatever room is found is anybody's.
pub const STRANGERS_ARE_REFUSED: bool = true;

/// The disk.
///
/// Two checkpoints and the journal since the older fit: what fills it is the other file.
const DISK_BYTES: u64 = 192 << 20;
/// A known machine is answered within this on a full disk.
const KNOWN_PATIENCE: Duration = Duration::from_secs(5);
/// Room came back: strangers are served again by then.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long it may take a stranger to be refused.
const STRANGER_PATIENCE: Duration = Duration::from_secs(2);
const START_DEADLINE: Duration = Duration::from_secs(20);
const KNOWN: [u8; 6] = [2, 0, 0, 0xfe, 0, 1];

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Times the disk fills.
    pub points: u32,
    /// Choices.
    pub seed: u64,
    /// Load.
    pub churn: Churn,
}

/// A small disk in a mount namespace of its own, alive as long as its holder.
struct SmallDisk {
    holder: Running,
    place: PathBuf,
}

impl SmallDisk {
    fn new(site: &Site) -> Result<SmallDisk> {
        let place = site.lab.path("disk");
        std::fs::create_dir_all(&place)?;
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs -o size=$0 tmpfs \"$1\" && echo mounted && exec sleep infinity";
        command.args(["--mount", "sh", "-c", script, &DISK_BYTES.to_string()]).arg(&place);
        let holder = site.server.start(&site.lab, "disk", command)?;
        holder.wait_for("mounted", START_DEADLINE)?;
        Ok(SmallDisk { holder, place })
    }

    /// The disk as seen from outside.
    fn outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.place.strip_prefix("/").unwrap_or(&self.place))
    }

    /// Takes the room that is left, but for `spare` bytes.
    fn fill(&self, spare: u64) -> Result<()> {
        let path = self.outside().join("filler");
        let mut file = std::fs::File::create(&path).context("cannot make the file that fills the disk")?;
        let block = vec![0x55; 4096];
        while file.write_all(&block).is_ok() {}
        let len = file.metadata()?.len();
        file.set_len(len.saturating_sub(spare)).context("cannot give room back")
    }

    fn empty(&self) -> Result<()> {
        std::fs::remove_file(self.outside().join("filler"))
            .context("cannot remove the file that filled the disk")
    }

    /// Starts something that sees the disk.
    fn enter(&self) -> [String; 4] {
        ["nsenter".into(), "--mount".into(), "--target".into(), self.holder.id().to_string()]
    }
}

/// Runs it against the program at `binary`.
///
/// # Errors
/// When the lab fails.
pub fn run(binary: &Path, options: Options) -> Result<Outcome> {
    let mut site = Site::new(binary, site::config(site::POOL))?;
    let disk = SmallDisk::new(&site)?;
    site.configure(|config| config.set(&["store", "path"], json!(disk.place.join("store"))));
    let mut rounds = Rounds {
        sniffer: site.sniffer()?,
        load: Load::new(&site, options.churn, options.seed),
        known: Client::new(Arc::new(site.lab.station(&site.segment, "known", None)?), "eth0", KNOWN)?,
        strangers: Arc::new(site.lab.station(&site.segment, "stranger", None)?),
        site: &site,
        disk: &disk,
        ledger: Ledger::default(),
        dice: Dice::new(options.seed),
        known_times: Vec::new(),
        recovery_times: Vec::new(),
        strangers_seen: 0,
        refusing: 0,
        violations: Vec::new(),
    };
    let mut progress = Progress::new("diskfull");
    let mut running = rounds.start()?;
    rounds.known.lease(START_DEADLINE).context("the known machine's first lease")?;
    for point in 1..=options.points {
        let before = rounds.violations.len();
        running = rounds.point(running)?;
        for violation in rounds.violations.get_mut(before..).unwrap_or_default() {
            *violation = format!("seed {} point {point}: {violation}", options.seed);
        }
        progress.say(|| {
            format!(
                "{point} of {} points, {} ACKs, {} violations",
                options.points,
                rounds.ledger.acks,
                rounds.violations.len() + rounds.ledger.violations.len()
            )
        });
    }
    running.cut();
    rounds.compare("killed at the end")?;
    let Rounds { mut known_times, mut recovery_times, mut violations, mut ledger, refusing, .. } = rounds;
    violations.append(&mut ledger.violations);
    let (known, known_worst) = percentiles(&mut known_times);
    let (back, back_worst) = percentiles(&mut recovery_times);
    let summary = format!(
        "diskfull: {} points, commits refused at {refusing}, {} ACKs all with their record, known machine on the full disk p50 {known:.1?} p99 {known_worst:.1?}, strangers after room p50 {back:.1?} p99 {back_worst:.1?}, {:.0?}, seed {}",
        options.points,
        ledger.acks,
        progress.elapsed(),
        options.seed
    );
    Ok(Outcome { summary, violations })
}

struct Rounds<'a> {
    site: &'a Site,
    disk: &'a SmallDisk,
    sniffer: Sniffer,
    load: Load<'a>,
    known: Client,
    strangers: Arc<Namespace>,
    ledger: Ledger,
    dice: Dice,
    known_times: Vec<Duration>,
    recovery_times: Vec<Duration>,
    strangers_seen: u16,
    /// Points at which leases could not be made durable.
    refusing: u32,
    violations: Vec<String>,
}

impl Rounds<'_> {
    fn start(&self) -> Result<Running> {
        let enter = self.disk.enter();
        self.site.start(&enter.each_ref().map(String::as_str))
    }

    fn stranger(&mut self) -> Result<Client> {
        self.strangers_seen += 1;
        let [a, b] = self.strangers_seen.to_be_bytes();
        Client::new(self.strangers.clone(), "eth0", [2, 0, 0, 0xff, a, b])
    }

    /// One point; answers the appliance that runs at its end.
    fn point(&mut self, running: Running) -> Result<Running> {
        self.load.keep_up()?;
        let until =
            Instant::now() + self.dice.between(Duration::from_millis(100), Duration::from_millis(600));
        self.listen(until)?;
        self.disk.fill(self.dice.below(3) * 6000)?;
        let until =
            Instant::now() + self.dice.between(Duration::from_millis(100), Duration::from_millis(800));
        self.listen(until)?;
        self.renew("on a full disk");
        let refused = ["commit_failed", "ignored.store_refuses"];
        let refused = refused.iter().any(|name| self.site.counter(name).unwrap_or(0) > 0);
        self.refusing += u32::from(refused);
        running.cut();
        self.compare("killed on the full disk")?;
        let running = match self.start() {
            Ok(running) => running,
            Err(error) => {
                self.violations.push(format!("no start on the full disk: {error:#}"));
                self.disk.empty()?;
                return self.start().context("no start even with room again");
            }
        };
        self.renew("after a restart on the full disk");
        if STRANGERS_ARE_REFUSED && self.stranger()?.lease(STRANGER_PATIENCE).is_ok() {
            self.violations.push("a stranger got a lease on the full disk".to_owned());
        }
        self.disk.empty()?;
        match self.stranger()?.lease(RECOVERY) {
            Ok(took) => self.recovery_times.push(took),
            Err(error) => self.violations.push(format!("room again: {error:#}")),
        }
        Ok(running)
    }

    fn listen(&mut self, until: Instant) -> Result<()> {
        while Instant::now() < until {
            self.ledger.hear(&self.sniffer.take()?);
        }
        Ok(())
    }

    fn renew(&mut self, when: &str) {
        match self.known.renew(KNOWN_PATIENCE) {
            Ok(took) => self.known_times.push(took),
            Err(error) if KNOWN_ARE_RENEWED => {
                self.violations.push(format!("the known machine {when}: {error:#}"))
            }
            Err(_) => {}
        }
    }

    /// Holds the files a kill left against the wire.
    fn compare(&mut self, when: &str) -> Result<()> {
        self.ledger.hear(&self.sniffer.take()?);
        let store = self.disk.outside().join("store");
        match copies::leases_left_in(&store) {
            Ok(records) => {
                let lost = self.ledger.check(SystemTime::now(), &records);
                self.violations.extend(lost.into_iter().map(|lost| format!("{when}: {lost}")));
            }
            Err(error) => self.violations.push(format!("{when}: {error:#}")),
        }
        if self.ledger.acks == 0 {
            bail!("no ACK from {SERVER} so far: nothing is tested");
        }
        Ok(())
    }
}
