//! How does a search come by its answer?
//!
//! On a thread that may block the engine looks into the one partition; a search that asks for it then waits for the reranker,
//! on no thread; and the answer is put together on a thread again.
//!
//! Invariants:
//! 1. A trace is made from what the engine opened, not from the request or the hits.
//! 2. A partition that isn't there answers no results, not an error: whether it exists is nobody's business.
//! 3. Contents are read last, of hits that are answered, and no more of them than a body may have: what is asked beyond that
//!    is refused before it is read.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use strongroom_engine::{Ages, Filter, Hit, Query, SearchRequest, SearchResponse, Unit};
use tokio::task::JoinSet;

use super::manner::Manner;
use super::ranking::reaches;
use super::record::{Found, TraceAnswer};
use super::reranking::{Order, Outcome, Wish};
use crate::app::App;
use crate::auth::Place;
use crate::feedback;
use crate::ingest::{self, original};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::statement::Traced;
use crate::usage::Tally;
use crate::watch::What;

/// What a search asks for, apart from the vector.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) place: Place,
    pub(super) k: usize,
    pub(super) filter: Filter,
    pub(super) similarity_min: f32,
    pub(super) ages: Option<Ages>,
    pub(super) score_min: f64,
    pub(super) recall: Option<f32>,
    pub(super) with_content: bool,
    /// What the answer's trace is made with, when it is to have one.
    pub(super) traced: Option<Arc<Traced>>,
    pub(super) wish: Option<Wish>,
}

impl Wanted {
    fn request<'a>(&'a self, query: Query<'a>) -> SearchRequest<'a> {
        SearchRequest {
            query,
            unit: Unit::Documents,
            k: self.wish.map_or(self.k, |wish| wish.candidates),
            filter: &self.filter,
            similarity_min: self.similarity_min,
            recall: self.recall,
            ages: self.ages,
            with_content: false,
        }
    }
}

/// A search by text.
pub(super) struct Ask {
    pub(super) text: String,
    pub(super) manner: Manner,
    pub(super) wanted: Wanted,
}

/// What a search found.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "SearchAnswer")]
pub(crate) struct Searched {
    /// Best first.
    results: Vec<Found>,
    /// By which to report what became of what was found; left out when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_id: Option<String>,
    /// What was opened, with trace=true.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<TraceAnswer>,
    /// The text that was searched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(flatten)]
    order: Order,
}

/// What it found, and whose order that has.
type Reply = (Option<SearchResponse>, Outcome);

/// Answers searches by text in one body. One that insists on the reranker and doesn't get it fails them all.
pub(super) async fn answer_all<B: Serialize + 'static>(
    app: &Arc<App>,
    asks: Vec<Ask>,
    body: fn(Vec<Searched>) -> B,
) -> Result<Answer<B>, ApiError> {
    let finish = move |app: &App, asks: &[Ask], replies: Vec<Reply>| {
        let mut room_bytes = app.limits.body_bytes_max as u64;
        let answers = asks.iter().zip(replies).map(|(ask, reply)| finish(app, ask, reply, &mut room_bytes));
        json::answer(StatusCode::OK, &body(answers.collect::<Result<_, _>>()?))
    };
    if asks.iter().all(|ask| ask.wanted.wish.is_none()) {
        let own = app.clone();
        return app.pool.run(move || finish(&own, &asks, look(&own, &asks)?)).await;
    }
    let own = app.clone();
    let look = move || Ok((look(&own, &asks)?, asks));
    let (replies, asks) = app.pool.run(look).await?;
    let replies = rerank(app, &asks, replies).await?;
    let own = app.clone();
    app.pool.run(move || finish(&own, &asks, replies)).await
}

/// So many searches of one partition are run together: writes to it wait for all of them.
const TOGETHER_MAX: usize = 16;

/// Runs the searches; those of one partition together. Blocks.
fn look(app: &Arc<App>, asks: &[Ask]) -> Result<Vec<Reply>, ApiError> {
    let Some(first) = asks.first() else { return Ok(Vec::new()) };
    let texts: Vec<&str> = asks.iter().map(|ask| ask.text.as_str()).collect();
    let begun = Instant::now();
    let tokens: Vec<_> = texts.iter().map(|text| app.embedder.count_tokens(text) as u64).collect();
    for (ask, tokens) in asks.iter().zip(&tokens) {
        app.quotas.tokens(&ask.wanted.place, *tokens)?;
    }
    let vectors = embed(app, &first.wanted.place, &texts)?;
    // The model took the texts together.
    let embedding = begun.elapsed() / u32::try_from(asks.len()).unwrap_or(u32::MAX);
    let requests: Vec<_> = asks
        .iter()
        .zip(&vectors)
        .map(|(ask, vector)| ask.wanted.request(ask.manner.query(&ask.text, vector)))
        .collect();
    let mut replies: Vec<Option<Reply>> = asks.iter().map(|_| None).collect();
    for (first, Ask { wanted: Wanted { place, .. }, .. }) in asks.iter().enumerate() {
        if replies[first].is_some() {
            continue;
        }
        let alike = |at: &usize| replies[*at].is_none() && asks[*at].wanted.place.is_same(place);
        let together: Vec<usize> = (first..asks.len()).filter(alike).take(TOGETHER_MAX).collect();
        let own: Vec<_> = together.iter().map(|&at| requests[at].clone()).collect();
        let begun = Instant::now();
        let found = ingest::read(&app.store, place, |partition| partition.search_many(&own))?;
        let searching = begun.elapsed() / u32::try_from(together.len()).unwrap_or(u32::MAX);
        let mut found = found.into_iter().flatten();
        for at in together {
            app.usage.count(place, place.key(), Tally::of_search(embedding + searching, tokens[at]));
            // A partition that isn't there is answered like an empty one.
            replies[at] = Some((found.next(), Outcome::NotAsked));
        }
    }
    Ok(replies.into_iter().flatten().collect())
}

