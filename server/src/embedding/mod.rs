//! Who turns a collection's texts into vectors?
//!
//! The model that the server brings, or a service at another address that speaks as OpenAI's does (`POST …/embeddings`), called
//! over `outbound`. A document is cut on a thread that may block; its texts wait for a service on no thread.
//!
//! Invariants:
//! 1. Nothing is sent but the texts that one request embeds, to the address that its collection names or the operator gave.
//! 2. The operator's key goes to the operator's address alone; a collection's key to the collection's.
//! 3. Each text gets exactly one vector of the collection's dimension, all of it numbers, or none gets any.
//! 4. No key is in an answer, a log line or a metric; in the database it is sealed.

mod form;
pub(crate) mod settings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderValue, Uri};
use strongroom_embed::{Embedder, StaticEmbedder};
use strongroom_engine::{NewDocument, Store};

use self::settings::Settings;
use crate::auth::server_in;
use crate::control::{Collection, Embedding};
use crate::ingest::Intake;
use crate::message::error::ApiError;
use crate::metrics::Metrics;
use crate::outbound::{self, Endpoint, Failure, Service};
use crate::pool::Pool;

/// Texts of one call of a service, and their bytes together.
const CALL_TEXTS_MAX: usize = 128;
const CALL_BYTES_MAX: usize = 256 << 10;
/// Services that connections are kept to. Beyond, all are closed and opened again as they are needed.
const SERVICES_MAX: usize = 256;
/// A number takes some 12 bytes, and a model at most 8,192 of them.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Where a service is, and the key that it is called with.
type Named = (Uri, Option<HeaderValue>);

/// Every model that collections of this server may name.
pub(crate) struct Models {
    built_in: &'static StaticEmbedder,
    settings: Settings,
    services: Mutex<HashMap<Named, Arc<Service>>>,
    metrics: Arc<Metrics>,
}

/// A collection's model.
#[derive(Clone)]
pub(crate) enum Model {
    BuiltIn(&'static StaticEmbedder),
    Remote(Arc<Remote>),
}

/// A service and what is asked of it.
pub(crate) struct Remote {
    service: Arc<Service>,
    model: String,
    dimension: usize,
}

impl Models {
    pub(crate) fn new(built_in: &'static StaticEmbedder, settings: Settings, metrics: Arc<Metrics>) -> Self {
        Self { built_in, settings, services: Mutex::default(), metrics }
    }

    /// Whether collections may name this address.
    pub(crate) fn allows(&self, address: &Uri) -> bool {
        self.settings.allows(address)
    }

    /// Whether texts of this collection can be embedded: a service without a key is not asked.
    pub(crate) fn has_key(&self, collection: &Collection) -> bool {
        match &collection.settings.embedding {
            Embedding::Remote { base_url: None, .. } => {
                collection.provider_key.is_some() || self.settings.authorization.is_some()
            }
            Embedding::Remote { base_url: Some(_), .. } => collection.provider_key.is_some(),
            Embedding::BuiltIn | Embedding::Own => false,
        }
    }

    /// The model that makes this collection's vectors.
    pub(crate) fn of(&self, store: &Store, collection: &Collection) -> Result<Model, ApiError> {
        match &collection.settings.embedding {
            Embedding::BuiltIn if collection.embedder == self.built_in.id().to_string() => {
                Ok(Model::BuiltIn(self.built_in))
            }
            Embedding::BuiltIn => Err(ApiError::conflict(
                "embedder_mismatch",
                format!(
                    "this collection's vectors were made by the model {}, which this server does not have; they can be \
                     searched by words, or with vectors of your own",
                    collection.embedder
                ),
            )),
            Embedding::Own => Err(ApiError::unacceptable(
                "own_vectors",
                "this collection holds vectors of your own and has no embedding model: insert vectors, and search it by words \
                 (search_mode keyword)",
            )),
            Embedding::Remote { model, base_url, .. } => {
                let address = match base_url {
                    Some(base) => settings::address(base).map_err(ApiError::internal)?,
                    None => self.settings.address.clone(),
                };
                // The operator may have become stricter since the collection was made.
                if base_url.is_some() && !self.allows(&address) {
                    return Err(not_allowed());
                }
                let key = self.key(store, collection, base_url.is_some())?;
                if key.is_none() && base_url.is_none() {
                    return Err(ApiError::unacceptable(
                        "embedding_not_configured",
                        "this collection's embedding provider has no key: give the collection an embedding_api_key, or the \
                         server one in STRONGROOM_EMBEDDING_KEY",
                    ));
                }
                let service = self.service(address, key)?;
                let dimension = collection.spec.dimension as usize;
                Ok(Model::Remote(Arc::new(Remote { service, model: model.clone(), dimension })))
            }
        }
    }

