//! How is a document's summary read, written and asked for?
//!
//! One that a user writes stands at once; one that is asked for is made in the background (`summarizing.rs`), and read when it is there.
//! Both are noted with the document.
//!
//! Invariants:
//! 1. What a user wrote is written over by nobody but who says so: by another text, or with `force`.
//! 2. A document that isn't there, and one that the caller may not read, are answered the same.

use std::cell::RefCell;

use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::{DocumentInfo, Partition, Said, WriteError};

use crate::app::App;
use crate::auth::Place;
use crate::call::{Call, With};
use crate::ingest::summary::{Author, Note, Written};
use crate::ingest::{self, history, original};
use crate::message::content::Answer;
use crate::message::error::{ApiError, no_document};
use crate::message::json;
use crate::summarize::SUMMARY_BYTES_MAX;
use crate::{clock, summarizing};

/// A document's summary.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Summary {
    doc_id: String,
    /// `none`, `pending`, `ready` or `failed`. What is stored is told beside each.
    state: &'static str,
    /// Of one that failed: a word for programs.
    reason: Option<&'static str>,
    /// Of one that failed: what it means.
    error: Option<&'static str>,
    /// No document of its own: it stands with the document that it is of.
    summary_doc_id: Option<String>,
    /// Markdown.
    content: Option<String>,
    /// Another one each time it is written: for `If-Match`.
    revision: Option<String>,
    /// `user`, or `aether` where the summarizer did.
    authored_by: Option<&'static str>,
    /// The summarizer's model.
    generator: Option<String>,
    prompt_version: Option<String>,
    /// When it was written.
    generated_at: Option<String>,
    /// The `cid` of the content that it was written of.
    source_cid: Option<String>,
    /// Whether the document has another content by now.
    stale: bool,
    /// Whether the document was so long that its beginning alone was summed up.
    truncated_input: bool,
}

impl Summary {
    fn of(app: &App, place: &Place, document: &DocumentInfo) -> Self {
        let Note { written, asked, failed } = Note::of(&document.metadata);
        let is_lost =
            || summarizing::asking(place, document).is_some_and(|whose| app.summaries.is_lost(&whose));
        let reason = match (&asked, &failed) {
            (Some(_), _) if app.summarizer.is_none() => Some("summarizer_not_configured"),
            (Some(_), _) if is_lost() => Some("unwritten"),
            (Some(_), _) => None,
            (None, Some(word)) => Some(known(word)),
            (None, None) => None,
        };
        let state = match (reason, &asked, &written) {
            (Some(_), ..) => "failed",
            (None, Some(_), _) => "pending",
            (None, None, Some(_)) => "ready",
            (None, None, None) => "none",
        };
        let written = written.as_ref();
        Self {
            doc_id: document.id.clone(),
            state,
            reason,
            error: reason.map(meaning),
            summary_doc_id: None,
            content: written.map(|written| written.text.clone()),
            revision: written.map(|written| written.revision.clone()),
            authored_by: written.map(|written| match written.by {
                Author::User => "user",
                Author::Model => "aether",
            }),
            generator: written.and_then(|written| written.generator.clone()),
            prompt_version: written.and_then(|written| written.prompt_version.clone()),
            generated_at: written.map(|written| clock::rfc3339(written.at_ms)),
            source_cid: written.map(|written| format!("sha256:{}", written.source)),
            stale: written.is_some_and(|written| written.source != original::digest(document)),
            truncated_input: written.is_some_and(|written| written.is_of_beginning),
        }
    }
}

/// The words of failures that are noted. A note may say anything.
fn known(word: &str) -> &'static str {
    let words = ["overloaded", "unreachable", "timed_out", "busy", "refused", "unreadable"];
    words.into_iter().find(|known| *known == word).unwrap_or("failed")
}

fn meaning(reason: &str) -> &'static str {
    match reason {
        "summarizer_not_configured" => {
            "this server has no summarizer any more; write a summary, or ask its operator"
        }
        "unwritten" => {
            "a summary was made and could not be stored, as when the partition is on hold; ask anew"
        }
        "overloaded" | "busy" => "the summarizer has too much to do; ask again later",
        "unreachable" | "timed_out" => "the summarizer did not answer; ask again later",
        "unreadable" => "the document has no text, or the summarizer answered none",
        _ => "the summarizer failed; the server's log says why",
    }
}

/// `GET /v1/documents/{id}/summary`
pub(crate) async fn get(call: Call) -> Result<Answer<Summary>, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let pool = app.pool.clone();
    pool.run(move || {
        let document = ingest::read(&app.store, &place, |partition| partition.get(&id))?.flatten();
        let document = document.ok_or_else(no_document)?;
        // What a stop cut short, or what found no room, is begun now.
        summarizing::begin(&app, &place, &document);
        json::answer(StatusCode::OK, &Summary::of(&app, &place, &document))
    })
    .await
}

/// A summary of a user's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSummary {
    /// Markdown: up to 16 KiB.
    content: String,
}

