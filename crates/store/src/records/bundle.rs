//! What became of the scripts of a host's bundles: table boots, key `bundles/<host>`, version 1. Written whole.
//!
//! Nothing is permitted by it: one that cannot be read is told of and begun anew.

use super::Kind;
use crate::error::RecordError;
use serde::{Deserialize, Serialize};
use types::resource::Name;
use types::resource::bundle::limits::SCRIPTS_OF_MACHINE_MAX;

/// Scripts of bundles as they ran.
pub const BUNDLE_RUNS: Kind = Kind { name: "bundle runs", steps: &[] };

/// Bytes of a script's last words that are kept.
pub const OUTPUT_BYTES_MAX: usize = 1024;

/// Longest record: each script with its longest names and its last words, every byte of those escaped.
pub const BUNDLE_RUNS_BYTES_MAX: usize = SCRIPTS_OF_MACHINE_MAX * (6 * OUTPUT_BYTES_MAX + 512);

const KEY_PREFIX: &str = "bundles/";

/// Key of what became of a host's scripts, in table boots.
pub fn bundle_runs_key(host: &Name) -> Vec<u8> {
    format!("{KEY_PREFIX}{host}").into_bytes()
}

/// The host whose scripts a key of table boots stands for.
pub fn bundle_runs_host(key: &[u8]) -> Option<Name> {
    std::str::from_utf8(key).ok()?.strip_prefix(KEY_PREFIX)?.parse().ok()
}

/// The last run of one script. Times are seconds since 1970 UTC.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScriptRun {
    /// Its bundle.
    pub bundle: Name,
    /// Its name in it.
    pub script: Name,
    /// Id of the boot it ran in.
    pub boot: String,
    /// When it was begun, or was first heard of.
    pub started: u64,
    /// When it ended; `None` while nothing is heard of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Its exit status, with `ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<u8>,
    /// Its last words, at most [`OUTPUT_BYTES_MAX`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl ScriptRun {
    /// True when it ended with another status than 0.
    pub fn failed(&self) -> bool {
        self.exit_status.is_some_and(|status| status != 0)
    }
}

/// Writes what became of a host's scripts.
///
/// # Errors
/// [`RecordError::BadField`] for more than may be.
pub fn encode_bundle_runs(runs: &[ScriptRun]) -> Result<Vec<u8>, RecordError> {
    check(runs)?;
    BUNDLE_RUNS.encode(&runs)
}

/// Reads it.
///
/// # Errors
/// As [`Kind::decode`], and [`RecordError::BadField`] for more than may be, or for an end without a status.
pub fn decode_bundle_runs(value: &[u8]) -> Result<Vec<ScriptRun>, RecordError> {
    if value.len() > BUNDLE_RUNS_BYTES_MAX {
        return Err(RecordError::BadField { kind: BUNDLE_RUNS.name, field: "length" });
    }
    let runs: Vec<ScriptRun> = BUNDLE_RUNS.decode(value)?;
    check(&runs)?;
    Ok(runs)
}

fn check(runs: &[ScriptRun]) -> Result<(), RecordError> {
    let bad = |field| Err(RecordError::BadField { kind: BUNDLE_RUNS.name, field });
    if runs.len() > SCRIPTS_OF_MACHINE_MAX {
        return bad("scripts");
    }
    for run in runs {
        if run.output.as_ref().is_some_and(|output| output.len() > OUTPUT_BYTES_MAX) {
            return bad("output");
        }
        if run.ended.is_some() != run.exit_status.is_some() {
            return bad("exit_status");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> ScriptRun {
        ScriptRun {
            bundle: "base".parse().unwrap(),
            script: script.parse().unwrap(),
            boot: "01K0".to_owned(),
            started: 1,
            ended: Some(2),
            exit_status: Some(3),
            output: Some("x".repeat(OUTPUT_BYTES_MAX)),
        }
    }

    #[test]
    fn runs_are_written_and_read_again() {
        let runs = vec![run("one"), ScriptRun { ended: None, exit_status: None, output: None, ..run("two") }];
        let value = encode_bundle_runs(&runs).unwrap();
        assert_eq!(decode_bundle_runs(&value).unwrap(), runs);
        let text = String::from_utf8(value).unwrap();
        assert!(text.starts_with(r#"{"v":1,"record":[{"bundle":"base","script":"one","boot":"01K0","started":1,"ended":2,"exit_status":3,"#));
        let key = bundle_runs_key(&"web01".parse().unwrap());
        assert_eq!(
            (key.as_slice(), bundle_runs_host(&key)),
            (b"bundles/web01".as_slice(), "web01".parse().ok())
        );
        assert_eq!(bundle_runs_host(b"host/web01"), None);
    }

    #[test]
    fn what_is_longer_than_may_be_or_contradicts_itself_is_refused() {
        let many: Vec<ScriptRun> = (0..=SCRIPTS_OF_MACHINE_MAX).map(|at| run(&format!("s{at}"))).collect();
        assert!(encode_bundle_runs(&many).is_err());
        let long = ScriptRun { output: Some("x".repeat(OUTPUT_BYTES_MAX + 1)), ..run("a") };
        assert!(encode_bundle_runs(&[long]).is_err());
        assert!(encode_bundle_runs(&[ScriptRun { exit_status: None, ..run("a") }]).is_err());
        let worst: Vec<ScriptRun> = (0..SCRIPTS_OF_MACHINE_MAX)
            .map(|at| ScriptRun {
                bundle: "b".repeat(63).parse().unwrap(),
                script: format!("{}{at:03}", "s".repeat(60)).parse().unwrap(),
                boot: "0".repeat(64),
                output: Some("\u{1}".repeat(OUTPUT_BYTES_MAX)),
                ..run("a")
            })
            .collect();
        let value = encode_bundle_runs(&worst).unwrap();
        assert!(value.len() <= BUNDLE_RUNS_BYTES_MAX && decode_bundle_runs(&value).is_ok());
    }
}
