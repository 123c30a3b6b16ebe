//! Every bound of the DHCP engine, with its unit and its reason.

use std::time::Duration;

/// Fixed BOOTP header plus magic cookie, bytes: a shorter datagram is no DHCP (RFC 2131 §2, figure 1).
pub const MESSAGE_BYTES_MIN: usize = 240;

/// Largest request looked at, bytes of UDP payload: one jumbo frame (9000 − 20 IP − 8 UDP). No client comes near it.
pub const MESSAGE_BYTES_MAX: usize = 8972;

/// A reply is padded to the BOOTP size, bytes: old ROMs drop less (RFC 951 §3, RFC 1542 §2.1).
pub const REPLY_BYTES_MIN: usize = 300;

/// IP and UDP headers, bytes: option 57 counts them (RFC 2131 §2 derives 576 from 548 + 28).
pub const IP_UDP_HEADER_BYTES: usize = 28;

/// Smallest datagram every client accepts, bytes; smaller values of option 57 are read as this (RFC 2132 §9.10).
pub const DATAGRAM_BYTES_MIN: usize = 576;

/// Ethernet payload, bytes: a reply is never larger, whatever option 57 says (OVMF says 65280).
pub const DATAGRAM_BYTES_MAX: usize = 1500;

/// Value bytes of one option instance; longer values are split (RFC 3396 §5).
pub const OPTION_BYTES_MAX: usize = 255;

/// Length of `chaddr`, the largest allowed `hlen`.
pub const HARDWARE_BYTES_MAX: usize = 16;

/// Length of `sname`, bytes.
pub const SNAME_BYTES: usize = 64;

/// Length of `file`, bytes. A boot file name has one byte less: it ends in NUL.
pub const FILE_BYTES: usize = 128;

/// Relays a request may have passed (RFC 1542 §4.1.1).
pub const HOPS_MAX: u8 = 16;

/// One label of a host name, bytes (RFC 1035 §2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// A whole host name, bytes (RFC 1035 §2.3.4).
pub const NAME_BYTES_MAX: usize = 255;

/// Encoded option 43 for PXE ROMs, bytes: many never join a split one.
pub const PXE_OPTIONS_BYTES_MAX: usize = 255;

const _: () = assert!(DATAGRAM_BYTES_MIN - IP_UDP_HEADER_BYTES > REPLY_BYTES_MIN);
const _: () = assert!(DATAGRAM_BYTES_MIN <= DATAGRAM_BYTES_MAX);
const _: () = assert!(REPLY_BYTES_MIN > MESSAGE_BYTES_MIN);

/// A repeated REQUEST of one transaction within this time gets the same ACK and writes nothing: longer than any client
/// waits between two tries (UEFI firmware: 32 s).
pub const REPEAT_WINDOW: Duration = Duration::from_secs(45);

/// An ended lease stays its client's for this long: a client that heard only the repeated ACK counts from there. What is left
/// beyond the window is for an ACK that waits behind a slow disk, and for clocks that differ.
pub const LEASE_GRACE: Duration = Duration::from_secs(60);

/// One address in this many may be quarantined by DECLINEs; the rest of the pool stays in use.
pub const QUARANTINE_SHARE: u64 = 5;

/// Longest quarantine taken over from the store, whatever the clock says.
pub const QUARANTINE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Of a pool of at least [`FLOOR_SIZE`] addresses, one in this many is never held for machines we do not know:
/// a flood of invented DISCOVERs leaves room for the machines that were here before.
pub const HOLD_FLOOR_SHARE: u64 = 8;

/// The last free addresses of a larger pool, one in this many of the pool, are given to machines we know only: a flood
/// that also takes what it is offered leaves room for those with a host record, a reservation or an earlier lease.
pub const FREE_FLOOR_SHARE: u64 = 16;

/// Smaller pools keep nothing back.
pub const FLOOR_SIZE: u64 = 64;

/// Quarantine of an address where a probe was answered, once a fifth of the pool is in quarantine: whoever answers every
/// probe stops us, but no longer than this after he ends.
pub const QUARANTINE_CROWDED: Duration = Duration::from_secs(60);

/// Offers that may wait at once: a rack of racks whose power came back. Beyond, addresses are offered unasked.
pub const WAITING_MAX: usize = 4096;

/// Addresses in use that one datagram may meet before it is dropped: its client asks again in seconds.
pub const CONFLICTS_MAX: u8 = 8;

/// The wall clock may run off by this before leases are dated anew: below it, [`LEASE_GRACE`] covers the difference.
pub const CLOCK_STEP_MIN: Duration = Duration::from_secs(10);

/// Requests of one client at once, and then one a second: three programs of one boot, each with its tries, twice over.
pub const CLIENT_BURST: u32 = 30;

/// Requests of one client a second, after [`CLIENT_BURST`].
pub const CLIENT_RATE: u32 = 1;

/// Clients whose requests are counted; the oldest is forgotten first.
pub const CLIENTS_COUNTED_MAX: usize = 8192;

/// Interfaces, relays and circuits whose unknown machines are counted.
pub const SOURCES_COUNTED_MAX: usize = 1024;

/// Unknown machines that one source may bring at once: what it may bring in so many seconds. A rack whose power comes
/// back is no flood.
pub const STRANGER_BURST_SECS: u32 = 4;

/// All sources together may bring so many times what one may.
pub const STRANGER_SOURCES: u32 = 4;

/// Unknown machines a second from one source, unless set otherwise.
pub const STRANGER_RATE_DEFAULT: u32 = 500;

const _: () = assert!(CLOCK_STEP_MIN.as_secs() * 2 < LEASE_GRACE.as_secs());
const _: () = assert!(REPEAT_WINDOW.as_secs() + CLOCK_STEP_MIN.as_secs() < LEASE_GRACE.as_secs());

/// Deadlines worked off per packet; the periodic tick does the rest.
pub const SWEEP_MAX: usize = 64;

/// Clients watched for offers they ignore; the oldest is forgotten first.
pub const WATCHED_MAX: usize = 4096;

/// DISCOVERs of one transaction after our offer that count as ignoring it.
pub const IGNORED_OFFERS_MIN: u32 = 3;

/// Time in which those DISCOVERs come: UEFI firmware tries for 60 s and gives up.
pub const WATCH_WINDOW: Duration = Duration::from_secs(120);

/// One warning about an empty pool, a foreign server or a missing subnet per this time; the rest only counts.
pub const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// Subnets, interfaces and reservations remembered for that.
pub const WARNED_MAX: usize = 256;

/// Warnings in [`WARNING_PAUSE`] about what anybody on the network can invent: foreign servers and single machines. The
/// rest only counts, so a flood of invented ones fills no log and pushes no other warning out.
pub const HEARD_MAX: usize = 64;
