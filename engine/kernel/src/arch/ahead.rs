//! How do rows that lie anywhere come from memory while others are scored?

use std::mem::size_of_val;

/// So many bytes of rows are asked for before they are needed.
const BYTES_AHEAD: usize = 1024;
/// But no more rows than the CPU can wait for at once.
const ROWS_AHEAD_MAX: usize = 12;
const LINE_BYTES: usize = 64;

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

/// Asks for a row's memory, and doesn't wait for it.
fn fetch<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..size_of_val(row)).step_by(LINE_BYTES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address is within the row; a prefetch reads nothing that the program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().cast::<i8>().add(line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}
