//! How far a job of the appliance is: a bar on a terminal, a line now and then elsewhere.

use super::table;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Off a terminal, one line per this.
const QUIET: Duration = Duration::from_secs(10);
/// The rate is that of this last while: long enough to be calm, short enough to tell of a stall.
const RATE_OVER: Duration = Duration::from_secs(8);
/// Characters of the bar.
const BAR: u64 = 20;

/// Shows one job on standard error.
pub(crate) struct Meter {
    pub(crate) begun: Instant,
    terminal: bool,
    silent: bool,
    said: Instant,
    /// The first word of what it does, and how far it was when.
    phase: String,
    seen: VecDeque<(Instant, u64)>,
}

impl Meter {
    pub(crate) fn new(terminal: bool) -> Meter {
        let now = Instant::now();
        Meter { begun: now, terminal, silent: false, said: now, phase: String::new(), seen: VecDeque::new() }
    }

    /// Shows nothing.
    pub(crate) fn silent() -> Meter {
        Meter { silent: true, ..Meter::new(false) }
    }

    pub(crate) fn show(&mut self, job: &Value) {
        let now = Instant::now();
        let line = self.line(job, now);
        if self.silent {
        } else if self.terminal {
            eprint!("\r\x1b[K{line}");
        } else if now.duration_since(self.said) >= QUIET {
            self.said = now;
            eprintln!("{line}");
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if self.terminal && !self.silent {
            eprint!("\r\x1b[K");
        }
    }

    fn line(&mut self, job: &Value, now: Instant) -> String {
        let phase = job.pointer("/phase").and_then(Value::as_str).unwrap_or_default();
        let doing = phase.split(' ').next().unwrap_or_default();
        let (done, total) = (
            job.pointer("/bytes_done").and_then(Value::as_u64).unwrap_or(0),
            job.pointer("/bytes_total").and_then(Value::as_u64).filter(|total| *total > 0),
        );
        // Words of another kind (a server that is silent, a wait) stand alone.
        if !matches!(doing, "downloading" | "receiving" | "copying" | "checking") {
            self.seen.clear();
            return format!("{:<11}  {phase}", table::cell(job, "/name"));
        }
        if self.phase != doing || self.seen.back().is_some_and(|(_, before)| *before > done) {
            doing.clone_into(&mut self.phase);
            self.seen.clear();
        }
        self.seen.push_back((now, done));
        while self.seen.len() > 2
            && self.seen.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER)
        {
            self.seen.pop_front();
        }
        let rate = self.seen.front().and_then(|(at, before)| {
            let millis =
                u64::try_from(now.duration_since(*at).as_millis()).ok().filter(|millis| *millis >= 500)?;
            Some(done.saturating_sub(*before).saturating_mul(1000) / millis)
        });
        let mut line = format!("{doing:<11}");
        if let Some(total) = total {
            let full = (done.min(total).saturating_mul(BAR) / total).min(BAR);
            let bar: String = (0..BAR).map(|place| if place < full { '#' } else { '-' }).collect();
            line.push_str(&format!("  [{bar}] {:>3} %", done.min(total).saturating_mul(100) / total));
        }
        line.push_str(&format!("  {}", table::size(done)));
        if let Some(total) = total {
            line.push_str(&format!(" of {}", table::size(total)));
        }
        if let Some(rate) = rate {
            line.push_str(&format!("  {}/s", table::size(rate)));
            if let Some(left) = total.map(|total| total.saturating_sub(done)).filter(|_| rate > 0) {
                line.push_str(&format!("  {} left", clock(left.div_ceil(rate))));
            }
        }
        line
    }
}

/// `0:07`, `12:30`, `3:02:11`.
fn clock(secs: u64) -> String {
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{secs:02}") } else { format!("{minutes}:{secs:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_tells_rate_and_what_is_left() {
        let mut meter = Meter::new(true);
        let (start, job) = (
            Instant::now(),
            |done: u64| json!({"name": "x", "phase": "downloading", "bytes_done": done, "bytes_total": 100_000_000}),
        );
        assert_eq!(meter.line(&job(0), start), "downloading  [--------------------]   0 %  0 B of 100 MB");
        assert_eq!(
            meter.line(&job(50_000_000), start + Duration::from_secs(5)),
            "downloading  [##########----------]  50 %  50 MB of 100 MB  10 MB/s  0:05 left"
        );
        // A stall shows: the rate is that of the last seconds.
        let stalled = meter.line(&job(50_000_000), start + Duration::from_secs(20));
        assert!(stalled.ends_with("0 B/s"), "{stalled}");
        let other = json!({"name": "x", "phase": "copying boot.wim", "bytes_done": 5, "bytes_total": null});
        assert_eq!(meter.line(&other, start + Duration::from_secs(21)), "copying      5 B");
        let words = json!({"name": "x", "phase": "cannot connect to h; trying again in 2 s"});
        assert_eq!(meter.line(&words, start), "x            cannot connect to h; trying again in 2 s");
        assert_eq!(
            (clock(7).as_str(), clock(750).as_str(), clock(10_931).as_str()),
            ("0:07", "12:30", "3:02:11")
        );
    }
}
