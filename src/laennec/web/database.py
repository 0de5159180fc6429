"""The workspace: one SQLite file in the folder of recordings, which loses nothing.

Write-ahead log, so that a crash leaves the last whole transaction. What a model said and what a reader did
are append-only: triggers refuse to change or delete them.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError

FILE = "laennec.sqlite"
FORMAT = 1  # of the schema, in the file's user_version; a later one is refused

SCHEMA = """
CREATE TABLE recording (
    id INTEGER PRIMARY KEY,
    path TEXT UNIQUE NOT NULL,      -- below the folder, with / between
    name TEXT NOT NULL,             -- as people know it, an uploaded file has another path
    sha256 TEXT,                    -- of the content, once somebody had to know
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    added TEXT NOT NULL,            -- UTC, ISO 8601, like all times
    gone INTEGER NOT NULL DEFAULT 0,
    patient TEXT, position TEXT, age_years REAL, sex TEXT, device TEXT
);
CREATE TABLE analysis (
    id INTEGER PRIMARY KEY,
    recording INTEGER NOT NULL REFERENCES recording,
    made TEXT NOT NULL,
    size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,  -- of the file that it is of
    model_name TEXT, model_version TEXT, model_sha256 TEXT, calibration_sha256 TEXT,
    content TEXT,                   -- JSON of an analysis, NULL where it failed
    summary TEXT,                   -- of that, what the list of recordings shows
    error TEXT
);
CREATE TABLE suggestion (           -- an event as a model found it
    id INTEGER PRIMARY KEY,
    analysis INTEGER NOT NULL REFERENCES analysis,
    recording INTEGER NOT NULL REFERENCES recording,
    model_name TEXT NOT NULL, model_sha256 TEXT NOT NULL,
    channel INTEGER NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL,
    label TEXT NOT NULL, probability REAL, presence REAL, uncertain INTEGER NOT NULL
);
CREATE TABLE reader (
    id INTEGER PRIMARY KEY,
    name TEXT UNIQUE NOT NULL,
    added TEXT NOT NULL
);
CREATE TABLE edit (                 -- what a reader did, in order, `content` is JSON
    id INTEGER PRIMARY KEY,
    recording INTEGER NOT NULL REFERENCES recording,
    reader INTEGER NOT NULL REFERENCES reader,
    made TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE TABLE model (                -- trained or brought along, beside those that ship
    sha256 TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    made TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE INDEX analysis_recording ON analysis (recording);
CREATE INDEX suggestion_analysis ON suggestion (analysis);
CREATE INDEX edit_recording ON edit (recording, reader);
"""
APPEND_ONLY = ("suggestion", "edit")
WAIT_S = 5.0  # for another transaction to end


class Database:
    """The workspace file of a folder, open. Its methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                self.path, timeout=WAIT_S, check_same_thread=False, isolation_level=None
            )
            self._connection.row_factory = sqlite3.Row
            self._prepare()
        except sqlite3.Error as error:
            raise LaennecError(f"{self.path}: {_reason(error)}") from error

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")  # a power cut loses no correction that was answered for
        execute("PRAGMA foreign_keys = ON")
        found = int(execute("PRAGMA user_version").fetchone()[0])
        if found > FORMAT:
            raise LaennecError(
                f"{self.path}: written by a later Laennec (format {found}, this one reads up to {FORMAT}); "
                "update it: pip install -U laennec"
            )
        if found < FORMAT:
            with self.transaction() as do:
                for statement in SCHEMA.split(";"):
                    do(statement)
                for table in APPEND_ONLY:
                    for change in ("UPDATE", "DELETE"):
                        do(
                            f"CREATE TRIGGER {table}_{change.lower()} BEFORE {change} ON {table} "
                            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                        )
                do(f"PRAGMA user_version = {FORMAT}")

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Do all or nothing: yields a function that executes a statement and returns its cursor."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        found = self.rows(query, values)
        return found[0] if found else None

    def close(self) -> None:
        """Write everything into the one file, and let it go."""
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()


def _reason(error: sqlite3.Error) -> str:
    text = str(error)
    if "not a database" in text or "malformed" in text:
        return "is no workspace of Laennec, or damaged; move it away, and a new one is made"
    if "locked" in text:
        return "is open in another program; close that first"
    return f"cannot be opened ({text})"
