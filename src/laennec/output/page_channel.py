"""One channel of a page: player, labels, waveform and spectrogram on one time axis, legend.

Times are horizontal positions in per cent of what is shown, the same for labels, waveform, spectrogram and
cursor, so the page needs no measuring and fits any width.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Analysis, Relevance
from laennec.audio.recording import Recording
from laennec.audio.samples import mixed
from laennec.output.html import data_uri, fill, png, text, wav
from laennec.output.page_events import PageEvent, label_classes, legend
from laennec.output.presentation import Strip, short_label, strips
from laennec.output.spectrogram import FMIN_HZ, SHOWN_S, TICKS_HZ, Floats, grey, log_spectrogram

Samples = npt.NDArray[np.float32]

PIECE_S = 60.0  # of a long recording, the spectrogram is made of such pieces
PIECE_COLUMNS, MARGIN_COLUMNS = 1000, 100  # of a piece; the margins on both sides are cut off
WAVE_COLUMNS, WAVE_COLUMNS_A_S = 1200, 10.0
RELEVANCE_ROWS = 110  # half of the spectrogram's
RELEVANCE_COLOUR = (214, 20, 90)  # no label has it, and it stands out on grey
RATE = 16_000  # Hz, of the sound: has all that a stethoscope passes
LONG_S, LONG_RATE = 120.0, 8_000  # from this length on; 10 minutes are then 13 MB of page
TICKS = 8  # of the time axis, at most
PLAY = """<button class="play" type="button">Play</button>
<button class="slow" type="button" aria-pressed="false">Half speed</button>
<button class="stop" type="button" disabled>Stop loop</button><span class="clock"></span>"""
EVIDENCE = '<label><input class="evidence" type="checkbox" checked> evidence of the chosen event</label>'


class Sounds(NamedTuple):
    """The sound in a page."""

    elements: tuple[str, ...]  # HTML
    ids: Mapping[int, str]  # of the element that plays each channel
    note: str  # what they are, in a sentence


def channel_section(
    analysis: Analysis,
    recording: Recording,
    channel: int,
    events: Sequence[PageEvent],
    sounds: Sounds,
    answer: str,
) -> str:
    """Return one channel, from 0, with those of the page's events that are in it.

    `answer` is HTML: the prediction for this channel, where it has one of its own.
    """
    shown_s = min(recording.duration_s, SHOWN_S)
    samples = recording.samples[channel, : math.ceil(shown_s * recording.sample_rate)]
    mine = [each for each in events if each.event.channel == channel and each.event.start_s < shown_s]
    title = f"Channel {channel}" if recording.channels > 1 else "Sound"
    sound = sounds.ids.get(channel, "")
    rows = strips([each.event for each in mine]) if mine else []
    level_db, top_hz = spectrogram(samples, recording.sample_rate)
    mapped = [(each, each.event.relevance) for each in mine if each.event.relevance and each.in_table]
    classes = label_classes(analysis)
    return fill(
        "report_channel.html",
        sound=sound,
        duration_s=f"{shown_s:.4f}",
        title=title,
        answer=f'<div class="answer">{answer}</div>' if answer else "",
        play=PLAY if sound else "",
        evidence=EVIDENCE if mapped else "",
        hint=_hint(bool(sound), bool(mine)),
        names="".join(f'<div class="name" style="--lanes:{row.lane_count}">{row.name}</div>' for row in rows),
        hertz=_frequency_ticks(recording.sample_rate),
        strips="\n".join(_strip(row, mine, shown_s, classes) for row in rows),
        waveform=waveform_svg(samples, shown_s),
        spectrogram=data_uri(png(grey(level_db)), "image/png"),
        subject=f"{title.lower()}, {FMIN_HZ:g} to {top_hz:g} Hz, 0 to {shown_s:.1f} s",
        maps="".join(_map(each.number, relevance, top_hz, shown_s) for each, relevance in mapped),
        shades="".join(_shade(each, analysis.normal, shown_s) for each in mine),
        times=_time_ticks(shown_s),
        legend=legend(mine, classes),
        caption=_caption(samples, mine, recording.duration_s),
        sound_note=text(sounds.note),
    )


def _hint(sound: bool, events: bool) -> str:
    keys = "Space plays, the arrow keys move, Escape stops the loop. " if sound else ""
    return keys + (f"Choose an event to {'loop it' if sound else 'find it in the table'}." if events else "")


def _caption(samples: Samples, events: Sequence[PageEvent], duration_s: float) -> str:
    uncertain = any(each.event.uncertain for each in events)
    sentences = {
        "Labels, waveform and spectrogram." if events else "Waveform and spectrogram.": True,
        "Frequency in Hz on a logarithmic scale, time in s.": True,
        "Striped, with a question mark: the model is uncertain.": uncertain,
        f"Loudest sample: {float(np.abs(samples).max()):.3g} of full scale.": True,
        f"The picture shows the first {SHOWN_S / 60:.0f} minutes.": duration_s > SHOWN_S,
    }
    return " ".join(sentence for sentence, holds in sentences.items() if holds)


def _frequency_ticks(sample_rate: int) -> str:
    top_hz = min(TICKS_HZ[-1], sample_rate // 2)
    ticks = [hz for hz in TICKS_HZ if hz <= top_hz]
    tops = [100 * (1 - math.log(hz / FMIN_HZ) / math.log(top_hz / FMIN_HZ)) for hz in ticks]  # per cent
    return "".join(
        f'<span style="top:{top:.3f}%">{hz}{" Hz" if hz == ticks[-1] else ""}</span>'
        for hz, top in zip(ticks, tops, strict=True)
    )


def _time_ticks(shown_s: float) -> str:
    steps = (step * 10.0**power for power in range(-3, 4) for step in (1, 2, 5))
    step_s = next(step_s for step_s in steps if shown_s / step_s <= TICKS)
    return "".join(
        f'<span style="left:{100 * k * step_s / shown_s:.4f}%">{k * step_s:g}{"" if k else " s"}</span>'
        for k in range(int(0.92 * shown_s / step_s) + 1)  # one near the end would be cut off
    )


def _position(start_s: float, end_s: float, shown_s: float) -> str:
    left, right = (100 * min(max(time_s / shown_s, 0.0), 1.0) for time_s in (start_s, end_s))
    return f"left:{left:.4f}%;width:{right - left:.4f}%"


def _strip(strip: Strip, events: Sequence[PageEvent], shown_s: float, classes: dict[str, str]) -> str:
    """Return a row of labels: buttons for the model's, plain boxes for the annotated ones."""
    boxes = []
    for each, label, lane in zip(events, strip.labels, strip.lanes, strict=True):
        event = each.event
        style = f'style="{_position(event.start_s, event.end_s, shown_s)};--lane:{lane}"'
        if strip.name == "model":
            # Keyboards reach each event in the table; a second stop for each would be in their way.
            tag, css, words = "button", each.css, text(each.in_words())
            style += (
                f' type="button" tabindex="-1" data-event="{each.number}" data-start="{event.start_s:.4f}" '
                f'data-end="{event.end_s:.4f}" aria-pressed="false" aria-label="{words}"'
            )
        elif label:
            tag, css, words = "span", classes[label], text(label)
        else:
            continue
        boxes.append(
            f'<{tag} class="event {css}" title="{words}" {style}>'
            f'<span class="full">{text(label)}</span>'
            f'<span class="short" data-text="{text(short_label(label))}"></span></{tag}>'
        )
    name = "Events" if strip.name == "model" else "Annotated"
    return (
        f'<div class="lane" style="--lanes:{strip.lane_count}" role="group" aria-label="{name}">'
        f"{''.join(boxes)}</div>"
    )


