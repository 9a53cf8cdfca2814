//! How is a segment asked which of its documents have a value, or one between two?
//!
//! Section *fields* is a search tree over [keys](crate::fields::key), written once: a header, the bitmaps of keys that
//! many documents have, pages of keys (leaves), pages that name those, and so on up to the root. Whoever looks
//! something up reads one page of each level; nothing needs to be held.
//!
//! Invariants:
//! 1. Keys rise strictly, over all leaves: equal segments have equal bytes.
//! 2. However it is damaged, a walk over it ends: a page stands before the page that names it, and keys rise.

use crate::Damage;
use crate::wire::{Reader, Writer};
use std::ops::Range;

/// The version of this index; segments of another are not read.
pub const FIELD_INDEX_VERSION: u32 = 1;
/// Version, levels above the leaves, and where the root is.
pub const FIELD_INDEX_HEADER_BYTES: u64 = 20;
/// A page takes no more entries once it is this long.
pub const FIELD_PAGE_BYTES: usize = 4 << 10;
/// No page is longer.
pub const FIELD_PAGE_BYTES_MAX: u64 = 8 << 10;
/// No key is longer: a path, a NUL, a kind, and 128 bytes of a text.
pub const FIELD_KEY_BYTES_MAX: usize = (1 << 10) + 2 + 128;
/// So many documents stand with their key; more make a bitmap.
pub const HOLDERS_FEW: usize = 8;
/// Levels above the leaves, at most: with a hundred keys a page that is more than any segment holds.
const LEVELS_MAX: u32 = 8;

/// The documents of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holders {
    /// Their ordinals, rising: at most [`HOLDERS_FEW`].
    Few(Vec<u32>),
    /// How many, and where in the section their bitmap is, in roaring's portable form.
    Many(u32, Range<u64>),
}

/// Writes the section, key by key.
#[derive(Debug)]
pub struct FieldIndexWriter {
    bitmaps: Writer,
    leaves: Level,
}

/// Pages of one level.
#[derive(Debug, Default)]
struct Level {
    /// The first key of each page, and the page.
    pages: Vec<(Vec<u8>, Vec<u8>)>,
    page: Writer,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Level {
    /// Appends a key and answers where to write what belongs to it. `begins` is where what its page names begins.
    fn entry(&mut self, key: &[u8], begins: u64) -> &mut Writer {
        if self.page.0.len() >= FIELD_PAGE_BYTES {
            self.turn();
        }
        if self.page.0.is_empty() {
            self.page.u64(begins);
            self.first = key.to_vec();
            self.last.clear();
        }
        let shared = self.last.iter().zip(key).take_while(|(a, b)| a == b).count();
        self.page.varint(shared as u64).varint((key.len() - shared) as u64).raw(&key[shared..]);
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
        &mut self.page
    }

    fn turn(&mut self) {
        let page = std::mem::take(&mut self.page.0);
        self.pages.push((std::mem::take(&mut self.first), page));
    }
}

impl Default for FieldIndexWriter {
    fn default() -> Self {
        Self { bitmaps: Writer(vec![0; FIELD_INDEX_HEADER_BYTES as usize]), leaves: Level::default() }
    }
}

impl FieldIndexWriter {
    /// Appends a key, above the one before, that a few documents have, rising.
    pub fn few(&mut self, key: &[u8], documents: &[u32]) {
        let out = self.leaves.entry(key, self.bitmaps.0.len() as u64);
        out.varint(documents.len() as u64);
        let mut next = 0;
        for &document in documents {
            out.varint(u64::from(document - next));
            next = document + 1;
        }
    }

    /// Appends a key, above the one before, that so many documents have: more than a few.
    pub fn many(&mut self, key: &[u8], documents: u32, bitmap: &[u8]) {
        let out = self.leaves.entry(key, self.bitmaps.0.len() as u64);
        out.varint(documents.into()).varint(bitmap.len() as u64);
        self.bitmaps.raw(bitmap);
    }

