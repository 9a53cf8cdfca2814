//! How do messages become memories?
//!
//! One memory for each message that has a word or a figure in it. A text that this user has said before is not remembered
//! twice: a memory's id is made of its partition, user and text, so the engine itself refuses the second.
//!
//! Invariants:
//! 1. All messages are checked and embedded before the first is written, and all are written together or not at all.
//! 2. Into a tenant's partition nothing is written once the tenant is being deleted: no ingest makes that partition anew.

use std::collections::HashSet;
use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::{NewDocument, Partition, PartitionName, WriteError};

use super::reach::{Maybe, Target, look_into, no_tenant, target, user};
use super::record::About;
use super::{collection, importance};
use crate::app::App;
use crate::call::With;
use crate::clock;
use crate::config::Limits;
use crate::control::Collection;
use crate::ingest::notes::Notes;
use crate::ingest::{self as documents, Intake};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::usage::{self, Tally};

/// How often an ingest looks again when another one was quicker with the same text.
const LOOKS_MAX: usize = 4;

const ROLE_BYTES_MAX: usize = 64;

/// What was said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "Ingest")]
pub(crate) struct Body {
    /// Whose memories they become; the organization's own without it.
    #[serde(default, deserialize_with = "json::present")]
    #[schemars(with = "String")]
    tenant_id: Maybe,
    /// Has to be there.
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    #[schemars(length(min = 1, max = 1000))]
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    /// `user` when it is not given.
    #[serde(default)]
    role: Option<String>,
    content: String,
    #[serde(default)]
    timestamp: Option<Stamp>,
    /// Estimated when it is not given.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    importance: Option<f64>,
}

/// A time as people and as programs write it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Timestamp")]
pub(crate) enum Stamp {
    Text(String),
    Ms(u64),
}

/// What became of messages.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ingested {
    success: bool,
    data: Remembered,
}

/// What is remembered of them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remembered {
    memories_added: usize,
    /// Said before by this user, and so not remembered again.
    duplicates: usize,
    /// Without a word or a figure in them.
    skipped: usize,
    /// Of those added, in the order of the messages.
    memory_ids: Vec<String>,
}

/// A message on its way to become a memory.
struct Draft {
    id: String,
    content: String,
    about: About,
}

/// `POST /api/v1/memory/ingest`
pub(crate) async fn ingest(mut call: With<Body>) -> Result<Answer<Ingested>, ApiError> {
    let (body, held) = call.json().await?;
    let target = target(&call, &body.tenant_id)?;
    let user = user(body.user_id.as_deref(), &call.app.limits)?;
    let app = call.app.clone();
    let count = body.messages.len();
    let drafts = Arc::new(drafts(&app, &target, &user, body)?);
    let written = write(&app, &target, &user, &drafts).await?;
    drop(held);
    json::answer(
        StatusCode::OK,
        &Ingested {
            success: true,
            data: Remembered {
                memories_added: written.len(),
                duplicates: drafts.len() - written.len(),
                skipped: count - drafts.len(),
                memory_ids: written,
            },
        },
    )
}

/// What is to be remembered of the messages. A text that comes twice is there twice.
fn drafts(app: &App, target: &Target, user: &str, body: Body) -> Result<Vec<Draft>, ApiError> {
    let limits = &app.limits;
    let most = limits.batch_documents_max;
    if body.messages.is_empty() || body.messages.len() > most {
        return Err(ApiError::malformed(
            "invalid_messages",
            format!("there are 1 to {most} messages in a call"),
        ));
    }
    if body.session_id.as_ref().is_some_and(|id| id.len() > limits.name_bytes_max) {
        let most = limits.name_bytes_max;
        return Err(ApiError::malformed("too_long", format!("sessionId has at most {most} bytes")));
    }
    let at = (target.place.scope.workspace(), target.place.at.partition.as_ref().map(PartitionName::as_str));
    let now_ms = clock::now_ms();
    let mut drafts = Vec::with_capacity(body.messages.len());
    for (message, position) in body.messages.into_iter().zip(0_u32..) {
        let about = message.about(position, body.session_id.clone(), now_ms, limits)?;
        // White space, or three dots, are nothing to remember.
        if message.content.contains(char::is_alphanumeric) {
            let id = app.control.memory_id(at, user, &message.content);
            drafts.push(Draft { id, content: message.content, about });
        }
    }
    Ok(drafts)
}

