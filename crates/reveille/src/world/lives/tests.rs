use super::*;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use store::StoreOptions;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn arm() -> LifeEvent {
    LifeEvent::Arm { by: "alice".into(), image: None, expires: None, retries: 0 }
}

fn boots(boot: &str) -> LifeEvent {
    let image = boots::life::ImageRef { name: name("rescue"), version: None };
    LifeEvent::BootBegan { boot: boot.into(), image, destructive: false }
}

/// A flush that has read the life before it is deleted, as one that was under way.
#[test]
fn a_removed_host_is_not_written_again_with_its_arming() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(folder.path())).unwrap();
    let lives = Lives::load(store.clone()).unwrap();
    let (host, now) = (name("web"), UnixTime(1_000_000_000));
    lives.apply(now, &host, arm()).unwrap();
    // Observed only: it waits to be written.
    lives.apply(now, &host, boots("B1")).unwrap();
    assert!(lock(&lives.unwritten).contains(&host));
    thread::scope(|scope| {
        let (done, flushed) = mpsc::channel();
        let removed = lives.remove_with(std::slice::from_ref(&host), || {
            store.commit_blocking(Batch::new().delete(Table::Boots, life_key(&host)))?;
            let lives = &lives;
            scope.spawn(move || {
                lives.flush();
                let _ = done.send(());
            });
            // It would be done by now, were it not kept out.
            let _ = flushed.recv_timeout(Duration::from_millis(300));
            Ok::<(), CommitError>(())
        });
        removed.unwrap();
    });
    assert!(store.get(Table::Boots, &life_key(&host)).unwrap().is_none());
    assert!(lives.of(&host).is_none());
    // Recorded anew, it is armed by nobody.
    let (life, _) = lives.apply(now, &host, boots("B2")).unwrap();
    assert!(life.arming.is_none());
    store.close();
}

#[test]
fn a_host_that_could_not_be_removed_keeps_its_life() {
    let lives = Lives::in_memory();
    let host = name("web");
    lives.apply(UnixTime(1_000_000_000), &host, arm()).unwrap();
    assert_eq!(lives.remove_with(std::slice::from_ref(&host), || Err::<(), _>("full")), Err("full"));
    assert!(lives.of(&host).is_some_and(|life| life.arming.is_some()));
}
