-- How a workspace's partitions are made and thrown away, and which names are just being given up for others.
CREATE TABLE partition_rules (
    workspace TEXT PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    declared INTEGER NOT NULL,
    pattern TEXT,
    grace_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE renames (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    collection TEXT NOT NULL,
    old BLOB NOT NULL,
    new BLOB NOT NULL,
    PRIMARY KEY (workspace, collection, old)
) STRICT, WITHOUT ROWID;
