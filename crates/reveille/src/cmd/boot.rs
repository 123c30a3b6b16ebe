//! `reveille boot …`

use super::api::Api;
use super::table::{cell, print_list};
use crate::cli::{Boot, Global};
use crate::failure::Failure;

pub(crate) async fn command(global: &Global, command: Boot) -> Result<(), Failure> {
    let Boot::List = command;
    let boots = Api::new(global).list("boots").await?;
    print_list(
        global,
        &boots,
        &[
            ("MAC", |boot| cell(boot, "/mac")),
            ("HOST", |boot| cell(boot, "/host")),
            ("IMAGE", |boot| cell(boot, "/image")),
            ("STAGE", |boot| cell(boot, "/stage")),
            ("STARTED", |boot| cell(boot, "/started")),
            ("BOOT", |boot| cell(boot, "/id")),
        ],
    );
    Ok(())
}
