"""A computer's audio inputs, by PortAudio; needs the extra "live"."""

import queue
from collections.abc import Iterator
from typing import Any

from laennec.audio.samples import Array
from laennec.errors import LaennecError, UsageError

try:
    import sounddevice
except OSError as error:  # of the C library, which pip brings for Windows and macOS alone
    raise LaennecError(
        f"PortAudio cannot be loaded ({error}); install it (Debian, Ubuntu: sudo apt install libportaudio2), "
        "or pipe the sound: arecord -f S16_LE -r 8000 | laennec live -"
    ) from error

QUIET_S = 5.0  # without a sample, after which an input counts as gone


def inputs() -> list[tuple[int, str]]:
    """Number and name of every audio input."""
    found = enumerate(sounddevice.query_devices())
    return [(number, str(facts["name"])) for number, facts in found if facts["max_input_channels"] > 0]


def chosen(device: str | None) -> int | None:
    """The number of an input by its number, its name or a part of it; None for the system's own.

    UsageError if it is none or several, LaennecError if there is no input at all.
    """
    known = inputs()
    if not known:
        raise LaennecError("this computer has no audio input; connect one, or pipe the sound: laennec live -")
    if device is None:
        return None
    listed = "; ".join(f"{number}: {name}" for number, name in known)
    by_number = [number for number, _ in known if str(number) == device]
    by_name = [number for number, name in known if name == device]
    by_part = [number for number, name in known if device.casefold() in name.casefold()]
    found = by_number or by_name or by_part
    if len(found) != 1:
        raise UsageError(
            f"--device {device}: {'several inputs' if found else 'no input'}; there are {listed}"
        )
    return found[0]


class Microphone:
    """An open audio input, one channel; LaennecError if it cannot be opened."""

    channels = 1

    def __init__(self, device: str | None, sample_rate: int | None) -> None:
        self._blocks: queue.SimpleQueue[Array] = queue.SimpleQueue()
        number = chosen(device)
        try:
            self._stream = sounddevice.InputStream(
                samplerate=sample_rate, device=number, channels=1, dtype="float32", callback=self._take
            )
            self.sample_rate = round(self._stream.samplerate)
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise LaennecError(f"the audio input cannot be opened: {error}") from error

    def _take(self, samples: Any, frames: int, time: Any, status: Any) -> None:
        self._blocks.put(samples.T.copy())

    def blocks(self) -> Iterator[Array]:
        """Yield ``(1, samples)`` float32 as they come; LaennecError when none do any more."""
        while True:
            try:
                yield self._blocks.get(timeout=QUIET_S)
            except queue.Empty:
                raise LaennecError("the audio input gives no more sound; is it still connected?") from None
