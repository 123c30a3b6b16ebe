//! Whole racks on a virtual clock around the code that runs in the daemon: responder, lease table, boot decisions, file
//! transfers, and the store over a disk that loses, tears and refuses.
//!
//! A run is a function of its seed: nothing here reads a clock, opens a socket or asks for randomness elsewhere. The seed
//! chooses machines, pool, appliances, relay and everything that goes wrong ([`Scenario::of`]). A failure prints the line
//! that replays it; such a seed becomes a test.
//!
//! | module | what |
//! |---|---|
//! | `scenario`, `incident` | what a seed means, and what goes wrong when |
//! | `world`, `link` | the virtual clock and the wire (`world/wire.rs`: who hears what) |
//! | `machine`, `relay`, `crowd` | who asks: firmware, iPXE, operating systems, a relay agent, flooders |
//! | `server`, `disk` | an appliance: the door's loop around the responder, the store's engine on a simulated disk |
//! | `audit` | what an appliance promised, held against everything it does |
//! | `report` | promises, violations, counts |
//! | `tftp` | file transfers by themselves |
//! | `mboot` | ESXi's loader by itself, for harnesses with real sockets |
//!
//! What is deliberately absent: the doors' sockets and tasks. Their policies that matter for safety (one commit before
//! anything of a batch leaves, joining repeated requests, trust) are called the way the doors call them.

mod audit;
mod crowd;
mod disk;
mod incident;
pub mod link;
mod machine;
pub mod mboot;
mod place;
mod relay;
pub mod report;
pub mod scenario;
pub mod seed;
mod server;
pub mod tftp;
mod world;

pub use link::{Faults, Link};
pub use report::{Counts, Promise, Report, Violation};
pub use scenario::{Appliances, Flood, Scenario};
pub use seed::{Seed, seeds};
pub use server::Mutant;
pub use world::Stage;

#[cfg(test)]
mod tests;