    fn key(
        &self,
        store: &Store,
        collection: &Collection,
        is_elsewhere: bool,
    ) -> Result<Option<HeaderValue>, ApiError> {
        let Some(sealed) = &collection.provider_key else {
            return Ok(if is_elsewhere { None } else { self.settings.authorization.clone() });
        };
        let scope = server_in(collection.workspace, &collection.name);
        let key = store.open_secret(&scope, sealed)?.and_then(|key| String::from_utf8(key).ok());
        let key = key.ok_or_else(|| ApiError::internal("a collection's provider key does not open"))?;
        outbound::bearer("embedding_api_key", &key).map(Some).map_err(ApiError::internal)
    }

    fn service(&self, address: Uri, key: Option<HeaderValue>) -> Result<Arc<Service>, ApiError> {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = services.get(&(address.clone(), key.clone())) {
            return Ok(service.clone());
        }
        let endpoint = Endpoint {
            address: address.clone(),
            authorization: key.clone(),
            timeout: self.settings.timeout,
            running_max: self.settings.calls_max,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let service = Service::new("embedder", endpoint, self.metrics.clone()).map_err(ApiError::internal)?;
        if services.len() >= SERVICES_MAX {
            services.clear();
        }
        let service = Arc::new(service);
        services.insert((address, key), service.clone());
        Ok(service)
    }

    /// Reads, cuts and embeds a document.
    pub(crate) async fn document(
        &self,
        store: &Store,
        pool: &Pool,
        collection: &Collection,
        intake: Intake,
        passages_max: usize,
    ) -> Result<NewDocument, ApiError> {
        let (model, counter) = (self.of(store, collection)?, self.built_in);
        match model {
            Model::BuiltIn(embedder) => pool.run(move || intake.embed(embedder, passages_max)).await,
            Model::Remote(remote) => {
                let cut = pool.run(move || intake.cut(counter, passages_max)).await?;
                let vectors = remote.embed(&cut.texts()?).await?;
                pool.run(move || cut.with_vectors(vectors)).await
            }
        }
    }

    /// A vector for each query.
    pub(crate) async fn queries(
        &self,
        store: &Store,
        pool: &Pool,
        collection: &Collection,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ApiError> {
        match self.of(store, collection)? {
            Model::BuiltIn(embedder) => pool.run(move || Ok(embedder.embed(&borrowed(&texts))?)).await,
            Model::Remote(remote) => remote.embed(&borrowed(&texts)).await,
        }
    }
}

impl Remote {
    /// One vector for each text, in their order.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ApiError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in batches(texts) {
            let ask = || form::ask(&self.model, self.dimension, batch);
            let read = |answer: &[u8]| form::read(answer, batch.len(), self.dimension);
            vectors.extend(self.service.post(ask, read).await.map_err(|failure| refused(&failure))?);
        }
        Ok(vectors)
    }
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// The texts in runs that one call may carry.
fn batches<'a, 'b>(texts: &'a [&'b str]) -> Vec<&'a [&'b str]> {
    let (mut batches, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, text) in texts.iter().enumerate() {
        if at > begin && (at - begin == CALL_TEXTS_MAX || bytes + text.len() > CALL_BYTES_MAX) {
            batches.push(&texts[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += text.len();
    }
    if begin < texts.len() {
        batches.push(&texts[begin..]);
    }
    batches
}

/// An address that the operator doesn't let collections name.
pub(crate) fn not_allowed() -> ApiError {
    ApiError::unacceptable(
        "embedding_address_not_allowed",
        "the operator of this server lets collections name other embedding services only (--embedding-hosts)",
    )
}

/// What a failed call means to the caller. Nothing was written.
fn refused(failure: &Failure) -> ApiError {
    match failure {
        Failure::Unreadable(form::WRONG_DIMENSION) => ApiError::unacceptable(
            "wrong_dimension",
            "the embedding service answered vectors of another dimension than this collection's; make a collection of that \
             dimension, or name another model",
        ),
        Failure::Refused(status) => ApiError::unacceptable(
            "embedding_refused",
            format!(
                "the embedding service refused the request with status {}: check the key, the model's name and the length of \
                 the passages",
                status.as_u16()
            ),
        ),
        _ => ApiError::busy(
            "embedder_unavailable",
            format!(
                "the embedding service failed ({}), and nothing was stored; try again soon",
                failure.word()
            ),
            5,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a long document would be refused by the service as one call too large, or a text be left out.
    #[test]
    fn batches_hold_all_texts_in_order_and_within_bounds() {
        let long = "x".repeat(CALL_BYTES_MAX);
        let texts: Vec<&str> = (0..300).map(|at| if at % 7 == 0 { long.as_str() } else { "short" }).collect();
        let runs = batches(&texts);
        assert_eq!(runs.concat(), texts);
        for run in runs {
            let bytes: usize = run.iter().map(|text| text.len()).sum();
            assert!(run.len() <= CALL_TEXTS_MAX && (run.len() == 1 || bytes <= CALL_BYTES_MAX));
        }
        assert!(batches(&[]).is_empty());
    }
}
