//! What does a metadata filter say?
//!
//! The grammar of the published client: `{"and" | "or" | "not": …}` over leaves `{"field", "op", "value"}`. It becomes a
//! [`Condition`], which the engine answers before it scores anything.
//!
//! - A field is a name of the metadata (names inside each other are joined by dots), or one of `tags`, `entity_id`, `source`,
//!   `content_type`, `created_at` and `updated_at`. `metadata.` before a name says that the metadata's is meant.
//! - Values of different kinds (text, number, boolean) are never equal, and none is above the other. Null is what is not
//!   there: `eq null` finds documents without the field.
//! - A field with several values passes when one of them does. `neq` and `nin` are the opposite of `eq` and `in`, so they find
//!   documents without the field as well.
//!
//! Invariants:
//! 1. What can't be understood is refused, never left out: a filter left out would return what it was to keep back.
//! 2. Depth, clauses, values and texts are bounded before anything is asked of the engine.

use std::borrow::Cow;
use std::ops::Bound;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;
use strongroom_engine::{Condition, FieldValue, Number, Subject, Test};

use super::declared::Declared;
use crate::clock;
use crate::config::Limits;
use crate::ingest::typed::typed;
use crate::message::error::ApiError;
use crate::message::json;

/// What a leaf can ask.
pub(crate) const OPERATORS: &str = "eq, neq, in, nin, gt, gte, lt, lte, between, exists, contains, prefix";

/// A filter as it came: one of `and`, `or` and `not`, or a leaf.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a filter is an object: and, or, not, or field, op and value")]
pub(crate) struct Clause {
    #[serde(default)]
    and: Option<Vec<Clause>>,
    #[serde(default)]
    or: Option<Vec<Clause>>,
    #[serde(default)]
    not: Option<Box<Clause>>,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    op: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    value: Option<Value>,
}

impl JsonSchema for Clause {
    fn schema_name() -> Cow<'static, str> {
        "Filter".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let one = schemas.subschema_for::<Self>();
        let some = json_schema!({"type": "array", "minItems": 1, "items": one});
        let only = |name: &str, schema: &Schema| {
            json_schema!({
                "type": "object",
                "required": [name],
                "additionalProperties": false,
                "properties": {name: schema},
            })
        };
        json_schema!({
            "description": "Over a document's metadata, or tags, entity_id, source, content_type, created_at, updated_at. neq and \
                            nin find documents without the field as well.",
            "oneOf": [
                only("and", &some),
                only("or", &some),
                only("not", &one),
                {
                    "type": "object",
                    "required": ["field", "op"],
                    "additionalProperties": false,
                    "properties": {
                        "field": {"type": "string"},
                        "op": {"enum": OPERATORS.split(", ").collect::<Vec<_>>()},
                        "value": {"description": "A text, number, boolean or null; a list of them for in, nin and between."},
                    },
                },
            ],
        })
    }
}

impl Clause {
    /// The same with declared fields by the names that they are read from, and compared with values of their types alone.
    pub(super) fn resolved(mut self, declared: &Declared) -> Result<Self, ApiError> {
        let all = |clauses: Option<Vec<Self>>| {
            let resolve = |clauses: Vec<Self>| {
                clauses.into_iter().map(|clause| clause.resolved(declared)).collect::<Result<Vec<_>, _>>()
            };
            clauses.map(resolve).transpose()
        };
        (self.and, self.or) = (all(self.and)?, all(self.or)?);
        self.not = self.not.map(|clause| clause.resolved(declared).map(Box::new)).transpose()?;
        let Some((name, (kind, path))) =
            self.field.as_deref().and_then(|name| Some((name, declared.find(name)?)))
        else {
            return Ok(self);
        };
        if self.op.as_deref() != Some("exists") {
            let one = self.value.as_slice();
            let values = self.value.as_ref().and_then(Value::as_array).map_or(one, Vec::as_slice);
            if !values.iter().all(|value| value.is_null() || kind.takes(value)) {
                let kind = kind.word();
                return Err(invalid(format!(
                    "{name:?} is declared as {kind}, and is compared with such values alone"
                )));
            }
        }
        self.field = Some(format!("metadata.{path}"));
        Ok(self)
    }
}

/// Reads a filter from a query parameter.
pub(super) fn parse(text: &str) -> Result<Clause, ApiError> {
    serde_json::from_str(text).map_err(|error| invalid(format!("it can't be read: {error}")))
}

