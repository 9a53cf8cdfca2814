//! Does a search find what it should, in the order it should, and nothing else?
//!
//! By words and by meaning, under filters and thresholds, through the API as users call it.

use serde_json::{Value, json};
use strongroom_tests::client::{encoded, with_query};
use strongroom_tests::documents::{contents, insert, insert_path, search};
use strongroom_tests::server::{Plan, Server};

// Tags would be returned on a listing and forgotten on a search, or AND and OR mixed up.
#[test]
fn tags_filter_inside_the_search() {
    let server = Server::start();
    let client = server.operator();
    for (text, tags) in
        [("one red", "red"), ("two red round", "red,round"), ("three round", "round"), ("four", "flat")]
    {
        client
            .post_bytes(&format!("{}&tags={}", insert_path(None, "note.txt"), encoded(tags)), text.as_bytes())
            .expect(201);
    }
    for n in 0..200 {
        insert(&client, None, &format!("red round noise {n}"));
    }
    let found = |pairs: &[(&str, &str)]| {
        let mut all = vec![("q", "red round"), ("k", "10"), ("include_content", "true")];
        all.extend_from_slice(pairs);
        let hits = client.get(&with_query("/v1/search", &all)).expect(200).json()["results"].clone();
        let mut texts = contents(hits.as_array().expect("hits"));
        texts.sort();
        texts
    };
    assert_eq!(found(&[("tags", "red,round")]), ["two red round"]);
    assert_eq!(found(&[("any_tags", "red,round")]), ["one red", "three round", "two red round"]);
    assert_eq!(found(&[("any_tags", "red,flat"), ("tags", "red")]), ["one red", "two red round"]);
    assert_eq!(found(&[("tags", "red,never")]), [""; 0]);
    let hits = client.get("/v1/search?q=red&tags=round&k=10").expect(200).json()["results"].clone();
    for hit in hits.as_array().expect("hits") {
        assert!(hit["tags"].as_array().is_some_and(|t| t.contains(&json!("round"))), "{hit}");
    }
}

// Weak hits would be answered that the caller asked to leave out, or strong ones be missing.
#[test]
fn a_lowest_score_is_kept_to() {
    let server = Server::start();
    let client = server.operator();
    for text in ["a red whale", "a blue whale", "tax law"] {
        insert(&client, None, text);
    }
    let scores = |least: &str| {
        let answer = client.get(&with_query("/v1/search", &[("q", "red whale"), ("min_score", least)]));
        let hits = answer.expect(200).json()["results"].clone();
        let score = |hit: &Value| hit["score"].as_u64().expect("a score");
        hits.as_array().expect("hits").iter().map(score).collect::<Vec<_>>()
    };
    let all = scores("0");
    assert!(all.len() == 3 && all[0] > all[1], "{all:?}");
    assert_eq!(scores(&all[1].to_string()), all[..2]);
    assert_eq!(scores(&format!("{}.5", all[1])), all[..1]);
    client.get("/v1/search?q=x&min_score=101").expect(400);
    client.get("/v1/documents?min_score=1").expect(400);
}

