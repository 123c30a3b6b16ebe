//! `reveille boot …`

use super::api::{Api, print_json};
use super::table;
use crate::cli::{Boot, Global, Output};
use crate::failure::Failure;
use crate::out::put;
use serde_json::Value;

pub(crate) async fn command(global: &Global, command: Boot) -> Result<(), Failure> {
    let Boot::List = command;
    let document = Api::new(global).list("boots").await?;
    if global.output == Output::Json {
        print_json(&document);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = document
        .pointer("/items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|boot| {
            ["/mac", "/host", "/image", "/stage", "/started", "/id"]
                .map(|pointer| table::cell(boot, pointer))
                .to_vec()
        })
        .collect();
    put!("{}", table::render(&["MAC", "HOST", "IMAGE", "STAGE", "STARTED", "BOOT"], &rows));
    Ok(())
}