/// What a filter asks of a document.
pub(super) fn condition(clause: Clause, limits: &Limits) -> Result<Condition, ApiError> {
    let mut left = Left { clauses: limits.filter_clauses_max, values: limits.filter_values_max, limits };
    left.condition(clause, limits.filter_depth_max)
}

fn invalid(why: impl std::fmt::Display) -> ApiError {
    ApiError::malformed("invalid_filter", format!("filter: {why}"))
}

/// How much of a filter may still come.
struct Left<'a> {
    clauses: usize,
    values: usize,
    limits: &'a Limits,
}

impl Left<'_> {
    fn condition(&mut self, clause: Clause, depth: usize) -> Result<Condition, ApiError> {
        let Some(deeper) = depth.checked_sub(1) else {
            let most = self.limits.filter_depth_max;
            return Err(invalid(format!("it is at most {most} levels deep")));
        };
        let most = self.limits.filter_clauses_max;
        self.clauses =
            self.clauses.checked_sub(1).ok_or_else(|| invalid(format!("it has at most {most} clauses")))?;
        let mut all = |clauses: Vec<Clause>| {
            if clauses.is_empty() {
                return Err(invalid("and and or take a list of one filter or more"));
            }
            clauses.into_iter().map(|clause| self.condition(clause, deeper)).collect::<Result<Vec<_>, _>>()
        };
        match clause {
            Clause { and: Some(and), or: None, not: None, field: None, op: None, value: None } => {
                Ok(Condition::All(all(and)?))
            }
            Clause { and: None, or: Some(or), not: None, field: None, op: None, value: None } => {
                Ok(Condition::Any(all(or)?))
            }
            Clause { and: None, or: None, not: Some(not), field: None, op: None, value: None } => {
                Ok(Condition::Not(Box::new(self.condition(*not, deeper)?)))
            }
            Clause { and: None, or: None, not: None, field: Some(field), op: Some(op), value } => {
                self.leaf(&field, &op, value)
            }
            _ => Err(invalid("each object of it has either and, or or not alone, or field, op and value")),
        }
    }

    fn leaf(&mut self, name: &str, op: &str, value: Option<Value>) -> Result<Condition, ApiError> {
        let leaf = Leaf { name, op, subject: self.subject(name)? };
        let value = value.unwrap_or(Value::Null);
        let is_one = matches!(op, "eq" | "neq" | "gt" | "gte" | "lt" | "lte" | "contains" | "prefix");
        let values = match (op, value) {
            ("exists", Value::Null | Value::Bool(true)) => return Ok(leaf.is(Test::Exists)),
            ("exists", Value::Bool(false)) => return Ok(not(leaf.is(Test::Exists))),
            ("exists", _) => return Err(leaf.takes("true or false")),
            ("in" | "nin" | "between", Value::Array(values)) => values,
            ("in" | "nin", _) => return Err(leaf.takes("a list of values")),
            ("between", _) => return Err(leaf.takes("a list of two values, the lower one first")),
            (_, value) if is_one => vec![value],
            _ => {
                return Err(invalid(format!(
                    "the operator {op:?} of {name:?} does not exist; there are {OPERATORS}"
                )));
            }
        };
        let most = self.limits.filter_values_max;
        self.values = self
            .values
            .checked_sub(values.len())
            .ok_or_else(|| invalid(format!("it has at most {most} values in all")))?;
        let has_null = values.contains(&Value::Null);
        let wanted = values.iter().filter(|value| !value.is_null());
        let wanted: Vec<FieldValue> =
            wanted.map(|value| leaf.value(value, self.limits)).collect::<Result<_, _>>()?;
        leaf.condition(wanted, has_null)
    }

    fn subject(&self, name: &str) -> Result<Subject, ApiError> {
        Ok(match name {
            "tags" => Subject::Tag,
            "entity_id" => Subject::Entity,
            "source" => Subject::Source,
            "content_type" => Subject::ContentType,
            "created_at" => Subject::Created,
            "updated_at" => Subject::Updated,
            other => {
                let path = other.strip_prefix("metadata.").unwrap_or(other);
                let most = self.limits.name_bytes_max;
                if path.is_empty() || path.len() > most {
                    return Err(invalid(format!("the name of a field has 1 to {most} bytes")));
                }
                Subject::Field(path.to_owned())
            }
        })
    }
}

