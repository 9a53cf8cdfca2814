//! How is what was used kept, by day?
//!
//! Three tables. One sums by collection and key and is never told whose data it was; one sums by partition, which stands as
//! its keyed hash; one has what collections held at a day's end. Billing reads the first, so the second can forget a
//! partition that was erased and no total changes.
//!
//! Invariants:
//! 1. A batch of sums is written whole or not at all, and added to what is there: no sum is ever written twice.
//! 2. Rows of a workspace go with it; sums for one that is gone meanwhile are left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use strongroom_engine::WorkspaceId;

use super::schema::workspace_id;
use super::secret::PartitionHash;
use super::{Control, ControlError};
use crate::random;

/// What was done, in sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) queries: u64,
    /// Documents that were inserted or replaced.
    pub(crate) inserts: u64,
    pub(crate) deletes: u64,
    /// Of texts that were embedded, documents' and queries'.
    pub(crate) embedding_tokens: u64,
    /// Bytes of documents as they came.
    pub(crate) bytes_in: u64,
    /// Microseconds that searches took.
    pub(crate) search_us: u64,
    pub(crate) feedback: Feedback,
}

/// How often those who searched reported what became of a document that was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Feedback {
    pub(crate) used: u64,
    pub(crate) cited: u64,
    pub(crate) ignored: u64,
}

impl Tally {
    /// A search by a text of so many tokens, or by a vector.
    pub(crate) fn of_search(took: Duration, embedding_tokens: u64) -> Self {
        let search_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Self { queries: 1, embedding_tokens, search_us, ..Self::default() }
    }

    /// Adds another one's sums.
    pub(crate) fn add(&mut self, more: &Self) {
        self.queries = self.queries.saturating_add(more.queries);
        self.inserts = self.inserts.saturating_add(more.inserts);
        self.deletes = self.deletes.saturating_add(more.deletes);
        self.embedding_tokens = self.embedding_tokens.saturating_add(more.embedding_tokens);
        self.bytes_in = self.bytes_in.saturating_add(more.bytes_in);
        self.search_us = self.search_us.saturating_add(more.search_us);
        self.feedback.used = self.feedback.used.saturating_add(more.feedback.used);
        self.feedback.cited = self.feedback.cited.saturating_add(more.feedback.cited);
        self.feedback.ignored = self.feedback.ignored.saturating_add(more.feedback.ignored);
    }

    /// Whether something may have changed of what is stored.
    pub(crate) fn has_writes(&self) -> bool {
        self.inserts > 0 || self.deletes > 0
    }

    fn of_row(row: &Row<'_>, first: usize) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            queries: row.get(first)?,
            inserts: row.get(first + 1)?,
            deletes: row.get(first + 2)?,
            embedding_tokens: row.get(first + 3)?,
            bytes_in: row.get(first + 4)?,
            search_us: row.get(first + 5)?,
            feedback: Feedback {
                used: row.get(first + 6)?,
                cited: row.get(first + 7)?,
                ignored: row.get(first + 8)?,
            },
        })
    }
}

/// What was stored at a day's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) documents: u64,
    pub(crate) passages: u64,
    pub(crate) bytes: u64,
}

impl Stored {
    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            documents: self.documents + other.documents,
            passages: self.passages + other.passages,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// What a sum by key is of. No key is the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OfKey {
    pub(crate) workspace: WorkspaceId,
    pub(crate) day: u32,
    pub(crate) collection: Arc<str>,
    pub(crate) key: Option<Arc<str>>,
}

/// What a sum by partition is of. No hash is the default partition's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OfPartition {
    pub(crate) workspace: WorkspaceId,
    pub(crate) day: u32,
    pub(crate) collection: Arc<str>,
    pub(crate) partition: Option<PartitionHash>,
}

/// Sums to be added to what is written.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) keys: Vec<(OfKey, Tally)>,
    pub(crate) partitions: Vec<(OfPartition, Tally, Option<Stored>)>,
    pub(crate) collections: Vec<(WorkspaceId, Arc<str>, u32, Stored)>,
}

/// By what sums of keys are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Day,
    Collection,
    Key,
}

