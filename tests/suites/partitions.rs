//! Is data written under a partition only ever returned to that partition, by every route and every key?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::{Kind, routes};
use strongroom_tests::client::{Answer, Client, encoded, with_query};
use strongroom_tests::documents::{contents, get, insert, list_all, search};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::residue::{everything_under, files_with, names_with};
use strongroom_tests::routes::{CASES, Target, dimension, uncovered, vector};
use strongroom_tests::server::{Plan, Server};

/// Words that stand in the hostile ids below, to look for on the disk.
const MARKS: &[&str] =
    &["zqescape", "zqslash", "zqpercent", "zqquote", "zqtrail", "zqline", "zqrtl", "zqnul", "zqacme"];

/// What the documents hold. (Whole words: a random key may well have two letters of one.)
const WORDS: &[&str] = &["zqcontent", "zqfilename", "zqtag", "zqmeta", "zqvalue", "zqentity", "zqsource"];

/// Ids of every kind that somebody's own system may have made.
fn hostile_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "plain",
        "../../zqescape",
        "/etc/zqescape",
        "zqslash/b",
        "zqslash\\b",
        "zqslash%2fb",
        "%2e%2e%2fzqpercent",
        "%2e",
        "%",
        "...",
        "-",
        "zqtrail",
        "zqtrail ",
        " zqtrail",
        "zqtrail\t",
        "zqline\nbreak",
        "zqline\r\nX-Injected: 1",
        "zqnul\0byte",
        "zqnul",
        "zqquote\"'`;--",
        "zqquote' OR 1=1",
        "{\"zqquote\": null}",
        "zqrtl\u{202e}gpj.exe",
        "zqacme",
        "ZQACME",
        "zq\u{0430}cme",
        "zqacme\u{200b}",
        "zqa\u{301}cme",
        "zq\u{e1}cme",
        "null",
        "default",
        "a&partition=b",
        "a+b",
        "a b",
        "a#b",
        "a?b",
        "zqacme,zqtrail",
        "CON",
        "C:\\Windows",
    ]
    .iter()
    .map(|id| (*id).to_owned())
    .collect();
    ids.push("\u{1f600}".repeat(256));
    ids.push("\u{e9}".repeat(256));
    ids.push("x".repeat(256));
    ids
}

// One end-client would read another's data because their names look alike to some layer on the way.
#[test]
fn every_id_is_a_partition_of_its_own() {
    let server = Server::start();
    let client = server.operator();
    let dimension = dimension(&client);
    let ids = hostile_ids();
    let texts_of = |index: usize| -> BTreeSet<String> {
        ["line", "batch", "vector"].iter().map(|way| format!("{way}: the secret of client {index}")).collect()
    };
    for (index, id) in ids.iter().enumerate() {
        insert(&client, Some(id), &format!("line: the secret of client {index}"));
        let item = json!({"filename": "b.txt", "content": format!("batch: the secret of client {index}"), "partition": id});
        client.post("/v1/documents/batch", &json!({"documents": [item]})).expect(201);
        let own = json!({"content": format!("vector: the secret of client {index}"), "filename": "v.txt",
            "content_type": "text/plain", "embedding": vector(dimension, index), "partition": id});
        client.post("/v1/documents/embed", &own).expect(201);
    }
    let check = |index: usize, id: &String| {
        let listed = list_all(&client, Some(id));
        assert_eq!(listed.len(), 3, "{id:?}");
        let by_text = search(&client, Some(id), "the secret of a client", 1000);
        let body = json!({"embedding": vector(dimension, index), "k": 1000, "include_content": true, "partition": id});
        let by_vector = client.post("/v1/search/embed", &body).expect(200).json()["results"].clone();
        let one = json!({"q": "the secret of a client", "k": 1000, "include_content": true, "partition": id});
        let batch = client.post("/v1/search/batch", &json!({"queries": [one]})).expect(200).json();
        for hits in [json!(by_text), by_vector, batch["results"][0]["results"].clone()] {
            let hits = hits.as_array().expect("hits").clone();
            assert_eq!(contents(&hits).into_iter().collect::<BTreeSet<_>>(), texts_of(index), "{id:?}");
            assert!(hits.iter().all(|h| h["partition"] == id.as_str()), "{id:?}");
        }
        assert!(listed.values().all(|d| d["partition"] == id.as_str()), "{id:?}");
    };
    for (index, id) in ids.iter().enumerate() {
        check(index, id);
    }
    let known: BTreeSet<String> = partitions(&client).into_iter().map(|(id, _)| id).collect();
    assert_eq!(known, ids.iter().cloned().collect(), "each id is listed as it was given");
    // By path, one after the other: each takes its own with it and nothing else.
    for (index, id) in ids.iter().enumerate() {
        let dropped = client.delete(&format!("/v1/partitions/{}", encoded(id))).expect(200).json();
        assert_eq!(dropped["documents_deleted"], 3, "{id:?}");
        assert!(list_all(&client, Some(id)).is_empty(), "{id:?}");
        if let Some(next) = ids.get(index + 1) {
            check(index + 1, next);
        }
        assert_eq!(partitions(&client).len(), ids.len() - index - 1);
    }
    nothing_given_away(&server);
}

