//! What does a request make of a collection?
//!
//! Reads what a client asks for, and decides what it left open: who embeds, in how many dimensions, how a query is answered.
//! What can't be done is refused with what can.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use strongroom_embed::ChunkOptions;
use strongroom_engine::CollectionSpec;

use crate::app::App;
use crate::control::{Embedding, MetadataSchema, NewCollection, SearchMode, Settings, metric_of};
use crate::embedding::{self, settings::address};
use crate::message::error::ApiError;
use crate::message::json;

const DIMENSION_MAX: u32 = 8192;
const TEXT_BYTES_MAX: usize = 4 << 10;
const KEY_BYTES_MAX: usize = 4 << 10;
/// The one way in which texts are cut.
const STRATEGY: &str = "sentence";
/// Dimensions of models that are known by name.
const KNOWN: [(&str, u32); 3] =
    [("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072), ("text-embedding-ada-002", 1536)];

/// A collection to be made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "NewCollection", extend("required" = ["name"]))]
pub(crate) struct Asked {
    #[schemars(length(min = 1))]
    /// Letters, digits, `-`, `_` and `.`.
    pub(super) name: String,
    /// `built-in` when it is not given, `none` for vectors of one's own, or a service that speaks as OpenAI's does.
    embedding_provider: Option<String>,
    embedding_model: Option<String>,
    pub(super) embedding_api_key: Option<String>,
    embedding_base_url: Option<String>,
    #[schemars(skip)]
    embedding_preset_id: Option<String>,
    #[schemars(range(min = 1, max = 8192))]
    dimension: Option<u32>,
    /// `cosine` when it is not given, `dot` or `euclidean`.
    metric: Option<String>,
    /// The field of metadata whose value is the partition.
    tenant_field: Option<String>,
    /// Tokens of a passage.
    chunk_size: Option<u32>,
    chunk_overlap: Option<u32>,
    #[serde(flatten)]
    changeable: Changeable,
}

/// What of a collection can be asked for at first and changed later.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Changeable {
    description: Option<String>,
    metadata: Option<Map<String, Value>>,
    #[serde(deserialize_with = "json::present")]
    #[schemars(with = "Option<Map<String, Value>>")]
    metadata_schema: Option<Option<Value>>,
    /// `sentence`.
    chunk_strategy: Option<String>,
    default_top_k: Option<u32>,
    #[serde(deserialize_with = "json::present")]
    default_min_score: Option<Option<f64>>,
    default_search_mode: Option<SearchMode>,
    reranking_enabled: Option<bool>,
    reranking_model: Option<String>,
    reranking_api_key: Option<String>,
    multimodal_enabled: Option<bool>,
    multimodal_enrichment_enabled: Option<bool>,
}

/// Changes to a collection.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CollectionChanges")]
pub(crate) struct Changes {
    /// Given, or taken away.
    #[serde(deserialize_with = "json::present")]
    pub(super) embedding_api_key: Option<Option<String>>,
    #[serde(flatten)]
    changeable: Changeable,
}

/// What is to be made, but for its sealed key.
pub(super) fn new_collection(app: &App, asked: &Asked) -> Result<NewCollection, ApiError> {
    check_name(&asked.name)?;
    if asked.embedding_preset_id.is_some() {
        return Err(ApiError::not_offered("the field `embedding_preset_id`"));
    }
    let mut settings = Settings::default();
    let (embedding, dimension) = embedding(app, asked)?;
    let embedder = match &embedding {
        Embedding::BuiltIn => app.embedder.id().to_string(),
        Embedding::Remote { provider, model, .. } => format!("{provider}/{model}/{dimension}"),
        Embedding::Own => format!("own/{dimension}"),
    };
    if embedding == Embedding::Own {
        settings.default_search_mode = SearchMode::Keyword;
    }
    settings.embedding = embedding;
    settings.tenant_field =
        asked.tenant_field.as_deref().map(|field| tenant_field(app, field)).transpose()?;
    (settings.chunk_size, settings.chunk_overlap) = chunking(asked.chunk_size, asked.chunk_overlap)?;
    apply(app, &asked.changeable, &mut settings)?;
    let metric = asked.metric.as_deref().unwrap_or("cosine");
    let metric = metric_of(metric)
        .ok_or_else(|| ApiError::unacceptable("unknown_metric", "metric is cosine, dot or euclidean"))?;
    Ok(NewCollection { spec: CollectionSpec { dimension, metric }, embedder, settings, provider_key: None })
}

/// The settings as they are to be.
pub(super) fn changed(app: &App, changes: &Changes, old: &Settings) -> Result<Settings, ApiError> {
    let mut settings = old.clone();
    apply(app, &changes.changeable, &mut settings)?;
    Ok(settings)
}

/// Checks a provider's key as it is to be sealed.
pub(super) fn checked_key(key: &str) -> Result<&str, ApiError> {
    let key = key.trim();
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::unacceptable(
            "invalid_key",
            "embedding_api_key must be one word of visible ASCII",
        ));
    }
    Ok(key)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let is_path = name == "." || name == "..";
    if name.trim().is_empty() || name.len() > 128 || is_path || name.chars().any(char::is_control) {
        return Err(ApiError::unacceptable(
            "invalid_name",
            "a collection's name has 1 to 128 bytes, is not all white space nor `.` or `..`, and has no control characters",
        ));
    }
    Ok(())
}

