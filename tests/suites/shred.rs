//! Is what was erased gone from every file, and does its receipt prove it?
//!
//! Whole servers, spoken to over HTTP. What goes in is unmistakable: words, names and vectors that stand nowhere
//! else. After an erasure the server is stopped and every file of the data folder, the control plane's included, is
//! searched for each of them, raw. That the search would find them is shown on the same bytes in the clear.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, encoded, with_query};
use strongroom_tests::documents::{id_of, insert, insert_path, list_all, search};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::residue::{everything_under, files_with_bytes};
use strongroom_tests::routes::dimension;
use strongroom_tests::server::{Folder, Plan, Server, program};

const PARTITION: &str = "zqpartition of the vanished";
const WORDS: &[&str] =
    &["zqtext", "zqfilename", "zqtag", "zqmetakey", "zqmetavalue", "zqentity", "zqsource", "zqjob"];

/// Numbers that stand nowhere else in this order. Their squares add up to 1 without a rounding, so that they are kept
/// bit for bit however a vector is brought to unit length.
const NUMBERS: [f32; 7] = [0.75, -0.5, 0.375, -0.1875, 0.0625, 0.0625, -0.0625];

fn vector(dimension: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimension];
    vector[3..3 + NUMBERS.len()].copy_from_slice(&NUMBERS);
    vector
}

/// All that must not be found: words and name as text, the vector as bytes.
fn traces() -> Vec<(String, Vec<u8>)> {
    let words = WORDS.iter().chain([&PARTITION]);
    let mut traces: Vec<(String, Vec<u8>)> =
        words.map(|word| ((*word).to_owned(), word.as_bytes().to_vec())).collect();
    traces.push(("the vector".to_owned(), NUMBERS.iter().flat_map(|number| number.to_le_bytes()).collect()));
    traces
}

/// Which of the words, the partition's name among them, a text holds.
fn told_in(text: &str) -> Vec<&'static str> {
    WORDS.iter().chain([&PARTITION]).copied().filter(|word| text.contains(word)).collect()
}

/// Fills a partition in every way there is. Answers the ids.
fn fill(client: &Client, dimension: usize) -> Vec<String> {
    let mut fields = vec![("filename", "zqfilename.txt"), ("content_type", "text/plain"), ("tags", "zqtag")];
    fields.extend([("metadata", "{\"zqmetakey\": \"zqmetavalue\"}"), ("entity_id", "zqentity")]);
    fields.extend([("source", "zqsource"), ("partition", PARTITION)]);
    let inserted = client.post_bytes(&with_query("/v1/documents", &fields), b"zqtext one").expect(201);
    let item = json!({"filename": "zqfilename.md", "content": "zqtext two", "tags": ["zqtag"],
        "metadata": {"zqmetakey": "zqmetavalue"}, "entity_id": "zqentity", "source": "zqsource"});
    let batch = json!({"documents": [item], "partition": PARTITION});
    let batch = client.post("/v1/documents/batch", &batch).expect(201).json();
    let own = json!({"content": "zqtext three", "filename": "zqfilename", "content_type": "text/plain",
        "embedding": vector(dimension), "partition": PARTITION});
    let own = client.post("/v1/documents/embed", &own).expect(201);
    let path = insert_path(Some(PARTITION), "zqfilename").replacen("documents", "documents/async", 1);
    let job =
        client.post_bytes(&path, b"zqjob").expect(202).json()["job_id"].as_str().expect("an id").to_owned();
    let in_background = loop {
        let state = client.get(&format!("/v1/documents/jobs/{job}")).expect(200).json();
        match state["status"].as_str() {
            Some("completed") => break state["doc_id"].as_str().expect("an id").to_owned(),
            Some("queued" | "processing") => std::thread::yield_now(),
            _ => panic!("the background insert failed: {state}"),
        }
    };
    let in_batch = batch["results"][0]["doc_id"].as_str().expect("an id").to_owned();
    vec![id_of(&inserted), in_batch, id_of(&own), in_background]
}

/// Every call that puts the partition's name anywhere.
fn use_every_way(operator: &Client) {
    let pinned = mint(operator, &json!({"name": "of a test", "partition": PARTITION}));
    let holder = operator.with_key(&pinned.key);
    assert!(!search(&holder, None, "zqtext", 10).is_empty());
    holder.get("/v1/partitions").expect(200);
    operator.post(&format!("/v1/admin/api-keys/{}/rotate", pinned.id), &json!({})).expect(201);
    operator
        .get(&with_query("/v1/search", &[("q", "zqtext"), ("trace", "true"), ("partition", PARTITION)]))
        .expect(200);
}

