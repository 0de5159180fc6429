"""What phones, browsers and dictation devices write and libsndfile does not read, through PyAV or ffmpeg.

The content decides what a file is, and the decoder is told: ffmpeg's own guess could take a text file for a
list of addresses to open. Nothing but the file itself is opened, and no network.
"""

import itertools
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

import numpy as np
import soundfile

from laennec.audio.samples import Array, as_float32, counted
from laennec.audio.source import Input
from laennec.errors import LaennecError

HOW_TO_READ = 'pip install "laennec[media]", or install ffmpeg, or convert the file to WAV'
UNKNOWN_LENGTH = 2**62  # libsndfile's frame count of a stream of unknown length is 2**63 - 1
LOSSY = "LOSSY"
_LOSSLESS = ("alac", "flac", "wavpack", "ape", "tta", "pcm_")
_INTEGERS = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_32"}  # codings by FFmpeg's sample formats
_COUNTED = ("mov", "matroska", "wv", "tta")  # demuxers that do not guess a length from the bit rate
_SLACK_S = 0.1  # containers count the encoder's padding or leave it out
ASF, EBML = bytes.fromhex("3026b2758e66cf11"), bytes.fromhex("1a45dfa3")  # of WMA; of WebM and Matroska
MP4_PARTS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_AU_HEADER = 24  # bytes: magic, offset of the samples, their size, coding, rate, channels
_PIECE_LENGTH = 2**12
_TS_PACKETS = ((188, 0), (192, 4))  # bytes of a packet of a transport stream, and of a time stamp before it


class MediaError(soundfile.SoundFileError):  # type: ignore[misc]
    """What PyAV or ffmpeg says of a file."""


class NoSoundError(MediaError):
    """The file is whole, and holds pictures alone."""


@dataclass(frozen=True)
class Kind:
    """A file format: what people call it, and FFmpeg's name of its demuxer."""

    name: str
    demuxer: str

    @property
    def is_known(self) -> bool:
        """Whether libsndfile reads most files of this format, and only some codings are left."""
        return self.demuxer in ("aiff", "caf", "ogg", "wav")


def kind_of(source: Input) -> Kind | None:
    """Tell by the first bytes what phones, browsers and the like wrote; None if it is none of that."""
    head = source.peek(0, 64)
    start = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        start = id3_bytes(head)
        head = source.peek(start, 64)
    kinds = {
        b"#!AMR": Kind("AMR", "amr"),
        ASF: Kind("WMA", "asf"),
        b"wvpk": Kind("WavPack", "wv"),
        b"TTA1": Kind("TTA", "tta"),
        b"caff": Kind("CAF", "caf"),
        b"OggS": Kind("Ogg", "ogg"),
        b"FORM": Kind("AIFF", "aiff"),
        b"MAC ": Kind("Monkey's Audio", "ape"),
        b"MPCK": Kind("Musepack", "mpc8"),
        b"MP+": Kind("Musepack", "mpc"),
        b".RMF": Kind("RealMedia", "rm"),
        b".ra\xfd": Kind("RealAudio", "rm"),
        b"\x7f\xfe\x80\x01": Kind("DTS", "dts"),
        b"FLV\x01": Kind("FLV", "flv"),
        b"\0\0\x01\xba": Kind("MPEG", "mpeg"),
    }
    # The size before the name of a first part is small, and no text.
    if head[4:8] in MP4_PARTS and head[0] < 32:
        brands = {b"M4": "M4A (AAC or ALAC in MP4)", b"3g": "3GP (AMR or AAC)", b"qt": "QuickTime"}
        brand = head[8:10] if head[4:8] == b"ftyp" else b"qt"
        return Kind(brands.get(brand, "MP4 (AAC)"), "mov")
    if head.startswith(EBML):
        return Kind("WebM (Opus)" if b"webm" in head else "Matroska", "matroska")
    if len(head) > 6 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13:
        return Kind("AAC", "aac")  # an ADTS header: sync word, layer 0, one of 13 sample rates
    if head[:2] == b"\x0b\x77" and len(head) > 5:  # the sync word of AC-3, then its version
        return Kind("AC-3", "eac3" if head[5] >> 3 > 10 else "ac3")
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WAVE"):
        return Kind("AVI", "avi") if head[8:12] == b"AVI " else Kind("WAV", "wav")
    if any(
        all(source.peek(start + k * step + before, 1) == b"G" for k in range(3))  # the sync byte, 0x47
        for step, before in _TS_PACKETS
    ):
        return Kind("MPEG-TS", "mpegts")
    return next((kind for magic, kind in kinds.items() if head.startswith(magic)), None)


