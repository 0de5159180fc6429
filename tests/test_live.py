"""`laennec live`: kept from the first second on, told as it comes, analysed as a whole at the end."""

import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from laennec import LaennecError, Recording, analyze
from laennec.audio.capture import FLOOR_DB, Capture, PipedSound, levels_db
from laennec.cli import main
from laennec.output.formats import to_json
from laennec.simulate import demo_recordings
from waiting import WAIT_S, until

RATE = 8_000
REASON = "signals of another kind"


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    samples = demo_recordings()["wheezes"].samples[: 6 * RATE]
    return np.round(samples / np.abs(samples).max() * 0.5 * 2**15).astype(np.int16)


def wav(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    target = io.BytesIO()
    soundfile.write(target, samples, rate, subtype, format="WAV")
    return target.getvalue()


def endless(content: bytes) -> bytes:
    """As a program writes WAV into a pipe: the header is written before the length is known."""
    at = content.index(b"data") + 4
    return content[:4] + b"\xff" * 4 + content[8:at] + b"\xff" * 4 + content[at + 4 :]


class Pipe(io.BytesIO):
    """Hands over a few bytes at a time, as a pipe does."""

    def read1(self, size: int | None = -1) -> bytes:
        return super().read1(min(size or 0, 777))


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch, content: bytes = b"") -> int:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pipe(content), isatty=lambda: False))
    with pytest.raises(SystemExit) as ended:
        main(["live", *arguments])
    return int(ended.value.code or 0)


# --- what is kept -------------------------------------------------------------------------------------------


def test_a_growing_file_is_a_recording_at_any_time(tmp_path: Path, sound: np.ndarray) -> None:
    capture = Capture(tmp_path / "a.flac", RATE)
    samples = (sound / np.float32(2**15))[None]
    for first in range(0, sound.size, 1_000):
        capture.add(samples[:, first : first + 1_000])
    begun = Recording.open(tmp_path / "a.flac")
    assert sound.size / RATE - 0.52 <= begun.duration_s <= sound.size / RATE
    assert begun.warnings == ()
    capture.close()
    capture.close()
    assert capture.add(samples).size == 0
    np.testing.assert_array_equal(Recording.open(tmp_path / "a.flac").samples, samples)
    with pytest.raises(LaennecError, match="cannot be written"):
        Capture(tmp_path / "a.flac", RATE)


def test_what_is_no_sample_does_not_turn_over(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "a.flac", RATE)
    kept = capture.add(np.array([[1.0, 3.0, -3.0, np.nan, np.inf, 0.5]], np.float32))
    capture.close()
    read, _ = soundfile.read(tmp_path / "a.flac", dtype="float32")
    np.testing.assert_array_equal(read, kept[0])
    assert np.abs(read - [1, 1, -1, 0, 1, 0.5]).max() < 1e-6
    with pytest.raises(LaennecError, match="up to 8"):
        Capture(tmp_path / "b.flac", RATE, 9)


@pytest.mark.skipif(os.name != "posix", reason=REASON)
def test_a_full_disk_is_said_and_what_came_is_kept(tmp_path: Path, sound: np.ndarray) -> None:
    import resource

    capture = Capture(tmp_path / "a.flac", RATE)
    samples = (sound / np.float32(2**15))[None]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, before[1]))
    try:
        with pytest.raises(LaennecError, match="is the disk full"):
            deque((capture.add(part) for part in np.split(np.tile(samples, 10), 240, axis=1)), maxlen=0)
        with suppress(LaennecError):
            capture.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept = Recording.open(tmp_path / "a.flac")
    assert kept.length >= 2 * RATE
    np.testing.assert_array_equal(kept.samples[0], samples[0, : kept.length])


def test_levels_are_in_decibels_of_full_scale() -> None:
    sine = np.sin(np.arange(RATE) * 0.1, dtype=np.float64)[None].astype(np.float32)
    assert levels_db(sine) == pytest.approx((-3.01, 0.0), abs=0.02)
    assert (
        levels_db(np.zeros((1, 5), np.float32)) == levels_db(np.zeros((1, 0), np.float32)) == (FLOOR_DB,) * 2
    )


