//! Which collections are there, and what is each made for?
//!
//! A collection's row: what its vectors are, who makes them, how its documents are cut and checked, what a query asks for when
//! it doesn't say. Of what is in it there is nothing here.
//!
//! Invariants:
//! 1. What vectors are (dimension, metric, embedding) never changes; the rest may.
//! 2. A collection that is being emptied or deleted says so in its row first, and the engine's part is done again at the next
//!    open when it was cut short.
//! 3. Nothing is written into a collection once its [`Gate`] is closed, and it closes before the partitions are dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_embed::ChunkOptions;
use strongroom_engine::{CollectionSpec, Metric, WorkspaceId};

use super::audit::{Action, By, Entry};
use super::metadata_schema::MetadataSchema;
use super::schema::{empty_wal, workspace_id};
use super::{Control, ControlError};
use crate::{clock, random};

/// Where a collection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// In service.
    Live,
    /// Its partitions are being dropped; it takes writes all the same.
    Truncating,
    /// Out of service; the engine may still hold some of it.
    Deleting,
}

impl Life {
    fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Truncating => "truncating",
            Self::Deleting => "deleting",
        }
    }
}

/// Who makes a collection's vectors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub(crate) enum Embedding {
    /// The model that the server brings.
    #[default]
    BuiltIn,
    /// A service that speaks as OpenAI's does.
    Remote {
        /// The name of the service, whose address and key the operator may have given.
        provider: String,
        /// The model to ask it for.
        model: String,
        /// Where it is, when that isn't the provider's usual address.
        base_url: Option<String>,
    },
    /// The caller: texts are neither embedded nor searched by meaning.
    Own,
}

/// How a query is answered when it doesn't say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SearchMode {
    /// By vectors.
    Semantic,
    /// By words.
    Keyword,
    /// By both.
    #[default]
    Hybrid,
}

/// What of a collection can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) description: String,
    pub(crate) embedding: Embedding,
    /// The metadata field whose value is the partition.
    pub(crate) tenant_field: Option<String>,
    /// What metadata has to be, as JSON Schema.
    pub(crate) metadata_schema: Option<Value>,
    /// The caller's own notes on the collection.
    pub(crate) metadata: Map<String, Value>,
    /// Tokens of a passage, and how many of them it shares with the next.
    pub(crate) chunk_size: u32,
    pub(crate) chunk_overlap: u32,
    pub(crate) default_top_k: u32,
    pub(crate) default_min_score: Option<f64>,
    pub(crate) default_search_mode: SearchMode,
    /// Whether queries that don't say are reranked.
    pub(crate) reranking: bool,
    /// Whether its documents are being embedded anew, or are to be.
    pub(crate) reembedding: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let chunking = ChunkOptions::default();
        let tokens = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            description: String::new(),
            embedding: Embedding::BuiltIn,
            tenant_field: None,
            metadata_schema: None,
            metadata: Map::new(),
            chunk_size: tokens(chunking.chunk_tokens),
            chunk_overlap: tokens(chunking.overlap_tokens),
            default_top_k: 10,
            default_min_score: None,
            default_search_mode: SearchMode::Hybrid,
            reranking: false,
            reembedding: false,
        }
    }
}

/// A collection to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewCollection {
    pub(crate) spec: CollectionSpec,
    /// Whose vectors are in it: the embedder's id.
    pub(crate) embedder: String,
    pub(crate) settings: Settings,
    /// The embedding provider's key, sealed.
    pub(crate) provider_key: Option<Vec<u8>>,
}

/// What all partitions of a collection share.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    /// Told to callers; stays when all else changes.
    pub(crate) id: String,
    pub(crate) workspace: WorkspaceId,
    pub(crate) name: String,
    pub(crate) spec: CollectionSpec,
    /// Whose vectors are in it: the embedder's id.
    pub(crate) embedder: String,
    pub(crate) settings: Settings,
    /// The embedding provider's key, sealed under the workspace's.
    pub(crate) provider_key: Option<Vec<u8>>,
    pub(crate) life: Life,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    /// What metadata has to be, read once.
    pub(crate) schema: Arc<OnceLock<MetadataSchema>>,
    /// The same for all readings of one collection.
    pub(crate) gate: Arc<Gate>,
}

