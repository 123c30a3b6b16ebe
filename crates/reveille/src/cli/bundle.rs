//! `bundle …`

use clap::{Args, Subcommand};
use std::path::PathBuf;
use types::resource::Name;

/// `bundle …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Bundle {
    /// All bundles of a configuration file, and how many of its hosts run each.
    List {
        /// Configuration file.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/reveille/reveille.yaml")]
        config: PathBuf,
    },
    /// One bundle with its scripts, as they are written.
    Get {
        /// Its name.
        name: Name,
        /// Configuration file.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/reveille/reveille.yaml")]
        config: PathBuf,
    },
    /// What a host would run; what only a boot tells has a stand-in.
    Render(RenderBundle),
    /// How the last run of each script of a host ended, as the appliance was told. Exit status 3 when one failed.
    Status {
        /// Name, mac:…, uuid:… or serial:…
        host: String,
    },
}

/// `bundle render`.
#[derive(Args, Debug)]
pub(crate) struct RenderBundle {
    /// Its name; without it all bundles of the host, in their order.
    pub(crate) name: Option<Name>,
    /// Host to render it for.
    #[arg(long)]
    pub(crate) host: Name,
    /// Image to render it for, in place of the host's.
    #[arg(long)]
    pub(crate) image: Option<Name>,
    /// The script that runs them all, which the machine fetches, in place of each by itself.
    #[arg(long)]
    pub(crate) runner: bool,
    /// Configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/reveille/reveille.yaml")]
    pub(crate) config: PathBuf,
}
