//! Do documents and queries of collections do what bigRAG's clients count on, and keep tenants apart?

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_tests::client::Client;
use strongroom_tests::collections::{
    form, found, make, path, query, send_form, set, texts, try_upload, upload,
};
use strongroom_tests::keys::client_with;
use strongroom_tests::routes::dimension;
use strongroom_tests::server::Server;

// A product on the published client would lose files, or be told other things of them than it stored.
#[test]
fn a_document_is_uploaded_read_and_deleted_for_good() {
    let server = Server::start();
    let client = server.operator();
    make(&client, json!({"name": "manuals", "chunk_size": 12, "chunk_overlap": 0}));
    let text =
        "Les baleines nagent à l'aise. They live in the sea all year. Bread is made of flour and of water. "
            .repeat(4);
    let metadata = json!({"page": 3, "tags": ["a", "b"], "author": {"name": "Ada"}});
    let made = try_upload(&client, "manuals", "Baleines.MD", &text, Some(&metadata)).expect(201).json();
    for (field, expected) in [
        ("filename", json!("Baleines.MD")),
        ("file_type", json!("md")),
        ("file_size", json!(text.len())),
        ("status", json!("ready")),
        ("metadata", metadata.clone()),
        ("deduped", json!(false)),
        ("error_message", json!(null)),
    ] {
        assert_eq!(made[field], expected, "{field}");
    }
    let id = made["id"].as_str().expect("an id");
    let at = |rest: &str| path("manuals", &format!("/documents/{id}{rest}"));
    assert_eq!(client.get(&at("")).expect(200).json(), made);
    assert_eq!(client.get(&at("/file")).expect(200).body, text.as_bytes());
    let count = made["chunk_count"].as_u64().expect("a count");
    assert!(count > 4, "{made}");
    let all = client.get(&at("/chunks")).expect(200).json();
    assert_eq!(
        (&all["total"], all["chunks"].as_array().map(Vec::len)),
        (&json!(count), Some(count as usize))
    );
    let page = client.get(&at("/chunks?limit=2&offset=1")).expect(200).json();
    assert_eq!(page["chunks"], json!(all["chunks"].as_array().expect("chunks")[1..3]));
    assert_eq!(page["chunks"][0]["chunk_index"], 1);
    let by_id = client.get(&format!("/v1/documents/{id}/chunks?limit=2&offset=1")).expect(200).json();
    assert_eq!(by_id, page);
    // A query's place in the document is told in characters.
    let answer = query(&client, "manuals", json!({"query": "baleines", "top_k": 3})).expect(200).json();
    let letters: Vec<char> = text.chars().collect();
    for hit in answer["results"].as_array().expect("results") {
        let bound = |field: &str| hit[field].as_u64().expect("a place") as usize;
        let there: String = letters[bound("char_start")..bound("char_end")].iter().collect();
        assert_eq!(hit["text"], there.as_str());
        assert_eq!((&hit["document_id"], &hit["document_filename"]), (&json!(id), &json!("Baleines.MD")));
    }
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(3), "several passages of one document");
    let again = client.post_bytes(&at("/reprocess"), b"").expect(200);
    assert_eq!(again.json()["status"], "ready");
    assert_eq!(client.get(&at("")).expect(200).json()["chunk_count"], count);

    assert_eq!(client.delete(&at("")).expect(200).json()["status"], "deleted");
    for gone in ["", "/chunks", "/file"] {
        assert_eq!(client.get(&at(gone)).expect(404).code(), "document_not_found");
    }
    client.delete(&at("")).expect(404);
    client.post_bytes(&at("/reprocess"), b"").expect(404);
    client.get(&format!("/v1/documents/{id}/chunks")).expect_error(404, "document_not_found");
    let receipts = client.get("/v1/receipts").expect(200).json();
    assert_eq!(receipts["receipts"].as_array().map(Vec::len), Some(1), "{receipts}");
}

