"""`laennec score` with Azure's and Google's stores, as their emulators have them, and as jobs of SLURM.

Azure's needs adlfs and Microsoft's Azurite (``npm install azurite``, ``azurite-blob`` in the PATH); Google's
gcsfs and ``pip install gcp-storage-emulator``. What is missing is skipped.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

import fsspec
import pyarrow.parquet as pq

from bulk.conftest import sound
from laennec.bulk.jobs import Score
from laennec.cli import score as score_command

FILES = {"ward/a/0.wav": sound(0), "ward/a/1.wav": sound(1), "ward/2.wav": sound(2), "ward/bad.wav": b"no"}
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's
EXAMPLES = Path(__file__).parents[2] / "examples"


def serving(line: list[str], port: int) -> subprocess.Popen[bytes]:
    """A server on a port of this computer, when it answers."""
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"{line[0]} does not answer")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def azure(folder: Path) -> tuple[list[str], int, Mapping[str, str]]:
    command = shutil.which("azurite-blob")
    if command is None or importlib.util.find_spec("adlfs") is None:
        pytest.skip("needs adlfs and azurite-blob")
    port, account = free_port(), "devstoreaccount1"
    line = [command, "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--blobPort", str(port)]
    address = f"BlobEndpoint=http://127.0.0.1:{port}/{account};"
    text = f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={KEY};{address}"
    return [*line, "--location", str(folder)], port, {"AZURE_STORAGE_CONNECTION_STRING": text}


def google(_: Path) -> tuple[list[str], int, Mapping[str, str]]:
    if any(importlib.util.find_spec(name) is None for name in ("gcsfs", "gcp_storage_emulator")):
        pytest.skip("needs gcsfs and gcp-storage-emulator")
    port = free_port()
    code = "from gcp_storage_emulator.__main__ import main; main()"
    line = [sys.executable, "-c", code, "start", "--host=127.0.0.1", f"--port={port}", "--in-memory"]
    # Without the second, gcsfs asks over TLS, which the emulator does not speak, what kind a bucket is.
    settings = {
        "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
    return line, port, settings


def fill_azure(port: int) -> None:
    files = fsspec.filesystem("az")
    files.mkdir("lungs")
    for name, content in FILES.items():
        files.pipe_file(f"lungs/{name}", content)


def fill_google(port: int) -> None:
    """By the protocol itself: the emulator does not take what gcsfs sends to make a bucket."""
    place = f"http://127.0.0.1:{port}"
    bucket = json.dumps({"name": "lungs"}).encode()
    wanted = {f"{place}/storage/v1/b?project=p": (bucket, "application/json")}
    upload = f"{place}/upload/storage/v1/b/lungs/o?uploadType=media&name="
    wanted |= {upload + quote(name, safe=""): (content, "audio/wav") for name, content in FILES.items()}
    for address, (content, kind) in wanted.items():
        request = urllib.request.Request(address, data=content, headers={"Content-Type": kind})
        urllib.request.urlopen(request, timeout=60).close()


STORES: dict[str, tuple[Callable[[Path], tuple[list[str], int, Mapping[str, str]]], Callable[[int], None]]]
STORES = {"az": (azure, fill_azure), "gs": (google, fill_google)}


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a bucket that holds `FILES`."""
    server, fill = STORES[request.param]
    line, port, settings = server(tmp_path / "store")
    process = serving(line, port)
    try:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        fsspec.filesystem(request.param).clear_instance_cache()
        fill(port)
        yield f"{request.param}://lungs"
    finally:
        process.kill()
        process.wait()


def test_a_store_is_scored_as_a_folder_is(store: str, tmp_path: Path, model: str) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    options = {"model": model, "shard_size": 2, "jobs": 1}
    assert score_command.run(Score(str(tmp_path / "ward"), str(tmp_path / "out"), **options)) == 0
    for _ in range(2):  # the second time all is there
        assert score_command.run(Score(f"{store}/ward", f"{store}/out", **options)) == 0
    for part in ("1/2", "2/2"):
        assert score_command.run(Score(f"{store}/ward", f"{store}/two", **options, shard=part)) == 0
    for table in ("recordings", "events"):
        pages = [pq.read_table(tmp_path / "out" / f"{table}.parquet")]
        for out in ("out", "two"):
            with fsspec.open(f"{store}/{out}/{table}.parquet") as file:
                pages.append(pq.read_table(file))
        assert pages[0].num_rows
        assert pages[0].equals(pages[1])
        assert pages[0].equals(pages[2])


@pytest.mark.skipif(os.name == "nt", reason="a script of a shell")
def test_jobs_of_slurm_score_a_folder_together(tmp_path: Path) -> None:
    """The script of the examples, started as ``sbatch --array=1-2`` starts it."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    command = tmp_path / "bin" / "laennec"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m laennec "$@"\n')
    command.chmod(0o755)
    around = {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}
    words = [str(tmp_path / "ward"), str(tmp_path / "out")]
    listing = ["laennec", "score", words[0], "--out", words[1], "--shard-size", "2", "--list"]
    subprocess.run(listing, check=True, env=around, capture_output=True, timeout=120)
    for number in ("1", "2"):
        job = {**around, "SLURM_ARRAY_TASK_ID": number, "SLURM_ARRAY_TASK_COUNT": "2"}
        script = ["sh", str(EXAMPLES / "scale" / "slurm.sh"), *words]
        done = subprocess.run(script, check=False, env=job, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    rows = pq.read_table(tmp_path / "out" / "recordings.parquet").to_pylist()
    failed = {row["recording"]: row["error"] is not None for row in rows}
    assert failed == {"2.wav": False, "a/0.wav": False, "a/1.wav": False, "bad.wav": True}
    assert len(rows) == len(failed)
