//! How does a file become a document of a collection?
//!
//! Form → metadata → partition → text, passages, vectors → one durable write. The answer comes when the document can be found, so
//! its status is `ready` from the first.
//!
//! Invariants:
//! 1. Every file of a form is checked and embedded before the first is written; those of one form become durable together.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};
use strongroom_engine::{DocumentInfo, NewDocument};
use tokio::sync::OwnedSemaphorePermit;

use super::documents::Documents;
use super::tenant;
use super::told::Document;
use crate::api::aether::fields;
use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::clock;
use crate::config::Limits;
use crate::control::Collection;
use crate::events::Event;
use crate::ingest::notes::Notes;
use crate::ingest::{self, Intake, history, media};
use crate::message::content::{self, Answer};
use crate::message::error::ApiError;
use crate::message::json::{self, Texts};
use crate::usage::{self, Tally};

/// The name of a file that has none.
const UNTITLED: &str = "document";
/// Fields beside the files.
const FIELDS_MAX: usize = 8;

/// A form with a file.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "it describes what `Form::read` takes")]
pub(crate) struct FileForm {
    #[schemars(extend("format" = "binary"))]
    file: String,
    metadata: Option<MetadataText>,
    /// Labels of those who may read it, joined by commas; with nothing in it: administrators alone.
    acl_readers: Option<String>,
    /// From when on nobody reads it, in RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
    /// The same, as so many seconds from now.
    #[schemars(range(min = 1))]
    ttl_seconds: Option<u64>,
}

/// A form with files.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "it describes what `Form::read` takes")]
pub(crate) struct FilesForm {
    files: Vec<FileBytes>,
    metadata: Option<MetadataText>,
    /// Labels of those who may read each, joined by commas; with nothing in it: administrators alone.
    acl_readers: Option<String>,
    /// From when on nobody reads them, in RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
    /// The same, as so many seconds from now.
    #[schemars(range(min = 1))]
    ttl_seconds: Option<u64>,
}

