//! Does a search across partitions look into those that it may, and into no other, and is it told of?

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, with_query};
use strongroom_tests::documents::{insert, insert_path};
use strongroom_tests::keys::client_with;
use strongroom_tests::server::Server;

fn across(client: &Client, body: Value) -> Answer {
    client.post("/v1/search/across", &body)
}

/// Which partitions the hits are of, best first.
#[track_caller]
fn partitions(answer: &Answer) -> Vec<String> {
    let all = answer.json()["results"].as_array().cloned().unwrap_or_else(|| panic!("{answer}"));
    all.iter().map(|hit| hit["partition"].as_str().unwrap_or("-").to_owned()).collect()
}

fn fill(client: &Client) {
    insert(client, Some("acme"), "whales sing in the sea");
    insert(client, Some("globex"), "whales sing");
    insert(client, Some("initech"), "budgets of the year");
    insert(client, None, "whales sing in the default partition");
}

/// Lost otherwise: whoever holds any key of the workspace could read all customers at once, and nobody would know.
#[test]
fn it_takes_an_express_grant_and_is_told_of() {
    let server = Server::start();
    let operator = server.operator();
    fill(&operator);
    let body = json!({"q": "whales sing", "partitions": ["acme", "globex"]});
    let everything = client_with(&operator, &json!({"scopes": ["*"]}));
    for refused in [&operator, &everything] {
        across(refused, body.clone()).expect_error(403, "scope_missing");
    }
    let granted = client_with(&everything, &json!({"scopes": ["query:across"]}));
    let found = across(&granted, body.clone()).expect(200);
    assert_eq!(partitions(&found), ["globex", "acme"], "by score: {found}");
    granted
        .get(&with_query("/v1/search", &[("q", "whales"), ("partition", "acme")]))
        .expect_error(403, "scope_missing");
    // Who lacks it can't hand it on.
    let minter = client_with(&operator, &json!({"scopes": ["key:*", "query:read"]}));
    let asked = json!({"name": "x", "scopes": ["query:across"]});
    minter.post("/v1/admin/api-keys", &asked).expect_error(403, "wider_than_own");
    let pinned = client_with(&operator, &json!({"scopes": ["query:across"], "partition": "acme"}));
    across(&pinned, json!({"q": "whales", "partitions": ["acme"]})).expect_error(403, "pinned_key");
    let tenants = client_with(&operator, &json!({"scopes": ["query:across"], "multi_tenant": true}));
    assert_eq!(partitions(&across(&tenants, body).expect(200)).len(), 2);
    let audit = operator.get("/v1/admin/audit?action=search.across").expect(200).json();
    assert_eq!(audit["total"], 2, "{audit}");
    assert!(!audit.to_string().contains("globex"), "{audit}");
}

/// Lost otherwise: a partition that nobody named would be searched, or the trace would not tell of one that was.
#[test]
fn it_looks_into_what_is_named_and_says_so() {
    let server = Server::start();
    let operator = server.operator();
    fill(&operator);
    let labelled = format!("{}&acl_readers=user:ada", insert_path(Some("acme"), "a.txt"));
    operator.post_bytes(&labelled, b"whales sing for Ada alone").expect(201);
    let client = client_with(&operator, &json!({"scopes": ["query:across"]}));
    let ask =
        |partitions: Value| across(&client, json!({"q": "whales sing", "k": 50, "partitions": partitions}));
    let names = |answer: &Answer| {
        let mut names: Vec<String> = answer.json()["trace"]["partitions_touched"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|name| name.as_str().unwrap_or("?").to_owned())
            .collect();
        names.sort();
        let text = answer.json()["trace"]["statement"].as_str().unwrap_or("").to_owned();
        let told: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("partition default =")?.split(' ').next())
            .collect();
        assert_eq!(told.len(), names.len(), "{text}");
        assert!(names.iter().all(|name| told.contains(&name.as_str())), "{text}");
        names
    };
    let one = ask(json!(["acme", "acme"])).expect(200);
    assert_eq!(
        (partitions(&one), names(&one)),
        (vec!["acme".to_owned()], vec!["acme".to_owned()]),
        "and nothing of Ada's"
    );
    let missing = ask(json!(["nobody", "initech"])).expect(200);
    assert_eq!(names(&missing), ["initech"]);
    let all = ask(json!("*")).expect(200);
    assert_eq!(names(&all), ["acme", "globex", "initech"]);
    assert_eq!(partitions(&all)[..2], ["globex", "acme"]);
    assert_eq!(all.json()["trace"]["default_partition_touched"], false);
    let best = across(&client, json!({"q": "whales sing", "k": 1, "partitions": "*"})).expect(200);
    assert_eq!(partitions(&best), ["globex"]);
    // The same score as in a search of that partition alone.
    let alone =
        operator.get(&with_query("/v1/search", &[("q", "whales sing"), ("partition", "globex")])).expect(200);
    assert_eq!(best.json()["results"][0]["score"], alone.json()["results"][0]["score"]);
    assert_eq!(best.json()["results"][0]["doc_id"], alone.json()["results"][0]["doc_id"]);
    let vector: Vec<f32> = vec![0.5; 256];
    let by_vector =
        across(&client, json!({"embedding": vector, "partitions": ["acme", "globex"]})).expect(200);
    assert_eq!(partitions(&by_vector).len(), 2);
    let other = operator.in_workspace("default");
    other.delete("/v1/partitions/globex").expect(200);
    assert_eq!(names(&ask(json!("*")).expect(200)), ["acme", "initech"]);
}

/// Lost otherwise: a search that is not understood would be taken for one of everything.
#[test]
fn what_is_not_understood_is_refused() {
    let server = Server::start();
    let operator = server.operator();
    fill(&operator);
    let client = client_with(&operator, &json!({"scopes": ["query:across"]}));
    let names: Vec<String> = (0..1001).map(|n| format!("p{n}")).collect();
    for (body, status, code) in [
        (json!({"q": "x"}), 400, "partitions_required"),
        (json!({"q": "x", "partitions": []}), 400, "partitions_required"),
        (json!({"q": "x", "partitions": "acme"}), 400, "partitions_required"),
        (json!({"q": "x", "partitions": null}), 400, "partitions_required"),
        (json!({"q": "x", "partitions": [1]}), 400, "partitions_required"),
        (json!({"q": "x", "partitions": names}), 400, "partitions_required"),
        (json!({"q": "x", "partitions": ["a", ""]}), 400, "invalid_partition"),
        (json!({"q": "x", "partitions": ["a"], "partition": "b"}), 400, "malformed_body"),
        (json!({"partitions": ["a"]}), 400, "malformed_body"),
        (json!({"q": "x", "embedding": [1.0], "partitions": ["a"]}), 400, "malformed_body"),
        (json!({"q": 7, "partitions": ["a"]}), 400, "malformed_body"),
        (json!({"q": "", "partitions": ["a"]}), 400, "invalid_query"),
        (json!({"q": "x", "partitions": ["a"], "rerank": "true"}), 400, "malformed_body"),
        (json!({"q": "x", "partitions": ["a"], "k": 0}), 400, "invalid_parameter"),
        (json!({"embedding": [1.0], "partitions": ["a"]}), 422, "wrong_dimension"),
        (json!([]), 400, "malformed_body"),
    ] {
        across(&client, body).expect_error(status, code);
    }
}
