"""One analysis as one HTML file that can be seen, heard, printed and sent."""

import math
import os
from collections.abc import Collection, Sequence

from laennec.analyze.analysis import Analysis, RecordingPrediction, RespiratoryRate
from laennec.audio.recording import Recording
from laennec.errors import LaennecError
from laennec.files import write_text
from laennec.output.html import asset, facts, fill, page, table, text
from laennec.output.page_channel import channel_section, sounds_of
from laennec.output.page_events import UNCERTAIN, event_table, page_css, page_events
from laennec.output.page_viewer import viewer_script
from laennec.output.presentation import (
    MEANINGS,
    answer,
    boundaries,
    calibrated_by,
    next_step,
    notes,
    patient,
    rate_value,
    uncertain_among,
)
from laennec.version import DISCLAIMER, __version__

# With sound and picture; 64 of 15 s made a page of 20 MB. Two at least, and more only up to so many seconds.
SHOWN_CHANNELS, SHOWN_CHANNELS_S = 8, 1200.0


def render_report(analysis: Analysis, recording: Recording, *, channel: int | None = None) -> str:
    """Return an analysis as one HTML page: answer, facts, picture with sound, table of events, model.

    The page holds the sound itself, up to 10 minutes of it: 16-bit WAV at 16 kHz at most (8 kHz for more than
    2 minutes), scaled to a peak of -3 dBFS. It has one `channel`, from 0, or all, one below the other: sound
    and picture of the first `SHOWN_CHANNELS` that are no copies of others, the answers and events of all.
    LaennecError if `recording` is not the one that was analysed, or has no such channel.
    """
    same = math.isclose(analysis.duration_s, recording.duration_s, abs_tol=0.01)
    if analysis.channels != recording.channels or not same:
        raise LaennecError(f"{recording.name}: this is not the recording that was analysed")
    if channel is not None:
        recording.channel(channel)  # raises where there is none
    channels = range(recording.channels) if channel is None else [channel]
    shown = [index for index in channels if channel is not None or index not in recording.twins]
    shown = shown[: min(SHOWN_CHANNELS, max(2, int(SHOWN_CHANNELS_S / max(1.0, recording.duration_s))))]
    events = page_events(analysis, channels)
    sounds = sounds_of(recording, shown)
    records = analysis.channel_records if analysis.channels > 1 else ()
    answers = {record.channel: _answer(record) for record in records}
    sections = [
        channel_section(analysis, recording, index, events, sounds, answers.get(index, "")) for index in shown
    ]
    body = fill(
        "report.html",
        name=text(analysis.name),
        answer=_answer(analysis.record),
        summary=_summary(analysis),
        disclaimer=text(DISCLAIMER),
        facts=_facts(analysis),
        lists=_lists(analysis),
        channels="\n".join([*sections, _other_channels(analysis, recording, set(channels) - set(shown))]),
        sounds="\n".join(sounds.elements),
        events_class="events several" if analysis.channels > 1 else "events",
        events=event_table(analysis, events, playable=sounds.ids),
        model=_model(analysis),
    )
    css = f"{asset('report.css')}\n{asset('viewer/viewer.css')}\n{page_css(analysis)}"
    script = viewer_script(analysis, recording, shown, events, sounds.ids)
    return page(f"{analysis.name} – lung sounds", body, css, script)


def write_report(
    analysis: Analysis, recording: Recording, path: str | os.PathLike[str], *, channel: int | None = None
) -> None:
    """Write the page of :func:`render_report` to `path`, whole or not at all."""
    write_text(path, render_report(analysis, recording, channel=channel))


