//! Do tenants and memories keep apart what belongs to different customers and users, and do they go for good?
//!
//! HyperSpark Memory's calls over plain HTTP, on whole servers.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, encoded, with_query};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::residue::files_with;
use strongroom_tests::server::{Server, program};

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Makes a tenant and answers its id.
#[track_caller]
fn tenant(client: &Client, name: &str) -> String {
    let made = client.post("/api/v1/tenants", &json!({"name": name})).expect(201).json();
    text(&made["tenantId"])
}

/// A body that names a user and, if there is one, a tenant.
fn of(tenant: Option<&str>, user: &str, mut body: Value) -> Value {
    body["userId"] = user.into();
    if let Some(tenant) = tenant {
        body["tenantId"] = tenant.into();
    }
    body
}

/// Has these said by a user, and answers the ids of what is new.
#[track_caller]
fn ingest(client: &Client, tenant: Option<&str>, user: &str, texts: &[&str]) -> Vec<String> {
    let messages: Vec<_> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
    let done = client.post("/api/v1/memory/ingest", &of(tenant, user, json!({"messages": messages})));
    let done = done.expect(200).json();
    assert_eq!(done["success"], true);
    done["data"]["memoryIds"].as_array().expect("ids").iter().map(text).collect()
}

fn recall(client: &Client, tenant: Option<&str>, user: &str, query: &str) -> Answer {
    client.post("/api/v1/memory/recall", &of(tenant, user, json!({"query": query})))
}

/// The texts of the memories in an answer, in their order.
#[track_caller]
fn contents(answer: Answer) -> Vec<String> {
    let answer = answer.expect(200).json();
    answer["memories"].as_array().expect("memories").iter().map(|memory| text(&memory["content"])).collect()
}

fn recent(client: &Client, tenant: Option<&str>, user: &str) -> Vec<String> {
    contents(client.post("/api/v1/memory/recent", &of(tenant, user, json!({"limit": 100}))))
}

#[track_caller]
fn count(client: &Client, tenant: Option<&str>) -> u64 {
    let pairs: Vec<_> = tenant.map(|id| ("tenantId", id)).into_iter().collect();
    let stats = client.get(&with_query("/api/v1/memory/stats", &pairs)).expect(200).json();
    stats["stats"]["memoryCount"].as_u64().expect("a count")
}

fn type_of(client: &Client) -> String {
    text(&client.get("/api/v1/organization").expect(200).json()["type"])
}

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

// What somebody asked to be forgotten would be recalled, or lie on the disk; or more would be forgotten than was asked.
#[test]
fn what_is_forgotten_is_gone() {
    let server = Server::start();
    let client = server.operator();
    let acme = Some(tenant(&client, "Acme"));
    let acme = acme.as_deref();
    let ids = ingest(&client, acme, "ada", &["Tea with milk", "Tea with lemon", "Tea with honey"]);
    ingest(&client, acme, "bob", &["Tea with salt"]);
    ingest(&client, None, "ada", &["Tea of the parent"]);
    let forget = |body: Value| client.post("/api/v1/memory/forget", &body);
    let one = forget(json!({"tenantId": acme, "memoryId": ids[1]})).expect(200).json();
    assert_eq!((&one["forgotten"], &one["final"]), (&json!(1), &json!(true)));
    let receipt = client.get(&format!("/v1/receipts/{}", text(&one["receiptId"]))).expect(200).json();
    assert_eq!(receipt["kind"], "purge");
    forget(json!({"tenantId": acme, "memoryId": ids[1]})).expect_error(404, "memory_not_found");
    // Neither by its place nor by its name is a registration a memory.
    forget(json!({"tenantId": acme, "memoryId": "tenant"})).expect_error(404, "memory_not_found");
    assert_eq!(recent(&client, acme, "ada"), ["Tea with honey", "Tea with milk"]);
    // One that isn't there, and none of them goes.
    forget(json!({"tenantId": acme, "memoryIds": [ids[0], ids[1]]})).expect_error(404, "memory_not_found");
    assert_eq!(count(&client, acme), 3);
    let all = forget(of(acme, "ada", json!({}))).expect(200).json();
    assert_eq!((&all["forgotten"], &all["final"]), (&json!(2), &json!(true)));
    assert!(contents(recall(&client, acme, "ada", "tea")).is_empty());
    assert_eq!(forget(of(acme, "ada", json!({}))).expect(200).json()["forgotten"], 0);
    assert_eq!(recent(&client, acme, "bob"), ["Tea with salt"]);
    assert_eq!(recent(&client, None, "ada"), ["Tea of the parent"]);
    // What was forgotten can be learnt again.
    assert_eq!(ingest(&client, acme, "ada", &["Tea with milk"]), [ids[0].clone()]);
    let server = server.kill().start();
    assert_eq!(recent(&server.operator(), acme, "ada"), ["Tea with milk"]);
}

