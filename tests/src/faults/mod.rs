//! What becomes of a store when the system's calls fail one by one, or the process is killed between any two?
//!
//! A program lives a [`script`] of 200 operations on the real disk, under a library that stands before the C
//! library's calls and lets one of them fail ([`strike`]). It notes in a journal outside the store what it began and
//! what it was told ([`life`]). The [`judge`] reads the journal, opens the folder and asks whether any story that
//! ends with these answers ends with this store.

pub mod judge;
pub mod life;
pub mod script;
pub mod strike;