def _answer(record: RecordingPrediction | None) -> str:
    """Return the answer for a whole recording or channel with its reasons; refusal and doubt stand out."""
    if record is None:
        return '<p class="quiet">The model gives no answer for whole recordings.</p>'
    if record.label is None or record.refused is not None:
        why, step = text(record.refused or "refused"), text(next_step(record))
        lines = [f'<p><strong class="verdict">No answer: {why}</strong>; {step}</p>']
    else:
        sign = UNCERTAIN if record.uncertain else ""
        sure = "" if record.probability is None else f" (calibrated probability {record.probability:.2f})"
        lines = [f'<p><strong class="verdict">{text(record.label)}</strong>{sign}{sure}</p>']
        if record.label in MEANINGS:
            lines.append(f'<p class="small">{text(MEANINGS[record.label])}</p>')
    lines.append(_listed(record.reasons))
    for name, shares in (("All answers", record.probabilities), ("Sounds like", record.kinds)):
        if shares:
            listed = ", ".join(f"{text(label)} {share:.2f}" for label, share in shares.items())
            lines.append(f'<p class="quiet small">{name}: {listed}</p>')
    return "".join(lines)


def _other_channels(analysis: Analysis, recording: Recording, others: Collection[int]) -> str:
    """Return a table of the channels without sound and picture; empty where there are none."""
    answers = {record.channel: answer(record) for record in analysis.channel_records}
    rows = [
        (
            str(index),
            f"the same samples as channel {recording.twins[index]}"
            if index in recording.twins
            else text(answers.get(index, "")),
            "" if index in recording.twins else _count(analysis, index),
        )
        for index in sorted(others)
    ]
    if not rows:
        return ""
    caption = "Without sound and picture in this page, which would be too large with those of more channels."
    columns = ("Channel", "Answer", "Adventitious events")
    return f"<section><h2>Other channels</h2>{table(columns, rows, caption, columns[2:])}</section>"


def _count(analysis: Analysis, channel: int) -> str:
    own = [event for event in analysis.adventitious if event.channel == channel]
    return f"{len(own)}{uncertain_among(own)}"


def _listed(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>" if lines else ""


def _summary(analysis: Analysis) -> str:
    own = analysis.adventitious
    unsure = sum(event.uncertain for event in own)
    found = f"{len(own)} of {len(analysis.events)}" if analysis.events else "no events"
    rate = _rate(analysis.record.rate) if analysis.record and analysis.record.rate else ""
    told = "; uncertain" if unsure == len(own) else f"; {unsure} of the {len(own)} uncertain"
    return facts({"Adventitious events": f"{found}{told if unsure else ''}", "Respiratory rate": rate})


def _rate(rate: RespiratoryRate) -> str:
    good = rate.quality == "good"
    value, _, quality = rate_value(rate).rpartition(", ")
    number = f"{text(value)} · quality: " if value else ""
    flag = f'<span class="flag{" good" if good else ""}">{text(quality)}</span>'
    return f'{number}{flag}<br><span class="quiet small">{text(rate.reason)}</span>'


def _facts(analysis: Analysis) -> str:
    merged = ", merged" if analysis.segmentation == "windows" else ""
    known = {name: text(value or "not known") for name, value in patient(analysis).items()}
    return facts(
        {
            "Duration": f"{analysis.duration_s:.1f} s",
            "Sample rate": f"{analysis.sample_rate} Hz",
            "Channels": str(analysis.channels),
            **known,
            "Event boundaries": f"{boundaries(analysis).removeprefix('events ')}{merged}",
        }
    )


def _lists(analysis: Analysis) -> str:
    problems = [finding.message for finding in analysis.quality] or ["No problems found"]
    lists = {"Quality": problems, "Repairs": analysis.repairs, "Notes": notes(analysis)}
    return "".join(f"<div><h3>{name}</h3>{_listed(lines)}</div>" for name, lines in lists.items() if lines)


def _model(analysis: Analysis) -> str:
    return facts(
        {
            "Model": f"{text(analysis.model_name)} {text(analysis.model_version)}",
            "SHA-256": f"<code>{text(analysis.model_sha256[:12])}</code>",
            "Calibrated by": text(calibrated_by(analysis)),
            "Program": f"Laennec {text(__version__)}",
            "Learnt from": text(analysis.model_data),
            "Limits": text(analysis.model_limits),
        }
    )
