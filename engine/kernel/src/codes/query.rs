//! How does a query meet codes: which integers stand for it, and what goes with their sums?
//!
//! The rotated difference of query and centre is coded twice, in steps of one length each: in integers of which
//! four neighbours' magnitudes add up to at most 63, for the sign codes, and in sixteenths up to about 112 each, for
//! the 4-bit codes. Products of codes are then integers, or sixteenths, exact in any order. For sign codes of two planes the
//! difference is taken twice as long for the first and as it is for the second, one behind the other:
//! `d·(2h + l) = (2d)·h + d·l`.

use super::bounds::{self, BRIEF, NORM_MAX, NORM_MIN, STEPS, UNDERFLOW, UNIT_MAX, WIDE};
use super::encode::{HALF_UP, nearest};
use super::{Centre, Metric, sum};
use crate::arch::lanes::Lanes;
use crate::arch::{Set, Work};
use crate::coded::{Integers, Lengths, NibbleQuery, SignQuery, TABLE_MAX, Tables, Weights};
use crate::rotation::Rotation;
use crate::variant::Variant;
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::OnceLock;

/// Components that one nibble of a sign code has.
const GROUP: usize = 4;
/// So many components are put together on the stack.
const FEW: usize = 1024;
/// The greatest component of the finer code. Less a sixteenth of another it fits into a byte, and 16 times its products with 4-bit
/// codes fit into 32 bits for as many components as there can be. A sixteenth of it is an integer: components that are all as long
/// are then told exactly.
const FINE_MAX: f32 = 112.0;
/// Components of a chunk of 32 bytes.
const CHUNK: usize = 64;
/// A high nibble counts so many times as much in its byte as a low one.
const HIGH: f32 = 16.0;

/// The greatest component of a 4-bit code.
const LEVEL_MAX: f64 = 15.0;

/// The root of 5, rounded up: so many times longer than a difference it is twice and once, one behind the other.
const TWO_STRETCH: f64 = 2.236_068;

/// A query about one centre, as the scans need it.
#[derive(Debug)]
pub struct Query {
    /// The rotated difference from the centre.
    difference: Vec<f64>,
    known: Known,
    pub(crate) nibbles: NibbleQuery,
    /// Made when sign codes are scanned.
    signs: OnceLock<SignQuery>,
    /// Of signs, in a block.
    planes: usize,
    pub(super) block_bytes: usize,
    pub(super) nibble_row_bytes: usize,
}

thread_local! {
    /// Room for a difference, of the query that its thread dropped last: the allocator takes its slow path for more than a
    /// kilobyte.
    static SPARE: Cell<Vec<f64>> = const { Cell::new(Vec::new()) };
}

impl Drop for Query {
    fn drop(&mut self) {
        let mut difference = std::mem::take(&mut self.difference);
        if difference.capacity() <= FEW {
            difference.clear();
            SPARE.set(difference);
        }
    }
}

/// What is known of a query and its centre before it is coded. Norms are rounded up.
#[derive(Debug)]
struct Known {
    /// Of the difference.
    norm: f64,
    /// Of the query itself.
    own_norm: f64,
    /// Of the centre.
    centre_norm: f64,
    /// What every score begins with.
    constant: f64,
    /// By how much the rotated difference may be off.
    turned: f64,
    dimension: usize,
    metric: Metric,
}

/// What rows' codes are like.
struct Code {
    /// No component is greater.
    level_max: f64,
    /// So many times longer the query's difference was made, to meet codes that may be longer by as much than these components tell.
    stretch: f64,
    /// By how much a base is off as it is stored, relative to that.
    base_off: f64,
}

impl Query {
    /// Prepares a query for codes about a centre. `rotated` is the query as the centre's own rotation gives it:
    /// rotated once, it serves for all centres.
    ///
    /// # Panics
    /// When the lengths don't fit the centre's.
    pub fn new(centre: &Centre, query: &[f32], rotated: &[f32]) -> Self {
        assert_eq!(query.len(), centre.vector.len(), "a query of the centre's dimension");
        assert_eq!(rotated.len(), centre.rotated.len(), "the rotated query");
        Self::prepared_by(Variant::best(), centre, query, rotated)
    }

    /// The same of a query that no other centre is asked about: it is rotated on the way.
    ///
    /// # Panics
    /// When the lengths don't fit the centre's, or the rotation is another.
    pub fn turned(rotation: &Rotation, centre: &Centre, query: &[f32]) -> Self {
        let length = rotation.rotated_len();
        let (mut few, mut many) = ([0.0; FEW], Vec::new());
        let rotated = if length <= FEW {
            &mut few[..length]
        } else {
            many.resize(length, 0.0);
            &mut many[..]
        };
        rotation.rotate(query, rotated);
        Self::new(centre, query, rotated)
    }

