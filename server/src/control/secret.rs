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

/// The keys of the keyed hashes.
pub(super) struct Secret {
    keys: [u8; 32],
    partitions: PartitionHasher,
    slugs: [u8; 32],
    memories: [u8; 32],
    root_key_hash: Option<[u8; 32]>,
}

/// A partition's keyed hash: tells whether a name is this one, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PartitionHash(pub(super) [u8; 32]);

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
        let partitions = PartitionHasher(key("strongroom 1 control partitions"));
        let (slugs, memories) = (key("strongroom 1 control slugs"), key("strongroom 1 control memories"));
        let root_key_hash = root_key.map(|text| hash(&keys, &[b"root", text.as_bytes()]));
        Self { keys, partitions, slugs, memories, root_key_hash }
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

    pub(super) fn partitions(&self) -> &PartitionHasher {
        &self.partitions
    }

    /// What the database keeps of a tenant's slug.
    pub(super) fn slug_hash(&self, workspace: WorkspaceId, slug: &str) -> [u8; 32] {
        hash(&self.slugs, &[&workspace.0, slug.as_bytes()])
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

    /// Lost otherwise: without `STRONGROOM_ROOT_KEY` some text would pass as the operator's key.
    #[test]
    fn no_root_key_means_none_passes() {
        let secret = Secret::derive(&[7; 32], None);
        assert!(!secret.is_root_key("") && !secret.is_root_key("root"));
    }
}
