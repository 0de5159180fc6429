"""Recordings that are made on the page: sound comes in parts, events go back, what came is kept."""

import base64
import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from laennec.analyze.inputs import model_for
from laennec.analyze.stream import CHUNK_S, Stream
from laennec.audio.capture import Capture, levels_db
from laennec.audio.samples import Array
from laennec.errors import LaennecError
from laennec.files import make_folder, sha256_of, write_json
from laennec.model.detector import Detector
from laennec.output.tiles import COLUMN_S, ROWS, Pyramid
from laennec.web.library import Library
from laennec.web.models import ModelInUse, for_recordings
from laennec.web.uploads import NoRoomError
from laennec.web.worker import shown_event

MOST = 4  # recordings that are made at a time
IDLE_S = 30.0  # without a part, after which the page is taken for gone
LONGEST_PART_S = 20.0
LEVEL = 2  # of the pyramid of tiles: a column every 16 ms
LOWEST_DB = -150.0  # a column's byte 0; 255 is full scale


class NoSessionError(LaennecError):
    """There is no such recording in progress."""

    status = 404


class OutOfStepError(LaennecError):
    """A part is missing."""

    status = 409


class BusyError(LaennecError):
    """Too many recordings are made at a time."""

    status = 503


class Columns:
    """The spectrogram of sound that comes in parts: columns of bytes, each as soon as its sound is there."""

    def __init__(self, sample_rate: int) -> None:
        self._pyramid = Pyramid(length=1, rate=sample_rate)
        self.hop_s = COLUMN_S * 2**LEVEL
        self._ahead = round(sample_rate * (self.hop_s + self._pyramid.window_ms / 1000))
        self._held = np.zeros(0, np.float32)
        self._first = self._done = 0  # sample that is held first; columns that are given

    @property
    def top_hz(self) -> float:
        """Frequency of the upper edge."""
        return self._pyramid.top_hz

    def add(self, samples: Array) -> tuple[int, bytes]:
        """The number of the first new column, and all new ones: `ROWS` bytes each, low frequencies first."""
        self._held = np.concatenate([self._held, samples])
        hop = self.hop_s * self._pyramid.rate
        end = math.floor((self._first + self._held.size - self._ahead) / hop)
        first, count = self._done, max(0, end - self._done)
        if not count:
            return first, b""
        level_db = self._pyramid.columns_db(self._held, first * hop - self._first, LEVEL, count)
        grey = np.rint(np.clip((level_db - LOWEST_DB) * (255 / -LOWEST_DB), 0, 255)).astype(np.uint8)
        self._done = end
        kept = max(self._first, math.floor(end * hop) - self._ahead)
        self._held, self._first = self._held[kept - self._first :].copy(), kept
        return first, grey.tobytes()


class Session:
    """A recording that is being made. Its methods may be called from any thread."""

    def __init__(self, path: Path, sample_rate: int, model: Detector, longest_s: float) -> None:
        self.stream = Stream(sample_rate, model)
        self.capture = Capture(path, sample_rate)
        self._columns, self._longest_s = Columns(sample_rate), longest_s
        self._lock = threading.Lock()
        self._parts = 0
        self._answer: dict[str, Any] = {}
        self.heard_s = time.monotonic()

    def add(self, number: int, content: bytes, is_heard: bool = True) -> dict[str, Any]:
        """Keep a part, float32 little-endian, and return what is new; the same part again is not kept twice.

        A part that is not to be heard is only kept: nothing is new, and the recording is to be ended.

        OutOfStepError where one before it is missing, LaennecError where it is none or the sound is too long.
        """
        if len(content) % 4 or not 0 < len(content) <= 4 * LONGEST_PART_S * self.capture.sample_rate:
            raise LaennecError(f"expected 1 sample to {LONGEST_PART_S:g} s of samples, as float32")
        with self._lock:
            self.heard_s = time.monotonic()
            if number == self._parts - 1:
                return self._answer
            if number != self._parts:
                raise OutOfStepError(f"part {self._parts} is expected next, and not part {number}")
            if self.capture.duration_s >= self._longest_s:
                raise LaennecError(f"the recording has {self._longest_s:g} s, the most that is taken; end it")
            block = self._kept(np.frombuffer(content, "<f4")[None])
            self._parts += 1
            self._answer = self._new(block if is_heard else block[:, :0])
            return self._answer

    def _kept(self, block: Array) -> Array:
        try:
            return self.capture.add(block)
        except LaennecError as error:
            raise NoRoomError(str(error)) from error

    def _new(self, block: Array) -> dict[str, Any]:
        begun = time.monotonic()
        events = self.stream.feed(block)
        mean_db, peak_db = levels_db(block)
        part_s = block.shape[1] / self.capture.sample_rate
        first, data = self._columns.add(block[0])
        return {
            "duration_s": self.stream.duration_s,
            "settled_s": self.stream.settled_s,
            "delay_s": self.stream.delay_s + max(0.0, part_s - CHUNK_S) + time.monotonic() - begun,
            "mean_db": mean_db,
            "peak_db": peak_db,
            "quality": [asdict(finding) for finding in self.stream.quality],
            "events": [shown_event(event) for event in events],
            "columns": {
                "first": first,
                "hop_s": self._columns.hop_s,
                "rows": ROWS,
                "top_hz": self._columns.top_hz,
                "lowest_db": LOWEST_DB,
                "data": base64.b64encode(data).decode(),
            },
        }


