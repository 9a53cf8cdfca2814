//! Do declared fields do what they say, for those alone who declared them?

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, with_query};
use strongroom_tests::keys::client_with;
use strongroom_tests::residue::files_with;
use strongroom_tests::server::Server;

fn address(rest: &str, partition: Option<&str>) -> String {
    let pairs: Vec<(&str, &str)> = partition.map(|name| ("partition", name)).into_iter().collect();
    with_query(&format!("/v1/schema/fields{rest}"), &pairs)
}

fn field(name: &str, kind: &str, path: &str) -> Value {
    json!({"name": name, "type": kind, "source": {"metadata": path}})
}

fn declare(client: &Client, partition: Option<&str>, fields: &[Value]) -> Answer {
    client.put(&address("", partition), &json!({"fields": fields}))
}

/// Name, type, coverage, mismatches and scope of each.
#[track_caller]
fn told(answer: &Answer) -> Vec<(String, String, Value, Value, Value)> {
    assert_eq!(answer.status, 200, "{answer}");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let one = |field: &Value| {
        assert_eq!(field["backfill"], "complete");
        let [coverage, mismatches, scope] =
            ["coverage", "mismatch_count", "partition_scope"].map(|name| field[name].clone());
        (text(&field["name"]), text(&field["type"]), coverage, mismatches, scope)
    };
    answer.json()["fields"].as_array().expect("fields").iter().map(one).collect()
}

fn names(client: &Client, partition: Option<&str>) -> Vec<String> {
    told(&client.get(&address("", partition))).into_iter().map(|field| field.0).collect()
}

fn put(client: &Client, partition: &str, metadata: &Value) {
    let metadata = metadata.to_string();
    let pairs = [
        ("filename", "a.txt"),
        ("content_type", "text/plain"),
        ("partition", partition),
        ("metadata", metadata.as_str()),
    ];
    client.post_bytes(&with_query("/v1/documents", &pairs), b"an invoice").expect(201);
}

fn query(client: &Client, partition: &str, mut body: Value) -> Answer {
    body["partition"] = json!(partition);
    client.post("/v1/query", &body)
}

