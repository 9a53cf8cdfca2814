//! Which values are of a declared type?
//!
//! A value is of a type or it isn't: a text that looks like a number is none. So a field has the same values in a filter, which
//! the engine answers from what is stored, as in groups and sums.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock;

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Type {
    String,
    Int,
    Float,
    Bool,
    Datetime,
    StringList,
}

impl Type {
    pub(super) const WORDS: [&str; 6] = ["string", "int", "float", "bool", "datetime", "string_list"];
    const ALL: [Self; 6] =
        [Self::String, Self::Int, Self::Float, Self::Bool, Self::Datetime, Self::StringList];

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::String => Self::WORDS[0],
            Self::Int => Self::WORDS[1],
            Self::Float => Self::WORDS[2],
            Self::Bool => Self::WORDS[3],
            Self::Datetime => Self::WORDS[4],
            Self::StringList => Self::WORDS[5],
        }
    }

    /// The values that a field of this type has where this stands in the metadata; `None` when it is of another type. Times
    /// are told in UTC, so that they are in order.
    pub(crate) fn read(self, value: &Value) -> Option<Vec<Value>> {
        match (self, value) {
            (Self::StringList, Value::Array(values)) => {
                values.iter().all(Value::is_string).then(|| values.clone())
            }
            (Self::StringList, _) => None,
            (Self::Datetime, Value::String(text)) => {
                clock::parse_rfc3339(text).map(|ms| vec![Value::String(clock::rfc3339(ms))])
            }
            (kind, value) => kind.takes(value).then(|| vec![value.clone()]),
        }
    }

    /// Whether a filter may compare the field, or one of a list, with this.
    pub(crate) fn takes(self, value: &Value) -> bool {
        match self {
            Self::String | Self::StringList => value.is_string(),
            Self::Int => value.is_i64() || value.is_u64(),
            Self::Float => value.is_number(),
            Self::Bool => value.is_boolean(),
            Self::Datetime => value.as_str().is_some_and(|text| clock::parse_rfc3339(text).is_some()),
        }
    }
}

/// What stands in the metadata under a path; null counts as nothing. A name with dots in it may also be one name.
pub(crate) fn at_path(metadata: &Map<String, Value>, path: &str) -> Option<Value> {
    let found = metadata.get(path).or_else(|| {
        let mut parts = path.split('.');
        let first = metadata.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    });
    found.filter(|value| !value.is_null()).cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Lost otherwise: a sum would take in what is no number, or a declared field lose values that are.
    #[test]
    fn a_value_is_of_a_type_or_not() {
        let values = [
            json!("a"),
            json!(3),
            json!(2.5),
            json!(true),
            json!("2026-01-02T03:04:05+02:00"),
            json!(["a", "b"]),
        ];
        let of = |kind: Type| -> Vec<usize> {
            (0..values.len()).filter(|at| kind.read(&values[*at]).is_some()).collect()
        };
        assert_eq!(of(Type::String), [0, 4]);
        assert_eq!((of(Type::Int), of(Type::Float)), (vec![1], vec![1, 2]));
        assert_eq!((of(Type::Bool), of(Type::Datetime), of(Type::StringList)), (vec![3], vec![4], vec![5]));
        assert_eq!(Type::Datetime.read(&values[4]), Some(vec![json!("2026-01-02T01:04:05.000Z")]));
        assert_eq!(Type::StringList.read(&json!(["a", 1])), None);
        for word in Type::WORDS {
            assert_eq!(Type::parse(word).map(Type::word), Some(word));
        }
        assert_eq!(Type::parse("number"), None);
        let Value::Object(metadata) = json!({"a": {"b": 1}, "a.c": 2, "d": null}) else { unreachable!() };
        let found = |path| at_path(&metadata, path);
        assert_eq!(
            (found("a.b"), found("a.c"), found("d"), found("x.y")),
            (Some(json!(1)), Some(json!(2)), None, None)
        );
    }
}
