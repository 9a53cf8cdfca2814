//! How are several partitions searched at once, by those who were expressly granted it?
//!
//! The one route that answers from more than one partition. It takes the scope `query:across`, which `*` does not include, and a key
//! that is pinned to no partition; the partitions are named, or all of the collection are asked for in so many words. Each is
//! searched through a handle and a scope of its own, as in any other search, and only the hits are brought together.
//!
//! Invariants:
//! 1. A partition that the key does not reach, or that isn't there, takes no part and is not told apart.
//! 2. Each such search is in the audit log before it is answered, and its answer carries the trace of all that was opened.

use std::sync::Arc;

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strongroom_engine::{Hit, Scope, SearchResponse, Trace};

use super::finding::{Wanted, find, look_again};
use super::manner::Manner;
use super::ranking::reaches;
use super::record::{Found, TraceAnswer};
use super::search::{ByVector, check_vector, checked_query};
use crate::app::App;
use crate::auth::{DEFAULT_COLLECTION, Place};
use crate::call::With;
use crate::control::{Action, By, Entry};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::random;
use crate::statement::Traced;
use crate::usage::Tally;

/// How many partitions one search may look into.
const PARTITIONS_MAX: usize = 1000;

/// So many are searched in one turn, so that a search of very many keeps nobody waiting.
const TURN: usize = 16;

/// What stands in the place of a list for all partitions.
const ALL: &str = "*";

/// What is searched for.
#[derive(Clone)]
enum Asked {
    Text { text: String, vector: Arc<[f32]>, manner: Manner },
    Vector(Arc<[f32]>),
}

/// A search by vector, or with `q` by text, and the partitions.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Across(Map<String, Value>);

impl JsonSchema for Across {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SearchAcross".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let mut one = ByVector::json_schema(schemas);
        if let Some(fields) = one.get_mut("properties").and_then(Value::as_object_mut) {
            for name in ["partition", "trace", "rerank", "rerank_candidates"] {
                fields.shift_remove(name);
            }
            let list = json!({"type": "array", "minItems": 1, "maxItems": PARTITIONS_MAX, "items": {"type": "string"}});
            fields.shift_insert(0, "partitions".to_owned(), json!({"oneOf": [list, {"const": ALL}]}));
            fields.shift_insert(1, "q".to_owned(), json!({"type": "string", "minLength": 1}));
        }
        one.insert("required".to_owned(), json!(["partitions"]));
        one.insert("oneOf".to_owned(), json!([{"required": ["q"]}, {"required": ["embedding"]}]));
        json_schema!({"description": "A search of several partitions, by text or by vector.", "allOf": [one]})
    }
}

/// What was found in all of them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FoundAcross")]
pub(crate) struct FoundAcross {
    /// Best first.
    results: Vec<Found>,
    trace: TraceAnswer,
}

/// `POST /v1/search/across`
pub(crate) async fn search(mut call: With<Across>) -> Result<Answer<FoundAcross>, ApiError> {
    call.caller()?.require_unpinned()?;
    let (Across(mut fields), held) = call.json().await?;
    let wanted = fields.remove("partitions");
    let text = fields.remove("q");
    if fields.contains_key("partition") {
        return Err(ApiError::malformed(
            "malformed_body",
            "name the partitions in `partitions`, also a single one",
        ));
    }
    if text.is_some() == fields.contains_key("embedding") {
        return Err(ApiError::malformed("malformed_body", "give either q, a text, or embedding, a vector"));
    }
    if text.is_some() {
        fields.insert("embedding".to_owned(), json!([]));
    }
    let fields: ByVector = serde_json::from_value(fields.into())
        .map_err(|error| ApiError::malformed("malformed_body", format!("the search: {error}")))?;
    if fields.asks_for_reranker() {
        return Err(ApiError::malformed("malformed_body", "a search across partitions has no reranker"));
    }
    let names = named(wanted)?;
    let (app, by) = (call.app.clone(), call.by()?);
    let names = match names {
        Some(names) => names,
        None => all(&app, call.caller()?.whole_collection(DEFAULT_COLLECTION)?).await?,
    };
    let places = names.iter().map(|name| call.place_for(Some(name))).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = places.first().cloned() else {
        return Err(ApiError::missing("partition_not_found", "there is no partition to search"));
    };
    let traced = call.traced();
    let manner = Manner::of(fields.mode(), fields.fusion(), &fields.ranking())?;
    let vector: Arc<[f32]> = fields.vector().into();
    let wanted = fields.wanted(first, &call.app.limits, None, None)?;
    let text = match text {
        None => None,
        Some(Value::String(text)) => Some(checked_query(&text, &call.app.limits)?.to_owned()),
        Some(_) => return Err(ApiError::malformed("malformed_body", "q is a text")),
    };
    let (asking, asked_at) = (app.clone(), wanted.place.clone());
    let asked = app.pool.run(move || {
        let Some(text) = text else {
            check_vector(&asking, &asked_at, &vector)?;
            return Ok(Asked::Vector(vector));
        };
        let embedding_tokens = asking.embedder.count_tokens(&text) as u64;
        asking.quotas.tokens(&asked_at, embedding_tokens)?;
        asking.text_collection(asked_at.scope.workspace())?;
        let vector = asking.embedder.embed(&[&text])?.pop().unwrap_or_default().into();
        // On the first of the partitions: the text was embedded once.
        asking.usage.count(&asked_at, asked_at.key(), Tally { embedding_tokens, ..Tally::default() });
        Ok(Asked::Text { text, vector, manner })
    });
    let (asked, mut best) = (asked.await?, Best::new(wanted.k));
    for turn in places.chunks(TURN) {
        let (app, turn, wanted, asked) = (app.clone(), turn.to_vec(), wanted.clone(), asked.clone());
        let pool = app.pool.clone();
        best = pool.run(move || best.with(&app, turn, &wanted, &asked)).await?;
    }
    drop(held);
    let pool = app.pool.clone();
    pool.run(move || finish(&app, &wanted, best, by, traced)).await
}

