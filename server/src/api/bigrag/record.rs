//! How is a collection told to bigRAG's clients?

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use strongroom_engine::Totals;

use crate::app::App;
use crate::clock;
use crate::control::{Collection, Embedding, SearchMode, metric_word};

/// A collection's record.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Collection")]
pub(crate) struct Record {
    id: String,
    name: String,
    description: String,
    /// `built-in`, `none` (vectors are the caller's own), or a service's name.
    embedding_provider: String,
    embedding_model: String,
    embedding_base_url: Option<String>,
    embedding_preset_id: Option<String>,
    /// Whether the provider's key is kept for it.
    has_api_key: bool,
    dimension: u32,
    /// `cosine`, `dot` or `euclidean`.
    metric: &'static str,
    /// Tokens of a passage.
    chunk_size: u32,
    /// Tokens that a passage shares with the next.
    chunk_overlap: u32,
    chunk_strategy: &'static str,
    /// The field of metadata whose value is the partition.
    tenant_field: Option<String>,
    has_metadata_schema: bool,
    metadata_schema: Option<Value>,
    /// Of what the caller may see.
    document_count: u64,
    reranking_enabled: bool,
    reranking_model: &'static str,
    has_reranking_api_key: bool,
    multimodal_enabled: bool,
    multimodal_enrichment_enabled: bool,
    default_top_k: u32,
    default_min_score: Option<f64>,
    default_search_mode: SearchMode,
    metadata: Map<String, Value>,
    created_at: String,
    updated_at: String,
}

/// `totals` are of what the caller may see.
pub(super) fn collection(app: &App, collection: &Collection, totals: &Totals) -> Record {
    let settings = &collection.settings;
    let (provider, model, base_url) = match &settings.embedding {
        Embedding::BuiltIn => ("built-in", app.embedder.id().name.as_str(), None),
        Embedding::Remote { provider, model, base_url } => {
            (provider.as_str(), model.as_str(), base_url.as_deref())
        }
        Embedding::Own => ("none", "", None),
    };
    Record {
        id: collection.id.clone(),
        name: collection.name.clone(),
        description: settings.description.clone(),
        embedding_provider: provider.to_owned(),
        embedding_model: model.to_owned(),
        embedding_base_url: base_url.map(str::to_owned),
        embedding_preset_id: None,
        has_api_key: app.models.has_key(collection),
        dimension: collection.spec.dimension,
        metric: metric_word(collection.spec.metric),
        chunk_size: settings.chunk_size,
        chunk_overlap: settings.chunk_overlap,
        chunk_strategy: "sentence",
        tenant_field: settings.tenant_field.clone(),
        has_metadata_schema: settings.metadata_schema.is_some(),
        metadata_schema: settings.metadata_schema.clone(),
        document_count: totals.counts.documents,
        reranking_enabled: settings.reranking,
        reranking_model: "",
        has_reranking_api_key: false,
        multimodal_enabled: false,
        multimodal_enrichment_enabled: false,
        default_top_k: settings.default_top_k,
        default_min_score: settings.default_min_score,
        default_search_mode: settings.default_search_mode,
        metadata: settings.metadata.clone(),
        created_at: clock::rfc3339(collection.created_ms),
        updated_at: clock::rfc3339(collection.updated_ms),
    }
}
