//! What does a recall cost, and is there any left of the plan?
//!
//! Recalls are what usage has as queries of the collection of memories: exact but for the last seconds before a crash.

use axum::http::{HeaderValue, StatusCode};
use strongroom_engine::WorkspaceId;
use strongroom_engine::io::lock;

use super::reach::Target;
use crate::app::App;
use crate::auth::partition_name;
use crate::call::Call;
use crate::clock;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::tenants::COLLECTION;
use crate::usage::{Tally, day_of, today};

/// What a workspace's plan allows, and what of that is used, this month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) limit: Option<u64>,
    pub(super) used: u64,
}

/// Counts a recall; 429 when the plan has none left. Blocks.
pub(super) fn admit(app: &App, target: &Target) -> Result<Plan, ApiError> {
    let place = &target.place;
    // One after the other: no more than the limit pass, however many ask at once.
    let _alone = app.recalls_max.map(|_| lock(&app.recalling));
    let mut plan = plan(app, place.scope.workspace())?;
    if let Some(limit) = plan.limit.filter(|limit| plan.used >= *limit) {
        return Err(spent(limit));
    }
    app.usage.count(place, place.key(), Tally { queries: 1, ..Tally::default() });
    plan.used += 1;
    Ok(plan)
}

/// Days of this month (UTC), today included.
fn days() -> u32 {
    let now_ms = clock::now_ms();
    today().saturating_sub(day_of(clock::month_of(now_ms).0)) + 1
}

fn spent(limit: u64) -> ApiError {
    let now_ms = clock::now_ms();
    let (_, next) = clock::month_of(now_ms);
    let text = format!(
        "this organization's plan has {limit} recalls of memories a month, and all are used; there are new ones from {} on",
        clock::rfc3339(next)
    );
    let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "plan_limit_reached", text);
    error.retry_after_seconds =
        Some(u32::try_from(next.saturating_sub(now_ms).div_ceil(1000)).unwrap_or(u32::MAX));
    error
}

/// What a workspace has used this month, with all its tenants, those that are gone too. Blocks.
pub(super) fn plan(app: &App, workspace: WorkspaceId) -> Result<Plan, ApiError> {
    let used = app.usage.of_collection(workspace, COLLECTION, days())?.total.queries;
    Ok(Plan { limit: app.recalls_max, used })
}

/// The recalls of one tenant, or of the workspace itself, this month. Blocks.
pub(super) fn queries(app: &App, workspace: WorkspaceId, tenant: Option<&str>) -> Result<u64, ApiError> {
    let name = tenant.map(partition_name).transpose()?;
    Ok(app.usage.of_named(workspace, COLLECTION, name.as_ref(), days())?.total.queries)
}

/// Whether an answer says how much of the plan is used: to keys of the whole organization, for a tenant's own learns nothing of
/// the others.
pub(super) fn tells_plan(call: &Call) -> Result<bool, ApiError> {
    Ok(call.caller()?.pins().partition.is_none())
}

impl Plan {
    /// The answer, with what is used of the plan in its headers.
    pub(super) fn on<B>(self, mut response: Answer<B>) -> Answer<B> {
        if let Some(limit) = self.limit {
            let headers = response.headers_mut();
            headers.insert("x-plan-limit", HeaderValue::from(limit));
            headers.insert("x-plan-used", HeaderValue::from(self.used));
        }
        response
    }
}
