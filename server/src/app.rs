//! What do all requests share?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use axum::http::{StatusCode, Uri};
use strongroom_embed::Embedder;
use strongroom_engine::{CollectionSpec, DocumentInfo, NewDocument, Store, WorkspaceId};
use tokio::sync::watch;

use crate::access::Access;
use crate::auth::attempts::Attempts;
use crate::auth::passwords::Passwords;
use crate::auth::{DEFAULT_COLLECTION, Place};
use crate::config::Limits;
use crate::control::{Collection, Control, NewCollection, Settings, no_collection};
use crate::damages::Damages;
use crate::embedding::Models;
use crate::events::Events;
use crate::feedback::Feedback;
use crate::ingest::{self, Intake, history};
use crate::jobs::Queue;
use crate::mail::Mailer;
use crate::message::body::Budget;
use crate::message::error::ApiError;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::quota::Quotas;
use crate::rerank::Reranker;
use crate::room::Room;
use crate::summarize::{self, Summarizer};
use crate::usage::{self, Tally, Usage};
use crate::waste::Waste;
use crate::worker::Worker;

/// The running server's parts.
pub(crate) struct App {
    pub(crate) store: Arc<Store>,
    pub(crate) control: Arc<Control>,
    pub(crate) usage: Arc<Usage>,
    pub(crate) access: Arc<Access>,
    pub(crate) feedback: Feedback,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) embedder: &'static dyn Embedder,
    pub(crate) models: Models,
    pub(crate) reranker: Option<Arc<Reranker>>,
    pub(crate) summarizer: Option<Arc<Summarizer>>,
    /// Documents that wait for a summary.
    pub(crate) summaries: summarize::Queue,
    pub(crate) pool: Pool,
    /// Reads what has to be read to have a text.
    pub(crate) files: Worker,
    pub(crate) passwords: Passwords,
    pub(crate) attempts: Attempts,
    /// Who takes invitations to people, if the operator named somebody.
    pub(crate) mailer: Option<Mailer>,
    /// Where people reach this server, if the operator said.
    pub(crate) public_url: Option<Uri>,
    pub(crate) bodies: Budget,
    pub(crate) answers: Room,
    /// What is owed for bodies that were refused.
    pub(crate) waste: Waste,
    pub(crate) limits: Limits,
    /// What a million tokens cost in US dollars, by embedder.
    pub(crate) embedding_prices: BTreeMap<String, f64>,
    /// How long a purge in a large partition waits at most until it is final, in milliseconds.
    pub(crate) purge_ms: u64,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) damages: Damages,
    pub(crate) jobs: Queue,
    /// Held while a recall is let in that may be the plan's last.
    pub(crate) recalling: Mutex<()>,
    /// How many recalls of memories a workspace may have in a month; `None` for as many as it likes.
    pub(crate) recalls_max: Option<u64>,
    pub(crate) events: Events,
    /// What `/openapi.json` answers.
    pub(crate) openapi: String,
    /// Whether requests are served: after recovery, before a stop.
    pub(crate) is_ready: AtomicBool,
    /// Turns true when the disk failed under a write: this process can't go on.
    pub(crate) disk_failed: watch::Sender<bool>,
}

impl App {
    /// The settings that every workspace's first collection begins with.
    pub(crate) fn default_collection(&self) -> NewCollection {
        let id = self.embedder.id();
        NewCollection {
            spec: CollectionSpec::cosine(u32::try_from(id.dimension).unwrap_or(u32::MAX)),
            embedder: id.to_string(),
            settings: Settings::default(),
            provider_key: None,
        }
    }

    /// The settings of the collection that Aether's routes act on.
    pub(crate) fn collection(&self, workspace: WorkspaceId) -> Result<Arc<Collection>, ApiError> {
        self.collection_named(workspace, DEFAULT_COLLECTION)
    }

    /// The settings of a collection.
    pub(crate) fn collection_named(
        &self,
        workspace: WorkspaceId,
        name: &str,
    ) -> Result<Arc<Collection>, ApiError> {
        self.control.collection(workspace, name).ok_or_else(no_collection)
    }

    /// The settings of that collection, if this server's model is the one whose vectors are in it.
    pub(crate) fn text_collection(&self, workspace: WorkspaceId) -> Result<Arc<Collection>, ApiError> {
        let collection = self.collection(workspace)?;
        if collection.embedder == self.embedder.id().to_string() {
            return Ok(collection);
        }
        Err(ApiError::conflict(
            "embedder_mismatch",
            format!(
                "this collection's vectors were made by the model {}, which this server does not have; they can be \
                 searched with vectors of your own",
                collection.embedder
            ),
        ))
    }

    /// How many passages of a search the reranker is sent at most; `None` without a reranker.
    pub(crate) fn rerank_candidates_max(&self) -> Option<usize> {
        self.reranker.as_ref().map(|reranker| reranker.candidates_max)
    }

    /// Refuses to be asked for a summary where nobody makes any.
    pub(crate) fn require_summarizer(&self) -> Result<(), ApiError> {
        if self.summarizer.is_some() {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "summarizer_not_configured",
            "this server has no summarizer, so it makes no summaries (`--summarizer` names one); a summary of your own can be stored \
             with PUT",
        ))
    }

    /// Reads the text out of a document that is a file; text is left as it is.
    pub(crate) async fn with_text(&self, intake: Intake) -> Result<Intake, ApiError> {
        match intake.unread()? {
            None => Ok(intake),
            Some(claimed) => {
                let found = self.files.read(claimed, intake.content.clone()).await?;
                Ok(intake.with_text(found))
            }
        }
    }

    /// Embeds a document and writes it. Blocks.
    pub(crate) fn store_document(&self, place: &Place, intake: Intake) -> Result<DocumentInfo, ApiError> {
        let collection = self.text_collection(place.scope.workspace())?;
        let _room = self.quotas.room(place, 1, intake.stored_bytes())?;
        let (document, done) = self.embed_document(place, intake)?;
        let stored =
            ingest::write(&self.store, place, &collection, |partition| partition.put(document.clone()))?;
        self.usage.count(place, place.key(), done);
        Ok(stored)
    }

    /// Takes down that documents were deleted.
    pub(crate) fn deleted(&self, place: &Place, documents: u64) {
        self.usage.count(place, place.key(), Tally { deletes: documents, ..Tally::default() });
        self.quotas.freed(place);
    }

    /// Embeds a document, within what the day has left; also what is to be counted once it is written. Blocks.
    pub(crate) fn embed_document(
        &self,
        place: &Place,
        intake: Intake,
    ) -> Result<(NewDocument, Tally), ApiError> {
        let bytes_in = intake.sent_bytes();
        let document = intake.embed(self.embedder, self.limits.passages_max)?;
        let embedding_tokens = usage::tokens(self.embedder, &document);
        self.quotas.tokens(place, embedding_tokens)?;
        let document = history::written_by(document, place.key());
        Ok((document, Tally { inserts: 1, embedding_tokens, bytes_in, ..Tally::default() }))
    }
}

/// The control plane's file in the data folder.
pub(crate) fn control_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sqlite")
}
