//! How are rows of bytes multiplied by many vectors of bytes?
//!
//! Sixteen vectors are a block: four bytes of each, then the next four of each, and so on. A tile of some rows and blocks has
//! all its sums in registers, so that what is read is multiplied several times, and no sum has lanes to be folded.

/// Vectors of a block.
pub(crate) const VECTORS: usize = 16;
/// Bytes of a vector that lie beside each other in its block.
pub(crate) const STEP: usize = 4;
/// Rows of a tile.
pub(crate) const ROWS: usize = 4;
/// Blocks of a tile.
pub(crate) const BLOCKS: usize = 4;
/// What is added to each byte of a vector, which then has no sign.
pub(crate) const RAISED: i32 = 128;

/// Four bytes of each vector of a block, raised.
pub(crate) type Step = [u8; VECTORS * STEP];
/// Products of rows and vectors, by the row and by the block.
pub(crate) type Tile = [[[i32; VECTORS]; BLOCKS]; ROWS];

/// Sums of products of one row and the vectors of a block.
///
/// # Safety
/// Every method but `word` may only be called where the CPU has the implementation's instructions. All are inlined into
/// the one caller that is compiled with these instructions.
pub(crate) trait Sums: Copy {
    /// Four bytes of a row, as they are kept.
    type Word: Copy;
    /// The same, as they are multiplied.
    type Four: Copy;
    /// Four bytes of each vector, as they are multiplied.
    type Loaded: Copy;
    /// How large a tile registers hold: all of one, or two rows of one block.
    const WHOLE: bool;
    /// By how much the bytes of vectors are still raised when they are multiplied.
    const RAISED: i32 = RAISED;

    fn word(bytes: [i8; STEP]) -> Self::Word;
    unsafe fn zero() -> Self;
    unsafe fn four(word: Self::Word) -> Self::Four;
    unsafe fn load(step: &Step) -> Self::Loaded;
    unsafe fn add_products(self, row: Self::Four, vectors: Self::Loaded) -> Self;
    unsafe fn store(self, sums: &mut [i32; VECTORS]);
}

/// The products of rows with up to as many blocks as a tile has; a block has as many steps as each row has words.
///
/// # Safety
/// The CPU has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Sums>(rows: [&[S::Word]; ROWS], blocks: &[&[Step]], tile: &mut Tile) {
    // SAFETY: as our own caller's promise.
    unsafe {
        match *blocks {
            [a, b, c, d] if S::WHOLE => fill::<S, ROWS, 4>(rows, [a, b, c, d], tile, 0, 0),
            [a, b, c] if S::WHOLE => fill::<S, ROWS, 3>(rows, [a, b, c], tile, 0, 0),
            [a, b] if S::WHOLE => fill::<S, ROWS, 2>(rows, [a, b], tile, 0, 0),
            [a] if S::WHOLE => fill::<S, ROWS, 1>(rows, [a], tile, 0, 0),
            _ => {
                for (b, &block) in blocks.iter().enumerate() {
                    for (r, pair) in rows.as_chunks().0.iter().enumerate() {
                        fill::<S, 2, 1>(*pair, [block], tile, 2 * r, b);
                    }
                }
            }
        }
    }
}

/// The part of a tile that begins at a row and a block.
///
/// # Safety
/// The CPU has the instructions of `S`.
#[inline(always)]
unsafe fn fill<S: Sums, const R: usize, const B: usize>(
    rows: [&[S::Word]; R],
    blocks: [&[Step]; B],
    tile: &mut Tile,
    first_row: usize,
    first_block: usize,
) {
    let steps = rows[0].len();
    assert!(rows.iter().all(|row| row.len() == steps) && blocks.iter().all(|block| block.len() == steps));
    // SAFETY: as our own caller's promise.
    unsafe {
        let mut sums = [[S::zero(); B]; R];
        for i in 0..steps {
            let mut vectors = [S::load(&blocks[0][i]); B];
            for b in 1..B {
                vectors[b] = S::load(&blocks[b][i]);
            }
            for r in 0..R {
                let row = S::four(rows[r][i]);
                for b in 0..B {
                    sums[r][b] = sums[r][b].add_products(row, vectors[b]);
                }
            }
        }
        for r in 0..R {
            for b in 0..B {
                sums[r][b].store(&mut tile[first_row + r][first_block + b]);
            }
        }
    }
}