/// Has the reranker order what it is to order; at once, as far as that is allowed.
async fn rerank(app: &App, asks: &[Ask], mut replies: Vec<Reply>) -> Result<Vec<Reply>, ApiError> {
    let mut running = JoinSet::new();
    for (number, (ask, (found, _))) in asks.iter().zip(&mut replies).enumerate() {
        let (Some(wish), Some(reranker)) = (ask.wanted.wish, app.reranker.clone()) else { continue };
        let (text, ages, k) = (ask.text.clone(), ask.wanted.ages, ask.wanted.k);
        let mut found = found.take();
        running.spawn(async move {
            // A partition that isn't there is answered like an empty one.
            let outcome = match &mut found {
                None => Ok(Outcome::Reranked),
                Some(found) => wish.fulfil(&reranker, &text, ages, k, &mut found.hits).await,
            };
            (number, found, outcome)
        });
    }
    while let Some(done) = running.join_next().await {
        let (number, found, outcome) =
            done.map_err(|_| ApiError::internal("reranking panicked; the line before says where"))?;
        replies[number] = (found, outcome?);
    }
    Ok(replies)
}

/// Blocks.
fn finish(
    app: &App,
    ask: &Ask,
    (mut found, outcome): Reply,
    room_bytes: &mut u64,
) -> Result<Searched, ApiError> {
    if let Some(found) = &mut found {
        look_again(app, &ask.wanted, &mut found.hits, room_bytes)?;
    }
    let mut answer = answer(app, &ask.wanted, found.as_ref())?;
    answer.query = Some(ask.text.clone());
    answer.order = outcome.told();
    Ok(answer)
}

/// Reads what an answer shows beside the hits. The reranker may have taken seconds: what was deleted, changed or dropped since is
/// left out. `room_bytes` is how much there may still be of contents.
pub(super) fn look_again(
    app: &App,
    wanted: &Wanted,
    hits: &mut Vec<Hit>,
    room_bytes: &mut u64,
) -> Result<(), ApiError> {
    if !wanted.with_content && wanted.wish.is_none() {
        return Ok(());
    }
    hits.retain(|hit| reaches(hit, wanted.score_min));
    if wanted.with_content {
        let bytes = hits.iter().map(|hit| original::text_bytes(&hit.document)).sum();
        *room_bytes = room_bytes.checked_sub(bytes).ok_or_else(|| {
            let most = app.limits.body_bytes_max;
            ApiError::unacceptable(
                "contents_too_large",
                format!(
                    "the contents of what was found have more than {most} bytes together: ask for fewer documents, or read them \
                     one by one"
                ),
            )
        })?;
    }
    let mut seen = Vec::with_capacity(hits.len());
    for mut hit in std::mem::take(hits) {
        let id = &hit.document.id;
        let now = ingest::read(&app.store, &wanted.place, |partition| {
            if wanted.with_content {
                let found = partition.content_until(id, original::text_bytes)?;
                return Ok(found.map(|(document, content)| (document, Some(content))));
            }
            Ok(partition.get(id)?.map(|document| (document, None)))
        })?;
        if let Some((document, content)) = now.flatten()
            && document.version == hit.document.version
        {
            hit.content = content;
            seen.push(hit);
        }
    }
    *hits = seen;
    Ok(())
}

fn embed(app: &Arc<App>, place: &Place, texts: &[&str]) -> Result<Vec<Vec<f32>>, ApiError> {
    app.text_collection(place.scope.workspace())?;
    Ok(app.embedder.embed(texts)?)
}

pub(super) fn find(app: &App, wanted: &Wanted, query: Query<'_>) -> Result<Option<SearchResponse>, ApiError> {
    ingest::read(&app.store, &wanted.place, |partition| partition.search(&wanted.request(query)))
}

pub(super) fn answer(
    app: &App,
    wanted: &Wanted,
    found: Option<&SearchResponse>,
) -> Result<Searched, ApiError> {
    let hits = found.map_or(&[][..], |found| &found.hits);
    let hits: Vec<_> = hits.iter().filter(|hit| reaches(hit, wanted.score_min)).collect();
    let query_id = if hits.is_empty() { None } else { Some(feedback::query_id(&app.store, &wanted.place)?) };
    if let Some(watch) = &wanted.place.watch {
        let what = || What::Search(query_id.clone().unwrap_or_default());
        watch.shows(&wanted.place.at, hits.iter().map(|hit| &hit.document), what);
    }
    let results = hits.iter().map(|hit| Found::new(hit, wanted.place.partition())).collect();
    let mut trace = None;
    if let Some(traced) = &wanted.traced {
        let opened = found.map(|found| &found.trace);
        let signed = traced.of_search(app, &wanted.place, opened)?;
        trace = Some(TraceAnswer::new(wanted.place.partition(), opened, hits.len(), signed));
    }
    Ok(Searched { results, query_id, trace, query: None, order: Order::default() })
}
