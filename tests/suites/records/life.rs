//! Is a document's life told as it was, signed, and to those alone who may read the document?

use std::thread;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use strongroom_engine::verify_statement;
use strongroom_tests::client::{Client, encoded, with_query};
use strongroom_tests::documents::{get, id_of, insert, insert_path, path};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::server::Server;

fn lineage(client: &Client, id: &str) -> Vec<Value> {
    let answer = client.get(&format!("/v1/audit/records/{}", encoded(id))).expect(200).json();
    answer["records"].as_array().expect("records").clone()
}

fn digest(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("hexadecimal");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("digits")).collect()
}

/// Insists that a record's signature is the server's, over what the record says.
#[track_caller]
fn require_proof(record: &Value) {
    let proof = &record["proof"];
    let statement = proof["statement"].as_str().expect("a statement");
    let signature = bytes(&proof["signature"]).try_into().expect("64 bytes");
    let signer = verify_statement(statement, &signature).expect("it holds");
    assert_eq!(signer.to_vec(), bytes(&proof["public_key"]));
    let id = record["resource"].as_str().expect("a resource").trim_start_matches("document:");
    let hash = proof["content_id"].as_str().expect("a digest").trim_start_matches("sha256:");
    let key = record["api_key_id"].as_str().unwrap_or("-");
    for line in [
        format!("document {id}"),
        format!("version {}", record["version"]),
        format!("sha256 {hash}"),
        format!("key {key}"),
    ] {
        assert!(statement.lines().any(|said| said == line), "{line} is not in {statement}");
    }
    let bent = statement.replace("version ", "version 9");
    assert!(verify_statement(&bent, &signature).is_err());
}

fn update(client: &Client, partition: &str, id: &str, text: &str) {
    let address = with_query(
        &format!("/v1/documents/{}", encoded(id)),
        &[("filename", "note.txt"), ("content_type", "text/plain"), ("partition", partition)],
    );
    client.put_bytes(&address, text.as_bytes()).expect(200);
}

/// Lost otherwise: an auditor could not tell which key wrote which version of a contract, or would be told wrongly.
#[test]
fn each_version_is_told_with_its_digest_and_its_writer() {
    let server = Server::start();
    let operator = server.operator();
    let [first, second] = ["first", "second"].map(|name| mint(&operator, &json!({"name": name})));
    let id = insert(&operator.with_key(&first.key), Some("acme"), "version one");
    update(&operator.with_key(&second.key), "acme", &id, "version two");
    update(&operator, "acme", &id, "version three");
    operator.delete(&path(&format!("/{id}"), Some("acme"))).expect(200);
    let told = operator.get(&format!("/v1/audit/records/{id}"));
    told.expect_error(404, "document_not_found");
    operator.post(&path(&format!("/{id}/restore"), Some("acme")), &json!({})).expect(200);
    let seen = |records: &[Value]| -> Vec<(String, Value, Value)> {
        let one = |record: &Value| {
            let action = record["action"].as_str().expect("an action").to_owned();
            (action, record["proof"]["content_id"].clone(), record["api_key_id"].clone())
        };
        records.iter().map(one).collect()
    };
    let expected = [
        ("document.inserted".to_owned(), json!(digest("version one")), json!(first.id)),
        ("document.updated".to_owned(), json!(digest("version two")), json!(second.id)),
        ("document.updated".to_owned(), json!(digest("version three")), Value::Null),
    ];
    let records = lineage(&operator, &id);
    assert_eq!(seen(&records), expected);
    records.iter().for_each(require_proof);
    let shown = get(&operator, Some("acme"), &id).expect(200).json();
    assert_eq!((&records[0]["at"], &records[2]["at"]), (&shown["created_at"], &shown["updated_at"]));
    assert_eq!(shown["metadata"], json!({}), "nobody is shown the server's notes");
    // Saying other things of it makes a version as well, of the same content.
    let summary = path(&format!("/{id}/summary"), Some("acme"));
    operator.with_key(&second.key).put(&summary, &json!({"content": "in short"})).expect(200);
    let revised = ("document.revised".to_owned(), json!(digest("version three")), json!(second.id));
    let expected = [&expected[..], &[revised]].concat();
    let records = lineage(&operator, &id);
    assert_eq!(seen(&records), expected);
    records.iter().for_each(require_proof);
    assert!(records[2]["at"].as_str() <= records[3]["at"].as_str());
    // It goes along, and stays through a restart.
    let body = json!({"expect_partition": "acme", "to_partition": "globex"});
    operator.with_key(&first.key).post(&format!("/v1/documents/{id}/move"), &body).expect(200);
    let server = server.stop().start();
    let operator = server.operator();
    let records = lineage(&operator, &id);
    let moved = ("document.moved".to_owned(), json!(digest("version three")), json!(first.id));
    assert_eq!(seen(&records), [&expected[..], &[moved]].concat());
    records.iter().for_each(require_proof);
    operator
        .delete(&path(&format!("/{id}?hard=true"), None).replace("?hard", "?partition=globex&hard"))
        .expect(200);
    operator.get(&format!("/v1/audit/records/{id}")).expect_error(404, "document_not_found");
}

