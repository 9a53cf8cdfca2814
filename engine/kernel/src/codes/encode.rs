//! What are the bytes of a row's codes?

use super::bounds::{self, NORM_MAX, NORM_MIN, WIDE};
use super::{Centre, Metric, sum};
use crate::brief;
use crate::coded::{FACTOR_BYTES, PAIR_BYTES, RESIDUAL_BYTES};
use crate::mask::BLOCK_ROWS;
use crate::rotation::Rotation;

/// How many finenesses are tried, from the one that clips no component on, and how much finer each is.
const FITS: usize = 16;
const FINER: f32 = 1.05;

/// Encodes rows about one centre. Keeps room for one row, so that none is asked for again.
#[derive(Debug)]
pub struct Encoder<'a> {
    rotation: &'a Rotation,
    centre: &'a Centre,
    difference: Vec<f32>,
    rotated: Vec<f32>,
    /// The code's components.
    levels: Vec<f32>,
}

/// What goes with a code.
#[derive(Debug, Clone, Copy)]
struct RowFactors {
    base: f32,
    scale: f32,
    residual: f32,
}

impl<'a> Encoder<'a> {
    /// An encoder of rows about a centre.
    ///
    /// # Panics
    /// When the centre was made with a rotation of another length.
    pub fn new(rotation: &'a Rotation, centre: &'a Centre) -> Self {
        let length = rotation.rotated_len();
        assert_eq!(centre.rotated.len(), length, "the centre's own rotation");
        let difference = vec![0.0; centre.vector.len()];
        Self { rotation, centre, difference, rotated: vec![0.0; length], levels: vec![0.0; length] }
    }

    /// Writes a row's 4-bit code, and its sign code into a place of a block when one is given. In a new block all
    /// bytes are zero.
    ///
    /// # Panics
    /// When the row has another dimension, the nibble row or the block another length than the centre says, or
    /// the place is not below [`BLOCK_ROWS`].
    pub fn encode(&mut self, row: &[f32], nibble_row: &mut [u8], mut signs: Option<(&mut [u8], usize)>) {
        let centre = self.centre;
        assert_eq!(row.len(), centre.vector.len(), "a row of the centre's dimension");
        assert_eq!(nibble_row.len(), centre.nibble_row_bytes(), "a whole nibble row");
        if let Some((block, place)) = &signs {
            assert_eq!(block.len(), centre.block_bytes(), "a whole block");
            assert!(*place < BLOCK_ROWS, "a place in the block");
        }
        let squared = sum(row, &centre.vector, |o, c| (o - c) * (o - c));
        let norm = squared.sqrt();
        let base = match centre.metric {
            Metric::InnerProduct => sum(row, &centre.vector, |o, c| (o - c) * c),
            Metric::SquaredDistance => -squared,
        };
        // What isn't a number is not within the bounds either.
        if !(norm <= NORM_MAX && centre.norm <= NORM_MAX) {
            let unknown = RowFactors { base: 0.0, scale: 0.0, residual: f32::INFINITY };
            self.write_without_direction(unknown, nibble_row, signs);
            return;
        }
        if norm < NORM_MIN {
            let close =
                RowFactors { base: base as f32, scale: 0.0, residual: bounds::up(norm * (1.0 + WIDE)) };
            self.write_without_direction(close, nibble_row, signs);
            return;
        }
        for ((difference, &o), &c) in self.difference.iter_mut().zip(row).zip(&centre.vector) {
            *difference = o - c;
        }
        self.rotation.rotate(&self.difference, &mut self.rotated);
        if let Some((block, place)) = &mut signs {
            if centre.planes() == 1 {
                for (level, &r) in self.levels.iter_mut().zip(&self.rotated) {
                    *level = if r >= 0.0 { 1.0 } else { -1.0 };
                }
            } else {
                fit_levels::<2>(&self.rotated, &mut self.levels);
            }
            let row = self.factors(base, norm, |scale| brief::widen(brief::nearest(scale)));
            write_signs(&self.levels, centre.planes(), row, block, *place);
        }
        fit_levels::<8>(&self.rotated, &mut self.levels);
        write_nibbles(&self.levels, self.factors(base, norm, |scale| scale), nibble_row);
    }

    fn write_without_direction(
        &mut self,
        row: RowFactors,
        nibble_row: &mut [u8],
        signs: Option<(&mut [u8], usize)>,
    ) {
        self.levels.fill(1.0);
        if let Some((block, place)) = signs {
            write_signs(&self.levels, self.centre.planes(), row, block, place);
        }
        write_nibbles(&self.levels, row, nibble_row);
    }

    /// The factors of the code that `levels` holds. The residual is that of the scale that a reader will know, `stored`.
    fn factors(&self, base: f64, norm: f64, stored: impl Fn(f32) -> f32) -> RowFactors {
        let (rotated, levels) = (&self.rotated, &self.levels);
        let squared = sum(rotated, levels, |r, _| r * r);
        let scale = stored((squared / sum(rotated, levels, |r, x| r * x)) as f32);
        let wide = f64::from(scale);
        let residual = sum(rotated, levels, |r, x| (r - wide * x) * (r - wide * x)).sqrt();
        let turned = bounds::rotation(self.rotated.len()) * norm;
        RowFactors { base: base as f32, scale, residual: bounds::up((residual + turned) * (1.0 + WIDE)) }
    }
}

