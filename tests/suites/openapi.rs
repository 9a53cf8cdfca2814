//! Is what `/openapi.json` says complete and true?
//!
//! That every answer is one that it describes, the client of all suites sees to (`tests/src/described.rs`). Here the examples are made
//! and tried: each route is called as `tests/examples/walk.json` says, and the bounds of its parameters are tried out.
//!
//! `STRONGROOM_WRITE_EXAMPLES=1 cargo test -p strongroom-tests --test openapi` writes the examples anew.

use std::path::Path;

use serde_json::{Map, Value, json};
use strongroom::{Route, routes};
use strongroom_tests::client::Answer;
use strongroom_tests::described;
use strongroom_tests::routes::dimension;
use strongroom_tests::server::Plan;
use strongroom_tests::walk::{Step, Walker, steps};

/// Fields whose values are secrets, or nobody's business; what stands in their place in an example.
const SECRETS: [(&str, &str); 4] = [
    ("key", "sr_live_0123456789ab_…"),
    ("token", "sri_…"),
    ("link", "http://127.0.0.1:7373/console/accept#sri_…"),
    ("ip", "127.0.0.1"),
];
/// Parameters that an example's other parameters keep from being tried alone.
const NOT_ALONE: [&str; 2] = ["outline", "rerank_candidates"];
/// Longer answers are shortened to the first item of each list.
const ANSWER_BYTES_MAX: usize = 2000;

fn route_of(step: &Step) -> &'static Route {
    let found = routes().find(|route| (route.method, route.path) == step.parts());
    found.unwrap_or_else(|| panic!("{}: there is no such route", step.route()))
}

/// What an example shows of an answer.
fn shown(mut value: Value, depth_cut: bool) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match SECRETS.iter().find(|(secret, _)| secret == name) {
                    Some((_, instead)) if field.is_string() => *field = json!(instead),
                    _ => *field = shown(std::mem::take(field), depth_cut),
                }
            }
        }
        Value::Array(items) => {
            if depth_cut {
                items.truncate(1);
            }
            items.iter_mut().for_each(|item| *item = shown(std::mem::take(item), depth_cut));
        }
        _ => {}
    }
    value
}

/// Whether a value is what the step says, `$word` standing for anything.
fn is_alike(told: &Value, value: &Value) -> bool {
    match (told, value) {
        (Value::String(text), _) if text.starts_with('$') => !value.is_null(),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_alike(a, b)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_alike(a, b))
        }
        (a, b) => a == b,
    }
}

fn example(walker: &Walker, step: &Step, answer: Option<&Answer>) -> Value {
    let mut example = json!({});
    for name in ["path", "query", "body", "text", "form"] {
        if let Some(value) = step.field(name) {
            example[name] = walker.filled(value);
        }
    }
    if let Some(answer) = answer.filter(|answer| step.route() != "GET /openapi.json" && is_json(answer)) {
        let cut = answer.body.len() > ANSWER_BYTES_MAX;
        example["answer"] = shown(answer.json(), cut);
    }
    shown_request(example)
}

fn shown_request(mut example: Value) -> Value {
    if let Some(body) = example.get_mut("body") {
        *body = shown(std::mem::take(body), false);
    }
    example
}

fn is_json(answer: &Answer) -> bool {
    answer.header("content-type").is_some_and(|kind| kind.split(';').next() == Some("application/json"))
}

/// Lost otherwise: a reader of the reference would copy an example and be refused, or meet a route that nobody describes.
#[test]
fn every_example_works() {
    // A summarizer is set up, and nobody is there.
    let server =
        Plan::default().set("STRONGROOM_SUMMARIZER", "http://127.0.0.1:9/v1/chat/completions").start();
    let mut walker = Walker::new(server.operator(), dimension(&server.operator()));
    let (mut examples, mut untrue) = (Map::new(), Vec::new());
    for step in steps() {
        let route = route_of(&step);
        if step.never_ends() {
            examples.insert(step.route().to_owned(), example(&walker, &step, None));
            continue;
        }
        let answer = walker.send(&step, &walker.address(&step, None)).expect(route.status);
        if route.method == "GET" {
            untrue.extend(untrue_bounds(&walker, &step));
        }
        walker.learn(&step, &answer);
        if !step.is_again() {
            let made = example(&walker, &step, Some(&answer));
            assert!(examples.insert(step.route().to_owned(), made).is_none(), "{} comes twice", step.route());
        }
    }
    assert!(untrue.is_empty(), "the document and the handlers say different things: {untrue:#?}");
    let missing: Vec<_> = routes()
        .filter(|route| !route.is_not_offered())
        .map(|route| format!("{} {}", route.method, route.path))
        .filter(|name| !examples.contains_key(name))
        .collect();
    assert!(missing.is_empty(), "tests/examples/walk.json has no step for {missing:?}");
    if std::env::var_os("STRONGROOM_WRITE_EXAMPLES").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src/http/openapi/examples.json");
        let lines: Vec<_> =
            examples.iter().map(|(name, value)| format!("  {}: {value}", json!(name))).collect();
        std::fs::write(file, format!("{{\n{}\n}}\n", lines.join(",\n")))
            .expect("the examples can be written");
        return;
    }
    the_document_shows(&examples);
}

