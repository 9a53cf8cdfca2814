//! Who read what, what was a document's life, and what became of what searches found: is that told truly, and to the right keys?
//!
//! Whole servers, spoken to over HTTP as the published client speaks.

#[path = "records/fields.rs"]
mod fields;
#[path = "records/life.rs"]
mod life;
#[path = "records/reports.rs"]
mod reports;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use strongroom_tests::client::{Client, encoded, with_query};
use strongroom_tests::documents::{id_of, insert, insert_path, path};
use strongroom_tests::keys::{client_with, mint};
use strongroom_tests::residue::files_with;
use strongroom_tests::server::{Plan, Server, program};

/// Inserts a text that is for these labels alone.
#[track_caller]
fn put_for(client: &Client, partition: &str, text: &str, readers: &str) -> String {
    let address = format!("{}&acl_readers={}", insert_path(Some(partition), "note.txt"), encoded(readers));
    id_of(&client.post_bytes(&address, text.as_bytes()).expect(201))
}

/// Asks for a document on somebody's behalf, and answers the status.
fn ask(client: &Client, partition: &str, id: &str, principal: Option<&str>) -> u16 {
    let mut pairs = vec![("partition", partition)];
    pairs.extend(principal.map(|principal| ("acting_principal", principal)));
    client.get(&with_query(&format!("/v1/documents/{}", encoded(id)), &pairs)).status
}

/// The records that match, newest first.
#[track_caller]
fn told(client: &Client, pairs: &[(&str, &str)]) -> Vec<Value> {
    let answer = client.get(&with_query("/v1/audit/access", pairs)).expect(200).json();
    let records = answer["records"].as_array().expect("records").clone();
    if !pairs.iter().any(|(name, _)| ["limit", "offset"].contains(name)) {
        assert_eq!(answer["total"], records.len());
    }
    records
}

/// Actor, action, resource and outcome of each.
fn lines(records: &[Value]) -> Vec<String> {
    let word = |record: &Value, name: &str| record[name].as_str().unwrap_or("-").to_owned();
    records
        .iter()
        .map(|record| {
            assert_eq!(record["source"], "access");
            ["actor", "action", "resource", "outcome"].map(|name| word(record, name)).join(" ")
        })
        .collect()
}

fn reader(operator: &Client, fields: Value) -> (Client, String) {
    let mut all = json!({"scopes": ["document:read", "query:read", "document:delete"]});
    all.as_object_mut().expect("fields").extend(fields.as_object().expect("fields").clone());
    let minted = mint(operator, &all);
    (operator.with_key(&minted.key), format!("key:sr_live_{}", minted.id))
}