// Whoever gets the disk would read tenants' names and words off it, or a name would become a path.
#[test]
fn the_disk_gives_nothing_away() {
    let server = Server::start();
    let client = server.operator();
    for (index, id) in hostile_ids().iter().enumerate() {
        insert(&client, Some(id), &format!("zqcontent of {index}"));
        let item = json!({"filename": "zqfilename.txt", "content": "zqcontent", "tags": ["zqtag"],
            "metadata": {"zqmeta": "zqvalue"}, "entity_id": "zqentity", "source": "zqsource", "partition": id});
        client.post("/v1/documents/batch", &json!({"documents": [item]})).expect(201);
        assert_eq!(search(&client, Some(id), "zqcontent", 10).len(), 2);
    }
    client_with(&client, &json!({"partition": "zqacme"}));
    nothing_given_away(&server);
    let folder = server.stop().folder;
    assert_eq!(files_with(&folder.data(), WORDS), [], "after a flush as before");
    assert_eq!(files_with(&folder.data(), MARKS), []);
}

fn nothing_given_away(server: &Server) {
    let folder = server.folder();
    assert_eq!(names_with(&folder.data(), MARKS), Vec::<PathBuf>::new(), "names on the disk");
    assert_eq!(files_with(&folder.data(), MARKS), [], "ids in clear on the disk");
    assert_eq!(files_with(&folder.data(), WORDS), []);
    let beside: Vec<_> = everything_under(folder.around())
        .into_iter()
        .filter(|path| !path.starts_with(folder.data()))
        .collect();
    assert!(beside.is_empty(), "written outside of the data folder: {beside:?}");
    for parent in folder.around().ancestors().skip(1).chain([Path::new("/etc")]) {
        assert!(!parent.join("zqescape").exists(), "written to {}", parent.display());
    }
    let (said, told) = (server.said(), [MARKS, WORDS].concat());
    assert!(told.iter().all(|word| !said.contains(word)), "a tenant's words in the log: {said}");
}

fn partitions(client: &Client) -> Vec<(String, u64)> {
    let listed = client.get("/v1/partitions").expect(200).json()["partitions"].clone();
    let each = listed.as_array().expect("partitions").iter();
    each.map(|p| {
        (p["id"].as_str().expect("an id").to_owned(), p["document_count"].as_u64().expect("a count"))
    })
    .collect()
}

// A slip of an empty variable would write into, or read from, somewhere that nobody named.
#[test]
fn ids_that_are_none_are_refused_on_each_route() {
    let server = Server::start();
    let client = server.operator();
    let dimension = dimension(&client);
    let id = insert(&client, None, "in the default partition");
    let before = partitions(&client);
    let (long, long_emoji) = ("x".repeat(257), "\u{1f600}".repeat(257));
    for bad in [".", "..", "", " ", "\t\n", "\u{3000}", long.as_str(), long_emoji.as_str()] {
        for case in CASES {
            let answer = (case.call)(&client, &Target { partition: Some(bad), id: &id, dimension });
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "invalid_partition"),
                "{bad:?} {answer}"
            );
        }
        let by_path = client.delete(&format!("/v1/partitions/{}", encoded(bad)));
        assert!(matches!((bad, by_path.status), ("", 404 | 405) | (_, 400)), "{by_path}");
        let pinned = json!({"name": "x", "scopes": ["*"], "partition": bad});
        let minted = client.post("/v1/admin/api-keys", &pinned);
        assert!((400..=422).contains(&minted.status), "{minted}");
    }
    assert_eq!(partitions(&client), before, "a refused id made a partition");
    assert_eq!(list_all(&client, None).len(), 1, "a refused write went to the default partition");
}

