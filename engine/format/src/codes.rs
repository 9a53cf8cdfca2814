//! How do the codes of a segment's rows lie in it?
//!
//! A segment of more than [`FLAT_ROWS_MIN`] rows has codes of them, by which a search finds the few rows whose vectors it
//! reads. Section *index* says what they were made with; *nibbles* has a code of four bits a component for each row. A
//! segment of many rows has them in lists of rows that are near each other: the index then has a code for each list's
//! centroid, *places* says which row each code is of, and *signs* has the codes of one bit, in blocks that no two lists
//! share. What the bits of a code mean stands in `format-spec.md`, "Codes".

use crate::Damage;
use crate::segment::{Section, SectionKind};
use crate::wire::{Reader, Writer};

/// Segments of fewer rows have no codes: all of their vectors are read.
pub const FLAT_ROWS_MIN: u32 = 129;
/// How codes are made: those of another version are not looked at.
pub const CODES_VERSION: u32 = 1;
/// Rows of one block of sign codes.
pub const SIGN_BLOCK_ROWS: u32 = 32;
/// Of each ladder (see [`IndexHead::probes`]) so many steps are written.
pub const LADDER_STEPS: usize = 10;
/// The numbers that each code goes with.
const FACTOR_BYTES: u64 = 12;

/// The length of a rotated vector.
fn rotated_len(dimension: u32) -> u64 {
    u64::from(dimension).next_multiple_of(64)
}

/// How long a row's code of four bits a component is.
pub fn nibble_row_bytes(dimension: u32) -> u64 {
    rotated_len(dimension) / 2 + FACTOR_BYTES
}

/// How long a block of sign codes is.
pub fn sign_block_bytes(dimension: u32) -> u64 {
    (rotated_len(dimension) / 8 + FACTOR_BYTES) * u64::from(SIGN_BLOCK_ROWS)
}

/// Section *index*.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexHead<'a> {
    /// What rows are coded relative to.
    pub centre: Vec<f32>,
    /// How many rows each list has; none when rows are not in lists.
    pub lists: Vec<u32>,
    /// A code of four bits a component for each list's centroid.
    pub centroids: &'a [u8],
    /// Step `i` says how many lists must be looked at, nearest first, to miss a nearest row no more than once in `2^(i + 1)`
    /// times. All zero without lists.
    pub probes: [u32; LADDER_STEPS],
    /// The same of how many rows must be looked at by their codes of four bits, best by one bit first.
    pub candidates: [u32; LADDER_STEPS],
}

impl<'a> IndexHead<'a> {
    /// The section's bytes.
    pub fn encode(&self) -> Writer {
        let mut out = Writer::default();
        out.u32(CODES_VERSION).u32(self.lists.len() as u32).f32s(&self.centre);
        if !self.lists.is_empty() {
            for number in self.probes.iter().chain(&self.candidates).chain(&self.lists) {
                out.u32(*number);
            }
        }
        out.raw(self.centroids);
        out
    }

    /// Reads the section of a segment of so many rows; `None` when there is none, or one of another version.
    pub fn decode(bytes: &'a [u8], dimension: u32, rows: u32) -> Result<Option<Self>, Damage> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut input = Reader::new("index", bytes);
        if input.u32()? != CODES_VERSION {
            return Ok(None);
        }
        let list_bytes = size_of::<u32>() + nibble_row_bytes(dimension) as usize;
        let lists = input.count(rows as usize, list_bytes)?;
        let centre = input.f32s(dimension as usize)?;
        if !centre.iter().all(|component| component.is_finite()) {
            return Err(Damage::new("index.centre", "finite components", "others"));
        }
        let mut ladders = [[0; LADDER_STEPS]; 2];
        if lists > 0 {
            for step in ladders.iter_mut().flatten() {
                *step = input.u32()?;
            }
        }
        if !ladders.iter().all(|ladder| ladder.is_sorted()) {
            return Err(Damage::new("index.ladders", "steps that rise", "others"));
        }
        let lists: Vec<u32> = (0..lists).map(|_| input.u32()).collect::<Result<_, _>>()?;
        let listed: u64 = lists.iter().map(|&rows| u64::from(rows)).sum();
        if !lists.is_empty() && listed != u64::from(rows) {
            return Err(Damage::new("index.lists", rows, listed));
        }
        let centroids = input.raw(lists.len() * nibble_row_bytes(dimension) as usize)?;
        input.finish()?;
        let [probes, candidates] = ladders;
        Ok(Some(Self { centre, lists, centroids, probes, candidates }))
    }

    /// Of rows that are not in lists.
    pub fn flat(centre: Vec<f32>) -> Self {
        let ladder = [0; LADDER_STEPS];
        Self { centre, lists: Vec::new(), centroids: &[], probes: ladder, candidates: ladder }
    }

    /// How long the sections are that go with it: signs, nibbles and places.
    pub fn code_bytes(&self, dimension: u32, rows: u32) -> [u64; 3] {
        let blocks: u64 = self.lists.iter().map(|&rows| u64::from(rows.div_ceil(SIGN_BLOCK_ROWS))).sum();
        let places = if self.lists.is_empty() { 0 } else { u64::from(rows) * size_of::<u32>() as u64 };
        [blocks * sign_block_bytes(dimension), u64::from(rows) * nibble_row_bytes(dimension), places]
    }

    /// Checks that signs, nibbles and places are as long as that.
    pub fn check(&self, dimension: u32, rows: u32, sections: [&Section; 3]) -> Result<(), Damage> {
        for ((section, expected), field) in
            sections.into_iter().zip(self.code_bytes(dimension, rows)).zip(["signs", "nibbles", "places"])
        {
            if section.plain_bytes != expected {
                return Err(Damage::new(field, expected, section.plain_bytes));
            }
        }
        Ok(())
    }
}

/// Reads section *places* of a segment of so many rows: none, or each of them once.
pub fn decode_places(bytes: &[u8], rows: u32) -> Result<Vec<u32>, Damage> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (places, rest) = bytes.as_chunks::<4>();
    if places.len() != rows as usize || !rest.is_empty() {
        return Err(Damage::new("places", rows, places.len()));
    }
    let places: Vec<u32> = places.iter().map(|place| u32::from_le_bytes(*place)).collect();
    let mut seen = vec![false; places.len()];
    for &place in &places {
        match seen.get_mut(place as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(Damage::new("places", "each row once", place)),
        }
    }
    Ok(places)
}

/// The sections that go with an index, in the order of [`IndexHead::code_bytes`].
pub const CODE_SECTIONS: [SectionKind; 3] = [SectionKind::Signs, SectionKind::Nibbles, SectionKind::Places];
