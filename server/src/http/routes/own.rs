//! Which routes are the server's own?

use super::{Access, BodyKind, Kind, Partition, Route};
use crate::api::{admin, receipts, system, usage};
use crate::control::scopes::Scope;

/// Receipts are read by whoever may look into what was done, and by whoever may do it.
const RECEIPTS: Access = Access::Past(&[Scope::AuditRead, Scope::PartitionDelete]);

const USAGE: &[&str] = &["window_days", "limit", "offset", "format", "by"];
const AUDIT: &[&str] = &["action", "actor_id", "resource_type", "resource_id", "limit", "offset"];

/// What was erased, who may do what, what was done, and how the server is.
pub(super) static ROUTES: &[Route] = &[
    // What was erased
    route!("GET" "/v1/receipts", Free, RECEIPTS, None, &["limit", "after"], None, 200,
        "The signed receipts of what was erased", receipts::list),
    route!("GET" "/v1/receipts/{id}", Free, RECEIPTS, None, &[], None, 200,
        "A signed receipt", receipts::get),
    // Workspaces, keys, and what was done
    route!("POST" "/v1/admin/workspaces", Admin, Access::AnyKey, None, &[], Json, 201,
        "Make a workspace", admin::workspaces::create),
    route!("GET" "/v1/admin/workspaces", Admin, Access::AnyKey, None, &[], None, 200,
        "The workspaces that the key sees", admin::workspaces::list),
    route!("GET" "/v1/admin/workspaces/{id}", Admin, Access::AnyKey, None, &[], None, 200,
        "A workspace", admin::workspaces::get),
    route!("DELETE" "/v1/admin/workspaces/{id}", Admin, Access::AnyKey, None, &[], None, 200,
        "Delete a workspace for good", admin::workspaces::delete),
    route!("POST" "/v1/admin/api-keys", Admin, Access::Key(Scope::Keys), None, &[], Json, 201,
        "Mint an API key", admin::keys::create),
    route!("GET" "/v1/admin/api-keys", Admin, Access::Key(Scope::Keys), None, &["limit", "offset"], None, 200,
        "The API keys, without their secrets", admin::keys::list),
    route!("GET" "/v1/admin/api-keys/{id}", Admin, Access::Key(Scope::Keys), None, &[], None, 200,
        "An API key, without its secret", admin::keys::get),
    route!("PATCH" "/v1/admin/api-keys/{id}", Admin, Access::Key(Scope::Keys), None, &[], Json, 200,
        "Rename or narrow an API key", admin::keys::change),
    route!("DELETE" "/v1/admin/api-keys/{id}", Admin, Access::Key(Scope::Keys), None, &[], None, 200,
        "Revoke an API key", admin::keys::revoke),
    route!("POST" "/v1/admin/api-keys/{id}/rotate", Admin, Access::Key(Scope::Keys), None, &[], None, 201,
        "Give an API key a new secret", admin::keys::rotate),
    route!("GET" "/v1/admin/audit", Admin, Access::Past(&[Scope::AuditRead]), None, AUDIT, None, 200,
        "What was done in the workspace, and by whom, newest first", admin::audit::list),
    // What was used, and what may be
    route!("GET" "/v1/usage", Free, Access::Key(Scope::UsageRead), None, USAGE, None, 200,
        "What was used, by collection, day, key and partition", usage::get),
    route!("GET" "/v1/admin/quotas", Admin, Access::Key(Scope::Keys), None, &["limit", "offset"], None, 200,
        "The quotas that the key sees", admin::quotas::list),
    route!("PUT" "/v1/admin/quotas", Admin, Access::Key(Scope::Keys), None, &[], Json, 200,
        "Set or remove a quota of a workspace, a collection or a partition, or of each partition", admin::quotas::set),
    // The server itself
    route!("GET" "/status", Free, Access::OpenOrKey, None, &[], None, 200,
        "Version, and with a key its workspace's counts", system::status),
    route!("GET" "/v1/status", Free, Access::OpenOrKey, None, &[], None, 200,
        "Version, and with a key its workspace's counts", system::status),
    route!("GET" "/healthz", Free, Access::Open, None, &[], None, 200, "The process lives", system::healthz),
    route!("GET" "/readyz", Free, Access::Open, None, &[], None, 200, "The server serves", system::readyz),
    route!("GET" "/metrics", Free, Access::Open, None, &[], None, 200, "Counters for Prometheus", system::metrics),
    route!("GET" "/openapi.json", Free, Access::Open, None, &[], None, 200, "This document", system::openapi),
];
