//! Any text as an operator's template, of the kind the first byte chooses, rendered for one host: no panic, no more than the
//! limits allow, the same bytes each time, and no word of what is secret in a fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use render::template::limits::{FAULTS_MAX, OUTPUT_BYTES_MAX, TEMPLATE_BYTES_MAX};
use render::template::{TemplateFault, Values, compile};
use std::sync::OnceLock;
use types::resource::{Host, Image, ImageKind, TemplateKind};

const KINDS: [TemplateKind; 8] = [
    TemplateKind::EsxiKickstart,
    TemplateKind::Kickstart,
    TemplateKind::Preseed,
    TemplateKind::UserData,
    TemplateKind::Json,
    TemplateKind::Unattend,
    TemplateKind::Text,
    // The last, so that the seeds of the others stay theirs.
    TemplateKind::Shell,
];

/// A value that no fault may show.
const SECRET: &str = "hunter2-Zq7";

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_first() else { return };
    let kind = KINDS[usize::from(*choice) % KINDS.len()];
    let text = String::from_utf8_lossy(text);
    let knows = text.contains(SECRET);
    let template = match compile("own", kind, &text) {
        Ok(template) => template,
        Err(fault) => return told(&fault, knows),
    };
    assert!(text.len() <= TEMPLATE_BYTES_MAX && template.text() == text);
    let rendered = template.render(values());
    let faults = template.check(values());
    assert!(faults.len() <= FAULTS_MAX);
    for fault in rendered.as_ref().err().into_iter().chain(&faults) {
        told(fault, knows);
    }
    assert_eq!(rendered, template.render(values()), "not the same twice");
    assert_eq!(rendered.is_ok(), faults.is_empty(), "{rendered:?} {faults:?}");
    if let Ok(rendered) = rendered {
        assert!(rendered.len() <= OUTPUT_BYTES_MAX);
        if kind == TemplateKind::Json {
            serde_json::from_str::<serde_json::Value>(&rendered).expect("JSON");
        }
    }
    // A host that has nothing: what is optional was written so.
    for fault in template.check(&Values::default()) {
        told(&fault, knows);
    }
});

fn told(fault: &TemplateFault, knows: bool) {
    let text =
        format!("{fault} {} {}", fault.fix.as_deref().unwrap_or(""), fault.variable.as_deref().unwrap_or(""));
    assert!(!fault.message.is_empty());
    assert!(knows || !text.contains(SECRET), "{text}");
}

fn values() -> &'static Values {
    static VALUES: OnceLock<Values> = OnceLock::new();
    VALUES.get_or_init(|| {
        let host: Host = serde_json::from_value(serde_json::json!({
            "name": "web01",
            "match": { "mac": "52:54:00:12:34:56", "serial": "A1" },
            "params": {
                "ntp": "192.0.2.5", "dns": "192.0.2.6,192.0.2.7", "vlan": "12", "root": SECRET,
                "lines": "one\ntwo: 'three' \"four\" </five>", "ntp-server": "#{% x %}", "empty": "",
            },
        }))
        .expect("a host");
        let image = Image::new("esxi-8".parse().expect("a name"), ImageKind::Esxi);
        Values::preview(&host, Some(&image))
    })
}
