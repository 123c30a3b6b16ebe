//! What machines and time do.

use super::step::Draft;
use super::{
    Allowed, Effect, FromCache, Gate, Grant, ImageRef, Installed, LifeRefusal, NetworkBoot, OnceBoot, Phase,
    Report, Timeouts, Told, Used, Withdrawal, effect, gate, limits,
};
use std::sync::Arc;

impl Draft {
    pub(super) fn boot_began(
        &mut self,
        boot: Arc<str>,
        image: ImageRef,
        destructive: bool,
    ) -> Result<(), LifeRefusal> {
        self.not_denied(Gate::Begin, &boot, &image, destructive)?;
        let last = self.life.last_boot.as_ref();
        let same = last.is_some_and(|it| {
            it.boot == boot && it.image == image && it.destructive == destructive && !it.opened
        });
        if same && self.life.phase == Phase::Booting {
            // HEAD and GET, a size probe and its read.
            return Ok(());
        }
        self.restarted();
        let at = self.now;
        self.life.last_boot = Some(NetworkBoot { boot, image, destructive, at, opened: false });
        // A machine that nobody adopted stays so; what it boots is remembered all the same.
        match self.life.phase {
            Phase::Discovered => self.life.heard = self.now,
            _ => self.enter(Phase::Booting),
        }
        Ok(())
    }

    pub(super) fn payload_opened(
        &mut self,
        boot: Arc<str>,
        image: ImageRef,
        destructive: bool,
    ) -> Result<(), LifeRefusal> {
        let mut chosen = false;
        let used = match self.not_denied(Gate::Payload, &boot, &image, destructive)? {
            Some(Allowed::ThisBoot) => return Ok(()),
            Some(Allowed::OneShot) => self.life.one_shot.take().map(Used::OneShot),
            Some(Allowed::Arming) => self.life.arming.take().map(Used::Arming),
            // Harmless: given to whoever asks, and of no consequence outside of the boot that it belongs to.
            None => {
                let last = self.life.last_boot.as_ref();
                let own = last.filter(|it| it.boot == boot && it.image.agrees(&image) && !it.destructive);
                let Some(image) = own.filter(|it| !it.opened).map(|it| it.image.clone()) else {
                    return Ok(());
                };
                chosen = self.life.one_shot.as_ref().is_some_and(|shot| match &shot.what {
                    OnceBoot::Image(own) => own.covers(&image) && !shot.armed,
                    OnceBoot::LocalDisk => false,
                });
                if chosen {
                    self.life.one_shot = None;
                    let what = OnceBoot::Image(image);
                    self.tell(Effect::OnceUsed { boot: Some(boot.clone()), what });
                }
                None
            }
        };
        // What is used up is gone for good; a harmless boot waits for no disk.
        self.first |= used.is_some() || chosen;
        let mut image = image;
        if let Some(last) = &mut self.life.last_boot {
            last.opened = true;
            image = last.image.clone();
        }
        self.leave_cache(&boot);
        self.life.heard = self.now;
        let Some(used) = used else { return Ok(()) };
        if let Used::OneShot(shot) = &used {
            self.tell(Effect::OnceUsed { boot: Some(boot.clone()), what: shot.what.clone() });
        }
        let (by, retries) = (used.by().clone(), used.retries());
        self.enter(Phase::Installing);
        self.tell(Effect::InstallBegan { boot: boot.clone(), image: image.clone(), by, retries });
        self.life.grant = Some(Grant { boot, image, at: self.now, used, open: true });
        Ok(())
    }

    /// `None` for a harmless image that may be given.
    fn not_denied(
        &self,
        gate: Gate,
        boot: &Arc<str>,
        image: &ImageRef,
        destructive: bool,
    ) -> Result<Option<Allowed>, LifeRefusal> {
        let permit = match destructive {
            true => gate::permits(&self.life, gate, Some(&**boot), image, self.now).map(Some),
            false => self.life.quarantined(self.now).map_or(Ok(None), |it| {
                Err(super::Denied::Quarantined { by: it.by.clone(), reason: it.reason.clone() })
            }),
        };
        permit.map_err(LifeRefusal::NotPermitted)
    }

