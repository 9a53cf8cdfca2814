//! What are requests and answers made of?
//!
//! The pieces that everything above shares: a query string read strictly, a body read within bounds, JSON, and the one
//! form that every failure takes.

pub(crate) mod acting;
pub(crate) mod body;
pub(crate) mod content;
pub(crate) mod error;
pub(crate) mod json;
pub(crate) mod pages;
pub(crate) mod query;
