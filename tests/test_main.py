"""The process of a command: how it begins and ends, and what it does not load."""

import subprocess
import sys
from pathlib import Path

import pytest

from laennec.simulate import write_demo

# Loaded by nothing that an analysis of one recording, shown as JSON, needs.
NOT_NEEDED = {
    "concurrent.futures",
    "laennec.analyze.breathing",
    "laennec.annotations.reading",
    "laennec.cli.arguments",
    "laennec.cli.parser",
    "laennec.cli.usage",
    "laennec.model.phases",
    "laennec.output.fhir",
    "laennec.output.several",
    "laennec.processes",
    "multiprocessing",
    "numpy.ma",
    "rich",
    "statistics",
    "tyro",
    "xml.etree",
    "zipfile",
}


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``laennec`` with arguments, after some code, in a process of its own."""
    words = ["laennec", *map(str, arguments)]
    program = f"import sys\nsys.argv = {words!r}\n{code}\nfrom laennec.__main__ import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )


def test_an_analysis_loads_what_it_needs_alone(tmp_path: Path) -> None:
    said = "import atexit\natexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    done = run(said, "analyze", write_demo(tmp_path)[0], "--json")
    assert done.returncode == 0, done.stderr
    assert "onnxruntime" in done.stderr.split()
    assert NOT_NEEDED & set(done.stderr.split()) == set()


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (["analyze", "nothing.wav"], 1), (["x"], 2)]
)
def test_what_is_registered_for_the_end_is_done(arguments: list[str], code: int) -> None:
    done = run("import atexit\natexit.register(print, 'the last', end='')", *arguments)
    assert (done.returncode, done.stdout[-8:]) == (code, "the last"), done.stderr


def test_nothing_is_taken_apart_at_the_end() -> None:
    kept = "import os\nclass Kept:\n    def __del__(self): os.write(2, b'taken apart')\nkept = [Kept()]"
    assert "taken apart" not in run(kept, "--version").stderr
    torch = f"{kept}\nsys.modules['torch'] = sys"  # whose own end Python has to do
    assert "taken apart" in run(torch, "--version").stderr


def test_threads_are_waited_for() -> None:
    code = (
        "import threading, time\n"
        "def late():\n"
        "    while threading.main_thread().is_alive(): time.sleep(0.01)\n"
        "    print('late', flush=True)\n"
        "threading.Thread(target=late).start()"
    )
    assert "late" in run(code, "--version").stdout


def test_garbage_is_collected_while_a_command_runs() -> None:
    code = (
        "import gc, laennec.cli.datasets as own\n"
        "own.run = lambda command: print(gc.isenabled(), gc.get_freeze_count() > 1000) or 0"
    )
    done = run(code, "datasets")
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr
