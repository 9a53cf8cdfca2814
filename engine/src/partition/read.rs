//! How is a partition read and searched?

use super::view::{Location, Rows, Source, View};
use super::{
    Core, DocumentInfo, Hit, Page, Partition, Passage, ReadError, SearchRequest, SearchResponse, Trace,
};
use crate::filter::Filter;
use crate::index::{self, Candidate, Nearest};
use std::ops::Range;
use strongroom_format::Damage;
use strongroom_format::document::Document;
use strongroom_kernel::{Mask, dot_rows, is_finite, normalize};

impl View {
    /// A document without content and vectors, and how long its content is.
    pub(super) fn info(&self, location: Location) -> Result<(Document, u64), ReadError> {
        match self.source(location.source).map(|source| &source.rows) {
            Some(Rows::Segment(segment)) => {
                let row = &segment.directory()[location.ordinal as usize];
                Ok((segment.info(row)?, row.content_bytes))
            }
            Some(Rows::Memtable(memtable)) => {
                let document = &memtable.entries()[location.ordinal as usize].document;
                Ok((document.info(), document.content.len() as u64))
            }
            None => Err(Damage::new("directory", "a source that is there", location.source).into()),
        }
    }

    /// A document's content, or a part of it.
    fn content(&self, location: Location, range: Option<(u32, u32)>) -> Result<Vec<u8>, ReadError> {
        let range = range.map(|(start, end)| u64::from(start)..u64::from(end));
        match self.source(location.source).map(|source| &source.rows) {
            Some(Rows::Segment(segment)) => {
                let row = &segment.directory()[location.ordinal as usize];
                Ok(segment.content(row, range.unwrap_or(0..row.content_bytes))?)
            }
            Some(Rows::Memtable(memtable)) => {
                let content = &memtable.entries()[location.ordinal as usize].document.content;
                let range = range.unwrap_or(0..content.len() as u64);
                Ok(content[range.start as usize..range.end as usize].to_vec())
            }
            None => Err(Damage::new("directory", "a source that is there", location.source).into()),
        }
    }

    fn passage(&self, location: Location, passage: &Passage) -> Result<String, ReadError> {
        match passage {
            Passage::Own(text) => Ok(text.clone()),
            Passage::Range { start, end } => String::from_utf8(self.content(location, Some((*start, *end)))?)
                .map_err(|error| Damage::new("passage", "UTF-8", error).into()),
        }
    }

    fn live(&self, id: &str) -> Option<Location> {
        self.find(id).filter(|location| location.deleted_ms.is_none())
    }

    fn mask(&self, source: &Source, filter: &Filter) -> Mask {
        match &source.rows {
            _ if filter.is_all() => source.live.clone(),
            Rows::Segment(segment) => filter.in_segment(segment, &source.live),
            Rows::Memtable(memtable) => filter.in_memtable(memtable, &source.live),
        }
    }

