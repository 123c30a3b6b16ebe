//! Host lists that a site already has, read into proposals, and compared with what is recorded.
//!
//! | format | reader |
//! |---|---|
//! | CSV with a header | [`csv`] |
//! | `dhcpd.conf` of ISC DHCP | [`dhcpd`] |
//! | `dhcp-host` lines of dnsmasq, or its hosts file | [`dnsmasq`] |
//! | Kea's JSON | [`kea`] |
//! | LDIF of a directory with prestaged computers (WDS) | [`ldif`] |
//! | entries of such a directory | [`wds`] |
//!
//! Every reader takes bytes and gives [`Found`]: proposals, and faults with source, line and the entry's own name. A
//! reader never panics, keeps the bounds of [`limits`], and leaves nothing out without saying so. [`plan_import`]
//! compares proposals with recorded hosts and reservations; its [`ImportPlan`] prints as a dry run and gives all of its
//! writes or none.
//!
//! ```
//! use inventory::plan::{Existing, Rest, Rules};
//! use inventory::{Format, Options, plan_import, read};
//!
//! # use reveille_inventory as inventory;
//! let list = b"name,mac,image\nWEB_01,5254.0012.3401,debian-12\n";
//! let format = Format::guess("hosts.csv", list).expect("the ending says it");
//! let found = read(format, "hosts.csv", list, &Options::default());
//! let plan = plan_import(&Existing::default(), found, &Rules::default());
//! assert!(plan.to_string().starts_with("+ web-01  hosts.csv:2 (WEB_01)"));
//! let writes = plan.writes(Rest::Stop).expect("nothing is in conflict");
//! assert!(writes[0].new);
//! ```
//!
//! What is deliberately absent: files, sockets (a directory is queried by `crates/directory`), and any guess about which
//! machine is meant.

pub mod csv;
pub mod dhcpd;
pub mod dnsmasq;
mod draft;
pub mod fault;
mod format;
mod found;
mod json;
pub mod kea;
pub mod ldif;
pub mod limits;
pub mod names;
mod parts;
pub mod plan;
mod suggest;
mod text;
pub mod wds;

pub use fault::{Code, Fault, Origin, Weight};
pub use format::{Format, read};
pub use found::{Found, GuidOrder, Options, Proposal, Served};
pub use plan::{ImportPlan, plan_import};

#[cfg(test)]
mod tests;
