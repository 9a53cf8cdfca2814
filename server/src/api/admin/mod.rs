//! How are workspaces, members and keys managed, and who did what?

pub(crate) mod audit;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod members;
pub(crate) mod workspaces;