# --- what comes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("is_endless", [False, True])
def test_wav_from_a_pipe_is_what_a_file_of_it_is(sound: np.ndarray, subtype: str, is_endless: bool) -> None:
    content = wav(np.stack([sound, -sound], axis=1) / 2**15, 16_000, subtype)
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    if not is_endless:
        content += b"LIST\x04\x00\x00\x00abcd"  # that is not sound
    piped = PipedSound(Pipe(endless(content) if is_endless else content))
    assert (piped.sample_rate, piped.channels) == (16_000, 2)
    came = np.concatenate(list(piped.blocks()), axis=1).T
    np.testing.assert_array_equal(came[: len(expected)], expected)
    assert len(came) - len(expected) <= 2  # of an endless one, the chunk behind it


def test_raw_samples_need_their_rate(sound: np.ndarray) -> None:
    piped = PipedSound(Pipe(sound.tobytes() + b"x"), RATE)
    np.testing.assert_array_equal(np.concatenate(list(piped.blocks()), axis=1)[0], sound / np.float32(2**15))
    with pytest.raises(LaennecError, match="--rate 8000"):
        PipedSound(Pipe(sound.tobytes()))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (wav(np.zeros(9, np.int16))[:30], "breaks off"),
        (b"RIFF\x00\x00\x00\x00WAVE" + struct.pack("<4sI", b"junk", 2**30), "first MiB"),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00", "cannot be read"),
        (wav(np.zeros(900, np.int16), subtype="IMA_ADPCM"), "PCM or floats"),
        (wav(np.zeros(9, np.int16), 1_000), "sample rate is 1,000 Hz"),
    ],
)
def test_what_is_no_sound_is_said(content: bytes, said: str) -> None:
    with pytest.raises(LaennecError, match=said):
        PipedSound(Pipe(content))
    with pytest.raises(LaennecError, match="leave out --rate"):
        PipedSound(Pipe(wav(np.zeros(9, np.int16))), 44_100)


# --- the command --------------------------------------------------------------------------------------------


def test_sound_from_a_pipe_is_told_kept_and_analysed(
    tmp_path: Path, sound: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        ["-", "--out", str(tmp_path), "--duration", "5", "--age", "4"], monkeypatch, endless(wav(sound))
    )
    told = capsys.readouterr()
    assert code == 0, told.err
    (kept,) = tmp_path.glob("*.flac")
    recording = Recording.open(kept)
    assert recording.duration_s == 5.0
    np.testing.assert_array_equal(recording.samples[0], sound[: 5 * RATE] / np.float32(2**15))
    written = json.loads(kept.with_suffix(".json").read_text())
    assert written == json.loads(json.dumps(to_json(analyze(kept, age_years=4))))
    assert written["events"]
    live, _, analysed = told.out.partition("Recorded 5.0 s")
    assert len(re.findall(r"\d to +\d+\.\d\d s  \w", live)) >= len(written["events"]) // 2
    assert "Research software, not a medical device" in analysed


@pytest.mark.parametrize(
    ("arguments", "content", "code", "said"),
    [
        (["-"], b"", 1, "-: no sound came, standard input is empty"),
        (["-", "--rate", "8000"], b"", 1, "-: no sound came, standard input is empty"),
        (["-"], b"not RIFF and not empty", 1, "--rate 8000"),
        (["-"], endless(wav(np.zeros(0, np.int16))), 1, "no sound came"),
        (["a.wav"], b"", 2, "laennec analyze"),
        (["-", "--device", "2"], b"", 2, "leave out one"),
        (["-", "--duration", "-3"], b"", 2, "above 0"),
        (["-", "--duration", "nan"], b"", 2, "above 0"),
        (["-", "--duration", "inf"], b"", 2, "above 0"),
        (["-", "--sex", "other"], b"", 2, "male"),
        (["-", "--model", "default"], wav(np.zeros(9, np.int16)), 1, "for clips"),
    ],
)
def test_wrong_uses_are_said_and_leave_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    content: bytes,
    code: int,
    said: str,
) -> None:
    (tmp_path / "there").mkdir()
    for out in ("there", "new"):
        assert run([*arguments, "--out", str(tmp_path / out)], monkeypatch, content) == code
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


