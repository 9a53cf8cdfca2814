//! What does a group of documents come to?
//!
//! Invariants:
//! 1. Whole numbers are summed as such, exactly, as long as 64 bits hold the sum. Floats are summed with what is lost in rounding
//!    carried along (Neumaier's sum).
//! 2. An aggregate is over the values that are there; of none it is null, but for counts, which are 0, and for the sum, which is 0.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Number;
use strongroom_engine::DocumentInfo;

use super::invalid;
use super::value::{FieldName, Known, Names, whole};
use crate::message::error::ApiError;

/// Different values that one `count_distinct` tells apart.
const DISTINCT_MAX: usize = 100_000;

/// An aggregate as it came.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Aggregate")]
pub(crate) struct Wish {
    op: Op,
    #[serde(default)]
    field: Option<String>,
    #[serde(default, rename = "as")]
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AggregateOp")]
pub(crate) enum Op {
    Count,
    CountDistinct,
    Sum,
    Avg,
    Min,
    Max,
}

impl Op {
    fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::CountDistinct => "count_distinct",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// An aggregate that is understood.
pub(super) struct Aggregate {
    /// What answers call it.
    pub(super) name: String,
    op: Op,
    /// `None`: of documents.
    field: Option<FieldName>,
}

impl Aggregate {
    pub(super) fn of(wish: Wish, names: &Names<'_>) -> Result<Self, ApiError> {
        let Wish { op, field, name } = wish;
        if field.is_none() && op != Op::Count {
            return Err(invalid(format!("{} needs a field", op.word())));
        }
        let usual =
            || field.as_ref().map_or_else(|| op.word().to_owned(), |field| format!("{}_{field}", op.word()));
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(usual);
        let field = field.map(|field| FieldName::parse(&field, names)).transpose()?;
        Ok(Self { name, op, field })
    }
}

/// Groups by their keys.
pub(super) type Groups = BTreeMap<Vec<Known>, Group>;

/// What a group has come to so far.
pub(super) struct Group(Vec<Sum>);

#[derive(Default)]
struct Sum {
    count: u64,
    whole: i128,
    float: f64,
    /// What was lost of it in rounding.
    lost: f64,
    has_float: bool,
    least: Option<Known>,
    most: Option<Known>,
    distinct: BTreeSet<Known>,
}

impl Group {
    pub(super) fn new(aggregates: &[Aggregate]) -> Self {
        Self(aggregates.iter().map(|_| Sum::default()).collect())
    }