    /// The section; empty when there was no key.
    pub fn finish(self) -> Vec<u8> {
        let (mut out, mut level) = (self.bitmaps, self.leaves);
        if level.page.0.is_empty() {
            return Vec::new();
        }
        for levels in 0_u32.. {
            level.turn();
            let root = (out.0.len() as u64, level.pages.last().map_or(0, |(_, page)| page.len() as u32));
            let mut above = Level::default();
            let is_root = level.pages.len() == 1;
            for (first, page) in level.pages {
                above.entry(&first, out.0.len() as u64).varint(page.len() as u64);
                out.raw(&page);
            }
            if is_root {
                let mut header = Writer::default();
                header.u32(FIELD_INDEX_VERSION).u32(levels).u64(root.0).u32(root.1);
                out.0[..FIELD_INDEX_HEADER_BYTES as usize].copy_from_slice(&header.0);
                break;
            }
            level = above;
        }
        out.0
    }
}

/// Where a walk begins: the section's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    levels: u32,
    page: Range<u64>,
}

impl Root {
    /// Reads the header of a section of this length; `None` when it is of another version.
    pub fn read(bytes: &[u8], section_bytes: u64) -> Result<Option<Self>, Damage> {
        let mut input = Reader::new("field index", bytes);
        let (version, levels) = (input.u32()?, input.u32()?);
        let (at, length) = (input.u64()?, u64::from(input.u32()?));
        input.finish()?;
        if version != FIELD_INDEX_VERSION {
            return Ok(None);
        }
        if levels > LEVELS_MAX || at.checked_add(length) != Some(section_bytes) {
            return Err(Damage::new("field index", "a root at the section's end", at));
        }
        Ok(Some(Self { levels, page: page_range(at, length, section_bytes)? }))
    }
}

/// A page within what comes before `end`.
fn page_range(at: u64, length: u64, end: u64) -> Result<Range<u64>, Damage> {
    let fits = at.checked_add(length).is_some_and(|page_end| page_end <= end);
    if !fits || at < FIELD_INDEX_HEADER_BYTES || length > FIELD_PAGE_BYTES_MAX {
        return Err(Damage::new(
            "field page",
            format_args!("within {end} bytes"),
            format_args!("{length} at {at}"),
        ));
    }
    Ok(at..at + length)
}

/// Walks over the index: `read` answers bytes of the section.
pub struct Walk<'w, E> {
    /// Reads a range of the section.
    pub read: &'w dyn Fn(Range<u64>) -> Result<Vec<u8>, E>,
    /// Documents of the segment.
    pub documents: u32,
}

/// Is called with a key and its documents, and says whether to go on.
pub type Visit<'v, E> = dyn FnMut(&[u8], Holders) -> Result<bool, E> + 'v;

impl<E: From<Damage>> Walk<'_, E> {
    /// Calls back with the keys from this one on, rising.
    pub fn from(&self, root: &Root, begin: &[u8], visit: &mut Visit<'_, E>) -> Result<(), E> {
        self.page(root.page.clone(), root.levels, begin, &mut Vec::new(), visit).map(drop)
    }

    fn page(
        &self,
        page: Range<u64>,
        levels: u32,
        begin: &[u8],
        last: &mut Vec<u8>,
        visit: &mut Visit<'_, E>,
    ) -> Result<bool, E> {
        let bytes = (self.read)(page.clone())?;
        let mut entries = Entries::new(&bytes)?;
        // The last child whose first key is not above `begin`: what is before it has nothing to say.
        let mut before: Option<(Vec<u8>, Range<u64>)> = None;
        while entries.next_key()? {
            if levels == 0 {
                let holders = entries.holders(page.start, self.documents)?;
                if *entries.key <= **last && !last.is_empty() {
                    return Err(Damage::new("field key", "above the one before", "not").into());
                }
                last.clone_from(&entries.key);
                if *entries.key >= *begin && !visit(&entries.key, holders)? {
                    return Ok(false);
                }
                continue;
            }
            let child = entries.child(page.start)?;
            if let Some((first, before)) = before.take()
                && *entries.key > *begin
                && !self.child(before, &first, levels, begin, last, visit)?
            {
                return Ok(false);
            }
            before = Some((entries.key.clone(), child));
        }
        match before {
            Some((first, child)) => self.child(child, &first, levels, begin, last, visit),
            None => Ok(true),
        }
    }

    fn child(
        &self,
        page: Range<u64>,
        first: &[u8],
        levels: u32,
        begin: &[u8],
        last: &mut Vec<u8>,
        visit: &mut Visit<'_, E>,
    ) -> Result<bool, E> {
        // Then no page is walked twice: its first key would have to be above itself.
        if !last.is_empty() && *first <= **last {
            return Err(Damage::new("field page", "keys above those before", "others").into());
        }
        self.page(page, levels - 1, begin, last, visit)
    }
}

