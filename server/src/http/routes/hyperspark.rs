//! Which routes do HyperSpark Memory's callers call?

use super::{Access, BodyKind, Kind, Partition, Route};
use crate::api::hyperspark::{forget, ingest, memories, organization, recall, tenants};
use crate::control::scopes::Scope;

const PAGE: &[&str] = &["limit", "offset"];
const TENANT: &[&str] = &["tenantId"];
const RECENT: &[&str] = &["tenantId", "userId", "limit"];
const STATS: &[&str] = &["tenantId", "userId"];

/// Those that keep keys.
pub(super) const KEEP_KEYS: &[(&str, &str)] =
    &[("POST", "/api/v1/memory/ingest"), ("POST", "/api/v1/memory/forget")];

/// Tenants and what is remembered of their users.
pub(super) static ROUTES: &[Route] = &[
    // Tenants
    route!("POST" "/api/v1/tenants", Free, Access::Key(Scope::DocumentUpload), None, &[], Json, 201,
        "Make a tenant", tenants::create),
    route!("GET" "/api/v1/tenants", Free, Access::Key(Scope::PartitionRead), None, PAGE, None, 200,
        "The tenants, oldest first", tenants::list),
    route!("GET" "/api/v1/tenants/{id}", Free, Access::Key(Scope::PartitionRead), InPath, &[], None, 200,
        "A tenant", tenants::get),
    route!("PATCH" "/api/v1/tenants/{id}", Free, Access::Key(Scope::DocumentUpload), InPath, &[], Json, 200,
        "Give a tenant another name", tenants::change),
    route!("DELETE" "/api/v1/tenants/{id}", Free, Access::Key(Scope::PartitionDelete), InPath, &[], None, 200,
        "Delete a tenant for good, with a receipt", tenants::delete),
    // Memories
    route!("POST" "/api/v1/memory/ingest", Data, Access::Key(Scope::DocumentUpload), TenantInBody, TENANT, Json, 200,
        "Remember what was said", ingest::ingest),
    route!("POST" "/api/v1/memory/recall", Data, Access::Key(Scope::QueryRead), TenantInBody, TENANT, Json, 200,
        "Recall what answers a question, by relevance, recency and importance", recall::recall),
    route!("POST" "/api/v1/memory/recent", Data, Access::Key(Scope::DocumentRead), TenantInBody, TENANT, Json, 200,
        "What was remembered of a user lately", memories::recent),
    route!("GET" "/api/v1/memory/recent", Data, Access::Key(Scope::DocumentRead), TenantInQuery, RECENT, None, 200,
        "What was remembered of a user lately", memories::recent_by_query),
    route!("POST" "/api/v1/memory/stats", Data, Access::Key(Scope::DocumentRead), TenantInBody, TENANT, Json, 200,
        "How much is remembered", memories::stats),
    route!("GET" "/api/v1/memory/stats", Data, Access::Key(Scope::DocumentRead), TenantInQuery, STATS, None, 200,
        "How much is remembered", memories::stats_by_query),
    route!("POST" "/api/v1/memory/forget", Data, Access::Key(Scope::DocumentDelete), TenantInBody, TENANT, Json, 200,
        "Forget a memory, or all of a user, for good", forget::forget),
    // The organization
    route!("GET" "/api/v1/organization", Free, Access::AnyKey, None, &[], None, 200,
        "What the key's organization is", organization::get),
    route!("GET" "/api/v1/usage", Free, Access::Key(Scope::UsageRead), None, PAGE, None, 200,
        "What the organization and its tenants used this month", organization::usage),
];
