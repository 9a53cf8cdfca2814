-- What was used, by day (days since 1970, UTC), and what may be.
CREATE TABLE usage_keys (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    day INTEGER NOT NULL,
    collection TEXT NOT NULL,
    key_id TEXT NOT NULL,
    queries INTEGER NOT NULL,
    inserts INTEGER NOT NULL,
    deletes INTEGER NOT NULL,
    embedding_tokens INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    search_us INTEGER NOT NULL,
    PRIMARY KEY (workspace, day, collection, key_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE usage_partitions (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    collection TEXT NOT NULL,
    partition BLOB NOT NULL,
    day INTEGER NOT NULL,
    queries INTEGER NOT NULL,
    inserts INTEGER NOT NULL,
    deletes INTEGER NOT NULL,
    embedding_tokens INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    search_us INTEGER NOT NULL,
    documents INTEGER,
    passages INTEGER,
    stored_bytes INTEGER,
    PRIMARY KEY (workspace, collection, partition, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_partitions_by_day ON usage_partitions (day);
CREATE TABLE usage_collections (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    collection TEXT NOT NULL,
    day INTEGER NOT NULL,
    documents INTEGER NOT NULL,
    passages INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    PRIMARY KEY (workspace, collection, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE quotas (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    subject TEXT NOT NULL CHECK (subject IN ('workspace', 'collection', 'partition', 'each_partition', 'key')),
    collection TEXT NOT NULL,
    partition BLOB NOT NULL,
    key_id TEXT NOT NULL,
    requests_per_second REAL,
    burst INTEGER,
    queries_per_day INTEGER,
    documents INTEGER,
    stored_bytes INTEGER,
    embedding_tokens_per_day INTEGER,
    PRIMARY KEY (workspace, subject, collection, partition, key_id)
) STRICT, WITHOUT ROWID;
