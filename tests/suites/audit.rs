//! Is each erasure that was acknowledged written down, once, and told to those alone whom it concerns?
//!
//! Whole servers, spoken to over HTTP. On Linux some of them run under the library that strikes calls on the disk: the
//! process is killed, or finds no room, at each of its calls on the control plane's write-ahead log in turn.

use serde_json::{Value, json};
use strongroom_tests::client::{Answer, Client, with_query};
use strongroom_tests::documents::{id_of, insert, list_all, path};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::routes::dimension;
use strongroom_tests::server::Server;

/// The entries that a query finds, and how many there are in all.
#[track_caller]
fn entries(client: &Client, query: &str) -> (Vec<Value>, u64) {
    let answer = client.get(&format!("/v1/admin/audit{query}")).expect(200).json();
    let entries = answer["entries"].as_array().expect("entries").clone();
    (entries, answer["total"].as_u64().expect("a total"))
}

/// The entries of erasures, newest first, and how many there are.
#[track_caller]
fn erasures(client: &Client) -> (Vec<Value>, u64) {
    let (all, total) = entries(client, "?limit=1000");
    assert_eq!(all.len() as u64, total);
    let is_one = |entry: &Value| {
        ["partition.drop", "workspace.drop", "document.purge"].iter().any(|act| entry["action"] == *act)
    };
    let found: Vec<_> = all.into_iter().filter(is_one).collect();
    let count = found.len() as u64;
    (found, count)
}

