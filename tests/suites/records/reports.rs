//! Is feedback on searches counted for whom it is of, and for nobody else?

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, with_query};
use strongroom_tests::documents::insert;
use strongroom_tests::keys::client_with;
use strongroom_tests::server::Server;

/// The id of a search, and of what it found first.
#[track_caller]
fn search(client: &Client, partition: Option<&str>) -> (String, String) {
    let mut pairs = vec![("q", "harbour")];
    pairs.extend(partition.map(|partition| ("partition", partition)));
    let found = client.get(&with_query("/v1/search", &pairs)).expect(200).json();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{found}")).to_owned();
    (text(&found["query_id"]), text(&found["results"][0]["doc_id"]))
}

fn report(client: &Client, query: &str, document: &str, signal: &str) -> Answer {
    let body = json!({"query_id": query, "doc_id": document, "signal": signal});
    client.post("/v1/search/feedback", &body)
}

/// Used, cited and ignored, of the workspace and of each partition.
fn counts(client: &Client) -> (Value, Vec<(Value, Value)>) {
    let usage = client.get("/v1/usage?window_days=2").expect(200).json();
    let of = |sums: &Value| json!([sums["feedback_used"], sums["feedback_cited"], sums["feedback_ignored"]]);
    let partitions = usage["by_partition"]["partitions"].as_array().cloned().unwrap_or_default();
    (of(&usage), partitions.iter().map(|one| (one["partition"].clone(), of(one))).collect())
}

/// Lost otherwise: nobody could tell whether what searches find is of any use, or one customer's clicks would count as another's.
#[test]
fn feedback_counts_in_the_partition_that_was_searched() {
    let server = Server::start();
    let operator = server.operator();
    for partition in [Some("acme"), Some("globex"), None] {
        insert(&operator, partition, "a harbour by the sea");
    }
    let pinned = client_with(&operator, &json!({"scopes": ["query:read"], "partition": "acme"}));
    let (query, document) = search(&pinned, None);
    report(&pinned, &query, &document, "used").expect(200);
    report(&pinned, &query, &document, "used").expect(200);
    report(&pinned, &query, &document, "cited").expect(200);
    let (other_query, other) = search(&operator, Some("globex"));
    report(&operator, &other_query, &other, "ignored").expect(200);
    let (default_query, default) = search(&operator, None);
    report(&operator, &default_query, &default, "used").expect(200);
    let (all, partitions) = counts(&operator);
    assert_eq!(all, json!([2, 1, 1]), "the same report counts once");
    let expected = [(Value::Null, [1, 0, 0]), (json!("acme"), [1, 1, 0]), (json!("globex"), [0, 0, 1])];
    assert_eq!(partitions, expected.map(|(name, counts)| (name, json!(counts))));
    let metrics = operator.anonymous().get("/metrics").expect(200).text();
    assert!(metrics.contains("strongroom_search_feedback_total{signal=\"used\"} 2\n"), "{metrics}");
    let csv = operator.get("/v1/usage?format=csv&by=partition").expect(200).text();
    assert!(csv.lines().next().is_some_and(|head| head.contains("feedback_cited")), "{csv}");

    // What is foreign, forged or gone is all the same.
    let unknown = |client: &Client, query: &str, document: &str| {
        let mut answer = report(client, query, document, "used").expect_error(404, "query_not_found").json();
        answer.as_object_mut().expect("fields").remove("request_id");
        answer
    };
    let never = unknown(&operator, "qry_00", &document);
    assert_eq!(unknown(&pinned, &other_query, &other), never);
    assert_eq!(
        unknown(&pinned, &default_query, &default),
        never,
        "the default partition is not the pinned one"
    );
    let many = client_with(&operator, &json!({"scopes": ["query:read"], "multi_tenant": true}));
    assert_eq!(unknown(&many, &default_query, &default), never);
    report(&many, &query, &document, "used").expect(200);
    operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201);
    assert_eq!(unknown(&operator.in_workspace("other"), &query, &document), never);
    for at in [4, 20, 40, query.len() - 1] {
        let other = if query.as_bytes()[at] == b'0' { "1" } else { "0" };
        let forged = format!("{}{other}{}", &query[..at], &query[at + 1..]);
        assert_eq!(unknown(&operator, &forged, &document), never, "{at}");
    }
    for wrong in ["", "qry_", "qry_xyz", "x", &query[1..], &query[..query.len() - 1], &"qry_00".repeat(2000)]
    {
        assert_eq!(unknown(&operator, wrong, &document), never);
    }
    report(&pinned, &query, &other, "used").expect_error(404, "document_not_found");
    report(&pinned, &query, "", "used").expect_error(404, "document_not_found");
    for wrong in ["", "liked", "USED"] {
        report(&pinned, &query, &document, wrong).expect_error(400, "invalid_signal");
    }
    operator.post("/v1/search/feedback", &json!({"query_id": query, "signal": "used"})).expect(400);
    operator
        .post("/v1/search/feedback", &json!({"query_id": query, "doc_id": 1, "signal": "used"}))
        .expect(400);
    client_with(&operator, &json!({"scopes": ["document:read"]}))
        .post("/v1/search/feedback", &json!({"query_id": query, "doc_id": document, "signal": "used"}))
        .expect_error(403, "scope_missing");
    // Each search has an id of its own, by whichever call.
    let vector = json!({"embedding": vec![0.5; 256], "k": 1, "partition": "acme"});
    let by_vector = operator.post("/v1/search/embed", &vector).expect(200).json();
    let batch = json!({"queries": [{"q": "harbour"}, {"q": "sea"}], "partition": "acme"});
    let batch = operator.post("/v1/search/batch", &batch).expect(200).json();
    let mut ids = vec![by_vector["query_id"].to_string(), query.clone()];
    ids.extend(batch["results"].as_array().expect("results").iter().map(|one| one["query_id"].to_string()));
    assert!(ids.iter().all(|id| id.contains("qry_")), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    // It outlives a restart, and goes with the partition.
    let server = server.stop().start();
    let operator = server.operator();
    report(&operator, &query, &document, "ignored").expect(200);
    operator.delete("/v1/partitions/acme").expect(200);
    assert_eq!(unknown(&operator, &query, &document), never);
    let (all, partitions) = counts(&operator);
    assert_eq!(all, json!([2, 1, 2]), "totals stay");
    assert!(!partitions.iter().any(|(name, _)| *name == json!("acme")));
}