/// The bytes of a file, with its name.
#[derive(Debug, JsonSchema)]
#[schemars(extend("format" = "binary"))]
pub(crate) struct FileBytes(#[expect(dead_code, reason = "described alone")] String);

/// A JSON object as text, of each file of the form.
#[derive(Debug, JsonSchema)]
#[schemars(extend("contentMediaType" = "application/json"))]
pub(crate) struct MetadataText(#[expect(dead_code, reason = "described alone")] String);

/// `POST /v1/collections/{name}/documents`
pub(crate) async fn upload(mut call: With<content::Form<FileForm>>) -> Result<Answer<Document>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    tenant::ahead(&call, &collection)?;
    let form = Form::read(&mut call, 1).await?;
    let place = tenant::of_metadata(&call, &collection, &form.metadata)?;
    let documents = store(call.app.clone(), &collection, place, form).await?;
    let document =
        documents.first().ok_or_else(|| ApiError::internal("a document was stored and not told"))?;
    json::answer(StatusCode::CREATED, &Document::of(&collection, document))
}

/// `POST /v1/collections/{name}/documents/batch/upload`
pub(crate) async fn upload_many(
    mut call: With<content::Form<FilesForm>>,
) -> Result<Answer<Documents>, ApiError> {
    let collection = tenant::collection(&call, call.value(0)?)?;
    tenant::ahead(&call, &collection)?;
    let files_max = call.app.limits.batch_documents_max;
    let form = Form::read(&mut call, files_max).await?;
    let place = tenant::of_metadata(&call, &collection, &form.metadata)?;
    let documents = store(call.app.clone(), &collection, place, form).await?;
    let documents: Vec<_> = documents.iter().map(|document| Document::of(&collection, document)).collect();
    json::answer(StatusCode::CREATED, &Documents { total: documents.len(), documents })
}

async fn store(
    app: Arc<App>,
    collection: &Arc<Collection>,
    place: Place,
    form: Form,
) -> Result<Vec<DocumentInfo>, ApiError> {
    let metadata = checked_metadata(collection, form.metadata, &app.limits)?;
    let (readers, expires_ms) = form.terms.checked(&app.limits)?;
    let mut documents: Vec<NewDocument> = Vec::with_capacity(form.files.len());
    let mut bytes_in = 0;
    for file in form.files {
        let mut intake = file.intake(collection, metadata.clone(), &app.limits)?;
        intake.readers.clone_from(&readers);
        intake.expires_ms = expires_ms;
        let intake = app.with_text(intake).await?;
        bytes_in += intake.sent_bytes();
        let most = app.limits.passages_max;
        let document = app.models.document(&app.store, &app.pool, collection, intake, most).await?;
        documents.push(history::written_by(document, place.key()));
    }
    let (own, at, into) = (app.clone(), place.clone(), Arc::clone(collection));
    let held = form.held;
    let stored = app.pool.run(move || {
        let inserts = documents.len() as u64;
        let stored_bytes = documents.iter().map(|document| document.content.len() as u64).sum();
        let _room = own.quotas.room(&at, inserts, stored_bytes)?;
        let embedding_tokens = documents.iter().map(|document| usage::tokens(own.embedder, document)).sum();
        own.quotas.tokens(&at, embedding_tokens)?;
        let stored =
            ingest::write(&own.store, &at, &into, |partition| partition.put_many(documents.clone()))?;
        own.usage.count(&at, at.key(), Tally { inserts, bytes_in, embedding_tokens, ..Tally::default() });
        drop(held);
        Ok(stored)
    });
    let stored = stored.await?;
    for document in stored.iter().filter(|_| !place.was_answered()) {
        tell(&app, collection, &place, document);
    }
    Ok(stored)
}

/// Tells those who watch the collection.
fn tell(app: &App, collection: &Collection, place: &Place, document: &DocumentInfo) {
    app.events.tell(&collection.id, || Event {
        partition: place.at.partition.clone(),
        is_of_all: false,
        body: json!({
            "document_id": document.id,
            "collection_name": collection.name,
            "step": "store",
            "status": "ready",
            "message": "stored",
            "progress": 1.0,
            "detail": {"chunk_count": document.passages},
        }),
    });
}

/// Metadata as it is stored, if the collection takes it.
pub(super) fn checked_metadata(
    collection: &Collection,
    metadata: Map<String, Value>,
    limits: &Limits,
) -> Result<String, ApiError> {
    let most = limits.name_bytes_max;
    let metadata = Value::Object(metadata);
    if !names_are_good(&metadata, most) {
        return Err(ApiError::unacceptable(
            "invalid_metadata",
            format!("a name in the metadata has 1 to {most} bytes, and no NUL character"),
        ));
    }
    collection
        .check_metadata(&metadata)
        .map_err(|fault| ApiError::unacceptable("metadata_schema", format!("metadata: {fault}")))?;
    if metadata.as_object().is_some_and(Map::is_empty) {
        return Ok(String::new());
    }
    let text = metadata.to_string();
    if text.len() > limits.metadata_bytes_max {
        let most = limits.metadata_bytes_max;
        return Err(ApiError::unacceptable(
            "metadata_too_large",
            format!("metadata has at most {most} bytes"),
        ));
    }
    Ok(text)
}

fn names_are_good(value: &Value, most: usize) -> bool {
    match value {
        Value::Object(object) => object.iter().all(|(name, value)| {
            !name.is_empty() && name.len() <= most && !name.contains('\0') && names_are_good(value, most)
        }),
        Value::Array(values) => values.iter().all(|value| names_are_good(value, most)),
        _ => true,
    }
}

/// A form as it came.
struct Form {
    files: Vec<File>,
    metadata: Map<String, Value>,
    terms: FileTerms,
    /// Gives the budget back when the files are done with.
    held: Vec<OwnedSemaphorePermit>,
}

/// Who reads the files of a form, and how long.
#[derive(Default)]
struct FileTerms {
    acl_readers: Option<String>,
    expires_at: Option<String>,
    ttl_seconds: Option<String>,
}

impl FileTerms {
    /// Where a field of this name is kept.
    fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "acl_readers" => Some(&mut self.acl_readers),
            "expires_at" => Some(&mut self.expires_at),
            "ttl_seconds" => Some(&mut self.ttl_seconds),
            _ => None,
        }
    }

    /// Their names, and what they say.
    fn said(&self) -> [(&'static str, &Option<String>); 3] {
        [
            ("acl_readers", &self.acl_readers),
            ("expires_at", &self.expires_at),
            ("ttl_seconds", &self.ttl_seconds),
        ]
    }

    fn checked(self, limits: &Limits) -> Result<(Option<Vec<String>>, Option<u64>), ApiError> {
        let seconds = self.ttl_seconds.map(|text| text.trim().parse::<u64>()).transpose().map_err(|_| {
            ApiError::malformed("invalid_expiry", "ttl_seconds is a whole number of seconds, 1 or more")
        })?;
        let readers = fields::readers(self.acl_readers.map(Texts::Joined), limits)?;
        Ok((readers, fields::expiry(self.expires_at.as_deref(), seconds, clock::now_ms())?))
    }
}

