//! What is a crowd of tenants, and how is it told what of whom stands in an answer?
//!
//! A [`crowd`] of places like those of [`crate::world`], hundreds in each of two workspaces, and the [`holders`] of keys to them. All that
//! a place or a workspace has (its name, its ids, the words and the number in its documents) is a token that nothing else has, and
//! [`tokens`] finds those in whatever the server says.

pub mod crowd;
pub mod holders;
pub mod tokens;
