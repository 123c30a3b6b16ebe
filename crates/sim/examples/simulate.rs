//! Runs seeds on all cores: `simulate FIRST COUNT JOBS [trace]`. `cargo xtask sim` calls it.

use reveille_sim::{Counts, Scenario, Stage};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// After so many bad seeds it is clear that something is wrong.
const BAD_MAX: u64 = 20;

struct Sum {
    seeds: u64,
    counts: Counts,
    bad: u64,
    slowest: (Duration, u64),
}

fn main() -> ExitCode {
    let numbers: Vec<u64> =
        std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok()).collect();
    let traces = std::env::args().any(|argument| argument == "trace");
    let [first, count, jobs] = numbers[..] else {
        eprintln!("simulate FIRST COUNT JOBS [trace]");
        return ExitCode::FAILURE;
    };
    let began = Instant::now();
    if traces {
        return trace(first, began);
    }
    let sum = Mutex::new(Sum { seeds: 0, counts: Counts::default(), bad: 0, slowest: (Duration::ZERO, 0) });
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..jobs.max(1)).map(|_| scope.spawn(|| work(first, count, &next, &sum, began))).collect();
        scope.spawn(|| progress(count, &sum, &over, began));
        for worker in workers {
            if worker.join().is_err() {
                // The panic has told which seed.
                lock(&sum).bad += 1;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let sum = lock(&sum);
    print(&sum, jobs, began.elapsed());
    if sum.bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn lock(sum: &Mutex<Sum>) -> std::sync::MutexGuard<'_, Sum> {
    sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn work(first: u64, count: u64, next: &AtomicU64, sum: &Mutex<Sum>, began: Instant) {
    let stage = Stage::new(began);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count || lock(sum).bad >= BAD_MAX {
            return;
        }
        let seed = first.saturating_add(number);
        let scenario = Scenario::of(seed);
        let start = Instant::now();
        let outcome = std::panic::catch_unwind(|| stage.run(&scenario));
        let took = start.elapsed();
        let mut sum = lock(sum);
        sum.seeds += 1;
        sum.slowest = sum.slowest.max((took, seed));
        match outcome {
            Ok(report) => {
                sum.counts.add(&report.counts);
                if let Some(failure) = report.failure(&scenario) {
                    sum.bad += 1;
                    println!("{failure}");
                }
            }
            Err(_) => {
                sum.bad += 1;
                println!("cargo xtask sim --seed {seed}   # panicked [{scenario}]");
            }
        }
    }
}

fn progress(count: u64, sum: &Mutex<Sum>, over: &AtomicBool, began: Instant) {
    let mut last = Instant::now();
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
        let pause = if std::io::stderr().is_terminal() { Duration::from_secs(1) } else { PROGRESS };
        if last.elapsed() >= pause {
            last = Instant::now();
            let (seeds, bad) = {
                let sum = lock(sum);
                (sum.seeds, sum.bad)
            };
            eprintln!("sim: {seeds} of {count} seeds, {bad} bad, {:.0?}", began.elapsed());
        }
    }
}

fn print(sum: &Sum, jobs: u64, took: Duration) {
    let each = took.as_secs_f64() * 1000.0 * jobs as f64 / sum.seeds.max(1) as f64;
    println!(
        "{} seeds in {took:.1?} on {jobs} threads, {each:.2} ms each (slowest: seed {} with {:.0?})",
        sum.seeds, sum.slowest.1, sum.slowest.0
    );
    let counts: Vec<String> =
        sum.counts.pairs().into_iter().map(|(name, number)| format!("{number} {name}")).collect();
    println!("{}", counts.join(", "));
    println!("{} seeds with violations", sum.bad);
}

fn trace(seed: u64, began: Instant) -> ExitCode {
    let scenario = Scenario::of(seed);
    println!("{scenario:?}");
    let report = Stage::new(began).trace(&scenario);
    report.trace.iter().for_each(|line| println!("{line}"));
    println!("{:?}", report.counts);
    match report.failure(&scenario) {
        Some(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
