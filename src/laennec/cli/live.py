"""``laennec live``: record from a microphone, with events as they are found."""

import math
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from laennec.analyze.stream import Stream
from laennec.audio.capture import Capture, PipedSound
from laennec.audio.samples import Array
from laennec.audio.source import STANDARD_INPUT
from laennec.cli import load
from laennec.cli.arguments import Live
from laennec.errors import LaennecError, UsageError
from laennec.files import make_folder
from laennec.output.meter import Meter
from laennec.output.recordings import Job, analyze_one

MICROPHONE = "laennec.audio.microphone"  # which needs the extra "live"


class Input(Protocol):
    """Where the sound comes from."""

    sample_rate: int
    channels: int

    def blocks(self) -> Iterator[Array]:
        """Yield ``(channels, samples)`` float32 as they come."""
        ...


def run(command: Live) -> int:
    """Record until the sound ends, the time is up or Ctrl+C; then analyse the whole.

    Returns the exit code. UsageError and LaennecError where nothing can be recorded; what came is kept.
    """
    if command.source not in ("", STANDARD_INPUT):
        raise UsageError(f"{command.source}: laennec live records; a file is for laennec analyze")
    if command.devices:
        return list_devices()
    if command.duration is not None and not 0 < command.duration < math.inf:  # NaN is none
        raise UsageError(f"--duration {command.duration:g}: expected a number of seconds above 0")
    was_there = command.out.exists()
    try:
        make_folder(command.out)
        return recorded(command)
    finally:
        if not was_there:
            with suppress(OSError):  # of a folder that holds something, or is none
                command.out.rmdir()


def recorded(command: Live) -> int:
    """Record into the folder, which is there, and analyse what came; else LaennecError."""
    metadata = {"age_years": command.age, "sex": command.sex, "position": command.position}
    job = Job.prepare(command.model, None, metadata, command.out, ("json",), False)
    sound = opened(command)
    stream = Stream(sound.sample_rate, job.model, channels=sound.channels)  # type: ignore[arg-type]
    capture = Capture(free_path(command.out), sound.sample_rate, sound.channels)
    try:
        record(sound, capture, stream, command.duration)
    finally:
        capture.close()
        if not capture.length:
            capture.path.unlink()
    if not capture.length:
        raise LaennecError("no sound came; nothing was kept")
    print(f"Recorded {capture.duration_s:.1f} s: {capture.path}", flush=True)
    return analyze_one(capture.path, capture.path.stem, job)


def list_devices() -> int:
    """Print number and name of every audio input."""
    for number, name in load(f"{MICROPHONE}:inputs")():
        print(f"{number:3} {name}")
    return 0


def opened(command: Live) -> Input:
    """The input that a command names."""
    if command.source != STANDARD_INPUT:
        microphone: Input = load(f"{MICROPHONE}:Microphone")(command.device, command.rate)
        return microphone
    if command.device is not None:
        raise UsageError("--device names an input, and - is standard input; leave out one of them")
    if sys.stdin.isatty():
        raise UsageError(
            "-: standard input is a terminal; pipe sound into it, as by arecord | laennec live -"
        )
    return PipedSound(sys.stdin.buffer, command.rate)


def free_path(folder: Path) -> Path:
    """A file for a recording that begins now."""
    begun = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    names = (f"{begun}{'' if number == 1 else f'_{number}'}.flac" for number in range(1, 10**6))
    return next(folder / name for name in names if not (folder / name).exists())


def record(sound: Input, capture: Capture, stream: Stream, duration_s: float | None) -> None:
    """Write the sound as it comes, in a thread that nothing holds up, and show what is found in it.

    LaennecError if the input or the disk fails.
    """
    came: queue.SimpleQueue[Array | Exception | None] = queue.SimpleQueue()

    def write() -> None:
        try:
            most = None if duration_s is None else round(duration_s * sound.sample_rate)
            for block in sound.blocks():
                came.put(capture.add(block if most is None else block[:, : most - capture.length]))
                if most is not None and capture.length >= most:
                    break
            came.put(None)
        except Exception as error:  # said where it is shown
            came.put(error)

    threading.Thread(target=write, daemon=True).start()
    with suppress(KeyboardInterrupt), Meter(duration_s) as meter:  # which ends a recording as it should
        while True:
            blocks = waiting(came)
            sounds = [block for block in blocks if isinstance(block, np.ndarray)]
            if sounds:
                block = np.concatenate(sounds, axis=1)
                meter.show(block, capture.duration_s, stream.feed(block), stream.quality)
            if isinstance(blocks[-1], Exception):
                raise blocks[-1]
            if blocks[-1] is None:
                return


def waiting(came: "queue.SimpleQueue[Array | Exception | None]") -> list[Array | Exception | None]:
    """What came since, one piece at least, up to what ends it."""
    blocks = [came.get()]
    with suppress(queue.Empty):
        while isinstance(blocks[-1], np.ndarray):
            blocks.append(came.get_nowait())
    return blocks
