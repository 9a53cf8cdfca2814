//! Do workspaces, keys and the process itself live and end as their users expect?

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_tests::client::{Client, with_query};
use strongroom_tests::documents::{contents, download, insert, insert_path, list_all, search};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::residue::everything_under;
use strongroom_tests::server::{Plan, Server};

fn make_workspace(operator: &Client, name: &str) -> String {
    let made = operator.post("/v1/admin/workspaces", &json!({"name": name})).expect(201).json();
    assert_eq!(made["name"], name);
    assert!(made["created_at"].is_string(), "{made}");
    made["id"].as_str().expect("an id").to_owned()
}

// Two products on one server would read each other's data.
#[test]
fn two_workspaces_never_see_each_other() {
    let server = Server::start();
    let operator = server.operator();
    let red_id = make_workspace(&operator, "red");
    make_workspace(&operator, "blue");
    let red = client_with(&operator, &json!({"workspace": "red"}));
    let blue = client_with(&operator, &json!({"workspace": "blue"}));
    let of_red = insert(&red, Some("acme"), "acme of red");
    insert(&red, None, "red");
    let of_blue = insert(&blue, Some("acme"), "acme of blue");
    for (client, text, own, foreign) in
        [(&red, "acme of red", &of_red, &of_blue), (&blue, "acme of blue", &of_blue, &of_red)]
    {
        assert_eq!(contents(&search(client, Some("acme"), "acme", 10)), [text]);
        assert_eq!(list_all(client, Some("acme")).keys().collect::<Vec<_>>(), [own]);
        assert_eq!(download(client, Some("acme"), foreign).status, 404);
        assert_eq!(
            client.get("/v1/partitions").expect(200).json()["partitions"].as_array().map(Vec::len),
            Some(1)
        );
        let keys = client.get("/v1/admin/api-keys").expect(200).text();
        assert!(!keys.contains(if text.ends_with("red") { "blue" } else { "red" }), "{keys}");
    }
    // A key stays in its workspace, whatever header it sends; the operator goes where the header says.
    assert_eq!(contents(&search(&operator.in_workspace("blue"), Some("acme"), "acme", 10)), ["acme of blue"]);
    let strayed =
        red.in_workspace("blue").get(&with_query("/v1/search", &[("q", "acme"), ("partition", "acme")]));
    assert!(
        strayed.status == 403 || strayed.status == 404 || !strayed.text().contains("acme of blue"),
        "{strayed}"
    );
    assert_eq!(operator.in_workspace("green").get("/v1/partitions").status, 404);
    assert!(list_all(&operator, None).is_empty(), "the default workspace is a third one");
    // Dropping one is felt by no other.
    operator.delete(&format!("/v1/admin/workspaces/{red_id}")).expect(200);
    assert_eq!(red.get("/v1/partitions").status, 401);
    assert_eq!(contents(&search(&blue, Some("acme"), "acme", 10)), ["acme of blue"]);
    let server = server.kill().start();
    let blue = Client::new(server.address(), "").with_key("x");
    assert_eq!(blue.get("/v1/partitions").status, 401);
    let operator = server.operator();
    assert_eq!(operator.in_workspace("red").get("/v1/partitions").status, 404);
    assert_eq!(contents(&search(&operator.in_workspace("blue"), Some("acme"), "acme", 10)), ["acme of blue"]);
}

#[test]
fn workspaces_are_made_by_the_operator_alone() {
    let server = Server::start();
    let operator = server.operator();
    let owner = client_with(&operator, &json!({}));
    assert_eq!(owner.post("/v1/admin/workspaces", &json!({"name": "mine"})).status, 403);
    make_workspace(&operator, "taken");
    assert_eq!(operator.post("/v1/admin/workspaces", &json!({"name": "taken"})).status, 409);
    for bad in
        [json!({}), json!({"name": ""}), json!({"name": 7}), json!({"name": "x".repeat(1000)}), json!([])]
    {
        let answer = operator.post("/v1/admin/workspaces", &bad);
        assert!(matches!(answer.status, 400 | 422), "{answer}");
    }
    let names = operator.get("/v1/admin/workspaces").expect(200).text();
    assert!(names.contains("taken") && names.contains("default"), "{names}");
    assert_eq!(operator.get("/v1/admin/workspaces/nowhere").status, 404);
    assert_eq!(operator.delete("/v1/admin/workspaces/nowhere").status, 404);
}