/// The entries of a page, one after the other.
struct Entries<'a> {
    input: Reader<'a>,
    key: Vec<u8>,
    /// Where what the next entry names begins.
    next: u64,
    number: usize,
}

impl<'a> Entries<'a> {
    fn new(page: &'a [u8]) -> Result<Self, Damage> {
        let mut input = Reader::new("field page", page);
        let next = input.u64()?;
        if input.is_empty() {
            return Err(Damage::new("field page", "a key", "none"));
        }
        Ok(Self { input, key: Vec::new(), next, number: 0 })
    }

    /// Reads the next key into `key`; `false` at the end.
    fn next_key(&mut self) -> Result<bool, Damage> {
        if self.input.is_empty() {
            return Ok(false);
        }
        let (shared, rest) = (self.input.varint()?, self.input.varint()?);
        let fits =
            shared <= self.key.len() as u64 && rest <= (FIELD_KEY_BYTES_MAX as u64).saturating_sub(shared);
        if !fits {
            return Err(Damage::new("field key", format_args!("at most {FIELD_KEY_BYTES_MAX} bytes"), rest));
        }
        let rest = self.input.raw(rest as usize)?;
        let rises = self.number == 0 || *rest > self.key[shared as usize..];
        if !rises || (self.number == 0 && rest.is_empty()) {
            return Err(Damage::new("field key", "above the one before", "not"));
        }
        self.key.truncate(shared as usize);
        self.key.extend_from_slice(rest);
        self.number += 1;
        Ok(true)
    }

    /// What stands with a key of a leaf that begins here.
    fn holders(&mut self, page: u64, documents: u32) -> Result<Holders, Damage> {
        let count = self.input.varint()?;
        if count == 0 || count > u64::from(documents) {
            return Err(Damage::new("field holders", format_args!("1 to {documents}"), count));
        }
        if count > HOLDERS_FEW as u64 {
            return Ok(Holders::Many(count as u32, self.named(page)?));
        }
        let (mut few, mut next) = (Vec::with_capacity(HOLDERS_FEW), 0_u64);
        for _ in 0..count {
            let ordinal = next.saturating_add(self.input.varint()?);
            if ordinal >= u64::from(documents) {
                return Err(Damage::new("field holders", format_args!("below {documents}"), ordinal));
            }
            few.push(ordinal as u32);
            next = ordinal + 1;
        }
        Ok(Holders::Few(few))
    }

    fn child(&mut self, page: u64) -> Result<Range<u64>, Damage> {
        let child = self.named(page)?;
        page_range(child.start, child.end - child.start, page)
    }

    /// What the entry names: it follows what the one before named, and stands before this page.
    fn named(&mut self, page: u64) -> Result<Range<u64>, Damage> {
        let begin = self.next;
        let end = begin.checked_add(self.input.varint()?).filter(|end| *end <= page);
        let Some(end) = end.filter(|_| begin >= FIELD_INDEX_HEADER_BYTES) else {
            return Err(Damage::new("field page", format_args!("what stands before {page}"), begin));
        };
        self.next = end;
        Ok(begin..end)
    }
}

