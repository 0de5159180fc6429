"""Reading recordings: every format, every defect, and nothing but LaennecError for the rest."""

import ctypes
import errno
import inspect
import io
import os
import pickle
import re
import struct
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from laennec import analyze
from laennec.audio import quality, stream
from laennec.audio.quality import Clipping, silent_share
from laennec.audio.recording import Recording
from laennec.audio.samples import resample
from laennec.audio.source import locate
from laennec.errors import LaennecError
from laennec.simulate import simulate_recording

RATE = 8_000
TAGS = {"pcm": 1, "float": 3}


def breath(samples: int = 4_000, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Quiet noise under a 200 Hz wheeze, (channels, samples), nowhere flat."""
    rng = np.random.default_rng(seed)
    wheeze = 0.3 * np.sin(2 * np.pi * 200 / RATE * np.arange(samples))
    return (wheeze + 0.02 * rng.standard_normal((channels, samples))).astype(np.float32)


def encoded(x: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str | None = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, x.T, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def wav(
    data: bytes | None = None,
    *,
    tag: int = 1,
    channels: int = 1,
    rate: int = RATE,
    byte_rate: int | None = None,
    block: int = 2,
    bits: int = 16,
    data_size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
    order: str = "<",
) -> bytes:
    """A WAV file of which every header field can lie."""
    data = pcm16() if data is None else data
    layout = struct.pack(
        order + "HHIIHH", tag, channels, rate, rate * 2 if byte_rate is None else byte_rate, block, bits
    )
    size = struct.pack(order + "I", len(data) if data_size is None else data_size)
    body = b"WAVEfmt " + struct.pack(order + "I", 16) + layout + before + b"data" + size + data + after
    return (b"RIFF" if order == "<" else b"RIFX") + struct.pack(order + "I", len(body)) + body


def pcm16() -> bytes:
    return (breath()[0] * 32767).astype("<i2").tobytes()


def kinds(recording: Recording) -> list[str]:
    return [finding.kind for finding in recording.warnings]


def clipped_share(samples: np.ndarray, block_length: int = 2**16) -> float:
    top, bottom = Clipping(1), Clipping(-1)
    blocks = [samples[start : start + block_length] for start in range(0, samples.size, block_length)]
    for block in blocks:
        top.add(block, float(block.max()))
        bottom.add(block, -float(block.min()))
    for side in (top, bottom):
        for block in blocks if side.suspect else ():
            side.count(block)
    return (top.clipped + bottom.clipped) / samples.size


# --- formats -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype", "error"),
    [
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 2**-24),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAV", "ULAW", 0.02),
        ("WAVEX", "PCM_24", 2**-23),
        ("RF64", "PCM_16", 2**-15),
        ("W64", "PCM_16", 2**-15),
        ("AIFF", "PCM_16", 2**-15),
        ("AU", "PCM_16", 2**-15),
        ("CAF", "PCM_16", 2**-15),
        ("FLAC", "PCM_S8", 2**-7),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
        ("OGG", "VORBIS", 0.1),
        ("OGG", "OPUS", 0.1),
        ("MP3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_every_format_gives_its_samples_and_nothing_to_complain_of(
    kind: str, subtype: str, error: float
) -> None:
    x = breath(channels=2)
    recording = Recording.read(encoded(x, kind=kind, subtype=subtype))
    assert recording.samples.dtype == np.float32
    assert recording.samples.flags["C_CONTIGUOUS"]
    assert recording.sample_rate == RATE
    assert recording.channels == 2
    assert recording.duration_s == pytest.approx(0.5)
    np.testing.assert_allclose(recording.samples, x, rtol=0, atol=error)
    assert recording.repairs == ()
    assert recording.warnings == ()


@pytest.mark.parametrize("channels", [1, 2, 3, 7, 16, 33, 64])
def test_channels_stay_in_order(channels: int) -> None:
    x = breath(2_000, channels)
    recording = Recording.read(encoded(x, subtype="FLOAT"))
    np.testing.assert_array_equal(recording.samples, x)


@pytest.mark.parametrize("rate", [4_000, 8_000, 10_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_sample_rates(rate: int, kind: str) -> None:
    recording = Recording.read(encoded(breath(30_000), rate, kind))
    assert recording.sample_rate == rate
    assert recording.duration_s == pytest.approx(30_000 / rate)


def test_long_files_are_read_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = breath(10_000, 2)
    whole = {
        k: Recording.read(encoded(x, kind=k, subtype=None)).samples for k in ("WAV", "FLAC", "OGG", "MP3")
    }
    monkeypatch.setattr(stream, "BLOCK_LENGTH", 777)
    monkeypatch.setattr(quality, "BLOCK_LENGTH", 777)
    monkeypatch.setattr(stream, "_SAMPLES_A_BYTE", 0)  # the array has to grow, too
    for kind, samples in whole.items():
        np.testing.assert_array_equal(
            Recording.read(encoded(x, kind=kind, subtype=None)).samples, samples, err_msg=kind
        )


def test_path_bytes_and_open_file_are_equal(tmp_path: Path) -> None:
    data = encoded(breath(channels=2), kind="FLAC")
    path = tmp_path / "65039232_6.4_1_p1_373.flac"
    path.write_bytes(data)
    with open(path, "rb") as stream:
        sources = [str(path), path, data, bytearray(data), memoryview(data), io.BytesIO(data), stream]
        recordings = [Recording.read(source) for source in sources]
    for recording in recordings:
        np.testing.assert_array_equal(recording.samples, recordings[0].samples)
        assert recording.sample_rate == RATE
    assert [r.name for r in recordings[:3]] == [path.name, path.name, "recording"]
    assert Recording.read(data, name="upload.flac").name == "upload.flac"


@pytest.mark.parametrize("name", ["a.raw", "a.gsm", "a.txt", "a", "a.MP3", "ä ö.wav"])
def test_the_content_decides_not_the_file_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(breath()))
    assert Recording.read(path).duration_s == 0.5
    path.write_bytes(b"Dear doctor, this is a letter.\n" * 40)
    with pytest.raises(LaennecError, match="not audio"):
        Recording.read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read_as_the_file_is(tmp_path: Path) -> None:
    import threading

    pipe, content = tmp_path / "pipe", encoded(breath(), kind="FLAC")
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    recording = Recording.open(pipe)
    writer.join()
    np.testing.assert_array_equal(recording.samples, Recording.open(content).samples)
    assert recording.name == "pipe"


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = encoded(breath())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    recording = Recording.open("-")
    assert (recording.name, recording.path, recording.length) == ("stdin", None, 4_000)
    with pytest.raises(LaennecError, match="stdin: empty"):
        Recording.open("-")
    (tmp_path / "-").write_bytes(content)
    assert Recording.open(tmp_path / "-").name == "-"
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(LaennecError, match="no standard input"):
        Recording.open("-")


def test_a_file_whose_reading_fails_is_no_output_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "a.wav").write_bytes(encoded(breath()))
    monkeypatch.setattr("laennec.audio.source.Input.__init__", broken)
    with pytest.raises(LaennecError, match=r"a\.wav: cannot be read: Input/output error"):
        Recording.open(tmp_path / "a.wav")


def test_a_pipe_that_never_ends_and_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    monkeypatch.setattr("laennec.audio.source.MAX_PIPE_BYTES", 2**22)
    with pytest.raises(LaennecError, match=r"longer than .* GiB, the most that is read from a pipe; save it"):
        Recording.open(Endless())  # type: ignore[arg-type]
    if os.path.exists("/dev/zero"):
        with pytest.raises(LaennecError, match="/dev/zero: is a device, not a recording"):
            Recording.open("/dev/zero")


# --- what cannot be read ----------------------------------------------------------------------------------


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    for source, message in [
        (tmp_path / "none.wav", r"none\.wav: no such file"),
        (tmp_path, "is a folder"),
        ("", "no such file"),
        ("a\0b.wav", "not a file name"),
        ("x" * 5_000, "cannot be opened"),
    ]:
        with pytest.raises(LaennecError, match=message):
            Recording.read(source)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_forbidden_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    path.write_bytes(encoded(breath()))
    path.chmod(0)
    with pytest.raises(LaennecError, match="Permission denied"):
        Recording.read(path)


def test_sources_that_are_none() -> None:
    with pytest.raises(LaennecError, match="open binary file, got int"):
        Recording.read(3)  # type: ignore[arg-type]
    with pytest.raises(LaennecError, match="got one opened for text"):
        Recording.read(io.StringIO("RIFF"))  # type: ignore[arg-type]
    closed = io.BytesIO(b"RIFF")
    closed.close()
    with pytest.raises(LaennecError, match="cannot be read: I/O operation on closed file"):
        Recording.read(closed)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty, the file has 0 bytes"),
        (b"\0" * 5_000, "not audio"),
        (b"%PDF-1.7\n" * 100, "not audio"),
        (wav()[:20], "begins as WAV but is truncated, damaged"),
        (wav()[:40], "begins as WAV but is truncated, damaged"),
        (wav()[:44], r"empty, it holds no samples \(truncated: the header promises 8,000 bytes"),
        (wav(b""), "empty, it holds no samples$"),
        (wav(b"", after=b"LIST\x04\0\0\0INFO"), "empty, it holds no samples$"),
        (wav(channels=0), "begins as WAV"),
        (wav(rate=0), "begins as WAV"),
        (wav(bits=0), "begins as WAV"),
        (wav(tag=0x7777), "begins as WAV"),
        (wav(rate=3_999), "sample rate is 3,999 Hz; 4,000 to 192,000 Hz"),
        (wav(rate=192_001), "sample rate is 192,001 Hz"),
        (wav(channels=65, block=130), "65 channels; up to 64"),
        (encoded(breath(), kind="FLAC")[:30], "begins as FLAC but is truncated"),
        (encoded(breath(), kind="OGG", subtype="VORBIS")[:100], "begins as Ogg but is truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # the name of a test holds no bytes of a file
)
def test_what_cannot_be_read_is_named(data: bytes, message: str) -> None:
    with pytest.raises(LaennecError, match=f"^case: .*{message}"):
        Recording.read(data, name="case")


def test_a_failing_disk_is_named() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 5_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    for data in (encoded(breath(40_000)), wav(10 * pcm16(), data_size=0)):
        with pytest.raises(LaennecError, match="cannot be read: Input/output error"):
            list(stream.Decoder(Failing(data), "disk").blocks(8_000))


def test_too_much_sound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_SAMPLES", 7_999)
    with pytest.raises(LaennecError, match="longer than 7,999 samples"):
        Recording.read(encoded(breath(4_000, 2)))


# --- malformed WAV headers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "repair"),
    [
        ({"block": 4}, r"RIFF header says block align 4; 16 bit × 1 channel make 2"),
        ({"block": 4, "byte_rate": 4 * RATE}, r"says block align 4;"),
        ({"block": 0}, r"says block align 0;"),
        ({"byte_rate": 0}, r"says 0 bytes per second; 8000 Hz × 2 bytes make 16000"),
        ({"data_size": 0}, r"says 0x0 bytes of audio, as streams do: read to the end"),
        ({"data_size": 0xFFFFFFFF}, r"says 0xffffffff bytes of audio"),
        ({"data_size": 0x7FFFF000}, r"says 0x7ffff000 bytes of audio"),
        (
            {"before": b"LIST\x05\0\0\0INFO1"},
            r"the RIFF structure is broken .*: samples read from byte 57 on",
        ),
    ],
)
def test_a_malformed_header_gives_the_samples_of_a_good_one(fields: dict, repair: str) -> None:
    good = Recording.read(wav())
    mended = Recording.read(wav(**fields))
    assert good.repairs == ()
    np.testing.assert_array_equal(mended.samples, good.samples)
    assert mended.sample_rate == good.sample_rate
    assert mended.warnings == ()
    assert any(re.search(repair, line) for line in mended.repairs), mended.repairs


def test_a_stream_of_size_zero_in_every_plain_coding() -> None:
    for kind, bits, dtype, scale in [
        ("pcm", 8, "u1", 127),
        ("pcm", 16, "<i2", 2**15 - 1),
        ("pcm", 32, "<i4", 2**31 - 1000),
        ("float", 32, "<f4", 1),
        ("float", 64, "<f8", 1),
    ]:
        values = breath()[0].astype("f8") * scale + (128 if bits == 8 else 0)
        data = values.astype(dtype).tobytes()
        fields = {"tag": TAGS[kind], "bits": bits, "block": bits // 8, "byte_rate": RATE * bits // 8}
        good, streamed = (Recording.read(wav(data, **fields, data_size=size)) for size in (None, 0))
        assert good.repairs == ()
        np.testing.assert_array_equal(streamed.samples, good.samples)
        assert len(streamed.repairs) == 1


def test_big_endian_wav() -> None:
    data = np.frombuffer(pcm16(), "<i2").astype(">i2").tobytes()
    for size in (None, 0):
        recording = Recording.read(wav(data, order=">", data_size=size))
        np.testing.assert_array_equal(recording.samples, Recording.read(wav()).samples)


def test_a_half_sample_at_the_end_is_recorded() -> None:
    recording = Recording.read(wav(pcm16() + b"\1"))
    assert recording.samples.shape == (1, 4_000)
    assert recording.repairs == ("1 byte at the end of the audio make no whole sample of 2: left out",)


def test_bytes_that_belong_to_no_chunk_are_named() -> None:
    recording = Recording.read(wav(data_size=4_000))
    assert recording.samples.shape == (1, 2_000)
    assert recording.warnings[0].kind == "unread"
    assert "4,000 bytes after the audio" in recording.warnings[0].message
    assert Recording.read(wav(after=b"LIST\x04\0\0\0INFO")).warnings == ()
    assert Recording.read(wav(after=bytes(100))).warnings == ()


# --- truncation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        *[(kind, "PCM_16") for kind in ("WAV", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "VOC", "FLAC")],
        *[("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")],
    ],
)
def test_what_follows_the_audio_is_not_read_and_named(kind: str, subtype: str) -> None:
    """Such as a second recording, where two files were laid end to end."""
    alone = encoded(breath(60_000), kind=kind, subtype=subtype)
    good = Recording.read(alone)
    for more in (alone, b"\x01junk!" * 4_000):
        recording = Recording.read(alone + more)
        np.testing.assert_array_equal(recording.samples, good.samples)
        assert kinds(recording) == ["unread"]
        count = int(recording.warnings[0].message.split(" bytes")[0].replace(",", ""))
        assert count == pytest.approx(len(more), abs=8_192)
    for padding in (b"\0", bytes(4_000), b"TAG" + bytes(125))[: None if kind == "MP3" else 2]:
        assert kinds(Recording.read(alone + padding)) == []


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("WAV", "IMA_ADPCM"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        pytest.param("CAF", "PCM_24", marks=pytest.mark.needs("av")),  # libsndfile refuses it
        ("NIST", "PCM_16"),
        ("VOC", "PCM_16"),
        ("SDS", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_a_truncated_file_is_read_as_far_as_it_goes(kind: str, subtype: str) -> None:
    whole = encoded(breath(60_000), kind=kind, subtype=subtype)
    good = Recording.read(whole)
    assert good.warnings == ()
    cut = Recording.read(whole[: len(whole) * 6 // 10])
    assert kinds(cut) == ["truncated"]
    assert cut.warnings[0].message.startswith("truncated")
    assert 0.3 < cut.duration_s / good.duration_s < 0.7
    share = cut.warnings[0].share
    assert share is None or share == pytest.approx(0.4, abs=0.1)
    surely = cut.samples.shape[1] - 2_000  # a lossy coder needs what follows for its last samples
    np.testing.assert_array_equal(cut.samples[:, :surely], good.samples[:, :surely])


@pytest.mark.parametrize("byte", [0, 1])
def test_a_damaged_packet_ends_a_midi_sample_dump(byte: int, capfd: pytest.CaptureFixture[str]) -> None:
    """libsndfile prints a line of its own for such a packet, on standard output, and goes on."""
    good = encoded(breath(8_000), kind="SDS")
    for packet in (40, 0):
        damaged = bytearray(good)
        damaged[21 + 127 * packet + byte] = 0x41
        if packet == 0:
            with pytest.raises(LaennecError, match=r"\(SDS\) but is truncated or damaged"):
                Recording.read(bytes(damaged))
            continue
        cut = Recording.read(bytes(damaged))
        assert kinds(cut) == ["truncated"]
        assert cut.samples.shape == (1, 40 * 40)
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr().out == ""


def test_an_ogg_file_that_ends_between_two_pages_is_truncated() -> None:
    whole = encoded(breath(60_000), kind="OGG", subtype="VORBIS")
    last_page = whole.rindex(b"OggS")
    assert kinds(Recording.read(whole[:last_page])) == ["truncated"]
    assert kinds(Recording.read(whole[:-1])) == ["truncated"]


def test_one_byte_short_of_a_flac_file_costs_its_last_block_only() -> None:
    x = breath(40_000)
    cut = Recording.read(encoded(x, kind="FLAC")[:-1])
    assert cut.samples.shape == (1, 36_864)
    assert "decoded 4.608 s of 5.000 s promised" in cut.warnings[0].message
    assert cut.warnings[0].share == pytest.approx(1 - 36_864 / 40_000)


@pytest.mark.parametrize("loud_first", [True, False])
@pytest.mark.parametrize("tag", [b"", b"ID3\x04\0\0\0\0\x01\0" + bytes(128)])
def test_a_variable_bit_rate_mp3_without_frame_count_is_read_whole(loud_first: bool, tag: bytes) -> None:
    x = breath(80_000)
    if "bitrate_mode" not in inspect.signature(soundfile.write).parameters:
        pytest.skip("this version of soundfile writes no variable bit rate")
    x[:, slice(40_000, None) if loud_first else slice(40_000)] *= 0.01
    buffer = io.BytesIO()
    soundfile.write(buffer, x.T, RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    data = buffer.getvalue()
    assert Recording.read(tag + data).samples.shape == (1, 80_000)
    start = data.index(data[:2], 200)  # the frame after the Xing header
    recording = Recording.read(tag + data[start:])
    assert 80_000 <= recording.samples.shape[1] <= 82_304  # with the coder's delay and two frames of padding
    assert recording.warnings == ()


@pytest.mark.parametrize("cut", [1, 100, 3_000])
def test_an_mp3_without_frame_count_is_read_to_its_last_whole_frame(cut: int) -> None:
    data = encoded(breath(80_000), kind="MP3", subtype=None)
    data = data[data.index(data[:2], 200) : -cut]
    recording = Recording.read(data)
    assert kinds(recording) == ["truncated"]
    assert recording.length > 79_000 * len(data) / (len(data) + cut)


def test_a_flac_stream_of_unknown_length() -> None:
    data = bytearray(encoded(breath(40_000), kind="FLAC"))
    data[21] &= 0xF0  # the 36 bits of "total samples" in STREAMINFO (RFC 9639, section 8.2)
    data[22:26] = bytes(4)
    assert Recording.read(bytes(data)).samples.shape == (1, 40_000)


def test_a_flac_header_that_promises_years_of_sound_costs_no_memory() -> None:
    data = bytearray(encoded(breath(40_000), kind="FLAC"))
    data[21] |= 0x0F
    recording = Recording.read(bytes(data))
    assert recording.samples.shape == (1, 40_000)
    assert kinds(recording) == ["truncated"]


def test_a_length_is_the_headers_only_where_the_file_can_hold_it() -> None:
    honest = encoded(breath(40_000), kind="FLAC")
    lying = bytearray(honest)
    lying[21] |= 0x0F
    for content in (honest, bytes(lying)):
        with stream.decoding(locate(content)) as decoder:
            assert decoder.total_length() == 40_000
            assert (decoder.length == 0) == (content is honest)  # decoded to count them, or not


def test_many_channels_come_in_shorter_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("laennec.audio.recording.BLOCK_SAMPLES", 64_000)
    x = breath(4_000, channels=64)
    recording = Recording.from_array(x, RATE)
    blocks = list(recording.blocks())
    assert [block.shape for block in blocks] == [(64, 1_000)] * 4
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), x)


def test_a_signal_of_any_rate_is_read(tmp_path: Path) -> None:
    path = tmp_path / "flow.wav"
    x = breath(500, channels=80)
    soundfile.write(path, x.T, 100, subtype="FLOAT")
    samples, rate = stream.read_signal(path)
    assert rate == 100
    np.testing.assert_array_equal(samples, x)
    with pytest.raises(LaennecError, match="sample rate is 100 Hz"):
        Recording.open(path)


# --- one recording, whatever its length -------------------------------------------------------------------


def long(source: bytes | Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """Open a recording as if it were too long to be kept."""
    with monkeypatch.context() as patch:
        patch.setattr(stream, "KEPT_SAMPLES", 0)
        return Recording.open(source)


def joined(recording: Recording, sample_rate: int | None = None, block_s: float = 10.0) -> np.ndarray:
    return np.concatenate(list(recording.blocks(sample_rate, block_s)), axis=1)


def minute(channels: int = 1) -> np.ndarray:
    return breath(61_500 * RATE // 1_000, channels)


def cut_wav() -> bytes:
    data = encoded(minute())
    return data[: len(data) * 9 // 10]


def with_nan() -> bytes:
    x = minute()
    x[0, 80_000:81_600] = np.nan  # 2 % of any ten seconds, 0.3 % of the whole
    return encoded(x, subtype="FLOAT")


def too_loud() -> bytes:
    x = minute()
    x[:, 160_000:180_000] *= 1.48 / np.abs(x[:, 160_000:180_000]).max()
    return encoded(x, subtype="FLOAT")


def too_loud_and_clipped() -> bytes:
    return encoded(np.clip(8 * minute(2), -1.2, 1.3), subtype="FLOAT")


def stereo(second: np.ndarray | float) -> bytes:
    x = minute(2)
    x[1] = second
    return encoded(x)


FAULTS = {
    "nothing": (lambda: encoded(minute(2)), [], []),
    "cut": (cut_wav, [], ["truncated: the header promises 984,000 bytes of audio, the file holds 885,595"]),
    "unread": (
        lambda: encoded(minute()) + b"\1garbage" * 100,
        [],
        ["800 bytes after the audio belong to no chunk: not read"],
    ),
    "nan": (with_nan, ["1,600 NaN or infinite samples set to zero"], []),
    "loud": (too_loud, ["peak 1.48 is above full scale: all samples divided by it"], []),
    "loud and clipped": (
        too_loud_and_clipped,
        ["peak 1.3 is above full scale: all samples divided by it"],
        [r"channel 0 clipped: \d\d\.\d\d% of samples", r"channel 1 clipped: \d\d\.\d\d% of samples"],
    ),
    "equal": (lambda: stereo(minute(2)[0]), [], []),
    "silent": (lambda: stereo(0.0), [], ["channel 1 silent: 100% of the time"]),
    "quiet": (
        lambda: encoded(minute() / 4_096),
        [],
        [r"quiet: half of it moves by 5 steps of .*"],
    ),
    "clipped": (lambda: encoded(np.clip(4 * minute(), -0.6, 0.6)), [], [r"clipped: \d\d\.\d\d% of samples"]),
    "cut FLAC": (
        lambda: encoded(minute(), kind="FLAC")[:-1_000],
        [],
        [r"truncated or damaged: decoded 60\.928 s of 61\.500 s promised \(.*\)"],
    ),
    "cut Ogg": (
        lambda: encoded(minute(), kind="OGG", subtype="VORBIS")[:-1_000],
        [],
        [r"truncated: the Ogg stream breaks off after \d\d\.\d\d\d s"],
    ),
    "header": (
        lambda: wav(60 * pcm16(), block=4, data_size=0),
        ["RIFF header says block align 4; .*", "RIFF header says 0x0 bytes of audio, .*"],
        [],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_long_recording_is_judged_and_repaired_like_a_short_one(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, repairs, warnings = FAULTS[fault]
    path = tmp_path / "a.wav"
    path.write_bytes(make())
    short, opened = Recording.open(path), long(path, monkeypatch)
    assert (short.in_memory, opened.in_memory) == (True, False)
    for recording in (short, opened):
        assert len(recording.repairs) == len(repairs), recording.repairs
        assert len(recording.warnings) == len(warnings), recording.warnings
        assert all(map(re.fullmatch, repairs, recording.repairs)), recording.repairs
        assert all(map(re.fullmatch, warnings, map(str, recording.warnings))), recording.warnings
        assert recording.twins == ({1: 0} if fault == "equal" else {})
        assert recording.silent_channels == ((1,) if fault == "silent" else ())
    for name in ("repairs", "warnings", "length", "duration_s", "channels", "sample_rate", "name"):
        assert getattr(short, name) == getattr(opened, name)
    for block_s in (10.0, 0.777):
        np.testing.assert_array_equal(joined(opened, block_s=block_s), short.samples)
        np.testing.assert_array_equal(joined(short, block_s=block_s), short.samples)
    for rate in (4_000, 11_025):
        whole = short.resampled(rate).samples
        np.testing.assert_array_equal(joined(opened, rate), whole)
        np.testing.assert_array_equal(joined(short, rate), whole)
    np.testing.assert_array_equal(opened.samples, short.samples)
    assert opened.samples is opened.samples


def test_a_cut_flac_file_is_read_as_far_as_it_can_be_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    x = minute()
    data = encoded(x, kind="FLAC")[:-1_000]
    for recording in (Recording.read(data), long(data, monkeypatch)):
        np.testing.assert_allclose(recording.samples, x[:, : recording.length], atol=2**-15)
        assert 0 < x.shape[1] - recording.length < 2 * 4_096  # FLAC blocks


def test_too_many_non_finite_samples_are_refused_at_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    x = minute(2)
    x[1, 80_000:86_000] = np.inf
    said = "6,000 samples of 984,000 are NaN, infinite or beyond 2**31, up to 1.2% of a channel"
    for opened in (Recording.open, lambda data: long(data, monkeypatch)):
        with pytest.raises(LaennecError, match=re.escape(said)):
            opened(encoded(x, subtype="FLOAT"))


def test_events_of_a_long_recording_are_those_of_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = simulate_recording(np.random.default_rng(1), label="Wheeze").samples
    x = np.tile(sound / np.abs(sound).max(), 2)
    x[10 * RATE : 20 * RATE] *= 1.48 / np.abs(x[10 * RATE : 20 * RATE]).max()
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(np.stack([x, x]), subtype="FLOAT"))
    short = analyze(path)
    monkeypatch.setattr(stream, "KEPT_SAMPLES", 0)
    as_long = analyze(path)
    assert len(short.events) > 4
    assert [replace(e, relevance=None) for e in as_long.events] == [
        replace(e, relevance=None) for e in short.events
    ]
    assert as_long.repairs == short.repairs == ("peak 1.48 is above full scale: all samples divided by it",)
    assert as_long.quality == short.quality
    assert as_long.record == short.record
    assert as_long.notes == short.notes
    assert any("channel 1 is the same as channel 0" in note for note in short.notes)


@pytest.mark.parametrize("block_length", [400, 1_200])
def test_where_blocks_meet_makes_no_difference(block_length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = minute(4)[:, :100_000]
    x[0] = np.clip(20 * x[0], -0.5, 0.6)  # plateaus of many samples, some across blocks
    x[1] = np.clip(x[1] + 0.2, 0.1, 0.3)  # not around zero
    x[2, 30_011:85_000] = 0.1  # silent for a while
    x[3] = np.where(np.arange(100_000) % 1_200 < 1_199, 0.1 + 0.01 * x[3], 0.8)
    whole = Recording.from_array(x, RATE)
    monkeypatch.setattr(quality, "BLOCK_LENGTH", block_length)
    assert Recording.from_array(x, RATE).warnings == whole.warnings
    assert len(whole.warnings) == 3
    assert [long(encoded(x, subtype="FLOAT"), monkeypatch).warnings] == [whole.warnings]


def test_equal_channels_are_found_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    x = breath(RATE * 20, 6)
    x[3], x[5], x[4] = x[1], x[1], x[0]
    x[4, -1] += 0.01  # equal but for the last sample
    for recording in (Recording.from_array(x, RATE), long(encoded(x, subtype="FLOAT"), monkeypatch)):
        assert recording.twins == {3: 1, 5: 1}
        assert recording.channel(5).twins == recording.mono().twins == {}


@pytest.mark.parametrize("change", ["other", "shorter", "gone", "folder"])
def test_a_file_that_changes_after_it_was_opened_is_named(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(minute()))
    recording = long(path, monkeypatch)
    path.unlink()
    if change == "folder":
        path.mkdir()
    elif change != "gone":
        path.write_bytes(encoded(minute()[:, : -1 if change == "shorter" else None] / 2))
    for read in (lambda: list(recording.blocks()), lambda: recording.samples):
        with pytest.raises(LaennecError, match=r"a\.wav: (has changed|no such file|cannot be opened)"):
            read()


def test_a_file_that_is_cut_while_it_is_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(minute()))
    blocks = long(path, monkeypatch).blocks(block_s=1)
    next(blocks)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(LaennecError, match=r"a\.wav: has changed while it was read; read it again"):
        list(blocks)


def test_what_cannot_be_read_twice_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(minute())
    recording = long(io.BytesIO(data), monkeypatch)
    assert not recording.in_memory
    np.testing.assert_array_equal(joined(recording), joined(recording))


def test_hours_of_sound_take_the_memory_of_a_block(tmp_path: Path) -> None:
    path = tmp_path / "hours.wav"
    data_bytes = 2 * 3_600 * 4_000 * 2
    with open(path, "wb") as file:
        file.write(wav(b"", rate=4_000, data_size=data_bytes))
        file.truncate(44 + data_bytes)
    tracemalloc.start()
    recording = Recording.open(path)
    length = sum(block.shape[1] for block in recording.blocks())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * 2**20
    assert length == recording.length == data_bytes // 2 > stream.KEPT_SAMPLES
    assert recording.silent_channels == (0,)
    assert recording.beginning(60).samples.shape == (1, 240_000)


def test_the_beginning_is_in_memory_with_the_facts_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    data = too_loud()
    for recording in (Recording.open(data), long(data, monkeypatch)):
        begun = recording.beginning(5)
        assert begun.in_memory
        np.testing.assert_array_equal(begun.samples, Recording.read(data).samples[:, :40_000])
        assert (begun.repairs, begun.duration_s) == (recording.repairs, 5)
        np.testing.assert_array_equal(recording.beginning(100).samples, recording.samples)
    assert kinds(Recording.read(cut_wav(), first_s=5)) == ["truncated"]
    assert Recording.read(cut_wav(), first_s=5).duration_s == 5


def test_a_recording_is_frozen_and_can_be_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(too_loud())
    for recording in (Recording.open(path), Recording.from_array(breath(), RATE), long(path, monkeypatch)):
        for name in ("samples", "sample_rate", "name", "anything"):
            with pytest.raises(AttributeError):
                setattr(recording, name, 1)
        again = pickle.loads(pickle.dumps(recording))
        np.testing.assert_array_equal(again.samples, recording.samples)
        assert (again.repairs, again.twins) == (recording.repairs, recording.twins)


def test_blocks_too_short_to_be_resampled_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(breath(10), 192_000)
    for recording in (Recording.open(data), long(data, monkeypatch)):
        with pytest.raises(LaennecError, match="10 samples at 192000 Hz leave none at 4000 Hz: too short"):
            list(recording.blocks(4_000))


# --- samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_a_few_samples_that_are_no_numbers_are_set_to_zero(value: float, subtype: str) -> None:
    x = breath()
    x[0, [5, 100]] = value
    recording = Recording.read(encoded(x, subtype=subtype))
    assert recording.repairs == ("2 NaN or infinite samples set to zero",)
    x[0, [5, 100]] = 0
    np.testing.assert_array_equal(recording.samples, x)


def test_many_samples_that_are_no_numbers_are_refused() -> None:
    x = breath(channels=2)
    x[1, :41] = np.nan
    with pytest.raises(
        LaennecError, match=r"41 samples of 8,000 are NaN, infinite .* up to 1\.0% of a channel"
    ):
        Recording.read(encoded(x, subtype="FLOAT"))
    with pytest.raises(LaennecError, match=r"100\.0% of a channel"):
        Recording.from_array(np.full(1_000, np.inf), RATE)


def test_samples_above_full_scale_are_divided_by_the_peak() -> None:
    x = breath(channels=2)
    recording = Recording.read(encoded(x * 32_768, subtype="FLOAT"))
    assert np.abs(recording.samples).max() == 1
    np.testing.assert_allclose(recording.samples, x / np.abs(x).max(), atol=1e-6)
    assert len(recording.repairs) == 1
    assert "is above full scale: all samples divided by it" in recording.repairs[0]


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize(("ceiling", "floor"), [(1.0, -1.0), (0.6, -0.6), (0.5, -1.0), (0.7, -0.9)])
def test_clipping_at_any_level_is_measured(ceiling: float, floor: float, subtype: str) -> None:
    loud = 4 * breath(40_000)
    x = np.clip(loud, floor, ceiling)
    truth = np.mean((loud >= ceiling) | (loud <= floor))
    recording = Recording.read(encoded(x, subtype=subtype))
    assert kinds(recording) == ["clipped"]
    share = recording.warnings[0].share
    assert share is not None
    assert share == pytest.approx(truth, rel=0.2)  # crossings of one or two samples cannot be told from peaks
    assert share <= truth
    assert f"clipped: {share:.2%} of samples" in str(recording.warnings[0])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("hz", [5, 50, 150, 997])
@pytest.mark.parametrize("amplitude", [0.1, 0.7, 1.0])
@pytest.mark.parametrize("rate", [4_000, 44_100])
def test_a_pure_tone_is_not_clipped_however_coarse(bits: int, hz: int, amplitude: float, rate: int) -> None:
    full = 2 ** (bits - 1) - 1
    tone = np.round(amplitude * full * np.sin(2 * np.pi * hz / rate * np.arange(3 * rate))) / (full + 1)
    assert clipped_share(tone) == 0


def test_clipping_of_an_eight_bit_tone_is_found() -> None:
    tone = np.clip(np.round(200 * np.sin(2 * np.pi * 50 / RATE * np.arange(8_000))), -128, 127) / 128
    assert clipped_share(tone) == pytest.approx(2 * np.arccos(127 / 200) / np.pi, abs=0.02)


@pytest.mark.parametrize("block_length", [1, 2, 5, 61, 1_000])
def test_clipping_is_the_same_in_any_blocks(block_length: int) -> None:
    shares = []
    for steps in (8, 20, 100, 10_000):
        x = np.round(steps * np.clip(8 * breath(3_000)[0], -1.5, 1.0)) / 20_000
        shares.append(clipped_share(x))
        assert clipped_share(x, block_length) == shares[-1]
    assert shares[0] == 0 < min(shares[1:])  # plateaus of less than 16 steps prove nothing


def test_what_is_not_clipped() -> None:
    assert clipped_share(np.zeros(100)) == 0
    assert clipped_share(np.ones(1)) == 0
    assert (
        clipped_share(np.concatenate([np.zeros(500), np.abs(breath()[0]) + 0.01])) == 0
    )  # one-sided, padded
    assert clipped_share(breath(80_000)[0]) == 0
    normalised = breath(80_000)[0]
    assert clipped_share(np.round(normalised / np.abs(normalised).max() * 32_767) / 32_768) == 0
    rng = np.random.default_rng(0)
    assert clipped_share(np.round(3 * rng.standard_normal(8_000)) / 32_768) == 0  # a few steps of noise


def test_silence_is_named() -> None:
    for x in (np.zeros((1, 8_000)), np.full((1, 8_000), 0.25)):
        recording = Recording.read(encoded(x))
        assert kinds(recording) == ["silent"]
        assert recording.warnings[0].message == "silent: 100% of the time"
    dither = np.random.default_rng(0).integers(-1, 2, 8_000) / 32_768
    assert silent_share(dither, RATE) == 1
    assert silent_share(breath(8_000)[0] / 1_000, RATE) == 0


@pytest.mark.parametrize(
    ("kind", "subtype", "bits"),
    [
        ("WAV", "PCM_U8", 8),
        ("WAV", "PCM_16", 16),
        ("FLAC", "PCM_24", 24),
        ("WAV", "PCM_32", 32),
        ("WAV", "ULAW", 13),
        ("AU", "ALAW", 12),
        ("CAF", "ALAC_24", 24),
        ("WAV", "IMA_ADPCM", 16),
    ],
)
def test_silence_is_two_steps_of_the_format(kind: str, subtype: str, bits: int) -> None:
    step = 2.0 ** (1 - bits)
    flicker = np.random.default_rng(0).integers(-1, 2, (1, RATE)) * (step if bits != 12 else 2**-12)
    recording = Recording.read(encoded(flicker, kind=kind, subtype=subtype))
    assert recording.step == step
    assert kinds(recording) == ["silent"]
    if bits > 16:
        assert kinds(Recording.read(encoded(breath(RATE) * 2e-5, kind=kind, subtype=subtype))) == []


@pytest.mark.parametrize("peak", [1e-30, 1e-5, 2.5e-5, 0.3, 1.0])
def test_floats_in_any_unit_are_silent_only_where_nothing_changes(peak: float) -> None:
    x = breath(RATE)
    scaled = peak / np.abs(x).max() * x
    recording = Recording.from_array(scaled, RATE)
    assert recording.warnings == ()
    assert recording.peak == pytest.approx(peak)
    assert recording.levels[0] == pytest.approx(0.9 * peak, rel=0.15)
    scaled[:, RATE // 2 :] = scaled[0, 0]
    assert kinds(Recording.from_array(scaled, RATE)) == ["silent"]
    square = np.sign(np.sin(2 * np.pi * 100 / RATE * np.arange(RATE) + 0.1)) * peak
    assert "silent" not in kinds(Recording.from_array(square, RATE))


def test_sixteen_bits_are_known_again_in_floats_and_longer_integers() -> None:
    x = np.round(breath(RATE) * 3_000) / 2**15
    x[:, 3_000:] = np.random.default_rng(0).integers(-1, 2, RATE - 3_000) / 2**15
    for recording in (Recording.from_array(x, RATE), Recording.read(encoded(x, subtype="PCM_24"))):
        assert (recording.step, recording.warnings[0].share) == (2.0**-15, 0.6)
    scaled = Recording.from_array(x / 3_456, RATE)
    assert (scaled.step * 3_456, scaled.warnings[0].share) == (pytest.approx(2.0**-15, rel=0.01), 0.6)
    for subtype in ("PCM_24", "FLOAT"):
        assert kinds(Recording.read(encoded(x[:, 3_000:], subtype=subtype))) == ["silent"]


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_a_quiet_lossy_recording_is_not_silent(kind: str, subtype: str) -> None:
    loud, quiet = (
        Recording.read(encoded(gain * breath(RATE), kind=kind, subtype=subtype)) for gain in (1, 1e-4)
    )
    assert (loud.step, kinds(loud), kinds(quiet)) == (2.0**-15, [], [])


def test_knocks_do_not_move_the_level() -> None:
    x = breath(20 * RATE)
    before = Recording.from_array(x, RATE).levels
    x[:, RATE : 2 * RATE] *= 2.0
    x[:, 5 * RATE : 9 * RATE] = 0
    x[:, 3_000:3_200] = 0.9
    recording = Recording.from_array(x, RATE)
    assert recording.levels == before
    assert recording.channel(0).levels == before
    assert Recording.from_array(np.zeros(RATE), RATE).levels == (0.0,)
    assert (recording.peak, Recording.from_array(4 * x, RATE).peak) == (pytest.approx(0.9), 1.0)


def test_a_sensor_that_fell_off_leaves_a_share_of_silence() -> None:
    x = breath(8_000)
    x[:, 2_000:] = 0
    recording = Recording.from_array(x, RATE)
    assert kinds(recording) == ["silent"]
    assert recording.warnings[0].share == 0.75
    x = np.zeros((1, 8_000))
    x[0, 4_000] = 0.9  # one click
    assert kinds(Recording.from_array(x, RATE)) == ["silent"]


def test_too_short_is_named() -> None:
    assert kinds(Recording.read(encoded(breath(799)))) == ["too_short"]
    assert kinds(Recording.read(encoded(breath(800)))) == []
    one = Recording.read(encoded(breath(1)))
    assert one.warnings[0].message == "too short: 0.000 s, shorter than a wheeze (0.1 s)"


def test_findings_name_their_channel() -> None:
    x = breath(channels=3)
    x[1] = 0
    x[2] = np.clip(4 * x[2], -0.5, 0.5)
    recording = Recording.from_array(x, RATE)
    assert [(f.kind, f.channel) for f in recording.warnings] == [("silent", 1), ("clipped", 2)]
    assert recording.warnings[0].message == "channel 1 silent: 100% of the time"
    assert kinds(recording.channel(0)) == []
    assert kinds(recording.channel(2)) == ["clipped"]
    np.testing.assert_array_equal(recording.channel(2).samples, recording.samples[2:])
    assert kinds(recording.mono()) == ["silent", "clipped"]
    np.testing.assert_allclose(recording.mono().samples, recording.samples.mean(axis=0)[None], atol=1e-7)
    with pytest.raises(LaennecError, match="no channel 3, it has 3 channels"):
        recording.channel(3)


def test_channels_of_opposite_phase_are_not_summed_to_silence() -> None:
    x = breath(channels=2)
    opposite = Recording.from_array(np.concatenate([x[:1], -1.2 * x[:1]]), RATE)
    one = opposite.mono()
    assert one.channels == 1
    assert one.repairs == ("the channels cancel each other: channel 1, the loudest, stands for their mean",)
    np.testing.assert_array_equal(one.samples, opposite.samples[1:])
    noise = np.random.default_rng(0).standard_normal((4, 4_000)) / 8
    for kept in (x, noise, np.concatenate([x[:1], np.zeros((1, 4_000))]), noise * [[1], [0.1], [0], [0]]):
        np.testing.assert_allclose(
            Recording.from_array(kept, RATE).mono().samples[0], kept.mean(0), atol=1e-6
        )


# --- arrays --------------------------------------------------------------------------------------------


def test_arrays_equal_files() -> None:
    x = breath(channels=2)
    for subtype, dtype, scale in [("PCM_16", "int16", 2**15), ("PCM_32", "int32", 2**31)]:
        integers = np.round(x.astype("f8") * (scale - 1)).astype(dtype)
        buffer = io.BytesIO()
        soundfile.write(buffer, integers.T, RATE, format="WAV", subtype=subtype)
        np.testing.assert_array_equal(
            Recording.from_array(integers, RATE).samples, Recording.read(buffer.getvalue()).samples
        )
    assert Recording.from_array(np.array([0, 128, 255], "u1"), RATE).samples.tolist() == [[-1, 0, 127 / 128]]
    assert Recording.from_array(x[0], RATE).samples.shape == (1, 4_000)


def test_an_array_is_not_changed_by_making_a_recording_of_it() -> None:
    x = 3 * breath()
    x[0, 7] = np.nan
    before = x.copy()
    assert len(Recording.from_array(x, RATE).repairs) == 2
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((1, 2, 3)), RATE, r"expected samples of shape .*got \(1, 2, 3\)"),
        (np.float32(1), RATE, "expected samples of shape"),
        (np.zeros(0), RATE, "empty"),
        (np.zeros((2, 0)), RATE, "empty"),
        (np.zeros((8_000, 2)), RATE, "8,000 channels; up to 64"),
        (np.zeros(10, complex), RATE, "must be floats.* got complex128"),
        (np.zeros(10, bool), RATE, "got bool"),
        (["a"], RATE, "must be floats"),
        (np.zeros(10), 8_000.5, r"whole number of Hz, got 8000\.5"),
        (np.zeros(10), 1_000, "sample rate is 1,000 Hz"),
    ],
)
def test_arrays_that_are_no_recording(samples: object, rate: int, message: str) -> None:
    with pytest.raises(LaennecError, match=message):
        Recording.from_array(samples, rate)  # type: ignore[arg-type]


# --- resampling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("from_rate", [4_000, 8_000, 44_100, 192_000])
@pytest.mark.parametrize("to_rate", [4_000, 8_000, 16_000, 22_050])
def test_resampling_keeps_frequency_and_amplitude(from_rate: int, to_rate: int) -> None:
    tone = Recording.from_array(
        0.5 * np.sin(2 * np.pi * 440 / from_rate * np.arange(2 * from_rate)), from_rate
    )
    result = tone.resampled(to_rate)
    assert result.sample_rate == to_rate
    assert result.samples.shape == (1, 2 * to_rate)
    assert result.samples.dtype == np.float32
    expected = 0.5 * np.sin(2 * np.pi * 440 / to_rate * np.arange(2 * to_rate))
    inside = slice(to_rate // 10, -to_rate // 10)  # the filter's ends
    np.testing.assert_allclose(result.samples[0, inside], expected[inside], atol=1e-3)


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    tone = np.sin(2 * np.pi * 6_000 / 44_100 * np.arange(44_100))
    assert np.abs(resample(tone, 44_100, 8_000)[400:-400]).max() < 1e-4


def test_resampling_works_on_the_last_axis() -> None:
    x = breath(3_001, 6)
    rows = np.stack([resample(row, 8_000, 11_025) for row in x])
    assert rows.shape[1] == int(3_001 * 11_025 / 8_000 + 0.5)
    np.testing.assert_array_equal(resample(x.reshape(2, 3, -1), 8_000, 11_025), rows.reshape(2, 3, -1))
    np.testing.assert_array_equal(resample(x[:, ::2], 8_000, 4_000)[1], resample(x[1, ::2], 8_000, 4_000))


def test_resampling_keeps_the_facts_and_refuses_nonsense() -> None:
    recording = Recording.read(wav(block=4))
    assert recording.resampled(RATE) is recording
    assert recording.resampled(4_000).repairs == recording.repairs
    assert recording.mono() is recording
    with pytest.raises(LaennecError, match="10 samples at 192000 Hz leave none at 4000 Hz"):
        resample(np.ones(10), 192_000, 4_000)
    with pytest.raises(LaennecError, match="must be positive"):
        recording.resampled(0)


# --- the rest ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("WAV", "IMA_ADPCM"),
        ("WAVEX", "PCM_24"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_damage_never_raises_anything_but_our_error(
    kind: str, subtype: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1816)
    whole = encoded(breath(1_200, 2), kind=kind, subtype=subtype)
    for case in range(120):
        data = bytearray(whole)
        if case % 3 == 0:
            del data[int(rng.integers(len(data))) :]
        else:
            reach = 64 if case % 3 == 1 else len(data)  # headers deserve more than their share
            for position in rng.integers(0, reach, rng.integers(1, 8)):
                data[position] ^= 1 << int(rng.integers(8))
        try:
            recording = Recording.read(bytes(data))
        except LaennecError as error:
            assert str(error).startswith("recording: ")  # noqa: PT017
            continue
        assert np.isfinite(recording.samples).all()
        assert np.abs(recording.samples).max() <= 1
        recording.resampled(16_000)
    assert "Traceback" not in capfd.readouterr().err  # an exception in a C callback would print one


def test_start_up_imports_nothing_heavy() -> None:
    code = "import sys, laennec.audio.recording, laennec.audio.segment; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "pandas", "scipy", "sklearn", "soxr", "matplotlib"} & set(loaded.split())


@pytest.mark.real
def test_the_malformed_files_of_sprsound() -> None:
    root = os.environ.get("LAENNEC_DATA")
    if not root:
        pytest.skip("LAENNEC_DATA names no folder with real recordings")
    paths = sorted(Path(root, "malformed").glob("*.wav"))
    assert len(paths) == 4
    for path in paths:
        recording = Recording.read(path)
        pcm = np.frombuffer(path.read_bytes()[44:], "<i2")
        np.testing.assert_array_equal(recording.samples[0], pcm / np.float32(32_768))
        assert recording.sample_rate == 8_000
        assert recording.repairs == ("RIFF header says block align 4; 16 bit × 1 channel make 2",)
        assert recording.warnings == ()


@pytest.mark.real
def test_clean_and_clipped_recordings_of_the_real_sets() -> None:
    root = os.environ.get("LAENNEC_DATA")
    if not root:
        pytest.skip("LAENNEC_DATA names no folder with real recordings")
    for path in sorted(Path(root, "SPRSound", "train_wav").iterdir())[::100]:
        recording = Recording.read(path)
        assert (recording.repairs, recording.warnings) == ((), ()), path.name
    clipped = Recording.read(Path(root, "ICBHI", "ICBHI_final_database", "166_1p1_Al_sc_Meditron.flac"))
    assert kinds(clipped) == ["clipped"]
    assert clipped.warnings[0].share == pytest.approx(0.192, abs=0.001)
