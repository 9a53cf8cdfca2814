//! How does a vector lose its preferred directions, so that few bits of each component say much?
//!
//! By one fixed rotation: four rounds of random signs and a fast Hadamard transform, over the longest power of
//! two that fits, from the left end and from the right end in turns. Where the length is no power of two each
//! round also mixes the two halves, so that the ends meet.
//!
//! Invariants:
//! 1. The rotation of a length never changes within a version: codes of rotated vectors are copied from segment to
//!    segment.
//! 2. It is made of additions, subtractions and products by constants, each rounded on its own and in one order:
//!    the same bits on every CPU.
//! 3. Lengths and inner products are kept, up to rounding.

use crate::arch::lanes::{LANES, Lanes};
use crate::arch::{Set, Work};
use crate::variant::Variant;

/// Which rotation this is. Codes of another one can't be compared with its.
pub const ROTATION_VERSION: u32 = 1;

/// A rotated vector's length is a multiple of this: codes of one bit fill whole words.
pub const ROTATED_MULTIPLE: usize = 64;

const ROUNDS: usize = 4;

/// The rotation of vectors of one length.
#[derive(Debug, Clone)]
pub struct Rotation {
    dimension: usize,
    length: usize,
    /// For each round and component a bit, set where it is negated: byte by byte, the lowest bit first.
    signs: [Vec<u8>; ROUNDS],
    /// The longest power of two that fits.
    span: usize,
}

impl Rotation {
    /// The rotation of vectors of so many components.
    ///
    /// # Panics
    /// When there are none.
    pub fn new(dimension: usize) -> Self {
        assert!(dimension > 0, "a vector has components");
        let length = dimension.next_multiple_of(ROTATED_MULTIPLE);
        let mut bits = Bits(u64::from(ROTATION_VERSION));
        let signs = [(); ROUNDS].map(|()| (0..length / 64).flat_map(|_| bits.next().to_le_bytes()).collect());
        Self { dimension, length, signs, span: 1 << length.ilog2() }
    }

    /// How long a rotated vector is.
    pub fn rotated_len(&self) -> usize {
        self.length
    }

    /// Rotates a vector, which counts as continued by zeros.
    ///
    /// # Panics
    /// When the lengths don't fit.
    pub fn rotate(&self, vector: &[f32], rotated: &mut [f32]) {
        assert_eq!(vector.len(), self.dimension, "a vector of the rotation's dimension");
        assert_eq!(rotated.len(), self.rotated_len(), "room for a rotated vector");
        self.rotate_by(Variant::best(), vector, rotated);
    }

    fn rotate_by(&self, variant: Variant, vector: &[f32], rotated: &mut [f32]) {
        rotated[..vector.len()].copy_from_slice(vector);
        rotated[vector.len()..].fill(0.0);
        variant.run(Turning { rotation: self, components: rotated });
    }
}

/// A vector that is being rotated.
struct Turning<'a> {
    rotation: &'a Rotation,
    components: &'a mut [f32],
}

impl Work for Turning<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Lanes>(self, set: Set<V>) {
        let Self { rotation: Rotation { signs, span, .. }, components: rotated } = self;
        let rest = rotated.len() - span;
        for (round, signs) in signs.iter().enumerate() {
            for (components, byte) in rotated.as_chunks_mut::<8>().0.iter_mut().zip(signs) {
                let (mut own, signs) = (*components, SIGNS[usize::from(*byte)]);
                for i in 0..8 {
                    own[i] *= signs[i];
                }
                *components = own;
            }
            let begin = if round % 2 == 0 { 0 } else { rest };
            hadamard(set, &mut rotated[begin..begin + span]);
            if rest > 0 {
                mix_halves(rotated);
            }
        }
    }
}

/// For each byte of signs 1 where a bit is clear, and -1 where it is set.
static SIGNS: [[f32; 8]; 256] = {
    let mut signs = [[1.0; 8]; 256];
    let mut i = 0;
    while i < 256 * 8 {
        if ((i / 8) >> (i % 8)) & 1 == 1 {
            signs[i / 8][i % 8] = -1.0;
        }
        i += 1;
    }
    signs
};

/// The Walsh-Hadamard transform of a power of two components (64 or more), scaled so that lengths are kept.
#[inline(always)]
fn hadamard<V: Lanes>(set: Set<V>, components: &mut [f32]) {
    components.as_chunks_mut::<LANES>().0.iter_mut().for_each(|sixteen| set.hadamard(sixteen));
    let mut stride = LANES;
    while stride < components.len() {
        for pair in components.chunks_exact_mut(2 * stride) {
            let (low, high) = pair.split_at_mut(stride);
            let (low, high) = (low.as_chunks_mut::<LANES>().0, high.as_chunks_mut::<LANES>().0);
            low.iter_mut().zip(high).for_each(|(low, high)| (*low, *high) = sums_and_differences(low, high));
        }
        stride *= 2;
    }
    let scale = 1.0 / (components.len() as f32).sqrt();
    components.iter_mut().for_each(|component| *component *= scale);
}

