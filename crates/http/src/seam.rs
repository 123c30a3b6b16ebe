//! What the door needs of the boot tree, small enough for a test to stand in.

use tree::{OpenError, Opened, Tree, Who};

/// Where files come from: the boot tree.
pub trait Files: Send + Sync + 'static {
    /// Opens a name for somebody. May read files, never waits for a network.
    ///
    /// # Errors
    /// When the name is malformed, unknown, not for this machine, or cannot be read.
    fn open(&self, name: &str, who: &Who) -> Result<Opened, OpenError>;
}

impl Files for Tree {
    fn open(&self, name: &str, who: &Who) -> Result<Opened, OpenError> {
        Tree::open(self, name, who)
    }
}
