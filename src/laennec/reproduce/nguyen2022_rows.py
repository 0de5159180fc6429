"""The systems of Nguyen & Pernkopf's Table II, from their names to recipes.

Rows are named as in the table, and any combination of its parts is a row:
``3rdBN_Cyc_Ins_Exp_Ratio_37_ZeroPad``. What the literature has added since is named after a plus (`OPTIONS`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from laennec.audio.segment import PHASE_RATIOS
from laennec.errors import UsageError
from laennec.train.recipe import Recipe, deep_update, load_recipe, recipe_from_dict, recipe_to_dict

SOURCE, TARGET = "nguyen2022-source", "nguyen2022"

# Table II: sensitivity, precision (P+) and F-score. The table writes both "Inp" and "Ins" for inspiration.
PAPER = {
    "Scratch_Cyc_SamplePad": (0.8526, 0.6675, 0.7487),
    "Scratch_Cyc_Ins_Ratio_25_SamplePad": (0.9080, 0.7373, 0.8137),
    "Scratch_Cyc_Exp_Ratio_49_SamplePad": (0.8975, 0.6926, 0.7818),
    "Scratch_Ins_Exp_Ratio_25_SamplePad": (0.9035, 0.7582, 0.8245),
    "Scratch_Cyc_Ins_Exp_Ratio_25_SamplePad": (0.8996, 0.7261, 0.8036),
    "Scratch_Cyc_ZeroPad": (0.8450, 0.6521, 0.7361),
    "Scratch_Cyc_Ins_Ratio_25_ZeroPad": (0.8908, 0.7476, 0.8129),
    "Scratch_Cyc_Exp_Ratio_49_ZeroPad": (0.9064, 0.6857, 0.7807),
    "Scratch_Ins_Exp_Ratio_25_ZeroPad": (0.9070, 0.7037, 0.7925),
    "Scratch_Cyc_Ins_Exp_Ratio_25_ZeroPad": (0.9005, 0.7457, 0.8159),
    "2ndConv_Cyc_Ins_Ratio_12_SamplePad": (0.8532, 0.8411, 0.8471),
    "4thBN_Cyc_Exp_Ratio_13_SamplePad": (0.8647, 0.7250, 0.7887),
    "3rdBN_Ins_Exp_Ratio_49_SamplePad": (0.8627, 0.8005, 0.8304),
    "3rdConv_Cyc_Ins_Exp_Ratio_49_SamplePad": (0.8845, 0.7917, 0.8356),
}
BASELINE = "Scratch_Cyc_SamplePad"
# The paper's best row, and its best row of several inputs that starts from nothing.
BEST, BEST_SCRATCH = "2ndConv_Cyc_Ins_Ratio_12_SamplePad", "Scratch_Ins_Exp_Ratio_25_SamplePad"

ROW = re.compile(
    r"(?P<start>Scratch|(?:1st|2nd|3rd|[4-7]th)(?:BN|Conv))"
    r"(?P<inputs>(?:_(?:Cyc|Ins|Inp|Exp))+)"
    r"(?:_Ratio_(?P<ratio>\d\d))?"
    r"_(?P<padding>Sample|Zero)Pad"
    r"(?P<options>(?:\+\w+)*)"
)
PARTS = {"Cyc": "cycle", "Ins": "inspiration", "Inp": "inspiration", "Exp": "expiration"}


@dataclass(frozen=True)
class Option:
    """What a name after a plus changes in the recipes, and why it might help."""

    why: str
    both: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)


_MASKS = {
    "mixup": 0.3,
    "frequency_masks": 2,
    "frequency_mask_bins": 6,
    "time_masks": 2,
    "time_mask_frames": 20,
}
OPTIONS: dict[str, Option] = {
    "Band": Option(
        "each band's mean over the clip is taken out, and with it the device's frequency response: the part "
        "of spectrum correction (Nguyen, Pernkopf and Kosmider, EUSIPCO 2020) that needs no reference device",
        both={"front_end": {"normalisation": "band"}},
    ),
    "2kHz": Option(
        "mel bands up to 2 kHz: what every device here records, and where crackles are",
        both={"front_end": {"fmax_hz": 2000.0}},
    ),
    "Hop16": Option(
        "windows every 16 ms instead of every 32: a crackle lasts 5 to 15 ms",
        both={"front_end": {"hop_length": 256}},
    ),
    "StrongSource": Option(
        "the source is trained with mixup, masks, a one-cycle rate and class weights, for fifteen epochs",
        source={
            "epochs": 15,
            "learning_rate": 1e-3,
            "optimizer": "adamw",
            "schedule": "one-cycle",
            "class_weights": "sqrt",
            "augmentation": _MASKS,
        },
    ),
    "OneCycle": Option(
        "fine-tuning by a one-cycle rate of 5e-4 in batches of 32, and the last epoch kept: accuracy on a "
        "few validation patients chooses epochs by chance, and favours a model that calls everything normal",
        target={
            "learning_rate": 5e-4,
            "batch_size": 32,
            "optimizer": "adamw",
            "schedule": "one-cycle",
            "monitor": "last",
        },
    ),
    "Masks": Option("mixup and masks in fine-tuning too", target={"augmentation": _MASKS}),
    "Weighted": Option("the classes weigh the same in the loss", target={"class_weights": "balanced"}),
    "F1": Option(
        "the threshold is the one of best F-score on the validation patients",
        target={"decision": "validation-f1"},
    ),
    "AllBN": Option(
        'scale and shift of every batch norm are trained, the literal reading of "we update all BN layers"; '
        "from scratch everything is trained anyway",
        target={"fine_tune_norms": True},
    ),
    "Airflow": Option(
        "cycles are split where the airflow turned, where that is known; the ratio gives the lengths only",
        target={"known_phases": True},
    ),
    "StochNorm": Option(
        "stochastic normalisation (Kou et al., NeurIPS 2020; Nguyen & Pernkopf, IEEE TBME 2022): in "
        "training, half of the channels, drawn anew each step, are normalised by running instead of batch "
        "statistics",
        target={"model": {"stochastic_norm": 0.5}},
    ),
}
COPIES = re.compile(r"Copies_([1-9]\d?)")


def find_option(name: str) -> Option | None:
    """What a name after a plus changes; None where it names nothing.

    ``Copies_n`` is n copies by VTLP of each crackle instead of one. The paper says that VTLP "enlarges" the
    crackles, and not by how much; with as many as there are normal cycles to a crackle, less one, the classes
    balance.
    """
    copies = COPIES.fullmatch(name)
    if copies:
        target = {"augmentation": {"vtlp_copies": int(copies[1])}}
        return Option("n copies of each crackle by vocal tract length perturbation", target=target)
    return OPTIONS.get(name)


def option_changes(row: "Row", domain: str) -> list[Mapping[str, Any]]:
    """What a row's options change in the recipe of a domain, ``source`` or ``target``."""
    options = [option for option in map(find_option, row.options) if option]
    return [change for option in options for change in (option.both, getattr(option, domain)) if change]


