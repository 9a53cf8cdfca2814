//! How is a failure told to the caller?
//!
//! Every failure of a request ends as an [`ApiError`]; the edge (`http/edge.rs`) renders it, in the shape that the
//! route's client reads. This file holds the one choice of shape and the one mapping from what the engine and the
//! model answer to a status; the control plane's is in its own room.
//!
//! Invariants:
//! 1. The text says what to do and names no other tenant's data; what only the operator may know is the `cause`,
//!    which goes to the log and never into an answer.
//! 2. A status means the same on every route.
//! 3. A caller may try 429 and 503 again, so these carry `retry-after`.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;
use strongroom_embed::EmbedError;
use strongroom_engine::io::{StorageError, StorageErrorKind};
use strongroom_engine::{Damage, ReadError, StoreError, WriteError};

use crate::damages;

/// A failure on its way to the caller.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The word that programs compare.
    pub(crate) code: &'static str,
    /// What people read: what is wrong and what to do.
    pub(crate) text: Cow<'static, str>,
    /// When to try again, in seconds.
    pub(crate) retry_after_seconds: Option<u32>,
    /// One more field of the answer, for programs: its name and its text, or null.
    pub(crate) detail: Option<(&'static str, Option<String>)>,
    /// For the operator's log alone.
    pub(crate) cause: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, text: text.into(), retry_after_seconds: None, detail: None, cause: None }
    }

    /// 400: the request can't be read.
    pub(crate) fn malformed(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, text)
    }

    /// 401: no key, or one that doesn't count.
    pub(crate) fn unauthenticated(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, text)
    }

    /// 403: the key may not.
    pub(crate) fn forbidden(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, text)
    }

    /// 404: not there, or not the caller's; the two look alike.
    pub(crate) fn missing(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, text)
    }

    /// 409: it clashes with what is there.
    pub(crate) fn conflict(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, text)
    }

    /// 413: larger than a limit, which the text names.
    pub(crate) fn too_large(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
    }

    /// 422: readable, but not acceptable.
    pub(crate) fn unacceptable(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, text)
    }

    /// 501: named in the contract, and not offered yet.
    pub(crate) fn not_offered(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "not_offered",
            format!("{what} is not offered by this server yet; leave it out of the request"),
        )
    }

    /// 503: try again in so many seconds.
    pub(crate) fn busy(code: &'static str, text: impl Into<Cow<'static, str>>, after_seconds: u32) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, text);
        error.retry_after_seconds = Some(after_seconds);
        error
    }

    /// 507: the medium is full.
    pub(crate) fn disk_full() -> Self {
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "disk_full",
            "the server's disk is full: reads and searches go on, everything that writes needs free space first",
        )
    }

    /// 503: it is erased, but the audit log could not take that down.
    pub(crate) fn audit_unwritten(cause: impl Into<String>) -> Self {
        Self::busy(
            "audit_unwritten",
            "it is deleted for good and its receipt is listed, but the audit log's entry of it could not be written yet; \
             the server goes on trying by itself",
            60,
        )
        .because(cause)
    }

    /// 500: our fault. The cause is logged under the request's id.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed on this request; its log has the reason under this request_id",
        )
        .because(cause)
    }

    /// The same, with more to say.
    pub(crate) fn with_more(mut self, more: &str) -> Self {
        self.text = format!("{}{more}", self.text).into();
        self
    }

    /// The same, with a field for programs.
    pub(crate) fn with_detail(mut self, name: &'static str, text: Option<String>) -> Self {
        self.detail = Some((name, text));
        self
    }

    fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The error as a response that the edge still has to render: only there is the path known for sure.
    pub(crate) fn unrendered(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

/// Which client reads the answer. Each breaks on the others' error shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Aether's routes and our own.
    Aether,
    /// bigRAG's routes, the admin calls among them.
    BigRag,
    /// HyperSpark's routes.
    HyperSpark,
}

impl Dialect {
    /// The only place where a path decides the shape of an error. (`/v1/query` is of two clients, whose bodies tell them apart:
    /// its handler says when an answer is the other's.)
    pub(crate) fn of(path: &str) -> Self {
        let mut parts = path.split('/').skip(1);
        match (parts.next(), parts.next(), parts.nth(1)) {
            (Some("api"), Some("v1"), _) => Self::HyperSpark,
            (
                Some("v1"),
                Some(
                    "collections" | "batch" | "chat" | "usage" | "webhooks" | "evaluation" | "evaluations"
                    | "connectors" | "auth" | "admin" | "query" | "stats" | "embeddings",
                ),
                _,
            )
            | (Some("v1"), Some("documents"), Some("chunks")) => Self::BigRag,
            _ => Self::Aether,
        }
    }

