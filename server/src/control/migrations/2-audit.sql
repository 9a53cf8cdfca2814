-- What was done. No row of it goes with its workspace, and none is ever changed.
CREATE TABLE audit (
    workspace TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('key', 'operator', 'system')),
    actor_id TEXT CHECK ((actor_kind = 'key') = (actor_id IS NOT NULL)),
    action TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT,
    receipt TEXT UNIQUE,
    outcome TEXT NOT NULL,
    request_id TEXT,
    PRIMARY KEY (workspace, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_rows_stay BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'a row of the audit log is never deleted'); END;
CREATE TRIGGER audit_rows_stand BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'a row of the audit log is never changed'); END;
