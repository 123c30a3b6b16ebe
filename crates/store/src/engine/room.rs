//! What the engine does when room runs out, and when it is back.

use super::Engine;
use crate::model::Batch;
use crate::report::Finding;
use crate::room::{self, Allowance, Room, Space};
use crate::{checkpoint, limits};
use std::io;

/// Checkpoints forced, one after the other, before the store behaves as on a full disk: the second lets go of the journal
/// that the first still keeps.
const FORCED_CHECKPOINTS_MAX: u8 = 2;

/// What the engine knows of the disk's room.
pub(super) struct Keeper {
    allowance: Allowance,
    /// As last measured.
    space: Space,
    /// Journal bytes written since.
    grown: u64,
    /// No ballast is kept here.
    tiny: bool,
    /// Nothing can be committed, and not for want of room.
    fault: bool,
    forced: u8,
}

impl Keeper {
    pub(super) fn new(allowance: Allowance) -> Keeper {
        let space = Space { quota: allowance.quota, ..Space::default() };
        Keeper { allowance, space, grown: 0, tiny: false, fault: false, forced: 0 }
    }

    fn ballast_size(&self) -> u64 {
        if self.tiny { 0 } else { self.allowance.ballast }
    }

    fn over_quota(&self, more: u64) -> bool {
        self.space.used.saturating_add(self.grown).saturating_add(more) > self.allowance.quota
    }

    /// What has to be free for a ballast to be made: as much again stays free then, so that the state does not flutter.
    fn wanted(&self) -> u64 {
        let margin = if self.tiny { self.allowance.margin / 8 } else { self.allowance.margin };
        self.ballast_size().saturating_add(margin)
    }

    fn has_wanted(&self) -> bool {
        let wanted = self.wanted().saturating_sub(self.space.ballast);
        self.space.free >= wanted && self.below_quota() >= self.wanted_below_quota()
    }

    fn below_quota(&self) -> u64 {
        self.allowance.quota.saturating_sub(self.space.used)
    }

    fn wanted_below_quota(&self) -> u64 {
        let margin = self.allowance.margin.min(self.allowance.quota / 8);
        self.ballast_size().saturating_sub(self.space.ballast).saturating_add(margin)
    }
}

