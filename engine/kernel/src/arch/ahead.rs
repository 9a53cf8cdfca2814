//! How do rows come from memory while others are scored?
//!
//! Where rows lie one behind the other, the CPU guesses by itself what comes next. Some are slower when they are asked as
//! well, others give a quarter more codes when asked in time (`docs/decisions/0007-search-codes.md`). Where rows lie anywhere
//! no CPU can guess.

use std::mem::size_of_val;
use std::sync::LazyLock;

/// So many bytes of rows are asked for before they are needed.
pub(super) const BYTES_AHEAD: usize = 1024;
/// But no more rows than the CPU can wait for at once.
const ROWS_AHEAD_MAX: usize = 12;
const LINE_BYTES: usize = 64;
/// So many bytes are likely to be in the CPU's nearest cache when they are read once more.
pub(crate) const NEAR_BYTES: usize = 32 << 10;

/// So many bytes of rows that lie one behind the other are asked for before they are needed: none where the CPU guesses better.
pub(super) fn bytes_along() -> usize {
    static ALONG: LazyLock<usize> = LazyLock::new(|| if guesses_better() { 0 } else { BYTES_AHEAD });
    *ALONG
}

/// As many bytes, or none, likewise.
pub(super) fn asked_along(bytes: usize) -> usize {
    if bytes_along() > 0 { bytes } else { 0 }
}

/// Whether the CPU is one of those that are slower when asked: AMD's, as measured on Zen 4.
fn guesses_better() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let vendor = std::arch::x86_64::__cpuid(0);
        [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The rows, in their order; each one's memory is asked for some rows before it is given out.
pub(crate) fn ahead<'r, 'a, T>(rows: &'r [&'a [T]]) -> impl Iterator<Item = &'a [T]> + 'r {
    let row_bytes = rows.first().map_or(0, |row| size_of_val(*row)).max(1);
    let distance = BYTES_AHEAD.div_ceil(row_bytes).min(ROWS_AHEAD_MAX);
    rows.iter().take(distance).for_each(|row| fetch(row));
    rows.iter().enumerate().map(move |(at, row)| {
        if let Some(next) = rows.get(at + distance) {
            fetch(next);
        }
        *row
    })
}

/// Asks for the memory of a row, or of several, and doesn't wait for it.
#[inline(always)]
pub fn fetch<T>(row: &[T]) {
    for line in (0..size_of_val(row)).step_by(LINE_BYTES) {
        fetch_line(row.as_ptr().cast::<u8>().wrapping_add(line));
    }
}

/// The same of so many bytes, whether they are there or not.
#[inline(always)]
pub(super) fn fetch_along(first: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(LINE_BYTES) {
        fetch_line(first.wrapping_add(line));
    }
}

/// Asks for the cache line at an address, whatever is there.
#[inline(always)]
pub(super) fn fetch_line<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program could see, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