// Forgetting the partition in one call of a product would mix its end-clients.
#[test]
fn a_multi_tenant_key_names_a_partition_on_every_data_route() {
    let data = routes().filter(|r| r.kind == Kind::Data).map(|r| (r.method, r.path));
    assert_eq!(uncovered(data), [""; 0], "every route on data has its case, and only those");
    // Nobody is there; but it is asked.
    let server = Plan::default().set("STRONGROOM_SUMMARIZER", "http://127.0.0.1:9/").start();
    let operator = server.operator();
    let dimension = dimension(&operator);
    let tenant = client_with(&operator, &json!({"multi_tenant": true}));
    let id = insert(&tenant, Some("acme"), "of acme");
    let in_default = insert(&operator, None, "of nobody");
    for case in CASES {
        for id in [id.as_str(), in_default.as_str(), "no-such-id"] {
            let answer = (case.call)(&tenant, &Target { partition: None, id, dimension });
            answer.expect_error(400, "partition_required");
        }
    }
    // The same calls with a partition work, so the refusals above were not for another reason.
    let made = tenant.post("/api/v1/tenants", &json!({"name": "Acme"})).expect(201).json();
    let org = made["tenantId"].as_str().expect("an id").to_owned();
    for case in CASES.iter().filter(|c| c.method != "DELETE" && !c.path.ends_with("/restore")) {
        let partition = Some(if case.is_of_tenants() { org.as_str() } else { "acme" });
        let answer = (case.call)(&tenant, &Target { partition, id: &id, dimension });
        assert!((200..300).contains(&answer.status), "{answer}");
    }
    for body in ["", "{", "null", "[]"] {
        let answer = tenant.send("POST", "/v1/documents/batch", &[], body.as_bytes().to_vec());
        assert_eq!(answer.status, 400, "{answer}");
    }
    assert_eq!(list_all(&operator, None).len(), 1, "a refused write went to the default partition");
}

// An id from another client's log would open that client's document, or tell that it exists.
#[test]
fn a_foreign_document_looks_like_a_missing_one() {
    let server = Server::start();
    let operator = server.operator();
    let dimension = dimension(&operator);
    let foreign = insert(&operator, Some("acme"), "of acme");
    insert(&operator, Some("globex"), "of globex");
    let deleted = insert(&operator, Some("acme"), "deleted by acme");
    operator.delete(&with_query(&format!("/v1/documents/{deleted}"), &[("partition", "acme")])).expect(200);
    let pinned = client_with(&operator, &json!({"partition": "globex"}));
    let tenant = client_with(&operator, &json!({"multi_tenant": true}));
    for (who, partition) in [
        (&operator, Some("globex")),
        (&operator, Some("never written")),
        (&operator, None),
        (&tenant, Some("globex")),
        (&pinned, Some("globex")),
        (&pinned, None),
    ] {
        for case in CASES.iter().filter(|c| c.by_id) {
            let call = |id: &str| without_request_id(&(case.call)(who, &Target { partition, id, dimension }));
            let missing = call(&"0".repeat(foreign.len()));
            assert_eq!(missing.0, 404, "{} {}", case.method, case.path);
            assert_eq!(call(&foreign), missing, "{} {}", case.method, case.path);
            assert_eq!(call(&deleted), missing, "{} {}", case.method, case.path);
        }
    }
    assert_eq!(get(&operator, Some("acme"), &foreign).expect(200).json()["version"], 1, "untouched");
}

fn without_request_id(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("request_id");
    }
    (answer.status, body)
}

// A key handed to one end-client would reach the next one's data.
#[test]
fn a_pinned_key_reaches_its_partition_alone() {
    let server = Server::start();
    let operator = server.operator();
    let dimension = dimension(&operator);
    let own = insert(&operator, Some("acme"), "of acme");
    let foreign = insert(&operator, Some("globex"), "of globex");
    let pinned = client_with(&operator, &json!({"partition": "acme"}));
    for case in CASES {
        for near in ["globex", "Acme", "acme ", "\u{0430}cme", "acme\0"] {
            let answer = (case.call)(&pinned, &Target { partition: Some(near), id: &foreign, dimension });
            assert_eq!(answer.status, 403, "{near:?} {answer}");
        }
    }
    assert_eq!(contents(&search(&pinned, None, "of somebody", 100)), ["of acme"]);
    assert_eq!(list_all(&pinned, None).keys().collect::<Vec<_>>(), [&own]);
    assert_eq!(list_all(&pinned, Some("acme")).len(), 1);
    assert_eq!(partitions(&pinned), [("acme".to_owned(), 1)], "the others' names are theirs");
    let drop = pinned.delete("/v1/partitions/globex");
    assert!(matches!(drop.status, 403 | 404), "{drop}");
    assert_eq!(list_all(&operator, Some("globex")).len(), 1);
    let status = pinned.get("/status").expect(200).json();
    assert_eq!(status["documents"], 1, "counts of others: {status}");
}

