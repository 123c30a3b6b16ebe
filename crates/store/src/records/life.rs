//! Lives of hosts on disk.
//!
//! One record per recorded host, table boots, key `host/<name>`. Version 1. A life that contradicts itself is refused like one
//! that cannot be read ([`Life::check`]): a permission to erase a disk is never guessed. What reads nothing must permit
//! nothing: a host whose record is refused is treated as locked until an operator forgets it.

use super::Kind;
use crate::error::RecordError;
use boots::life::{
    Arming, FromCache, Grant, ImageRef, Installed, Life, LifeFault, Lock, Meant, NetworkBoot, OnceBoot,
    OneShot, Phase, Quarantine, Told, Used,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use types::UnixTime;
use types::resource::Name;

/// Lives of hosts.
pub const LIFE: Kind = Kind { name: "life", steps: &[] };

/// Longest record of a life: every text at its limit and every byte of it escaped, twice over.
pub const LIFE_BYTES_MAX: usize = 32 << 10;

const KEY_PREFIX: &str = "host/";

/// Key of a host's life, in table boots.
pub fn life_key(host: &Name) -> Vec<u8> {
    format!("{KEY_PREFIX}{host}").into_bytes()
}

/// The host whose life a key of table boots stands for.
pub fn life_host(key: &[u8]) -> Option<Name> {
    std::str::from_utf8(key).ok()?.strip_prefix(KEY_PREFIX)?.parse().ok()
}

/// An image, by name and version.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredImage {
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Name>,
}

impl From<&ImageRef> for StoredImage {
    fn from(image: &ImageRef) -> StoredImage {
        StoredImage { name: image.name.clone(), version: image.version.clone() }
    }
}

impl From<StoredImage> for ImageRef {
    fn from(image: StoredImage) -> ImageRef {
        ImageRef { name: image.name, version: image.version }
    }
}

/// A [`Life`] on disk. Times are seconds since 1970 UTC.
#[derive(Serialize, Deserialize)]
struct StoredLife {
    phase: String,
    since: u64,
    heard: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arming: Option<StoredArming>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    one_shot: Option<StoredOneShot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<StoredGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk_until: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quarantine: Option<StoredQuarantine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<StoredLock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    installed: Option<StoredInstalled>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_boot: Option<StoredBoot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_cache: Option<StoredCache>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_meant: Option<StoredMeant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    installed_meant: Option<StoredMeant>,
}

#[derive(Serialize, Deserialize)]
struct StoredArming {
    by: String,
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    retries: u8,
}

#[derive(Serialize, Deserialize)]
struct StoredOneShot {
    /// Absent: the local disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<StoredImage>,
    armed: bool,
    by: String,
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    retries: u8,
}

