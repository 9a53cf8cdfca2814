//! How does a document come by a summary that somebody asked for?
//!
//! The asking is noted with the document, durably; then the document waits in the queue, its beginning is read and sent to the
//! summarizer, and what that answers is noted in the asking's place. Nobody waits for it.
//!
//! Invariants:
//! 1. What is written is the answer to the asking that is noted by then: one that was overtaken, by a user's summary or another
//!    asking, changes nothing.
//! 2. No thread waits for the summarizer.

use std::sync::Arc;

use strongroom_engine::{DocumentInfo, WriteError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::app::App;
use crate::auth::Place;
use crate::ingest::summary::{Author, Note, Written};
use crate::ingest::{self, history, original};
use crate::message::error::ApiError;
use crate::outbound::Failure;
use crate::pool::Tenant;
use crate::summarize::{Asked, INPUT_BYTES_MAX, PROMPT_VERSION, Summarizer, Whose};
use crate::{clock, log};

/// Which asking a document has noted, if one waits.
pub(crate) fn asking(place: &Place, document: &DocumentInfo) -> Option<Whose> {
    Some(Whose {
        workspace: place.scope.workspace(),
        at: place.at.clone(),
        document: document.id.clone(),
        asking: Note::of(&document.metadata).asked?,
    })
}

/// Begins what a document has noted as asked for, unless it has begun.
pub(crate) fn begin(app: &App, place: &Place, document: &DocumentInfo) {
    if app.summarizer.is_some()
        && let Some(whose) = asking(place, document)
    {
        // What is noted later is no part of the request.
        app.summaries.begin(Asked { whose, place: Place { promise: None, ..place.clone() } });
    }
}

/// Sums up what waits, until `stop`. What is cut short stays noted, and is begun when somebody looks.
pub(crate) async fn work(app: Arc<App>, mut waiting: mpsc::Receiver<Asked>, mut stop: watch::Receiver<bool>) {
    let Some(summarizer) = app.summarizer.clone() else { return };
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            Some(_) = running.join_next() => {}
            asked = waiting.recv(), if running.len() < summarizer.calls_max => match asked {
                Some(asked) => drop(running.spawn(sum_up(app.clone(), summarizer.clone(), asked))),
                None => return,
            },
        }
    }
}

async fn sum_up(app: Arc<App>, summarizer: Arc<Summarizer>, asked: Asked) {
    let Asked { whose, place } = asked;
    let tenant = Tenant::partition(whose.workspace, &whose.at);
    let (reading, from, which) = (app.clone(), place.clone(), whose.clone());
    let read = app.pool.run_for(tenant, move || read(&reading, &from, &which)).await;
    let is_told = match read {
        // It is gone, or another asking's by now.
        Ok(None) => true,
        Ok(Some((document, text, is_all))) => {
            let answer = match text {
                Some(text) => summarizer.sum_up(&text).await,
                None => Err(Failure::Unreadable("the document has no text")),
            };
            let note = told(&summarizer, &document, answer, is_all);
            let (writing, of) = (app.clone(), whose.clone());
            let written = app.pool.run_for(tenant, move || write(&writing, &place, &of, &note)).await;
            written.inspect_err(complain).is_ok()
        }
        Err(error) => {
            complain(&error);
            false
        }
    };
    app.summaries.end(&whose, is_told);
}

fn complain(error: &ApiError) {
    log::warn(&format!(
        "a summary came to nothing: {} {}",
        error.code,
        error.cause.as_deref().unwrap_or_default()
    ));
}

/// A document, the beginning of its text, if it has one, and whether that is all.
type Beginning = (DocumentInfo, Option<String>, bool);

fn read(app: &App, place: &Place, whose: &Whose) -> Result<Option<Beginning>, ApiError> {
    let most = |document: &DocumentInfo| original::text_bytes(document).min(INPUT_BYTES_MAX as u64);
    let found = ingest::read(&app.store, place, |partition| partition.content_until(&whose.document, most))?;
    let Some((document, content)) = found.flatten() else { return Ok(None) };
    if asking(place, &document).as_ref() != Some(whose) {
        return Ok(None);
    }
    let is_all = original::text_bytes(&document) <= INPUT_BYTES_MAX as u64;
    // A letter at the end may be cut in two; anything else that isn't UTF-8 is no text.
    let text = match std::str::from_utf8(&content) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if !is_all && error.error_len().is_none() => {
            Some(String::from_utf8_lossy(&content[..error.valid_up_to()]).into_owned())
        }
        Err(_) => None,
    };
    Ok(Some((document, text, is_all)))
}

fn told(
    summarizer: &Summarizer,
    document: &DocumentInfo,
    answer: Result<String, Failure>,
    is_all: bool,
) -> Note {
    match answer {
        Ok(text) => {
            let written = Written {
                generator: Some(summarizer.generator().to_owned()),
                prompt_version: Some(PROMPT_VERSION.to_owned()),
                is_of_beginning: !is_all,
                ..Written::new(document, text, Author::Model, clock::now_ms())
            };
            Note { written: Some(written), ..Note::default() }
        }
        Err(failure) => Note { failed: Some(failure.word().to_owned()), ..Note::default() },
    }
}

/// Notes what came of an asking, if that is still the document's.
fn write(app: &App, place: &Place, whose: &Whose, outcome: &Note) -> Result<(), ApiError> {
    let written = ingest::change(&app.store, place, |partition| {
        let revised = partition.revise(&whose.document, |document, said| {
            let note = Note::of(&said.metadata);
            if note.asked.as_ref() != Some(&whose.asking) {
                return Ok(false);
            }
            let written = outcome.written.clone().or(note.written);
            let noted = Note { written, ..outcome.clone() }.put_into(&said.metadata);
            said.metadata = history::revised(&noted, None, clock::now_ms(), document);
            Ok(true)
        });
        match revised {
            // It went meanwhile, and its summary with it.
            Err(WriteError::NotFound) => Ok(()),
            revised => revised.map(drop),
        }
    });
    written.map(drop)
}