// A key that was taken away would go on working.
#[test]
fn dead_keys_and_narrow_keys() {
    let server = Server::start();
    let operator = server.operator();
    let dimension = dimension(&operator);
    let id = insert(&operator, Some("acme"), "of acme");
    let target = Target { partition: Some("acme"), id: &id, dimension };
    let doomed = mint(&operator, &json!({}));
    let client = operator.with_key(&doomed.key);
    get(&client, Some("acme"), &id).expect(200);
    operator.delete(&format!("/v1/admin/api-keys/{}", doomed.id)).expect(200);
    let expires = format_time(2);
    let expiring = mint(&operator, &json!({"expires_at": expires}));
    std::thread::sleep(Duration::from_millis(2_100));
    let damaged = format!("{}x", doomed.key);
    let expired = operator.with_key(&expiring.key);
    let clients = [
        client,
        expired,
        operator.anonymous(),
        operator.with_key(""),
        operator.with_key("sr_live_"),
        operator.with_key(&damaged),
    ];
    for client in &clients {
        for case in CASES {
            let answer = (case.call)(client, &target);
            assert_eq!(answer.status, 401, "{answer}");
            assert!(answer.header("www-authenticate").is_some(), "{answer}");
        }
        assert_eq!(client.get("/v1/partitions").status, 401);
        assert_eq!(client.get("/v1/admin/api-keys").status, 401);
    }
    let reader = client_with(&operator, &json!({"scopes": ["document:read"]}));
    for case in CASES {
        let answer = (case.call)(&reader, &target);
        let asks =
            ["/documents/batch/get", "/documents/batch/status"].iter().any(|rest| case.path.ends_with(rest));
        let reads = asks || case.method == "GET" && case.path.contains("/documents");
        // There is none yet, which it may be told.
        let reads_a_thread = case.method == "GET" && case.path == "/v1/threads/{id}";
        let status = if reads_a_thread {
            404
        } else if reads {
            200
        } else {
            403
        };
        assert_eq!(answer.status, status, "{answer}");
    }
    assert_eq!(reader.get("/v1/partitions").status, 403);
    assert_eq!(reader.delete("/v1/partitions/acme").status, 403);
    assert_eq!(reader.get("/v1/admin/api-keys").status, 403);
    assert_eq!(get(&operator, Some("acme"), &id).expect(200).json()["version"], 1, "untouched");
}

