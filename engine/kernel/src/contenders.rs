//! Of many vectors, which may be the nearest to a row?
//!
//! How near says the measure `x·c - b` of a row `x` and a vector `c`, the greater the nearer; each vector has its own `b`. Rows
//! and vectors are rounded to bytes about the vectors' mean, a byte for each component. Products of bytes take a fraction of
//! the time of products of `f32`, and with the lengths of what was rounded off they bound the measure: vectors whose upper
//! bound is below another's lower bound are out of the contest. Of a thousand, a few are left.
//!
//! With `x - m = X + E` and `c - m = Y + F`, where `m` is the mean and `X` and `Y` are what the bytes say, `x·c` is
//! `X·Y + m·c` and what all vectors have in common, but for `E·Y + (x - m)·F`, which is at most `|E||Y| + |x - m||F|`.
//!
//! Invariants:
//! 1. The vector with the greatest canonical measure is among the contenders of every row, as are all that are its equals.
//! 2. Where nothing is known, as numbers are too large or none, all are contenders.
//! 3. Every instruction set leaves the same contenders: integers are summed exactly, and all else in one order.
//!
//! Concurrency: pure functions.

use crate::arch::ahead::ahead;
use crate::arch::lanes::{LANES, Lanes};
use crate::arch::tiles::{BLOCKS, RAISED, ROWS, STEP, Step, Sums, VECTORS};
use crate::arch::{Set, Work};
use crate::variant::{DIMENSION_MAX, Variant};

/// Rows that go through the vectors together, while the products of all wait for the greatest.
const TOGETHER: usize = 4 * ROWS;
/// What is added to each bound for the roundings of its own computation: they are relative to it and smaller than that.
const WIDER: f32 = 1.001;
/// For each component, what its square may lack when it is too small for `f32`: more than the root of that.
const LOST: f32 = 1e-22;

/// Vectors of which the nearest to each of many rows is sought.
///
/// ```
/// use strongroom_kernel::{Contenders, Variant};
/// let contenders = Contenders::new(&[0.0, 1.0, 0.9, 0.1, 0.8, 0.1], &[0.0; 3], 2);
/// contenders.of(Variant::best(), &[&[0.0, 2.0]], |vectors| assert_eq!(vectors, [0]));
/// ```
#[derive(Debug)]
pub struct Contenders {
    /// The vectors' mean.
    middle: Vec<f32>,
    count: usize,
    /// Block after block, each of as many steps as the dimension has.
    steps: Vec<Step>,
    blocks: Vec<Block>,
    /// How great numbers may be in the measure of a row of no length, and by how much more for each of its length.
    reach: [f32; 2],
    /// The mean's length.
    middle_length: f32,
}

/// What is known of the vectors of a block.
#[derive(Debug, Clone)]
struct Block {
    /// The measure of the mean: what estimates begin with.
    bases: [f32; VECTORS],
    /// What one stands for in their bytes.
    scales: [f32; VECTORS],
    /// The lengths of what bytes say, and of what they leave out.
    lengths: [f32; VECTORS],
    errors: [f32; VECTORS],
}

/// A vector about the mean as bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Coded {
    /// What one stands for.
    scale: f32,
    /// The sum of the bytes.
    sum: i32,
    /// The length.
    whole: f32,
    /// The lengths of what the bytes say, and of what they leave out.
    length: f32,
    error: f32,
}

impl Contenders {
    /// Of vectors that lie one behind the other, each with what is taken from its products.
    ///
    /// # Panics
    /// When the dimension is 0 or above [`DIMENSION_MAX`], or there are not as many vectors as biases.
    pub fn new(vectors: &[f32], biases: &[f32], dimension: usize) -> Self {
        assert!(0 < dimension && dimension <= DIMENSION_MAX, "the sums of so many products fit into 32 bits");
        let count = biases.len();
        assert_eq!(Some(vectors.len()), count.checked_mul(dimension), "as many vectors as biases");
        let mut middle = vec![0.0; dimension];
        for vector in vectors.chunks_exact(dimension) {
            middle.iter_mut().zip(vector).for_each(|(sum, component)| *sum += component);
        }
        middle.iter_mut().for_each(|sum| *sum /= count as f32);
        let none = Block {
            bases: [f32::NEG_INFINITY; VECTORS],
            scales: [0.0; VECTORS],
            lengths: [0.0; VECTORS],
            errors: [0.0; VECTORS],
        };
        let (steps, blocks) = (dimension.div_ceil(STEP), count.div_ceil(VECTORS));
        let mut all = Self {
            middle_length: length(&middle),
            middle,
            count,
            steps: vec![[RAISED as u8; VECTORS * STEP]; steps * blocks],
            blocks: vec![none; blocks],
            reach: [0.0; 2],
        };
        all.code(vectors, biases);
        all
    }

