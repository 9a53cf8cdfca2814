//! Which routes are there, and what does each ask for?
//!
//! The one table, in a part for each client that the server speaks with. The router, the checks before a handler, `/openapi.json` and the tests that walk all routes are made
//! from it, so a route without an entry can't exist.
//!
//! Invariants:
//! 1. A route of the kind `Data` never answers before a partition was decided by `auth/reach.rs`.
//! 2. A query parameter that isn't in `params` is refused.

use crate::api::not_offered;
use crate::call::{Describe, Handler};
use crate::control::scopes::Scope;

/// The entry of a route whose handler is an `async fn(Call) -> Result<Answer<B>, ApiError>`, or takes a `With<B>` when it reads
/// a body. What both bodies are is told by their types alone (`message/content.rs`).
macro_rules! route {
    ($method:literal $path:literal, $kind:ident, $access:expr, $partition:ident, $params:expr, $body:ident,
     $status:literal, $summary:literal, $handler:path) => {
        Route {
            method: $method,
            path: $path,
            kind: Kind::$kind,
            access: $access,
            partition: Partition::$partition,
            params: $params,
            body: BodyKind::$body,
            status: $status,
            summary: $summary,
            handler: |call| crate::call::handle($handler, call),
            describe: |reads, writes| crate::call::describe($handler, reads, writes),
        }
    };
    (later $path:literal, $summary:literal) => {
        route!("*" $path, Free, Access::AnyKey, None, &[], None, 501, $summary, not_offered::answer)
    };
}

mod aether;
mod bigrag;
mod hyperspark;
mod own;

/// Every route there is.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    [aether::ROUTES, bigrag::ROUTES, hyperspark::ROUTES, own::ROUTES].into_iter().flatten()
}

/// The routes on which a request is done once under its `Idempotency-Key`. Each makes one write in each partition that it acts on: a
/// second one would be taken for the first one's repetition.
fn kept_keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    [aether::KEEP_KEYS, bigrag::KEEP_KEYS, hyperspark::KEEP_KEYS].into_iter().flatten().copied()
}

/// What a route touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One partition's data: bound by the partition rule.
    Data,
    /// Workspaces, keys and the audit log.
    Admin,
    /// Neither: free of the partition rule.
    Free,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Anyone; with a key it says more.
    OpenOrKey,
    /// Any live key.
    AnyKey,
    /// A key with this scope.
    Key(Scope),
    /// A key with this scope, or a token in the query that such a key bought.
    KeyOrToken(Scope),
    /// A key that is not pinned, with one of these scopes: it is told what was done in the whole workspace. The operator may
    /// name one that is gone.
    Past(&'static [Scope]),
}

/// Where a request names its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// Nowhere.
    None,
    /// `?partition=`.
    InQuery,
    /// In the JSON body, as `partition` (of each item, in a batch).
    InBody,
    /// In the path.
    InPath,
    /// In a collection of the path or the body: by the tenant that metadata or filters name, or `?partition=`.
    InCollection,
    /// `?tenantId=`.
    TenantInQuery,
    /// In the JSON body, as `tenantId`.
    TenantInBody,
}

/// What a route's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// Not read.
    None,
    /// A JSON object.
    Json,
    /// A document's bytes as they are.
    Document,
    /// Files and fields, as `multipart/form-data`.
    Form,
}

/// A route.
pub struct Route {
    /// `GET`, `POST`, …, or `*` for any.
    pub method: &'static str,
    /// The path, with `{…}` where a value stands.
    pub path: &'static str,
    /// What it touches.
    pub kind: Kind,
    /// Who may call it.
    pub access: Access,
    /// Where its partition is named.
    pub partition: Partition,
    /// The query parameters that it knows.
    pub params: &'static [&'static str],
    /// What its body is.
    pub body: BodyKind,
    /// The status of success.
    pub status: u16,
    /// What it does, in one line.
    pub summary: &'static str,
    pub(crate) handler: Handler,
    pub(crate) describe: Describe,
}

impl Route {
    /// Whether this path is one of the route's.
    pub fn matches(&self, path: &str) -> bool {
        let (mut template, mut path) = (self.path.split('/'), path.split('/'));
        loop {
            match (template.next(), path.next()) {
                (None, None) => return true,
                (Some(part), Some(_)) if part.starts_with("{*") => return true,
                (Some(part), Some(value))
                    if part == value || (part.starts_with('{') && !value.is_empty()) => {}
                _ => return false,
            }
        }
    }

    /// What the request calls its partition.
    pub fn partition_field(&self) -> &'static str {
        match self.partition {
            Partition::TenantInQuery | Partition::TenantInBody => "tenantId",
            _ => "partition",
        }
    }

    /// Whether a request is done once, however often it comes with the same `Idempotency-Key`.
    pub fn keeps_keys(&self) -> bool {
        kept_keys().any(|kept| kept == (self.method, self.path))
    }

    /// Whether it only says that it isn't there yet.
    pub fn is_not_offered(&self) -> bool {
        self.status == 501
    }

    /// Parameters that every route takes and that change nothing on this one.
    pub(crate) fn ignored(&self) -> &'static [&'static str] {
        match (self.kind, self.body) {
            (Kind::Data, BodyKind::Document) => &["partition", "extract_facts"],
            (Kind::Data, _) if self.partition_field() == "partition" => &["partition"],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Lost otherwise: a route on data could be added that answers without a partition.
    #[test]
    fn the_table_agrees_with_itself() {
        let mut seen = HashSet::new();
        for route in routes() {
            let name = format!("{} {}", route.method, route.path);
            assert!(seen.insert(name.clone()), "{name} comes twice");
            let scoped = matches!(route.access, Access::Key(_));
            match route.kind {
                Kind::Data => {
                    assert!(!matches!(route.partition, Partition::None | Partition::InPath), "{name}");
                    assert!(scoped, "{name} asks for no scope");
                    assert!(route.params.contains(&route.partition_field()), "{name}");
                }
                Kind::Admin => assert!(route.path.starts_with("/v1/admin/"), "{name}"),
                Kind::Free => assert_ne!(route.partition, Partition::InQuery, "{name}"),
            }
            assert!(
                !route.summary.is_empty() && route.matches(&route.path.replace(['{', '}', '*'], "")),
                "{name}"
            );
        }
    }

    /// Lost otherwise: a route would be renamed, and its retries would write twice from then on.
    #[test]
    fn every_route_that_keeps_keys_is_there() {
        for (method, path) in kept_keys() {
            let found = routes().find(|route| (route.method, route.path) == (method, path));
            assert!(
                found.is_some_and(|route| route.keeps_keys() && !route.is_not_offered()),
                "{method} {path}"
            );
        }
    }

    /// Lost otherwise: a wrong method's answer would name methods of other routes.
    #[test]
    fn templates_match_whole_paths() {
        let get = routes().find(|route| route.path == "/v1/documents/{id}").unwrap();
        assert!(get.matches("/v1/documents/a%2Fb"));
        assert!(
            !get.matches("/v1/documents/")
                && !get.matches("/v1/documents")
                && !get.matches("/v1/documents/a/b")
        );
    }
}