    pub(crate) fn prepared_by(variant: Variant, centre: &Centre, query: &[f32], rotated: &[f32]) -> Self {
        variant.run(Preparing { centre, query, rotated })
    }

    /// How long the query is, about.
    pub fn norm(&self) -> f32 {
        self.known.own_norm as f32
    }

    /// Whether it meets codes of as many components.
    pub(super) fn is_of_length(&self, other: &Query) -> bool {
        self.difference.len() == other.difference.len() && self.planes == other.planes
    }

    /// For sign codes.
    pub(crate) fn signs(&self) -> &SignQuery {
        self.signs.get_or_init(|| Variant::best().run(PreparingSigns(self)))
    }
}

/// A query that is being prepared.
struct Preparing<'a> {
    centre: &'a Centre,
    query: &'a [f32],
    rotated: &'a [f32],
}

impl Work for Preparing<'_> {
    type Result = Query;

    #[inline(always)]
    fn run<V: Lanes>(self, _: Set<V>) -> Query {
        let Self { centre, query, rotated } = self;
        let known = Known::new(centre, query);
        let mut difference = SPARE.take();
        difference.extend(rotated.iter().zip(&centre.rotated).map(|(&q, &c)| f64::from(q) - f64::from(c)));
        if !known.is_bounded() || known.norm < NORM_MIN {
            difference.fill(0.0);
        }
        let (mut few, mut many) = ([0.0; FEW], Vec::new());
        let integers = if difference.len() <= FEW {
            &mut few[..difference.len()]
        } else {
            many.resize(difference.len(), 0.0);
            &mut many[..]
        };
        let unit = fine_integers(&difference, integers);
        let integers = &*integers;
        // Exact: integers.
        let total = sum(integers, integers, |z, _| f64::from(HIGH) * z) as i32;
        let mut weights = known.weights(
            &difference,
            integers,
            unit,
            &Code { level_max: LEVEL_MAX, stretch: 1.0, base_off: 0.0 },
        );
        // Of two to the fourth, and so exact.
        weights.unit /= HIGH;
        let nibbles = NibbleQuery {
            integers: integers.chunks(2 * CHUNK).map(in_bytes).collect(),
            code_bytes: integers.len() / 2,
            offset: 15 * total,
            weights,
            lengths: known.lengths(centre, &weights, integers.len()),
        };
        let (block_bytes, nibble_row_bytes) = (centre.block_bytes(), centre.nibble_row_bytes());
        Query {
            difference,
            known,
            nibbles,
            signs: OnceLock::new(),
            planes: centre.planes(),
            block_bytes,
            nibble_row_bytes,
        }
    }
}

/// A query whose sign codes are being prepared.
struct PreparingSigns<'a>(&'a Query);

impl Work for PreparingSigns<'_> {
    type Result = SignQuery;

    #[inline(always)]
    fn run<V: Lanes>(self, _: Set<V>) -> SignQuery {
        let Query { difference, known, planes, .. } = self.0;
        let twice = difference.iter().map(|d| 2.0 * d);
        let (difference, stretch): (Cow<'_, [f64]>, f64) = match planes {
            1 => (Cow::Borrowed(difference), 1.0),
            _ => (twice.chain(difference.iter().copied()).collect(), TWO_STRETCH),
        };
        let mut integers = vec![0.0; difference.len()];
        let unit = sign_integers(&difference, &mut integers);
        SignQuery {
            tables: integers.as_chunks().0.iter().map(tables).collect(),
            // Exact: integers.
            offset: sum(&integers, &integers, |z, _| z.abs()) as i32,
            weights: known.weights(
                &difference,
                &integers,
                unit,
                &Code { level_max: 1.0, stretch, base_off: BRIEF },
            ),
        }
    }
}

impl Known {
    #[inline(always)]
    fn new(centre: &Centre, query: &[f32]) -> Self {
        let centre_vector = &centre.vector;
        let squared = sum(query, centre_vector, |q, c| (q - c) * (q - c));
        let own_norm = sum(query, centre_vector, |q, _| q * q).sqrt() * (1.0 + WIDE);
        let centre_norm = centre.norm * (1.0 + WIDE);
        Self {
            norm: squared.sqrt() * (1.0 + WIDE),
            own_norm,
            centre_norm,
            constant: match centre.metric {
                Metric::InnerProduct => sum(query, centre_vector, |q, c| q * c),
                Metric::SquaredDistance => -squared,
            },
            turned: bounds::rotation(centre.rotated.len()) * (own_norm + centre_norm),
            dimension: query.len(),
            metric: centre.metric,
        }
    }

