//! When and how do a partition's segments become fewer?
//!
//! [`choose`] decides from sizes alone; [`run`] merges. A partition's segments are kept so that each is at
//! least twice as long as all newer ones together: a search opens few of them, and a byte is rewritten a
//! logarithmic number of times.

use crate::partition::{Core, Merged, ReadError};
use crate::segment::SegmentFiles;

/// Up to this many segments a partition is left alone.
const SEGMENTS_MAX: usize = 4;

/// Which soft-deleted documents can't be restored any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    /// Those that were deleted at this time or before are left out of whatever is merged.
    pub(crate) deleted_ms: u64,
    /// A partition is merged for their sake alone once its longest deleted was deleted at this time or before:
    /// a while earlier, so that one rewriting serves many.
    pub(crate) due_ms: u64,
}

impl Expiry {
    /// At this time, when deleted documents are kept for so long.
    pub(crate) fn at(now_ms: u64, retention_ms: u64) -> Self {
        let deleted_ms = now_ms.saturating_sub(retention_ms);
        Self { deleted_ms, due_ms: deleted_ms.saturating_sub(retention_ms / 16) }
    }
}

/// From which segment on (oldest first) the newest ones are to be merged into one, if at all.
pub fn choose(segment_bytes: &[u64]) -> Option<usize> {
    if segment_bytes.len() <= SEGMENTS_MAX {
        return None;
    }
    let mut from = segment_bytes.len() - 1;
    let mut newer = segment_bytes[from];
    while from > 0 && (segment_bytes[from - 1] < newer.saturating_mul(2) || from >= SEGMENTS_MAX) {
        from -= 1;
        newer = newer.saturating_add(segment_bytes[from]);
    }
    Some(from)
}

/// Merges what [`choose`] named, or all when deleted documents are to go for good, writes the file, and serves from it; `None` when there was nothing to do. The merged ones may go
/// once a manifest without them is durable.
pub(crate) fn run(
    partition: &Core,
    expiry: Expiry,
    files: &SegmentFiles,
) -> Result<Option<Merged>, ReadError> {
    // Nothing goes of what is held.
    let expiry = if partition.is_held() { Expiry { deleted_ms: 0, due_ms: 0 } } else { expiry };
    let bytes: Vec<u64> = partition.segment_places().iter().map(|place| place.bytes).collect();
    let deleted_since_ms = partition.deleted_since_ms();
    let from = if deleted_since_ms != 0 && deleted_since_ms <= expiry.due_ms && !bytes.is_empty() {
        Some(0)
    } else {
        choose(&bytes)
    };
    let Some(from) = from else { return Ok(None) };
    let merged = partition.merge(from, expiry.deleted_ms)?;
    files.hold(&merged.place());
    match partition.install_merged(&merged) {
        Ok(true) => Ok(Some(merged)),
        Ok(false) => {
            files.release(&merged.place())?;
            Ok(None)
        }
        Err(error) => {
            files.release(&merged.place())?;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::choose;

    /// Without this, searches would slow down with each flush, or each flush would rewrite everything.
    #[test]
    fn segments_stay_few_and_large_ones_are_left_alone() {
        assert_eq!(choose(&[1, 1, 1, 1]), None);
        assert_eq!(choose(&[1, 1, 1, 1, 1]), Some(0));
        assert_eq!(choose(&[1000, 1, 1, 1, 1]), Some(1));
        assert_eq!(
            choose(&[100_000, 10_000, 1000, 100, 10]),
            Some(3),
            "however the sizes are, it gets fewer"
        );
        let (mut sizes, mut rewritten) = (Vec::new(), 0_u64);
        for _ in 0..1000 {
            sizes.push(10);
            if let Some(from) = choose(&sizes) {
                let merged = sizes.drain(from..).sum();
                rewritten += merged;
                sizes.push(merged);
            }
            assert!(sizes.len() <= 4, "{sizes:?}");
        }
        assert!(rewritten < 10 * 1000 * 10, "each byte is rewritten a few times only: {rewritten}");
    }
}
