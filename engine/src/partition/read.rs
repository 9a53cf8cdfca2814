//! How is a partition read?

use super::view::{Location, Rows, Source, View};
use super::{DocumentInfo, Page, Partition, Passage, PassageInfo, ReadError};
use crate::filter::{Eyes, Filter};
use std::borrow::Cow;
use strongroom_format::Damage;
use strongroom_format::document::Document;
use strongroom_kernel::Mask;

impl Source {
    /// A document without content and vectors, and how long its content is.
    pub(super) fn info(&self, ordinal: u32) -> Result<(Document, u64), ReadError> {
        match &self.rows {
            Rows::Segment(segment) => {
                let row = &segment.directory()[ordinal as usize];
                Ok((segment.info(row)?, row.content_bytes))
            }
            Rows::Memtable(memtable) => {
                let document = &memtable.entries()[ordinal as usize].document;
                Ok((document.info(), document.content.len() as u64))
            }
        }
    }

    /// What a hit tells of a document, and one of its passages.
    pub(super) fn told(&self, ordinal: u32, passage: u32) -> Result<(DocumentInfo, Passage), ReadError> {
        let (info, passage) = match &self.rows {
            Rows::Segment(segment) => {
                let row = &segment.directory()[ordinal as usize];
                segment.info_as(row, passage, |info, passage| {
                    (DocumentInfo::of_info(info), passage.map(Passage::from))
                })?
            }
            Rows::Memtable(memtable) => {
                let document = &memtable.entries()[ordinal as usize].document;
                let passage = document.passages.get(passage as usize).cloned();
                (DocumentInfo::of(document.info(), document.content.len() as u64), passage)
            }
        };
        let gone = || Damage::new("document info", "the passage of a row", "none");
        Ok((info, passage.ok_or_else(gone)?))
    }

    /// A document's content, or a part of it.
    pub(super) fn content(&self, ordinal: u32, range: Option<(u32, u32)>) -> Result<Vec<u8>, ReadError> {
        let range = range.map(|(start, end)| u64::from(start)..u64::from(end));
        match &self.rows {
            Rows::Segment(segment) => {
                let row = &segment.directory()[ordinal as usize];
                Ok(segment.content(row, range.unwrap_or(0..row.content_bytes))?)
            }
            Rows::Memtable(memtable) => {
                let content = &memtable.entries()[ordinal as usize].document.content;
                let range = range.unwrap_or(0..content.len() as u64);
                Ok(content[range.start as usize..range.end as usize].to_vec())
            }
        }
    }

    /// The text of a passage.
    pub(super) fn passage(&self, ordinal: u32, passage: Passage) -> Result<String, ReadError> {
        match passage {
            Passage::Own(text) => Ok(text),
            Passage::Range { start, end } => String::from_utf8(self.content(ordinal, Some((start, end)))?)
                .map_err(|error| Damage::new("passage", "UTF-8", error).into()),
        }
    }
}

impl View {
    fn of(&self, location: Location) -> Result<&Source, ReadError> {
        let gone = || Damage::new("directory", "a source that is there", location.source);
        Ok(self.source(location.source).ok_or_else(gone)?)
    }

    /// A document without content and vectors, and how long its content is.
    pub(super) fn info(&self, location: Location) -> Result<(Document, u64), ReadError> {
        self.of(location)?.info(location.ordinal)
    }

    /// A document's content, or a part of it.
    pub(super) fn content(
        &self,
        location: Location,
        range: Option<(u32, u32)>,
    ) -> Result<Vec<u8>, ReadError> {
        self.of(location)?.content(location.ordinal, range)
    }

    fn passage(&self, location: Location, passage: Passage) -> Result<String, ReadError> {
        self.of(location)?.passage(location.ordinal, passage)
    }

    pub(super) fn live(&self, id: &str, eyes: Eyes<'_>) -> Option<Location> {
        self.find(id).filter(|location| location.deleted_ms.is_none() && self.sees(*location, eyes))
    }

