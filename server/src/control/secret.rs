//! How does the control plane keep what it must be able to compare but not to read?
//!
//! As keyed hashes. The keys are derived from the master key and never stored, so a copy of the database alone answers
//! no guess.
//!
//! Invariants:
//! 1. Each use has a key of its own, so no hash of one use means anything in another.
//! 2. API keys are compared in constant time. Partition hashes are compared plainly: whoever asks has the hash's id in
//!    clear and learns no more than whether it is the one.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use strongroom_engine::{PartitionName, WorkspaceId};

use super::api_key::ApiKey;
use crate::random;

/// 43 characters of 62 kinds are 256.03 bits.
const TOKEN_CHARS: usize = 43;

/// The keys of the keyed hashes.
pub(super) struct Secret {
    keys: [u8; 32],
    tokens: [u8; 32],
    partitions: PartitionHasher,
    slugs: [u8; 32],
    memories: [u8; 32],
    fields: [u8; 32],
    root_key_hash: Option<[u8; 32]>,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Whoever has it is signed in.
    Session,
    /// Whoever has it may become a member.
    Invitation,
}

impl TokenKind {
    fn mark(self) -> &'static str {
        match self {
            Self::Session => "srs_",
            Self::Invitation => "sri_",
        }
    }
}

/// A secret of 256 bits that stands for itself. Shown once, kept as a keyed hash.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token {
    kind: TokenKind,
    text: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}…)", self.kind.mark())
    }
}

impl Token {
    pub(crate) fn mint(kind: TokenKind) -> Self {
        Self { kind, text: format!("{}{}", kind.mark(), random::base62(TOKEN_CHARS)) }
    }

    /// Reads a token of this kind; `None` when it can't be one.
    pub(crate) fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let secret = text.strip_prefix(kind.mark())?;
        let fits = secret.len() == TOKEN_CHARS && secret.bytes().all(|byte| random::BASE62.contains(&byte));
        fits.then(|| Self { kind, text: text.to_owned() })
    }

    /// The whole text, to be shown once.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// A partition's keyed hash: tells whether a name is this one, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PartitionHash(pub(super) [u8; 32]);

impl PartitionHash {
    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Hashes the names of partitions.
#[derive(Clone)]
pub(crate) struct PartitionHasher([u8; 32]);

impl std::fmt::Debug for PartitionHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PartitionHasher(…)")
    }
}

impl PartitionHasher {
    #[cfg(test)]
    pub(crate) fn of_key(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The hash of a partition of this collection in this workspace.
    pub(crate) fn hash(
        &self,
        workspace: WorkspaceId,
        collection: &str,
        partition: &PartitionName,
    ) -> PartitionHash {
        PartitionHash(hash(&self.0, &[&workspace.0, collection.as_bytes(), partition.as_str().as_bytes()]))
    }
}

impl Secret {
    pub(super) fn derive(master_key: &[u8; 32], root_key: Option<&str>) -> Self {
        let from = Hkdf::<Sha256>::new(None, master_key);
        let key = |purpose: &str| {
            let mut key = [0; 32];
            assert!(from.expand(purpose.as_bytes(), &mut key).is_ok(), "32 bytes are within HKDF's bounds");
            key
        };
        let keys = key("strongroom 1 control api keys");
        let tokens = key("strongroom 1 control tokens");
        let partitions = PartitionHasher(key("strongroom 1 control partitions"));
        let (slugs, memories) = (key("strongroom 1 control slugs"), key("strongroom 1 control memories"));
        let fields = key("strongroom 1 control fields");
        let root_key_hash = root_key.map(|text| hash(&keys, &[b"root", text.as_bytes()]));
        Self { keys, tokens, partitions, slugs, memories, fields, root_key_hash }
    }

    pub(super) fn is_root_key(&self, text: &str) -> bool {
        self.root_key_hash.is_some_and(|known| verify(&self.keys, &[b"root", text.as_bytes()], &known))
    }

    /// What the database keeps of a key.
    pub(super) fn key_hash(&self, key: &ApiKey) -> [u8; 32] {
        hash(&self.keys, &[b"key", key.text().as_bytes()])
    }

    pub(super) fn is_key(&self, presented: &ApiKey, known: &[u8; 32]) -> bool {
        verify(&self.keys, &[b"key", presented.text().as_bytes()], known)
    }

    /// What the database keeps of a session's or an invitation's token. Tokens are random, so they are found by it.
    pub(super) fn token_hash(&self, token: &Token) -> [u8; 32] {
        hash(&self.tokens, &[token.kind.mark().as_bytes(), token.text.as_bytes()])
    }

    pub(super) fn partitions(&self) -> &PartitionHasher {
        &self.partitions
    }

    /// What the database keeps of a tenant's slug.
    pub(super) fn slug_hash(&self, workspace: WorkspaceId, slug: &str) -> [u8; 32] {
        hash(&self.slugs, &[&workspace.0, slug.as_bytes()])
    }

    /// What the database keeps of a declared field's name.
    pub(super) fn field_id(&self, workspace: WorkspaceId, name: &str) -> String {
        random::hex(&hash(&self.fields, &[&workspace.0, name.as_bytes()])[..16])
    }