/// `PUT /v1/documents/{id}/summary`
pub(crate) async fn put(mut call: With<NewSummary>) -> Result<Answer<Summary>, ApiError> {
    let (place, id, expected) = (call.place()?, call.value(0)?.to_owned(), expected(&call)?);
    let (NewSummary { content }, _) = call.json().await?;
    if content.trim().is_empty() {
        return Err(ApiError::unacceptable(
            "empty_summary",
            "the summary is blank; there is nothing to store",
        ));
    }
    if content.len() > SUMMARY_BYTES_MAX {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "summary_too_large",
            format!("a summary has at most {SUMMARY_BYTES_MAX} bytes"),
        ));
    }
    let app = call.app.clone();
    let pool = app.pool.clone();
    pool.run(move || {
        let _room = app.quotas.room(&place, 0, content.len() as u64)?;
        let document = change(&app, &place, &id, |document, note| {
            let current = note.written.as_ref().map(|written| written.revision.as_str());
            if let Some(expected) = &expected
                && !expected.admits(current)
            {
                return Err(conflict(current));
            }
            let written = Written::new(document, content.clone(), Author::User, clock::now_ms());
            *note = Note { written: Some(written), ..Note::default() };
            Ok(true)
        })?;
        json::answer(StatusCode::OK, &Summary::of(&app, &place, &document))
    })
    .await
}

/// `POST /v1/documents/{id}/summary`
pub(crate) async fn regenerate(call: Call) -> Result<Answer<Summary>, ApiError> {
    let (app, place, id) = (call.app.clone(), call.place()?, call.value(0)?.to_owned());
    let is_forced = call.query.flag("force")?;
    let pool = app.pool.clone();
    pool.run(move || {
        // Whether the document is there comes first: what isn't there has no summary, whoever would make it.
        let found = ingest::read(&app.store, &place, |partition| partition.get(&id))?.flatten();
        found.ok_or_else(no_document)?;
        app.require_summarizer()?;
        let document = change(&app, &place, &id, |document, note| {
            if note.is_by_user() && !is_forced {
                return Err(ApiError::conflict(
                    "summary_user_authored",
                    "a user wrote this document's summary; to have it written over, send force=true",
                ));
            }
            // One that is on its way is waited for; one that came to nothing is asked for anew.
            let is_lost =
                summarizing::asking(&place, document).is_some_and(|whose| app.summaries.is_lost(&whose));
            if note.asked.is_some() && !is_lost {
                return Ok(false);
            }
            *note = Note { written: note.written.take(), ..Note::of_asking() };
            Ok(true)
        })?;
        summarizing::begin(&app, &place, &document);
        json::answer(StatusCode::ACCEPTED, &Summary::of(&app, &place, &document))
    })
    .await
}

/// Changes what a document has noted of its summary, in one durable write.
fn change(
    app: &App,
    place: &Place,
    id: &str,
    change: impl Fn(&DocumentInfo, &mut Note) -> Result<bool, ApiError>,
) -> Result<DocumentInfo, ApiError> {
    let refused = RefCell::new(None);
    let revised = ingest::change(&app.store, place, |partition: &Partition| {
        partition.revise(id, |document: &DocumentInfo, said: &mut Said| {
            let mut note = Note::of(&said.metadata);
            let is_changed = change(document, &mut note).map_err(|error| {
                refused.replace(Some(error));
                WriteError::Changed
            })?;
            let noted = note.put_into(&said.metadata);
            said.metadata = history::revised(&noted, place.key(), clock::now_ms(), document);
            Ok(is_changed)
        })
    });
    match (refused.into_inner(), revised) {
        (Some(error), Err(_)) => Err(error),
        (_, revised) => revised?.ok_or_else(no_document),
    }
}

/// Which revision a write is for.
enum Expected {
    /// Any, but one.
    Some,
    These(Vec<String>),
}

impl Expected {
    fn admits(&self, current: Option<&str>) -> bool {
        match self {
            Self::Some => current.is_some(),
            Self::These(revisions) => {
                current.is_some_and(|current| revisions.iter().any(|known| known == current))
            }
        }
    }
}

fn expected(call: &Call) -> Result<Option<Expected>, ApiError> {
    let Some(value) = call.header(header::IF_MATCH) else { return Ok(None) };
    let wrong = || {
        ApiError::malformed(
            "invalid_if_match",
            "If-Match names revisions in quotation marks, such as \"0123456789abcdef\", or is *",
        )
    };
    let text = value.to_str().map_err(|_| wrong())?.trim();
    if text == "*" {
        return Ok(Some(Expected::Some));
    }
    let quoted = text.split(',').map(|one| {
        let inner = one.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.filter(|inner| !inner.is_empty() && !inner.contains('"')).map(str::to_owned)
    });
    quoted.collect::<Option<Vec<_>>>().map(|revisions| Some(Expected::These(revisions))).ok_or_else(wrong)
}

fn conflict(current: Option<&str>) -> ApiError {
    let error = ApiError::new(
        StatusCode::PRECONDITION_FAILED,
        "summary_revision_conflict",
        "the summary is another one by now; read it, and write with its revision",
    );
    error.with_detail("current_revision", current.map(str::to_owned))
}
