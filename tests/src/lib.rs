//! Harness for tests with real clients, firmware and loaders.
//!
//! A [`Lab`] is a set of network namespaces that exists only as long as its value: switches, servers, clients and
//! ports for QEMU machines. Nothing outside of them is touched and nothing of them outlives the process: every guard
//! removes exactly what it made, children die with the thread that started them.
//!
//! What it does not do: decide anything about booting, download anything, sleep for a condition. Every wait names
//! what it waits for and a deadline, and fails with the tail of the output it was reading.
//!
//! | variable | meaning |
//! |---|---|
//! | `REVEILLE_REQUIRE_TOOLS=1` | a missing tool fails the test instead of skipping it |
//! | `REVEILLE_KEEP=1` | labs leave their folders (consoles, logs, configuration) behind and say where |
//! | `REVEILLE_NET=tap`, `dgram` | how QEMU machines are plugged in; without it a tap where that works |
//! | `REVEILLE_ROOTLESS=1` | root, too, builds labs inside a user namespace |
//! | `REVEILLE_BIN=PATH` | the `reveille` to test, instead of the one of this build |

pub mod child;
pub mod clients;
pub mod cpio;
pub mod daemon;
pub mod depot;
pub mod esxi;
pub mod netns;
pub mod packages;
pub mod packet;
pub mod payload;
pub mod python;
pub mod qemu;
pub mod recipe;
pub mod reference;
pub mod scene;
pub mod stand_in;
pub mod storm;
pub mod timeline;
pub mod torture;
pub mod world;

pub use child::{Running, Transcript};

pub use daemon::{Config, Daemon};
pub use netns::{Lab, Namespace, Port, Segment};
pub use qemu::{Firmware, Machine};
pub use scene::Scene;
