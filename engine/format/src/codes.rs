//! How do the codes of a segment's rows lie in it?
//!
//! A segment of more than [`FLAT_ROWS_MIN`] rows has codes of them, by which a search finds the few rows whose vectors it
//! reads. Section *index* says what they were made with; *nibbles* has a code of four bits a component for each row. A
//! segment of many rows has them in lists of rows that are near each other: the index then has a code for each list's
//! centroid, *places* says which row each code is of, and *signs* has codes of one bit or two a component, in blocks that no two
//! lists share. There some rows stand in a second list as well. What the bits of a code mean stands in `format-spec.md`, "Codes".

use crate::Damage;
use crate::segment::{Section, SectionKind};
use crate::wire::{Reader, Writer};

/// Segments of fewer rows have no codes: all of their vectors are read.
pub const FLAT_ROWS_MIN: u32 = 129;
/// How codes are made: those of another version are not looked at.
pub const CODES_VERSION: u32 = 1;
/// The same of codes in lists.
pub const LISTS_VERSION: u32 = 3;
/// Rows of one block of sign codes.
pub const SIGN_BLOCK_ROWS: u32 = 32;
/// Rows of no more components have sign codes of two planes, whose signs alone would say too little.
pub const TWO_PLANES_MAX: u32 = 192;
/// Of each ladder (see [`IndexHead::reach`]) so many steps are written.
pub const LADDER_STEPS: usize = 10;
/// The numbers that each code of four bits goes with.
const FACTOR_BYTES: u64 = 12;
/// The same of a code in blocks.
const SIGN_FACTOR_BYTES: u64 = 6;

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
    let planes = if dimension <= TWO_PLANES_MAX { 2 } else { 1 };
    (planes * rotated_len(dimension) / 8 + SIGN_FACTOR_BYTES) * u64::from(SIGN_BLOCK_ROWS)
}

/// How many rows a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListRows {
    /// Those whose nearest it is: each row is in one list.
    pub own: u32,
    /// Those that stand in it as a second one.
    pub seconds: u32,
}

impl ListRows {
    /// How many blocks of sign codes it has.
    pub fn blocks(self) -> u32 {
        (u64::from(self.own) + u64::from(self.seconds)).div_ceil(u64::from(SIGN_BLOCK_ROWS)) as u32
    }
}

/// Section *index*.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexHead<'a> {
    /// What rows are coded relative to.
    pub centre: Vec<f32>,
    /// How many rows each list has; none when rows are not in lists.
    pub lists: Vec<ListRows>,
    /// A code of four bits a component for each list's centroid.
    pub centroids: &'a [u8],
    /// How much more remote a list is for being so much less near than the nearest, see `format-spec.md`.
    pub slope: f32,
    /// Step `i` says how remote lists must be looked at to miss a nearest row no more than once in `2^(i + 1)` times. All zero
    /// without lists.
    pub reach: [f32; LADDER_STEPS],
    /// The same of how many lists must be looked at, nearest first, where nothing is known of a query.
    pub probes: [u32; LADDER_STEPS],
    /// How many rows must be looked at by their codes of four bits, best by their sign codes first, to miss one no more often than that.
    pub candidates: [u32; LADDER_STEPS],
}

