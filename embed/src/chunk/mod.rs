//! x
/// x
pub struct Chunk {
    /// x
    pub start: usize,
    /// x
    pub end: usize,
}
/// x
pub struct ChunkOptions;
/// x
pub struct ChunkError;
/// x
pub fn chunk() {}