def id3_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag that begins so: its size has seven bits a byte (ID3v2, section 3.1)."""
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


class MediaSound:
    """Sound that another decoder gives in pieces ``(frames, channels)``, read as a SoundFile is.

    `promised` is how many samples of each channel the container promises at least; 0 where it does not say.
    """

    format = "MEDIA"
    frames = UNKNOWN_LENGTH  # decoded to the end, whatever the container promises

    def __init__(self, pieces: Iterator[Array], rate: int, subtype: str = LOSSY, promised: int = 0) -> None:
        self._pieces, self.samplerate, self.subtype, self.promised = pieces, rate, subtype, promised
        self._closing, self._position = ExitStack(), 0
        self._rest = next(pieces, np.empty((0, 0), np.float32))
        if not self._rest.size:
            raise MediaError("no sound in it can be decoded")
        self.channels = self._rest.shape[1]

    def read(self, frames: int, out: Array) -> Array:
        """Fill `out` as far as one piece reaches; return the part that was filled."""
        if not len(self._rest):
            self._rest = next(self._pieces, self._rest)
        count = min(frames, len(self._rest))
        out[:count], self._rest = self._rest[:count], self._rest[count:]
        self._position += count
        return out[:count]

    def tell(self) -> int:
        return self._position

    def __enter__(self) -> "MediaSound":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()


def open_media(source: Input, kind: Kind, name: str) -> MediaSound:
    """Open by PyAV, or else by an ffmpeg on the path; MediaError if it cannot be decoded.

    LaennecError if neither is there, or the file is a video without sound.
    """
    with ExitStack() as closing:
        try:
            import av  # here, since it is optional, and what libsndfile reads needs none of it
        except ImportError:
            program = shutil.which("ffmpeg")
            if program is None and kind.is_known:
                raise MediaError(f"if it is whole: {HOW_TO_READ}") from None
            if program is None:
                how = f"is read with PyAV or ffmpeg: {HOW_TO_READ}"
                raise LaennecError(f"{name}: is {kind.name}, which {how}") from None
            decoded = partial(_by_ffmpeg, program)
        else:
            decoded = partial(_by_pyav, av)
        try:
            sound = decoded(source, kind, closing)
        except NoSoundError as error:
            raise LaennecError(f"{name}: has no sound: a video without an audio track") from error
        sound._closing = closing.pop_all()
    return sound


def _by_pyav(av: Any, source: Input, kind: Kind, closing: ExitStack) -> MediaSound:
    source.seek(0)
    with _media_errors(av):
        container = closing.enter_context(av.open(source, format=kind.demuxer, metadata_errors="ignore"))
        stream = next(iter(container.streams.audio), None)
        if stream is None and container.streams.video:
            raise NoSoundError
        if stream is None or stream.codec_context is None:
            raise MediaError("it holds no sound" if stream is None else "its coding is not known")
        pieces = _av_pieces(av, container, stream)
        first = next(pieces, None)
        if first is None:
            raise MediaError("no sound in it can be decoded")
        context = stream.codec_context
        duration_s = float(stream.duration * stream.time_base) if stream.duration else 0.0
        if not duration_s and container.duration:
            duration_s = container.duration / av.time_base
    is_lossless = context.name.startswith(_LOSSLESS)
    coding = _INTEGERS.get(context.format.name.rstrip("p"), "FLOAT") if is_lossless else LOSSY
    promised = int((duration_s - _SLACK_S) * context.sample_rate) if kind.demuxer in _COUNTED else 0
    return MediaSound(itertools.chain([first], pieces), context.sample_rate, coding, max(0, promised))


def _av_pieces(av: Any, container: Any, stream: Any) -> Iterator[Array]:
    layout = None
    with _media_errors(av):
        for frame in container.decode(stream):
            channels = len(frame.layout.channels)
            layout = layout or (frame.sample_rate, channels)
            if (frame.sample_rate, channels) != layout:
                raise MediaError(f"it goes on with {counted(channels, 'channel')} at {frame.sample_rate} Hz")
            samples = frame.to_ndarray()
            samples = samples.T if frame.format.is_planar else samples.reshape(-1, channels)
            yield as_float32(samples, "sound")


@contextmanager
def _media_errors(av: Any) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, ValueError, NotImplementedError) as error:
        raise MediaError(getattr(error, "strerror", None) or str(error)) from error


def _by_ffmpeg(program: str, source: Input, kind: Kind, closing: ExitStack) -> MediaSound:
    """Decode to the AU format, which has a rate, channels and samples, and no length that must be known."""
    said = closing.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    command = [program, "-nostdin", "-hide_banner", "-loglevel", "error", "-xerror"]
    command += ["-protocol_whitelist", "file,pipe"]
    command += ["-f", kind.demuxer, "-i", f"file:{_path_of(source, closing)}", "-map", "0:a:0"]
    command += ["-map_metadata", "-1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
    closing.callback(_end, process)
    assert process.stdout is not None
    head = process.stdout.read(_AU_HEADER)
    if len(head) < _AU_HEADER:
        raise _said_by(process, said) or MediaError("no sound in it can be decoded")
    start, _, _, sample_rate, channels = struct.unpack(">5I", head[4:])
    process.stdout.read(start - _AU_HEADER)
    return MediaSound(_ffmpeg_pieces(process, said, channels), sample_rate)


def _ffmpeg_pieces(process: "subprocess.Popen[bytes]", said: IO[bytes], channels: int) -> Iterator[Array]:
    assert process.stdout is not None
    while data := process.stdout.read(_PIECE_LENGTH * channels * 4):
        whole = len(data) // (channels * 4) * channels * 4
        yield np.frombuffer(data[:whole], ">f4").reshape(-1, channels).astype(np.float32)
    error = _said_by(process, said)
    if error is not None:
        raise error


def _said_by(process: "subprocess.Popen[bytes]", said: IO[bytes]) -> MediaError | None:
    """What ffmpeg wrote of an error, without the address of the file; None if all went well."""
    failed = process.wait() != 0
    said.seek(0)
    lines = said.read(2**16).decode("utf-8", "replace").strip().splitlines()
    if not lines and not failed:
        return None
    if any("matches no streams" in line for line in lines):
        return NoSoundError()
    return MediaError(lines[0].rsplit(": ", 1)[-1].rsplit("] ", 1)[-1] if lines else "ffmpeg failed")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.stdout is not None:
        process.stdout.close()
    process.kill()
    process.wait()


def _path_of(source: Input, closing: ExitStack) -> str:
    """A path that ffmpeg can open and seek in; what came from a pipe is laid into a temporary file."""
    path = getattr(source.stream, "name", None)
    if isinstance(path, str):
        return os.path.abspath(path)
    folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="laennec-media-"))
    path = os.path.join(folder, "recording")
    with open(path, "wb") as copy:
        source.stream.seek(source.start)
        shutil.copyfileobj(source.stream, copy)
    return path