    fn nearest(&self, query: &[f32], request: &SearchRequest<'_>) -> Result<Vec<Candidate<'_>>, ReadError> {
        // Without a threshold everything that matches may be answered, dissimilar as it is.
        let score_min = if request.similarity_min > 0.0 { request.similarity_min } else { f32::NEG_INFINITY };
        let mut nearest = Nearest::new(request.k, score_min);
        for (number, source) in self.sources().iter().enumerate() {
            let mask = self.mask(source, request.filter);
            match &source.rows {
                Rows::Segment(segment) => {
                    let directory = segment.directory();
                    let documents = index::Documents {
                        source: number,
                        count: directory.len() as u32,
                        document: |ordinal: u32| {
                            let row = &directory[ordinal as usize];
                            (&*row.id, row.first_row, row.rows)
                        },
                        score: |rows, scores: &mut [f32]| segment.score(query, rows, scores),
                    };
                    index::scan(&documents, &mask, &mut nearest)?;
                }
                Rows::Memtable(memtable) => {
                    let entries = memtable.entries();
                    let documents = index::Documents {
                        source: number,
                        count: entries.len() as u32,
                        document: |ordinal: u32| {
                            let entry = &entries[ordinal as usize];
                            (&*entry.document.id, entry.first_row, entry.rows)
                        },
                        score: |rows: Range<u32>, scores: &mut [f32]| {
                            let components =
                                rows.start as usize * query.len()..rows.end as usize * query.len();
                            dot_rows(query, &memtable.vectors()[components], scores);
                            Ok::<_, ReadError>(())
                        },
                    };
                    index::scan(&documents, &mask, &mut nearest)?;
                }
            }
        }
        Ok(nearest.into_sorted())
    }

    fn page(&self, filter: &Filter, offset: usize, limit: usize) -> Result<Page, ReadError> {
        let mut matches: Vec<(u64, &str)> = Vec::new();
        for source in self.sources() {
            let mask = self.mask(source, filter);
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
            .filter_map(|(_, id)| self.live(id))
            .map(|location| self.info(location).map(|(document, bytes)| DocumentInfo::of(document, bytes)))
            .collect::<Result<_, _>>()?;
        Ok(Page { documents, total: matches.len() as u64 })
    }

    fn hit(&self, candidate: &Candidate<'_>, with_content: bool) -> Result<Hit, ReadError> {
        let gone = || Damage::new("directory", "the id of a live row", "none");
        let location = self.live(candidate.id).ok_or_else(gone)?;
        let (document, content_bytes) = self.info(location)?;
        let passage = document.passages.get(candidate.passage as usize).ok_or_else(gone)?;
        Ok(Hit {
            passage: self.passage(location, passage)?,
            similarity: candidate.score.clamp(0.0, 1.0),
            content: if with_content { Some(self.content(location, None)?) } else { None },
            document: DocumentInfo::of(document, content_bytes),
        })
    }
}

impl Partition {
    /// The name that this partition was made under; `None` for the default partition.
    pub fn name(&self) -> Option<&str> {
        self.core.identity.partition.as_deref()
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
            Ok((DocumentInfo::of(document, content_bytes), view.content(location, None)?))
        })
    }

    /// The texts of a live document's passages, in order.
    pub fn passages(&self, id: &str) -> Result<Option<Vec<String>>, ReadError> {
        self.read(id, |view, location| {
            let (document, _) = view.info(location)?;
            document.passages.iter().map(|passage| view.passage(location, passage)).collect()
        })
    }

    fn read<R>(
        &self,
        id: &str,
        read: impl Fn(&View, Location) -> Result<R, ReadError>,
    ) -> Result<Option<R>, ReadError> {
        self.core.attempt(|| {
            self.core.with_view(|view| view.live(id).map(|location| read(view, location)).transpose())?
        })
    }

    /// A page of the live documents that match, newest first; ties by id.
    pub fn list(&self, filter: &Filter, offset: usize, limit: usize) -> Result<Page, ReadError> {
        self.core.attempt(|| self.core.with_view(|view| view.page(filter, offset, limit))?)
    }

    /// The live documents nearest to a vector, with evidence of what was opened.
    pub fn search(&self, request: &SearchRequest<'_>) -> Result<SearchResponse, ReadError> {
        let expected = self.core.identity.dimension as usize;
        if request.vector.len() != expected {
            return Err(ReadError::Dimension { expected, found: request.vector.len() });
        }
        if !is_finite(request.vector) {
            return Err(ReadError::NotFinite);
        }
        let mut query = request.vector.to_vec();
        normalize(&mut query);
        self.core.attempt(|| {
            self.core.with_view(|view| {
                let candidates = view.nearest(&query, request)?;
                let hits = candidates.iter().map(|candidate| view.hit(candidate, request.with_content));
                Ok(SearchResponse { hits: hits.collect::<Result<_, _>>()?, trace: self.core.trace(view) })
            })?
        })
    }
}

impl Core {
    fn trace(&self, view: &View) -> Trace {
        Trace {
            partitions_opened: vec![self.identity.partition.clone()],
            segments_opened: view.segment_count(),
            candidates: view.counts().documents,
            exact: true,
        }
    }
}