/// A leaf whose value was not read yet.
struct Leaf<'a> {
    name: &'a str,
    op: &'a str,
    subject: Subject,
}

impl Leaf<'_> {
    fn is(&self, test: Test) -> Condition {
        Condition::Is(self.subject.clone(), test)
    }

    fn takes(&self, what: &str) -> ApiError {
        let name: String = self.name.chars().take(64).collect();
        invalid(format!("{} of {name:?} takes {what}", self.op))
    }

    /// Reads a value as the subject has them.
    fn value(&self, value: &Value, limits: &Limits) -> Result<FieldValue, ApiError> {
        let value = match (&self.subject, value) {
            (Subject::Created | Subject::Updated, value) => {
                let time = value.as_str().and_then(clock::parse_rfc3339);
                let time =
                    time.ok_or_else(|| self.takes("times as in RFC 3339, such as 2026-06-01T00:00:00Z"))?;
                FieldValue::Number(Number::from(time))
            }
            (Subject::Field(_), value) => {
                typed(value).ok_or_else(|| self.takes("texts, numbers and booleans"))?
            }
            (Subject::ContentType, Value::String(text)) => FieldValue::Text(text.to_ascii_lowercase()),
            (_, Value::String(text)) => FieldValue::Text(text.clone()),
            _ => return Err(self.takes("texts")),
        };
        let most = limits.filter_text_bytes_max;
        match &value {
            FieldValue::Text(text) if text.len() > most => {
                Err(invalid(format!("a text in it has at most {most} bytes")))
            }
            _ => Ok(value),
        }
    }

    fn condition(&self, mut wanted: Vec<FieldValue>, has_null: bool) -> Result<Condition, ApiError> {
        if let "eq" | "neq" | "in" | "nin" = self.op {
            let mut any = Vec::new();
            if has_null {
                any.push(not(self.is(Test::Exists)));
            }
            if !wanted.is_empty() || !has_null {
                any.push(self.is(Test::In(wanted)));
            }
            let any = if any.len() == 1 { any.remove(0) } else { Condition::Any(any) };
            return Ok(if matches!(self.op, "neq" | "nin") { not(any) } else { any });
        }
        if has_null {
            return Err(self.takes("no null"));
        }
        if self.op == "between" {
            let same =
                |pair: &[FieldValue]| std::mem::discriminant(&pair[0]) == std::mem::discriminant(&pair[1]);
            if wanted.len() != 2 || !same(&wanted) {
                return Err(self.takes("a list of two values of one kind, the lower one first"));
            }
        }
        let is_time = matches!(self.subject, Subject::Created | Subject::Updated);
        let (Some(last), first) = (wanted.pop(), wanted.pop()) else { return Err(self.takes("a value")) };
        let last_is_bool = matches!(last, FieldValue::Bool(_));
        let test = match (self.op, last) {
            ("contains" | "prefix", _) if is_time => {
                return Err(invalid(format!("times have no {}", self.op)));
            }
            ("contains", FieldValue::Text(text)) if self.subject != Subject::Tag => Test::Contains(text),
            ("contains", value) => Test::In(vec![value]),
            ("prefix", FieldValue::Text(text)) => Test::Prefix(text),
            ("prefix", _) => return Err(self.takes("a text")),
            _ if last_is_bool => return Err(self.takes("a number or a text")),
            ("gt", value) => Test::Between(Bound::Excluded(value), Bound::Unbounded),
            ("gte", value) => Test::Between(Bound::Included(value), Bound::Unbounded),
            ("lt", value) => Test::Between(Bound::Unbounded, Bound::Excluded(value)),
            ("lte", value) => Test::Between(Bound::Unbounded, Bound::Included(value)),
            (_, to) => match first {
                Some(from) => Test::Between(Bound::Included(from), Bound::Included(to)),
                None => return Err(self.takes("two values")),
            },
        };
        Ok(self.is(test))
    }
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(filter: &Value) -> Result<Condition, ApiError> {
        condition(parse(&filter.to_string())?, &Limits::default())
    }

    fn leaf(op: &str, value: Value) -> Result<Condition, ApiError> {
        read(&json!({"field": "n", "op": op, "value": value}))
    }

    fn is(test: Test) -> Condition {
        Condition::Is(Subject::Field("n".to_owned()), test)
    }

    fn number(number: i64) -> FieldValue {
        FieldValue::Number(number.into())
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::Text(text.to_owned())
    }

    /// Lost otherwise: an operator would find other documents than it says.
    #[test]
    fn every_operator_means_what_it_says() {
        use Bound::{Excluded, Included, Unbounded};
        assert_eq!(leaf("eq", json!(1)).unwrap(), is(Test::In(vec![number(1)])));
        assert_eq!(leaf("neq", json!("x")).unwrap(), not(is(Test::In(vec![text("x")]))));
        assert_eq!(leaf("in", json!([1, "x"])).unwrap(), is(Test::In(vec![number(1), text("x")])));
        assert_eq!(leaf("in", json!([])).unwrap(), is(Test::In(Vec::new())));
        assert_eq!(leaf("nin", json!([true])).unwrap(), not(is(Test::In(vec![FieldValue::Bool(true)]))));
        assert_eq!(leaf("gt", json!(1)).unwrap(), is(Test::Between(Excluded(number(1)), Unbounded)));
        assert_eq!(leaf("gte", json!(1)).unwrap(), is(Test::Between(Included(number(1)), Unbounded)));
        assert_eq!(leaf("lt", json!("b")).unwrap(), is(Test::Between(Unbounded, Excluded(text("b")))));
        assert_eq!(leaf("lte", json!(1)).unwrap(), is(Test::Between(Unbounded, Included(number(1)))));
        assert_eq!(
            leaf("between", json!([1, 2])).unwrap(),
            is(Test::Between(Included(number(1)), Included(number(2))))
        );
        assert_eq!(leaf("contains", json!("x")).unwrap(), is(Test::Contains("x".to_owned())));
        assert_eq!(leaf("contains", json!(5)).unwrap(), is(Test::In(vec![number(5)])));
        assert_eq!(leaf("prefix", json!("x")).unwrap(), is(Test::Prefix("x".to_owned())));
        assert_eq!(leaf("exists", json!(true)).unwrap(), is(Test::Exists));
        assert_eq!(leaf("exists", json!(false)).unwrap(), not(is(Test::Exists)));
        assert_eq!(read(&json!({"field": "n", "op": "exists"})).unwrap(), is(Test::Exists));
        assert_eq!(leaf("eq", Value::Null).unwrap(), not(is(Test::Exists)));
        assert_eq!(leaf("neq", Value::Null).unwrap(), not(not(is(Test::Exists))));
        let either = Condition::Any(vec![not(is(Test::Exists)), is(Test::In(vec![number(1)]))]);
        assert_eq!(leaf("in", json!([null, 1])).unwrap(), either);
        for name in OPERATORS.split(", ") {
            let value = if matches!(name, "in" | "nin" | "between") { json!(["a", "b"]) } else { json!("a") };
            let value = if name == "exists" { json!(true) } else { value };
            assert!(leaf(name, value).is_ok(), "{name}");
        }
    }

    /// Lost otherwise: a filter over tags or times would look into the metadata and find nothing.
    #[test]
    fn fields_are_the_metadatas_or_the_documents() {
        let subject =
            |field: &str, value: Value| match read(&json!({"field": field, "op": "eq", "value": value})) {
                Ok(Condition::Is(subject, Test::In(values))) => (subject, values),
                other => panic!("{other:?}"),
            };
        assert_eq!(subject("tags", json!("a")).0, Subject::Tag);
        assert_eq!(subject("entity_id", json!("a")).0, Subject::Entity);
        assert_eq!(subject("source", json!("a")).0, Subject::Source);
        let (kind, values) = subject("content_type", json!("Text/Plain"));
        assert_eq!((kind, values), (Subject::ContentType, vec![text("text/plain")]));
        let (kind, values) = subject("created_at", json!("1970-01-01T00:00:01Z"));
        assert_eq!((kind, values), (Subject::Created, vec![number(1000)]));
        assert_eq!(subject("updated_at", json!("1970-01-01T00:00:01Z")).0, Subject::Updated);
        assert_eq!(subject("metadata.source", json!("a")).0, Subject::Field("source".to_owned()));
        assert_eq!(subject("a.b", json!("a")).0, Subject::Field("a.b".to_owned()));
        let tag = read(&json!({"field": "tags", "op": "contains", "value": "a"})).unwrap();
        assert_eq!(tag, Condition::Is(Subject::Tag, Test::In(vec![text("a")])));
    }

    /// Lost otherwise: a slip in a filter would return documents that it was to keep back.
    #[test]
    fn what_cannot_be_understood_is_refused() {
        let combined = read(
            &json!({"or": [{"not": {"field": "n", "op": "exists"}}, {"and": [{"field": "n", "op": "eq", "value": 1}]}]}),
        );
        let expected =
            Condition::Any(vec![not(is(Test::Exists)), Condition::All(vec![is(Test::In(vec![number(1)]))])]);
        assert_eq!(combined.unwrap(), expected);
        for bad in [
            json!({}),
            json!([]),
            json!("x"),
            json!(null),
            json!({"color": "red"}),
            json!({"and": []}),
            json!({"or": {}}),
            json!({"not": [{"field": "n", "op": "exists"}]}),
            json!({"and": [{"field": "n", "op": "exists"}], "or": [{"field": "n", "op": "exists"}]}),
            json!({"and": [{"field": "n", "op": "exists"}], "field": "n"}),
            json!({"field": "n"}),
            json!({"op": "eq", "value": 1}),
            json!({"field": "n", "value": 1}),
            json!({"field": "", "op": "exists"}),
            json!({"field": "metadata.", "op": "exists"}),
            json!({"field": 7, "op": "exists"}),
            json!({"field": "tags", "op": "eq", "value": 7}),
            json!({"field": "created_at", "op": "gt", "value": "yesterday"}),
            json!({"field": "created_at", "op": "gt", "value": 7}),
            json!({"field": "created_at", "op": "prefix", "value": "1970-01-01T00:00:00Z"}),
            json!({"field": "created_at", "op": "contains", "value": "1970-01-01T00:00:00Z"}),
        ] {
            let error = read(&bad).expect_err(&bad.to_string());
            assert_eq!((error.status.as_u16(), error.code), (400, "invalid_filter"), "{bad}");
        }
        for (op, bad) in [
            ("eq", json!([1])),
            ("eq", json!({})),
            ("in", json!(1)),
            ("in", json!([[1]])),
            ("between", json!([1])),
            ("between", json!([1, 2, 3])),
            ("between", json!([1, "x"])),
            ("between", json!([1, null])),
            ("between", json!([true, false])),
            ("gt", json!(true)),
            ("lt", json!(null)),
            ("prefix", json!(1)),
            ("contains", json!(null)),
            ("exists", json!("yes")),
        ] {
            assert!(leaf(op, bad.clone()).is_err(), "{op} {bad}");
        }
        let repeated = parse(r#"{"field": "n", "op": "eq", "op": "neq", "value": 1}"#);
        assert!(repeated.is_err(), "which of the two is meant?");
        let unknown = leaf("like", json!("x")).unwrap_err();
        assert!(unknown.text.contains("\"like\"") && unknown.text.contains(OPERATORS), "{}", unknown.text);
    }

    /// Lost otherwise: one request could make the server walk an index for hours.
    #[test]
    fn a_filter_has_limits_that_are_named() {
        let limits = Limits::default();
        let leaf = || json!({"field": "n", "op": "exists"});
        let deep = |levels: usize| (1..levels).fold(leaf(), |inner, _| json!({"not": inner}));
        let wide = |clauses: usize| json!({"and": vec![leaf(); clauses - 1]});
        let values = |count: usize| json!({"field": "n", "op": "in", "value": vec![1; count]});
        let long = |bytes: usize| json!({"field": "n", "op": "eq", "value": "x".repeat(bytes)});
        let name = |bytes: usize| json!({"field": "x".repeat(bytes), "op": "exists"});
        let cases: [(&dyn Fn(usize) -> Value, usize); 5] = [
            (&deep, limits.filter_depth_max),
            (&wide, limits.filter_clauses_max),
            (&values, limits.filter_values_max),
            (&long, limits.filter_text_bytes_max),
            (&name, limits.name_bytes_max),
        ];
        for (filter, most) in cases {
            assert!(read(&filter(most)).is_ok(), "{most}");
            let error = read(&filter(most + 1)).unwrap_err();
            assert!(error.text.contains(&most.to_string()), "{}", error.text);
        }
        let endless = format!("{}1{}", "{\"not\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(parse(&endless).unwrap_err().status.as_u16(), 400);
    }
}