// A form that was misread would store half of it, or metadata that the collection forbids.
#[test]
fn what_a_form_cannot_be_is_refused() {
    let server = Server::start();
    let client = server.operator();
    let schema =
        json!({"type": "object", "required": ["source"], "properties": {"source": {"enum": ["wiki"]}}});
    make(&client, json!({"name": "checked", "metadata_schema": schema}));
    let good = json!({"source": "wiki"});
    for bad in [None, Some(json!({})), Some(json!({"source": "book"}))] {
        try_upload(&client, "checked", "a.txt", "words", bad.as_ref()).expect_error(422, "metadata_schema");
        let entry = json!({"id": "v", "embedding": vec![0.5; 256], "metadata": bad});
        let upsert = client.post(&path("checked", "/vectors/upsert"), &json!({"vectors": [entry]}));
        upsert.expect_error(422, "metadata_schema");
    }
    for (bad, status, code) in [
        (json!([1]), 422, "invalid_metadata"),
        (json!({"": 1, "source": "wiki"}), 422, "invalid_metadata"),
        (json!({"x": "y".repeat(70_000), "source": "wiki"}), 422, "metadata_too_large"),
    ] {
        try_upload(&client, "checked", "a.txt", "words", Some(&bad)).expect_error(status, code);
    }
    let at = path("checked", "/documents");
    send_form(&client, &at, form(&[], Some(&good))).expect_error(400, "malformed_body");
    send_form(&client, &at, form(&[("other", "a.txt", "x")], Some(&good)))
        .expect_error(400, "malformed_body");
    let two = [("file", "a.txt", "x"), ("file", "b.txt", "y")];
    send_form(&client, &at, form(&two, Some(&good))).expect_error(400, "malformed_body");
    let mut cut = form(&[("file", "a.txt", "words")], Some(&good));
    cut.truncate(cut.len() - 30);
    send_form(&client, &at, cut).expect_error(400, "malformed_body");
    client.post(&at, &good).expect_error(400, "malformed_body");
    try_upload(&client, "checked", "a.txt", " ", Some(&good)).expect_error(422, "no_text");
    try_upload(&client, "nowhere", "a.txt", "x", Some(&good)).expect_error(404, "collection_not_found");
    make(&client, json!({"name": "own", "dimension": 4}));
    try_upload(&client, "own", "a.txt", "words", None).expect_error(422, "own_vectors");
    make(
        &client,
        json!({"name": "remote", "embedding_provider": "openai", "embedding_model": "text-embedding-3-small"}),
    );
    try_upload(&client, "remote", "a.txt", "words", None).expect_error(422, "embedding_not_configured");
    // One bad file of a batch, and none is stored.
    let many = [("files", "a.txt", "good words"), ("files", "b.txt", "")];
    send_form(&client, &path("checked", "/documents/batch/upload"), form(&many, Some(&good))).expect(422);
    let listed = client.get(&at).expect(200).json();
    assert_eq!((&listed["documents"], &listed["total"]), (&json!([]), &json!(0)));
}