/// Reads a whole section: calls back with each key and its documents, the bitmaps as they are. That nothing else is in
/// the section, and everything in its place, shows when the same is written again.
pub fn decode_field_index(
    section: &[u8],
    documents: u32,
    visit: &mut Visit<'_, Damage>,
) -> Result<(), Damage> {
    if section.is_empty() {
        return Ok(());
    }
    let bytes = |range: Range<u64>| {
        let within = section.get(range.start as usize..range.end as usize);
        within.map(<[u8]>::to_vec).ok_or_else(|| Damage::new("field page", section.len(), range.end))
    };
    let header = bytes(0..FIELD_INDEX_HEADER_BYTES)?;
    let root = Root::read(&header, section.len() as u64)?;
    let root = root.ok_or_else(|| Damage::new("field index", "version 1", "another"))?;
    Walk { read: &bytes, documents }.from(&root, &[], visit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Vec<u8> {
        // Long enough for two levels above the leaves.
        format!("path.{:04}\0\u{3}value {number} {}", number / 50, "long".repeat(20)).into_bytes()
    }

    /// An index of these keys; every seventh has a bitmap.
    fn index(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
        let mut writer = FieldIndexWriter::default();
        for number in numbers {
            match number % 7 {
                3 => writer.many(&key(number), 20, &[number as u8; 30]),
                few => writer.few(&key(number), &(0..=few).map(|n| n * 3).collect::<Vec<_>>()),
            }
        }
        writer.finish()
    }

    type All = Vec<(Vec<u8>, Holders)>;

    fn all(section: &[u8]) -> Result<All, Damage> {
        let mut found = Vec::new();
        decode_field_index(section, 40, &mut |key, holders| {
            found.push((key.to_vec(), holders));
            Ok(true)
        })?;
        Ok(found)
    }

    fn sorted(count: u32) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..count).collect();
        numbers.sort_by_key(|&number| key(number));
        numbers
    }

    /// Without this, a filter would miss documents, in large segments alone.
    #[test]
    fn every_key_is_found_from_every_place() {
        for count in [0, 1, 60, 9000] {
            let section = index(sorted(count));
            let found = all(&section).expect("whole");
            let keys: Vec<Vec<u8>> = sorted(count).into_iter().map(key).collect();
            assert_eq!(found.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
            if count == 0 {
                assert!(section.is_empty());
                continue;
            }
            let read = |range: Range<u64>| {
                Ok::<_, Damage>(section[range.start as usize..range.end as usize].to_vec())
            };
            let root = Root::read(&section[..20], section.len() as u64).expect("whole").expect("version 1");
            for at in (0..keys.len()).step_by(31) {
                for (begin, expected) in [(keys[at].clone(), at), ([&keys[at][..], &[0]].concat(), at + 1)] {
                    let mut first = None;
                    let mut calls = 0;
                    Walk { read: &read, documents: 40 }
                        .from(&root, &begin, &mut |key, _| {
                            calls += 1;
                            first = Some(key.to_vec());
                            Ok(false)
                        })
                        .expect("whole");
                    assert_eq!(
                        (first.as_ref(), calls),
                        (keys.get(expected), i32::from(expected < keys.len()))
                    );
                }
            }
        }
        let many = &all(&index(sorted(60))).expect("whole")[0..60];
        let bitmaps = many.iter().filter(|(_, holders)| matches!(holders, Holders::Many(20, _))).count();
        assert_eq!(bitmaps, (0..60).filter(|n| n % 7 == 3).count());
    }

    /// Without this, a look-up of one value would read a large index whole.
    #[test]
    fn a_look_up_reads_a_page_of_each_level() {
        let section = index(sorted(9000));
        let root = Root::read(&section[..20], section.len() as u64).expect("whole").expect("version 1");
        assert_eq!(root.levels, 2);
        let pages = std::cell::Cell::new(0);
        let read = |range: Range<u64>| {
            pages.set(pages.get() + 1);
            Ok::<_, Damage>(section[range.start as usize..range.end as usize].to_vec())
        };
        let wanted = key(4321);
        let mut found = false;
        Walk { read: &read, documents: 40 }
            .from(&root, &wanted, &mut |key, _| {
                found = key == wanted;
                Ok(false)
            })
            .expect("whole");
        assert!(found);
        assert_eq!(pages.get(), 3);
    }

    /// Without this, damage could make a reader panic, run on for ever, or ask for memory that isn't there.
    #[test]
    fn whatever_stands_there_is_read_or_refused() {
        let section = index([5, 4]);
        assert!(all(&section).is_err(), "keys that don't rise");
        let section = index(sorted(80));
        for at in 0..section.len() {
            assert!(at == 0 || all(&section[..at]).is_err(), "cut at {at}");
            for bit in [0, 3, 7] {
                let mut broken = section.clone();
                broken[at] ^= 1 << bit;
                all(&broken).ok();
            }
        }
        // A page that names itself.
        let mut writer = Writer::default();
        writer.u32(FIELD_INDEX_VERSION).u32(1).u64(20).u32(12).u64(20).u8(0).u8(1).u8(b'a').u8(12);
        assert!(all(&writer.0).is_err());
    }
}
