//! Do tenants and memories keep apart what belongs to different customers and users, and do they go for good?
//!
//! HyperSpark Memory's calls over plain HTTP, on whole servers.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use strongroom_tests::client::{Client, encoded, with_query};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::memories::{contents, count, ingest, of, recall, recent, tenant, text, type_of};
use strongroom_tests::server::{Server, program};

// The documented first steps would not work as they are printed.
#[test]
fn the_printed_quick_start_works() {
    let server = Server::start();
    let client = client_with(&server.operator(), &json!({}));
    assert_eq!(type_of(&client), "standalone");
    let made = client.post("/api/v1/tenants", &json!({"name": "Acme Corporation", "slug": "acme-corp"}));
    let made = made.expect(201).json();
    let id = text(&made["tenantId"]);
    assert!(id.starts_with("org_"), "{made}");
    assert_eq!((&made["success"], &made["tenant"]["id"]), (&json!(true), &json!(id)));
    assert_eq!(made["tenant"]["name"], "Acme Corporation");
    assert_eq!((&made["tenant"]["slug"], &made["tenant"]["type"]), (&json!("acme-corp"), &json!("tenant")));
    assert_eq!(type_of(&client), "parent");
    let messages = json!({"tenantId": id, "userId": "user_123",
        "messages": [{"role": "user", "content": "Our Q4 budget is $50,000"}]});
    let stored = client.post("/api/v1/memory/ingest", &messages).expect(200).json();
    assert_eq!((&stored["success"], &stored["data"]["memoriesAdded"]), (&json!(true), &json!(1)));
    let asked = json!({"tenantId": id, "userId": "user_123", "query": "budget information"});
    let found = client.post("/api/v1/memory/recall", &asked).expect(200).json();
    let first = &found["memories"][0];
    assert_eq!((&found["success"], &first["content"]), (&json!(true), &json!("Our Q4 budget is $50,000")));
    assert_eq!((&first["id"], &first["role"]), (&stored["data"]["memoryIds"][0], &json!("user")));
    let score = first["score"].as_f64().expect("a score");
    assert!((0.3..=1.0).contains(&score), "{first}");
    // What is printed of usage and deletion.
    let usage = client.get("/api/v1/usage").expect(200).json();
    assert_eq!((&usage["totals"]["queries"], &usage["totals"]["memories"]), (&json!(1), &json!(1)));
    let row = &usage["tenants"][0];
    assert_eq!((&row["id"], &row["name"]), (&json!(id), &json!("Acme Corporation")));
    assert_eq!((&row["queriesThisPeriod"], &row["memoryCount"]), (&json!(1), &json!(1)));
    assert_eq!(usage["limit"], Value::Null);
    let gone = client.delete(&format!("/api/v1/tenants/{id}")).expect(200).json();
    assert_eq!((&gone["memoriesDeleted"], &gone["deleted"]), (&json!(1), &json!(true)));
    assert_eq!(type_of(&client), "standalone");
    let file = server.folder().around().join("receipt.json");
    std::fs::write(&file, gone["receipt"].to_string()).expect("a file can be written");
    let done = Command::new(program()).arg("verify-receipt").arg(&file).output().expect("it starts");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains(&text(&gone["receiptId"])), "{said}");
}

// A customer's list would be wrong, or two of them be taken for one.
#[test]
fn tenants_are_listed_renamed_and_told_apart() {
    let server = Server::start();
    let client = client_with(&server.operator(), &json!({}));
    let ids: Vec<String> = ["One", "Two", "Three"].iter().map(|name| tenant(&client, name)).collect();
    let page = |query: &str| client.get(&format!("/api/v1/tenants{query}")).expect(200).json();
    let names = |page: &Value| -> Vec<String> {
        page["tenants"].as_array().expect("tenants").iter().map(|tenant| text(&tenant["name"])).collect()
    };
    let all = page("");
    assert_eq!(
        (names(&all), &all["total"], &all["hasMore"]),
        (vec!["One".into(), "Two".into(), "Three".into()], &json!(3), &json!(false))
    );
    let second = page("?limit=1&offset=1");
    assert_eq!((names(&second), &second["hasMore"]), (vec!["Two".into()], &json!(true)));
    let path = format!("/api/v1/tenants/{}", ids[1]);
    let renamed = client.patch(&path, &json!({"name": "Zwei"})).expect(200).json();
    assert_eq!((&renamed["tenant"]["name"], &renamed["tenant"]["slug"]), (&json!("Zwei"), &json!("two")));
    client.post("/api/v1/tenants", &json!({"name": "x", "slug": "two"})).expect_error(409, "slug_taken");
    // Without a slug of its own it gets another one.
    let twin = client.post("/api/v1/tenants", &json!({"name": "Two"})).expect(201).json();
    assert_ne!(twin["tenant"]["slug"], "two");
    for (body, code) in [
        (json!({"name": " "}), "invalid_name"),
        (json!({"name": "x", "slug": "No Slug"}), "invalid_slug"),
        (json!({"slug": "x"}), "malformed_body"),
        (json!({"name": "x", "plan": "gold"}), "malformed_body"),
    ] {
        let refused = client.post("/api/v1/tenants", &body).expect_error(400, code);
        assert_eq!(refused.json()["success"], false, "{refused}");
    }
    let server = server.kill().start();
    let client = server.operator();
    let read = client.get(&path).expect(200).json();
    assert_eq!((&read["tenant"]["name"], &read["tenant"]["id"]), (&json!("Zwei"), &json!(ids[1])));
    assert_eq!(client.get("/api/v1/tenants").expect(200).json()["total"], 4);
}