    pub(super) fn add(&mut self, aggregates: &[Aggregate], document: &DocumentInfo) -> Result<(), ApiError> {
        for (sum, aggregate) in self.0.iter_mut().zip(aggregates) {
            match &aggregate.field {
                None => sum.count += 1,
                Some(field) => {
                    for value in field.all_of(document) {
                        sum.add(aggregate, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, aggregates: &[Aggregate]) -> Vec<Known> {
        self.0.into_iter().zip(aggregates).map(|(sum, aggregate)| sum.finish(aggregate.op)).collect()
    }
}

impl Sum {
    fn add(&mut self, aggregate: &Aggregate, value: Known) -> Result<(), ApiError> {
        self.count += 1;
        match (aggregate.op, value) {
            (Op::Count, _) => {}
            (Op::CountDistinct, value) => {
                self.distinct.insert(value);
                if self.distinct.len() > DISTINCT_MAX {
                    return Err(invalid(format!("{} has more than {DISTINCT_MAX} values", aggregate.name)));
                }
            }
            (Op::Min | Op::Max, value) => {
                if self.least.as_ref().is_none_or(|least| value < *least) {
                    self.least = Some(value.clone());
                }
                if self.most.as_ref().is_none_or(|most| value > *most) {
                    self.most = Some(value);
                }
            }
            (Op::Sum | Op::Avg, Known::Number(number)) => match whole(&number) {
                Some(number) => self.whole += number,
                None => self.add_float(number.as_f64().unwrap_or(0.0)),
            },
            (op, _) => {
                return Err(invalid(format!(
                    "{} is over numbers, and {} has another value",
                    op.word(),
                    aggregate.name
                )));
            }
        }
        Ok(())
    }

    fn add_float(&mut self, number: f64) {
        self.has_float = true;
        let sum = self.float + number;
        self.lost += if self.float.abs() >= number.abs() {
            (self.float - sum) + number
        } else {
            (number - sum) + self.float
        };
        self.float = sum;
    }

    fn total(&self) -> f64 {
        self.float + self.lost + self.whole as f64
    }

    fn finish(self, op: Op) -> Known {
        let float = |number: f64| Number::from_f64(number).map_or(Known::None, Known::Number);
        match op {
            Op::Count => Known::Number(self.count.into()),
            Op::CountDistinct => Known::Number((self.distinct.len() as u64).into()),
            Op::Min => self.least.unwrap_or(Known::None),
            Op::Max => self.most.unwrap_or(Known::None),
            Op::Avg if self.count == 0 => Known::None,
            Op::Avg => float(self.total() / self.count as f64),
            Op::Sum if self.has_float => float(self.total()),
            Op::Sum => i64::try_from(self.whole)
                .map(Number::from)
                .or_else(|_| u64::try_from(self.whole).map(Number::from))
                .map_or_else(|_| float(self.whole as f64), Known::Number),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::aether::declared::Declared;
    use crate::config::Limits;

    fn of(op: &str, values: &[Value]) -> Result<Value, &'static str> {
        let wish: Wish = serde_json::from_value(json!({"op": op, "field": "a"})).unwrap();
        let limits = Limits::default();
        let names = Names { declared: &Declared::default(), limits: &limits };
        let aggregates = [Aggregate::of(wish, &names).map_err(|error| error.code)?];
        let mut group = Group::new(&aggregates);
        for value in values {
            let metadata = json!({"a": value}).to_string();
            let document = DocumentInfo { metadata, ..document() };
            group.add(&aggregates, &document).map_err(|error| error.code)?;
        }
        Ok(group.finish(&aggregates)[0].told())
    }

    fn document() -> DocumentInfo {
        DocumentInfo {
            readers: None,
            expires_ms: None,
            id: "a".to_owned(),
            version: 1,
            filename: String::new(),
            content_type: String::new(),
            content_bytes: 0,
            content_digest: [0; 32],
            tags: Vec::new(),
            metadata: String::new(),
            entity: None,
            source: None,
            created_ms: 0,
            updated_ms: None,
            passages: 1,
        }
    }

    /// Lost otherwise: somebody's invoice would be off by what was rounded away.
    #[test]
    fn sums_are_exact() {
        let large = 9_007_199_254_740_993_i64;
        assert_eq!(of("sum", &[json!(large), json!(1), json!(-1)]), Ok(json!(large)));
        assert_eq!(of("sum", &vec![json!(0.1); 10]), Ok(json!(1.0)));
        assert_eq!(of("sum", &[json!(1e16), json!(1.5), json!(-1e16)]), Ok(json!(1.5)));
        assert_eq!(of("sum", &[json!(u64::MAX)]), Ok(json!(u64::MAX)));
        assert_eq!(of("avg", &[json!(1), json!(2), json!(null)]), Ok(json!(1.5)));
        assert_eq!(
            (of("sum", &[]), of("avg", &[]), of("min", &[])),
            (Ok(json!(0)), Ok(Value::Null), Ok(Value::Null))
        );
        assert_eq!(of("sum", &[json!(1), json!("2")]), Err("invalid_query"));
        assert_eq!(of("min", &[json!(3), json!(-1.5), json!(2)]), Ok(json!(-1.5)));
        assert_eq!(of("max", &[json!("b"), json!("a")]), Ok(json!("b")));
        assert_eq!(of("count", &[json!(1), json!(null), json!([1, 2])]), Ok(json!(3)));
        assert_eq!(
            of("count_distinct", &[json!(1), json!(1.0), json!("1"), json!(true), json!(2)]),
            Ok(json!(4))
        );
    }
}
