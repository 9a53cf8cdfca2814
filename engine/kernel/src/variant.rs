//! Which kernels can this CPU run?

use crate::arch::lanes::{Product, SquaredDifference};
use crate::arch::signs::Blocks;
use crate::arch::{self, Work};
use crate::coded::{Bar, BlockScores, Estimate, NibbleQuery, SignQuery};
use crate::reached::Reached;

/// The longest vectors whose codes and bytes have products that always fit into 32 bits.
pub const DIMENSION_MAX: usize = 1 << 16;

/// One implementation of the kernels. Having the value proves that the CPU can run it.
#[derive(Debug, Clone, Copy)]
pub struct Variant(Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Portable(arch::portable::Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(arch::avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(arch::avx512::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(arch::neon::Neon),
}

const PORTABLE: Kind = Kind::Portable(arch::portable::Portable);

/// Calls a kernel of whichever instruction set the variant is.
macro_rules! on {
    ($variant:expr, $set:ident => $call:expr) => {
        match $variant.0 {
            Kind::Portable($set) => $call,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2($set) => $call,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512($set) => $call,
            #[cfg(target_arch = "aarch64")]
            Kind::Neon($set) => $call,
        }
    };
}

impl Variant {
    /// The fastest variant for this CPU. Asks no more than a flag in memory.
    #[cfg(target_arch = "x86_64")]
    pub fn best() -> Variant {
        if let Some(avx512) = arch::avx512::Avx512::detect() {
            return Variant(Kind::Avx512(avx512));
        }
        Variant(arch::avx2::Avx2::detect().map_or(PORTABLE, Kind::Avx2))
    }

    /// The fastest variant for this CPU. Asks no more than a flag in memory.
    #[cfg(target_arch = "aarch64")]
    pub fn best() -> Variant {
        Variant(arch::neon::Neon::detect().map_or(PORTABLE, Kind::Neon))
    }

    /// The fastest variant for this CPU.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub fn best() -> Variant {
        Variant(PORTABLE)
    }

    /// All variants that this CPU can run, for tests and measurements.
    pub fn all() -> Vec<Variant> {
        let mut all = vec![PORTABLE];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(arch::avx2::Avx2::detect().map(Kind::Avx2));
            all.extend(arch::avx512::Avx512::detect().map(Kind::Avx512));
        }
        #[cfg(target_arch = "aarch64")]
        all.extend(arch::neon::Neon::detect().map(Kind::Neon));
        all.into_iter().map(Variant).collect()
    }

    /// The instruction set's name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "NEON",
        }
    }

    /// Whether it has instructions that multiply bytes.
    pub(crate) fn multiplies_bytes(self) -> bool {
        !matches!(self.0, Kind::Portable(_))
    }

    /// As [`dot`](crate::dot).
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "both vectors of a dot product have the same dimension");
        let mut score = [0.0];
        self.dot_rows(a, b, &mut score);
        score[0]
    }

    /// As [`dot_rows`](crate::dot_rows).
    pub fn dot_rows(self, query: &[f32], rows: &[f32], scores: &mut [f32]) {
        if fits(query, rows, scores, 0.0) {
            on!(self, set => set.score_rows::<Product, f32>(query, rows, scores));
        }
    }

    /// The dot products of a query with rows that lie anywhere, each as long as the query. As many as there are scores.
    pub(crate) fn dot_each(self, query: &[f32], rows: &[&[f32]], scores: &mut [f32]) {
        if are_alike(query, rows, scores) {
            on!(self, set => set.score_each::<Product, f32>(query, rows, scores));
        }
    }

    /// The squared distances of a query to rows that lie anywhere, likewise.
    pub(crate) fn squared_distance_each(self, query: &[f32], rows: &[&[f32]], scores: &mut [f32]) {
        if are_alike(query, rows, scores) {
            on!(self, set => set.score_each::<SquaredDifference, f32>(query, rows, scores));
        }
    }

    /// Works with the instruction set.
    pub(crate) fn run<W: Work>(self, work: W) -> W::Result {
        on!(self, set => set.run(work))
    }

    /// The dot products of a query with many rows of halves, by their bits: what [`dot_rows`](crate::dot_rows)
    /// gives for the rows [`widen`](crate::half::widen)ed.
    ///
    /// # Panics
    /// When the rows are not as many as the scores.
    pub fn dot_rows_f16(self, query: &[f32], rows: &[u16], scores: &mut [f32]) {
        if fits(query, rows, scores, 0.0) {
            on!(self, set => set.score_rows::<Product, u16>(query, rows, scores));
        }
    }

    /// The squared Euclidean distances of a query from many rows, summed in sixteen lanes as the dot product
    /// is: each difference, square and sum rounded on its own.
    ///
    /// # Panics
    /// When the rows are not as many as the scores.
    pub fn squared_distance_rows(self, query: &[f32], rows: &[f32], scores: &mut [f32]) {
        if fits(query, rows, scores, 0.0) {
            on!(self, set => set.score_rows::<SquaredDifference, f32>(query, rows, scores));
        }
    }

    /// The dot products of a query with many rows of bytes, exact.
    ///
    /// # Panics
    /// When the rows are not as many as the scores, or longer than [`DIMENSION_MAX`].
    pub fn dot_rows_i8(self, query: &[i8], rows: &[i8], scores: &mut [i32]) {
        assert!(query.len() <= DIMENSION_MAX, "the sum of so many products of bytes fits into 32 bits");
        if fits(query, rows, scores, 0) {
            on!(self, set => set.dot_rows_i8(query, rows, scores));
        }
    }
}