// One customer, or one user, would read what another one said.
#[test]
fn memories_stay_with_their_tenant_and_user() {
    let server = Server::start();
    let operator = server.operator();
    operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201);
    let other = client_with(&operator.in_workspace("other"), &json!({}));
    let client = client_with(&operator, &json!({}));
    let (acme, beta, foreign) = (tenant(&client, "Acme"), tenant(&client, "Beta"), tenant(&other, "Acme"));
    let places = [
        (&client, Some(&acme)),
        (&client, Some(&beta)),
        (&client, None),
        (&other, Some(&foreign)),
        (&other, None),
    ];
    let said = |place: usize, user: &str| format!("The secret of {user} in place {place} is tea");
    let mut ids = BTreeSet::new();
    for (number, (client, tenant)) in places.iter().enumerate() {
        let tenant = tenant.map(String::as_str);
        for user in ["ada", "bob"] {
            // The same words everywhere, and words of its own.
            ids.extend(ingest(client, tenant, user, &[&said(number, user), "I like tea"]));
        }
    }
    assert_eq!(ids.len(), 20, "ids never collide across tenants and users");
    for (number, (client, tenant)) in places.iter().enumerate() {
        let tenant = tenant.map(String::as_str);
        for user in ["ada", "bob"] {
            let expected = BTreeSet::from([said(number, user), "I like tea".to_owned()]);
            for found in
                [contents(recall(client, tenant, user, "the secret is tea")), recent(client, tenant, user)]
            {
                assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>()), (2, expected.clone()));
            }
        }
        assert!(recent(client, tenant, "carol").is_empty());
        assert_eq!(count(client, tenant), 4);
    }
    // By the id of a memory, too: neither another user's nor another tenant's can be forgotten.
    let of_ada = &ingest(&client, Some(&acme), "ada", &["Only Ada knows"])[0];
    for (tenant, user) in [(Some(&acme), "bob"), (Some(&beta), "ada"), (None, "ada")] {
        let body = of(tenant.map(String::as_str), user, json!({"memoryId": of_ada}));
        client.post("/api/v1/memory/forget", &body).expect_error(404, "memory_not_found");
    }
    assert_eq!(count(&client, Some(&acme)), 5);
}

