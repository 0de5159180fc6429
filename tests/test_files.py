"""Files are written whole or not at all, where they belong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from laennec.audio.folder import audio_files
from laennec.errors import LaennecError
from laennec.files import make_folder, remove_leftovers, write_text, written_whole


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    write_text(path, "old")

    def interrupted() -> None:
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from laennec.files import written_whole
with written_whole(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "deep" / "a.json")], check=False)
    (left,) = (tmp_path / "deep").iterdir()
    first, computer, process = left.name[1:].split(".")[:3]
    kept = [tmp_path / "mine.json", tmp_path / ".notes.tmp", tmp_path / f".{first}.00000000.{process}.tmp.json"]
    for path in kept:
        path.touch()
    with written_whole(tmp_path / "b.json") as temporary:
        temporary.write_text("whole")
        remove_leftovers(tmp_path)
    assert computer in temporary.name
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted([*kept, tmp_path / "b.json"])


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    link, target = tmp_path / "link.json", tmp_path / "elsewhere" / "real.json"
    link.symlink_to(target)  # to nothing yet
    for text in ("one", "two"):
        write_text(link, text)
        assert link.is_symlink()
        assert target.read_text() == text


def test_folders_and_devices_are_refused_and_stay(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, what in ((tmp_path, "folder"), (pipe, "device"), (Path(os.devnull), "device")):
        with pytest.raises(LaennecError, match=f"is a {what}, not a file"):
            write_text(path, "text")
    assert pipe.is_fifo()
    assert Path(os.devnull).is_char_device()


def test_a_name_as_long_as_the_file_system_allows_is_written(tmp_path: Path) -> None:
    limit = os.pathconf(tmp_path, "PC_NAME_MAX")
    for name in ("a" * (limit - 5) + ".json", "录" * ((limit - 5) // 3) + ".json", "." + "b" * (limit - 1)):
        write_text(tmp_path / name, "text")
        assert (tmp_path / name).read_text() == "text"
    with pytest.raises(LaennecError, match=r"cannot be written \(File name too long\)"):
        write_text(tmp_path / ("a" * (limit + 1)), "text")
    assert not list(tmp_path.glob(".*.tmp*"))


def test_results_do_not_go_into_the_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for out in (data, data / "runs" / "first", tmp_path / "other" / ".." / "data"):
        with pytest.raises(LaennecError, match="lies in the folder of the data"):
            make_folder(out, outside=(None, data))
    assert list(data.iterdir()) == []
    assert make_folder(tmp_path / "data-runs", outside=(data,)).is_dir()


def test_a_folder_takes_files_and_broken_links_but_no_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "broken.wav").symlink_to(tmp_path / "nothing")
    (tmp_path / "file.wav").touch()
    assert [path.name for path in audio_files(tmp_path)] == ["broken.wav", "file.wav"]
