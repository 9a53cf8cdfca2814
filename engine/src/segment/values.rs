//! Which values do the documents of a new segment have in their metadata?
//!
//! Collected document by document, sorted once, and written as the index of fields. Whoever checks a segment collects them
//! again and compares.

use roaring::RoaringBitmap;
use strongroom_format::field_index::{FieldIndexWriter, HOLDERS_FEW};
use strongroom_format::fields::{Field, key};
use zeroize::Zeroize;

/// Values of documents, collected for the index of fields.
#[derive(Debug, Default)]
pub struct FieldValues {
    /// Keys, one after the other.
    keys: Vec<u8>,
    /// Where each begins, how long it is, and which document has it.
    places: Vec<(usize, u32, u32)>,
}

impl FieldValues {
    /// Adds a document's fields. Documents come in the order of their ordinals.
    pub fn add(&mut self, ordinal: u32, fields: &[Field]) {
        let mut path = None;
        for field in fields {
            if path != Some(&field.path) {
                path = Some(&field.path);
                self.insert(&key::any(&field.path), ordinal);
            }
            self.insert(&key::of(&field.path, &field.value), ordinal);
        }
    }

    fn insert(&mut self, key: &[u8], ordinal: u32) {
        self.places.push((self.keys.len(), key.len() as u32, ordinal));
        self.keys.extend_from_slice(key);
    }

    /// As a section.
    pub fn encode(&mut self) -> Vec<u8> {
        let mut places = std::mem::take(&mut self.places);
        let key = |&(begin, length, _): &(usize, u32, u32)| &self.keys[begin..begin + length as usize];
        places.sort_unstable_by(|a, b| key(a).cmp(key(b)).then(a.2.cmp(&b.2)));
        // Two long texts of one document may have one key.
        places.dedup_by(|a, b| a.2 == b.2 && key(a) == key(b));
        let mut writer = FieldIndexWriter::default();
        let (mut documents, mut bitmap) = (Vec::new(), Vec::new());
        for same in places.chunk_by(|a, b| key(a) == key(b)) {
            documents.clear();
            documents.extend(same.iter().map(|place| place.2));
            if documents.len() <= HOLDERS_FEW {
                writer.few(key(&same[0]), &documents);
            } else {
                bitmap.clear();
                let set: RoaringBitmap = documents.iter().copied().collect();
                set.serialize_into(&mut bitmap).expect("a Vec takes all");
                writer.many(key(&same[0]), documents.len() as u32, &bitmap);
            }
        }
        writer.finish()
    }
}

impl Drop for FieldValues {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}
