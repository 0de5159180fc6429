"""Nothing leaves the computer or is left in the home folder. Training: ``train/test_train_privacy.py``."""

import subprocess
import sys
from pathlib import Path

import pytest

from isolated import RUNNER, STRACE, fresh_environment, network_use, run_isolated, strace_works

ROOT = Path(__file__).resolve().parents[1]


def test_commands_of_the_base_install_use_no_network_and_leave_nothing_at_home(tmp_path: Path) -> None:
    """All of them; with png, Matplotlib would keep its list of the computer's fonts at home."""
    demo, out = str(tmp_path / "demo"), str(tmp_path / "out")
    (tmp_path / "given.csv").write_text("start_s,end_s\n1,2\n")
    lines = [
        ["simulate", demo, "--layout", "demo"],
        ["simulate", str(tmp_path / "set"), "--subjects", "1", "--recordings", "1"],
        ["analyze", demo, "--out", out, "--format", "json,csv,audacity,sprsound,html"],
        ["analyze", f"{demo}/wheezes.wav", "--events", str(tmp_path / "given.csv"), "--json"],
        ["challenge", "--task", "12", "--wav", demo, "--out", str(tmp_path / "events.json")],
        ["challenge", "--task", "22", "--wav", demo, "--out", str(tmp_path / "records.json")],
        ["datasets", "list"],
        ["--version"],
    ]
    left, sent = run_isolated(lines, tmp_path / "home", tmp_path / "trace")
    assert (left, sent) == (set(), [])
    assert Path(out, "wheezes.json").exists()


@pytest.mark.parametrize("watch", ["strace", "Python"])
def test_the_watch_sees_the_network(watch: str, tmp_path: Path) -> None:
    """So that the tests above cannot pass by seeing nothing."""
    if watch == "strace" and not strace_works():
        pytest.skip("strace cannot watch a process here")
    trace, seen = tmp_path / "trace", tmp_path / "seen"
    code = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    if watch == "Python":
        program = RUNNER.replace("from laennec.cli import main", code)
        subprocess.run([sys.executable, "-c", program, "[]", str(seen)], check=True)
        assert len(seen.read_text().splitlines()) == 1
    else:
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
