//! By how much can each step of an estimate be off, at most?
//!
//! With exact arithmetic, `(q-c)·r - q̂·r̂ = (q-c)·(r - r̂) + ((q-c) - q̂)·r̂`, where `q̂` is the query's code. By
//! Cauchy and Schwarz this is at most `|q-c|·|r-r̂| + |(q-c)-q̂|·|r̂|`. The first norm of each product is the
//! query's, the other is the row's residual, or at most its scale times the longest code. Rounding adds to these
//! norms, and to the sums; each addition below is an upper bound with room to spare.
//!
//! Codes of two planes are bounded as what they are scanned as: signs of twice as many components, whose product is with
//! `(2 (q-c), q-c)`. That is √5 times as long as `q-c`, and so is what it may be off by its rotation; and the row's code, of
//! components up to 3, is no longer than √5 times its signs: 3 √D < √5 · √(2D).
//!
//! `u = 2^-24` is the most by which a result in `f32` is off, relative to it. Lengths between [`NORM_MIN`] and
//! [`NORM_MAX`] keep every product here among normal numbers; what underflows all the same is less than
//! [`UNDERFLOW`].
//!
//! How long `r̂` is at most follows from its scale and the longest code that there is; and, as `r̂ - r` is perpendicular
//! to `r`, from `|r̂|² = |r|² + |r̂-r|²` where `|r|` is known: the base of a distance is its square, and of rows of length 1
//! `|r|² = 1 - |c|² - 2 c·r`, where the base is `c·r`. Whichever is less counts: codes are 2.5 times shorter than the
//! longest.

//!
//! Of a sign code's factors, of which a file has the upper halves (`brief`), only the base is off: the scale is rounded before its residual is
//! measured, and the residual is rounded up. The base is off by at most [`BRIEF`] of what is stored, and where that is
//! subnormal, by 2^-134, which [`UNDERFLOW`] has room for.

/// Half a last place of `f32`.
const U: f64 = 1.0 / (1_u32 << 24) as f64;

/// Half a last place of an upper half: by how much a number of at least 2^-126 is off when it is rounded to one, relative to what it becomes.
pub(super) const BRIEF: f64 = 1.0 / (1_u32 << 8) as f64;

/// A difference shorter than this is coded as none, and its length as its residual.
pub(super) const NORM_MIN: f64 = 1.0 / (1_u64 << 60) as f64;

/// What is longer, or has no length, is not estimated: squares and products would leave the range of `f32`.
pub(super) const NORM_MAX: f64 = (1_u64 << 56) as f64;

/// More than all results that are too small for `f32` add up to.
pub(super) const UNDERFLOW: f64 = f32::MIN_POSITIVE as f64;

/// Relative error of a norm, product or square that is summed in `f64`: less than `2^16` roundings of `2^-53`.
pub(super) const WIDE: f64 = 1e-11;

/// Relative error of a few operations in `f32`. An estimate takes four on the product and two on the base and
/// the query's constant, each of which was rounded once before; an error takes four; their sum takes one.
pub(super) const STEPS: f64 = 8.0 * U;

/// By how much a rotated vector of this length is off, relative to its length.
///
/// Each of the four rounds takes a step for each doubling of the span, two roundings and one for the constants
/// in scaling, and one, one and one in mixing the halves; a step of sums and differences of pairs adds an error
/// of `u` times the length. The last factor is for the errors' own growth and for the difference that was rotated.
pub(super) fn rotation(rotated_len: usize) -> f64 {
    let doublings = f64::from(rotated_len.ilog2());
    (4.0 * (doublings + 8.0) + 2.0) * U * 1.01
}

/// By how much a canonical sum over vectors of this dimension is off, relative to the sum of its terms'
/// magnitudes: each lane's additions, the term's own three roundings and the four of the fold.
pub(super) fn canonical(dimension: usize) -> f64 {
    (dimension.div_ceil(16) + 8) as f64 * U * 1.01
}

/// A normalized vector is no longer.
pub(super) const UNIT_MAX: f64 = 1.0 + 1.0 / (1 << 18) as f64;

/// By how much the length of a code is off when it is computed from that of the row: for its rotation, for a scale that is
/// rounded, which makes the residual a little less than perpendicular, and for six roundings on the way to a square root.
pub(super) fn length(rotated_len: usize) -> f64 {
    rotation(rotated_len) + STEPS
}

/// The least `f32` that is no less. Neither NaN nor negative numbers come here.
pub(super) fn up(x: f64) -> f32 {
    let rounded = x as f32;
    if f64::from(rounded) < x { rounded.next_up() } else { rounded }
}
