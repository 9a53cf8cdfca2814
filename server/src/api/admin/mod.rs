//! How are workspaces and keys managed?

pub(crate) mod audit;
pub(crate) mod keys;
pub(crate) mod workspaces;