/// Lets writes in until the collection is to go.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_closed: AtomicBool,
    inside: RwLock<()>,
}

impl Gate {
    /// A place inside, for as long as something is written; `None` once the gate is closed.
    pub(crate) fn enter(&self) -> Option<RwLockReadGuard<'_, ()>> {
        let inside = self.inside.read().unwrap_or_else(PoisonError::into_inner);
        (!self.is_closed.load(Ordering::Acquire)).then_some(inside)
    }

    /// Lets everybody in again.
    pub(crate) fn open(&self) {
        self.is_closed.store(false, Ordering::Release);
    }

    /// Lets nobody in any more, and waits until all are out.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        drop(self.inside.write().unwrap_or_else(PoisonError::into_inner));
    }
}

const COLUMNS: &str =
    "workspace, name, dimension, embedder, created_ms, id, state, metric, settings, provider_key, updated_ms";

impl Collection {
    /// Whether metadata is what the collection's schema asks for. The error names the place and the rule.
    pub(crate) fn check_metadata(&self, metadata: &Value) -> Result<(), String> {
        let Some(schema) = &self.settings.metadata_schema else { return Ok(()) };
        let schema = match self.schema.get() {
            Some(schema) => schema,
            // Two at once read it twice, to the same end.
            None => {
                let read = MetadataSchema::read(schema)?;
                self.schema.get_or_init(|| read)
            }
        };
        schema.check(metadata)
    }

    /// How its documents are cut.
    pub(crate) fn chunking(&self) -> Result<ChunkOptions, ControlError> {
        let Settings { chunk_size, chunk_overlap, .. } = self.settings;
        ChunkOptions::new(chunk_size as usize, chunk_overlap as usize)
            .map_err(|error| ControlError::Corrupt(format!("a collection's chunking: {error}")))
    }

    /// All that the database holds.
    pub(super) fn load_all(db: &Connection) -> Result<Vec<Self>, ControlError> {
        let mut rows = db.prepare(&format!("SELECT {COLUMNS} FROM collections"))?;
        let mut rows = rows.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(Self::read(row)?);
        }
        Ok(all)
    }

    fn read(row: &Row<'_>) -> Result<Self, ControlError> {
        let corrupt =
            |what: &str, found: &str| ControlError::Corrupt(format!("a collection's {what} is {found:?}"));
        let (state, metric, settings): (String, String, String) = (row.get(6)?, row.get(7)?, row.get(8)?);
        let lives = [Life::Live, Life::Truncating, Life::Deleting];
        let life =
            lives.into_iter().find(|life| life.word() == state).ok_or_else(|| corrupt("state", &state))?;
        Ok(Self {
            workspace: workspace_id(row, 0)?,
            name: row.get(1)?,
            spec: CollectionSpec {
                dimension: row.get(2)?,
                metric: metric_of(&metric).ok_or_else(|| corrupt("metric", &metric))?,
            },
            embedder: row.get(3)?,
            created_ms: row.get(4)?,
            id: row.get(5)?,
            life,
            settings: serde_json::from_str(&settings)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(8, Type::Text, error.into()))?,
            provider_key: row.get(9)?,
            updated_ms: row.get(10)?,
            schema: Arc::default(),
            gate: Arc::default(),
        })
    }

    /// Writes the row of a new collection.
    pub(super) fn insert(
        change: &Connection,
        workspace: WorkspaceId,
        name: &str,
        new: NewCollection,
    ) -> Result<Self, ControlError> {
        let now = clock::now_ms();
        let NewCollection { spec, embedder, settings, provider_key } = new;
        let made = Self {
            id: random::hex(&random::bytes::<16>()),
            workspace,
            name: name.to_owned(),
            spec,
            embedder,
            settings,
            provider_key,
            life: Life::Live,
            created_ms: now,
            updated_ms: now,
            schema: Arc::default(),
            gate: Arc::default(),
        };
        let done = change.execute(
            &format!(
                "INSERT INTO collections ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?5)"
            ),
            params![
                random::hex(&workspace.0),
                name,
                made.spec.dimension,
                made.embedder,
                now,
                made.id,
                made.life.word(),
                metric_word(made.spec.metric),
                text_of(&made.settings)?,
                made.provider_key,
            ],
        );
        match done.as_ref().err().and_then(rusqlite::Error::sqlite_error_code) {
            Some(rusqlite::ErrorCode::ConstraintViolation) => Err(ControlError::CollectionTaken),
            _ => done.map(|_| made).map_err(ControlError::from),
        }
    }
}

