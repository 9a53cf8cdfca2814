//! Which typed fields does a document's metadata have?
//!
//! The engine takes metadata as text and knows no JSON; filters ask for what is read out of it here, on the way in.

use serde_json::{Map, Value};
use strongroom_engine::{Field, FieldValue, Number};

/// The fields of stored metadata: a path of names joined by dots, and a value. A list gives each of its values; what is null is
/// not there.
pub(crate) fn fields(metadata: &str) -> Vec<Field> {
    let object: Map<String, Value> = serde_json::from_str(metadata).unwrap_or_default();
    let mut fields = Vec::new();
    // A name that begins with NUL is the server's own note; no caller can give one.
    for (name, value) in object.iter().filter(|(name, _)| !name.starts_with('\0')) {
        collect(name, value, &mut fields);
    }
    fields
}

/// Metadata is read by a parser that bounds nesting, and so is this.
fn collect(path: &str, value: &Value, fields: &mut Vec<Field>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(path, value, fields)),
        Value::Object(object) => {
            for (name, value) in object {
                collect(&format!("{path}.{name}"), value, fields);
            }
        }
        scalar => fields.extend(typed(scalar).map(|value| Field { path: path.to_owned(), value })),
    }
}

/// A text, number or boolean as the engine has it; `None` for null, lists and objects.
pub(crate) fn typed(value: &Value) -> Option<FieldValue> {
    match value {
        Value::String(text) => Some(FieldValue::Text(text.clone())),
        Value::Bool(bool) => Some(FieldValue::Bool(*bool)),
        Value::Number(number) => {
            let whole = number.as_u64().map(Number::from).or_else(|| number.as_i64().map(Number::from));
            whole.or_else(|| number.as_f64().and_then(Number::from_f64)).map(FieldValue::Number)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a filter would not find what a document's metadata says.
    #[test]
    fn metadata_becomes_fields() {
        let found = fields(
            r#"{"a": {"b": [1, "x", null]}, "c": 12345678901234567890, "d": true, "e": null, "f": 0.5, "\u0000file": {"pages": [1, 2]}}"#,
        );
        let field = |path: &str, value| Field { path: path.to_owned(), value };
        let number = |number: f64| FieldValue::Number(Number::from_f64(number).unwrap());
        let expected = [
            field("a.b", number(1.0)),
            field("a.b", FieldValue::Text("x".to_owned())),
            field("c", FieldValue::Number(12_345_678_901_234_567_890_u64.into())),
            field("d", FieldValue::Bool(true)),
            field("f", number(0.5)),
        ];
        assert_eq!(found, expected);
        assert!(fields("").is_empty());
    }
}
