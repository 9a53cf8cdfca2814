//! What must hold of a bundle that anybody may have sent?
//!
//! Its frames are read twice. As the format tells them, signatures apart: what is read is written the same. And as an import reads
//! them: how the bytes are cut on their way changes nothing, and nothing is taken of a frame that doesn't verify.

use strongroom_engine::io::sim::Sim;
use strongroom_engine::{
    ActingAs, CollectionSpec, Import, Imported, NewDocument, NewPassage, OperatorScope, PartitionName,
    PartitionRef, Passage, Reach, RootKey, Scope, Store, StoreOptions, WorkspaceId,
};
use strongroom_format::bundle::{
    BundleHead, FRAME_HEAD_BYTES, FrameHead, FrameKind, MAGIC, SIGNATURE_BYTES, decode_page, encode_document,
};

/// An import takes frames up to this.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// Reads a bundle both ways.
pub(crate) fn run(bytes: &[u8]) -> bool {
    let whole = imported(bytes, usize::MAX);
    for step in [1, 7, 100] {
        assert_eq!(imported(bytes, step), whole, "cut every {step} bytes it is another bundle");
    }
    let is_read = frames(bytes).is_some();
    assert!(is_read || !whole.1.is_empty(), "an import takes what is no bundle");
    is_read
}

/// Reads the frames, whoever signed them.
fn frames(bytes: &[u8]) -> Option<()> {
    let mut rest = bytes.strip_prefix(&MAGIC)?;
    let (mut dimension, mut number) = (0, 0);
    loop {
        let (begin, behind) = rest.split_first_chunk::<FRAME_HEAD_BYTES>()?;
        let head = FrameHead::decode(begin, number).ok()?;
        assert_eq!(head.encode(), *begin, "a frame's head is written the same");
        let (payload, behind) = behind.split_at_checked(head.payload_bytes as usize)?;
        rest = behind.get(SIGNATURE_BYTES..)?;
        number += 1;
        match head.kind {
            FrameKind::Head => {
                let told = BundleHead::decode(payload).ok()?;
                assert_eq!(told.encode(), payload, "a bundle's head is written the same");
                dimension = told.spec.dimension;
            }
            FrameKind::Page => {
                let mut again = Vec::new();
                for (document, deleted_ms) in decode_page(payload, dimension).ok()? {
                    encode_document(&mut again, &document, deleted_ms);
                }
                assert_eq!(again, payload, "a page is written the same");
            }
            FrameKind::Tail => return (payload.is_empty() && rest.is_empty()).then_some(()),
        }
    }
}

/// What an import says of the bytes, cut so: its frames, and why it took no more, if it didn't take all.
fn imported(bytes: &[u8], step: usize) -> (Vec<String>, String) {
    let (mut import, mut said) = (Import::new(PAYLOAD_BYTES_MAX), Vec::new());
    for piece in bytes.chunks(step) {
        import.push(piece);
        loop {
            match import.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => said.push(told(&frame)),
                Err(error) => return (said, error.to_string()),
            }
        }
    }
    (said, import.end().err().map_or_else(String::new, |error| error.to_string()))
}

fn told(frame: &Imported) -> String {
    format!("{frame:?}")
}

/// A bundle that a store signed, and one that nobody did.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let signed = exported();
    let mut unsigned = signed.clone();
    let end = unsigned.len();
    unsigned[end - SIGNATURE_BYTES..].fill(0);
    vec![signed, unsigned]
}

fn exported() -> Vec<u8> {
    let store = Store::open(Sim::new(1).medium(), RootKey([1; 32]), StoreOptions::default());
    let store = store.expect("an empty medium");
    let id = WorkspaceId([1; 16]);
    store.create_workspace(&OperatorScope::grant(), id).expect("room");
    let scope = Scope::grant(id, Reach::Workspace).acting_as(ActingAs::Administrator);
    let at = PartitionRef { collection: "notes".to_owned(), partition: PartitionName::new("acme").ok() };
    let partition = store.partition_for_write(&scope, &at, CollectionSpec::cosine(2)).expect("room");
    let document = |id: &str| NewDocument {
        id: Some(id.to_owned()),
        filename: "a.txt".to_owned(),
        content: b"a whale".to_vec(),
        tags: vec!["sea".to_owned()],
        metadata: r#"{"n":1}"#.to_owned(),
        readers: Some(vec!["ada".to_owned()]),
        expires_ms: Some(1 << 50),
        passages: vec![NewPassage { text: Passage::Range { start: 0, end: 7 }, vector: vec![0.6, 0.8] }],
        ..NewDocument::default()
    };
    partition.put_many(vec![document("a"), document("b")]).expect("room");
    partition.delete("b").expect("it is there");
    let export = store.export(&scope, &at, Some("a model")).expect("a whole store");
    let mut export = export.expect("it is there");
    let mut bytes = Vec::new();
    while let Some(frame) = store.next_frame(&mut export).expect("a whole store") {
        bytes.extend(frame);
    }
    bytes
}