impl Engine {
    /// The state at start; `refused` is why the journal could not be taken up.
    pub(crate) fn begin_room(&mut self, refused: Option<&io::Error>) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.measure();
        let keeper = &mut self.keeper;
        if keeper.space.ballast > 0 && keeper.space.ballast != keeper.allowance.ballast {
            // Cut short by a crash, or set to another size.
            let _ = room::release(self.shared.disk.as_ref());
            self.measure();
        }
        match refused {
            Some(error) => {
                let reason = error.to_string();
                let rescued = room::is_full(error) && self.release() && self.journal.recover().is_ok();
                self.keeper.fault = !room::is_full(error);
                findings.push(self.shared.begin_room(if rescued {
                    Room::Reserve { reason }
                } else {
                    Room::Nothing { reason }
                }));
            }
            None if self.has_ballast() => {}
            None if self.keeper.has_wanted() => {
                if let Err(error) = self.make_ballast() {
                    findings.push(Finding::NoBallast { reason: error.to_string() });
                }
            }
            None => {
                let reason = self.shortage();
                findings.push(self.shared.begin_room(Room::Reserve { reason }));
            }
        }
        if self.keeper.tiny && self.keeper.allowance.ballast > 0 {
            let Space { free, quota, .. } = self.keeper.space;
            let (free, quota) = (limits::in_words(free), limits::in_words(quota));
            let reason = format!("file system or quota is small, {free} are free and the quota is {quota}");
            findings.push(Finding::NoBallast { reason });
        }
        findings
    }

    /// Splits off what has to wait until there is room again: answers its reason, and which batches go on.
    pub(super) fn refused_for_room(&self, group: &[Batch]) -> Option<(String, Vec<bool>)> {
        let reason = match self.shared.room() {
            Room::Plenty => return None,
            // A disk that failed is asked each time whether it still does.
            Room::Nothing { .. } if self.keeper.fault => return None,
            Room::Reserve { reason } | Room::Nothing { reason } => reason,
        };
        Some((reason, group.iter().map(|batch| batch.essential || batch.changes.is_empty()).collect()))
    }

    /// Appends a frame. When there is no room for it the ballast goes, and it is tried once more.
    pub(super) fn append(&mut self, frame: &[u8], crc: u32, batches: u64) -> io::Result<()> {
        let mut written = self.append_once(frame, crc, batches);
        if let Err(error) = &written
            && room::is_full(error)
            && self.release()
        {
            self.shared.set_room(Room::Reserve { reason: error.to_string() });
            written = self.append_once(frame, crc, batches);
        }
        match &written {
            Ok(()) => {
                self.keeper.grown += frame.len() as u64;
                self.after_success();
            }
            Err(error) => {
                self.keeper.fault = !room::is_full(error);
                self.shared.set_room(Room::Nothing { reason: error.to_string() });
            }
        }
        written
    }

    fn append_once(&mut self, frame: &[u8], crc: u32, batches: u64) -> io::Result<()> {
        let len = frame.len() as u64;
        if self.keeper.over_quota(len) {
            self.press(len);
        }
        if self.keeper.over_quota(len) {
            let quota = limits::in_words(self.keeper.allowance.quota);
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                format!("the store has used up its quota of {quota}"),
            ));
        }
        self.journal.append(frame, crc, batches)
    }

    /// Makes room below the quota, as far as that is possible without letting go of what is true.
    fn press(&mut self, more: u64) {
        self.measure();
        if self.keeper.over_quota(more) {
            self.shed();
        }
        while self.keeper.over_quota(more) && self.keeper.forced < FORCED_CHECKPOINTS_MAX && self.since > 0 {
            self.keeper.forced += 1;
            let revision = self.begin_checkpoint();
            if let Err(error) = self.shared.checkpoint(revision) {
                self.checkpoint_failed(&error);
            }
            self.measure();
        }
    }

    fn shed(&mut self) {
        match room::shed(self.shared.disk.as_ref()) {
            Ok(removed) => removed.into_iter().for_each(|finding| self.shared.found(finding)),
            Err(error) => tracing::warn!(%error, "store: what is kept for study could not be removed"),
        }
        self.measure();
    }

    fn after_success(&mut self) {
        if !matches!(self.shared.room(), Room::Nothing { .. }) {
            return;
        }
        self.keeper.fault = false;
        self.shared.set_room(self.room_with_a_disk_that_works());
    }

    fn room_with_a_disk_that_works(&self) -> Room {
        // A ballast that could not be made for another reason than room is no reason to refuse anything.
        if self.has_ballast() || self.keeper.has_wanted() {
            Room::Plenty
        } else {
            Room::Reserve { reason: self.shortage() }
        }
    }

    fn has_ballast(&self) -> bool {
        self.keeper.space.ballast == self.keeper.ballast_size()
    }

    fn shortage(&self) -> String {
        let Space { free, used, quota, .. } = self.keeper.space;
        let words = limits::in_words;
        format!(
            "{} are free, {} of a quota of {} used; {} are needed",
            words(free),
            words(used),
            words(quota),
            words(self.keeper.wanted())
        )
    }

    /// True while [`Engine::look`] has something to look for.
    pub(crate) fn wants_look(&self) -> bool {
        self.keeper.grown > 0 || !self.has_ballast() || self.shared.room() != Room::Plenty
    }

    /// Looks after the room; to be called about each second while [`Engine::wants_look`].
    pub(crate) fn look(&mut self) {
        self.measure();
        if self.shared.room() == Room::Plenty {
            if self.keeper.over_quota(0) {
                self.press(0);
            } else {
                self.keeper.forced = 0;
            }
            if !self.has_ballast() && self.keeper.has_wanted() {
                // What went wrong was said at start.
                let _ = self.make_ballast();
            }
            return;
        }
        if self.keeper.fault {
            return self.probe();
        }
        if !self.keeper.has_wanted() {
            if self.keeper.below_quota() < self.keeper.wanted_below_quota() {
                self.shed();
                self.press(self.keeper.wanted_below_quota());
            }
            let nothing = matches!(self.shared.room(), Room::Nothing { .. });
            if nothing && self.keeper.space.free >= self.keeper.allowance.margin / 8 {
                // Not what a ballast takes, but something to keep promises with.
                return self.probe();
            }
            if !self.keeper.has_wanted() {
                return;
            }
        }
        if !self.has_ballast() && self.make_ballast().is_err() {
            return;
        }
        self.keeper.forced = 0;
        self.probe();
    }

    /// Goes on when the disk takes a write.
    fn probe(&mut self) {
        match self.journal.probe() {
            Ok(()) => {
                self.keeper.fault = false;
                self.shared.set_room(self.room_with_a_disk_that_works());
            }
            Err(error) => {
                self.keeper.fault = !room::is_full(&error);
                self.shared.set_room(Room::Nothing { reason: error.to_string() });
            }
        }
    }

    /// True when a checkpoint can be written beside the one that is there, without using what promises need.
    pub(crate) fn checkpoint_fits(&self) -> bool {
        let disk = self.shared.disk.as_ref();
        let newest = checkpoint::list(disk).ok().and_then(|all| all.into_iter().next());
        let bytes = newest.and_then(|(_, name)| disk.len(&name).ok().flatten()).unwrap_or(0);
        let room = bytes.saturating_add(self.since).saturating_add(self.keeper.allowance.margin / 8);
        self.shared.room() == Room::Plenty || self.keeper.space.free > room
    }

    fn make_ballast(&mut self) -> io::Result<()> {
        let made = room::make(self.shared.disk.as_ref(), self.keeper.ballast_size());
        self.measure();
        made
    }

    /// Releases the ballast; false when there was none or it cannot be.
    fn release(&mut self) -> bool {
        if self.keeper.space.ballast == 0 {
            return false;
        }
        let released = room::release(self.shared.disk.as_ref());
        self.measure();
        released.is_ok()
    }

    fn measure(&mut self) {
        let disk = self.shared.disk.as_ref();
        let keeper = &mut self.keeper;
        match disk.usage() {
            Ok(usage) => {
                keeper.tiny = room::is_tiny(&usage, &keeper.allowance);
                (keeper.space.used, keeper.space.free) = (usage.used, usage.free);
                keeper.grown = 0;
            }
            Err(error) => tracing::warn!(%error, "store: the room on the disk cannot be told"),
        }
        keeper.space.ballast = room::held(disk);
        keeper.space.ballast_size = keeper.ballast_size();
        self.shared.set_space(keeper.space);
    }
}

#[cfg(test)]
mod tests;
