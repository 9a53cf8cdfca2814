//! Whole servers in the tests' own process: the real engine on a temporary folder, spoken to over a socket.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use strongroom_engine::{NewDocument, NewPassage, PartitionName, PartitionRef, Passage};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::auth::server_in;
use crate::config::{self, Told};
use crate::control::scopes::Scope;
use crate::control::{By, Life};
use crate::http::routes::{Access, BodyKind, Kind, Route, routes};

const ROOT: &str = "operator's-key-of-these-tests";

pub(super) fn config_for(folder: &Path) -> Config {
    let told =
        Told { data_dir: Some(folder.to_owned()), listen: Some("127.0.0.1:0".to_owned()), ..Told::default() };
    let environment = |name: &str| (name == "STRONGROOM_ROOT_KEY").then(|| ROOT.to_owned());
    config::resolve(told, environment, None).unwrap()
}

async fn start(folder: &Path) -> Server {
    Server::start(config_for(folder)).await.unwrap()
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

impl Answer {
    /// The word of the error, in either shape.
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().or(self.body["error"]["code"].as_str()).unwrap_or("")
    }
}

pub(super) async fn call(address: SocketAddr, key: &str, method: &str, path: &str, body: &str) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let authorization =
        if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\n{authorization}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}

async fn mint(address: SocketAddr, by: &str, what: Value) -> Answer {
    call(address, by, "POST", "/v1/admin/api-keys", &what.to_string()).await
}

async fn minted(address: SocketAddr, by: &str, what: Value) -> String {
    let answer = mint(address, by, what).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body["key"].as_str().unwrap().to_owned()
}

/// A path of the route, and a body that it can read.
fn example(route: &Route) -> (String, String) {
    let path =
        route.path.replace("{name}", "default").replace("{id}", "0123456789ab").replace("{*rest}", "x");
    let body = match route.path {
        "/v1/documents/embed" => json!({"content": "x", "embedding": [1.0]}),
        "/v1/documents/batch" => json!({"documents": [{"content": "x"}]}),
        "/v1/search/embed" => json!({"embedding": [1.0]}),
        "/v1/search/batch" => json!({"queries": [{"q": "x"}]}),
        "/v1/query" => json!({"query": "x", "collections": ["default"]}),
        "/v1/batch/query" => json!({"queries": [{"query": "x", "collection": "default"}]}),
        "/api/v1/memory/ingest" => json!({"messages": []}),
        _ => json!({}),
    };
    let path = if route.path == "/v1/search" { format!("{path}?q=x") } else { path };
    (path, if route.body == BodyKind::None { String::new() } else { body.to_string() })
}

