use super::*;
use types::{EventName, Facts, Stage};

fn numbered(bus: &EventBus, count: u64) {
    for number in 0..count {
        bus.record(Event::new(EventName::HttpFile).with("number", number));
    }
}

fn seqs(events: &[Arc<Stamped>]) -> Vec<u64> {
    events.iter().map(|stamped| stamped.seq).collect()
}

async fn next_seq(subscription: &mut Subscription) -> u64 {
    match subscription.next().await {
        Some(Next::Event(stamped)) => stamped.seq,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_is_one_flat_object_with_fixed_keys_first() {
    let facts = Facts {
        mac: Some("52:54:00:12:34:56".parse().unwrap()),
        guid: Some("11223344-5566-7788-99aa-bbccddeeff00".parse().unwrap()),
        interface: Some("eth0".into()),
        stage: Stage::Ipxe,
        ..Facts::default()
    };
    let event = Event::new(EventName::HttpFile)
        .of(&facts)
        .host(Some("web01".into()))
        .boot(Some("b1".into()))
        .because("client_closed")
        .with("file", "a\u{1b}[31m\nb")
        .with("bytes", 7)
        .with("host", "shadow");
    let stamped = Stamped { at_ms: 1_795_219_199_007, seq: 3, event };
    assert_eq!(
        serde_json::to_string(&stamped).unwrap(),
        concat!(
            r#"{"ts":"2026-11-20T23:59:59.007Z","seq":3,"level":"info","event":"http.file","mac":"52:54:00:12:34:56","#,
            r#""uuid":"11223344-5566-7788-99aa-bbccddeeff00","host":"web01","boot_id":"b1","iface":"eth0","stage":"ipxe","#,
            r#""reason":"client_closed","file":"a\u001b[31m\nb","bytes":7,"field_host":"shadow"}"#
        )
    );
}

#[test]
fn the_ring_keeps_the_last_events_only() {
    let bus = EventBus::new(3);
    numbered(&bus, 5);
    assert_eq!(seqs(&bus.recent(0)), [3, 4, 5]);
    assert_eq!(seqs(&bus.recent(4)), [5]);
    assert_eq!(bus.last(), 5);
}

#[tokio::test]
async fn following_a_position_gives_past_and_future_without_gap() {
    let bus = EventBus::new(10);
    numbered(&bus, 4);
    let mut subscription = bus.follow(Some(Position { epoch: Some(bus.epoch()), seq: 2 }));
    numbered(&bus, 1);
    for expected in [3, 4, 5] {
        assert_eq!(next_seq(&mut subscription).await, expected);
    }
    let mut fresh = bus.subscribe();
    numbered(&bus, 1);
    assert_eq!(next_seq(&mut fresh).await, 6);
}

#[tokio::test]
async fn a_position_that_is_gone_is_a_resync() {
    let bus = EventBus::new(3);
    numbered(&bus, 9);
    for position in [
        Position { epoch: None, seq: 5 },
        Position { epoch: None, seq: 10 },
        Position { epoch: Some(1), seq: 9 },
    ] {
        assert_eq!(bus.follow(Some(position)).next().await, Some(Next::Resync(9)), "{position:?}");
    }
    let mut edge = bus.follow(Some(Position { epoch: None, seq: 6 }));
    assert_eq!(next_seq(&mut edge).await, 7);
}

#[tokio::test]
async fn a_follower_that_lags_is_told_and_goes_on() {
    let bus = EventBus::new(10);
    let mut subscription = bus.subscribe();
    let many = FOLLOWER_EVENTS as u64 + 10;
    numbered(&bus, many);
    assert_eq!(subscription.next().await, Some(Next::Resync(10)));
    assert_eq!(next_seq(&mut subscription).await, 11);
}

#[test]
fn positions_are_a_number_or_epoch_and_number() {
    assert_eq!("7".parse(), Ok(Position { epoch: None, seq: 7 }));
    assert_eq!("1700-7".parse(), Ok(Position { epoch: Some(1700), seq: 7 }));
    for text in ["", "-", "x", "1-", "-1", "1-2-3", "99999999999999999999"] {
        assert_eq!(text.parse::<Position>(), Err(PositionParseError), "{text}");
    }
}

#[test]
fn control_bytes_a_terminal_would_obey_are_not_in_the_stream() {
    let event = Event::new(EventName::TftpRefused).with("file", "a\u{9b}2J\u{7f}\u{1b}[2J\nb");
    let line = serde_json::to_string(&Stamped { at_ms: 0, seq: 1, event }).unwrap();
    assert!(!line.chars().any(char::is_control), "{line}");
    assert!(line.contains("a\u{fffd}2J\u{fffd}\\u001b[2J\\nb"), "{line}");
}
