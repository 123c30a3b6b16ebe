//! Boot attempts as a pure state machine: events of one machine go in, its stage and findings come out.
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
//! Deliberately absent: clocks, ids (both are arguments), decisions, and whatever a restart of the appliance must keep.

mod tracker;

pub use tracker::{Attempt, BootStage, Finding, Tracker, limits};
