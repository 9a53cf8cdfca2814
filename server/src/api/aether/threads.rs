//! What is a conversation, and what can be done with one?
//!
//! A thread is the documents of one partition whose ids say that they are its turns (`turns`). The engine takes an id once, so two
//! turns never have one number, however many are appended at the same time.
//!
//! Invariants:
//! 1. A thread is one partition's: of the same name in another it is another thread.
//! 2. What is done with a whole thread is one durable write.

use axum::http::StatusCode;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_embed::ChunkOptions;
use strongroom_engine::{DocumentInfo, Said, Sibling, WriteError};

use super::fields;
use super::moving::{self, Move};
use super::record::Record;
use super::turns::{self, is_of, turn_id, turn_of};
use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::config::Limits;
use crate::control::scopes::Scope;
use crate::control::{Action, Entry};
use crate::ingest::notes::{self, Notes};
use crate::ingest::{self, Intake, history};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json::{self, Texts};
use crate::message::query::Query;
use crate::{clock, erasure, random};

/// The last turns of a thread that one answer has at most.
const TURNS_MAX: usize = 1000;

fn thread_of(call: &Call) -> Result<String, ApiError> {
    turns::checked(call.value(0)?).map(str::to_owned)
}

/// The ids of a thread's turns, in their order, and whether each is deleted.
fn turns(app: &App, place: &Place, thread: &str) -> Result<Vec<(String, bool)>, ApiError> {
    let is_one = is_of(thread);
    Ok(ingest::read(&app.store, place, |partition| partition.ids(&is_one))?.unwrap_or_default())
}

fn no_thread() -> ApiError {
    ApiError::missing("thread_not_found", "there is no such thread in this partition")
}

/// What a write says of documents, said of a thread.
fn of_thread(error: ApiError) -> ApiError {
    match error.code {
        "document_not_found" => no_thread(),
        "already_deleted" => ApiError::conflict("already_deleted", "the thread is deleted already"),
        "not_deleted" => ApiError::conflict("not_deleted", "nothing of the thread is deleted"),
        "document_exists" => ApiError::conflict("thread_exists", "turns of this thread are there already"),
        _ => error,
    }
}

/// A turn on its way in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTurn {
    text: String,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    tags: Option<Texts>,
    #[serde(default)]
    entity_id: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    filename: Option<String>,
    /// Labels of those who may read it; an empty list: administrators alone. Without them: as was said of the thread.
    #[serde(default)]
    acl_readers: Option<Texts>,
}

impl NewTurn {
    fn into_intake(self, limits: &Limits) -> Result<Intake, ApiError> {
        let checked = |name: &'static str, text: Option<String>| -> Result<Option<String>, ApiError> {
            let text = text.filter(|text| !text.is_empty());
            text.as_deref().map_or(Ok(()), |text| fields::name(name, text, limits))?;
            Ok(text)
        };
        let filename = checked("filename", self.filename)?.unwrap_or_else(|| "turn.txt".to_owned());
        Ok(Intake {
            filename,
            content_type: "text/plain".to_owned(),
            original: None,
            notes: Notes::new(),
            content: Bytes::from(self.text),
            tags: fields::tags(self.tags, limits)?,
            metadata: fields::metadata(self.metadata.map(Value::Object).as_ref(), limits)?,
            entity: checked("entity_id", self.entity_id)?,
            source: checked("source", self.source)?,
            readers: fields::readers(self.acl_readers, limits)?,
            expires_ms: None,
            chunking: ChunkOptions::default(),
        })
    }
}

/// Turns of a conversation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Thread")]
pub(crate) struct Turns<'a> {
    thread_id: String,
    documents: Vec<Record<'a>>,
}

/// A deleted conversation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedThread")]
pub(crate) struct Deleted {
    /// `tombstoned`, which can be restored, or `hard_deleted`.
    status: &'static str,
    thread_id: String,
    /// How many.
    turns: u64,
    #[serde(flatten)]
    purged: Option<Proof>,
}

/// What proves that turns are gone for good.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ThreadProof")]
pub(crate) struct Proof {
    receipt_id: Option<String>,
}

/// A conversation that is restored or moved, or that others may read.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChangedThread")]
pub(crate) struct Changed {
    /// `restored`, `moved` or `acl_updated`.
    status: &'static str,
    thread_id: String,
    /// How many.
    turns: u64,
}

