//! Which documents take part in a scan?
//!
//! A dense set of positions: one bit each, so that asking costs a nanosecond and a scan can take whole words.

use std::ops::Range;

/// Rows of one block, and bits of the word that says which of them take part.
pub const BLOCK_ROWS: usize = 32;

/// A set of ordinals, dense.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    words: Vec<u64>,
}

impl Mask {
    /// Whether the ordinal is in it.
    pub fn contains(&self, ordinal: u32) -> bool {
        self.words.get(ordinal as usize / 64).is_some_and(|word| word >> (ordinal % 64) & 1 == 1)
    }

    /// Which of the 32 ordinals from `32 · block` on are in it, the lowest bit for the first: the word that a scan
    /// of that block takes.
    pub fn block(&self, block: usize) -> u32 {
        self.words.get(block / 2).map_or(0, |word| (word >> (block % 2 * 32)) as u32)
    }

    /// Puts an ordinal in or takes it out.
    pub fn set(&mut self, ordinal: u32, value: bool) {
        let word = ordinal as usize / 64;
        if word >= self.words.len() {
            if !value {
                return;
            }
            self.words.resize(word + 1, 0);
        }
        let bit = 1_u64 << (ordinal % 64);
        if value { self.words[word] |= bit } else { self.words[word] &= !bit }
    }

    /// Its words, the lowest ordinal in the first one's lowest bit.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether all of these are in it.
    pub fn has_all(&self, ordinals: Range<u32>) -> bool {
        ordinals.is_empty() || self.next(ordinals.start, true).is_some_and(|absent| absent >= ordinals.end)
    }

    /// Those below this one that are not in it, rising.
    pub fn absent(&self, end: u32) -> impl Iterator<Item = u32> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            // Behind its last word none is in it.
            let absent = self.next(at, true).map_or(at, |absent| absent.max(at));
            at = absent.saturating_add(1);
            (absent < end).then_some(absent)
        })
    }

    /// Runs of ordinals that together have all that are in it, rising. Two are one when no more than so many that are
    /// not in it lie between them.
    pub fn runs(&self, gap_max: u32) -> impl Iterator<Item = Range<u32>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = self.next(at, false)?;
            let mut end = self.next(start, true)?;
            while let Some(more) = self.next(end, false).filter(|more| more - end <= gap_max) {
                end = self.next(more, true)?;
            }
            at = end;
            Some(start..end)
        })
    }

    /// The first ordinal from here on that is in it, or that is not. Behind its last word there is always one that is not.
    fn next(&self, from: u32, absent: bool) -> Option<u32> {
        let first = (from / 64) as usize;
        let mut hidden = u64::MAX << (from % 64);
        for (index, &word) in (from / 64..).zip(self.words.get(first..)?) {
            let word = if absent { !word } else { word } & hidden;
            if word != 0 {
                return Some(index * 64 + word.trailing_zeros());
            }
            hidden = u64::MAX;
        }
        absent.then_some(self.words.len() as u32 * 64)
    }

    /// The ordinals, rising.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut words = (0_u32..).step_by(64).zip(&self.words);
        let (mut first, mut rest) = (0, 0);
        std::iter::from_fn(move || {
            while rest == 0 {
                let (next, &word) = words.next()?;
                (first, rest) = (next, word);
            }
            let ordinal = first + rest.trailing_zeros();
            rest &= rest - 1;
            Some(ordinal)
        })
    }
}

impl FromIterator<u32> for Mask {
    fn from_iter<I: IntoIterator<Item = u32>>(ordinals: I) -> Self {
        let (mut words, mut end) = (Vec::new(), 0);
        for ordinal in ordinals {
            let word = ordinal as usize / 64;
            if word >= words.len() {
                words.resize((word + 1).max(2 * words.len()), 0_u64);
            }
            words[word] |= 1 << (ordinal % 64);
            end = end.max(word + 1);
        }
        words.truncate(end);
        Self { words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, a filter would let through other rows of a block than it should.
    #[test]
    fn a_block_has_the_bits_of_its_ordinals() {
        let mask: Mask = [0, 31, 32, 70, 127].into_iter().collect();
        assert_eq!(
            [0, 1, 2, 3, 4, 100].map(|block| mask.block(block)),
            [1 | 1 << 31, 1, 1 << 6, 1 << 31, 0, 0]
        );
    }

    /// Without this, a search would not look at a document that its filter lets pass.
    #[test]
    fn runs_have_all_that_is_in_it() {
        let mask: Mask = (0..5).chain([7, 63, 64]).chain(70..200).chain([1000]).collect();
        let runs = |gap_max| mask.runs(gap_max).map(|run| (run.start, run.end)).collect::<Vec<_>>();
        assert_eq!(runs(0), [(0, 5), (7, 8), (63, 65), (70, 200), (1000, 1001)]);
        assert_eq!(runs(2), [(0, 8), (63, 65), (70, 200), (1000, 1001)]);
        assert_eq!(runs(5), [(0, 8), (63, 200), (1000, 1001)]);
        assert_eq!(runs(u32::MAX), [(0, 1001)]);
        assert_eq!(Mask::default().runs(3).count(), 0);
        assert_eq!((0..128).collect::<Mask>().runs(3).collect::<Vec<_>>(), [0..128]);
    }

    /// Without this, a deleted document could be served or a live one be missed.
    #[test]
    fn a_mask_holds_what_was_set() {
        let mut mask = Mask::default();
        for ordinal in [0, 63, 64, 200, 64] {
            mask.set(ordinal, true);
        }
        mask.set(63, false);
        mask.set(1000, false);
        assert_eq!(mask.iter().collect::<Vec<_>>(), [0, 64, 200]);
        let of_any_order: Mask = [200, 3, 64, 127, 3].into_iter().collect();
        assert_eq!(of_any_order.iter().collect::<Vec<_>>(), [3, 64, 127, 200]);
        assert_eq!(of_any_order, [3, 64, 127, 200].into_iter().collect());
        assert_eq!(mask.count(), 3);
        assert_eq!(mask.absent(66).collect::<Vec<_>>(), [&(1..64).collect::<Vec<_>>()[..], &[65]].concat());
        let full: Mask = (0..64).collect();
        assert_eq!(full.absent(64).count(), 0);
        assert_eq!(full.absent(130).collect::<Vec<_>>(), (64..130).collect::<Vec<_>>());
        assert_eq!(Mask::default().absent(70).collect::<Vec<_>>(), (0..70).collect::<Vec<_>>());
        assert_eq!(mask.absent(1000).count(), 997);
        assert!(mask.contains(200) && !mask.contains(63) && !mask.contains(100_000));
    }
}
