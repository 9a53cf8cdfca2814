//! How does a browser show that somebody is signed in, and who made it send that?
//!
//! By a cookie, which browsers attach to whatever asks them to: so a request that changes something counts only when the
//! browser says that a page of our own sent it. What is no browser sends neither `Sec-Fetch-Site` nor `Origin`, and has
//! no cookie but the one that it was given on purpose.
//!
//! Invariants:
//! 1. The cookie is out of reach of scripts (`HttpOnly`), is not sent along with what other sites post (`SameSite`), and
//!    goes over TLS alone wherever a browser speaks TLS to us or to a proxy of ours.
//! 2. Two cookies of our name are none: somebody next door may have planted one.

use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};

use crate::control::{SESSION_MS, Token, TokenKind};
use crate::message::error::ApiError;

/// The cookie's name, as bigRAG's clients know it.
pub(crate) const COOKIE: &str = "bigrag_session";

/// The session's token, if the headers carry one.
pub(crate) fn token(headers: &HeaderMap) -> Result<Option<Token>, ApiError> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value.trim_matches('"'));
    match (values.next(), values.next()) {
        (None, _) | (Some(""), None) => Ok(None),
        (Some(text), None) => Token::parse(TokenKind::Session, text).map(Some).ok_or_else(dead),
        (Some(_), Some(_)) => Err(dead()),
    }
}

/// A session that is over, or never was.
pub(super) fn dead() -> ApiError {
    ApiError::unauthenticated("invalid_session", "this session is over; sign in again")
}

/// Whether a method may change something.
pub(crate) fn changes(method: &Method) -> bool {
    !method.is_safe()
}

/// Refuses what a page of another site had a browser send.
pub(crate) fn require_same_origin(headers: &HeaderMap, public_url: Option<&Uri>) -> Result<(), ApiError> {
    let refused = || {
        Err(ApiError::forbidden(
            "cross_origin",
            "a page of another site sent this; use the server's own pages, or an API key",
        ))
    };
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or(""));
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return refused();
    }
    let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
    // The browser's own word for it, which no page can set.
    if site == Some("same-origin") {
        return Ok(());
    }
    let origin = origin.parse::<Uri>().ok();
    let authority =
        origin.as_ref().and_then(Uri::authority).map(|authority| authority.as_str().to_lowercase());
    let ours = [text(header::HOST), public_url.and_then(Uri::authority).map(|authority| authority.as_str())];
    let is_ours =
        authority.is_some_and(|origin| ours.into_iter().flatten().any(|host| host.to_lowercase() == origin));
    if is_ours { Ok(()) } else { refused() }
}

/// Whether the browser's side of the connection is TLS, as far as the proxy that ends it says so.
pub(crate) fn is_https(headers: &HeaderMap, public_url: Option<&Uri>) -> bool {
    let says = |name: &str, what: &str| {
        headers
            .get_all(name)
            .iter()
            .any(|value| value.to_str().is_ok_and(|text| text.to_lowercase().contains(what)))
    };
    public_url.and_then(Uri::scheme_str) == Some("https")
        || says("x-forwarded-proto", "https")
        || says("forwarded", "proto=https")
        || says("forwarded", "proto=\"https")
}

/// The header that gives a browser its session.
pub(crate) fn given(token: &Token, is_https: bool) -> Result<HeaderValue, ApiError> {
    cookie(token.text(), SESSION_MS / 1000, is_https)
}

/// The header that takes it away.
pub(crate) fn taken(is_https: bool) -> Result<HeaderValue, ApiError> {
    cookie("", 0, is_https)
}

fn cookie(value: &str, seconds: u64, is_https: bool) -> Result<HeaderValue, ApiError> {
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&text).map_err(|_| ApiError::internal("a cookie is no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// Lost otherwise: any page that a signed-in administrator happens to look at could mint keys in their name.
    #[test]
    fn what_another_site_sends_is_refused() {
        let public: Uri = "https://rooms.example".parse().unwrap();
        for (pairs, is_fine) in [
            (&[][..], true),
            (&[("host", "a:1"), ("sec-fetch-site", "same-origin"), ("origin", "https://b")], true),
            (&[("host", "a:1"), ("sec-fetch-site", "none")], true),
            (&[("host", "a:1"), ("sec-fetch-site", "cross-site"), ("origin", "http://a:1")], false),
            (&[("host", "a:1"), ("sec-fetch-site", "same-site"), ("origin", "http://a:1")], false),
            (&[("host", "a:1"), ("sec-fetch-site", "")], false),
            (&[("host", "a:1"), ("origin", "http://a:1")], true),
            (&[("host", "a:1"), ("origin", "http://A:1")], true),
            (&[("host", "a:1"), ("origin", "http://a:2")], false),
            (&[("host", "a:1"), ("origin", "http://evil.a:1")], false),
            (&[("host", "a:1"), ("origin", "null")], false),
            (&[("host", "a:1"), ("origin", "")], false),
            (&[("host", "10.0.0.1"), ("origin", "https://rooms.example")], true),
            (&[("origin", "https://elsewhere.example")], false),
        ] {
            assert_eq!(require_same_origin(&headers(pairs), Some(&public)).is_ok(), is_fine, "{pairs:?}");
        }
        assert!(
            require_same_origin(&headers(&[("host", "a"), ("origin", "https://rooms.example")]), None)
                .is_err()
        );
    }

    /// Lost otherwise: a cookie that a neighbouring site planted would be taken for its reader's, or a session be sent in
    /// clear.
    #[test]
    fn one_cookie_counts_and_is_kept_close() {
        let minted = Token::mint(TokenKind::Session);
        let line = |value: &str| format!("a=b; {COOKIE}={value}; c=\"d\"");
        assert_eq!(token(&headers(&[("cookie", &line(minted.text()))])).unwrap(), Some(minted.clone()));
        assert_eq!(token(&headers(&[("cookie", "a=b"), ("cookie", "x")])).unwrap(), None);
        let other = Token::mint(TokenKind::Session);
        let two = [("cookie", &*line(minted.text())), ("cookie", &*line(other.text()))];
        assert_eq!(token(&headers(&two)).unwrap_err().code, "invalid_session");
        assert!(token(&headers(&[("cookie", &line("guess"))])).is_err());
        let is_https = |pairs: &[(&'static str, &str)]| is_https(&headers(pairs), None);
        assert!(
            is_https(&[("x-forwarded-proto", "https")]) && is_https(&[("forwarded", "for=x;Proto=https")])
        );
        assert!(!is_https(&[("x-forwarded-proto", "http")]) && !is_https(&[]));
        let given = given(&minted, true).unwrap();
        assert_eq!(
            given.to_str().unwrap(),
            format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800; Secure", minted.text())
        );
        assert!(!format!("{given:?}").contains(minted.text()));
    }
}
