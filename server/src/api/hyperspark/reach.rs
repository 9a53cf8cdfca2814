//! Which tenant's memories is a call about?
//!
//! `tenantId`, in the body or in the query, joined with what the key is kept to (`auth/reach.rs`) and with the tenants that
//! there are. Comes before anything else of the body is looked at.
//!
//! Invariants:
//! 1. A target names a tenant in service, or the workspace's own memories.
//! 2. A key that serves many tenants names one in each call.

use strongroom_engine::{Partition, PartitionName, ReadError};

use crate::app::App;
use crate::auth::{Named, Place};
use crate::call::{Call, place};
use crate::config::Limits;
use crate::control::Tenant;
use crate::ingest;
use crate::message::error::ApiError;
use crate::tenants::COLLECTION;

/// Whose memories a call is about, and the right to reach them.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) place: Place,
    /// `None` for the workspace's own memories.
    pub(super) tenant: Option<Tenant>,
}

/// A field that may be left out, but not be null: a slip that leaves it empty must not reach the parent's memories.
pub(super) type Maybe = Option<Option<String>>;

/// Decides what a call is about.
pub(super) fn target(call: &Call, in_body: &Maybe) -> Result<Target, ApiError> {
    if in_body.as_ref().is_some_and(Option::is_none) {
        return Err(ApiError::malformed(
            "invalid_partition",
            "tenantId is null: give a tenant's id, or leave the field out for your own organization's memories",
        ));
    }
    let (in_body, in_query) = (in_body.as_ref().and_then(Option::as_deref), call.query.get("tenantId"));
    if in_body.is_some() && in_query.is_some() && in_body != in_query {
        return Err(ApiError::malformed(
            "invalid_partition",
            "the address and the body name different tenants; name one",
        ));
    }
    let Target { place, tenant } = find(call, in_body.or(in_query))?;
    call.admit(&place)?;
    Ok(Target { place: call.promised(place), tenant })
}

/// The tenant of this id, or the one that the key is pinned to, or the parent.
pub(super) fn find(call: &Call, id: Option<&str>) -> Result<Target, ApiError> {
    let (app, caller) = (&call.app, call.caller()?);
    let place = place(app, caller, Named { collection: Some(COLLECTION), partition: id })
        .map_err(|error| told(error, caller.is_multi_tenant()))?;
    let workspace = place.scope.workspace();
    let tenant = match place.at.partition.as_ref().map(PartitionName::as_str) {
        None => None,
        Some(id) => Some(app.control.tenant(workspace, id).ok_or_else(no_tenant)?),
    };
    Ok(Target { place, tenant })
}

/// The refusal in the words of these routes.
fn told(error: ApiError, is_multi_tenant: bool) -> ApiError {
    match error.code {
        "partition_required" if is_multi_tenant => ApiError::malformed(
            "partition_required",
            "this key serves many tenants, so every call on memories must name one: add tenantId",
        ),
        // A pin whose partition isn't there is a tenant's that was deleted.
        "partition_required" | "partition_forbidden" => no_tenant(),
        _ => error,
    }
}

/// Not there, or not the caller's: nobody can tell which.
pub(super) fn no_tenant() -> ApiError {
    ApiError::forbidden(
        "tenant_forbidden",
        "there is no such tenant among those that this key reaches; check the tenantId",
    )
}

/// Refuses keys that are kept to one tenant, or to another collection, where the whole organization is meant.
pub(super) fn require_parent(call: &Call) -> Result<(), ApiError> {
    let pins = call.caller()?.pins();
    let elsewhere = pins.collection.as_deref().is_some_and(|own| own != COLLECTION);
    if pins.partition.is_some() || elsewhere {
        return Err(ApiError::forbidden(
            "pinned_key",
            "this is about the whole organization, and this key is pinned to a part of it; use one that is not pinned",
        ));
    }
    Ok(())
}

/// The tenant that the key is pinned to, on routes that name none; `None` for a key of the whole organization.
pub(super) fn own_tenant(call: &Call) -> Result<Option<Target>, ApiError> {
    let Some(pin) = &call.caller()?.pins().partition else { return require_parent(call).map(|()| None) };
    let id = pin.name.as_ref().ok_or_else(no_tenant)?;
    find(call, Some(id.as_str())).map(Some)
}

/// Reads from the target's partition; `None` when nobody's own memories are there yet.
pub(super) fn look_into<T>(
    app: &App,
    target: &Target,
    look: impl FnMut(&Partition) -> Result<T, ReadError>,
) -> Result<Option<T>, ApiError> {
    match ingest::read(&app.store, &target.place, look)? {
        None if target.tenant.is_some() => Err(no_tenant()),
        found => Ok(found),
    }
}

/// Checks a user's id, which these calls can't do without.
pub(super) fn user(id: Option<&str>, limits: &Limits) -> Result<String, ApiError> {
    let most = limits.name_bytes_max;
    match id {
        Some(id) if id.len() > most => {
            Err(ApiError::malformed("too_long", format!("userId has at most {most} bytes")))
        }
        Some(id) if !id.trim().is_empty() => Ok(id.to_owned()),
        _ => Err(ApiError::malformed("user_required", "name the user that this is about: add userId")),
    }
}
