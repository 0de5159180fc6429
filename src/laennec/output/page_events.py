"""The events of a page: numbered once, coloured alike in table, labels and legend."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from laennec.analyze.analysis import Analysis, Event
from laennec.output.html import table, text
from laennec.output.presentation import (
    NUMERIC,
    analysis_colours,
    event_columns,
    legend_label,
    phase_colours,
    readable_on,
    short_label,
)
from laennec.output.spectrogram import SHOWN_S

ROWS = 500  # of the table
PHASE_CLASS = {phase: f"p{place}" for place, phase in enumerate(phase_colours())}
LETTER_EM = 0.6  # of the font size: a letter's width on average, with some air
UNCERTAIN = ' <span class="uncertain">uncertain</span>'


class PageEvent(NamedTuple):
    """An event with its number in the table and its classes in the style sheet."""

    number: int  # from 1
    event: Event
    css: str  # of its label's colour; of uncertain events, of the stripes as well

    @property
    def in_table(self) -> bool:
        return self.number <= ROWS

    def in_words(self) -> str:
        event = self.event
        uncertain = ", uncertain" if event.uncertain else ""
        return (
            f"Event {self.number}: {legend_label(event.label)}{uncertain}, "
            f"{event.start_s:.2f} to {event.end_s:.2f} s, "
            f"probability {event.probability:.2f}"
        )


def label_classes(analysis: Analysis) -> dict[str, str]:
    """Return the class, in the style sheet, of each label."""
    return {label: f"l{index}" for index, label in enumerate(analysis_colours(analysis))}


def page_events(analysis: Analysis, channels: Sequence[int]) -> list[PageEvent]:
    """Return the events of these channels."""
    classes = label_classes(analysis)
    events = (event for event in analysis.events if event.channel in channels)
    return [
        PageEvent(number, event, classes[event.label] + (" hatched" if event.uncertain else ""))
        for number, event in enumerate(events, start=1)
    ]


def event_table(analysis: Analysis, events: Sequence[PageEvent], playable: Collection[int]) -> str:
    """Return the table of events; those of `playable` channels have a button that loops them."""
    if not events:
        return "<p>No events.</p>"
    shown = [each for each in events if each.in_table]
    columns = event_columns([each.event for each in shown], analysis.channels)
    columns.pop("uncertain", None)  # stands beside the label
    columns = {"event": [], **{name: [text(cell) for cell in cells] for name, cells in columns.items()}}
    columns["event"] = [_number(each, playable) for each in shown]
    columns["label"] = [
        f"{_swatch(each.css)}{text(each.event.label)}{UNCERTAIN if each.event.uncertain else ''}"
        for each in shown
    ]
    quiet = {analysis.normal: ' class="normal"'}
    rows = [f'data-event="{each.number}"{quiet.get(each.event.label, "")}' for each in shown]
    caption = "Probabilities are calibrated."
    if len(events) > ROWS:
        caption += f" The first {ROWS} of {len(events)} events; the JSON result has them all."
    names, numbers = ([name.capitalize() for name in group] for group in (columns, NUMERIC))
    return table(names, list(zip(*columns.values(), strict=True)), caption, numbers, rows)


def _number(each: PageEvent, playable: Collection[int]) -> str:
    if each.event.channel not in playable or each.event.start_s >= SHOWN_S:
        return str(each.number)
    return (
        f'<span class="count">{each.number}</span> <button class="loop screen" type="button" '
        f'aria-pressed="false" aria-label="Loop event {each.number}: {text(each.event.label)}">loop</button>'
    )


def _swatch(css: str) -> str:
    return f'<i class="swatch {css}" aria-hidden="true"></i>'


def legend(events: Sequence[PageEvent], classes: Mapping[str, str]) -> str:
    """Return the labels that these events have or were annotated as, each with its colour and capitals."""
    used = {label for each in events for label in (each.event.label, each.event.annotated)}
    items = "".join(
        f"<li>{_swatch(css)}{text(legend_label(label))}</li>"
        for label, css in classes.items()
        if label in used
    )
    return f'<ul class="legend" aria-label="Labels">{items}</ul>' if items else "<p>No events.</p>"


def page_css(analysis: Analysis) -> str:
    """Return the colours of all that has one in the page of an analysis, and when its name is shown."""
    named = {
        css: (label, analysis_colours(analysis)[label]) for label, css in label_classes(analysis).items()
    }
    if analysis.breathing is not None:
        named |= {PHASE_CLASS[phase]: (phase, colour) for phase, colour in phase_colours().items()}
    return label_css(named)


def label_css(named: Mapping[str, tuple[str, str]]) -> str:
    """Return each class's colours, and the width of a box from which on its name or capitals are shown.

    `named` has label and colour of each class.
    """
    rules = []
    for css, (label, colour) in named.items():
        on = readable_on(colour)
        stripe = "rgb(255 255 255 / .5)" if on == "black" else "rgb(0 0 0 / .35)"
        rules.append(f".{css}{{--colour:{colour};--on:{on};--stripe:{stripe}}}")
        for box, letters in ((f".{css}:not(.hatched)", 0), (f".{css}.hatched", 2)):  # the sign " ?"
            for word, kind, other in ((short_label(label), "short", "full"), (label, "full", "short")):
                width_em = LETTER_EM * (len(word) + letters) + 0.8
                rules.append(
                    f"@container (min-width:{width_em:.1f}em)"
                    f"{{{box} .{kind}{{display:inline}}{box} .{other}{{display:none}}}}"
                )
    return "\n".join(rules)
