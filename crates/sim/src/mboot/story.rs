//! What goes in and out: how the loader was started, what it asks, what it is told, how it ends.

use super::config::ConfigError;
use std::time::Duration;
use types::MacAddr;

/// The release of the loader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Release {
    /// 7.0 Update 3: `Content-Length` is found in this spelling alone.
    V7_0_3,
    /// 8.0.
    V8_0,
    /// 8.0 Update 2: knows `skip` and `errtimeout` (from Update 1), and options in the URL it came from.
    V8_0_2,
    /// 9.0: follows redirects.
    V9_0,
}

/// How the loader was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// UEFI firmware, PXE: by TFTP, from the boot file DHCP named.
    UefiTftp {
        /// Option 67, or the field of the header.
        boot_file: String,
    },
    /// UEFI firmware, HTTP boot.
    UefiHttp {
        /// Where it came from.
        url: String,
    },
    /// iPXE on UEFI, by its script; every file goes through iPXE.
    Ipxe {
        /// What names without a scheme stand on: the URL of the script.
        base: String,
        /// What follows the loader's name: `-c http://…`.
        words: String,
    },
    /// pxelinux 3.86 on BIOS.
    Pxelinux {
        /// The name in `KERNEL`.
        mboot: String,
        /// What stands in `APPEND`, with what `IPAPPEND` adds.
        append: String,
    },
}

/// The machine that boots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The loader.
    pub release: Release,
    /// How it was started.
    pub start: Start,
    /// The interface it booted from.
    pub mac: MacAddr,
    /// UEFI Secure Boot is on.
    pub secure_boot: bool,
}

/// HTTP method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Size alone.
    Head,
    /// The file.
    Get,
}

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// HTTP/1.1, with exactly these headers in this order.
    Http {
        /// HEAD or GET.
        method: Method,
        /// Full URL.
        url: String,
        /// Name and value.
        headers: Vec<(&'static str, String)>,
    },
    /// TFTP read request with `tsize` and `blksize`, given up with ERROR 8 when the size is known.
    TftpSize {
        /// File name, as on the wire.
        name: String,
        /// `blksize`.
        blksize: u16,
    },
    /// TFTP read, `octet`, without `windowsize`.
    TftpRead {
        /// File name, as on the wire.
        name: String,
        /// `blksize`.
        blksize: u16,
    },
    /// Waits (iPXE, for `Retry-After`); answered by [`Answer::Nothing`].
    Wait(Duration),
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// An HTTP answer: status, headers, and as much of the body as came within the time (none for HEAD).
    Http {
        /// Status code.
        status: u16,
        /// Name and value, in the spelling of the wire.
        headers: Vec<(String, String)>,
        /// Body.
        body: Vec<u8>,
    },
    /// The `tsize` of an OACK; `None` when the server did not take the option.
    Size(Option<u64>),
    /// A whole file by TFTP.
    File(Vec<u8>),
    /// TFTP ERROR.
    TftpError(u16),
    /// No connection, no answer, or nothing for ten seconds.
    Nothing,
}

/// What [`super::Mboot::poll`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Ask this, then call [`super::Mboot::answer`].
    Ask(Ask),
    /// It is over: [`super::Mboot::outcome`].
    Done,
}

/// How the story ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The kernel was started.
    Booted(Booted),
    /// It was not, or its installer found no script.
    Failed {
        /// Why.
        failure: Failure,
        /// What the machine does now.
        then: Then,
    },
}

/// What the kernel was started with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Booted {
    /// Full name of module 0.
    pub kernel: String,
    /// Its options, `BOOTIF=` among them.
    pub cmdline: String,
    /// Every module, the kernel first.
    pub modules: Vec<Module>,
    /// The crypto module was found.
    pub crypto: bool,
    /// What the installer fetched by `ks=`.
    pub kickstart: Option<Vec<u8>>,
}

/// One loaded module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// Full name or URL.
    pub name: String,
    /// Its options.
    pub options: String,
    /// Its bytes, as they came.
    pub bytes: Vec<u8>,
}

/// Why a boot ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The loader does not know an option, or one lacks its argument.
    Options,
    /// `boot.cfg` cannot be read.
    ConfigMissing {
        /// The last name tried.
        name: String,
        /// Why.
        why: Why,
    },
    /// `boot.cfg` is refused.
    Config(ConfigError),
    /// `skip=1`.
    Skipped,
    /// A module or table cannot be read.
    File {
        /// Full name or URL.
        name: String,
        /// Why.
        why: Why,
    },
    /// The crypto module is there but cannot be read, under Secure Boot.
    Crypto,
    /// Module 0 is no kernel of ESXi.
    NotAKernel,
    /// Path and options of the kernel are too long.
    CommandLineTooLong,
    /// Path and options of a module are too long.
    ModuleTooLong,
    /// The installer cannot fetch its script.
    Kickstart(Why),
}

/// Why a file cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// HTTP status.
    Status(u16),
    /// TFTP ERROR.
    TftpError(u16),
    /// No answer, after all tries.
    NoAnswer,
    /// An answer without `Content-Length` as this release reads it, after all tries.
    NoContentLength,
    /// Fewer bytes than promised, after all tries.
    Short,
    /// More bytes by TFTP than the size that was told.
    Long,
    /// More than 20 redirects.
    Redirects,
    /// A redirect to nowhere.
    NoLocation,
    /// An answer of the wrong kind for the request.
    Confused,
    /// An empty file, which counts as missing on BIOS.
    Empty,
    /// There is no way to a file of this name (a path after HTTP boot).
    NoWay,
}

/// What a machine does after a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// Stands with its message on the screen until somebody comes.
    Hangs,
    /// Leaves, and the firmware tries its next boot entry.
    NextEntry {
        /// After this time.
        after: Duration,
    },
}
