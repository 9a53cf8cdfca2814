//! What of a write is on the medium when the power goes in its midst?

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// The unit that the medium writes whole.
const SECTOR_BYTES: usize = 512;

/// A number below `end`, which is above 0. The slight bias of the remainder doesn't matter for chances.
pub(super) fn below(chance: &mut ChaCha8Rng, end: usize) -> usize {
    usize::try_from(chance.next_u64() % end as u64).expect("smaller than a usize")
}

pub(super) fn coin(chance: &mut ChaCha8Rng) -> bool {
    below(chance, 2) == 0
}

/// Writes some of the sectors of `new` over `old`: none, all, the first few, or any choice. In the last case
/// the file may also have grown to its full length, with zeros where nothing was written.
pub(super) fn tear(chance: &mut ChaCha8Rng, old: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    let sectors: Vec<usize> = (offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)).collect();
    let mut grows = false;
    let written: BTreeSet<usize> = match below(chance, 4) {
        0 => BTreeSet::new(),
        1 => sectors.into_iter().collect(),
        2 => {
            let count = below(chance, sectors.len() + 1);
            sectors.into_iter().take(count).collect()
        }
        _ => {
            grows = coin(chance);
            sectors.into_iter().filter(|_| coin(chance)).collect()
        }
    };
    for sector in written {
        let start = offset.max(sector * SECTOR_BYTES);
        let stop = end.min((sector + 1) * SECTOR_BYTES);
        write(old, start, &new[start - offset..stop - offset]);
    }
    if grows && old.len() < end {
        old.resize(end, 0);
    }
}

/// Writes all of `new`, with zeros between the old end and it.
pub(super) fn write(old: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if old.len() < end {
        old.resize(end, 0);
    }
    old[offset..end].copy_from_slice(new);
}
