"""Decoded sound, tiles of the spectrogram, waveform: what the viewer asks the server for."""

import io
import math
import os
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient
from web_client import web_client

from laennec.errors import LaennecError
from laennec.output.tiles import COLUMN_S, RANGE_DB, ROWS, WINDOWS_MS, Pyramid
from laennec.web import sounds
from laennec.web.sounds import Sounds


def tone(hz: float, duration_s: float, rate: int, amplitude: float = 0.5) -> npt.NDArray[np.float32]:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(duration_s * rate)) / rate)).astype(
        np.float32
    )


@pytest.mark.parametrize("window_ms", WINDOWS_MS)
@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000])
def test_a_tone_lies_in_its_row_on_every_level(rate: int, window_ms: int) -> None:
    x = tone(437.5, 9.0, rate)
    pyramid = Pyramid(x.size, rate, window_ms)
    reference_db = pyramid.reference_db(x)
    assert reference_db == pytest.approx(20 * math.log10(0.5), abs=1.5)  # re a full-scale sine
    for level in range(pyramid.levels):
        tile = pyramid.tile(x, level, 0, reference_db)
        assert tile.shape == (512, 256)
        used = round(min(256, 9.0 / (COLUMN_S * 2**level)) * 0.8)
        rows = ROWS - 1 - tile[:, 40:used].argmax(axis=0) if used > 41 else np.array([])
        assert np.abs(rows * pyramid.top_hz / ROWS - 437.5).max(initial=0) <= 1000 / window_ms
        assert tile[:, 40:used].max(initial=255) >= 250


def test_a_tile_is_what_scipy_computes() -> None:
    signal = pytest.importorskip("scipy.signal")
    rate = 16_000
    x = np.random.default_rng(1).standard_normal(3 * rate).astype(np.float32) * 0.1
    pyramid = Pyramid(x.size, rate, 128)
    tile = pyramid.tile(x, 0, 1, -20.0).astype(float)[::-1] / 255 * RANGE_DB - 20 - RANGE_DB
    window = np.hanning(2048 + 2)[1:-1]
    padded = np.pad(x.astype(float), 1025)
    hop = round(COLUMN_S * rate)
    first = 256 * hop + hop // 2  # the centre of the tile's first column
    _, _, z = signal.stft(
        padded[first:], rate, window, 2048, 2048 - hop, boundary=None, padded=False, scaling="spectrum"
    )
    expected = 20 * np.log10(2 * np.abs(z[:ROWS, :256]))
    assert np.abs(tile - np.clip(expected, -120, -20)).max() <= 0.2 + 1e-3  # half a step of grey


