//! Every bound of the library, with its reason.

/// Most files of one image. A Windows or ESXi medium has a few thousand; the manifest must fit one store record.
pub const IMAGE_FILES_MAX: usize = 20_000;

/// Longest file name inside an image, folders and slashes counted. A TFTP request holds 512 bytes (RFC 1350 §2) and
/// the image's own name (63) and a slash stand before it.
pub const FILE_NAME_BYTES_MAX: usize = 440;

/// Most bytes of one image, unless configured otherwise.
pub const IMAGE_BYTES_MAX: u64 = 64 << 30;

/// Deepest folder inside an imported directory.
pub const FOLDER_DEPTH_MAX: usize = 32;

/// Most blobs kept mapped at once. A boot storm reads the same handful.
pub const OPEN_MAPS_MAX: usize = 256;

/// Bytes read at a time while importing: large enough for the disk, small enough to cancel at once.
pub const COPY_BYTES: usize = 1 << 20;

/// Largest loader. GRUB's network image, the largest we know, has 4 MB.
pub const LOADER_BYTES_MAX: u64 = 32 << 20;

/// Most loaders of all folders together.
pub const LOADERS_MAX: usize = 512;

/// Longest name of a loader that DHCP can hand out: the `file` field of BOOTP without its NUL (RFC 2131 §2).
pub const LOADER_NAME_BYTES_MAX: usize = 127;