impl Message {
    fn about(
        &self,
        position: u32,
        session: Option<String>,
        now_ms: u64,
        limits: &Limits,
    ) -> Result<About, ApiError> {
        let wrong =
            |code, text: String| Err(ApiError::malformed(code, format!("message {position}: {text}")));
        if self.content.len() > limits.memory_bytes_max {
            let most = limits.memory_bytes_max;
            return Err(ApiError::too_large(format!("message {position}: content has at most {most} bytes")));
        }
        let role = self.role.as_deref().unwrap_or("user");
        if role.trim().is_empty() || role.len() > ROLE_BYTES_MAX {
            return wrong(
                "invalid_role",
                format!("role is a word of 1 to {ROLE_BYTES_MAX} bytes, such as user"),
            );
        }
        let said_ms = match &self.timestamp {
            None => None,
            Some(Stamp::Ms(ms)) => Some(*ms),
            Some(Stamp::Text(text)) => match clock::parse_rfc3339(text) {
                None => {
                    return wrong(
                        "invalid_timestamp",
                        "timestamp must be a time such as 2026-06-01T00:00:00Z, or milliseconds since 1970"
                            .to_owned(),
                    );
                }
                ms => ms,
            },
        };
        let importance = self.importance.unwrap_or_else(|| importance::of(role, &self.content));
        if !(0.0..=1.0).contains(&importance) {
            return wrong("invalid_importance", "importance is a number from 0 to 1".to_owned());
        }
        // Nothing is said after it came in.
        let said_ms = said_ms.map(|said| said.min(now_ms));
        Ok(About { role: role.to_owned(), importance, position, session, said_ms })
    }
}

/// Writes what isn't there yet, and answers its ids in the order of the messages.
async fn write(
    app: &Arc<App>,
    target: &Target,
    user: &str,
    drafts: &Arc<Vec<Draft>>,
) -> Result<Vec<String>, ApiError> {
    let workspace = target.place.scope.workspace();
    for _ in 0..LOOKS_MAX {
        let look = (app.clone(), target.clone(), drafts.clone());
        let looked = app.pool.run(move || {
            let (app, target, drafts) = look;
            let before = documents::remembered(&app.store, &target.place)?;
            Ok((collection(&app, workspace)?, unknown(&app, &target, &drafts)?, before))
        });
        let (collection, fresh, before) = looked.await?;
        // What it wrote then is known by now, and would be told as said before.
        if let Some(ids) = before {
            return Ok(ids);
        }
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let (mut documents, mut done) = (Vec::with_capacity(fresh.len()), Tally::default());
        for number in &fresh {
            let document = embed(app, &collection, user, &drafts[*number]).await?;
            done.inserts += 1;
            done.bytes_in += document.content.len() as u64;
            done.embedding_tokens += usage::tokens(app.embedder, &document);
            documents.push(document);
        }
        let put = (app.clone(), target.clone());
        let written = app.pool.run(move || {
            let (app, place) = (&put.0, &put.1.place);
            let _room = app.quotas.room(place, done.inserts, done.bytes_in)?;
            app.quotas.tokens(place, done.embedding_tokens)?;
            let written = put_all(app, &put.1, &collection, &documents)?;
            if written.is_some() {
                app.usage.count(place, place.key(), done);
            }
            Ok(written)
        });
        if let Some(ids) = written.await? {
            return Ok(ids);
        }
    }
    Err(ApiError::conflict("memory_exists", "the same memories are being written by another call; try again"))
}

