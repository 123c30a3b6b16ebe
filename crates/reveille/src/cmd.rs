//! One module per noun. Data goes to standard output, everything else to standard error.

pub(crate) mod api;
pub(crate) mod boot;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod drift;
pub(crate) mod events;
pub(crate) mod explain;
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
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod table;
pub(crate) mod template;