// An employee who left would keep a key that works.
#[test]
fn a_key_lives_is_rotated_and_ends() {
    let server = Server::start();
    let operator = server.operator();
    let minted =
        mint(&operator, &json!({"name": "ci", "scopes": ["document:read", "query:read", "partition:read"]}));
    assert!(minted.key.starts_with("sr_live_"), "the key's form");
    let client = operator.with_key(&minted.key);
    client.get("/v1/partitions").expect(200);
    let at = format!("/v1/admin/api-keys/{}", minted.id);
    let shown = operator.get(&at).expect(200);
    let secret = minted.key.rsplit('_').next().expect("a secret");
    assert!(!shown.text().contains(secret), "a key is shown once");
    assert!(!operator.get("/v1/admin/api-keys").expect(200).text().contains(secret));
    assert_eq!(operator.patch(&at, &json!({"name": "renamed"})).expect(200).json()["name"], "renamed");
    let rotated = operator.post(&format!("{at}/rotate"), &json!({})).expect(201).json();
    let new_key = rotated["key"].as_str().expect("a new key").to_owned();
    assert_ne!(new_key, minted.key);
    assert_eq!(client.get("/v1/partitions").status, 401, "the old secret is dead at once");
    let client = operator.with_key(&new_key);
    client.get("/v1/partitions").expect(200);
    assert_eq!(
        client.post("/v1/admin/api-keys", &json!({"name": "x", "scopes": ["query:read"]})).status,
        403
    );
    let id = rotated["id"].as_str().expect("an id").to_owned();
    operator.delete(&format!("/v1/admin/api-keys/{id}")).expect(200);
    assert_eq!(client.get("/v1/partitions").status, 401, "revoked from the next request on");
    let server = server.kill().start();
    for dead in [&minted.key, &new_key] {
        assert_eq!(
            server.operator().with_key(dead).get("/v1/partitions").status,
            401,
            "dead after a restart too"
        );
    }
}

// Whoever gets a small key would make a large one of it.
#[test]
fn no_key_mints_more_than_itself() {
    let server = Server::start();
    let operator = server.operator();
    make_workspace(&operator, "other");
    let narrow = client_with(
        &operator,
        &json!({"scopes": ["key:*", "query:read"], "partition": "acme", "multi_tenant": false}),
    );
    let mint = |fields: serde_json::Value| {
        let mut body = json!({"name": "child"});
        for (name, value) in fields.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        narrow.post("/v1/admin/api-keys", &body)
    };
    for more in [
        json!({"scopes": ["*"], "partition": "acme"}),
        json!({"scopes": ["query:read", "document:read"], "partition": "acme"}),
        json!({"scopes": ["query:read"], "partition": "globex"}),
        json!({"scopes": ["query:read"], "partition": "acme", "workspace": "other"}),
    ] {
        let answer = mint(more);
        assert_eq!(answer.status, 403, "{answer}");
    }
    let unpinned = mint(json!({"scopes": ["query:read"]}));
    if unpinned.status == 201 {
        let child = operator.with_key(unpinned.json()["key"].as_str().expect("a key"));
        let foreign = child.get(&with_query("/v1/search", &[("q", "x"), ("partition", "globex")]));
        assert_eq!(foreign.status, 403, "a child without a pin reaches further than its parent: {foreign}");
    } else {
        assert!(matches!(unpinned.status, 400 | 403), "{unpinned}");
    }
    let same = mint(json!({"scopes": ["query:read"], "partition": "acme"})).expect(201).json();
    let child = operator.with_key(same["key"].as_str().expect("a key"));
    child.get("/v1/search?q=x").expect(200);
    // Nor does it widen itself or touch those above it.
    let keys = operator.get("/v1/admin/api-keys").expect(200).json();
    let listed =
        keys.as_array().or_else(|| keys.as_object().and_then(|o| o.values().find_map(|v| v.as_array())));
    for key in listed.expect("a list of keys") {
        let at = format!("/v1/admin/api-keys/{}", key["id"].as_str().expect("an id"));
        let widened = narrow.patch(&at, &json!({"scopes": ["*"]}));
        assert!(matches!(widened.status, 400 | 403 | 404), "{widened}");
    }
    let owner = client_with(&operator, &json!({"scopes": ["*"]}));
    let owner_id = owner.get("/v1/admin/api-keys").expect(200).text();
    assert!(!owner_id.is_empty());
    for bad in [
        json!({"name": "x", "scopes": ["document:red"]}),
        json!({"name": "x"}),
        json!({"scopes": ["*"]}),
        json!({"name": "x", "scopes": "*"}),
    ] {
        let answer = operator.post("/v1/admin/api-keys", &bad);
        assert!(matches!(answer.status, 201 | 400 | 422), "{answer}");
        assert!(answer.status != 201 || bad["scopes"] != json!(["document:red"]), "a typo made a key");
    }
}

