//! How are rows of bytes scored, given sixty-four beside each other?
//!
//! Integers are summed without rounding, so each instruction set may add in whatever order it likes.

/// Bytes that are multiplied by one step.
pub(super) const BYTES: usize = 64;

/// Sums of products of bytes, spread over as many lanes as the instruction set has.
///
/// # Safety
/// Every method may only be called where the CPU has the implementation's instructions. All are inlined into
/// the one caller that is compiled with these instructions.
pub(super) trait Bytes: Copy {
    /// What the instruction adds to each byte of a row before it multiplies.
    const ROW_OFFSET: i32 = 0;

    unsafe fn zero() -> Self;
    /// Adds the products, of the row's bytes as raised by the offset.
    unsafe fn add_products(self, query: &[i8; BYTES], row: &[i8; BYTES]) -> Self;
    unsafe fn total(self) -> i32;

    /// The same of fewer than 64 bytes of a row, continued by zeros as the query is.
    #[inline(always)]
    unsafe fn add_products_part(self, query: &[i8; BYTES], row: &[i8]) -> Self {
        // SAFETY: what this method asks of its caller is what `add_products` asks.
        unsafe { self.add_products(query, &continued(row)) }
    }
}

/// Scores all rows. The query is not empty; the lengths fit.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn dot_rows<V: Bytes>(query: &[i8], rows: &[i8], scores: &mut [i32]) {
    let (chunks, tail) = query.as_chunks::<BYTES>();
    let last = continued(tail);
    let raised = query.iter().map(|&q| i32::from(q)).sum::<i32>() * V::ROW_OFFSET;
    for (row, score) in rows.chunks_exact(query.len()).zip(scores) {
        let (row_chunks, row_tail) = row.as_chunks::<BYTES>();
        // SAFETY: as our own caller's promise.
        let total = unsafe {
            let mut sums = V::zero();
            for (query, row) in chunks.iter().zip(row_chunks) {
                sums = sums.add_products(query, row);
            }
            if !tail.is_empty() {
                sums = sums.add_products_part(&last, row_tail);
            }
            sums.total()
        };
        *score = total.wrapping_sub(raised);
    }
}

/// Fewer than 64 bytes, continued by zeros.
#[inline(always)]
fn continued(tail: &[i8]) -> [i8; BYTES] {
    let mut whole = [0; BYTES];
    whole[..tail.len()].copy_from_slice(tail);
    whole
}
