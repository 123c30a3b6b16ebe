//! What DHCP looks like in bytes. Nothing here knows of leases, subnets or boot plans.
//!
//! dhcproto walks option areas for us (its borrowed iterator, allocation-free) and stays inside this module: no type of
//! it appears in a signature. The rest is ours, each for a reason that was tried:
//!
//! - **bounds** are checked before the walk: the iterator ends silently at an option that runs past its area, and a
//!   packet with such an option has to be refused whole; its header accessors trust `hlen`.
//! - **joining** (RFC 3396): the iterator joins neighbours only, and knows no overload (option 52).
//! - **encoding**: its order is ascending by code, without padding, overload or a size limit, and it drops empty options.
//!
//! Tests use its owned decoder as a second opinion where it is right (`wire/tests.rs`).

pub mod encode;
pub mod hostname;
pub mod message;
pub mod options;
pub mod pxe;
pub mod relay;

pub use encode::{EncodeError, Encoded, Encoding};
pub use message::{DecodeError, Message, Op};
pub use options::{MessageType, OptionFault, Options, code};
pub use relay::RelayInfo;

#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
mod tests;