def _shade(each: PageEvent, normal: str, shown_s: float) -> str:
    """An event as a faint span over waveform and spectrogram."""
    quiet = " normal" if each.event.label == normal else ""
    position = _position(each.event.start_s, each.event.end_s, shown_s)
    return f'<i class="{each.css}{quiet}" data-event="{each.number}" style="{position}"></i>'


def _map(number: int, relevance: Relevance, top_hz: float, shown_s: float) -> str:
    return (
        f'<img class="relevance" data-event="{number}" hidden '
        f'style="{_position(relevance.start_s, relevance.end_s, shown_s)}" '
        f'src="{data_uri(relevance_png(relevance, top_hz), "image/png")}" '
        f'alt="Where the evidence for event {number} lies">'
    )


# --- sound and pictures -------------------------------------------------------------------------------------


def sounds_of(recording: Recording, channels: Sequence[int]) -> Sounds:
    """Return each channel's sound, or the mean of all where that would make the page too large."""
    if recording.duration_s > SHOWN_S:
        return Sounds((), {}, f"The sound is longer than {SHOWN_S / 60:.0f} minutes and not in this page.")
    samples = recording.samples[list(channels)]
    together = recording.duration_s * len(channels) > SHOWN_S
    rate = min(recording.sample_rate, RATE if recording.duration_s <= LONG_S else LONG_RATE)
    elements = tuple(
        f'<audio class="screen" id="sound-{index}" controls preload="auto" aria-label="Sound {index}" '
        f'src="{data_uri(wav(row, recording.sample_rate, rate), "audio/wav")}"></audio>'
        for index, row in enumerate(mixed(samples)[0] if together else samples)
    )
    ids = {channel: f"sound-{0 if together else index}" for index, channel in enumerate(channels)}
    what = "the mean of the channels" if together else "the recording"
    note = (
        f"The sound in this page is {what} at {rate} Hz and 16 bit. "
        "Lung sounds are quiet, so it is scaled: its peak is at -3 dBFS."
    )
    return Sounds(elements, ids, note)


