//! What is there to leak, and how is each of it told apart in an answer?
//!
//! Two workspaces full of places: partitions of `default`, tenants of a collection that has a tenant's field, a collection without one,
//! tenants with memories. A place's name is its mark, and all that it holds carries its secret, which no request ever names:
//! an answer that has a secret, or a mark that wasn't asked for, of a place that its caller may not see, has leaked it.

use serde_json::{Value, json};

use crate::client::{Client, encoded, with_query};
use crate::collections;
use crate::documents;
use crate::keys::mint;
use crate::memories;
use crate::people::PASSWORD;
use crate::server::Server;

/// One place where data lies, by the ids that outsiders may learn.
#[derive(Debug, Clone)]
pub struct Place {
    /// What it is called, one way or another.
    pub mark: &'static str,
    /// Its workspace's name.
    pub workspace: &'static str,
    /// Its collection.
    pub collection: &'static str,
    /// Its partition, where it isn't the default one.
    pub partition: Option<&'static str>,
    /// A tenant with memories: the place itself, or one of its workspace.
    pub tenant: String,
    /// A document, or a memory.
    pub document: String,
}

impl Place {
    /// Stands in everything that it holds.
    pub fn secret(&self) -> String {
        secret(self.mark)
    }
}

/// What the holder of this mark keeps to itself.
pub fn secret(mark: &str) -> String {
    mark.replacen("xq", "zq", 1)
}

/// What a workspace has beside data.
#[derive(Debug, Clone)]
pub struct Office {
    /// Its name.
    pub name: &'static str,
    /// Its own id.
    pub id: String,
    /// An API key's.
    pub key: String,
    /// A member's.
    pub member: String,
    /// An invitation's.
    pub invitation: String,
    /// A receipt's.
    pub receipt: String,
    /// A job's.
    pub job: String,
}

/// Everything.
pub struct World {
    /// The places, in no order that matters.
    pub places: Vec<Place>,
    /// The offices of `ours` and `theirs`.
    pub offices: [Office; 2],
    /// How long the vectors of `default` are.
    pub dimension: usize,
}

/// Mark, workspace, collection and partition of each place; a place of the collection `memory` is a tenant.
const PLACES: [(&str, &str, &str, Option<&str>); 9] = [
    ("xqdefacme", "ours", "default", Some("xqdefacme")),
    ("xqdefglobex", "ours", "default", Some("xqdefglobex")),
    ("xqdefnone", "ours", "default", None),
    ("xqtenacme", "ours", "shared", Some("xqtenacme")),
    ("xqtenglobex", "ours", "shared", Some("xqtenglobex")),
    ("xqprivate", "ours", "xqprivate", None),
    ("xqmemacme", "ours", "memory", Some("")),
    ("xqmemglobex", "ours", "memory", Some("")),
    ("xqtheirs", "theirs", "default", Some("xqtheirs")),
];

impl World {
    /// Fills a server.
    pub fn fill(server: &Server) -> World {
        let operator = server.operator();
        let dimension = crate::routes::dimension(&operator);
        let offices = [("ours", "zqours"), ("theirs", "zqtheirs")].map(|(name, mark)| {
            let id = operator.post("/v1/admin/workspaces", &json!({"name": name})).expect(201).json()["id"]
                .as_str()
                .expect("an id")
                .to_owned();
            let inside = operator.in_workspace(name);
            collections::make(&inside, json!({"name": "shared", "tenant_field": "tenant"}));
            office(&inside, name, id, mark)
        });
        collections::make(
            &operator.in_workspace("ours"),
            json!({"name": "xqprivate", "description": "zqprivate"}),
        );
        let mut places: Vec<Place> = PLACES
            .iter()
            .map(|&(mark, workspace, collection, partition)| {
                let inside = operator.in_workspace(workspace);
                let (mut place, text) = (
                    Place {
                        mark,
                        workspace,
                        collection,
                        partition,
                        tenant: String::new(),
                        document: String::new(),
                    },
                    format!("{} is a secret about budgets", secret(mark)),
                );
                if collection == "memory" {
                    place.partition = None;
                    place.tenant = memories::tenant(&inside, mark);
                    place.document =
                        memories::ingest(&inside, Some(&place.tenant), mark, &[&text]).swap_remove(0);
                } else {
                    place.document = fill_place(&inside, &place, &text);
                }
                place
            })
            .collect();
        for workspace in ["ours", "theirs"] {
            let known = places.iter().rfind(|p| p.workspace == workspace && !p.tenant.is_empty());
            let tenant = known.map_or_else(
                || memories::tenant(&operator.in_workspace(workspace), "xqtheirs"),
                |place| place.tenant.clone(),
            );
            for place in places.iter_mut().filter(|p| p.workspace == workspace && p.tenant.is_empty()) {
                place.tenant.clone_from(&tenant);
            }
        }
        World { places, offices, dimension }
    }

    /// The office of a place.
    pub fn office(&self, place: &Place) -> &Office {
        &self.offices[usize::from(place.workspace == "theirs")]
    }