#[track_caller]
fn nothing_is_left(plan: &Plan) {
    let traces = traces();
    let data = plan.folder.data();
    let searched = everything_under(&data).into_iter().filter(|path| path.is_file()).count();
    assert!(searched > 4, "only {searched} files were searched");
    assert_eq!(files_with_bytes(&data, &traces), Vec::<(PathBuf, String)>::new());
}

/// So many entries tell of erasures, and neither they nor a file of a server that still runs tell whose or of what.
#[track_caller]
fn audit_names_nobody(server: &Server, entries: usize, ids: &[String]) {
    let told = server.operator().get("/v1/admin/audit?limit=1000").expect(200);
    let told_of = told.json()["entries"].as_array().expect("entries").clone();
    let is_erasure = |entry: &&Value| {
        ["drop", "purge"].iter().any(|act| entry["action"].as_str().is_some_and(|word| word.ends_with(act)))
    };
    assert_eq!(told_of.iter().filter(is_erasure).count(), entries, "{told}");
    assert_eq!(told_in(&told.text()), [""; 0], "{told}");
    assert!(!ids.iter().any(|id| told.text().contains(id.as_str())), "a document's id: {told}");
    let data = server.folder().data();
    assert!(data.join("control.sqlite-wal").metadata().is_ok_and(|wal| wal.len() > 0), "nothing to search");
    assert_eq!(files_with_bytes(&data, &traces()), Vec::<(PathBuf, String)>::new());
}

// If the search looked away, every test below would be green whatever is left.
#[test]
fn what_stands_in_the_clear_is_found() {
    let folder = Folder::new();
    let mut bytes = b"before".to_vec();
    for (_, trace) in traces() {
        bytes.extend_from_slice(&trace);
    }
    std::fs::write(folder.around().join("a file"), bytes).expect("a file can be written");
    assert_eq!(files_with_bytes(folder.around(), &traces()).len(), traces().len());
}

/// The receipt of an answer, as the API shows it.
fn receipt_of(client: &Client, answer: &Answer) -> Value {
    let id =
        answer.json()["receipt_id"].as_str().unwrap_or_else(|| panic!("no receipt: {answer}")).to_owned();
    let receipt = client.get(&format!("/v1/receipts/{id}")).expect(200).json();
    assert_eq!(receipt["id"], id);
    assert_eq!(receipt["remains"], 0, "{receipt}");
    assert!(receipt["keys_overwritten"].as_u64().is_some_and(|keys| keys >= 1), "{receipt}");
    assert!(receipt["bytes_searched"].as_u64().is_some_and(|bytes| bytes > 0), "{receipt}");
    receipt
}

// A customer who left would be found on the disk by whoever gets it.
#[test]
fn a_dropped_partition_leaves_nothing() {
    let server = Server::start();
    let operator = server.operator();
    let dimension = dimension(&operator);
    insert(&operator, Some("stays"), "of another customer");
    let ids = fill(&operator, dimension);
    use_every_way(&operator);
    operator
        .delete(&with_query(&format!("/v1/documents/{}", ids[0]), &[("partition", PARTITION)]))
        .expect(200);
    // Some of it in segments, some in the log alone.
    let server = server.stop().start();
    let operator = server.operator();
    fill(&operator, dimension);
    let path = format!("/v1/partitions/{}", encoded(PARTITION));
    let dropped = operator.delete(&path).expect(200);
    assert_eq!(dropped.json()["documents_deleted"], 8, "{dropped}");
    let receipt = receipt_of(&operator, &dropped);
    assert_eq!((&receipt["kind"], &receipt["partitions"]), (&json!("partition"), &json!(1)), "{receipt}");
    assert_eq!((&receipt["documents"], &receipt["deleted"]), (&json!(7), &json!(1)), "{receipt}");
    assert_eq!(told_in(&receipt.to_string()), [""; 0], "a receipt names nobody: {receipt}");
    assert_eq!(operator.delete(&path).expect(200).json()["receipt_id"], Value::Null, "nothing was there");
    assert_eq!(told_in(&server.said()), [""; 0], "the log names nobody: {}", server.said());
    audit_names_nobody(&server, 1, &ids);
    let plan = server.stop();
    nothing_is_left(&plan);
    let server = plan.start();
    assert!(search(&server.operator(), Some(PARTITION), "zqtext", 10).is_empty());
    assert_eq!(list_all(&server.operator(), Some("stays")).len(), 1);
}

