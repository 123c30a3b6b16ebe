//! One event applied to one life.

use super::{Effect, Force, Life, LifeEvent, LifeRefusal, OnceBoot, Phase, Withdrawal, gate};
use std::sync::Arc;
use types::UnixTime;

/// What has to be durable, and when.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Commit {
    /// Nothing changed.
    Nothing,
    /// The new life; a crash that loses it costs no more than what was observed.
    Later,
    /// The new life, before anybody is answered: before a payload's first byte leaves, before an operator is told that it is
    /// done. Not committed, not happened.
    First,
}

/// What an event does.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Step {
    /// The life from now on.
    pub life: Life,
    /// What to tell, in order; a handful at most.
    pub effects: Vec<Effect>,
    /// What has to be durable.
    pub commit: Commit,
}

/// A life on its way to the next.
pub(super) struct Draft {
    pub(super) life: Life,
    pub(super) now: UnixTime,
    pub(super) effects: Vec<Effect>,
    pub(super) first: bool,
}

/// Applies an event. Total: every life and every event have an answer; on a refusal nothing changed. What has expired is
/// swept by every event first.
///
/// # Errors
/// [`LifeRefusal`], with cause and fix.
pub fn step(life: &Life, event: LifeEvent, now: UnixTime) -> Result<Step, LifeRefusal> {
    event.check(now)?;
    let mut draft = Draft { life: life.clone(), now, effects: Vec::new(), first: false };
    draft.sweep();
    match event {
        LifeEvent::Adopt { by } => draft.adopt(by)?,
        LifeEvent::Arm { by, image, expires, retries } => draft.arm(by, image, expires, retries)?,
        LifeEvent::Disarm { by, running } => draft.disarm(by, running)?,
        LifeEvent::BootOnce { by, what, armed, expires, retries } => {
            draft.boot_once(by, what, armed, expires, retries)?;
        }
        LifeEvent::CancelOnce { by } => draft.cancel_once(by)?,
        LifeEvent::Quarantine { by, reason, until } => draft.quarantine(by, reason, until)?,
        LifeEvent::Release { by } => draft.release(by)?,
        LifeEvent::Lock { by, reason } => draft.lock(by, reason)?,
        LifeEvent::Unlock { by } => draft.unlock(by)?,
        LifeEvent::Forget { by } => draft.forget(by)?,
        LifeEvent::MarkInstalled { by, image, destructive } => {
            draft.mark_installed(by, image, destructive)?
        }
        LifeEvent::BootBegan { boot, image, destructive } => draft.boot_began(boot, image, destructive)?,
        LifeEvent::BootMeant { meant } => draft.boot_meant(meant),
        LifeEvent::PayloadOpened { boot, image, destructive } => {
            draft.payload_opened(boot, image, destructive)?;
        }
        LifeEvent::SentToDisk { boot } => draft.sent_to_disk(boot),
        LifeEvent::Reported { boot, report, detail } => draft.reported(&boot, report, detail.as_ref()),
        LifeEvent::SeenWithoutNetworkBoot { reported } => draft.seen_without_network_boot(reported),
        LifeEvent::Tick { timeouts } => draft.look_for_silence(timeouts),
    }
    let Draft { life: next, effects, first, .. } = draft;
    let commit = match (next == *life, first) {
        (true, _) => Commit::Nothing,
        (false, true) => Commit::First,
        (false, false) => Commit::Later,
    };
    debug_assert_eq!(next.check(), Ok(()), "a step keeps what is true of every life");
    Ok(Step { life: next, effects, commit })
}

impl Draft {
    pub(super) fn tell(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        if self.life.phase != phase {
            self.life.phase = phase;
            self.life.since = self.now;
            self.life.detail = None;
        }
        self.life.heard = self.now;
    }

    /// Takes away what has expired. A clock that cannot say leaves everything as it is.
    fn sweep(&mut self) {
        let now = self.now;
        let expired = |at, expires| Force::of(at, expires, now) == Force::Expired;
        if self.life.arming.as_ref().is_some_and(|it| expired(it.at, it.expires)) {
            self.withdraw_arming(Withdrawal::Expired, None);
        }
        if self.life.one_shot.as_ref().is_some_and(|it| expired(it.at, it.expires)) {
            self.withdraw_one_shot(Withdrawal::Expired, None);
        }
        if self.life.quarantine.as_ref().is_some_and(|it| !it.holds(now)) {
            self.life.quarantine = None;
            self.tell(Effect::Released { by: None });
        }
        if self.life.disk_until.is_some_and(|until| !gate::disk_holds(until, now)) {
            self.life.disk_until = None;
        }
    }

    /// True when there was one.
    pub(super) fn withdraw_arming(&mut self, why: Withdrawal, by: Option<Arc<str>>) -> bool {
        let was = self.life.arming.take().is_some();
        if was {
            self.tell(Effect::Disarmed { why, by });
        }
        was
    }

    /// True when there was one that permitted something destructive.
    pub(super) fn withdraw_one_shot(&mut self, why: Withdrawal, by: Option<Arc<str>>) -> bool {
        let Some(shot) = self.life.one_shot.take() else { return false };
        if shot.armed {
            self.tell(Effect::Disarmed { why, by: by.clone() });
        }
        self.tell(Effect::OnceWithdrawn { what: shot.what, why, by });
        shot.armed
    }

    /// Takes away everything unused: under lock and quarantine nothing waits.
    pub(super) fn withdraw_all(&mut self, why: Withdrawal, by: &Arc<str>) {
        self.withdraw_arming(why, Some(by.clone()));
        self.withdraw_one_shot(why, Some(by.clone()));
        self.drop_retries();
    }

    pub(super) fn drop_retries(&mut self) {
        if let Some(grant) = &mut self.life.grant {
            *grant.used.retries_mut() = 0;
        }
    }

    pub(super) fn close_grant(&mut self) {
        if let Some(grant) = &mut self.life.grant {
            grant.open = false;
        }
    }

    /// The one-shot was decided for this boot and is over.
    pub(super) fn use_disk_once(&mut self, boot: Option<Arc<str>>) {
        self.life.one_shot = None;
        self.life.disk_until = Some(self.now.saturating_add(super::limits::DISK_HOLD));
        self.tell(Effect::OnceUsed { boot, what: OnceBoot::LocalDisk });
    }
}
