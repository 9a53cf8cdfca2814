//! Does a reranker order what a search found, and nothing go wrong when it does not?
//!
//! The reranker is a small server of the test's own. It scores a text by the number at its end, so a test knows what the order
//! must be; and it can be told to misbehave.

use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::client::{Client, with_query};
use strongroom_tests::collections;
use strongroom_tests::documents::{insert, path};
use strongroom_tests::keys::client_with;
use strongroom_tests::server::{Plan, Server};
use strongroom_tests::service::{Behaviour, Service, last, said};

const KEY: &str = "key-of-the-reranker-0123456789";
/// Long enough for any machine that is busy; nothing here waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that is told of the reranker.
fn plan(reranker: &Service) -> Plan {
    let plan = Plan::default().set("STRONGROOM_RERANKER", &format!("http://{}/v1/rerank", reranker.address));
    plan.set("STRONGROOM_RERANKER_MODEL", "judge-1").set("STRONGROOM_RERANKER_KEY", KEY)
}

/// Each text's last word as its score, the last text first.
fn scores(body: &Value) -> String {
    let is_tei = body["texts"].is_array();
    let texts = body[if is_tei { "texts" } else { "documents" }].as_array().expect("texts");
    let score = |text: &Value| -> f64 {
        text.as_str().and_then(|text| text.rsplit(' ').next()?.parse().ok()).expect("a number at the end")
    };
    let name = if is_tei { "score" } else { "relevance_score" };
    let scored =
        texts.iter().enumerate().rev().map(|(index, text)| json!({"index": index, name: score(text)}));
    let scored: Vec<Value> = scored.collect();
    said("200 OK", &if is_tei { json!(scored) } else { json!({"id": "x", "results": scored}) }.to_string())
}

fn search(client: &Client, pairs: &[(&str, &str)]) -> Value {
    let all = [&[("partition", "acme"), ("q", "red apples")][..], pairs].concat();
    client.get(&with_query("/v1/search", &all)).expect(200).json()
}

fn passages(answer: &Value) -> Vec<&str> {
    let hits = answer["results"].as_array().expect("results");
    hits.iter().map(|hit| hit["passage"].as_str().expect("a passage")).collect()
}

fn whole_scores(answer: &Value) -> Vec<u64> {
    let hits = answer["results"].as_array().expect("results");
    hits.iter().map(|hit| hit["score"].as_u64().expect("a whole number")).collect()
}

/// Thirty texts about the same in one partition, and texts that every reranker would put first in another.
fn filled(server: &Server) -> Client {
    let client = server.operator();
    for n in 0..30 {
        insert(&client, Some("acme"), &format!("Red apples of sort {n} weigh 0.{:02}", n * 37 % 30));
        insert(&client, Some("globex"), &format!("Red apples of globex {n} weigh 0.99"));
    }
    client
}

