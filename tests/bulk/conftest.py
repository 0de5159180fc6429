import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tiny_model import RATE, tiny_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def sound(number: int, seconds: float = 1.0) -> bytes:
    """A WAV file of noise; each number has a loudness of its own."""
    file = io.BytesIO()
    noise = np.random.default_rng(number).standard_normal(round(seconds * RATE))
    soundfile.write(file, 0.02 * (1 + number % 9) * noise, RATE, format="WAV")
    return file.getvalue()


def archive(members: dict[str, bytes], mode: str = "w") -> bytes:
    """A tar file of these members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """Seven recordings in two folders, one of them broken and two of them the same."""
    folder = tmp_path / "ward"
    (folder / "b").mkdir(parents=True)
    for number in range(5):
        (folder / ("", "b")[number % 2] / f"{number}.wav").write_bytes(sound(number))
    (folder / "b" / "4 again.wav").write_bytes(sound(4))
    (folder / "broken.wav").write_bytes(b"not audio")
    (folder / "notes.txt").write_text("no sound")
    return folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process do what others would, which is faster."""
    from laennec.bulk import engines
    from laennec.bulk.score import Options, work
    from laennec.processes import Ready

    class Here:
        def __init__(self, options: Options, count: int, remote: bool) -> None:
            self.options = options

        def __enter__(self) -> "Here":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def results(self, tasks: Iterator[Any]) -> Iterator[Any]:
            for task in tasks:
                yield task.result if isinstance(task, Ready) else next(work(self.options, 1, iter([task])))

    monkeypatch.setattr(engines, "workers_for", Here)