// After an update of the server its users would log in to an empty store.
#[test]
fn a_restart_keeps_everything() {
    let server = Server::start();
    let operator = server.operator();
    make_workspace(&operator, "red");
    let red = mint(&operator, &json!({"workspace": "red"}));
    let client = operator.with_key(&red.key);
    let kept = insert(&client, Some("acme"), "kept");
    let deleted = insert(&client, Some("acme"), "deleted");
    client.delete(&with_query(&format!("/v1/documents/{deleted}"), &[("partition", "acme")])).expect(200);
    insert(&client, Some("gone"), "gone");
    client.delete("/v1/partitions/gone").expect(200);
    let mut plan = server.stop();
    for round in 0..3 {
        let server = plan.start();
        let client = server.operator().with_key(&red.key);
        assert_eq!(download(&client, Some("acme"), &kept).expect(200).text(), "kept");
        assert_eq!(download(&client, Some("acme"), &deleted).status, 404);
        assert!(list_all(&client, Some("gone")).is_empty());
        assert_eq!(contents(&search(&client, Some("acme"), "kept", 10))[0], "kept");
        insert(&client, Some("acme"), &format!("of life {round}"));
        assert_eq!(list_all(&client, Some("acme")).len(), round + 2);
        plan = if round == 1 { server.kill() } else { server.stop() };
    }
    let server = plan.start();
    let client = server.operator().with_key(&red.key);
    client
        .post_bytes(&with_query(&format!("/v1/documents/{deleted}/restore"), &[("partition", "acme")]), b"")
        .expect(200);
    assert_eq!(download(&client, Some("acme"), &deleted).expect(200).text(), "deleted");
}