def begun(folder: Path, content: bytes) -> subprocess.Popen[bytes]:
    """A command that has been handed sound, and waits for more."""
    process = subprocess.Popen(
        [sys.executable, "-m", "laennec", "live", "-", "--out", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(content)
    process.stdin.flush()
    return process


def kept_s(folder: Path) -> float:
    """How long the recording is that grows in a folder."""
    try:
        return sum(Recording.open(path).duration_s for path in folder.glob("*.flac"))
    except LaennecError:  # not a second has come
        return 0.0


@pytest.mark.skipif(os.name != "posix", reason=REASON)
def test_what_is_killed_has_lost_nothing_that_came(tmp_path: Path, sound: np.ndarray) -> None:
    process = begun(tmp_path, endless(wav(sound)))
    until(lambda: sum(path.stat().st_size for path in tmp_path.glob("*.flac")) > 12_000)
    process.kill()
    process.communicate()
    (kept,) = tmp_path.glob("*.flac")
    recording = Recording.open(kept)
    assert recording.warnings == ()
    length = recording.length
    assert length >= 3 * RATE
    np.testing.assert_array_equal(recording.samples[0], sound[:length] / np.float32(2**15))


@pytest.mark.skipif(os.name != "posix", reason=REASON)
def test_ctrl_c_ends_a_recording_as_it_should(tmp_path: Path, sound: np.ndarray) -> None:
    process = begun(tmp_path, endless(wav(sound)))
    assert process.stdout is not None
    lines = iter(process.stdout.readline, b"")
    assert any(b"Wheeze" in line for line in lines)  # told while the pipe is open
    until(lambda: kept_s(tmp_path) >= sound.size / RATE - 0.52)  # what is in the pipe has come
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, out
    (kept,) = tmp_path.glob("*.flac")
    assert Recording.open(kept).length == sound.size
    assert json.loads(kept.with_suffix(".json").read_text())["events"]


# --- a microphone -------------------------------------------------------------------------------------------


class FakeStream:
    """An input that gives its sound at once, then nothing."""

    given: np.ndarray

    def __init__(self, samplerate: int | None, device: int | None, channels: int, dtype: str, callback: Any):
        assert (channels, dtype) == (1, "float32")
        if device == 3:
            raise ValueError("Invalid sample rate")
        self.samplerate, self._callback = float(samplerate or RATE), callback

    def start(self) -> None:
        for block in np.array_split(self.given[:, None], 20):
            self._callback(block, len(block), None, None)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the module imported anew."""
    sys.modules.pop("laennec.audio.microphone", None)
    monkeypatch.delattr("laennec.audio.microphone", raising=False)


@pytest.fixture
def microphone(monkeypatch: pytest.MonkeyPatch, sound: np.ndarray) -> Iterator[Any]:
    FakeStream.given = sound / np.float32(2**15)
    devices = [("HDMI", 0), ("Built-in", 2), ("USB Audio One", 1), ("USB Audio Two", 1)]
    fake = SimpleNamespace(
        query_devices=lambda: [{"name": name, "max_input_channels": count} for name, count in devices],
        InputStream=FakeStream,
        PortAudioError=RuntimeError,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    forget(monkeypatch)
    yield fake
    forget(monkeypatch)


def test_a_microphone_is_recorded(
    tmp_path: Path, microphone: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--devices"], monkeypatch) == 0
    assert capsys.readouterr().out.splitlines() == ["  1 Built-in", "  2 USB Audio One", "  3 USB Audio Two"]
    assert run(["--device", "one", "--duration", "4", "--out", str(tmp_path)], monkeypatch) == 0
    (kept,) = tmp_path.glob("*.flac")
    assert Recording.open(kept).duration_s == 4.0


@pytest.mark.parametrize(
    ("device", "code", "said"),
    [
        ("usb", 2, "several inputs"),
        ("9", 2, "no input"),
        ("HDMI", 2, "no input"),
        ("3", 1, "Invalid sample rate"),
    ],
)
def test_an_input_that_cannot_be_is_said(
    tmp_path: Path,
    microphone: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    device: str,
    code: int,
    said: str,
) -> None:
    assert run(["--device", device, "--out", str(tmp_path)], monkeypatch) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_input_that_is_pulled_out_keeps_what_came(
    tmp_path: Path, microphone: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from laennec.audio import microphone as module

    monkeypatch.setattr(module, "QUIET_S", 0.2)
    assert run(["--out", str(tmp_path)], monkeypatch) == 1
    assert "still connected" in capsys.readouterr().err
    (kept,) = tmp_path.glob("*.flac")
    assert Recording.open(kept).duration_s == 6.0


def test_what_to_install_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    forget(monkeypatch)
    assert run(["--out", str(tmp_path)], monkeypatch) == 1
    assert 'pip install "laennec[live]"' in capsys.readouterr().err