// Somebody who asked to be forgotten would come back, or take the others' documents along.
#[test]
fn a_purged_document_leaves_nothing_and_the_others_stay() {
    let server = Server::start();
    let operator = server.operator();
    let dimension = dimension(&operator);
    let ids = fill(&operator, dimension);
    let kept = insert(&operator, Some(PARTITION), "a word that stays");
    let server = server.stop().start();
    let operator = server.operator();
    let at = |id: &str, more: &[(&str, &str)]| {
        let mut pairs = vec![("partition", PARTITION)];
        pairs.extend_from_slice(more);
        with_query(&format!("/v1/documents/{id}"), &pairs)
    };
    operator.delete(&at(&ids[1], &[])).expect(200);
    for id in &ids {
        let purged = operator.delete(&at(id, &[("hard", "true")])).expect(200);
        assert_eq!(
            (&purged.json()["hard"], &purged.json()["final"]),
            (&json!(true), &json!(true)),
            "{purged}"
        );
        let receipt = receipt_of(&operator, &purged);
        assert_eq!((&receipt["kind"], &receipt["documents"]), (&json!("purge"), &json!(1)), "{receipt}");
        assert!(receipt["successor"].is_string(), "the partition goes on under another key: {receipt}");
        for gone in [
            operator.get(&at(id, &[])),
            operator.delete(&at(id, &[("hard", "true")])),
            operator.delete(&at(id, &[])),
            operator.post_bytes(
                &with_query(&format!("/v1/documents/{id}/restore"), &[("partition", PARTITION)]),
                b"",
            ),
        ] {
            gone.expect_error(404, "document_not_found");
        }
    }
    operator.delete(&at("0", &[("hard", "true")])).expect_error(404, "document_not_found");
    assert_eq!(list_all(&operator, Some(PARTITION)).keys().collect::<Vec<_>>(), [&kept]);
    audit_names_nobody(&server, ids.len(), &ids);
    let plan = server.stop();
    nothing_is_left(&plan);
    let server = plan.start();
    assert_eq!(list_all(&server.operator(), Some(PARTITION)).keys().collect::<Vec<_>>(), [&kept]);
}

// A product that was shut down would leave its customers' data, or its own name, behind.
#[test]
fn a_dropped_workspace_leaves_nothing() {
    let server = Server::start();
    let operator = server.operator();
    let dimension = dimension(&operator);
    let made = operator.post("/v1/admin/workspaces", &json!({"name": "zqworkspace"})).expect(201).json();
    let id = made["id"].as_str().expect("an id").to_owned();
    let inside = operator.in_workspace("zqworkspace");
    fill(&inside, dimension);
    use_every_way(&inside);
    insert(&inside, None, "zqtext in the default partition");
    let server = server.stop().start();
    let operator = server.operator();
    fill(&operator.in_workspace(&id), dimension);
    let dropped = operator.delete(&format!("/v1/admin/workspaces/{id}")).expect(200);
    assert_eq!(dropped.json()["documents_deleted"], 9, "{dropped}");
    let receipt = receipt_of(&operator.in_workspace(&id), &dropped);
    assert_eq!((&receipt["kind"], &receipt["partitions"]), (&json!("workspace"), &json!(2)), "{receipt}");
    assert_eq!(receipt["workspace"], id);
    // Not only once SQLite has tidied up at the end.
    let name = [("the workspace's name".to_owned(), b"zqworkspace".to_vec())];
    assert_eq!(files_with_bytes(&server.folder().data(), &name), []);
    let plan = server.stop();
    nothing_is_left(&plan);
    assert_eq!(files_with_bytes(&plan.folder.data(), &name), []);
}

// Whoever was given a receipt could not tell a true one from a forged one.
#[test]
fn a_receipt_is_checked_without_a_server() {
    let server = Server::start();
    let operator = server.operator();
    insert(&operator, Some("acme"), "a text");
    let dropped = operator.delete("/v1/partitions/acme").expect(200);
    let receipt = receipt_of(&operator, &dropped);
    let key = receipt["public_key"].as_str().expect("a key").to_owned();
    let kept = server.stop().folder;
    let file = kept.around().join("receipt.json");
    std::fs::write(&file, receipt.to_string()).expect("a file can be written");
    let verify = |file: &Path, more: &[&str]| {
        let done = Command::new(program()).arg("verify-receipt").arg(file).args(more).output();
        let done = done.expect("the program can be started");
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let (code, said) = verify(&file, &["--public-key", &key]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(dropped.json()["receipt_id"].as_str().expect("an id")), "{said}");
    let other = "0".repeat(64);
    assert_eq!(verify(&file, &["--public-key", &other]).0, Some(1), "another server's");
    let stored = everything_under(&kept.data().join("receipts"));
    let stored = stored.iter().find(|path| path.is_file()).expect("the receipt lies in the data folder");
    assert_eq!(verify(stored, &[]), verify(&file, &[]), "both forms say the same");
    let mut bytes = std::fs::read(stored).expect("the file can be read");
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).expect("a file can be written");
    assert_eq!(verify(&file, &[]).0, Some(1), "a forged one");
    assert_eq!(verify(&kept.around().join("missing"), &[]).0, Some(2));
}