/// Lost otherwise: one forgotten check on one route would open it to everyone, or to every tenant at once.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_checks_key_then_scope_then_partition() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let (address, owner) = (server.address(), server.owner_key().unwrap().to_owned());
    let weak = minted(address, &owner, json!({"name": "weak", "scopes": ["usage:read"]})).await;
    let other = minted(address, &owner, json!({"name": "weak, too", "scopes": ["audit:read"]})).await;
    let shared =
        minted(address, &owner, json!({"name": "shared", "scopes": ["*"], "multi_tenant": true})).await;
    let granted = minted(address, ROOT, json!({"name": "granted", "scopes": ["query:across"]})).await;
    for route in routes() {
        let name = format!("{} {}", route.method, route.path);
        let method = if route.method == "*" { "POST" } else { route.method };
        let (path, body) = example(route);
        let without = call(address, "", method, &path, &body).await;
        assert!(without.head.contains("x-request-id: "), "{name}");
        match route.access {
            // A sign-in: the example's body is none.
            Access::Open if route.body == BodyKind::Json => assert_eq!(without.status, 400, "{name}"),
            Access::Open | Access::OpenOrKey => assert_eq!(without.status, 200, "{name}"),
            Access::AnyKey | Access::Key(_) | Access::KeyOrToken(_) | Access::Past(_) => {
                assert_eq!(without.status, 401, "{name}")
            }
        }
        if matches!(route.access, Access::Key(_) | Access::KeyOrToken(_) | Access::Past(_)) {
            let key = if route.path.ends_with("/v1/usage") { &other } else { &weak };
            let answer = call(address, key, method, &path, &body).await;
            assert_eq!((answer.status, answer.code()), (403, "scope_missing"), "{name}");
        }
        if route.kind == Kind::Data {
            let answer = call(address, &shared, method, &path, &body).await;
            assert_eq!((answer.status, answer.code()), (400, "partition_required"), "{name}");
            let sep = if path.contains('?') { '&' } else { '?' };
            let field = route.partition_field();
            let answer = call(address, &owner, method, &format!("{path}{sep}{field}="), &body).await;
            assert_eq!((answer.status, answer.code()), (400, "invalid_partition"), "{name}");
            let twice = format!("{path}{sep}{field}=a&{field}=b");
            let answer = call(address, &owner, method, &twice, &body).await;
            assert_eq!((answer.status, answer.code()), (400, "repeated_parameter"), "{name}");
        }
        if !route.is_not_offered() && route.access != Access::Open {
            let sep = if path.contains('?') { '&' } else { '?' };
            // What `*` does not include is granted by the operator alone.
            let key = if route.access == Access::Key(Scope::QueryAcross) { &granted } else { &owner };
            let answer = call(address, key, method, &format!("{path}{sep}surprise=1"), &body).await;
            assert_eq!((answer.status, answer.code()), (400, "unknown_parameter"), "{name}");
        }
    }
    server.stop().await.unwrap();
}

/// Lost otherwise: two tenants whose ids look alike to some layer would share a partition.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_ids_are_partitions_of_their_own() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let (address, owner) = (server.address(), server.owner_key().unwrap().to_owned());
    let ids = ["a/b", "../../x", "%2e", "\0", "😀", "acme", "acme ", "Acme", "аcme", "a+b", "a b", "a%2Fb"];
    let encode = |id: &str| id.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    for id in ids {
        let path = format!("/v1/documents?filename=x.txt&partition={}", encode(id));
        let answer = call(address, &owner, "POST", &path, "the one document").await;
        assert_eq!((answer.status, answer.body["partition"].as_str()), (201, Some(id)), "{}", answer.body);
    }
    let list = call(address, &owner, "GET", "/v1/partitions", "").await.body;
    let mut listed: Vec<_> =
        list["partitions"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap()).collect();
    let mut expected = ids.to_vec();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for id in ids {
        let search = format!("/v1/search?q=document&trace=true&partition={}", encode(id));
        let found = call(address, &owner, "GET", &search, "").await.body;
        assert_eq!(found["results"].as_array().unwrap().len(), 1, "{id:?}");
        assert_eq!(found["trace"]["partitions_touched"], json!([id]));
        let path = format!("/v1/partitions/{}", encode(id));
        assert_eq!(call(address, &owner, "DELETE", &path, "").await.body["documents_deleted"], 1, "{id:?}");
        assert_eq!(call(address, &owner, "DELETE", &path, "").await.body["documents_deleted"], 0, "{id:?}");
    }
    for id in [".", "..", " ", ""] {
        let path = format!("/v1/partitions/{}", encode(id));
        let status = call(address, &owner, "DELETE", &path, "").await.status;
        assert!([400, 404].contains(&status), "{id:?}: {status}");
    }
    server.stop().await.unwrap();
}

