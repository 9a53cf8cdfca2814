//! Which embedding services was the server told of?
//!
//! Where OpenAI's models are asked for when a collection names no address of its own, with which key, and which addresses
//! collections may name. The same three sources as all of the configuration, key by key; the key comes from the environment or
//! from a file.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::{HeaderValue, Uri};
use clap::Args;
use serde::Deserialize;

use crate::{outbound, span};

const BASE_URL: &str = "https://api.openai.com/v1";
const TIMEOUT: &str = "30s";
const TIMEOUT_MS_MAX: u64 = 300_000;
const CALLS: usize = 8;
const CALLS_MAX: usize = 256;

/// Where embeddings are made, and what may be asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where collections that name no address are embedded: with `/embeddings` behind it.
    pub(super) address: Uri,
    /// The operator's key, for that address alone.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) timeout: Duration,
    pub(super) calls_max: usize,
    /// The hosts that collections may name; `None` for any.
    hosts: Option<Vec<String>>,
}

impl Settings {
    /// Whether collections may name this address.
    pub(super) fn allows(&self, address: &Uri) -> bool {
        let host = address.host().unwrap_or_default();
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|known| known.eq_ignore_ascii_case(host)))
    }
}

/// What one of the three sources said.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[group(skip)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Told {
    /// Where OpenAI's form of embeddings is spoken, without /embeddings [default: https://api.openai.com/v1; env: STRONGROOM_EMBEDDING_URL]
    #[arg(id = "embedding_url", long = "embedding-url", value_name = "URL")]
    url: Option<String>,
    /// A file with that service's key [or env: STRONGROOM_EMBEDDING_KEY]
    #[arg(id = "embedding_key_file", long = "embedding-key-file", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// How long a call of an embedding service takes at most [default: 30s; env: STRONGROOM_EMBEDDING_TIMEOUT]
    #[arg(id = "embedding_timeout", long = "embedding-timeout", value_name = "SPAN")]
    timeout: Option<String>,
    /// How many calls of one run at once [default: 8; env: STRONGROOM_EMBEDDING_CALLS]
    #[arg(id = "embedding_calls", long = "embedding-calls", value_name = "NUMBER")]
    calls: Option<usize>,
    /// The hosts that collections may name as embedding services, joined by commas; "none" for no other than the one above
    /// [default: any; env: STRONGROOM_EMBEDDING_HOSTS]
    #[arg(id = "embedding_hosts", long = "embedding-hosts", value_name = "HOSTS")]
    hosts: Option<String>,
}

/// Joins what was told. The error is one line that says what to do.
pub(crate) fn resolve(
    command_line: Told,
    environment: impl Fn(&str) -> Option<String>,
    file: Told,
) -> Result<Settings, String> {
    let variable = |name: &str| environment(&format!("STRONGROOM_EMBEDDING{name}"));
    let read_key = |path: &PathBuf| outbound::key_in_file("the embedding service's key", path);
    // A key file on the command line stands over a key in the environment, which stands over a key file in the file.
    let authorization = match (&command_line.key_file, variable("_KEY")) {
        (Some(path), _) => Some(read_key(path)?),
        (None, Some(key)) => Some(outbound::bearer("STRONGROOM_EMBEDDING_KEY", &key)?),
        (None, None) => file.key_file.as_ref().map(read_key).transpose()?,
    };
    let url = command_line.url.or_else(|| variable("_URL")).or(file.url);
    let timeout = command_line.timeout.or_else(|| variable("_TIMEOUT")).or(file.timeout);
    let timeout = span::parse_ms("embedding_timeout", timeout.as_deref().unwrap_or(TIMEOUT))?;
    if !(1..=TIMEOUT_MS_MAX).contains(&timeout) {
        return Err("embedding_timeout must be from 1s to 300s".to_owned());
    }
    let told = variable("_CALLS").map(|text| text.trim().parse::<usize>()).transpose();
    let told = told.map_err(|_| "STRONGROOM_EMBEDDING_CALLS must be a whole number".to_owned())?;
    let calls_max = command_line.calls.or(told).or(file.calls).unwrap_or(CALLS);
    if !(1..=CALLS_MAX).contains(&calls_max) {
        return Err(format!("embedding_calls must be a whole number from 1 to {CALLS_MAX}"));
    }
    let hosts = command_line.hosts.or_else(|| variable("_HOSTS")).or(file.hosts);
    Ok(Settings {
        address: address(url.as_deref().unwrap_or(BASE_URL))?,
        authorization,
        timeout: Duration::from_millis(timeout),
        calls_max,
        hosts: hosts.map(|hosts| hosts_of(&hosts)),
    })
}

fn hosts_of(text: &str) -> Vec<String> {
    let hosts = text.split(',').map(str::trim).filter(|host| !host.is_empty() && *host != "none");
    hosts.map(str::to_owned).collect()
}

/// Where a service of this base answers. The error is one line.
pub(crate) fn address(base: &str) -> Result<Uri, String> {
    let base = base.trim().trim_end_matches('/');
    outbound::parse_address("embedding_base_url", &format!("{base}/embeddings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str, variables: &[(&str, &str)], file: &str) -> Result<Settings, String> {
        let told = |text: &str| toml::from_str::<Told>(text).unwrap();
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        resolve(told(line), environment, told(file))
    }

    /// Lost otherwise: customers' texts would be sent to another service, or with another key, than the operator's last word says.
    #[test]
    fn command_line_over_environment_over_file_over_default() {
        let file = "url = \"http://file/v1\"\ntimeout = \"2s\"";
        let variables =
            [("STRONGROOM_EMBEDDING_URL", "http://environment/v1"), ("STRONGROOM_EMBEDDING_KEY", "se-cr-et")];
        let all = settings("url = \"http://line/v1/\"", &variables, file).unwrap();
        assert_eq!(
            (all.address.to_string().as_str(), all.timeout.as_secs()),
            ("http://line/v1/embeddings", 2)
        );
        assert!(!format!("{all:?}").contains("se-cr-et"));
        assert_eq!(settings("", &variables, file).unwrap().address, "http://environment/v1/embeddings");
        assert_eq!(settings("", &[], "").unwrap().address, "https://api.openai.com/v1/embeddings");
        for bad in ["url = \"ftp://x\"", "calls = 0", "timeout = \"2h\"", "url = \"http://u:p@x/v1\""] {
            assert!(settings(bad, &[], "").is_err(), "{bad}");
        }
    }

    /// Lost otherwise: whoever may make collections could have the server call any host of its operator's network.
    #[test]
    fn hosts_are_any_or_those_named() {
        let allows =
            |hosts: &str, base: &str| settings(hosts, &[], "").unwrap().allows(&address(base).unwrap());
        assert!(allows("", "http://127.0.0.1:9/v1"));
        let two = "hosts = \"api.openai.com, Models.Internal\"";
        assert!(allows(two, "https://models.internal:8443/v1") && allows(two, "https://api.openai.com/v1"));
        assert!(!allows(two, "https://models.internal.evil/v1") && !allows(two, "http://127.0.0.1/v1"));
        assert!(!allows("hosts = \"none\"", "https://api.openai.com/v1"));
    }
}
