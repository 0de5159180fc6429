"""A few kills of `laennec score`; ``tests/faults/score_kills.py`` makes many."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

from faults.score_kills import TABLES, begun, finished, kill_all, recordings, same

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds worker processes in /proc")


def test_killed_processes_leave_the_tables_as_they_would_have_been(tmp_path: Path) -> None:
    recordings(tmp_path / "sounds", 60)
    finished(begun(tmp_path / "sounds", tmp_path / "undisturbed"))
    done = kill_all(tmp_path / "sounds", tmp_path / "killed", kills=3, seed=1)
    assert sum(done.values()) >= 1
    assert same(tmp_path / "undisturbed", tmp_path / "killed")
    (tmp_path / "killed" / TABLES[0]).write_bytes(b"another")
    assert not same(tmp_path / "undisturbed", tmp_path / "killed")
