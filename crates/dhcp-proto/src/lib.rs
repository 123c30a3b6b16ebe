//! DHCP as a pure responder: bytes in, commits, transmits and events out.
//!
//! ```text
//! bytes ─ wire::Message::decode ─► Message ─ classify ─► Facts ─ plan::decide ─► Verdict
//!       ◄ wire::Message::encode ── Message ◄ reply ◄ lease::grant ◄────────────────┘
//! ```
//!
//! [`Responder`](responder) ties the steps together and returns what the shell has to do: records that must be
//! durable first, one datagram to send after that, events to record last. Deliberately absent: sockets, clocks,
//! the store, logging. Time is an argument everywhere.
//!
//! Only [`wire`] knows what bytes look like; only [`limits`] holds numbers.

pub mod asking;
pub mod classify;
pub mod destination;
pub mod lease;
pub mod limits;
pub mod reply;
pub mod responder;
pub mod wire;

pub use responder::*;