    pub(super) fn sent_to_disk(&mut self, boot: Option<Arc<str>>) {
        let disk_once = self.life.one_shot.as_ref().is_some_and(|shot| shot.what == OnceBoot::LocalDisk);
        if disk_once {
            self.use_disk_once(boot.clone());
        }
        // Under its own id the boot is over for certain. Another id may be anybody's packet with this machine's address: what
        // the boot under way was allowed stays, it is bound to its id anyway.
        let own = self.life.grant.as_ref().is_some_and(|grant| boot.as_ref() == Some(&grant.boot));
        self.assume_installed();
        if own && self.life.installation().is_some() {
            self.first = true;
            self.close_grant();
        }
        match self.life.phase {
            // A failure stays to be seen until something better is known.
            Phase::Discovered | Phase::Failed => {}
            _ => self.enter(Phase::LocalDisk),
        }
    }

    /// The machine was restarted: what ran before is over, and a crash of ours does not bring it back.
    fn restarted(&mut self) {
        self.assume_installed();
        self.first |= self.life.installation().is_some();
        self.close_grant();
    }

    /// An installation that is under way, or fell silent, ends without a word.
    fn assume_installed(&mut self) {
        if !matches!(self.life.phase, Phase::Installing | Phase::Silent) {
            return;
        }
        let Some(grant) = self.life.installation() else { return };
        let (boot, image) = (grant.boot.clone(), grant.image.clone());
        let known = self.life.installed.as_ref().is_some_and(|it| it.boot.as_ref() == Some(&boot));
        self.first = true;
        if !known {
            self.set_installed(boot.clone(), image.clone(), true, Told::Nobody);
            self.tell(Effect::InstallUnconfirmed { boot, image });
        }
    }

    fn set_installed(&mut self, boot: Arc<str>, image: ImageRef, destructive: bool, told: Told) {
        let at = self.now;
        self.installed_as_meant(&boot);
        self.life.installed = Some(Installed { image, destructive, boot: Some(boot), at, told });
    }

    pub(super) fn reported(&mut self, boot: &Arc<str>, report: Report, detail: Option<&Arc<str>>) {
        let detail = detail.map(cut);
        let grant = self.life.grant.as_ref().filter(|it| it.boot == *boot);
        let install = grant.map(|it| it.image.clone()).or_else(|| {
            let own = self.life.installed.as_ref().filter(|it| it.destructive);
            own.filter(|it| it.boot.as_ref() == Some(boot)).map(|it| it.image.clone())
        });
        let newest = self.life.last_boot.as_ref().filter(|it| it.boot == *boot).cloned();
        match (install, newest) {
            (Some(image), _) => self.install_reported(boot, image, report, detail),
            (None, Some(last)) => self.boot_reported(last, report, detail),
            (None, None) if report == Report::Up => self.runs_from_cache(Some(boot.clone())),
            // What an older boot still has to say changes nothing.
            (None, None) => {}
        }
    }