/// `POST /v1/threads/{id}/append`
pub(crate) async fn append(mut call: With<NewTurn>) -> Result<Answer<Record<'static>>, ApiError> {
    let (place, thread) = (call.place()?, thread_of(&call)?);
    let (turn, held) = call.json().await?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let stored = store(&app, &place, &thread, turn.into_intake(&app.limits)?)?;
        drop(held);
        json::answer(StatusCode::CREATED, &Record::new(&stored, place.partition()))
    })
    .await
}

fn store(app: &App, place: &Place, thread: &str, intake: Intake) -> Result<DocumentInfo, ApiError> {
    let collection = app.text_collection(place.scope.workspace())?;
    let _room = app.quotas.room(place, 1, intake.content.len() as u64)?;
    let (mut document, tally) = app.embed_document(place, intake)?;
    document.id = turn_id(thread, 0);
    let is_one = is_of(thread);
    let next = |turns: &[Sibling<'_>], last: Option<&DocumentInfo>, said: &mut Said| {
        let is_any = |test: fn(&Sibling<'_>) -> bool| turns.iter().any(test);
        if is_any(|turn| turn.is_hidden) && !is_any(|turn| !turn.is_hidden) {
            return Err(WriteError::NotFound);
        }
        if !turns.is_empty() && !is_any(|turn| !turn.is_deleted) {
            return Err(WriteError::Exists);
        }
        if let Some(of_all) = last.and_then(|last| Readers::noted(&last.metadata)) {
            said.metadata = of_all.note_in(&said.metadata);
            said.readers = said.readers.take().or(Some(of_all.0));
        }
        let index = turns.last().and_then(|last| turn_of(last.id)).map_or(0, |turn| turn.index + 1);
        turn_id(thread, index).ok_or(WriteError::Exists)
    };
    let stored = ingest::write(&app.store, place, &collection, |partition| {
        partition.put_next(document.clone(), &is_one, next)
    });
    let stored = stored.map_err(|error| match error.code {
        "document_exists" => ApiError::conflict(
            "thread_deleted",
            "the thread is deleted, or has as many turns as it can have; restore it, or begin another",
        ),
        "document_not_found" => no_thread(),
        _ => error,
    })?;
    app.usage.count(place, place.key(), tally);
    Ok(stored)
}

/// `GET /v1/threads/{id}`
pub(crate) async fn get(call: Call) -> Result<Answer<Turns<'static>>, ApiError> {
    let (place, thread, query) = (call.place()?, thread_of(&call)?, &call.query);
    let (last, recent_first) = window(query)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let turns = turns(&app, &place, &thread)?;
        let live: Vec<_> = turns.iter().filter(|(_, deleted)| !deleted).map(|(id, _)| id.as_str()).collect();
        if live.is_empty() {
            return Err(no_thread());
        }
        let mut documents = Vec::new();
        for id in &live[live.len().saturating_sub(last)..] {
            // One that went meanwhile is left out.
            documents.extend(ingest::read(&app.store, &place, |partition| partition.get(id))?.flatten());
        }
        place.lists(&documents);
        if recent_first {
            documents.reverse();
        }
        let records: Vec<_> =
            documents.iter().map(|document| Record::new(document, place.partition())).collect();
        json::answer(StatusCode::OK, &Turns { thread_id: thread, documents: records })
    })
    .await
}

fn window(query: &Query) -> Result<(usize, bool), ApiError> {
    let last = query.number("last_n_turns", 1..=TURNS_MAX as u64)?;
    let last = last.and_then(|last| usize::try_from(last).ok()).unwrap_or(TURNS_MAX);
    Ok((last, query.flag("recent_first")?))
}

/// `DELETE /v1/threads/{id}`
pub(crate) async fn delete(call: Call) -> Result<Answer<Deleted>, ApiError> {
    let (place, thread, hard) = (call.place()?, thread_of(&call)?, call.query.flag("hard")?);
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let is_one = is_of(&thread);
        let deleted = ingest::change(&app.store, &place, |partition| {
            if hard { partition.purge_all(&is_one) } else { partition.delete_all(&is_one) }
        });
        let turns = deleted.map_err(of_thread)?.ok_or_else(no_thread)?;
        app.deleted(&place, turns);
        let mut answer = Deleted { status: "tombstoned", thread_id: thread.clone(), turns, purged: None };
        if hard {
            // They are purged; what is left is to make that final, with a receipt.
            let purged = erasure::purge_many(&app.control, &app.store, &place, &[], by)?;
            let receipt = purged.and_then(|purged| purged.receipt);
            answer.status = "hard_deleted";
            answer.purged =
                Some(Proof { receipt_id: receipt.map(|receipt| random::hex(&receipt.receipt.id)) });
        }
        json::answer(StatusCode::OK, &answer)
    })
    .await
}