// A key of one customer would read what was done for the others, or nobody could show a receipt later.
#[test]
fn receipts_are_read_by_whom_they_concern() {
    let server = Server::start();
    let operator = server.operator();
    let mut ids = Vec::new();
    for n in 0..5 {
        let partition = format!("client {n}");
        insert(&operator, Some(&partition), "a text");
        let dropped = operator.delete(&format!("/v1/partitions/client%20{n}")).expect(200).json();
        ids.push(dropped["receipt_id"].as_str().expect("an id").to_owned());
    }
    ids.sort();
    let made = operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201).json();
    let other = operator.in_workspace("other");
    insert(&other, Some("acme"), "a text");
    let foreign = other.delete("/v1/partitions/acme").expect(200).json()["receipt_id"].clone();
    let foreign = foreign.as_str().expect("an id").to_owned();
    let listed = |client: &Client, query: &str| -> (Vec<String>, bool) {
        let answer = client.get(&format!("/v1/receipts{query}")).expect(200).json();
        let ids = answer["receipts"].as_array().expect("receipts").iter();
        (ids.map(|r| r["id"].as_str().expect("an id").to_owned()).collect(), answer["has_more"] == true)
    };
    for scope in ["audit:read", "partition:delete", "*"] {
        let reader = client_with(&operator, &json!({"scopes": [scope], "multi_tenant": true}));
        assert_eq!(listed(&reader, ""), (ids.clone(), false), "{scope}");
        assert_eq!(listed(&reader, "?limit=2"), (ids[..2].to_vec(), true));
        assert_eq!(listed(&reader, &format!("?limit=3&after={}", ids[1])), (ids[2..].to_vec(), false));
        assert_eq!(listed(&reader, &format!("?after={}", ids[4])), (vec![], false));
        reader.get(&format!("/v1/receipts/{}", ids[0])).expect(200);
        for missing in [foreign.as_str(), "0", &"0".repeat(32)] {
            reader.get(&format!("/v1/receipts/{missing}")).expect_error(404, "receipt_not_found");
        }
        for wrong in ["?limit=0", "?limit=1001", "?after=x", "?before=x"] {
            assert_eq!(reader.get(&format!("/v1/receipts{wrong}")).status, 400, "{wrong}");
        }
    }
    let reader = client_with(&operator, &json!({"scopes": ["partition:read", "document:delete"]}));
    reader.get("/v1/receipts").expect_error(403, "scope_missing");
    for pin in [json!({"partition": "acme"}), json!({"collection": "default"})] {
        let pinned = client_with(&operator, &pin);
        pinned.get("/v1/receipts").expect_error(403, "pinned_key");
        pinned.get(&format!("/v1/receipts/{}", ids[0])).expect_error(403, "pinned_key");
    }
    assert_eq!(operator.anonymous().get("/v1/receipts").status, 401);
    // They outlive their workspace, for the operator alone, and through a restart.
    let gone = made["id"].as_str().expect("an id").to_owned();
    let its_key = client_with(&other, &json!({}));
    operator.delete(&format!("/v1/admin/workspaces/{gone}")).expect(200);
    assert_eq!(its_key.get("/v1/receipts").status, 401);
    let server = server.kill().start();
    let past = server.operator().in_workspace(&gone);
    let mut both = vec![foreign.clone(), gone.clone()];
    both.sort();
    assert_eq!(listed(&past, ""), (both, false));
    past.get(&format!("/v1/receipts/{foreign}")).expect(200);
    for path in ["/v1/partitions", "/v1/documents", "/v1/admin/api-keys", "/status"] {
        past.get(path).expect_error(404, "workspace_not_found");
    }
    assert_eq!(
        server.operator().in_workspace("other").get("/v1/receipts").status,
        404,
        "its name is gone with it"
    );
}
