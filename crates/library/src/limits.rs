//! Every bound of the library, with its reason.

/// Most files of one image. A Windows or ESXi medium has a few thousand; the manifest must fit one store record.
pub const IMAGE_FILES_MAX: usize = 20_000;

/// Longest file name inside an image, folders and slashes counted. A TFTP request holds 512 bytes (RFC 1350 §2) and
/// the image's own name (63), its version (13) and a slash stand before it.
pub const FILE_NAME_BYTES_MAX: usize = 427;

/// Hex digits of a version's id: enough that no two versions of one image meet by chance, few enough to be read out.
pub const VERSION_DIGITS: usize = 12;

/// Fewest digits an id may be shortened to.
pub const VERSION_PREFIX_MIN: usize = 4;

/// Most versions of one image: a daily build for two months. Each is a record that is read at start.
pub const VERSIONS_MAX: usize = 64;

/// Versions that stay when nothing else is asked, the current one counted.
pub const VERSIONS_KEEP: usize = 3;

/// Most tags of one image.
pub const TAGS_MAX: usize = 32;

/// Most bytes of the index of an exported image: [`IMAGE_FILES_MAX`] names with their digests, twice.
pub const EXPORT_INDEX_BYTES_MAX: u64 = 32 << 20;

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

/// Bytes at the start of a medium that tell what it is: up to the first volume descriptor of a disc (sector 16).
pub const MEDIUM_PROBE_BYTES: usize = 17 * 2048;

/// Most pieces the files of one medium lie in. One a file is usual; a disc splits files at 4 GiB (ISO 9660) or 1 GiB (UDF).
pub const MEDIUM_RANGES_MAX: usize = 4 * IMAGE_FILES_MAX;

/// Most bytes of directories read from one disc. A record takes some 100 bytes: room for ten times the files allowed.
pub const DIRECTORY_BYTES_MAX: u64 = 32 << 20;

/// Most folders of one medium.
pub const FOLDERS_MAX: usize = IMAGE_FILES_MAX;

/// Bytes that may be unpacked whatever the ratio: empty disk images and ramdisks pack well.
pub const UNPACKED_FREE_BYTES: u64 = 64 << 20;

/// Most bytes unpacked from one packed byte beyond [`UNPACKED_FREE_BYTES`]. Deflate itself ends at 1,032:1; what systems
/// ship stays below 20:1.
pub const UNPACKED_RATIO_MAX: u64 = 200;

/// Most bytes of a zip's central directory: as for [`DIRECTORY_BYTES_MAX`].
pub const ZIP_DIRECTORY_BYTES_MAX: u64 = 32 << 20;

/// Most bytes of one extended tar header: two names and some numbers.
pub const TAR_EXTENSION_BYTES_MAX: u64 = 64 << 10;

/// Most headers of a tar before we give up: files, folders, links, and an extension before each.
pub const TAR_HEADERS_MAX: usize = 6 * IMAGE_FILES_MAX;

/// Most notes on one medium, of the reader's own.
pub const MEDIUM_NOTES_MAX: usize = 32;

/// Names shown in a note.
pub const NOTED_NAMES: usize = 5;

/// Most bytes of a file that is read to tell what a medium holds.
pub const PEEK_BYTES_MAX: u64 = 256 << 10;

/// Files longer than this are hashed by a thread of their own: below it the thread costs more than it saves.
pub const HASH_APART_BYTES: u64 = 4 << 20;

/// Most files of one import that are synced one by one; more are synced by one call for the file system, which costs one
/// journal commit instead of one a file.
pub const SYNC_EACH_MAX: usize = 8;

/// Bytes of an import that are made durable together. What was made durable is not copied again after a crash.
pub const COMMIT_BYTES: u64 = 1 << 30;

/// Most members of an `ar` archive. ESXi's base package, the largest, has some hundred payloads.
pub const AR_MEMBERS_MAX: usize = 2048;

/// Most bytes of the long names of an `ar` archive.
pub const AR_NAMES_BYTES_MAX: u64 = 64 << 10;

/// Most bytes of one XML file. The base package lists some ten thousand files: 1 MB.
pub const XML_BYTES_MAX: u64 = 8 << 20;

/// Most elements and attributes of one XML file together: five times the base package's. A tree of them has some 20 MB.
pub const XML_ELEMENTS_MAX: usize = 100_000;

/// Deepest element of an XML file; depots go to eight.
pub const XML_DEPTH_MAX: usize = 32;

/// Most attributes of one XML element; depots have five.
pub const XML_ATTRIBUTES_MAX: usize = 64;

/// Most bytes of a depot's metadata archive, which is kept in memory. Those of whole releases have some MB.
pub const DEPOT_METADATA_BYTES_MAX: u64 = 48 << 20;

/// Most metadata archives of one depot: each vendor may have one for each release.
pub const DEPOT_METADATA_MAX: usize = 256;

/// Most bytes of XML read from one depot.
pub const DEPOT_XML_BYTES_MAX: u64 = 512 << 20;

/// Most packages a depot may describe. Consolidated ones of one release line have some thousand.
pub const DEPOT_VIBS_MAX: usize = 20_000;

/// Most image profiles of one depot; releases have four.
pub const DEPOT_PROFILES_MAX: usize = 1024;

/// Most modules of one image: what fits the lists and the size of a `boot.cfg` (`render::esxi`).
pub const DEPOT_MODULES_MAX: usize = 1000;

/// Most bytes looked through in one package for the loaders. It is unpacked for nothing else.
pub const DEPOT_LOADER_SEARCH_BYTES_MAX: u64 = 512 << 20;
