//! What a boot was made of: the version of its image and the values it was rendered with, so that it can be compared later with
//! what would be given then.

use super::step::Draft;
use super::{Installed, Life, NetworkBoot};
use std::sync::Arc;
use types::resource::Name;

/// What one boot was made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meant {
    /// The boot it is about, 1..=64 bytes.
    pub boot: Arc<str>,
    /// Version id of the image, where it has versions.
    pub version: Option<Name>,
    /// Digest of everything its script and answer file were rendered from (`plan::Meant`); `None` when it was made by other
    /// rules than today's and compares with nothing.
    pub values: Option<u64>,
}

impl Life {
    /// The newest boot, with what it was made of.
    pub fn last_boot_as_meant(&self) -> Option<(&NetworkBoot, Option<&Meant>)> {
        let last = self.last_boot.as_ref()?;
        Some((last, self.last_meant.as_ref().filter(|meant| meant.boot == last.boot)))
    }

    /// What was installed last, with what it was made of.
    pub fn installed_as_meant(&self) -> Option<(&Installed, Option<&Meant>)> {
        let own = self.installed.as_ref()?;
        let meant = self.installed_meant.as_ref().filter(|meant| own.boot.as_ref() == Some(&meant.boot));
        Some((own, meant))
    }
}

impl Draft {
    pub(super) fn boot_meant(&mut self, meant: Meant) {
        if self.life.last_boot.as_ref().is_some_and(|last| last.boot == meant.boot) {
            self.life.last_meant = Some(meant);
        }
    }

    /// That boot has installed the host. What an earlier report of it kept stays.
    pub(super) fn installed_as_meant(&mut self, boot: &Arc<str>) {
        let of = |meant: &Option<Meant>| meant.clone().filter(|meant| meant.boot == *boot);
        self.life.installed_meant = of(&self.life.last_meant).or_else(|| of(&self.life.installed_meant));
    }
}
