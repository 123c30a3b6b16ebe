use super::*;

fn trace() -> TraceView {
    let step = |at_ms: u64, until_ms: u64, step: &str, text: &str| StepView {
        at_ms,
        until_ms,
        step: step.to_owned(),
        text: text.to_owned(),
        count: 1,
        level: "info".to_owned(),
        ..StepView::default()
    };
    TraceView {
        id: "01JD0000000000000000000007".to_owned(),
        trace_id: Some("0193a000000000000000000000000007".to_owned()),
        host: Some("esx-r12-07".to_owned()),
        image: Some("esxi-8".to_owned()),
        armed_by: Some("alice".to_owned()),
        stage: "kernel".to_owned(),
        state: "running".to_owned(),
        note: "within usual time (usual 190–260 s for this image)".to_owned(),
        started: "2026-11-20T23:59:59.007Z".to_owned(),
        started_ms: 1_795_219_199_007,
        elapsed_ms: 221_000,
        steps: vec![
            step(0, 0, "discover", "PXE ROM via relay 10.4.0.1"),
            StepView {
                bytes: Some(174_000),
                tail: "blksize 1468".to_owned(),
                ..step(310, 400, "tftp", "snponly.efi")
            },
            StepView {
                bytes: Some(606_000_000),
                rate: Some(212_000_000),
                count: 147,
                ..step(3_020, 5_900, "http", "147 files")
            },
            StepView {
                why: Some("w".to_owned()),
                fix: Some("f".to_owned()),
                level: "warn".to_owned(),
                ..step(120_500, 120_500, "finding", "it stopped")
            },
        ],
        events: vec![admin::view::EventView {
            at_ms: 0,
            event: "dhcp.discover".to_owned(),
            level: "info".to_owned(),
            stage: Some("rom".to_owned()),
            reason: None,
            fields: [
                ("xid".to_owned(), json!("00000001")),
                ("bytes".to_owned(), json!(3)),
                ("proxy".to_owned(), json!(true)),
            ]
            .into(),
        }],
        ..TraceView::default()
    }
}

#[test]
fn a_boot_for_people() {
    assert_eq!(
        text(&trace()),
        "boot 01JD0000000000000000000007  esx-r12-07  armed by alice  image esxi-8  2026-11-20T23:59:59.007Z\n  \
         +0.00    discover   PXE ROM via relay 10.4.0.1\n  \
         +0.31    tftp       snponly.efi  174 kB  blksize 1468\n  \
         +3.02    http       147 files  606 MB  212 MB/s\n\
         ! +120.5   finding    it stopped\n                      why  w\n                      fix  f\n  \
         3:41     running    within usual time (usual 190–260 s for this image)\n"
    );
}

#[test]
fn a_boot_is_one_trace_with_a_span_for_each_step() {
    let document = otlp::document(&trace()).unwrap();
    let spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 5);
    let root = &spans[0];
    assert_eq!(root["traceId"], "0193a000000000000000000000000007");
    assert_eq!((&root["spanId"], root.get("parentSpanId")), (&json!("0000000000000007"), None));
    assert_eq!(root["startTimeUnixNano"], "1795219199007000000");
    assert_eq!(root["endTimeUnixNano"], "1795219420007000000");
    let event = &root["events"][0];
    assert_eq!(
        (&event["name"], &event["timeUnixNano"]),
        (&json!("dhcp.discover"), &json!("1795219199007000000"))
    );
    let attributes = event["attributes"].as_array().unwrap();
    assert!(attributes.contains(&json!({"key": "bytes", "value": {"intValue": "3"}})), "{attributes:?}");
    assert!(attributes.contains(&json!({"key": "proxy", "value": {"boolValue": true}})), "{attributes:?}");
    let mut ids = std::collections::BTreeSet::new();
    for span in spans {
        assert_eq!(span["traceId"], root["traceId"]);
        assert!(ids.insert(span["spanId"].as_str().unwrap().to_owned()), "span ids are unique");
        assert!(span == root || span["parentSpanId"] == root["spanId"]);
    }
    assert_eq!(
        (&spans[3]["name"], &spans[3]["endTimeUnixNano"]),
        (&json!("http"), &json!("1795219204907000000"))
    );
    assert_eq!(spans[4]["status"], json!({"code": 2, "message": "it stopped"}));
    let unnamed = TraceView { trace_id: None, ..trace() };
    assert_eq!(otlp::document(&unnamed).unwrap_err().code, "R-TRC-02");
}

#[test]
fn offsets_and_clocks_are_short() {
    let cases = [(0, "0.00"), (310, "0.31"), (99_994, "99.99"), (221_000, "221.0")];
    assert!(cases.iter().all(|(ms, text)| offset(*ms) == *text));
    assert_eq!(
        (clock(42_999), clock(221_000), clock(3_723_000)),
        ("0:42".into(), "3:41".into(), "1:02:03".into())
    );
}