/// Lost otherwise: whoever tries documents that are not for them would be seen by nobody; or nobody could tell, after the
/// fact, that an administrator read what was labelled for others.
#[test]
fn what_labels_hid_and_who_read_in_spite_of_them_is_told() {
    let server = Server::start();
    let operator = server.operator();
    let hidden = put_for(&operator, "acme", "for Ada", "user:ada");
    let open = insert(&operator, Some("acme"), "for all");
    let (plain, key) = reader(&operator, json!({}));
    assert_eq!(ask(&plain, "acme", &hidden, Some("user:ada")), 200);
    assert_eq!(ask(&plain, "acme", &open, None), 200);
    assert_eq!(ask(&operator, "acme", &open, None), 200);
    assert_eq!(lines(&told(&operator, &[])), [""; 0], "a plain read leaves no row unless it is asked for");

    for _ in 0..2 {
        assert_eq!(ask(&plain, "acme", &hidden, Some("user:bob")), 404);
    }
    let bob = format!("user:bob denied document:{hidden} denied");
    // Those of a second are one row, those of the rest of the minute another.
    let of_bob = told(&operator, &[("actor", "user:bob")]);
    assert!(lines(&of_bob).iter().all(|line| *line == bob) && !of_bob.is_empty());
    assert_eq!(ask(&plain, "acme", &hidden, None), 404);
    assert_eq!(ask(&plain, "acme", "doc_nobody_has", Some("user:bob")), 404);
    assert_eq!(ask(&plain, "acme", "doc_nobody_has", None), 404);
    plain.delete(&path(&format!("/{hidden}"), Some("acme"))).expect(404);
    assert_eq!(ask(&operator, "acme", &hidden, None), 200);
    operator.get(&with_query("/v1/search", &[("q", "ada"), ("partition", "acme")])).expect(200);

    let all = lines(&told(&operator, &[]));
    let by_key = format!("{key} denied document:{hidden} denied");
    assert!(all.contains(&bob) && all.contains(&by_key), "{all:?}");
    assert!(
        !all.iter().any(|line| line.contains("nobody_has")),
        "what isn't there was refused to nobody: {all:?}"
    );
    let bypass = lines(&told(&operator, &[("action", "admin_bypass")]));
    assert!(bypass.contains(&format!("operator admin_bypass document:{hidden} admin_bypass")), "{bypass:?}");
    assert!(bypass.iter().any(|line| line.starts_with("operator admin_bypass partition:")), "{bypass:?}");
    // By any client's calls.
    for rest in ["", "/chunks", "/file"] {
        let other = put_for(&operator, "acme", "for Ada, too", "user:ada");
        let address = format!("/v1/collections/default/documents/{other}{rest}?partition=acme");
        operator.get(&address).expect(200);
        plain.get(&address).expect(404);
        let records = lines(&told(&operator, &[("resource", other.as_str())]));
        let bypass = format!("operator admin_bypass document:{other} admin_bypass");
        let denied = format!("{key} denied document:{other} denied");
        assert_eq!(records.len(), 2, "{rest} {records:?}");
        assert!(records.contains(&bypass) && records.contains(&denied), "{rest} {records:?}");
    }
    let body = json!({"query": "ada"});
    operator.post("/v1/collections/default/query?partition=acme", &body).expect(200);
    operator.get("/v1/documents?partition=acme").expect(200);
    let searches = told(&operator, &[("action", "admin_bypass")]);
    let searches = searches
        .iter()
        .filter(|record| record["resource"].as_str().is_some_and(|r| r.starts_with("partition:")));
    let times: u64 = searches.map(|record| record["times"].as_u64().expect("a number")).sum();
    // Those that follow the first within its minute are told once that is over.
    assert!((1..=3).contains(&times), "{times}");
    assert!(!all.iter().any(|line| line.contains(" read ") || line.contains(" search_hit ")), "{all:?}");

    // Filters go together, and a page is of what matches.
    let of_key = lines(&told(&operator, &[("actor", key.as_str()), ("action", "denied")]));
    // One of the four may be told twice, where a minute ended meanwhile.
    let of_key: BTreeSet<String> = of_key.into_iter().collect();
    assert!(of_key.contains(&by_key) && of_key.len() == 4, "{of_key:?}");
    assert_eq!(told(&operator, &[("actor", "user:carol")]).len(), 0);
    let of_document = told(&operator, &[("resource", hidden.as_str())]);
    assert_eq!(of_document, told(&operator, &[("resource", &format!("document:{hidden}"))]));
    assert!(of_document.len() >= 3);
    let page =
        operator.get(&format!("/v1/audit/access?resource={hidden}&limit=1&offset=1")).expect(200).json();
    assert_eq!((&page["total"], &page["records"]), (&json!(of_document.len()), &json!([of_document[1]])));
    assert_eq!(told(&operator, &[("since", "2100-01-01T00:00:00Z")]).len(), 0);
    assert_eq!(told(&operator, &[("until", "2001-01-01T00:00:00Z")]).len(), 0);
    assert!(
        told(&operator, &[("since", "2001-01-01T00:00:00Z"), ("until", "2100-01-01T00:00:00Z")]).len() >= 3
    );

    // A request that is refused as a whole stands under its route.
    let (barred, barred_key) = reader(&operator, json!({"scopes": ["document:read"]}));
    barred.get("/v1/search?q=x&partition=acme").expect(403);
    let refused = lines(&told(&operator, &[("actor", barred_key.as_str())]));
    assert_eq!(refused, [format!("{barred_key} denied route:GET /v1/search denied")]);
    for bad in [
        "action=write",
        "actor=",
        "resource=",
        "since=yesterday",
        "limit=0",
        "limit=1001",
        "cursor=1",
        "partition=",
    ] {
        operator.get(&format!("/v1/audit/access?{bad}")).expect(400);
    }
}

