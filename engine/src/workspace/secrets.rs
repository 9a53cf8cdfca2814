//! How does the host keep a secret of a workspace's outside of the store?
//!
//! A provider's key, say, that stands in the host's own tables. It is sealed here under the workspace's key, so that it is
//! worth nothing without the store, and nothing at all once the workspace is dropped.
//!
//! What comes out: a random salt of 16 bytes, and behind it the sealed secret (`seal.rs`), whose place is the workspace and
//! the salt.

use super::{Scope, Store, StoreError};
use crate::seal::{Place, Purpose};

const SALT_BYTES: usize = 16;

impl Store {
    /// Seals a secret under the key of the scope's workspace. Secrets are short: some kilobytes at most.
    pub fn seal_secret(&self, scope: &Scope, secret: &[u8]) -> Result<Vec<u8>, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        let mut salt = [0; SALT_BYTES];
        self.env.medium.entropy.fill(&mut salt);
        let sealed = workspace.key.cipher(&salt, Purpose::Secret).seal(0, place(scope, salt), secret);
        Ok([&salt[..], &sealed].concat())
    }

    /// Opens what [`Store::seal_secret`] sealed; `None` when these bytes are not that, or another workspace's.
    pub fn open_secret(&self, scope: &Scope, sealed: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let workspace = self.workspace(scope.workspace())?;
        let Some((salt, sealed)) = sealed.split_first_chunk::<SALT_BYTES>() else { return Ok(None) };
        Ok(workspace.key.cipher(salt, Purpose::Secret).open(0, place(scope, *salt), sealed).ok())
    }
}

fn place(scope: &Scope, salt: [u8; SALT_BYTES]) -> Place {
    Place { incarnation: scope.workspace().0, file_id: salt, position: 0, kind: 0 }
}
