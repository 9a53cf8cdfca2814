//! Which typed fields were declared, and what do structured queries make of that?
//!
//! A declaration names a field, its type and the name in the metadata that it is read from. Structured queries then know the
//! field by its name, take values of the type alone, and refuse filters by others. It is made for a whole workspace, or through
//! a partition's handle for that partition, whose own declaration goes before the workspace's.
//!
//! Invariants:
//! 1. A declaration changes nothing that is stored: what a field has is read when it is asked for, so it is never out of date.
//! 2. A request that names a partition, or whose key is pinned to one, declares and deletes what is that partition's alone.
//! 3. What is declared stands sealed in the control plane.

mod typed;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::Filter;

use crate::app::App;
use crate::auth::{Named, Place, counting};
use crate::call::{Call, With};
use crate::config::Limits;
use crate::control::fields::For;
use crate::ingest::{self, notes};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;

pub(super) use typed::{Type, at_path};

/// Fields of one workspace, or of one partition.
const FIELDS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 256;
/// Documents that are looked at to say how many have a field.
const COUNTED_MAX: u64 = 100_000;
/// What is sealed begins so, and nothing else does that is sealed under a workspace's key.
const LABEL: &[u8] = b"field 1\0";
/// What documents have of themselves.
const RESERVED: [&str; 10] = [
    "tags",
    "entity_id",
    "source",
    "content_type",
    "title",
    "filename",
    "created_at",
    "updated_at",
    "size_bytes",
    "version",
];

/// A field on its way in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewField {
    name: String,
    /// `string`, `int`, `float`, `bool`, `datetime` or `string_list`.
    #[serde(rename = "type")]
    kind: String,
    source: Source,
    /// The partition that it is for; null for all, or for the one that the request names.
    #[serde(default)]
    partition_scope: Option<String>,
}

/// Where a field is read from.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FieldSource")]
pub(crate) struct Source {
    /// A name in the metadata; names inside each other are joined by dots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    /// Not offered.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    regex: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewFields")]
pub(crate) struct Body {
    fields: Vec<NewField>,
}

/// A declared field.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Field")]
pub(crate) struct Told {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    source: Source,
    /// Null: the whole workspace.
    partition_scope: Option<String>,
    /// Documents of the partition whose value is of the type; null where there are too many to count.
    coverage: Option<u64>,
    /// Documents whose value is of another type.
    mismatch_count: Option<u64>,
    /// Always `complete`: values are read when they are asked for.
    backfill: &'static str,
}

/// Declared fields, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Fields {
    fields: Vec<Told>,
}

/// A declaration as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: Type,
    path: String,
}

/// What a query in a partition knows of fields.
#[derive(Debug, Default)]
pub(crate) struct Declared(BTreeMap<String, Known>);

#[derive(Debug)]
struct Known {
    kind: Type,
    path: String,
    is_own: bool,
}

impl Declared {
    /// Those of the workspace, and the partition's own. Blocks.
    pub(super) fn load(app: &App, place: &Place) -> Result<Self, ApiError> {
        let mut fields = BTreeMap::new();
        let own = app.usage.hash_of(place).map(For::Partition);
        for whose in std::iter::once(For::Workspace).chain(own) {
            for field in kept(app, place, whose)? {
                let Field { name, kind, path } = field;
                fields.insert(name, Known { kind, path, is_own: whose != For::Workspace });
            }
        }
        Ok(Self(fields))
    }

    /// A field's type and where it is read from.
    pub(super) fn find(&self, name: &str) -> Option<(Type, &str)> {
        self.0.get(name).map(|known| (known.kind, known.path.as_str()))
    }
}

fn kept(app: &App, place: &Place, whose: For) -> Result<Vec<Field>, ApiError> {
    let workspace = place.scope.workspace();
    let mut fields = Vec::new();
    for sealed in app.control.fields(workspace, whose)? {
        let opened = app.store.open_secret(&counting(workspace, None), &sealed)?;
        let field = opened.as_deref().and_then(|text| text.strip_prefix(LABEL));
        let field = field.and_then(|text| serde_json::from_slice(text).ok());
        fields.push(field.ok_or_else(|| ApiError::internal("a declared field does not open"))?);
    }
    Ok(fields)
}

/// `PUT /v1/schema/fields`
pub(crate) async fn declare(mut call: With<Body>) -> Result<Answer<Fields>, ApiError> {
    let (Body { fields }, _) = call.json().await?;
    let place = call.place()?;
    let is_own = is_own(&call)?;
    if fields.is_empty() || fields.len() > FIELDS_MAX {
        return Err(ApiError::malformed("invalid_fields", format!("fields are 1 to {FIELDS_MAX}")));
    }
    let mut groups: Vec<(Option<Place>, Vec<Field>)> = Vec::new();
    for field in fields {
        let of = match (&field.partition_scope, is_own) {
            (None, true) => Some(place.clone()),
            (None, false) => None,
            (Some(name), true) if place.partition() == Some(name) => Some(place.clone()),
            (Some(_), true) => {
                return Err(ApiError::malformed(
                    "invalid_partition",
                    "partition_scope is another partition than the one that the request acts on; name one",
                ));
            }
            (Some(name), false) => {
                Some(call.caller()?.place(Named { collection: None, partition: Some(name) })?)
            }
        };
        let field = checked(field, &call.app.limits)?;
        let at = groups.iter().position(|(known, _)| {
            known.as_ref().map(|place| &place.at) == of.as_ref().map(|place| &place.at)
        });
        let at = at.unwrap_or_else(|| {
            groups.push((of, Vec::new()));
            groups.len() - 1
        });
        if groups[at].1.iter().any(|other| other.name == field.name) {
            return Err(ApiError::malformed("invalid_fields", "a field comes twice; declare it once"));
        }
        groups[at].1.push(field);
    }
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        for (of, fields) in &groups {
            put(&app, &place, of.as_ref(), fields)?;
        }
        let mut told = list_of(&app, &place)?;
        for elsewhere in groups.iter().filter_map(|(of, _)| of.as_ref()).filter(|of| of.at != place.at) {
            told.extend(
                list_of(&app, elsewhere)?.into_iter().filter(|field| field.partition_scope.is_some()),
            );
        }
        json::answer(StatusCode::OK, &Fields { fields: told })
    })
    .await
}

