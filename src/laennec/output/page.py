"""One analysis as one HTML file that can be seen, heard, printed and sent.

Times are horizontal positions in per cent of what is shown, the same for labels, waveform, spectrogram and
cursor, so the page needs no measuring and fits any width.
"""

import io
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from laennec.analyze.analysis import DISCLAIMER, Analysis, Event, RecordAnswer, Relevance, RespiratoryRate
from laennec.audio.samples import resample
from laennec.errors import LaennecError
from laennec.files import write_text
from laennec.output.colours import NORMAL_COLOUR, label_colours, readable_on, short_label
from laennec.output.html import asset, data_uri, facts, page, png, table, text
from laennec.output.picture import assign_lanes
from laennec.output.spectrogram import FMIN_HZ, RANGE_DB, TICKS_HZ, log_spectrogram
from laennec.output.text import _runner_up
from laennec.version import __version__

if TYPE_CHECKING:
    from laennec.audio.recording import Recording

Floats = npt.NDArray[np.float64]
Samples = npt.NDArray[np.float32]
Colours = Mapping[str, str]

SHOWN_S = 600.0  # of a recording that is longer, the picture ends here, and no sound goes along
ROWS = 500  # of the table
RATE = 16_000  # Hz, of the sound in the page: has all that a stethoscope passes
LONG_S, LONG_RATE = 120.0, 8_000  # from this length on; 10 minutes are then 13 MB of page
PEAK = 10 ** (-3 / 20)  # of the sound in the page: -3 dBFS
PIECE_S = 60.0  # of a long recording, the spectrogram is made of such pieces
PIECE_COLUMNS, MARGIN_COLUMNS = 1000, 100  # of a piece; the margins on both sides are cut off
WAVE_COLUMNS, WAVE_COLUMNS_A_S = 1200, 10.0
RELEVANCE_ROWS = 110  # of its picture; half of the spectrogram's
RELEVANCE_COLOUR = (214, 20, 90)  # no label has it, and it stands out on grey
UNKNOWN_COLOUR = "#DDDDDD"  # of an annotation that is none of the model's labels
TICKS = 8  # of the time axis, at most
LETTER_EM = 0.6  # of the font size: a letter's width on average, with some air

MEANINGS = {
    "CAS": "continuous adventitious sounds: wheeze, rhonchus, stridor",
    "DAS": "discontinuous adventitious sounds: crackles",
    "CAS & DAS": "continuous (wheeze, rhonchus, stridor) and discontinuous (crackles) adventitious sounds",
}


def write_report(
    analysis: Analysis,
    recording: "Recording",
    path: str | os.PathLike[str],
    *,
    channel: int | None = None,
) -> None:
    """Write an analysis as one HTML file, whole or not at all.

    Parameters
    ----------
    analysis : Analysis
    recording : Recording
        The one that was analysed.
    path : path
        The page.
    channel : int, optional
        From 0; by default all channels, one below the other.

    Raises
    ------
    LaennecError
        If the recording is another, there is no such channel, or the file cannot be written.
    """
    write_text(path, render_report(analysis, recording, channel=channel))


