"""What phones and browsers record: read through PyAV, or else by an ffmpeg, or named with what to install."""

import io
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from laennec.audio.folder import audio_files
from laennec.audio.recording import Recording
from laennec.errors import LaennecError

RATE = 16_000
KINDS = {  # container, codec, rate, channels, what the message calls it
    "m4a": ("ipod", "aac", RATE, 2, "M4A"),
    "mp4": ("mp4", "aac", RATE, 1, "MP4"),
    "alac": ("ipod", "alac", RATE, 2, "M4A"),
    "aac": ("adts", "aac", RATE, 1, "AAC"),
    "3gp": ("3gp", "libopencore_amrnb", 8_000, 1, "3GP"),
    "amr": ("amr", "libopencore_amrnb", 8_000, 1, "AMR"),
    "webm": ("webm", "libopus", 48_000, 2, "WebM"),
    "mka": ("matroska", "pcm_s16le", RATE, 2, "Matroska"),
    "wma": ("asf", "wmav2", RATE, 2, "WMA"),
}
OTHERS = {  # ending of a file in a folder: container and codec
    "mov": ("mov", "aac"), "avi": ("avi", "pcm_s16le"), "mkv": ("matroska", "flac"), "wv": ("wv", "wavpack"),
    "tta": ("tta", "tta"), "ac3": ("ac3", "ac3"), "eac3": ("eac3", "eac3"),
    "flv": ("flv", "aac"), "mpg": ("mpeg", "mp2"), "rm": ("rm", "ac3"), "adts": ("adts", "aac"),
    "ts": ("mpegts", "aac"), "mts": ("mpegts", "mp2"), "m2ts": ("mpegts", "ac3"),
}  # fmt: skip
HEADERS = {
    "svx": "SVX", "sf": "IRCAM", "ircam": "IRCAM", "paf": "PAF", "pvf": "PVF", "htk": "HTK", "sds": "SDS",
    "avr": "AVR", "wve": "WVE", "amb": "WAVEX", "voc": "VOC", "nist": "NIST", "caf": "CAF", "w64": "W64",
    "wvex": "WAVEX", "rf64": "RF64",
}  # fmt: skip


def tones(rate: int, channels: int, duration_s: float = 2.0) -> np.ndarray:
    times = np.arange(round(duration_s * rate)) / rate
    return np.stack([0.3 / (1 + c) * np.sin(2 * np.pi * (200 + 130 * c) * times) for c in range(channels)])


def written(container: str, codec: str, rate: int, channels: int, duration_s: float = 2.0) -> bytes:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono" if channels == 1 else "stereo")
        stream.bit_rate = 64_000
        sound = np.ascontiguousarray(tones(rate, channels, duration_s), np.float32)
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout=stream.layout.name)
        frame.sample_rate, frame.pts = rate, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("ending", [*HEADERS, *OTHERS])
