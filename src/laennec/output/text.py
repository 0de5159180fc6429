"""A result on the console."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from laennec.analyze.analysis import DISCLAIMER, Analysis, Event, RecordAnswer, RespiratoryRate

if TYPE_CHECKING:
    from rich.console import Console

    from laennec.output.summary import Summary

MEANINGS = {  # of the record labels that are no words
    "CAS": "continuous sounds: wheeze, rhonchus, stridor",
    "DAS": "discontinuous sounds: crackles",
    "CAS & DAS": "wheeze, rhonchus or stridor, and crackles",
}


def print_table(analyses: Analysis | Sequence[Analysis], console: "Console") -> None:
    """Print each recording's events with what is to be known about them, and the disclaimer at the end.

    Parameters
    ----------
    analyses : Analysis or sequence of Analysis
    console : rich.console.Console
    """
    for analysis in [analyses] if isinstance(analyses, Analysis) else analyses:
        _print_analysis(analysis, console)
    console.print(DISCLAIMER, style="italic", highlight=False)


def _print_analysis(analysis: Analysis, console: "Console") -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(f"[bold]{escape(analysis.name)}[/bold]  {escape(facts(analysis))}", highlight=False)
    _print_answers(analysis, console)
    if analysis.events:
        table = Table(box=None, pad_edge=False)
        several = analysis.channels > 1
        annotated = any(event.annotated for event in analysis.events)
        uncertain = any(event.uncertain for event in analysis.events)
        for column in (["channel"] if several else []) + ["from s", "to s"]:
            table.add_column(column, justify="right", no_wrap=True)
        for column in ["label", "probability", "next likeliest"] + (["annotated"] if annotated else []):
            table.add_column(column, justify="right" if column == "probability" else "left")
        if uncertain:
            table.add_column("")
        for event in analysis.events:
            cells = [str(event.channel)] if several else []
            cells += [f"{event.start_s:.2f}", f"{event.end_s:.2f}", escape(event.label)]
            cells += [f"{event.probability:.2f}", escape(_runner_up(event))]
            cells += [escape(event.annotated or "")] if annotated else []
            cells += ["uncertain" if event.uncertain else ""] if uncertain else []
            table.add_row(*cells, style="dim" if event.label == analysis.normal else None)
        console.print(table)
    else:
        console.print("no events", highlight=False)
    for title, lines in (
        ("quality", [finding.message for finding in analysis.quality]),
        ("repaired", analysis.repairs),
        ("note", analysis.notes),
    ):
        for line in lines:
            console.print(f"{title}: {escape(line)}", highlight=False)
    console.print()


def print_summary(summaries: "Sequence[Summary]", console: "Console") -> None:
    """Print a row a recording: its answer, the adventitious events, its rate, or why there is none of it.

    Parameters
    ----------
    summaries : sequence of laennec.output.summary.Summary
    console : rich.console.Console
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("recording", "answer", "probability", "events", "rate", "remarks"):
        table.add_column(column, justify="right" if column in ("probability", "rate") else "left")
    for row in summaries:
        doubt = " ?" if row.uncertain else ""
        cells = [
            row.recording,
            f"{row.label}{doubt}" if row.label else "none" if row.error is None else "failed",
            "" if row.probability is None else f"{row.probability:.2f}",
            "" if row.error else _found(row),
            "" if row.rate_per_min is None else f"{row.rate_per_min:.0f}",
            row.error or "; ".join(filter(None, [row.refused, *row.quality])),
        ]
        quiet = not row.error and sum(row.events.values()) == row.events.get(row.normal, 0)
        table.add_row(*map(escape, cells), style="red" if row.error else "dim" if quiet else None)
    console.print(table)
    if any(row.uncertain for row in summaries):
        console.print("?: uncertain, the model abstains", highlight=False)
    console.print(DISCLAIMER, style="italic", highlight=False)


def _found(row: "Summary") -> str:
    """Count the adventitious events, by class."""
    counts = [f"{count} {label}" for label, count in row.events.items() if count and label != row.normal]
    normal = row.events.get(row.normal, 0)
    return ", ".join(counts) or (f"{normal} {row.normal}" if normal else "none")


def _print_answers(analysis: Analysis, console: "Console") -> None:
    """Print what is said of the whole recording, why, and its rate; then of each of several channels."""
    from rich.markup import escape

    record = analysis.record
    if record is not None:
        console.print(f"[bold]{escape(answer(record))}[/bold]", highlight=False)
        for reason in record.reasons:
            console.print(f"  {escape(reason)}", highlight=False)
        if record.rate is not None:
            console.print(escape(rate_in_words(record.rate)), highlight=False)
    if analysis.channels > 1:
        for channel_record in analysis.channel_records:
            console.print(
                f"channel {channel_record.channel}: {escape(answer(channel_record))}", highlight=False
            )


def answer(record: RecordAnswer) -> str:
    """Say in a line what a whole recording is called and how surely, or why there is no answer."""
    if record.refused is not None or record.label is None:
        return f"no answer: {record.refused or 'refused'}"
    meaning = f" ({MEANINGS[record.label]})" if record.label in MEANINGS else ""
    sure = "" if record.probability is None else f", probability {record.probability:.2f}"
    return f"{record.label}{meaning}{sure}{', uncertain' if record.uncertain else ''}"


def rate_in_words(rate: RespiratoryRate) -> str:
    """Say the respiratory rate in a line, with how good it is and why."""
    value = "not found" if rate.per_min is None else f"{rate.per_min:.0f} breaths a minute, {rate.quality}"
    return f"respiratory rate: {value} ({rate.reason})"


def facts(analysis: Analysis) -> str:
    """Say in a line how long the recording is, what the model was told, and which model it was."""
    channels = f", {analysis.channels} channels" if analysis.channels > 1 else ""
    told = [
        "" if analysis.age_years is None else f"{analysis.age_years:g} years",
        analysis.sex or "",
        analysis.position or "",
    ]
    patient = ", ".join(word for word in told if word) or "age, sex and position not known"
    how = {"given": "events as given", "detected": "events found by the model"}.get(
        analysis.segmentation, f"windows of {analysis.window_s or 0:g} s every {analysis.hop_s or 0:g} s"
    )
    return (
        f"{analysis.duration_s:.1f} s, {analysis.sample_rate} Hz{channels}; {patient}; {how}; "
        f"model {analysis.model_name} ({analysis.model_sha256[:8]})"
    )


def _runner_up(event: Event) -> str:
    others = [(value, label) for label, value in event.probabilities.items() if label != event.label]
    if not others:
        return ""
    value, label = max(others)
    return f"{label} {value:.2f}" if value >= 0.005 else ""