    /// Whether all that is computed from it stays a number.
    fn is_bounded(&self) -> bool {
        self.norm <= NORM_MAX && self.own_norm <= NORM_MAX && self.centre_norm <= NORM_MAX
    }

    /// What is known of the length of rows' 4-bit codes, of so many components. The reasons are in `bounds`.
    fn lengths(&self, centre: &Centre, weights: &Weights, components: usize) -> Lengths {
        let longest = LEVEL_MAX * (components as f64).sqrt();
        let weight = f64::from(weights.scale) / longest * (1.0 + bounds::length(components)) * (1.0 + STEPS);
        let (squared, base) = match self.metric {
            Metric::SquaredDistance => (UNDERFLOW, -1.0),
            Metric::InnerProduct if centre.is_of_units => {
                let row = UNIT_MAX * UNIT_MAX;
                // The base is no greater than the product of the centre's and the difference's lengths, and it and the sums
                // are off by as much of that.
                let off = 4.0 * STEPS * (1.0 + self.centre_norm) * (1.0 + self.centre_norm);
                (row - centre.norm * centre.norm * (1.0 - WIDE) + off, -2.0)
            }
            Metric::InnerProduct => (f64::INFINITY, 0.0),
        };
        // Rounded up, negative as it may be.
        let rounded = squared as f32;
        let squared = if f64::from(rounded) < squared { rounded.next_up() } else { rounded };
        Lengths { squared, base, weight: bounds::up(weight + UNDERFLOW) }
    }

    /// What a row's factors are weighed by, if integers stand for the query in steps of `unit`. The reasons are in `bounds`.
    #[inline(always)]
    fn weights(&self, difference: &[f64], integers: &[f32], unit: f32, code: &Code) -> Weights {
        let &Code { level_max, stretch, base_off } = code;
        if !self.is_bounded() {
            // No residual, not even infinity, makes this error anything else than infinity.
            let residual = f32::MIN_POSITIVE;
            return Weights {
                constant: 0.0,
                unit: 0.0,
                residual,
                scale: 0.0,
                base: 0.0,
                error: f32::INFINITY,
            };
        }
        let wide = f64::from(unit);
        let off = sum(difference, integers, |d, z| (d - wide * z) * (d - wide * z)).sqrt();
        // Where the difference is too short to be coded, it is all that is off.
        let off = off.max(if unit == 0.0 { self.norm * stretch } else { 0.0 });
        let off = (off + self.turned * stretch) * (1.0 + WIDE);
        let length = sum(integers, integers, |z, _| wide * z * (wide * z)).sqrt() * (1.0 + WIDE);
        let canonical = bounds::canonical(self.dimension);
        let (times, of_rows, of_bases, of_all) = match self.metric {
            Metric::InnerProduct => {
                // The original is no longer than the centre and the difference together.
                let of_rows = canonical * self.own_norm + WIDE * self.centre_norm;
                (1.0, of_rows, 0.0, canonical * self.own_norm * self.centre_norm)
            }
            // The distance is no longer than both differences together; its square, than twice their squares.
            Metric::SquaredDistance => (2.0, 0.0, 2.0 * canonical, 2.0 * canonical * self.norm * self.norm),
        };
        let constant_off = (STEPS + WIDE) * self.constant.abs() + WIDE * self.own_norm * self.centre_norm;
        let longest_code = level_max * (integers.len() as f64).sqrt();
        let weight = |x: f64| bounds::up(x * (1.0 + STEPS) + UNDERFLOW);
        Weights {
            constant: self.constant as f32,
            unit: (times * wide) as f32,
            residual: weight(times * self.norm + of_rows),
            scale: weight((times * (off + STEPS * length) + of_rows * stretch) * longest_code),
            // What goes with the base itself goes with what is stored, which may be less.
            base: weight(base_off + (STEPS + WIDE + of_bases) * (1.0 + base_off)),
            error: weight(of_all + constant_off),
        }
    }
}

/// Integers for the sign codes, as numbers; their unit.
#[inline(always)]
fn sign_integers(difference: &[f64], integers: &mut [f32]) -> f32 {
    let groups = difference.chunks_exact(GROUP).map(|group| group.iter().map(|d| d.abs()).sum());
    let largest: f64 = groups.fold(0.0, f64::max);
    // The most that a group adds up to is the greatest entry. Rounding adds at most a half to each of four.
    in_units(difference, (largest / f64::from(TABLE_MAX - 2)) as f32, integers)
}

