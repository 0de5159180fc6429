"""`laennec score` from and to an object store: a server of S3's protocol on this computer."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("s3fs")
pytest.importorskip("moto")
pytest.importorskip("flask")

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import s3fs
from moto.server import ThreadedMotoServer

from bulk.conftest import archive, sound
from laennec.bulk import addresses, places
from laennec.bulk import score as scoring
from laennec.bulk.jobs import Score
from laennec.bulk.source import find_source, listed
from laennec.cli import main
from laennec.cli import score as score_command
from laennec.errors import LaennecError


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    before = dict(os.environ)
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    fsspec.filesystem("s3").mkdir("lungs")
    yield f"http://{host}:{port}"
    moto.stop()
    os.environ.clear()
    os.environ |= before
    fsspec.filesystem("s3").clear_instance_cache()


@pytest.fixture
def stored(server: str, request: pytest.FixtureRequest) -> str:
    """A prefix with recordings, an archive of them, and what is to be passed over."""
    prefix = f"s3://lungs/{abs(hash(request.node.name))}"
    files = fsspec.filesystem("s3")
    for number in range(5):
        files.pipe_file(f"{prefix}/ward/{number % 2}/{number}.wav", sound(number))
    files.pipe_file(f"{prefix}/ward/2/more.tar", archive({"5.wav": sound(5), "5.json": b"{}"}))
    files.pipe_file(f"{prefix}/ward/empty.wav", b"")
    files.pipe_file(f"{prefix}/ward/.hidden/6.wav", sound(6))
    files.pipe_file(f"{prefix}/ward/notes.txt", b"no sound")
    return prefix


def score(source: str, out: str, model: str, **options: Any) -> int:
    return score_command.run(Score(source, out, model, **{"shard_size": 2, "jobs": 1, **options}))


def rows(out: str) -> list[dict[str, Any]]:
    with fsspec.open(f"{out}/recordings.parquet") as file:
        found: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return found


def test_a_prefix_is_scored_into_a_prefix_by_processes(stored: str, model: str) -> None:
    """Real ones; the tables are then those that a folder with the same files gives."""
    assert score(f"{stored}/ward/", f"{stored}/scores/", model) == 0
    found = rows(f"{stored}/scores")
    names = ["0/0.wav", "0/2.wav", "0/4.wav", "1/1.wav", "1/3.wav", "2/more.tar/5.wav", "empty.wav"]
    assert [row["recording"] for row in found] == names
    assert [row["error"] is None for row in found] == [True] * 6 + [False]
    proof = json.loads(fsspec.filesystem("s3").cat_file(f"{stored}/scores/score.json"))
    assert (proof["recordings"], proof["failed"]) == (7, 1)


@pytest.mark.usefixtures("here")
def test_results_in_a_store_and_in_a_folder_are_the_same(stored: str, tmp_path: Path, model: str) -> None:
    fsspec.filesystem("s3").get(f"{stored}/ward", str(tmp_path / "ward"), recursive=True)
    score(str(tmp_path / "ward"), str(tmp_path / "out"), model)
    score(f"{stored}/ward", str(tmp_path / "of store"), model)
    pages = [pq.read_table(tmp_path / name / "recordings.parquet") for name in ("out", "of store")]
    assert sorted(map(str, pages[0].drop_columns(["row"]).to_pylist())) == sorted(
        map(str, pages[1].drop_columns(["row"]).to_pylist())
    )


@pytest.mark.usefixtures("here")
def test_a_table_may_name_addresses_and_lie_in_a_store(stored: str, tmp_path: Path, model: str) -> None:
    lines = ["url", f"{stored}/ward/0/0.wav", "ward/1/1.wav", f"{stored}/ward/gone.wav"]
    fsspec.filesystem("s3").pipe_file(f"{stored}/table.csv", "\n".join(lines).encode())
    score(f"{stored}/table.csv", str(tmp_path / "out"), model)
    assert [row["error"] for row in rows(str(tmp_path / "out"))] == [None, None, "is not there"]
    pq.write_table(pa.table({"path": [f"{stored}/ward/0/0.wav"]}), tmp_path / "t.parquet")
    score(str(tmp_path / "t.parquet"), str(tmp_path / "two"), model)
    assert rows(str(tmp_path / "two"))[0]["id"] == rows(str(tmp_path / "out"))[0]["id"]


def test_a_prefix_is_listed_page_by_page(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two keys a page; the order is that of names."""
    wanted = [entry.path for entry in listed(find_source(f"{stored}/ward"))]
    call, pages = s3fs.S3FileSystem.call_s3, []

    def small(self: Any, method: str, **options: Any) -> Any:
        pages.append(method)
        return call(self, method, MaxKeys=2, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", small)
    assert [entry.path for entry in listed(find_source(f"{stored}/ward"))] == wanted
    assert len(pages) == 5
    assert len(wanted) == 7


def test_a_store_that_lists_folders_is_walked(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = sorted(entry.path for entry in listed(find_source(f"{stored}/ward")))
    monkeypatch.delattr("s3fs.S3FileSystem.call_s3")
    assert sorted(entry.path for entry in listed(find_source(f"{stored}/ward"))) == wanted


def test_an_object_is_made_once(stored: str) -> None:
    place = places.Store(f"{stored}/place")
    assert place.create("run.json", b"first")
    assert not place.create("run.json", b"second")
    assert place.read("run.json") == b"first"
    assert place.read("nowhere") is None
    place.remove("nowhere")
    assert place.sizes("parts") == {}


def test_what_is_not_there_and_what_is_refused_is_said(
    stored: str, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "out")
    with pytest.raises(LaennecError, match=r"s3://nowhere-at-all/x: there is no such bucket"):
        score("s3://nowhere-at-all/x", out, model)
    with pytest.raises(LaennecError, match="there is no such bucket"):
        score(f"{stored}/ward", "s3://nowhere-at-all/out", model)
    with pytest.raises(LaennecError, match="no recording in it"):
        score(f"{stored}/nothing", out, model)
    with pytest.raises(LaennecError, match="lies in the source"):
        score(f"{stored}/ward", f"{stored}/ward/out", model)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr("s3fs.S3FileSystem.call_s3", refused)
    with pytest.raises(LaennecError, match=r"access is refused.*Access Denied"):
        score(f"{stored}/ward", out, model)


@pytest.mark.usefixtures("here")
def test_a_store_that_fails_for_a_while_is_asked_again_and_one_that_refuses_ends_it(
    stored: str, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither becomes a row: the recordings are as good as before."""
    monkeypatch.setattr(scoring, "FIRST_PAUSE_S", 0.0)
    fetched, asked = scoring._fetched, []

    def failing(files: Any, address: str) -> Any:
        asked.append(address)
        if len(asked) % 3:
            raise ConnectionResetError("reset by peer")
        return fetched(files, address)

    monkeypatch.setattr(scoring, "_fetched", failing)
    score(f"{stored}/ward/0", str(tmp_path / "out"), model)
    assert [row["error"] for row in rows(str(tmp_path / "out"))] == [None] * 3
    assert len(asked) == 9
    for error, message in (
        (PermissionError("no"), "is refused"),
        (ConnectionResetError("off"), "after 4 tries"),
    ):
        monkeypatch.setattr(scoring, "_fetched", lambda *_, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(LaennecError, match=message):
            score(f"{stored}/ward/0", str(tmp_path / message), model)
        assert not (tmp_path / message / "parts").exists()


@pytest.mark.usefixtures("here")
def test_a_large_object_is_kept_on_the_disk(
    stored: str, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(f"{stored}/ward", str(tmp_path / "held"), model)
    monkeypatch.setattr(scoring, "HELD_BYTES", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    score(f"{stored}/ward", str(tmp_path / "on disk"), model)
    assert rows(str(tmp_path / "held")) == rows(str(tmp_path / "on disk"))
    assert not list(tmp_path.glob("laennec-*"))


def test_schemes_that_are_unknown_and_packages_that_are_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LaennecError, match="no address of an object store that is known"):
        addresses.scheme_of("http://example.org/a.wav")
    with pytest.raises(SystemExit):
        main(["analyze", "s3://lungs/a.wav"])
    assert "addresses are not supported" in capsys.readouterr().err

    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.filesystem", missing)
    with pytest.raises(LaennecError, match=r's3:// needs the Python package s3fs; .* "laennec\[scale\]"'):
        addresses.filesystem("s3://lungs/a")
    with pytest.raises(LaennecError, match="pip install gcsfs"):
        addresses.filesystem("gs://lungs/a")


@pytest.mark.parametrize("package", ["pyarrow", "fsspec"])
def test_without_the_extra_the_way_to_it_is_said(package: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from laennec.cli import main; main(sys.argv[1:])"
    words = ["score", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 1
    wanted = f'needs the Python package {package}; install it with: pip install "laennec[scale]"'
    assert wanted in done.stderr


def test_what_is_made_once_has_the_permissions_of_the_rest(tmp_path: Path) -> None:
    place = places.Folder(str(tmp_path))
    place.write("manifest.json", b"mine\n")
    assert place.create("run.json", b"mine\n")
    assert not place.create("run.json", b"yours")
    assert place.read("run.json") == b"mine\n"
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert modes.keys() == {"manifest.json", "run.json"}, "no temporary file stays"
    assert modes["run.json"] == modes["manifest.json"]
