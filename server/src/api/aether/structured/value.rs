//! What has a document under the name of a field?
//!
//! The names are those of filters: a name of the metadata, or one of the document's own fields.

use std::cmp::Ordering;

use serde_json::{Number, Value, json};
use strongroom_engine::DocumentInfo;

use crate::api::aether::declared::{Declared, Type, at_path};
use crate::clock;
use crate::config::Limits;
use crate::ingest::{notes, original};
use crate::message::error::ApiError;

/// A field's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FieldName {
    Tags,
    Entity,
    Source,
    ContentType,
    Title,
    Created,
    Updated,
    Size,
    Version,
    Metadata(String),
    /// One that was declared: values of its type, from this place in the metadata.
    Declared(Type, String),
}

/// What names of fields mean.
pub(super) struct Names<'a> {
    pub(super) declared: &'a Declared,
    pub(super) limits: &'a Limits,
}

impl FieldName {
    pub(super) fn parse(name: &str, names: &Names<'_>) -> Result<Self, ApiError> {
        if let Some((kind, path)) = names.declared.find(name) {
            return Ok(Self::Declared(kind, path.to_owned()));
        }
        Ok(match name {
            "tags" => Self::Tags,
            "entity_id" => Self::Entity,
            "source" => Self::Source,
            "content_type" => Self::ContentType,
            "title" | "filename" => Self::Title,
            "created_at" => Self::Created,
            "updated_at" => Self::Updated,
            "size_bytes" => Self::Size,
            "version" => Self::Version,
            other => {
                let path = other.strip_prefix("metadata.").unwrap_or(other);
                let most = names.limits.name_bytes_max;
                if path.is_empty() || path.len() > most {
                    return Err(super::invalid(format!("the name of a field has 1 to {most} bytes")));
                }
                Self::Metadata(path.to_owned())
            }
        })
    }

    /// The values that a document has, if any.
    pub(super) fn all_of(&self, document: &DocumentInfo) -> Vec<Known> {
        let text = |text: &str| vec![Known::Text(text.to_owned())];
        let time = |ms| vec![Known::Text(clock::rfc3339(ms))];
        match self {
            Self::Tags => document.tags.iter().map(|tag| Known::Text(tag.clone())).collect(),
            Self::Entity => document.entity.as_deref().map_or_else(Vec::new, text),
            Self::Source => document.source.as_deref().map_or_else(Vec::new, text),
            Self::ContentType => text(&document.content_type),
            Self::Title => text(&document.filename),
            Self::Created => time(document.created_ms),
            Self::Updated => document.updated_ms.map_or_else(Vec::new, time),
            Self::Size => vec![Known::Number(original::size(document).into())],
            Self::Version => vec![Known::Number(document.version.into())],
            Self::Metadata(path) => match at_path(&notes::without(&document.metadata), path) {
                Some(Value::Array(values)) => values.iter().filter_map(Known::of).collect(),
                Some(value) => Known::of(&value).into_iter().collect(),
                None => Vec::new(),
            },
            Self::Declared(kind, path) => {
                let value = at_path(&notes::without(&document.metadata), path);
                let values = value.and_then(|value| kind.read(&value)).unwrap_or_default();
                values.iter().filter_map(Known::of).collect()
            }
        }
    }

    /// The first of them, for groups and orders.
    pub(super) fn first_of(&self, document: &DocumentInfo) -> Known {
        self.all_of(document).into_iter().next().unwrap_or(Known::None)
    }
}

/// A value that is compared with others. Those of one kind are in their order, kinds one after the other.
#[derive(Debug, Clone)]
pub(super) enum Known {
    None,
    Bool(bool),
    Number(Number),
    Text(String),
}

impl Known {
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(bool) => Some(Self::Bool(*bool)),
            Value::Number(number) => Some(Self::Number(number.clone())),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// As answers show it.
    pub(super) fn told(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Bool(bool) => json!(bool),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => json!(text),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

/// Compares numbers by what they are: whole numbers exactly.
fn numbers(a: &Number, b: &Number) -> Ordering {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => {
            let float = |number: &Number| number.as_f64().unwrap_or(0.0) + 0.0;
            float(a).total_cmp(&float(b))
        }
    }
}

/// A whole number, if it is one.
pub(super) fn whole(number: &Number) -> Option<i128> {
    number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from))
}

impl Ord for Known {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => numbers(a, b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (a, b) => a.kind().cmp(&b.kind()),
        }
    }
}

impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Known {}

/// The order of a sort: what isn't there comes last, whichever way.
pub(super) fn in_order(a: &Known, b: &Known, is_falling: bool) -> Ordering {
    match (a, b) {
        (Known::None, Known::None) => Ordering::Equal,
        (Known::None, _) => Ordering::Greater,
        (_, Known::None) => Ordering::Less,
        (a, b) if is_falling => b.cmp(a),
        (a, b) => a.cmp(b),
    }
}
