//! Webhooks on loopback: what arrives, and what becomes of it when the receiver is not at its best.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod rig;

use hooks::SecretRef;
use hooks::brain::Counts;
use reveille_hooks as hooks;
use rig::{Answer, PATIENCE, Receiver, Rig, notice, seen, until, web, web_with};
use sha2::{Digest as _, Sha256};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};
use types::resource::TemplateKind;
use types::{Event, EventName};

/// HMAC-SHA256 by RFC 2104 itself, not by the code under test.
fn hmac(key: &[u8], text: &[u8]) -> String {
    let mut block = [0u8; 64];
    match key.len() {
        0..=64 => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::digest([pad(0x36).as_slice(), text].concat());
    let outer = Sha256::digest([pad(0x5c).as_slice(), inner.as_slice()].concat());
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counts(rig: &Rig) -> Counts {
    rig.hooks.states()[0].counts
}

async fn settled(rig: &Rig) -> Counts {
    until("the hook has nothing left", || {
        let state = &rig.hooks.states()[0];
        state.waiting == 0 && state.counts.offered > 0
    })
    .await;
    counts(rig)
}

#[tokio::test]
async fn an_event_arrives_signed_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "correct horse\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let receiver = Receiver::start(&[Answer::status("204 No Content")]).await;
    let rig = Rig::start(vec![web_with(&receiver.url, Some(SecretRef::File(key)))]);
    rig.hooks.offer(seen(7));
    let counts = settled(&rig).await;
    assert_eq!((counts.delivered, counts.failed, counts.tries), (1, 0, 1));
    let asked = &receiver.asked()[0];
    assert_eq!(asked.line, "POST /hook/secret-path?token=secret-query HTTP/1.1");
    assert_eq!(asked.fields["content-type"], "application/json");
    assert_eq!(asked.fields["reveille-event"], "host.seen");
    assert!(asked.fields["reveille-delivery"].ends_with("-7-web"));
    assert_eq!(asked.body, br#"{"seq":7,"event":"host.seen"}"#);
    let stamp = &asked.fields["reveille-timestamp"];
    let signed = [stamp.as_bytes(), b".", &asked.body].concat();
    assert_eq!(asked.fields["reveille-signature"], format!("v1={}", hmac(b"correct horse", &signed)));
    rig.stop().await;
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed_and_with_one_that_is_not_there_nothing_is_sent() {
    let receiver = Receiver::start(&[Answer::status("200 OK")]).await;
    let rig = Rig::start(vec![web(&receiver.url)]);
    rig.hooks.offer(seen(1));
    settled(&rig).await;
    assert!(!receiver.asked()[0].fields.contains_key("reveille-signature"));

    let nowhere = SecretRef::File("/nowhere/key".into());
    let rig = Rig::start(vec![web_with(&receiver.url, Some(nowhere))]);
    rig.hooks.offer(seen(2));
    assert_eq!(settled(&rig).await.failed, 1);
    assert_eq!(receiver.asked().len(), 1);
    assert_eq!(rig.recorded()[0].reason, Some("no_secret"));
}

#[tokio::test]
async fn a_receiver_that_stumbles_is_asked_again_with_the_same_delivery_and_in_order() {
    let receiver =
        Receiver::start(&[Answer::status("500 Oops"), Answer::Closes, Answer::status("200 OK")]).await;
    let rig = Rig::start(vec![web(&receiver.url).retries(3)]);
    rig.hooks.offer(seen(1));
    rig.hooks.offer(seen(2));
    let counts = settled(&rig).await;
    assert_eq!((counts.delivered, counts.failed, counts.tries), (2, 0, 4));
    let asked = receiver.asked();
    let ids: Vec<&String> = asked.iter().map(|asked| &asked.fields["reveille-delivery"]).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    assert!(asked[3].body.starts_with(br#"{"seq":2"#));
    assert!(rig.recorded().is_empty());
    assert_eq!(rig.hooks.states()[0].last_error, None);
    rig.stop().await;
}

#[tokio::test]
async fn a_receiver_that_says_when_is_left_alone_until_then() {
    let receiver =
        Receiver::start(&[Answer::with("503 Busy", "Retry-After: 3\r\n"), Answer::status("200 OK")]).await;
    let rig = Rig::start(vec![web(&receiver.url).retries(1)]);
    rig.hooks.offer(seen(1));
    assert_eq!(settled(&rig).await.delivered, 1);
    let asked = receiver.asked();
    // Our own pause would be one second at most.
    assert!(asked[1].at - asked[0].at >= Duration::from_millis(2900));
}

#[tokio::test]
async fn what_will_not_pass_is_given_up_at_once_and_told() {
    let elsewhere = Receiver::start(&[Answer::status("200 OK")]).await;
    let to = format!("Location: {}\r\n", elsewhere.url);
    for (answer, reason) in [
        (Answer::status("403 Forbidden"), "server_refused"),
        (Answer::with("307 Elsewhere", &to), "redirect_refused"),
        (Answer::Endless, "too_large"),
    ] {
        let receiver = Receiver::start(std::slice::from_ref(&answer)).await;
        let rig = Rig::start(vec![web(&receiver.url).retries(5)]);
        rig.hooks.offer(seen(1));
        let counts = settled(&rig).await;
        assert_eq!((counts.failed, counts.tries), (1, 1), "{answer:?}");
        until("it is told", || !rig.recorded().is_empty()).await;
        let told = rig.recorded();
        assert_eq!((told[0].name, told[0].reason), (EventName::HookFailed, Some(reason)));
        let said = format!("{told:?} {:?}", rig.hooks.states());
        assert!(!said.contains("secret-path") && !said.contains("secret-query"), "{said}");
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_receiver_that_hangs_does_not_hold_it_for_ever() {
    let receiver = Receiver::start(&[Answer::Hangs]).await;
    let rig = Rig::start(vec![web(&receiver.url).timeout(Duration::from_millis(300))]);
    rig.hooks.offer(seen(1));
    assert_eq!(settled(&rig).await.failed, 1);
    until("it is told", || !rig.recorded().is_empty()).await;
    assert_eq!(rig.recorded()[0].reason, Some("server_silent"));
}

#[tokio::test]
async fn nobody_at_home_is_told_without_the_path() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-path", listener.local_addr().unwrap());
    drop(listener);
    let rig = Rig::start(vec![web(&url)]);
    rig.hooks.offer(seen(1));
    assert_eq!(settled(&rig).await.failed, 1);
    until("it is told", || !rig.recorded().is_empty()).await;
    let said = format!("{:?}", rig.recorded());
    assert!(said.contains("server_unreachable") && !said.contains("secret-path"), "{said}");
}

#[tokio::test]
async fn a_body_of_ones_own_is_rendered_and_one_that_is_no_json_is_never_sent() {
    let receiver = Receiver::start(&[Answer::status("200 OK")]).await;
    let text = r#"{"text": "{{ event.name }} of {{ event.fields.serial }} at {{ site }}"}"#;
    let rig = Rig::start(vec![web(&receiver.url).retries(5).body(TemplateKind::Json, text).unwrap()]);
    let event = Event::new(EventName::HostSeen).with("serial", "\"}, {\"a\": \"");
    rig.hooks.offer(notice(1, event));
    // This one lacks the field.
    rig.hooks.offer(seen(2));
    let counts = settled(&rig).await;
    assert_eq!((counts.delivered, counts.failed, counts.tries), (1, 1, 2));
    let body: serde_json::Value = serde_json::from_slice(&receiver.asked()[0].body).unwrap();
    assert_eq!(body["text"], "host.seen of \"}, {\"a\": \" at lab");
    assert_eq!(rig.recorded()[0].reason, Some("template"));

    let rig = Rig::start(vec![web(&receiver.url).body(TemplateKind::Json, "{{ event.name }}").unwrap()]);
    rig.hooks.offer(seen(3));
    assert_eq!(settled(&rig).await.failed, 1);
    assert_eq!(receiver.asked().len(), 1);
}

#[tokio::test]
async fn events_of_hooks_start_no_hook() {
    let receiver = Receiver::start(&[Answer::status("200 OK")]).await;
    let rig = Rig::start(vec![web(&receiver.url)]);
    for name in [EventName::HookFailed, EventName::HookDropped, EventName::HookTest] {
        assert!(!rig.hooks.wants(name));
        rig.hooks.offer(notice(1, Event::new(name)));
    }
    assert_eq!(counts(&rig).offered, 0);
    rig.stop().await;
    assert!(receiver.asked().is_empty());
}

#[tokio::test]
async fn a_slow_receiver_slows_nobody_and_what_it_loses_is_told() {
    let receiver = Receiver::start(&[Answer::Hangs]).await;
    let rig = Rig::start(vec![web(&receiver.url)]);
    let begun = Instant::now();
    let many = 3 * hooks::limits::QUEUE_MAX as u64;
    for seq in 0..many {
        rig.hooks.offer(seen(seq));
    }
    assert!(begun.elapsed() < PATIENCE);
    until("the loss is told", || rig.recorded().iter().any(|event| event.name == EventName::HookDropped))
        .await;
    let state = &rig.hooks.states()[0];
    assert_eq!(state.counts.offered, many);
    assert_eq!(state.counts.dropped + state.waiting as u64, many);
    assert!(state.waiting <= hooks::limits::QUEUE_MAX + 1);
    rig.hooks.missed(5);
    assert_eq!(counts(&rig).missed, 5);
    // It ends although the receiver does not.
    rig.stop().await;
}

#[tokio::test]
async fn what_waits_at_the_end_is_still_sent() {
    let receiver = Receiver::start(&[Answer::status("200 OK")]).await;
    let rig = Rig::start(vec![web(&receiver.url)]);
    for seq in 0..20 {
        rig.hooks.offer(seen(seq));
    }
    rig.stop().await;
    assert_eq!(receiver.asked().len(), 20);
}

#[tokio::test]
async fn a_test_goes_to_its_hook_only_and_past_its_line() {
    let receiver = Receiver::start(&[Answer::status("200 OK"), Answer::status("401 No")]).await;
    let rig = Rig::start(vec![web(&receiver.url)]);
    let made_up = notice(0, Event::new(EventName::HookTest));
    assert!(rig.hooks.test("nobody", &made_up).await.is_none());
    assert!(rig.hooks.test("web", &made_up).await.unwrap().is_delivered());
    let tried = rig.hooks.test("web", &made_up).await.unwrap();
    assert_eq!((tried.is_delivered(), tried.words.as_str()), (false, "it answers 401 Unauthorized"));
    assert_eq!(counts(&rig), Counts::default());
    assert_eq!(receiver.asked()[0].fields["reveille-event"], "hook.test");
}