// Whoever guesses ids would learn which customers somebody else has, or reach them.
#[test]
fn a_foreign_tenant_looks_like_one_that_is_not_there() {
    let server = Server::start();
    let operator = server.operator();
    operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201);
    let other = client_with(&operator.in_workspace("other"), &json!({}));
    let client = client_with(&operator, &json!({}));
    let (own, sister, foreign) =
        (tenant(&client, "Own"), tenant(&client, "Sister"), tenant(&other, "Foreign"));
    ingest(&other, Some(&foreign), "walker", &["Foreign words"]);
    let deleted = tenant(&client, "Deleted");
    client.delete(&format!("/api/v1/tenants/{deleted}")).expect(200);
    let pinned = client_with(&operator, &json!({"collection": "memory", "partition": own}));
    let missing = "org_00000000000000000000";
    let calls = |client: &Client, id: &str| -> Vec<(u16, Value)> {
        let path = format!("/api/v1/tenants/{}", encoded(id));
        let body = |more| of(Some(id), "walker", more);
        [
            client.get(&path),
            client.patch(&path, &json!({"name": "Mine"})),
            client.delete(&path),
            client.post("/api/v1/memory/ingest", &body(json!({"messages": [{"content": "mine"}]}))),
            client.post("/api/v1/memory/recall", &body(json!({"query": "words"}))),
            client.post("/api/v1/memory/recent", &body(json!({}))),
            client.post("/api/v1/memory/stats", &body(json!({}))),
            client.post("/api/v1/memory/forget", &body(json!({}))),
            client.get(&with_query("/api/v1/memory/recent", &[("userId", "walker"), ("tenantId", id)])),
            client.get(&with_query("/api/v1/memory/stats", &[("tenantId", id)])),
        ]
        .into_iter()
        .map(|answer| {
            let mut body = answer.json();
            body.as_object_mut().expect("an object").remove("request_id");
            (answer.status, body)
        })
        .collect()
    };
    let expected = calls(&client, missing);
    assert!(
        expected.iter().all(|(status, body)| *status == 403 && body["code"] == "tenant_forbidden"),
        "{expected:?}"
    );
    for (who, ids) in [
        (&client, vec![foreign.as_str(), deleted.as_str(), "memory", "default"]),
        (&pinned, vec![foreign.as_str(), sister.as_str(), deleted.as_str(), missing]),
        (&other, vec![own.as_str(), sister.as_str()]),
    ] {
        for id in ids {
            assert_eq!(calls(who, id), expected, "{id}");
        }
    }
    assert_eq!(recent(&other, Some(&foreign), "walker"), ["Foreign words"], "untouched");
    // The tenant's own key is that tenant, without naming it, also after a restart, and makes none.
    ingest(&pinned, None, "ada", &["Words of our own"]);
    let server = server.kill().start();
    let operator = server.operator();
    assert_eq!(recent(&operator, Some(&own), "ada"), ["Words of our own"]);
    let key = mint(&operator, &json!({"collection": "memory", "partition": own, "scopes": ["*"]}));
    let pinned = operator.with_key(&key.key);
    assert_eq!(recent(&pinned, None, "ada"), ["Words of our own"]);
    let organization = pinned.get("/api/v1/organization").expect(200).json();
    assert_eq!((&organization["type"], &organization["id"]), (&json!("tenant"), &json!(own)));
    assert_eq!(pinned.get("/api/v1/tenants").expect(200).json()["total"], 1);
    let usage = pinned.get("/api/v1/usage").expect(200).json();
    assert_eq!(
        (&usage["totals"]["memories"], usage["tenants"].as_array().map(Vec::len)),
        (&json!(1), Some(1))
    );
    pinned.post("/api/v1/tenants", &json!({"name": "x"})).expect_error(403, "pinned_key");
    pinned.delete(&format!("/api/v1/tenants/{own}")).expect(200);
    recall(&pinned, None, "ada", "words").expect_error(403, "tenant_forbidden");
    // A key of another collection reaches nothing here.
    let elsewhere = client_with(&operator, &json!({"partition": "acme"}));
    for answer in [
        elsewhere.get("/api/v1/organization"),
        elsewhere.get("/api/v1/usage"),
        elsewhere.get("/api/v1/tenants"),
        recall(&elsewhere, None, "ada", "x"),
    ] {
        assert_eq!(answer.status, 403, "{answer}");
    }
}

// A slip in the caller's code would reach everybody's memories, or nobody would know what was wrong.
#[test]
fn what_does_not_say_whom_it_is_about_is_refused() {
    let server = Server::start();
    let operator = server.operator();
    let client = client_with(&operator, &json!({}));
    let acme = tenant(&client, "Acme");
    ingest(&client, Some(&acme), "ada", &["Tea"]);
    ingest(&client, None, "ada", &["Coffee"]);
    for path in ["recall", "recent", "ingest", "stats", "forget"] {
        let body = json!({"tenantId": null, "userId": "ada", "query": "x", "messages": []});
        let fits: Vec<&str> = match path {
            "recall" => vec!["tenantId", "userId", "query"],
            "ingest" => vec!["tenantId", "userId", "messages"],
            _ => vec!["tenantId", "userId"],
        };
        let body: Value = fits.iter().map(|name| ((*name).to_owned(), body[*name].clone())).collect();
        client.post(&format!("/api/v1/memory/{path}"), &body).expect_error(400, "invalid_partition");
    }
    for user in [json!({}), json!({"userId": null}), json!({"userId": " "})] {
        let with = |more: Value| {
            let mut body = user.clone();
            body["tenantId"] = json!(acme);
            for (name, value) in more.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            body
        };
        client.post("/api/v1/memory/recall", &with(json!({"query": "x"}))).expect_error(400, "user_required");
        client.post("/api/v1/memory/recent", &with(json!({}))).expect_error(400, "user_required");
        client
            .post("/api/v1/memory/ingest", &with(json!({"messages": [{"content": "x"}]})))
            .expect_error(400, "user_required");
        assert_eq!(client.post("/api/v1/memory/forget", &with(json!({}))).status, 400);
        assert_eq!(client.post("/api/v1/memory/forget", &with(json!({"memoryId": null}))).status, 400);
    }
    // A memory's id that came out empty must not forget all of a user.
    let null = json!({"tenantId": acme, "userId": "ada", "memoryId": null});
    assert_eq!(client.post("/api/v1/memory/forget", &null).status, 400);
    for (body, code) in [
        (json!({"query": " "}), "invalid_query"),
        (json!({}), "invalid_query"),
        (json!({"query": "x", "topK": 0}), "invalid_parameter"),
        (json!({"query": "x", "topK": 101}), "invalid_parameter"),
        (json!({"query": "x", "top_k": 5}), "malformed_body"),
    ] {
        client.post("/api/v1/memory/recall", &of(Some(&acme), "ada", body)).expect_error(400, code);
    }
    let twice = client.post(
        &format!("/api/v1/memory/recall?tenantId={acme}x"),
        &of(Some(&acme), "ada", json!({"query": "x"})),
    );
    twice.expect_error(400, "invalid_partition");
    client
        .post("/api/v1/memory/recall?partition=x", &of(None, "ada", json!({"query": "x"})))
        .expect_error(400, "unknown_parameter");
    assert_eq!(
        (count(&client, Some(&acme)), count(&client, None)),
        (1, 1),
        "nothing was forgotten or written"
    );
}