/// The document's own examples are these, and fit its schemas.
fn the_document_shows(examples: &Map<String, Value>) {
    let described = described::known().expect("a suite's client has asked for it");
    for step in steps().iter().filter(|step| !step.is_again()) {
        let (method, path) = step.parts();
        let operation = &described.document()["paths"][path][method.to_lowercase()];
        let anew = "write the examples anew, as the head of this file says";
        if let Some(body) = step.field("body") {
            let media = &operation["requestBody"]["content"]["application/json"];
            assert!(
                is_alike(body, &media["example"]) || step.route().ends_with("/accept"),
                "{}: {anew}",
                step.route()
            );
            assert_eq!(
                described.misfit(&media["schema"], &media["example"]),
                None,
                "{}: its request",
                step.route()
            );
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let schema =
                parameter.get("schema").unwrap_or(&parameter["content"]["application/json"]["schema"]);
            if let Some(value) = parameter.get("example") {
                assert_eq!(described.misfit(schema, value), None, "{}: {}", step.route(), parameter["name"]);
            }
        }
        let media = described.resolved(&operation["responses"][route_of(step).status.to_string()]);
        let media = &media["content"]["application/json"];
        if examples[step.route()].get("answer").is_some() {
            assert!(media["example"].is_object(), "{}: {anew}", step.route());
            assert_eq!(
                described.misfit(&media["schema"], &media["example"]),
                None,
                "{}: its answer",
                step.route()
            );
        }
    }
}

/// Where a handler takes other values of a parameter than the document says.
fn untrue_bounds(walker: &Walker, step: &Step) -> Vec<String> {
    let mut untrue = Vec::new();
    let described = described::known().expect("a suite's client has asked for it");
    let (method, path) = step.parts();
    let parameters = described.document()["paths"][path][method.to_lowercase()]["parameters"].as_array();
    for parameter in parameters.into_iter().flatten().filter(|parameter| parameter["in"] == "query") {
        let name = parameter["name"].as_str().expect("a name");
        if NOT_ALONE.contains(&name) {
            continue;
        }
        let (good, bad) = values(&parameter["schema"]);
        for (value, is_good) in
            good.into_iter().map(|value| (value, true)).chain(bad.into_iter().map(|value| (value, false)))
        {
            let answer = walker.send(step, &walker.address(step, Some((name, &value))));
            // Refused for what goes with it, or because nobody set up what it needs.
            let is_refused = ["invalid_parameter", "malformed_body"].contains(&answer.code().as_str())
                && answer.status == 400;
            if is_refused == is_good {
                untrue.push(format!("{name}={value}: {answer}"));
            }
        }
    }
    untrue
}

/// Values that a schema allows, and values that it doesn't.
fn values(schema: &Value) -> (Vec<String>, Vec<String>) {
    let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    match schema["type"].as_str() {
        Some("boolean") => (vec!["true".to_owned(), "false".to_owned()], vec!["maybe".to_owned()]),
        Some("integer" | "number") => {
            let good = [least, most].into_iter().flatten().map(|number| number.to_string()).collect();
            let bad = [least.map(|least| least - 1.0), most.map(|most| most + 1.0)];
            let bad = bad.into_iter().flatten().map(|number| number.to_string());
            (good, bad.chain(["many".to_owned()]).collect())
        }
        _ => match schema["enum"].as_array() {
            Some(words) => {
                let words = words.iter().filter_map(Value::as_str).map(str::to_owned);
                (words.collect(), vec!["nothing of the kind".to_owned()])
            }
            None => (Vec::new(), Vec::new()),
        },
    }
}
