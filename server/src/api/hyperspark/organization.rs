//! What is this organization, and what has it used?
//!
//! The organization is the key's workspace, or the tenant that the key is pinned to. A workspace is a `parent` while it has
//! tenants, and `standalone` otherwise: nothing remembers a tenant that is gone.

use axum::http::StatusCode;

use super::reach::{find, own_tenant};
use super::tenants::{memory_count, page, record, records, registered};
use super::told::{Left, Listed, Organization, Own, OwnUsage, Parent, Period, PlanUsage, Sums};
use super::usage;
use crate::app::App;
use crate::auth::Caller;
use crate::call::Call;
use crate::message::content::Answer;
use crate::message::error::ApiError;
use crate::message::json;
use crate::tenants::{self, COLLECTION};
use crate::{clock, random};

/// `GET /api/v1/organization`
pub(crate) async fn get(call: Call) -> Result<Answer<Organization>, ApiError> {
    let own = own_tenant(&call)?;
    let app = call.app.clone();
    let pool = app.pool.clone();
    let Some(own) = own else {
        let told = Own::new(parent(&app, call.caller()?)?);
        return json::answer(StatusCode::OK, &Organization::Parent(told));
    };
    pool.run(move || {
        let told = record(&app, &registered(&app, &own)?, memory_count(&app, &own)?)?;
        json::answer(StatusCode::OK, &Organization::Tenant(Own::new(told)))
    })
    .await
}

fn parent(app: &App, caller: &Caller) -> Result<Parent, ApiError> {
    let workspace = caller.workspace()?;
    let tenants = app.control.tenant_count(workspace.id);
    Ok(Parent {
        id: random::hex(&workspace.id.0),
        name: workspace.name.clone(),
        kind: if tenants == 0 { "standalone" } else { "parent" },
        created_at: clock::rfc3339(workspace.created_ms),
        tenant_count: tenants,
    })
}

/// `GET /api/v1/usage`: of the whole organization, or of the tenant that the key is pinned to.
pub(crate) async fn usage(call: Call) -> Result<Answer<PlanUsage>, ApiError> {
    let (limit, offset) = page(&call)?;
    let own = own_tenant(&call)?;
    let workspace = call.caller()?.workspace()?.id;
    let (begin_ms, end_ms) = clock::month_of(clock::now_ms());
    let period = Period { start: clock::rfc3339(begin_ms), end: clock::rfc3339(end_ms) };
    let app = call.app.clone();
    let pool = app.pool.clone();
    if let Some(own) = own {
        return pool
            .run(move || {
                let told = record(&app, &registered(&app, &own)?, memory_count(&app, &own)?)?;
                let totals =
                    Sums { queries: told.queries_this_period, memories: told.memory_count, tenants: None };
                json::answer(
                    StatusCode::OK,
                    &PlanUsage {
                        success: true,
                        period,
                        totals,
                        own: None,
                        tenants: vec![Listed::Known(told)],
                        tenant_count: 1,
                        has_more: false,
                        limit: None,
                        remaining: Left::Untold,
                    },
                )
            })
            .await;
    }
    let total = app.control.tenant_count(workspace);
    let page = app.control.tenants_of(workspace, offset, limit);
    let targets: Vec<_> = page.iter().map(|tenant| find(&call, Some(&tenant.id))).collect();
    let scope = call.caller()?.whole_collection(COLLECTION)?;
    let answered = pool.run(move || {
        let partitions = app.store.partitions(&scope, COLLECTION)?;
        let (mut own, mut memories) = (0, 0);
        for partition in &partitions {
            let is_tenant = |id: &str| app.control.tenant(workspace, id).is_some();
            match &partition.name {
                None => own = partition.counts.documents,
                Some(name) if is_tenant(name.as_str()) => memories += tenants::memories_of(partition.counts),
                Some(_) => {}
            }
        }
        let plan = usage::plan(&app, workspace)?;
        let next = offset.saturating_add(targets.len());
        let answer = json::answer(
            StatusCode::OK,
            &PlanUsage {
                success: true,
                period,
                totals: Sums { queries: plan.used, memories: memories + own, tenants: Some(total) },
                own: Some(OwnUsage {
                    queries_this_period: usage::queries(&app, workspace, None)?,
                    memory_count: own,
                }),
                tenants: records(&app, targets)?,
                tenant_count: total,
                has_more: next < total,
                limit: plan.limit,
                remaining: Left::Of(plan.limit.map(|limit| limit.saturating_sub(plan.used))),
            },
        );
        Ok(plan.on(answer?))
    });
    answered.await
}
