"""A result on the console."""

from collections.abc import Sequence

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from laennec.analyze.analysis import Analysis
from laennec.analyze.breath_words import in_words
from laennec.audio.samples import counted
from laennec.console import plain
from laennec.output.formats import Summary
from laennec.output.presentation import (
    ANY_SOUND,
    NUMERIC,
    answer,
    brief,
    event_columns,
    facts,
    notes,
    rate_in_words,
)
from laennec.version import DISCLAIMER

SHOWN_EVENTS = 40


def print_table(analyses: Analysis | Sequence[Analysis], console: Console) -> None:
    """Print each recording's events with what is to be known about them, and the disclaimer at the end."""
    for analysis in [analyses] if isinstance(analyses, Analysis) else analyses:
        _print_analysis(analysis, console)
    console.print(DISCLAIMER, style="italic", highlight=False)


def _print_analysis(analysis: Analysis, console: Console) -> None:
    console.print(Text.assemble(plain(analysis.name, "bold"), "  ", plain(facts(analysis))))
    _print_answers(analysis, console)
    console.print(_event_table(analysis) if analysis.events else "no events", highlight=False)
    more = len(analysis.events) - SHOWN_EVENTS
    if more > 0:
        console.print(f"{counted(more, 'more event')}; --out or --json has all of them", highlight=False)
    problems = brief([finding.message for finding in analysis.quality])
    repairs = brief(analysis.repairs)
    for title, lines in (("quality", problems), ("repaired", repairs), ("note", notes(analysis))):
        for line in lines:
            console.print(plain(f"{title}: {line}"))
    console.print()


def _event_table(analysis: Analysis) -> Table:
    shown = analysis.events[:SHOWN_EVENTS]
    columns = event_columns(shown, analysis.channels)
    for name in ("duration s", "presence"):
        columns.pop(name, None)
    table = Table(box=None, pad_edge=False)
    for name in columns:
        number = name in ("channel", *NUMERIC)
        justify: JustifyMethod = "right" if number else "left"
        header = "" if name == "uncertain" else name
        table.add_column(header, justify=justify, no_wrap=number and name != "probability", overflow="fold")
    for event, cells in zip(shown, zip(*columns.values(), strict=True), strict=True):
        table.add_row(*map(plain, cells), style="dim" if event.label == analysis.normal else None)
    return table


def _print_answers(analysis: Analysis, console: Console) -> None:
    """Print the answer for the whole recording, its reasons and the rate; then those of several channels."""
    record = analysis.record
    if record is not None:
        one_of_several = analysis.channels > 1 and record.channel is not None and record.refused is None
        where = f" (channel {record.channel}, and so are the reasons)" if one_of_several else ""
        console.print(plain(answer(record) + where, "bold"))
        for reason in record.reasons:
            console.print(plain(f"  {reason}"))
        if record.rate is not None:
            console.print(plain(rate_in_words(record.rate)))
    for breathing in analysis.breathing or ():
        where = f"channel {breathing.channel}: " if analysis.channels > 1 else ""
        console.print(plain(where + in_words(breathing)))
    for each in analysis.channel_records if analysis.channels > 1 else ():
        console.print(plain(f"channel {each.channel}: {answer(each)}"))


def print_summary(summaries: Sequence[Summary], console: Console) -> None:
    """Print one row per recording: answer, adventitious events and rate, or why there is none of it."""
    table = Table(box=None, pad_edge=False)
    for column in ("recording", "answer", "probability", "events", "rate", "remarks"):
        number = column in ("probability", "rate")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in summaries:
        doubt = " ?" if row.uncertain else ""
        cells = [
            row.recording,
            f"{row.label}{doubt}" if row.label else "none" if row.error is None else "failed",
            "" if row.probability is None else f"{row.probability:.2f}",
            "" if row.error else _event_counts(row),
            "" if row.rate_per_min is None else f"{row.rate_per_min:.0f}",
            row.error or "; ".join(filter(None, [row.refused or _not_analysed(row), *row.quality])),
        ]
        quiet = not row.error and sum(row.events.values()) == row.events.get(row.normal, 0)
        table.add_row(*map(plain, cells), style="red" if row.error else "dim" if quiet else None)
    console.print(table)
    if any(row.uncertain or any(row.uncertain_events.values()) for row in summaries):
        console.print("?: uncertain, the model abstains", highlight=False)
    if any(row.heard_as for row in summaries):
        console.print(f"sounds like something else: {ANY_SOUND}", highlight=False)
    console.print(DISCLAIMER, style="italic", highlight=False)


def _event_counts(row: Summary) -> str:
    """Count the adventitious events, by class."""
    counts = {label: _event_count(row, label) for label, count in row.events.items() if count}
    normal = counts.pop(row.normal, "none")
    return ", ".join(counts.values()) or normal


def _event_count(row: Summary, label: str) -> str:
    """Count the events of a class; a question mark is for all of them, or for so many as are uncertain."""
    count, uncertain = row.events[label], row.uncertain_events.get(label, 0)
    doubt = "" if not uncertain else " ?" if uncertain == count else f" ({uncertain} ?)"
    return f"{count} {label}{doubt}"


def _not_analysed(row: Summary) -> str:
    why = f": sounds like {row.heard_as}" if row.heard_as else ""
    return f"{row.not_analysed_s:.0f} s not analysed{why}" if row.not_analysed_s else ""