/// Lost otherwise: one customer's key would be told who reads what at another's.
#[test]
fn a_key_is_told_of_its_own_partition_alone() {
    let server = Server::start();
    let operator = server.operator();
    operator.post("/v1/admin/workspaces", &json!({"name": "other"})).expect(201);
    let other = operator.in_workspace("other");
    let mut hidden = Vec::new();
    for (client, partition) in [(&operator, "acme"), (&operator, "globex"), (&other, "acme")] {
        let id = put_for(client, partition, "labelled", "user:ada");
        let (plain, _) = reader(client, json!({}));
        assert_eq!(ask(&plain, partition, &id, Some("user:bob")), 404);
        hidden.push(id);
    }
    let resources = |client: &Client, pairs: &[(&str, &str)]| -> Vec<String> {
        told(client, pairs)
            .iter()
            .map(|record| record["resource"].as_str().expect("one").to_owned())
            .collect()
    };
    let document = |at: usize| format!("document:{}", hidden[at]);
    let with = |fields: Value| client_with(&operator, &fields);
    let pinned = with(json!({"scopes": ["audit:read"], "partition": "acme"}));
    assert_eq!(resources(&pinned, &[]), [document(0)]);
    assert_eq!(resources(&pinned, &[("partition", "acme")]), [document(0)]);
    pinned.get("/v1/audit/access?partition=globex").expect_error(403, "partition_forbidden");
    assert_eq!(resources(&pinned, &[("resource", &hidden[1])]), [""; 0]);
    let whole = with(json!({"scopes": ["audit:read"]}));
    // The pinned key's own refusal, by which it named another partition, is no partition's.
    let refused = "route:GET /v1/audit/access".to_owned();
    assert_eq!(resources(&whole, &[]), [refused, document(1), document(0)]);
    assert_eq!(resources(&whole, &[("partition", "globex")]), [document(1)]);
    assert_eq!(resources(&whole, &[("partition", "nobody")]), [""; 0]);
    assert_eq!(resources(&with(json!({"scopes": ["audit:read"], "partition": "nobody"})), &[]), [""; 0]);
    assert_eq!(resources(&with(json!({"scopes": ["audit:read"], "multi_tenant": true})), &[]).len(), 3);
    assert_eq!(resources(&other, &[]), [document(2)]);
    with(json!({"scopes": ["document:read"]})).get("/v1/audit/access").expect_error(403, "scope_missing");
    with(json!({"scopes": ["audit:read"], "collection": "default"}))
        .get("/v1/audit/access")
        .expect_error(403, "pinned_key");
}