def test_levels_meet_and_neighbours_meet(tmp_path: Path) -> None:
    rate = 8000
    x = np.concatenate([tone(300, 20, rate, 0.01), tone(900, 20, rate, 0.5)])
    pyramid = Pyramid(x.size, rate, 32)
    top = pyramid.levels - 1
    assert pyramid.tiles(top) == 1
    assert pyramid.tiles(0) == math.ceil(40 / 1.024)
    whole = pyramid.tile(x, top, 0, -6.0)
    row = ROWS - 1 - round(900 / pyramid.top_hz * ROWS)
    change = np.flatnonzero(np.diff((whole[row] > 200).astype(int)) == 1)
    assert abs((change[0] + 1) * COLUMN_S * 2**top - 20.0) <= COLUMN_S * 2**top
    with pytest.raises(LaennecError, match="no tile 1 on level"):
        pyramid.tile(x, top, 1, -6.0)
    with pytest.raises(LaennecError, match="no level"):
        pyramid.tiles(top + 1)
    with pytest.raises(LaennecError, match="use one of 8, 16, 32, 64, 128 ms"):
        Pyramid(x.size, rate, 33)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels, one 40 dB quieter, 44.1 kHz, long enough that the extremes are used."""
    path = tmp_path_factory.mktemp("sounds") / "two.flac"
    loud = np.random.default_rng(0).uniform(-0.5, 0.5, 44_100 * 30)
    loud[44_100 * 20] = 0.8
    soundfile.write(path, np.stack([loud, loud / 100], axis=1), 44_100)
    return path


def test_sound_is_decoded_once_and_whole(
    tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def run(path: str, folder: str) -> None:
        made.append(folder)
        sounds.prepare(path, folder)

    cache = Sounds(tmp_path / "cache", run)
    sound = cache.of(recording)
    assert (sound.rate, sound.channels, sound.length) == (16_000, 2, 480_000)
    assert sound.gains_db[1] - sound.gains_db[0] == pytest.approx(40, abs=0.1)
    for channel in (0, 1):
        with wave.open(str(sound.wav(channel))) as file:
            assert (file.getframerate(), file.getnframes(), file.getsampwidth()) == (16_000, 480_000, 2)
        peak = np.abs(sound.samples(channel).astype(int)).max() / 2**15
        assert 0.5 < peak <= 10 ** (-3 / 20) * 1.12  # resampling moves the one sample that was loudest
    Sounds(tmp_path / "cache", run).of(recording)
    assert len(made) == 1
    os.utime(recording, ns=(1, 1))
    assert cache.of(recording).folder != sound.folder
    assert len(made) == 2

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sounds, "_write_extremes", full)
    os.utime(recording, ns=(2, 2))
    with pytest.raises(LaennecError, match=r"cannot be kept \(No space left on device"):
        cache.of(recording)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.endswith(".tmp")]


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], tone(100 * (number + 1), 1.0, 8000), 8000)
    cache = Sounds(tmp_path / "cache", most_bytes=40_000)  # two of them
    first, second = cache.of(paths[0]).folder, cache.of(paths[1]).folder
    os.utime(first, (1, 1))
    os.utime(second, (2, 2))
    dead = tmp_path / "cache" / ".abc.999999999.tmp"
    dead.mkdir()
    third = cache.of(paths[2]).folder
    assert set((tmp_path / "cache").iterdir()) == {second, third}
    assert cache.of(paths[0]).folder.is_dir()  # decoded again


def test_the_waveform_has_every_extreme(tmp_path: Path, recording: Path) -> None:
    sound = Sounds(tmp_path).of(recording)
    samples = sound.samples(0).astype(float) * 127 / 2**15
    for start_s, end_s, columns in ((0.0, 30.0, 100), (19.9, 20.1, 64), (29.99, 31.0, 500), (0.0, 30.0, 1)):
        pairs = np.frombuffer(sound.waveform(0, start_s, end_s, columns), np.int8).reshape(-1, 2)
        assert len(pairs) == columns
        part = samples[int(start_s * 16_000) : int(min(end_s, 30) * 16_000)]
        assert pairs[:, 0].min() == pytest.approx(part.min(), abs=6)
        assert pairs[:, 1].max() == pytest.approx(part.max(), abs=0.51)
    with pytest.raises(LaennecError, match="a start before its end"):
        sound.waveform(0, 31.0, 40.0, 10)


@pytest.fixture
def client(tmp_path: Path, recording: Path) -> Iterator[TestClient]:
    (tmp_path / "two.flac").write_bytes(recording.read_bytes())
    with web_client(tmp_path) as client:
        yield client


def test_tiles_are_kept_by_browsers(client: TestClient) -> None:
    facts = client.get("/api/v1/recordings/1/spectrogram?window_ms=16").json()
    assert (facts["top_hz"], facts["columns"], facts["rows"], facts["duration_s"]) == (4000, 256, 512, 30)
    address = (
        f"/api/v1/recordings/1/tiles/{facts['levels'] - 1}/0.png?window_ms=16&version={facts['version']}"
    )
    found = client.get(address)
    assert found.headers["content-type"] == "image/png"
    assert "immutable" in found.headers["cache-control"]
    assert found.content.startswith(b"\x89PNG")
    again = client.get(address, headers={"If-None-Match": found.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "no-cache" in client.get(address.replace("version=", "version=x")).headers["cache-control"]
    for wrong in ("tiles/0/99.png", "tiles/99/0.png", "tiles/0/-1.png", "tiles/0/0.png?channel=2"):
        assert client.get(f"/api/v1/recordings/1/{wrong}").status_code == 404
    assert client.get("/api/v1/recordings/2/spectrogram").status_code == 404
    assert "use one of" in client.get("/api/v1/recordings/1/spectrogram?window_ms=33").json()["error"]


def test_sound_comes_in_ranges(client: TestClient) -> None:
    address = "/api/v1/recordings/1/sound/0.wav"
    whole = client.get(address)
    samples, rate = soundfile.read(io.BytesIO(whole.content), dtype="int16")
    assert (rate, len(samples), whole.headers["accept-ranges"]) == (16_000, 480_000, "bytes")
    for asked, expected in (
        ("bytes=0-", whole.content),
        ("bytes=44-143", whole.content[44:144]),
        ("bytes=-100", whole.content[-100:]),
        ("bytes=960000-99999999", whole.content[960_000:]),
    ):
        part = client.get(address, headers={"Range": asked})
        assert (part.status_code, part.content) == (206, expected)
    assert client.get(address, headers={"Range": "bytes=99999999-"}).status_code == 416
    head = client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(whole.content)
    assert client.get("/api/v1/recordings/1/sound/7.wav").status_code == 404


def test_waveforms_are_asked_for_by_part(client: TestClient) -> None:
    address = "/api/v1/recordings/1/waveform"
    assert len(client.get(f"{address}?start_s=1&end_s=2&columns=300").content) == 600
    assert client.get(f"{address}?start_s=2&end_s=1").status_code == 422
    assert client.get(f"{address}?start_s=nan&end_s=1").status_code == 422