/// Writes documents, and answers their ids; `None` when one of them is there by now.
fn put_all(
    app: &App,
    target: &Target,
    collection: &Collection,
    documents: &[NewDocument],
) -> Result<Option<Vec<String>>, ApiError> {
    let put = |partition: &Partition| match partition.put_many(documents.to_vec()) {
        Err(WriteError::Exists) => Ok(None),
        outcome => outcome.map(|stored| Some(stored.into_iter().map(|memory| memory.id).collect())),
    };
    match target.tenant {
        None => documents::write(&app.store, &target.place, collection, put),
        Some(_) => documents::change(&app.store, &target.place, put)?.ok_or_else(no_tenant),
    }
}

/// Which drafts are no memory yet, each once.
fn unknown(app: &App, target: &Target, drafts: &[Draft]) -> Result<Vec<usize>, ApiError> {
    let known = look_into(app, target, |partition| {
        let mut known = HashSet::new();
        for draft in drafts {
            if partition.get(&draft.id)?.is_some() {
                known.insert(draft.id.as_str());
            }
        }
        Ok(known)
    })?;
    let mut known = known.unwrap_or_default();
    Ok((0..drafts.len()).filter(|number| known.insert(&drafts[*number].id)).collect())
}

/// Cuts and embeds a text that may be longer than a passage.
async fn embed(
    app: &App,
    collection: &Collection,
    user: &str,
    draft: &Draft,
) -> Result<NewDocument, ApiError> {
    let metadata =
        serde_json::to_string(&draft.about).map_err(|error| ApiError::internal(error.to_string()))?;
    let intake = Intake {
        filename: "memory".to_owned(),
        content_type: "text/plain".to_owned(),
        original: None,
        notes: Notes::new(),
        content: Bytes::copy_from_slice(draft.content.as_bytes()),
        tags: Vec::new(),
        metadata,
        entity: Some(user.to_owned()),
        source: None,
        readers: None,
        expires_ms: None,
        chunking: collection.chunking()?,
    };
    let models = &app.models;
    let document =
        models.document(&app.store, &app.pool, collection, intake, app.limits.passages_max).await?;
    Ok(NewDocument { id: Some(draft.id.clone()), ..document })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(message: &str) -> Result<About, &'static str> {
        let message: Message = serde_json::from_str(message).unwrap();
        message.about(3, None, 1_000_000, &Limits::default()).map_err(|error| error.code)
    }

    /// Lost otherwise: a memory would be ranked by a time or an importance that nobody gave it.
    #[test]
    fn what_a_message_says_of_itself_is_taken_or_refused() {
        let plain = about(r#"{"role": "assistant", "content": "Tea it is then"}"#).unwrap();
        assert_eq!((plain.role.as_str(), plain.position, plain.said_ms), ("assistant", 3, None));
        assert_eq!(plain.importance, importance::of("assistant", "Tea it is then"));
        let told =
            about(r#"{"content": "Tea", "timestamp": "1970-01-01T00:00:05Z", "importance": 0.25}"#).unwrap();
        assert_eq!((told.role.as_str(), told.said_ms, told.importance), ("user", Some(5000), 0.25));
        assert_eq!(about(r#"{"content": "Tea", "timestamp": 7}"#).unwrap().said_ms, Some(7));
        let later = about(r#"{"content": "Tea", "timestamp": "2100-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(later.said_ms, Some(1_000_000), "nothing is said after it came in");
        for (message, code) in [
            (r#"{"content": "Tea", "timestamp": "yesterday"}"#, "invalid_timestamp"),
            (r#"{"content": "Tea", "importance": 1.5}"#, "invalid_importance"),
            (r#"{"content": "Tea", "importance": -0.5}"#, "invalid_importance"),
            (r#"{"content": "Tea", "role": " "}"#, "invalid_role"),
        ] {
            assert_eq!(about(message), Err(code), "{message}");
        }
        let long = format!(r#"{{"content": "{}"}}"#, "x".repeat((64 << 10) + 1));
        assert_eq!(about(&long), Err("too_large"));
    }
}
