"""Seeds: small right inputs of every kind, from which mutations begin."""

import contextlib
import gzip
import importlib.util
import io
import json
import tempfile
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import soundfile
from onnx import TensorProto, helper, numpy_helper

from laennec.labels import SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.model.calibration import Curve, calibration_file
from laennec.model.card import METADATA_KEY, OUTPUTS, RecordingCard, read_card
from tiny_model import CARD, RATE, tiny_model

SHA256 = "5e" * 32  # of a model that a calibration is for
FRAME_SAMPLES, KERNEL = 400, 8  # of the tiny model for recordings
LABEL_COUNT, RECORD_COUNT = len(SPRSOUND_EVENTS), len(SPRSOUND_RECORDS)
RECORDING_CARD: dict[str, Any] = {
    **{name: CARD[name] for name in ("format", "labels", "normal", "sample_rate", "version")},
    "name": "tiny recording",
    "task": "recording",
    "records": list(SPRSOUND_RECORDS),
    "kinds": ["lung", "speech"],
    "frame_samples": FRAME_SAMPLES,
    "reach_frames": 1,
    "edges_hz": [50.0, 1000.0, 4000.0],
    "rule": {"bias": 0.0, "edge_weight": 1.0, "shortest_s": 0.1},
    "event_temperature": 1.0,
    "record_temperature": 1.0,
    "event_bias": [0.0] * LABEL_COUNT,
    "event_certain": 0.3,
    "record_certain": 0.3,
    "lung_share": 0.2,
    "task_shift": {"21": 0.1, "22": 0.1},
}


# --- sound --------------------------------------------------------------------------------------------------


