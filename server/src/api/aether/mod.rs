//! What do Aether's clients ask, and how are they answered?
//!
//! The routes of the published client, in its wire form: tags in arrays or joined by commas, whole scores from 0 to
//! 100, partitions named in the query or in the body.

pub(crate) mod across;
pub(crate) mod backfill;
pub(crate) mod bundles;
pub(crate) mod declared;
pub(crate) mod documents;
pub(in crate::api) mod fields;
pub(crate) mod filters;
mod finding;
pub(crate) mod grammar;
pub(crate) mod insert;
pub(crate) mod jobs;
pub(crate) mod lineage;
mod look_alikes;
mod manner;
pub(crate) mod merging;
pub(crate) mod moving;
pub(crate) mod partitions;
mod ranking;
pub(crate) mod reads;
mod record;
pub(crate) mod reports;
pub(in crate::api) mod reranking;
pub(crate) mod search;
mod sections;
pub(crate) mod slips;
pub(in crate::api) mod structured;
pub(crate) mod summaries;
pub(crate) mod threads;
mod turns;
