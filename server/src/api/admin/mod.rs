//! How are workspaces, keys and quotas managed?

pub(crate) mod audit;
pub(crate) mod keys;
pub(crate) mod quotas;
pub(crate) mod workspaces;
