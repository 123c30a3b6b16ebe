//! Every bound of this crate, with its reason.

/// Bytes of one list. 13,000 hosts with every column are 4 MiB; a directory export of them 20 MiB.
pub const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Proposals of one list. The largest sites have tens of thousands of machines.
pub const HOSTS_MAX: usize = 200_000;

/// Faults that are kept; the rest is counted.
pub const FAULTS_MAX: usize = 1000;

/// Bytes of one value as it is kept: a serial, a parameter, a boot file name.
pub const VALUE_BYTES_MAX: usize = 4096;

/// MAC addresses of one host. A server with eight ports and a management controller has nine.
pub const MACS_MAX: usize = 32;

/// Fixed addresses of one host.
pub const ADDRESSES_MAX: usize = 32;

/// Parameters of one host.
pub const PARAMS_MAX: usize = 128;

/// Tags, classes or units kept of one host.
pub const TAGS_MAX: usize = 32;

/// Columns of a CSV list.
pub const COLUMNS_MAX: usize = 256;

/// Blocks, lists or maps inside each other. The deepest real configuration stands below ten.
pub const DEPTH_MAX: usize = 64;

/// Words of one statement of dhcpd.conf that are kept. No statement that is read needs more than a few dozen.
pub const STATEMENT_WORDS_MAX: usize = 1024;

/// Values of one JSON text, keys and lists counted.
pub const JSON_VALUES_MAX: usize = 4_000_000;

/// Attributes of one directory entry.
pub const ATTRIBUTES_MAX: usize = 1024;

/// Bytes of one attribute value of a directory entry. What is read of it fits a few hundred.
pub const ATTRIBUTE_BYTES_MAX: usize = 1024 * 1024;

/// Characters of outside text that a message shows.
pub const SHOWN_CHARS_MAX: usize = 64;

/// Bytes of a host name in a reservation (RFC 1035 §2.3.4).
pub const HOSTNAME_BYTES_MAX: usize = 253;

const _: () = assert!(ATTRIBUTE_BYTES_MAX <= TEXT_BYTES_MAX);
const _: () = assert!(VALUE_BYTES_MAX <= ATTRIBUTE_BYTES_MAX);
