"""Permitted values of a recipe's settings, by table; a value outside is named when the recipe is read.

The bounds are wide: they keep out what cannot be trained, and what would only be noticed after hours or when
the memory is full.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from laennec.labels import EVENT_FAMILY, SPRSOUND_RECORDS
from laennec.model.card import is_filled, is_number, is_plain, is_text
from laennec.score.confusion import NORMAL

Range = tuple[Callable[[Any], bool], str]  # whether a value is inside, and what is permitted

FINE_TUNE_PATTERN = r"(1st|2nd|3rd|[4-7]th)(BN|Conv)"
POOR = SPRSOUND_RECORDS[-1]  # what a refused recording counts as
LARGEST_SEED = 2**32 - 1
LARGEST_IMAGE = 2**22  # values of one clip's image
FRONT_END_OF_RECORDINGS = "recording-log-mel"


def between(low: float, high: float) -> Range:
    return lambda x: is_number(x) and low <= x <= high, f"a number from {low:.10g} to {high:.10g}"


def above(low: float, high: float) -> Range:
    return lambda x: is_number(x) and low < x <= high, f"a number above {low:g} and up to {high:g}"


def below(low: float, high: float) -> Range:
    return lambda x: is_number(x) and low <= x < high, f"a number from {low:g} to below {high:g}"


def whole(low: int, high: int, why: str = "") -> Range:
    return (
        lambda x: isinstance(x, int) and is_number(x) and low <= x <= high,
        f"a whole number from {low} to {high}{why}",
    )


def rising_pair(low: float, high: float) -> Range:
    return (
        lambda pair: len(pair) == 2 and all(map(is_number, pair)) and low <= pair[0] <= pair[1] <= high,
        f"two rising numbers from {low:g} to {high:g}",
    )


def several(low: int, high: int) -> Range:
    one = whole(low, high)[0]
    return (
        lambda values: isinstance(values, list | tuple) and 0 < len(values) <= 64 and all(map(one, values)),
        f"a list of 1 to 64 whole numbers from {low} to {high}",
    )


def _strides(values: Any) -> bool:
    """Whole numbers, or pairs of them for bins and frames."""
    pairs = isinstance(values, list | tuple) and all(
        isinstance(v, list | tuple) and len(v) == 2 for v in values
    )
    return several(1, 16)[0]([number for pair in values for number in pair] if pairs else values)


def _labels(values: Any) -> bool:
    return 1 < len(values) <= 1000 and all(map(is_filled, values)) and len(set(values)) == len(values)


TEXT = (is_text, "text that can be written")
NAME = (is_filled, "a line of text")
SHARE = between(0, 1)

RECIPE: Mapping[str, Range] = {
    "name": NAME,
    "title": TEXT,
    "source": TEXT,
    "dataset": NAME,
    "also": (
        lambda names: all(map(is_filled, names)) and len(set(names)) == len(names),
        "a list of different data sets",
    ),
    "labels": (
        lambda labels: _labels(labels) and labels[0] in NORMAL,
        "a list of different labels whose first is Normal (or normal)",
    ),
    "records": (
        lambda records: _labels(records) and records[0] in NORMAL and POOR in records,
        f"a list of different labels, the first Normal, with {POOR} among them",
    ),
    "validation_fraction": (lambda x: 0 < x < 1, "between 0 and 1"),
    "split_seed": whole(0, LARGEST_SEED),
    "seed": whole(0, LARGEST_SEED),
    "normal_share": above(0, 1),
    "epochs": whole(1, 100_000),
    "patience": whole(0, 100_000),
    "batch_size": whole(2, 65_536, ", since batch norm cannot learn from one clip"),
    "learning_rate": above(0, 100),
    "weight_decay": between(0, 100),
    "initial_rate": above(0, 1),
    "warmup": below(0, 1),
    "label_smoothing": below(0, 1),
    "averaging_decay": below(0, 1),
    "focal_gamma": between(0, 100),
    "gradient_clip": between(0, 1e6),
    "fine_tune_from": (
        lambda place: not place or re.fullmatch(FINE_TUNE_PATTERN, place) is not None,
        "a layer such as 2ndConv, 3rdBN or 4thConv, or empty",
    ),
    "start_from": TEXT,
    "front_end": (is_plain, "a table of text and finite numbers"),
    "model": (is_plain, "a table of text and finite numbers"),
}
AUGMENTATION: Mapping[str, Range] = {
    "frequency_masks": whole(0, 100),
    "frequency_mask_bins": whole(0, 10_000),
    "time_masks": whole(0, 100),
    "time_mask_frames": whole(0, 100_000),
    "mixup": between(0, 1000),
    "boundary_jitter_s": between(0, 10),
    "speed": below(0, 1),
    "tilt": between(0, 20),
    "noise": SHARE,
    "noise_snr_db": rising_pair(-100, 100),
    "tempo_range": rising_pair(0.1, 10),
    "response": between(0, 10),
    "beside": SHARE,
    "beside_snr_db": rising_pair(-100, 100),
    "metadata_dropout": SHARE,
    "stretch_labels": (lambda labels: all(map(is_filled, labels)), "a list of labels"),
    "stretch_range": rising_pair(0.1, 10),
    "vtlp_labels": (lambda labels: all(map(is_filled, labels)), "a list of labels"),
    "vtlp_copies": whole(0, 100),
    "vtlp_range": rising_pair(0.5, 2),
}
RECORDING_SETTINGS: Mapping[str, Range] = {
    "batch_s": between(1, 1e5),
    "loss_weights": (
        lambda weights: len(weights) == 5 and all(map(between(0, 1e6)[0], weights)),
        "five numbers from 0 to 1e+06",
    ),
    "other_sounds": whole(0, 10_000),
    "piece_s": between(0.5, 600),
    "shortest_s": between(0, 600),
    "batches": whole(1, 1_000_000),
    "evidence_weight": between(0, 1e6),
    "pattern_share": between(0, 1),
    "shares": (
        lambda shares: len(shares) == 3 and all(map(between(0, 1)[0], shares)) and sum(shares) > 0,
        "three numbers from 0 to 1",
    ),
}
WINDOW_SETTINGS: Mapping[str, Range] = {
    "sick_share": between(0, 0.9),
    "teacher": TEXT,
    "teacher_weight": SHARE,
    "temperature": between(0.1, 100),
}
PHASE_SETTINGS: Mapping[str, Range] = {
    "clips": whole(0, 65_536),
    "cycles": whole(0, 65_536),
    "breaths": whole(0, 65_536),
    "loss_weights": (
        lambda weights: len(weights) == 3 and all(map(between(0, 1e6)[0], weights)),
        "three numbers from 0 to 1e+06",
    ),
}
# Arguments of the front ends and networks of the package; those of others may have any meaning.
FRONT_END: Mapping[str, Range] = {
    "sample_rate": whole(1000, 192_000),
    "clip_samples": whole(256, 2**22),
    "clip_s": between(0.05, 60),
    "margin_s": between(0, 10),
    "level_reach_s": between(0, 600),
    "n_fft": whole(16, 4096),
    "window": whole(16, 4096),
    "windows": several(16, 4096),
    "hop_length": whole(0, 65_536),
    "bands": whole(1, 1024),
    "fmin_hz": between(0, 96_000),
    "fmax_hz": between(1, 96_000),
    "highpass_hz": between(0, 96_000),
}
MODEL: Mapping[str, Range] = {
    "channels": several(1, 4096),
    "strides": (_strides, "a list of whole numbers from 1 to 16, or of pairs of them"),
    "dilations": several(1, 4096),
    "width": whole(1, 8192),
    "dropout": below(0, 1),
    "stochastic_norm": SHARE,
    "embedding_size": whole(1, 4096),
    "stem_stride": whole(1, 16),
    "upsample": (lambda x: isinstance(x, bool), "true or false"),
    "lstm": (lambda x: isinstance(x, bool), "true or false"),
    "metadata": (lambda x: isinstance(x, bool), "true or false"),
    "bidirectional": (lambda x: isinstance(x, bool), "true or false"),
}


def first_outside(table: Mapping[str, Any], ranges: Mapping[str, Range]) -> tuple[str, Any, str] | None:
    """Name and value of the first setting outside its range, and what is permitted; None if there is none."""
    for name, (inside, permitted) in ranges.items():
        if name in table and not inside(table[name]):
            return name, table[name], permitted
    return None


def image_too_large(front_end: Mapping[str, Any]) -> bool:
    """Whether the settings that stand in a front end's table make an absurd image of a clip."""
    samples = front_end.get("clip_samples") or front_end.get("clip_s", 1) * front_end.get("sample_rate", 8000)
    hop = front_end.get("hop_length") or front_end.get("window", 128)
    return bool(samples / hop * front_end.get("bands", 64) > LARGEST_IMAGE)


def unknown_families(labels: tuple[str, ...]) -> list[str]:
    """Labels that no rule of events knows: a model for whole recordings tells families of sounds apart."""
    return [label for label in labels if label not in EVENT_FAMILY]
