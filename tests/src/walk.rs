//! How is each route called with what works?
//!
//! `tests/examples/walk.json` has a step for each route, in an order in which each finds what it needs. What a step says in its
//! place of `$word` is what an earlier answer had. The steps are the examples of the reference: a reader can send them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::client::{Answer, Client, encoded, with_query};
use crate::keys::client_with;
use crate::people::Browser;
use crate::routes::vector;

const WALK: &str = include_str!("../examples/walk.json");
/// A file's name and content in a form.
const BOUNDARY: &str = "strongroom-example";

/// One call.
#[derive(Debug, Clone)]
pub struct Step {
    /// As it stands in the file.
    told: Value,
}

/// What earlier answers had, and who is signed in.
pub struct Walker {
    operator: Client,
    member: Option<Browser>,
    known: BTreeMap<String, Value>,
    /// The last body that was no text, which a later step may send.
    bytes: BTreeMap<String, Vec<u8>>,
}

/// All steps.
///
/// # Panics
/// When the file is not what this module says.
pub fn steps() -> Vec<Step> {
    let steps: Vec<Value> = serde_json::from_str(WALK).expect("walk.json is a list");
    steps.into_iter().map(|told| Step { told }).collect()
}

impl Step {
    /// `GET /v1/…`, with `{…}` where a value stands.
    pub fn route(&self) -> &str {
        self.told["route"].as_str().expect("a step has a route")
    }

    /// Its method and the template of its path.
    pub fn parts(&self) -> (&str, &str) {
        self.route().split_once(' ').expect("a route is a method and a path")
    }

    /// Whether it only prepares what a later step needs.
    pub fn is_again(&self) -> bool {
        self.told["again"] == true
    }

    /// Whether its answer goes on until somebody goes.
    pub fn never_ends(&self) -> bool {
        self.told["never_ends"] == true
    }

    /// `path`, `query`, `body`, `text` or `form` as they stand in the file.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.told.get(name)
    }
}

impl Walker {
    /// One that begins, with the operator's key.
    pub fn new(operator: Client, dimension: usize) -> Walker {
        let known = BTreeMap::from([("vector".to_owned(), json!(vector(dimension, 1)))]);
        Walker { operator, member: None, known, bytes: BTreeMap::new() }
    }

    /// A value with what is known in its place.
    ///
    /// # Panics
    /// When nothing is known by that word.
    pub fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('$') {
                None => value.clone(),
                Some(word) => self.known.get(word).unwrap_or_else(|| panic!("no step saved {text}")).clone(),
            },
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.filled(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    /// Where a step goes, its query changed as `with` says.
    pub fn address(&self, step: &Step, with: Option<(&str, &str)>) -> String {
        let (_, template) = step.parts();
        let texts = |name: &str| -> Vec<(String, String)> {
            let all = step.field(name).map(|value| self.filled(value));
            let all = all.as_ref().and_then(Value::as_object).into_iter().flatten();
            all.map(|(name, value)| (name.clone(), value.as_str().map_or(value.to_string(), str::to_owned)))
                .collect()
        };
        let path = texts("path").iter().fold(template.to_owned(), |path, (name, value)| {
            path.replace(&format!("{{{name}}}"), &encoded(value))
        });
        let mut pairs = texts("query");
        if let Some((name, value)) = with {
            pairs.retain(|(known, _)| known != name);
            pairs.push((name.to_owned(), value.to_owned()));
        }
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        with_query(&path, &pairs)
    }

    /// Calls a step at an address, as whom it says.
    ///
    /// # Panics
    /// When it is a member's, and nobody has signed in.
    pub fn send(&self, step: &Step, address: &str) -> Answer {
        let (method, _) = step.parts();
        // What has to have happened, and is no example.
        if let Some((method, address)) = step.told["behind"].as_str().and_then(|call| call.split_once(' ')) {
            self.operator.send(method, address, &[], Vec::new());
        }
        let (kind, body) = self.body(step);
        let mut headers = vec![("content-type", kind.as_str())];
        if kind.is_empty() {
            headers.clear();
        }
        match step.told["as"].as_str() {
            Some("member") => {
                let member = self.member.as_ref().expect("somebody has signed in");
                headers.push(("cookie", &member.cookie));
                member.client.send(method, address, &headers, body)
            }
            // With what no other key may do.
            Some("granted") => {
                let granted = client_with(&self.operator, &json!({"scopes": ["query:across"]}));
                granted.send(method, address, &headers, body)
            }
            Some("nobody") => self.operator.anonymous().send(method, address, &headers, body),
            _ => self.operator.send(method, address, &headers, body),
        }
    }

    /// Remembers what later steps need of an answer.
    pub fn learn(&mut self, step: &Step, answer: &Answer) {
        for (word, place) in step.told["save"].as_object().into_iter().flatten() {
            let value = place.as_str().and_then(|place| answer.json().pointer(place).cloned());
            self.known.insert(word.clone(), value.unwrap_or_else(|| panic!("{answer}: nothing at {place}")));
        }
        if answer.header("content-type") == Some("application/octet-stream") {
            self.bytes.insert(step.route().to_owned(), answer.body.clone());
        }
        if answer.header("set-cookie").is_some() && step.route().ends_with("/login") {
            self.member = Some(Browser::of(&self.operator, answer));
        }
    }

    fn body(&self, step: &Step) -> (String, Vec<u8>) {
        if let Some(body) = step.field("body") {
            return ("application/json".to_owned(), self.filled(body).to_string().into_bytes());
        }
        if let Some(text) = step.field("text").and_then(Value::as_str) {
            return (String::new(), text.as_bytes().to_vec());
        }
        if let Some(bytes) =
            step.field("sends").and_then(Value::as_str).and_then(|route| self.bytes.get(route))
        {
            return (String::new(), bytes.clone());
        }
        let Some(parts) = step.field("form").and_then(Value::as_array) else {
            return (String::new(), Vec::new());
        };
        let mut body = String::new();
        for part in parts {
            let file =
                part["filename"].as_str().map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
            let (name, text) =
                (part["name"].as_str().unwrap_or_default(), part["text"].as_str().unwrap_or_default());
            body += &format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{text}\r\n"
            );
        }
        (
            format!("multipart/form-data; boundary={BOUNDARY}"),
            format!("{body}--{BOUNDARY}--\r\n").into_bytes(),
        )
    }
}
