//! What is the longest known token that these bytes begin with?
//!
//! Asked once for each piece of each word. The index is one open-addressed hash table over all tokens. The hash of a
//! prefix grows byte by byte, so one pass over the word gives the hashes of all its prefixes; the look-ups then start from
//! the longest, which most words are a hit with.
//!
//! Invariants:
//! 1. A hit is always confirmed on the token's bytes: the hash decides speed, never the answer.
//! 2. At least half of the slots are empty, so every probe ends.
//! 3. Bytes are UTF-8 on both sides, so a match that begins on a character's border ends on one.

use crate::table::TableError;

/// Where in a word a token stands. The same letters are two tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// At the start of the word.
    Start,
    /// Further on; the vocabulary writes these with `##` in front.
    Inside,
}

/// Tokens longer than this are left out. No word that is looked at is longer, so they could not be found anyway.
const TOKEN_BYTES_MAX: usize = 4 * super::WORD_CHARS_MAX;

/// Room for the hashes of a word's prefixes, made once for each text.
pub(super) struct Scratch([u64; TOKEN_BYTES_MAX]);

impl Scratch {
    pub(super) fn new() -> Self {
        Self([0; TOKEN_BYTES_MAX])
    }
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    row: u32,
    start: u32,
    /// Zero in an empty slot.
    bytes: u16,
    inside: bool,
}

const EMPTY: Slot = Slot { hash: 0, row: 0, start: 0, bytes: 0, inside: false };

pub(super) struct Vocabulary {
    slots: Vec<Slot>,
    /// The tokens' bytes, one behind the other, without `##`.
    names: Vec<u8>,
    /// Bytes of the longest token at each place.
    longest: [usize; 2],
}

impl Vocabulary {
    pub(super) fn new(tokens: &[&str]) -> Result<Self, TableError> {
        let slots = (2 * tokens.len()).next_power_of_two().max(2);
        let mut index = Self { slots: vec![EMPTY; slots], names: Vec::new(), longest: [0; 2] };
        for (row, token) in tokens.iter().enumerate() {
            index.insert(row, token)?;
        }
        Ok(index)
    }

    fn insert(&mut self, row: usize, token: &str) -> Result<(), TableError> {
        let (place, name) = match token.strip_prefix("##") {
            Some(name) if !name.is_empty() => (Place::Inside, name.as_bytes()),
            _ => (Place::Start, token.as_bytes()),
        };
        if name.is_empty() || name.len() > TOKEN_BYTES_MAX {
            return Ok(());
        }
        let hash = name.iter().fold(seed(place), |hash, &byte| grow(hash, byte));
        let free = match self.find(hash, name, place) {
            Ok(_) => return Err(TableError::Duplicate { row }),
            Err(free) => free,
        };
        // Rows and names are bounded by the table's limits, well within 32 bits; a name by TOKEN_BYTES_MAX.
        #[allow(clippy::cast_possible_truncation)]
        let slot = Slot {
            hash: tag(hash),
            row: row as u32,
            start: self.names.len() as u32,
            bytes: name.len() as u16,
            inside: place == Place::Inside,
        };
        self.slots[free] = slot;
        self.names.extend_from_slice(name);
        let longest = &mut self.longest[usize::from(slot.inside)];
        *longest = (*longest).max(name.len());
        Ok(())
    }

    /// The row of the longest token that `word` begins with, and that token's length in bytes.
    pub(super) fn longest_prefix(
        &self,
        word: &[u8],
        place: Place,
        Scratch(hashes): &mut Scratch,
    ) -> Option<(u32, usize)> {
        let longest = self.longest[usize::from(place == Place::Inside)].min(word.len());
        let mut hash = seed(place);
        for (to, &byte) in hashes[..longest].iter_mut().zip(word) {
            hash = grow(hash, byte);
            *to = hash;
        }
        (1..=longest).rev().find_map(|bytes| {
            let slot = self.find(hashes[bytes - 1], &word[..bytes], place).ok()?;
            Some((self.slots[slot].row, bytes))
        })
    }

    /// The token's slot, or else the free one where it would go.
    fn find(&self, hash: u64, name: &[u8], place: Place) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> 32) as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.bytes == 0 {
                return Err(at);
            }
            let same = slot.hash == tag(hash)
                && usize::from(slot.bytes) == name.len()
                && slot.inside == (place == Place::Inside)
                && &self.names[slot.start as usize..][..name.len()] == name;
            if same {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }
}

/// Both places share the table, so their hashes begin apart.
fn seed(place: Place) -> u64 {
    match place {
        Place::Start => 0x51ed_270b_7f4a_7c15,
        Place::Inside => 0x2545_f491_4f6c_dd1d,
    }
}

/// One more byte: the product carries it into the upper half, from where the shift brings it back down.
fn grow(hash: u64, byte: u8) -> u64 {
    let mixed = (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// The half of the hash that a slot keeps.
#[allow(clippy::cast_possible_truncation)]
fn tag(hash: u64) -> u32 {
    hash as u32
}
