//! Boots as pure state machines: one boot attempt ([`tracker`](Tracker)), what happened in it ([`timeline`]), what must
//! outlive it ([`life`]), and changes to many hosts a few at a time ([`rollout`]).
//!
//! An attempt begins with the first DISCOVER of a ROM (or of an iPXE in the ROM) and ends when the booted system calls
//! back, reports a failure, or falls silent. [`Tracker`] holds one attempt per machine, the newest.
//!
//! ```text
//! Asking ──► Offered ──► Loader ──► Script ──► Kernel ──► Up
//!    └───────────┴──────────┴──────────┴──────────┴─────► Failed
//! ```
//! Stages only move right inside one attempt; a DISCOVER that comes after a stage it cannot follow means that the machine
//! was restarted, and begins a new attempt.
//!
//! | | keyed by | lost in a restart |
//! |---|---|---|
//! | [`Tracker`] | MAC | yes: how far it has come |
//! | [`timeline::Timelines`] | boot id | yes: what happened |
//! | [`life::Life`] | host | no: it says whether a disk may be erased |
//! | [`rollout::Rollout`] | its name | no: it says who is next |
//!
//! Deliberately absent: clocks, ids (both are arguments), what the pins say, and the store.

pub mod drift;
pub mod life;
pub mod rollout;
pub mod timeline;
mod tracker;

pub use tracker::{Attempt, BootStage, Finding, Tracker, limits};