/// Components for the 4-bit codes: integers for high nibbles, and sixteenths for low ones, which are integers when a sixteenth of
/// the high one of the same byte is taken from them; their unit.
#[inline(always)]
fn fine_integers(difference: &[f64], integers: &mut [f32]) -> f32 {
    // There are whole sixteens of components, and none that is no number.
    let mut lanes = [0.0; 16];
    for chunk in difference.as_chunks::<16>().0 {
        for (lane, d) in lanes.iter_mut().zip(chunk) {
            *lane = if d.abs() > *lane { d.abs() } else { *lane };
        }
    }
    let largest = lanes.into_iter().fold(0.0, f64::max);
    let unit = in_units(difference, (largest / f64::from(FINE_MAX)) as f32, integers);
    if unit > 0.0 {
        let units = 1.0 / f64::from(unit);
        let chunks = integers.as_chunks_mut::<CHUNK>().0.iter_mut().zip(difference.as_chunks::<CHUNK>().0);
        for (components, difference) in chunks {
            for i in 0..CHUNK / 2 {
                let sixteenth = components[i + CHUNK / 2] / HIGH;
                components[i] = nearest((difference[i] * units) as f32 - sixteenth) + sixteenth;
            }
        }
    }
    unit
}

/// Leaves zeros where the unit is none.
#[inline(always)]
fn in_units(difference: &[f64], unit: f32, integers: &mut [f32]) -> f32 {
    if unit < f32::MIN_POSITIVE {
        return 0.0;
    }
    let units = 1.0 / f64::from(unit);
    for (integer, &d) in integers.iter_mut().zip(difference) {
        *integer = nearest((d * units) as f32);
    }
    unit
}

/// Up to 128 components as they meet the bytes of two chunks of a code.
#[inline(always)]
fn in_bytes(integers: &[f32]) -> Integers {
    let (mut low, mut high) = ([0; 64], [0; 64]);
    let places = low.as_chunks_mut::<32>().0.iter_mut().zip(high.as_chunks_mut::<32>().0);
    for ((low, high), chunk) in places.zip(integers.as_chunks::<CHUNK>().0) {
        for i in 0..CHUNK / 2 {
            let high_one = chunk[i + CHUNK / 2];
            (low[i], high[i]) = (in_byte(chunk[i] - high_one / HIGH), in_byte(high_one));
        }
    }
    Integers { low, high }
}

/// An integer that fits. Beside a number so great, the last bits of the sum are the integer's.
#[inline(always)]
fn in_byte(integer: f32) -> i8 {
    ((integer + HALF_UP).to_bits() as u8).cast_signed()
}

/// The tables for sixteen components.
#[inline(always)]
fn tables(integers: &[f32; 4 * GROUP]) -> Tables {
    let mut groups = [[0; 16]; 4];
    for (table, integers) in groups.iter_mut().zip(integers.as_chunks::<GROUP>().0) {
        *table = sums(integers.map(in_byte));
    }
    let [a, b, c, d] = groups;
    let twice = |first: [u8; 16], second: [u8; 16]| {
        let mut tables = [0; 64];
        for (place, table) in tables.as_chunks_mut().0.iter_mut().zip([first, first, second, second]) {
            *place = table;
        }
        tables
    };
    Tables { low: twice(a, c), high: twice(b, d) }
}

/// Bit `i` of a choice of four, for each of the sixteen that there are: all bits set, or none.
const CHOSEN: [[u8; 16]; GROUP] = {
    let mut chosen = [[0; 16]; GROUP];
    let mut at = 0;
    while at < 16 * GROUP {
        let (bit, choice) = (at / 16, at % 16);
        chosen[bit][choice] = if choice >> bit & 1 == 1 { u8::MAX } else { 0 };
        at += 1;
    }
    chosen
};

/// For each choice of four components the sum of these, raised so that the least is zero.
#[inline(always)]
fn sums(group: [i8; GROUP]) -> [u8; 16] {
    let least: u8 = group.iter().map(|z| z.min(&0).unsigned_abs()).sum();
    let mut sums = [least; 16];
    for (z, chosen) in group.iter().zip(&CHOSEN) {
        for (sum, chosen) in sums.iter_mut().zip(chosen) {
            *sum = sum.wrapping_add(z.cast_unsigned() & chosen);
        }
    }
    sums
}
