//! Which documents of a segment have a value in their metadata?
//!
//! The index of fields is read page by page, through the cache; nothing of it is held with an open segment. Long texts
//! stand there cut: what they say beyond that is for the caller to look up in the documents.

use super::reader::Segment;
use crate::io::Fault;
use roaring::RoaringBitmap;
use std::ops::Range;
use strongroom_format::Damage;
use strongroom_format::field_index::{FIELD_INDEX_HEADER_BYTES, Holders, Root, Walk};
use strongroom_format::segment::SectionKind;

/// What a key says of the documents that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They match.
    Yes,
    /// Whether they match stands in the documents.
    Look,
    /// They don't match, as far as this key says.
    No,
    /// Nor do those of any key that comes after it.
    Past,
}

/// The documents that an index answered with.
#[derive(Debug, Default)]
pub struct Matches {
    /// They match.
    pub yes: RoaringBitmap,
    /// They may.
    pub look: RoaringBitmap,
}

impl Segment {
    /// Asks the index of fields about its keys, from one on.
    pub fn field_matches(
        &self,
        begin: &[u8],
        verdict: &dyn Fn(&[u8]) -> Verdict,
        matches: &mut Matches,
    ) -> Result<(), Fault> {
        let section = self.section(SectionKind::Fields);
        if section.plain_bytes == 0 {
            return Ok(());
        }
        let located = |fault| match fault {
            Fault::Damaged(damage) if damage.file.is_empty() => self.located(damage),
            other => other,
        };
        let read = |range: Range<u64>| self.read(SectionKind::Fields, range);
        let header = read(0..FIELD_INDEX_HEADER_BYTES)?;
        let root = Root::read(&header, section.plain_bytes).map_err(|damage| self.located(damage))?;
        let Some(root) = root else {
            return Err(self.located(Damage::new("field index", "version 1", "another")));
        };
        let documents = self.place().documents;
        let walk = Walk { read: &read, documents };
        walk.from(&root, begin, &mut |key, holders| {
            let into = match verdict(key) {
                Verdict::Yes => &mut matches.yes,
                Verdict::Look => &mut matches.look,
                Verdict::No => return Ok(true),
                Verdict::Past => return Ok(false),
            };
            match holders {
                Holders::Few(few) => into.extend(few),
                Holders::Many(count, place) => *into |= bitmap(&read(place)?, count, documents)?,
            }
            Ok(true)
        })
        .map_err(located)
    }
}

fn bitmap(bytes: &[u8], count: u32, documents: u32) -> Result<RoaringBitmap, Damage> {
    let bitmap = RoaringBitmap::deserialize_from(bytes)
        .map_err(|error| Damage::new("field holders", "a roaring bitmap", error))?;
    if bitmap.len() != u64::from(count) || bitmap.max().is_none_or(|max| max >= documents) {
        return Err(Damage::new(
            "field holders",
            format_args!("{count} ordinals of documents"),
            bitmap.len(),
        ));
    }
    Ok(bitmap)
}