/// Lost otherwise: a key handed to a customer could make itself one that reaches the others.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_makes_or_keeps_a_wider_one() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let (address, owner) = (server.address(), server.owner_key().unwrap().to_owned());
    let soon = crate::clock::rfc3339(crate::clock::now_ms() + 60_000);
    let narrow = json!({
        "name": "narrow", "scopes": ["key:*", "query:read"], "partition": "acme", "multi_tenant": true,
        "expires_at": soon,
    });
    let narrow = minted(address, &owner, narrow).await;
    let same = json!({"name": "x", "scopes": ["query:read"]});
    let child = mint(address, &narrow, same).await;
    assert_eq!(child.status, 201, "{}", child.body);
    assert_eq!((&child.body["partition"], &child.body["multi_tenant"]), (&json!("acme"), &json!(true)));
    assert_eq!(child.body["expires_at"], json!(soon), "a child that names no end has its parent's");
    for wider in [
        json!({"name": "x", "scopes": ["*"]}),
        json!({"name": "x", "scopes": ["query:read", "document:read"]}),
        json!({"name": "x", "scopes": ["query:read"], "partition": "globex"}),
        json!({"name": "x", "scopes": ["query:read"], "collection": "other"}),
        json!({"name": "x", "scopes": ["query:read"], "multi_tenant": false}),
        json!({"name": "x", "scopes": ["query:read"], "expires_at": "2999-01-01T00:00:00Z"}),
        json!({"name": "x", "scopes": ["query:read"], "workspace": "other"}),
    ] {
        let answer = mint(address, &narrow, wider.clone()).await;
        assert_eq!(answer.status, 403, "{wider} {}", answer.body);
    }
    // Nor does it see, change or revoke one that may do more.
    let listed = call(address, &narrow, "GET", "/v1/admin/api-keys", "").await.body;
    assert_eq!(listed["total"], 2, "{listed}");
    let all = call(address, &owner, "GET", "/v1/admin/api-keys", "").await.body;
    let of_owner = all["keys"][0]["id"].as_str().unwrap();
    for (method, path) in [
        ("GET", format!("/v1/admin/api-keys/{of_owner}")),
        ("DELETE", format!("/v1/admin/api-keys/{of_owner}")),
        ("POST", format!("/v1/admin/api-keys/{of_owner}/rotate")),
    ] {
        assert_eq!(call(address, &narrow, method, &path, "").await.status, 404, "{method}");
        let clerk = minted(address, &owner, json!({"name": "clerk", "scopes": ["key:*"]})).await;
        assert_eq!(call(address, &clerk, method, &path, "").await.status, 404, "{method}");
    }
    let wider = json!({"scopes": ["*"]}).to_string();
    let path = format!("/v1/admin/api-keys/{}", child.body["id"].as_str().unwrap());
    assert_eq!(call(address, &owner, "PATCH", &path, &wider).await.status, 403, "scopes only narrow");
    assert_eq!(call(address, &narrow, "POST", "/v1/admin/workspaces", r#"{"name":"w"}"#).await.status, 403);
    server.stop().await.unwrap();
}

/// Lost otherwise: a leaked key would go on working after it was revoked, or come alive again with a restart.
#[tokio::test(flavor = "multi_thread")]
async fn revoked_rotated_and_expired_keys_are_dead_at_once_and_for_good() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let (address, owner) = (server.address(), server.owner_key().unwrap().to_owned());
    let make = |name: &'static str| json!({"name": name, "scopes": ["query:read"], "partition": "acme"});
    let search =
        |address, key: String| async move { call(address, &key, "GET", "/v1/search?q=x", "").await.status };
    let revoked = mint(address, &owner, make("revoked")).await.body;
    let rotated = mint(address, &owner, make("rotated")).await.body;
    let text = |body: &Value, field: &str| body[field].as_str().unwrap().to_owned();
    assert_eq!(search(address, text(&revoked, "key")).await, 200);
    let path = format!("/v1/admin/api-keys/{}", text(&revoked, "id"));
    assert_eq!(call(address, &owner, "DELETE", &path, "").await.status, 200);
    assert_eq!(search(address, text(&revoked, "key")).await, 401);

    let path = format!("/v1/admin/api-keys/{}/rotate", text(&rotated, "id"));
    let fresh = call(address, &owner, "POST", &path, "").await;
    assert_eq!((fresh.status, &fresh.body["partition"]), (201, &json!("acme")), "{}", fresh.body);
    let fresh = text(&fresh.body, "key");
    assert_eq!(search(address, text(&rotated, "key")).await, 401);
    assert_eq!(search(address, fresh.clone()).await, 200);

    let soon_ms = crate::clock::now_ms() + 2_000;
    let soon = crate::clock::rfc3339(soon_ms);
    let expiring =
        minted(address, &owner, json!({"name": "e", "scopes": ["query:read"], "expires_at": soon})).await;
    let alive = search(address, expiring.clone()).await;
    assert!(alive == 200 || crate::clock::now_ms() >= soon_ms, "{alive} while the key still lives");
    while crate::clock::now_ms() < soon_ms {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(search(address, expiring.clone()).await, 401);

    server.stop().await.unwrap();
    let server = start(folder.path()).await;
    let address = server.address();
    assert!(server.owner_key().is_none(), "an owner key is printed at the first start alone");
    for dead in [text(&revoked, "key"), text(&rotated, "key"), expiring] {
        assert_eq!(search(address, dead).await, 401);
    }
    assert_eq!(
        search(address, fresh).await,
        400,
        "after a restart an empty partition's id has to be named once"
    );
    server.stop().await.unwrap();
}

/// Lost otherwise: a customer's key would need its partition named after every restart, or reach another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_key_finds_its_partition_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let (address, owner) = (server.address(), server.owner_key().unwrap().to_owned());
    for other in ["a", "b", "acme "] {
        let path = format!("/v1/documents?partition={}", other.replace(' ', "%20"));
        assert_eq!(call(address, &owner, "POST", &path, "of another").await.status, 201);
    }
    let full = minted(address, &owner, json!({"name": "k", "scopes": ["*"], "partition": "acme"})).await;
    let empty = minted(address, &owner, json!({"name": "k", "scopes": ["*"], "partition": "empty"})).await;
    assert_eq!(call(address, &full, "POST", "/v1/documents", "of acme").await.body["partition"], "acme");
    server.stop().await.unwrap();

    let server = start(folder.path()).await;
    let address = server.address();
    let found = call(address, &full, "GET", "/v1/search?q=of", "").await.body;
    assert_eq!(found["results"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["results"][0]["partition"], "acme");
    assert_eq!(
        call(address, &full, "GET", "/v1/search?q=of&partition=a", "").await.code(),
        "partition_forbidden"
    );
    // Nothing is in it, so no one knows its id: the server says so until it is named once.
    assert_eq!(call(address, &empty, "GET", "/v1/search?q=of", "").await.code(), "partition_required");
    assert_eq!(
        call(address, &empty, "GET", "/v1/search?q=of&partition=a", "").await.code(),
        "partition_forbidden"
    );
    let listed = call(address, &empty, "GET", "/v1/partitions", "").await.body;
    assert_eq!(listed["partitions"], json!([]));
    assert_eq!(call(address, &empty, "POST", "/v1/documents?partition=empty", "now").await.status, 201);
    assert_eq!(
        call(address, &empty, "GET", "/v1/search?q=now", "").await.body["results"][0]["partition"],
        "empty"
    );
    server.stop().await.unwrap();
}

/// Lost otherwise: a collection whose deletion a crash cut short would stand there half empty, or its end-clients' data stay
/// on the disk with nobody to delete it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finishes_the_ends_of_collections() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let (address, owner) = (server.address(), server.owner_key().unwrap().to_owned());
    let app = server.app.clone();
    let workspace = app.control.workspace_named("default").unwrap().id;
    for (name, life) in [("ended", Life::Deleting), ("emptied", Life::Truncating), ("kept", Life::Live)] {
        let body = json!({"name": name, "dimension": 1}).to_string();
        assert_eq!(call(address, &owner, "POST", "/v1/collections", &body).await.status, 201);
        let collection = app.control.collection(workspace, name).unwrap();
        let at = PartitionRef { collection: name.to_owned(), partition: PartitionName::new("acme").ok() };
        let scope = server_in(workspace, name);
        let partition = app.store.partition_for_write(&scope, &at, collection.spec).unwrap();
        let passage = NewPassage { text: Passage::Own("x".to_owned()), vector: vec![1.0] };
        partition.put(NewDocument { passages: vec![passage], ..NewDocument::default() }).unwrap();
        // As if the process had died after the first step.
        app.control.set_life(&collection, life).unwrap();
    }
    assert_eq!(call(address, &owner, "GET", "/v1/collections/ended", "").await.status, 404);
    drop(app);
    server.stop().await.unwrap();

    let server = start(folder.path()).await;
    let address = server.address();
    let count = async |name: &str| {
        let answer = call(address, &owner, "GET", &format!("/v1/collections/{name}"), "").await;
        (answer.status, answer.body["document_count"].as_u64())
    };
    assert_eq!((count("ended").await, count("emptied").await), ((404, None), (200, Some(0))));
    assert_eq!(count("kept").await, (200, Some(1)));
    let audit = call(address, &owner, "GET", "/v1/admin/audit?action=partition.drop", "").await.body;
    assert_eq!(audit["total"], 2, "{audit}");
    let scope = server_in(workspace, "ended");
    let left = server.app.store.partitions(&scope, "ended").unwrap();
    assert!(left.is_empty());
    server.stop().await.unwrap();
}