// A customer who left would still be on the disk, or be named by something that stayed.
#[test]
fn nothing_of_a_deleted_tenant_is_left() {
    const MARKS: &[&str] = &["zqname", "zqslug", "zquser", "zqcontent", "zqsession", "zqrole", "zqrenamed"];
    let server = Server::start();
    let client = server.operator();
    let kept = tenant(&client, "Kept");
    ingest(&client, Some(&kept), "ada", &["Something that stays"]);
    let made =
        client.post("/api/v1/tenants", &json!({"name": "zqname Ltd", "slug": "zqslug"})).expect(201).json();
    let id = text(&made["tenantId"]);
    let body = json!({"tenantId": id, "userId": "zquser", "sessionId": "zqsession",
        "messages": [{"role": "zqrole", "content": "zqcontent of the customer"}]});
    client.post("/api/v1/memory/ingest", &body).expect(200);
    client.patch(&format!("/api/v1/tenants/{id}"), &json!({"name": "zqrenamed Ltd"})).expect(200);
    assert_eq!(contents(recall(&client, Some(&id), "zquser", "zqcontent")).len(), 1);
    assert_eq!(files_with(&server.folder().data(), MARKS), [], "nothing of it is in clear while it lives");
    // Once in a segment, once in the log alone.
    let server = server.stop().start();
    let client = server.operator();
    ingest(&client, Some(&id), "zquser", &["zqcontent again"]);
    let gone = client.delete(&format!("/api/v1/tenants/{id}")).expect(200).json();
    assert_eq!(gone["memoriesDeleted"], 2);
    let said = server.said();
    assert!(MARKS.iter().all(|mark| !said.contains(mark)), "{said}");
    let folder = server.folder().data();
    assert_eq!(files_with(&folder, MARKS), []);
    assert_eq!(files_with(&folder, &[&id]), [], "not even its id");
    let server = server.kill().start();
    let client = server.operator();
    client.get(&format!("/api/v1/tenants/{id}")).expect_error(403, "tenant_forbidden");
    client.delete(&format!("/api/v1/tenants/{id}")).expect_error(403, "tenant_forbidden");
    assert_eq!(recent(&client, Some(&kept), "ada"), ["Something that stays"]);
    assert_eq!(client.get("/api/v1/usage").expect(200).json()["totals"]["memories"], 1);
    client.post("/api/v1/tenants", &json!({"name": "x", "slug": "zqslug"})).expect(201);
}

// A crash in the middle would leave half a customer: a slug that nobody can use, or one that comes back after its deletion.
#[test]
fn a_kill_between_making_and_deleting_leaves_whole_tenants() {
    let mut plan = None;
    for round in 0..6_u64 {
        let server = plan.map_or_else(Server::start, |plan: strongroom_tests::server::Plan| plan.start());
        let client = server.operator();
        let before: BTreeSet<String> = slugs(&client).into_iter().collect();
        let (address, running) = (server.address(), std::sync::atomic::AtomicBool::new(true));
        let acknowledged = std::sync::Mutex::new((BTreeSet::new(), BTreeSet::new()));
        let plan_then = std::thread::scope(|scope| {
            for worker in 0..3 {
                let (client, acknowledged, running) = (client.clone(), &acknowledged, &running);
                scope.spawn(move || {
                    for number in 0.. {
                        let slug = format!("r{round}-w{worker}-n{number}");
                        let body = json!({"name": slug, "slug": slug}).to_string().into_bytes();
                        let Ok(made) = client.try_send("POST", "/api/v1/tenants", &[], body) else { return };
                        assert_eq!(made.status, 201, "{made}");
                        let path = format!("/api/v1/tenants/{}", text(&made.json()["tenantId"]));
                        acknowledged.lock().expect("a set").0.insert(slug.clone());
                        if number % 2 == 0 {
                            // From here on it may be gone, whether or not the answer comes.
                            acknowledged.lock().expect("a set").0.remove(&slug);
                            let Ok(gone) = client.try_send("DELETE", &path, &[], Vec::new()) else { return };
                            assert_eq!(gone.status, 200, "{gone}");
                            acknowledged.lock().expect("a set").1.insert(slug);
                        }
                        if !running.load(std::sync::atomic::Ordering::Relaxed) {
                            return;
                        }
                    }
                });
            }
            // At another moment in each round, told by what was acknowledged so far.
            while (acknowledged.lock().expect("a set").1.len() as u64) < 2 + round {
                std::thread::yield_now();
            }
            running.store(false, std::sync::atomic::Ordering::Relaxed);
            server.kill()
        });
        let (made, gone) = acknowledged.into_inner().expect("sets");
        let server = plan_then.start();
        assert_ne!(server.address(), address);
        let client = server.operator();
        let after: BTreeSet<String> = slugs(&client).into_iter().collect();
        assert!(made.is_subset(&after) && before.is_subset(&after), "lost: {:?}", made.difference(&after));
        assert!(gone.is_disjoint(&after), "back again: {:?}", gone.intersection(&after));
        // Nothing is half there: what is not listed can be made.
        for worker in 0..3 {
            for number in 0..40 {
                let slug = format!("r{round}-w{worker}-n{number}");
                if !after.contains(&slug) && number % 8 == 0 {
                    client.post("/api/v1/tenants", &json!({"name": slug, "slug": slug})).expect(201);
                }
            }
        }
        plan = Some(server.kill());
    }
}

