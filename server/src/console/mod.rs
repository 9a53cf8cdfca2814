//! What does a person's browser get?
//!
//! Pages that are part of the program, and that speak with the same routes as every other client.
//!
//! Invariants:
//! 1. A page runs its own script and style alone, fetches from this server alone, is framed by nobody, and is told nothing of a
//!    request: what it knows, it asks for.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use crate::base64;
use crate::call::Call;
use crate::message::content::{Answer, Page};
use crate::message::error::ApiError;

const ACCEPT: &str = include_str!("accept.html");
const DOCS: &str = include_str!("docs.html");

/// What a browser holds the page to.
static ACCEPT_POLICY: LazyLock<String> = LazyLock::new(|| policy(ACCEPT));
static DOCS_POLICY: LazyLock<String> = LazyLock::new(|| policy(DOCS));

/// `GET /console/accept`: where an invitation's link leads. Its token stands behind the `#`, which no browser sends.
pub(crate) async fn accept(_call: Call) -> Result<Answer<Page>, ApiError> {
    page(ACCEPT, &ACCEPT_POLICY)
}

/// `GET /docs`: the reference of the API, made by the page of `/openapi.json`.
pub(crate) async fn docs(_call: Call) -> Result<Answer<Page>, ApiError> {
    page(DOCS, &DOCS_POLICY)
}

fn page(text: &'static str, policy: &str) -> Result<Answer<Page>, ApiError> {
    let mut response = Response::new(Body::from(text));
    let policy =
        HeaderValue::from_str(policy).map_err(|_| ApiError::internal("a page's policy is no header"))?;
    for (name, value) in [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ] {
        response.headers_mut().insert(name, value);
    }
    Ok(Answer::of(response))
}

/// The Content-Security-Policy that lets a page's own style and script pass, by their hashes.
fn policy(page: &str) -> String {
    let own = |tag: &str| {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let inside =
            page.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)).map(|(text, _)| text);
        inside
            .map_or("'none'".to_owned(), |text| format!("'sha256-{}'", base64::encode(&Sha256::digest(text))))
    };
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; form-action 'none'; base-uri 'none'; \
         frame-ancestors 'none'",
        own("style"),
        own("script")
    )
}
