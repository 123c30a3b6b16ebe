//! Every bound, with its reason.

use std::time::Duration;

/// A request longer than this is refused: RFC 2347 §3 keeps requests within one 512-byte datagram.
pub const REQUEST_BYTES_MAX: usize = 512;
/// Options of one request; firmware sends four at most.
pub const OPTIONS_MAX: usize = 16;
/// File names; longer than any name of the boot tree.
pub const NAME_BYTES_MAX: usize = 255;
/// Text of an ERROR, ours and theirs.
pub const ERROR_TEXT_BYTES_MAX: usize = 120;

/// RFC 1350 §2: without the option.
pub const BLKSIZE_DEFAULT: u16 = 512;
/// RFC 2348: 8..=65464.
pub const BLKSIZE_MIN: u16 = 8;
/// 65,535 − 20 IP − 8 UDP − 4 TFTP, rounded down by the RFC.
pub const BLKSIZE_MAX: u16 = 65_464;
/// 1,500 − 20 IP − 8 UDP − 4 TFTP: one Ethernet frame, no fragments (firmware seen to lose them).
pub const BLKSIZE_ETHERNET_MAX: u16 = 1_468;

/// Windows beyond it make an ACK of the window before look like one of the window under way: numbers have 16 bits. A quarter
/// of them tells three windows apart.
pub const WINDOWSIZE_MAX: u16 = 16_384;
/// Default cap on the window; clients seen ask for 4 to 64.
pub const WINDOWSIZE_DEFAULT_MAX: u16 = 64;
/// Default cap on window × blksize of one transfer: what a burst may cost when the client never existed.
pub const IN_FLIGHT_BYTES_DEFAULT_MAX: u32 = 128 << 10;

/// Wait for the first answer, and until a round trip was measured.
pub const RESEND_FIRST: Duration = Duration::from_millis(500);
/// Never resend earlier than this after a send: one scheduling hiccup of a client.
pub const RESEND_MIN: Duration = Duration::from_millis(20);
/// Backoff ends here. Firmware gives up after a few seconds of silence, and under 30 % loss each try counts.
pub const RESEND_MAX: Duration = Duration::from_secs(1);
/// Without progress for so long the client is gone. Firmware of 2015..2024 gives up after 24 to 36 s itself.
pub const PATIENCE: Duration = Duration::from_secs(25);
/// Cap on resends without progress, whatever the clock says.
pub const RESENDS_MAX: u32 = 40;
/// Timed resends before the first ACK, to sources we have reason to believe in (amplification bound).
pub const RESENDS_UNANSWERED_MAX: u32 = 3;
/// How long an unanswered transfer waits after its last send before it ends in silence.
pub const UNANSWERED_HOLD: Duration = Duration::from_secs(5);
/// Resends of the last window before its ACK counts as lost and the transfer as complete.
pub const RESENDS_LAST_MAX: u32 = 12;
/// A repeated request for a transfer under way, after so long without progress, comes from a machine that was reset.
pub const RESET_AFTER: Duration = Duration::from_millis(500);
/// IP, UDP and TFTP header of a DATA packet: what a block leaves of an MTU.
pub const HEADERS_BYTES: u32 = 20 + 8 + 4;
/// Netascii is converted as a whole, in memory.
pub const NETASCII_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(BLKSIZE_MIN <= BLKSIZE_DEFAULT && BLKSIZE_DEFAULT <= BLKSIZE_ETHERNET_MAX);
const _: () = assert!(BLKSIZE_ETHERNET_MAX <= BLKSIZE_MAX);
const _: () = assert!(WINDOWSIZE_DEFAULT_MAX <= WINDOWSIZE_MAX && WINDOWSIZE_MAX <= 1 << 14);
const _: () = assert!(NAME_BYTES_MAX < REQUEST_BYTES_MAX);
const _: () = assert!(RESEND_MIN.as_millis() <= RESEND_FIRST.as_millis());
const _: () = assert!(RESEND_FIRST.as_millis() <= RESEND_MAX.as_millis());
// The shortest `timeout` option is one second.
const _: () = assert!(RESEND_MAX.as_secs() <= 1);
const _: () = assert!(PATIENCE.as_secs() + RESEND_MAX.as_secs() < 60);
