//! Does the tenant's field of a collection keep tenants apart, for every key?

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_tests::client::Client;
use strongroom_tests::collections::{make, path, query, set, texts, try_upload, upload};
use strongroom_tests::keys::client_with;
use strongroom_tests::server::Server;

// What one tenant stored would come back to another, or to whoever forgot to say for whom he asks.
#[test]
fn a_tenants_field_is_the_partition() {
    let server = Server::start();
    let client = server.operator();
    make(&client, json!({"name": "shared", "tenant_field": "tenant"}));
    make(&client, json!({"name": "plain"}));
    upload(&client, "plain", "notes of nobody", json!({"tenant": "acme"}));
    for tenant in ["acme", "globex"] {
        upload(&client, "shared", &format!("secret of {tenant}"), json!({"tenant": tenant, "n": 1}));
        let entry = json!({"id": "v1", "embedding": vec![0.5; 256], "text": format!("vector of {tenant}"), "metadata": {"tenant": tenant}});
        client.post(&path("shared", "/vectors/upsert"), &json!({"vectors": [entry]})).expect(200);
    }
    let of_acme = set(&["secret of acme", "vector of acme"]);
    for named in [json!("acme"), json!({"$eq": "acme"}), json!({"$in": ["acme"]})] {
        for mode in ["semantic", "hybrid"] {
            let body = json!({"query": "secret vector of globex", "filters": {"tenant": named}, "search_mode": mode});
            assert_eq!(texts(&client, "shared", body), of_acme, "{named} {mode}");
        }
    }
    let narrowed = json!({"query": "secret", "filters": {"tenant": "acme", "n": 1}});
    assert_eq!(texts(&client, "shared", narrowed), set(&["secret of acme"]));
    let several = |filters: Value| json!({"query": "secret", "collections": ["plain", "shared"], "filters": filters, "search_mode": "semantic"});
    let answer = client.post("/v1/query", &several(json!({"tenant": "acme"}))).expect(200).json();
    let found: BTreeSet<&str> = answer["results"]
        .as_array()
        .expect("results")
        .iter()
        .filter_map(|one| one["text"].as_str())
        .collect();
    assert_eq!(found, BTreeSet::from(["notes of nobody", "secret of acme", "vector of acme"]));
    assert!(answer["results"][0]["collection"].is_string());
    let one = |filters: Value| json!({"collection": "shared", "query": "secret", "filters": filters});
    let batch = json!({"queries": [one(json!({"tenant": "acme"})), one(json!({"tenant": "globex"}))]});
    let answer = client.post("/v1/batch/query", &batch).expect(200).json();
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(2));
    assert!(!answer["results"][0].to_string().contains("globex"), "{answer}");

    // Missing, empty, several, negated, nested: on every way in.
    let keys = [client.clone(), client_with(&client, &json!({"collection": "shared"}))];
    for asker in &keys {
        for bad in [
            json!({}),
            json!({"tenant": null}),
            json!({"tenant": ""}),
            json!({"tenant": 7}),
            json!({"tenant": ["acme"]}),
            json!({"tenant": {"$in": []}}),
            json!({"tenant": {"$in": ["acme", "globex"]}}),
            json!({"tenant": {"$ne": "globex"}}),
            json!({"tenant": {"$eq": "acme", "$ne": "globex"}}),
            json!({"$or": [{"tenant": "acme"}, {"tenant": "globex"}]}),
            json!({"$not": {"tenant": "globex"}}),
            json!({"tenant": "acme", "$or": [{"tenant": "globex"}]}),
        ] {
            let refused = query(asker, "shared", json!({"query": "secret", "filters": bad}));
            assert_eq!(refused.status, 400, "{bad} {refused}");
            let refused = asker.post(
                "/v1/batch/query",
                &json!({"queries": [one(json!({"tenant": "acme"})), one(bad.clone())]}),
            );
            assert_eq!(refused.status, 400, "{bad} {refused}");
            let only = json!({"query": "secret", "collections": ["shared"], "filters": bad});
            let refused = asker.post("/v1/query", &only);
            assert_eq!((refused.status, refused.json()["error"].is_object()), (400, true), "{bad} {refused}");
            if bad.get("$or").is_none() {
                let refused = try_upload(asker, "shared", "x.txt", "words", Some(&bad));
                assert_eq!(refused.status, 400, "{bad} {refused}");
                let entry = json!({"id": "x", "embedding": vec![0.5; 256], "metadata": bad});
                let refused = asker.post(&path("shared", "/vectors/upsert"), &json!({"vectors": [entry]}));
                assert_eq!(refused.status, 400, "{bad} {refused}");
            }
        }
        query(asker, "shared", json!({"query": "secret"})).expect_error(400, "tenant_required");
        try_upload(asker, "shared", "x.txt", "words", None).expect_error(400, "tenant_required");
        let lists = asker.get(&path("shared", "/documents"));
        lists.expect_error(400, "partition_required");
        let listed = asker.get(&path("shared", "/documents?partition=acme")).expect(200).json();
        assert_eq!(listed["total"], 2);
        let other = asker.post(
            &path("shared", "/query?partition=globex"),
            &json!({"query": "x", "filters": {"tenant": "acme"}}),
        );
        other.expect_error(400, "invalid_partition");
    }
    let stats = client.get(&path("shared", "/stats")).expect(200).json();
    assert_eq!(
        (&stats["document_count"], &stats["partitions"]),
        (&json!(4), &json!(2)),
        "a refused call wrote"
    );
}

