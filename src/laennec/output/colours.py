"""Colours and short names of labels."""

from collections.abc import Sequence

from laennec.analyze.analysis import Analysis

# Okabe & Ito's colours, told apart by people of every colour vision; normal breathing is grey.
COLOURS = ("#E69F00", "#0072B2", "#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#8C6D31", "#F0E442")
NORMAL_COLOUR = "#9A9A9A"
UNKNOWN_COLOUR = "#DDDDDD"  # of an annotation that is none of the model's labels


def label_colours(labels: Sequence[str], normal: str) -> dict[str, str]:
    """Return one colour a label, by its place among the labels; grey for the normal one."""
    others = [label for label in labels if label != normal]
    return {normal: NORMAL_COLOUR} | {label: COLOURS[k % len(COLOURS)] for k, label in enumerate(others)}


def analysis_colours(analysis: Analysis) -> dict[str, str]:
    """Return the colour of each label of a model, and of whatever else its events are called."""
    annotated = {event.annotated: UNKNOWN_COLOUR for event in analysis.events if event.annotated}
    named = {event.label: NORMAL_COLOUR for event in analysis.events}
    colours = label_colours(analysis.labels, analysis.normal)
    return colours | {label: colour for label, colour in (annotated | named).items() if label not in colours}


def short_label(label: str) -> str:
    """Return the capitals of a label's words: ``Fine Crackle`` is FC, ``Wheeze+Crackle`` is W+C."""
    return "+".join("".join(word[0].upper() for word in part.split()) for part in label.split("+"))


def legend_label(label: str) -> str:
    """Return a label with its capitals: ``Fine Crackle (FC)``."""
    short = short_label(label)
    return label if short == label else f"{label} ({short})"


def readable_on(colour: str) -> str:
    """Return black or white, whichever stands out more on a colour (WCAG 2.1, contrast ratio)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"
