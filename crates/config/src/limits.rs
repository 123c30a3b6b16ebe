//! Every bound of this crate, with its reason.

/// All configuration text together. 13,000 hosts written out in full are 4 MiB.
pub const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Values and keys of all files together, aliases counted as often as they are used.
pub const NODES_MAX: usize = 1_000_000;

/// Nodes that may come from aliases: a kilobyte of nested aliases stands for billions of nodes.
pub const ALIAS_NODES_MAX: usize = 100_000;

/// Lists and maps inside each other. The deepest setting stands at eight.
pub const DEPTH_MAX: usize = 32;

/// Bytes of one key. YAML readers accept a plain key of 1024 bytes at most.
pub const KEY_BYTES_MAX: usize = 256;

/// Bytes of one value: a whole template may be one.
pub const VALUE_BYTES_MAX: usize = render::template::limits::TEMPLATE_BYTES_MAX;

/// Keys of a map whose keys are free (`params`, `options`).
pub const MAP_KEYS_MAX: usize = 1024;

/// Interfaces, and pools or excluded ranges of one subnet.
pub const SHORT_LIST_MAX: usize = 256;

/// Hooks: each has a queue and a task of its own.
pub const HOOKS_MAX: usize = 64;

/// Words of a hook's command.
pub const ARGUMENTS_MAX: usize = 64;

/// Addresses in one option: 63 of four bytes fit its length byte.
pub const OPTION_ADDRESSES_MAX: usize = OPTION_BYTES_MAX / 4;

/// Files that `include` may add.
pub const INCLUDED_FILES_MAX: usize = 4096;

/// Faults, and warnings, that one report lists; the rest is counted.
pub const FAULTS_MAX: usize = 200;

/// Characters of a source line that a report shows.
pub const EXCERPT_CHARS_MAX: usize = 160;

/// Bytes of one DHCP option value (RFC 2132 §2: one length byte).
pub const OPTION_BYTES_MAX: usize = 255;

/// Bytes of a boot file name: the BOOTP `file` field less its NUL (RFC 2131 §2).
pub const BOOT_FILE_BYTES_MAX: usize = 127;

/// Bytes of a unix socket path less its NUL (`sun_path` of Linux).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Bytes of an interface name less its NUL (`IFNAMSIZ` of Linux).
pub const INTERFACE_NAME_BYTES_MAX: usize = 15;

/// Longest duration in seconds: ten years. Lease times travel as 32-bit seconds.
pub const DURATION_SECS_MAX: u64 = 3650 * 86_400;

const _: () = assert!(DURATION_SECS_MAX < u32::MAX as u64);
const _: () = assert!(ALIAS_NODES_MAX <= NODES_MAX);
const _: () = assert!(KEY_BYTES_MAX < 1024);
