//! How does a partition leave this server, come back, or come into another one, or get a copy?
//!
//! As a signed bundle, which streams in both directions: neither side holds more than a page of it. A copy takes the same pages from one
//! partition to another of the same workspace.
//!
//! Invariants:
//! 1. Nothing of a bundle is stored before the page that it stands in was verified.
//! 2. What is there already, the same, is passed over: an import or a copy that broke off is begun anew and goes on.
//! 3. Whoever carries a partition away sees all of it: these routes are an owner's.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_engine::{BundleError, BundleHead, Export, Import, Imported, TakenIn, Whole};

use super::partitions::{collection, named, no_partition, refuse_tenant_field, refuse_tenants};
use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::control::{Action, By, Collection, Entry};
use crate::ingest::{self, notes, typed};
use crate::message::content::{Answer, Octets};
use crate::message::error::ApiError;
use crate::message::{json, pages};
use crate::usage::Tally;
use crate::{log, random};

/// A frame has room for so many bytes beside one document's content: its vectors, and others.
const BESIDE_CONTENT_BYTES: usize = 256 << 20;

/// `GET /v1/export`
pub(crate) async fn export(call: Call) -> Result<Answer<Octets>, ApiError> {
    let (app, place, by) = (call.app.clone(), call.place()?, call.by()?);
    let collection = collection(&app, &place)?;
    let beginning = app.clone();
    let export = app.pool.run(move || {
        let export = beginning.store.export(&place.scope, &place.at, Some(&collection.embedder))?;
        let export = export.ok_or_else(no_partition)?;
        tell(&beginning, &place, by, Action::PartitionExport)?;
        Ok(export)
    });
    let export = export.await?;
    let (sender, body) = pages::body();
    tokio::spawn(send_frames(app, export, sender));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let attachment = HeaderValue::from_static("attachment; filename=\"partition.bundle\"");
    headers.insert(header::CONTENT_DISPOSITION, attachment);
    Ok(Answer::of(response))
}

