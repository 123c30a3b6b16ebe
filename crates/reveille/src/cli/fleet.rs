//! Many hosts at once: `drift` and `rollout …`.

use super::{Expiry, ImageRef};
use clap::{Args, Subcommand, ValueEnum};
use std::time::Duration;
use types::Selector;
use types::resource::Name;

/// Which hosts.
#[derive(Args, Debug, Clone)]
pub(crate) struct HostSet {
    /// Hosts: names, mac:…, uuid:… or serial:…
    pub(crate) hosts: Vec<String>,
    /// Hosts of this group, and of those below it.
    #[arg(long, value_name = "NAME", conflicts_with = "hosts")]
    pub(crate) group: Option<Name>,
    /// Hosts that this means: vendor=Dell,model~R7.*
    #[arg(long = "where", value_name = "SELECTOR", conflicts_with = "hosts")]
    pub(crate) selector: Option<Selector>,
}

/// How fast hosts are changed, and when that stops.
#[derive(Args, Debug, Clone)]
pub(crate) struct RolloutPace {
    /// Hosts under way at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) at_once: u16,
    /// Failures after which no further host is armed; 0 never stops.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) max_failures: u16,
    /// How long each arming is good; a host that did not boot by then has failed.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub(crate) expires: Expiry,
    /// The installers never report: a restart without a word counts as installed.
    #[arg(long)]
    pub(crate) silent_installers: bool,
    /// Start each host anew, from the network, where its record says how.
    #[arg(long, value_enum)]
    pub(crate) power: Option<RestartBy>,
}

/// How hosts are started anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum RestartBy {
    /// Off and on.
    Cycle,
}

/// `drift`.
#[derive(Args, Debug)]
pub(crate) struct Drift {
    #[command(flatten)]
    pub(crate) set: HostSet,
    /// List those in step and those of which nothing is wanted, too.
    #[arg(long, conflicts_with = "repair")]
    pub(crate) all: bool,
    /// Order what brings them in step: a rollout that arms those whose disk is to be erased.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Say what would be ordered, order nothing.
    #[arg(long, requires = "repair")]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long, requires = "repair")]
    pub(crate) yes: bool,
    /// Name of the rollout; without it, it is made of the time.
    #[arg(long, value_name = "NAME", requires = "repair")]
    pub(crate) name: Option<Name>,
    #[command(flatten)]
    pub(crate) pace: RolloutPace,
}

/// `rollout start`.
#[derive(Args, Debug)]
pub(crate) struct RolloutStart {
    /// Its name.
    pub(crate) name: Name,
    #[command(flatten)]
    pub(crate) set: HostSet,
    /// Image to install; without it what each host's pins say.
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub(crate) image: Option<ImageRef>,
    #[command(flatten)]
    pub(crate) pace: RolloutPace,
    /// Further installations of a host after reported failures.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=9))]
    pub(crate) retries: u8,
    /// Whose turn comes first: name, given, location (one after the other), spread (from each location in turn).
    #[arg(long, value_parser = ["name", "given", "location", "spread"], default_value = "name")]
    pub(crate) order: String,
    /// Say what would be done, arm nobody.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `rollout …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Rollout {
    /// Make one, and arm its first hosts.
    Start(RolloutStart),
    /// All of them.
    List,
    /// One, with its hosts.
    Get {
        /// Its name.
        name: Name,
    },
    /// Follow one until it ends: a line for each change; on a terminal a table. Exit 0 when every host is done, 10 when some
    /// are, 1 when it stopped or none is, 7 when the time is over.
    Watch {
        /// Its name.
        name: Name,
        /// For how long.
        #[arg(long, value_name = "TIME", value_parser = period)]
        timeout: Option<Duration>,
    },
    /// Arm nobody for now.
    Pause {
        /// Its name.
        name: Name,
    },
    /// Go on; failures so far are forgiven.
    Resume {
        /// Its name.
        name: Name,
    },
    /// Arm nobody any more, and take back who has not begun. What installs goes on.
    Cancel {
        /// Its name.
        name: Name,
    },
    /// Forget one that is over.
    Rm {
        /// Its name.
        name: Name,
    },
}

fn period(text: &str) -> Result<Duration, String> {
    text.parse::<config::units::Period>().map(|period| period.duration()).map_err(|error| error.to_string())
}