/// The word for a metric in rows, requests and answers.
pub(crate) fn metric_word(metric: Metric) -> &'static str {
    match metric {
        Metric::Cosine => "cosine",
        Metric::InnerProduct => "dot",
        Metric::Euclidean => "euclidean",
    }
}

/// The metric of this word.
pub(crate) fn metric_of(word: &str) -> Option<Metric> {
    [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean]
        .into_iter()
        .find(|metric| metric_word(*metric) == word)
}

fn text_of(settings: &Settings) -> Result<String, ControlError> {
    serde_json::to_string(settings)
        .map_err(|error| ControlError::Corrupt(format!("a collection's settings can't be written: {error}")))
}

impl Control {
    /// A collection in service.
    pub(crate) fn collection(&self, workspace: WorkspaceId, name: &str) -> Option<Arc<Collection>> {
        self.read().collection(workspace, name).filter(|collection| collection.life != Life::Deleting)
    }

    /// The collections of a workspace that are in service, by name.
    pub(crate) fn collections_of(&self, workspace: WorkspaceId) -> Vec<Arc<Collection>> {
        self.collections_that(|collection| {
            collection.workspace == workspace && collection.life != Life::Deleting
        })
    }

    /// Those whose emptying or deletion was begun and not finished.
    pub(crate) fn unfinished_collections(&self) -> Vec<Arc<Collection>> {
        self.collections_that(|collection| collection.life != Life::Live)
    }

    /// Those whose documents are still to be embedded anew.
    pub(crate) fn collections_due(&self) -> Vec<Arc<Collection>> {
        self.collections_that(|collection| collection.life == Life::Live && collection.settings.reembedding)
    }

