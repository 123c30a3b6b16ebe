//! All hooks of a daemon: their lines, and one task for each that does its tries.

use crate::brain::{Counts, Ending, Line, Step};
use crate::limits::{DRAIN_WAIT, QUEUE_MAX, WORDS_CHARS_MAX};
use crate::spec::{Hook, Target};
use crate::web::{self, Web};
use crate::{Try, command};
use fetch::Client;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use types::{Event, EventName, EventSink};

/// An event, its time, and its form as JSON.
#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    /// Its number in this run.
    pub seq: u64,
    /// When, in RFC 3339.
    pub time: String,
    /// The event.
    pub event: Event,
    /// The event as the API has it, one JSON object.
    pub json: String,
}

/// How one hook does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// Its name.
    pub name: String,
    /// `webhook` or `command`.
    pub kind: &'static str,
    /// What it is told of.
    pub events: Vec<String>,
    /// Its counts.
    pub counts: Counts,
    /// Events that wait, the one that is tried included.
    pub waiting: usize,
    /// Why the last try that failed did; `None` once one went well.
    pub last_error: Option<String>,
}

struct One {
    hook: Hook,
    desk: Mutex<Desk>,
    wake: Notify,
}

/// What the task of a hook and those who offer to it share.
struct Desk {
    line: Line<Arc<Notice>>,
    last_error: Option<String>,
}

/// Every hook. Share it in an `Arc`.
pub struct Hooks {
    all: Vec<Arc<One>>,
    site: Option<String>,
    /// Tells deliveries of this run from those of others.
    run: u64,
    events: Arc<dyn EventSink>,
    dice: SystemRandom,
}

