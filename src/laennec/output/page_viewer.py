"""The viewer in a page: its modules as one script, and what it shows as data.

The modules are those of the server's page (``output/viewer``). A page that is opened from disk can load none,
so they are joined into one script, which the page's policy names by its hash.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Analysis
from laennec.audio.recording import Recording
from laennec.output.formats import channel_first, to_json
from laennec.output.html import PEAK, asset, png, script_json
from laennec.output.page_events import PageEvent
from laennec.output.presentation import analysis_colours, phase_colours, short_label
from laennec.output.scripts import joined
from laennec.output.spectrogram import SHOWN_S, coarse
from laennec.output.tiles import COLUMN_S, RANGE_DB, Pyramid

Samples = npt.NDArray[np.float32]

LEAST_LEVEL = 2  # columns of 16 ms; finer ones would make a page of 15 s larger than its sound
MOST_TILES = 24  # of all channels together, on the finest level that is in the page
ENOUGH_TILES = 4  # of a level: a thousand columns, which a screen shows as they are; none coarser is needed
WAVE_COLUMNS = 16_384
WINDOW_MS = 32


def viewer_script(
    analysis: Analysis,
    recording: Recording,
    channels: Sequence[int],
    events: Sequence[PageEvent],
    sounds: Mapping[int, str],
) -> str:
    """Return the script that shows these channels and events; `sounds` has the element that plays each."""
    level = _finest_level(recording, len(channels))
    data = {
        "text": json.loads(asset("viewer/texts.en.json")),
        "labels": _labels(analysis),
        "channels": [
            _channel(recording, channel, level, sounds.get(channel, "")) | _breathing(analysis, channel)
            for channel in channels
        ],
        "events": _events(analysis, events, channels),
    }
    return f"{joined('output/viewer/report.js')}\n$report.start({script_json(data)});"


def _finest_level(recording: Recording, channels: int) -> int:
    shown = _shown_length(recording)
    pyramid = Pyramid(shown, recording.sample_rate, WINDOW_MS)
    fitting = (k for k in range(LEAST_LEVEL, pyramid.levels) if channels * pyramid.tiles(k) <= MOST_TILES)
    return next(fitting, pyramid.levels - 1)


def _coarsest_level(pyramid: Pyramid, finest: int) -> int:
    return next(k for k in range(finest, pyramid.levels) if pyramid.tiles(k) <= ENOUGH_TILES)


def _shown_length(recording: Recording) -> int:
    return min(recording.length, math.ceil(SHOWN_S * recording.sample_rate))


def _channel(recording: Recording, channel: int, finest: int, sound: str) -> dict[str, Any]:
    samples = recording.samples[channel, : _shown_length(recording)]
    pyramid = Pyramid(samples.size, recording.sample_rate, WINDOW_MS)
    pictures = pyramid.pictures(samples, finest, _coarsest_level(pyramid, finest))
    tiles = [[_tile(pixels) for pixels in level] for level in pictures]
    return {
        "channel": channel,
        "duration_s": samples.size / recording.sample_rate,
        "top_hz": pyramid.top_hz,
        "column_s": COLUMN_S * 2**finest,
        "range_db": RANGE_DB,
        "window_ms": WINDOW_MS,
        "tiles": tiles,
        "wave": _wave(samples),
        "sound": sound,
    }


def _breathing(analysis: Analysis, channel: int) -> dict[str, Any]:
    """The breaths of a channel, as in the JSON result; nothing where phases were not asked for."""
    own = [each for each in to_json(analysis).get("breathing", ()) if each["channel"] == channel]
    return {"breathing": own[0]} if own else {}


def _tile(grey: npt.NDArray[np.uint8]) -> str:
    return base64.b64encode(png(coarse(grey), noisy=True)).decode()


def _wave(samples: Samples) -> str:
    """Return least and greatest sample of each column as pairs of int8, scaled as the sound is."""
    starts = np.linspace(0, samples.size, min(samples.size, WAVE_COLUMNS), endpoint=False).astype(int)
    scale = 127 * PEAK / max(1e-4, float(np.abs(samples).max()))
    pairs = [np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)]
    return base64.b64encode(np.rint(np.stack(pairs, axis=1) * scale).astype(np.int8).tobytes()).decode()


def _labels(analysis: Analysis) -> dict[str, dict[str, Any]]:
    return {
        label: {
            "colour": colour,
            "text": label,
            "short": short_label(label),
            "adventitious": label != analysis.normal,
        }
        for label, colour in analysis_colours(analysis).items()
    } | _phase_labels(analysis)


def _phase_labels(analysis: Analysis) -> dict[str, dict[str, Any]]:
    colours = phase_colours() if analysis.breathing else {}
    return {phase: {"colour": colour, "text": phase.capitalize()} for phase, colour in colours.items()}


def _events(analysis: Analysis, events: Sequence[PageEvent], channels: Sequence[int]) -> list[dict[str, Any]]:
    numbers = {id(each.event): each.number for each in events}
    wanted = ("channel", "start_s", "end_s", "label", "probability", "uncertain", "relevance")
    shown = [
        event
        for event in analysis.events
        if id(event) in numbers and event.channel in channels and event.start_s < SHOWN_S
    ]
    plain = map(channel_first, shown)
    return [
        {"id": str(numbers[id(event)]), **{name: told[name] for name in wanted}}
        for event, told in zip(shown, plain, strict=True)
    ]