    fn code(&mut self, vectors: &[f32], biases: &[f32]) {
        let dimension = self.middle.len();
        let (steps, variant) = (dimension.div_ceil(STEP), Variant::best());
        let mut room = Room::new(dimension);
        for (at, (vector, &bias)) in vectors.chunks_exact(dimension).zip(biases).enumerate() {
            let coded = variant.run(Coding { vector, middle: &self.middle, room: &mut room });
            let (block, place) = (at / VECTORS, at % VECTORS);
            for (step, bytes) in self.steps[block * steps..][..steps].iter_mut().zip(room.bytes.as_chunks().0)
            {
                let bytes: &[i8; STEP] = bytes;
                step[place * STEP..][..STEP]
                    .copy_from_slice(&bytes.map(|byte| (i32::from(byte) + RAISED) as u8));
            }
            let block = &mut self.blocks[block];
            block.bases[place] = variant.dot(&self.middle, vector) - bias;
            block.scales[place] = coded.scale;
            block.lengths[place] = coded.length;
            block.errors[place] = coded.error;
            let far = coded.whole + 2.0 * self.middle_length;
            let reach = [2.0 * self.middle_length * far + bias.abs(), far];
            self.reach.iter_mut().zip(reach).for_each(|(most, reach)| *most = greater(reach, *most));
        }
    }

    /// Says for each of the rows which vectors may be the nearest, rising: at least one, if there are any.
    ///
    /// # Panics
    /// When a row has another dimension.
    pub fn of(&self, variant: Variant, rows: &[&[f32]], mut found: impl FnMut(&[u32])) {
        variant.run(Seeking { vectors: self, rows, found: &mut found });
    }

    /// What canonical measures of a row and estimates may be off by their own roundings. Infinite when one may be too large for
    /// a number.
    fn slack(&self, row: &Coded) -> f32 {
        let dimension = self.middle.len() as f32;
        let reach = self.reach[0] + self.reach[1] * row.whole;
        // Each lane has as many sums, and the folding of the lanes some more.
        let roundings = dimension / LANES as f32 + 8.0;
        let slack = roundings * f32::EPSILON * reach + dimension * f32::MIN_POSITIVE;
        // Nothing that is computed is a few times greater than that.
        if reach < f32::MAX / 8.0 { slack } else { f32::INFINITY }
    }

    /// Whether an instruction set multiplies bytes so fast that contenders come sooner than all products do.
    pub fn are_quick(variant: Variant) -> bool {
        variant.multiplies_bytes()
    }
}

fn length(vector: &[f32]) -> f32 {
    Variant::best().dot(vector, vector).sqrt() * WIDER + vector.len() as f32 * LOST
}

/// Room for the coding of a vector, as long as whole lanes.
struct Room {
    apart: Vec<f32>,
    bytes: Vec<i8>,
}

impl Room {
    fn new(dimension: usize) -> Self {
        let length = dimension.next_multiple_of(LANES);
        Self { apart: vec![0.0; length], bytes: vec![0; length] }
    }
}

struct Coding<'a> {
    vector: &'a [f32],
    middle: &'a [f32],
    room: &'a mut Room,
}

impl Work for Coding<'_> {
    type Result = Coded;

    #[inline(always)]
    fn run<V: Lanes>(self, _: Set<V>) -> Coded {
        let Self { vector, middle, room } = self;
        assert_eq!(vector.len(), middle.len(), "a row of the vectors' dimension");
        for ((apart, component), middle) in room.apart.iter_mut().zip(vector).zip(middle) {
            *apart = component - middle;
        }
        let apart = room.apart.as_chunks::<LANES>().0;
        let mut greatest = [0.0_f32; LANES];
        for apart in apart {
            for l in 0..LANES {
                greatest[l] = if apart[l].abs() > greatest[l] { apart[l].abs() } else { greatest[l] };
            }
        }
        let greatest = greatest.iter().fold(0.0_f32, |a, &b| a.max(b));
        let scale = greatest / 127.0;
        let inverse = if scale > 0.0 { 127.0 / greatest } else { 0.0 };
        let (mut whole, mut length, mut error, mut sum) =
            ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0; LANES]);
        for (apart, bytes) in apart.iter().zip(room.bytes.as_chunks_mut::<LANES>().0) {
            for l in 0..LANES {
                // The lowest bits of so large a number are the nearest integer.
                let byte = (apart[l] * inverse + 12_582_912.0).to_bits() as i8;
                bytes[l] = byte;
                sum[l] += i32::from(byte);
                let said = scale * f32::from(byte);
                let left = apart[l] - said;
                whole[l] += apart[l] * apart[l];
                length[l] += said * said;
                error[l] += left * left;
            }
        }
        let lost = room.apart.len() as f32 * LOST;
        let root = |squares: [f32; LANES]| squares.iter().sum::<f32>().sqrt() * WIDER + lost;
        let whole = root(whole);
        // Differences were rounded, and so was what bytes say.
        let error = root(error) + 4.0 * f32::EPSILON * whole;
        Coded { scale, sum: sum.iter().sum(), whole, length: root(length), error }
    }
}