/// Who embeds, and in how many dimensions.
fn embedding(app: &App, asked: &Asked) -> Result<(Embedding, u32), ApiError> {
    let own_id = app.embedder.id();
    let built_in = u32::try_from(own_id.dimension).unwrap_or(u32::MAX);
    if asked.dimension.is_some_and(|dimension| !(1..=DIMENSION_MAX).contains(&dimension)) {
        return Err(unfit(format!("dimension is a whole number from 1 to {DIMENSION_MAX}")));
    }
    let provider = asked.embedding_provider.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let model = asked.embedding_model.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let base_url = asked.embedding_base_url.as_deref().map(str::trim).filter(|url| !url.is_empty());
    let is_own_model = model.is_none_or(|model| model == own_id.name || model == own_id.to_string());
    let names_nobody = base_url.is_none() && asked.embedding_api_key.is_none() && is_own_model;
    match provider.map(str::to_ascii_lowercase).as_deref() {
        Some("none" | "own") => {
            let dimension = asked.dimension.ok_or_else(|| {
                unfit("a collection for vectors of your own needs their dimension".to_owned())
            })?;
            return Ok((Embedding::Own, dimension));
        }
        None if names_nobody && model.is_none() && asked.dimension.is_some_and(|own| own != built_in) => {
            return Ok((Embedding::Own, asked.dimension.unwrap_or(built_in)));
        }
        Some("built-in" | "builtin" | "strongroom") | None if names_nobody => {
            if asked.dimension.is_some_and(|dimension| dimension != built_in) {
                return Err(unfit(format!("the built-in model makes vectors of {built_in} numbers")));
            }
            return Ok((Embedding::BuiltIn, built_in));
        }
        Some("openai" | "openai_compatible" | "openai-compatible") | None => {}
        Some(_) if base_url.is_some() => {}
        Some(_) => {
            return Err(ApiError::unacceptable(
                "unknown_provider",
                "embedding_provider is built-in, openai, or none for vectors of your own; any other service that speaks as \
                 OpenAI's does is named by its embedding_base_url",
            ));
        }
    }
    if let Some(base) = base_url {
        let at = address(base).map_err(unfit)?;
        if !app.models.allows(&at) {
            return Err(embedding::not_allowed());
        }
    }
    let model = model.unwrap_or(KNOWN[0].0);
    if model.len() > 256 || model.chars().any(char::is_control) {
        return Err(unfit("embedding_model has at most 256 bytes and no control characters".to_owned()));
    }
    let known = KNOWN.iter().find(|(name, _)| *name == model).map(|(_, dimension)| *dimension);
    let dimension = asked.dimension.or(known).ok_or_else(|| {
        unfit(format!("the dimension of the model {model:?} is not known here; give it as dimension"))
    })?;
    let remote = Embedding::Remote {
        provider: provider.unwrap_or("openai").chars().take(64).collect(),
        model: model.to_owned(),
        base_url: base_url.map(str::to_owned),
    };
    Ok((remote, dimension))
}

fn unfit(text: String) -> ApiError {
    ApiError::unacceptable("invalid_embedding", text)
}

