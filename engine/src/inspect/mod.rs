//! What does a file of a store hold?
//!
//! Reads the bytes of any one file by itself, whatever has become of it, and says as text what is there: one
//! thing a line, in the order of the file, damage where it is. Which kind of file it is follows from its magic,
//! or from the magic of its parts when that is damaged. No key is ever shown, nor what a document holds; with the
//! store's keys at hand a segment's sections and the ids of its documents are.
//!
//! Invariants:
//! 1. Any bytes give an answer: nothing panics, and no length that was read sizes an allocation.
//! 2. The same bytes give the same lines.

mod keyring;
mod log;
mod manifest;
mod receipt;
mod segments;

use crate::verify::{OneLine, StoreKeys};
use std::fmt;
use strongroom_format::Damage;
use strongroom_format::header::{FileHeader, FileKind, MAGIC};
use strongroom_format::keyring::{SLOT_BYTES, SLOT_MAGIC};
use strongroom_format::log::START_COPY;
use strongroom_format::receipt::RECEIPT_FILE_BYTES;
use strongroom_format::segment::SEGMENT_MAGIC;

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inspected {
    /// How many damages were told.
    pub damages: u64,
}

/// The bytes are not a file of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a file of a store: nothing in it says so")]
pub struct NotOurs;

/// Says line by line what these bytes of a file hold.
pub fn inspect(
    bytes: &[u8],
    keys: Option<&StoreKeys>,
    line: &mut dyn FnMut(&str),
) -> Result<Inspected, NotOurs> {
    let mut out = Lines { line, inspected: Inspected::default() };
    match kind_of(bytes).ok_or(NotOurs)? {
        Kind::Keyring => keyring::inspect(bytes, &mut out),
        Kind::File(FileKind::Log) => log::inspect(bytes, &mut out),
        Kind::File(FileKind::Segments) => segments::inspect(bytes, keys, &mut out),
        Kind::File(FileKind::Manifest) => manifest::inspect(bytes, &mut out),
        Kind::File(FileKind::Receipt) => receipt::inspect(bytes, &mut out),
    }
    Ok(out.inspected)
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File(FileKind),
    Keyring,
}

fn kind_of(bytes: &[u8]) -> Option<Kind> {
    let kinds = [FileKind::Log, FileKind::Segments, FileKind::Manifest, FileKind::Receipt];
    let is =
        |at: usize, kind: FileKind| bytes.get(at..).is_some_and(|rest| FileHeader::read(rest, kind).is_ok());
    let has = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some(kind) = kinds.into_iter().find(|&kind| is(0, kind)) {
        return Some(Kind::File(kind));
    }
    // Its header doesn't check: there are copies, and parts with a magic of their own.
    let half = bytes.len() / 2;
    if is(START_COPY, FileKind::Log) {
        return Some(Kind::File(FileKind::Log));
    } else if is(half, FileKind::Manifest) {
        return Some(Kind::File(FileKind::Manifest));
    } else if has(FileHeader::BYTES, &SEGMENT_MAGIC.to_le_bytes()) {
        return Some(Kind::File(FileKind::Segments));
    } else if bytes.chunks(SLOT_BYTES).any(|slot| slot.starts_with(&SLOT_MAGIC.to_le_bytes())) {
        return Some(Kind::Keyring);
    }
    let told = kinds.into_iter().find(|&kind| has(12, &(kind as u32).to_le_bytes()));
    let is_receipt = bytes.len() == RECEIPT_FILE_BYTES;
    match told {
        Some(kind) if has(0, &MAGIC) || (is_receipt && kind == FileKind::Receipt) => Some(Kind::File(kind)),
        _ if has(0, &MAGIC) && is_receipt => Some(Kind::File(FileKind::Receipt)),
        _ => None,
    }
}

/// Where lines go.
struct Lines<'a> {
    line: &'a mut dyn FnMut(&str),
    inspected: Inspected,
}

impl Lines<'_> {
    /// One thing that is there.
    fn say(&mut self, what: fmt::Arguments<'_>) {
        (self.line)(&what.to_string());
    }

    /// Something that is not as it must be, at this offset of the file.
    fn damage(&mut self, damage: &Damage, at: u64) {
        self.inspected.damages += 1;
        let Damage { offset, field, expected, found, .. } = damage;
        let (at, found, expected) = (at.saturating_add(*offset), OneLine(found), OneLine(expected));
        self.say(format_args!("damage at byte {at}: {field} is {found}, expected {expected}"));
    }

    /// What `read` answered; what is wrong is told.
    fn or_damage<T>(&mut self, read: Result<T, Damage>, at: u64) -> Option<T> {
        read.map_err(|damage| self.damage(&damage, at)).ok()
    }
}

/// Bytes that nothing is known of.
fn unread(out: &mut Lines<'_>, bytes: &[u8], at: usize) {
    if bytes.iter().any(|&byte| byte != 0) {
        out.say(format_args!("{} bytes at byte {at} that say nothing", bytes.len()));
    } else if !bytes.is_empty() {
        out.say(format_args!("{} zeros at byte {at}", bytes.len()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn kind(bytes: &[u8]) -> Option<Kind> {
        kind_of(bytes)
    }

    /// Without this, a damaged file would be called a stranger's, just when somebody wants to look at it.
    #[test]
    fn a_file_is_recognised_whatever_byte_is_damaged() {
        use zerocopy::IntoBytes;
        for (file_kind, length) in [
            (FileKind::Log, 4096),
            (FileKind::Segments, 200),
            (FileKind::Manifest, 400),
            (FileKind::Receipt, 384),
        ] {
            let header = FileHeader::new(file_kind, [9; 16], 1, 1);
            let mut whole = vec![0; length];
            whole[..64].copy_from_slice(header.as_bytes());
            match file_kind {
                FileKind::Log => whole[START_COPY..START_COPY + 64].copy_from_slice(header.as_bytes()),
                FileKind::Manifest => whole[length / 2..length / 2 + 64].copy_from_slice(header.as_bytes()),
                FileKind::Segments => whole[64..68].copy_from_slice(b"SRSG"),
                FileKind::Receipt => {}
            }
            for byte in 0..64 {
                let mut damaged = whole.clone();
                damaged[byte] ^= 0x40;
                assert_eq!(kind(&damaged), Some(Kind::File(file_kind)), "byte {byte}");
            }
        }
        let mut keyring = vec![0; 512];
        keyring[256..260].copy_from_slice(b"SRKS");
        assert_eq!(kind(&keyring), Some(Kind::Keyring));
        for stranger in [&b""[..], b"STRONGRM", &[0; 4096], b"SQLite format 3\0"] {
            assert_eq!(kind(stranger), None);
            assert_eq!(inspect(stranger, None, &mut |_| {}), Err(NotOurs));
        }
    }
}
