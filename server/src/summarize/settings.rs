//! Which summarizer was the server told of?
//!
//! The same three sources as all of the configuration, key by key. Its key comes from the environment or from a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::outbound::{self, Endpoint};
use crate::span;

const TIMEOUT: &str = "60s";
const TIMEOUT_MS_MAX: u64 = 600_000;
const CALLS: usize = 2;
const CALLS_MAX: usize = 64;
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A summarizer.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(super) endpoint: Endpoint,
    pub(super) model: Option<String>,
}

/// What one of the three sources said.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[group(skip)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Told {
    /// Where a model answers POST in the form of OpenAI's chats, for summaries [env: STRONGROOM_SUMMARIZER]
    #[arg(id = "summarizer", long = "summarizer", value_name = "URL")]
    address: Option<String>,
    /// The model to name to the summarizer [env: STRONGROOM_SUMMARIZER_MODEL]
    #[arg(id = "summarizer_model", long = "summarizer-model", value_name = "NAME")]
    model: Option<String>,
    /// A file with the summarizer's key [or env: STRONGROOM_SUMMARIZER_KEY]
    #[arg(id = "summarizer_key_file", long = "summarizer-key-file", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// How long a summary takes at most [default: 60s; env: STRONGROOM_SUMMARIZER_TIMEOUT]
    #[arg(id = "summarizer_timeout", long = "summarizer-timeout", value_name = "SPAN")]
    timeout: Option<String>,
    /// How many documents are summed up at once [default: 2; env: STRONGROOM_SUMMARIZER_CALLS]
    #[arg(id = "summarizer_calls", long = "summarizer-calls", value_name = "NUMBER")]
    calls: Option<usize>,
}

/// Joins what was told; `None` when no summarizer was. The error is one line that says what to do.
pub(crate) fn resolve(
    command_line: Told,
    environment: impl Fn(&str) -> Option<String>,
    file: Told,
) -> Result<Option<Settings>, String> {
    let variable = |name: &str| environment(&format!("STRONGROOM_SUMMARIZER{name}"));
    let read_key = |path: &Path| outbound::key_in_file("the summarizer's key", path);
    // A key file on the command line stands over a key in the environment, which stands over a key file in the file.
    let authorization = match (command_line.key_file, variable("_KEY")) {
        (Some(path), _) => Some(read_key(&path)?),
        (None, Some(key)) => Some(outbound::bearer("STRONGROOM_SUMMARIZER_KEY", &key)?),
        (None, None) => file.key_file.as_deref().map(read_key).transpose()?,
    };
    let in_environment = variable("_CALLS").map(|text| text.trim().parse::<usize>()).transpose();
    let in_environment = in_environment.map_err(|_| "STRONGROOM_SUMMARIZER_CALLS must be a whole number")?;
    let model = command_line.model.or_else(|| variable("_MODEL")).or(file.model);
    let timeout = command_line.timeout.or_else(|| variable("_TIMEOUT")).or(file.timeout);
    let calls = command_line.calls.or(in_environment).or(file.calls);
    let Some(address) = command_line.address.or_else(|| variable("")).or(file.address) else {
        if authorization.is_some() || model.is_some() || timeout.is_some() || calls.is_some() {
            return Err("a summarizer has settings but no address; give it by --summarizer URL".to_owned());
        }
        return Ok(None);
    };
    let calls = calls.unwrap_or(CALLS);
    if !(1..=CALLS_MAX).contains(&calls) {
        return Err(format!("summarizer_calls must be a whole number from 1 to {CALLS_MAX}"));
    }
    let endpoint = Endpoint {
        address: outbound::parse_address("summarizer", &address)?,
        authorization,
        timeout: timeout_of(timeout.as_deref().unwrap_or(TIMEOUT))?,
        running_max: calls,
        answer_bytes_max: ANSWER_BYTES_MAX,
    };
    Ok(Some(Settings { endpoint, model }))
}

fn timeout_of(text: &str) -> Result<Duration, String> {
    let ms = span::parse_ms("summarizer_timeout", text)?;
    if !(1..=TIMEOUT_MS_MAX).contains(&ms) {
        return Err("summarizer_timeout must be from 1s to 10m".to_owned());
    }
    Ok(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str, variables: &[(&str, &str)], file: &str) -> Result<Option<Settings>, String> {
        let told = |text: &str| toml::from_str::<Told>(text).unwrap();
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        resolve(told(line), environment, told(file))
    }

    /// Lost otherwise: documents would be sent to another server, or with another key, than the operator's last word says.
    #[test]
    fn command_line_over_environment_over_file_over_default() {
        let file = "address = \"http://file/chat\"\nmodel = \"of-file\"\ncalls = 3";
        let variables = [
            ("STRONGROOM_SUMMARIZER", "http://environment/chat"),
            ("STRONGROOM_SUMMARIZER_KEY", "se-cr-et"),
            ("STRONGROOM_SUMMARIZER_TIMEOUT", "2m"),
        ];
        let all = settings("address = \"http://line/chat\"", &variables, file).unwrap().unwrap();
        assert_eq!(
            (all.endpoint.address.to_string().as_str(), all.endpoint.running_max),
            ("http://line/chat", 3)
        );
        assert_eq!((all.model.as_deref(), all.endpoint.timeout), (Some("of-file"), Duration::from_secs(120)));
        assert!(!format!("{all:?}").contains("se-cr-et"));
        let two = settings("", &variables, file).unwrap().unwrap();
        assert_eq!(two.endpoint.address, "http://environment/chat");
        let one = settings("", &[], "address = \"https://file/chat\"").unwrap().unwrap();
        assert_eq!((one.endpoint.timeout, one.endpoint.running_max), (Duration::from_secs(60), 2));
        assert!(settings("", &[], "").unwrap().is_none());
    }

    /// Lost otherwise: a typo would leave the operator without summaries unawares, or the key would stand in an error.
    #[test]
    fn settings_are_read_strictly() {
        for (line, variable, why) in [
            ("model = \"m\"", None, "no address"),
            ("address = \"ftp://x/r\"", None, "address"),
            ("address = \"http://u:hidden@x/r\"", None, "address"),
            ("address = \"http://x/r\"\ntimeout = \"11m\"", None, "10m"),
            ("address = \"http://x/r\"\ncalls = 0", None, "64"),
            ("address = \"http://x/r\"", Some(("STRONGROOM_SUMMARIZER_CALLS", "many")), "whole number"),
            ("address = \"http://x/r\"", Some(("STRONGROOM_SUMMARIZER_KEY", "two words")), "one word"),
            ("address = \"http://x/r\"\nkey_file = \"/none\"", None, "/none"),
        ] {
            let error = settings(line, variable.as_slice(), "").unwrap_err();
            assert!(
                error.contains(why) && !error.contains("hidden") && !error.contains("two words"),
                "{error}"
            );
        }
        assert!(toml::from_str::<Told>("adress = \"http://x\"").is_err());
    }
}