// Lists would show other documents than they were asked for, or batches stop at the first that is missing.
#[test]
fn lists_and_batches() {
    let server = Server::start();
    let client = server.operator();
    make(&client, json!({"name": "c"}));
    let files = [
        ("files", "Beta.txt", "two words"),
        ("files", "alpha.txt", "one"),
        ("files", "gamma.md", "three words here"),
    ];
    let made =
        send_form(&client, &path("c", "/documents/batch/upload"), form(&files, None)).expect(201).json();
    assert_eq!(made["total"], 3);
    let ids: Vec<&str> = made["documents"]
        .as_array()
        .expect("documents")
        .iter()
        .map(|d| d["id"].as_str().expect("an id"))
        .collect();
    let names = |query: &str| -> Vec<String> {
        let page = client.get(&path("c", &format!("/documents{query}"))).expect(200).json();
        let documents = page["documents"].as_array().expect("documents").iter();
        documents.map(|d| d["filename"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("?sort=filename&order=asc"), ["Beta.txt", "alpha.txt", "gamma.md"]);
    assert_eq!(names("?sort=file_size&order=desc"), ["gamma.md", "Beta.txt", "alpha.txt"]);
    assert_eq!(names("?sort=file_size&order=desc&limit=1&offset=1"), ["Beta.txt"]);
    assert_eq!(names("?q=BET"), ["Beta.txt"]);
    assert_eq!(
        (names("?status=ready").len(), names("?status=failed").len(), names("?limit=2").len()),
        (3, 0, 2)
    );
    for bad in ["?status=lost", "?sort=mood", "?order=up", "?limit=0"] {
        client.get(&path("c", &format!("/documents{bad}"))).expect_error(400, "invalid_parameter");
    }
    let page = client.get(&path("c", "/documents?include_total=false&limit=1")).expect(200).json();
    assert_eq!(page["total"], json!(null));
    let batch = |what: &str, ids: &[&str]| {
        client.post(&path("c", &format!("/documents/batch/{what}")), &json!({"document_ids": ids}))
    };
    let got = batch("get", &[ids[2], "nobody", ids[0]]).expect(200).json();
    assert_eq!((&got["total"], &got["documents"][0]["filename"]), (&json!(2), &json!("gamma.md")));
    let told = batch("status", &[ids[1]]).expect(200).json();
    assert_eq!(told["documents"][0]["status"], "ready");
    batch("get", &[]).expect_error(400, "invalid_batch");
    let deleted = batch("delete", &[ids[0], "nobody", ids[1]]).expect(200).json();
    assert_eq!((&deleted["deleted"], &deleted["errors"][0]["document_id"]), (&json!(2), &json!("nobody")));
    assert_eq!(names(""), ["gamma.md"]);
}

// A filter, a mode or a threshold that is not kept would answer what was to be kept back.
#[test]
fn queries_keep_to_modes_filters_and_scores() {
    let server = Server::start();
    let client = server.operator();
    make(&client, json!({"name": "c", "default_top_k": 2}));
    for (n, text) in
        ["whales swim in the sea", "whales sing songs", "bread is baked with yeast", "yeast is alive"]
            .iter()
            .enumerate()
    {
        upload(&client, "c", text, json!({"n": n, "kind": if n < 2 { "sea" } else { "kitchen" }}));
    }
    let ask = |fields: Value| {
        let mut body = json!({"query": "whales", "top_k": 10});
        for (name, value) in fields.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    };
    for (filters, expected) in [
        (json!({"kind": "kitchen"}), set(&["bread is baked with yeast", "yeast is alive"])),
        (json!({"n": {"$gte": 1, "$lt": 3}}), set(&["whales sing songs", "bread is baked with yeast"])),
        (json!({"n": {"$gt": 2}}), set(&["yeast is alive"])),
        (json!({"n": {"$lte": 0}}), set(&["whales swim in the sea"])),
        (json!({"n": {"$ne": 0}, "kind": {"$eq": "sea"}}), set(&["whales sing songs"])),
        (json!({"n": {"$in": [0, 3]}}), set(&["whales swim in the sea", "yeast is alive"])),
        (json!({"n": 99}), set(&[])),
    ] {
        let asked = ask(json!({"filters": filters, "search_mode": "semantic"}));
        assert_eq!(texts(&client, "c", asked), expected, "{filters}");
    }
    let by_words = texts(&client, "c", ask(json!({"search_mode": "keyword"})));
    assert_eq!(by_words, set(&["whales swim in the sea", "whales sing songs"]));
    assert_eq!(found(&client, "c", json!({"query": "whales"})).len(), 2, "the collection's own top_k");
    let all = found(&client, "c", ask(json!({"search_mode": "hybrid"})));
    assert!(all.len() == 4 && all.iter().all(|(.., score)| (0.0..=1.0).contains(score)));
    assert!(all.is_sorted_by(|a, b| a.2 >= b.2), "{all:?}");
    let least = all[1].2;
    let some = found(&client, "c", ask(json!({"search_mode": "hybrid", "min_score": least})));
    assert_eq!(some, all[..2]);
    for (bad, status, code) in [
        (json!({"filters": {"$or": [{"n": 1}]}}), 400, "invalid_filter"),
        (json!({"top_k": 0}), 400, "invalid_parameter"),
        (json!({"min_score": 1.5}), 400, "invalid_parameter"),
        (json!({"search_mode": "magic"}), 400, "malformed_body"),
        (json!({"query": " "}), 400, "invalid_query"),
        (json!({"multimodal": true}), 501, "not_offered"),
        (json!({"rerank": true}), 422, "reranking_disabled"),
        (json!({"surprise": 1}), 400, "malformed_body"),
    ] {
        query(&client, "c", ask(bad)).expect_error(status, code);
    }
    // Another client's body on the shared address is told so in its own shape.
    let aggregate = client.post("/v1/query", &json!({"select": ["count"]})).expect(400).json();
    assert!(aggregate["error"].is_string(), "{aggregate}");
    for later in ["/documents/x/elements", "/upload-sessions", "/upload-sessions/x/files"] {
        assert_eq!(
            client.post(&path("c", later), &json!({})).expect(501).json()["error"]["code"],
            "not_offered"
        );
    }
}

// Vectors would be searched by other numbers than were sent, or a deletion by id reach too far or not far enough.
#[test]
fn vectors_are_replaced_by_id_and_deleted_in_every_tenant() {
    let server = Server::start();
    let client = server.operator();
    make(&client, json!({"name": "v", "dimension": 4, "tenant_field": "tenant"}));
    let upsert = |entries: Value| client.post(&path("v", "/vectors/upsert"), &json!({"vectors": entries}));
    let entry = |id: &str, tenant: &str, text: &str| json!({"id": id, "embedding": [1.0, 0.0, 0.0, 0.0], "text": text, "metadata": {"tenant": tenant}});
    let made = upsert(json!([
        entry("a", "acme", "red whale"),
        entry("b", "acme", "blue whale"),
        entry("a", "globex", "grey whale")
    ]));
    assert_eq!(made.expect(200).json()["upserted"], 3);
    upsert(json!([entry("a", "acme", "green whale"), entry("c", "acme", "white whale")])).expect(200);
    let whales = |tenant: &str| -> BTreeSet<(String, String)> {
        let body = json!({"query": "whale", "filters": {"tenant": tenant}});
        found(&client, "v", body).into_iter().map(|(id, text, _)| (id, text)).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> BTreeSet<(String, String)> {
        pairs.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect()
    };
    assert_eq!(whales("acme"), pairs(&[("a", "green whale"), ("b", "blue whale"), ("c", "white whale")]));
    for (bad, code) in [
        (json!([{"id": "x", "embedding": [1.0], "metadata": {"tenant": "acme"}}]), "wrong_dimension"),
        (
            json!([{"id": " ", "embedding": [1.0, 0.0, 0.0, 0.0], "metadata": {"tenant": "acme"}}]),
            "invalid_id",
        ),
        (json!([entry("x", "acme", ""), entry("x", "acme", "")]), "repeated_id"),
    ] {
        upsert(bad).expect_error(422, code);
    }
    let semantic = query(
        &client,
        "v",
        json!({"query": "whale", "filters": {"tenant": "acme"}, "search_mode": "semantic"}),
    );
    semantic.expect_error(422, "own_vectors");
    client.post_bytes(&path("v", "/documents/a/reprocess"), b"").expect_error(422, "own_vectors");
    let delete = |who: &Client, ids: Value| who.post(&path("v", "/vectors/delete"), &json!({"ids": ids}));
    let pinned = client_with(&client, &json!({"collection": "v", "partition": "globex"}));
    assert_eq!(delete(&pinned, json!(["a", "b"])).expect(200).json()["deleted"], 1);
    assert_eq!((whales("globex").len(), whales("acme").len()), (0, 3));
    upsert(json!([entry("a", "globex", "grey whale again")])).expect(200);
    // A key for the whole collection: wherever it is.
    assert_eq!(delete(&client, json!(["a", "nobody"])).expect(200).json()["deleted"], 1);
    assert_eq!(whales("acme"), pairs(&[("b", "blue whale"), ("c", "white whale")]));
    assert!(whales("globex").is_empty());
}

// Half of a call would be stored, and its caller told that none of it is.
#[test]
fn a_tenants_vectors_of_one_call_are_stored_together_or_not_at_all() {
    let server = Server::start();
    let client = server.operator();
    let vector = json!(vec![0.5; dimension(&client)]);
    let upsert = |entries: &[(&str, &str)]| {
        let vectors: Vec<_> =
            entries.iter().map(|(id, text)| json!({"id": id, "embedding": vector, "text": text})).collect();
        client.post(&path("default", "/vectors/upsert"), &json!({"vectors": vectors}))
    };
    upsert(&[("a", "red whale"), ("b", "blue whale")]).expect(200);
    // Deleted as Aether's clients do: it can come back, so its id is taken.
    client.delete("/v1/documents/b").expect(200);
    upsert(&[("a", "green whale"), ("c", "white whale"), ("b", "grey whale")])
        .expect_error(409, "document_exists");
    assert_eq!(texts(&client, "default", json!({"query": "whale"})), set(&["red whale"]));
    client.post("/v1/documents/b/restore", &json!({})).expect(200);
    upsert(&[("a", "green whale"), ("b", "grey whale")]).expect(200);
    assert_eq!(texts(&client, "default", json!({"query": "whale"})), set(&["green whale", "grey whale"]));
}
