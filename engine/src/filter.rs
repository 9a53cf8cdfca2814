//! Which documents may an answer name?
//!
//! A [`Filter`] becomes a [`Mask`] over a source's documents before anything is scored, so a filtered search
//! still finds as many as match. Segments answer from their label indexes, memtables document by document.

use crate::memtable::Memtable;
use crate::segment::Segment;
use roaring::RoaringBitmap;
use strongroom_format::document::Document;
use strongroom_format::segment::LabelKind;

/// Which documents a search or a listing may return. The default matches every live document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Every one of these must be on the document.
    pub all_tags: Vec<String>,
    /// At least one of these must be, when there are any.
    pub any_tags: Vec<String>,
    /// Only this entity's.
    pub entity: Option<String>,
    /// Only from one of these sources, when there are any.
    pub sources: Vec<String>,
    /// Only of one of these media types, when there are any.
    pub content_types: Vec<String>,
    /// Created at this time or later, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Created at this time or before.
    pub until_ms: Option<u64>,
}

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

    /// How many ordinals are in it.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The ordinals, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.words).flat_map(|(index, &word)| {
            std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
                .take_while(|&rest| rest != 0)
                .map(move |rest| index * 64 + rest.trailing_zeros())
        })
    }
}

impl FromIterator<u32> for Mask {
    fn from_iter<I: IntoIterator<Item = u32>>(ordinals: I) -> Self {
        let mut mask = Self::default();
        for ordinal in ordinals {
            mask.set(ordinal, true);
        }
        mask
    }
}

impl Filter {
    /// Whether every document matches.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The live documents of a segment that match.
    pub fn in_segment(&self, segment: &Segment, live: &Mask) -> Mask {
        let mut matches: Option<RoaringBitmap> = None;
        let mut narrow = |bitmap: RoaringBitmap| {
            matches = Some(match matches.take() {
                None => bitmap,
                Some(so_far) => so_far & bitmap,
            });
        };
        let one = |kind, text: &String| segment.labels().get(kind, text).cloned().unwrap_or_default();
        for tag in &self.all_tags {
            narrow(one(LabelKind::Tag, tag));
        }
        if let Some(entity) = &self.entity {
            narrow(one(LabelKind::Entity, entity));
        }
        for (kind, wanted) in [
            (LabelKind::Tag, &self.any_tags),
            (LabelKind::Source, &self.sources),
            (LabelKind::ContentType, &self.content_types),
        ] {
            if !wanted.is_empty() {
                narrow(wanted.iter().fold(RoaringBitmap::new(), |any, text| any | one(kind, text)));
            }
        }
        let in_time = |ordinal: &u32| self.in_time(segment.directory()[*ordinal as usize].created_ms);
        match matches {
            None => live.iter().filter(in_time).collect(),
            Some(matches) => {
                matches.iter().filter(|&ordinal| live.contains(ordinal)).filter(in_time).collect()
            }
        }
    }

    /// The live documents of a memtable that match.
    pub fn in_memtable(&self, memtable: &Memtable, live: &Mask) -> Mask {
        live.iter().filter(|&ordinal| self.matches(&memtable.entries()[ordinal as usize].document)).collect()
    }

    fn in_time(&self, created_ms: u64) -> bool {
        self.since_ms.is_none_or(|since| created_ms >= since)
            && self.until_ms.is_none_or(|until| created_ms <= until)
    }

    fn matches(&self, document: &Document) -> bool {
        let one_of = |wanted: &[String], value: Option<&str>| {
            wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|wanted| wanted == value))
        };
        self.in_time(document.created_ms)
            && self.all_tags.iter().all(|tag| document.tags.contains(tag))
            && (self.any_tags.is_empty() || self.any_tags.iter().any(|tag| document.tags.contains(tag)))
            && self.entity.as_ref().is_none_or(|entity| document.entity.as_ref() == Some(entity))
            && one_of(&self.sources, document.source.as_deref())
            && one_of(&self.content_types, Some(&document.content_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(mask.count(), 3);
        assert!(mask.contains(200) && !mask.contains(63) && !mask.contains(100_000));
    }
}
