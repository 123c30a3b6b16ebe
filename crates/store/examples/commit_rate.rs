//! Prints how many batches a second become durable, with one committer and with many.
//!
//! `cargo run --release -p reveille-store --example commit_rate [folder]`; without a folder a temporary one is used. The
//! number that matters is the disk's: each group costs one `fdatasync`. The first line is what one machine waits for its
//! lease while nothing else happens.

use reveille_store::{Batch, Store, StoreOptions, Table};
use std::sync::Arc;
use std::time::{Duration, Instant};

const RUN: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let path = std::env::args_os().nth(1).map_or_else(|| temporary.path().join("store"), Into::into);
    let store = Store::open(StoreOptions::new(path)).expect("a store");
    println!("opened in {:?}: {} records", store.report().took, store.report().records);
    alone(&store).await;
    for committers in [1u64, 4, 16, 64, 256] {
        let began = Instant::now();
        let tasks: Vec<_> = (0..committers)
            .map(|lane| {
                let store = store.clone();
                tokio::spawn(async move {
                    let value: Arc<[u8]> = vec![b'x'; 300].into();
                    let mut waits = Vec::new();
                    for number in 0u64.. {
                        if began.elapsed() >= RUN {
                            break;
                        }
                        let key = [lane.to_be_bytes(), (number % 1000).to_be_bytes()].concat();
                        let sent = Instant::now();
                        store.commit(Batch::new().put(Table::Leases, key, &*value)).await.expect("a commit");
                        waits.push(sent.elapsed());
                    }
                    waits
                })
            })
            .collect();
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await.expect("a committer"));
        }
        let took = began.elapsed();
        waits.sort_unstable();
        let at = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or_default();
        let rate = waits.len() as f64 / took.as_secs_f64();
        println!("{committers:4} committers: {rate:8.0} commits/s, wait p50 {:?} p99 {:?}", at(50), at(99));
    }
    let began = Instant::now();
    let report = store.verify().expect("a readable store");
    println!("verified in {:?}: {report}", began.elapsed());
    let began = Instant::now();
    tokio::task::spawn_blocking(move || store.close()).await.expect("a close");
    println!("closed in {:?}", began.elapsed());
}

/// One commit now and then.
async fn alone(store: &Store) {
    let mut waits = Vec::new();
    for number in 0..400u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let sent = Instant::now();
        store
            .commit(Batch::new().put(Table::Leases, number.to_be_bytes(), &[b'x'; 300][..]))
            .await
            .expect("a commit");
        waits.push(sent.elapsed());
    }
    waits.sort_unstable();
    let at = |rank: usize| waits.get(rank).copied().unwrap_or_default();
    println!("alone, one every 5 ms: wait p50 {:?} p99 {:?}", at(200), at(396));
}
