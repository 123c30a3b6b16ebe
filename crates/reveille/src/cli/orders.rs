//! Orders for hosts: `host arm`, `host boot`, `host quarantine` …

use super::ImageRef;
use clap::Subcommand;
use std::str::FromStr;
use std::time::Duration;

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

/// What can be ordered for a host.
#[derive(Subcommand, Debug)]
pub(crate) enum HostOrder {
    /// Let a host run an image that erases disks, in one boot.
    Arm {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
        /// That image only.
        #[arg(long, value_name = "NAME")]
        image: Option<types::resource::Name>,
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
