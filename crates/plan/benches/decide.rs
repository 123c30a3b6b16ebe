//! How long a decision, its explanation and a whole catalog take with the hosts, rules and groups of a large site.
//! Percentiles: `examples/decide_latency`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench on values made here")]
#![allow(missing_docs, reason = "criterion makes public items")]

#[path = "../examples/decide_latency/site.rs"]
mod site;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use reveille_plan::{BootState, Catalog, decide, resolve};
use site::Size;
use std::hint::black_box;

fn bench(criterion: &mut Criterion) {
    for (hosts, rules, groups) in [(13_000, 0, 0), (13_000, 500, 200), (100_000, 500, 200)] {
        let size = Size { hosts, rules, groups };
        let of = format!("{hosts} hosts, {rules} rules, {groups} groups");
        let catalog = site::catalog(size);
        let mut at = 0;
        let mut next = move || {
            at += 1;
            site::facts(size, at)
        };
        criterion.bench_function(&format!("decide/{of}"), |bencher| {
            bencher.iter_batched(
                &mut next,
                |facts| decide(&catalog, black_box(&facts), &BootState::default()),
                BatchSize::SmallInput,
            );
        });
        criterion.bench_function(&format!("trace/{of}"), |bencher| {
            bencher.iter_batched(
                &mut next,
                |facts| decide(&catalog, black_box(&facts), &BootState::default()).trace.to_string(),
                BatchSize::SmallInput,
            );
        });
        criterion.bench_function(&format!("resolve/{of}"), |bencher| {
            bencher.iter_batched(
                &mut next,
                |facts| resolve(&catalog, black_box(&facts)),
                BatchSize::SmallInput,
            );
        });
    }
    let mut builds = criterion.benchmark_group("build");
    builds.sample_size(10);
    for hosts in [13_000, 100_000] {
        let size = Size { hosts, rules: 500, groups: 200 };
        builds.bench_function(format!("{hosts} hosts, 500 rules, 200 groups"), |bencher| {
            bencher.iter_batched(|| site::parts(size), Catalog::build, BatchSize::PerIteration);
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
