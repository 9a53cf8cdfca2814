//! What must a caller of the stores get right?
//!
//! Both implementations ask here, so that a name which could leave the store's folder, or reach into the log
//! or the keyring, and a range that lies outside its object, are refused by each in the same way.

use std::ops::Range;

use strongroom_format::keyring::SLOT_BYTES;

use super::{Result, StorageError, StorageErrorKind};

/// Top-level names that belong to the other stores.
const RESERVED: [&str; 4] = ["keyring", "lock", "log", "reserve"];

/// Checks an object's name: parts of `[a-z0-9.-]` joined by `/`, none of them empty or beginning with a dot.
pub(super) fn check_object(what: &'static str, name: &str) -> Result<()> {
    if is_object(name) { Ok(()) } else { Err(refused(what, name, "not a name for an object")) }
}

/// Checks the prefix of a listing and answers the folder that holds all that begins with it.
pub(super) fn check_prefix(prefix: &str) -> Result<&str> {
    let (folder, start) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    let folder_fits = if prefix.contains('/') { is_object(folder) } else { folder.is_empty() };
    if folder_fits && start.bytes().all(is_letter) {
        Ok(folder)
    } else {
        Err(refused("list", prefix, "not the beginning of a name"))
    }
}

/// Whether an object may have this name, and so whether a listing may show it.
pub(super) fn is_object(name: &str) -> bool {
    let top = name.split('/').next().unwrap_or(name);
    name.split('/').all(is_part) && !RESERVED.contains(&top)
}

fn is_part(part: &str) -> bool {
    !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_letter)
}

fn is_letter(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')
}

/// The length of the range, once it is known to lie within an object of `end` bytes.
pub(super) fn length_within(what: &'static str, name: &str, range: &Range<u64>, end: u64) -> Result<usize> {
    if range.start > range.end {
        return Err(refused(what, name, "the range runs backwards"));
    }
    if range.end > end {
        return Err(StorageError::new(what, name, StorageErrorKind::TooShort { bytes: end }));
    }
    usize::try_from(range.end - range.start).map_err(|_| refused(what, name, "the range is too long"))
}

/// The name of one of the two mirrors of the keyring.
pub(super) fn mirror_name(what: &'static str, mirror: usize) -> Result<&'static str> {
    match mirror {
        0 => Ok("keyring/0"),
        1 => Ok("keyring/1"),
        _ => Err(refused(what, "keyring", "there are two mirrors")),
    }
}

/// Where `count` slots from `first` on lie in a mirror of `end` bytes, once it is known to have them all.
pub(super) fn slots_range(name: &str, first: u64, count: usize, end: u64) -> Result<Range<u64>> {
    let slot_bytes = SLOT_BYTES as u64;
    let whole_bytes = end - end % slot_bytes;
    let start = first.checked_mul(slot_bytes);
    let stop = first.checked_add(count as u64).and_then(|stop| stop.checked_mul(slot_bytes));
    match (start, stop) {
        (Some(start), Some(stop)) if stop <= whole_bytes => Ok(start..stop),
        _ => Err(StorageError::new("read", name, StorageErrorKind::TooShort { bytes: whole_bytes })),
    }
}

/// Where these slots begin in their mirror, once they are known to be whole.
pub(super) fn slots_offset(name: &str, first: u64, bytes: &[u8]) -> Result<u64> {
    let start = first.checked_mul(SLOT_BYTES as u64);
    let fits = start.and_then(|start| start.checked_add(bytes.len() as u64)).is_some();
    match start {
        Some(start) if fits && bytes.len().is_multiple_of(SLOT_BYTES) => Ok(start),
        _ => Err(refused("write", name, "not whole slots")),
    }
}

/// The engine made the request, so this is our own mistake; an error keeps it inside the store's folder.
fn refused(what: &'static str, name: &str, why: &str) -> StorageError {
    StorageError::new(what, name, StorageErrorKind::Other(why.into()))
}