// Who asks for a name or a number would get what means about the same instead.
#[test]
fn words_are_looked_for_as_well_as_their_meaning() {
    let server = Server::start();
    let client = server.operator();
    for n in 0..40 {
        insert(&client, Some("acme"), &format!("Part QX-{n:04} is a valve for hydraulic pumps."));
    }
    insert(&client, Some("acme"), "Hydraulics: how pumps and valves work.");
    insert(&client, Some("other"), "Part QX-0017 is somebody else's.");
    let ask = |parameters: &[(&str, &str)]| -> Vec<String> {
        let all = [&[("partition", "acme"), ("k", "50")][..], parameters].concat();
        let answer = client.get(&with_query("/v1/search", &all)).expect(200).json();
        let hits = answer["results"].as_array().cloned().unwrap_or_default();
        hits.iter().map(|hit| hit["passage"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let part = "Part QX-0017 is a valve for hydraulic pumps.";
    for parameters in [&[][..], &[("mode", "hybrid")], &[("fusion", "ranks")], &[("mode", "keyword")]] {
        assert_eq!(ask(&[&[("q", "qx-0017")], parameters].concat())[0], part, "{parameters:?}");
    }
    let scores: Vec<u64> =
        search(&client, Some("acme"), "QX-0017", 2).iter().filter_map(|h| h["score"].as_u64()).collect();
    assert!(scores[0] >= scores[1] + 20, "one has the number, the others are near it: {scores:?}");
    let by_words = ask(&[("q", "QX-0017 valves"), ("mode", "keyword")]);
    assert_eq!((by_words.len(), &*by_words[0]), (41, part), "only those with one of the words");
    assert_eq!(ask(&[("q", "zeppelin"), ("mode", "keyword")]), [""; 0]);
    assert_eq!(ask(&[("q", "zeppelin")]).len(), 41, "the others are told apart by meaning");
    assert_eq!(ask(&[("q", "QX-0017"), ("mode", "semantic")]).len(), 41);
    assert_eq!(ask(&[("q", "QX-0017"), ("mode", "semantic"), ("exact", "true")]).len(), 41);
    let batch = json!({"partition": "acme", "queries": [
        {"q": "qx-0017", "k": 1, "exact": true, "trace": true}, {"q": "zeppelin", "mode": "keyword"},
    ]});
    let results = client.post("/v1/search/batch", &batch).expect(200).json();
    assert_eq!(results["results"][0]["results"][0]["passage"], part);
    assert_eq!(results["results"][0]["trace"]["exact"], true);
    assert_eq!(results["results"][1]["results"], json!([]));
    let batch = json!({"queries": [{"q": "x", "mode": "lexical"}]});
    client.post("/v1/search/batch", &batch).expect(400);
    let by_vector = json!({"embedding": [1.0], "mode": "keyword"});
    client.post("/v1/search/embed", &by_vector).expect(400);
}

// The same question would get different answers, or a score that means something else on each day.
#[test]
fn scores_are_whole_absolute_and_ordered() {
    let server = Server::start();
    let client = server.operator();
    for n in 0..40 {
        insert(
            &client,
            Some("acme"),
            &format!("The invoice number {n} is due in thirty days after delivery."),
        );
    }
    insert(&client, Some("acme"), "Whales are mammals that live in the sea.");
    let hits = search(&client, Some("acme"), "Whales are mammals that live in the sea.", 41);
    let scores: Vec<u64> = hits.iter().map(|h| h["score"].as_u64().expect("a whole number")).collect();
    assert!(scores[0] >= 99 && scores.iter().all(|s| *s <= 100), "{scores:?}");
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert_eq!(hits.len(), 41, "k is above the number of documents: all of them come");
    let unrelated = search(&client, Some("acme"), "quantum chromodynamics", 3);
    assert!(
        unrelated.iter().all(|h| h["score"].as_u64().is_some_and(|s| s < 90)),
        "not scaled by the best hit"
    );
    let again = search(&client, Some("acme"), "Whales are mammals that live in the sea.", 41);
    let ids = |hits: &[Value]| hits.iter().map(|h| h["doc_id"].to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&hits), ids(&again));
}

// Who knows a name of two words, or how a name begins, would have to look through all that has some of it.
#[test]
fn phrases_and_beginnings_are_looked_for() {
    let server = Server::start();
    let client = server.operator();
    let texts = ["A solid-state drive.", "The state of a solid.", "Strongroom.", "Drives are strong."];
    texts.iter().for_each(|text| drop(insert(&client, Some("acme"), text)));
    insert(&client, Some("other"), "Somebody else's solid state, and their stronghold.");
    let ask = |q: &str| -> Vec<usize> {
        let parameters = [("partition", "acme"), ("mode", "keyword"), ("q", q)];
        let answer = client.get(&with_query("/v1/search", &parameters)).expect(200).json();
        let hits = answer["results"].as_array().cloned().unwrap_or_default();
        let which =
            |hit: &Value| texts.iter().position(|text| hit["passage"] == **text).expect("one of them");
        hits.iter().map(which).collect()
    };
    assert_eq!(ask("\"Solid states\""), [0]);
    assert_eq!(ask("\"drives solid\""), [0; 0]);
    assert_eq!(ask("\"solid state\" \"are strong\" zeppelin"), [3, 0]);
    assert_eq!(ask("stron*"), [2, 3]);
    assert_eq!(ask("drivin*"), [3, 0], "as driving would");
    let hybrid = search(&client, Some("acme"), "\"state of a solid\"", 4);
    assert_eq!((hybrid.len(), &hybrid[0]["passage"]), (4, &Value::from(texts[1])));
}

/// Lost otherwise: one search for the contents of a thousand large documents would take all of the server's memory.
#[test]
fn contents_are_bounded_before_they_are_read() {
    let server = Plan::default().configure("[limits]\nbody_bytes_max = 100000\n").start();
    let client = server.operator();
    for text in [
        "whales sing in the sea, all of them. ",
        "budgets of the year are due soon. ",
        "a ledger lies on the table here. ",
    ] {
        let text = text.repeat(1700);
        client.post_bytes(&insert_path(None, "whales.txt"), text.as_bytes()).expect(201);
    }
    let ask = |k: &str, more: &[(&str, &str)]| {
        let pairs = [&[("q", "whales"), ("k", k)], more].concat();
        client.get(&with_query("/v1/search", &pairs))
    };
    let with = [("include_content", "true")];
    let one = ask("1", &with).expect(200).json();
    assert!(one["results"][0]["content"].as_str().is_some_and(|text| text.len() > 50_000));
    let refused = ask("3", &with).expect_error(422, "contents_too_large");
    assert!(refused.text().contains("100000 bytes"), "{refused}");
    ask("3", &[]).expect(200);
    // What a lowest score leaves out is not counted, and one budget is all queries' of a batch.
    ask("3", &[("include_content", "true"), ("min_score", "60")]).expect(200);
    let query = json!({"q": "whales", "k": 1, "include_content": true});
    client.post("/v1/search/batch", &json!({"queries": [query]})).expect(200);
    let twice = json!({"queries": [query, query]});
    client.post("/v1/search/batch", &twice).expect_error(422, "contents_too_large");
    let vector = vec![0.5; 256];
    let body = json!({"embedding": vector, "k": 3, "include_content": true});
    client.post("/v1/search/embed", &body).expect_error(422, "contents_too_large");
}

/// Lost otherwise: a query of a batch would be answered from another one's partition, or with another one's hits.
#[test]
fn a_batch_answers_each_query_in_its_own_partition() {
    let server = Server::start();
    let client = server.operator();
    let tenants = ["acme", "other", "third"];
    for (tenant, topic) in tenants.iter().zip(["valves", "whales", "ledgers"]) {
        for n in 0..30 {
            insert(&client, Some(tenant), &format!("{tenant} writes on {topic}, note {n}."));
        }
    }
    // More of each partition than are run together, in turns, and of one that isn't there.
    let names = [&tenants[..], &["nobody"]].concat();
    let query = |n: usize| {
        let mode = ["hybrid", "semantic", "keyword"][n / 4 % 3];
        (names[n % 4], format!("note {} on whales", n % 30), mode, 1 + n % 5)
    };
    let queries: Vec<Value> = (0..96)
        .map(|n| {
            let (partition, q, mode, k) = query(n);
            json!({"partition": partition, "q": q, "mode": mode, "k": k})
        })
        .collect();
    let batch = client.post("/v1/search/batch", &json!({"queries": queries})).expect(200).json();
    for n in 0..96 {
        let (partition, q, mode, k) = query(n);
        let k = k.to_string();
        let pairs = [("partition", partition), ("q", &*q), ("mode", mode), ("k", &*k)];
        let alone = client.get(&with_query("/v1/search", &pairs)).expect(200).json();
        let (own, alone) = (&batch["results"][n], &alone["results"]);
        assert_eq!(own["results"], *alone, "query {n} in {partition}, {mode}");
        assert_eq!(own["query"], q);
        let hits = alone.as_array().map_or(0, Vec::len);
        assert_eq!(
            hits,
            if partition == "nobody" { 0 } else { 1 + n % 5 },
            "query {n} in {partition}, {mode}"
        );
    }
}
