//! What do a query's filters ask of metadata?
//!
//! An object of fields, all of which must hold: a value, or an object of operators (`$eq $ne $gt $gte $lt $lte $in`). They become
//! a [`Condition`], which the engine answers before it scores anything.
//!
//! Invariants:
//! 1. What can't be understood is refused, never left out: a filter left out would return what it was to keep back.
//! 2. Fields, values and texts are bounded before anything is asked of the engine.

use std::ops::Bound;

use serde_json::{Map, Value};
use strongroom_engine::{Condition, FieldValue, Filter, Subject, Test};

use crate::config::Limits;
use crate::ingest::typed::typed;
use crate::message::error::ApiError;

/// What these filters ask of a document.
pub(super) fn filter(filters: &Map<String, Value>, limits: &Limits) -> Result<Filter, ApiError> {
    let mut asked = Vec::new();
    let mut values = 0;
    for (field, wanted) in filters {
        let leaf = Leaf { field, limits };
        leaf.check_name()?;
        match wanted {
            Value::Object(operators) if !operators.is_empty() => {
                for (operator, value) in operators {
                    values += value.as_array().map_or(1, Vec::len);
                    asked.push(leaf.operator(operator, value)?);
                }
            }
            value => {
                values += 1;
                asked.push(leaf.is(Test::In(vec![leaf.value(value)?])));
            }
        }
    }
    if asked.len() > limits.filter_clauses_max || values > limits.filter_values_max {
        let (clauses, values) = (limits.filter_clauses_max, limits.filter_values_max);
        return Err(invalid(format!("they have at most {clauses} conditions and {values} values")));
    }
    Ok(Filter { condition: (!asked.is_empty()).then_some(Condition::All(asked)), ..Filter::default() })
}

fn invalid(why: impl std::fmt::Display) -> ApiError {
    ApiError::malformed("invalid_filter", format!("filters: {why}"))
}

/// A field, and what may be said of it.
struct Leaf<'a> {
    field: &'a str,
    limits: &'a Limits,
}

impl Leaf<'_> {
    fn check_name(&self) -> Result<(), ApiError> {
        let most = self.limits.name_bytes_max;
        if self.field.starts_with('$') {
            let name = self.shown();
            return Err(invalid(format!(
                "{name:?} is not known; they are fields of the metadata, all of which must hold"
            )));
        }
        if self.field.is_empty() || self.field.len() > most {
            return Err(invalid(format!("the name of a field has 1 to {most} bytes")));
        }
        Ok(())
    }

    fn operator(&self, operator: &str, value: &Value) -> Result<Condition, ApiError> {
        let one = || self.value(value);
        let between = |from, to| Ok(self.is(Test::Between(from, to)));
        match operator {
            "$eq" => Ok(self.is(Test::In(vec![one()?]))),
            "$ne" => Ok(Condition::Not(Box::new(self.is(Test::In(vec![one()?]))))),
            "$gt" => between(Bound::Excluded(one()?), Bound::Unbounded),
            "$gte" => between(Bound::Included(one()?), Bound::Unbounded),
            "$lt" => between(Bound::Unbounded, Bound::Excluded(one()?)),
            "$lte" => between(Bound::Unbounded, Bound::Included(one()?)),
            "$in" => {
                let values = value
                    .as_array()
                    .ok_or_else(|| invalid(format!("$in of {:?} takes a list of values", self.shown())))?;
                Ok(self.is(Test::In(values.iter().map(|value| self.value(value)).collect::<Result<_, _>>()?)))
            }
            other => {
                let other: String = other.chars().take(64).collect();
                Err(invalid(format!(
                    "the operator {other:?} of {:?} does not exist; there are $eq, $ne, $gt, $gte, $lt, $lte and $in",
                    self.shown()
                )))
            }
        }
    }

    fn is(&self, test: Test) -> Condition {
        Condition::Is(Subject::Field(self.field.to_owned()), test)
    }

    fn value(&self, value: &Value) -> Result<FieldValue, ApiError> {
        let most = self.limits.filter_text_bytes_max;
        match typed(value) {
            Some(FieldValue::Text(text)) if text.len() > most => {
                Err(invalid(format!("a text in them has at most {most} bytes")))
            }
            Some(value) => Ok(value),
            None => Err(invalid(format!("{:?} takes texts, numbers and booleans", self.shown()))),
        }
    }

    fn shown(&self) -> String {
        self.field.chars().take(64).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(filters: Value) -> Result<Option<Condition>, ApiError> {
        let Value::Object(filters) = filters else { panic!("an object") };
        filter(&filters, &Limits::default()).map(|filter| filter.condition)
    }

    /// Lost otherwise: a filter would let through what it was to keep back.
    #[test]
    fn every_operator_is_asked_of_the_engine() {
        let field = || Subject::Field("a".to_owned());
        let number = |n: u64| FieldValue::Number(n.into());
        let is = |test| Condition::Is(field(), test);
        let free = Bound::Unbounded;
        for (filters, expected) in [
            (json!({"a": 1}), is(Test::In(vec![number(1)]))),
            (json!({"a": {"$eq": 1}}), is(Test::In(vec![number(1)]))),
            (json!({"a": {"$ne": 1}}), Condition::Not(Box::new(is(Test::In(vec![number(1)]))))),
            (json!({"a": {"$gt": 1}}), is(Test::Between(Bound::Excluded(number(1)), free.clone()))),
            (json!({"a": {"$gte": 1}}), is(Test::Between(Bound::Included(number(1)), free.clone()))),
            (json!({"a": {"$lt": 1}}), is(Test::Between(free.clone(), Bound::Excluded(number(1))))),
            (json!({"a": {"$lte": 1}}), is(Test::Between(free, Bound::Included(number(1))))),
            (json!({"a": {"$in": [1, 2]}}), is(Test::In(vec![number(1), number(2)]))),
        ] {
            assert_eq!(read(filters.clone()).unwrap(), Some(Condition::All(vec![expected])), "{filters}");
        }
        let Some(Condition::All(both)) = read(json!({"a": {"$gte": 1, "$lt": 3}, "b": true})).unwrap() else {
            panic!("all of them")
        };
        assert_eq!(both.len(), 3);
        assert_eq!(read(json!({})).unwrap(), None);
    }

    /// Lost otherwise: what is not understood would count as no filter at all.
    #[test]
    fn what_is_not_understood_is_refused() {
        for filters in [
            json!({"$or": [{"a": 1}]}),
            json!({"$not": {"a": 1}}),
            json!({"a": {"$regex": "x"}}),
            json!({"a": {"b": 1}}),
            json!({"a": {}}),
            json!({"a": null}),
            json!({"a": [1]}),
            json!({"a": {"$in": 1}}),
            json!({"a": {"$in": [[1]]}}),
            json!({"a": {"$eq": null}}),
            json!({"": 1}),
            json!({"a": "x".repeat(5000)}),
            json!({"a": {"$in": vec![1; 1025]}}),
        ] {
            assert_eq!(read(filters.clone()).unwrap_err().code, "invalid_filter", "{filters}");
        }
    }
}