// The same would be remembered again and again, or what was said would come back in the wrong order.
#[test]
fn what_was_said_is_remembered_once_and_ranked() {
    let server = Server::start();
    let client = server.operator();
    let acme = Some(tenant(&client, "Acme"));
    let acme = acme.as_deref();
    let texts = ["My favourite colour is green", "...", "  ", "My favourite colour is green", "Where is it?"];
    let messages: Vec<_> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
    let done = client
        .post("/api/v1/memory/ingest", &of(acme, "ada", json!({"messages": messages})))
        .expect(200)
        .json();
    let data = &done["data"];
    assert_eq!(
        (&data["memoriesAdded"], &data["duplicates"], &data["skipped"]),
        (&json!(2), &json!(1), &json!(2))
    );
    assert!(ingest(&client, acme, "ada", &["My favourite colour is green"]).is_empty());
    assert_eq!(
        recent(&client, acme, "ada"),
        ["Where is it?", "My favourite colour is green"],
        "the last first"
    );
    // All else equal, what is important and what is new comes first.
    let both = json!([
        {"role": "user", "content": "The train to Rome leaves early", "importance": 0.0, "timestamp": "2020-01-01T00:00:00Z"},
        {"role": "assistant", "content": "The train to Rome leaves early!", "importance": 1.0},
    ]);
    client
        .post("/api/v1/memory/ingest", &of(acme, "bob", json!({"messages": both, "sessionId": "s1"})))
        .expect(200);
    let found = recall(&client, acme, "bob", "train to Rome").expect(200).json();
    let (first, second) = (&found["memories"][0], &found["memories"][1]);
    assert_eq!(
        (&first["role"], &first["importance"], &first["sessionId"]),
        (&json!("assistant"), &json!(1.0), &json!("s1"))
    );
    assert_eq!(second["createdAt"], "2020-01-01T00:00:00.000Z");
    let score = |memory: &Value, of: &str| memory[of].as_f64().expect("a number");
    for memory in [first, second] {
        let sum = 0.7 * score(memory, "relevance")
            + 0.15 * score(memory, "recency")
            + 0.15 * score(memory, "importance");
        assert!((score(memory, "score") - sum).abs() < 1e-3, "{memory}");
    }
    assert!(score(first, "score") > score(second, "score") + 0.2, "{found}");
    // As many as match, up to topK, among many others.
    let many: Vec<String> = (0..150).map(|n| format!("Note {n} about the garden")).collect();
    ingest(&client, acme, "eve", &many.iter().map(String::as_str).collect::<Vec<_>>());
    for (k, expected) in [(1, 1), (100, 100)] {
        let body = of(acme, "eve", json!({"query": "garden notes", "topK": k}));
        assert_eq!(contents(client.post("/api/v1/memory/recall", &body)).len(), expected);
    }
    let one = of(acme, "eve", json!({"query": "note 77 about the garden", "topK": 1}));
    assert_eq!(contents(client.post("/api/v1/memory/recall", &one)), ["Note 77 about the garden"]);
    assert_eq!(recent(&client, acme, "eve")[0], "Note 149 about the garden");
    let stats = client.get(&with_query(
        "/api/v1/memory/stats",
        &[("tenantId", acme.unwrap_or_default()), ("userId", "bob")],
    ));
    let stats = stats.expect(200).json()["stats"].clone();
    assert_eq!((&stats["memoryCount"], &stats["byRole"]["assistant"]), (&json!(2), &json!(1)));
}
