//! When what could not be fetched is tried again, and when no more.

use super::*;
use std::sync::Mutex;
use types::resource::ImageKind;

const DEADLINE: Duration = Duration::from_secs(60);
/// Nobody waits for the next round where this is given.
const LONG: Duration = Duration::from_secs(24 * 3600);
const SHORT: Duration = Duration::from_millis(1);

fn wanted(name: &str) -> Wanted {
    let origin = "https://mirror.example/x.iso".parse().unwrap();
    Wanted { image: Image::new(name.parse().unwrap(), ImageKind::Linux), origin, cancel: Arc::default() }
}

/// Fetches these until nothing is left to do; gives who was tried in turn. `during` is told how many tries there were.
async fn tried(
    wanted: Vec<Wanted>,
    stopping: watch::Receiver<bool>,
    wait: Duration,
    during: impl Fn(&Wanted, usize) -> bool + Clone + Send + 'static,
) -> Vec<String> {
    let tried = Arc::new(Mutex::new(Vec::new()));
    let log = tried.clone();
    let bring = move |wanted: &Wanted| {
        let tries = {
            let mut log = log.lock().unwrap();
            log.push(wanted.image.name.to_string());
            log.len()
        };
        during(wanted, tries)
    };
    tokio::time::timeout(DEADLINE, fetch(wanted, stopping, wait, bring)).await.expect("it ends");
    tried.lock().unwrap().clone()
}

#[tokio::test]
async fn what_may_go_better_is_tried_again_in_rounds() {
    let (_stop, stopping) = watch::channel(false);
    let both = vec![wanted("one"), wanted("two")];
    let tried =
        tried(both, stopping, SHORT, |wanted, tries| wanted.image.name.as_str() == "two" && tries < 4).await;
    assert_eq!(tried, ["one", "two", "two", "two"]);
}

#[tokio::test]
async fn an_image_cancelled_between_tries_is_not_tried_again() {
    let (_stop, stopping) = watch::channel(false);
    let both = vec![wanted("one"), wanted("two")];
    let cancel = both[0].cancel.clone();
    // While the first waits for its next try.
    let tried = tried(both, stopping, SHORT, move |_, tries| {
        cancel.fetch_or(tries == 2, Ordering::Relaxed);
        tries < 4
    })
    .await;
    assert_eq!(tried, ["one", "two", "two", "two"]);
}

#[tokio::test]
async fn stopping_ends_the_wait_and_begins_nothing() {
    let (stop, stopping) = watch::channel(false);
    let (was_tried, mut hears) = watch::channel(false);
    let during = move |_: &Wanted, _| was_tried.send(true).is_ok();
    let during = Arc::new(during);
    let during = move |wanted: &Wanted, tries| during(wanted, tries);
    let stopper = async {
        hears.wait_for(|tried| *tried).await.unwrap();
        stop.send(true).unwrap();
    };
    let (once, ()) = tokio::join!(tried(vec![wanted("one")], stopping.clone(), LONG, during), stopper);
    assert_eq!(once, ["one"]);
    assert!(tried(vec![wanted("one")], stopping, LONG, |_, _| true).await.is_empty());
}

#[tokio::test]
async fn stopping_cancels_what_is_under_way() {
    let (stop, stopping) = watch::channel(false);
    let stop = Arc::new(stop);
    let tried = tried(vec![wanted("one"), wanted("two")], stopping, LONG, move |wanted, _| {
        stop.send(true).unwrap();
        while !wanted.cancel.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        true
    });
    assert_eq!(tried.await, ["one"]);
}
