//! Failing system calls, one or all from one on, by `strace`'s injection: on a store at work, and on the appliance under load.
//!
//! A call that fails has not been done. Whatever the program makes of it: afterwards the store opens and holds every batch
//! that was acknowledged; for the appliance, every lease whose ACK was on the wire.
//!
//! `strace` counts calls for each thread; so a rule hits the same call of the store's writer in every run.

use super::churn::{Churn, Load};
use super::ledger::Ledger;
use super::site::{self, Site};
use super::{Dice, Outcome, Progress, copies, powercut, syscalls, workload};
use crate::Running;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Calls that fail.
const CALLS: [&str; 6] = ["pwrite64", "fdatasync", "fsync", "ftruncate", "openat", "rename"];
const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];
/// A workload that takes longer hangs.
const RUN_DEADLINE: Duration = Duration::from_secs(60);
const BATCHES: u64 = 160;
const REOPEN: u64 = 50;
/// How long the appliance is under load with a failing call.
const LOAD: Duration = Duration::from_millis(1500);

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Runs of the store; each with another call failing.
    pub calls: usize,
    /// Runs of the appliance.
    pub daemon_calls: u64,
    /// Choices.
    pub seed: u64,
}

/// One rule for `strace`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Rule {
    call: &'static str,
    error: &'static str,
    first: u64,
    /// All from the first on.
    all: bool,
}

impl Rule {
    fn text(&self) -> String {
        let Rule { call, error, first, all } = self;
        format!("inject={call}:error={error}:when={first}{}", if *all { "+" } else { "" })
    }
}

/// Runs the store's part.
///
/// # Errors
/// When the workload does not work even without a failing call.
pub fn store(options: Options) -> Result<Outcome> {
    let program = workload::program()?;
    let mut progress = Progress::new("inject");
    let mut rules = rules(&program, options.seed)?;
    let mut dice = Dice::new(options.seed);
    let known = rules.len();
    while rules.len() > options.calls {
        rules.swap_remove(dice.place(rules.len()));
    }
    let mut outcome = Outcome::default();
    let (mut acked, mut refused, mut gave_up, mut no_start) = (0, 0, 0, 0);
    for (at, rule) in rules.iter().enumerate() {
        match one(&program, rule, options.seed) {
            Ok(text) => {
                acked += workload::last_acked(&text);
                let lines = |word: &str| text.lines().filter(|line| line.starts_with(word)).count();
                refused += lines("refused");
                gave_up += lines("gave up");
                no_start += lines("Error: ");
            }
            Err(error) => {
                outcome.violations.push(format!("seed {} {}: {error:#}", options.seed, rule.text()))
            }
        }
        progress.say(|| format!("{at} of {} rules, last {}", rules.len(), rule.text()));
    }
    outcome.summary = format!(
        "inject store: {} of {known} rules, {acked} batches acknowledged and there, {refused} refused, {gave_up} runs gave up, {no_start} could not open meanwhile, {:.0?}, seed {}",
        rules.len(),
        progress.elapsed(),
        options.seed
    );
    Ok(outcome)
}

/// Every call that a run without failures makes, as the rule that fails it.
fn rules(program: &Path, seed: u64) -> Result<Vec<Rule>> {
    let place = tempfile::tempdir()?;
    let (folder, log) = (place.path().join("store"), place.path().join("trace"));
    let mut command = crate::world::command("strace");
    command.args(["-f", "-y", "-xx", "-s", "0", "--seccomp-bpf", "-e"]);
    command.arg(format!("trace={}", CALLS.join(","))).arg("-o").arg(&log);
    finish(command.arg(program).arg(&folder).args(arguments(seed)), 0)?;
    let calls = syscalls::parse(&std::fs::read_to_string(&log)?)?;
    // Numbers count within each thread, as the rules do.
    let mut counts: HashMap<(&str, u64), u64> = HashMap::new();
    let (mut last, mut first_own) = (HashMap::<&str, u64>::new(), 1);
    let mut opened = false;
    for call in &calls {
        let Some(name) = CALLS.iter().find(|name| **name == call.name) else { continue };
        let count = counts.entry((name, call.thread)).or_default();
        *count += 1;
        let most = last.entry(name).or_default();
        *most = (*most).max(*count);
        // Before the store is opened the program's own libraries are.
        if *name == "openat" && !opened && call.opened.as_ref().is_some_and(|path| path.starts_with(&folder))
        {
            (first_own, opened) = (*count, true);
        }
    }
    let mut rules = Vec::new();
    for call in CALLS {
        let from = if call == "openat" { first_own } else { 1 };
        for first in from..=last.get(call).copied().unwrap_or(0) {
            for error in ERRORS {
                rules.extend([false, true].map(|all| Rule { call, error, first, all }));
            }
        }
    }
    Ok(rules)
}

