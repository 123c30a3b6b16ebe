//! `reveille lease …`

use super::api::Api;
use super::table::{cell, print_list};
use crate::cli::{Global, Lease};
use crate::failure::Failure;

pub(crate) async fn command(global: &Global, command: Lease) -> Result<(), Failure> {
    let Lease::List = command;
    let leases = Api::new(global).list("leases").await?;
    print_list(
        global,
        &leases,
        &[
            ("ADDRESS", |lease| cell(lease, "/address")),
            ("MAC", |lease| cell(lease, "/mac")),
            ("HOSTNAME", |lease| cell(lease, "/hostname")),
            ("STATE", |lease| cell(lease, "/state")),
            ("EXPIRES", |lease| cell(lease, "/expires")),
            ("SUBNET", |lease| cell(lease, "/subnet")),
        ],
    );
    Ok(())
}