/// Lost otherwise: documents or workspaces would be gone, or half there, after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finishes_what_was_begun_and_keeps_the_rest() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let (address, owner) = (server.address(), server.owner_key().unwrap().to_owned());
    let stored =
        call(address, &owner, "POST", "/v1/documents?filename=a.txt&partition=acme", "kept").await.body;
    let app = server.app.clone();
    // As if the process had died between the intent and its completion.
    let begun = app.control.begin_workspace("begun", app.default_collection()).unwrap();
    let (scope, new) = (server_itself(), app.default_collection());
    let ended =
        tenancy::create_workspace(&app.control, &app.store, &scope, "ended", new, By::system()).unwrap();
    app.control.begin_deletion(ended.id).unwrap();
    let workspace = app.control.workspace_named("default").unwrap().id;
    let job = app.control.begin_job(workspace, None).unwrap();
    drop(app);
    server.stop().await.unwrap();

    let server = start(folder.path()).await;
    let address = server.address();
    let path = format!("/v1/documents/{}?partition=acme", stored["doc_id"].as_str().unwrap());
    assert_eq!(call(address, &owner, "GET", &path, "").await.body, stored);
    let workspaces = call(address, ROOT, "GET", "/v1/admin/workspaces", "").await.body;
    let names: Vec<_> =
        workspaces["workspaces"].as_array().unwrap().iter().map(|w| w["name"].clone()).collect();
    assert_eq!(names, ["begun", "default"]);
    let key = minted(address, ROOT, json!({"name": "k", "scopes": ["*"], "workspace": "begun"})).await;
    assert_eq!(call(address, &key, "POST", "/v1/documents", "hello").await.status, 201, "{:?}", begun.id);
    let job = call(address, &owner, "GET", &format!("/v1/documents/jobs/{job}"), "").await.body;
    assert_eq!(job["status"], "failed");
    assert!(job["error"].as_str().unwrap().contains("insert it again"), "{job}");
    server.stop().await.unwrap();
}