    fn body(self, error: &ApiError, request_id: &str) -> String {
        let (text, code) = (&error.text, error.code);
        let mut body = match self {
            Self::Aether => json!({"error": text, "code": code, "detail": text, "request_id": request_id}),
            Self::BigRag => {
                json!({"detail": text, "error": {"code": code, "message": text}, "request_id": request_id})
            }
            Self::HyperSpark => {
                json!({"success": false, "error": text, "code": code, "request_id": request_id})
            }
        };
        if let Some((name, text)) = &error.detail {
            body[*name] = json!(text);
        }
        body.to_string()
    }
}

/// The response for a failure, in the shape of the route's client.
pub(crate) fn render(dialect: Dialect, error: &ApiError, request_id: &str) -> Response {
    let mut response = Response::new(Body::from(dialect.body(error, request_id)));
    *response.status_mut() = error.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = error.retry_after_seconds {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"strongroom\""));
    }
    response
}

/// A document that isn't there, is deleted, or is another partition's: the caller can't tell which.
pub(crate) fn no_document() -> ApiError {
    ApiError::missing("document_not_found", "there is no such document in this partition")
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotFound => no_document(),
            WriteError::Exists => {
                Self::conflict("document_exists", "a document with this id exists, or is deleted and can come back: update it, or restore or purge it")
            }
            WriteError::Changed => Self::conflict("document_changed", "the document was changed meanwhile; try again"),
            WriteError::AnotherRequest => Self::conflict(
                "idempotency_conflict",
                "this Idempotency-Key was used for another request within the last 24 hours; send a new key with a new request",
            ),
            WriteError::TooManyKeys { .. } => Self {
                retry_after_seconds: Some(3600),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_idempotency_keys",
                    format!("{error} in a partition, each for 24 hours; write without Idempotency-Key, or later"),
                )
            },
            WriteError::AlreadyDeleted => {
                Self::conflict("already_deleted", "the document is deleted already")
            }
            WriteError::NotDeleted => {
                Self::conflict("not_deleted", "the document is not deleted, so there is nothing to restore")
            }
            WriteError::Held => Self::conflict(
                "legal_hold",
                "this partition is on hold, so nothing of it may be deleted, replaced, moved out or dropped until an owner lifts that",
            ),
            WriteError::Dimension { .. } => Self::unacceptable("wrong_dimension", error.to_string()),
            WriteError::NotFinite => Self::unacceptable("not_finite", error.to_string()),
            WriteError::VectorTooLong => Self::unacceptable("vector_too_long", error.to_string()),
            WriteError::TooLarge { .. } => Self::too_large(error.to_string()),
            WriteError::Invalid { .. } => Self::unacceptable("invalid", error.to_string()),
            WriteError::Dropped => dropped(),
            WriteError::Full => Self::disk_full(),
            WriteError::Quarantined(damage) => quarantined(&damage),
            WriteError::Poisoned => Self::busy(
                "log_failed",
                "the server's disk failed while writing, so nothing more is acknowledged until the server has been \
                 restarted; try again then",
                30,
            )
            .because("the log is poisoned: the process ends, to be started anew; check the disk"),
            WriteError::Read(error) => error.into(),
            // The engine's enums are open; a variant that is new here is our fault, not the caller's.
            _ => Self::internal(format!("write: {error}")),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Dimension { .. } => Self::unacceptable("wrong_dimension", error.to_string()),
            ReadError::NotFinite => Self::unacceptable("not_finite", error.to_string()),
            ReadError::VectorTooLong => Self::unacceptable("vector_too_long", error.to_string()),
            ReadError::Dropped => dropped(),
            ReadError::Damaged(damage) | ReadError::Quarantined(damage) => quarantined(&damage),
            ReadError::Storage(error) => error.into(),
            _ => Self::internal(format!("read: {error}")),
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error.kind {
            StorageErrorKind::Full => Self::disk_full(),
            _ => Self::internal(format!("storage: {error}")),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Forbidden => {
                Self::forbidden("partition_forbidden", "this key may not reach that partition")
            }
            StoreError::Undeclared => Self::unacceptable(
                "partition_undeclared",
                "there is no partition of this id, and in this workspace a write makes none of such an id: check it, or declare it \
                 with POST /v1/partitions",
            ),
            StoreError::Taken => Self::conflict(
                "partition_exists",
                "a partition of this id exists, perhaps in the trash; choose another id",
            ),
            StoreError::Trashed => Self::conflict(
                "partition_trashed",
                "this partition is in the trash: restore it with POST /v1/partitions/{id}/restore, or shred it with \
                 DELETE /v1/partitions/{id}?grace_seconds=0",
            ),
            StoreError::NotTrashed => {
                Self::conflict("partition_not_trashed", "the partition is not in the trash, so there is nothing to restore")
            }
            StoreError::Occupied => {
                Self::conflict("partition_not_empty", "there are documents in the partition, written meanwhile perhaps; try again")
            }
            StoreError::NoWorkspace => Self::missing("workspace_not_found", "there is no such workspace"),
            StoreError::Dimension { .. } => Self::unacceptable("wrong_dimension", error.to_string()),
            StoreError::Metric { .. } => Self::unacceptable("wrong_metric", error.to_string()),
            StoreError::Unfinished(_) => Self::busy(
                "erasure_unfinished",
                "it is deleted for good and nothing serves it any more, but the disk failed, or is full, and its bytes could not \
                 all be overwritten yet; the server goes on with that by itself, and the receipt is listed when it is done",
                60,
            )
            .because(error.to_string()),
            StoreError::Write(error) => error.into(),
            StoreError::Read(error) => error.into(),
            _ => Self::internal(format!("store: {error}")),
        }
    }
}