impl Hooks {
    /// These hooks. What goes wrong is recorded as events.
    pub fn new(hooks: Vec<Hook>, site: Option<String>, events: Arc<dyn EventSink>) -> Hooks {
        let one = |hook: Hook| {
            let desk = Desk { line: Line::new(QUEUE_MAX, hook.retries), last_error: None };
            Arc::new(One { hook, desk: Mutex::new(desk), wake: Notify::new() })
        };
        let dice = SystemRandom::new();
        let run = number(&dice);
        Hooks { all: hooks.into_iter().map(one).collect(), site, run, events, dice }
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether any hook is told of events of this name.
    pub fn wants(&self, name: EventName) -> bool {
        self.all.iter().any(|one| one.hook.wants(name))
    }

    /// Puts an event into the line of every hook that is told of it. Never waits.
    pub fn offer(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for one in self.all.iter().filter(|one| one.hook.wants(notice.event.name)) {
            one.lock().line.offer(notice.clone());
            one.wake.notify_one();
        }
    }

    /// So many events came too fast: nobody knows who would have been told of them.
    pub fn missed(&self, count: u64) {
        for one in &self.all {
            one.lock().line.missed(count);
            one.wake.notify_one();
        }
    }

    /// How they do, in their order.
    pub fn states(&self) -> Vec<State> {
        let state = |one: &Arc<One>| {
            let desk = one.lock();
            State {
                name: one.hook.name.clone(),
                kind: match one.hook.target {
                    Target::Web { .. } => "webhook",
                    Target::Command { .. } => "command",
                },
                events: one.hook.events.iter().map(ToString::to_string).collect(),
                counts: desk.line.counts(),
                waiting: desk.line.waiting(),
                last_error: desk.last_error.clone(),
            }
        };
        self.all.iter().map(state).collect()
    }

    /// Tells one hook of an event, once, past its line, and says how that went; `None` when there is no such hook.
    pub async fn test(&self, name: &str, notice: &Notice) -> Option<Try> {
        let one = self.all.iter().find(|one| one.hook.name == name)?.clone();
        let delivery = format!("{:016x}-test-{name}", number(&self.dice));
        Some(self.attempt(&one, &mut None, notice, &delivery).await)
    }

    /// Does the tries of every hook until `stop` turns true, then those that need no waiting for [`DRAIN_WAIT`] at most.
    pub async fn run(self: Arc<Hooks>, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for one in &self.all {
            let (hooks, one, stop) = (self.clone(), one.clone(), stop.clone());
            tasks.spawn(async move { hooks.serve(&one, stop).await });
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn serve(&self, one: &One, mut stop: watch::Receiver<bool>) {
        let mut stopping = stop.clone();
        let work = self.work(one, &mut stop);
        let patience = async {
            let _ = stopping.wait_for(|stop| *stop).await;
            tokio::time::sleep(DRAIN_WAIT).await;
        };
        tokio::select! {
            () = work => {}
            () = patience => {}
        }
        let left = one.lock().line.waiting();
        if left > 0 {
            tracing::warn!(hook = %one.hook.name, events = left, "the appliance stops, and a hook was not told of everything");
        }
    }

    async fn work(&self, one: &One, stop: &mut watch::Receiver<bool>) {
        let mut kept = None;
        loop {
            let now = Instant::now();
            let (step, lost, tell_at) = {
                let mut desk = one.lock();
                let lost = desk.line.tell(now);
                (desk.line.poll(now), lost, desk.line.tell_at(now))
            };
            if let Some(count) = lost {
                let event = Event::new(EventName::HookDropped).because("too_slow");
                self.events.record(event.with("hook", one.hook.name.as_str()).with("count", count));
            }
            let until = match step {
                Step::Try(notice) => {
                    let delivery = format!("{:016x}-{}-{}", self.run, notice.seq, one.hook.name);
                    let tried = self.attempt(one, &mut kept, &notice, &delivery).await;
                    self.finish(one, &notice, &tried);
                    continue;
                }
                Step::Until(until) => Some(until),
                Step::Idle | Step::UnderWay => None,
            };
            if *stop.borrow() || stop.has_changed().is_err() {
                return;
            }
            let until = [until, tell_at].into_iter().flatten().min();
            let rest = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = one.wake.notified() => {}
                () = rest => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    async fn attempt(
        &self,
        one: &One,
        kept: &mut Option<Arc<Client>>,
        notice: &Notice,
        delivery: &str,
    ) -> Try {
        let hook = &one.hook;
        let ready = match hook.payload.render(notice, self.site.as_deref()) {
            Ok(ready) => ready,
            Err(fault) => return fault,
        };
        let name = notice.event.name;
        match &hook.target {
            Target::Web { at, secret, trust } => {
                let web = Web { at, secret: secret.as_ref(), trust, timeout: hook.timeout };
                web::deliver(&web, kept, name, delivery, ready).await
            }
            Target::Command { program } => {
                let fields = [
                    ("REVEILLE_EVENT", name.as_str()),
                    ("REVEILLE_HOOK", hook.name.as_str()),
                    ("REVEILLE_DELIVERY", delivery),
                ];
                command::run(program, ready, &fields, hook.timeout).await
            }
        }
    }

    fn finish(&self, one: &One, notice: &Notice, tried: &Try) {
        let dice = u32::try_from(number(&self.dice) >> 32).unwrap_or(0);
        let words = shown(&tried.words);
        let ending = {
            let mut desk = one.lock();
            desk.last_error = (!tried.is_delivered()).then(|| words.clone());
            desk.line.finish(Instant::now(), tried.verdict, dice)
        };
        let hook = one.hook.name.as_str();
        match ending {
            Ending::Delivered | Ending::Nothing => {}
            Ending::Again(pause) => {
                tracing::info!(hook, event = %notice.event.name, seq = notice.seq, cause = words, ?pause, "a hook is tried again");
            }
            Ending::GaveUp(_, tries) => self.events.record(
                Event::new(EventName::HookFailed)
                    .host(notice.event.host.clone())
                    .because(tried.reason)
                    .with("hook", hook)
                    .with("of", notice.event.name.as_str())
                    .with("of_seq", notice.seq)
                    .with("tries", u64::from(tries))
                    .with("cause", words),
            ),
        }
    }
}

impl One {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Any number; the time where the system has no dice.
fn number(dice: &SystemRandom) -> u64 {
    let mut bytes = [0u8; 8];
    match dice.fill(&mut bytes) {
        Ok(()) => u64::from_be_bytes(bytes),
        Err(_) => {
            let since =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            since.as_secs().rotate_left(32) ^ u64::from(since.subsec_nanos()).rotate_left(32)
        }
    }
}

/// One line, and not a long one.
fn shown(words: &str) -> String {
    words.chars().map(|char| if char.is_control() { ' ' } else { char }).take(WORDS_CHARS_MAX).collect()
}