class LiveRecordings:
    """The recordings that are being made for a workspace, each in a file below `folder` until it ends."""

    def __init__(
        self, folder: Path, library: Library, in_use: Callable[[], ModelInUse], longest_s: float
    ) -> None:
        self._folder, self._library, self._in_use, self._longest_s = folder, library, in_use, longest_s
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._loaded: tuple[ModelInUse, Detector] | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Take in what an earlier server could not end, and watch for pages that are gone."""
        for path in sorted(self._folder.glob("*.flac")):
            self._take_in(path)
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """End every recording; what came is kept."""
        self._stopped.set()
        for name in list(self._sessions):
            self._end_lost(name)

    def begin(self, sample_rate: int, facts: Mapping[str, Any]) -> str:
        """Begin a recording of a patient, see `Library.describe`; its name.

        BusyError where too many are made, ClipModelError where the model in use hears no recordings,
        LaennecError if rate or facts cannot be.
        """
        with self._lock:
            if len(self._sessions) >= MOST:
                raise BusyError(f"{MOST} recordings are being made, the most at a time; end one of them")
            self._library.folder.check_room()  # what is recorded must not be refused at its end
            name = secrets.token_hex(8)
            path = make_folder(self._folder) / f"{name}.flac"
            self._sessions[name] = Session(path, sample_rate, self._model(), self._longest_s)
        write_json(path.with_suffix(".json"), {"begun": _now(), "facts": dict(facts)})
        return name

    def add(self, name: str, number: int, content: bytes, is_heard: bool = True) -> dict[str, Any]:
        """Keep a part of a recording and return what is new; NoSessionError, and as `Session.add`."""
        session = self._sessions.get(name)
        if session is None:
            raise NoSessionError("this recording has ended, or was never begun; begin another one")
        return session.add(number, content, is_heard)

    def end(self, name: str) -> int:
        """End a recording and have it analysed; its number in the library.

        NoSessionError if there is none, LaennecError if no sound came.
        """
        with self._lock:
            session = self._sessions.pop(name, None)
        if session is None:
            raise NoSessionError("this recording has ended, or was never begun; begin another one")
        session.capture.close()
        number = self._take_in(session.capture.path)
        if number is None:
            raise LaennecError("no sound came, so there is nothing to keep; is the microphone connected?")
        return number

    def leave(self, name: str) -> None:
        """End a recording whose page goes: what came is kept, and nothing is wrong where nothing came."""
        self._end_lost(name)

    def _take_in(self, path: Path) -> int | None:
        """Make a file that is whole a recording of the library; None, and no file, where it has no sound."""
        beside = path.with_suffix(".json")
        try:
            known = json.loads(beside.read_bytes())
        except (OSError, ValueError):
            known = {"begun": _now(), "facts": {}}
        try:
            if not _has_sound(path):
                path.unlink(missing_ok=True)
                return None
            size = path.stat().st_size
            name = f"{known['begun']}.flac"
            number, _ = self._library.add_file(path, name, sha256_of(path), size, known["facts"])
        finally:
            if not path.exists():
                beside.unlink(missing_ok=True)
        return number

    def _end_lost(self, name: str) -> None:
        try:
            self.end(name)
        except LaennecError:  # it is taken in when the server starts again
            return

    def _watch(self) -> None:
        while not self._stopped.wait(IDLE_S / 10):
            now_s = time.monotonic()
            for name, session in list(self._sessions.items()):
                if now_s - session.heard_s > IDLE_S:
                    self._end_lost(name)

    def _model(self) -> Detector:
        used = for_recordings(self._in_use())
        if self._loaded is None or self._loaded[0] != used:
            model = model_for(used.source, clips=False, calibration=used.calibration)
            assert isinstance(model, Detector)
            self._loaded = used, model
        return self._loaded[1]


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H.%M.%S")


def _has_sound(path: Path) -> bool:
    """Whether a file that may have been cut short holds a sample."""
    try:
        with soundfile.SoundFile(path) as sound:
            return len(sound.read(1)) > 0
    except (OSError, soundfile.SoundFileError):
        return False
