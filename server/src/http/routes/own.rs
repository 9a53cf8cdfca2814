//! Which routes are the server's own?

use super::{Access, BodyKind, Kind, Partition, Route, not_offered};
use crate::api::{admin, people, receipts, system, usage};
use crate::console;
use crate::control::scopes::Scope;

/// Receipts are read by whoever may look into what was done, and by whoever may do it.
const RECEIPTS: Access = Access::Past(&[Scope::AuditRead, Scope::PartitionDelete]);

const USAGE: &[&str] = &["window_days", "limit", "offset", "format", "by"];
const AUDIT: &[&str] =
    &["action", "actor_id", "resource_type", "resource_id", "since", "until", "limit", "offset"];
const READ_AUDIT: Access = Access::Past(&[Scope::AuditRead]);
const MEMBERS: Access = Access::Key(Scope::Members);
const PAGE: &[&str] = &["limit", "offset"];

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
    route!("PATCH" "/v1/admin/workspaces/{id}", Admin, Access::Key(Scope::All), None, &[], Json, 200,
        "Change how a workspace's partitions are made and thrown away", admin::workspaces::change),
    route!("DELETE" "/v1/admin/workspaces/{id}", Admin, Access::AnyKey, None, &[], None, 200,
        "Delete a workspace for good", admin::workspaces::delete),
    route!("POST" "/v1/admin/api-keys", Admin, Access::Key(Scope::Keys), None, &[], Json, 201,
        "Mint an API key", admin::keys::create),
    route!("GET" "/v1/admin/api-keys", Admin, Access::Key(Scope::Keys), None, PAGE, None, 200,
        "The API keys, without their secrets", admin::keys::list),
    route!("GET" "/v1/admin/api-keys/{id}", Admin, Access::Key(Scope::Keys), None, &[], None, 200,
        "An API key, without its secret", admin::keys::get),
    route!("PATCH" "/v1/admin/api-keys/{id}", Admin, Access::Key(Scope::Keys), None, &[], Json, 200,
        "Rename or narrow an API key", admin::keys::change),
    route!("DELETE" "/v1/admin/api-keys/{id}", Admin, Access::Key(Scope::Keys), None, &[], None, 200,
        "Revoke an API key", admin::keys::revoke),
    route!("POST" "/v1/admin/api-keys/{id}/rotate", Admin, Access::Key(Scope::Keys), None, &[], None, 201,
        "Give an API key a new secret", admin::keys::rotate),
    route!("GET" "/v1/admin/audit", Admin, READ_AUDIT, None, AUDIT, None, 200,
        "What was done in the workspace, and by whom, newest first", admin::audit::list),
    route!("GET" "/v1/admin/audit/head", Admin, READ_AUDIT, None, &[], None, 200,
        "The hash that stands for the whole audit log, to be kept elsewhere", admin::audit::head),
    route!("GET" "/v1/admin/audit/export", Admin, READ_AUDIT, None, &[], None, 200,
        "The whole audit log as JSON Lines, oldest first", admin::audit::export),
    // Members
    route!("GET" "/v1/admin/members", Admin, MEMBERS, None, PAGE, None, 200,
        "The members of the workspace", admin::members::list),
    route!("POST" "/v1/admin/members", Admin, MEMBERS, None, &[], Json, 201,
        "Make a member with a password", admin::members::create),
    route!("PATCH" "/v1/admin/members/{id}", Admin, MEMBERS, None, &[], Json, 200,
        "Change a member's role, name, email or password", admin::members::change),
    route!("DELETE" "/v1/admin/members/{id}", Admin, MEMBERS, None, &[], None, 200,
        "Remove a member", admin::members::remove),
    route!("GET" "/v1/admin/users", Admin, MEMBERS, None, PAGE, None, 200,
        "The members of the workspace, for bigRAG's clients", admin::members::list_users),
    route!("POST" "/v1/admin/users", Admin, MEMBERS, None, &[], Json, 201,
        "Make a member with a password, for bigRAG's clients", admin::members::create),
    route!("PATCH" "/v1/admin/users/{id}", Admin, MEMBERS, None, &[], Json, 200,
        "Change a member, for bigRAG's clients", admin::members::change),
    route!("DELETE" "/v1/admin/users/{id}", Admin, MEMBERS, None, &[], None, 200,
        "Remove a member, for bigRAG's clients", admin::members::remove),
    route!("POST" "/v1/admin/invitations", Admin, MEMBERS, None, &[], Json, 201,
        "Invite somebody by a link", admin::invitations::create),
    route!("GET" "/v1/admin/invitations", Admin, MEMBERS, None, &[], None, 200,
        "The invitations that stand", admin::invitations::list),
    route!("DELETE" "/v1/admin/invitations/{id}", Admin, MEMBERS, None, &[], None, 200,
        "Take an invitation back", admin::invitations::revoke),
    // People
    route!("GET" "/v1/auth/setup-status", Free, Access::OpenOrKey, None, &[], None, 200,
        "Whether the workspace has no member yet", people::entrance::setup_status),
    route!("POST" "/v1/auth/setup", Free, Access::Key(Scope::All), None, &[], Json, 200,
        "Make the workspace's first owner, with an owner's key", people::entrance::setup),
    route!("POST" "/v1/auth/login", Free, Access::Open, None, &[], Json, 200,
        "Sign in with email and password", people::entrance::login),
    route!("POST" "/v1/auth/accept", Free, Access::Open, None, &[], Json, 200,
        "Accept an invitation", people::entrance::accept),
    route!("POST" "/v1/auth/logout", Free, Access::AnyKey, None, &[], None, 200,
        "End this session", people::entrance::logout),
    route!("POST" "/v1/auth/logout-all", Free, Access::AnyKey, None, &[], None, 200,
        "End all of one's sessions", people::entrance::logout_all),
    route!("GET" "/v1/auth/me", Free, Access::AnyKey, None, &[], None, 200,
        "Who is signed in", people::own::me),
    route!("GET" "/v1/auth/whoami", Free, Access::AnyKey, None, &[], None, 200,
        "Whose session or key this is, and what it may do", people::own::whoami),
    route!("POST" "/v1/auth/password", Free, Access::AnyKey, None, &[], Json, 200,
        "Change one's own password", people::own::change_password),
    route!(later "/v1/auth/preferences", "One's preferences"),
    route!("GET" "/console/accept", Free, Access::Open, None, &[], None, 200,
        "The page that an invitation's link opens", console::accept),
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
    route!("GET" "/health", Free, Access::Open, None, &[], None, 200,
        "The process lives, for bigRAG's clients", system::healthz),
    route!("GET" "/health/ready", Free, Access::Open, None, &[], None, 200,
        "The server serves, for bigRAG's clients", system::readyz),
    route!("GET" "/readyz", Free, Access::Open, None, &[], None, 200, "The server serves", system::readyz),
    route!("GET" "/metrics", Free, Access::Open, None, &[], None, 200, "Counters for Prometheus", system::metrics),
    route!("GET" "/openapi.json", Free, Access::Open, None, &[], None, 200, "This document", system::openapi),
    route!("GET" "/docs", Free, Access::Open, None, &[], None, 200, "This document, for people", console::docs),
];
