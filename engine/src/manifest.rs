//! Which segments does each partition have, and how far does the log still count?
//!
//! Versions are written whole, each under a name of its own, and the newest that checks holds; the one before
//! it is kept. A version that was cut short by a crash was never relied on, for the log is truncated only
//! after its version is durable. Format: `format-spec.md`, "Manifest".
//!
//! Invariants:
//! 1. A version is never overwritten, and versions rise.
//! 2. Two generations are there at any time after the second publish.

use crate::io::{BlobStore, Entropy, Fault, StorageErrorKind};
use std::sync::Arc;
use strongroom_format::Damage;
use strongroom_format::manifest::Manifest;

const PREFIX: &str = "manifest/0/";

/// The manifest's versions.
pub struct ManifestStore {
    blobs: Arc<dyn BlobStore>,
    entropy: Arc<dyn Entropy>,
}

/// The version that a store is opened with.
pub struct Latest {
    /// The newest that checks; empty when there is none.
    pub manifest: Manifest,
    /// What is wrong with a newer one. It was cut short, and this one's segments are all there; or it was
    /// relied on and is damaged, and then some are not. Whatever only it may name must be left alone.
    pub doubt: Option<Damage>,
}

impl ManifestStore {
    /// Versions among these objects.
    pub fn new(blobs: Arc<dyn BlobStore>, entropy: Arc<dyn Entropy>) -> Self {
        Self { blobs, entropy }
    }

    /// The version that holds. The newest may have been cut short by a crash; when the one before it doesn't
    /// check either, that is damage.
    pub fn latest(&self) -> Result<Latest, Fault> {
        let names = self.names()?;
        let mut doubt = None;
        for name in names.iter().rev().take(2) {
            match self.read(name) {
                Ok(manifest) => return Ok(Latest { manifest, doubt }),
                Err(Fault::Damaged(damage)) => doubt = doubt.or(Some(damage)),
                Err(fault) => return Err(fault),
            }
        }
        // None was ever completed: all is still in the log. Had one been relied on, the log would have been cut,
        // and recovery will miss the file that its oldest one names.
        Ok(Latest { manifest: Manifest::default(), doubt })
    }

    fn read(&self, name: &str) -> Result<Manifest, Fault> {
        let bytes = self.blobs.head(name)?.unwrap_or(0);
        let bytes = self.blobs.read(name, &[0..bytes])?.pop().unwrap_or_default();
        Ok(Manifest::decode(&bytes).map_err(|damage| damage.at(name, 0))?)
    }

    /// Makes the manifest durable under the next version, which it fills in, and deletes all but the one
    /// before it.
    pub fn publish(&self, manifest: &mut Manifest) -> Result<(), Fault> {
        let before = name(manifest.version);
        loop {
            manifest.version += 1;
            let (mut file_id, mut nonce) = ([0; 16], [0; 16]);
            self.entropy.fill(&mut file_id);
            self.entropy.fill(&mut nonce);
            let bytes = manifest.encode(file_id, nonce);
            match self.blobs.create(&name(manifest.version), &[&bytes]) {
                Ok(()) => break,
                // Left over from a version that a crash cut short.
                Err(error) if error.kind == StorageErrorKind::Exists => {}
                Err(error) => return Err(error.into()),
            }
        }
        let now = name(manifest.version);
        for old in self.names()?.into_iter().filter(|old| *old != now && *old != before) {
            self.blobs.delete(&old)?;
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, Fault> {
        Ok(self.blobs.list_after(PREFIX, None, usize::MAX)?)
    }
}

fn name(version: u64) -> String {
    format!("{PREFIX}{version:016x}")
}
