//! Randomness that can be repeated.

/// A small generator (SplitMix64): good enough to choose faults, useless for secrets.
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// The generator that number starts.
    pub fn new(number: u64) -> Seed {
        Seed(number)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// True in `per_mille` of 1000 cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// That many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend(self.next_u64().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// The seeds of a test: the one in `REVEILLE_SEED` alone, else `0..count`.
pub fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let one = std::env::var("REVEILLE_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    match one {
        Some(seed) => seed..seed.saturating_add(1),
        None => 0..count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_gives_the_same_run() {
        let (mut one, mut other) = (Seed::new(7), Seed::new(7));
        assert_eq!(one.bytes(100), other.bytes(100));
        assert_ne!(one.next_u64(), Seed::new(8).next_u64());
    }

    #[test]
    fn chances_come_out_about_right() {
        let mut seed = Seed::new(1);
        let hits = (0..100_000).filter(|_| seed.chance(300)).count();
        assert!((29_000..31_000).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| !seed.chance(0)));
        assert!((0..1000).all(|_| seed.chance(1000)));
    }
}
