//! What operators do.

use super::step::Draft;
use super::{
    Arming, Effect, ImageRef, Installed, Life, LifeRefusal, Lock, OnceBoot, OneShot, Phase, Quarantine, Told,
    Withdrawal, effect,
};
use std::sync::Arc;
use types::UnixTime;
use types::resource::Name;

impl Draft {
    pub(super) fn adopt(&mut self, by: Arc<str>) -> Result<(), LifeRefusal> {
        if self.life.phase != Phase::Discovered {
            return Err(LifeRefusal::AlreadyAdopted);
        }
        self.first = true;
        self.enter(Phase::Adopted);
        self.tell(Effect::Adopted { by });
        Ok(())
    }

    pub(super) fn arm(
        &mut self,
        by: Arc<str>,
        image: Option<Name>,
        expires: Option<UnixTime>,
        retries: u8,
    ) -> Result<(), LifeRefusal> {
        self.may_order()?;
        self.may_arm()?;
        self.first = true;
        let told = effect::named(image.as_ref());
        self.life.arming = Some(Arming { by: by.clone(), at: self.now, image, expires, retries });
        self.tell(Effect::Armed { by, image: told, expires, retries, again: false });
        Ok(())
    }

    pub(super) fn boot_once(
        &mut self,
        by: Arc<str>,
        what: OnceBoot,
        armed: bool,
        expires: Option<UnixTime>,
        retries: u8,
    ) -> Result<(), LifeRefusal> {
        self.may_order()?;
        if armed {
            self.may_arm()?;
        }
        if let Some(shot) = &self.life.one_shot {
            let (what, by, at) = (shot.what.clone(), shot.by.clone(), shot.at);
            return Err(LifeRefusal::AlreadyOrdered { what, by, at });
        }
        self.first = true;
        self.life.disk_until = None;
        self.life.one_shot =
            Some(OneShot { what: what.clone(), armed, by: by.clone(), at: self.now, expires, retries });
        if armed {
            let image = match &what {
                OnceBoot::Image(image) => Some(image.clone()),
                OnceBoot::LocalDisk => None,
            };
            self.tell(Effect::Armed { by: by.clone(), image, expires, retries, again: false });
        }
        self.tell(Effect::OnceOrdered { by, what, expires });
        Ok(())
    }

    pub(super) fn disarm(&mut self, by: Arc<str>, running: bool) -> Result<(), LifeRefusal> {
        let mut had = self.withdraw_arming(Withdrawal::Operator, Some(by.clone()));
        if self.life.one_shot.as_ref().is_some_and(|shot| shot.armed) {
            had |= self.withdraw_one_shot(Withdrawal::Operator, Some(by.clone()));
        }
        if let Some(grant) = self.life.installation().filter(|_| running) {
            let (boot, image) = (grant.boot.clone(), grant.image.clone());
            had = true;
            self.close_grant();
            self.drop_retries();
            if self.life.phase == Phase::Installing {
                self.enter(Phase::Failed);
                let detail: Arc<str> = format!("disarmed by {by}").into();
                self.life.detail = Some(detail.clone());
                self.tell(Effect::InstallFailed { boot, image, detail: Some(detail), again: false });
            } else {
                self.tell(Effect::Disarmed { why: Withdrawal::Operator, by: Some(by) });
            }
        } else if self.life.installation().is_some_and(|grant| grant.used.retries() > 0) {
            had = true;
            self.drop_retries();
            self.tell(Effect::Disarmed { why: Withdrawal::Operator, by: Some(by) });
        }
        self.first = true;
        if had { Ok(()) } else { Err(LifeRefusal::NothingArmed) }
    }

    pub(super) fn cancel_once(&mut self, by: Arc<str>) -> Result<(), LifeRefusal> {
        if self.life.one_shot.is_none() {
            return Err(LifeRefusal::NothingOrdered);
        }
        self.first = true;
        self.withdraw_one_shot(Withdrawal::Operator, Some(by));
        Ok(())
    }

    pub(super) fn quarantine(
        &mut self,
        by: Arc<str>,
        reason: Arc<str>,
        until: Option<UnixTime>,
    ) -> Result<(), LifeRefusal> {
        // One that ends sooner must not replace one that does not.
        self.not_quarantined()?;
        self.first = true;
        self.withdraw_all(Withdrawal::Quarantined, &by);
        let (at, told) = (self.now, reason.clone());
        self.life.quarantine = Some(Quarantine { by: by.clone(), at, reason, until });
        self.tell(Effect::Quarantined { by, reason: told, until });
        Ok(())
    }

