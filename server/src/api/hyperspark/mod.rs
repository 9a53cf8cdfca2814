//! What do HyperSpark Memory's callers ask, and how are they answered?
//!
//! Tenants, and what is remembered of their users. A tenant is a partition of the collection `memory`; a call without a
//! `tenantId` is about the workspace's own memories, in that collection's default partition. `reach` decides which of them a
//! call is about, before anything of it is read; `docs/memory.md` tells callers the rest.
//!
//! Invariants:
//! 1. A tenant that is another workspace's, or out of the key's reach, or isn't there, gets the same 403 on the same path.
//! 2. A memory is written under its user and is answered to that user alone; a recall can't do without one.

pub(crate) mod forget;
mod importance;
pub(crate) mod ingest;
pub(crate) mod memories;
pub(crate) mod organization;
mod reach;
pub(crate) mod recall;
mod record;
pub(crate) mod tenants;
mod told;
pub(crate) mod usage;

use std::sync::Arc;

use strongroom_engine::WorkspaceId;

use crate::app::App;
use crate::control::Collection;
use crate::message::error::ApiError;
use crate::tenancy::ensure_collection;
use crate::tenants::COLLECTION;

/// The collection that memories are in, made for the first tenant or memory of a workspace.
fn collection(app: &App, workspace: WorkspaceId) -> Result<Arc<Collection>, ApiError> {
    ensure_collection(&app.control, workspace, COLLECTION, || app.default_collection())
}
