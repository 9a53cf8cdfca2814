-- Workspaces, their collections, keys and jobs.
CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('creating', 'live', 'deleting')),
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE collections (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    embedder TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace, name)
) STRICT;
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    collection TEXT,
    partition_hash BLOB,
    multi_tenant INTEGER NOT NULL,
    expires_ms INTEGER,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    last_used_ms INTEGER
) STRICT;
CREATE INDEX api_keys_of_workspace ON api_keys (workspace, created_ms, id);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    key_id TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'processing', 'completed', 'failed')),
    doc_id TEXT,
    error_code TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, updated_ms);