/// Lost otherwise: a report over declared fields would fail on one document that has a text where a number belongs, or sum
/// what isn't one.
#[test]
fn a_declared_field_is_counted_and_queried_by_its_type() {
    let server = Server::start();
    let operator = server.operator();
    for metadata in [
        json!({"price": 10, "paid": "2026-01-02T10:00:00+02:00", "who.name": "ada"}),
        json!({"price": 2.5, "paid": "2026-01-02T08:00:00Z", "who.name": "bob"}),
        json!({"price": "free", "paid": "soon"}),
        json!({"note": "none of it"}),
    ] {
        put(&operator, "acme", &metadata);
    }
    let sum = json!({"aggregate": [{"op": "sum", "field": "amount"}, {"op": "count", "field": "amount"}]});
    let declared = declare(
        &operator,
        Some("acme"),
        &[
            field("amount", "float", "price"),
            field("when", "datetime", "paid"),
            field("customer", "string", "who.name"),
        ],
    );
    let acme = json!("acme");
    let line = |name: &str, kind: &str, coverage: u64, mismatches: u64| {
        (name.to_owned(), kind.to_owned(), json!(coverage), json!(mismatches), acme.clone())
    };
    let expected =
        [line("amount", "float", 2, 1), line("customer", "string", 2, 0), line("when", "datetime", 2, 1)];
    assert_eq!(told(&declared), expected);
    let groups = query(&operator, "acme", sum.clone()).expect(200).json();
    assert_eq!(groups["groups"][0]["aggregates"], json!({"sum_amount": 12.5, "count_amount": 2}));
    let usage = operator.get("/v1/usage?window_days=2").expect(200).json();
    assert_eq!(usage["queries_total"], 1, "a structured query is counted as one");
    // The metadata's own name is still what it is: a sum over a text is refused.
    let raw = json!({"aggregate": [{"op": "sum", "field": "price"}]});
    query(&operator, "acme", raw).expect_error(400, "invalid_query");
    // One instant is one group, however it is written.
    let by_time = json!({"group_by": ["when"], "aggregate": [{"op": "count"}], "sort": [{"by": "when"}]});
    let groups = query(&operator, "acme", by_time).expect(200).json();
    assert_eq!(
        groups["groups"][0],
        json!({"keys": {"when": "2026-01-02T08:00:00.000Z"}, "aggregates": {"count": 2}})
    );
    let filter = |op: &str, field: &str, value: Value| json!({"filter": {"and": [{"field": field, "op": op, "value": value}]}});
    let total = |body: Value| query(&operator, "acme", body).expect(200).json()["total"].clone();
    assert_eq!(total(filter("gte", "amount", json!(2))), 2);
    assert_eq!(total(filter("in", "customer", json!(["ada", "carol"]))), 1);
    assert_eq!(total(filter("exists", "customer", json!(false))), 2);
    for (field, value) in [("amount", json!("10")), ("customer", json!(1)), ("when", json!("soon"))] {
        query(&operator, "acme", filter("eq", field, value)).expect_error(400, "invalid_filter");
    }
    query(&operator, "acme", filter("in", "customer", json!(["ada", 1]))).expect_error(400, "invalid_filter");
    let sorted = json!({"sort": [{"by": "amount", "dir": "desc"}]});
    let page = query(&operator, "acme", sorted).expect(200).json();
    assert_eq!(page["documents"][0]["metadata"]["price"], 10);
    // Declared anew, it is another; taken back, it is none.
    let again = declare(&operator, Some("acme"), &[field("amount", "string", "price")]);
    assert_eq!(told(&again)[0], line("amount", "string", 1, 2));
    query(&operator, "acme", sum.clone()).expect_error(400, "invalid_query");
    operator.delete(&address("/amount", Some("acme"))).expect(200);
    operator.delete(&address("/amount", Some("acme"))).expect_error(404, "field_not_found");
    let groups = query(&operator, "acme", sum).expect(200).json();
    assert_eq!(groups["groups"][0]["aggregates"], json!({"sum_amount": 0, "count_amount": 0}));
}

