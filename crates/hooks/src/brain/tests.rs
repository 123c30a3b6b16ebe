//! The line of a hook, by tables and at random.

use super::*;
use proptest::prelude::*;

fn later(start: Instant, secs: u64) -> Instant {
    start + Duration::from_secs(secs)
}

#[test]
fn statuses_mean_what_the_table_says() {
    let after = Some(Duration::from_secs(7));
    let table = [
        (200, Verdict::Done),
        (204, Verdict::Done),
        (299, Verdict::Done),
        (100, Verdict::Never),
        (301, Verdict::Never),
        (307, Verdict::Never),
        (400, Verdict::Never),
        (401, Verdict::Never),
        (404, Verdict::Never),
        (410, Verdict::Never),
        (429, Verdict::Again(after)),
        (500, Verdict::Again(None)),
        (502, Verdict::Again(None)),
        (503, Verdict::Again(after)),
        (599, Verdict::Again(None)),
        (600, Verdict::Never),
    ];
    for (status, verdict) in table {
        assert_eq!(judge(status, after), verdict, "{status}");
    }
}

#[test]
fn the_pause_doubles_up_to_its_bound() {
    let most = |tries| pause(tries, None, u32::MAX).as_secs_f64().round();
    assert_eq!([1, 2, 3, 4, 9, 10, 21].map(most), [1., 2., 4., 8., 256., 300., 300.]);
    assert_eq!(pause(3, None, 0), Duration::from_secs(2));
    assert_eq!(pause(1, Some(Duration::from_secs(20)), 0), Duration::from_secs(20));
    assert_eq!(pause(1, Some(Duration::MAX), 0), RETRY_AFTER_MAX);
}

#[test]
fn a_try_that_may_pass_is_tried_again_and_holds_back_the_next() {
    let start = Instant::now();
    let mut line = Line::new(10, 2);
    line.offer('a');
    line.offer('b');
    assert_eq!(line.poll(start), Step::Try('a'));
    assert_eq!(line.poll(start), Step::UnderWay);
    let Ending::Again(pause) = line.finish(start, Verdict::Again(None), 0) else { panic!() };
    assert_eq!(line.poll(start), Step::Until(start + pause));
    assert_eq!(line.poll(start + pause), Step::Try('a'));
    assert_eq!(line.finish(start + pause, Verdict::Done, 0), Ending::Delivered);
    assert_eq!(line.poll(start + pause), Step::Try('b'));
}

#[test]
fn tries_end() {
    let start = Instant::now();
    let mut line = Line::new(10, 2);
    line.offer('a');
    for secs in [0, 100] {
        assert_eq!(line.poll(later(start, secs)), Step::Try('a'));
        assert!(matches!(line.finish(later(start, secs), Verdict::Again(None), 9), Ending::Again(_)));
    }
    assert_eq!(line.poll(later(start, 200)), Step::Try('a'));
    assert_eq!(line.finish(start, Verdict::Again(None), 9), Ending::GaveUp('a', 3));
    assert_eq!(line.poll(later(start, 200)), Step::Idle);
    line.offer('b');
    assert_eq!(line.poll(later(start, 200)), Step::Try('b'));
    assert_eq!(line.finish(start, Verdict::Never, 9), Ending::GaveUp('b', 1));
    assert_eq!((line.counts().failed, line.counts().tries), (2, 4));
}

#[test]
fn a_full_line_drops_its_oldest_but_not_the_one_that_is_tried() {
    let start = Instant::now();
    let mut line = Line::new(2, 0);
    line.offer(1);
    assert_eq!(line.poll(start), Step::Try(1));
    assert_eq!((line.offer(2), line.offer(3)), (None, None));
    assert_eq!((line.offer(4), line.offer(5)), (Some(2), Some(3)));
    line.finish(start, Verdict::Done, 0);
    assert_eq!(line.poll(start), Step::Try(4));
    assert_eq!(line.counts().dropped, 2);
}

#[test]
fn losses_are_told_at_once_and_then_once_a_minute() {
    let start = Instant::now();
    let mut line = Line::new(1, 0);
    assert_eq!(line.tell(start), None);
    for item in 0..4 {
        line.offer(item);
    }
    assert_eq!(line.tell(start), Some(3));
    line.offer(4);
    line.missed(10);
    assert_eq!(line.tell(later(start, 59)), None);
    assert_eq!(line.tell_at(later(start, 59)), Some(later(start, 60)));
    assert_eq!(line.tell(later(start, 60)), Some(11));
    assert_eq!(line.tell(later(start, 600)), None);
}

