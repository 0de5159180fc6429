"""Nothing leaves the computer or is left in the home folder. Training: ``train/test_train_privacy.py``."""

import subprocess
import sys
from pathlib import Path

import pytest

from isolated import STRACE, fresh_environment, need_strace, network_use, run_isolated
from laennec.simulate import write_demo

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder)
    return folder / "wheezes.wav"


def test_an_analysis_leaves_nothing_in_the_home_folder(recording: Path, tmp_path: Path) -> None:
    # Without png: Matplotlib keeps its list of the computer's fonts there, which takes seconds to make.
    formats = "json,csv,audacity,sprsound,html"
    out = tmp_path / "results"
    left = run_isolated(
        ["analyze", str(recording), "--out", str(out), "--format", formats], tmp_path / "home"
    )
    assert left == set()
    assert (out / "wheezes.json").exists()


def test_an_analysis_uses_no_network(recording: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    run_isolated(["analyze", str(recording), "--out", str(tmp_path / "results")], tmp_path / "home", trace)
    assert network_use(trace) == []


def test_the_watch_sees_the_network(tmp_path: Path) -> None:
    """So that the tests above cannot pass by seeing nothing."""
    need_strace()
    trace = tmp_path / "trace"
    code = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    subprocess.run([*STRACE, "-o", str(trace), sys.executable, "-c", code], check=True)
    assert len(network_use(trace)) == 1


@pytest.mark.parametrize("module", ["laennec", "laennec.errors", "laennec.version"])
def test_no_import_of_laennec_leaves_the_telemetry_on(module: str) -> None:
    code = f"import {module}, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=fresh_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"


def test_programs_of_the_project_import_laennec_before_onnx_runtime() -> None:
    """The package turns the telemetry off; a program that imports ONNX Runtime first would be too early."""
    for path in sorted(ROOT.glob("[be]*/**/*.py")):  # benchmarks, examples, experiments
        lines = path.read_text(encoding="utf-8").splitlines()
        starts = [
            i for i, line in enumerate(lines) if line.startswith(("from onnxruntime", "import onnxruntime"))
        ]
        ours = [i for i, line in enumerate(lines) if line.startswith(("from laennec", "import laennec"))]
        assert not starts or (ours and min(ours) < min(starts)), path.name