def render_report(analysis: Analysis, recording: "Recording", *, channel: int | None = None) -> str:
    """Return an analysis as one HTML page: answer, facts, picture with sound, table of events, model.

    The page holds the sound itself, up to 10 minutes of it: 16-bit WAV at 16 kHz at most (8 kHz for more than
    2 minutes), scaled to a peak of -3 dBFS.

    Parameters
    ----------
    analysis : Analysis
    recording : Recording
        The one that was analysed.
    channel : int, optional
        From 0; by default all channels, one below the other.

    Raises
    ------
    LaennecError
        If the recording is another, or there is no such channel.
    """
    same = math.isclose(analysis.duration_s, recording.duration_s, abs_tol=0.01)
    if analysis.channels != recording.channels or not same:
        raise LaennecError(f"{recording.name}: this is not the recording that was analysed")
    if channel is not None:
        recording.channel(channel)  # says so where there is none
    channels = range(recording.channels) if channel is None else [channel]
    numbered = [
        _Numbered(number, event)
        for number, event in enumerate((e for e in analysis.events if e.channel in channels), start=1)
    ]
    colours = _colours(analysis, numbered)
    sounds = _sounds(recording, channels)
    body = "\n".join(
        [
            _header(analysis),
            "<main>",
            _facts(analysis),
            *(_channel(analysis, recording, index, numbered, colours, sounds) for index in channels),
            *sounds.elements,
            _events(analysis, numbered, colours, playable=bool(sounds.elements)),
            _model(analysis),
            "</main>",
        ]
    )
    css = f"{asset('report.css')}\n{_label_css(colours)}"
    return page(f"{analysis.name} – lung sounds", body, css, asset("report.js"))