#[test]
fn nothing_under_way_cannot_end() {
    let start = Instant::now();
    let mut line = Line::<u8>::new(1, 3);
    assert_eq!(line.finish(start, Verdict::Done, 0), Ending::Nothing);
    line.offer(1);
    line.poll(start);
    line.finish(start, Verdict::Again(None), 0);
    // It pauses: a second word on the same try changes nothing.
    assert_eq!(line.finish(start, Verdict::Done, 0), Ending::Nothing);
    assert_eq!(line.waiting(), 1);
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Offer,
    Poll,
    Finish(Verdict, u32),
    Wait(u32),
    Tell,
    Missed(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let verdict = prop_oneof![
        Just(Verdict::Done),
        Just(Verdict::Never),
        proptest::option::of(0u64..10_000).prop_map(|secs| Verdict::Again(secs.map(Duration::from_secs))),
    ];
    prop_oneof![
        4 => Just(Act::Offer),
        4 => Just(Act::Poll),
        3 => (verdict, any::<u32>()).prop_map(|(verdict, dice)| Act::Finish(verdict, dice)),
        2 => (0u32..400_000).prop_map(Act::Wait),
        1 => Just(Act::Tell),
        1 => any::<u8>().prop_map(Act::Missed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pause_is_never_nothing_and_bounded(tries in any::<u32>(), asked in proptest::option::of(any::<u64>()), dice in any::<u32>()) {
        let asked = asked.map(Duration::from_secs);
        let pause = pause(tries, asked, dice);
        prop_assert!(pause >= PAUSE_FIRST / 2 && pause <= PAUSE_MAX.max(RETRY_AFTER_MAX));
        prop_assert!(pause >= asked.unwrap_or_default().min(RETRY_AFTER_MAX));
    }

    /// Whatever happens in whatever order: the line is bounded, the order is kept, and of every event it is known what became of it.
    #[test]
    fn every_event_is_delivered_told_as_lost_or_waiting(
        queue_max in 1usize..6,
        retries in 0u32..4,
        acts in prop::collection::vec(act(), 0..200),
    ) {
        let mut now = Instant::now();
        let mut line = Line::new(queue_max, retries);
        let (mut offered, mut dropped, mut told, mut missed) = (0u64, Vec::new(), 0u64, 0u64);
        let (mut at_hand, mut ended, mut tries) = (None, Vec::new(), 0u32);
        for act in acts {
            match act {
                Act::Offer => {
                    dropped.extend(line.offer(offered));
                    offered += 1;
                }
                Act::Wait(millis) => now += Duration::from_millis(millis.into()),
                Act::Missed(count) => {
                    line.missed(count.into());
                    missed += u64::from(count);
                }
                Act::Tell => {
                    if let Some(count) = line.tell(now) {
                        prop_assert!(count > 0);
                        told += count;
                    }
                }
                Act::Poll => match line.poll(now) {
                    Step::Try(item) => {
                        if at_hand != Some(item) {
                            prop_assert_eq!(at_hand, None);
                            tries = 0;
                        }
                        at_hand = Some(item);
                        tries += 1;
                        prop_assert!(tries <= retries + 1);
                    }
                    Step::Until(until) => prop_assert!(until > now),
                    Step::Idle => prop_assert_eq!(line.waiting(), 0),
                    Step::UnderWay => prop_assert!(at_hand.is_some()),
                },
                Act::Finish(verdict, dice) => match line.finish(now, verdict, dice) {
                    Ending::Delivered => ended.extend(at_hand.take()),
                    Ending::GaveUp(item, after) => {
                        prop_assert_eq!(Some(item), at_hand);
                        prop_assert_eq!(after, tries);
                        ended.extend(at_hand.take());
                    }
                    Ending::Again(pause) => prop_assert!(pause > Duration::ZERO && tries <= retries),
                    Ending::Nothing => {}
                },
            }
            let counts = line.counts();
            prop_assert!(line.waiting() <= queue_max + 1);
            prop_assert_eq!(counts.offered, offered);
            prop_assert_eq!(counts.dropped, dropped.len() as u64);
            prop_assert_eq!(counts.delivered + counts.failed, ended.len() as u64);
            prop_assert_eq!(
                offered,
                counts.delivered + counts.failed + counts.dropped + line.waiting() as u64
            );
        }
        prop_assert!(ended.is_sorted() && dropped.is_sorted());
        // What is lost is told in the end.
        told += line.tell(now + 2 * TELL_EVERY).unwrap_or(0);
        prop_assert_eq!(told, dropped.len() as u64 + missed);
    }
}
