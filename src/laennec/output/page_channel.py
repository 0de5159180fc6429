"""One channel of a page: player, labels, waveform and spectrogram on one time axis, legend.

Times are horizontal positions in per cent of what is shown, the same for labels, waveform, spectrogram and
cursor, so the page needs no measuring and fits any width.
"""

import math
from collections.abc import Sequence

import numpy as np

from laennec.analyze.analysis import Analysis, Relevance
from laennec.audio.recording import Recording
from laennec.output.colours import short_label
from laennec.output.html import data_uri, fill, text
from laennec.output.lanes import Strip, strips
from laennec.output.page_events import PageEvent, label_classes, legend
from laennec.output.page_picture import Samples, relevance_png, spectrogram_uri, waveform_svg
from laennec.output.page_sound import Sounds
from laennec.output.spectrogram import FMIN_HZ, SHOWN_S, TICKS_HZ

TICKS = 8  # of the time axis, at most
PLAY = """<button class="play" type="button">Play</button>
<button class="slow" type="button" aria-pressed="false">Half speed</button>
<button class="stop" type="button" disabled>Stop loop</button><span class="clock"></span>"""
EVIDENCE = '<label><input class="evidence" type="checkbox" checked> evidence of the chosen event</label>'


def channel_section(
    analysis: Analysis,
    recording: Recording,
    channel: int,
    events: Sequence[PageEvent],
    sounds: Sounds,
    answer: str,
) -> str:
    """Return one channel, from 0, with those of the page's events that are in it.

    `answer` is HTML: the answer for this channel, where it has one of its own.
    """
    shown_s = min(recording.duration_s, SHOWN_S)
    samples = recording.samples[channel, : math.ceil(shown_s * recording.sample_rate)]
    mine = [each for each in events if each.event.channel == channel and each.event.start_s < shown_s]
    title = f"Channel {channel}" if recording.channels > 1 else "Sound"
    sound = sounds.ids.get(channel, "")
    rows = strips([each.event for each in mine]) if mine else []
    image, top_hz = spectrogram_uri(samples, recording.sample_rate)
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
        spectrogram=image,
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
    sentences = [
        "Labels, waveform and spectrogram." if events else "Waveform and spectrogram.",
        "Frequency in Hz on a logarithmic scale, time in s.",
        "Striped, with a question mark: the model is uncertain."
        if any(each.event.uncertain for each in events)
        else "",
        f"Loudest sample: {float(np.abs(samples).max()):.3g} of full scale.",
        f"The picture shows the first {SHOWN_S / 60:.0f} minutes." if duration_s > SHOWN_S else "",
    ]
    return " ".join(filter(None, sentences))


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
        event, sign = each.event, ""
        style = f'style="{_position(event.start_s, event.end_s, shown_s)};--lane:{lane}"'
        if strip.name == "model":
            # Keyboards reach each event in the table; a second stop for each would be in their way.
            tag, css, words = "button", each.css, text(each.in_words())
            sign = " ?" if event.uncertain else ""
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
            f'<span class="full">{text(label)}{sign}</span>'
            f'<span class="short">{text(short_label(label))}{sign}</span></{tag}>'
        )
    name = "Events" if strip.name == "model" else "Annotated"
    return (
        f'<div class="lane" style="--lanes:{strip.lane_count}" role="group" aria-label="{name}">'
        f"{''.join(boxes)}</div>"
    )


def _shade(each: PageEvent, normal: str, shown_s: float) -> str:
    """Return an event as a faint span over waveform and spectrogram."""
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
