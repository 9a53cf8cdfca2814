//! Is every privileged act and every refusal told, and does the log show when somebody changed it in the file?
//!
//! Whole servers, spoken to over HTTP, and the program's own check of a stopped store.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use strongroom_tests::client::Client;
use strongroom_tests::documents::insert;
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::server::{Plan, Server, program};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// What the audit log tells of this query, oldest first.
#[track_caller]
fn told(client: &Client, query: &str) -> Vec<Value> {
    let body = client.get(&format!("/v1/admin/audit?limit=1000{query}")).expect(200).json();
    body["entries"].as_array().expect("entries").iter().rev().cloned().collect()
}

fn words(entries: &[Value], field: &str) -> Vec<String> {
    entries.iter().map(|entry| text(entry.pointer(field).expect(field))).collect()
}

/// Runs `strongroom audit …` on a stopped store: its code and what it printed.
fn audit(plan: &Plan, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(program());
    command.arg("audit").args(args).arg("--data-dir").arg(plan.folder.data());
    let Output { status, stdout, stderr } = command.output().expect("the program can be started");
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code().expect("it ended by itself"), said)
}

/// Does something to the database, as whoever holds the file can.
fn tamper(plan: &Plan, sql: &str) {
    let db =
        rusqlite::Connection::open(plan.folder.data().join("control.sqlite")).expect("the database opens");
    let free = "DROP TRIGGER IF EXISTS audit_rows_stay; DROP TRIGGER IF EXISTS audit_rows_stand;";
    db.execute_batch(&format!("{free} {sql}")).expect("it can be written");
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).expect("a file can be written");
    path.to_string_lossy().into_owned()
}

// Who minted the key that was abused, when and from where: nobody could tell.
#[test]
fn what_is_done_with_keys_and_workspaces_is_told() {
    let server = Server::start();
    let operator = server.operator();
    let made = operator.post("/v1/admin/workspaces", &json!({"name": "told"})).expect(201).json();
    let inside = operator.in_workspace("told");
    let (minter, minted) = {
        let minter = mint(&inside, &json!({}));
        let minted = mint(&operator.with_key(&minter.key), &json!({"name": "secret customer"}));
        (minter, minted)
    };
    let (holder, path) = (operator.with_key(&minter.key), format!("/v1/admin/api-keys/{}", minted.id));
    holder.patch(&path, &json!({"scopes": ["query:read"]})).expect(200);
    holder.post(&format!("{path}/rotate"), &Value::Null).expect(201);
    holder.delete(&path).expect(200);
    // What comes to nothing is not told as done.
    holder.delete(&path).expect_error(404, "key_not_found");
    let entries = told(&inside, "");
    let (id, by) = (text(&made["id"]), minter.id.as_str());
    let expected = [
        ("workspace.create", id.as_str(), "operator"),
        ("key.mint", by, "operator"),
        ("key.mint", &minted.id, by),
        ("key.change", &minted.id, by),
        ("key.rotate", &minted.id, by),
        ("key.revoke", &minted.id, by),
    ];
    let seen: Vec<_> = entries
        .iter()
        .map(|one| (text(&one["action"]), text(&one["resource_id"]), text(&one["actor_id"])))
        .collect();
    assert_eq!(seen, expected.map(|(action, on, who)| (action.to_owned(), on.to_owned(), who.to_owned())));
    for entry in &entries {
        assert_eq!(
            (&entry["ip"], &entry["metadata"]["outcome"]),
            (&json!("127.0.0.1"), &json!("done")),
            "{entry}"
        );
        assert!(
            entry["metadata"]["request_id"].is_string() && !entry.to_string().contains("secret"),
            "{entry}"
        );
    }
}

// Somebody tries what their key may not, or a key that was revoked, and nobody hears of it; or hears of it a million times.
#[test]
fn refusals_are_told_and_counted() {
    let server = Server::start();
    let operator = server.operator();
    insert(&operator, Some("acme"), "a text");
    let narrow = mint(&operator, &json!({"scopes": ["query:read"], "partition": "acme"}));
    let (dead, holder) = (mint(&operator, &json!({})), operator.with_key(&narrow.key));
    let with_dead = operator.with_key(&dead.key);
    for _ in 0..30 {
        holder.get("/v1/documents").expect_error(403, "scope_missing");
    }
    holder.get("/v1/search?q=x&partition=globex").expect_error(403, "partition_forbidden");
    operator.delete(&format!("/v1/admin/api-keys/{}", dead.id)).expect(200);
    with_dead.get("/v1/documents").expect_error(401, "invalid_api_key");
    // Of a key that never was, nothing is told: it is nobody's, and anybody can make one up.
    operator.with_key("sr_live_000000000000_nobody").get("/v1/documents").expect_error(401, "malformed_key");
    operator.anonymous().get("/v1/documents").expect_error(401, "missing_key");
    // The first of each at once, the rest when the minute is over or the server stops.
    let now = told(&operator, "&action=access.deny");
    assert!(now.len() >= 3, "{now:?}");
    let server = server.stop().start();
    let entries = told(&server.operator(), "&action=access.deny");
    let times = |code: &str, who: &str, route: &str| -> u64 {
        let of = entries.iter().filter(|one| {
            one["metadata"]["outcome"] == code && one["actor_id"] == who && one["resource_id"] == route
        });
        of.map(|one| one["metadata"]["times"].as_u64().expect("times")).sum()
    };
    assert_eq!(times("scope_missing", &narrow.id, "GET /v1/documents"), 30, "{entries:?}");
    assert_eq!(times("partition_forbidden", &narrow.id, "GET /v1/search"), 1, "{entries:?}");
    assert_eq!(times("invalid_api_key", &dead.id, "GET /v1/documents"), 1, "{entries:?}");
    assert!(entries.len() <= 8, "a row for each kind and minute, no more: {entries:?}");
    let all = Value::from(entries).to_string();
    assert!(!all.contains("acme") && !all.contains("globex"), "{all}");
}

