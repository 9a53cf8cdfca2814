-- What else is known of a read or a refusal, sealed under the key of the partition that it is of.
ALTER TABLE audit ADD COLUMN note BLOB;

-- How searches turned out, as those who asked reported it.
ALTER TABLE usage_keys ADD COLUMN feedback_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_keys ADD COLUMN feedback_cited INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_keys ADD COLUMN feedback_ignored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_partitions ADD COLUMN feedback_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_partitions ADD COLUMN feedback_cited INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_partitions ADD COLUMN feedback_ignored INTEGER NOT NULL DEFAULT 0;

-- Typed fields of structured queries. An empty partition stands for the whole workspace, any other for a partition by its
-- keyed hash. What is declared is sealed under the workspace's key.
CREATE TABLE fields (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    partition BLOB NOT NULL,
    id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (workspace, partition, id)
) STRICT, WITHOUT ROWID;
