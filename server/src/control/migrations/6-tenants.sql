-- The tenants of each workspace. Their names and slugs are in their own partitions; here a slug is a keyed hash.
CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('creating', 'live', 'deleting')),
    slug_hash BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (workspace, slug_hash)
) STRICT;
