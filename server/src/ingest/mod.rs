//! How does a document become rows?
//!
//! Bytes → text → passages → vectors → [`NewDocument`] → one durable write. Everything here blocks and runs on the
//! pool, but for files whose text has to be read out of them first, by the caller's `worker`; the same path serves single, batched
//! and background inserts and updates.
//!
//! Invariants:
//! 1. A document is checked and embedded whole before anything is written.
//! 2. A write that meets a partition which is being deleted takes a new handle: the document then belongs to the
//!    partition's next incarnation.

pub(crate) mod history;
pub(crate) mod media;
pub(crate) mod notes;
pub(crate) mod original;
pub(crate) mod summary;
pub(crate) mod typed;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use strongroom_embed::{Chunk, ChunkOptions, Embedder, Form, chunk_as};
use strongroom_engine::{
    DocumentInfo, NewDocument, NewPassage, Once, Partition, Passage, Purged, ReadError, Store, StoreError,
    WriteError,
};

use crate::auth::Place;
use crate::control::{Collection, no_collection};
use crate::idempotency;
use crate::message::error::ApiError;
use media::Reading;
use notes::Notes;
use original::Original;
use strongroom_extract::{Extracted, Kind};

/// How many handles a call takes before it gives up on a partition that is dropped again and again.
const HANDLES_MAX: usize = 4;

/// Passages that are embedded in one call, so that a large document doesn't hold all its texts at once in the model.
const EMBED_BATCH: usize = 64;

/// A document as it came, its fields checked.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    pub(crate) filename: String,
    pub(crate) content_type: String,
    /// Its text, or what is still to be read.
    pub(crate) content: Bytes,
    /// The file that the text was read out of.
    pub(crate) original: Option<Original>,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: String,
    /// What the server notes of it.
    pub(crate) notes: Notes,
    pub(crate) entity: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) readers: Option<Vec<String>>,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) chunking: ChunkOptions,
}

impl Intake {
    /// A document as it is stored, to be cut and embedded anew.
    pub(crate) fn of_stored(document: DocumentInfo, content: Vec<u8>, chunking: ChunkOptions) -> Self {
        let (content, original) = original::parted(&document, content);
        let metadata = notes::without(&document.metadata);
        Self {
            filename: document.filename,
            content_type: document.content_type,
            content,
            original,
            tags: document.tags,
            metadata: if metadata.is_empty() { String::new() } else { Value::Object(metadata).to_string() },
            notes: notes::lasting(&document.metadata),
            entity: document.entity,
            source: document.source,
            readers: document.readers,
            expires_ms: document.expires_ms,
            chunking,
        }
    }

    /// What has to be read before there is a text: the kind that is claimed, if any.
    pub(crate) fn unread(&self) -> Result<Option<Option<Kind>>, ApiError> {
        if self.original.is_some() {
            return Ok(None);
        }
        Ok(match media::reading(&self.content_type, &self.content)? {
            Reading::AsItIs => None,
            Reading::AsFile(claimed) => Some(claimed),
        })
    }

    /// The same with the text that was read, and the file beside it.
    pub(crate) fn with_text(mut self, found: Extracted) -> Self {
        if self.content_type == media::UNKNOWN {
            found.kind.media_type().clone_into(&mut self.content_type);
        }
        self.original = Some(Original::of(self.content, &found));
        self.content = found.text.into();
        self
    }

    /// What is stored of it, in bytes.
    pub(crate) fn stored_bytes(&self) -> u64 {
        (self.content.len() + self.original.as_ref().map_or(0, |original| original.bytes.len())) as u64
    }

