"""A signal ends the run wherever it arrives, also in Python code that a C library calls."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import soundfile

import laennec
from laennec.audio.source import Input
from laennec.cli import main
from laennec.output.html import wav
from laennec.output.ledger import LEDGER
from laennec.signals import Terminated, deferred, ended_by_signals

CODES = {signal.SIGINT: 1, signal.SIGTERM: 143, signal.SIGHUP: 129}
RATE = 8000


@pytest.fixture(params=CODES, ids=lambda number: number.name)
def sent(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal, with the handler that a program finds at its start."""
    number = signal.Signals(request.param)
    first = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, first)
    yield number
    assert signal.getsignal(number) == first
    signal.signal(number, before)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    samples = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    for name in ("a.wav", "b.flac", "c.wav"):
        soundfile.write(folder / name, samples, RATE)
    return folder


@contextmanager
def in_a_frame(code: str, act: Callable[[], None], wait: int) -> Iterator[None]:
    """Act once inside a function of soundfile of that name, at its call number `wait`."""
    calls = 0

    def trace(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        if event == "call" and frame.f_code.co_name == code and "soundfile" in frame.f_code.co_filename:
            calls += 1
            if calls == wait:
                act()

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
    assert calls >= wait


def interrupted(sounds: Path, out: Path, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["analyze", str(sounds), "--out", str(out), "--format", "json", "--jobs", "1"])
    assert stopped.value.code == code
    assert capsys.readouterr().err == "laennec: interrupted; the same command resumes where it can\n"
    known = json.loads((out / LEDGER).read_text())["files"] if (out / LEDGER).exists() else {}
    assert all("summary" in entry for entry in known.values())
    assert len(known) < 3


@pytest.mark.parametrize("wait", [1, 3, 12])
def test_while_libsndfile_reads(
    sounds: Path,
    tmp_path: Path,
    sent: signal.Signals,
    wait: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    readinto, calls = Input.readinto, 0

    def read(source: Input, buffer: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == wait:
            os.kill(os.getpid(), sent)
        return readinto(source, buffer)

    monkeypatch.setattr(Input, "readinto", read)
    interrupted(sounds, tmp_path / "out", CODES[sent], capsys)


@pytest.mark.parametrize("code", ["vio_read", "vio_seek", "vio_tell", "vio_get_filelen"])
def test_in_the_frames_of_soundfile(
    sounds: Path, tmp_path: Path, sent: signal.Signals, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_a_frame(code, lambda: os.kill(os.getpid(), sent), wait=2):
        interrupted(sounds, tmp_path / "out", CODES[sent], capsys)


@pytest.mark.parametrize("wait", [1, 4])
def test_a_program_that_uses_the_library_gets_its_own_exception(
    sounds: Path, sent: signal.Signals, wait: int, capfd: pytest.CaptureFixture[str]
) -> None:
    class Ended(BaseException):
        pass

    def end(number: int, frame: object) -> None:
        raise Ended

    wanted: type[BaseException] = KeyboardInterrupt
    before = signal.getsignal(sent)
    if sent != signal.SIGINT:
        signal.signal(sent, end)
        wanted = Ended
    with in_a_frame("vio_read", lambda: os.kill(os.getpid(), sent), wait), pytest.raises(wanted):
        laennec.analyze(sounds / "a.wav")
    signal.signal(sent, before)
    assert capfd.readouterr().err == ""


def test_while_libsndfile_writes(capfd: pytest.CaptureFixture[str]) -> None:
    samples = np.zeros(RATE, np.float32)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with (
        in_a_frame("vio_write", lambda: os.kill(os.getpid(), signal.SIGINT), 1),
        pytest.raises(KeyboardInterrupt),
    ):
        wav(samples, RATE, RATE)
    signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == ""


@pytest.mark.needs("av")
def test_while_ffmpeg_reads(
    tmp_path: Path, sent: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import av

    path = tmp_path / "sounds" / "a.m4a"
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        noise = (0.1 * np.random.default_rng(0).standard_normal((1, 1024))).astype(np.float32)
        for number in range(40):
            frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    read, calls = Input.read, 0

    def kills(source: Input, count: int) -> bytes:
        nonlocal calls
        calls += sys._getframe(1).f_code.co_name != "peek" and count > 1000
        if calls == 1:
            calls += 1
            os.kill(os.getpid(), sent)
        return read(source, count)

    monkeypatch.setattr(Input, "read", kills)
    interrupted(path.parent, tmp_path / "out", CODES[sent], capsys)


@pytest.mark.parametrize("starts_slowly", [False, True])
def test_where_python_drops_the_exception(
    sent: signal.Signals,
    starts_slowly: bool,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Finalisers, callbacks of weak references and of C libraries: nobody there hears an exception.

    Nor where a busy machine lets the thread that raises it anew start slowly.
    """
    start = threading.Timer.start

    def slow(timer: threading.Timer) -> None:
        start(timer)
        for _ in range(30):
            time.sleep(0.01)

    if starts_slowly:
        monkeypatch.setattr(threading.Timer, "start", slow)

    class Finalised:
        def __del__(self) -> None:
            os.kill(os.getpid(), sent)
            time.sleep(0)

    def works() -> None:
        Finalised()
        for _ in range(500):
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt) as raised, ended_by_signals():
        works()
    assert isinstance(raised.value, Terminated) == (sent != signal.SIGINT)
    assert capfd.readouterr().err == ""


def test_what_waited_is_told_in_its_order_and_an_error_of_the_block_stays() -> None:
    told: list[int] = []
    numbers = (signal.SIGUSR1, signal.SIGUSR2)

    def fails() -> None:
        for number in reversed(numbers):
            os.kill(os.getpid(), number)
        assert told == []
        raise ValueError("own")

    before = [signal.signal(number, lambda number, _: told.append(number)) for number in numbers]
    try:
        with pytest.raises(ValueError, match="own"), deferred(), deferred():
            fails()
        assert told == [*reversed(numbers)]
        os.kill(os.getpid(), numbers[0])
        assert told[2:] == [numbers[0]]
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
