//! `reveille simulate`

use super::api::{Api, print_json};
use super::table;
use crate::cli::{Global, Output, Simulate};
use crate::failure::{Exit, Failure};
use crate::out::put;
use serde_json::{Map, Value, json};

/// Files shown of an image; the rest is in the sum.
const FILES_SHOWN: usize = 8;

pub(crate) async fn command(global: &Global, asked: &Simulate) -> Result<(), Failure> {
    let mut facts: Map<String, Value> =
        asked.facts.pairs().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    if facts.is_empty() && asked.host.is_none() {
        return Err(Failure::new("R-CLI-02", "simulate needs to know which machine")
            .fix("give --host, or --mac and --firmware")
            .exit(Exit::Usage));
    }
    if asked.ipxe {
        facts.insert("stage".to_owned(), json!("ipxe"));
    }
    let request = json!({
        "host": asked.host,
        "facts": facts,
        "http_boot": asked.http_boot,
        "working_rules": asked.working_rules,
    });
    let document = Api::new(global).post("simulate", &request).await?;
    match global.output {
        Output::Json => print_json(&document),
        Output::Table | Output::Otlp => put!("{}", text(&document, asked.verbose)),
    }
    Ok(())
}

/// A simulation for people.
pub(super) fn text(document: &Value, verbose: bool) -> String {
    let mut text = String::new();
    let facts = document.pointer("/facts").and_then(Value::as_object).into_iter().flatten();
    let facts: Vec<String> =
        facts.map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or_default())).collect();
    text.push_str(&format!("{:<12} {}\n", "MACHINE", table::cell(document, "/host")));
    text.push_str(&format!("{:<12} {}\n", "FACTS", facts.join("   ")));
    let (rules, generation) = (table::cell(document, "/rules"), table::cell(document, "/generation"));
    text.push_str(&format!("{:<12} {rules}   (catalog generation {generation})\n", "RULES"));
    let steps = document.pointer("/steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut files = Files::default();
    for step in steps {
        match files.takes(step) {
            Some(true) => continue,
            Some(false) => {}
            None => text.push_str(&files.rest()),
        }
        text.push_str(&line(step));
        details(&mut text, step, verbose);
    }
    text.push_str(&files.rest());
    for note in document.pointer("/notes").and_then(Value::as_array).into_iter().flatten() {
        text.push_str(&format!("{:<12} {}\n", "note", note.as_str().unwrap_or_default()));
    }
    let because = document.pointer("/explanation/because").and_then(Value::as_array).into_iter().flatten();
    for (at, reason) in because.enumerate() {
        let label = if at == 0 { "decision" } else { "" };
        text.push_str(&format!("{label:<12} {:>2} {}\n", at + 1, table::cell(reason, "/text")));
    }
    if table::cell(document, "/boots") != "asked" {
        text.push_str(&format!("{:<12} {}\n", "WOULD BOOT", table::cell(document, "/conclusion")));
    }
    table::harmless_lines(&text)
}

fn line(step: &Value) -> String {
    let cell = |pointer: &str| table::cell(step, pointer);
    let mark = if step.get("ok") == Some(&Value::Bool(true)) { " " } else { "!" };
    format!("{mark} {:<8} {:<5} {:<34} → {}\n", cell("/stage"), cell("/door"), cell("/asks"), cell("/answer"))
}

fn details(text: &mut String, step: &Value, verbose: bool) {
    let mut more = |label: &str, value: &str| text.push_str(&format!("{:17}{label:<20} {value}\n", ""));
    for because in step.pointer("/because").and_then(Value::as_array).into_iter().flatten() {
        more("because", because.as_str().unwrap_or_default());
    }
    if let Some(reply) = step.get("reply") {
        for (label, key) in
            [("to", "to"), ("next server", "siaddr"), ("server name", "sname"), ("file", "file")]
        {
            if let Some(value) = reply.get(key).and_then(Value::as_str).filter(|_| verbose || key == "siaddr")
            {
                more(label, value);
            }
        }
        for option in reply.pointer("/options").and_then(Value::as_array).into_iter().flatten() {
            let code = table::cell(option, "/code");
            if verbose || matches!(code.as_str(), "43" | "60" | "66" | "67" | "175") {
                more(&format!("{code:>3} {}", table::cell(option, "/name")), &table::cell(option, "/value"));
            }
        }
    }
    if let (true, Some(script)) = (verbose, step.get("text").and_then(Value::as_str)) {
        for line in script.lines() {
            text.push_str(&format!("{:17}│ {line}\n", ""));
        }
    }
}

/// Files that follow each other and were all given: the first ones by name, the rest in one line.
#[derive(Default)]
struct Files {
    count: usize,
    bytes: u64,
    hidden: usize,
}

impl Files {
    /// Whether this step is only counted; `None` when it is no such file.
    fn takes(&mut self, step: &Value) -> Option<bool> {
        let payload =
            matches!(step.get("role").and_then(Value::as_str), Some("kernel" | "initrd" | "module" | "file"));
        if !payload || step.get("ok") != Some(&Value::Bool(true)) {
            return None;
        }
        self.count += 1;
        self.bytes += step.get("bytes").and_then(Value::as_u64).unwrap_or(0);
        if self.count > FILES_SHOWN {
            self.hidden += 1;
        }
        Some(self.count > FILES_SHOWN)
    }

    /// The line for those, and a new count.
    fn rest(&mut self) -> String {
        let own = std::mem::take(self);
        match own.hidden {
            0 => String::new(),
            hidden => {
                format!(
                    "  {:<8} {:<5} … and {hidden} more: {} files, {} in all\n",
                    "",
                    "",
                    own.count,
                    table::size(own.bytes)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_reads_from_discover_to_the_end() {
        let file = |number: u64| {
            json!({"stage": "loader", "door": "http", "asks": format!("/esxi/{number}"), "answer": "module 1 B", "ok": true,
                "role": "module", "bytes": number})
        };
        let mut steps = vec![
            json!({"stage": "rom", "door": "dhcp", "asks": "DISCOVER on eth0", "answer": "OFFER 10.0.0.9, x", "ok": true,
            "reply": {"siaddr": "10.0.0.1", "options": [{"code": 3, "name": "router", "value": "10.0.0.1"},
                {"code": 67, "name": "boot file", "value": "x"}]}}),
        ];
        steps.extend((1..=12).map(file));
        steps.push(json!({"stage": "loader", "door": "http", "asks": "/b", "answer": "refused", "ok": false, "because": ["not armed"]}));
        let document = json!({"host": "web01", "facts": {"mac": "x"}, "rules": "in force", "generation": 3, "steps": steps,
            "notes": ["a\u{1b}[2J"], "boots": "nothing", "conclusion": "it boots nothing of ours: x"});
        let text = text(&document, false);
        assert!(
            text.contains("  rom      dhcp  DISCOVER on eth0                   → OFFER 10.0.0.9, x\n"),
            "{text}"
        );
        assert!(text.contains(" 67 boot file") && !text.contains("router"), "{text}");
        assert!(text.contains("… and 4 more: 12 files, 78 B in all"), "{text}");
        assert!(
            text.contains("! loader   http  /b") && text.contains("because              not armed"),
            "{text}"
        );
        assert!(
            text.ends_with("WOULD BOOT   it boots nothing of ours: x\n") && !text.contains('\u{1b}'),
            "{text}"
        );
    }
}
