//! How does an invitation reach whom it is for?
//!
//! By mail, when the operator has named a server that takes it. The answer to the inviting has the link all the same and
//! says whether it was mailed.
//!
//! Invariants:
//! 1. A mail is sent by its deadline or not at all, [`RUNNING_MAX`] at once, and what comes beyond is not sent.
//! 2. Neither an address nor a link is in a log line or a failure.
//! 3. What a caller writes never makes a header of its own: the library encodes or refuses it.

pub(crate) mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, Message, SmtpTransport, Transport};
use tokio::sync::Semaphore;

use self::settings::{Security, Settings};
use crate::log;
use crate::metrics::Metrics;

const RUNNING_MAX: usize = 4;
/// Each step of the talk with the server.
const STEP_TIME_MAX: Duration = Duration::from_secs(10);
/// The whole of it, as far as the caller waits.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(20);

/// Whoever takes our mail.
pub(crate) struct Mailer {
    transport: SmtpTransport,
    from: Mailbox,
    running: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// A mail to be sent.
pub(crate) struct Letter {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Mailer {
    /// The error is one line that says what to do.
    pub(crate) fn new(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, String> {
        let tls = || {
            TlsParameters::new(settings.host.clone()).map_err(|error| {
                format!(
                    "mail goes over TLS, and that can't be set up: {error}; install this machine's package of CA certificates, or \
                     name a file of them in SSL_CERT_FILE"
                )
            })
        };
        let tls = match settings.security {
            Security::Starttls => Tls::Required(tls()?),
            Security::Tls => Tls::Wrapper(tls()?),
            Security::None => Tls::None,
        };
        if settings.security == Security::None && !settings.is_loopback() {
            log::warn(
                "mail goes in clear: whoever sees the network between reads the invitations; use starttls or tls",
            );
        }
        let mut transport = SmtpTransport::builder_dangerous(settings.host.clone())
            .port(settings.port)
            .tls(tls)
            .timeout(Some(STEP_TIME_MAX));
        if let Some((user, password)) = &settings.credentials {
            transport = transport.credentials(Credentials::new(user.clone(), password.0.clone()));
        }
        let running = Arc::new(Semaphore::new(RUNNING_MAX));
        Ok(Self { transport: transport.build(), from: settings.from.clone(), running, metrics })
    }

    /// Sends a mail, and answers whether the server took it. Why not, the log says.
    pub(crate) async fn send(&self, letter: Letter) -> bool {
        let begun = Instant::now();
        let outcome = self.sent(letter).await;
        let word = match &outcome {
            Ok(()) => "ok",
            Err(_) => "failed",
        };
        self.metrics.count_outbound("mail", word, begun.elapsed());
        if let Err(why) = &outcome {
            log::warn(&format!("a mail was not sent: {why}"));
        }
        outcome.is_ok()
    }

    async fn sent(&self, letter: Letter) -> Result<(), &'static str> {
        let running = self.running.clone().try_acquire_owned().map_err(|_| "too many at once")?;
        let message = self.message(letter).ok_or("it can't be addressed")?;
        let transport = self.transport.clone();
        // Not on the pool: a mail server that hangs must not take the places of those who search.
        let sending = tokio::task::spawn_blocking(move || {
            let outcome = transport.send(&message);
            drop(running);
            outcome.map(drop).map_err(|error| {
                // The server's own words may repeat the address.
                if error.is_timeout() {
                    "the mail server was silent for too long"
                } else if error.is_permanent() {
                    "the mail server refused it for good"
                } else if error.is_transient() {
                    "the mail server refused it for now"
                } else if error.is_tls() {
                    "TLS with the mail server failed"
                } else {
                    "the mail server could not be spoken with"
                }
            })
        });
        match tokio::time::timeout(WHOLE_TIME_MAX, sending).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("sending it panicked; the line before says where"),
            Err(_) => Err("it took too long; it may arrive all the same"),
        }
    }

    fn message(&self, letter: Letter) -> Option<Message> {
        let to = Mailbox::new(None, letter.to.parse::<Address>().ok()?);
        let message = Message::builder().from(self.from.clone()).to(to).subject(letter.subject);
        message.header(ContentType::TEXT_PLAIN).body(letter.text).ok()
    }
}

/// Whether mail can be sent to this address.
pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    fn mailer(port: u16, user: Option<&str>) -> Mailer {
        let told: settings::Told = toml::from_str(&format!(
            "smtp = \"127.0.0.1:{port}\"\nfrom = \"Strongroom <rooms@example.com>\"\nsecurity = \"none\"\n{}",
            user.map(|user| format!("user = \"{user}\"")).unwrap_or_default()
        ))
        .unwrap();
        let environment = |name: &str| {
            (name == "STRONGROOM_SMTP_PASSWORD" && user.is_some()).then(|| "pass word".to_owned())
        };
        let settings = settings::resolve(settings::Told::default(), environment, told).unwrap().unwrap();
        Mailer::new(&settings, Arc::new(Metrics::new())).unwrap()
    }

    /// Takes one mail and answers with `refusal`, if there is one, to its recipient. What it was told is the outcome.
    fn server(refusal: Option<&'static str>) -> (u16, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taking = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
            let mut told = Vec::new();
            let mut is_body = false;
            let mut say = |words: &str| socket.write_all(format!("{words}\r\n").as_bytes()).unwrap();
            say("220 here");
            while let Some(Ok(line)) = lines.next() {
                match line.split(' ').next().unwrap_or_default() {
                    "." if is_body => {
                        is_body = false;
                        say("250 taken");
                    }
                    _ if is_body => {}
                    "EHLO" => say("250-here\r\n250 AUTH PLAIN"),
                    "RCPT" => say(refusal.unwrap_or("250 fine")),
                    "DATA" => {
                        is_body = true;
                        say("354 go on");
                    }
                    "AUTH" => say("235 welcome"),
                    "QUIT" => {
                        say("221 bye");
                        told.push(line);
                        break;
                    }
                    _ => say("250 fine"),
                }
                told.push(line);
            }
            told
        });
        (port, taking)
    }

    fn letter(to: &str, subject: &str) -> Letter {
        Letter { to: to.to_owned(), subject: subject.to_owned(), text: "the link".to_owned() }
    }

    /// Lost otherwise: nobody who is invited would hear of it, or a name could be made into headers and recipients.
    #[tokio::test]
    async fn a_mail_arrives_as_it_was_meant() {
        let (port, taking) = server(None);
        let subject = "Join\r\nBcc: all@example.com";
        assert!(mailer(port, Some("rooms")).send(letter("new@example.com", subject)).await);
        let told = taking.join().unwrap();
        let has = |line: &str| told.iter().any(|told| told == line);
        assert!(
            has("MAIL FROM:<rooms@example.com>") && has("RCPT TO:<new@example.com>") && has("the link"),
            "{told:?}"
        );
        assert!(told.iter().any(|line| line.starts_with("AUTH PLAIN ")), "{told:?}");
        assert_eq!(told.iter().filter(|line| line.starts_with("RCPT")).count(), 1);
        assert!(!told.iter().any(|line| line.starts_with("Bcc:")), "{told:?}");
    }

    /// Lost otherwise: an administrator would believe that the invitation is on its way.
    #[tokio::test]
    async fn what_was_not_sent_is_told() {
        let (port, taking) = server(Some("550 no such new@example.com here"));
        assert!(!mailer(port, None).send(letter("new@example.com", "Join")).await);
        drop(taking.join());
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(!mailer(closed, None).send(letter("new@example.com", "Join")).await);
        assert!(!mailer(closed, None).send(letter("no address", "Join")).await);
    }
}