/// So many seconds from now, as RFC 3339.
fn format_time(seconds: u64) -> String {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let at = since_1970.as_secs() + seconds;
    let (days, rest) = (at / 86_400, at % 86_400);
    // Civil date from days, after Howard Hinnant's `civil_from_days`.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

// One bad item of a batch would carry the others into the wrong partition, or half a batch would be written.
#[test]
fn batches_keep_their_partitions_apart() {
    let server = Server::start();
    let operator = server.operator();
    let item = |content: &str, partition: Option<&str>| {
        let mut item = json!({"filename": "b.txt", "content": content});
        if let Some(partition) = partition {
            item["partition"] = partition.into();
        }
        item
    };
    let mixed = json!({"documents": [item("of acme", Some("acme")), item("of globex", Some("globex")), item("of none", None)]});
    operator.post("/v1/documents/batch", &mixed).expect(201);
    for (partition, text) in [(Some("acme"), "of acme"), (Some("globex"), "of globex"), (None, "of none")] {
        assert_eq!(contents(&search(&operator, partition, "of somebody", 10)), [text]);
    }
    let queries = json!({"queries": [
        {"q": "of somebody", "k": 10, "include_content": true, "partition": "acme"},
        {"q": "of somebody", "k": 10, "include_content": true, "partition": "globex"},
        {"q": "of somebody", "k": 10, "include_content": true},
    ]});
    let answers = operator.post("/v1/search/batch", &queries).expect(200).json()["results"].clone();
    for (index, text) in ["of acme", "of globex", "of none"].iter().enumerate() {
        let hits = answers[index]["results"].as_array().expect("hits").clone();
        assert_eq!(contents(&hits), [*text]);
    }
    let pinned = client_with(&operator, &json!({"partition": "acme"}));
    let tenant = client_with(&operator, &json!({"multi_tenant": true}));
    let foreign = json!({"documents": [item("more of acme", Some("acme")), item("x", Some("globex"))]});
    assert_eq!(pinned.post("/v1/documents/batch", &foreign).status, 403);
    assert_eq!(pinned.post("/v1/search/batch", &queries).status, 403);
    let unnamed = json!({"documents": [item("more of acme", Some("acme")), item("x", None)]});
    tenant.post("/v1/documents/batch", &unnamed).expect_error(400, "partition_required");
    tenant.post("/v1/search/batch", &queries).expect_error(400, "partition_required");
    let empty = json!({"documents": [item("more of acme", Some("acme")), item("x", Some(" "))]});
    operator.post("/v1/documents/batch", &empty).expect_error(400, "invalid_partition");
    assert_eq!(list_all(&operator, Some("acme")).len(), 1, "half of a refused batch was written");
    assert_eq!(list_all(&operator, Some("globex")).len(), 1);
}

// The evidence that a product shows its clients would name another client, or prove nothing.
#[test]
fn a_trace_names_what_was_opened_and_no_other() {
    let server = Server::start();
    let operator = server.operator();
    for partition in ["acme", "globex"] {
        for n in 0..3 {
            insert(&operator, Some(partition), &format!("note {n} of {partition}"));
        }
    }
    insert(&operator, None, "of none");
    let traced = |pairs: &[(&str, &str)]| {
        let mut all = vec![("q", "note"), ("trace", "true")];
        all.extend_from_slice(pairs);
        operator.get(&with_query("/v1/search", &all)).expect(200).json()
    };
    let answer = traced(&[("partition", "acme")]);
    let trace = &answer["trace"];
    assert_eq!(trace["scoped_to"], "acme");
    assert_eq!(trace["partitions_touched"], json!(["acme"]));
    assert_eq!(trace["default_partition_touched"], false);
    assert_eq!(trace["candidates_in_scope"], 3);
    assert_eq!(trace["boundary"], "partition");
    assert_eq!(trace["results"], answer["results"].as_array().map_or(0, Vec::len));
    assert!(!answer.to_string().contains("globex"), "{answer}");
    // Nothing returned, and still it says what was opened.
    let answer = traced(&[("partition", "acme"), ("tags", "no-such-tag")]);
    assert_eq!(answer["results"], json!([]));
    assert_eq!(answer["trace"]["partitions_touched"], json!(["acme"]));
    assert_eq!(answer["trace"]["candidates_in_scope"], 3);
    // Nothing there, nothing opened.
    let answer = traced(&[("partition", "never written")]);
    assert_eq!((&answer["results"], &answer["trace"]["partitions_touched"]), (&json!([]), &json!([])));
    let answer = traced(&[]);
    assert_eq!(answer["trace"]["default_partition_touched"], true);
    assert_eq!(answer["trace"]["partitions_touched"], json!([]));
}

// A key without a partition would see all of them.
#[test]
fn a_plain_key_without_a_partition_reaches_the_default_one() {
    let server = Server::start();
    let operator = server.operator();
    insert(&operator, Some("acme"), "of acme");
    let plain = client_with(&operator, &json!({}));
    assert!(list_all(&plain, None).is_empty() && search(&plain, None, "of acme", 10).is_empty());
    insert(&plain, None, "of none");
    assert_eq!(contents(&search(&plain, None, "of acme", 10)), ["of none"]);
    assert_eq!(contents(&search(&plain, Some("acme"), "of acme", 10)), ["of acme"]);
    assert_eq!(partitions(&operator), [("acme".to_owned(), 1)], "the default partition has no name to list");
}

// A new client that gets a name which was used before would meet the old one's documents.
#[test]
fn a_dropped_name_begins_anew() {
    let server = Server::start();
    let operator = server.operator();
    let old = insert(&operator, Some("acme"), "of the old acme");
    let deleted = insert(&operator, Some("acme"), "deleted by the old acme");
    operator.delete(&with_query(&format!("/v1/documents/{deleted}"), &[("partition", "acme")])).expect(200);
    let dropped = operator.delete("/v1/partitions/acme").expect(200).json();
    assert_eq!(dropped["documents_deleted"], 2, "soft-deleted ones count");
    assert_eq!(operator.delete("/v1/partitions/acme").expect(200).json()["documents_deleted"], 0);
    assert!(search(&operator, Some("acme"), "acme", 10).is_empty());
    insert(&operator, Some("acme"), "of the new acme");
    let restored = operator
        .post_bytes(&with_query(&format!("/v1/documents/{deleted}/restore"), &[("partition", "acme")]), b"");
    assert_eq!(restored.status, 404, "{restored}");
    let server = server.kill().start();
    let operator = server.operator();
    assert_eq!(contents(&search(&operator, Some("acme"), "acme", 10)), ["of the new acme"]);
    assert_eq!(get(&operator, Some("acme"), &old).status, 404);
}
