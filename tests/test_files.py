"""Files are written whole or not at all, where they belong."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from laennec import files
from laennec.audio.folder import audio_files, counted_endings, counted_links, files_below
from laennec.errors import LaennecError
from laennec.files import (
    claimed,
    is_running,
    locked,
    make_folder,
    remove_leftovers,
    write_text,
    written_whole,
)


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
    kept = [
        tmp_path / "mine.json",
        tmp_path / ".notes.tmp",
        tmp_path / f".{first}.00000000.{process}.tmp.json",
    ]
    for path in kept:
        path.touch()
    with written_whole(tmp_path / "b.json") as temporary:
        temporary.write_text("whole")
        remove_leftovers(tmp_path)
    assert computer in temporary.name
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        [*kept, tmp_path / "b.json"]
    )


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
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "file.wav").touch()
    assert [path.name for path in audio_files(tmp_path).paths] == ["broken.wav", "file.wav", "loop.wav"]


def below(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files_below(folder)]


def test_folders_are_walked_parents_first_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b/1.wav", "b/a/2.txt", "a/3", "4.wav", ".Trash/5.wav", "__MACOSX/b/6.wav", "._7.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert below(tmp_path) == ["4.wav", "a/3", "b/1.wav", "b/a/2.txt"]
    assert [path.name for path in files_below(tmp_path, below=False)] == ["4.wav"]


def test_links_to_folders_are_followed_once_and_loops_are_cut(tmp_path: Path) -> None:
    ward, outside = tmp_path / "ward", tmp_path / "outside"
    for folder in (ward / "bed", outside / "below"):
        folder.mkdir(parents=True)
    for path in (
        ward / "bed" / "1.wav",
        outside / "2.wav",
        outside / "below" / "3.wav",
        tmp_path / "not.wav",
    ):
        path.touch()
    (ward / "a-bed").symlink_to(ward / "bed")  # which is found itself
    (ward / "out").symlink_to(outside)
    (ward / "out-again").symlink_to(outside)
    for folder in (ward / "bed", outside / "below"):
        (folder / "up").symlink_to(folder.parent)
        (folder / "top").symlink_to(ward)
        (folder / "above").symlink_to(tmp_path)
    assert below(ward) == ["bed/1.wav", "out/2.wav", "out/below/3.wav"]


def test_a_folder_that_cannot_be_read_is_told_and_the_others_are_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.wav", "locked/2.wav", "z/3.wav", "4.raw", "5.RAW", "6.ds2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "laennec.sqlite-wal").write_bytes(b"\x37\x7f\x06\x82\0\x2d\xe2\x18")  # of a server that runs
    scandir = os.scandir

    def locked(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    found = audio_files(tmp_path)
    assert [path.name for path in found.paths] == ["1.wav", "3.wav"]
    assert found.unreadable == {tmp_path / "locked": "Permission denied"}
    assert counted_endings(found.passed_over) == "3 files with other endings passed over (.raw 2, .ds2 1)"
    with pytest.raises(LaennecError, match=r"no audio file in it .*; there are some in .*/a$"):
        audio_files(tmp_path, below=False)
    with pytest.raises(LaennecError, match=r"locked: cannot be read \(Permission denied\)"):
        below(tmp_path)
    with pytest.raises(LaennecError, match=r"locked: cannot be read \(Permission denied\)"):
        audio_files(tmp_path / "locked")
    for name in ("a", "z"):
        (tmp_path / name).rename(tmp_path / "locked" / name)
    with pytest.raises(LaennecError, match=r"no audio file .*; 3 files with .*; .*locked cannot be read"):
        audio_files(tmp_path)


def test_where_the_system_locks_no_folders_nobody_waits_and_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has no `fcntl`, opens no folder, and ends a process that is asked for by signal 0."""

    def ends(process: int, number: int) -> None:
        raise AssertionError("this would end the process")

    def refuses(path: object, *_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    before = time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr(files, "fcntl", None)
        patched.setattr(files.os, "open", refuses)
        with locked(tmp_path), locked(tmp_path), claimed(tmp_path), claimed(tmp_path):
            pass
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "kill", ends)
        patched.setattr(files.os, "name", "nt")
        running = is_running(1)
    assert running
    assert time.monotonic() - before < files.LOCK_WAIT_S
    assert list(tmp_path.iterdir()) == []


def test_what_may_be_sound_is_counted_by_its_content(tmp_path: Path) -> None:
    binary = bytes(range(256)) * 4
    sounds = {
        "a.dat": b"RIFF\x24\0\0\0WAVEfmt ",
        "b": binary,
        "c.wav.bak": b"fLaC\0\0\0\x22",
        "d.xyz": binary,
    }
    others = {
        "README": b"text\n",
        "label.eaf": "<é/>".encode("latin-1"),
        "setup.cfg": b"",
        "t.npz": b"PK\3\4\0",
        "scan": b"\x89PNG\r\n\x1a\n\0",
        "x.onnx": binary,
        "y.json": b"{}",
        "z.ts": b"export const a = 1;\n",
    }
    for name, content in {**sounds, **others, "e.ts": b"G" + bytes(187), "f.wav": b""}.items():
        (tmp_path / name).write_bytes(content)
    found = audio_files(tmp_path)
    assert [path.name for path in found.paths] == ["e.ts", "f.wav"]
    assert found.passed_over == {".dat": 1, "": 1, ".bak": 1, ".xyz": 1}
    assert "(.dat 1, no ending 1, " in counted_endings(found.passed_over)


def test_a_recording_and_links_to_it_are_one(tmp_path: Path) -> None:
    ward, elsewhere = tmp_path / "ward", tmp_path / "elsewhere.wav"
    (ward / "bed").mkdir(parents=True)
    for path in (ward / "bed" / "1.wav", elsewhere):
        path.touch()
    for name, target in (
        ("a.wav", "bed/1.wav"),
        ("b.flac", "a.wav"),
        ("c.wav", elsewhere),
        ("d.wav", elsewhere),
    ):
        (ward / name).symlink_to(target)
    (ward / "gone.wav").symlink_to("nothing.wav")
    (ward / "gone-too.wav").symlink_to("nothing.wav")
    os.link(ward / "bed" / "1.wav", ward / "hard.wav")
    found = audio_files(ward)
    names = [path.relative_to(ward).as_posix() for path in found.paths]
    assert names == ["c.wav", "gone-too.wav", "gone.wav", "hard.wav", "bed/1.wav"]
    assert [path.name for path in found.linked] == ["a.wav", "b.flac", "d.wav"]
    told = counted_links(found.linked)
    assert told == "3 links left out, to recordings that are taken already (a.wav and others)"
    assert counted_links(found.linked[:1]) == "1 link left out, to a recording that is taken already (a.wav)"
