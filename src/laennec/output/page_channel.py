"""One channel of a page: sound, labels, waveform and spectrogram on one time axis, legend.

This is the picture as paper and a browser without scripts have it; on the screen a viewer takes its place.

Times are horizontal positions in per cent of what is shown, the same for labels, waveform, spectrogram and
cursor, so the page needs no measuring and fits any width.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import Analysis, Breathing
from laennec.analyze.breath_words import in_words
from laennec.audio.recording import Recording
from laennec.audio.samples import mixed
from laennec.output.html import data_uri, fill, png, text, wav
from laennec.output.page_events import PHASE_CLASS, PageEvent, label_classes, legend
from laennec.output.presentation import Strip, short_label, strips, tick_step
from laennec.output.spectrogram import FMIN_HZ, SHOWN_S, TICKS_HZ, coarse, spectrogram_of

Samples = npt.NDArray[np.float32]

WAVE_COLUMNS = 1200
RATE = 16_000  # Hz, of the sound: has all that a stethoscope passes
LONG_S, LONG_RATE = 120.0, 8_000  # from this length on; 10 minutes are then 13 MB of page
TICKS = 8  # of the time axis, at most


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
    rows = strips([each.event for each in mine]) if mine else []
    breathing = next((each for each in analysis.breathing or () if each.channel == channel), None)
    spectrogram = spectrogram_of(recording, channel, samples.size)
    classes = label_classes(analysis)
    return fill(
        "report_channel.html",
        channel=str(channel),
        title=title,
        answer=f'<div class="answer">{answer}</div>' if answer else "",
        names="".join(f'<div class="name" style="--lanes:{row.lane_count}">{row.name}</div>' for row in rows)
        + ('<div class="name">phases</div>' if breathing and breathing.phases else ""),
        hertz=_frequency_ticks(recording.sample_rate),
        strips="\n".join(
            [*(_strip(row, mine, shown_s, classes) for row in rows), _phases(breathing, shown_s)]
        ),
        waveform=waveform_svg(samples),
        spectrogram=data_uri(png(coarse(spectrogram.grey), noisy=True), "image/png"),
        subject=f"{title.lower()}, {FMIN_HZ:g} to {spectrogram.fmax_hz:g} Hz, 0 to {shown_s:.1f} s",
        shades="".join(_shade(each, analysis.normal, shown_s) for each in mine),
        times=_time_ticks(shown_s),
        legend=legend(mine, classes),
        caption=_caption(samples, mine, recording.duration_s),
        breaths="" if breathing is None else f'<p class="still">Breaths: {text(_told(breathing))}</p>',
        sound_note=text(sounds.note),
    )


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
    step_s = tick_step(shown_s, TICKS)
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


def _told(breathing: Breathing) -> str:
    return in_words(breathing).removeprefix("breath phases: ")


def _phases(breathing: Breathing | None, shown_s: float) -> str:
    """Return the row of a channel's breath phases; empty where none are told."""
    if breathing is None or not breathing.phases:
        return ""
    boxes = "".join(
        f'<span class="event {PHASE_CLASS[each.phase]}" title="{each.phase}" '
        f'style="{_position(each.start_s, each.end_s, shown_s)};--lane:0">'
        f'<span class="full">{each.phase}</span>'
        f'<span class="short" data-text="{text(short_label(each.phase))}"></span></span>'
        for each in breathing.phases
        if each.start_s < shown_s
    )
    return f'<div class="lane" style="--lanes:1" role="group" aria-label="Breath phases">{boxes}</div>'


def _shade(each: PageEvent, normal: str, shown_s: float) -> str:
    """An event as a faint span over waveform and spectrogram."""
    quiet = " normal" if each.event.label == normal else ""
    position = _position(each.event.start_s, each.event.end_s, shown_s)
    return f'<i class="{each.css}{quiet}" data-event="{each.number}" style="{position}"></i>'


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


def waveform_svg(samples: Samples) -> str:
    """Return the range of each of some columns as an SVG area, of the loudest sample's height."""
    columns = min(samples.size, WAVE_COLUMNS)
    starts = np.linspace(0, samples.size, columns, endpoint=False).astype(int)
    scale = 48 / max(1e-4, float(np.abs(samples).max()))
    high = 50 - scale * np.maximum.reduceat(samples, starts)
    low = 50 - scale * np.minimum.reduceat(samples, starts)
    x = 1000 * (starts + 0.5) / samples.size
    outline = np.stack([np.concatenate([x, x[::-1]]), np.concatenate([high, low[::-1]])], axis=1)
    path = ("%.2f %.1fL" * len(outline) % tuple(outline.ravel().tolist())).removesuffix("L")
    return (
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="Waveform">'
        f'<path vector-effect="non-scaling-stroke" d="M{path}Z"/></svg>'
    )