// Two processes on one folder would destroy the store.
#[test]
fn a_second_process_is_refused_at_once() {
    let server = Server::start();
    insert(&server.operator(), None, "of the first");
    let (status, said) = server.plan().start_refused(Duration::from_secs(10));
    assert!(!status.success());
    let said = said.to_lowercase();
    assert!(said.contains("another process") || said.contains("in use") || said.contains("lock"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(contents(&search(&server.operator(), None, "first", 10)), ["of the first"]);
}

// With the wrong key the store would be overwritten, or every partition look damaged.
#[test]
fn a_wrong_master_key_is_told() {
    let right = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let wrong = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let plan = Plan::default().set("STRONGROOM_MASTER_KEY", right);
    let server = plan.start();
    let id = insert(&server.operator(), Some("acme"), "sealed");
    let plan = server.stop();
    for key in [wrong, "", "too short", "zz"] {
        let other = Plan { environment: Vec::new(), ..plan.clone() }.set("STRONGROOM_MASTER_KEY", key);
        let (status, said) = other.start_refused(Duration::from_secs(10));
        assert!(!status.success(), "{key:?}");
        assert!(said.to_lowercase().contains("key") && !said.contains("panicked"), "{key:?}: {said}");
    }
    let (status, said) =
        Plan { environment: Vec::new(), ..plan.clone() }.start_refused(Duration::from_secs(10));
    assert!(!status.success(), "started without the key that the store was made with: {said}");
    let server = plan.start();
    assert_eq!(download(&server.operator(), Some("acme"), &id).expect(200).text(), "sealed");
}

// A deployment would cut off the requests that were running.
#[test]
fn sigterm_lets_what_runs_finish() {
    let mut server = Server::start();
    let client = server.operator();
    let outcomes: Vec<Result<u16, String>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let client = client.clone();
                scope.spawn(move || {
                    let mut outcomes = Vec::new();
                    for n in 0.. {
                        let path = insert_path(Some(&format!("client {writer}")), "note.txt");
                        let text = format!("note {n} ").repeat(200).into_bytes();
                        let outcome = client.try_send("POST", &path, &[], text).map(|a| a.status);
                        let ended = outcome.is_err();
                        outcomes.push(outcome);
                        if ended {
                            break;
                        }
                    }
                    outcomes
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(400));
        let begun = Instant::now();
        server.terminate();
        let status = server.wait(Duration::from_secs(10));
        assert!(status.success(), "{status}: {}", server.said());
        assert!(begun.elapsed() < Duration::from_secs(10));
        writers.into_iter().flat_map(|w| w.join().expect("a writer")).collect()
    });
    let taken = outcomes.iter().filter(|o| **o == Ok(201)).count();
    // Only a connection that was refused or let go between two requests may fail: never one that was answered half.
    let halves: Vec<_> = outcomes.iter().filter(|o| matches!(o, Ok(s) if *s != 201 && *s != 503)).collect();
    assert!(halves.is_empty(), "{halves:?}");
    let server = server.plan().start();
    let there: usize = (0..4).map(|w| list_all(&server.operator(), Some(&format!("client {w}"))).len()).sum();
    assert!(there >= taken && taken > 4, "{taken} were acknowledged, {there} are there");
    assert!(there <= taken + 4, "{taken} were acknowledged, {there} are there");
}

// On a fresh machine nobody would have a key to begin with.
#[test]
fn the_first_start_gives_an_owner_key_once() {
    let plan = Plan::default();
    let server = plan.start();
    let key = server
        .said()
        .split_whitespace()
        .find(|w| w.contains("sr_live_"))
        .map(|w| w.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_').to_owned());
    let key = key.unwrap_or_else(|| panic!("no owner key in: {}", server.said()));
    let owner = server.operator().with_key(&key);
    insert(&owner, Some("acme"), "by the owner");
    let server = server.stop().start();
    assert!(!server.said().contains("sr_live_"), "shown twice: {}", server.said());
    assert_eq!(
        contents(&search(&server.operator().with_key(&key), Some("acme"), "owner", 10)),
        ["by the owner"]
    );
}

// One bad sector would take every customer down, or be answered as if nothing were wrong, or stay for ever.
#[test]
fn damage_stays_in_its_partition() {
    let server = Server::start();
    let segments = |plan: &Plan| -> BTreeSet<PathBuf> {
        let all = everything_under(&plan.folder.data().join("segments"));
        all.into_iter().filter(|path| path.is_file()).collect()
    };
    insert(&server.operator(), Some("globex"), "of globex");
    let plan = server.stop();
    let before = segments(&plan);
    let server = plan.start();
    let kept = insert(&server.operator(), Some("acme"), "of acme");
    let plan = server.stop();
    let of_acme: Vec<PathBuf> = segments(&plan).difference(&before).cloned().collect();
    assert_eq!(of_acme.len(), 1, "the second life's stop wrote acme's segment alone");
    let mut bytes = std::fs::read(&of_acme[0]).expect("the file can be read");
    // Every block of it: which one a call reads is none of this test's business.
    bytes.iter_mut().skip(64).step_by(61).for_each(|byte| *byte ^= 0x10);
    std::fs::write(&of_acme[0], bytes).expect("the file can be written");

    let server = plan.start();
    let operator = server.operator();
    let at = with_query(&format!("/v1/documents/{kept}"), &[("partition", "acme")]);
    let searched = with_query("/v1/search", &[("q", "acme"), ("partition", "acme")]);
    for answer in [
        operator.get(&searched),
        operator.get(&at),
        operator.delete(&at),
        operator.post_bytes(&insert_path(Some("acme"), "note.txt"), b"another"),
    ] {
        let answer = answer.expect_error(503, "partition_quarantined");
        assert!(answer.header("retry-after").is_some(), "{answer}");
        let text = answer.text();
        assert!(text.contains("backup") && text.contains("delete"), "{answer}");
        assert!(!text.contains("segments") && !text.contains("crc"), "{answer}");
    }
    assert!(server.said().contains("damage in segments/"), "the operator isn't told: {}", server.said());
    assert_eq!(contents(&search(&operator, Some("globex"), "globex", 10)), ["of globex"]);
    insert(&operator, Some("globex"), "more of globex");
    let dropped = operator.delete("/v1/partitions/acme").expect(200).json();
    assert_eq!((&dropped["documents_deleted"], dropped["receipt_id"].is_string()), (&json!(1), true));
    insert(&operator, Some("acme"), "a new beginning");
    let server = server.stop().start();
    assert_eq!(contents(&search(&server.operator(), Some("acme"), "acme", 10)), ["a new beginning"]);
    assert_eq!(list_all(&server.operator(), Some("globex")).len(), 2);
}
