//! One module per noun. Data goes to standard output, everything else to standard error.

pub(crate) mod api;
pub(crate) mod boot;
mod capture;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod explain;
mod follow;
pub(crate) mod hook;
pub(crate) mod host;
mod host_import;
pub(crate) mod image;
pub(crate) mod lease;
pub(crate) mod machine;
mod orders;
pub(crate) mod passwd;
pub(crate) mod policy;
mod progress;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod trace;
pub(crate) mod watch;
