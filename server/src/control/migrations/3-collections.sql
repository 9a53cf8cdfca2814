-- A collection has settings, a life of its own, and perhaps a provider's key, sealed under its workspace's.
ALTER TABLE collections ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE collections ADD COLUMN state TEXT NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'truncating', 'deleting'));
ALTER TABLE collections ADD COLUMN metric TEXT NOT NULL DEFAULT 'cosine' CHECK (metric IN ('cosine', 'dot', 'euclidean'));
ALTER TABLE collections ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
ALTER TABLE collections ADD COLUMN provider_key BLOB;
ALTER TABLE collections ADD COLUMN updated_ms INTEGER NOT NULL DEFAULT 0;
UPDATE collections SET id = lower(hex(randomblob(16))), updated_ms = created_ms;
CREATE UNIQUE INDEX collections_by_id ON collections (id);
