//! How is each route on data called, with a partition and without one?
//!
//! One [`Case`] for each route of the kind `Data` in the server's own table. A suite that walks all of them first
//! asks [`uncovered`]: a route on data that nobody walks would be a way around the partition rule.

use serde_json::{Value, json};

use crate::client::{Answer, Client, encoded, with_query};

/// What a call is about.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The partition to name, if any: for a route on memories, the tenant.
    pub partition: Option<&'a str>,
    /// The document, for routes that name one.
    pub id: &'a str,
    /// How long the collection's vectors are.
    pub dimension: usize,
}

/// A route on data and how to call it.
pub struct Case {
    /// Its method.
    pub method: &'static str,
    /// Its path as the server's table has it.
    pub path: &'static str,
    /// Whether it names a document.
    pub by_id: bool,
    /// Calls it with something acceptable.
    pub call: fn(&Client, &Target<'_>) -> Answer,
}

fn query(path: &str, target: &Target<'_>, more: &[(&str, &str)]) -> String {
    let mut pairs = more.to_vec();
    pairs.extend(target.partition.map(|p| ("partition", p)));
    with_query(path, &pairs)
}

fn document(target: &Target<'_>, rest: &str, more: &[(&str, &str)]) -> String {
    query(&format!("/v1/documents/{}{rest}", encoded(target.id)), target, more)
}

/// A JSON object that names the partition.
fn scoped(target: &Target<'_>, mut body: Value) -> Value {
    if let Some(partition) = target.partition {
        body["partition"] = partition.into();
    }
    body
}

/// A JSON object of a route on memories: it names a user and, if there is one, the tenant.
fn of_tenant(target: &Target<'_>, mut body: Value) -> Value {
    if let Some(tenant) = target.partition {
        body["tenantId"] = tenant.into();
    }
    body["userId"] = "walker".into();
    body
}

fn memory_query(path: &str, target: &Target<'_>) -> String {
    let mut pairs = vec![("userId", "walker")];
    pairs.extend(target.partition.map(|tenant| ("tenantId", tenant)));
    with_query(path, &pairs)
}

/// A vector that the collection takes.
pub fn vector(dimension: usize, seed: usize) -> Vec<f32> {
    (0..dimension).map(|i| if i % 7 == seed % 7 { 0.5 } else { 0.125 }).collect()
}

/// An address in the collection `default`.
fn in_default(target: &Target<'_>, rest: &str) -> String {
    query(&format!("/v1/collections/default{rest}"), target, &[])
}

/// A document's there.
fn document_in_default(target: &Target<'_>, rest: &str) -> String {
    in_default(target, &format!("/documents/{}{rest}", encoded(target.id)))
}

/// POST of a form with one file.
fn form(client: &Client, path: &str) -> Answer {
    let kind = "multipart/form-data; boundary=walk";
    let body = "--walk\r\ncontent-disposition: form-data; name=\"file\"; filename=\"walk.txt\"\r\n\r\n\
                A walk along every route.\r\n--walk--\r\n";
    client.send("POST", path, &[("content-type", kind)], body.into())
}

const TEXT_FILE: &[(&str, &str)] = &[("filename", "walk.txt"), ("content_type", "text/plain")];
const BODY: &[u8] = b"A walk along every route.";

impl Case {
    /// Whether its partition is a tenant, which somebody has to have made.
    pub fn is_of_tenants(&self) -> bool {
        self.path.starts_with("/api/v1/")
    }
}

/// Every route on data.
pub const CASES: &[Case] = &[
    Case {
        method: "POST",
        path: "/v1/documents",
        by_id: false,
        call: |client, t| client.post_bytes(&query("/v1/documents", t, TEXT_FILE), BODY),
    },
    Case {
        method: "GET",
        path: "/v1/documents",
        by_id: false,
        call: |client, t| client.get(&query("/v1/documents", t, &[("limit", "10")])),
    },
    Case {
        method: "POST",
        path: "/v1/documents/async",
        by_id: false,
        call: |client, t| client.post_bytes(&query("/v1/documents/async", t, TEXT_FILE), BODY),
    },
    Case {
        method: "POST",
        path: "/v1/documents/embed",
        by_id: false,
        call: |client, t| {
            let body = json!({"content": "own vectors", "filename": "v.txt", "content_type": "text/plain",
                "embedding": vector(t.dimension, 1)});
            client.post("/v1/documents/embed", &scoped(t, body))
        },
    },
    Case {
        method: "POST",
        path: "/v1/documents/batch",
        by_id: false,
        call: |client, t| {
            let one = scoped(t, json!({"filename": "b.txt", "content": "one of a batch"}));
            client.post("/v1/documents/batch", &json!({"documents": [one]}))
        },
    },
    Case {
        method: "GET",
        path: "/v1/documents/{id}",
        by_id: true,
        call: |client, t| client.get(&document(t, "", &[])),
    },
    Case {
        method: "PUT",
        path: "/v1/documents/{id}",
        by_id: true,
        call: |client, t| client.put_bytes(&document(t, "", TEXT_FILE), BODY),
    },
    Case {
        method: "DELETE",
        path: "/v1/documents/{id}",
        by_id: true,
        call: |client, t| client.delete(&document(t, "", &[])),
    },
    Case {
        method: "POST",
        path: "/v1/documents/{id}/restore",
        by_id: true,
        call: |client, t| client.post_bytes(&document(t, "/restore", &[]), b""),
    },
    Case {
        method: "GET",
        path: "/v1/documents/{id}/download",
        by_id: true,
        call: |client, t| client.get(&document(t, "/download", &[])),
    },
    Case {
        method: "GET",
        path: "/v1/documents/{id}/text",
        by_id: true,
        call: |client, t| client.get(&document(t, "/text", &[])),
    },
    Case {
        method: "GET",
        path: "/v1/export",
        by_id: false,
        call: |client, t| client.get(&query("/v1/export", t, &[])),
    },
    Case {
        method: "POST",
        path: "/v1/import",
        by_id: false,
        call: |client, t| {
            // What a partition exports it knows.
            let bundle = client.get(&query("/v1/export", t, &[]));
            client.post_bytes(&query("/v1/import", t, &[]), &bundle.body)
        },
    },
    Case {
        method: "POST",
        path: "/v1/threads/{id}/append",
        by_id: false,
        call: |client, t| {
            client.post(
                &query("/v1/threads/walk/append", t, &[]),
                &json!({"text": "A walk along every route."}),
            )
        },
    },
    Case {
        method: "GET",
        path: "/v1/threads/{id}",
        by_id: false,
        call: |client, t| client.get(&query("/v1/threads/walk", t, &[])),
    },
    Case {
        method: "PUT",
        path: "/v1/threads/{id}/acl",
        by_id: false,
        call: |client, t| {
            client.put(&query("/v1/threads/walk/acl", t, &[]), &json!({"acl_readers": ["user:walker"]}))
        },
    },
    Case {
        method: "DELETE",
        path: "/v1/threads/{id}",
        by_id: false,
        call: |client, t| client.delete(&query("/v1/threads/walk", t, &[])),
    },
    Case {
        method: "POST",
        path: "/v1/threads/{id}/restore",
        by_id: false,
        call: |client, t| client.post_bytes(&query("/v1/threads/walk/restore", t, &[]), b""),
    },
    Case {
        method: "GET",
        path: "/v1/documents/{id}/summary",
        by_id: true,
        call: |client, t| client.get(&document(t, "/summary", &[])),
    },
    Case {
        method: "PUT",
        path: "/v1/documents/{id}/summary",
        by_id: true,
        call: |client, t| client.put(&document(t, "/summary", &[]), &json!({"content": "A walk."})),
    },
    Case {
        method: "POST",
        path: "/v1/documents/{id}/summary",
        by_id: true,
        call: |client, t| client.post_bytes(&document(t, "/summary", &[("force", "true")]), b""),
    },
    Case {
        method: "POST",
        path: "/v1/documents/backfill-entity",
        by_id: false,
        call: |client, t| {
            client.post(&query("/v1/documents/backfill-entity", t, &[]), &json!({"tag_prefix": "of:"}))
        },
    },
    Case {
        method: "GET",
        path: "/v1/search",
        by_id: false,
        call: |client, t| client.get(&query("/v1/search", t, &[("q", "walk"), ("k", "5")])),
    },
    Case {
        method: "POST",
        path: "/v1/search/embed",
        by_id: false,
        call: |client, t| {
            let body = json!({"embedding": vector(t.dimension, 1), "k": 5, "include_content": true});
            client.post("/v1/search/embed", &scoped(t, body))
        },
    },
    Case {
        method: "POST",
        path: "/v1/search/batch",
        by_id: false,
        call: |client, t| {
            let one = scoped(t, json!({"q": "walk", "k": 5}));
            client.post("/v1/search/batch", &json!({"queries": [one]}))
        },
    },
    Case {
        method: "POST",
        path: "/v1/collections/{name}/documents",
        by_id: false,
        call: |client, t| form(client, &in_default(t, "/documents")),
    },
    Case {
        method: "GET",
        path: "/v1/collections/{name}/documents",
        by_id: false,
        call: |client, t| client.get(&in_default(t, "/documents")),
    },
    Case {
        method: "GET",
        path: "/v1/collections/{name}/documents/{id}",
        by_id: true,
        call: |client, t| client.get(&document_in_default(t, "")),
    },
    Case {
        method: "GET",
        path: "/v1/collections/{name}/documents/{id}/chunks",
        by_id: true,
        call: |client, t| client.get(&document_in_default(t, "/chunks")),
    },
    Case {
        method: "GET",
        path: "/v1/documents/{id}/chunks",
        by_id: true,
        call: |client, t| client.get(&document(t, "/chunks", &[])),
    },
    Case {
        method: "GET",
        path: "/v1/collections/{name}/documents/{id}/file",
        by_id: true,
        call: |client, t| client.get(&document_in_default(t, "/file")),
    },
    Case {
        method: "POST",
        path: "/v1/collections/{name}/documents/{id}/reprocess",
        by_id: true,
        call: |client, t| client.post_bytes(&document_in_default(t, "/reprocess"), b""),
    },
    Case {
        method: "POST",
        path: "/v1/collections/{name}/documents/batch/upload",
        by_id: false,
        call: |client, t| form(client, &in_default(t, "/documents/batch/upload")),
    },
    Case {
        method: "POST",
        path: "/v1/collections/{name}/documents/batch/get",
        by_id: false,
        call: |client, t| {
            client.post(&in_default(t, "/documents/batch/get"), &json!({"document_ids": [t.id]}))
        },
    },
    Case {
        method: "POST",
        path: "/v1/collections/{name}/documents/batch/status",
        by_id: false,
        call: |client, t| {
            client.post(&in_default(t, "/documents/batch/status"), &json!({"document_ids": [t.id]}))
        },
    },
    Case {
        method: "POST",
        path: "/v1/collections/{name}/documents/batch/delete",
        by_id: false,
        // Not the target: a walk goes on with it.
        call: |client, t| {
            client.post(&in_default(t, "/documents/batch/delete"), &json!({"document_ids": ["nobody"]}))
        },
    },
    Case {
        method: "POST",
        path: "/v1/collections/{name}/vectors/upsert",
        by_id: false,
        call: |client, t| {
            let one = json!({"id": "walked", "embedding": vector(t.dimension, 1), "text": "a walk"});
            client.post(&in_default(t, "/vectors/upsert"), &json!({"vectors": [one]}))
        },
    },
    Case {
        method: "POST",
        path: "/v1/collections/{name}/vectors/delete",
        by_id: false,
        call: |client, t| client.post(&in_default(t, "/vectors/delete"), &json!({"ids": ["walked"]})),
    },
    Case {
        method: "POST",
        path: "/v1/collections/{name}/query",
        by_id: false,
        call: |client, t| client.post(&in_default(t, "/query"), &json!({"query": "walk", "top_k": 5})),
    },
    Case {
        method: "POST",
        path: "/v1/query",
        by_id: false,
        call: |client, t| {
            let body = json!({"query": "walk", "collections": ["default"]});
            client.post(&query("/v1/query", t, &[]), &body)
        },
    },
    Case {
        method: "POST",
        path: "/v1/batch/query",
        by_id: false,
        call: |client, t| {
            let one = json!({"query": "walk", "collection": "default"});
            client.post(&query("/v1/batch/query", t, &[]), &json!({"queries": [one]}))
        },
    },
    Case {
        method: "DELETE",
        path: "/v1/collections/{name}/documents/{id}",
        by_id: true,
        call: |client, t| client.delete(&document_in_default(t, "")),
    },
    Case {
        method: "POST",
        path: "/api/v1/memory/ingest",
        by_id: false,
        call: |client, t| {
            let body = json!({"messages": [{"role": "user", "content": "I walk along every route"}]});
            client.post("/api/v1/memory/ingest", &of_tenant(t, body))
        },
    },
    Case {
        method: "POST",
        path: "/api/v1/memory/recall",
        by_id: false,
        call: |client, t| client.post("/api/v1/memory/recall", &of_tenant(t, json!({"query": "walk"}))),
    },
    Case {
        method: "POST",
        path: "/api/v1/memory/recent",
        by_id: false,
        call: |client, t| client.post("/api/v1/memory/recent", &of_tenant(t, json!({}))),
    },
    Case {
        method: "GET",
        path: "/api/v1/memory/recent",
        by_id: false,
        call: |client, t| client.get(&memory_query("/api/v1/memory/recent", t)),
    },
    Case {
        method: "POST",
        path: "/api/v1/memory/stats",
        by_id: false,
        call: |client, t| client.post("/api/v1/memory/stats", &of_tenant(t, json!({}))),
    },
    Case {
        method: "GET",
        path: "/api/v1/memory/stats",
        by_id: false,
        call: |client, t| client.get(&memory_query("/api/v1/memory/stats", t)),
    },
    Case {
        method: "GET",
        path: "/v1/schema/fields",
        by_id: false,
        call: |client, t| client.get(&query("/v1/schema/fields", t, &[])),
    },
    Case {
        method: "PUT",
        path: "/v1/schema/fields",
        by_id: false,
        call: |client, t| {
            let body =
                json!({"fields": [{"name": "walked", "type": "int", "source": {"metadata": "walked"}}]});
            client.put(&query("/v1/schema/fields", t, &[]), &body)
        },
    },
    Case {
        method: "DELETE",
        path: "/v1/schema/fields/{name}",
        by_id: false,
        call: |client, t| client.delete(&query("/v1/schema/fields/walked", t, &[])),
    },
    Case {
        method: "POST",
        path: "/api/v1/memory/forget",
        by_id: false,
        call: |client, t| client.post("/api/v1/memory/forget", &of_tenant(t, json!({}))),
    },
];

/// Routes of this table (method and path) that no case calls, and cases for routes that aren't in it.
pub fn uncovered<'a>(table: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let table: Vec<(&str, &str)> = table.collect();
    let without_case = table.iter().filter(|(m, p)| !CASES.iter().any(|c| c.method == *m && c.path == *p));
    let without_route = CASES.iter().filter(|c| !table.contains(&(c.method, c.path)));
    let mut uncovered: Vec<String> = without_case.map(|(m, p)| format!("{m} {p} has no case")).collect();
    uncovered.extend(without_route.map(|c| format!("{} {} is no route on data", c.method, c.path)));
    uncovered
}

/// How long the vectors of the collection `default` are: the server says so when they are not.
pub fn dimension(client: &Client) -> usize {
    let body =
        json!({"content": "x", "filename": "x.txt", "embedding": [1.0], "partition": "dimension probe"});
    let text = client.post("/v1/documents/embed", &body).expect(422).json()["error"].to_string();
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    numbers.filter(|n| *n > 1).max().unwrap_or_else(|| panic!("no dimension in {text}"))
}

#[cfg(test)]
mod tests {
    use super::{CASES, uncovered};

    #[test]
    fn a_route_that_nobody_walks_is_named() {
        let table = || CASES.iter().map(|c| (c.method, c.path));
        assert_eq!(uncovered(table()), [""; 0]);
        assert_eq!(uncovered(table().chain([("GET", "/v1/nowhere")])), ["GET /v1/nowhere has no case"]);
        assert_eq!(uncovered(table().skip(1)), ["POST /v1/documents is no route on data"]);
    }
}