/// The partitions that a list names, in its order; `None` for all of them.
fn named(wanted: Option<Value>) -> Result<Option<Vec<String>>, ApiError> {
    let refused = || {
        ApiError::malformed(
            "partitions_required",
            format!(
                "`partitions` is a list of 1 to {PARTITIONS_MAX} ids, or {ALL:?} for all of the collection"
            ),
        )
    };
    match wanted {
        Some(Value::String(all)) if all == ALL => Ok(None),
        Some(Value::Array(names)) if (1..=PARTITIONS_MAX).contains(&names.len()) => {
            let mut all = Vec::with_capacity(names.len());
            for name in names {
                let Value::String(name) = name else { return Err(refused()) };
                if !all.contains(&name) {
                    all.push(name);
                }
            }
            Ok(Some(all))
        }
        _ => Err(refused()),
    }
}

/// Every partition of the collection that has a name.
async fn all(app: &Arc<App>, scope: Scope) -> Result<Vec<String>, ApiError> {
    let listing = app.clone();
    let names = app.pool.run(move || {
        let infos = listing.store.partitions(&scope, DEFAULT_COLLECTION)?;
        Ok(infos.into_iter().filter_map(|info| Some(info.name?.as_str().to_owned())).collect::<Vec<_>>())
    });
    let names = names.await?;
    if names.len() > PARTITIONS_MAX {
        return Err(ApiError::malformed(
            "too_many_partitions",
            format!(
                "there are {} partitions, and one search looks into {PARTITIONS_MAX} at most: name them",
                names.len()
            ),
        ));
    }
    Ok(names)
}

/// The best hits so far, and what was opened for them.
struct Best {
    k: usize,
    hits: Vec<(Arc<Place>, Hit)>,
    opened: Trace,
}

impl Best {
    fn new(k: usize) -> Self {
        let opened = Trace { partitions_opened: Vec::new(), segments_opened: 0, candidates: 0, exact: true };
        Self { k, hits: Vec::new(), opened }
    }

    /// Searches some more partitions. Blocks.
    fn with(
        mut self,
        app: &App,
        places: Vec<Place>,
        wanted: &Wanted,
        asked: &Asked,
    ) -> Result<Self, ApiError> {
        for place in places {
            let begun = std::time::Instant::now();
            let wanted = Wanted { place, ..wanted.clone() };
            let found = match asked {
                Asked::Text { text, vector, manner } => find(app, &wanted, manner.query(text, vector))?,
                Asked::Vector(vector) => find(app, &wanted, strongroom_engine::Query::Vector(vector))?,
            };
            app.usage.count(&wanted.place, wanted.place.key(), Tally::of_search(begun.elapsed(), 0));
            let Some(SearchResponse { hits, trace }) = found else { continue };
            let hits = hits.into_iter().filter(|hit| reaches(hit, wanted.score_min));
            let place = Arc::new(wanted.place.clone());
            self.hits.extend(hits.map(|hit| (Arc::clone(&place), hit)));
            self.opened.partitions_opened.extend(trace.partitions_opened);
            self.opened.candidates += trace.candidates;
            self.opened.exact &= trace.exact;
        }
        // Scores are absolute; ties by partition, then by document.
        self.hits.sort_by(|(a_place, a), (b_place, b)| {
            let by_score = b.score.total_cmp(&a.score);
            by_score
                .then_with(|| a_place.partition().cmp(&b_place.partition()))
                .then_with(|| a.document.id.cmp(&b.document.id))
        });
        self.hits.truncate(self.k);
        Ok(self)
    }
}

/// Writes the search down, and answers it.
fn finish(
    app: &App,
    wanted: &Wanted,
    best: Best,
    by: By,
    traced: Option<Arc<Traced>>,
) -> Result<Answer<FoundAcross>, ApiError> {
    let (scope, mut results) = (&wanted.place.scope, Vec::with_capacity(best.hits.len()));
    let workspace = scope.workspace();
    let times = best.opened.partitions_opened.len() as u64;
    let entry = Entry::done(workspace, by, Action::SearchAcross, random::hex(&workspace.0));
    app.control.enter(|| vec![Entry { times: times.max(1), ..entry }])?;
    let mut room_bytes = app.limits.body_bytes_max as u64;
    for (place, hit) in best.hits {
        let (of, mut hits) = (Wanted { place: (*place).clone(), ..wanted.clone() }, vec![hit]);
        look_again(app, &of, &mut hits, &mut room_bytes)?;
        results.extend(hits.iter().map(|hit| Found::new(hit, place.partition())));
    }
    let traced =
        traced.ok_or_else(|| ApiError::internal("a search across partitions ran without a witness"))?;
    let signed = traced.of_all(app, scope)?;
    let trace = TraceAnswer::new(None, Some(&best.opened), results.len(), signed);
    json::answer(StatusCode::OK, &FoundAcross { results, trace })
}
