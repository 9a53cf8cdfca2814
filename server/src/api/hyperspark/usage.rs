//! What does a recall cost, and is there any left of the plan?
//!
//! The one place in these routes that knows where recalls are counted.

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use strongroom_engine::WorkspaceId;

use super::reach::Target;
use crate::app::App;
use crate::call::Call;
use crate::clock;
use crate::message::error::ApiError;

/// What a workspace's plan allows, and what of that is used, this month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) limit: Option<u64>,
    pub(super) used: u64,
}

/// Counts a recall; 429 when the plan has none left.
pub(super) fn admit(app: &App, target: &Target) -> Result<Plan, ApiError> {
    let (workspace, now_ms) = (target.place.scope.workspace(), clock::now_ms());
    let tenant = target.tenant.as_ref().map(|tenant| tenant.id.as_str());
    let (used, is_in) = app.recalls.admit(workspace, tenant, app.recalls_max, now_ms);
    match app.recalls_max {
        Some(limit) if !is_in => Err(spent(limit, now_ms)),
        limit => Ok(Plan { limit, used }),
    }
}

fn spent(limit: u64, now_ms: u64) -> ApiError {
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

/// What a workspace has used this month, with all its tenants.
pub(super) fn plan(app: &App, workspace: WorkspaceId) -> Plan {
    Plan { limit: app.recalls_max, used: app.recalls.of_workspace(workspace, clock::now_ms()) }
}

/// The recalls of one tenant, or of the workspace itself, this month.
pub(super) fn queries(app: &App, workspace: WorkspaceId, tenant: Option<&str>) -> u64 {
    app.recalls.of_tenant(workspace, tenant, clock::now_ms())
}

/// Whether an answer says how much of the plan is used: to keys of the whole organization, for a tenant's own learns nothing of
/// the others.
pub(super) fn tells_plan(call: &Call) -> Result<bool, ApiError> {
    Ok(call.caller()?.pins().partition.is_none())
}

impl Plan {
    /// The answer, with what is used of the plan in its headers.
    pub(super) fn on(self, mut response: Response) -> Response {
        if let Some(limit) = self.limit {
            let headers = response.headers_mut();
            headers.insert("x-plan-limit", HeaderValue::from(limit));
            headers.insert("x-plan-used", HeaderValue::from(self.used));
        }
        response
    }
}