struct Seeking<'a, F> {
    vectors: &'a Contenders,
    rows: &'a [&'a [f32]],
    found: &'a mut F,
}

impl<F: FnMut(&[u32])> Work for Seeking<'_, F> {
    type Result = ();

    #[inline(always)]
    fn run<V: Lanes>(self, set: Set<V>) {
        let Self { vectors, rows, found } = self;
        let mut rows = ahead(rows);
        let mut room = Room::new(vectors.middle.len());
        let steps = vectors.middle.len().div_ceil(STEP);
        let mut words = vec![<V::Sums as Sums>::word([0; STEP]); TOGETHER * steps];
        let width = vectors.blocks.len() * VECTORS;
        let parts_count = vectors.blocks.len().div_ceil(BLOCKS);
        let mut most = vec![0.0; TOGETHER * width];
        let mut tops = vec![[0.0; VECTORS]; TOGETHER * parts_count];
        let mut numbers = Vec::new();
        let mut tile = [[[0; VECTORS]; BLOCKS]; ROWS];
        loop {
            let mut coded = [Coded::default(); TOGETHER];
            let mut count = 0;
            for (row, words) in rows.by_ref().take(TOGETHER).zip(words.chunks_exact_mut(steps)) {
                coded[count] = Coding { vector: row, middle: &vectors.middle, room: &mut room }.run(set);
                for (word, bytes) in words.iter_mut().zip(room.bytes.as_chunks().0) {
                    *word = <V::Sums as Sums>::word(*bytes);
                }
                count += 1;
            }
            if count == 0 {
                return;
            }
            let mut floors = [[f32::NEG_INFINITY; VECTORS]; TOGETHER];
            let slacks: [f32; TOGETHER] = std::array::from_fn(|row| vectors.slack(&coded[row]));
            let parts = vectors.blocks.chunks(BLOCKS).zip(vectors.steps.chunks(BLOCKS * steps));
            for (part, (blocks, bytes)) in parts.enumerate() {
                let mut of_blocks: [&[Step]; BLOCKS] = [&[]; BLOCKS];
                of_blocks.iter_mut().zip(bytes.chunks_exact(steps)).for_each(|(place, block)| *place = block);
                for first in (0..count).step_by(ROWS) {
                    let words: [&[_]; ROWS] = std::array::from_fn(|r| &words[(first + r) * steps..][..steps]);
                    set.multiply(words, &of_blocks[..blocks.len()], &mut tile);
                    for (row, of_row) in (first..).zip(&tile) {
                        let mut best = ([f32::NEG_INFINITY; VECTORS], floors[row]);
                        let raised = <V::Sums as Sums>::RAISED * coded[row].sum;
                        let most = most[row * width + part * BLOCKS * VECTORS..].as_chunks_mut().0;
                        for ((block, products), most) in blocks.iter().zip(of_row).zip(most) {
                            block.bound(&coded[row], slacks[row], (products, raised), most, &mut best);
                        }
                        (tops[row * parts_count + part], floors[row]) = best;
                    }
                }
            }
            for row in 0..count {
                numbers.clear();
                let floor = floors[row].iter().fold(f32::NEG_INFINITY, |a, &b| greater(b, a));
                if !slacks[row].is_finite() {
                    numbers.extend(0..vectors.count as u32);
                    found(&numbers);
                    continue;
                }
                let tops = tops[row * parts_count..][..parts_count].iter().enumerate();
                // No branch for each vector: which do can't be foreseen, and hardly any does.
                for (part, _) in
                    tops.filter(|(_, tops)| tops.iter().fold(false, |any, &top| any | (top >= floor)))
                {
                    let first = part * BLOCKS * VECTORS;
                    let end = vectors.count.min(first + BLOCKS * VECTORS);
                    let most = (first as u32..).zip(&most[row * width..][first..end]);
                    numbers.extend(most.filter(|(_, most)| **most >= floor).map(|(number, _)| number));
                }
                found(&numbers);
            }
        }
    }
}

impl Block {
    /// What a row and each vector measure at most; keeps the greatest of that, and of what they measure at least.
    #[inline(always)]
    fn bound(
        &self,
        row: &Coded,
        slack: f32,
        (products, raised): (&[i32; VECTORS], i32),
        most: &mut [f32; VECTORS],
        (top, floor): &mut ([f32; VECTORS], [f32; VECTORS]),
    ) {
        for v in 0..VECTORS {
            let product = (products[v] - raised) as f32;
            let score = self.bases[v] + row.scale * self.scales[v] * product;
            let error = row.error * self.lengths[v] + row.whole * self.errors[v] + slack;
            most[v] = score + error;
            top[v] = greater(most[v], top[v]);
            floor[v] = greater(score - error, floor[v]);
        }
    }
}

/// As one instruction.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}