/// `GET /v1/schema/fields`
pub(crate) async fn list(call: Call) -> Result<Answer<Fields>, ApiError> {
    let (app, place) = (call.app.clone(), call.place()?);
    let pool = app.pool.clone();
    pool.run(move || json::answer(StatusCode::OK, &Fields { fields: list_of(&app, &place)? })).await
}

/// `DELETE /v1/schema/fields/{name}`
pub(crate) async fn delete(call: Call) -> Result<Answer<Fields>, ApiError> {
    let (app, place, name) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let is_own = is_own(&call)?;
    let pool = app.pool.clone();
    pool.run(move || {
        let whose = whose(&app, is_own.then_some(&place));
        if !app.control.remove_field(place.scope.workspace(), whose, &name)? {
            return Err(ApiError::missing("field_not_found", "no such field is declared here"));
        }
        json::answer(StatusCode::OK, &Fields { fields: list_of(&app, &place)? })
    })
    .await
}

/// Whether a request is about one partition's own fields.
fn is_own(call: &Call) -> Result<bool, ApiError> {
    Ok(call.query.get("partition").is_some() || call.caller()?.pins().partition.is_some())
}

fn whose(app: &App, of: Option<&Place>) -> For {
    of.and_then(|place| app.usage.hash_of(place)).map_or(For::Workspace, For::Partition)
}

fn checked(field: NewField, limits: &Limits) -> Result<Field, ApiError> {
    let NewField { name, kind, source, .. } = field;
    let invalid = |why: String| Err(ApiError::malformed("invalid_fields", why));
    let is_name =
        |text: &str, most: usize| !text.trim().is_empty() && text.len() <= most && !text.contains('\0');
    if !is_name(&name, NAME_BYTES_MAX) {
        return invalid(format!(
            "the name of a field has 1 to {NAME_BYTES_MAX} bytes, not all white space, and no NUL character"
        ));
    }
    if RESERVED.contains(&name.as_str()) || name.starts_with("metadata.") {
        return invalid(format!("{name:?} is what each document has of itself; choose another name"));
    }
    let Some(kind) = Type::parse(&kind) else {
        return invalid(format!("the type of a field is one of {}", Type::WORDS.join(", ")));
    };
    match source {
        Source { regex: Some(_), .. } => {
            Err(ApiError::not_offered("a field that is read from the text by a regular expression"))
        }
        Source { metadata: Some(path), .. } if is_name(&path, limits.name_bytes_max) => {
            Ok(Field { name, kind, path })
        }
        Source { .. } => invalid("source is {\"metadata\": \"<name in the metadata>\"}".to_owned()),
    }
}

fn put(app: &App, place: &Place, of: Option<&Place>, fields: &[Field]) -> Result<(), ApiError> {
    let workspace = place.scope.workspace();
    let mut rows = Vec::with_capacity(fields.len());
    for field in fields {
        let text = serde_json::to_vec(field).unwrap_or_default();
        let sealed = app.store.seal_secret(&counting(workspace, None), &[LABEL, &text].concat())?;
        rows.push((field.name.as_str(), sealed));
    }
    if app.control.put_fields(workspace, whose(app, of), &rows, FIELDS_MAX)? {
        return Ok(());
    }
    Err(ApiError::conflict(
        "too_many_fields",
        format!(
            "at most {FIELDS_MAX} fields are declared for a workspace, and as many for a partition; delete one first"
        ),
    ))
}

/// The fields that are known in a partition, and how many of its documents have them. Blocks.
fn list_of(app: &App, place: &Place) -> Result<Vec<Told>, ApiError> {
    let Declared(fields) = Declared::load(app, place)?;
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let known: Vec<&Known> = fields.values().collect();
    let begin = || vec![(0_u64, 0_u64); known.len()];
    let counted = ingest::read(&app.store, place, |partition| {
        partition.fold(&Filter::default(), COUNTED_MAX, begin, |counts: &mut Vec<(u64, u64)>, document| {
            let metadata = notes::without(&document.metadata);
            for (field, (has, other)) in known.iter().zip(counts) {
                match at_path(&metadata, &field.path) {
                    None => {}
                    Some(value) if field.kind.read(&value).is_some() => *has += 1,
                    Some(_) => *other += 1,
                }
            }
        })
    })?;
    let counts = counted.unwrap_or_else(|| Some(begin()));
    let told = fields.iter().enumerate().map(|(at, (name, field))| {
        let counted = counts.as_ref().map(|counts| counts[at]);
        Told {
            name: name.clone(),
            kind: field.kind.word(),
            source: Source { metadata: Some(field.path.clone()), regex: None },
            partition_scope: field.is_own.then(|| place.partition().map(str::to_owned)).flatten(),
            coverage: counted.map(|(has, _)| has),
            mismatch_count: counted.map(|(_, other)| other),
            backfill: "complete",
        }
    });
    Ok(told.collect())
}
