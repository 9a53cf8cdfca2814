//! Is what is forgotten gone, a tenant that was deleted without a trace, and a recall counted once, crashes or not?

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_tests::client::Client;
use strongroom_tests::keys::client_with;
use strongroom_tests::memories::{contents, count, ingest, of, recall, recent, tenant, text};
use strongroom_tests::residue::files_with;
use strongroom_tests::server::Server;

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