// What the operator pays a reranker for would have no effect, or its scores be given to other documents.
#[test]
fn the_rerankers_order_counts() {
    let reranker = Service::start(scores);
    let server = plan(&reranker).start();
    let client = filled(&server);
    let plain = search(&client, &[("k", "2")]);
    assert!(plain.get("reranked").is_none() && reranker.take_seen().is_empty(), "nobody asked for it");

    let all =
        search(&client, &[("k", "3"), ("rerank", "true"), ("rerank_candidates", "30"), ("trace", "true")]);
    assert_eq!(whole_scores(&all), [29, 28, 27], "{all}");
    assert!(passages(&all)[0].ends_with("weigh 0.29"), "{all}");
    assert_eq!(all["reranked"], true);
    assert!(all.get("rerank_failure").is_none(), "{all}");
    assert_eq!(all["trace"]["partitions_touched"], json!(["acme"]));
    assert_eq!(
        (&all["trace"]["results"], &all["trace"]["default_partition_touched"]),
        (&json!(3), &json!(false))
    );
    let seen = reranker.take_seen();
    let [(head, body)] = &seen[..] else { panic!("one call, not {}", seen.len()) };
    assert!(head.starts_with("POST /v1/rerank HTTP/1.1"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {KEY}")), "{head}");
    assert_eq!(
        (&body["model"], &body["query"], &body["top_n"]),
        (&json!("judge-1"), &json!("red apples"), &json!(30))
    );

    // Four times k, unless told otherwise; contents as without it.
    let few = search(&client, &[("k", "2"), ("rerank", "require"), ("include_content", "true")]);
    let seen = reranker.take_seen();
    let sent = seen[0].1["documents"].as_array().expect("documents");
    assert_eq!(sent.len(), 8);
    let mut weights: Vec<&str> = sent.iter().filter_map(|text| text.as_str()?.rsplit(' ').next()).collect();
    weights.sort_unstable();
    let best: Vec<String> = weights.iter().rev().take(2).map(|weight| weight.replace("0.", "")).collect();
    assert_eq!(whole_scores(&few).iter().map(|score| format!("{score:02}")).collect::<Vec<_>>(), best);
    for hit in few["results"].as_array().expect("results") {
        assert_eq!(hit["content"], hit["passage"], "{hit}");
    }
    let above = search(&client, &[("rerank", "true"), ("rerank_candidates", "30"), ("min_score", "25")]);
    assert_eq!(whole_scores(&above), [29, 28, 27, 26, 25], "a threshold is of the scores that are answered");
    let nothing = search(&client, &[("rerank", "require"), ("tags", "none")]);
    assert_eq!((&nothing["results"], &nothing["reranked"]), (&json!([]), &json!(true)));
    let metrics = client.get("/metrics").text();
    assert!(
        metrics.contains("strongroom_outbound_calls_total{service=\"reranker\",outcome=\"ok\"} 3\n"),
        "{metrics}"
    );
}

// A reranker that is down would take the search down with it, or its nonsense would order the results.
#[test]
fn a_reranker_that_fails_costs_its_order_alone() {
    let reranker = Service::start(scores);
    let server = plan(&reranker).start();
    let client = filled(&server);
    let plain = search(&client, &[("k", "5")]);
    let results = |more: &str| {
        let all: Vec<String> =
            (0..19).map(|n| format!("{{\"index\":{n},\"relevance_score\":0.5}}")).collect();
        last("200 OK", "", &format!("{{\"results\":[{}{more}]}}", all.join(",")))
    };
    let elsewhere = format!("location: http://{}/elsewhere\r\n", reranker.address);
    for (answer, word) in [
        (last("500 Broken", "", "a stack trace"), "failed"),
        (last("401 Who", "", "{}"), "refused"),
        (last("307 There", &elsewhere, ""), "refused"),
        (last("200 OK", "", "<html>a proxy's page</html>"), "unreadable"),
        (last("200 OK", "", "[]"), "unreadable"),
        (results(""), "unreadable"),
        (results(",{\"index\":18,\"relevance_score\":0.5}"), "unreadable"),
        (results(",{\"index\":20,\"relevance_score\":0.5}"), "unreadable"),
        (results(",{\"index\":19,\"relevance_score\":NaN}"), "unreadable"),
        (results(",{\"index\":19,\"relevance_score\":7.5}"), "unreadable"),
        (results(&" ".repeat(9 << 20)), "unreadable"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n{".to_owned(), "unreadable"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_owned(), "unreachable"),
        (last("429 Later", "retry-after: 1000\r\n", ""), "busy"),
    ] {
        reranker.behave(Behaviour::Say(answer.clone()));
        let kept = search(&client, &[("k", "5"), ("rerank", "true")]);
        assert_eq!(
            (&kept["reranked"], &kept["rerank_failure"]),
            (&json!(false), &json!(word)),
            "{answer:.200}"
        );
        assert_eq!(kept["results"], plain["results"], "{answer:.200}");
        let seen = reranker.take_seen();
        assert_eq!(seen.len(), 1, "a redirect is not followed: {seen:?}");
        let strict = "/v1/search?partition=acme&q=red+apples&k=5&rerank=require";
        let refused = client.get(strict).expect_error(503, "reranker_unavailable");
        assert!(refused.header("retry-after").is_some() && refused.text().contains(word), "{refused}");
        assert!(!refused.text().contains(KEY) && !refused.text().contains("stack"), "{refused}");
        reranker.take_seen();
    }
    reranker.behave(Behaviour::Answer);
    assert_eq!(
        search(&client, &[("rerank", "require")])["reranked"],
        true,
        "it is used again when it is back"
    );
    let said = server.said();
    assert!(said.contains("the reranker failed: it answered with status 500"), "{said}");
    assert!(!said.contains(KEY) && !said.contains("apples") && !said.contains("stack"), "{said}");
}

// A search would hang as long as the reranker does, or fail because nobody listens there.
#[test]
fn a_search_waits_no_longer_than_it_was_told() {
    let reranker = Service::start(scores);
    let server = plan(&reranker).set("STRONGROOM_RERANKER_TIMEOUT", "1s").start();
    let client = server.operator();
    insert(&client, Some("acme"), "Red apples weigh 0.5");
    reranker.behave(Behaviour::KeepSilent);
    let kept = search(&client, &[("rerank", "true")]);
    assert_eq!((&kept["reranked"], &kept["rerank_failure"]), (&json!(false), &json!("timed_out")));
    assert_eq!(passages(&kept), ["Red apples weigh 0.5"]);

    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let down = Plan::default().set("STRONGROOM_RERANKER", &format!("http://{nobody}/")).start();
    let client = down.operator();
    insert(&client, Some("acme"), "Red apples weigh 0.5");
    let kept = search(&client, &[("rerank", "true")]);
    assert_eq!((&kept["rerank_failure"], passages(&kept).len()), (&json!("unreachable"), 1));
}

// A wish would be left out silently, or a limit of the operator's passed over.
#[test]
fn wishes_that_can_not_be_met_are_refused() {
    let reranker = Service::start(scores);
    let server = plan(&reranker).set("STRONGROOM_RERANKER_CANDIDATES", "20").start();
    let client = server.operator();
    insert(&client, Some("acme"), "Red apples weigh 0.5");
    for query in [
        "rerank=maybe",
        "rerank=",
        "rerank=true&rerank=true",
        "rerank=true&k=21",
        "rerank=true&rerank_candidates=21",
        "rerank=true&rerank_candidates=9",
        "rerank=true&rerank_candidates=0",
        "rerank_candidates=20",
        "rerank=false&rerank_candidates=20",
    ] {
        client.get(&format!("/v1/search?partition=acme&q=x&{query}")).expect_error(
            400,
            if query.contains("&rerank=") { "repeated_parameter" } else { "invalid_parameter" },
        );
    }
    let by_vector = json!({"embedding": [1.0], "partition": "acme", "rerank": true});
    client.post("/v1/search/embed", &by_vector).expect_error(400, "malformed_body");
    let batch = |wish: Value| json!({"partition": "acme", "queries": [{"q": "x", "rerank": wish}]});
    for wish in [json!("maybe"), json!(1), json!({})] {
        client.post("/v1/search/batch", &batch(wish)).expect_error(400, "malformed_body");
    }
    assert!(reranker.take_seen().is_empty());
    let without = Server::start();
    without.operator().get("/v1/search?q=x&rerank=true").expect_error(501, "not_offered");
    without.operator().get("/v1/search?q=x&rerank=false").expect(200);
    without.operator().post("/v1/search/batch", &batch(json!(true))).expect_error(501, "not_offered");
}

// Passages of one tenant would be sent out on another's request.
#[test]
fn nothing_is_sent_that_the_caller_may_not_read() {
    let reranker = Service::start(scores);
    let server = plan(&reranker).start();
    let client = filled(&server);
    let pinned =
        client_with(&client, &json!({"name": "pinned", "scopes": ["query:read"], "partition": "acme"}));
    let many = client_with(&client, &json!({"name": "many", "scopes": ["query:read"], "multi_tenant": true}));
    let blind =
        client_with(&client, &json!({"name": "blind", "scopes": ["document:read"], "partition": "acme"}));
    let at = |partition: &str| format!("/v1/search?q=red+apples&rerank=require{partition}");
    pinned.get(&at("&partition=globex")).expect(403);
    many.get(&at("")).expect_error(400, "partition_required");
    blind.get(&at("&partition=acme")).expect(403);
    client.anonymous().get(&at("&partition=acme")).expect(401);
    many.get(&at("&partition=nowhere")).expect(200);
    assert!(reranker.take_seen().is_empty());
    pinned.get(&at("")).expect(200);
    let [(_, body)] = &reranker.take_seen()[..] else { panic!("one call") };
    let sent = body["documents"].as_array().expect("documents");
    assert!(sent.len() == 30 && !body.to_string().contains("globex"), "{body}");
}

// A batch would be answered without the order that it asked for, or its queries get each other's.
#[test]
fn a_batch_is_reranked_query_by_query() {
    let reranker = Service::start(scores);
    let server = plan(&reranker).set("STRONGROOM_RERANKER_CALLS", "2").start();
    let client = filled(&server);
    let mut queries: Vec<Value> = (0..9)
        .map(|n| json!({"q": format!("sort {n}"), "k": n + 1, "rerank": true, "rerank_candidates": 30}))
        .collect();
    queries.push(json!({"q": "Red apples of globex", "k": 1, "rerank": "require", "partition": "globex"}));
    queries.push(json!({"q": "red apples", "k": 1}));
    let body = json!({"partition": "acme", "queries": queries});
    let answer = client.post("/v1/search/batch", &body).expect(200).json();
    let answers = answer["results"].as_array().expect("results");
    assert_eq!(answers.len(), 11);
    for (n, answer) in answers[..9].iter().enumerate() {
        // Its own k tells whose answer it is.
        let best: Vec<u64> = (29 - n as u64..30).rev().collect();
        assert_eq!((&answer["query"], whole_scores(answer)), (&json!(format!("sort {n}")), best), "{answer}");
        assert_eq!(answer["reranked"], true);
    }
    assert_eq!(whole_scores(&answers[9]), [99]);
    assert!(answers[10].get("reranked").is_none());
    assert_eq!(reranker.take_seen().len(), 10);
    reranker.behave(Behaviour::Say(last("500 Broken", "", "")));
    client.post("/v1/search/batch", &body).expect_error(503, "reranker_unavailable");
}

// Rerankers that speak the other form, or score by logits, could not be used; ages would stop counting.
#[test]
fn the_other_form_and_scale_and_ages() {
    let reranker = Service::start(scores);
    let plan =
        plan(&reranker).set("STRONGROOM_RERANKER_FORM", "tei").set("STRONGROOM_RERANKER_SCORES", "logits");
    let server = plan.start();
    let client = server.operator();
    for weight in ["-2.5", "0", "3.5"] {
        insert(&client, Some("acme"), &format!("Red apples weigh {weight}"));
    }
    let answer = search(&client, &[("rerank", "require")]);
    assert_eq!(whole_scores(&answer), [97, 50, 8], "1 / (1 + e^-x): {answer}");
    let [(_, body)] = &reranker.take_seen()[..] else { panic!("one call") };
    assert_eq!((&body["raw_scores"], &body["truncate"]), (&json!(true), &json!(true)), "{body}");
    let aged =
        search(&client, &[("rerank", "require"), ("recency_weight", "0.5"), ("half_life_days", "36000")]);
    assert_eq!(whole_scores(&aged), [99, 75, 54], "half of it is the age, which is none: {aged}");
}

// Through the other client a reranker would be paid for on every query, or its order be lost between the tenants' passages.
#[test]
fn a_collections_queries_are_reranked_as_it_says() {
    let reranker = Service::start(scores);
    let server = plan(&reranker).start();
    let client = server.operator();
    collections::make(&client, json!({"name": "fruit", "tenant_field": "tenant"}));
    for n in 0..12 {
        for (tenant, weight) in [("acme", n * 5 % 12), ("globex", 99)] {
            let text = format!("Red apples of sort {n} weigh 0.{weight:02}");
            collections::upload(&client, "fruit", &text, json!({"tenant": tenant}));
        }
    }
    let ask = |more: Value| {
        let mut body = json!({"query": "red apples", "top_k": 3, "filters": {"tenant": "acme"}});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        collections::query(&client, "fruit", body)
    };
    ask(json!({"rerank": true})).expect_error(422, "reranking_disabled");
    assert!(ask(json!({})).expect(200).json().get("reranked").is_none());
    assert!(reranker.take_seen().is_empty(), "nobody asked for it");
    client.put("/v1/collections/fruit", &json!({"reranking_enabled": true})).expect(200);
    let weights = |answer: &Value| -> Vec<f64> {
        let hits = answer["results"].as_array().expect("results");
        hits.iter().map(|hit| (hit["score"].as_f64().expect("a score") * 100.0).round()).collect()
    };
    let answer = ask(json!({})).expect(200).json();
    assert_eq!((weights(&answer), &answer["reranked"]), (vec![11.0, 10.0, 9.0], &json!(true)), "{answer}");
    let [(_, body)] = &reranker.take_seen()[..] else { panic!("one call") };
    let sent = body["documents"].as_array().expect("documents");
    assert!(sent.len() == 12 && !body.to_string().contains("0.99"), "one tenant's alone: {body}");
    let above = ask(json!({"min_score": 0.1})).expect(200).json();
    assert_eq!(weights(&above), [11.0, 10.0], "a threshold is of the scores that are answered");
    let without = ask(json!({"rerank": false})).expect(200).json();
    assert!(without.get("reranked").is_none() && reranker.take_seen().len() == 1, "{without}");
    reranker.behave(Behaviour::Say(last("500 Broken", "", "")));
    let kept = ask(json!({})).expect(200).json();
    assert_eq!((&kept["reranked"], &kept["rerank_failure"]), (&json!(false), &json!("failed")));
    assert_eq!(kept["results"], without["results"], "the search's own order");
}

// A document deleted while the reranker thinks would be served after its deletion was acknowledged.
#[test]
fn what_is_deleted_meanwhile_is_left_out() {
    let reranker = Service::start(scores);
    let server = plan(&reranker).set("STRONGROOM_RERANKER_TIMEOUT", "30s").start();
    let client = server.operator();
    let ids: Vec<String> =
        (1..4).map(|n| insert(&client, Some("acme"), &format!("Red apples weigh 0.{n}"))).collect();
    let (go, wait) = channel();
    reranker.behave(Behaviour::Wait(Arc::new(Mutex::new(wait))));
    let asking = {
        let client = client.clone();
        std::thread::spawn(move || search(&client, &[("rerank", "require")]))
    };
    reranker.came.recv_timeout(PATIENCE).expect("the reranker is asked");
    client.delete(&path(&format!("/{}", ids[2]), Some("acme"))).expect(200);
    go.send(()).expect("the reranker waits");
    let answer = asking.join().expect("the search is answered");
    assert_eq!(whole_scores(&answer), [20, 10], "{answer}");
}