    /// The id of a memory. Another partition's, user's or text's is another one.
    pub(super) fn memory_id(
        &self,
        (workspace, partition): (WorkspaceId, Option<&str>),
        user: &str,
        text: &str,
    ) -> String {
        let named = [u8::from(partition.is_some())];
        let partition = partition.unwrap_or_default().as_bytes();
        let parts = [&workspace.0[..], &named, partition, user.as_bytes(), text.as_bytes()];
        format!("mem_{}", random::hex(&hash(&self.memories, &parts)[..16]))
    }
}

/// HMAC over the parts, each with its length before it, so that no two lists of parts read alike.
fn hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    mac(key, parts).finalize().into_bytes().into()
}

fn verify(key: &[u8; 32], parts: &[&[u8]], known: &[u8; 32]) -> bool {
    mac(key, parts).verify_slice(known).is_ok()
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length");
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lost otherwise: a hash copied from another row, use or server would be taken for a key's or a partition's.
    #[test]
    fn each_hash_is_bound_to_its_use() {
        let secret = Secret::derive(&[7; 32], Some("an operator's key"));
        let other = Secret::derive(&[8; 32], Some("an operator's key"));
        assert!(secret.is_root_key("an operator's key"));
        assert!(!secret.is_root_key("an operator's kez") && !secret.is_root_key(""));
        let key = ApiKey::mint("0123456789ab");
        let hash = secret.key_hash(&key);
        assert!(secret.is_key(&key, &hash));
        assert!(!other.is_key(&key, &hash), "another master key");
        assert!(!secret.is_key(&ApiKey::mint("0123456789ab"), &hash), "another secret under the same id");

        let name = |text| PartitionName::new(text).unwrap();
        let (one, two) = (WorkspaceId([1; 16]), WorkspaceId([2; 16]));
        let acme = secret.partitions().hash(one, "default", &name("acme"));
        assert_eq!(acme, secret.partitions().hash(one, "default", &name("acme")));
        for foreign in [
            other.partitions().hash(one, "default", &name("acme")),
            secret.partitions().hash(two, "default", &name("acme")),
            secret.partitions().hash(one, "defaul", &name("tacme")),
            secret.partitions().hash(one, "default", &name("acme ")),
        ] {
            assert_ne!(acme, foreign);
        }
    }

    /// Lost otherwise: an id in somebody's log would tell what was remembered, or a memory of one tenant be taken for another's.
    #[test]
    fn a_memory_has_an_id_of_its_own() {
        let (secret, other) = (Secret::derive(&[7; 32], None), Secret::derive(&[8; 32], None));
        let (one, two) = (WorkspaceId([1; 16]), WorkspaceId([2; 16]));
        let id = secret.memory_id((one, Some("org_a")), "ada", "tea");
        assert_eq!(id, secret.memory_id((one, Some("org_a")), "ada", "tea"));
        assert!(id.starts_with("mem_") && id.len() == 36, "{id}");
        for foreign in [
            other.memory_id((one, Some("org_a")), "ada", "tea"),
            secret.memory_id((two, Some("org_a")), "ada", "tea"),
            secret.memory_id((one, Some("org_b")), "ada", "tea"),
            secret.memory_id((one, None), "ada", "tea"),
            secret.memory_id((one, Some("")), "ada", "tea"),
            secret.memory_id((one, Some("org_a")), "adat", "ea"),
            secret.memory_id((one, Some("org_a")), "ada", "tea "),
        ] {
            assert_ne!(id, foreign);
        }
        assert_ne!(secret.slug_hash(one, "acme"), secret.slug_hash(two, "acme"));
        assert_ne!(secret.slug_hash(one, "acme"), other.slug_hash(one, "acme"));
    }

    /// Lost otherwise: an invitation would sign its holder in, or a session's hash that leaked from one server would on another.
    #[test]
    fn a_token_is_good_for_one_thing_on_one_server() {
        let (secret, other) = (Secret::derive(&[7; 32], None), Secret::derive(&[8; 32], None));
        let token = Token::mint(TokenKind::Session);
        let hash = secret.token_hash(&token);
        assert_eq!(
            Token::parse(TokenKind::Session, token.text()).map(|token| secret.token_hash(&token)),
            Some(hash)
        );
        assert_ne!(other.token_hash(&token), hash);
        let renamed = token.text().replace("srs_", "sri_");
        let invitation = Token::parse(TokenKind::Invitation, &renamed).unwrap();
        assert_ne!(secret.token_hash(&invitation), hash);
        for wrong in
            [&renamed, &format!("{}0", token.text()), "srs_", "", &token.text().replace("srs_", "srs-")]
        {
            assert_eq!(Token::parse(TokenKind::Session, wrong), None, "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Token(srs_…)");
    }

    /// Lost otherwise: without `STRONGROOM_ROOT_KEY` some text would pass as the operator's key.
    #[test]
    fn no_root_key_means_none_passes() {
        let secret = Secret::derive(&[7; 32], None);
        assert!(!secret.is_root_key("") && !secret.is_root_key("root"));
    }
}