    /// A word of the boot that installed the host, or is about to.
    fn install_reported(
        &mut self,
        boot: &Arc<str>,
        image: ImageRef,
        report: Report,
        detail: Option<Arc<str>>,
    ) {
        // A machine that boots something newer is not where this report says it is.
        let newer = self.life.last_boot.as_ref().is_some_and(|last| last.boot != *boot);
        let known = self.life.installed.as_ref().filter(|it| it.boot.as_ref() == Some(boot));
        let confirmed = known.is_some_and(|it| it.told != Told::Nobody);
        match report {
            Report::Installed | Report::Up => {
                let told = if report == Report::Up { Told::Up } else { Told::Installed };
                let own_grant = self.life.grant.as_ref().is_some_and(|grant| grant.boot == *boot);
                if own_grant {
                    self.close_grant();
                    self.drop_retries();
                    self.withdraw_retry();
                }
                if !confirmed {
                    self.first = true;
                    self.set_installed(boot.clone(), image.clone(), true, told);
                    self.tell(Effect::Installed {
                        boot: Some(boot.clone()),
                        image: image.clone(),
                        told,
                        by: None,
                    });
                }
                if newer {
                    return;
                }
                match report {
                    Report::Up => {
                        self.enter(Phase::Up);
                        self.tell(Effect::Up { boot: boot.clone(), image });
                    }
                    _ if self.life.phase == Phase::Up => {}
                    _ => self.enter(Phase::Installed),
                }
                self.life.detail = detail;
            }
            Report::Failed => {
                let again = !newer && !confirmed && self.arm_again(boot);
                self.first = true;
                if self.life.grant.as_ref().is_some_and(|grant| grant.boot == *boot) {
                    self.close_grant();
                }
                if !newer {
                    self.enter(Phase::Failed);
                    self.life.detail.clone_from(&detail);
                    // What was only assumed has been denied.
                    if !confirmed && known_by_nobody(self.life.installed.as_ref(), boot) {
                        self.life.installed = None;
                    }
                }
                self.tell(Effect::InstallFailed { boot: boot.clone(), image, detail, again });
            }
            Report::Progress if newer => {}
            Report::Progress => {
                let waits =
                    self.life.arming.is_some() || self.life.one_shot.as_ref().is_some_and(|it| it.armed);
                let running = self.life.installation().is_some_and(|grant| grant.boot == *boot);
                if running && !waits && matches!(self.life.phase, Phase::Silent | Phase::LocalDisk) {
                    self.enter(Phase::Installing);
                }
                self.life.heard = self.now;
                self.life.detail = detail;
            }
        }
    }

    /// A failure re-arms when the arming said so, it is still good, and nothing newer is known of the machine.
    fn arm_again(&mut self, boot: &Arc<str>) -> bool {
        let free = self.life.lock.is_none()
            && self.life.quarantine.is_none()
            && self.life.arming.is_none()
            && self.life.one_shot.is_none();
        let under_way = matches!(self.life.phase, Phase::Installing | Phase::Silent);
        let Some(grant) = self.life.installation().filter(|grant| grant.boot == *boot) else { return false };
        if !free || !under_way || grant.used.retries() == 0 {
            return false;
        }
        let mut used = grant.used.clone();
        *used.retries_mut() -= 1;
        let expires = used.expires();
        if super::Force::of(used.at(), expires, self.now) != super::Force::Good {
            return false;
        }
        let (by, retries) = (used.by().clone(), used.retries());
        let image = match &used {
            Used::Arming(arming) => effect::named(arming.image.as_ref()),
            Used::OneShot(_) => Some(grant.image.clone()),
        };
        match used {
            Used::Arming(arming) => self.life.arming = Some(arming),
            Used::OneShot(shot) => self.life.one_shot = Some(shot),
        }
        self.tell(Effect::Armed { by, image, expires, retries, again: true });
        true
    }

    /// A retry of what has succeeded after all is none, and no crash brings it back. It has the order's own time and owner.
    fn withdraw_retry(&mut self) {
        let Some(used) = self.life.grant.as_ref().map(|grant| &grant.used) else { return };
        let (by, at) = (used.by().clone(), used.at());
        if self.life.arming.as_ref().is_some_and(|it| it.by == by && it.at == at) {
            self.first = true;
            self.withdraw_arming(Withdrawal::Installed, None);
        }
        if self.life.one_shot.as_ref().is_some_and(|it| it.armed && it.by == by && it.at == at) {
            self.first = true;
            self.withdraw_one_shot(Withdrawal::Installed, None);
        }
    }

