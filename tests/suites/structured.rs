//! Are counts, sums and groups exact, of one partition, and refused where they could not be whole?

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strongroom_tests::client::Client;
use strongroom_tests::keys::client_with;
use strongroom_tests::server::Server;

const CURRENCIES: [&str; 3] = ["EUR", "USD", "GBP"];

fn insert(client: &Client, partition: &str, count: u64) -> Vec<Value> {
    let documents: Vec<Value> = (0..count)
        .map(|n| {
            let mut metadata = json!({"amount": n * 7 % 50, "currency": CURRENCIES[n as usize % 3]});
            if n % 4 == 0 {
                metadata["share"] = json!(n as f64 / 10.0);
            }
            json!({"content": format!("invoice {n}"), "filename": format!("{n:03}.txt"), "partition": partition,
                "metadata": metadata, "tags": if n % 2 == 0 { vec!["even", "invoice"] } else { vec!["invoice"] }})
        })
        .collect();
    client.post("/v1/documents/batch", &json!({"documents": documents})).expect(201);
    documents
}

fn ask(client: &Client, body: &Value) -> Value {
    client.post("/v1/query", body).expect(200).json()
}

// Somebody would be sent a bill over sums that leave out documents, or count another customer's.
#[test]
fn groups_are_those_that_an_independent_count_makes() {
    let server = Server::start();
    let client = server.operator();
    let documents = insert(&client, "acme", 40);
    insert(&client, "globex", 3);
    let mut expected: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for document in &documents {
        let metadata = &document["metadata"];
        let amount = metadata["amount"].as_u64().expect("a number");
        if amount >= 10 {
            let group = expected.entry(metadata["currency"].to_string()).or_default();
            *group = (group.0 + 1, group.1 + amount, group.2.max(amount));
        }
    }
    let body = json!({
        "partition": "acme",
        "filter": {"field": "amount", "op": "gte", "value": 10},
        "group_by": ["currency"],
        "aggregate": [{"op": "count"}, {"op": "sum", "field": "amount", "as": "total"},
            {"op": "max", "field": "amount", "as": "most"}, {"op": "avg", "field": "share", "as": "share"}],
        "sort": [{"by": "total", "dir": "desc"}],
    });
    let check = |client: &Client| {
        let answer = ask(client, &body);
        let groups = answer["groups"].as_array().expect("groups");
        let told: BTreeMap<String, (u64, u64, u64)> = groups
            .iter()
            .map(|group| {
                let number =
                    |name: &str| group["aggregates"][name].as_u64().unwrap_or_else(|| panic!("{group}"));
                (group["keys"]["currency"].to_string(), (number("count"), number("total"), number("most")))
            })
            .collect();
        assert_eq!(told, expected);
        let totals: Vec<_> = groups.iter().map(|group| group["aggregates"]["total"].as_u64()).collect();
        assert!(totals.is_sorted_by(|a, b| a >= b), "{totals:?}");
        assert_eq!(answer["scanned"], expected.values().map(|group| group.0).sum::<u64>());
        assert_eq!(answer["total_groups"], 3);
    };
    check(&client);
    let server = server.kill().start();
    check(&server.operator());
}

// A page would skip documents, show them twice, or stand in another order than was asked for.
#[test]
fn pages_are_in_the_order_that_was_asked_for() {
    let server = Server::start();
    let client = server.operator();
    let documents = insert(&client, "acme", 25);
    let mut expected: Vec<(u64, String)> = documents
        .iter()
        .map(|d| (d["metadata"]["amount"].as_u64().expect("a number"), d["filename"].to_string()))
        .collect();
    expected.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut told = Vec::new();
    loop {
        let answer = ask(
            &client,
            &json!({"partition": "acme", "limit": 10, "offset": told.len(),
            "sort": [{"by": "metadata.amount", "dir": "desc"}, {"by": "title"}]}),
        );
        assert_eq!(answer["total"], 25);
        let page = answer["documents"].as_array().expect("documents");
        told.extend(
            page.iter()
                .map(|d| (d["metadata"]["amount"].as_u64().expect("a number"), d["filename"].to_string())),
        );
        if answer["has_more"] == false {
            break;
        }
        assert_eq!(page.len(), 10);
    }
    assert_eq!(told, expected);
    // Those without the field come last, whichever way.
    for dir in ["asc", "desc"] {
        let answer =
            ask(&client, &json!({"partition": "acme", "limit": 100, "sort": [{"by": "share", "dir": dir}]}));
        let page = answer["documents"].as_array().expect("documents");
        let has: Vec<bool> = page.iter().map(|d| d["metadata"]["share"].is_number()).collect();
        assert!(has[0] && !has[24] && has.is_sorted_by(|a, b| a >= b), "{has:?}");
    }
}

// A query would be answered by a part of what was asked, or by everybody's documents.
#[test]
fn what_cannot_be_answered_whole_is_refused() {
    let server = Server::start();
    let operator = server.operator();
    insert(&operator, "acme", 4);
    for (why, body) in [
        ("a sum over texts", json!({"aggregate": [{"op": "sum", "field": "currency"}]})),
        ("a sum of nothing", json!({"aggregate": [{"op": "sum"}]})),
        ("no such aggregate", json!({"aggregate": [{"op": "median", "field": "amount"}]})),
        ("groups of nothing", json!({"group_by": ["currency"]})),
        ("three fields", json!({"group_by": ["a", "b", "c"], "aggregate": [{"op": "count"}]})),
        ("one name twice", json!({"aggregate": [{"op": "count"}, {"op": "count"}]})),
        ("no such output", json!({"aggregate": [{"op": "count"}], "sort": [{"by": "total"}]})),
        ("no order", json!({"sort": [{"by": "amount", "dir": "up"}]})),
        ("too long a page", json!({"limit": 1001})),
        ("an unknown field of the body", json!({"groupby": ["currency"]})),
        ("half a filter", json!({"filter": {"field": "amount"}})),
    ] {
        let mut body = body;
        body["partition"] = json!("acme");
        let answer = operator.post("/v1/query", &body);
        assert_eq!(answer.status, 400, "{why}: {answer}");
        assert!(answer.json()["error"].is_string(), "in the shape of Aether's answers: {answer}");
    }
    let all = json!({"aggregate": [{"op": "count"}]});
    let count = |client: &Client, partition: Option<&str>| {
        let mut body = all.clone();
        if let Some(partition) = partition {
            body["partition"] = json!(partition);
        }
        let answer = client.post("/v1/query", &body);
        (answer.status, answer.json()["groups"][0]["aggregates"]["count"].as_u64())
    };
    assert_eq!(count(&operator, Some("acme")), (200, Some(4)));
    assert_eq!(count(&operator, Some("nobody")), (200, Some(0)));
    assert_eq!(count(&operator, None), (200, Some(0)));
    let tenants = client_with(&operator, &json!({"multi_tenant": true}));
    assert_eq!(count(&tenants, None), (400, None));
    let pinned = client_with(&operator, &json!({"partition": "globex"}));
    assert_eq!((count(&pinned, Some("acme")), count(&pinned, None)), ((403, None), (200, Some(0))));
    let uploader = client_with(&operator, &json!({"scopes": ["document:upload"]}));
    assert_eq!(count(&uploader, Some("acme")).0, 403);
}