def test_every_ending_that_can_be_read_is_taken_from_a_folder(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    if ending in HEADERS:
        subtypes = ("PCM_16", "ALAW")
        known = next(each for each in subtypes if soundfile.check_format(HEADERS[ending], each))
        soundfile.write(path, tones(8_000, 1)[0], 8_000, format=HEADERS[ending], subtype=known)
    else:
        path.write_bytes(written(*OTHERS[ending], 48_000, 2))
    (found,) = audio_files(tmp_path).paths
    assert Recording.open(found).duration_s == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("kind", ["m4a", "webm", "wma"])
def test_a_file_of_thirty_bytes_has_no_words_of_a_library(
    kind: str, encoded_before: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(encoded_before[kind][:30])
    with pytest.raises(
        LaennecError, match=r"a: begins as .* but is truncated, damaged or of an unknown coding$"
    ):
        Recording.open(tmp_path / "a")


def without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)


@pytest.fixture(params=["PyAV", "ffmpeg"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "ffmpeg":
        if shutil.which("ffmpeg") is None:
            pytest.skip("no ffmpeg here")
        request.getfixturevalue("encoded_before")  # PyAV writes what ffmpeg reads
        without_pyav(monkeypatch)


@pytest.fixture(scope="module")
def encoded_before() -> dict[str, bytes]:
    return {kind: written(*KINDS[kind][:4]) for kind in KINDS} | {"video": without_sound()}


def without_sound() -> bytes:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for packet in (*stream.encode(av.VideoFrame(32, 32, "yuv420p")), *stream.encode(None)):
            out.mux(packet)
    return buffer.getvalue()


def test_a_video_without_sound_is_not_called_damaged(encoded_before: dict[str, bytes], decoder: None) -> None:
    with pytest.raises(LaennecError, match=r"^visit: has no sound: a video without an audio track$"):
        Recording.open(encoded_before["video"], "visit")


@pytest.mark.parametrize("kind", KINDS)
def test_channels_rate_and_sound_are_those_of_the_file(
    kind: str, encoded_before: dict[str, bytes], decoder: None, tmp_path: Path
) -> None:
    _, _, rate, channels, _ = KINDS[kind]
    path = tmp_path / "visit: -i.wav"  # the content decides
    path.write_bytes(encoded_before[kind])
    recording = Recording.read(path)
    assert (recording.sample_rate, recording.channels) == (rate, channels)
    assert (recording.repairs, recording.warnings) == ((), ())
    assert recording.duration_s == pytest.approx(2.0, abs=0.15)
    middle = recording.samples[:, rate // 2 : rate]
    lines_hz = np.abs(np.fft.rfft(middle)).argmax(1) * 2
    assert list(lines_hz) == [200 + 130 * c for c in range(channels)]
    np.testing.assert_allclose(
        np.ptp(middle, axis=1) / 2, [0.3 / (1 + c) for c in range(channels)], rtol=0.25
    )


@pytest.mark.parametrize("kind", ["m4a", "webm"])
def test_a_stream_and_the_whole_are_the_same(
    kind: str,
    encoded_before: dict[str, bytes],
    decoder: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = encoded_before[kind]
    whole = Recording.read(content).samples
    monkeypatch.setattr("laennec.audio.stream.KEPT_SAMPLES", 1_000)
    opened = Recording.open(content)
    assert not opened.in_memory
    for _ in range(2):
        blocks = list(opened.blocks(block_s=0.3))
        assert {block.shape[1] for block in blocks[:-1]} == {round(0.3 * opened.sample_rate)}
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
    assert [name for name in os.listdir("/tmp") if name.startswith("laennec-media-")] == []


def test_lossless_sound_is_read_bit_by_bit(encoded_before: dict[str, bytes]) -> None:
    for kind in ("alac", "mka"):
        recording = Recording.read(encoded_before[kind])
        assert (recording.step, recording.length) == (2.0**-15, 2 * RATE)
        np.testing.assert_allclose(recording.samples, tones(RATE, 2), atol=2.0**-14)


@pytest.mark.parametrize("kind", ["mp4", "webm", "wma", "aac"])
def test_a_file_cut_short_is_read_as_far_as_it_goes(
    kind: str, encoded_before: dict[str, bytes], decoder: None
) -> None:
    content = encoded_before[kind]
    if kind == "mp4":  # whose table of contents stands at the end
        with pytest.raises(LaennecError, match=r"begins as MP4 .* truncated, damaged"):
            Recording.open(content[: len(content) // 2])
        return
    recording = Recording.open(content[: round(0.6 * len(content))])
    assert [finding.kind for finding in recording.warnings] == ["truncated"]
    assert 0.8 < recording.duration_s < 1.5


@pytest.mark.parametrize("kind", ["m4a", "mka", "wma"])
def test_what_follows_the_audio_is_named(kind: str, encoded_before: dict[str, bytes]) -> None:
    recording = Recording.open(encoded_before[kind] + b"\x01junk!" * 4_000)
    assert recording.duration_s == pytest.approx(2.0, abs=0.15)
    assert recording.warnings[-1].message == "24,000 bytes after the audio are not part of it: not read"


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_decoder_the_format_is_named_with_what_to_do(
    kind: str, encoded_before: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pyav(monkeypatch)
    monkeypatch.setenv("PATH", "")
    remedy = r'pip install "laennec\[media\]", or install ffmpeg, or convert the file to WAV'
    with pytest.raises(LaennecError, match=f"visit: is {KINDS[kind][-1]}.*{remedy}"):
        Recording.open(encoded_before[kind], name="visit")


@pytest.mark.parametrize("kind", ["m4a", "aac", "webm", "wma"])
def test_damage_raises_nothing_but_our_error(kind: str, encoded_before: dict[str, bytes]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        content = bytearray(encoded_before[kind][: rng.integers(20, len(encoded_before[kind]))])
        for _ in range(rng.integers(1, 20)):
            content[rng.integers(len(content))] = rng.integers(256)
        with suppress(LaennecError):
            Recording.open(bytes(content))


def test_a_list_of_addresses_is_not_followed(decoder: None) -> None:
    lists = ("#EXTM3U\nhttp://127.0.0.1:9/a.m4a\n", "ffconcat version 1.0\nfile /etc/passwd\n")
    for text in (*lists, "Set free at last\n"):
        with pytest.raises(LaennecError, match="not audio"):
            Recording.open(text.encode())
