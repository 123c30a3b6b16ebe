//! `boot …`

use clap::Subcommand;

/// `boot …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Boot {
    /// The newest boot of every machine.
    List,
    /// Logs that installers sent: what there is of a host or boot, or the text of one.
    Log {
        /// Name of a host, mac:…, or id of a boot.
        #[arg(value_name = "HOST|BOOT")]
        of: String,
        /// Name of the log; without it those that are there are listed.
        name: Option<String>,
    },
}