    /// A word of the newest boot, which installs nothing that we know of.
    fn boot_reported(&mut self, last: NetworkBoot, report: Report, detail: Option<Arc<str>>) {
        let NetworkBoot { boot, image, destructive, .. } = last;
        let known = self.life.phase != Phase::Discovered;
        match report {
            // Nothing destructive of it was given out: whoever says so is not what this boot made.
            Report::Up | Report::Installed if destructive => return,
            Report::Up => {
                self.leave_cache(&boot);
                if known {
                    self.enter(Phase::Up);
                }
                self.tell(Effect::Up { boot, image });
            }
            Report::Installed => {
                self.first = true;
                let told = Told::Installed;
                let again = self.life.installed.as_ref().is_some_and(|it| it.boot.as_ref() == Some(&boot));
                if !again {
                    self.set_installed(boot.clone(), image.clone(), false, told);
                    self.tell(Effect::Installed { boot: Some(boot), image, told, by: None });
                }
                if known {
                    self.enter(Phase::Installed);
                }
            }
            Report::Failed => {
                if known {
                    self.enter(Phase::Failed);
                }
                self.tell(Effect::BootFailed { boot, image, detail: detail.clone() });
            }
            Report::Progress => self.life.heard = self.now,
        }
        self.life.detail = detail;
    }

    pub(super) fn seen_without_network_boot(&mut self, reported: Option<Arc<str>>) {
        let from_network = self.life.last_boot.as_ref().is_some_and(|last| !last.destructive);
        match self.life.phase {
            // An installer has a network of its own.
            Phase::Installing => {}
            Phase::Adopted | Phase::Discovered if reported.is_some() => self.runs_from_cache(reported),
            Phase::Booting | Phase::Up | Phase::Silent | Phase::Failed
                if from_network || reported.is_some() && self.life.last_boot.is_none() =>
            {
                self.runs_from_cache(reported);
            }
            Phase::Discovered | Phase::Failed => {}
            Phase::Silent => {
                self.assume_installed();
                self.enter(Phase::LocalDisk);
            }
            Phase::Adopted | Phase::Booting | Phase::Up | Phase::Installed | Phase::LocalDisk => {
                self.enter(Phase::LocalDisk);
            }
        }
    }

    fn runs_from_cache(&mut self, reported: Option<Arc<str>>) {
        let expected = self.life.last_boot.as_ref().map(|last| last.boot.clone());
        self.life.heard = self.now;
        let known = self.life.from_cache.as_ref();
        if known.is_some_and(|it| it.reported == reported && it.expected == expected) {
            return;
        }
        self.life.from_cache =
            Some(FromCache { reported: reported.clone(), expected: expected.clone(), since: self.now });
        self.tell(Effect::BootedFromCache { reported, expected });
    }

    fn leave_cache(&mut self, boot: &Arc<str>) {
        if self.life.from_cache.take().is_some() {
            self.tell(Effect::LeftCache { boot: boot.clone() });
        }
    }

    pub(super) fn look_for_silence(&mut self, timeouts: Timeouts) {
        let silent = self.now.saturating_since(self.life.heard);
        match self.life.phase {
            Phase::Installing if silent >= timeouts.installing => {
                if let Some(grant) = &self.life.grant {
                    let (boot, image) = (grant.boot.clone(), grant.image.clone());
                    self.tell(Effect::InstallSilent { boot, image, silent });
                }
                self.fall_silent();
            }
            Phase::Booting if silent >= timeouts.booting => {
                if let Some(last) = &self.life.last_boot {
                    let (boot, image, opened) = (last.boot.clone(), last.image.clone(), last.opened);
                    self.tell(Effect::BootSilent { boot, image, opened, silent });
                }
                self.fall_silent();
            }
            _ => {}
        }
        // A clock that was set back would make silence last.
        if self.life.heard > self.now.saturating_add(limits::CLOCK_SLACK) {
            self.life.heard = self.now;
        }
    }

    fn fall_silent(&mut self) {
        let heard = self.life.heard;
        self.enter(Phase::Silent);
        self.life.heard = heard;
    }
}

fn known_by_nobody(installed: Option<&Installed>, boot: &Arc<str>) -> bool {
    installed.is_some_and(|it| it.boot.as_ref() == Some(boot) && it.told == Told::Nobody)
}

/// The first 256 bytes at most, cut between two characters.
fn cut(text: &Arc<str>) -> Arc<str> {
    match text.get(..text.floor_char_boundary(limits::TEXT_BYTES_MAX)) {
        Some(head) if head.len() < text.len() => head.into(),
        _ => text.clone(),
    }
}