impl From<EmbedError> for ApiError {
    fn from(error: EmbedError) -> Self {
        match error {
            EmbedError::Refused { .. } => {
                Self::unacceptable("not_embeddable", "the embedding model refuses this text")
                    .because(error.to_string())
            }
            _ => Self::busy("embedder_unavailable", "the embedding model is unavailable; try again soon", 5)
                .because(error.to_string()),
        }
    }
}

/// The place of the damage is for the log alone.
fn quarantined(damage: &Damage) -> ApiError {
    ApiError::busy(
        "partition_quarantined",
        "part of this partition is damaged on the server's disk, so none of it is served: restore it from a backup, or \
         delete it; every other partition goes on",
        3600,
    )
    .because(damages::place(damage))
}

fn dropped() -> ApiError {
    ApiError::busy("partition_dropped", "the partition is being deleted; try again", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a client would meet an error body that it can't read and report "Unknown error".
    #[test]
    fn the_path_decides_the_shape() {
        let error = ApiError::malformed("partition_required", "name a partition");
        let body = |path: &str| -> serde_json::Value {
            serde_json::from_str(&Dialect::of(path).body(&error, "id")).unwrap()
        };
        for path in ["/v1/documents", "/v1/search/embed", "/v1/partitions/x", "/status", "/nowhere", "/", ""]
        {
            let body = body(path);
            assert_eq!(body["error"], "name a partition", "{path}");
            assert_eq!(body["code"], "partition_required", "{path}");
            assert_eq!(body["detail"], "name a partition", "{path}");
            assert_eq!(body["request_id"], "id", "{path}");
        }
        for path in [
            "/v1/admin/api-keys",
            "/v1/collections/a/documents",
            "/v1/usage",
            "/v1/auth/login",
            "/v1/query",
            "/v1/documents/x/chunks",
        ] {
            let body = body(path);
            assert_eq!(body["detail"], "name a partition", "{path}");
            assert_eq!(body["error"]["code"], "partition_required", "{path}");
            assert_eq!(body["error"]["message"], "name a partition", "{path}");
        }
        for path in ["/api/v1/tenants", "/api/v1"] {
            let body = body(path);
            assert_eq!(body["success"], false, "{path}");
            assert_eq!(body["error"], "name a partition", "{path}");
        }
        // A prefix of a word is not the word.
        assert_eq!(Dialect::of("/v1/administrator"), Dialect::Aether);
        assert_eq!(Dialect::of("/v1/batches"), Dialect::Aether);
    }

    /// Lost otherwise: a client would hammer an overloaded server instead of waiting.
    #[test]
    fn what_may_be_tried_again_says_when() {
        let response = render(Dialect::Aether, &ApiError::busy("overloaded", "later", 7), "id");
        assert_eq!(response.headers()["retry-after"], "7");
        let full: ApiError = WriteError::Full.into();
        assert_eq!(full.status, StatusCode::INSUFFICIENT_STORAGE);
        let gone: ApiError = WriteError::Dropped.into();
        assert!(gone.retry_after_seconds.is_some());
    }

    /// Lost otherwise: damage would be told as a bug of the server, or its owner not what to do about it.
    #[test]
    fn damage_is_told_without_its_place() {
        let damage = Damage::new("BlockHeader.crc32", "1", "2").at("segments/0/abc", 4096);
        let errors: [ApiError; 4] = [
            ReadError::Damaged(damage.clone()).into(),
            ReadError::Quarantined(damage.clone()).into(),
            WriteError::Quarantined(damage.clone()).into(),
            StoreError::Read(ReadError::Quarantined(damage)).into(),
        ];
        for error in errors {
            assert_eq!(
                (error.status, error.code),
                (StatusCode::SERVICE_UNAVAILABLE, "partition_quarantined")
            );
            assert!(error.retry_after_seconds.is_some());
            let body = Dialect::Aether.body(&error, "id");
            assert!(body.contains("backup") && body.contains("delete"), "{body}");
            assert!(
                !body.contains("segments") && !body.contains("4096") && !body.contains("crc32"),
                "{body}"
            );
            let cause = error.cause.unwrap();
            assert!(
                cause.contains("segments/0/abc") && cause.contains("4096") && cause.contains("crc32"),
                "{cause}"
            );
        }
    }

    /// Lost otherwise: an answer could carry the server's inner workings to a tenant.
    #[test]
    fn the_cause_stays_in_the_log() {
        let error = ApiError::internal("segments/0/abc failed at offset 12");
        assert!(!Dialect::Aether.body(&error, "id").contains("segments"));
    }
}