/// Lost otherwise: one customer's key would see or change what another declared, or the names of fields would stay behind when a
/// customer is erased.
#[test]
fn declarations_belong_to_the_workspace_or_to_one_partition() {
    let server = Server::start();
    let operator = server.operator();
    ["acme", "globex"].iter().for_each(|partition| put(&operator, partition, &json!({"n": 1})));
    declare(&operator, None, &[field("common", "int", "n")]).expect(200);
    declare(&operator, Some("acme"), &[field("zqown", "int", "n"), field("common", "string", "n")])
        .expect(200);
    let scoped =
        json!({"name": "far", "type": "int", "source": {"metadata": "n"}, "partition_scope": "globex"});
    let answer = declare(&operator, None, std::slice::from_ref(&scoped));
    assert!(told(&answer).iter().any(|field| field.0 == "far" && field.4 == json!("globex")), "{answer}");
    assert_eq!(names(&operator, None), ["common"]);
    assert_eq!(names(&operator, Some("acme")), ["common", "zqown"]);
    assert_eq!(names(&operator, Some("globex")), ["common", "far"]);
    assert_eq!(
        told(&operator.get(&address("", Some("acme"))))[0].1,
        "string",
        "a partition's own goes first"
    );
    let pinned = client_with(&operator, &json!({"partition": "globex"}));
    assert_eq!(names(&pinned, None), ["common", "far"]);
    pinned.get(&address("", Some("acme"))).expect_error(403, "partition_forbidden");
    // What a pinned key declares or deletes is its partition's alone.
    pinned.delete(&address("/common", None)).expect_error(404, "field_not_found");
    pinned.delete(&address("/zqown", None)).expect_error(404, "field_not_found");
    declare(&pinned, None, &[field("common", "bool", "n")]).expect(200);
    assert_eq!(told(&operator.get(&address("", None)))[0].1, "int");
    let elsewhere =
        json!({"name": "far", "type": "int", "source": {"metadata": "n"}, "partition_scope": "acme"});
    declare(&pinned, None, std::slice::from_ref(&elsewhere)).expect_error(400, "invalid_partition");
    let many = client_with(&operator, &json!({"multi_tenant": true}));
    many.get(&address("", None)).expect_error(400, "partition_required");
    declare(&many, None, &[field("x", "int", "n")]).expect_error(400, "partition_required");
    assert_eq!(names(&many, Some("globex")), ["common", "far"]);
    for scopes in [json!(["document:read"]), json!(["collection:read"])] {
        let weak = client_with(&operator, &json!({"scopes": scopes}));
        declare(&weak, None, &[field("x", "int", "n")]).expect_error(403, "scope_missing");
    }
    operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201);
    assert_eq!(names(&operator.in_workspace("other"), Some("acme")), [""; 0]);
    // They follow their partition to another name, through a restart, and go with it.
    operator.patch("/v1/partitions/acme", &json!({"id": "acme-eu"})).expect(200);
    assert_eq!(names(&operator, Some("acme-eu")), ["common", "zqown"]);
    assert_eq!(names(&operator, Some("acme")), ["common"]);
    let plan = server.stop();
    assert_eq!(files_with(&plan.folder.data(), &["zqown"]), []);
    let server = plan.start();
    let operator = server.operator();
    assert_eq!(names(&operator, Some("acme-eu")), ["common", "zqown"]);
    operator.delete("/v1/partitions/acme-eu").expect(200);
    put(&operator, "acme-eu", &json!({"n": 1}));
    assert_eq!(names(&operator, Some("acme-eu")), ["common"]);
}

/// Lost otherwise: a typo would declare something else than was meant, in silence.
#[test]
fn what_can_not_be_declared_is_refused() {
    let server = Server::start();
    let operator = server.operator();
    let long = "x".repeat(257);
    for bad in [
        field("", "int", "n"),
        field(" ", "int", "n"),
        field("a\0b", "int", "n"),
        field(&long, "int", "n"),
        field("tags", "string_list", "n"),
        field("metadata.n", "int", "n"),
        field("x", "number", "n"),
        field("x", "int", ""),
        field("x", "int", &"x".repeat(1025)),
        json!({"name": "x", "type": "int", "source": {}}),
        json!({"name": "x", "type": "int"}),
        json!({"name": "x", "type": "int", "source": {"metadata": "n"}, "index": true}),
    ] {
        let answer = declare(&operator, Some("acme"), std::slice::from_ref(&bad));
        assert_eq!(answer.status, 400, "{bad} {answer}");
    }
    let regex = json!({"name": "x", "type": "int", "source": {"regex": "(\\d+)"}});
    declare(&operator, Some("acme"), &[regex]).expect_error(501, "not_offered");
    declare(&operator, Some("acme"), &[]).expect_error(400, "invalid_fields");
    declare(&operator, Some("acme"), &[field("x", "int", "n"), field("x", "int", "m")])
        .expect_error(400, "invalid_fields");
    assert_eq!(names(&operator, Some("acme")), [""; 0], "nothing of what was refused is there");
    let many = |from: usize, to: usize| -> Vec<Value> {
        (from..to).map(|number| field(&format!("f{number}"), "int", "n")).collect()
    };
    declare(&operator, Some("acme"), &many(0, 65)).expect_error(400, "invalid_fields");
    declare(&operator, Some("acme"), &many(0, 60)).expect(200);
    declare(&operator, Some("acme"), &many(56, 70)).expect_error(409, "too_many_fields");
    assert_eq!(names(&operator, Some("acme")).len(), 60);
    declare(&operator, Some("acme"), &many(0, 64)).expect(200);
}