/// The slugs of all tenants, each with its name.
#[track_caller]
fn slugs(client: &Client) -> Vec<String> {
    let page = client.get("/api/v1/tenants?limit=1000").expect(200).json();
    let tenants = page["tenants"].as_array().expect("tenants").clone();
    assert_eq!(page["total"], tenants.len(), "each has its registration");
    tenants.iter().map(|tenant| text(&tenant["slug"])).collect()
}

// A plan's limit would not hold, or a customer's bill would count what another one asked.
#[test]
fn recalls_count_against_the_plan() {
    let plan = Server::start().stop().set("STRONGROOM_MEMORY_PLAN_QUERIES", "4");
    let server = plan.start();
    let client = client_with(&server.operator(), &json!({}));
    let (acme, beta) = (tenant(&client, "Acme"), tenant(&client, "Beta"));
    let pinned = client_with(&client, &json!({"collection": "memory", "partition": beta}));
    let first = recall(&client, Some(&acme), "ada", "x").expect(200);
    assert_eq!((first.header("x-plan-limit"), first.header("x-plan-used")), (Some("4"), Some("1")));
    // What is refused is not counted.
    recall(&client, Some("org_missing"), "ada", "x").expect_error(403, "tenant_forbidden");
    recall(&client, Some(&acme), "ada", " ").expect_error(400, "invalid_query");
    recall(&client, Some(&acme), "ada", "x").expect(200);
    let own = recall(&pinned, None, "ada", "x").expect(200);
    assert_eq!(own.header("x-plan-used"), None, "a tenant learns nothing of the others");
    recall(&client, None, "ada", "x").expect(200);
    for client in [&client, &pinned] {
        let refused = recall(client, Some(&beta), "ada", "x").expect_error(429, "plan_limit_reached");
        let after: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
        assert!((1..=31 * 86_400).contains(&after), "{after}");
    }
    let usage = client.get("/api/v1/usage").expect(200);
    assert_eq!((usage.header("x-plan-limit"), usage.header("x-plan-used")), (Some("4"), Some("4")));
    let usage = usage.json();
    assert_eq!(
        (&usage["totals"]["queries"], &usage["limit"], &usage["remaining"]),
        (&json!(4), &json!(4), &json!(0))
    );
    assert_eq!(usage["own"]["queriesThisPeriod"], 1);
    let queries = [0, 1].map(|at: usize| usage["tenants"][at]["queriesThisPeriod"].clone());
    assert_eq!(queries, [json!(2), json!(1)]);
    // Another workspace has a plan of its own; everything but recalls goes on.
    server.operator().post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201);
    recall(&server.operator().in_workspace("other"), None, "ada", "x").expect(200);
    ingest(&client, Some(&acme), "ada", &["Still remembered"]);
    // A restart forgets nothing of it.
    let server = server.stop().start();
    let client = server.operator();
    recall(&client, Some(&beta), "ada", "x").expect_error(429, "plan_limit_reached");
    // What a tenant that was deleted had asked stays in the sum.
    client.delete(&format!("/api/v1/tenants/{acme}")).expect(200);
    assert_eq!(client.get("/api/v1/usage").expect(200).json()["totals"]["queries"], 4);
}