struct File {
    name: String,
    content_type: Option<String>,
    content: Bytes,
}

impl File {
    fn intake(self, collection: &Collection, metadata: String, limits: &Limits) -> Result<Intake, ApiError> {
        let most = limits.name_bytes_max;
        if self.name.len() > most {
            return Err(ApiError::malformed("too_long", format!("a filename has at most {most} bytes")));
        }
        // Clients that know no better say so; the name's ending does.
        let told = self.content_type.as_deref().filter(|kind| media::essence(kind) != media::UNKNOWN);
        Ok(Intake {
            content_type: media::decide(None, told, &self.name)?,
            filename: self.name,
            content: self.content,
            original: None,
            notes: Notes::new(),
            tags: Vec::new(),
            metadata,
            entity: None,
            source: None,
            readers: None,
            expires_ms: None,
            chunking: collection.chunking()?,
        })
    }
}

impl Form {
    /// Reads a form of one file at least and so many at most.
    async fn read(call: &mut Call, files_max: usize) -> Result<Self, ApiError> {
        let kind =
            call.header(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind)
            .map_err(|_| malformed("a file comes as multipart/form-data, in the field `file`".to_owned()))?;
        let (bytes, held) = call.form().await?.into_parts();
        let mut parts = multer::Multipart::new(Body::from(bytes).into_data_stream(), boundary);
        let (mut files, mut metadata, mut terms, mut fields) = (Vec::new(), None, FileTerms::default(), 0);
        while let Some(part) = parts.next_field().await.map_err(unreadable)? {
            match part.name().unwrap_or_default() {
                "file" | "files" => {
                    if files.len() == files_max {
                        return Err(malformed(format!("there are at most {files_max} files in this form")));
                    }
                    let name =
                        part.file_name().filter(|name| !name.is_empty()).unwrap_or(UNTITLED).to_owned();
                    let content_type = part.content_type().map(ToString::to_string);
                    files.push(File { name, content_type, content: part.bytes().await.map_err(unreadable)? });
                }
                "metadata" if metadata.is_none() => {
                    metadata = Some(read_metadata(&part.bytes().await.map_err(unreadable)?)?);
                }
                other => {
                    let Some(field) = terms.field(other).filter(|field| field.is_none()) else {
                        let other: String = other.chars().take(64).collect();
                        return Err(malformed(format!(
                            "the field {other:?} is not known, or comes twice; a form has files, `metadata`, `acl_readers` and \
                             `expires_at` or `ttl_seconds`"
                        )));
                    };
                    *field = Some(part.text().await.map_err(unreadable)?);
                }
            }
            fields += 1;
            if fields > files_max + FIELDS_MAX {
                return Err(malformed("it has too many fields".to_owned()));
            }
        }
        if files.is_empty() {
            return Err(malformed("it has no file: send one in the field `file`".to_owned()));
        }
        if let Some(promise) = call.promise() {
            let said: Vec<u8> = metadata
                .iter()
                .flat_map(|metadata| Value::Object(metadata.clone()).to_string().into_bytes())
                .collect();
            let parts = files.iter().map(|file: &File| {
                let kind = file.content_type.as_deref().unwrap_or_default();
                [&b"file"[..], file.name.as_bytes(), kind.as_bytes(), &file.content]
            });
            let said_of_it = terms.said().map(|(name, said)| {
                [
                    name.as_bytes(),
                    if said.is_some() { &b"1"[..] } else { &[] },
                    &[],
                    said.as_deref().unwrap_or_default().as_bytes(),
                ]
            });
            let all = parts.chain([[&b"metadata"[..], &[], &[], &said]]).chain(said_of_it);
            promise.read_form(all);
        }
        Ok(Self { files, metadata: metadata.unwrap_or_default(), terms, held })
    }
}

fn read_metadata(text: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(ApiError::unacceptable("invalid_metadata", "metadata must be a JSON object")),
        Err(error) => {
            Err(ApiError::malformed("invalid_metadata", format!("metadata is not valid JSON: {error}")))
        }
    }
}

fn malformed(why: String) -> ApiError {
    ApiError::malformed("malformed_body", format!("the form can't be taken: {why}"))
}

fn unreadable(error: multer::Error) -> ApiError {
    malformed(format!("it can't be read: {error}"))
}
