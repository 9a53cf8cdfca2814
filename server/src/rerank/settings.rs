//! Which reranker was the server told of?
//!
//! The same three sources as all of the configuration, key by key. Its key comes from the environment or from a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Uri;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::forms::{Form, Scale};
use crate::outbound::{self, Endpoint};
use crate::span;

const TIMEOUT: &str = "5s";
const TIMEOUT_MS_MAX: u64 = 60_000;
const CANDIDATES: usize = 100;
const CANDIDATES_MAX: usize = 1000;
const CALLS: usize = 8;
const CALLS_MAX: usize = 256;
/// A score takes some 50 bytes, and some servers send the texts back.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// A reranker, and what may be asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(super) endpoint: Endpoint,
    pub(super) model: Option<String>,
    pub(super) form: Form,
    pub(super) scale: Scale,
    pub(super) candidates_max: usize,
}

/// What one of the three sources said.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Told {
    /// Where a reranker answers POST, for searches that ask for it [env: STRONGROOM_RERANKER]
    #[arg(long = "reranker", value_name = "URL")]
    address: Option<String>,
    /// The model to name to the reranker [env: STRONGROOM_RERANKER_MODEL]
    #[arg(long = "reranker-model", value_name = "NAME")]
    model: Option<String>,
    /// A file with the reranker's key [or env: STRONGROOM_RERANKER_KEY]
    #[arg(long = "reranker-key-file", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The form of its requests and answers [default: cohere; env: STRONGROOM_RERANKER_FORM]
    #[arg(long = "reranker-form")]
    form: Option<Form>,
    /// What its scores mean [default: shares; env: STRONGROOM_RERANKER_SCORES]
    #[arg(long = "reranker-scores")]
    scores: Option<Scale>,
    /// How long a search waits for it at most [default: 5s; env: STRONGROOM_RERANKER_TIMEOUT]
    #[arg(long = "reranker-timeout", value_name = "SPAN")]
    timeout: Option<String>,
    /// How many passages of a search it is sent at most [default: 100; env: STRONGROOM_RERANKER_CANDIDATES]
    #[arg(long = "reranker-candidates", value_name = "NUMBER")]
    candidates: Option<usize>,
    /// How many calls of it run at once [default: 8; env: STRONGROOM_RERANKER_CALLS]
    #[arg(long = "reranker-calls", value_name = "NUMBER")]
    calls: Option<usize>,
}

/// Joins what was told; `None` when no reranker was. The error is one line that says what to do.
pub(crate) fn resolve(
    command_line: Told,
    environment: impl Fn(&str) -> Option<String>,
    file: Told,
) -> Result<Option<Settings>, String> {
    let variable = |name: &str| environment(&format!("STRONGROOM_RERANKER{name}"));
    let number = |name: &str| {
        let number = variable(name).map(|text| text.trim().parse::<usize>()).transpose();
        number.map_err(|_| format!("STRONGROOM_RERANKER{name} must be a whole number"))
    };
    let read_key = |path: &Path| outbound::key_in_file("the reranker's key", path);
    // A key file on the command line stands over a key in the environment, which stands over a key file in the file.
    let authorization = match (command_line.key_file, variable("_KEY")) {
        (Some(path), _) => Some(read_key(&path)?),
        (None, Some(key)) => Some(outbound::bearer("STRONGROOM_RERANKER_KEY", &key)?),
        (None, None) => file.key_file.as_deref().map(read_key).transpose()?,
    };
    let model = command_line.model.or_else(|| variable("_MODEL")).or(file.model);
    let form = command_line.form.or(word("_FORM", variable("_FORM"))?).or(file.form);
    let scale = command_line.scores.or(word("_SCORES", variable("_SCORES"))?).or(file.scores);
    let timeout = command_line.timeout.or_else(|| variable("_TIMEOUT")).or(file.timeout);
    let candidates = command_line.candidates.or(number("_CANDIDATES")?).or(file.candidates);
    let calls = command_line.calls.or(number("_CALLS")?).or(file.calls);
    let Some(address) = command_line.address.or_else(|| variable("")).or(file.address) else {
        let is_told = authorization.is_some()
            || model.is_some()
            || form.is_some()
            || scale.is_some()
            || timeout.is_some()
            || candidates.is_some()
            || calls.is_some();
        if is_told {
            return Err("a reranker has settings but no address; give it by --reranker URL".to_owned());
        }
        return Ok(None);
    };
    let endpoint = Endpoint {
        address: address_of(&address)?,
        authorization,
        timeout: timeout_of(timeout.as_deref().unwrap_or(TIMEOUT))?,
        running_max: within("reranker_calls", calls.unwrap_or(CALLS), CALLS_MAX)?,
        answer_bytes_max: ANSWER_BYTES_MAX,
    };
    let candidates_max = within("reranker_candidates", candidates.unwrap_or(CANDIDATES), CANDIDATES_MAX)?;
    let (form, scale) = (form.unwrap_or(Form::Cohere), scale.unwrap_or(Scale::Shares));
    Ok(Some(Settings { endpoint, model, form, scale, candidates_max }))
}

