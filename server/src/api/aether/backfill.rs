//! How do documents that carry their entity as a tag come to say it as their entity?
//!
//! All of a partition are looked at in one state of it, and those that a tag decides are changed in batches. One that was changed meanwhile
//! is decided by what it is by then. What is done is done: a call that breaks off is made again and goes on where it stopped,
//! since what has its entity is passed over.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_engine::{Condition, DocumentInfo, Filter, Subject, Test};

use super::moving;
use crate::app::App;
use crate::auth::Place;
use crate::call::With;
use crate::config::Limits;
use crate::control::{Action, By, Entry};
use crate::ingest::{self, history};
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::{clock, random};

/// Documents that are changed in one write: so many, of so many bytes.
const BATCH: usize = 500;
const BATCH_BYTES: u64 = 16 << 20;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EntityBackfill")]
pub(crate) struct Body {
    /// What a tag begins with that names an entity, such as `patient:`.
    #[schemars(length(min = 1))]
    tag_prefix: String,
    /// Whether an entity that is there gives way.
    #[serde(default)]
    overwrite: bool,
    /// Whether nothing is changed, and only counted what would be.
    #[serde(default)]
    dry_run: bool,
}

/// What became of a partition's documents.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "EntityBackfillReport")]
pub(crate) struct Report {
    /// All that the caller may read.
    scanned: u64,
    /// Their entity was set.
    updated: u64,
    /// They have an entity already: this one, or one that doesn't give way.
    skipped_existing: u64,
    /// No tag of theirs begins so.
    skipped_no_match: u64,
    /// Several do.
    skipped_ambiguous: u64,
    /// What follows in the tag is blank or too long for an entity.
    skipped_invalid: u64,
}

/// What the tags of a document decide.
#[derive(Debug, PartialEq, Eq)]
enum Decision<'a> {
    Set(&'a str),
    Existing,
    NoMatch,
    Ambiguous,
    Invalid,
}

impl Body {
    fn decide<'a>(&self, document: &'a DocumentInfo, limits: &Limits) -> Decision<'a> {
        let mut named = document.tags.iter().filter_map(|tag| tag.strip_prefix(self.tag_prefix.as_str()));
        let (Some(entity), next) = (named.next(), named.next()) else { return Decision::NoMatch };
        if next.is_some() {
            return Decision::Ambiguous;
        }
        match document.entity.as_deref() {
            Some(known) if known == entity || !self.overwrite => Decision::Existing,
            _ if entity.trim().is_empty() || entity.len() > limits.name_bytes_max => Decision::Invalid,
            _ => Decision::Set(entity),
        }
    }
}

/// `POST /v1/documents/backfill-entity`
pub(crate) async fn backfill(mut call: With<Body>) -> Result<Answer<Report>, ApiError> {
    let place = call.place()?;
    let (body, _) = call.json().await?;
    let most = call.app.limits.tag_bytes_max;
    if body.tag_prefix.is_empty() || body.tag_prefix.len() > most || body.tag_prefix.contains(',') {
        return Err(ApiError::malformed(
            "invalid_tag_prefix",
            format!("tag_prefix is what a tag begins with: 1 to {most} bytes, without a comma"),
        ));
    }
    let (app, by) = (call.app.clone(), call.by()?);
    let pool = app.pool.clone();
    pool.run(move || {
        let (mut report, wanted) = look(&app, &place, &body)?;
        if !body.dry_run && !wanted.is_empty() {
            report.updated = 0;
            let outcome = set(&app, &place, &body, &wanted, &mut report.updated);
            if report.updated > 0 {
                enter(&app, &place, by)?;
            }
            outcome?;
            // Others may have been quicker with some.
            let others = report.skipped_no_match + report.skipped_ambiguous + report.skipped_invalid;
            report.skipped_existing = report.scanned.saturating_sub(others + report.updated);
        }
        json::answer(StatusCode::OK, &report)
    })
    .await
}

