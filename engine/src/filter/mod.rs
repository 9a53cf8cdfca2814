//! Which documents may an answer name?
//!
//! A [`Filter`] becomes a [`Mask`] over a source's documents before anything is scored, so a filtered search
//! still finds as many as match. Segments answer from their label indexes, memtables document by document.

mod answer;
mod condition;
mod eyes;
mod numbered;
#[cfg(all(test, feature = "sim"))]
mod tests;

pub use condition::{Condition, Subject, Test};
pub use eyes::{ActingAs, Eyes};
pub use numbered::Numbered;

use crate::io::Fault;
use crate::memtable::Memtable;
use crate::segment::Segment;
use roaring::RoaringBitmap;
use strongroom_format::document::Document;
use strongroom_format::segment::LabelKind;
use strongroom_kernel::Mask;

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
    /// Only those whose ids are of this form.
    pub ids: Option<Numbered>,
    /// What else must hold.
    pub condition: Option<Condition>,
}

impl Filter {
    /// Whether every document matches.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The live documents of a segment that match.
    pub fn in_segment(&self, segment: &Segment, live: &Mask) -> Result<Mask, Fault> {
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
        if let Some(condition) = &self.condition {
            narrow(answer::answer(condition, segment)?);
        }
        // What says nothing of these doesn't read a row of each document.
        let is_of_all = self.since_ms.is_none() && self.until_ms.is_none() && self.ids.is_none();
        let passes = |ordinal: &u32| {
            if is_of_all {
                return true;
            }
            let row = &segment.directory()[*ordinal as usize];
            self.in_time(row.created_ms) && self.is_of_form(&row.id)
        };
        Ok(match matches {
            None => live.iter().filter(passes).collect(),
            Some(matches) => {
                matches.iter().filter(|&ordinal| live.contains(ordinal)).filter(passes).collect()
            }
        })
    }

    /// The live documents of a memtable that match.
    pub fn in_memtable(&self, memtable: &Memtable, live: &Mask) -> Mask {
        live.iter().filter(|&ordinal| self.matches(&memtable.entries()[ordinal as usize].document)).collect()
    }

    fn in_time(&self, created_ms: u64) -> bool {
        self.since_ms.is_none_or(|since| created_ms >= since)
            && self.until_ms.is_none_or(|until| created_ms <= until)
    }

    fn is_of_form(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.fit(id))
    }

    fn matches(&self, document: &Document) -> bool {
        let one_of = |wanted: &[String], value: Option<&str>| {
            wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|wanted| wanted == value))
        };
        self.in_time(document.created_ms)
            && self.is_of_form(&document.id)
            && self.all_tags.iter().all(|tag| document.tags.contains(tag))
            && (self.any_tags.is_empty() || self.any_tags.iter().any(|tag| document.tags.contains(tag)))
            && self.entity.as_ref().is_none_or(|entity| document.entity.as_ref() == Some(entity))
            && one_of(&self.sources, document.source.as_deref())
            && one_of(&self.content_types, Some(&document.content_type))
            && self.condition.as_ref().is_none_or(|condition| condition.holds(document))
    }
}
