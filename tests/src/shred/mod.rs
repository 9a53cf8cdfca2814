//! What is left of what was erased?
//!
//! [`scene`] is a machine with a store on it, whose every word names the partition that it belongs to; [`tenants`]
//! are those who go and those who stay; [`remains`] knows what may not be found on that machine once a partition, a
//! workspace or a document is gone; [`strike`] interrupts an erasure at each of its steps.

pub mod remains;
pub mod scene;
pub mod strike;
pub mod tenants;