/// Lost otherwise: the audit log would say nothing of what was erased when nobody was waiting for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_in_the_background_is_written_down() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let (address, owner) = (server.address(), server.owner_key().unwrap().to_owned());
    let app = server.app.clone();
    let mut headers = axum::http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {owner}").parse().unwrap());
    let caller = crate::auth::authenticate(&app.control, &headers).unwrap();
    let place = caller.place(crate::auth::Named { collection: None, partition: Some("acme") }).unwrap();
    // As in a large partition: the call answers, and the rewriting comes later.
    let purge_one = async || {
        let stored = call(address, &owner, "POST", "/v1/documents?partition=acme", "a text").await.body;
        let partition = app.store.partition(&place.scope, &place.at).unwrap().unwrap();
        partition.purge(stored["doc_id"].as_str().unwrap()).unwrap();
    };
    purge_one().await;
    app.store.flush().unwrap();
    let purges = "/v1/admin/audit?action=document.purge";
    let told = async || call(address, &owner, "GET", purges, "").await.body;
    let begun = Instant::now();
    while told().await["total"] == 0 && begun.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let entry = &told().await["entries"][0];
    assert_eq!(
        (&entry["action"], &entry["actor_id"]),
        (&json!("document.purge"), &json!("system")),
        "{entry}"
    );
    purge_one().await;
    drop(app);
    server.stop().await.unwrap();
    // A stop makes every purge final.
    let db = rusqlite::Connection::open(control_path(folder.path())).unwrap();
    let count: i64 = db.query_row("SELECT count(DISTINCT receipt) FROM audit", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 2, "before the next start has to make up for it");
}

