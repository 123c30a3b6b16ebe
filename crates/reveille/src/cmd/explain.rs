//! `reveille explain`

use super::api::{Api, print_json};
use super::table;
use crate::cli::{Explain, Global, Output};
use crate::failure::{Exit, Failure};
use crate::out::put;
use serde_json::Value;

pub(crate) async fn command(global: &Global, asked: Explain) -> Result<(), Failure> {
    if let Some(file) = &asked.pcap {
        return super::capture::command(global, file, asked.packet).await;
    }
    let api = Api::new(global);
    if let Some(name) = &asked.name {
        return show(global, &api.get(&format!("hosts/{name}/explain")).await?.body);
    }
    let facts = asked.facts.pairs();
    if facts.iter().all(|(name, _)| *name == "arch") {
        return Err(Failure::new("R-CLI-02", "explain needs to know which machine")
            .fix("give --mac, --uuid, --serial or --name, or a capture with --pcap")
            .exit(Exit::Usage));
    }
    let query: Vec<String> =
        facts.into_iter().map(|(name, value)| format!("{name}={}", api.escape(&value))).collect();
    show(global, &api.get(&format!("explain?{}", query.join("&"))).await?.body)
}

fn show(global: &Global, document: &Value) -> Result<(), Failure> {
    if global.output == Output::Json {
        print_json(document);
    } else {
        put!("{}", text(document));
    }
    Ok(())
}

pub(super) fn text(document: &Value) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| text.push_str(&format!("{label:<12} {value}\n"));
    let facts: Vec<String> = document
        .pointer("/facts")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or_default()))
        .collect();
    line("MACHINE", &table::cell(document, "/host"));
    line("FACTS", &facts.join("   "));
    let boots = match (table::cell(document, "/boots"), document.pointer("/image").and_then(Value::as_str)) {
        (_, Some(image)) => format!("image {image}"),
        (boots, None) => boots,
    };
    line("WOULD BOOT", &format!("{boots}   (catalog generation {})", table::cell(document, "/generation")));
    for (at, reason) in
        document.pointer("/because").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let label = if at == 0 { "decision" } else { "" };
        line(label, &format!("{:>2} {}", at + 1, table::cell(reason, "/text")));
    }
    let list = |pointer: &str| document.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    for (at, rule) in list("/rules").enumerate() {
        let label = if at == 0 { "rules" } else { "" };
        line(label, &rule_line(rule));
    }
    for (at, value) in list("/values").enumerate() {
        let label = if at == 0 { "values" } else { "" };
        let owner = match table::cell(value, "/owner").as_str() {
            "-" => String::new(),
            owner => format!(" ({})", owner.strip_prefix("file:").unwrap_or(owner)),
        };
        let (key, from) = (table::cell(value, "/key"), table::cell(value, "/from"));
        line(label, &format!("{key} {} ← {from}{owner}", table::cell(value, "/value")));
    }
    for (at, run) in list("/bundle_runs").enumerate() {
        line(if at == 0 { "scripts" } else { "" }, &super::bundle::line(run));
    }
    for (at, step) in document.pointer("/steps").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let label = if at == 0 { "answers" } else { "" };
        line(label, &format!("{:<8} {}", table::cell(step, "/stage"), table::cell(step, "/answer")));
    }
    for (at, note) in document.pointer("/notes").and_then(Value::as_array).into_iter().flatten().enumerate() {
        line(if at == 0 { "notes" } else { "" }, note.as_str().unwrap_or_default());
    }
    table::harmless_lines(&text)
}

/// `20 r7xx-esxi yes  vendor=Dell ("Dell Inc."), model~R7.* ("PowerEdge R750") → image, template`
fn rule_line(rule: &Value) -> String {
    let answer = table::cell(rule, "/answer");
    let array = |pointer: &str| rule.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    // Of a rule that does not match, the terms that do not.
    let told = |term: &&Value| answer == "yes" || table::cell(term, "/answer") == answer;
    let terms: Vec<String> = array("/terms")
        .filter(told)
        .map(|term| {
            let has = match term.pointer("/has").and_then(Value::as_str) {
                Some(has) => format!("\"{has}\""),
                None if answer == "unknown" => "not asked yet".to_owned(),
                None => "nothing".to_owned(),
            };
            format!("{} ({has})", table::cell(term, "/term"))
        })
        .collect();
    let terms = if terms.is_empty() { "*".to_owned() } else { terms.join(", ") };
    let decides: Vec<&str> = array("/decides").filter_map(Value::as_str).collect();
    let decides = match (answer.as_str(), decides.is_empty()) {
        ("yes", true) => " → nothing, all of it is decided".to_owned(),
        (_, true) => String::new(),
        _ => format!(" → {}", decides.join(", ")),
    };
    format!("{:>4} {} {answer:<3} {terms}{decides}", table::cell(rule, "/order"), table::cell(rule, "/rule"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_names_machine_outcome_reasons_and_answers() {
        let document = json!({
            "host": "web01", "boots": "image", "image": "debian", "generation": 7,
            "facts": {"mac": "52:54:00:12:34:56"},
            "because": [{"text": "identity host `web01`", "matched": true}, {"text": "host pin image `debian`", "matched": true}],
            "steps": [{"stage": "rom", "answer": "loader undionly.kpxe"}],
            "notes": ["it needs memory", "and\u{1b}[2J COMBOOT"],
        });
        assert_eq!(
            text(&document),
            "MACHINE      web01\n\
             FACTS        mac 52:54:00:12:34:56\n\
             WOULD BOOT   image debian   (catalog generation 7)\n\
             decision      1 identity host `web01`\n              2 host pin image `debian`\n\
             answers      rom      loader undionly.kpxe\n\
             notes        it needs memory\n             and\u{fffd}[2J COMBOOT\n"
        );
    }
}