/// The kernels of codes, which `codes` checks the lengths for.
impl Variant {
    /// Scans blocks of sign codes by `Q` queries: of each block that has rows which may reach a query's bar, `visit` is told the
    /// query, the block, these rows and their scores, and answers the bar from then on.
    pub(crate) fn scan_blocks<const Q: usize>(
        self,
        queries: [&SignQuery; Q],
        blocks: &Blocks<'_>,
        bars: &mut [Bar; Q],
        visit: impl FnMut(usize, usize, u32, &BlockScores) -> Bar,
    ) {
        on!(self, set => set.scan_blocks(queries, blocks, bars, visit));
    }

    /// Estimates rows that lie one behind the other, as many as there is room for.
    pub(crate) fn estimate_along<T: Copy + From<Estimate>>(
        self,
        query: &NibbleQuery,
        rows: &[u8],
        told: &mut [T],
    ) {
        on!(self, set => set.estimate_along(query, rows, told));
    }

    /// Puts those of rows that lie one behind the other which may score so much behind what is there.
    pub(crate) fn reach_along(
        self,
        query: &NibbleQuery,
        rows: &[u8],
        floor: f32,
        first: u32,
        reached: &mut Reached,
    ) {
        on!(self, set => set.reach_along(query, rows, floor, first, reached));
    }

    /// Estimates as many rows as there is room for; `next` puts those that come next into places.
    pub(crate) fn estimate<'a, T: Copy + From<Estimate>>(
        self,
        query: &NibbleQuery,
        next: impl FnMut(&mut [&'a [u8]]),
        told: &mut [T],
    ) {
        on!(self, set => set.estimate(query, next, told));
    }
}

/// The same of rows that lie anywhere.
fn are_alike(query: &[f32], rows: &[&[f32]], scores: &mut [f32]) -> bool {
    assert_eq!(rows.len(), scores.len(), "there are as many rows as scores");
    assert!(rows.iter().all(|row| row.len() == query.len()), "each row is as long as the query");
    if query.is_empty() {
        scores.fill(0.0);
    }
    !query.is_empty()
}

/// Whether there is anything to sum; without dimensions, all scores are zero.
fn fits<Q, R, S: Clone>(query: &[Q], rows: &[R], scores: &mut [S], zero: S) -> bool {
    let elements = scores.len().checked_mul(query.len());
    assert_eq!(Some(rows.len()), elements, "there are as many rows as scores, each as long as the query");
    if query.is_empty() {
        scores.fill(zero);
    }
    !query.is_empty()
}
