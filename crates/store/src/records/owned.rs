//! Records that have an owner beside them: `{"v":2,"owner":"apply:ci","record":{…}}`. Without one they are the API's.

use super::{Kind, Step};
use crate::error::RecordError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::resource::Owner;

#[derive(Serialize)]
struct Wrapped<'a, T> {
    v: u32,
    #[serde(skip_serializing_if = "Owner::is_api")]
    owner: &'a Owner,
    record: &'a T,
}

#[derive(Deserialize)]
struct Whole<T> {
    v: u32,
    #[serde(default)]
    owner: Owner,
    record: T,
}

#[derive(Deserialize)]
struct Beside {
    #[serde(default)]
    owner: Owner,
}

/// Version 1 to 2 of every kind that has owners: one may stand beside the record, which is as it was. A program that knows
/// no owners must not write such a record, so the version rises.
#[expect(clippy::unnecessary_wraps, reason = "it is a step")]
pub(super) fn owner_beside(_: &mut Value) -> Result<(), RecordError> {
    Ok(())
}

/// Writes a record with its owner.
///
/// # Errors
/// As [`Kind::encode`].
pub fn encode_owned<T: Serialize>(kind: &Kind, owner: &Owner, record: &T) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(&Wrapped { v: kind.version(), owner, record })
        .map_err(|source| RecordError::Malformed { kind: kind.name, source })
}

/// Reads a record of any version there ever was, and whose it is.
///
/// # Errors
/// As [`Kind::decode`].
pub fn decode_owned<T: DeserializeOwned>(kind: &Kind, value: &[u8]) -> Result<(Owner, T), RecordError> {
    // In one pass, as nearly every one can be read: a site has thousands, and they are read for every change.
    if let Ok(whole) = serde_json::from_slice::<Whole<T>>(value)
        && same_record(kind, whole.v)
    {
        return Ok((whole.owner, whole.record));
    }
    let record = kind.decode(value)?;
    let beside = serde_json::from_slice::<Beside>(value)
        .map_err(|source| RecordError::Malformed { kind: kind.name, source })?;
    Ok((beside.owner, record))
}

/// True when a record of this version is one of today's: all that came since is the owner beside it.
fn same_record(kind: &Kind, version: u32) -> bool {
    let same = |step: &Step| std::ptr::fn_addr_eq(*step, owner_beside as Step);
    let done = version.checked_sub(1).and_then(|done| usize::try_from(done).ok());
    done.and_then(|done| kind.steps.get(done..)).is_some_and(|since| since.iter().all(same))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{BUNDLE, GROUP, HOST, RULE, TEMPLATE};
    use types::resource::{Bundle, Group, Host, Template};

    fn host() -> Host {
        serde_json::from_str(r#"{"name":"web01","match":{"mac":"52:54:00:12:34:56"}}"#).unwrap()
    }

    #[test]
    fn the_stored_form_of_an_owned_record_is_this() {
        let owner = Owner::Apply("ci".parse().unwrap());
        let value = encode_owned(&HOST, &owner, &host()).unwrap();
        let text =
            r#"{"v":2,"owner":"apply:ci","record":{"name":"web01","match":{"mac":"52:54:00:12:34:56"}}}"#;
        assert_eq!(String::from_utf8(value.clone()).unwrap(), text);
        assert_eq!(decode_owned::<Host>(&HOST, &value).unwrap(), (owner, host()));
        let value = encode_owned(&HOST, &Owner::Api, &host()).unwrap();
        assert_eq!(value, HOST.encode(&host()).unwrap(), "an owner that is the API is not written");
    }

    #[test]
    fn what_an_earlier_version_wrote_is_the_apis() {
        let old = br#"{"v":1,"record":{"name":"web01","match":{"mac":"52:54:00:12:34:56"}}}"#;
        assert_eq!(decode_owned::<Host>(&HOST, old).unwrap(), (Owner::Api, host()));
        let old = br#"{"v":1,"record":{"name":"lab"}}"#;
        let (owner, group) = decode_owned::<Group>(&GROUP, old).unwrap();
        assert_eq!((owner, group.name.as_str()), (Owner::Api, "lab"));
    }

    #[test]
    fn a_record_that_is_newer_or_has_no_readable_owner_is_refused_by_name() {
        let newer = br#"{"v":3,"record":{"name":"lab"}}"#;
        assert!(matches!(decode_owned::<Group>(&GROUP, newer), Err(RecordError::Newer { found: 3, .. })));
        for bad in [
            r#"{"v":2,"owner":"somebody","record":{"name":"lab"}}"#,
            r#"{"v":0,"record":{"name":"lab"}}"#,
            "{}",
        ] {
            assert!(decode_owned::<Group>(&GROUP, bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_kind_with_owners_reads_version_1_in_one_pass() {
        assert!(
            [HOST, GROUP, RULE, TEMPLATE, BUNDLE]
                .iter()
                .all(|kind| same_record(kind, 1) && same_record(kind, 2))
        );
        assert!(!same_record(&HOST, 3) || HOST.version() >= 3);
        let other = Kind {
            name: "other",
            steps: &[|record| {
                *record = Value::Null;
                Ok(())
            }],
        };
        assert!(!same_record(&other, 1) && same_record(&other, 2));
        let template: Template = serde_json::from_str(r#"{"name":"t","kind":"text","text":"x\n"}"#).unwrap();
        let value = TEMPLATE.encode(&template).unwrap();
        assert_eq!(decode_owned::<Template>(&TEMPLATE, &value).unwrap(), (Owner::Api, template));
        let bundle: Bundle =
            serde_json::from_str(r#"{"name":"b","scripts":[{"name":"s","text":"true\n"}]}"#).unwrap();
        let owner = Owner::Apply("ci".parse().unwrap());
        let value = encode_owned(&BUNDLE, &owner, &bundle).unwrap();
        assert_eq!(decode_owned::<Bundle>(&BUNDLE, &value).unwrap(), (owner, bundle));
    }
}