def breath(duration_s: float, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """Return noise that swells once a second, ``(samples, channels)``, the second channel another."""
    times = np.arange(round(duration_s * rate)) / rate
    noise = np.random.default_rng(0).standard_normal((times.size, channels))
    return 0.3 * np.clip(noise, -3, 3) / 3 * np.sin(np.pi * times)[:, None] ** 2


def _encoded(duration_s: float, form: str, subtype: str, endian: str = "FILE", **layout: int) -> bytes | None:
    file = io.BytesIO()
    layout = {"channels": 1, "rate": RATE} | layout
    sound = breath(duration_s, **layout)
    try:
        soundfile.write(file, sound, layout["rate"], format=form, subtype=subtype, endian=endian)
    except (soundfile.SoundFileError, ValueError):  # this libsndfile does not write it
        return None
    return file.getvalue()


def sounds(duration_s: float = 0.1) -> list[bytes]:
    """A file of every container that libsndfile writes, and of some that it does not read."""
    plain = {
        "WAV": ("PCM_U8", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "MS_ADPCM", "GSM610"),
        "FLAC": ("PCM_24",),
        "OGG": ("OPUS",),
        "CAF": ("ALAC_16",),
        "AU": ("G721_32",),
        "AIFF": ("FLOAT", "IMA_ADPCM"),
    }
    files = [_encoded(duration_s, form, soundfile.default_subtype(form)) for form in _containers()]
    files += [_encoded(duration_s, form, kind) for form, kinds in plain.items() for kind in kinds]
    files += [_encoded(duration_s, "WAV", "PCM_16", "BIG"), _encoded(duration_s, "WAV", "PCM_16", channels=2)]
    files += [_encoded(duration_s, "MP3", "MPEG_LAYER_III", rate=44_100)]
    others = (b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0", b"\x1aE\xdf\xa3webm", b"#!AMR\n", b"")
    return [*(file for file in files if file is not None), *_phone_sounds(), *others]


def _phone_sounds() -> list[bytes]:
    """Files as phones make them, where PyAV is installed."""
    if importlib.util.find_spec("av") is None:
        return []
    import av

    files = []
    for form, codec in (("mp4", "aac"), ("webm", "libopus"), ("mov", "alac"), ("adts", "aac")):
        file, rate = io.BytesIO(), 48_000
        with (
            contextlib.suppress(av.error.FFmpegError, ValueError),
            av.open(file, "w", format=form) as container,
        ):
            stream = container.add_stream(codec, rate=rate, layout="mono")
            sound = breath(0.1, rate).T.astype(np.float32)
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
            frame.sample_rate = rate
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
        files.append(file.getvalue())
    return files


def _containers() -> list[str]:
    return [form for form in soundfile.available_formats() if form not in ("RAW", "SD2")]


def analysed_sounds() -> list[bytes]:
    """Files that are long enough to be analysed."""
    files = [_encoded(1.0, "WAV", "PCM_16"), _encoded(1.0, "WAV", "FLOAT", channels=2)]
    files += [_encoded(1.0, "FLAC", "PCM_16"), _encoded(1.5, "WAV", "ULAW"), _encoded(1.0, "OGG", "VORBIS")]
    return [file for file in files if file is not None]


# --- label files and tables ---------------------------------------------------------------------------------

LABELS_JSON = [
    b'{"format": 1, "laennec": "0.1.0", "recording": {"name": "rec.wav"}, "record": {"label": "CAS"}, '
    b'"events": [{"channel": 0, "start_s": 0.1, "end_s": 0.9, "label": "Wheeze", "probability": 0.8}]}',
    b'{"analyses": [{"laennec": "0.1.0", "recording": {"name": "rec.wav"}, "record": null, "events": []}]}',
    b'{"record_annotation": "CAS", "event_annotation": [{"start": "100", "end": "900", "type": "Wheeze"},'
    b' {"start": "300", "end": "800", "type": "Normal"}]}',
    b'{"recording_annotation": "Normal", "event_annotation": []}',
    b'{"record_annotation": null, "event_annotation": [{"start": 100, "end": 250.5, "type": "Stridor"}]}',
]
LABELS_TEXT = [
    b"0.1\t0.4\tNormal\n0.4\t0.9\tWheeze\n",
    b"0,1\t0,4\tRhonchi\n\\\t100,0\t900,0\n",
    b"0.1\t0.4\n0.5\t0.6\t\n",
    b"0.036\t0.579\t0\t0\n0.579\t0.95\t1\t1\n",
    b"0.0 0.5 1.0 0.0\n0.5 0.9 0.0 1.0\n",
]
LABELS_TABLE = [
    b"start_s,end_s,label\n0.1,0.5,Normal\n0.5,0.9,Wheeze\n",
    b"start_s;end_s;label;channel\n0,1;0,5;Normal;0\n0,5;0,9;Wheeze;all\n",
    b"path\tstart_s\tend_s\nrec.wav\t0.1\t0.5\nother/rec.wav\t0.2\t0.4\n",
    b"recording,channel,start_s,end_s,label,probability\nrec.wav,0,0.1,0.5,Normal,0.9\n",
    b"Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
    b"1\tWaveform 1\t1\t0.1\t0.5\t50\t800\tWheeze\n1\tSpectrogram 1\t1\t0.1\t0.5\t50\t800\tWheeze\n",
]
CLIPS_CSV = [
    b"path,label\nrec.wav,Normal\nsub/b.wav,Wheeze\n",
    b"path,label,start_s,end_s,subject,recording,location,device,channel,age_years,sex,split\n"
    b"rec.wav,Normal,0.1,0.5,anna,r1,left posterior,Littmann,0,44,f,train\n"
    b"sub/b.wav,Wheeze,,,ben,r2,p3,,,NA,male,test\nrec.wav,Normal,0.5,0.9,anna,r1,neck,,,,,\n",
    b"path;label;start_s;end_s;age_years\nrec.wav;Normal;0,1;0,5;4,5\n",
]
SUBJECTS_CSV = [
    b"recording,subject\nrec,anna\nsub/b,ben\n",
    b"recording;subject;location;device;channel;age_years;sex;split\nrec.wav;anna;p1;x;0;4,5;F;train\nsub/b;;;;;;;\n",
]
PREDICTIONS = [
    b"clip_id,subject,label,Normal,Wheeze\na,anna,Normal,0.9,0.1\nb,ben,Wheeze,0.2,0.8\nc,ben,Normal,0.5,0.5\n",
    b"clip_id,subject,label,normal,crackle,wheeze,both\na,1,normal,0.25,0.25,0.25,0.25\nb,,both,0,0,0,1\n",
    b"clip_id,subject,label,Normal,CAS,DAS,CAS & DAS,Poor Quality\na,1,CAS,.2,.2,.2,.2,.2\n"
    b"b,2,Normal,1,0,0,0,0\n",
]
EVENTS = [
    b"recording,subject,kind,start_s,end_s,label,probability\na,anna,reference,0.1,0.5,Normal,\n"
    b"a,anna,estimated,0.1,0.6,Normal,0.9\nb,ben,reference,0.2,0.7,Wheeze,\nb,ben,estimated,0.2,0.4,Rhonchi,0.5\n",
    b"recording,subject,kind,start_s,end_s,label,probability\na,,reference,0.1,0.5,Wheeze,\na,,estimated,1,2,Normal,\n",
]


def compressed(tables: list[bytes]) -> list[bytes]:
    return [gzip.compress(table, mtime=0) for table in tables]


# --- settings -----------------------------------------------------------------------------------------------


def recipes() -> list[bytes]:
    """Every recipe of the package."""
    import laennec

    folder = Path(laennec.__file__).with_name("recipes")
    return [path.read_bytes() for path in sorted(folder.glob("*.toml"))]


SETTINGS = [
    b"epochs=3\nlearning_rate=1e-3",
    b'augmentation.mixup=0.3\nlabels=["Normal", "Wheeze"]\nname=x',
    b"front_end.kind=log-mel\nfront_end.bands=16\nfront_end.hop_length=400\nfront_end.clip_samples=8000",
    b"model.kind=resnet\nmodel.channels=[4, 8]\nrecording.batch_s=20.0\nsplit=none",
]
PATIENTS = [b"44\nmale\nleft-posterior", b"4.5\nF\np1", b"NA\nu\n", b"0\nm\nRight Lateral"]
NAMES = [b"40000001_4.5_0_p1_11", b"_5.3_0_p8_34877", b"156_1b1_Tc_sc_Meditron", b"rec", b"a/b/rec.wav"]


# --- models -------------------------------------------------------------------------------------------------


@cache
def clip_model() -> bytes:
    """A model for clips without its metadata."""
    with tempfile.TemporaryDirectory() as folder:
        return tiny_model(Path(folder, "tiny.onnx"), metadata="").read_bytes()


@cache
def recording_model() -> bytes:
    """A model for recordings without its metadata: a convolution, cut into the five outputs."""
    sizes = (3, 2 * LABEL_COUNT, LABEL_COUNT, 2 * RECORD_COUNT, 2)
    weights = np.random.default_rng(1).standard_normal((sum(sizes), 1, KERNEL)).astype(np.float32)
    constants = {
        "middle": np.array([1], np.int64),
        "sizes": np.array(sizes, np.int64),
        "rows": np.array([0, LABEL_COUNT, 2, -1], np.int64),
        "weights": weights,
    }
    outputs = ["presence", "flat", "context", "record", "kind"]
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "middle"], ["image"]),
        helper.make_node(
            "Conv", ["image", "weights"], ["all"], strides=[FRAME_SAMPLES], pads=[0, KERNEL - 1]
        ),
        helper.make_node("Split", ["all", "sizes"], outputs, axis=1),
        helper.make_node("Reshape", ["flat", "rows"], ["evidence"]),
    ]
    shapes: dict[str, list[Any]] = {
        **{name: [1, size, "frames"] for name, size in zip(OUTPUTS, sizes, strict=True)},
        "evidence": [1, LABEL_COUNT, 2, "frames"],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def with_metadata(model: bytes, metadata: bytes) -> bytes:
    """Return a model file with this metadata, right or wrong: field 14 of the message is added at its end."""
    entry = _prefixed(1, METADATA_KEY.encode()) + _prefixed(2, metadata)
    return model + _prefixed(14, entry)


def _prefixed(number: int, content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def cards() -> list[bytes]:
    return [json.dumps(card).encode() for card in (CARD, RECORDING_CARD)]


def calibrations() -> list[bytes]:
    card = read_card(json.dumps(RECORDING_CARD))
    assert isinstance(card, RecordingCard)
    own = replace(Curve(-0.5, 0.8, 0.1).on(card), normal_abstain_below=0.9, sick_abstain_below=1.0)
    return [json.dumps(calibration_file(own, SHA256, 12, 30, {"notes": []})).encode()]


def models() -> list[bytes]:
    clips, recordings = cards()
    return [with_metadata(clip_model(), clips), with_metadata(recording_model(), recordings)]


# --- downloads ----------------------------------------------------------------------------------------------


def archives() -> list[bytes]:
    """Zip archives: of one folder, of several files, empty, with a comment."""
    made = []
    for names in (("top/a.txt", "top/b/c.txt"), ("a.txt", "b/c.txt", "b/d.wav"), ()):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name), f"content of {name}\n" * 3)
            archive.comment = b"a comment"[: len(names)]
        made.append(file.getvalue())
    return made


RESPONSES = [
    b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "abc"\r\n\r\nhello',
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-7/8\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */3\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\n\r\n<html>",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello" * 9, mtime=0),
]
HEADER_WORDS = (
    *("Content-Length: 99999999999999999999", "Content-Length: -1", "Content-Length: x", "ETag: \xe9"),
    *(
        "Content-Range: bytes */x",
        "Content-Range: bytes 0-",
        "Transfer-Encoding: chunked",
        "Set-Cookie: a=b; x=\0",
    ),
    *(
        "Location: http://[",
        "Location: //x:99999",
        "Location: ftp://x/",
        "Content-Encoding: gzip",
        "ffffffffffff",
    ),
    *("HTTP/1.1 206 P", "HTTP/1.1 416 R", "HTTP/9.9 999", "HTTP/1.1 100 C", "\r\n\r\n"),
)
