//! How do tenants and organizations look in an answer?

use schemars::JsonSchema;
use serde::Serialize;

use crate::receipt;

/// A tenant.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Tenant")]
pub(crate) struct Told {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) slug: String,
    /// `tenant`.
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// The workspace's id.
    pub(super) parent_id: String,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    pub(super) memory_count: u64,
    /// Recalls this month.
    pub(super) queries_this_period: u64,
}

/// A tenant of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ListedTenant")]
pub(crate) enum Listed {
    Known(Told),
    /// One whose data can't be read just now.
    Unknown {
        id: String,
        name: Option<String>,
        slug: Option<String>,
        /// `tenant`.
        #[serde(rename = "type")]
        kind: &'static str,
        /// The code of what keeps it from being read.
        status: &'static str,
    },
}

impl Listed {
    pub(super) fn unknown(id: String, status: &'static str) -> Self {
        Self::Unknown { id, name: None, slug: None, kind: "tenant", status }
    }
}

/// A tenant that is there from now on.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "NewTenantMade")]
pub(crate) struct Made {
    pub(super) success: bool,
    pub(super) tenant_id: String,
    pub(super) tenant: Told,
}

/// One tenant.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OneTenant")]
pub(crate) struct One {
    pub(super) success: bool,
    pub(super) tenant: Told,
}

/// Tenants, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Tenants")]
pub(crate) struct List {
    pub(super) success: bool,
    pub(super) tenants: Vec<Listed>,
    pub(super) total: usize,
    pub(super) has_more: bool,
    pub(super) offset: usize,
    pub(super) limit: usize,
}

/// A tenant that is gone for good.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DeletedTenant")]
pub(crate) struct Deleted {
    pub(super) success: bool,
    pub(super) tenant_id: String,
    pub(super) deleted: bool,
    pub(super) memories_deleted: u64,
    pub(super) receipt_id: Option<String>,
    pub(super) receipt: Option<receipt::Told>,
}

/// A workspace, which is a parent while it has tenants.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parent {
    pub(super) id: String,
    pub(super) name: String,
    /// `standalone` or `parent`.
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) created_at: String,
    pub(super) tenant_count: usize,
}

/// What an organization is: the key's workspace, or the tenant that the key is pinned to.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Organization {
    Parent(Own<Parent>),
    Tenant(Own<Told>),
}

/// An organization's fields stand in the answer itself and, for those who look there, under its name.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Own{T}")]
pub(crate) struct Own<T> {
    success: bool,
    #[serde(flatten)]
    fields: T,
    organization: T,
}

impl<T: Clone> Own<T> {
    pub(super) fn new(told: T) -> Self {
        Self { success: true, fields: told.clone(), organization: told }
    }
}

/// What an organization and its tenants used this month.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlanUsage {
    pub(super) success: bool,
    pub(super) period: Period,
    pub(super) totals: Sums,
    /// The organization's own, without its tenants'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) own: Option<OwnUsage>,
    pub(super) tenants: Vec<Listed>,
    pub(super) tenant_count: usize,
    pub(super) has_more: bool,
    /// Recalls that the plan has in a month; null: as many as one likes.
    pub(super) limit: Option<u64>,
    /// Recalls that are left of it.
    #[serde(skip_serializing_if = "Left::is_untold")]
    #[schemars(with = "Option<u64>")]
    pub(super) remaining: Left,
}

/// What is left of a plan, if that is told.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Left {
    Untold,
    Of(Option<u64>),
}

impl Left {
    fn is_untold(&self) -> bool {
        matches!(self, Self::Untold)
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Period {
    pub(super) start: String,
    pub(super) end: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PlanSums")]
pub(crate) struct Sums {
    pub(super) queries: u64,
    pub(super) memories: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenants: Option<usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwnUsage {
    pub(super) queries_this_period: u64,
    pub(super) memory_count: u64,
}
