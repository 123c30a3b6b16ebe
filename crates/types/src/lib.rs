//! The vocabulary every other crate speaks: addresses, identities, facts, events and resources.
//!
//! What is deliberately absent: decisions, sockets, clocks, files. Values here are checked when they are
//! made (`parse` refuses, constructors return `Option`), so nothing behind them checks again.
//!
//! Only [`resource`] and the newtypes inside it derive serde: a resource is at once the YAML document, the
//! API body, the CLI's JSON and the stored record. Everything else may be renamed freely.

pub mod arch;
pub mod clock;
pub mod datagram;
pub mod event;
pub mod facts;
pub mod guid;
pub mod lease;
pub mod mac;
pub mod pattern;
pub mod resource;
pub mod selector;
pub mod serial;
pub mod subnet;

pub use arch::{ClientArch, Firmware, Stage};
pub use clock::{Now, UnixTime};
pub use datagram::{Arrival, Destination, Transmit};
pub use event::{Event, EventName, EventSink};
pub use facts::Facts;
pub use guid::MachineGuid;
pub use mac::MacAddr;
pub use pattern::EventPattern;
pub use selector::Selector;