@dataclass(frozen=True)
class _Numbered:
    """An event with its number in the table."""

    number: int
    event: Event

    @property
    def in_table(self) -> bool:
        return self.number <= ROWS

    def in_words(self) -> str:
        event = self.event
        uncertain = ", uncertain" if event.uncertain else ""
        return (
            f"Event {self.number}: {event.label}{uncertain}, {event.start_s:.2f} to {event.end_s:.2f} s, "
            f"probability {event.probability:.2f}"
        )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _listed(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>" if lines else ""


# --- answer, facts, model -----------------------------------------------------------------------------------


def _header(analysis: Analysis) -> str:
    count = len(analysis.adventitious)
    found = f"{_plural(count, 'adventitious event')} of {len(analysis.events)}"
    record = analysis.record
    none = '<p class="quiet">The model gives no answer for whole recordings.</p>'
    return "\n".join(
        [
            "<header>",
            '<p class="quiet small">Lung sound analysis</p>',
            f"<h1>{text(analysis.name)}</h1>",
            '<section class="answer" aria-label="Answer for the whole recording">',
            _answer(record) if record else none,
            facts(
                {
                    "Events": found if analysis.events else "no events",
                    "Respiratory rate": _rate(record.rate) if record and record.rate else "",
                }
            ),
            "</section>",
            f'<p class="disclaimer">{text(DISCLAIMER)}</p>',
            "</header>",
        ]
    )


def _answer(record: RecordAnswer) -> str:
    """Say what is said of a whole recording or channel, with its reasons; a refusal and a doubt stand out."""
    if record.refused is not None or record.label is None:
        lines = [f'<p class="verdict">No answer: {text(record.refused or "refused")}</p>']
    else:
        sign = ' <span class="uncertain">uncertain</span>' if record.uncertain else ""
        sure = "" if record.probability is None else f" (calibrated probability {record.probability:.2f})"
        lines = [f'<p><strong class="verdict">{text(record.label)}</strong>{sign}{sure}</p>']
        if record.label in MEANINGS:
            lines.append(f'<p class="small">{text(MEANINGS[record.label])}</p>')
    lines.append(_listed(record.reasons))
    others = {"All answers": record.probabilities, "Sounds like": record.kinds or {}}
    lines += [
        f'<p class="quiet small">{name}: {", ".join(f"{text(k)} {v:.2f}" for k, v in told.items())}</p>'
        for name, told in others.items()
        if told
    ]
    return "".join(lines)


def _rate(rate: RespiratoryRate) -> str:
    value = "not found" if rate.per_min is None else f"<strong>{rate.per_min:.0f}</strong> breaths a minute"
    flag = f'<span class="flag {"good" if rate.quality == "good" else ""}">{text(rate.quality)}</span>'
    return f'{value} · quality: {flag}<br><span class="quiet small">{text(rate.reason)}</span>'


def _facts(analysis: Analysis) -> str:
    told = {
        "Age": None if analysis.age_years is None else f"{analysis.age_years:g} years",
        "Sex": analysis.sex,
        "Position": analysis.position,
    }
    how = {"given": "as given", "detected": "found by the model"}.get(
        analysis.segmentation,
        f"windows of {analysis.window_s or 0:g} s every {analysis.hop_s or 0:g} s, merged",
    )
    findings = [finding.message for finding in analysis.quality]
    lists = {"Quality": findings or ["nothing amiss"], "Repairs": analysis.repairs, "Notes": analysis.notes}
    pairs = {
        "Duration": f"{analysis.duration_s:.1f} s",
        "Sample rate": f"{analysis.sample_rate} Hz",
        "Channels": str(analysis.channels),
        **{f"{name} told to the model": text(value or "not known") for name, value in told.items()},
        "Boundaries of the events": how,
    }
    blocks = [f"<div><h3>{name}</h3>{_listed(lines)}</div>" for name, lines in lists.items() if lines]
    return f'<section><h2>Recording</h2>{facts(pairs)}<div class="lists">{"".join(blocks)}</div></section>'


def _model(analysis: Analysis) -> str:
    version = f"{text(analysis.model_name)} {text(analysis.model_version)}"
    told = {
        "Model": version,
        "SHA-256": f"<code>{text(analysis.model_sha256[:12])}</code>",
        "Program": f"Laennec {text(__version__)}",
        "Learnt from": text(analysis.model_data),
        "Limits": text(analysis.model_limits),
    }
    return f"<section><h2>Model</h2>{facts(told)}</section>"


# --- events -------------------------------------------------------------------------------------------------


def _events(analysis: Analysis, numbered: Sequence[_Numbered], colours: Colours, playable: bool) -> str:
    if not numbered:
        return "<section><h2>Events</h2><p>No events.</p></section>"
    shown = [each for each in numbered if each.in_table]
    several = analysis.channels > 1
    presence = any(each.event.presence is not None for each in shown)
    annotated = any(each.event.annotated for each in shown)
    columns = ["Event", *(["Channel"] if several else []), "From s", "To s", "Lasts s", "Label"]
    columns += ["Probability", "Next likeliest", *(["Presence"] if presence else [])]
    columns += ["Annotated"] if annotated else []
    rows, attributes = [], []
    for each in shown:
        event = each.event
        row = [_number(each, playable), *([str(event.channel)] if several else [])]
        row += [f"{event.start_s:.2f}", f"{event.end_s:.2f}", f"{event.end_s - event.start_s:.2f}"]
        row += [_named(event, colours), f"{event.probability:.2f}", text(_runner_up(event))]
        row += ["" if event.presence is None else f"{event.presence:.2f}"] if presence else []
        row += [text(event.annotated or "")] if annotated else []
        rows.append(row)
        quiet = ' class="normal"' if event.label == analysis.normal else ""
        attributes.append(f'data-event="{each.number}"{quiet}')
    caption = "Probabilities are calibrated."
    if len(numbered) > ROWS:
        caption += f" The first {ROWS} of {len(numbered)} events; the JSON result has them all."
    numbers = ("From s", "To s", "Lasts s", "Probability", "Presence")
    found = table(columns, rows, caption, numbers, attributes)
    kind = "events several" if several else "events"
    return f'<section class="{kind}"><h2>Events</h2>{found}</section>'


def _number(each: _Numbered, playable: bool) -> str:
    if not playable or each.event.start_s >= SHOWN_S:
        return str(each.number)
    return (
        f'<span class="count">{each.number}</span> <button class="loop screen" type="button" '
        f'aria-pressed="false" aria-label="Loop event {each.number}: {text(each.event.label)}">loop</button>'
    )


def _named(event: Event, colours: Colours) -> str:
    sign = ' <span class="uncertain">uncertain</span>' if event.uncertain else ""
    swatch = f'<i class="swatch {_class(event.label, colours)}{_hatch(event)}" aria-hidden="true"></i>'
    return f"{swatch}{text(event.label)}{sign}"


# --- picture ------------------------------------------------------------------------------------------------


def _channel(
    analysis: Analysis,
    recording: "Recording",
    channel: int,
    numbered: Sequence[_Numbered],
    colours: Colours,
    sounds: "_Sounds",
) -> str:
    """Return one channel: player, labels, waveform and spectrogram on one time axis, legend."""
    shown_s = min(recording.duration_s, SHOWN_S)
    samples = recording.samples[channel, : math.ceil(shown_s * recording.sample_rate)]
    mine = [each for each in numbered if each.event.channel == channel and each.event.start_s < shown_s]
    title = f"Channel {channel}" if recording.channels > 1 else "Sound"
    answers = [r for r in analysis.channel_records if r.channel == channel and recording.channels > 1]
    sound = sounds.of.get(channel, "")
    lanes, count = assign_lanes([each.event for each in mine])
    annotated = any(each.event.annotated for each in mine)
    strips = [_strip(mine, lanes, count, shown_s, colours)] if mine else []
    strips += [_annotations(mine, lanes, count, shown_s, colours)] if annotated else []
    names = [("model", count), ("annotated", count)][: len(strips)]
    maps = any(each.event.relevance and each.in_table for each in mine)
    return "\n".join(
        [
            f'<section class="channel" data-audio="{sound}" data-duration="{shown_s:.4f}">',
            f"<h2>{title}</h2>",
            *(f'<div class="answer">{_answer(answer)}</div>' for answer in answers),
            _toolbar(bool(sound), bool(mine), maps),
            f'<figure><div class="plot">{_gutter(names, recording.sample_rate)}<div class="scroll">',
            '<div class="track">',
            *strips,
            _picture(samples, recording.sample_rate, shown_s, mine, analysis, colours, title),
            f'<div class="times">{_time_ticks(shown_s)}</div>',
            '<div class="cursor screen" hidden></div>',
            "</div></div></div>",
            f"<figcaption>{_legend(mine, colours)}<p>{_caption(samples, mine, recording.duration_s)} "
            f'<span class="screen">{text(sounds.told)}</span></p></figcaption>',
            "</figure>",
            "</section>",
        ]
    )


def _caption(samples: Samples, events: Sequence[_Numbered], duration_s: float) -> str:
    uncertain = any(each.event.uncertain for each in events)
    told = [
        "Labels, waveform and spectrogram." if events else "Waveform and spectrogram.",
        "Frequency in Hz on a logarithmic scale, time in s.",
        "Striped, with a question mark: the model is uncertain." if uncertain else "",
        f"Loudest sample: {float(np.abs(samples).max()):.3g} of full scale.",
        f"The picture shows the first {SHOWN_S / 60:.0f} minutes." if duration_s > SHOWN_S else "",
    ]
    return " ".join(filter(None, told))


def _toolbar(sound: bool, events: bool, maps: bool) -> str:
    """Return the controls, hidden until the script is there to make them work."""
    play = (
        '<button class="play" type="button">Play</button>'
        '<button class="slow" type="button" aria-pressed="false">Half speed</button>'
        '<button class="stop" type="button" disabled>Stop loop</button><span class="clock"></span>'
    )
    show = (
        '<button class="out" type="button" aria-label="Zoom out">−</button>'
        '<button class="in" type="button" aria-label="Zoom in">+</button>'
    )
    check = '<label><input class="evidence" type="checkbox" checked> evidence of the chosen event</label>'
    hints = [
        "Space plays, the arrow keys move, Escape stops the loop." if sound else "",
        f"Choose an event to {'loop it' if sound else 'find it in the table'}." if events else "",
    ]
    return (
        f'<div class="tools screen" hidden><div class="row">{play if sound else ""}{show}'
        f'{check if maps else ""}</div><p class="hint small quiet">{" ".join(filter(None, hints))}</p>'
        '<p class="status small" role="status"></p></div>'
    )


def _gutter(strips: Sequence[tuple[str, int]], sample_rate: int) -> str:
    """Return what stands left of the picture: names of the lanes, frequencies."""
    top_hz = min(TICKS_HZ[-1], sample_rate // 2)
    ticks = [hz for hz in TICKS_HZ if hz <= top_hz]
    marks = "".join(
        f'<span style="top:{_down(hz, top_hz):.3f}%">{hz}{" Hz" if hz == ticks[-1] else ""}</span>'
        for hz in ticks
    )
    names = "".join(f'<div class="name" style="--lanes:{count}">{name}</div>' for name, count in strips)
    return (
        f'<div class="gutter" aria-hidden="true">{names}<div class="name wave">waveform</div>'
        f'<div class="hertz">{marks}</div></div>'
    )


def _down(hz: float, top_hz: float) -> float:
    """Return how far below the top of the spectrogram a frequency lies, in per cent."""
    return 100 * (1 - math.log(hz / FMIN_HZ) / math.log(top_hz / FMIN_HZ))


def _place(start_s: float, end_s: float, shown_s: float) -> str:
    left, right = (100 * min(max(time_s / shown_s, 0.0), 1.0) for time_s in (start_s, end_s))
    return f"left:{left:.4f}%;width:{right - left:.4f}%"


def _class(label: str, colours: Colours) -> str:
    return f"l{list(colours).index(label)}"


def _hatch(event: Event) -> str:
    return " hatched" if event.uncertain else ""


def _written(label: str, sign: str = "") -> str:
    """Return a label and its capitals; the style sheet shows what fits."""
    return (
        f'<span class="full">{text(label)}{sign}</span>'
        f'<span class="short">{text(short_label(label))}{sign}</span>'
    )


def _strip(
    events: Sequence[_Numbered], lanes: Sequence[int], count: int, shown_s: float, colours: Colours
) -> str:
    # Keyboards reach each event in the table; a second stop for each of hundreds would be in their way.
    boxes = "".join(
        f'<button type="button" tabindex="-1" class="event {_class(each.event.label, colours)}'
        f'{_hatch(each.event)}" style="{_place(each.event.start_s, each.event.end_s, shown_s)};'
        f'--lane:{lane}" data-event="{each.number}" data-start="{each.event.start_s:.4f}" '
        f'data-end="{each.event.end_s:.4f}" '
        f'aria-pressed="false" aria-label="{text(each.in_words())}" title="{text(each.in_words())}">'
        f"{_written(each.event.label, ' ?' if each.event.uncertain else '')}</button>"
        for each, lane in zip(events, lanes, strict=True)
    )
    return f'<div class="lane" style="--lanes:{count}" role="group" aria-label="Events">{boxes}</div>'


def _annotations(
    events: Sequence[_Numbered], lanes: Sequence[int], count: int, shown_s: float, colours: Colours
) -> str:
    boxes = "".join(
        f'<span class="event {_class(each.event.annotated, colours)}" title="{text(each.event.annotated)}" '
        f'style="{_place(each.event.start_s, each.event.end_s, shown_s)};--lane:{lane}">'
        f"{_written(each.event.annotated)}</span>"
        for each, lane in zip(events, lanes, strict=True)
        if each.event.annotated
    )
    return f'<div class="lane" style="--lanes:{count}" role="group" aria-label="Annotated">{boxes}</div>'


def _picture(
    samples: Samples,
    sample_rate: int,
    shown_s: float,
    events: Sequence[_Numbered],
    analysis: Analysis,
    colours: Colours,
    title: str,
) -> str:
    """Return waveform and spectrogram with the events as faint spans over both."""
    level_db, top_hz = _spectrogram(samples, sample_rate)
    top_db = float(np.percentile(level_db, 99.7))  # one click must not fade all the rest
    dark = np.clip((level_db - top_db + RANGE_DB) / RANGE_DB, 0, 1)
    image = data_uri(png((255 * (1 - dark[::-1])).astype(np.uint8)), "image/png")
    shades = "".join(
        f'<i class="{_class(each.event.label, colours)}{_hatch(each.event)}'
        f'{" normal" if each.event.label == analysis.normal else ""}" data-event="{each.number}" '
        f'style="{_place(each.event.start_s, each.event.end_s, shown_s)}"></i>'
        for each in events
    )
    maps = "".join(
        f'<img class="relevance" data-event="{each.number}" hidden '
        f'style="{_place(each.event.relevance.start_s, each.event.relevance.end_s, shown_s)}" '
        f'src="{data_uri(_relevance_png(each.event.relevance, top_hz), "image/png")}" '
        f'alt="Where the evidence for event {each.number} lies">'
        for each in events
        if each.event.relevance and each.in_table
    )
    return (
        f'<div class="seek"><div class="wave">{_waveform(samples, shown_s)}</div><div class="spectrogram">'
        f'<img class="sound" src="{image}" '
        f'alt="Spectrogram of {title.lower()}, {FMIN_HZ:g} to {top_hz:g} Hz, 0 to {shown_s:.1f} s">'
        f'{maps}</div><div class="shades" aria-hidden="true">{shades}</div></div>'
    )


def _spectrogram(samples: Samples, sample_rate: int) -> tuple[Floats, float]:
    """Return the levels, with more columns where a recording is long, since one can zoom into it."""
    pieces = math.ceil(samples.size / sample_rate / PIECE_S)
    if pieces == 1:
        return log_spectrogram(samples, sample_rate)
    edges = np.linspace(0, samples.size, pieces + 1).astype(int)
    margin = round(samples.size / pieces * MARGIN_COLUMNS / PIECE_COLUMNS)
    padded = np.pad(samples, margin)  # a piece hears its neighbours, else the seams would show
    parts = [
        log_spectrogram(padded[start : end + 2 * margin], sample_rate)
        for start, end in itertools.pairwise(edges)
    ]
    inner = slice(MARGIN_COLUMNS, MARGIN_COLUMNS + PIECE_COLUMNS)
    return np.concatenate([level_db[:, inner] for level_db, _ in parts], axis=1), parts[0][1]


def _waveform(samples: Samples, shown_s: float) -> str:
    """Return the range of each of some columns as an SVG area, of the loudest sample's height."""
    columns = min(samples.size, max(WAVE_COLUMNS, int(shown_s * WAVE_COLUMNS_A_S)))
    starts = np.linspace(0, samples.size, columns, endpoint=False).astype(int)
    scale = 48 / max(1e-4, float(np.abs(samples).max()))
    high = 50 - scale * np.maximum.reduceat(samples, starts)
    low = 50 - scale * np.minimum.reduceat(samples, starts)
    x = 1000 * (starts + 0.5) / samples.size
    there = [f"{a:.2f} {b:.1f}" for a, b in zip(x, high, strict=True)]
    back = [f"{a:.2f} {b:.1f}" for a, b in zip(x[::-1], low[::-1], strict=True)]
    return (
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="Waveform">'
        f'<path vector-effect="non-scaling-stroke" d="M{"L".join(there + back)}Z"/></svg>'
    )


def _relevance_png(relevance: Relevance, top_hz: float) -> bytes:
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


def _time_ticks(shown_s: float) -> str:
    steps = (step * 10.0**power for power in range(-3, 4) for step in (1, 2, 5))
    step_s = next(step_s for step_s in steps if shown_s / step_s <= TICKS)
    return "".join(
        f'<span style="left:{100 * k * step_s / shown_s:.4f}%">{k * step_s:g}{"" if k else " s"}</span>'
        for k in range(int(0.92 * shown_s / step_s) + 1)  # one near the end would be cut off
    )


def _legend(events: Sequence[_Numbered], colours: Colours) -> str:
    used = {label for each in events for label in (each.event.label, each.event.annotated)}
    items = "".join(
        f'<li><i class="swatch {_class(label, colours)}" aria-hidden="true"></i>{text(label)}'
        f"{f' ({text(short_label(label))})' if short_label(label) != label else ''}</li>"
        for label in colours
        if label in used
    )
    return f'<ul class="legend" aria-label="Labels">{items}</ul>' if items else "<p>No events.</p>"


def _colours(analysis: Analysis, events: Sequence[_Numbered]) -> dict[str, str]:
    """Return the colour of each label, those of the annotation included."""
    colours = label_colours(analysis.labels, analysis.normal)
    for each in events:
        colours.setdefault(each.event.label, NORMAL_COLOUR)
        if each.event.annotated:
            colours.setdefault(each.event.annotated, UNKNOWN_COLOUR)
    return colours


def _label_css(colours: Colours) -> str:
    """Return each label's colours, and the width of a box from which on its name or capitals are shown."""
    rules = []
    for index, (label, colour) in enumerate(colours.items()):
        on = readable_on(colour)
        stripe = "rgb(255 255 255 / .5)" if on == "black" else "rgb(0 0 0 / .35)"
        rules.append(f".l{index}{{--colour:{colour};--on:{on};--stripe:{stripe}}}")
        for box, letters in ((f".l{index}:not(.hatched)", 0), (f".l{index}.hatched", 2)):  # the sign " ?"
            for word, kind, other in ((short_label(label), "short", "full"), (label, "full", "short")):
                width_em = LETTER_EM * (len(word) + letters) + 0.3
                rules.append(
                    f"@container (min-width:{width_em:.1f}em)"
                    f"{{{box} .{kind}{{display:inline}}{box} .{other}{{display:none}}}}"
                )
    return "\n".join(rules)


# --- sound --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sounds:
    """The sound in the page: elements, which of them plays each channel, and what is to be said of them."""

    elements: tuple[str, ...]
    of: Mapping[int, str]
    told: str


def _sounds(recording: "Recording", channels: Sequence[int]) -> _Sounds:
    """Return each channel's sound, or the mean of all where that would make the page too large."""
    if recording.duration_s > SHOWN_S:
        return _Sounds((), {}, f"The sound is longer than {SHOWN_S / 60:.0f} minutes and not in this page.")
    samples, total_s = recording.samples[list(channels)], recording.duration_s * len(channels)
    mixed = total_s > SHOWN_S
    rows = samples.mean(axis=0, keepdims=True) if mixed else samples
    limit = RATE if recording.duration_s <= LONG_S else LONG_RATE
    rate = min(recording.sample_rate, limit)
    elements = tuple(
        f'<audio class="screen" id="sound-{index}" controls preload="auto" aria-label="Sound {index}" '
        f'src="{data_uri(_wav(row, recording.sample_rate, rate), "audio/wav")}"></audio>'
        for index, row in enumerate(rows)
    )
    of = {channel: f"sound-{0 if mixed else index}" for index, channel in enumerate(channels)}
    what = "the mean of the channels" if mixed else "the recording"
    told = (
        f"The sound in this page is {what} at {rate} Hz and 16 bit. Lung sounds are quiet, so it is scaled: "
        "its peak is at -3 dBFS."
    )
    return _Sounds(elements, of, told)


def _wav(samples: Samples, sample_rate: int, rate: int) -> bytes:
    import soundfile

    resampled = resample(samples, sample_rate, rate)
    peak = float(np.abs(resampled).max())
    written = io.BytesIO()
    scaled = resampled * (PEAK / peak) if peak > 0 else resampled
    soundfile.write(written, scaled, rate, format="WAV", subtype="PCM_16")
    return written.getvalue()
