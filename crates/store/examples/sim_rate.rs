//! Prints how long a simulated store takes for a life: open, 100 commits, power cut, open again.
//!
//! `cargo run --release -p reveille-store --features sim --example sim_rate`

use reveille_store::sim::{Rng, SimDisk, SimStore};
use reveille_store::{Batch, Table};
use std::time::Instant;

const LIVES: u32 = 2000;

fn main() {
    let began = Instant::now();
    let mut records = 0;
    for seed in 0..LIVES {
        let disk = SimDisk::new();
        let mut store = SimStore::open(&disk).expect("a store");
        for number in 0..100u64 {
            let batch = Batch::new().put(Table::Leases, (number % 16).to_be_bytes(), [b'x'; 200]);
            assert!(store.commit(vec![batch]).iter().all(Result::is_ok));
        }
        let after = disk.crash(&mut Rng::new(seed.into()));
        let store = SimStore::open(&after).expect("a store");
        records += store.scan(Table::Leases, None, usize::MAX).expect("records").len();
    }
    println!("{LIVES} lives, {:?} each, {} records", began.elapsed() / LIVES, records / LIVES as usize);
}