fn arguments(seed: u64) -> [String; 3] {
    [seed, BATCHES, REOPEN].map(|number| number.to_string())
}

/// Runs to the end; answers what was said.
fn finish(command: &mut std::process::Command, most: i32) -> Result<String> {
    let name = "store-workload";
    let mut running =
        Running::start(name, std::mem::replace(command, std::process::Command::new("true")), None)?;
    let status = running.wait_exit(RUN_DEADLINE)?;
    let text = running.transcript().text();
    match status.code() {
        Some(code) if code <= most => Ok(text),
        _ => bail!("{name} ended with {status}:\n{}", running.transcript().tail()),
    }
}

fn one(program: &Path, rule: &Rule, seed: u64) -> Result<String> {
    let place = copies::scratch()?;
    let folder = place.path().join("store");
    let mut command = crate::world::command("strace");
    command.args(["-f", "--seccomp-bpf", "-o", "/dev/null", "-e"]).arg(format!("trace={}", rule.call));
    command.arg("-e").arg(rule.text()).arg(program).arg(&folder).args(arguments(seed));
    // 1: it could not open its store, and said so.
    let text = finish(&mut command, 1)?;
    powercut::check(&folder, seed, workload::last_acked(&text))
        .with_context(|| format!("it said:\n{text}"))?;
    Ok(text)
}

/// Runs the appliance's part against the program at `binary`.
///
/// # Errors
/// When the lab fails.
pub fn daemon(binary: &Path, options: Options, churn: Churn) -> Result<Outcome> {
    let site = Site::new(binary, site::config(site::POOL))?;
    let sniffer = site.sniffer()?;
    let mut load = Load::new(&site, churn, options.seed);
    let mut dice = Dice::new(options.seed);
    let mut ledger = Ledger::default();
    let mut progress = Progress::new("inject");
    let mut outcome = Outcome::default();
    let (mut refusing, mut no_start) = (0, 0);
    for point in 1..=options.daemon_calls {
        let call = *["fdatasync", "pwrite64"].get(dice.place(2)).unwrap_or(&"fdatasync");
        let error = *ERRORS.get(dice.place(2)).unwrap_or(&"EIO");
        let first = 1 + dice.below(120);
        let rule = match dice.below(3) {
            0 => format!("inject={call}:error={error}:when={first}"),
            1 => format!("inject={call}:error={error}:when={first}+"),
            _ => format!("inject={call}:error={error}:when={first}+{}", 2 + dice.below(5)),
        };
        let trace = format!("trace={call}");
        let wrapper = ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", &trace, "-e", &rule];
        let Ok(running) = site.start(&wrapper) else {
            no_start += 1;
            continue;
        };
        load.keep_up()?;
        let until = Instant::now() + LOAD;
        let before = ledger.acks;
        while Instant::now() < until {
            ledger.hear(&sniffer.take()?);
        }
        let failed = site.counter("commit_failed").unwrap_or(0);
        refusing += u64::from(failed > 0);
        running.cut();
        ledger.hear(&sniffer.take()?);
        let what = || format!("seed {} point {point} {rule}", options.seed);
        match copies::leases_left_in(&site.store()) {
            Ok(records) => {
                let lost = ledger.check(SystemTime::now(), &records);
                outcome.violations.extend(lost.into_iter().map(|lost| format!("{}: {lost}", what())));
            }
            Err(error) => outcome.violations.push(format!("{}: {error:#}", what())),
        }
        progress.say(|| {
            format!(
                "{point} of {} rules, last {rule}: {} ACKs, {failed} records refused",
                options.daemon_calls,
                ledger.acks - before
            )
        });
    }
    load.stop();
    outcome.violations.append(&mut ledger.violations);
    if options.daemon_calls > no_start && refusing == 0 {
        outcome.violations.push("no rule made a commit fail: nothing was tested".to_owned());
    }
    outcome.summary = format!(
        "inject daemon: {} rules, {refusing} refused leases meanwhile, {no_start} did not start, {} ACKs, all with their record, {:.0?}, seed {}",
        options.daemon_calls,
        ledger.acks,
        progress.elapsed(),
        options.seed
    );
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_as_strace_reads_it() {
        let rule = Rule { call: "fdatasync", error: "EIO", first: 3, all: true };
        assert_eq!(rule.text(), "inject=fdatasync:error=EIO:when=3+");
        assert_eq!(Rule { all: false, ..rule }.text(), "inject=fdatasync:error=EIO:when=3");
    }
}
