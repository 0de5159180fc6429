"""Tables of events, of recordings, and of a folder."""

from collections.abc import Sequence

from laennec.analyze.analysis import Analysis
from laennec.annotations import rounded_span, table
from laennec.output.summary import Summary, answer_summary

CSV_DIGITS = 4
ANSWER = ("label", "probability", "uncertain", "refused", "rate_per_min", "rate_quality")  # columns


def to_csv(analysis: Analysis) -> str:
    """Return the events as CSV, one row per event.

    Columns: ``recording, channel`` (from 0)``, start_s, end_s, label, probability, uncertain`` (true or
    false)``, presence`` (empty where not known), then the probability of each class under its name.
    :func:`laennec.annotations.read_events` reads it.
    """
    header = ["recording", "channel", "start_s", "end_s", "label", "probability", "uncertain", "presence"]
    rows = (
        [
            analysis.name,
            event.channel,
            *(f"{value:.{CSV_DIGITS}f}" for value in rounded_span(event.start_s, event.end_s, CSV_DIGITS)),
            event.label,
            _share(event.probability),
            _flag(event.uncertain),
            _share(event.presence),
            *(_share(event.probabilities[label]) for label in analysis.labels),
        ]
        for event in analysis.events
    )
    return table.write([*header, *analysis.labels], rows)


def to_record_csv(analysis: Analysis) -> str:
    """Return the answers for the whole recording as CSV: one row for all channels, then one per channel.

    Columns: ``recording, channel`` (``all``, or from 0)``, label, probability, uncertain, refused``
    (why)``, rate_per_min, rate_quality``, then the probability of each record label under its name. Empty is
    what is not known; a model that gives no answers leaves the header alone.
    """
    records = [("all", analysis.record)] if analysis.record else []
    records += [(str(record.channel), record) for record in analysis.channel_records]
    labels = list(dict.fromkeys(label for _, record in records for label in record.probabilities))
    rows = (
        [
            analysis.name,
            channel,
            *_answer_cells(answer_summary(record, analysis.name)),
            *(_share(record.probabilities.get(label)) for label in labels),
        ]
        for channel, record in records
    )
    return table.write(["recording", "channel", *ANSWER, *labels], rows)


def _answer_cells(row: Summary) -> list[str]:
    return [
        row.label or "",
        _share(row.probability),
        "" if row.error else _flag(row.uncertain),
        row.refused or "",
        "" if row.rate_per_min is None else f"{row.rate_per_min:.1f}",
        row.rate_quality,
    ]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def to_summary_csv(summaries: Sequence[Summary]) -> str:
    """Return one row per recording as CSV.

    Columns: ``recording, label, probability, uncertain, refused, rate_per_min, rate_quality, duration_s``,
    the number of events of each class under its name, ``quality`` (kinds, with a semicolon between) and
    ``error``.
    """
    labels = list(dict.fromkeys(label for row in summaries for label in row.events))
    rows = (
        [
            row.recording,
            *_answer_cells(row),
            "" if row.duration_s is None else f"{row.duration_s:.3f}",
            *(row.events.get(label, "") for label in labels),
            "; ".join(row.quality),
            row.error or "",
        ]
        for row in summaries
    )
    return table.write(["recording", *ANSWER, "duration_s", *labels, "quality", "error"], rows)
