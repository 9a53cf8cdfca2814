-- People: who may sign in, into which workspace, as what.
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    password TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    last_login_ms INTEGER
) STRICT;
CREATE TABLE memberships (
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_of_user ON memberships (user);
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE,
    email TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    invited_by TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    UNIQUE (workspace, email)
) STRICT;
CREATE TABLE sessions (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL,
    workspace TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    FOREIGN KEY (workspace, user) REFERENCES memberships (workspace, user) ON DELETE CASCADE
) STRICT;
CREATE INDEX sessions_of_member ON sessions (workspace, user);

-- The audit log tells more, and each row holds the hash of the one before it. The hashes of the rows that are there are
-- computed, and the triggers made, by the step that follows this file.
CREATE TABLE audit_rows (
    workspace TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('key', 'member', 'operator', 'system', 'anonymous')),
    actor_id TEXT CHECK ((actor_kind IN ('key', 'member')) = (actor_id IS NOT NULL)),
    action TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT,
    receipt TEXT UNIQUE,
    outcome TEXT NOT NULL,
    request_id TEXT,
    peer TEXT,
    user_agent TEXT,
    times INTEGER NOT NULL DEFAULT 1,
    hash BLOB,
    PRIMARY KEY (workspace, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO audit_rows (workspace, seq, at_ms, actor_kind, actor_id, action, resource_type, resource_id, receipt,
                        outcome, request_id)
    SELECT workspace, seq, at_ms, actor_kind, actor_id, action, resource_type, resource_id, receipt, outcome, request_id
    FROM audit;
DROP TABLE audit;
ALTER TABLE audit_rows RENAME TO audit;
