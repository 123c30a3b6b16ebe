//! One direction of a link: packets go in, come out later, twice, damaged or never.

use crate::Seed;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What goes wrong, each in so many of 1000 packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faults {
    /// Never arrives.
    pub loss: u32,
    /// Arrives twice.
    pub duplicate: u32,
    /// Arrives late, behind packets sent after it.
    pub reorder: u32,
    /// Arrives cut short.
    pub truncate: u32,
    /// Arrives with one bit wrong.
    pub bit_flip: u32,
    /// Damaged packets reach the receiver. False: its UDP checksum catches them, they are lost.
    pub damage_passes: bool,
    /// Time on the way.
    pub delay: Duration,
    /// A late packet is late by up to this.
    pub late: Duration,
}

impl Faults {
    /// A quiet wire with a millisecond one way.
    pub const NONE: Faults = Faults {
        loss: 0,
        duplicate: 0,
        reorder: 0,
        truncate: 0,
        bit_flip: 0,
        damage_passes: false,
        delay: Duration::from_millis(1),
        late: Duration::from_millis(30),
    };

    /// 30 % lost, 5 % doubled, 10 % late.
    pub const HARSH: Faults = Faults { loss: 300, duplicate: 50, reorder: 100, ..Faults::NONE };
}

/// A direction of a link. `A` is whatever addresses a packet carries.
#[derive(Debug)]
pub struct Link<A> {
    faults: Faults,
    seed: Seed,
    under_way: BTreeMap<(Instant, u64), (A, Vec<u8>)>,
    serial: u64,
    /// Packets put in.
    pub sent: u64,
}

impl<A: Clone> Link<A> {
    /// An empty link; `seed` decides its faults.
    pub fn new(faults: Faults, seed: Seed) -> Link<A> {
        Link { faults, seed, under_way: BTreeMap::new(), serial: 0, sent: 0 }
    }

    /// From now on packets meet these faults.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Puts a packet on the wire.
    pub fn send(&mut self, now: Instant, addresses: A, mut bytes: Vec<u8>) {
        self.sent += 1;
        if self.seed.chance(self.faults.loss) {
            return;
        }
        let mut damaged = false;
        if self.seed.chance(self.faults.truncate) {
            let keep = usize::try_from(self.seed.below(bytes.len() as u64)).unwrap_or(0);
            bytes.truncate(keep);
            damaged = true;
        }
        if self.seed.chance(self.faults.bit_flip) {
            let at = usize::try_from(self.seed.below(bytes.len() as u64)).unwrap_or(0);
            let bit = 1u8 << self.seed.below(8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bit;
                damaged = true;
            }
        }
        if damaged && !self.faults.damage_passes {
            return;
        }
        let copies = if self.seed.chance(self.faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let mut arrives = now + self.faults.delay;
            if self.seed.chance(self.faults.reorder) {
                let late = u64::try_from(self.faults.late.as_micros()).unwrap_or(u64::MAX);
                arrives += Duration::from_micros(self.seed.below(late));
            }
            self.serial += 1;
            self.under_way.insert((arrives, self.serial), (addresses.clone(), bytes.clone()));
        }
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(arrives, _)| *arrives)
    }

    /// The next packet that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<(A, Vec<u8>)> {
        if self.next_arrival()? > now {
            return None;
        }
        self.under_way.pop_first().map(|(_, packet)| packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(faults: Faults) -> Vec<Vec<u8>> {
        let start = Instant::now();
        let mut link = Link::new(faults, Seed::new(3));
        for number in 0..200u8 {
            link.send(start + Duration::from_millis(u64::from(number)), (), vec![number; 10]);
        }
        std::iter::from_fn(|| link.receive(start + Duration::from_secs(9)).map(|(_, bytes)| bytes)).collect()
    }

    #[test]
    fn a_quiet_link_delivers_everything_once_in_order_and_not_early() {
        let expected: Vec<Vec<u8>> = (0..200).map(|number| vec![number; 10]).collect();
        assert_eq!(arrivals(Faults::NONE), expected);
        let start = Instant::now();
        let mut link = Link::new(Faults::NONE, Seed::new(0));
        link.send(start, (), vec![1]);
        assert_eq!(link.receive(start), None);
        assert!(link.receive(start + Faults::NONE.delay).is_some());
    }

    #[test]
    fn a_harsh_link_loses_doubles_and_reorders() {
        let got = arrivals(Faults::HARSH);
        assert!(got.len() < 180);
        assert!(got.windows(2).any(|pair| pair[0] > pair[1]));
        assert!(got.iter().enumerate().any(|(at, packet)| got[..at].contains(packet)));
    }

    #[test]
    fn damage_is_caught_by_the_checksum_unless_told_otherwise() {
        let damage = Faults { truncate: 100, bit_flip: 300, ..Faults::NONE };
        assert!(
            arrivals(damage)
                .iter()
                .all(|packet| packet.len() == 10 && packet.iter().all(|byte| *byte == packet[0]))
        );
        let passing = arrivals(Faults { damage_passes: true, ..damage });
        assert!(passing.iter().any(|packet| packet.len() < 10));
        assert_eq!(passing.len(), 200);
    }
}
