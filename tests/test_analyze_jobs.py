"""``laennec analyze --jobs``: the same results from several processes, whatever becomes of one of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from laennec.analyze import described
from laennec.cli import analyze as command_line
from laennec.cli.analyze_arguments import Analyze
from laennec.cores import forks_safely
from laennec.errors import UsageError
from laennec.output.ledger import LEDGER
from tiny_model import RATE, tiny_model

pytestmark = pytest.mark.skipif(not forks_safely(), reason="a patched process must be forked, as on Linux")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """Eight recordings of different lengths in two folders, a broken one among them."""
    for number in range(8):
        path = tmp_path / "ward" / ("a", "b")[number % 2] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).standard_normal((8 - number) * RATE)
        soundfile.write(path, 0.02 * (1 + number) * noise, RATE)
    (tmp_path / "ward" / "a" / "2.wav").write_bytes(b"not audio")
    return tmp_path / "ward"


def analyzed(files: Sequence[Path], **options: Any) -> int:
    return command_line.run(Analyze(tuple(files), **options))


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }


def test_several_processes_write_and_print_what_one_does(
    ward: Path, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for jobs in (1, 3):
        out = tmp_path / "out"
        asked: dict[str, Any] = {"out": out, "model": model, "format": "json,csv,audacity,html", "jobs": jobs}
        assert analyzed([ward], **asked) == 1
        first = contents(out)
        assert analyzed([ward], json=True, **asked) == 1
        printed.append((first, capsys.readouterr()))
        out.rename(tmp_path / f"out of {jobs}")
    assert printed[0] == printed[1]
    assert len(json.loads(printed[1][1].out.partition("Results are in")[2].partition("\n")[2])) == 7
    assert "7 done before" in printed[1][1].err


def test_a_recording_whose_process_is_killed_is_tried_again_then_fails_alone(
    ward: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, analyze = tmp_path / "mark", described.analyze

    def killed(recording: Any, **options: Any) -> Any:
        if recording.name == "5.wav" or (recording.name == "3.wav" and not mark.exists()):
            mark.touch() if recording.name == "3.wav" else None
            os.kill(os.getpid(), signal.SIGKILL)
        return analyze(recording, **options)

    monkeypatch.setattr(described, "analyze", killed)
    assert analyzed([ward], out=tmp_path / "out", model=model, format="csv", jobs=2) == 1
    text = (tmp_path / "out" / "summary.csv").read_text()
    failed = [line for line in text.splitlines() if "5.wav" in line or "2.wav" in line]
    assert "its process was ended by signal 9" in failed[1]
    assert "not audio" in failed[0]
    assert sum(path.name.endswith(".record.csv") for path in (tmp_path / "out").rglob("*")) == 6
    state = json.loads((tmp_path / "out" / LEDGER).read_text())["files"]
    assert "failed" in state[os.path.join("b", "5.wav")]
    monkeypatch.undo()
    assert analyzed([ward], out=tmp_path / "out", model=model, format="csv", jobs=2) == 1
    assert "signal 9" not in (tmp_path / "out" / "summary.csv").read_text()


def test_an_interruption_leaves_no_process_and_is_resumed(ward: Path, tmp_path: Path) -> None:
    """By the shipped model, which takes long enough to be interrupted."""
    out = tmp_path / "out"
    for number in range(40):
        (ward / f"c{number}.wav").write_bytes((ward / "a" / "0.wav").read_bytes())
    words = ["analyze", str(ward), "--out", str(out), "--format", "json", "--jobs", "2"]
    command = [sys.executable, "-m", "laennec", *words]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell may ignore it for us
    )
    until = time.monotonic() + 60
    while len(list(out.glob("c*.json"))) < 8 and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == "laennec: interrupted; the same command resumes where it can\n"
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert not list(out.rglob(".*.tmp*"))
    done = len(json.loads((out / LEDGER).read_text())["files"])
    assert 1 <= done < 48  # in order, so that a few results are there that it does not know


def test_the_number_is_checked_first(ward: Path) -> None:
    with pytest.raises(UsageError, match="--jobs is 0; expected 1 to 1024"):
        analyzed([ward / "nowhere"], jobs=0)
