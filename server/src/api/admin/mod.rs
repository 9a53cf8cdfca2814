//! How are workspaces, members, keys and quotas managed, and who did what?

pub(crate) mod audit;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod members;
pub(crate) mod quotas;
pub(crate) mod workspaces;