    /// What its user sent, in bytes.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.original.as_ref().map_or(self.content.len(), |original| original.bytes.len()) as u64
    }

    /// Its text.
    fn text(&self) -> Result<&str, ApiError> {
        match &self.original {
            None => media::text(&self.content_type, &self.content),
            Some(_) => std::str::from_utf8(&self.content).map_err(|_| {
                ApiError::unacceptable("unreadable", "the file's text is not UTF-8: insert the file anew")
            }),
        }
    }

    /// Reads, cuts and embeds the text.
    pub(crate) fn embed(self, embedder: &dyn Embedder, passages_max: usize) -> Result<NewDocument, ApiError> {
        let cut = self.cut(embedder, passages_max)?;
        let mut vectors = Vec::with_capacity(cut.chunks.len());
        for batch in cut.texts()?.chunks(EMBED_BATCH) {
            vectors.extend(embedder.embed(batch)?);
        }
        cut.with_vectors(vectors)
    }

    /// Reads and cuts the text, in tokens as this model counts them.
    pub(crate) fn cut(self, counter: &dyn Embedder, passages_max: usize) -> Result<Cut, ApiError> {
        let text = self.text()?;
        // What is read out of a file is Markdown.
        let form = if self.original.is_some() { Form::Markdown } else { media::form(&self.content_type) };
        let chunks = chunk_as(form, text, &self.chunking, &|piece| counter.count_tokens(piece));
        if chunks.is_empty() {
            return Err(ApiError::unacceptable(
                "no_text",
                "the document holds no text that could be searched",
            ));
        }
        if chunks.len() > passages_max {
            return Err(ApiError::unacceptable(
                "too_many_passages",
                format!(
                    "the document makes {} passages, at most {passages_max}: raise chunk_size",
                    chunks.len()
                ),
            ));
        }
        Ok(Cut { intake: self, chunks })
    }

    /// The document with passages that are there already.
    pub(crate) fn with_passages(self, passages: Vec<NewPassage>) -> Result<NewDocument, ApiError> {
        let fields = typed::fields(&self.metadata);
        let (content, metadata) = match self.original {
            None => (self.content.into(), self.metadata),
            Some(original) => {
                let metadata = original.noted(&self.metadata, self.content.len())?;
                ([&self.content[..], &original.bytes[..]].concat(), metadata)
            }
        };
        let metadata = notes::with(metadata, self.notes);
        Ok(NewDocument {
            id: None,
            filename: self.filename,
            content_type: self.content_type,
            content,
            tags: self.tags,
            fields,
            metadata,
            entity: self.entity,
            source: self.source,
            readers: self.readers,
            expires_ms: self.expires_ms,
            passages,
        })
    }
}

/// A document whose text is cut, and has no vectors yet.
#[derive(Debug)]
pub(crate) struct Cut {
    intake: Intake,
    chunks: Vec<Chunk>,
}

impl Cut {
    /// The passages' texts, in order.
    pub(crate) fn texts(&self) -> Result<Vec<&str>, ApiError> {
        let text = self.intake.text()?;
        Ok(self.chunks.iter().map(|chunk| &text[chunk.start..chunk.end]).collect())
    }

    /// The document with a vector for each passage.
    pub(crate) fn with_vectors(self, vectors: Vec<Vec<f32>>) -> Result<NewDocument, ApiError> {
        if vectors.len() != self.chunks.len() {
            return Err(ApiError::internal(
                "a model answered another number of vectors than it was given texts",
            ));
        }
        let passages = self
            .chunks
            .iter()
            .zip(vectors)
            .map(|(chunk, vector)| Ok(NewPassage { text: range(chunk.start, chunk.end)?, vector }));
        let passages = passages.collect::<Result<Vec<_>, ApiError>>()?;
        self.intake.with_passages(passages)
    }
}

/// A byte range of a document's content.
pub(crate) fn range(start: usize, end: usize) -> Result<Passage, ApiError> {
    let byte =
        |at: usize| u32::try_from(at).map_err(|_| ApiError::too_large("a document has less than 4 GiB"));
    Ok(Passage::Range { start: byte(start)?, end: byte(end)? })
}

/// Writes into a partition, which the first write makes.
pub(crate) fn write<T>(
    store: &Store,
    place: &Place,
    collection: &Collection,
    mut act: impl FnMut(&Partition) -> Result<T, WriteError>,
) -> Result<T, ApiError> {
    let _inside = collection.gate.enter().ok_or_else(no_collection)?;
    let mut last = WriteError::Dropped;
    for _ in 0..HANDLES_MAX {
        let partition = store.partition_for_write(&place.scope, &place.at, collection.spec)?;
        match act(&idempotency::kept(place.promise.as_deref(), partition)) {
            Err(WriteError::Dropped) => last = WriteError::Dropped,
            outcome => return Ok(outcome?),
        }
    }
    Err(last.into())
}

/// Changes what is in a partition; `None` when there is no such partition.
pub(crate) fn change<T>(
    store: &Store,
    place: &Place,
    mut act: impl FnMut(&Partition) -> Result<T, WriteError>,
) -> Result<Option<T>, ApiError> {
    for _ in 0..HANDLES_MAX {
        let Some(partition) = store.partition(&place.scope, &place.at)? else { return Ok(None) };
        match act(&idempotency::kept(place.promise.as_deref(), partition)) {
            Err(WriteError::Dropped) => {}
            outcome => return Ok(Some(outcome?)),
        }
    }
    Ok(None)
}

