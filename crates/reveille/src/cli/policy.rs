//! `group`, `rule` and `explain`.

use super::{FactArgs, ImageRef, key_value};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use types::Selector;
use types::resource::Name;

/// `explain`: a machine by its identity, or one that could be.
#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// Name of a recorded host.
    #[arg(long)]
    pub(crate) name: Option<Name>,
    #[command(flatten)]
    pub(crate) facts: FactArgs,
    /// A capture of a machine that asks (pcap or pcapng, 64 MiB at most).
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    pub(crate) pcap: Option<PathBuf>,
    /// Which packet of the capture, by its number; without it the only request, or a list.
    #[arg(long, value_name = "N", requires = "pcap")]
    pub(crate) packet: Option<usize>,
}

/// `group …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Group {
    /// All groups.
    List,
    /// One group.
    Get {
        /// Its name.
        name: Name,
    },
    /// Make a group.
    Add {
        /// Its name.
        name: Name,
        #[command(flatten)]
        fields: GroupFields,
    },
    /// Change what is given of a group.
    Set {
        /// Its name.
        name: Name,
        #[command(flatten)]
        fields: GroupFields,
    },
    /// Remove a group that nothing names any more.
    Rm {
        /// Its name.
        name: Name,
    },
}

/// What groups and rules give.
#[derive(Args, Debug)]
pub(crate) struct ItemFields {
    /// Image: its current version, or `NAME@VERSION` to stay at that one.
    #[arg(long, value_name = "NAME[@VERSION]")]
    pub(crate) image: Option<ImageRef>,
    /// Loader to go through: ipxe or pxelinux.
    #[arg(long, value_parser = ["ipxe", "pxelinux"])]
    pub(crate) loader: Option<String>,
    /// Template of the answer file.
    #[arg(long, alias = "kickstart")]
    pub(crate) template: Option<Name>,
    /// Where they belong, for templates and call-backs.
    #[arg(long)]
    pub(crate) location: Option<String>,
    /// Value for templates; may be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) params: Vec<(String, String)>,
    /// Word added to the kernel command line; may be repeated.
    #[arg(long = "kernel-arg", value_name = "WORD", allow_hyphen_values = true)]
    pub(crate) kernel_args: Vec<String>,
    /// Bundle they run; may be repeated, in their order. `none` for no bundle at all.
    #[arg(long = "bundle", value_name = "NAME")]
    pub(crate) bundles: Vec<Name>,
    /// One line for people.
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// Take a field out again (`image`, `params.ntp` …); may be repeated.
    #[arg(long, value_name = "FIELD")]
    pub(crate) unset: Vec<String>,
    /// Say what would change, change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Fields of a group.
#[derive(Args, Debug)]
pub(crate) struct GroupFields {
    /// The group above it.
    #[arg(long)]
    pub(crate) parent: Option<Name>,
    /// What selectors may ask for as label.KEY; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) labels: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) items: ItemFields,
}

/// `rule …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Rule {
    /// The rules as they are edited, in the order they are asked, and which of them are in force.
    List,
    /// One rule.
    Get {
        /// Its name.
        name: Name,
    },
    /// Make a rule and put it in force.
    Add {
        /// Its name.
        name: Name,
        #[command(flatten)]
        fields: RuleFields,
    },
    /// Change what is given of a rule, and put the change in force.
    Set {
        /// Its name.
        name: Name,
        #[command(flatten)]
        fields: RuleFields,
    },
    /// Remove a rule.
    Rm {
        /// Its name.
        name: Name,
        /// It stays in force until `rule activate`.
        #[arg(long)]
        staged: bool,
        /// Say what would change, change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Who is meant by a rule or a selector, and whose next boot the staged changes would change.
    Test {
        /// Name of a rule.
        name: Option<Name>,
        /// A selector instead: vendor=Dell,model~R7.*
        #[arg(long, conflicts_with = "name")]
        when: Option<Selector>,
    },
    /// Put everything that is staged in force.
    Activate {
        /// Say what it would do, change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Put an earlier set in force again; what is staged stays so.
    Rollback {
        /// Its number (`rule sets`); without one, the set before.
        to: Option<u64>,
        /// Say what it would do, change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// The sets that are or were in force.
    Sets,
}

/// Fields of a rule.
#[derive(Args, Debug)]
pub(crate) struct RuleFields {
    /// Its place: lower ones are asked first.
    #[arg(long = "at", value_name = "ORDER")]
    pub(crate) order: Option<u32>,
    /// The machines it is for: vendor=Dell,model~R7.* (`*` for all).
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) when: Option<Selector>,
    /// Group they are in, unless their record names one.
    #[arg(long)]
    pub(crate) group: Option<Name>,
    #[command(flatten)]
    pub(crate) items: ItemFields,
    /// Keep it out of force until `rule activate`.
    #[arg(long)]
    pub(crate) staged: bool,
}
