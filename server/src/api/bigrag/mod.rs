//! What do bigRAG's clients ask, and how are they answered?
//!
//! The routes of the published client, in its wire form: collections in the path, the tenant's field in metadata and filters,
//! scores from 0 to 1, times as RFC 3339.

pub(crate) mod collections;
mod decide;
pub(crate) mod documents;
pub(crate) mod events;
mod filters;
pub(crate) mod queries;
mod record;
pub(crate) mod reembed;
mod tenant;
mod told;
pub(crate) mod uploads;
pub(crate) mod vectors;
