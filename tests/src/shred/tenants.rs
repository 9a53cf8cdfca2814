//! Who goes, and who stays?
//!
//! The victim, its neighbours, the acts that erase, and what the receipts must say of them.

use sha2::{Digest, Sha256};
use strongroom_engine::{
    Filter, OperatorScope, Partition, PartitionRef, Query, ReadError, Receipt, ReceiptKind, SearchRequest,
    SignedReceipt, StoreError, Unit, WriteError, verify_receipt,
};

use super::scene::{Scene, document, id, mark, quiet, spot, vector};
use crate::model::{Spot, workspace_id};

/// The partition that goes.
pub fn victim() -> Spot {
    spot(1, "quillfeather")
}

/// Those that stay: one in the same workspace, its default partition, and one of the same name elsewhere.
pub fn neighbours() -> [Spot; 3] {
    [spot(1, "marchbanks"), Spot { workspace: 1, name: None }, spot(2, "quillfeather")]
}

/// The victim in two segments, whose files it shares, and in the log; some of it deleted. 5 documents are live, 2
/// are not.
pub fn house() -> Scene {
    let (scene, victim) = (Scene::new(1, quiet()), victim());
    neighbours().iter().for_each(|spot| scene.put(spot, 0..2));
    scene.put(&victim, 0..4);
    scene.partition(&victim).delete(&id(&victim, 0)).expect("deleted");
    scene.flush();
    neighbours().iter().for_each(|spot| scene.put(spot, 2..3));
    scene.put(&victim, 4..6);
    scene.partition(&victim).update(&id(&victim, 1), document(&victim, 1, 2)).expect("updated");
    scene.flush();
    scene.put(&victim, 6..7);
    let handle = scene.partition(&victim);
    handle.delete(&id(&victim, 2)).expect("deleted");
    handle.update(&id(&victim, 3), document(&victim, 3, 2)).expect("updated");
    scene.put(&neighbours()[0], 3..4);
    scene
}

/// Drops the victim.
pub fn drop_victim(scene: &Scene) -> Result<(), StoreError> {
    let dropped = scene.store().drop_partition(&victim().scope(), &victim().at())?;
    assert!(dropped.is_some(), "it was there");
    Ok(())
}

/// The receipts of workspace 1 that verify, under the store's own key.
pub fn receipts(scene: &Scene) -> Vec<Receipt> {
    let verified = |receipt: &SignedReceipt| {
        let said = verify_receipt(&receipt.bytes).expect("a receipt that verifies");
        assert_eq!(said.public_key, scene.store().receipt_key());
        said
    };
    scene.receipts(1).iter().map(verified).collect()
}

/// What a receipt tells of a name.
fn hash_of_name(salt: [u8; 16], at: &PartitionRef) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(salt).chain_update(&at.collection);
    if let Some(name) = &at.partition {
        hash.update([0]);
        hash.update(name.as_str());
    }
    hash.finalize().into()
}

/// What the victim's receipt must say, also of an erasure that a crash interrupted.
pub fn check_receipt(said: &Receipt) {
    let counts = [said.partitions, said.documents, said.deleted, said.passages].map(|count| count.get());
    assert_eq!((said.kind(), counts), (Ok(ReceiptKind::Partition), [1, 5, 2, 10]));
    assert_eq!(
        said.name_hash,
        hash_of_name(said.name_salt, &victim().at()),
        "whoever knows the name can check"
    );
    assert_eq!((said.keys_overwritten.get(), said.remains.get()), (1, 0));
}

/// Drops workspace 1.
pub fn drop_workspace(scene: &Scene) -> Result<(), StoreError> {
    let dropped = scene.store().drop_workspace(&OperatorScope::grant(), workspace_id(1))?;
    assert!(dropped.is_some(), "it was there");
    Ok(())
}

/// Purges a document of the victim.
pub fn purge(scene: &Scene, number: u8) -> Result<(), StoreError> {
    let (spot, id) = (victim(), id(&victim(), number));
    scene.store().purge(&spot.scope(), &spot.at(), &[&id]).map(drop)
}

/// Words of a document that no other one has.
pub fn words(number: u8) -> String {
    format!("{} wrote at 1 under number {number}", mark(&victim()))
}

/// Every call of a handle, none of which may do or tell anything.
pub fn insist_on_dropped(handle: &Partition, spot: &Spot) {
    let (id, new) = (id(spot, 1), || document(spot, 9, 1));
    let (vector, filter) = (vector(spot, 1), Filter::default());
    let request = SearchRequest {
        query: Query::Vector(&vector),
        unit: Unit::Documents,
        k: 9,
        filter: &filter,
        similarity_min: 0.0,
        recall: None,
        ages: None,
        with_content: true,
    };
    let reads = [
        handle.get(&id).map(drop),
        handle.content(&id).map(drop),
        handle.passages(&id, 0, 9).map(drop),
        handle.list(&filter, 0, 9).map(drop),
        handle.search(&request).map(drop),
    ];
    for read in reads {
        assert!(matches!(read, Err(ReadError::Dropped)), "{read:?}");
    }
    let writes = [
        handle.put(new()).map(drop),
        handle.put_many(vec![new()]).map(drop),
        handle.update(&id, new()).map(drop),
        handle.delete(&id),
        handle.restore(&id),
        handle.purge(&id),
    ];
    for write in writes {
        assert!(matches!(write, Err(WriteError::Dropped)), "{write:?}");
    }
}