fn address_of(text: &str) -> Result<Uri, String> {
    outbound::parse_address("reranker", text)
}

fn timeout_of(text: &str) -> Result<Duration, String> {
    let ms = span::parse_ms("reranker_timeout", text)?;
    if !(1..=TIMEOUT_MS_MAX).contains(&ms) {
        return Err("reranker_timeout must be from 1s to 60s".to_owned());
    }
    Ok(Duration::from_millis(ms))
}

fn within(setting: &str, number: usize, most: usize) -> Result<usize, String> {
    (1..=most)
        .contains(&number)
        .then_some(number)
        .ok_or_else(|| format!("{setting} must be a whole number from 1 to {most}"))
}

fn word<T: ValueEnum>(name: &str, text: Option<String>) -> Result<Option<T>, String> {
    let Some(text) = text else { return Ok(None) };
    T::from_str(text.trim(), false).map(Some).map_err(|_| {
        let known = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let known: Vec<_> = known.map(|value| value.get_name().to_owned()).collect();
        format!("STRONGROOM_RERANKER{name} must be {}", known.join(" or "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Told {
        toml::from_str(text).unwrap()
    }

    fn settings(line: &str, variables: &[(&str, &str)], file: &str) -> Result<Option<Settings>, String> {
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        resolve(told(line), environment, told(file))
    }

    /// Lost otherwise: passages would be sent to another server, or with another key, than the operator's last word says.
    #[test]
    fn command_line_over_environment_over_file_over_default() {
        let file = "address = \"http://file/r\"\nmodel = \"of-file\"\ncandidates = 20\nform = \"tei\"";
        let variables = [("STRONGROOM_RERANKER", "http://environment/r"), ("STRONGROOM_RERANKER_CALLS", "3")];
        let all = settings("address = \"http://line/r\"", &variables, file).unwrap().unwrap();
        assert_eq!(all.endpoint.address, "http://line/r");
        assert_eq!(
            (all.model.as_deref(), all.candidates_max, all.endpoint.running_max),
            (Some("of-file"), 20, 3)
        );
        assert_eq!((all.form, all.scale), (Form::Tei, Scale::Shares));
        let two = settings("", &variables, file).unwrap().unwrap();
        assert_eq!(two.endpoint.address, "http://environment/r");
        let one = settings("", &[], "address = \"https://file/r\"").unwrap().unwrap();
        assert_eq!((one.candidates_max, one.endpoint.running_max), (100, 8));
        assert_eq!((one.endpoint.timeout, one.form), (Duration::from_secs(5), Form::Cohere));
        assert!(settings("", &[], "").unwrap().is_none());
    }

    /// Lost otherwise: the key would stand in a log, or a typo leave the operator without the reranker unawares.
    #[test]
    fn keys_are_hidden_and_settings_read_strictly() {
        let variables = [("STRONGROOM_RERANKER", "https://x/r"), ("STRONGROOM_RERANKER_KEY", "se-cr-et")];
        let all = settings("", &variables, "").unwrap();
        assert!(!format!("{all:?}").contains("se-cr-et"));
        assert_eq!(all.unwrap().endpoint.authorization.unwrap(), "Bearer se-cr-et");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "of-a-file\n").unwrap();
        let line = format!("key_file = {:?}", path.display().to_string());
        let of_file = settings(&line, &variables, "").unwrap().unwrap();
        assert_eq!(of_file.endpoint.authorization.unwrap(), "Bearer of-a-file");
        for (line, variable, why) in [
            ("model = \"m\"", None, "no address"),
            ("address = \"ftp://x/r\"", None, "address"),
            ("address = \"host/r\"", None, "address"),
            ("address = \"http://u:hidden@x/r\"", None, "address"),
            ("address = \"http://x/r\"\ntimeout = \"2h\"", None, "60s"),
            ("address = \"http://x/r\"\ntimeout = \"0s\"", None, "60s"),
            ("address = \"http://x/r\"\ncandidates = 1001", None, "1000"),
            ("address = \"http://x/r\"\ncalls = 0", None, "256"),
            ("address = \"http://x/r\"", Some(("STRONGROOM_RERANKER_FORM", "jina")), "cohere or tei"),
            ("address = \"http://x/r\"", Some(("STRONGROOM_RERANKER_CALLS", "many")), "whole number"),
            ("address = \"http://x/r\"", Some(("STRONGROOM_RERANKER_KEY", "two words")), "one word"),
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
