//! How many ordinals are in a mask?
//!
//! Each search asks it of every source: where the instruction set can, bits are counted many words at a time.

use crate::arch::lanes::Lanes;
use crate::arch::{Set, Work};
use crate::mask::Mask;
use crate::variant::Variant;

impl Mask {
    /// How many ordinals are in it.
    pub fn count(&self) -> u64 {
        Variant::best().run(Counting(self.words()))
    }
}

/// Words whose bits are counted.
struct Counting<'a>(&'a [u64]);

impl Work for Counting<'_> {
    type Result = u64;

    #[inline(always)]
    fn run<V: Lanes>(self, _: Set<V>) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}
