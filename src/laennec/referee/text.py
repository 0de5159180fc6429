"""A referee's report as text."""

from collections.abc import Iterable, Sequence

from laennec.audio.samples import counted
from laennec.referee import SEVERITIES, Report
from laennec.score.text import SCORE_NAMES, baselines_table, bracketed, number

HEADINGS = {"fault": "Faults", "caution": "Cautions", "note": "Notes"}


def render(report: Report) -> str:
    """Return findings, the scores with their intervals, every definition, and the baselines."""
    blocks = [_findings(report)]
    if report.scores:
        rows = [
            (SCORE_NAMES[name], number(each.value) + bracketed(each.interval))
            for name, each in report.scores.items()
        ]
        blocks.append(_block("Scores (95 % intervals over patients)", rows))
    if report.baselines:
        title = "Baselines that never hear the sound, fitted on other patients:"
        blocks.append(f"{title}\n{baselines_table(report.baselines)}")
    if report.comparison:
        rows = [
            (SCORE_NAMES[name], number(each.value, sign="+") + bracketed(each.interval))
            for name, each in report.comparison.items()
        ]
        blocks.append(_block("Second system minus the first, paired over patients", rows))
    if report.definitions:
        rows = [(each.title, number(each.value, 4)) for each in report.definitions]
        blocks.append(_block("Scores by every definition", rows))
    return "\n\n".join(blocks)


def _findings(report: Report) -> str:
    lines = []
    for severity in SEVERITIES:
        own = [each for each in report.findings if each.severity == severity]
        if own:
            lines += [f"{HEADINGS[severity]}:", *(f"  - {each.sentence}" for each in own)]
    summary = counted(report.faults, "fault", "") if report.faults else "no fault found"
    return "\n".join([f"Referee, {report.dataset}: {summary}", *lines])


def _block(title: str, rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    width = max(len(row[0]) for row in rows)
    return "\n".join([f"{title}:", *(f"  {name:<{width}}  {value}" for name, value in rows)])