/// Counts what there is, and answers which documents are to be changed, each with its size.
fn look(app: &App, place: &Place, body: &Body) -> Result<(Report, Vec<(String, u64)>), ApiError> {
    let of_prefix = Condition::Is(Subject::Tag, Test::Prefix(body.tag_prefix.clone()));
    let filter = Filter { condition: Some(of_prefix), ..Filter::default() };
    let components = u64::from(app.collection(place.scope.workspace())?.spec.dimension);
    let found = ingest::read(&app.store, place, |partition| {
        let all = partition.list(&Filter::default(), 0, 0)?.total;
        let begin = || (Report::default(), Vec::new());
        let folded = partition.fold(&filter, u64::MAX, begin, |(report, wanted), document| {
            report.scanned += 1;
            match body.decide(&document, &app.limits) {
                Decision::Set(_) => {
                    report.updated += 1;
                    let vectors = u64::from(document.passages) * components * 4;
                    wanted.push((document.id, document.content_bytes + vectors));
                }
                Decision::Existing => report.skipped_existing += 1,
                Decision::NoMatch => report.skipped_no_match += 1,
                Decision::Ambiguous => report.skipped_ambiguous += 1,
                Decision::Invalid => report.skipped_invalid += 1,
            }
        })?;
        let (mut report, wanted) = folded.unwrap_or_default();
        report.skipped_no_match += all.saturating_sub(report.scanned);
        report.scanned = report.scanned.max(all);
        Ok((report, wanted))
    })?;
    Ok(found.unwrap_or_default())
}

/// Changes them batch by batch; `updated` counts those that are durable.
fn set(
    app: &App,
    place: &Place,
    body: &Body,
    wanted: &[(String, u64)],
    updated: &mut u64,
) -> Result<(), ApiError> {
    let mut rest = wanted;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest.iter().take(BATCH).take_while(|(_, size)| {
            bytes += size;
            bytes <= BATCH_BYTES
        });
        let (batch, later) = rest.split_at(fit.count().max(1));
        rest = later;
        let ids: Vec<String> = batch.iter().map(|(id, _)| id.clone()).collect();
        let done = ingest::change(&app.store, place, |partition| {
            partition.revise_these(&ids, |document, said| match body.decide(document, &app.limits) {
                Decision::Set(entity) => {
                    said.entity = Some(entity.to_owned());
                    said.metadata = history::revised(&said.metadata, place.key(), clock::now_ms(), document);
                    Ok(true)
                }
                _ => Ok(false),
            })
        })?;
        *updated += done.unwrap_or(0);
    }
    Ok(())
}

fn enter(app: &App, place: &Place, by: By) -> Result<(), ApiError> {
    let incarnation = app.store.partition(&place.scope, &place.at)?.map(|partition| partition.incarnation());
    let resource = incarnation.map(|incarnation| random::hex(&incarnation)).unwrap_or_default();
    let entry = Entry::done(place.scope.workspace(), by, Action::DocumentBackfill, resource);
    moving::enter(app, entry, "the entities are set")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(tags: &[&str], entity: Option<&str>) -> DocumentInfo {
        DocumentInfo {
            id: "a".to_owned(),
            version: 1,
            filename: "a.txt".to_owned(),
            content_type: "text/plain".to_owned(),
            content_bytes: 1,
            content_digest: [0; 32],
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            metadata: String::new(),
            entity: entity.map(str::to_owned),
            source: None,
            created_ms: 1,
            updated_ms: None,
            expires_ms: None,
            readers: None,
            passages: 1,
        }
    }

    /// Lost otherwise: a patient's document would be put down to another patient.
    #[test]
    fn a_tag_decides_when_it_is_the_only_one() {
        let limits = Limits::default();
        let long = format!("patient:{}", "x".repeat(limits.name_bytes_max + 1));
        for (tags, entity, overwrite, decision) in [
            (&["patient:7", "kind:letter"][..], None, false, Decision::Set("7")),
            (&["patient:7"], Some("8"), false, Decision::Existing),
            (&["patient:7"], Some("8"), true, Decision::Set("7")),
            (&["patient:7"], Some("7"), true, Decision::Existing),
            (&["patient:7", "patient:8"], None, true, Decision::Ambiguous),
            (&["patient:7", "patient:8"], Some("7"), false, Decision::Ambiguous),
            (&["patient", "Patient:7"], None, true, Decision::NoMatch),
            (&[], Some("8"), false, Decision::NoMatch),
            (&["patient:"], None, true, Decision::Invalid),
            (&["patient: "], None, true, Decision::Invalid),
            (&[long.as_str()], None, true, Decision::Invalid),
        ] {
            let body = Body { tag_prefix: "patient:".to_owned(), overwrite, dry_run: false };
            assert_eq!(body.decide(&document(tags, entity), &limits), decision, "{tags:?} {entity:?}");
        }
    }
}
