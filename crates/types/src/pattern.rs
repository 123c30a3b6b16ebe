//! Which events are meant: by name, by area, or all.

use crate::EventName;
use std::fmt;
use std::str::FromStr;

/// The area of what hooks tell of themselves. No pattern means it: a hook that reacts to a hook would never end.
const NOT_FOR_HOOKS: &str = "hook";

/// Events by name. Text: `host.seen`, `host.*` or `*`. Events of the area `hook` are never meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EventPattern {
    /// `*`
    Any,
    /// `area.*`
    Area(&'static str),
    /// `area.what`
    Only(EventName),
}

impl EventPattern {
    /// Whether it means events of this name.
    pub fn takes(self, name: EventName) -> bool {
        name.area() != NOT_FOR_HOOKS
            && match self {
                EventPattern::Any => true,
                EventPattern::Area(area) => name.area() == area,
                EventPattern::Only(only) => name == only,
            }
    }

    /// Every text that is a pattern, `*` last.
    pub fn known() -> Vec<String> {
        let mut known = Vec::new();
        let mut last = "";
        for name in EventName::ALL.iter().filter(|name| name.area() != NOT_FOR_HOOKS) {
            if name.area() != last {
                last = name.area();
                let area = format!("{last}.*");
                if !known.contains(&area) {
                    known.push(area);
                }
            }
            known.push(name.as_str().to_owned());
        }
        known.push("*".to_owned());
        known
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventPattern::Any => f.write_str("*"),
            EventPattern::Area(area) => write!(f, "{area}.*"),
            EventPattern::Only(name) => write!(f, "{name}"),
        }
    }
}

/// Why a text is no pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventPatternError {
    /// No event has this name, no area that.
    Unknown,
    /// An event of hooks.
    OfHooks,
}

impl fmt::Display for EventPatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EventPatternError::Unknown => "it means no event",
            EventPatternError::OfHooks => "hooks are not told of hooks",
        })
    }
}

impl std::error::Error for EventPatternError {}

impl FromStr for EventPattern {
    type Err = EventPatternError;

    fn from_str(text: &str) -> Result<EventPattern, EventPatternError> {
        if text == "*" {
            return Ok(EventPattern::Any);
        }
        if text.split('.').next() == Some(NOT_FOR_HOOKS) {
            return Err(EventPatternError::OfHooks);
        }
        if let Some(area) = text.strip_suffix(".*") {
            let found = EventName::ALL.iter().find(|name| name.area() == area);
            return found.map(|name| EventPattern::Area(name.area())).ok_or(EventPatternError::Unknown);
        }
        EventName::named(text).map(EventPattern::Only).ok_or(EventPatternError::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_says() {
        let takes = |pattern: &str, name| pattern.parse::<EventPattern>().unwrap().takes(name);
        assert!(takes("*", EventName::HostSeen) && takes("*", EventName::DhcpIgnored));
        assert!(takes("host.*", EventName::HostArmed) && !takes("host.*", EventName::BootUp));
        assert!(takes("boot.up", EventName::BootUp) && !takes("boot.up", EventName::BootStage));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in ["", "host", "host.", "hosts.*", "host.seeen", "*.seen", "host.**", "HOST.SEEN", "**"] {
            assert_eq!(text.parse::<EventPattern>(), Err(EventPatternError::Unknown), "{text}");
        }
        for text in ["hook.*", "hook.failed", "hook.nothing", "hook"] {
            assert_eq!(text.parse::<EventPattern>(), Err(EventPatternError::OfHooks), "{text}");
        }
    }

    #[test]
    fn no_pattern_takes_an_event_of_hooks() {
        for name in EventName::ALL.iter().filter(|name| name.area() == "hook") {
            for pattern in [EventPattern::Any, EventPattern::Area("hook"), EventPattern::Only(*name)] {
                assert!(!pattern.takes(*name), "{pattern} takes {name}");
            }
        }
    }

    #[test]
    fn every_known_text_is_read_and_written_again() {
        let known = EventPattern::known();
        for text in &known {
            assert_eq!(&text.parse::<EventPattern>().unwrap().to_string(), text);
        }
        let areas = known.iter().filter(|text| text.ends_with(".*")).count();
        assert!(areas > 8 && known.len() > EventName::ALL.len());
    }
}