fn tenant_field(app: &App, field: &str) -> Result<String, ApiError> {
    let most = app.limits.name_bytes_max;
    if field.trim().is_empty() || field.len() > most || field.contains(['\0', '$', '.']) {
        return Err(ApiError::unacceptable(
            "invalid_tenant_field",
            format!(
                "tenant_field names one field of the metadata: 1 to {most} bytes, without NUL, `$` and `.`"
            ),
        ));
    }
    Ok(field.to_owned())
}

fn chunking(size: Option<u32>, overlap: Option<u32>) -> Result<(u32, u32), ApiError> {
    let usual = Settings::default();
    let size_or = size.unwrap_or(usual.chunk_size);
    let overlap = overlap.unwrap_or_else(|| size.map_or(usual.chunk_overlap, |size| size / 8));
    match ChunkOptions::new(size_or as usize, overlap as usize) {
        Ok(_) => Ok((size_or, overlap)),
        Err(error) => Err(ApiError::unacceptable("invalid_chunking", error.to_string())),
    }
}

fn apply(app: &App, asked: &Changeable, settings: &mut Settings) -> Result<(), ApiError> {
    let limits = &app.limits;
    let too_long = |what: &str, most: usize| {
        ApiError::unacceptable("too_long", format!("{what} has at most {most} bytes"))
    };
    if asked.multimodal_enabled == Some(true) || asked.multimodal_enrichment_enabled == Some(true) {
        return Err(ApiError::not_offered("multimodal content"));
    }
    if asked.reranking_api_key.is_some()
        || asked.reranking_model.as_ref().is_some_and(|model| !model.is_empty())
    {
        return Err(ApiError::not_offered(
            "a collection's own reranker (the server's is its operator's: --reranker)",
        ));
    }
    if asked.chunk_strategy.as_ref().is_some_and(|strategy| strategy != STRATEGY) {
        return Err(ApiError::unacceptable(
            "invalid_chunking",
            "chunk_strategy is `sentence`: texts are cut along sentences",
        ));
    }
    if let Some(description) = &asked.description {
        if description.len() > TEXT_BYTES_MAX {
            return Err(too_long("description", TEXT_BYTES_MAX));
        }
        settings.description.clone_from(description);
    }
    if let Some(metadata) = &asked.metadata {
        if serde_json::to_string(metadata).map_or(usize::MAX, |text| text.len()) > limits.metadata_bytes_max {
            return Err(too_long("metadata", limits.metadata_bytes_max));
        }
        settings.metadata.clone_from(metadata);
    }
    if let Some(schema) = &asked.metadata_schema {
        if let Some(schema) = schema {
            if schema.to_string().len() > limits.metadata_bytes_max {
                return Err(too_long("metadata_schema", limits.metadata_bytes_max));
            }
            MetadataSchema::read(schema).map_err(|fault| {
                ApiError::unacceptable(
                    "invalid_schema",
                    format!("metadata_schema is no JSON Schema: {fault}"),
                )
            })?;
        }
        settings.metadata_schema.clone_from(schema);
    }
    if let Some(k) = asked.default_top_k {
        if k == 0 || k as usize > limits.k_max {
            let most = limits.k_max;
            return Err(ApiError::unacceptable(
                "invalid_default",
                format!("default_top_k is from 1 to {most}"),
            ));
        }
        settings.default_top_k = k;
    }
    if let Some(score) = asked.default_min_score {
        if score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Err(ApiError::unacceptable("invalid_default", "default_min_score is from 0 to 1"));
        }
        settings.default_min_score = score;
    }
    if let Some(mode) = asked.default_search_mode {
        if settings.embedding == Embedding::Own && mode != SearchMode::Keyword {
            return Err(ApiError::unacceptable(
                "invalid_default",
                "a collection of vectors of your own has no model for queries: its default_search_mode is keyword",
            ));
        }
        settings.default_search_mode = mode;
    }
    match asked.reranking_enabled {
        Some(true) if app.reranker.is_none() => Err(ApiError::unacceptable(
            "no_reranker",
            "this server has no reranker; its operator names one with --reranker",
        )),
        Some(is_on) => {
            settings.reranking = is_on;
            Ok(())
        }
        None => Ok(()),
    }
}
