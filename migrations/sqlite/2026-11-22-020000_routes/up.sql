-- What clients may ask for besides the names that providers list. Times are milliseconds since the
-- Unix epoch, UTC. Flags are 0 or 1. JSON is text.

CREATE TABLE routes (
    name TEXT NOT NULL PRIMARY KEY,
    targets TEXT NOT NULL,
    strategy TEXT,
    fallbacks TEXT NOT NULL,
    hedge INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE model_aliases (
    name TEXT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
