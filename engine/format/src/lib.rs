//! Bytes and types: the layout of every file of a store. No I/O, no unsafe.

pub mod keyring;
