"""One analysis as one HTML file that can be seen, heard, printed and sent."""

import math
import os
from collections.abc import Sequence

from laennec.analyze.analysis import Analysis, RecordingPrediction, RespiratoryRate
from laennec.audio.recording import Recording
from laennec.audio.samples import counted
from laennec.errors import LaennecError
from laennec.files import write_text
from laennec.output.html import asset, facts, fill, page, text
from laennec.output.page_channel import channel_section, sounds_of
from laennec.output.page_events import UNCERTAIN, event_table, label_css, page_events
from laennec.output.presentation import MEANINGS, analysis_colours, boundaries, patient
from laennec.version import DISCLAIMER, __version__


def render_report(analysis: Analysis, recording: Recording, *, channel: int | None = None) -> str:
    """Return an analysis as one HTML page: answer, facts, picture with sound, table of events, model.

    The page holds the sound itself, up to 10 minutes of it: 16-bit WAV at 16 kHz at most (8 kHz for more than
    2 minutes), scaled to a peak of -3 dBFS. It has one `channel`, from 0, or all, one below the other.
    LaennecError if `recording` is not the one that was analysed, or has no such channel.
    """
    same = math.isclose(analysis.duration_s, recording.duration_s, abs_tol=0.01)
    if analysis.channels != recording.channels or not same:
        raise LaennecError(f"{recording.name}: this is not the recording that was analysed")
    if channel is not None:
        recording.channel(channel)  # raises where there is none
    channels = range(recording.channels) if channel is None else [channel]
    events = page_events(analysis, channels)
    sounds = sounds_of(recording, channels)
    records = analysis.channel_records if analysis.channels > 1 else ()
    answers = {record.channel: _answer(record) for record in records}
    sections = [
        channel_section(analysis, recording, index, events, sounds, answers.get(index, ""))
        for index in channels
    ]
    body = fill(
        "report.html",
        name=text(analysis.name),
        answer=_answer(analysis.record),
        summary=_summary(analysis),
        disclaimer=text(DISCLAIMER),
        facts=_facts(analysis),
        lists=_lists(analysis),
        channels="\n".join(sections),
        sounds="\n".join(sounds.elements),
        events_class="events several" if analysis.channels > 1 else "events",
        events=event_table(analysis, events, playable=bool(sounds.elements)),
        model=_model(analysis),
    )
    css = f"{asset('report.css')}\n{label_css(analysis_colours(analysis))}"
    return page(f"{analysis.name} – lung sounds", body, css, asset("report.js"))


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
        lines = [f'<p class="verdict">No answer: {text(record.refused or "refused")}</p>']
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


def _listed(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>" if lines else ""


def _summary(analysis: Analysis) -> str:
    adventitious = (
        f"{counted(len(analysis.adventitious), 'adventitious event', '')} of {len(analysis.events)}"
    )
    rate = _rate(analysis.record.rate) if analysis.record and analysis.record.rate else ""
    return facts({"Events": adventitious if analysis.events else "no events", "Respiratory rate": rate})


def _rate(rate: RespiratoryRate) -> str:
    value = "not found" if rate.per_min is None else f"<strong>{rate.per_min:.0f}</strong> breaths a minute"
    flag = f'<span class="flag {"good" if rate.quality == "good" else ""}">{text(rate.quality)}</span>'
    return f'{value} · quality: {flag}<br><span class="quiet small">{text(rate.reason)}</span>'


def _facts(analysis: Analysis) -> str:
    merged = ", merged" if analysis.segmentation == "windows" else ""
    known = {f"{name} (model input)": text(value or "not known") for name, value in patient(analysis).items()}
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
    lists = {"Quality": problems, "Repairs": analysis.repairs, "Notes": analysis.notes}
    return "".join(f"<div><h3>{name}</h3>{_listed(lines)}</div>" for name, lines in lists.items() if lines)


def _model(analysis: Analysis) -> str:
    return facts(
        {
            "Model": f"{text(analysis.model_name)} {text(analysis.model_version)}",
            "SHA-256": f"<code>{text(analysis.model_sha256[:12])}</code>",
            "Program": f"Laennec {text(__version__)}",
            "Learnt from": text(analysis.model_data),
            "Limits": text(analysis.model_limits),
        }
    )
