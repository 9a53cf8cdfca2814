//! How is a collection told to bigRAG's clients?

use serde_json::{Value, json};
use strongroom_engine::Totals;

use crate::app::App;
use crate::clock;
use crate::control::{Collection, Embedding, metric_word};

/// A collection's record. `totals` are of what the caller may see.
pub(super) fn collection(app: &App, collection: &Collection, totals: &Totals) -> Value {
    let settings = &collection.settings;
    let (provider, model, base_url) = match &settings.embedding {
        Embedding::BuiltIn => ("built-in", app.embedder.id().name.as_str(), None),
        Embedding::Remote { provider, model, base_url } => {
            (provider.as_str(), model.as_str(), base_url.as_deref())
        }
        Embedding::Own => ("none", "", None),
    };
    json!({
        "id": collection.id,
        "name": collection.name,
        "description": settings.description,
        "embedding_provider": provider,
        "embedding_model": model,
        "embedding_base_url": base_url,
        "embedding_preset_id": null,
        "has_api_key": app.models.has_key(collection),
        "dimension": collection.spec.dimension,
        "metric": metric_word(collection.spec.metric),
        "chunk_size": settings.chunk_size,
        "chunk_overlap": settings.chunk_overlap,
        "chunk_strategy": "sentence",
        "tenant_field": settings.tenant_field,
        "has_metadata_schema": settings.metadata_schema.is_some(),
        "metadata_schema": settings.metadata_schema,
        "document_count": totals.counts.documents,
        "reranking_enabled": settings.reranking,
        "reranking_model": "",
        "has_reranking_api_key": false,
        "multimodal_enabled": false,
        "multimodal_enrichment_enabled": false,
        "default_top_k": settings.default_top_k,
        "default_min_score": settings.default_min_score,
        "default_search_mode": settings.default_search_mode,
        "metadata": settings.metadata,
        "created_at": clock::rfc3339(collection.created_ms),
        "updated_at": clock::rfc3339(collection.updated_ms),
    })
}
