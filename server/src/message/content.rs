//! What does a body hold, by the types of those who read and write it?
//!
//! A handler says in its signature what it reads ([`With`](crate::call::With)) and what it answers ([`Answer`]), and
//! `/openapi.json` is made from those types: a body that nobody described can't be read, and none can be written.
//!
//! To describe a type, derive `JsonSchema` beside serde's traits, name the component with `#[schemars(rename = "…")]` so that
//! it is unlike every other, and write of each field, in its doc comment, what its reader has to know.
//!
//! Invariants:
//! 1. What is not JSON has a type of its own here, which says its media types.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use axum::response::Response;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// An answer whose body is a `B`.
#[derive(Debug)]
pub(crate) struct Answer<B> {
    response: Response,
    /// Contravariant, so that the answer of a body that borrows is told by the `'static` form of its type.
    body: PhantomData<fn(B)>,
}

impl<B> Answer<B> {
    /// A response whose body was written as a `B`.
    pub(crate) fn of(response: Response) -> Self {
        Self { response, body: PhantomData }
    }

    /// The response itself.
    pub(crate) fn into_response(self) -> Response {
        self.response
    }
}

impl<B> Deref for Answer<B> {
    type Target = Response;
    fn deref(&self) -> &Response {
        &self.response
    }
}

impl<B> DerefMut for Answer<B> {
    fn deref_mut(&mut self) -> &mut Response {
        &mut self.response
    }
}

/// What a body can be.
pub(crate) trait Content {
    /// What OpenAPI has under `content`: media types, each with its schema. Nothing when there is no such body.
    fn content(schemas: &mut SchemaGenerator) -> Map<String, Value>;
}

/// JSON, for every type that has a schema.
impl<T: JsonSchema> Content for T {
    fn content(schemas: &mut SchemaGenerator) -> Map<String, Value> {
        media("application/json", schemas.subschema_for::<T>().to_value())
    }
}

/// One media type.
pub(crate) fn media(kind: &str, schema: Value) -> Map<String, Value> {
    Map::from_iter([(kind.to_owned(), json!({"schema": schema}))])
}

/// No body, as no handler answers with one that only refuses.
#[derive(Debug)]
pub(crate) struct Nothing(Infallible);

impl Content for Nothing {
    fn content(_: &mut SchemaGenerator) -> Map<String, Value> {
        Map::new()
    }
}

/// Bytes of any kind, as somebody brought them.
#[derive(Debug)]
pub(crate) struct Octets(Infallible);

impl Content for Octets {
    fn content(_: &mut SchemaGenerator) -> Map<String, Value> {
        media("*/*", json!({"type": "string", "format": "binary"}))
    }
}

/// A form of files and fields, which a `T` describes.
#[derive(Debug)]
pub(crate) struct Form<T>(Infallible, PhantomData<T>);

impl<T: JsonSchema> Content for Form<T> {
    fn content(schemas: &mut SchemaGenerator) -> Map<String, Value> {
        media("multipart/form-data", schemas.subschema_for::<T>().to_value())
    }
}

/// A table in JSON, or as comma-separated values.
#[derive(Debug)]
pub(crate) struct Table<T>(Infallible, PhantomData<T>);

impl<T: JsonSchema> Content for Table<T> {
    fn content(schemas: &mut SchemaGenerator) -> Map<String, Value> {
        let mut both = T::content(schemas);
        both.extend(media("text/csv", json!({"type": "string"})));
        both
    }
}

/// Declares a kind of text by its media type.
macro_rules! text {
    ($(#[$meta:meta])* $name:ident, $kind:literal) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub(crate) struct $name(Infallible);

        impl Content for $name {
            fn content(_: &mut SchemaGenerator) -> Map<String, Value> {
                media($kind, json!({"type": "string"}))
            }
        }
    };
}

text!(
    /// A page for browsers.
    Page, "text/html"
);
text!(
    /// Plain text, such as Prometheus reads.
    Text, "text/plain"
);
text!(
    /// A JSON value on each line.
    JsonLines, "application/jsonl"
);
text!(
    /// Server-sent events.
    Events, "text/event-stream"
);
