//! Strongroom's storage engine: each partition in its own sealed, log-structured segments, under its own key.
//!
//! Sync; no HTTP, no text model, no threads and no clock of its own. A host opens a [`Store`] on a
//! [`io::Medium`], asks it for [`Partition`]s with a [`Scope`], and runs the jobs that it offers. The rooms
//! stand in this order, and import downward only:
//!
//! `cluster`, `io`, `nearness`, `rank`, `words` < `seal` < `keyring`, `log`, `memtable`, `segment` < `index`, `keyword`, `filter`, `manifest` <
//! `partition` < `compaction`, `shred` < `workspace` < `verify` < `inspect`

pub mod cluster;
mod compaction;
mod filter;
mod index;
mod inspect;
pub mod io;
mod keyring;
mod keyword;
mod log;
mod manifest;
mod memtable;
mod nearness;
mod partition;
mod rank;
mod seal;
mod segment;
mod shred;
mod verify;
mod words;
mod workspace;

pub use filter::{ActingAs, Condition, Filter, Numbered, Subject, Test};
pub use inspect::{Inspected, NotOurs, inspect};
pub use partition::{
    Ageing, Ages, Counts, DocumentInfo, Fusion, Hit, NewDocument, NewPassage, Once, Opened, Page, Partition,
    Passage, PassageInfo, Pour, Poured, Query, ReadError, Said, SearchRequest, SearchResponse, Sibling,
    TakenIn, Trace, Unit, Whole, Witness, WriteError,
};
pub use shred::{ReceiptError, SignedReceipt, verify_receipt};
pub use strongroom_format::Damage;
pub use strongroom_format::bundle::BundleHead;
pub use strongroom_format::fields::{Field, FieldValue, Number};
pub use strongroom_format::receipt::{Receipt, ReceiptKind};
pub use strongroom_format::record::{CollectionSpec, Identity, Metric};
pub use strongroom_format::terms::{Terms, Trash};
pub use verify::{Finding, Hits, Progress, Severity, StoreKeys, Verified, VerifyError, verify};
pub use workspace::{
    Amendment, BundleError, Canary, Erased, Export, Holders, Import, Imported, Maintained, NameError, Note,
    OpenError, OperatorScope, PartitionInfo, PartitionName, PartitionRef, Purged, Reach, RootKey, Scope,
    Scrubbed, Statement, StatementError, Store, StoreError, StoreOptions, Totals, Version, WorkspaceId,
    verify_statement,
};