fn verify(plan: &Plan) -> (bool, String) {
    let mut command = Command::new(program());
    command.args(["audit", "verify", "--data-dir"]).arg(plan.folder.data());
    let output = command.output().expect("the program can be started");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lost otherwise: the control plane's file would tell customers' people and documents to whoever copies it, or after the
/// customer was erased; or a restart would forget who was refused.
#[test]
fn what_is_told_lies_sealed_and_goes_with_the_partition() {
    let server = Server::start();
    let operator = server.operator();
    let hidden = put_for(&operator, "zqacme", "labelled", "user:zqada");
    let (plain, key) = reader(&operator, json!({}));
    assert_eq!(ask(&plain, "zqacme", &hidden, Some("user:zqbob")), 404);
    // Written down at the stop.
    let plan = server.stop();
    assert_eq!(files_with(&plan.folder.data(), &["zqbob", "zqada", hidden.as_str()]), []);
    let (is_whole, said) = verify(&plan);
    assert!(is_whole, "{said}");
    let server = plan.start();
    let operator = server.operator();
    let before = lines(&told(&operator, &[]));
    assert_eq!(before, [format!("user:zqbob denied document:{hidden} denied")]);
    let exported = operator.get("/v1/admin/audit/export").expect(200).text();
    assert!(exported.contains("document.hide") && !exported.contains("zqbob") && !exported.contains(&hidden));
    operator.delete("/v1/partitions/zqacme").expect(200);
    let after = told(&operator, &[]);
    let line = &lines(&after)[0];
    assert!(
        line.starts_with(&format!("{key} denied partition:")),
        "who and where is left, and no more: {line}"
    );
    assert_eq!(after.len(), 1);
    // One who comes by that name later is told nothing of it.
    insert(&operator, Some("zqacme"), "anew");
    assert_eq!(told(&operator, &[("partition", "zqacme")]).len(), 0);
    let plan = server.stop();
    let (is_whole, said) = verify(&plan);
    assert!(is_whole, "{said}");
    let db = rusqlite::Connection::open(plan.folder.data().join("control.sqlite")).expect("it opens");
    db.execute_batch(
        "DROP TRIGGER audit_rows_stand; UPDATE audit SET note = zeroblob(40) WHERE note IS NOT NULL",
    )
    .expect("it can be written");
    drop(db);
    let (is_whole, said) = verify(&plan);
    assert!(!is_whole && said.contains("does not follow"), "a note that is changed is found: {said}");
}

/// Lost otherwise: who has to know of every read would find some left out, or a hundred rows for one document that is read
/// again and again.
#[test]
fn all_reads_are_told_where_that_is_wanted() {
    let server = Plan::default().configure("audit_reads = \"all\"\n").start();
    let operator = server.operator();
    let document = insert(&operator, Some("acme"), "a harbour");
    let (plain, key) = reader(&operator, json!({}));
    for _ in 0..50 {
        assert_eq!(ask(&plain, "acme", &document, None), 200);
    }
    for rest in ["/text", "/download"] {
        plain.get(&path(&format!("/{document}{rest}"), Some("acme"))).expect(200);
    }
    assert_eq!(ask(&plain, "acme", &document, Some("user:ada")), 200);
    let found = plain.get("/v1/search?q=harbour&partition=acme").expect(200).json();
    let query = found["query_id"].as_str().expect("a search that found something has an id");
    let none = plain.get("/v1/search?q=harbour&partition=acme&source=nowhere").expect(200).json();
    assert_eq!(none["query_id"], Value::Null);
    assert_eq!(told(&operator, &[("action", "search_hit")]).len(), 1, "nothing found is no hit");
    assert_eq!(
        lines(&told(&operator, &[("actor", "user:ada")])),
        [format!("user:ada read document:{document} ok")]
    );
    assert_eq!(
        lines(&told(&operator, &[("resource", query)])),
        [format!("{key} search_hit query:{query} ok")]
    );
    let other = insert(&operator, Some("acme"), "a second harbour");
    plain.get(&format!("/v1/documents/{other}/chunks?partition=acme")).expect(200);
    assert_eq!(lines(&told(&operator, &[("resource", &other)])), [format!("{key} read document:{other} ok")]);
    plain.get("/v1/documents?partition=acme").expect(200);
    plain.get("/v1/documents?partition=acme&source=nowhere").expect(200);
    let listings = told(&operator, &[("action", "read"), ("actor", key.as_str())]);
    let of_all = listings
        .iter()
        .filter(|record| record["resource"].as_str().is_some_and(|r| r.starts_with("partition:")));
    assert_eq!(
        of_all.map(|record| record["times"].clone()).collect::<Vec<_>>(),
        [1],
        "an empty page shows nothing"
    );
    // What is counted is written down at a stop.
    let server = server.stop().start();
    let of_it = [("action", "read"), ("actor", key.as_str()), ("resource", document.as_str())];
    let reads = told(&server.operator(), &of_it);
    let times: u64 = reads.iter().map(|record| record["times"].as_u64().expect("a number")).sum();
    assert_eq!(times, 52, "{reads:?}");
    assert!(reads.len() < 10, "those of a minute stand together: {reads:?}");
    let bad = Plan::default().configure("audit_reads = \"some\"\n");
    let (status, said) = bad.start_refused(std::time::Duration::from_secs(20));
    assert!(!status.success() && said.contains("audit_reads must be denied or all"), "{said}");
}
