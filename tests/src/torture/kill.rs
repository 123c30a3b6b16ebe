//! `kill -9` of the appliance under load, again and again on the same folder.
//!
//! After each kill a copy of the store's folder is opened and held against everything that was on the wire so far
//! ([`ledger`](super::ledger)). Then the appliance starts on the folder itself and the load goes on.

use super::churn::{Churn, Load};
use super::ledger::Ledger;
use super::site::{self, Site};
use super::{Dice, Outcome, Progress, copies};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Least time under load before a kill.
const LOAD_LEAST: Duration = Duration::from_millis(20);
/// Most of it.
const LOAD_MOST: Duration = Duration::from_millis(700);
/// The appliance answers by then.
const FIRST_ACK: Duration = Duration::from_secs(30);

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Kills.
    pub points: u32,
    /// Choices.
    pub seed: u64,
    /// Load.
    pub churn: Churn,
}

/// Runs it against the program at `binary`.
///
/// # Errors
/// When the lab fails; what the appliance does wrong is in the outcome.
pub fn run(binary: &Path, options: Options) -> Result<Outcome> {
    let site = Site::new(binary, site::config(site::POOL))?;
    let sniffer = site.sniffer()?;
    let mut load = Load::new(&site, options.churn, options.seed);
    let mut dice = Dice::new(options.seed);
    let mut ledger = Ledger::default();
    let mut progress = Progress::new("kill");
    let mut outcome = Outcome::default();
    let mut starts = Vec::new();
    for point in 1..=options.points {
        let began = Instant::now();
        let running = match site.start(&[]) {
            Ok(running) => running,
            Err(error) => {
                outcome.violations.push(format!("seed {} point {point}: {error:#}", options.seed));
                break;
            }
        };
        starts.push(began.elapsed());
        load.keep_up()?;
        let before = ledger.acks;
        let until = Instant::now() + FIRST_ACK;
        while ledger.acks == before {
            ledger.hear(&sniffer.take()?);
            if Instant::now() > until {
                bail!("no ACK {FIRST_ACK:?} after start {point}:\n{}", running.transcript().tail());
            }
        }
        // Not a wait for anything: the moment of the kill is the choice under test.
        std::thread::sleep(dice.between(LOAD_LEAST, LOAD_MOST));
        running.cut();
        ledger.hear(&sniffer.take()?);
        let records = copies::leases_left_in(&site.store())
            .with_context(|| format!("seed {} point {point}: the store of a killed appliance", options.seed));
        match records {
            Ok(records) => {
                let lost = ledger.check(SystemTime::now(), &records);
                outcome.violations.extend(
                    lost.into_iter().map(|lost| format!("seed {} point {point}: {lost}", options.seed)),
                );
            }
            Err(error) => outcome.violations.push(format!("{error:#}")),
        }
        progress.say(|| {
            format!(
                "{point} of {} kills, {} ACKs, {} leases in force, {} violations",
                options.points,
                ledger.acks,
                ledger.in_force(SystemTime::now()),
                outcome.violations.len() + ledger.violations.len()
            )
        });
    }
    load.stop();
    outcome.violations.append(&mut ledger.violations);
    let (median, slowest) = super::percentiles(&mut starts);
    outcome.summary = format!(
        "kill: {} kills, {} ACKs, {} releases, {} NAKs, {} leases in force at the end, start p50 {median:.0?} p99 {slowest:.0?}, {:.0?}, seed {}",
        starts.len(),
        ledger.acks,
        ledger.releases,
        ledger.naks,
        ledger.in_force(SystemTime::now()),
        progress.elapsed(),
        options.seed
    );
    Ok(outcome)
}
