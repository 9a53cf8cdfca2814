//! Whose partition does a call on a collection act on?
//!
//! A collection with a `tenant_field` keeps each tenant in a partition of its own, and the field's value *is* the partition: an
//! upload and an upsert name it in their metadata, a query in its filters. A collection without one has the partition that
//! `?partition=` names, or that the key is pinned to, or the default one.
//!
//! Invariants:
//! 1. What is written or searched in a collection with a `tenant_field` names exactly one tenant, in the one form that leaves no
//!    doubt; a `?partition=` beside it names the same.
//! 2. A call by an id alone acts on that id wherever the key reaches: in its own partition, or, for a key that covers the
//!    whole collection, in each of a `tenant_field`'s partitions that holds it.
//! 3. A key that is pinned to a partition without a collection is pinned to one of the collection `default`.

use std::sync::Arc;

use serde_json::{Map, Value};
use strongroom_engine::{Damage, DocumentInfo, Partition, PartitionRef, ReadError, Scope};

use crate::app::App;
use crate::auth::{Place, partition_name};
use crate::call::Call;
use crate::control::{By, Collection, no_collection};
use crate::erasure;
use crate::idempotency::Promise;
use crate::ingest;
use crate::message::error::{ApiError, no_document};
use crate::watch::Watch;
use crate::whole::Whole;

/// The collection of this name, unless the caller's key is for another.
pub(super) fn collection(call: &Call, name: &str) -> Result<Arc<Collection>, ApiError> {
    let caller = call.caller()?;
    caller.within_collection(name)?;
    call.app.control.collection(caller.workspace()?.id, name).ok_or_else(no_collection)
}

/// What the address alone says, before the body is read: the partition, where no tenant is to be named.
pub(super) fn ahead(call: &Call, collection: &Collection) -> Result<(), ApiError> {
    let named = call.query.get("partition");
    if named.is_some() || collection.settings.tenant_field.is_none() {
        own(call, collection, named)?;
    }
    Ok(())
}

/// The partition that metadata belongs into.
pub(super) fn of_metadata(
    call: &Call,
    collection: &Collection,
    metadata: &Map<String, Value>,
) -> Result<Place, ApiError> {
    let Some(field) = &collection.settings.tenant_field else {
        return own(call, collection, call.query.get("partition"));
    };
    match metadata.get(field) {
        Some(Value::String(tenant)) => tenants(call, collection, tenant),
        Some(_) => Err(not_one(field, "in the metadata it is one text")),
        None => Err(missing(call, collection, field, "metadata")),
    }
}

/// The partition that filters name, and takes that out of them.
pub(super) fn of_filters(
    call: &Call,
    collection: &Collection,
    filters: &mut Map<String, Value>,
) -> Result<Place, ApiError> {
    let Some(field) = &collection.settings.tenant_field else {
        return own(call, collection, call.query.get("partition"));
    };
    let named = filters.shift_remove(field);
    if filters.values().any(|value| mentions(value, field)) {
        return Err(not_one(
            field,
            "it stands beside the other fields, not inside of $or, $and, $not or another field",
        ));
    }
    let Some(named) = named else { return Err(missing(call, collection, field, "filters")) };
    let tenant =
        one(&named).ok_or_else(|| not_one(field, "give a text, {\"$eq\": text} or {\"$in\": [text]}"))?;
    tenants(call, collection, tenant)
}