/// What of an entry says which act it is of.
fn act(entry: &Value) -> [&str; 4] {
    ["action", "resource_type", "resource_id", "actor_id"]
        .map(|field| entry[field].as_str().unwrap_or_default())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn purge(client: &Client, partition: Option<&str>, id: &str) -> Answer {
    client.delete(
        &(path(&format!("/{id}"), partition) + if partition.is_some() { "&hard=true" } else { "?hard=true" }),
    )
}

// A customer asks who erased their end-client and when, and nobody can tell; or the answer was lost with the power.
#[test]
fn an_erasure_that_is_acknowledged_is_written_down() {
    let server = Server::start();
    let operator = server.operator();
    let made = operator.post("/v1/admin/workspaces", &json!({"name": "leaving"})).expect(201).json();
    let (leaving, inside) = (text(&made["id"]), operator.in_workspace("leaving"));
    let key = mint(&inside, &json!({}));
    let holder = operator.with_key(&key.key);
    assert_eq!(erasures(&holder), (vec![], 0));
    let document = insert(&holder, Some("acme"), "to be purged");
    insert(&holder, Some("acme"), "to be dropped");
    let purged = purge(&holder, Some("acme"), &document).expect(200);
    let dropped = inside.delete("/v1/partitions/acme").expect(200);
    let nothing = inside.delete("/v1/partitions/acme").expect(200);
    assert_eq!(nothing.json()["receipt_id"], Value::Null);
    let ended = operator.delete(&format!("/v1/admin/workspaces/{leaving}")).expect(200);
    // Not one moment after the answer.
    let server = server.kill().start();
    let past = server.operator().in_workspace(&leaving);
    let (found, total) = erasures(&past);
    assert_eq!((found.len(), total), (3, 3), "{found:?}");
    let expected = [
        ("5", "workspace.drop", "workspace", &ended, "operator"),
        ("4", "partition.drop", "partition", &dropped, "operator"),
        ("3", "document.purge", "partition", &purged, key.id.as_str()),
    ];
    for (entry, (number, action, resource, answer, actor)) in found.iter().zip(expected) {
        let receipt = text(&answer.json()["receipt_id"]);
        assert_eq!(entry["id"], number, "{entry}");
        assert_eq!(act(entry), [action, resource, &receipt, actor], "{entry}");
        let request = answer.header("x-request-id").expect("a request's id");
        let metadata = &entry["metadata"];
        let expected = json!({"outcome": "done", "receipt_id": receipt, "request_id": request, "times": 1,
            "hash": metadata["hash"]});
        assert_eq!(*metadata, expected);
        assert!(metadata["hash"].as_str().is_some_and(|hash| hash.len() == 64), "{entry}");
        past.get(&format!("/v1/receipts/{receipt}")).expect(200);
        assert_eq!(entry["api_key_id"].as_str(), (actor == key.id).then_some(actor), "{entry}");
        assert!(entry["created_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{entry}");
        assert!(entry.get("actor_email").is_some_and(Value::is_null), "the client reads it: {entry}");
        assert_eq!(entry["ip"], "127.0.0.1", "{entry}");
        assert!(entry["user_agent"].as_str().is_some_and(|agent| agent.contains("ureq")), "{entry}");
        let said = entry.to_string();
        assert!(!said.contains("acme") && !said.contains(&document) && !said.contains("leaving"), "{said}");
    }
    assert_eq!(found[2]["resource_id"], purged.json()["receipt_id"]);
}

// A key of one customer, or of one end-client, would read what was done for the others.
#[test]
fn entries_are_read_by_whom_they_concern() {
    let server = Server::start();
    let operator = server.operator();
    let made = operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201).json();
    let other = operator.in_workspace("other");
    for (client, partition) in [(&operator, "acme"), (&operator, "globex"), (&other, "acme")] {
        insert(client, Some(partition), "a text");
        client.delete(&format!("/v1/partitions/{partition}")).expect(200);
    }
    let (own, of_other) = (erasures(&operator).0, erasures(&other).0);
    assert_eq!((own.len(), of_other.len()), (2, 1));
    assert_eq!(of_other[0]["id"], "2", "how much others do is theirs to know");
    for fields in [json!({"scopes": ["audit:read"]}), json!({"multi_tenant": true})] {
        assert_eq!(erasures(&client_with(&operator, &fields)).0, own);
        assert_eq!(erasures(&client_with(&other, &fields)).0, of_other);
    }
    let of_own = client_with(&operator, &json!({}));
    let foreign = text(&of_other[0]["resource_id"]);
    assert_eq!(entries(&of_own, &format!("?resource_id={foreign}")), (vec![], 0));
    of_own.in_workspace("other").get("/v1/admin/audit").expect_error(403, "workspace_forbidden");
    for scopes in [json!(["partition:delete", "partition:read"]), json!(["usage:read", "key:*"])] {
        let without = client_with(&operator, &json!({"scopes": scopes}));
        without.get("/v1/admin/audit").expect_error(403, "scope_missing");
    }
    for pin in [json!({"partition": "acme"}), json!({"collection": "default"})] {
        client_with(&operator, &pin).get("/v1/admin/audit").expect_error(403, "pinned_key");
    }
    assert_eq!(operator.anonymous().get("/v1/admin/audit").status, 401);
    // They outlive their workspace, for the operator alone.
    let (gone, its_key) = (text(&made["id"]), client_with(&other, &json!({})));
    operator.delete(&format!("/v1/admin/workspaces/{gone}")).expect(200);
    assert_eq!(its_key.get("/v1/admin/audit").status, 401);
    assert_eq!(erasures(&operator.in_workspace(&gone)).1, 2);
    assert_eq!(operator.in_workspace("other").get("/v1/admin/audit").status, 404, "its name is gone with it");
    assert_eq!(erasures(&operator).0, own);
}

// Whoever looks for one act would miss it between two pages, or take a slip in the question for "it never happened".
#[test]
fn entries_are_filtered_and_paged() {
    let server = Server::start();
    let operator = server.operator();
    let key = mint(&operator, &json!({}));
    let holder = operator.with_key(&key.key);
    for n in 0..5 {
        let client = if n % 2 == 0 { &operator } else { &holder };
        let partition = format!("client-{n}");
        let document = insert(client, Some(&partition), "a text");
        if n == 3 {
            purge(client, Some(&partition), &document).expect(200);
        }
        client.delete(&format!("/v1/partitions/{partition}")).expect(200);
    }
    // Before the erasures: the workspace, the owner's key and this one.
    let numbers = |query: &str| {
        let (found, total) = entries(&operator, &format!("?{query}"));
        (found.iter().map(|entry| text(&entry["id"])).collect::<Vec<_>>().join(" "), total)
    };
    let third = &entries(&operator, "?limit=1&offset=3").0[0];
    let (third, at) = (text(&third["resource_id"]), text(&third["created_at"]));
    let (_, since) = numbers(&with_query("", &[("since", &at)])[1..]);
    let (_, until) = numbers(&with_query("", &[("until", &at)])[1..]);
    assert_eq!(since + until, 9, "a time is on one side of itself");
    assert!(since >= 4 && until >= 3, "{since} since, {until} until");
    for (query, found, total) in [
        ("", "9 8 7 6 5 4 3 2 1", 9),
        ("limit=2", "9 8", 9),
        ("limit=2&offset=2", "7 6", 9),
        ("limit=1000&offset=8", "1", 9),
        ("offset=9", "", 9),
        ("offset=18446744073709551615", "", 9),
        ("action=document.purge", "7", 1),
        ("action=key.mint", "3 2", 2),
        ("action=partition.drop&limit=2&offset=1", "8 6", 5),
        ("actor_id=operator", "9 6 4 3", 4),
        (&format!("actor_id={}", key.id), "8 7 5", 3),
        (&format!("actor_id={}&action=partition.drop", key.id), "8 5", 2),
        ("actor_id=system", "2 1", 2),
        ("resource_type=partition", "9 8 7 6 5 4", 6),
        ("resource_type=collection", "", 0),
        (&format!("resource_id={third}"), "6", 1),
        (&format!("resource_id={}", key.id), "3", 1),
        ("since=2999-01-01T00:00:00Z", "", 0),
        ("until=2000-01-01T00:00:00Z", "", 0),
        (&with_query("", &[("action", "' OR 1=1 --")])[1..], "", 0),
    ] {
        assert_eq!(numbers(query), (found.to_owned(), total), "{query}");
    }
    for wrong in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "offset=-1",
        "offset=x",
        "action=",
        "actor_id=",
        "resource_type=",
        "resource_id=",
        "since=yesterday",
        "until=",
        "resource=x",
        "action=a&action=b",
        "partition=client-1",
    ] {
        let answer = operator.get(&format!("/v1/admin/audit?{wrong}"));
        let (status, body) = (answer.status, answer.json());
        assert_eq!(status, 400, "{wrong}: {answer}");
        assert!(body["detail"].is_string() && body["error"]["code"].is_string(), "bigRAG's shape: {answer}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(operator.send(method, "/v1/admin/audit", &[], Vec::new()).status, 405, "{method}");
    }
}

// A purge that is made final later would be told without who asked for it, or never be told to be final.
#[test]
fn a_purge_that_takes_its_time_is_written_down_when_asked_for_and_when_done() {
    let server = Server::start();
    let operator = server.operator();
    let (key, vector) = (mint(&operator, &json!({})), vec![0.5; dimension(&operator)]);
    let holder = operator.with_key(&key.key);
    let insert = |content: String| {
        let body = json!({"content": content, "filename": "x", "content_type": "text/plain", "embedding": vector,
            "partition": "acme"});
        id_of(&holder.post("/v1/documents/embed", &body).expect(201))
    };
    let document = insert("small".to_owned());
    for letter in ["a", "b"] {
        insert(letter.repeat(40 << 20));
    }
    let answer = purge(&holder, Some("acme"), &document).expect(200);
    assert_eq!((&answer.json()["final"], &answer.json()["receipt_id"]), (&json!(false), &Value::Null));
    let (asked, _) = erasures(&operator);
    assert_eq!((asked.len(), &asked[0]["metadata"]["receipt_id"]), (1, &Value::Null), "{asked:?}");
    assert_eq!(asked[0]["metadata"]["outcome"], "accepted");
    // A stop makes every purge final.
    let server = server.stop().start();
    let (found, _) = erasures(&server.operator());
    let resource = text(&asked[0]["resource_id"]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(act(&found[0]), ["document.purge", "partition", &resource, "system"]);
    let metadata = &found[0]["metadata"];
    assert_eq!((&metadata["outcome"], &metadata["receipt_id"]), (&json!("done"), &json!(resource)));
    assert_eq!((&metadata["request_id"], &found[0]["ip"]), (&Value::Null, &Value::Null), "nobody's request");
    assert_eq!((act(&found[1]), &found[1]), (["document.purge", "partition", &resource, &key.id], &asked[0]));
}

#[cfg(target_os = "linux")]
mod struck {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use strongroom_tests::faults::strike::compile;
    use strongroom_tests::server::Plan;

    use super::*;

    /// Nothing that settles by itself takes longer. Generous: machines that test are busy.
    const SETTLED_WITHIN: Duration = Duration::from_secs(30);

    /// An erasure that a server is asked for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Erasure {
        Partition,
        Workspace,
        Document,
    }

    /// A server whose calls on the control plane's write-ahead log are struck once it is told so.
    struct Struck {
        plan: Plan,
        marker: PathBuf,
        report: PathBuf,
    }

    impl Struck {
        fn new(mode: &str, call: usize) -> Struck {
            let plan = Plan::default();
            let around = plan.folder.around().canonicalize().expect("the folder's path without links");
            let (marker, report) = (around.join("now"), around.join("struck"));
            let preload = compile(&around);
            let set = [
                ("LD_PRELOAD", preload.as_path()),
                ("STRONGROOM_SHIM_ROOT", &around.join("data")),
                ("STRONGROOM_SHIM_REPORT", &report),
                ("STRONGROOM_SHIM_ONCE", &marker),
            ];
            let plan = set.iter().fold(plan, |plan, (name, path)| plan.set(name, &path.to_string_lossy()));
            let plan = plan
                .set("STRONGROOM_SHIM_MODE", mode)
                .set("STRONGROOM_SHIM_CALL", &call.to_string())
                .set("STRONGROOM_SHIM_SYNC", "answered")
                .set("STRONGROOM_SHIM_ONLY", "control.sqlite-wal");
            Struck { plan, marker, report }
        }

        /// From now on.
        fn begin(&self) {
            std::fs::write(&self.marker, "").expect("a file can be written");
        }

        /// The call that was struck, if it came to that.
        fn struck(&self) -> Option<String> {
            let line = std::fs::read_to_string(&self.report).ok().filter(|line| !line.is_empty())?;
            line.split(' ').nth(1).map(str::to_owned)
        }

        /// The same folder, and nothing strikes any more.
        fn calm(&self) -> Plan {
            Plan { environment: Vec::new(), ..self.plan.clone() }
        }
    }

    /// Fills a workspace of its own and has something in it erased; answers the workspace's id and what was answered.
    fn erase(server: &Server, what: Erasure, begin: impl FnOnce()) -> (String, Result<Answer, String>) {
        let operator = server.operator();
        let made = operator.post("/v1/admin/workspaces", &json!({"name": "struck"})).expect(201).json();
        let (id, inside) = (text(&made["id"]), operator.in_workspace("struck"));
        let document = insert(&inside, Some("acme"), "a text");
        insert(&inside, Some("acme"), "another");
        begin();
        let at = match what {
            Erasure::Partition => "/v1/partitions/acme".to_owned(),
            Erasure::Workspace => format!("/v1/admin/workspaces/{id}"),
            Erasure::Document => path(&format!("/{document}"), Some("acme")) + "&hard=true",
        };
        (id, inside.try_send("DELETE", &at, &[], Vec::new()))
    }

    /// Insists that the one receipt has the one entry, and answers whose act it is.
    #[track_caller]
    fn one_entry(operator: &Client, workspace: &str, of: &str) -> String {
        let past = operator.in_workspace(workspace);
        let receipts = past.get("/v1/receipts").expect(200).json()["receipts"].clone();
        let receipts: Vec<_> =
            receipts.as_array().expect("receipts").iter().map(|one| text(&one["id"])).collect();
        let (found, _) = erasures(&past);
        let told: Vec<_> = found.iter().map(|entry| text(&entry["resource_id"])).collect();
        assert_eq!((told.len(), &told), (1, &receipts), "{of}");
        text(&found[0]["actor_id"])
    }

    // The power goes between a receipt and its entry, and the audit log never tells of the erasure; or tells it twice.
    #[test]
    fn a_kill_between_receipt_and_entry_costs_no_entry() {
        for what in [Erasure::Partition, Erasure::Document, Erasure::Workspace] {
            let mut by = Vec::new();
            for call in 1.. {
                let of = format!("{what:?}, killed before call {call}");
                let struck = Struck::new("kill-before", call);
                let server = struck.plan.start();
                let (workspace, answer) = erase(&server, what, || struck.begin());
                drop(server);
                if struck.struck().is_none() {
                    assert_eq!(answer.map(|answer| answer.status), Ok(200), "{of}");
                    break;
                }
                // One that was answered and then struck was killed by what the server did after it.
                let mut server = struck.calm().start();
                let operator = server.operator();
                let (found, _) = erasures(&operator.in_workspace(&workspace));
                if found.is_empty() {
                    assert!(
                        what == Erasure::Workspace && answer.is_err(),
                        "{of}: an erasure without its entry"
                    );
                    assert_eq!(list_all(&operator.in_workspace("struck"), Some("acme")).len(), 2, "{of}");
                    continue;
                }
                by.push(one_entry(&operator, &workspace, &of));
                server = server.kill().start();
                one_entry(&server.operator(), &workspace, &format!("{of}, and started again"));
            }
            assert_eq!(
                by.first().map(String::as_str),
                Some("system"),
                "{what:?}: who finished it says so, {by:?}"
            );
            assert!(by.len() >= 3, "{what:?}: only {by:?}");
        }
    }

    // A full disk would forbid the very deletions that make room, for want of a few bytes to write them down.
    #[test]
    fn on_a_full_disk_the_entry_finds_room() {
        for what in [Erasure::Partition, Erasure::Document, Erasure::Workspace] {
            let mut writes = 0;
            for call in 1.. {
                let of = format!("{what:?}, full at call {call}");
                let struck = Struck::new("enospc-once", call);
                let server = struck.plan.start();
                let (workspace, answer) = erase(&server, what, || struck.begin());
                let Some(name) = struck.struck() else { break };
                if name.ends_with("write") {
                    let answer = answer.expect("an answer");
                    assert_eq!(answer.status, 200, "{of}: {answer}");
                    assert_eq!(one_entry(&server.operator(), &workspace, &of), "operator");
                    writes += 1;
                }
            }
            assert!(writes >= 2, "{what:?}: only {writes} writes were struck");
        }
    }

    // An erasure would be acknowledged that the audit log knows nothing of, or forget who asked for it.
    #[test]
    fn an_entry_that_cannot_be_written_is_told_and_owed() {
        for what in [Erasure::Partition, Erasure::Document] {
            let struck = Struck::new("eio-once", 1);
            let server = struck.plan.start();
            let (workspace, answer) = erase(&server, what, || struck.begin());
            let answer = answer.expect("an answer").expect_error(503, "audit_unwritten");
            assert!(answer.header("retry-after").is_some(), "{answer}");
            let operator = server.operator();
            let inside = operator.in_workspace(&workspace);
            let left = if what == Erasure::Partition { 0 } else { 1 };
            assert_eq!(list_all(&inside, Some("acme")).len(), left, "the erasure stands");
            let begun = Instant::now();
            while erasures(&inside).1 == 0 && begun.elapsed() < SETTLED_WITHIN {
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(one_entry(&operator, &workspace, &format!("{what:?}")), "operator");
            let said = server.said();
            assert!(said.contains("control.sqlite"), "the operator is told why: {said}");
        }
        // For good: nothing is acknowledged meanwhile, not even that nothing is left, and the next start makes up for it.
        let struck = Struck::new("eio-stuck", 1);
        let server = struck.plan.start();
        let (workspace, answer) = erase(&server, Erasure::Partition, || struck.begin());
        answer.expect("an answer").expect_error(503, "audit_unwritten");
        let again = server.operator().in_workspace(&workspace).delete("/v1/partitions/acme");
        again.expect_error(503, "audit_unwritten");
        server.kill();
        let server = struck.calm().start();
        assert_eq!(one_entry(&server.operator(), &workspace, "stuck"), "system");
    }
}
