//! A boot as one trace of OpenTelemetry, in OTLP/JSON (opentelemetry-proto 1.x, `ExportTraceServiceRequest`): the boot is the
//! root span, its steps are the spans below it, its events are events of the root.
//!
//! Ids are those of the boot: the ULID's 128 bits are the trace id, its low half is the root's span id, and the steps count on
//! from there. Two exports of one boot are the same spans.

use crate::failure::Failure;
use admin::view::{EventView, StepView, TraceView};
use serde_json::{Value, json};

/// `SPAN_KIND_INTERNAL`
const INTERNAL: u8 = 1;
/// `STATUS_CODE_OK`
const OK: u8 = 1;
/// `STATUS_CODE_ERROR`
const ERROR: u8 = 2;

/// The document.
///
/// # Errors
/// When the id of the boot is no ULID.
pub(super) fn document(trace: &TraceView) -> Result<Value, Failure> {
    let Some(trace_id) = &trace.trace_id else {
        return Err(Failure::new("R-TRC-02", format!("boot `{}` has no trace id", trace.id))
            .cause("its id is no ULID")
            .fix("use -o json"));
    };
    let root = root_id(trace_id);
    let span_id = |number: u64| format!("{:016x}", root.wrapping_add(number).max(1));
    let mut spans = vec![json!({
        "traceId": trace_id,
        "spanId": span_id(0),
        "name": "boot",
        "kind": INTERNAL,
        "startTimeUnixNano": nanos(trace, 0),
        "endTimeUnixNano": nanos(trace, trace.elapsed_ms),
        "attributes": attributes(boot_attributes(trace)),
        "events": trace.events.iter().map(|event| event_of(trace, event)).collect::<Vec<_>>(),
        "status": status(trace),
    })];
    for (step, number) in trace.steps.iter().zip(1..) {
        spans.push(json!({
            "traceId": trace_id,
            "spanId": span_id(number),
            "parentSpanId": span_id(0),
            "name": step.step,
            "kind": INTERNAL,
            "startTimeUnixNano": nanos(trace, step.at_ms),
            "endTimeUnixNano": nanos(trace, step.until_ms.max(step.at_ms)),
            "attributes": attributes(step_attributes(step)),
            "status": if step.step == "finding" { json!({ "code": ERROR, "message": step.text }) } else { json!({}) },
        }));
    }
    let service = attributes(vec![
        ("service.name", json!("reveille")),
        ("service.version", json!(env!("CARGO_PKG_VERSION"))),
    ]);
    Ok(json!({ "resourceSpans": [{
        "resource": { "attributes": service },
        "scopeSpans": [{ "scope": { "name": "reveille.boot" }, "spans": spans }],
    }] }))
}

fn root_id(trace_id: &str) -> u64 {
    trace_id.get(16..).and_then(|low| u64::from_str_radix(low, 16).ok()).unwrap_or(1)
}

fn nanos(trace: &TraceView, after_ms: u64) -> String {
    (u128::from(trace.started_ms) + u128::from(after_ms)).saturating_mul(1_000_000).to_string()
}

fn status(trace: &TraceView) -> Value {
    match (trace.outcome.as_deref(), trace.state.as_str()) {
        (Some("up"), _) => json!({ "code": OK }),
        (Some("failed"), _) | (None, "stuck" | "silent" | "refused") => {
            json!({ "code": ERROR, "message": trace.note })
        }
        _ => json!({}),
    }
}

fn boot_attributes(trace: &TraceView) -> Vec<(&'static str, Value)> {
    vec![
        ("reveille.boot_id", json!(trace.id)),
        ("host.name", json!(trace.host)),
        ("host.mac", json!(trace.mac.map(|mac| mac.to_string()))),
        ("host.id", json!(trace.uuid.map(|uuid| uuid.to_string()))),
        ("reveille.image", json!(trace.image)),
        ("reveille.armed_by", json!(trace.armed_by)),
        ("reveille.stage", json!(trace.stage)),
        ("reveille.outcome", json!(trace.outcome)),
        ("reveille.state", json!(trace.state)),
        ("reveille.note", json!(trace.note)),
        ("reveille.bytes", json!(trace.bytes)),
    ]
}

fn step_attributes(step: &StepView) -> Vec<(&'static str, Value)> {
    vec![
        ("reveille.text", json!(step.text)),
        ("reveille.count", json!(step.count)),
        ("reveille.bytes", json!(step.bytes)),
        ("reveille.why", json!(step.why)),
        ("reveille.fix", json!(step.fix)),
    ]
}

fn event_of(trace: &TraceView, event: &EventView) -> Value {
    let fixed =
        [("level", json!(event.level)), ("stage", json!(event.stage)), ("reason", json!(event.reason))];
    let mut fields: Vec<(&str, Value)> = fixed.to_vec();
    fields.extend(event.fields.iter().map(|(name, value)| (name.as_str(), value.clone())));
    json!({ "timeUnixNano": nanos(trace, event.at_ms), "name": event.event, "attributes": attributes(fields) })
}

/// Key and `AnyValue`; what is not there is left out. Numbers of 64 bits are text in OTLP/JSON.
fn attributes(fields: Vec<(&str, Value)>) -> Vec<Value> {
    let any = |value: Value| match value {
        Value::Null => None,
        Value::Bool(flag) => Some(json!({ "boolValue": flag })),
        Value::Number(number) if number.is_u64() => Some(json!({ "intValue": number.to_string() })),
        Value::Number(number) => Some(json!({ "doubleValue": number })),
        Value::String(text) => Some(json!({ "stringValue": text })),
        other => Some(json!({ "stringValue": other.to_string() })),
    };
    fields.into_iter().filter_map(|(key, value)| Some(json!({ "key": key, "value": any(value)? }))).collect()
}