// A key that was handed to one tenant, or is for one collection, would reach the next.
#[test]
fn pinned_keys_stay_with_their_tenant_and_collection() {
    let server = Server::start();
    let client = server.operator();
    for name in ["shared", "other"] {
        make(&client, json!({"name": name, "tenant_field": "tenant"}));
    }
    let own = upload(&client, "shared", "secret of acme", json!({"tenant": "acme"}));
    let foreign = upload(&client, "shared", "secret of globex", json!({"tenant": "globex"}));
    let elsewhere = upload(&client, "other", "secret of acme, elsewhere", json!({"tenant": "acme"}));
    let pinned = client_with(&client, &json!({"collection": "shared", "partition": "acme"}));
    let of_default = client_with(&client, &json!({"partition": "acme"}));
    let of_other = client_with(&client, &json!({"collection": "other"}));
    let tenants = client_with(&client, &json!({"multi_tenant": true}));
    let body = |tenant: &str| json!({"query": "secret", "filters": {"tenant": tenant}});
    assert_eq!(texts(&pinned, "shared", body("acme")), set(&["secret of acme"]));
    query(&pinned, "shared", body("globex")).expect_error(403, "partition_forbidden");
    query(&pinned, "other", body("acme")).expect_error(403, "collection_forbidden");
    query(&of_default, "shared", body("acme")).expect_error(403, "collection_forbidden");
    query(&of_other, "shared", body("acme")).expect_error(403, "collection_forbidden");
    query(&tenants, "shared", json!({"query": "secret"})).expect_error(400, "partition_required");
    assert_eq!(texts(&tenants, "shared", body("acme")), set(&["secret of acme"]));
    try_upload(&pinned, "shared", "x.txt", "words", Some(&json!({"tenant": "globex"})))
        .expect_error(403, "partition_forbidden");
    assert_eq!(pinned.get(&path("shared", "/documents")).expect(200).json()["total"], 1);
    for (method, rest) in
        [("GET", ""), ("GET", "/chunks"), ("GET", "/file"), ("POST", "/reprocess"), ("DELETE", "")]
    {
        let call = |who: &Client, id: &str| {
            who.send(method, &path("shared", &format!("/documents/{id}{rest}")), &[], Vec::new())
        };
        call(&pinned, &foreign).expect_error(404, "document_not_found");
        call(&client, &elsewhere).expect_error(404, "document_not_found");
        call(&of_default, &own).expect_error(403, "collection_forbidden");
        call(&of_other, &own).expect_error(403, "collection_forbidden");
        call(&tenants, &own).expect_error(400, "partition_required");
    }
    pinned.get(&format!("/v1/documents/{foreign}/chunks")).expect_error(404, "document_not_found");
    of_other.get(&format!("/v1/documents/{own}/chunks")).expect_error(404, "document_not_found");
    assert_eq!(pinned.get(&format!("/v1/documents/{own}/chunks")).expect(200).json()["total"], 1);
    for id in [&own, &foreign, &elsewhere] {
        client.get(&format!("/v1/documents/{id}/chunks")).expect(200);
    }
    let batch = json!({"document_ids": [own, foreign]});
    let got = pinned.post(&path("shared", "/documents/batch/get"), &batch).expect(200).json();
    assert_eq!(got["total"], 1);
    let deleted = pinned.post(&path("shared", "/documents/batch/delete"), &batch).expect(200).json();
    assert_eq!((&deleted["deleted"], &deleted["errors"][0]["document_id"]), (&json!(1), &json!(foreign)));
    assert_eq!(texts(&client, "shared", body("globex")), set(&["secret of globex"]), "untouched");
}