/// Which sums are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) workspace: WorkspaceId,
    pub(crate) since_day: u32,
    pub(crate) collection: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
}

pub(super) const SUMS: &str = "queries, inserts, deletes, embedding_tokens, bytes_in, search_us,
    feedback_used, feedback_cited, feedback_ignored";
const SUMMED: &str =
    "sum(queries), sum(inserts), sum(deletes), sum(embedding_tokens), sum(bytes_in), sum(search_us),
    sum(feedback_used), sum(feedback_cited), sum(feedback_ignored)";
pub(super) const ADDED: &str = "queries = queries + excluded.queries, inserts = inserts + excluded.inserts,
    deletes = deletes + excluded.deletes, embedding_tokens = embedding_tokens + excluded.embedding_tokens,
    bytes_in = bytes_in + excluded.bytes_in, search_us = search_us + excluded.search_us,
    feedback_used = feedback_used + excluded.feedback_used, feedback_cited = feedback_cited + excluded.feedback_cited,
    feedback_ignored = feedback_ignored + excluded.feedback_ignored";
const LIVES: &str = "WHERE EXISTS (SELECT 1 FROM workspaces WHERE id = ?1)";

/// How a partition stands in the database.
pub(super) fn column(partition: Option<PartitionHash>) -> Vec<u8> {
    partition.map_or_else(|| vec![0], |hash| hash.0.to_vec())
}

pub(super) fn partition(bytes: &[u8]) -> Result<Option<PartitionHash>, ControlError> {
    match bytes {
        [0] => Ok(None),
        _ => bytes
            .try_into()
            .map(|hash| Some(PartitionHash(hash)))
            .map_err(|_| ControlError::Corrupt("a partition's hash is not 32 bytes".to_owned())),
    }
}

impl Control {
    /// Adds sums to what is written, all of them or none.
    pub(crate) fn add_usage(&self, batch: &Batch) -> Result<(), ControlError> {
        let mut db = self.lock();
        let change = db.transaction()?;
        {
            let mut keys = change.prepare_cached(&format!(
                "INSERT INTO usage_keys (workspace, day, collection, key_id, {SUMS})
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 {LIVES} ON CONFLICT DO UPDATE SET {ADDED}"
            ))?;
            for (of, tally) in &batch.keys {
                let key = of.key.as_deref().unwrap_or_default();
                let Tally { queries, inserts, deletes, embedding_tokens, bytes_in, search_us, feedback } =
                    tally;
                keys.execute(params![
                    random::hex(&of.workspace.0),
                    of.day,
                    &*of.collection,
                    key,
                    queries,
                    inserts,
                    deletes,
                    embedding_tokens,
                    bytes_in,
                    search_us,
                    feedback.used,
                    feedback.cited,
                    feedback.ignored
                ])?;
            }
            let mut partitions = change.prepare_cached(&format!(
                "INSERT INTO usage_partitions
                     (workspace, day, collection, partition, {SUMS}, documents, passages, stored_bytes)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16 {LIVES}
                 ON CONFLICT DO UPDATE SET {ADDED}, documents = ifnull(excluded.documents, documents),
                     passages = ifnull(excluded.passages, passages),
                     stored_bytes = ifnull(excluded.stored_bytes, stored_bytes)"
            ))?;
            for (of, tally, stored) in &batch.partitions {
                let Tally { queries, inserts, deletes, embedding_tokens, bytes_in, search_us, feedback } =
                    tally;
                partitions.execute(params![
                    random::hex(&of.workspace.0),
                    of.day,
                    &*of.collection,
                    column(of.partition),
                    queries,
                    inserts,
                    deletes,
                    embedding_tokens,
                    bytes_in,
                    search_us,
                    feedback.used,
                    feedback.cited,
                    feedback.ignored,
                    stored.map(|stored| stored.documents),
                    stored.map(|stored| stored.passages),
                    stored.map(|stored| stored.bytes)
                ])?;
            }
            let mut collections = change.prepare_cached(&format!(
                "INSERT INTO usage_collections (workspace, collection, day, documents, passages, stored_bytes)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6 {LIVES}
                 ON CONFLICT DO UPDATE SET documents = excluded.documents, passages = excluded.passages,
                     stored_bytes = excluded.stored_bytes"
            ))?;
            for (workspace, collection, day, stored) in &batch.collections {
                collections.execute(params![
                    random::hex(&workspace.0),
                    &**collection,
                    day,
                    stored.documents,
                    stored.passages,
                    stored.bytes
                ])?;
            }
        }
        Ok(change.commit()?)
    }