/// One step of Kac's walk: each component of the first half with its counterpart in the second.
#[inline(always)]
fn mix_halves(components: &mut [f32]) {
    let (low, high) = components.split_at_mut(components.len() / 2);
    let (low, high) = (low.as_chunks_mut::<LANES>().0, high.as_chunks_mut::<LANES>().0);
    for (low, high) in low.iter_mut().zip(high) {
        let (sums, differences) = sums_and_differences(low, high);
        *low = sums.map(|sum| sum * std::f32::consts::FRAC_1_SQRT_2);
        *high = differences.map(|difference| difference * std::f32::consts::FRAC_1_SQRT_2);
    }
}

/// Of two times sixteen components. By value, so that the compiler need not ask whether they lie apart.
#[inline(always)]
fn sums_and_differences(a: &[f32; LANES], b: &[f32; LANES]) -> ([f32; LANES], [f32; LANES]) {
    let (mut sums, mut differences) = ([0.0; LANES], [0.0; LANES]);
    for i in 0..LANES {
        (sums[i], differences[i]) = (a[i] + b[i], a[i] - b[i]);
    }
    (sums, differences)
}

/// SplitMix64: well mixed, and the same everywhere.
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMENSIONS: [usize; 9] = [1, 3, 63, 64, 65, 100, 384, 768, 1000];

    fn vector(dimension: usize, seed: u64) -> Vec<f32> {
        let mut bits = Bits(seed);
        (0..dimension).map(|_| (bits.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    fn rotated(rotation: &Rotation, vector: &[f32]) -> Vec<f32> {
        let mut rotated = vec![f32::NAN; rotation.rotated_len()];
        rotation.rotate(vector, &mut rotated);
        rotated
    }

    fn product(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    /// Without this, a search by codes would rank by something else than the vectors do.
    #[test]
    fn lengths_and_products_are_kept() {
        for dimension in DIMENSIONS {
            let rotation = Rotation::new(dimension);
            let (a, b) = (vector(dimension, 1), vector(dimension, 2));
            let (turned_a, turned_b) = (rotated(&rotation, &a), rotated(&rotation, &b));
            assert_eq!(turned_a.len(), dimension.next_multiple_of(64));
            let bound = 1e-5 * (product(&a, &a) * product(&b, &b)).sqrt();
            for (before, after) in [
                (product(&a, &a), product(&turned_a, &turned_a)),
                (product(&a, &b), product(&turned_a, &turned_b)),
            ] {
                assert!((before - after).abs() <= bound.max(1e-6), "{dimension}: {before} became {after}");
            }
        }
    }

    /// Without this, one bit of a component would say nothing of vectors that lie along an axis.
    #[test]
    fn what_lies_along_an_axis_is_spread_over_all() {
        for dimension in [64, 100, 384, 1000] {
            let rotation = Rotation::new(dimension);
            let length = rotation.rotated_len() as f32;
            for axis in [0, dimension / 2, dimension - 1] {
                let mut unit = vec![0.0; dimension];
                unit[axis] = 1.0;
                let most = rotated(&rotation, &unit).iter().fold(0.0_f32, |most, c| most.max(c.abs()));
                assert!(most < 6.0 / length.sqrt(), "axis {axis} of {dimension}: {most}");
            }
        }
    }

    /// Without this, codes that one machine wrote would mean other vectors on another.
    #[test]
    fn every_variant_rotates_alike() {
        for dimension in DIMENSIONS.into_iter().chain([128, 192, 256, 8192]) {
            let (rotation, vector) = (Rotation::new(dimension), vector(dimension, 4));
            let wanted = rotated(&rotation, &vector);
            for variant in Variant::all() {
                let mut turned = vec![f32::NAN; rotation.rotated_len()];
                rotation.rotate_by(variant, &vector, &mut turned);
                let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
                assert_eq!(bits(&turned), bits(&wanted), "{dimension} by {}", variant.name());
            }
        }
    }

    /// Without this, codes that were copied from an older segment would mean another vector.
    #[test]
    fn a_version_is_one_rotation() {
        let mut sum = 0_u32;
        for dimension in DIMENSIONS {
            for component in rotated(&Rotation::new(dimension), &vector(dimension, 3)) {
                sum = sum.rotate_left(5) ^ component.to_bits();
            }
        }
        assert_eq!((ROTATION_VERSION, sum), (1, 400_232_936), "the rotation changed: that is a new version");
    }
}
