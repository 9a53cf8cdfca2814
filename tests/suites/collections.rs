//! Are collections made, changed, emptied and deleted as they were asked for, and by nobody else?

use serde_json::{Value, json};
use strongroom_tests::client::{Client, encoded};
use strongroom_tests::keys::client_with;
use strongroom_tests::residue::files_with;
use strongroom_tests::server::{Plan, Server};

const NAME: &str = "manuals & more/é";

fn path(name: &str, rest: &str) -> String {
    format!("/v1/collections/{}{rest}", encoded(name))
}

#[track_caller]
fn make(client: &Client, fields: Value) -> Value {
    client.post("/v1/collections", &fields).expect(201).json()
}

fn names(client: &Client, query: &str) -> Vec<String> {
    let listed = client.get(&format!("/v1/collections{query}")).expect(200).json();
    let names = listed["collections"].as_array().expect("a list").iter();
    names.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

// A product's settings would be lost by a restart, or change what they were not asked to.
#[test]
fn a_collection_is_what_it_was_made_and_changed_to_be() {
    let server = Server::start();
    let client = server.operator();
    let schema = json!({"type": "object", "required": ["source"]});
    let made = make(
        &client,
        json!({"name": NAME, "description": "all of them", "tenant_field": "tenant_id", "metadata_schema": schema,
               "chunk_size": 100, "default_top_k": 3, "default_min_score": 0.25, "default_search_mode": "semantic",
               "metadata": {"team": "docs"}, "metric": "dot"}),
    );
    for (field, expected) in [
        ("name", json!(NAME)),
        ("description", json!("all of them")),
        ("embedding_provider", json!("built-in")),
        ("tenant_field", json!("tenant_id")),
        ("has_metadata_schema", json!(true)),
        ("chunk_size", json!(100)),
        ("chunk_overlap", json!(12)),
        ("default_top_k", json!(3)),
        ("default_min_score", json!(0.25)),
        ("default_search_mode", json!("semantic")),
        ("metadata", json!({"team": "docs"})),
        ("metric", json!("dot")),
        ("document_count", json!(0)),
        ("has_api_key", json!(false)),
    ] {
        assert_eq!(made[field], expected, "{field}");
    }
    assert_eq!(
        client.post("/v1/collections", &json!({"name": NAME})).expect(409).json()["error"]["code"],
        "name_taken"
    );
    let changes = json!({"description": "some", "default_search_mode": "hybrid", "metadata_schema": null});
    let changed =
        client.send("PUT", &path(NAME, ""), &[], changes.to_string().into_bytes()).expect(200).json();
    assert_eq!((&changed["description"], &changed["default_top_k"]), (&json!("some"), &json!(3)));
    assert_eq!(
        (&changed["has_metadata_schema"], &changed["created_at"]),
        (&json!(false), &made["created_at"])
    );
    let fixed = json!({"dimension": 3}).to_string().into_bytes();
    client.send("PUT", &path(NAME, ""), &[], fixed).expect(400);

    let server = server.stop().start();
    let client = server.operator();
    assert_eq!(client.get(&path(NAME, "")).expect(200).json(), changed);
    assert_eq!(names(&client, ""), ["default", NAME]);
    assert_eq!(
        (names(&client, "?limit=1&offset=1"), names(&client, "?name=MANUALS")),
        (vec![NAME.to_owned()], vec![NAME.to_owned()])
    );
    let stats = client.get(&path(NAME, "/stats")).expect(200).json();
    assert_eq!((&stats["document_count"], &stats["total_chunks"]), (&json!(0), &json!(0)));
    let upserted = json!({"vectors": [{"id": "v", "embedding": [1.0], "text": "a walk", "metadata": {"tenant_id": "acme"}}]});
    make(&client, json!({"name": "vectors", "dimension": 1, "tenant_field": "tenant_id"}));
    client.post("/v1/collections/vectors/vectors/upsert", &upserted).expect(200);
    let asked = json!({"query": "walk", "filters": {"tenant_id": "acme"}});
    client.post("/v1/collections/vectors/query", &asked).expect(200);
    let queries = |client: &Client| {
        let told = client.get("/v1/collections/vectors/analytics").expect(200).json();
        (told["period_24h"]["query_count"].as_u64(), told["period_30d"]["query_count"].as_u64())
    };
    assert_eq!(queries(&client), (Some(1), Some(1)));
    let other = client_with(&client, &json!({"collection": "vectors", "partition": "globex"}));
    assert_eq!(queries(&other), (Some(0), Some(0)), "another tenant's queries are not told");
    let emptied = client.post("/v1/collections/vectors/truncate", &json!({})).expect(200).json();
    assert_eq!(
        (&emptied["documents_deleted"], emptied["receipt_ids"].as_array().map(Vec::len)),
        (&json!(1), Some(1))
    );
    assert_eq!(client.delete(&path(NAME, "")).expect(200).json()["status"], "deleted");
    for gone in ["", "/stats"] {
        assert_eq!(client.get(&path(NAME, gone)).expect(404).json()["error"]["code"], "collection_not_found");
    }
    // Its name is free again.
    make(&client, json!({"name": NAME}));
}

// A collection would be made that embeds in another way, or in another dimension, than its owner thinks.
#[test]
fn who_embeds_is_decided_or_refused() {
    let server = Plan::default().set("STRONGROOM_EMBEDDING_HOSTS", "models.internal").start();
    let client = server.operator();
    for (number, (fields, provider, model, dimension)) in [
        (json!({}), "built-in", "strongroom-static-1", 256),
        (json!({"dimension": 256}), "built-in", "strongroom-static-1", 256),
        (json!({"embedding_provider": "built-in"}), "built-in", "strongroom-static-1", 256),
        (json!({"dimension": 4}), "none", "", 4),
        (json!({"embedding_provider": "none", "dimension": 256}), "none", "", 256),
        (
            json!({"embedding_provider": "openai", "embedding_model": "text-embedding-3-small", "dimension": 1536}),
            "openai",
            "text-embedding-3-small",
            1536,
        ),
        (json!({"embedding_model": "text-embedding-3-large"}), "openai", "text-embedding-3-large", 3072),
        (
            json!({"embedding_model": "e5", "dimension": 8, "embedding_base_url": "https://models.internal/v1/"}),
            "openai",
            "e5",
            8,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = fields.clone();
        body["name"] = json!(format!("n{number}"));
        let made = make(&client, body);
        let found = (&made["embedding_provider"], &made["embedding_model"], &made["dimension"]);
        assert_eq!(found, (&json!(provider), &json!(model), &json!(dimension)), "{fields}");
    }
    for (fields, code) in [
        (json!({"embedding_provider": "built-in", "dimension": 300}), "invalid_embedding"),
        (json!({"embedding_provider": "none"}), "invalid_embedding"),
        (json!({"embedding_provider": "voyage"}), "unknown_provider"),
        (json!({"embedding_model": "e5"}), "invalid_embedding"),
        (
            json!({"embedding_model": "e5", "dimension": 8, "embedding_base_url": "http://127.0.0.1/v1"}),
            "embedding_address_not_allowed",
        ),
        (
            json!({"embedding_model": "e5", "dimension": 8, "embedding_base_url": "file:///etc/passwd"}),
            "invalid_embedding",
        ),
        (json!({"dimension": 0}), "invalid_embedding"),
        (json!({"dimension": 8193}), "invalid_embedding"),
        (json!({"metric": "hamming"}), "unknown_metric"),
        (json!({"tenant_field": ""}), "invalid_tenant_field"),
        (json!({"tenant_field": "a.b"}), "invalid_tenant_field"),
        (json!({"metadata_schema": {"type": "objekt"}}), "invalid_schema"),
        (json!({"chunk_size": 10, "chunk_overlap": 10}), "invalid_chunking"),
        (json!({"chunk_strategy": "psychic"}), "invalid_chunking"),
        (json!({"default_top_k": 0}), "invalid_default"),
        (json!({"default_min_score": 1.5}), "invalid_default"),
        (json!({"dimension": 4, "default_search_mode": "hybrid"}), "invalid_default"),
        (json!({"reranking_enabled": true}), "no_reranker"),
        (json!({"embedding_api_key": "two words", "embedding_provider": "openai"}), "invalid_key"),
        (json!({"name": " "}), "invalid_name"),
        (json!({"name": ".."}), "invalid_name"),
        (json!({"name": "x".repeat(129)}), "invalid_name"),
        (json!({"name": "memory"}), "collection_reserved"),
        (json!({"name": "default"}), "name_taken"),
        (json!({"multimodal_enabled": true}), "not_offered"),
        (json!({"surprise": 1}), "malformed_body"),
    ] {
        let mut body = json!({"name": "refused"});
        for (name, value) in fields.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let answer = client.post("/v1/collections", &body);
        assert_eq!(answer.json()["error"]["code"], code, "{fields}: {}", answer.status);
    }
    assert_eq!(names(&client, "?name=refused"), [""; 0]);
    client.delete(&path("default", "")).expect(409);
}

// A leaked key of one customer's would reach, change or count another's collection.
#[test]
fn a_pinned_key_sees_and_changes_its_own_alone() {
    let server = Server::start();
    let owner = server.operator();
    for name in ["acme", "globex"] {
        make(&owner, json!({"name": name}));
    }
    owner.post("/v1/admin/workspaces", &json!({"name": "elsewhere"})).expect(201);
    let elsewhere = owner.in_workspace("elsewhere");
    assert_eq!(names(&elsewhere, ""), ["default"]);
    elsewhere.get(&path("acme", "")).expect(404);

    let pinned = client_with(&owner, &json!({"collection": "acme"}));
    assert_eq!(names(&pinned, ""), ["acme"]);
    pinned.get(&path("acme", "")).expect(200);
    let put = |client: &Client, name: &str| client.send("PUT", &path(name, ""), &[], b"{}".to_vec()).status;
    for foreign in ["globex", "default", "missing"] {
        for rest in ["", "/stats"] {
            let answer = pinned.get(&path(foreign, rest)).expect(403).json();
            assert_eq!(answer["error"]["code"], "collection_forbidden", "{foreign}{rest}");
        }
        assert_eq!(pinned.delete(&path(foreign, "")).status, 403);
        assert_eq!(pinned.post(&path(foreign, "/truncate"), &json!({})).status, 403);
        assert_eq!((put(&pinned, foreign), put(&pinned, "acme")), (403, 200));
    }
    pinned.post("/v1/collections", &json!({"name": "third"})).expect(403);

    let tenant = client_with(&owner, &json!({"collection": "acme", "partition": "one"}));
    assert_eq!(tenant.get(&path("acme", "")).expect(200).json()["document_count"], 0);
    assert_eq!(put(&tenant, "acme"), 403);
    tenant.delete(&path("acme", "")).expect(403);
    tenant.post(&path("acme", "/truncate"), &json!({})).expect(403);

    let reader = client_with(&owner, &json!({"scopes": ["collection:read"]}));
    reader.get(&path("acme", "/stats")).expect(200);
    assert_eq!(reader.delete(&path("acme", "")).expect(403).json()["error"]["code"], "scope_missing");
    assert_eq!(names(&owner, ""), ["acme", "default", "globex"]);
}

// Whoever copies the data folder, or reads an answer or the log, would hold the key of the product's embedding provider.
#[test]
fn a_providers_key_is_shown_to_nobody() {
    let server = Server::start();
    let client = server.operator();
    let key = "sk-zqprovider-0123456789";
    let body = json!({"name": "remote", "embedding_provider": "openai", "embedding_api_key": key});
    let made = client.post("/v1/collections", &body).expect(201);
    assert_eq!(made.json()["has_api_key"], true);
    let next = json!({"embedding_api_key": "sk-zqsecond-0123456789"}).to_string().into_bytes();
    let changed = client.send("PUT", &path("remote", ""), &[], next).expect(200);
    let listed = client.get("/v1/collections").expect(200);
    for answer in [&made, &changed, &listed] {
        assert!(!String::from_utf8_lossy(&answer.body).contains("sk-zq"));
    }
    let none = json!({"embedding_api_key": null}).to_string().into_bytes();
    assert_eq!(client.send("PUT", &path("remote", ""), &[], none).expect(200).json()["has_api_key"], false);
    client
        .send("PUT", &path("remote", ""), &[], json!({"embedding_api_key": key}).to_string().into_bytes())
        .expect(200);
    let said = server.said();
    assert!(!said.contains("sk-zq"), "{said}");
    let plan = server.stop();
    assert_eq!(files_with(plan.folder.around(), &["sk-zqprovider", "sk-zqsecond"]), []);
}
