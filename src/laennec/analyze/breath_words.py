"""The phases of breaths in words; every analysis is shown by them, so they load without what finds phases."""

from laennec.analyze.analysis import Breathing, EventTiming
from laennec.audio.samples import counted
from laennec.labels import BOTH


def in_words(breathing: Breathing) -> str:
    """What is told of a channel's breaths, in one line."""
    if not breathing.known:
        return f"breath phases: unknown ({breathing.reason})"
    sure = "as given" if breathing.probability is None else f"{breathing.probability:.2f} likely to be right"
    if breathing.ie_ratio is None:
        return f"breath phases: no whole breath ({sure})"
    low, high = (each for each in breathing.ie_quartiles)
    return (
        f"breath phases: I:E 1:{1 / breathing.ie_ratio:.1f} (half of the breaths 1:{1 / high:.1f} to "
        f"1:{1 / low:.1f}), {counted(breathing.breaths, 'whole breath')}, {sure}"
    )


def timing_in_words(timing: EventTiming) -> str:
    """When an event is heard, in a few words: ``late inspiration``, ``expiration, 60 % of it, 410 Hz``."""
    named = {BOTH: "both phases", None: "unknown"}.get(timing.phase, timing.phase)
    words = [" ".join(filter(None, (timing.part, named)))]
    if timing.share is not None:
        words.append(f"{100 * timing.share:.0f} % of it")
    if timing.pitch_hz is not None:
        words.append(f"{timing.pitch_hz:.0f} Hz")
    return ", ".join(words)
