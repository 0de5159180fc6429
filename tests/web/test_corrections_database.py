"""The workspace file: nothing half-written, nothing lost, and a sentence for whatever is wrong."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from laennec.web.database import FILE, Database, WorkspaceError, WorkspaceFullError
from laennec.web.schema import FORMAT
from waiting import WAIT_S


def add_two(database: Database, one: str, two: str) -> None:
    with database.transaction() as do:
        do("INSERT INTO reader (name, added) VALUES (?, '2026')", (one,))
        assert readers(database)[-1] == one  # the thread sees what it has written
        do("INSERT INTO reader (name, added) VALUES (?, '2026')", (two,))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


def readers(database: Database) -> list[str]:
    return [row["name"] for row in database.rows("SELECT name FROM reader ORDER BY id")]


def add(database: Database, name: str) -> None:
    with database.transaction() as do:
        do("INSERT INTO reader (name, added) VALUES (?, '2026')", (name,))


def test_what_was_written_is_there_again(tmp_path: Path, database: Database) -> None:
    add(database, "anna")
    database.close()
    assert not list(tmp_path.glob(f"{FILE}-*"))  # all is in the one file, which can be copied
    assert readers(Database(tmp_path)) == ["anna"]


def test_a_transaction_is_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        add_two(database, "anna", "anna")
    assert readers(database) == []


def test_an_error_in_a_part_takes_that_part_back_alone(database: Database) -> None:
    with database.transaction():
        add(database, "ben")
        with pytest.raises(sqlite3.IntegrityError):
            add_two(database, "anna", "anna")
        add(database, "cleo")
    assert readers(database) == ["ben", "cleo"]


def test_a_snapshot_is_of_one_moment(database: Database) -> None:
    with database.snapshot():
        assert readers(database) == []
        other = threading.Thread(target=add, args=(database, "anna"))
        other.start()
        other.join()
        with database.snapshot():
            assert readers(database) == []
    assert readers(database) == ["anna"]


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    add(database, "anna")
    seen: list[list[str]] = []
    with database.transaction() as do:
        do("INSERT INTO reader (name, added) VALUES ('ben', '2026')")
        other = threading.Thread(target=lambda: seen.append(readers(database)))
        other.start()
        other.join(WAIT_S)
    assert seen == [["anna"]]
    assert readers(database) == ["anna", "ben"]


def test_writers_wait_for_one_another(database: Database) -> None:
    def write(writer: int) -> None:
        for k in range(10):
            add(database, f"{writer}-{k}")

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(readers(database)) == 40


def test_what_was_said_and_done_cannot_be_changed(database: Database) -> None:
    with database.transaction() as do:
        do("INSERT INTO recording (path, name, size, modified_ns, added) VALUES ('a', 'a', 1, 1, '')")
        do("INSERT INTO reader VALUES (1, 'anna', '')")
        do("INSERT INTO edit (recording, reader, made, kind, content) VALUES (1, 1, '', 'review', '{}')")
    for statement in ("UPDATE edit SET kind = 'undo'", "DELETE FROM edit"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"), database.transaction() as do:
            do(statement)


def test_opened_twice_is_said(tmp_path: Path, database: Database) -> None:
    with pytest.raises(WorkspaceError, match=r"is open in another program, perhaps another laennec serve"):
        Database(tmp_path)
    database.close()
    Database(tmp_path).close()
    Database(tmp_path).close()


def test_a_damaged_file_is_said_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all " * 100)
    with pytest.raises(WorkspaceError, match="damaged; move it away"):
        Database(tmp_path)
    assert (tmp_path / FILE).read_bytes().startswith(b"no database")
    (tmp_path / FILE).unlink()
    Database(tmp_path).close()  # and the folder is free again


def test_damage_in_the_middle_of_the_file_is_said(tmp_path: Path, database: Database) -> None:
    with database.transaction():
        for name in range(200):
            add(database, f"{name}" * 50)
    database.close()
    content = bytearray((tmp_path / FILE).read_bytes())
    content[8192:-4096] = b"\xff" * len(content[8192:-4096])
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(WorkspaceError, match="damaged; move it away"):
        Database(tmp_path)


def test_a_later_format_is_refused(tmp_path: Path, database: Database) -> None:
    with database.transaction() as do:
        do(f"PRAGMA user_version = {FORMAT + 1}")
    database.close()
    with pytest.raises(WorkspaceError, match="later Laennec"):
        Database(tmp_path)


def test_a_full_disk_costs_the_request_alone(database: Database) -> None:
    add(database, "anna")
    pages = database.row("PRAGMA page_count")
    assert pages is not None
    database._connection.execute(f"PRAGMA max_page_count = {pages[0]}")  # SQLite then says what a disk says
    with pytest.raises(WorkspaceFullError, match="disk is full, so nothing was kept"):
        add_two(database, "half", "long" * 100_000)
    assert readers(database) == ["anna"]
    database._connection.execute("PRAGMA max_page_count = 1000000")
    add(database, "ben")  # works again when there is room
    assert readers(database)[-1] == "ben"


LIMITED = """
import resource, signal, sys
from pathlib import Path
from laennec.web.database import Database, WorkspaceFullError
database = Database(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
kept = 0
try:
    for k in range(1000):
        with database.transaction() as do:
            do("INSERT INTO reader (name, added) VALUES (?, '')", (f"{k}" * 3000,))
        kept += 1
except WorkspaceFullError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert len(database.rows("SELECT * FROM reader")) == kept > 0
    with database.transaction() as do:
        do("INSERT INTO reader (name, added) VALUES ('again', '')")
    print("said:", error, len(database.rows("SELECT * FROM reader")) - kept)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of files are POSIX's")
def test_a_write_that_the_system_refuses_is_said_and_the_next_works(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "nothing was kept" in done.stdout
    assert done.stdout.strip().endswith(" 1")


UNWRITABLE = """
import os, sys
from pathlib import Path
from laennec.web.database import Database, WorkspaceError
if os.geteuid() == 0:
    os.setuid(65534)
try:
    Database(Path(sys.argv[1]))
except WorkspaceError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="users and modes are POSIX's")
def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "ward"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o055)
    command = [sys.executable, "-c", UNWRITABLE, str(folder)]
    assert "name a folder of your own" in subprocess.run(command, capture_output=True, text=True).stdout