@dataclass(frozen=True)
class Row:
    """One system of Table II, from its name."""

    name: str
    start: str
    """``""`` from scratch, or where fine-tuning begins."""
    inputs: tuple[str, ...]
    ratio: str
    padding: str
    options: tuple[str, ...]


def parse_row(name: str) -> Row:
    """Read the name of a system.

    Raises
    ------
    UsageError
        If it is none.
    """
    match = ROW.fullmatch(name)
    if match is None:
        raise UsageError(
            f"{name!r} names no system; expected for example {BASELINE} or {BEST}, with options after +"
        )
    inputs = tuple(PARTS[part] for part in match["inputs"].strip("_").split("_"))
    ratio = f"{match['ratio'][0]}:{match['ratio'][1]}" if match["ratio"] else "1:2"
    options = tuple(option for option in match["options"].split("+") if option)
    if ratio not in PHASE_RATIOS:
        raise UsageError(f"{name!r}: no ratio {ratio}; there are: {', '.join(PHASE_RATIOS)}")
    unknown = [option for option in options if find_option(option) is None]
    if unknown:
        known = ", ".join([*OPTIONS, "Copies_1 to Copies_99"])
        raise UsageError(f"{name!r}: unknown option {unknown[0]!r}; there are: {known}")
    if inputs != ("cycle",) and not match["ratio"]:
        raise UsageError(f"{name!r}: phases need a ratio, such as _Ratio_12")
    start = "" if match["start"] == "Scratch" else match["start"]
    # One system, one name: the paper writes both "Inp" and "Ins".
    name = name.replace("_Inp", "_Ins")
    return Row(name, start, inputs, ratio, match["padding"].lower(), options)


def row_recipe(row: Row, clip_samples: int, epochs: int, patience: int = 0) -> Recipe:
    """The recipe of a row on the target."""
    table = recipe_to_dict(load_recipe(TARGET))
    for change in option_changes(row, "target"):
        table = deep_update(table, change)
    change = {
        "name": row.name,
        "title": row.name,
        "epochs": epochs,
        "patience": patience,
        "padding": row.padding,
        "fine_tune_from": row.start,
        "front_end": {"inputs": list(row.inputs), "ratio": row.ratio, "clip_samples": clip_samples},
    }
    return recipe_from_dict(deep_update(table, change), row.name)


def source_recipe(row: Row, dataset: str, clip_samples: int, epochs: int, patience: int = 0) -> Recipe:
    """The recipe of the source model that a row starts from: one input, the row's padding and options."""
    table = deep_update(recipe_to_dict(load_recipe(SOURCE)), {"epochs": epochs, "dataset": dataset})
    for change in option_changes(row, "source"):
        table = deep_update(table, change)
    change = {"padding": row.padding, "patience": patience, "front_end": {"clip_samples": clip_samples}}
    return recipe_from_dict(deep_update(table, change), SOURCE)


def source_name(row: Row) -> str:
    """Folder of the source model: rows that share padding and the options that concern it share the model."""
    options = [name for name in row.options if (o := find_option(name)) and (o.both or o.source)]
    return "+".join([f"{row.padding}-padding", *options])


def expand_groups(rows: Iterable[str]) -> tuple[str, ...]:
    """Names of rows, those of `GROUPS` written out; all rows where there is none."""
    names: list[str] = []
    for name in rows or ("all",):
        names += GROUPS.get(name, (name,))
    return tuple(dict.fromkeys(names))


GROUPS = {
    "all": tuple(PAPER),
    "none": (),
    "scratch": tuple(name for name in PAPER if name.startswith("Scratch")),
    "transfer": tuple(name for name in PAPER if not name.startswith("Scratch")),
    "ratios": tuple(f"2ndConv_Cyc_Ins_Ratio_{ratio}_SamplePad" for ratio in ("13", "25", "37", "49", "12")),
    "layers": tuple(
        f"{place}_Cyc_Ins_Ratio_12_SamplePad"
        for place in ("2ndBN", "2ndConv", "3rdBN", "3rdConv", "4thBN", "4thConv")
    ),
}
