//! What can be asked of a document, and what does one answer?
//!
//! A [`Condition`] is a tree of *and*, *or* and *not* over tests. Here it is answered from a document itself, as
//! memtables are asked; [`answer`](super::answer) does the same from a segment's indexes.

use std::ops::Bound;
use strongroom_format::document::Document;
use strongroom_format::fields::{FieldValue, Number};

/// What is asked of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Each of these holds; none of none.
    All(Vec<Condition>),
    /// One of these holds at least; none of none does.
    Any(Vec<Condition>),
    /// This doesn't hold.
    Not(Box<Condition>),
    /// One of the subject's values passes the test.
    Is(Subject, Test),
}

/// What a test is about. Each has any number of values in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Its tags, as texts.
    Tag,
    /// Its entity.
    Entity,
    /// Its source.
    Source,
    /// Its media type.
    ContentType,
    /// When it was created, as a number of milliseconds since 1970.
    Created,
    /// When it was updated last, likewise; no value when it never was.
    Updated,
    /// What its metadata has at this path.
    Field(String),
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Anything.
    Exists,
    /// Equal to one of these.
    In(Vec<FieldValue>),
    /// Of the kind of the bounds, and between them. Texts stand in the order of their bytes.
    Between(Bound<FieldValue>, Bound<FieldValue>),
    /// A text that has this one in it.
    Contains(String),
    /// A text that begins with this one.
    Prefix(String),
}

impl Condition {
    /// Whether it holds for a document.
    pub fn holds(&self, document: &Document) -> bool {
        match self {
            Self::All(all) => all.iter().all(|condition| condition.holds(document)),
            Self::Any(any) => any.iter().any(|condition| condition.holds(document)),
            Self::Not(not) => !not.holds(document),
            Self::Is(subject, test) => {
                let passes = |text: &str| test.passes_text(text);
                match subject {
                    Subject::Tag => document.tags.iter().any(|tag| passes(tag)),
                    Subject::Entity => document.entity.as_deref().is_some_and(passes),
                    Subject::Source => document.source.as_deref().is_some_and(passes),
                    Subject::ContentType => passes(&document.content_type),
                    Subject::Created => test.passes_time(Some(document.created_ms)),
                    Subject::Updated => test.passes_time(document.updated_ms),
                    Subject::Field(path) => {
                        let mut at_path = document.fields.iter().filter(|field| field.path == *path);
                        at_path.any(|field| test.passes(&field.value))
                    }
                }
            }
        }
    }
}

impl Test {
    /// Whether a value passes.
    pub fn passes(&self, value: &FieldValue) -> bool {
        match (self, value) {
            (Self::Exists, _) => true,
            (Self::In(wanted), value) => wanted.contains(value),
            (Self::Between(from, to), value) => {
                let of_kind =
                    |bound: &FieldValue| std::mem::discriminant(bound) == std::mem::discriminant(value);
                let above = match from {
                    Bound::Included(from) => of_kind(from) && value >= from,
                    Bound::Excluded(from) => of_kind(from) && value > from,
                    Bound::Unbounded => true,
                };
                above
                    && match to {
                        Bound::Included(to) => of_kind(to) && value <= to,
                        Bound::Excluded(to) => of_kind(to) && value < to,
                        Bound::Unbounded => true,
                    }
            }
            (Self::Contains(part), FieldValue::Text(text)) => text.contains(part),
            (Self::Prefix(prefix), FieldValue::Text(text)) => text.starts_with(prefix),
            (Self::Contains(_) | Self::Prefix(_), _) => false,
        }
    }

    /// Whether a text passes.
    pub fn passes_text(&self, text: &str) -> bool {
        match self {
            Self::Exists => true,
            Self::In(wanted) => {
                wanted.iter().any(|wanted| matches!(wanted, FieldValue::Text(wanted) if wanted == text))
            }
            Self::Between(..) => self.passes(&FieldValue::Text(text.to_owned())),
            Self::Contains(part) => text.contains(part),
            Self::Prefix(prefix) => text.starts_with(prefix),
        }
    }

    /// Whether a time, if there is one, passes.
    pub fn passes_time(&self, at_ms: Option<u64>) -> bool {
        at_ms.is_some_and(|at_ms| self.passes(&FieldValue::Number(Number::from(at_ms))))
    }
}
