//! What do the benchmark `nearest` and its peers agree on?
//!
//! On the data ([`sets`]: the engine's half writes plain little-endian f32 files, which the peers read), on what is
//! right ([`truth`]), and on how time is taken ([`clock`]).

pub mod clock;
pub mod npy;
pub mod sets;
pub mod truth;