/// The one text that a filter asks for, if it asks for one text and nothing else.
fn one(filter: &Value) -> Option<&str> {
    match filter {
        Value::String(text) => Some(text),
        Value::Object(operators) if operators.len() == 1 => {
            match (operators.get("$eq"), operators.get("$in")) {
                (Some(Value::String(text)), None) => Some(text),
                (None, Some(Value::Array(texts))) => match texts.as_slice() {
                    [Value::String(text)] => Some(text),
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether a field is spoken of anywhere in it.
fn mentions(value: &Value, field: &str) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(name, value)| name == field || mentions(value, field)),
        Value::Array(values) => values.iter().any(|value| mentions(value, field)),
        _ => false,
    }
}

/// The partition of a tenant that was named.
fn tenants(call: &Call, collection: &Collection, tenant: &str) -> Result<Place, ApiError> {
    if call.query.get("partition").is_some_and(|named| named != tenant) {
        return Err(ApiError::malformed(
            "invalid_partition",
            "the address and the body name different tenants; name one",
        ));
    }
    own(call, collection, Some(tenant))
}

/// The partition that is named, or that the key comes to without a name.
fn own(call: &Call, collection: &Collection, named: Option<&str>) -> Result<Place, ApiError> {
    let place = call.place_in(&collection.name, named)?;
    let pinned = call.caller()?.pins().partition.is_some();
    match place.partition() {
        // Naming it asks whether it is of this collection.
        Some(name) if pinned && named.is_none() => call.place_in(&collection.name, Some(name)),
        _ => Ok(place),
    }
}

fn missing(call: &Call, collection: &Collection, field: &str, place: &str) -> ApiError {
    // A key that serves many tenants is told what it is told everywhere.
    if let Err(error) = own(call, collection, call.query.get("partition")) {
        return error;
    }
    ApiError::malformed(
        "tenant_required",
        format!(
            "this collection keeps each tenant apart by the field `{field}`: {place} must name exactly one, as \
             {{\"{field}\": \"<tenant>\"}}"
        ),
    )
}

fn not_one(field: &str, how: &str) -> ApiError {
    ApiError::malformed(
        "tenant_required",
        format!("the field `{field}` must name exactly one tenant, and nothing else: {how}"),
    )
}

/// The partition whose documents are listed.
pub(super) fn listed(call: &Call, collection: &Collection) -> Result<Place, ApiError> {
    let named = call.query.get("partition");
    let place = own(call, collection, named)?;
    if collection.settings.tenant_field.is_some() && place.at.partition.is_none() {
        return Err(ApiError::malformed(
            "partition_required",
            "this collection keeps each tenant apart: say whose documents to list, with ?partition=<tenant>, or use a key that is \
             pinned to one",
        ));
    }
    Ok(place)
}

/// Where a call by an id alone looks.
pub(super) enum Reach {
    /// In one partition.
    One(Place),
    /// In all that the collection has.
    All {
        collection: Arc<Collection>,
        scope: Scope,
        /// The key that what is done counts on.
        key: Option<Arc<str>>,
        watch: Option<Arc<Watch>>,
        /// Whether what is done is to be done once.
        promise: Option<Arc<Promise>>,
    },
}

/// What is found of a document.
pub(super) trait Found {
    /// The document, if it is shown.
    fn document(&self) -> Option<&DocumentInfo>;
}

impl Found for DocumentInfo {
    fn document(&self) -> Option<&DocumentInfo> {
        Some(self)
    }
}

impl<T> Found for (DocumentInfo, T) {
    fn document(&self) -> Option<&DocumentInfo> {
        Some(&self.0)
    }
}

impl Found for Result<Whole, ApiError> {
    fn document(&self) -> Option<&DocumentInfo> {
        self.as_ref().ok().map(|whole| &whole.document)
    }
}

/// Where this call looks.
pub(super) fn by_id(call: &Call, collection: &Arc<Collection>) -> Result<Reach, ApiError> {
    let (caller, named) = (call.caller()?, call.query.get("partition"));
    let is_one = named.is_some() || caller.is_multi_tenant() || caller.pins().partition.is_some();
    if is_one || collection.settings.tenant_field.is_none() {
        return Ok(Reach::One(own(call, collection, named)?));
    }
    Ok(Reach::All {
        collection: Arc::clone(collection),
        scope: caller.whole_collection(&collection.name)?,
        key: caller.key_id().map(Arc::from),
        watch: call.watch(),
        promise: call.promise(),
    })
}

impl Reach {
    /// What is found of a document, in the first partition that has it. Blocks.
    pub(super) fn find<T: Found>(
        &self,
        app: &App,
        id: &str,
        mut look: impl FnMut(&Partition) -> Result<Option<T>, ReadError>,
    ) -> Result<T, ApiError> {
        match self {
            Self::One(place) => {
                let found = ingest::read(&app.store, place, look)?.flatten().ok_or_else(no_document)?;
                found.document().into_iter().for_each(|document| place.shows(document));
                Ok(found)
            }
            Self::All { collection, scope, .. } => {
                let holders = app.store.holders(scope, &collection.name, id)?;
                for partition in &holders.partitions {
                    match look(partition) {
                        Ok(Some(found)) => {
                            let place = self.place_of(partition)?;
                            found.document().into_iter().for_each(|document| place.shows(document));
                            return Ok(found);
                        }
                        // It went meanwhile.
                        Ok(None) | Err(ReadError::Dropped) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(holders.unread.map_or_else(no_document, quarantined))
            }
        }
    }

    /// The partitions that hold a document, and what keeps one from being looked at. Blocks.
    pub(super) fn holders(&self, app: &App, id: &str) -> Result<(Vec<Place>, Option<Damage>), ApiError> {
        match self {
            Self::One(place) => {
                let is_there =
                    ingest::read(&app.store, place, |partition| partition.get(id))?.flatten().is_some();
                Ok((is_there.then(|| place.clone()).into_iter().collect(), None))
            }
            Self::All { collection, scope, .. } => {
                let holders = app.store.holders(scope, &collection.name, id)?;
                Ok((self.places(&holders.partitions)?, holders.unread))
            }
        }
    }

    /// Where partitions of the collection are.
    fn places(&self, partitions: &[Partition]) -> Result<Vec<Place>, ApiError> {
        partitions.iter().map(|partition| self.place_of(partition)).collect()
    }

    /// One of the partitions.
    fn place_of(&self, partition: &Partition) -> Result<Place, ApiError> {
        match self {
            Self::One(place) => Ok(place.clone()),
            Self::All { collection, scope, key, watch, promise } => {
                let partition = partition.name().as_deref().map(partition_name).transpose()?;
                let at = PartitionRef { collection: collection.name.clone(), partition };
                let (scope, key, watch) = (scope.clone(), key.clone(), watch.clone());
                Ok(Place { scope, at, key, promise: promise.clone(), watch })
            }
        }
    }

    /// The partitions that did what this request asks for before, and wouldn't be found by it any more. Blocks.
    fn answerers(&self, app: &App) -> Result<Vec<Place>, ApiError> {
        match self {
            Self::One(place) if place.promise.is_some() => Ok(vec![place.clone()]),
            Self::All { collection, scope, promise: Some(promise), .. } => {
                let answerers = app.store.answerers(scope, &collection.name, promise.once())?;
                self.places(&answerers.partitions)
            }
            Self::One(_) | Self::All { .. } => Ok(Vec::new()),
        }
    }

    /// Purges documents wherever they are, those of a partition together. Answers for each whether it was there. Blocks.
    pub(super) fn purge(
        &self,
        app: &App,
        ids: &[String],
        by: &By,
    ) -> Result<Vec<Result<bool, ApiError>>, ApiError> {
        let mut outcomes = Vec::with_capacity(ids.len());
        let mut places: Vec<(Place, Vec<usize>)> =
            self.answerers(app)?.into_iter().map(|place| (place, Vec::new())).collect();
        for (number, id) in ids.iter().enumerate() {
            let (found, unread) = self.holders(app, id)?;
            outcomes.push(unread.map_or(Ok(false), |damage| Err(quarantined(damage))));
            for place in found {
                match places.iter_mut().find(|(known, _)| known.at == place.at) {
                    Some((_, of_place)) => of_place.push(number),
                    None => places.push((place, vec![number])),
                }
            }
        }
        for (place, numbers) in places {
            let here: Vec<&str> = numbers.iter().map(|&number| ids[number].as_str()).collect();
            match erasure::purge_these(&app.control, &app.store, &place, &here, by.clone()) {
                Ok(Some(done)) => {
                    if !done.is_again {
                        app.deleted(&place, done.ids.len() as u64);
                    }
                    for (id, outcome) in ids.iter().zip(&mut outcomes) {
                        if done.ids.contains(id) {
                            *outcome = Ok(true);
                        }
                    }
                }
                // Another call took them first.
                Ok(None) => {}
                Err(error) if error.code == "idempotency_conflict" => return Err(error),
                Err(error) => numbers.iter().for_each(|&number| outcomes[number] = Err(error.clone())),
            }
        }
        Ok(outcomes)
    }
}

fn quarantined(damage: Damage) -> ApiError {
    ReadError::Quarantined(damage).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Lost otherwise: a query that names two tenants, or none, would be answered from one of them, or from all.
    #[test]
    fn one_tenant_is_named_in_three_ways_and_no_other() {
        for named in [json!("acme"), json!({"$eq": "acme"}), json!({"$in": ["acme"]})] {
            assert_eq!(one(&named), Some("acme"), "{named}");
        }
        for refused in [
            json!(null),
            json!(7),
            json!(["acme"]),
            json!({}),
            json!({"$in": []}),
            json!({"$in": ["acme", "globex"]}),
            json!({"$in": ["acme", "acme"]}),
            json!({"$in": "acme"}),
            json!({"$eq": ["acme"]}),
            json!({"$eq": 7}),
            json!({"$ne": "globex"}),
            json!({"$gte": "acme"}),
            json!({"$eq": "acme", "$in": ["acme"]}),
            json!({"$eq": "acme", "$ne": "globex"}),
            json!({"$not": {"$eq": "acme"}}),
        ] {
            assert_eq!(one(&refused), None, "{refused}");
        }
    }

    #[test]
    fn a_field_inside_of_others_is_seen() {
        for (filters, is_there) in [
            (json!([{"tenant": "acme"}, {"tenant": "globex"}]), true),
            (json!({"not": {"tenant": "acme"}}), true),
            (json!({"$eq": "tenant"}), false),
            (json!("tenant"), false),
        ] {
            assert_eq!(mentions(&filters, "tenant"), is_there, "{filters}");
        }
    }
}
