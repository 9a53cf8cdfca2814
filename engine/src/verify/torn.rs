//! Do bytes look like a write that a crash cut short, or like damage?
//!
//! A medium writes sectors whole. What a crash leaves of a write is a part of its sectors: the file ends before
//! the others, or they are zero. Nothing in a store has a sector of zeros, but for padding and what was erased;
//! and damage seldom makes one.

use std::ops::Range;

/// What every medium writes whole, in bytes.
const SECTOR_BYTES: usize = 512;

/// Whether a write that was to fill this range of a file, with no sector all zeros, is there in part only.
pub(super) fn is_torn(file: &[u8], range: Range<usize>) -> bool {
    let Some(there) = file.get(range.clone()) else { return true };
    let first = SECTOR_BYTES - range.start % SECTOR_BYTES;
    let (head, rest) = there.split_at(first.min(there.len()));
    let is_zero = |sector: &[u8]| !sector.is_empty() && sector.iter().all(|&byte| byte == 0);
    is_zero(head) || rest.chunks(SECTOR_BYTES).any(is_zero)
}

#[cfg(test)]
mod tests {
    use super::is_torn;

    /// Without this, a crash would look like damage, or damage like a crash.
    #[test]
    fn missing_sectors_are_told_from_flipped_bits() {
        let whole = vec![7; 2048];
        assert!(!is_torn(&whole, 0..2048) && !is_torn(&whole, 100..2000));
        assert!(is_torn(&whole, 0..2049), "it ends too early");
        let mut flipped = whole.clone();
        flipped[700] = 0;
        assert!(!is_torn(&flipped, 0..2048));
        let mut torn = whole;
        torn[512..1024].fill(0);
        assert!(is_torn(&torn, 0..2048) && is_torn(&torn, 600..2048) && !is_torn(&torn, 1024..2048));
        assert!(!is_torn(&[], 0..0));
    }
}
