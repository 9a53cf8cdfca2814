//! Which mail server was the server told of?
//!
//! The same three sources as all of the configuration, key by key. Its password comes from the environment or from a file.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lettre::message::Mailbox;
use serde::Deserialize;

const PASSWORD_BYTES_MAX: u64 = 4 << 10;

/// A mail server, and how to speak with it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) from: Mailbox,
    pub(super) credentials: Option<(String, Password)>,
}

/// A password; its debug output hides it.
#[derive(Clone)]
pub(crate) struct Password(pub(super) String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// How the way to the mail server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Security {
    /// TLS is asked for after the greeting, and nothing goes without it: port 587.
    Starttls,
    /// TLS from the first byte on: port 465.
    Tls,
    /// In clear: port 25.
    None,
}

impl Security {
    fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// What one of the three sources said.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[group(skip)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Told {
    /// A mail server that takes invitations [env: STRONGROOM_SMTP]
    #[arg(long = "smtp", value_name = "HOST[:PORT]")]
    smtp: Option<String>,
    /// Whom mail is from, such as "Strongroom <rooms@example.com>" [env: STRONGROOM_SMTP_FROM]
    #[arg(long = "smtp-from", value_name = "ADDRESS")]
    from: Option<String>,
    /// How the way there is kept from others [default: starttls; env: STRONGROOM_SMTP_SECURITY]
    #[arg(long = "smtp-security")]
    security: Option<Security>,
    /// Who signs in at the mail server [env: STRONGROOM_SMTP_USER]
    #[arg(long = "smtp-user", value_name = "NAME")]
    user: Option<String>,
    /// A file with the mail server's password [or env: STRONGROOM_SMTP_PASSWORD]
    #[arg(long = "smtp-password-file", value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Joins what was told; `None` when no mail server was. The error is one line that says what to do.
pub(crate) fn resolve(
    command_line: Told,
    environment: impl Fn(&str) -> Option<String>,
    file: Told,
) -> Result<Option<Settings>, String> {
    let variable = |name: &str| environment(&format!("STRONGROOM_SMTP{name}"));
    // A password file on the command line stands over the environment, which stands over a password file in the file.
    let password = match (command_line.password_file, variable("_PASSWORD")) {
        (Some(path), _) => Some(read_password(&path)?),
        (None, Some(password)) => Some(Password(password)),
        (None, None) => file.password_file.as_deref().map(read_password).transpose()?,
    };
    let from = command_line.from.or_else(|| variable("_FROM")).or(file.from);
    let user = command_line.user.or_else(|| variable("_USER")).or(file.user);
    let named = variable("_SECURITY").map(|word| {
        Security::from_str(word.trim(), false)
            .map_err(|_| "STRONGROOM_SMTP_SECURITY must be starttls, tls or none".to_owned())
    });
    let security = command_line.security.or(named.transpose()?).or(file.security);
    let Some(server) = command_line.smtp.or_else(|| variable("")).or(file.smtp) else {
        if password.is_some() || from.is_some() || user.is_some() || security.is_some() {
            return Err("mail has settings but no server; give it by --smtp HOST".to_owned());
        }
        return Ok(None);
    };
    let security = security.unwrap_or(Security::Starttls);
    let (host, port) = server_of(&server, security)?;
    let from = from.and_then(|from| from.parse::<Mailbox>().ok()).ok_or(
        "mail needs an address that it is from; give it by --smtp-from 'Strongroom <rooms@example.com>'",
    )?;
    let credentials = match (user, password) {
        (None, None) => None,
        (Some(user), Some(password)) => Some((user, password)),
        (Some(_), None) => {
            return Err("mail has a user but no password; give it by STRONGROOM_SMTP_PASSWORD or --smtp-password-file".to_owned());
        }
        (None, Some(_)) => return Err("mail has a password but no user; give it by --smtp-user".to_owned()),
    };
    Ok(Some(Settings { host, port, security, from, credentials }))
}

impl Settings {
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn server_of(text: &str, security: Security) -> Result<(String, u16), String> {
    let wrong = || "smtp must be a mail server as HOST or HOST:PORT, such as mail.example.com:587".to_owned();
    let text = text.trim();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| wrong())?)
        }
        _ => (text, security.port()),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let fits = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c));
    if fits { Ok((host.to_owned(), port)) } else { Err(wrong()) }
}

fn read_password(path: &Path) -> Result<Password, String> {
    use std::io::Read;
    let unreadable =
        |error| format!("the mail server's password file {} can't be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut password = String::new();
    file.take(PASSWORD_BYTES_MAX).read_to_string(&mut password).map_err(unreadable)?;
    Ok(Password(password.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str, variables: &[(&str, &str)], file: &str) -> Result<Option<Settings>, String> {
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        resolve(toml::from_str(line).unwrap(), environment, toml::from_str(file).unwrap())
    }

    const FROM: &str = "from = \"rooms@example.com\"";

    /// Lost otherwise: invitations would go to another server, or in clear, against the operator's last word.
    #[test]
    fn command_line_over_environment_over_file_over_default() {
        let file = format!("smtp = \"file.example\"\nsecurity = \"tls\"\n{FROM}");
        let variables =
            [("STRONGROOM_SMTP", "environment.example:2525"), ("STRONGROOM_SMTP_SECURITY", "none")];
        let seen = |line: &str, variables: &[(&str, &str)]| {
            let all = settings(line, variables, &file).unwrap().unwrap();
            (all.host, all.port, all.security)
        };
        assert_eq!(
            seen("smtp = \"line.example\"\nsecurity = \"starttls\"", &variables),
            ("line.example".into(), 587, Security::Starttls)
        );
        assert_eq!(seen("", &variables), ("environment.example".into(), 2525, Security::None));
        assert_eq!(seen("", &[]), ("file.example".into(), 465, Security::Tls));
        let usual = settings(&format!("smtp = \"[::1]\"\n{FROM}"), &[], "").unwrap().unwrap();
        assert_eq!((usual.host.as_str(), usual.port, usual.is_loopback()), ("::1", 587, true));
        assert!(settings("", &[], "").unwrap().is_none());
    }

    /// Lost otherwise: the password would stand in a log, or a typo leave people without their invitations unawares.
    #[test]
    fn the_password_is_hidden_and_settings_read_strictly() {
        let variables = [("STRONGROOM_SMTP_PASSWORD", "se cret")];
        let line = format!("smtp = \"mail.example\"\nuser = \"rooms\"\n{FROM}");
        let all = settings(&line, &variables, "").unwrap().unwrap();
        assert!(!format!("{all:?}").contains("se cret"));
        assert_eq!(all.credentials.unwrap().1.0, "se cret");
        for (line, variables, why) in [
            (FROM, &[][..], "no server"),
            ("smtp = \"a b\"", &[], "HOST:PORT"),
            ("smtp = \"mail.example:port\"", &[], "HOST:PORT"),
            ("smtp = \"mail.example\"", &[], "--smtp-from"),
            ("smtp = \"mail.example\"\nfrom = \"nobody\"", &[], "--smtp-from"),
            (&line, &[], "no password"),
            (&format!("smtp = \"mail.example\"\n{FROM}"), &variables, "no user"),
            ("", &[("STRONGROOM_SMTP_SECURITY", "ssl")], "starttls, tls or none"),
            ("password_file = \"/none\"", &[], "/none"),
        ] {
            let error = settings(line, variables, "").unwrap_err();
            assert!(error.contains(why) && !error.contains("se cret"), "{error}");
        }
        assert!(toml::from_str::<Told>("server = \"x\"").is_err());
    }
}
