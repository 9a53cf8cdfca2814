//! How are tenants made, listed, renamed and deleted?
//!
//! The acts themselves are in `server/src/tenants.rs`. Making one takes `document:upload`, as everywhere the first write makes a
//! partition; reading takes `partition:read`, deleting `partition:delete`. A key that is pinned to a tenant sees, renames and
//! deletes that one, as far as its scopes go, and makes none.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use strongroom_engine::Filter;

use super::reach::{Target, find, look_into, no_tenant, own_tenant, require_parent};
use super::told::{Deleted, List, Listed, Made, One, Told};
use super::{collection, usage};
use crate::app::App;
use crate::call::{Call, With};
use crate::control::Tenant;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::tenants::{self, Registered, Registration};
use crate::{clock, random, receipt};

const NAME_CHARS_MAX: usize = 128;
const SLUG_BYTES_MAX: usize = 64;
/// A slug that was made of a name leaves room for what tells it from another one.
const SLUG_OF_NAME_BYTES_MAX: usize = 48;
/// Random characters that tell apart two tenants of one name.
const SUFFIX_CHARS: usize = 6;
pub(super) const LIST_LIMIT: u64 = 100;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    /// 1 to 128 characters.
    name: String,
    /// Made of the name when it is not given.
    #[serde(default)]
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$"))]
    slug: Option<String>,
}

/// `POST /api/v1/tenants`
pub(crate) async fn create(mut call: With<NewTenant>) -> Result<Answer<Made>, ApiError> {
    require_parent(&call)?;
    let (new, _) = call.json().await?;
    let name = checked_name(new.name)?;
    let slug = new.slug.map(checked_slug).transpose()?;
    let workspace = call.caller()?.workspace()?.id;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let collection = collection(&app, workspace)?;
        let make = |slug: String| {
            let called = Registration { name: name.clone(), slug };
            tenants::create(&app.control, &app.store, workspace, &collection, called, by.clone())
        };
        let made = match slug {
            Some(slug) => make(slug)?,
            None => match make(slug_of(&name)) {
                Err(error) if error.code == "slug_taken" => make(with_suffix(&slug_of(&name)))?,
                made => made?,
            },
        };
        let told = record(&app, &made, 0)?;
        json::answer(
            StatusCode::CREATED,
            &Made { success: true, tenant_id: made.tenant.id.clone(), tenant: told },
        )
    })
    .await
}

/// `GET /api/v1/tenants`: oldest first.
pub(crate) async fn list(call: Call) -> Result<Answer<List>, ApiError> {
    let (limit, offset) = page(&call)?;
    let own = own_tenant(&call)?;
    let workspace = call.caller()?.workspace()?.id;
    let (total, found) = match own.and_then(|target| target.tenant) {
        Some(own) => (1, if offset == 0 { vec![own] } else { Vec::new() }),
        None => {
            (call.app.control.tenant_count(workspace), call.app.control.tenants_of(workspace, offset, limit))
        }
    };
    let targets = found.iter().map(|tenant| find(&call, Some(&tenant.id))).collect::<Vec<_>>();
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let next = offset.saturating_add(targets.len());
        let tenants = records(&app, targets)?;
        json::answer(
            StatusCode::OK,
            &List { success: true, tenants, total, has_more: next < total, offset, limit },
        )
    })
    .await
}

/// The records of tenants. One that was deleted meanwhile is left out; one that can't be read doesn't hide the others.
pub(super) fn records(app: &App, targets: Vec<Result<Target, ApiError>>) -> Result<Vec<Listed>, ApiError> {
    let mut records = Vec::with_capacity(targets.len());
    for target in targets.into_iter().flatten() {
        let Some(tenant) = target.tenant.clone() else { continue };
        match registered(app, &target).and_then(|found| Ok((memory_count(app, &target)?, found))) {
            Ok((memories, found)) => records.push(Listed::Known(record(app, &found, memories)?)),
            Err(error) if error.code == no_tenant().code => {}
            Err(error) if error.code == "partition_quarantined" => {
                records.push(Listed::unknown(tenant.id, error.code));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

/// Which part of a list is asked for.
pub(super) fn page(call: &Call) -> Result<(usize, usize), ApiError> {
    let most = call.app.limits.list_limit_max as u64;
    let limit = call.query.number("limit", 1..=most)?.unwrap_or(LIST_LIMIT);
    let offset = call.query.number("offset", 0..=u64::MAX)?.unwrap_or(0);
    Ok((usize::try_from(limit).unwrap_or(usize::MAX), usize::try_from(offset).unwrap_or(usize::MAX)))
}

/// `GET /api/v1/tenants/{id}`
pub(crate) async fn get(call: Call) -> Result<Answer<One>, ApiError> {
    let target = in_path(&call)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let found = registered(&app, &target)?;
        let told = record(&app, &found, memory_count(&app, &target)?)?;
        json::answer(StatusCode::OK, &One { success: true, tenant: told })
    })
    .await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TenantChanges")]
pub(crate) struct Changes {
    name: String,
}

/// `PATCH /api/v1/tenants/{id}`: another name. The slug stays: programs know the tenant by it.
pub(crate) async fn change(mut call: With<Changes>) -> Result<Answer<One>, ApiError> {
    let target = in_path(&call)?;
    let (changes, _) = call.json().await?;
    let name = checked_name(changes.name)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let collection = collection(&app, target.place.scope.workspace())?;
        let found = registered(&app, &target)?;
        let renamed =
            tenants::rename(&app.store, &target.place, &collection, found, name)?.ok_or_else(no_tenant)?;
        app.control.tell_tenant_change(&renamed.tenant, by)?;
        let told = record(&app, &renamed, memory_count(&app, &target)?)?;
        json::answer(StatusCode::OK, &One { success: true, tenant: told })
    })
    .await
}

/// `DELETE /api/v1/tenants/{id}`: shreds it.
pub(crate) async fn delete(call: Call) -> Result<Answer<Deleted>, ApiError> {
    let tenant = match in_path(&call) {
        Ok(target) => target.tenant.ok_or_else(no_tenant)?,
        Err(error) => half_deleted(&call).ok_or(error)?,
    };
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let dropped = tenants::delete(&app.control, &app.store, &tenant, by)?;
        app.usage.forget(&tenants::place_of(&tenant)?);
        let (memories, receipt) = dropped.map_or((0, None), |(counts, signed)| {
            (tenants::memories_of(counts) + counts.deleted, Some(signed))
        });
        json::answer(
            StatusCode::OK,
            &Deleted {
                success: true,
                tenant_id: tenant.id.clone(),
                deleted: true,
                memories_deleted: memories,
                receipt_id: receipt.as_ref().map(|signed| random::hex(&signed.receipt.id)),
                receipt: receipt.as_ref().map(receipt::Told::of),
            },
        )
    })
    .await
}

