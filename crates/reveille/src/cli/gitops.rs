//! `apply`, `diff`, `export` and `resource …`: what is kept in files, applied and compared.

use clap::{Args, Subcommand};
use std::path::PathBuf;
use types::resource::{Name, Owner, ResourceKind};

/// Documents and whose they are.
#[derive(Args, Debug)]
pub(crate) struct Sources {
    /// Document, or folder of documents (`*.yaml`, `*.yml`, in the order of their names), or `-` for standard input; may be
    /// repeated.
    #[arg(short = 'f', long = "file", value_name = "DIR|FILE", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Whose the resources are.
    #[arg(long, value_name = "NAME", default_value = admin::view::OWNER_DEFAULT)]
    pub(crate) owner: Name,
    /// Remove what this owner has and the documents have no more.
    #[arg(long)]
    pub(crate) prune: bool,
    /// Rules go into the working set; `reveille rule activate` puts them in force.
    #[arg(long)]
    pub(crate) staged: bool,
    /// Make what the API owns and the documents have this owner's.
    #[arg(long)]
    pub(crate) take_over: bool,
}

/// `apply`.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// Refuse when anything that would change was written after this revision, as `reveille diff` shows it.
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_revision: Option<u64>,
    /// Say what would change, change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `diff`.
#[derive(Args, Debug)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) sources: Sources,
}

/// `export`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Only what this owner has: `api`, or a name.
    #[arg(long, value_name = "api|NAME", value_parser = Owner::from_short)]
    pub(crate) owner: Option<Owner>,
    /// Only this kind: template, bundle, group, rule, host; may be repeated.
    #[arg(long = "kind", value_name = "KIND")]
    pub(crate) kinds: Vec<ResourceKind>,
}

/// `resource …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Resource {
    /// Everything the appliance keeps, and whose it is.
    List {
        /// Only what this owner has: `api`, or a name.
        #[arg(long, value_name = "api|NAME", value_parser = Owner::from_short)]
        owner: Option<Owner>,
    },
    /// Give an object to another owner.
    Own {
        /// template, bundle, group, rule or host.
        kind: ResourceKind,
        /// Its name.
        name: Name,
        /// `api`, or the name that documents are applied under.
        #[arg(long, value_name = "api|NAME", value_parser = Owner::from_short)]
        to: Owner,
    },
}
