"""Files written whole: links, devices and long names."""

import os
from pathlib import Path

import pytest

from laennec.errors import LaennecError
from laennec.files import write_text


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "target.txt")
    for text in ("first", "second"):
        write_text(link, text)
        assert link.is_symlink()
        assert (tmp_path / "target.txt").read_text() == text
    assert len(list(tmp_path.iterdir())) == 2


def test_a_pipe_is_refused_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LaennecError, match="pipe: is a device or a pipe"):
        write_text(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()


def test_any_name_that_the_file_system_takes_is_written(tmp_path: Path) -> None:
    name = "录" * 83 + ".wav"  # 253 bytes
    write_text(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with pytest.raises(LaennecError, match=r"cannot be written .*too long"):
        write_text(tmp_path / ("录" * 90 + ".wav"), "text")
