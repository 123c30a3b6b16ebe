//! Model clients and a lossy link on a virtual clock around the pure crates.
//!
//! A run is a function of its seed: nothing here reads a clock, opens a socket or asks for randomness elsewhere. A
//! failure prints the line that replays it (`REVEILLE_SEED=…`); such a seed becomes a test.
//!
//! What is deliberately absent: the doors. Their policies that matter for safety (joining repeated requests, trust)
//! are called the way the doors call them.

pub mod dhcp;
pub mod link;
pub mod seed;
pub mod tftp;

pub use link::{Faults, Link};
pub use seed::{Seed, seeds};
