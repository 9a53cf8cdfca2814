//! Where do the suites take their dice from?
//!
//! From a seed, so that whatever they do can be done again. SplitMix64 (Steele, Lea and Flood, "Fast splittable
//! pseudorandom number generators", 2014): small, and good enough to choose tests with.

/// Dice that follow from their seed.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Dice of this seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "nothing to choose from");
        usize::try_from(self.bits() % end as u64).expect("below a usize")
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A number from -1 to 1.
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit in the mantissa")]
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 8_388_608.0 - 1.0
    }
}
