//! Secrets that the host keeps, sealed under a workspace's key.

#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used)]

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{OperatorScope, Reach, RootKey, Scope, Store, StoreOptions, WorkspaceId};

/// Lost otherwise: a provider's key could be read from a copy of the host's tables, be moved to another workspace, or outlive the
/// workspace that it belongs to; or an upgrade of the server would lose it.
#[test]
fn a_secret_opens_in_its_own_workspace_alone_and_goes_with_it() {
    let (own, other) = (WorkspaceId([7; 16]), WorkspaceId([8; 16]));
    let [own_scope, other_scope] = [own, other].map(|id| Scope::grant(id, Reach::Workspace));
    let (sim, operator) = (Sim::new(1), OperatorScope::grant());
    let open = || Store::open(sim.restart(), RootKey([1; 32]), StoreOptions::default()).unwrap();
    let store = open();
    store.create_workspace(&operator, own).unwrap();
    store.create_workspace(&operator, other).unwrap();
    let sealed = store.seal_secret(&own_scope, b"sk-secret").unwrap();
    assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
    assert_ne!(sealed, store.seal_secret(&own_scope, b"sk-secret").unwrap(), "each sealing has its own salt");
    drop(store);
    let store = open();
    assert_eq!(store.open_secret(&own_scope, &sealed).unwrap().unwrap(), b"sk-secret");
    assert_eq!(store.open_secret(&other_scope, &sealed).unwrap(), None);
    for at in 0..sealed.len() {
        let mut bent = sealed.clone();
        bent[at] ^= 1;
        assert_eq!(store.open_secret(&own_scope, &bent).unwrap(), None, "byte {at}");
        assert_eq!(store.open_secret(&own_scope, &sealed[..at]).unwrap(), None, "cut at {at}");
    }
    store.drop_workspace(&operator, own).unwrap();
    store.create_workspace(&operator, own).unwrap();
    assert_eq!(store.open_secret(&own_scope, &sealed).unwrap(), None);
}