/// One whose deletion failed half-way can be deleted again, by a key of the whole organization.
fn half_deleted(call: &Call) -> Option<Tenant> {
    require_parent(call).ok()?;
    let (workspace, id) = (call.caller().ok()?.workspace().ok()?.id, call.value(0).ok()?);
    call.app.control.tenant_to_delete(workspace, id)
}

/// The tenant that the path names.
fn in_path(call: &Call) -> Result<Target, ApiError> {
    // What can't be an id is no tenant's either.
    find(call, Some(call.value(0)?)).map_err(|error| match error.code {
        "invalid_partition" => no_tenant(),
        _ => error,
    })
}

/// What a target is called.
pub(super) fn registered(app: &App, target: &Target) -> Result<Registered, ApiError> {
    let tenant: Tenant = target.tenant.clone().ok_or_else(no_tenant)?;
    tenants::read(&app.store, &target.place, tenant)?.ok_or_else(no_tenant)
}

/// How much is remembered of a target.
pub(super) fn memory_count(app: &App, target: &Target) -> Result<u64, ApiError> {
    let filter = Filter { condition: Some(tenants::memories_alone()), ..Filter::default() };
    let counted = look_into(app, target, |partition| Ok(partition.list(&filter, 0, 0)?.total))?;
    Ok(counted.unwrap_or_default())
}

/// A tenant in an answer.
pub(super) fn record(app: &App, registered: &Registered, memories: u64) -> Result<Told, ApiError> {
    let Registered { tenant, called, updated_ms } = registered;
    Ok(Told {
        id: tenant.id.clone(),
        name: called.name.clone(),
        slug: called.slug.clone(),
        kind: "tenant",
        parent_id: random::hex(&tenant.workspace.0),
        created_at: clock::rfc3339(tenant.created_ms),
        updated_at: clock::rfc3339(updated_ms.unwrap_or(tenant.created_ms)),
        memory_count: memories,
        queries_this_period: usage::queries(app, tenant.workspace, Some(&tenant.id))?,
    })
}

fn checked_name(name: String) -> Result<String, ApiError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(ApiError::malformed(
            "invalid_name",
            format!("a tenant's name has 1 to {NAME_CHARS_MAX} characters and no control characters"),
        ));
    }
    Ok(name.to_owned())
}

fn checked_slug(slug: String) -> Result<String, ApiError> {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    let begins_plain = slug.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if !begins_plain || slug.len() > SLUG_BYTES_MAX || !slug.bytes().all(is_plain) {
        return Err(ApiError::malformed(
            "invalid_slug",
            format!(
                "a slug has 1 to {SLUG_BYTES_MAX} of a-z, 0-9, - and _, and begins with a letter or digit"
            ),
        ));
    }
    Ok(slug)
}

/// A slug for a tenant that was given none.
fn slug_of(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-");
    slug.truncate(SLUG_OF_NAME_BYTES_MAX);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { with_suffix("tenant") } else { slug.to_owned() }
}

fn with_suffix(slug: &str) -> String {
    format!("{slug}-{}", random::base62(SUFFIX_CHARS).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a slug would be one that no address can carry, or that another tenant can't be told from.
    #[test]
    fn slugs_are_plain() {
        for good in ["acme-corp", "a", "0", "a_b-c", &"x".repeat(64)] {
            assert_eq!(checked_slug(good.to_owned()).unwrap(), good);
        }
        for bad in ["", "Acme", "-a", "_a", "a b", "a/b", "a\n", "é", "..", &"x".repeat(65)] {
            assert_eq!(checked_slug(bad.to_owned()).unwrap_err().code, "invalid_slug", "{bad:?}");
        }
        for (name, slug) in
            [("Acme Corporation", "acme-corporation"), ("  Beta, Inc. ", "beta-inc"), ("4 U", "4-u")]
        {
            assert_eq!(slug_of(name), slug);
        }
        for name in ["客户", "---", &"long name ".repeat(20), "Ünïcode GmbH"] {
            let slug = slug_of(name);
            assert_eq!(checked_slug(slug.clone()).unwrap(), slug, "{name}");
            assert!(checked_slug(with_suffix(&slug)).is_ok(), "{name}");
        }
        assert_ne!(slug_of("客户"), slug_of("客户"));
    }
}
