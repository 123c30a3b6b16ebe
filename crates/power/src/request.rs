//! What is asked for, in the form of an API body and of a command line's options; made into the parts of an [`Order`](crate::Order).

use crate::limits::{GRACE, GRACE_MAX};
use crate::redfish::{Action, BootMode, BootTarget, NextBoot};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is asked for of one host's power. Nothing but `{}` is a look at its state.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerRequest {
    /// What to do with its power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionName>,
    /// Seconds its operating system may take to shut down, for `off` and `cycle`; 0 asks it nothing. `off` gives it 120 unless
    /// you say, `cycle` none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_secs: Option<u64>,
    /// What to start from next; set before the power is switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_boot: Option<BootTarget>,
    /// URL for `uefi-http`; without it the firmware asks DHCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_uri: Option<String>,
    /// Mode of the firmware for the next boot; otherwise it is left alone. Some controllers refuse to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_mode: Option<BootMode>,
    /// Keep the next boot until it is taken back with `none`; otherwise it counts once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// Look at everything, change nothing, say what would be sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What to do with the power of a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionName {
    /// It has power.
    On,
    /// It has none.
    Off,
    /// It starts anew; one that is off is turned on.
    Cycle,
}

/// Why a request makes no sense.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// A shutdown that nobody asks for.
    #[error("`grace_secs` goes with `off` and `cycle`")]
    Grace,
    /// Somebody would wait too long.
    #[error("`grace_secs` is {0}, and a shutdown is waited for {max} s at most", max = GRACE_MAX.as_secs())]
    GraceTooLong(u64),
    /// A URL for another target.
    #[error("`http_uri` goes with `next_boot: uefi-http`")]
    Uri,
    /// No URL.
    #[error("`http_uri` is no http:// or https:// URL")]
    NoUri,
    /// Nothing to keep, or to start in that mode.
    #[error("`{0}` goes with `next_boot`")]
    Alone(&'static str),
    /// What is turned off starts from nothing.
    #[error("`next_boot` goes with `on`, with `cycle` and alone")]
    NextBoot,
}

impl PowerRequest {
    /// The action and the next boot of an order.
    ///
    /// # Errors
    /// When they do not go together.
    pub fn parts(&self) -> Result<(Option<Action>, Option<NextBoot>), RequestError> {
        let grace = |usual: Duration| match self.grace_secs {
            Some(secs) if secs > GRACE_MAX.as_secs() => Err(RequestError::GraceTooLong(secs)),
            Some(0) => Ok(None),
            Some(secs) => Ok(Some(Duration::from_secs(secs))),
            None => Ok(Some(usual).filter(|usual| !usual.is_zero())),
        };
        let action = match self.action {
            Some(ActionName::Off) => Some(Action::Off { grace: grace(GRACE)? }),
            Some(ActionName::Cycle) => Some(Action::Cycle { grace: grace(Duration::ZERO)? }),
            None | Some(ActionName::On) if self.grace_secs.is_some() => return Err(RequestError::Grace),
            Some(ActionName::On) => Some(Action::On),
            None => None,
        };
        let Some(target) = self.next_boot else {
            return match (&self.http_uri, self.keep, self.boot_mode) {
                (Some(_), _, _) => Err(RequestError::Uri),
                (None, true, _) => Err(RequestError::Alone("keep")),
                (None, false, Some(_)) => Err(RequestError::Alone("boot_mode")),
                (None, false, None) => Ok((action, None)),
            };
        };
        if self.action == Some(ActionName::Off) {
            return Err(RequestError::NextBoot);
        }
        if let Some(uri) = &self.http_uri {
            if target != BootTarget::UefiHttp {
                return Err(RequestError::Uri);
            }
            // Firmware takes no others, and a controller none that are absurd.
            let plain = uri.len() <= 1024 && uri.bytes().all(|byte| byte.is_ascii_graphic());
            if !plain || uri.parse::<fetch::Location>().is_err() {
                return Err(RequestError::NoUri);
            }
        }
        let http_uri = self.http_uri.clone();
        Ok((action, Some(NextBoot { target, once: !self.keep, http_uri, mode: self.boot_mode })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parts(value: Value) -> Result<(Option<Action>, Option<NextBoot>), String> {
        let request: PowerRequest =
            serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
        assert_eq!(serde_json::to_value(&request).unwrap(), value);
        request.parts().map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_is_an_action_and_a_next_boot() {
        let secs = |secs| Some(Duration::from_secs(secs));
        let pxe = Some(NextBoot::once(BootTarget::Pxe));
        let uri = Some("http://192.0.2.1/boot.efi".to_owned());
        let mode = Some(BootMode::Uefi);
        let http = NextBoot { http_uri: uri, once: false, mode, ..NextBoot::once(BootTarget::UefiHttp) };
        for (value, action, next_boot) in [
            (json!({}), None, None),
            (json!({"action": "on"}), Some(Action::On), None),
            (json!({"action": "off"}), Some(Action::Off { grace: secs(120) }), None),
            (json!({"action": "off", "grace_secs": 0}), Some(Action::Off { grace: None }), None),
            (json!({"action": "cycle"}), Some(Action::Cycle { grace: None }), None),
            (json!({"action": "cycle", "grace_secs": 1800}), Some(Action::Cycle { grace: secs(1800) }), None),
            (
                json!({"action": "cycle", "next_boot": "pxe"}),
                Some(Action::Cycle { grace: None }),
                pxe.clone(),
            ),
            (json!({"next_boot": "pxe"}), None, pxe),
            (
                json!({"next_boot": "uefi-http", "http_uri": "http://192.0.2.1/boot.efi", "keep": true, "boot_mode": "uefi"}),
                None,
                Some(http),
            ),
        ] {
            assert_eq!(parts(value.clone()), Ok((action, next_boot)), "{value}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (value, said) in [
            (json!({"action": "on", "grace_secs": 5}), "`grace_secs` goes with"),
            (json!({"grace_secs": 5}), "`grace_secs` goes with"),
            (json!({"action": "off", "grace_secs": 1801}), "1800 s at most"),
            (json!({"action": "off", "next_boot": "pxe"}), "`next_boot` goes with"),
            (json!({"next_boot": "pxe", "http_uri": "http://h/"}), "`http_uri` goes with"),
            (json!({"http_uri": "http://h/"}), "`http_uri` goes with"),
            (json!({"next_boot": "uefi-http", "http_uri": "tftp://h/"}), "no http"),
            (json!({"next_boot": "uefi-http", "http_uri": "http://h/ x"}), "no http"),
            (json!({"action": "on", "keep": true}), "`keep` goes with"),
            (json!({"action": "cycle", "boot_mode": "uefi"}), "`boot_mode` goes with"),
            (json!({"next_boot": "pxe", "boot_mode": "bios"}), "unknown variant `bios`"),
            (json!({"action": "reset"}), "unknown variant `reset`"),
            (json!({"next_boot": "cd"}), "unknown variant `cd`"),
            (json!({"reboot": true}), "unknown field `reboot`"),
        ] {
            let error = parts(value.clone()).expect_err(said);
            assert!(error.contains(said), "{value}: {error}");
        }
    }
}