// Whoever can write the file takes out what they did, and the log looks whole.
#[test]
fn a_changed_log_is_found_in_a_stopped_store() {
    let server = Server::start();
    let operator = server.operator();
    for _ in 0..3 {
        mint(&operator, &json!({}));
    }
    let kept = operator.get("/v1/admin/audit/head").expect(200).json();
    assert_eq!(kept["entries"], 5);
    mint(&operator, &json!({}));
    assert_eq!(audit(server.plan(), &["verify"]).0, 2, "a running store is not looked at");
    let plan = server.stop();
    let around = plan.folder.around().to_owned();
    let head = write(&around.join("head"), &format!("{kept}\n"));
    let (code, said) = audit(&plan, &["verify", "--head", &head]);
    assert_eq!((code, said.as_str()), (0, "whole: 6 entries of 1 workspaces, held against 1 heads\n"));
    // What the program prints of the store is a head of the same kind.
    let (code, printed) = audit(&plan, &["head"]);
    assert_eq!(code, 0, "{printed}");
    let own = write(&around.join("own"), &printed);
    assert_eq!(audit(&plan, &["verify", "--head", &own]).0, 0);
    for wrong in ["", "no head", "{\"workspace\": \"x\", \"entries\": 1, \"hash\": \"00\"}"] {
        let wrong = write(&around.join("wrong"), wrong);
        assert_eq!(audit(&plan, &["verify", "--head", &wrong]).0, 2, "{wrong}");
    }
    // The last entries taken out: the chain alone can't tell, the head can.
    tamper(&plan, "DELETE FROM audit WHERE seq > 4");
    assert_eq!(audit(&plan, &["verify"]).0, 0);
    let (code, said) = audit(&plan, &["verify", "--head", &head]);
    assert!(code == 1 && said.contains("entry 5"), "{said}");
    tamper(&plan, "UPDATE audit SET actor_kind = 'system', actor_id = NULL WHERE seq = 3");
    let (code, said) = audit(&plan, &["verify"]);
    assert!(code == 1 && said.contains("entry 3: it does not follow"), "{said}");
    // A server starts all the same: a log that was changed is no reason to serve nobody.
    let server = plan.start();
    assert_eq!(told(&server.operator(), "&actor_id=system").len(), 3);
}

// What is kept elsewhere could not be held against what is there, or would be a part that looks like the whole.
#[test]
fn an_export_is_all_of_it_in_order() {
    let server = Server::start();
    let operator = server.operator();
    // More than are read at once.
    let key = mint(&operator, &json!({}));
    let path = format!("/v1/admin/api-keys/{}", key.id);
    for _ in 0..600 {
        operator.patch(&path, &json!({"name": "again"})).expect(200);
    }
    let answer = operator.get("/v1/admin/audit/export").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/jsonl"));
    let lines: Vec<Value> =
        answer.text().lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    assert!(lines.iter().zip(1_u64..).all(|(line, seq)| line["seq"] == seq));
    let (last, head) =
        (lines.last().expect("lines"), operator.get("/v1/admin/audit/head").expect(200).json());
    assert_eq!(
        (&last["seq"], &last["hash"], &last["action"]),
        (&head["entries"], &head["hash"], &json!("audit.export"))
    );
    assert_eq!(lines.len(), 604);
    let listed = told(&operator, "");
    let hashes: Vec<_> = lines.iter().map(|line| text(&line["hash"])).collect();
    assert_eq!(words(&listed, "/metadata/hash"), hashes);
    // For those alone who may read the log.
    for fields in [json!({"scopes": ["usage:read"]}), json!({"partition": "acme"})] {
        let client = client_with(&operator, &fields);
        for path in ["/v1/admin/audit/head", "/v1/admin/audit/export"] {
            assert_eq!(client.get(path).status, 403, "{fields} {path}");
        }
    }
}

// Two administrators change one key at once, and what the one took away comes back with the other.
#[test]
fn a_key_that_is_revoked_stays_revoked() {
    let server = Server::start();
    let operator = server.operator();
    for round in 0..8 {
        let key = mint(&operator, &json!({}));
        let path = format!("/v1/admin/api-keys/{}", key.id);
        std::thread::scope(|scope| {
            for name in ["a", "b", "c"] {
                let (operator, path) = (operator.clone(), path.clone());
                scope.spawn(move || {
                    let answer = operator.patch(&path, &json!({"name": name}));
                    assert!([200, 404, 409].contains(&answer.status), "{answer}");
                });
            }
            operator.delete(&path).expect(200);
        });
        assert_eq!(operator.with_key(&key.key).get("/v1/documents").status, 401, "round {round}");
    }
    // A key that ends can't get a secret that goes on.
    let (ending, lasting) =
        (client_with(&operator, &json!({"expires_at": "2999-01-01T00:00:00Z"})), mint(&operator, &json!({})));
    ending
        .post(&format!("/v1/admin/api-keys/{}/rotate", lasting.id), &Value::Null)
        .expect_error(403, "wider_than_own");
}