/// Lost otherwise: one customer's key would learn that another's document exists, or when it was written.
#[test]
fn a_life_is_told_to_whom_the_document_is_shown() {
    let server = Server::start();
    let operator = server.operator();
    let id = insert(&operator, Some("acme"), "of acme");
    let labelled = format!("{}&acl_readers=user%3Aada", insert_path(Some("acme"), "a.txt"));
    let labelled = id_of(&operator.post_bytes(&labelled, b"of Ada").expect(201));
    let with = |fields: Value| client_with(&operator, &fields);
    let scopes = json!(["document:read"]);
    let pinned = with(json!({"scopes": scopes, "partition": "acme"}));
    let foreign = with(json!({"scopes": scopes, "partition": "globex"}));
    let many = with(json!({"scopes": scopes, "multi_tenant": true}));
    assert_eq!(lineage(&pinned, &id).len(), 1);
    assert_eq!(lineage(&many, &id).len(), 1);
    let at = |client: &Client, id: &str| {
        let mut answer = client.get(&format!("/v1/audit/records/{id}")).expect(404).json();
        answer.as_object_mut().expect("fields").remove("request_id");
        answer
    };
    assert_eq!(at(&foreign, &id), at(&foreign, "doc_nobody_has"));
    assert_eq!(at(&many, &labelled), at(&many, "doc_nobody_has"));
    many.get(&format!("/v1/audit/records/{labelled}?acting_principal=user%3Aada")).expect(200);
    many.get(&format!("/v1/audit/records/{id}?partition=globex")).expect(404);
    foreign.get(&format!("/v1/audit/records/{id}?partition=acme")).expect_error(403, "partition_forbidden");
    with(json!({"scopes": ["query:read"]}))
        .get(&format!("/v1/audit/records/{id}"))
        .expect_error(403, "scope_missing");
    with(json!({"collection": "elsewhere"}))
        .get(&format!("/v1/audit/records/{id}"))
        .expect_error(403, "collection_forbidden");
    operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201);
    operator.in_workspace("other").get(&format!("/v1/audit/records/{id}")).expect(404);
    // An id that two partitions know needs one of them named.
    let upsert = |partition: &str| {
        let vector = json!({"id": "twin", "embedding": vec![0.5; 256], "metadata": {}, "text": partition});
        let path = with_query("/v1/collections/default/vectors/upsert", &[("partition", partition)]);
        operator.post(&path, &json!({"vectors": [vector]})).expect(200);
    };
    upsert("acme");
    assert_eq!(lineage(&operator, "twin").len(), 1);
    upsert("globex");
    operator.get("/v1/audit/records/twin").expect_error(400, "partition_required");
    operator.get("/v1/audit/records/twin?partition=globex").expect(200);
}

/// Lost otherwise: of two who write at once, one's version would be missing from the trail.
#[test]
fn versions_that_come_at_once_are_all_told() {
    let server = Server::start();
    let operator = server.operator();
    let id = insert(&operator, Some("acme"), "version one");
    thread::scope(|scope| {
        for writer in 0..4 {
            let (client, id) = (client_with(&operator, &json!({})), &id);
            scope.spawn(move || {
                for number in 0..5 {
                    update(&client, "acme", id, &format!("of writer {writer}, number {number}"));
                }
            });
        }
    });
    let records = lineage(&operator, &id);
    let versions: Vec<_> = records.iter().filter_map(|record| record["version"].as_u64()).collect();
    assert_eq!(versions, (1..=21).collect::<Vec<_>>());
    let mut digests: Vec<_> =
        records.iter().map(|record| record["proof"]["content_id"].to_string()).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 21);
}
