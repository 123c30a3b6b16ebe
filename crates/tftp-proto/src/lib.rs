//! TFTP as pure state machines: codec, option negotiation and one read as the server sees it.
//!
//! What is deliberately absent: sockets, clocks, files, logs. Time is an argument, packets are returned as data, the
//! content never passes through here: [`Transfer`] only says which range of it a block holds.
//!
//! Served: RRQ in `octet` and (small files) `netascii` mode, with blksize, timeout, tsize and windowsize.
//! Refused: WRQ (code 2), `mail` (code 4). Sources: RFC 1350, RFC 1123 §4.2.3, RFC 2347, 2348, 2349, 7440.

pub mod limits;
pub mod negotiate;
pub mod netascii;
pub mod transfer;
pub mod wire;

pub use negotiate::{Negotiated, Policy, negotiate};
pub use transfer::{Blocks, Ending, Need, Repeat, Stats, Transfer, Trust};
pub use wire::{DecodeError, ErrorCode, Mode, Packet, Request};
