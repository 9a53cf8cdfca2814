//! Which documents of a segment carry a tag, an entity, a source, a media type, and who may read which?

use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use strongroom_format::Damage;
use strongroom_format::document::Document;
use strongroom_format::segment::{LabelKind, LabelRow};
use strongroom_format::wire::{Reader, Writer};

/// Label → ordinals of documents. Sorted, so that equal segments have equal bytes.
#[derive(Debug, Default)]
pub struct Labels(BTreeMap<LabelKind, BTreeMap<String, RoaringBitmap>>);

impl Labels {
    /// Adds a document's labels.
    pub fn add(&mut self, ordinal: u32, document: &Document) {
        for tag in &document.tags {
            self.insert(LabelKind::Tag, tag, ordinal);
        }
        if let Some(entity) = &document.entity {
            self.insert(LabelKind::Entity, entity, ordinal);
        }
        if let Some(source) = &document.source {
            self.insert(LabelKind::Source, source, ordinal);
        }
        self.insert(LabelKind::ContentType, &document.content_type, ordinal);
        if let Some(readers) = &document.readers {
            self.insert(LabelKind::Reader, "", ordinal);
            readers.iter().for_each(|reader| self.insert(LabelKind::Reader, reader, ordinal));
        }
    }

    fn insert(&mut self, kind: LabelKind, text: &str, ordinal: u32) {
        self.0.entry(kind).or_default().entry(text.to_owned()).or_default().insert(ordinal);
    }

    /// The documents with this label.
    pub fn get(&self, kind: LabelKind, text: &str) -> Option<&RoaringBitmap> {
        self.0.get(&kind)?.get(text)
    }

    /// The labels of a kind, each with its documents.
    pub fn each(&self, kind: LabelKind) -> impl Iterator<Item = (&str, &RoaringBitmap)> {
        self.0.get(&kind).into_iter().flatten().map(|(text, bitmap)| (text.as_str(), bitmap))
    }

    /// As a section.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        for (&kind, labels) in &self.0 {
            for (text, bitmap) in labels {
                let mut bytes = Vec::with_capacity(bitmap.serialized_size());
                bitmap.serialize_into(&mut bytes).expect("a Vec takes all");
                LabelRow { kind, text, bitmap: &bytes }.write(&mut out);
            }
        }
        out.0
    }

    /// From a section, of a segment with so many documents.
    pub fn decode(bytes: &[u8], documents: u32) -> Result<Self, Damage> {
        let mut labels = Self::default();
        let mut input = Reader::new("LabelRow", bytes);
        while !input.is_empty() {
            let row = LabelRow::read(&mut input)?;
            let bitmap = RoaringBitmap::deserialize_from(row.bitmap)
                .map_err(|error| Damage::new("LabelRow.bitmap", "a roaring bitmap", error))?;
            if bitmap.max().is_some_and(|max| max >= documents) {
                return Err(Damage::new("LabelRow.bitmap", "ordinals of documents", "more"));
            }
            labels.0.entry(row.kind).or_default().insert(row.text.to_owned(), bitmap);
        }
        Ok(labels)
    }
}