    /// All that a place's operator sees of it, for a comparison before and after.
    pub fn inventory(&self, operator: &Client, place: &Place) -> Value {
        let (inside, office) = (operator.in_workspace(place.workspace), self.office(place));
        let documents = match (place.collection, place.partition) {
            ("memory", _) => {
                let pairs = [("tenantId", place.tenant.as_str()), ("userId", place.mark)];
                inside.get(&with_query("/api/v1/memory/recent", &pairs)).expect(200).json()
            }
            (collection, partition) => {
                let pairs: Vec<_> = partition.map(|name| ("partition", name)).into_iter().collect();
                let path = collections::path(collection, "/documents");
                inside.get(&with_query(&path, &pairs)).expect(200).json()
            }
        };
        // Others of the workspace write beside it: how much a collection has is not its own.
        let record = |path: String| {
            let mut record = quiet(inside.get(&path).json());
            if let Some(fields) = record.as_object_mut() {
                fields.remove("document_count");
            }
            record
        };
        json!({
            "documents": documents,
            "collection": record(collections::path(place.collection, "")),
            "tenant": record(format!("/api/v1/tenants/{}", place.tenant)),
            "key": record(format!("/v1/admin/api-keys/{}", office.key)),
            "members": record("/v1/admin/members".to_owned()),
            "invitations": record("/v1/admin/invitations".to_owned()),
        })
    }
}

/// A document with the mark in every field.
fn fill_place(inside: &Client, place: &Place, text: &str) -> String {
    let mark = &place.secret();
    if place.collection != "default" {
        let metadata = json!({"tenant": place.mark, "note": mark});
        return collections::upload(inside, place.collection, text, metadata);
    }
    let tag = format!("{mark}:tag");
    let metadata = json!({mark.as_str(): mark}).to_string();
    let mut pairs = vec![
        ("filename", mark.as_str()),
        ("content_type", "text/plain"),
        ("tags", tag.as_str()),
        ("entity_id", mark.as_str()),
        ("source", mark.as_str()),
        ("metadata", metadata.as_str()),
    ];
    pairs.extend(place.partition.map(|name| ("partition", name)));
    let answer = inside.post_bytes(&with_query("/v1/documents", &pairs), text.as_bytes()).expect(201);
    let named: Vec<_> = place.partition.map(|name| ("partition", name)).into_iter().collect();
    inside.post(&with_query("/v1/threads/talk/append", &named), &json!({"text": text})).expect(201);
    let id = documents::id_of(&answer);
    let summary = with_query(&format!("/v1/documents/{}/summary", encoded(&id)), &named);
    inside.put(&summary, &json!({"content": text})).expect(200);
    id
}

/// Makes what a workspace has beside data, with the mark in every name.
pub fn office(inside: &Client, name: &'static str, id: String, mark: &str) -> Office {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let key = mint(inside, &json!({"name": mark, "scopes": ["query:read"]})).id;
    let email = |part: &str| format!("{mark}-{part}@x.example");
    let member = json!({"email": email("member"), "password": PASSWORD, "display_name": mark});
    let member = text(&inside.post("/v1/admin/members", &member).expect(201).json()["id"]);
    let invited = inside.post("/v1/admin/invitations", &json!({"email": email("guest")})).expect(201).json();
    documents::insert(inside, Some("gone"), "what is gone");
    inside.delete("/v1/partitions/gone").expect(200);
    let receipts = inside.get("/v1/receipts").expect(200).json();
    let job = with_query("/v1/documents/async", &[("filename", mark), ("partition", mark)]);
    let job = inside.post_bytes(&job, b"queued").expect(202).json();
    Office {
        name,
        id,
        key,
        member,
        invitation: text(&invited["id"]),
        receipt: text(&receipts["receipts"][0]["id"]),
        job: text(&job["job_id"]),
    }
}

/// Fields of records that a look at them changes.
const NOISE: [&str; 10] = [
    "query_id",
    "request_id",
    "last_used_at",
    "last_login_at",
    "total_tokens",
    "query_count",
    "avg_latency_ms",
    "queriesThisPeriod",
    "statement",
    "signature",
];

/// Leaves out of a record what looking at it, or time, changes.
pub fn quiet(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for name in NOISE {
                fields.remove(name);
            }
            fields.values_mut().for_each(|field| *field = quiet(std::mem::take(field)));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = quiet(std::mem::take(item))),
        _ => {}
    }
    value
}

/// A route's path with these values in the place of its templates.
///
/// # Panics
/// When a template is not known here: a route that nobody can call is a route that nobody has tried.
pub fn filled(path: &str, place: &Place, office: &Office) -> String {
    let mut out = String::new();
    for part in path.split('/').skip(1) {
        let value = match part {
            "{id}" if path.starts_with("/v1/documents/jobs/") => encoded(&office.job),
            "{id}" if path.starts_with("/v1/threads/") => "talk".to_owned(),
            "{name}" if path.starts_with("/v1/schema/") => "walked".to_owned(),
            "{name}" => encoded(place.collection),
            "{id}" if path.contains("/documents/") || path.starts_with("/v1/audit/") => {
                encoded(&place.document)
            }
            "{id}" if path.starts_with("/v1/partitions/") => encoded(place.partition.unwrap_or("gone")),
            "{id}" if path.starts_with("/api/v1/tenants/") => encoded(&place.tenant),
            "{id}" if path.starts_with("/v1/receipts/") => encoded(&office.receipt),
            "{id}" if path.starts_with("/v1/admin/workspaces/") => encoded(&office.id),
            "{id}" if path.starts_with("/v1/admin/api-keys/") => encoded(&office.key),
            "{id}" if path.starts_with("/v1/admin/members/") => encoded(&office.member),
            "{id}" if path.starts_with("/v1/admin/users/") => encoded(&office.member),
            "{id}" if path.starts_with("/v1/admin/invitations/") => encoded(&office.invitation),
            part if part.starts_with('{') => panic!("{path}: say what stands for {part}"),
            part => part.to_owned(),
        };
        out.push('/');
        out.push_str(&value);
    }
    out
}
