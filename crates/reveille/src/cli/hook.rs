//! `hook …`

use clap::Subcommand;
use types::resource::Name;

/// `hook …`.
#[derive(Subcommand, Debug)]
pub(crate) enum Hook {
    /// All hooks, and what became of their events since the appliance started.
    List,
    /// Tell a hook of an event that is made up, and say how it took it.
    Test {
        /// Its name.
        name: Name,
    },
}