/// Reads frame after frame as the reader takes them.
async fn send_frames(app: Arc<App>, mut export: Export, sender: pages::Sender) {
    loop {
        let reading = app.clone();
        let read = app.pool.run(move || {
            let frame = reading.store.next_frame(&mut export)?;
            Ok((frame, export))
        });
        let sent = match read.await {
            Ok((None, _)) => return,
            Ok((Some(frame), rest)) => {
                export = rest;
                sender.send(Ok(frame.into())).await
            }
            Err(error) => {
                let why = error.cause.unwrap_or(error.code.to_owned());
                log::error(&format!("an export of a partition broke off: {why}"));
                sender.send(Err(pages::Cut)).await.ok();
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// An import on its way.
struct Arrival {
    place: Place,
    collection: Arc<Collection>,
    import: Import,
    head: Option<BundleHead>,
    taken: TakenIn,
}

/// What an import came to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ImportedBundle")]
pub(crate) struct Arrived {
    /// Null: the default partition.
    partition: Option<String>,
    documents_added: u64,
    /// There already, the same.
    documents_known: u64,
    bundle_id: String,
    /// The public key of the server that signed it.
    signer: String,
}

/// `POST /v1/import`
pub(crate) async fn import(mut call: With<Octets>) -> Result<Answer<Arrived>, ApiError> {
    let (app, place, by) = (call.app.clone(), call.place()?, call.by()?);
    refuse_tenants(&place)?;
    let collection = collection(&app, &place)?;
    let import = Import::new(app.limits.document_bytes_max.saturating_add(BESIDE_CONTENT_BYTES));
    let mut arrival = Arrival { place, collection, import, head: None, taken: TakenIn::default() };
    let mut stream = call.stream()?;
    // Held until the frames that they are of are stored.
    let mut held = Vec::new();
    while let Some((bytes, permit)) = stream.next().await.map_err(|error| arrival.so_far(error))? {
        arrival.import.push(&bytes);
        held.push(permit);
        if !arrival.import.is_ready() {
            continue;
        }
        let storing = app.clone();
        arrival = app.pool.run(move || arrival.take_in(&storing)).await?;
        if arrival.import.is_empty() {
            held.clear();
        }
    }
    app.pool
        .clone()
        .run(move || {
            arrival.import.end().map_err(|error| arrival.refuse(&error))?;
            let Arrival { place, head, taken, .. } = arrival;
            tell(&app, &place, by, Action::PartitionImport)?;
            let head = head.ok_or_else(|| ApiError::internal("a bundle that ended had no beginning"))?;
            json::answer(
                StatusCode::OK,
                &Arrived {
                    partition: place.partition().map(str::to_owned),
                    documents_added: taken.added,
                    documents_known: taken.known,
                    bundle_id: random::hex(&head.id),
                    signer: random::hex(&head.public_key),
                },
            )
        })
        .await
}

impl Arrival {
    /// Stores what has come whole. Blocks.
    fn take_in(mut self, app: &App) -> Result<Self, ApiError> {
        while let Some(said) = self.import.next_frame().map_err(|error| self.refuse(&error))? {
            match said {
                Imported::Head(head) => {
                    let spec = self.collection.spec;
                    if head.spec != spec {
                        return Err(ApiError::unacceptable(
                            "wrong_dimension",
                            format!(
                                "the bundle's vectors have {} components and are compared by {} measure, this collection's {} \
                                 and {}",
                                head.spec.dimension, head.spec.metric, spec.dimension, spec.metric
                            ),
                        ));
                    }
                    if let Some(made_by) =
                        head.embedder.as_ref().filter(|id| **id != self.collection.embedder)
                    {
                        return Err(ApiError::unacceptable(
                            "wrong_embedder",
                            format!(
                                "the bundle's vectors were made by {made_by}, this collection's by {}: they can't be compared; \
                                 import it into a collection of the same embedding",
                                self.collection.embedder
                            ),
                        ));
                    }
                    self.head = Some(head);
                }
                Imported::Page(wholes) => {
                    for whole in &wholes {
                        fits(whole, &self.place, &self.collection).map_err(|error| self.so_far(error))?;
                    }
                    let taken = take_in(app, &self.place, &self.collection, wholes);
                    let taken = taken.map_err(|error| self.so_far(error))?;
                    self.taken.added += taken.added;
                    self.taken.known += taken.known;
                }
                Imported::Tail => {}
            }
        }
        Ok(self)
    }

    fn refuse(&self, error: &BundleError) -> ApiError {
        self.so_far(ApiError::unacceptable("invalid_bundle", error.to_string()))
    }

    /// The error, with what was stored before it.
    fn so_far(&self, error: ApiError) -> ApiError {
        let TakenIn { added, known } = self.taken;
        if added + known == 0 {
            return error;
        }
        let all = added + known;
        error.with_more(&format!(
            "; {all} documents of the bundle are stored: import the whole bundle again to go on, or delete the partition"
        ))
    }
}

/// Insists that a document's metadata is what the collection wants of it: a bundle can be anybody's.
fn fits(whole: &Whole, place: &Place, collection: &Collection) -> Result<(), ApiError> {
    let metadata = notes::without(whole.metadata());
    if let Some(field) = &collection.settings.tenant_field
        && metadata.get(field).and_then(Value::as_str) != place.partition()
    {
        return Err(ApiError::unacceptable(
            "tenant_mismatch",
            format!(
                "this collection's partitions are the values of {field} in metadata, and a document of the bundle is another \
                 tenant's: import it into the partition of that id"
            ),
        ));
    }
    collection.check_metadata(&Value::Object(metadata)).map_err(|fault| {
        ApiError::unacceptable("metadata_schema", format!("metadata of a document: {fault}"))
    })
}

/// Stores a page in one write.
fn take_in(
    app: &App,
    place: &Place,
    collection: &Collection,
    mut wholes: Vec<Whole>,
) -> Result<TakenIn, ApiError> {
    let (mut bytes, mut documents) = (0, 0);
    for whole in &mut wholes {
        let metadata = whole.metadata();
        if !metadata.is_empty() && !metadata.trim_start().starts_with('{') {
            return Err(ApiError::unacceptable("invalid_metadata", "metadata must be a JSON object"));
        }
        let fields = typed::fields(metadata);
        whole.set_fields(fields);
        bytes += whole.content_bytes();
        documents += 1;
    }
    let _room = app.quotas.room(place, documents, bytes)?;
    let taken = ingest::write(&app.store, place, collection, |partition| partition.take_in(wholes.clone()))?;
    app.usage.count(place, place.key(), Tally { inserts: taken.added, bytes_in: bytes, ..Tally::default() });
    Ok(taken)
}

/// Where a copy goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CopyPartition")]
pub(crate) struct Copy {
    /// The other partition's id.
    to: String,
}

/// What a copy came to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CopiedPartition")]
pub(crate) struct Copied {
    partition: String,
    copied_from: String,
    documents_added: u64,
    /// There already, the same.
    documents_known: u64,
}

/// `POST /v1/partitions/{id}/copy`
pub(crate) async fn copy(mut call: With<Copy>) -> Result<Answer<Copied>, ApiError> {
    let (body, _) = call.json().await?;
    let (id, from) = named(&call)?;
    let to = call.place_in(&from.at.collection, Some(&body.to))?;
    if from.at == to.at {
        return Err(ApiError::malformed("invalid_partition", "a partition can't be copied to itself"));
    }
    refuse_tenants(&from)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let collection = collection(&app, &from)?;
    refuse_tenant_field(&collection)?;
    let beginning = (app.clone(), from.clone());
    let begun = app.pool.run(move || {
        let (app, from) = beginning;
        app.store.export(&from.scope, &from.at, None)?.ok_or_else(no_partition)
    });
    let (mut export, mut taken) = (begun.await?, TakenIn::default());
    // Page after page, each a turn of its own in the queue, so that a large copy keeps nobody waiting.
    loop {
        let (storing, into, of) = (app.clone(), to.clone(), collection.clone());
        let step = app.pool.run(move || {
            let Some(wholes) = export.next_page()? else { return Ok((None, export)) };
            Ok((Some(take_in(&storing, &into, &of, wholes)?), export))
        });
        let (page, rest) = step.await?;
        export = rest;
        let Some(page) = page else { break };
        taken.added += page.added;
        taken.known += page.known;
    }
    app.pool
        .clone()
        .run(move || {
            tell(&app, &from, by, Action::PartitionCopy)?;
            json::answer(
                StatusCode::OK,
                &Copied {
                    partition: body.to,
                    copied_from: id,
                    documents_added: taken.added,
                    documents_known: taken.known,
                },
            )
        })
        .await
}

/// Writes down that a partition was carried somewhere, under its incarnation.
fn tell(app: &App, place: &Place, by: By, action: Action) -> Result<(), ApiError> {
    // An empty bundle brings no partition into being, and so nothing to tell of.
    let Some(partition) = app.store.partition(&place.scope, &place.at)? else { return Ok(()) };
    let resource = random::hex(&partition.incarnation());
    let entry = Entry::done(place.scope.workspace(), by, action, resource);
    app.control.enter(|| vec![entry]).map_err(|_| {
        let text = "it is done, but the audit log's entry of it could not be written yet; the server goes on trying by itself";
        ApiError::busy("audit_unwritten", text, 60)
    })
}
