//! GUIDs that come from several machines, and machines that come with several GUIDs, told by the order in which they ask.
//!
//! One machine with several cards asks from each in turn, with one GUID; that is no fault. Its firmware gives each card its
//! time, so that two addresses that change places several times within seconds are two machines.

use super::limits::{GUID_TURNS, GUIDS_MAX, LIVE_SECS, TURNS, TURNS_SECS};
use std::collections::HashMap;
use types::{MacAddr, MachineGuid};

/// The same for either byte order.
pub(super) fn either_order(guid: MachineGuid) -> MachineGuid {
    guid.min(guid.swapped())
}

/// Who came with a GUID last, and who before.
struct Bearer {
    mac: MacAddr,
    at: u64,
    before: Option<(MacAddr, u64)>,
    turns: u8,
    since: u64,
}

/// Bearers by GUID.
#[derive(Default)]
pub(super) struct Twins(HashMap<MachineGuid, Bearer>);

impl Twins {
    /// A ROM asked with this GUID; gives the other address when two take turns as only two machines do.
    pub(super) fn note(&mut self, guid: MachineGuid, mac: MacAddr, now: u64) -> Option<MacAddr> {
        let guid = either_order(guid);
        if self.0.len() >= GUIDS_MAX && !self.0.contains_key(&guid) {
            self.0.retain(|_, bearer| now.saturating_sub(bearer.at) < LIVE_SECS);
            if self.0.len() > GUIDS_MAX / 2 {
                self.0.clear();
            }
        }
        let fresh = Bearer { mac, at: now, before: None, turns: 0, since: now };
        let bearer = self.0.entry(guid).or_insert(fresh);
        if bearer.mac == mac {
            bearer.at = now;
            return None;
        }
        if now.saturating_sub(bearer.since) > TURNS_SECS {
            (bearer.turns, bearer.since) = (0, now);
        }
        let other = bearer.mac;
        bearer.before = Some((other, bearer.at));
        (bearer.mac, bearer.at) = (mac, now);
        bearer.turns = bearer.turns.saturating_add(1);
        (bearer.turns >= TURNS).then_some(other)
    }

    /// Another address that came with this GUID and is live.
    pub(super) fn other(&self, guid: MachineGuid, mac: MacAddr, now: u64) -> Option<MacAddr> {
        let bearer = self.0.get(&either_order(guid))?;
        let all = [Some((bearer.mac, bearer.at)), bearer.before];
        let live = |(other, at): &(MacAddr, u64)| *other != mac && now.saturating_sub(*at) < LIVE_SECS;
        all.into_iter().flatten().find(live).map(|(other, _)| other)
    }
}

/// The GUIDs one machine came with.
#[derive(Clone, Copy, Default)]
pub(super) struct GuidTurns {
    last: Option<MachineGuid>,
    turns: u8,
    since: u64,
}

impl GuidTurns {
    /// Its ROM asked with this GUID; gives the earlier one when it goes back and forth.
    pub(super) fn note(&mut self, guid: MachineGuid, now: u64) -> Option<MachineGuid> {
        let earlier = self.last.replace(guid)?;
        if either_order(earlier) == either_order(guid) {
            return None;
        }
        if now.saturating_sub(self.since) > LIVE_SECS {
            (self.turns, self.since) = (0, now);
        }
        self.turns = self.turns.saturating_add(1);
        (self.turns >= GUID_TURNS).then_some(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn guid(last: u8) -> MachineGuid {
        MachineGuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, last])
    }

    #[test]
    fn two_machines_that_start_at_once_are_told_and_one_with_two_cards_is_not() {
        let mut twins = Twins::default();
        let told: Vec<_> = [(A, 0), (B, 1), (A, 2), (B, 3)]
            .map(|(mac, at)| twins.note(guid(1), mac, 1_000 + at))
            .into_iter()
            .collect();
        assert_eq!(told, [None, None, None, Some(A)]);
        // A ROM gives each card most of a minute, whatever the loop.
        let mut twins = Twins::default();
        for round in 0..20 {
            let mac = if round % 2 == 0 { A } else { B };
            for again in 0..4 {
                assert_eq!(twins.note(guid(1), mac, 1_000 + round * 30 + again), None);
            }
        }
    }

    #[test]
    fn the_other_bearer_is_known_while_it_is_live() {
        let mut twins = Twins::default();
        twins.note(guid(1), A, 1_000);
        twins.note(guid(1).swapped(), B, 1_100);
        assert_eq!(twins.other(guid(1), B, 1_200), Some(A));
        assert_eq!(twins.other(guid(1), A, 1_200), Some(B));
        assert_eq!(twins.other(guid(1), B, 1_000 + LIVE_SECS), None);
        assert_eq!(twins.other(guid(2), A, 1_000), None);
    }

    #[test]
    fn a_board_that_is_replaced_does_not_alternate_and_one_that_comes_back_does() {
        let mut turns = GuidTurns::default();
        assert_eq!(turns.note(guid(1), 1_000), None);
        assert_eq!(turns.note(guid(1).swapped(), 1_010), None);
        assert_eq!(turns.note(guid(2), 1_020), None);
        assert_eq!(turns.note(guid(1), 1_030), Some(guid(2)));
        // Weeks apart it is somebody in a laboratory.
        let mut turns = GuidTurns::default();
        for (number, at) in [(1, 0), (2, 10_000), (1, 20_000), (2, 30_000)] {
            assert_eq!(turns.note(guid(number), 1_000 + at), None);
        }
    }

    #[test]
    fn a_flood_of_invented_guids_is_bounded() {
        let mut twins = Twins::default();
        for number in 0..200_000u32 {
            let [a, b, c, d] = number.to_be_bytes();
            let mut invented = guid(1);
            invented.0[..4].copy_from_slice(&[a, b, c, d]);
            twins.note(invented, MacAddr([6, 0, a, b, c, d]), 1_000);
            assert!(twins.0.len() <= GUIDS_MAX);
        }
    }
}