/// Lost otherwise: erasing a partition would leave its tenant's name, or worse, in the control plane's file.
#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_holds_no_word_of_a_tenant() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let (address, owner) = (server.address(), server.owner_key().unwrap().to_owned());
    let pinned =
        minted(address, &owner, json!({"name": "k", "scopes": ["*"], "partition": "tenantname"})).await;
    let insert = "/v1/documents/async?filename=secretfile.txt&tags=secrettag";
    let job = call(address, &pinned, "POST", insert, "secretcontent of a document").await.body;
    for _ in 0..100 {
        let path = format!("/v1/documents/jobs/{}", job["job_id"].as_str().unwrap());
        let state = call(address, &pinned, "GET", &path, "").await.body;
        if state["status"] == "completed" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let found = call(address, &pinned, "GET", "/v1/search?q=secretcontent", "").await.body;
    assert_eq!(found["results"][0]["partition"], "tenantname", "{found}");
    let listed = call(address, &owner, "GET", "/v1/admin/api-keys", "").await.body.to_string();
    server.stop().await.unwrap();
    let mut bytes = listed.into_bytes();
    for name in ["control.sqlite", "control.sqlite-wal"] {
        bytes.extend(std::fs::read(folder.path().join(name)).unwrap_or_default());
    }
    assert!(bytes.len() > 4096);
    for word in
        ["tenantname", "secretfile", "secretcontent", "secrettag", &pinned[21..50], &owner[21..50], ROOT]
    {
        let is_there = bytes.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!is_there, "{word} stands in the control plane in clear");
    }
}

/// Lost otherwise: two processes would write one store, or an operator would be left with a stack trace.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let server = start(folder.path()).await;
    let with = |data_dir: &Path, listen: &str, key: Option<[u8; 32]>| {
        let told =
            Told { data_dir: Some(data_dir.to_owned()), listen: Some(listen.to_owned()), ..Told::default() };
        let environment = move |name: &str| match (name, key) {
            ("STRONGROOM_MASTER_KEY", Some(key)) => Some(crate::random::hex(&key)),
            _ => None,
        };
        config::resolve(told, environment, None).unwrap()
    };
    let fails = |config| async { Server::start(config).await.err().unwrap_or_default() };
    let taken = fails(with(folder.path(), &server.address().to_string(), None)).await;
    assert!(taken.contains("is taken") && taken.contains("--listen"), "{taken}");
    let held = fails(with(folder.path(), "127.0.0.1:0", None)).await;
    assert!(held.contains("in use by another"), "{held}");
    server.stop().await.unwrap();
    let wrong = fails(with(folder.path(), "127.0.0.1:0", Some([9; 32]))).await;
    assert!(wrong.contains("does not open the store"), "{wrong}");
    let file = folder.path().join("master.key");
    let unwritable = fails(with(&file, "127.0.0.1:0", None)).await;
    assert!(unwritable.contains("can't be written"), "{unwritable}");
    for line in [taken, held, wrong, unwritable] {
        assert_eq!(line.lines().count(), 1);
    }
    start(folder.path()).await.stop().await.unwrap();
}
