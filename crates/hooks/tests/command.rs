//! Commands: what they are given, and how they end.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod rig;

use hooks::{Hook, Target};
use reveille_hooks as hooks;
use rig::{Rig, all, notice, seen, until};
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::{Event, EventName};

/// A script of this folder, and where it may write.
fn script(folder: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("script");
    let text = format!("#!/bin/sh\nOUT={}\n{text}", folder.display());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn command(program: PathBuf, arguments: &[&str]) -> Hook {
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    Hook::new("cmd", all(), Target::Command { program }).arguments(&arguments).unwrap()
}

async fn settled(rig: &Rig) -> hooks::State {
    until("the hook has nothing left", || {
        let state = &rig.hooks.states()[0];
        state.waiting == 0 && state.counts.offered > 0
    })
    .await;
    rig.hooks.states().remove(0)
}

/// Whether a process is there and no zombie.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn arguments_arrive_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"for one in "$@"; do printf '%s\0' "$one"; done > $OUT/arguments; cat > $OUT/input; env > $OUT/environment"#;
    let hostile = "a 'b' \"c\"\n; touch x $(id) `id` | & > * \\ -é ${HOME}";
    let arguments =
        ["plain", "{{ event.fields.serial }}", "<{{ event.fields.serial }}>", "", "--name={{ event.name }}"];
    let rig = Rig::start(vec![command(script(folder.path(), text), &arguments)]);
    rig.hooks.offer(notice(3, Event::new(EventName::HostSeen).with("serial", hostile)));
    assert_eq!(settled(&rig).await.counts.delivered, 1);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let wrapped = format!("<{hostile}>");
    let arrived = read("arguments");
    let arrived: Vec<&str> = arrived.trim_end_matches('\0').split('\0').collect();
    assert_eq!(arrived, ["plain", hostile, &wrapped, "", "--name=host.seen"]);
    assert_eq!(read("input"), r#"{"seq":3,"event":"host.seen"}"#);
    let environment = read("environment");
    let mut names: Vec<&str> = environment.lines().filter_map(|line| line.split('=').next()).collect();
    // Shells add these.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["PATH", "REVEILLE_DELIVERY", "REVEILLE_EVENT", "REVEILLE_HOOK"]);
}

#[tokio::test]
async fn a_command_that_does_not_end_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let text = "sleep 600 & echo $! > $OUT/child; echo $$ > $OUT/own; trap '' TERM; sleep 600";
    let hook = command(script(folder.path(), text), &[]).timeout(Duration::from_secs(2));
    let rig = Rig::start(vec![hook]);
    rig.hooks.offer(seen(1));
    assert_eq!(settled(&rig).await.counts.failed, 1);
    until("it is told", || !rig.recorded().is_empty()).await;
    assert_eq!(rig.recorded()[0].reason, Some("command_silent"));
    for name in ["child", "own"] {
        let pid = std::fs::read_to_string(folder.path().join(name)).unwrap();
        until("it is gone", || !lives(&pid)).await;
    }
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it_and_holds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let text = "sleep 600 & echo $! > $OUT/child; exit 0";
    let rig = Rig::start(vec![command(script(folder.path(), text), &[])]);
    rig.hooks.offer(seen(1));
    assert_eq!(settled(&rig).await.counts.delivered, 1);
    let pid = std::fs::read_to_string(folder.path().join("child")).unwrap();
    until("it is gone", || !lives(&pid)).await;
}

#[tokio::test]
async fn an_appliance_that_stops_leaves_no_command_behind() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    let text = "echo $$ > $OUT/new; mv $OUT/new $OUT/own; sleep 600";
    let rig = Rig::start(vec![command(script(folder.path(), text), &[]).timeout(Duration::from_secs(300))]);
    rig.hooks.offer(seen(1));
    until("it runs", || own.exists()).await;
    let pid = std::fs::read_to_string(&own).unwrap();
    assert!(lives(&pid));
    rig.stop().await;
    until("it is gone", || !lives(&pid)).await;
}

#[tokio::test]
async fn output_without_end_is_bounded_and_does_not_stop_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let text = "head -c 5000000 /dev/zero | tr '\\0' x >&2; exit 3";
    let rig = Rig::start(vec![command(script(folder.path(), text), &[])]);
    rig.hooks.offer(seen(1));
    let state = settled(&rig).await;
    assert_eq!((state.counts.failed, state.counts.tries), (1, 1));
    let said = state.last_error.unwrap();
    assert!(said.starts_with("it ended with exit status: 3 and said: xxx"), "{said}");
    assert!(said.chars().count() <= hooks::limits::WORDS_CHARS_MAX);
}

#[tokio::test]
async fn a_command_that_fails_is_tried_again_when_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let text = "cat > /dev/null; test -e $OUT/second && exit 0; touch $OUT/second; exit 1";
    let rig = Rig::start(vec![command(script(folder.path(), text), &[]).retries(1)]);
    rig.hooks.offer(seen(1));
    let counts = settled(&rig).await.counts;
    assert_eq!((counts.delivered, counts.tries), (1, 2));
}

#[tokio::test]
async fn what_cannot_be_started_is_told() {
    let rig = Rig::start(vec![command("/nowhere/at/all".into(), &[]).retries(5)]);
    rig.hooks.offer(seen(1));
    let counts = settled(&rig).await.counts;
    assert_eq!((counts.failed, counts.tries), (1, 1));
    until("it is told", || !rig.recorded().is_empty()).await;
    assert_eq!(rig.recorded()[0].reason, Some("not_started"));

    let rig = Rig::start(vec![command("/bin/true".into(), &["{{ event.fields.serial }}"])]);
    rig.hooks.offer(notice(1, Event::new(EventName::HostSeen).with("serial", "a\0b")));
    assert_eq!(settled(&rig).await.counts.failed, 1);
    until("it is told", || !rig.recorded().is_empty()).await;
    assert_eq!(rig.recorded()[0].reason, Some("template"));
}