    fn collections_that(&self, fits: impl Fn(&Collection) -> bool) -> Vec<Arc<Collection>> {
        let mut found: Vec<_> = self.read().collections().filter(|one| fits(one)).cloned().collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Makes a collection.
    pub(crate) fn create_collection(
        &self,
        workspace: WorkspaceId,
        name: &str,
        new: NewCollection,
        by: By,
    ) -> Result<Arc<Collection>, ControlError> {
        let told =
            |made: &Collection| vec![Entry::done(workspace, by, Action::CollectionCreate, made.id.clone())];
        self.act_and_tell(
            |db| Collection::insert(db, workspace, name, new),
            told,
            |held, made| self.publish(held, |directory| directory.put_collection(made.clone())),
        )?;
        self.read().collection(workspace, name).ok_or(ControlError::NoCollection)
    }

    /// Changes settings, and the provider's key when one is given; `Some(None)` takes it away.
    pub(crate) fn change_collection(
        &self,
        collection: &Collection,
        change: impl FnOnce(&mut Settings),
        provider_key: Option<Option<Vec<u8>>>,
        by: By,
    ) -> Result<Arc<Collection>, ControlError> {
        self.rewrite(collection, Some((Action::CollectionChange, by)), |row| {
            change(&mut row.settings);
            if let Some(key) = provider_key {
                row.provider_key = key;
            }
            row.updated_ms = clock::now_ms();
        })
    }

    /// Writes down where a collection is in its life.
    pub(crate) fn set_life(
        &self,
        collection: &Collection,
        life: Life,
    ) -> Result<Arc<Collection>, ControlError> {
        self.rewrite(collection, None, |row| row.life = life)
    }

    /// Puts a collection whose partitions the engine has dropped back into its usual life.
    pub(crate) fn finish_truncation(
        &self,
        collection: &Collection,
        by: By,
    ) -> Result<Arc<Collection>, ControlError> {
        self.rewrite(collection, Some((Action::CollectionTruncate, by)), |row| row.life = Life::Live)
    }

    fn rewrite(
        &self,
        collection: &Collection,
        told: Option<(Action, By)>,
        change: impl FnOnce(&mut Collection),
    ) -> Result<Arc<Collection>, ControlError> {
        let told =
            told.map(|(action, by)| Entry::done(collection.workspace, by, action, collection.id.clone()));
        self.act(
            told.into_iter().collect(),
            |db| {
                let old = self.read().collection(collection.workspace, &collection.name);
                // One of the same name that was made anew is another.
                let old = old.filter(|old| old.id == collection.id).ok_or(ControlError::NoCollection)?;
                let mut new = (*old).clone();
                change(&mut new);
                new.schema = Arc::default();
                db.execute(
                    "UPDATE collections SET state = ?2, settings = ?3, provider_key = ?4, updated_ms = ?5 WHERE id = ?1",
                    params![new.id, new.life.word(), text_of(&new.settings)?, new.provider_key, new.updated_ms],
                )?;
                Ok(new)
            },
            |held, new| self.publish(held, |directory| directory.put_collection(new.clone())),
        )?;
        self.read().collection(collection.workspace, &collection.name).ok_or(ControlError::NoCollection)
    }

    /// Removes the row of a collection whose partitions the engine has dropped.
    pub(crate) fn finish_collection(&self, collection: &Collection, by: By) -> Result<(), ControlError> {
        self.act(
            vec![Entry::done(collection.workspace, by, Action::CollectionDrop, collection.id.clone())],
            |db| {
                db.execute("DELETE FROM collections WHERE id = ?1", params![collection.id])?;
                Ok(())
            },
            |held, ()| {
                self.publish(held, |directory| {
                    directory.remove_collection(collection.workspace, &collection.name);
                });
                empty_wal(held);
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a document could be written into a collection after its last partition was dropped, and live on unseen.
    #[test]
    fn nobody_enters_a_closed_gate_and_closing_waits_for_those_inside() {
        let gate = Arc::new(Gate::default());
        let inside = gate.enter().unwrap();
        let closing = std::thread::spawn({
            let gate = gate.clone();
            move || gate.close()
        });
        while !gate.is_closed.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        assert!(!closing.is_finished());
        drop(inside);
        closing.join().unwrap();
        assert!(gate.enter().is_none());
    }

    /// Lost otherwise: an update of the server would change how a collection's documents are cut or searched.
    #[test]
    fn settings_survive_the_way_out_and_back() {
        let settings = Settings {
            embedding: Embedding::Remote {
                provider: "openai".to_owned(),
                model: "text-embedding-3-small".to_owned(),
                base_url: None,
            },
            tenant_field: Some("tenant_id".to_owned()),
            default_search_mode: SearchMode::Keyword,
            ..Settings::default()
        };
        assert_eq!(serde_json::from_str::<Settings>(&text_of(&settings).unwrap()).unwrap(), settings);
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
        for metric in [Metric::Cosine, Metric::InnerProduct, Metric::Euclidean] {
            assert_eq!(metric_of(metric_word(metric)), Some(metric));
        }
    }
}
