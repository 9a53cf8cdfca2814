//! What carries a call?
//!
//! hyper's client with its pool of connections, over plain TCP or TLS. TLS is rustls with ring; whom it trusts are the
//! certificates of this machine, so that an operator's own authority counts, or those in `SSL_CERT_FILE`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::WantsClientCert;
use rustls::crypto::ring;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client that keeps at most so many idle connections.
pub(super) fn client(tls: ClientConfig, idle_max: usize) -> Client {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIME_MAX));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIME_MAX)
        .pool_max_idle_per_host(idle_max)
        .build(connector)
}

/// Trusts whom this machine trusts. The error is one line that says what to do.
pub(super) fn tls_of_this_machine(service: &str) -> Result<ClientConfig, String> {
    let trusting = begin()?.with_native_roots().map_err(|error| {
        format!(
            "the {service} has an https address, and this machine trusts no certificates: {error}; install its package of CA \
             certificates, or name a file of them in SSL_CERT_FILE"
        )
    })?;
    Ok(finish(trusting))
}

/// For plain http alone: trusts nobody.
pub(super) fn no_tls() -> Result<ClientConfig, String> {
    trusting(RootCertStore::empty())
}

/// Trusts these.
pub(super) fn trusting(roots: RootCertStore) -> Result<ClientConfig, String> {
    Ok(finish(begin()?.with_root_certificates(roots)))
}

fn begin() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    builder.with_safe_default_protocol_versions().map_err(|error| format!("TLS can't be set up: {error}"))
}

fn finish(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> ClientConfig {
    builder.with_no_client_auth()
}
