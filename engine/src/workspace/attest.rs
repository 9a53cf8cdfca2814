//! What does the engine sign about a request?
//!
//! Which partitions were opened for it, as their [`Witness`](crate::Witness) took them down, and how a canary fared. A statement is
//! lines of ASCII; `format-spec.md` says which (section "Statements"). It is signed with the key that signs receipts, whose
//! messages begin otherwise, and is kept nowhere.
//!
//! Invariants:
//! 1. What stands in a statement is what the engine saw, but for the request's id and digest, which the host tells.
//! 2. Nothing in it depends on what others do: not the number of segments, since flushes are shared.
//! 3. A statement is at most some 100 KiB, however many partitions were opened.

use super::canary::Canary;
use super::{Scope, Store};
use crate::partition::Opened;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The first line of each statement; no receipt begins so.
const TITLE: &str = "strongroom trace 1";

/// The first line of each statement about a document's version; no receipt and no trace begins so.
const VERSION_TITLE: &str = "strongroom version 1";

/// So many partitions are told one by one; of more, a digest.
const OPENED_MAX: usize = 32;

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What was signed.
    pub text: String,
    /// Ed25519, over the bytes of the text.
    pub signature: [u8; 64],
}

/// What is stated of one version of a document. The host tells it, from what it keeps sealed in the partition.
#[derive(Debug, Clone, Copy)]
pub struct Version<'a> {
    /// The document's id.
    pub document: &'a str,
    /// Which version, from 1.
    pub number: u32,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: u64,
    /// SHA-256 of what was sent, in hexadecimal.
    pub digest: &'a str,
    /// The id of the key that wrote it, when it was a key and that is known.
    pub key: Option<&'a str>,
}

/// Why a statement is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is none.
    #[error("it is no statement of what was opened, of a version that this program knows")]
    NotOne,
    /// It names no key.
    #[error("it does not say whose signature it carries")]
    NoSigner,
    /// It was altered, or the key is another one's.
    #[error("the signature is not its signer's over these bytes")]
    Signature,
}

impl Store {
    /// What was opened under this scope so far, signed; `None` when nobody was asked to take it down.
    ///
    /// `request` is the id by which the host knows the request, `asked` the digest of what it asks for.
    pub fn attest(
        &self,
        scope: &Scope,
        request: &str,
        asked: [u8; 32],
        canary: Option<&Canary>,
    ) -> Option<Statement> {
        let opened = scope.witness()?.opened();
        let mut text = format!("{TITLE}\nrequest {}\n", plain(request));
        say(&mut text, format_args!("at_ms {}", self.env.medium.clock.now_ms()));
        say(&mut text, format_args!("asked {}", hex(&asked)));
        say(&mut text, format_args!("workspace {}", scope.workspace()));
        say(&mut text, format_args!("opened {}", opened.len()));
        for one in opened.iter().take(OPENED_MAX) {
            text.push_str(&line(one));
        }
        if let Some(rest) = opened.get(OPENED_MAX..).filter(|rest| !rest.is_empty()) {
            let digest = rest.iter().fold(Sha256::new(), |digest, one| digest.chain_update(line(one)));
            let digest: [u8; 32] = digest.finalize().into();
            say(&mut text, format_args!("others {} sha256 {}", rest.len(), hex(&digest)));
        }
        if let Some(canary) = canary {
            let word = |yes| if yes { "found" } else { "absent" };
            let (beside, here) = (word(canary.is_beside), word(canary.is_here));
            say(&mut text, format_args!("canary {} beside {beside} here {here}", hex(&canary.id)));
        }
        say(&mut text, format_args!("signer {}", hex(&self.signer.public_key())));
        let signature = self.signer.sign(text.as_bytes());
        Some(Statement { text, signature })
    }
}

impl Store {
    /// One version of a document of a partition of the scope's workspace, signed. It says what the partition's records say of it now.
    pub fn sign_version(&self, scope: &Scope, incarnation: [u8; 16], version: &Version<'_>) -> Statement {
        let mut text = format!("{VERSION_TITLE}\ndocument {}\n", plain(version.document));
        say(&mut text, format_args!("version {}", version.number));
        say(&mut text, format_args!("at_ms {}", version.at_ms));
        say(&mut text, format_args!("sha256 {}", plain(version.digest)));
        say(&mut text, format_args!("key {}", version.key.map_or_else(|| "-".to_owned(), plain)));
        say(&mut text, format_args!("workspace {}", scope.workspace()));
        say(&mut text, format_args!("incarnation {}", hex(&incarnation)));
        say(&mut text, format_args!("signer {}", hex(&self.signer.public_key())));
        let signature = self.signer.sign(text.as_bytes());
        Statement { text, signature }
    }
}

/// The public key of a statement's signer, when the statement holds. Whether that is the right server's is for the caller to say.
pub fn verify_statement(text: &str, signature: &[u8; 64]) -> Result<[u8; 32], StatementError> {
    if !text.lines().next().is_some_and(|title| [TITLE, VERSION_TITLE].contains(&title)) {
        return Err(StatementError::NotOne);
    }
    let last = text.strip_suffix('\n').and_then(|text| text.lines().next_back());
    let signer = last.and_then(|line| line.strip_prefix("signer ")).ok_or(StatementError::NoSigner)?;
    let signer = parse_hex(signer).ok_or(StatementError::NoSigner)?;
    if crate::seal::verify(&signer, text.as_bytes(), signature) {
        Ok(signer)
    } else {
        Err(StatementError::Signature)
    }
}

/// One opened partition.
fn line(opened: &Opened) -> String {
    let name = opened.partition.as_deref().map_or_else(|| "-".to_owned(), |name| format!("={}", plain(name)));
    format!(
        "partition {} {name} incarnation {} key {}\n",
        plain(&opened.collection),
        hex(&opened.incarnation),
        hex(&opened.key_fingerprint)
    )
}

fn say(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a text takes all");
}

/// A name as one word of ASCII: each byte but letters, digits, `-`, `_` and `.` as `%` and two digits.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => plain.push(char::from(byte)),
            _ => write!(plain, "%{byte:02X}").expect("a text takes all"),
        }
    }
    plain
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