/// Purges documents, live or soft-deleted; `None` when one isn't there, which ends it.
pub(crate) fn purge(store: &Store, place: &Place, ids: &[&str]) -> Result<Option<Purged>, ApiError> {
    for _ in 0..HANDLES_MAX {
        let purged = match (ids, &place.promise) {
            (&[id], Some(promise)) => store.purge_once(&place.scope, &place.at, id, promise.once()),
            _ => store.purge(&place.scope, &place.at, ids),
        };
        match purged {
            Err(StoreError::Write(WriteError::Dropped)) => {}
            Err(StoreError::Write(WriteError::NotFound)) => return Ok(None),
            outcome => return Ok(Some(outcome?)),
        }
    }
    Ok(None)
}

/// What became of a purge of several documents.
pub(crate) struct PurgedThese {
    pub(crate) purged: Purged,
    /// Which documents were purged: when the same request came before, by that.
    pub(crate) ids: Vec<String>,
    /// Whether it came before.
    pub(crate) is_again: bool,
}

/// Purges those of these documents that are live, in one write; `None` when none was.
pub(crate) fn purge_these(
    store: &Store,
    place: &Place,
    ids: &[&str],
) -> Result<Option<PurgedThese>, ApiError> {
    // Its own, for a request that purges in several partitions may have come as far as to some of them.
    let once = place.promise.as_ref().map(|promise| promise.once());
    let once = once.map(|once| Arc::new(Once::new(once.key, once.request)));
    for _ in 0..HANDLES_MAX {
        match store.purge_these(&place.scope, &place.at, ids, once.as_ref()) {
            Err(StoreError::Write(WriteError::Dropped)) => {}
            Err(StoreError::Write(WriteError::NotFound)) => return Ok(None),
            outcome => {
                let (purged, ids) = outcome?;
                let is_again = once.is_some_and(|once| once.was_answered());
                return Ok(Some(PurgedThese { purged, ids, is_again }));
            }
        }
    }
    Ok(None)
}

/// What a request wrote when it came before, if it did; see [`Partition::remembered`].
pub(crate) fn remembered(store: &Store, place: &Place) -> Result<Option<Vec<String>>, ApiError> {
    if place.promise.is_none() {
        return Ok(None);
    }
    Ok(change(store, place, |partition| partition.remembered())?.flatten())
}

/// Reads from a partition; `None` when there is no such partition.
pub(crate) fn read<T>(
    store: &Store,
    place: &Place,
    mut act: impl FnMut(&Partition) -> Result<T, ReadError>,
) -> Result<Option<T>, ApiError> {
    for _ in 0..HANDLES_MAX {
        let Some(partition) = store.partition(&place.scope, &place.at)? else { return Ok(None) };
        match act(&partition) {
            Err(ReadError::Dropped) => {}
            outcome => return Ok(Some(outcome?)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use strongroom_embed::StaticEmbedder;

    use super::*;

    fn intake(content_type: &str, content: &str) -> Intake {
        Intake {
            filename: "a.txt".to_owned(),
            content_type: content_type.to_owned(),
            content: Bytes::copy_from_slice(content.as_bytes()),
            original: None,
            tags: vec!["t".to_owned()],
            metadata: String::new(),
            notes: Notes::new(),
            entity: None,
            source: None,
            readers: None,
            expires_ms: None,
            chunking: ChunkOptions::new(4, 0).unwrap(),
        }
    }

    /// Lost otherwise: a passage shown for a hit would be another one than was scored.
    #[test]
    fn passages_are_ranges_of_the_text_in_order() {
        let text = "one two three four five. Six seven eight nine ten, é eleven.".repeat(40);
        let document = intake("text/plain", &text).embed(StaticEmbedder::built_in(), 1000).unwrap();
        assert!(document.passages.len() > 64, "more than one batch: {}", document.passages.len());
        let mut last = 0;
        for passage in &document.passages {
            let Passage::Range { start, end } = passage.text else { panic!("own text") };
            let piece = &text[start as usize..end as usize];
            assert!(start >= last && !piece.trim().is_empty());
            let again = StaticEmbedder::built_in().embed(&[piece]).unwrap();
            assert_eq!(passage.vector, again[0]);
            last = start;
        }
        assert_eq!(document.content, text.as_bytes());
    }

    /// Lost otherwise: a blank document would be stored that no search can ever find.
    #[test]
    fn a_document_without_text_is_refused() {
        let code = |text: &str, most| {
            intake("text/plain", text)
                .embed(StaticEmbedder::built_in(), most)
                .map(|_| ())
                .map_err(|error| error.code)
        };
        assert_eq!(code(" \n\t ", 10), Err("no_text"));
        assert_eq!(code("", 10), Err("empty_document"));
        assert_eq!(code(&"word ".repeat(100), 3), Err("too_many_passages"));
    }
}
