//! `reveille lease …`

use super::api::{Api, print_json};
use super::table;
use crate::cli::{Global, Lease, Output};
use crate::failure::Failure;
use crate::out::put;
use serde_json::Value;

pub(crate) async fn command(global: &Global, command: Lease) -> Result<(), Failure> {
    let Lease::List = command;
    let document = Api::new(global).list("leases").await?;
    if global.output == Output::Json {
        print_json(&document);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = document
        .pointer("/items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|lease| {
            ["/address", "/mac", "/hostname", "/state", "/expires", "/subnet"]
                .map(|pointer| table::cell(lease, pointer))
                .to_vec()
        })
        .collect();
    put!("{}", table::render(&["ADDRESS", "MAC", "HOSTNAME", "STATE", "EXPIRES", "SUBNET"], &rows));
    Ok(())
}