def spectrogram(samples: Samples, sample_rate: int) -> tuple[Floats, float]:
    """`log_spectrogram` with more columns where a recording is long, since one can zoom into it."""
    pieces = math.ceil(samples.size / sample_rate / PIECE_S)
    if pieces == 1:
        return log_spectrogram(samples, sample_rate)
    edges = np.linspace(0, samples.size, pieces + 1).astype(int)
    margin = round(samples.size / pieces * MARGIN_COLUMNS / PIECE_COLUMNS)
    padded = np.pad(samples, margin)  # a piece includes some of its neighbours, else the seams would show
    parts = [
        log_spectrogram(padded[start : end + 2 * margin], sample_rate)
        for start, end in itertools.pairwise(edges)
    ]
    inner = slice(MARGIN_COLUMNS, MARGIN_COLUMNS + PIECE_COLUMNS)
    return np.concatenate([level_db[:, inner] for level_db, _ in parts], axis=1), parts[0][1]


def waveform_svg(samples: Samples, shown_s: float) -> str:
    """Return the range of each of some columns as an SVG area, of the loudest sample's height."""
    columns = min(samples.size, max(WAVE_COLUMNS, int(shown_s * WAVE_COLUMNS_A_S)))
    starts = np.linspace(0, samples.size, columns, endpoint=False).astype(int)
    scale = 48 / max(1e-4, float(np.abs(samples).max()))
    high = 50 - scale * np.maximum.reduceat(samples, starts)
    low = 50 - scale * np.minimum.reduceat(samples, starts)
    x = 1000 * (starts + 0.5) / samples.size
    outline = zip(np.concatenate([x, x[::-1]]), np.concatenate([high, low[::-1]]), strict=True)
    path = "L".join(f"{a:.2f} {b:.1f}" for a, b in outline)
    return (
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="Waveform">'
        f'<path vector-effect="non-scaling-stroke" d="M{path}Z"/></svg>'
    )


def relevance_png(relevance: Relevance, top_hz: float) -> bytes:
    """Return a relevance map on the spectrogram's logarithmic axis; what is outside its bands is clear."""
    values = np.asarray(relevance.values, dtype=np.float64)
    edges = np.linspace(math.log(FMIN_HZ), math.log(top_hz), RELEVANCE_ROWS + 1)
    rows_hz = np.exp((edges[:-1] + edges[1:]) / 2)[::-1]
    band = np.searchsorted(relevance.edges_hz, rows_hz, side="right") - 1
    inside = (band >= 0) & (band < len(values))
    pixels = np.zeros((RELEVANCE_ROWS, values.shape[1], 4), np.uint8)
    pixels[..., :3] = RELEVANCE_COLOUR
    pixels[inside, :, 3] = np.round(200 * np.clip(values[band[inside]], 0, 1))
    return png(pixels)
