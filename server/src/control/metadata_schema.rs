//! What does a collection ask of its documents' metadata?
//!
//! JSON Schema, read and checked by the `jsonschema` crate. A schema refers to nothing outside of itself, and its patterns are
//! matched in linear time.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// A schema that can be checked against.
#[derive(Debug)]
pub(crate) struct MetadataSchema(Validator);

/// More of a fault's text is not told.
const FAULT_CHARS_MAX: usize = 300;

impl MetadataSchema {
    /// Reads a schema. The error says what is wrong with it.
    pub(crate) fn read(schema: &Value) -> Result<Self, String> {
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        options
            .build(schema)
            .map(Self)
            .map_err(|error| told(&error.to_string(), &error.instance_path().to_string()))
    }

    /// The error names the place and the rule.
    pub(crate) fn check(&self, metadata: &Value) -> Result<(), String> {
        self.0
            .validate(metadata)
            .map_err(|error| told(&error.to_string(), &error.instance_path().to_string()))
    }
}

fn told(fault: &str, place: &str) -> String {
    let fault: String = fault.chars().take(FAULT_CHARS_MAX).collect();
    if place.is_empty() { fault } else { format!("at {place}: {fault}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Lost otherwise: a document without the field that a product relies on would be stored, or one schema hang the server.
    #[test]
    fn what_does_not_fit_is_named_and_schemas_reach_nowhere() {
        let schema = json!({"type": "object", "required": ["source"], "properties": {"source": {"enum": ["email", "docs"]}}});
        let schema = MetadataSchema::read(&schema).unwrap();
        assert_eq!(schema.check(&json!({"source": "docs", "more": 1})), Ok(()));
        assert!(schema.check(&json!({})).unwrap_err().contains("source"));
        assert!(schema.check(&json!({"source": "fax"})).unwrap_err().starts_with("at /source: "));
        for bad in [
            json!({"type": "objekt"}),
            json!({"$ref": "https://example.invalid/schema.json"}),
            json!({"$ref": "file:///etc/passwd"}),
            json!({"properties": {"a": {"pattern": "("}}}),
            json!(7),
        ] {
            assert!(MetadataSchema::read(&bad).is_err(), "{bad}");
        }
        let slow = json!({"properties": {"a": {"pattern": "^(a+)+$"}}});
        let slow = MetadataSchema::read(&slow).unwrap();
        assert!(slow.check(&json!({"a": format!("{}b", "a".repeat(50_000))})).is_err());
    }
}
