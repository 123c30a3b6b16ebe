//! Orders for hosts: `host arm`, `host boot`, `host quarantine` …

use super::ImageRef;
use clap::{Args, Subcommand};
use std::str::FromStr;
use std::time::Duration;
use types::Selector;
use types::resource::Name;

/// How long an order is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expiry {
    /// So long.
    After(Duration),
    /// Until it is used or taken back.
    Never,
}

impl FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Expiry, String> {
        if text == "never" {
            return Ok(Expiry::Never);
        }
        let period: config::units::Period = text.parse().map_err(|error| format!("{error}; or `never`"))?;
        Ok(Expiry::After(period.duration()))
    }
}

/// `host power …`: by Redfish, or by Wake-on-LAN where that is all there is.
#[derive(Args, Debug)]
pub(crate) struct Power {
    /// Name, mac:…, uuid:… or serial:…
    pub(crate) host: String,
    /// What to do; without it, and without --next-boot, say how it is.
    #[arg(value_parser = ["state", "on", "off", "cycle"], default_value = "state")]
    pub(crate) action: String,
    /// What to start from next.
    #[arg(long, value_parser = ["pxe", "uefi-http", "hdd", "none"])]
    pub(crate) next_boot: Option<String>,
    /// URL for `uefi-http`; without it the firmware asks DHCP.
    #[arg(long, value_name = "URL")]
    pub(crate) http_uri: Option<String>,
    /// Seconds its operating system may take to shut down; 0 asks it nothing.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) grace: Option<u64>,
    /// Keep the next boot until it is taken back with `none`.
    #[arg(long, requires = "next_boot")]
    pub(crate) keep: bool,
    /// Look at everything, change nothing, say what would be sent.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `host accept-change`.
#[derive(Args, Debug)]
pub(crate) struct AcceptChange {
    /// Name, mac:…, uuid:… or serial:…
    pub(crate) host: String,
    /// What this machine says, where several differ from the record.
    #[arg(long, value_name = "MAC")]
    pub(crate) machine: Option<types::MacAddr>,
    /// Take hardware addresses that were recorded before out of the record.
    #[arg(long)]
    pub(crate) drop_old_macs: bool,
    /// Say what would change, change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What can be ordered for a host.
#[derive(Subcommand, Debug)]
pub(crate) enum HostOrder {
    /// Let a host run an image that erases disks, in one boot.
    Arm {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
        /// That image only.
        #[arg(long, value_name = "NAME")]
        image: Option<Name>,
        /// How long that is good.
        #[arg(long, value_name = "TIME", default_value = "7d")]
        expires: Expiry,
        /// Further installations after reported failures.
        #[arg(long, default_value_t = 0)]
        retries: u8,
    },
    /// Take an arming back.
    Disarm {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
        /// Break an installation off that is under way.
        #[arg(long)]
        running: bool,
    },
    /// Decide the next boot of a host, and no other.
    Boot {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
        /// Boot this image.
        #[arg(long, value_name = "NAME[@VERSION]", required_unless_present_any = ["local_disk", "cancel"])]
        image: Option<ImageRef>,
        /// Boot its own disk.
        #[arg(long, conflicts_with = "image")]
        local_disk: bool,
        /// The image may erase its disk, and shall.
        #[arg(long, requires = "image")]
        arm: bool,
        /// Take the order back.
        #[arg(long, conflicts_with_all = ["image", "local_disk"])]
        cancel: bool,
        /// How long that is good.
        #[arg(long, value_name = "TIME", default_value = "7d")]
        expires: Expiry,
        /// Further installations after reported failures.
        #[arg(long, default_value_t = 0, requires = "arm")]
        retries: u8,
    },
    /// Give a host nothing.
    Quarantine {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// For how long; without it, until it is released.
        #[arg(long = "for", value_name = "TIME")]
        time: Option<Expiry>,
    },
    /// End a quarantine.
    Release {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
    },
    /// Let nothing be ordered for a host.
    Lock {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// End a lock.
    Unlock {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
    },
    /// Say that a host is installed, where its installer does not.
    Installed {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
        /// From this image.
        #[arg(long, value_name = "NAME[@VERSION]")]
        image: ImageRef,
    },
    /// Remember nothing of what a host went through; its record stays.
    Forget {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
    },
}

/// `host adopt`.
#[derive(Args, Debug)]
pub(crate) struct Adopt {
    /// The code on its screen, or mac:…
    #[arg(required_unless_present = "selector")]
    pub(crate) machine: Option<String>,
    /// Every unknown machine that this means: vendor=Dell,model~R7.*
    #[arg(long = "where", value_name = "SELECTOR", conflicts_with_all = ["machine", "name"])]
    pub(crate) selector: Option<Selector>,
    /// Its name; without one it is made of its serial number, or of its hardware address.
    #[arg(long)]
    pub(crate) name: Option<Name>,
    /// What made names begin with.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) prefix: String,
    /// Group it is in.
    #[arg(long)]
    pub(crate) group: Option<Name>,
    /// Image it boots: its current version, or `NAME@VERSION` to stay at that one.
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub(crate) image: Option<ImageRef>,
    /// Say what would be recorded, record nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `machine …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Machine {
    /// Machines without a record, those that wait first.
    List {
        /// Those only that this means.
        #[arg(long = "where", value_name = "SELECTOR")]
        selector: Option<Selector>,
    },
    /// Everything known of one machine, recorded or not.
    Get {
        /// The code on its screen, or its hardware address.
        machine: String,
    },
    /// What is wrong with the identity of machines: several hosts named, cards and boards replaced, one GUID on several.
    Conflicts,
    /// Forget what is known of one machine; its record stays.
    Forget {
        /// The code on its screen, or its hardware address.
        machine: String,
    },
    /// Give a machine nothing, or all whose hardware addresses begin alike.
    Ignore {
        /// The code on its screen, its hardware address, or the first octets of many: 24:6e:96
        machine: String,
        /// All of its maker's: the first three octets.
        #[arg(long)]
        oui: bool,
    },
    /// Heed again what was ignored.
    Heed {
        /// As `machine ignored` lists it.
        octets: String,
    },
    /// What is ignored.
    Ignored,
}

/// `host import`: a list of hosts that a site has already.
#[derive(Args, Debug)]
pub(crate) struct HostImport {
    /// The list, `-` for standard input; or the URL of a directory: ldaps://dc1.example
    pub(crate) source: String,
    /// What it is: csv, dhcpd, dnsmasq, kea or ldif; without it, told by its name or its beginning.
    #[arg(long)]
    pub(crate) format: Option<::inventory::Format>,
    /// Take the nearest tag, class, group block or organizational unit as the group.
    #[arg(long)]
    pub(crate) groups: bool,
    /// The list is right about network cards and mainboards of hosts that are recorded.
    #[arg(long)]
    pub(crate) replace_identity: bool,
    /// Record the rest when some entries cannot be recorded.
    #[arg(long)]
    pub(crate) leave_out: bool,
    /// Print what would be done, record nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Directory: entry below which to search.
    #[arg(long, value_name = "DN")]
    pub(crate) base: Option<String>,
    /// Directory: which entries.
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<directory::Filter>,
    /// Directory: who asks.
    #[arg(long, value_name = "DN", requires = "password_file")]
    pub(crate) bind: Option<String>,
    /// Directory: a file with the password.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<std::path::PathBuf>,
    /// Directory: the CA certificates to trust.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<std::path::PathBuf>,
}