#[derive(Serialize, Deserialize)]
struct StoredGrant {
    boot: String,
    image: StoredImage,
    at: u64,
    used: StoredUsed,
    open: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredUsed {
    Arming(StoredArming),
    OneShot(StoredOneShot),
}

#[derive(Serialize, Deserialize)]
struct StoredQuarantine {
    by: String,
    at: u64,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct StoredLock {
    by: String,
    at: u64,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct StoredInstalled {
    image: StoredImage,
    destructive: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    at: u64,
    told: String,
}

#[derive(Serialize, Deserialize)]
struct StoredBoot {
    boot: String,
    image: StoredImage,
    destructive: bool,
    at: u64,
    opened: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredCache {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reported: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    since: u64,
}

/// A program that does not know of it loses it, and drift cannot be told until the next boot: no version more.
#[derive(Serialize, Deserialize)]
struct StoredMeant {
    boot: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Name>,
    /// `1:` and 16 hex digits. What digests of other rules wrote in front of the colon compares with nothing and is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<String>,
}

const VALUES_MARK: &str = "1:";

impl From<&Meant> for StoredMeant {
    fn from(it: &Meant) -> StoredMeant {
        let Meant { boot, version, values } = it;
        let values = values.map(|values| format!("{VALUES_MARK}{values:016x}"));
        StoredMeant { boot: text(boot), version: version.clone(), values }
    }
}

impl From<StoredMeant> for Meant {
    fn from(it: StoredMeant) -> Meant {
        let StoredMeant { boot, version, values } = it;
        let digits = values.as_deref().and_then(|values| values.strip_prefix(VALUES_MARK));
        let values = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Meant { boot: boot.into(), version, values }
    }
}

fn text(text: &Arc<str>) -> String {
    text.to_string()
}

fn texts(text: Option<&Arc<str>>) -> Option<String> {
    text.map(|text| text.to_string())
}

fn secs(time: Option<UnixTime>) -> Option<u64> {
    time.map(|time| time.0)
}

impl From<&Arming> for StoredArming {
    fn from(it: &Arming) -> StoredArming {
        let Arming { by, at, image, expires, retries } = it;
        StoredArming {
            by: text(by),
            at: at.0,
            image: image.clone(),
            expires: secs(*expires),
            retries: *retries,
        }
    }
}

impl From<StoredArming> for Arming {
    fn from(it: StoredArming) -> Arming {
        let StoredArming { by, at, image, expires, retries } = it;
        Arming { by: by.into(), at: UnixTime(at), image, expires: expires.map(UnixTime), retries }
    }
}

impl From<&OneShot> for StoredOneShot {
    fn from(it: &OneShot) -> StoredOneShot {
        let OneShot { what, armed, by, at, expires, retries } = it;
        let image = match what {
            OnceBoot::Image(image) => Some(image.into()),
            OnceBoot::LocalDisk => None,
        };
        StoredOneShot {
            image,
            armed: *armed,
            by: text(by),
            at: at.0,
            expires: secs(*expires),
            retries: *retries,
        }
    }
}

impl From<StoredOneShot> for OneShot {
    fn from(it: StoredOneShot) -> OneShot {
        let StoredOneShot { image, armed, by, at, expires, retries } = it;
        let what = image.map_or(OnceBoot::LocalDisk, |image| OnceBoot::Image(image.into()));
        OneShot { what, armed, by: by.into(), at: UnixTime(at), expires: expires.map(UnixTime), retries }
    }
}

impl From<&Grant> for StoredGrant {
    fn from(it: &Grant) -> StoredGrant {
        let Grant { boot, image, at, used, open } = it;
        let used = match used {
            Used::Arming(own) => StoredUsed::Arming(own.into()),
            Used::OneShot(own) => StoredUsed::OneShot(own.into()),
        };
        StoredGrant { boot: text(boot), image: image.into(), at: at.0, used, open: *open }
    }
}

impl From<StoredGrant> for Grant {
    fn from(it: StoredGrant) -> Grant {
        let StoredGrant { boot, image, at, used, open } = it;
        let used = match used {
            StoredUsed::Arming(own) => Used::Arming(own.into()),
            StoredUsed::OneShot(own) => Used::OneShot(own.into()),
        };
        Grant { boot: boot.into(), image: image.into(), at: UnixTime(at), used, open }
    }
}

fn checked(fault: LifeFault) -> RecordError {
    RecordError::BadField { kind: LIFE.name, field: fault.field }
}

/// Writes a life.
///
/// # Errors
/// [`RecordError::BadField`] for one that [`Life::check`] refuses: no step makes such a one.
pub fn encode_life(life: &Life) -> Result<Vec<u8>, RecordError> {
    life.check().map_err(checked)?;
    let Life {
        phase,
        since,
        heard,
        detail,
        arming,
        one_shot,
        grant,
        disk_until,
        quarantine,
        lock,
        installed,
        last_boot,
        from_cache,
        last_meant,
        installed_meant,
    } = life;
    let stored = StoredLife {
        phase: phase.as_str().to_owned(),
        since: since.0,
        heard: heard.0,
        detail: texts(detail.as_ref()),
        arming: arming.as_ref().map(StoredArming::from),
        one_shot: one_shot.as_ref().map(StoredOneShot::from),
        grant: grant.as_ref().map(StoredGrant::from),
        disk_until: secs(*disk_until),
        quarantine: quarantine.as_ref().map(|Quarantine { by, at, reason, until }| StoredQuarantine {
            by: text(by),
            at: at.0,
            reason: text(reason),
            until: secs(*until),
        }),
        lock: lock.as_ref().map(|Lock { by, at, reason }| StoredLock {
            by: text(by),
            at: at.0,
            reason: text(reason),
        }),
        installed: installed.as_ref().map(|Installed { image, destructive, boot, at, told }| {
            StoredInstalled {
                image: image.into(),
                destructive: *destructive,
                boot: texts(boot.as_ref()),
                at: at.0,
                told: told.as_str().to_owned(),
            }
        }),
        last_boot: last_boot.as_ref().map(|NetworkBoot { boot, image, destructive, at, opened }| {
            StoredBoot {
                boot: text(boot),
                image: image.into(),
                destructive: *destructive,
                at: at.0,
                opened: *opened,
            }
        }),
        from_cache: from_cache.as_ref().map(|FromCache { reported, expected, since }| StoredCache {
            reported: texts(reported.as_ref()),
            expected: texts(expected.as_ref()),
            since: since.0,
        }),
        last_meant: last_meant.as_ref().map(StoredMeant::from),
        installed_meant: installed_meant.as_ref().map(StoredMeant::from),
    };
    LIFE.encode(&stored)
}

/// Reads a life.
///
/// # Errors
/// As [`Kind::decode`], and [`RecordError::BadField`] when it is longer than [`LIFE_BYTES_MAX`], names a phase that there is
/// not, or contradicts itself.
pub fn decode_life(value: &[u8]) -> Result<Life, RecordError> {
    let bad = |field| RecordError::BadField { kind: LIFE.name, field };
    if value.len() > LIFE_BYTES_MAX {
        return Err(bad("length"));
    }
    let stored: StoredLife = LIFE.decode(value)?;
    let installed = stored.installed.map(|it| {
        Ok(Installed {
            image: it.image.into(),
            destructive: it.destructive,
            boot: it.boot.map(Arc::from),
            at: UnixTime(it.at),
            told: Told::from_name(&it.told).ok_or(bad("told"))?,
        })
    });
    let life = Life {
        phase: Phase::from_name(&stored.phase).ok_or(bad("phase"))?,
        since: UnixTime(stored.since),
        heard: UnixTime(stored.heard),
        detail: stored.detail.map(Arc::from),
        arming: stored.arming.map(Arming::from),
        one_shot: stored.one_shot.map(OneShot::from),
        grant: stored.grant.map(Grant::from),
        disk_until: stored.disk_until.map(UnixTime),
        quarantine: stored.quarantine.map(|it| Quarantine {
            by: it.by.into(),
            at: UnixTime(it.at),
            reason: it.reason.into(),
            until: it.until.map(UnixTime),
        }),
        lock: stored.lock.map(|it| Lock { by: it.by.into(), at: UnixTime(it.at), reason: it.reason.into() }),
        installed: installed.transpose()?,
        last_boot: stored.last_boot.map(|it| NetworkBoot {
            boot: it.boot.into(),
            image: it.image.into(),
            destructive: it.destructive,
            at: UnixTime(it.at),
            opened: it.opened,
        }),
        from_cache: stored.from_cache.map(|it| FromCache {
            reported: it.reported.map(Arc::from),
            expected: it.expected.map(Arc::from),
            since: UnixTime(it.since),
        }),
        last_meant: stored.last_meant.map(Meant::from),
        installed_meant: stored.installed_meant.map(Meant::from),
    };
    life.check().map_err(checked)?;
    Ok(life)
}

#[cfg(test)]
mod tests;