    /// Sums by collection and key, told apart by one of them or by day.
    pub(crate) fn usage_of_keys(
        &self,
        asked: Asked<'_>,
        by: By,
    ) -> Result<BTreeMap<String, Tally>, ControlError> {
        let group = match by {
            By::Day => "CAST(day AS TEXT)",
            By::Collection => "collection",
            By::Key => "key_id",
        };
        let mut values: Vec<Value> =
            vec![random::hex(&asked.workspace.0).into(), i64::from(asked.since_day).into()];
        let mut filter = String::new();
        for (name, value) in [("collection", asked.collection), ("key_id", asked.key)] {
            if let Some(value) = value {
                values.push(value.to_owned().into());
                filter += &format!(" AND {name} = ?{}", values.len());
            }
        }
        let db = self.lock();
        let mut rows = db.prepare_cached(&format!(
            "SELECT {group}, {SUMMED} FROM usage_keys WHERE workspace = ?1 AND day >= ?2{filter} GROUP BY 1"
        ))?;
        let rows =
            rows.query_map(params_from_iter(values), |row| Ok((row.get(0)?, Tally::of_row(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A partition's sums by day.
    pub(crate) fn usage_of_partition(&self, of: &OfPartition) -> Result<BTreeMap<u32, Tally>, ControlError> {
        let db = self.lock();
        let mut rows = db.prepare_cached(&format!(
            "SELECT day, {SUMS} FROM usage_partitions
             WHERE workspace = ?1 AND collection = ?2 AND partition = ?3 AND day >= ?4"
        ))?;
        let asked = params![random::hex(&of.workspace.0), &*of.collection, column(of.partition), of.day];
        let rows = rows.query_map(asked, |row| Ok((row.get(0)?, Tally::of_row(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a partition held at the end of each day since `of.day` on which that changed, and before, if that is known.
    pub(crate) fn stored_of_partition(
        &self,
        of: &OfPartition,
    ) -> Result<BTreeMap<u32, Stored>, ControlError> {
        self.stored(
            "FROM usage_partitions WHERE workspace = ?1 AND collection = ?2 AND documents IS NOT NULL AND partition = ?4",
            of.workspace,
            &of.collection,
            of.day,
            Some(column(of.partition)),
        )
    }

    /// The same of a collection.
    pub(crate) fn stored_of_collection(
        &self,
        workspace: WorkspaceId,
        collection: &str,
        since_day: u32,
    ) -> Result<BTreeMap<u32, Stored>, ControlError> {
        let from = "FROM usage_collections WHERE workspace = ?1 AND collection = ?2 AND ?4 IS NULL";
        self.stored(from, workspace, collection, since_day, None)
    }

    fn stored(
        &self,
        from: &str,
        workspace: WorkspaceId,
        collection: &str,
        since_day: u32,
        partition: Option<Vec<u8>>,
    ) -> Result<BTreeMap<u32, Stored>, ControlError> {
        let db = self.lock();
        let read = |row: &Row<'_>| {
            let stored = Stored { documents: row.get(1)?, passages: row.get(2)?, bytes: row.get(3)? };
            Ok((row.get(0)?, stored))
        };
        let asked = params![random::hex(&workspace.0), collection, since_day, partition];
        let figures = "SELECT day, documents, passages, stored_bytes";
        let mut before =
            db.prepare_cached(&format!("{figures} {from} AND day < ?3 ORDER BY day DESC LIMIT 1"))?;
        let before: Option<(u32, Stored)> = before.query_row(asked, read).optional()?;
        let mut rows = db.prepare_cached(&format!("{figures} {from} AND day >= ?3"))?;
        let mut found: BTreeMap<u32, Stored> = rows.query_map(asked, read)?.collect::<Result<_, _>>()?;
        found.extend(before);
        Ok(found)
    }

    /// All partitions' sums of one day, for what is limited by the day.
    pub(crate) fn partitions_on(&self, day: u32) -> Result<Vec<(OfPartition, Tally)>, ControlError> {
        let db = self.lock();
        let mut rows = db.prepare_cached(&format!(
            "SELECT workspace, collection, partition, {SUMS} FROM usage_partitions WHERE day = ?1"
        ))?;
        let mut rows = rows.query(params![day])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (collection, hash): (String, Vec<u8>) = (row.get(1)?, row.get(2)?);
            let (workspace, partition) = (workspace_id(row, 0)?, partition(&hash)?);
            let of = OfPartition { workspace, day, collection: collection.into(), partition };
            found.push((of, Tally::of_row(row, 3)?));
        }
        Ok(found)
    }

    /// Forgets what is told of one partition, and the fields that were declared for it. Totals stay.
    pub(crate) fn forget_usage(&self, of: &OfPartition) -> Result<(), ControlError> {
        let (workspace, partition) = (random::hex(&of.workspace.0), column(of.partition));
        let mut db = self.lock();
        let change = db.transaction()?;
        change.execute(
            "DELETE FROM usage_partitions WHERE workspace = ?1 AND collection = ?2 AND partition = ?3",
            params![workspace, &*of.collection, partition],
        )?;
        if of.partition.is_some() {
            super::fields::forget(&change, &workspace, &partition)?;
        }
        Ok(change.commit()?)
    }

    /// Forgets days before this one.
    pub(crate) fn forget_usage_before(&self, day: u32) -> Result<(), ControlError> {
        let mut db = self.lock();
        let change = db.transaction()?;
        for table in ["usage_keys", "usage_partitions", "usage_collections"] {
            change.execute(&format!("DELETE FROM {table} WHERE day < ?1"), params![day])?;
        }
        Ok(change.commit()?)
    }

    /// The collection of which partitions have sums that comes after this one.
    pub(crate) fn next_collection_with_usage(
        &self,
        after: Option<(WorkspaceId, &str)>,
    ) -> Result<Option<(WorkspaceId, Arc<str>)>, ControlError> {
        let (workspace, collection) =
            after.map_or_else(Default::default, |(id, name)| (random::hex(&id.0), name));
        let db = self.lock();
        let mut row = db.prepare_cached(
            "SELECT workspace, collection FROM usage_partitions WHERE (workspace, collection) > (?1, ?2)
             ORDER BY workspace, collection LIMIT 1",
        )?;
        let mut rows = row.query(params![workspace, collection])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some((workspace_id(row, 0)?, row.get::<_, String>(1)?.into())))
    }

    /// The hashes of partitions that have sums, from this one on, in order.
    pub(crate) fn partitions_with_usage(
        &self,
        workspace: WorkspaceId,
        collection: &str,
        after: Option<PartitionHash>,
        limit: usize,
    ) -> Result<Vec<PartitionHash>, ControlError> {
        let db = self.lock();
        let mut rows = db.prepare_cached(
            "SELECT partition FROM usage_partitions WHERE workspace = ?1 AND collection = ?2 AND partition > ?3
             AND length(partition) = 32 GROUP BY partition ORDER BY partition LIMIT ?4",
        )?;
        let after = after.map_or_else(Vec::new, |hash| hash.0.to_vec());
        let asked = params![random::hex(&workspace.0), collection, after, limit];
        let rows = rows.query_map(asked, |row| row.get(0).map(PartitionHash))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The names of a workspace's collections, in order.
    pub(crate) fn collection_names(&self, workspace: WorkspaceId) -> Result<Vec<String>, ControlError> {
        let db = self.lock();
        let mut rows =
            db.prepare_cached("SELECT name FROM collections WHERE workspace = ?1 ORDER BY name")?;
        let rows = rows.query_map(params![random::hex(&workspace.0)], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
