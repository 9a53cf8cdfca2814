//! Does the server say and do the same?
//!
//! Every answer that a suite's client gets is held against `/openapi.json` of the program under test: the status has to be one that
//! the route is said to answer, the media type one of those that the status has, and a JSON body has to fit the schema, with no
//! field that the schema doesn't name. An answer that doesn't fit fails the suite that got it.
//!
//! Invariants:
//! 1. The document is asked for once in a process: all servers of a suite are the same program.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

/// Larger bodies are not read again, only looked at from outside.
const BODY_BYTES_MAX: usize = 4 << 20;

/// What of an answer is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its status.
    pub status: u16,
    /// What its body is said to be.
    pub content_type: Option<&'a str>,
    /// The request's id.
    pub request_id: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
}

/// What the program says of itself.
pub struct Described {
    document: Value,
    /// Its paths, those with a word first where another has a value.
    templates: Vec<(Vec<String>, String)>,
    /// One for each schema that was met.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

static DESCRIBED: OnceLock<Described> = OnceLock::new();

/// The description that this process goes by, once there is one.
pub fn known() -> Option<&'static Described> {
    DESCRIBED.get()
}

/// Reads the document.
pub fn learn(document: Value) -> &'static Described {
    DESCRIBED.get_or_init(|| Described::new(document))
}

impl Described {
    /// A document, read.
    pub fn new(mut document: Value) -> Described {
        let names = document["paths"].as_object().into_iter().flat_map(|paths| paths.keys());
        let mut templates: Vec<(Vec<String>, String)> =
            names.map(|name| (parts(name), name.clone())).collect();
        // `{` comes after every letter and figure.
        templates.sort();
        document["components"]["schemas"]
            .as_object_mut()
            .into_iter()
            .flat_map(|all| all.values_mut())
            .for_each(close);
        Described { document, templates, validators: Mutex::default() }
    }

    /// What is wrong with an answer to this request; nothing, when all is as it is said to be.
    pub fn fault(&self, method: &str, path: &str, answer: &Seen<'_>) -> Option<String> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        if answer.request_id.is_none() {
            return Some("it has no x-request-id".to_owned());
        }
        let Some(operations) = self.operations(path) else {
            // What is no route has no description.
            return (answer.status != 404).then(|| format!("{path} is described nowhere"));
        };
        let Some(operation) = operations.get(method.to_lowercase()) else {
            let is_like_get = method == "HEAD" && operations.get("get").is_some();
            return (answer.status != 405 && !is_like_get)
                .then(|| format!("{method} {path} is described nowhere"));
        };
        let Some(response) = operation["responses"].get(answer.status.to_string()) else {
            return Some(format!("the status {} is not among those described", answer.status));
        };
        let response = self.resolved(response);
        let content = response["content"].as_object()?;
        let kind = answer.content_type.unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        let Some(media) = content.get(essence).or_else(|| content.get("*/*")) else {
            let known: Vec<_> = content.keys().collect();
            return Some(format!("its media type is {kind:?}, described are {known:?}"));
        };
        if essence != "application/json"
            || !content.contains_key(essence)
            || answer.body.len() > BODY_BYTES_MAX
        {
            return None;
        }
        match serde_json::from_slice::<Value>(answer.body) {
            Ok(body) => self.misfit(&media["schema"], &body),
            Err(why) => Some(format!("its body is no JSON: {why}")),
        }
    }

    /// Why a value does not fit a schema of the document, if so.
    pub fn misfit(&self, schema: &Value, value: &Value) -> Option<String> {
        let validator = self.validator(schema);
        let faults: Vec<_> = validator
            .iter_errors(value)
            .take(3)
            .map(|fault| format!("at {:?}: {fault}", fault.instance_path().as_str()))
            .collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// The document, its objects closed.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// What stands where a value refers to.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let target =
            value["$ref"].as_str().and_then(|reference| self.document.pointer(reference.strip_prefix('#')?));
        target.unwrap_or(value)
    }

    fn operations(&self, path: &str) -> Option<&Value> {
        let asked = parts(path);
        let fits = |template: &[String]| {
            let is_open = template.last().is_some_and(|last| last == "{rest}");
            let count = if is_open { asked.len() >= template.len() } else { asked.len() == template.len() };
            let mut pairs = template.iter().zip(&asked);
            count && pairs.all(|(part, value)| part == value || (part.starts_with('{') && !value.is_empty()))
        };
        let (_, name) = self.templates.iter().find(|(template, _)| fits(template))?;
        Some(&self.document["paths"][name])
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let made = validators.entry(schema.to_string()).or_insert_with(|| {
            let whole =
                json!({"allOf": [schema], "components": {"schemas": self.document["components"]["schemas"]}});
            Arc::new(
                jsonschema::validator_for(&whole)
                    .unwrap_or_else(|why| panic!("{schema} is no schema: {why}")),
            )
        });
        made.clone()
    }
}

fn parts(path: &str) -> Vec<String> {
    path.split('/').skip(1).map(str::to_owned).collect()
}

/// Lets an object have the fields that its schema names, and no other.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_whole = !["allOf", "anyOf", "oneOf", "additionalProperties"]
                .iter()
                .any(|word| fields.contains_key(*word));
            if is_whole && fields.get("properties").is_some_and(Value::is_object) {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(status: u16, kind: &'a str, body: &'a str) -> Seen<'a> {
        Seen { status, content_type: Some(kind), request_id: Some("1"), body: body.as_bytes() }
    }

    /// Lost otherwise: the suites would go on while the server answers what nobody was told of.
    #[test]
    fn what_is_not_described_is_a_fault() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}});
        let done = json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}});
        let described = Described::new(json!({
            "paths": {
                "/x/{id}": {"get": {"responses": {"200": {"$ref": "#/components/responses/Done"}}}},
                "/x/word": {"get": {"responses": {"204": {}}}},
                "/y/{rest}": {"get": {"responses": {"200": {"content": {"*/*": {}}}}}},
            },
            "components": {"schemas": {"A": schema}, "responses": {"Done": done}},
        }));
        let json = "application/json";
        let fault =
            |method, path, status, kind, body| described.fault(method, path, &seen(status, kind, body));
        assert_eq!(fault("GET", "/x/7?k=v", 200, json, r#"{"a": 1}"#), None);
        assert_eq!(fault("GET", "/x/word", 204, "", ""), None);
        assert_eq!(fault("GET", "/y/1/2", 200, "image/png", "?"), None);
        assert_eq!(fault("GET", "/z", 404, json, "{}"), None);
        assert_eq!(fault("PUT", "/x/7", 405, json, "{}"), None);
        for (method, path, status, kind, body) in [
            ("GET", "/x/7", 201, json, r#"{"a": 1}"#),
            ("GET", "/x/7", 200, "text/plain", r#"{"a": 1}"#),
            ("GET", "/x/7", 200, json, r#"{"a": "1"}"#),
            ("GET", "/x/7", 200, json, r#"{"a": 1, "b": 2}"#),
            ("GET", "/x/7", 200, json, "{"),
            ("PUT", "/x/7", 200, json, "{}"),
            ("GET", "/z", 200, json, "{}"),
        ] {
            assert!(
                fault(method, path, status, kind, body).is_some(),
                "{method} {path} {status} {kind} {body}"
            );
        }
        let anonymous = Seen { request_id: None, ..seen(404, json, "{}") };
        assert!(described.fault("GET", "/z", &anonymous).is_some());
    }
}
