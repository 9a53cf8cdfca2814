//! What do the suites share? The rules of the house, the comparison of format and document, a server under
//! test with its clients, and the plain model that the engine is held against.
//!
//! Suites are the files of `suites/`, one program each. Nothing here is used by the product.

#[cfg(target_os = "linux")]
pub mod abuse;
pub mod apart;
pub mod chance;
pub mod client;
pub mod collections;
pub mod cores;
pub mod described;
pub mod documents;
#[cfg(target_os = "linux")]
pub mod faults;
pub mod golden;
pub mod house;
pub mod keys;
pub mod memories;
pub mod model;
pub mod people;
pub mod probes;
pub mod residue;
pub mod routes;
pub mod server;
pub mod service;
pub mod shred;
pub mod spec;
pub mod walk;
pub mod without;
pub mod world;