/// Finds the code of so many magnitudes whose direction is nearest to the row's, among several finenesses.
fn fit_levels<const MAGNITUDES: u8>(rotated: &[f32], levels: &mut [f32]) {
    let longest = rotated.iter().fold(0.0_f32, |longest, r| longest.max(r.abs()));
    let coarsest = f32::from(MAGNITUDES) / longest;
    let (mut finer, mut best, mut best_fit) = (1.0, 1.0, 0.0);
    for _ in 0..FITS {
        let fit = fit::<MAGNITUDES>(rotated, coarsest, finer);
        if fit > best_fit {
            (best, best_fit) = (finer, fit);
        }
        finer *= FINER;
    }
    for (level, &r) in levels.iter_mut().zip(rotated) {
        *level = magnitude::<MAGNITUDES>(r * coarsest, best).copysign(r);
    }
}

/// The square of the cosine between a row and its code, times the square of the row's length in coarsest steps.
/// In `f32`: it chooses among codes that are all right.
fn fit<const MAGNITUDES: u8>(rotated: &[f32], coarsest: f32, finer: f32) -> f32 {
    let (mut products, mut squares) = ([0.0_f32; 16], [0.0_f32; 16]);
    let (chunks, _) = rotated.as_chunks::<16>();
    for chunk in chunks {
        for lane in 0..16 {
            let component = chunk[lane] * coarsest;
            let x = magnitude::<MAGNITUDES>(component, finer);
            products[lane] += component.abs() * x;
            squares[lane] += x * x;
        }
    }
    let (product, squared) = (products.iter().sum::<f32>(), squares.iter().sum::<f32>());
    product * product / squared
}

/// Of so many odd numbers the one in whose cell a component lies, counted in coarsest steps.
#[inline(always)]
fn magnitude<const MAGNITUDES: u8>(component: f32, finer: f32) -> f32 {
    nearest(component.abs() * finer - 0.5).clamp(0.0, f32::from(MAGNITUDES - 1)) * 2.0 + 1.0
}

/// Beside this number and up to 2^22 from it, there are no others in `f32` than integers.
pub(super) const HALF_UP: f32 = 12_582_912.0;

/// The nearest integer of a number up to 2^22, of two the even one.
#[inline(always)]
pub(super) fn nearest(x: f32) -> f32 {
    (x + HALF_UP) - HALF_UP
}

fn write_signs(levels: &[f32], planes: usize, row: RowFactors, block: &mut [u8], place: usize) {
    let (codes, factors) = block.split_at_mut(planes * BLOCK_ROWS * levels.len() / 8);
    let (first, second) = codes.split_at_mut(BLOCK_ROWS * levels.len() / 8);
    write_plane(levels, first, place, |level| level > 0.0);
    // What is left of a level when twice the first plane's sign is taken from it.
    write_plane(levels, second, place, |level| level > 2.0 || (-2.0..0.0).contains(&level));
    let (pairs, residuals) = factors.split_at_mut(BLOCK_ROWS * PAIR_BYTES);
    let pair = [brief::nearest(row.scale), brief::nearest(row.base)].map(u16::to_le_bytes);
    pairs[place * PAIR_BYTES..][..PAIR_BYTES].copy_from_slice(pair.as_flattened());
    residuals[place * RESIDUAL_BYTES..][..RESIDUAL_BYTES]
        .copy_from_slice(&brief::up(row.residual).to_le_bytes());
}

/// Writes a bit for each level into the columns of a plane; into one that has none, nothing.
fn write_plane(levels: &[f32], plane: &mut [u8], place: usize, is_set: impl Fn(f32) -> bool) {
    let (levels, _) = levels.as_chunks::<8>();
    for (bytes, levels) in plane.chunks_exact_mut(BLOCK_ROWS).zip(levels) {
        let bits = levels.iter().enumerate().map(|(bit, &level)| u8::from(is_set(level)) << bit);
        bytes[place] = bits.sum();
    }
}

fn write_nibbles(levels: &[f32], row: RowFactors, nibble_row: &mut [u8]) {
    let (codes, factors) = nibble_row.split_at_mut(levels.len() / 2);
    let nibble = |level: f32| ((level as i32 + 15) / 2) as u8;
    let (chunks, _) = levels.as_chunks::<64>();
    for (bytes, levels) in codes.chunks_exact_mut(32).zip(chunks) {
        for (byte, (&low, &high)) in bytes.iter_mut().zip(levels[..32].iter().zip(&levels[32..])) {
            *byte = nibble(low) | nibble(high) << 4;
        }
    }
    debug_assert_eq!(factors.len(), FACTOR_BYTES);
    for (bytes, factor) in factors.chunks_exact_mut(4).zip([row.base, row.scale, row.residual]) {
        bytes.copy_from_slice(&factor.to_le_bytes());
    }
}
