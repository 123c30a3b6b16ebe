//! Unknown machines that wait on their screens, each with a code.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::MacAddr;

/// Machines that wait at once: a rack of racks. Beyond, those that asked longest ago are forgotten.
const CLAIMS_MAX: usize = 4096;
/// A machine that has not asked for so long was switched off: the next time it begins to wait anew.
const GONE: Duration = Duration::from_secs(120);
/// Letters and digits that nobody takes for each other. 31 to the sixth power codes.
const DIGITS: &[u8; 31] = b"ABCDEFGHJKMNPQRSTUVWXYZ23456789";

/// One machine.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// `W4H-9TN`
    pub(crate) code: Arc<str>,
    /// When it began to wait.
    pub(crate) since: Instant,
    last: Instant,
    /// It was sent to its disk.
    over: bool,
}

/// What becomes of a machine that asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    /// It begins to wait.
    Begins(Arc<str>),
    /// It waits on, for so long.
    On(Arc<str>, Duration),
    /// It has waited long enough, just now.
    Ends(Arc<str>),
    /// It had.
    Over,
}

/// All of them.
#[derive(Default)]
pub(super) struct Claims(HashMap<MacAddr, Claim>);

impl Claims {
    /// A machine asks; `random` makes its code.
    pub(super) fn ask(&mut self, now: Instant, mac: MacAddr, wait: Duration, random: u128) -> Waits {
        if let Some(claim) = self.0.get_mut(&mac)
            && now.saturating_duration_since(claim.last) < GONE
        {
            claim.last = now;
            let waited = now.saturating_duration_since(claim.since);
            return match (wait.checked_sub(waited).filter(|left| !left.is_zero()), claim.over) {
                (Some(left), _) => Waits::On(claim.code.clone(), left),
                (None, true) => Waits::Over,
                (None, false) => {
                    claim.over = true;
                    Waits::Ends(claim.code.clone())
                }
            };
        }
        if self.0.len() >= CLAIMS_MAX {
            self.0.retain(|_, claim| now.saturating_duration_since(claim.last) < GONE);
        }
        if self.0.len() >= CLAIMS_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, claim)| claim.last).map(|(mac, _)| *mac)
        {
            self.0.remove(&oldest);
        }
        // The code stays the machine's: whoever wrote it down has it still.
        let earlier = self.0.get(&mac).map(|claim| claim.code.clone());
        let code = earlier.unwrap_or_else(|| code(random));
        self.0.insert(mac, Claim { code: code.clone(), since: now, last: now, over: false });
        Waits::Begins(code)
    }

    /// The claim of one machine alone.
    pub(super) fn only(&self, mac: MacAddr) -> Claims {
        Claims(self.0.get(&mac).map(|claim| (mac, claim.clone())).into_iter().collect())
    }

    /// The claim of a machine.
    pub(super) fn of(&self, mac: MacAddr) -> Option<&Claim> {
        self.0.get(&mac)
    }
}

fn code(mut random: u128) -> Arc<str> {
    let mut text = String::with_capacity(7);
    for at in 0..6 {
        if at == 3 {
            text.push('-');
        }
        let digit = usize::try_from(random % DIGITS.len() as u128).unwrap_or(0);
        text.push(DIGITS.get(digit).copied().map_or('A', char::from));
        random /= DIGITS.len() as u128;
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(600);

    #[test]
    fn a_machine_waits_its_time_and_keeps_its_code() {
        let (mut claims, start, mac) = (Claims::default(), Instant::now(), MacAddr([2, 0, 0, 0, 0, 1]));
        let at = |secs| start + Duration::from_secs(secs);
        let Waits::Begins(code) = claims.ask(at(0), mac, WAIT, 123_456_789) else { panic!("it begins") };
        assert_eq!((code.len(), code.find('-')), (7, Some(3)));
        for secs in (5..600).step_by(5) {
            let left = Duration::from_secs(600 - secs);
            assert_eq!(claims.ask(at(secs), mac, WAIT, 0), Waits::On(code.clone(), left));
        }
        assert_eq!(claims.ask(at(600), mac, WAIT, 0), Waits::Ends(code.clone()));
        assert_eq!(claims.ask(at(605), mac, WAIT, 0), Waits::Over);
        // Switched off and on again, it waits anew, under its code.
        assert_eq!(claims.ask(at(900), mac, WAIT, 7), Waits::Begins(code));
    }

    #[test]
    fn a_flood_of_machines_pushes_out_who_asked_longest_ago() {
        let (mut claims, now) = (Claims::default(), Instant::now());
        for number in 0..u16::try_from(CLAIMS_MAX + 10).unwrap() {
            let [high, low] = number.to_be_bytes();
            claims.ask(
                now + Duration::from_millis(number.into()),
                MacAddr([2, 0, 0, 0, high, low]),
                WAIT,
                number.into(),
            );
        }
        assert_eq!(claims.0.len(), CLAIMS_MAX);
        assert!(claims.of(MacAddr([2, 0, 0, 0, 0, 0])).is_none());
        assert!(claims.of(MacAddr([2, 0, 0, 0, 1, 0])).is_some());
    }
}
