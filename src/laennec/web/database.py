"""The workspace: one SQLite file in the folder of recordings, which loses nothing.

Write-ahead log, so that a crash leaves the last whole transaction. What a model said and what a reader did
are append-only: triggers refuse to change or delete them. One connection writes, one transaction after
another; others read beside it, and see the last whole transaction.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError
from laennec.files import claimed
from laennec.web.schema import APPEND_ONLY, CHANGES, FORMAT, SCHEMA

FILE = "laennec.sqlite"
WAIT_S = 5.0  # for another program's transaction to end
IDLE = 8  # connections that read, kept for the next request

Execute = Callable[..., sqlite3.Cursor]


class WorkspaceError(LaennecError):
    """The workspace file cannot be used now; `status` is that of the HTTP answer."""

    status = 503


class WorkspaceFullError(WorkspaceError):
    """Nothing was written, since there is no room."""

    status = 507


class Database:
    """The workspace file of a folder, open. Its methods may be called from any thread.

    WorkspaceError, also from every method, where the file is damaged, cannot be opened or written, or is open
    in another program; WorkspaceFullError where the disk is full. After an error nothing is half-written, and
    the next call tries again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._shown = str(self.path)  # in messages
        self._lock = threading.RLock()
        self._writing: int | None = None  # thread whose transaction is open
        self._idle: list[sqlite3.Connection] = []
        self._seen = _Seen()
        self._closed = False
        with ExitStack() as stack:
            self._claim(stack, folder)
            with self._explained():
                self._connection = stack.enter_context(_closing(self._connect()))
                self._prepare()
            self._claims = stack.pop_all()
        self._shown = FILE  # from now on messages go to whoever can reach the server

    def _claim(self, stack: ExitStack, folder: Path) -> None:
        """Two programs would not hear of one another's changes."""
        try:
            stack.enter_context(claimed(folder))
        except LaennecError as error:
            raise WorkspaceError(
                f"{folder}: is open in another program, perhaps another laennec serve; close that first"
            ) from error
        except OSError as error:
            raise WorkspaceError(f"{folder}: cannot be opened ({error.strerror}); name another") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, WAIT_S, check_same_thread=False, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection

    def _prepare(self) -> None:
        execute = self._connection.execute
        damage = execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(f"malformed: {damage}")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")  # a power cut loses no correction that was answered for
        execute("PRAGMA foreign_keys = ON")
        found = int(execute("PRAGMA user_version").fetchone()[0])
        if found > FORMAT:
            raise WorkspaceError(
                f"{self._shown}: written by a later Laennec (format {found}, this one reads up to {FORMAT}); "
                "update it: pip install -U laennec"
            )
        if found == 0:
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
        for earlier in range(max(1, found), FORMAT if found else 0):
            with self.transaction() as do:
                for statement in CHANGES[earlier].split(";"):
                    do(statement)
                do(f"PRAGMA user_version = {earlier + 1}")

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """Do all or nothing: yields a function that executes a statement and returns its cursor.

        `rows` and `row`, called in the block, see what it has written. Within a transaction of the same
        thread it is a part of that one, which an error takes back alone.
        """
        with self._lock, self._explained():
            execute = self._connection.execute
            outer = self._writing
            execute("BEGIN IMMEDIATE" if outer is None else "SAVEPOINT part")
            self._writing = threading.get_ident()
            try:
                yield execute
                execute("COMMIT" if outer is None else "RELEASE part")
            except BaseException:
                if self._connection.in_transaction:  # a full disk ends some by itself
                    execute("ROLLBACK" if outer is None else "ROLLBACK TO part")
                raise
            finally:
                self._writing = outer

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that is read in the block be of one moment, whatever is written meanwhile."""
        if self._writing == threading.get_ident() or self._seen.connection is not None:
            yield
            return
        with self._explained(), self._reading() as connection:
            connection.execute("BEGIN")
            self._seen.connection = connection
            try:
                yield
            finally:
                self._seen.connection = None
                connection.execute("COMMIT")

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._explained():
            if self._writing == threading.get_ident():
                return self._connection.execute(query, values).fetchall()
            if self._seen.connection is not None:
                return self._seen.connection.execute(query, values).fetchall()
            with self._reading() as connection:
                return connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        found = self.rows(query, values)
        return found[0] if found else None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise WorkspaceError(f"{self._shown}: is closed, the server is ending")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < IDLE and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what SQLite's errors of the file mean; those of a statement are faults of the program."""
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.InterfaceError):
            raise
        except sqlite3.DatabaseError as error:
            if (explained := _explanation(error)) is None:
                raise
            kind, reason = explained
            raise kind(f"{self._shown}: {reason}") from error

    def close(self) -> None:
        """Write everything into the one file, and let it and the folder go."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            with suppress(sqlite3.Error):  # a full disk; the log beside the file has everything
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._claims.close()


class _Seen(threading.local):
    """The connection of a thread's snapshot."""

    connection: sqlite3.Connection | None = None


@contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()


def _explanation(error: sqlite3.DatabaseError) -> tuple[type[WorkspaceError], str] | None:
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF:  # the code without its details
        case sqlite3.SQLITE_FULL:
            return WorkspaceFullError, "the disk is full, so nothing was kept; make room, and try again"
        case sqlite3.SQLITE_IOERR:
            return (
                WorkspaceFullError,
                "cannot be written, so nothing was kept; the disk may be full or gone",
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return WorkspaceError, "is open in another program; close that first"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return (
                WorkspaceError,
                "is no workspace of Laennec, or damaged; move it away, and a new one is made",
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return WorkspaceError, f"cannot be opened for writing ({error}); name a folder of your own"
    return None


def now_utc() -> str:
    """The time, as the workspace has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