    /// The documents of a source that a filter lets pass, of those that are seen.
    pub(super) fn mask<'s>(
        &self,
        source: &Source,
        seen: &'s Mask,
        filter: &Filter,
    ) -> Result<Cow<'s, Mask>, ReadError> {
        Ok(match &source.rows {
            _ if filter.is_all() => Cow::Borrowed(seen),
            Rows::Segment(segment) => Cow::Owned(filter.in_segment(segment, seen)?),
            Rows::Memtable(memtable) => Cow::Owned(filter.in_memtable(memtable, seen)),
        })
    }

    fn page(&self, eyes: Eyes<'_>, filter: &Filter, offset: usize, limit: usize) -> Result<Page, ReadError> {
        let mut matches: Vec<(u64, &str)> = Vec::new();
        let sight = self.sight(eyes);
        for (position, source) in self.sources().iter().enumerate() {
            let mask = self.mask(source, sight.of(position), filter)?;
            matches.extend(mask.iter().map(|ordinal| match &source.rows {
                Rows::Segment(segment) => {
                    let row = &segment.directory()[ordinal as usize];
                    (row.created_ms, &*row.id)
                }
                Rows::Memtable(memtable) => {
                    let document = &memtable.entries()[ordinal as usize].document;
                    (document.created_ms, &*document.id)
                }
            }));
        }
        matches.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        let documents = matches
            .iter()
            .skip(offset)
            .take(limit)
            .filter_map(|(_, id)| self.find(id))
            .map(|location| self.info(location).map(|(document, bytes)| DocumentInfo::of(document, bytes)))
            .collect::<Result<_, _>>()?;
        Ok(Page { documents, total: matches.len() as u64 })
    }
}

impl Partition {
    /// The name that this partition has; `None` for the default partition.
    pub fn name(&self) -> Option<String> {
        self.core.who().identity.partition.clone()
    }

    /// Runs a read for the handle's caller.
    pub(super) fn attempt<R>(&self, read: impl Fn() -> Result<R, ReadError>) -> Result<R, ReadError> {
        self.is_served()?;
        self.core.attempt(read)
    }

    /// A live document, without its content.
    pub fn get(&self, id: &str) -> Result<Option<DocumentInfo>, ReadError> {
        self.read(id, |view, location| {
            let (document, content_bytes) = view.info(location)?;
            Ok(DocumentInfo::of(document, content_bytes))
        })
    }

    /// A live document with its content.
    pub fn content(&self, id: &str) -> Result<Option<(DocumentInfo, Vec<u8>)>, ReadError> {
        self.read(id, |view, location| {
            let (document, content_bytes) = view.info(location)?;
            let content = view.content(location, None)?;
            Ok((DocumentInfo::of(document, content_bytes), content))
        })
    }

    /// A live document with the beginning of its content, as far as `end` says; what is beyond is not read.
    pub fn content_until(
        &self,
        id: &str,
        end: impl Fn(&DocumentInfo) -> u64,
    ) -> Result<Option<(DocumentInfo, Vec<u8>)>, ReadError> {
        self.read(id, |view, location| {
            let (document, content_bytes) = view.info(location)?;
            let document = DocumentInfo::of(document, content_bytes);
            let end = u32::try_from(end(&document).min(content_bytes)).unwrap_or(u32::MAX);
            let content = view.content(location, Some((0, end)))?;
            Ok((document, content))
        })
    }

    /// A live document with some of its passages, in order: at most `limit` from this number on.
    pub fn passages(
        &self,
        id: &str,
        from: u32,
        limit: usize,
    ) -> Result<Option<(DocumentInfo, Vec<PassageInfo>)>, ReadError> {
        self.read(id, |view, location| {
            let (document, content_bytes) = view.info(location)?;
            let asked = (0..).zip(&document.passages).skip(from as usize).take(limit);
            let told = |(number, passage): (u32, &Passage)| {
                view.passage(location, passage.clone()).map(|text| PassageInfo {
                    number,
                    range: passage.range(),
                    text,
                })
            };
            let passages = asked.map(told).collect::<Result<_, ReadError>>()?;
            Ok((DocumentInfo::of(document, content_bytes), passages))
        })
    }

    fn read<R>(
        &self,
        id: &str,
        read: impl Fn(&View, Location) -> Result<R, ReadError>,
    ) -> Result<Option<R>, ReadError> {
        self.attempt(|| {
            let eyes = self.eyes();
            self.look(|view| view.live(id, eyes).map(|location| read(view, location)).transpose())?
        })
    }

    /// A page of the live documents that match, newest first; ties by id.
    pub fn list(&self, filter: &Filter, offset: usize, limit: usize) -> Result<Page, ReadError> {
        let eyes = self.eyes();
        self.attempt(|| self.look(|view| view.page(eyes, filter, offset, limit))?)
    }
}