    pub(super) fn release(&mut self, by: Arc<str>) -> Result<(), LifeRefusal> {
        if self.life.quarantine.take().is_none() {
            return Err(LifeRefusal::NotQuarantined);
        }
        self.first = true;
        self.tell(Effect::Released { by: Some(by) });
        Ok(())
    }

    pub(super) fn lock(&mut self, by: Arc<str>, reason: Arc<str>) -> Result<(), LifeRefusal> {
        self.not_locked()?;
        self.first = true;
        self.withdraw_all(Withdrawal::Locked, &by);
        self.life.lock = Some(Lock { by: by.clone(), at: self.now, reason: reason.clone() });
        self.tell(Effect::Locked { by, reason });
        Ok(())
    }

    pub(super) fn unlock(&mut self, by: Arc<str>) -> Result<(), LifeRefusal> {
        if self.life.lock.take().is_none() {
            return Err(LifeRefusal::NotLocked);
        }
        self.first = true;
        self.tell(Effect::Unlocked { by });
        Ok(())
    }

    pub(super) fn forget(&mut self, by: Arc<str>) -> Result<(), LifeRefusal> {
        // Forgetting would lift both without a word.
        self.not_quarantined()?;
        self.not_locked()?;
        self.first = true;
        self.life = match self.life.phase {
            Phase::Discovered => Life::discovered(self.now),
            _ => Life::adopted(self.now),
        };
        self.tell(Effect::Forgotten { by });
        Ok(())
    }

    pub(super) fn mark_installed(
        &mut self,
        by: Arc<str>,
        image: ImageRef,
        destructive: bool,
    ) -> Result<(), LifeRefusal> {
        if self.life.phase == Phase::Discovered {
            return Err(LifeRefusal::NotAdopted);
        }
        self.nothing_armed()?;
        self.first = true;
        // Of the installation that was under way, if it was one of this image.
        let own = self.life.installation().filter(|it| it.image.name == image.name);
        let boot = own.map(|grant| grant.boot.clone());
        self.close_grant();
        self.drop_retries();
        if let Some(boot) = &boot {
            self.installed_as_meant(boot);
        }
        let (told, at) = (Told::Operator, self.now);
        self.life.installed =
            Some(Installed { image: image.clone(), destructive, boot: boot.clone(), at, told });
        self.enter(Phase::Installed);
        self.tell(Effect::Installed { boot, image, told, by: Some(by) });
        Ok(())
    }

    fn not_quarantined(&self) -> Result<(), LifeRefusal> {
        self.life.quarantine.as_ref().map_or(Ok(()), |it| {
            let (by, at, reason) = (it.by.clone(), it.at, it.reason.clone());
            Err(LifeRefusal::Quarantined { by, at, reason })
        })
    }

    fn not_locked(&self) -> Result<(), LifeRefusal> {
        self.life.lock.as_ref().map_or(Ok(()), |it| {
            let (by, at, reason) = (it.by.clone(), it.at, it.reason.clone());
            Err(LifeRefusal::Locked { by, at, reason })
        })
    }

    /// Adopted, neither quarantined nor locked.
    fn may_order(&self) -> Result<(), LifeRefusal> {
        self.not_locked()?;
        self.not_quarantined()?;
        match self.life.phase {
            Phase::Discovered => Err(LifeRefusal::NotAdopted),
            _ => Ok(()),
        }
    }

    /// No permission waits and no installation runs: a second order would be a second installation.
    fn may_arm(&self) -> Result<(), LifeRefusal> {
        self.nothing_armed()?;
        match &self.life.grant {
            Some(grant) if self.life.phase == Phase::Installing => {
                Err(LifeRefusal::Installing { boot: grant.boot.clone(), at: grant.at })
            }
            _ => Ok(()),
        }
    }

    fn nothing_armed(&self) -> Result<(), LifeRefusal> {
        let arming = self.life.arming.as_ref().map(|it| (it.by.clone(), it.at));
        let shot = self.life.one_shot.as_ref().filter(|it| it.armed).map(|it| (it.by.clone(), it.at));
        match arming.or(shot) {
            Some((by, at)) => Err(LifeRefusal::AlreadyArmed { by, at }),
            None => Ok(()),
        }
    }
}