impl<'a> IndexHead<'a> {
    /// The section's bytes.
    pub fn encode(&self) -> Writer {
        let mut out = Writer::default();
        let version = if self.lists.is_empty() { CODES_VERSION } else { LISTS_VERSION };
        out.u32(version).u32(self.lists.len() as u32).f32s(&self.centre);
        if !self.lists.is_empty() {
            out.f32s(&[self.slope]).f32s(&self.reach);
        }
        for step in self.probes.iter().chain(&self.candidates).filter(|_| !self.lists.is_empty()) {
            out.u32(*step);
        }
        for ListRows { own, seconds } in &self.lists {
            out.u32(*own).u32(*seconds);
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
        let version = input.u32()?;
        if version != CODES_VERSION && version != LISTS_VERSION {
            return Ok(None);
        }
        let list_bytes = size_of::<ListRows>() + nibble_row_bytes(dimension) as usize;
        let lists = input.count(rows as usize, list_bytes)?;
        if (lists > 0) != (version == LISTS_VERSION) {
            // Lists of the first version, in which no row stood twice; or none where there must be some.
            return if version == CODES_VERSION {
                Ok(None)
            } else {
                Err(Damage::new("index.lists", "some", 0))
            };
        }
        let centre = input.f32s(dimension as usize)?;
        if !centre.iter().all(|component| component.is_finite()) {
            return Err(Damage::new("index.centre", "finite components", "others"));
        }
        let mut head = Self::flat(centre);
        if lists == 0 {
            input.finish()?;
            return Ok(Some(head));
        }
        let steps = input.f32s(1 + LADDER_STEPS)?;
        head.slope = steps[0];
        head.reach.copy_from_slice(&steps[1..]);
        for step in head.probes.iter_mut().chain(&mut head.candidates) {
            *step = input.u32()?;
        }
        let is_number = |number: &f32| number.is_finite() && *number >= 0.0;
        let rise = head.reach.is_sorted() && head.probes.is_sorted() && head.candidates.is_sorted();
        if !steps.iter().all(is_number) || !rise {
            return Err(Damage::new("index.ladders", "steps that rise", "others"));
        }
        for _ in 0..lists {
            head.lists.push(ListRows { own: input.u32()?, seconds: input.u32()? });
        }
        let listed: u64 = head.lists.iter().map(|list| u64::from(list.own)).sum();
        if listed != u64::from(rows) {
            return Err(Damage::new("index.lists", rows, listed));
        }
        if head.seconds() > u64::from(rows) {
            return Err(Damage::new("index.lists", format_args!("at most {rows} twice"), head.seconds()));
        }
        head.centroids = input.raw(lists * nibble_row_bytes(dimension) as usize)?;
        input.finish()?;
        Ok(Some(head))
    }

    /// Of rows that are not in lists.
    pub fn flat(centre: Vec<f32>) -> Self {
        let (reach, none) = ([0.0; LADDER_STEPS], [0; LADDER_STEPS]);
        let (lists, centroids) = (Vec::new(), &[][..]);
        Self { centre, lists, centroids, slope: 0.0, reach, probes: none, candidates: none }
    }

    /// How many rows stand in a second list.
    pub fn seconds(&self) -> u64 {
        self.lists.iter().map(|list| u64::from(list.seconds)).sum()
    }

    /// How long the sections are that go with it: signs, nibbles and places.
    pub fn code_bytes(&self, dimension: u32, rows: u32) -> [u64; 3] {
        let blocks: u64 = self.lists.iter().map(|list| u64::from(list.blocks())).sum();
        let places = if self.lists.is_empty() { 0 } else { u64::from(rows) + self.seconds() };
        let place_bytes = size_of::<u32>() as u64;
        [
            blocks * sign_block_bytes(dimension),
            u64::from(rows) * nibble_row_bytes(dimension),
            places * place_bytes,
        ]
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

/// Which row each code is of, and which rows stand in second lists, list after list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Each row once.
    pub rows: Vec<u32>,
    /// None more than once.
    pub seconds: Vec<u32>,
}

impl Places {
    /// The section's bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.rows.iter().chain(&self.seconds).flat_map(|row| row.to_le_bytes()).collect()
    }

    /// Reads the section of a segment of so many rows, of which so many stand twice; none without lists.
    pub fn decode(bytes: &[u8], rows: u32, seconds: u64) -> Result<Self, Damage> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let (places, rest) = bytes.as_chunks::<4>();
        if places.len() as u64 != u64::from(rows) + seconds || !rest.is_empty() {
            return Err(Damage::new("places", u64::from(rows) + seconds, places.len()));
        }
        let read = |places: &[[u8; 4]]| {
            let mut seen = vec![false; rows as usize];
            let once = |place: &[u8; 4]| {
                let row = u32::from_le_bytes(*place);
                match seen.get_mut(row as usize) {
                    Some(seen) if !*seen => *seen = true,
                    _ => return Err(Damage::new("places", "each row once", row)),
                }
                Ok(row)
            };
            places.iter().map(once).collect::<Result<_, Damage>>()
        };
        let (rows, seconds) = places.split_at(rows as usize);
        Ok(Self { rows: read(rows)?, seconds: read(seconds)? })
    }
}

/// The sections that go with an index, in the order of [`IndexHead::code_bytes`].
pub const CODE_SECTIONS: [SectionKind; 3] = [SectionKind::Signs, SectionKind::Nibbles, SectionKind::Places];
