//! Which rows are picked where any would do?
//!
//! Those that a fixed seed says: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
//! Nothing secret depends on it.

/// A generator that begins with its seed.
pub(super) struct SplitMix64(pub(super) u64);

impl SplitMix64 {
    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0. As ends are far below 2⁶⁴, all are about as likely.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// At most `count` of the places below `end`, rising: one from each of as many stretches, which are as long as
    /// each other or longer by one.
    pub(super) fn spread(&mut self, count: usize, end: usize) -> Vec<usize> {
        let count = count.min(end);
        // In 128 bits: no product of two lengths is too large.
        let border = |stretch: usize| (stretch as u128 * end as u128 / count as u128) as usize;
        (0..count)
            .map(|stretch| border(stretch) + self.below(border(stretch + 1) - border(stretch)))
            .collect()
    }
}