/// `POST /v1/threads/{id}/restore`
pub(crate) async fn restore(call: Call) -> Result<Answer<Changed>, ApiError> {
    let (place, thread) = (call.place()?, thread_of(&call)?);
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let is_one = is_of(&thread);
        let turns = turns(&app, &place, &thread)?.iter().filter(|(_, deleted)| *deleted).count();
        let _room = app.quotas.room(&place, turns as u64, 0)?;
        let restored = ingest::change(&app.store, &place, |partition| partition.restore_all(&is_one));
        let turns = restored.map_err(of_thread)?.ok_or_else(no_thread)?;
        json::answer(StatusCode::OK, &Changed { status: "restored", thread_id: thread.clone(), turns })
    })
    .await
}

/// `POST /v1/threads/{id}/move`
pub(crate) async fn move_thread(mut call: With<Move>) -> Result<Answer<Changed>, ApiError> {
    let thread = thread_of(&call)?;
    call.caller()?.require(Scope::DocumentDelete)?;
    let (body, held) = call.json().await?;
    let (from, to) = body.places(&call)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let turns = turns(&app, &from, &thread)?;
        let live: Vec<_> = turns.iter().filter(|(_, deleted)| !deleted).map(|(id, _)| id.as_str()).collect();
        let moved = moving::move_all(&app, &from, &to, &live, by).map_err(of_thread)?;
        drop(held);
        if moved.is_empty() {
            return Err(no_thread());
        }
        json::answer(
            StatusCode::OK,
            &Changed { status: "moved", thread_id: thread, turns: moved.len() as u64 },
        )
    })
    .await
}

/// Who may read a conversation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ThreadReaders", extend("required" = ["acl_readers"]))]
pub(crate) struct NewReaders {
    /// Labels; an empty list: administrators alone; null: everybody who reaches the partition.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "Option<Texts>")]
    acl_readers: Option<Option<Texts>>,
}

/// `PUT /v1/threads/{id}/acl`: of all its turns, deleted ones as well, and of those that are appended later.
pub(crate) async fn set_readers(mut call: With<NewReaders>) -> Result<Answer<Changed>, ApiError> {
    let (place, thread) = (call.place()?, thread_of(&call)?);
    call.caller()?.require_administrator()?;
    let (NewReaders { acl_readers }, _) = call.json().await?;
    let given = acl_readers.ok_or_else(|| {
        ApiError::malformed(
            "malformed_body",
            "acl_readers has to be there: a list of labels, an empty one for administrators alone, or null for everybody",
        )
    })?;
    let readers = fields::readers(given, &call.app.limits)?.map(Readers);
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let is_one = is_of(&thread);
        let mut incarnation = [0; 16];
        let changed = ingest::change(&app.store, &place, |partition| {
            incarnation = partition.incarnation();
            partition.revise_all(&is_one, |document, said| {
                said.readers = readers.as_ref().map(|readers| readers.0.clone());
                let noted = match &readers {
                    Some(readers) => readers.note_in(&said.metadata),
                    None => notes::set(&said.metadata, notes::THREAD, None),
                };
                said.metadata = history::revised(&noted, place.key(), clock::now_ms(), document);
                Ok(true)
            })
        });
        let turns = changed.map_err(of_thread)?.ok_or_else(no_thread)?;
        if !place.was_answered() {
            let resource = random::hex(&incarnation);
            let entry = Entry::done(place.scope.workspace(), by, Action::ThreadReaders, resource);
            moving::enter(&app, entry, "the thread's readers are set")?;
        }
        json::answer(StatusCode::OK, &Changed { status: "acl_updated", thread_id: thread.clone(), turns })
    })
    .await
}

/// What was said of a thread's readers, as each of its turns has it noted, so that the next turn is for the same.
struct Readers(Vec<String>);

impl Readers {
    /// A note that can't be, since a bundle brought it, is for administrators alone.
    fn noted(metadata: &str) -> Option<Self> {
        let note = notes::find(metadata, notes::THREAD)?;
        let labels: Vec<String> = serde_json::from_value(note).unwrap_or_default();
        let can_be = fields::readers(Some(Texts::Array(labels.clone())), &Limits::default()).is_ok();
        Some(Self(if can_be { labels } else { Vec::new() }))
    }

    fn note_in(&self, metadata: &str) -> String {
        notes::set(metadata, notes::THREAD, Some(self.0.iter().cloned().collect()))
    }
}
