"""Tables of breath phases."""

from collections.abc import Callable, Mapping
from typing import Any

from laennec.score.markdown import Load, table
from laennec.score.text import interval, number

FILE = "breaths"
STRANGERS = "breaths_strangers"  # by networks that were trained without ICBHI
BASELINES = {
    "events": "onsets of events, by the model for recordings",
    "equally spaced": "equally spaced by the rate that it finds",
}


def with_interval(score: Mapping[str, Any] | None) -> str:
    """A score with its interval."""
    if score is None or score["value"] is None:
        return ""
    own = interval(score["interval"], missing="")
    return number(score["value"]) + (f" ({own})" if own else "")


def held_out(load: Load) -> str:
    """Phases of patients that were not learnt from, and of a data set that was not."""
    rows = []
    for name, own in (("other patients", load(FILE)), ("another data set", load(STRANGERS)["seeds"]["0"])):
        clips, cycles = own["clips"], own["cycles"]
        told = cycles["told"]
        rows.append(
            [
                name,
                with_interval(clips["auc"]) if name == "other patients" else "",
                with_interval(clips["balanced_accuracy"]) if name == "other patients" else "",
                with_interval(cycles["onsets"]["f"]),
                with_interval(cycles["phases"]["right"]),
                with_interval(told["share"]),
                with_interval(told["right"]),
            ]
        )
    header = [
        "",
        "I or E in 1 s: AUC",
        "balanced accuracy",
        "onsets: F",
        "phases right",
        "told",
        "of these right",
    ]
    return table(header, rows)


def onsets(load: Load) -> str:
    """Onsets of inspiration against annotated cycles, with the baselines."""
    own = load(FILE)
    rows = [["phases, out of fold", *map(with_interval, own["cycles"]["onsets"].values())]]
    if own["cycles"]["told"]["onsets"]:
        told = own["cycles"]["told"]
        title = f"the same, the {told['recordings']} recordings whose phases are told"
        rows.append([title, *map(with_interval, told["onsets"].values())])
    rows += [
        [BASELINES[name], *map(with_interval, scores.values())]
        for name, scores in own["baselines"]["onsets"].items()
    ]
    return table(["", "F", "precision", "recall"], rows)


def surest(load: Load) -> str:
    """How many phases are right in the recordings that are surest."""
    rows = [
        [f"{float(share):.0%}", str(own["recordings"]), str(own["phases"]), with_interval(own["right"])]
        for share, own in load(FILE)["cycles"]["surest"].items()
    ]
    return table(["surest", "recordings", "inspirations and expirations", "right"], rows)


def rates(load: Load) -> str:
    """The rate by phases and by the repetition of the sound."""
    own = load(FILE)["baselines"]["rates"]
    titles = {
        "phases": "by onsets of inspiration, wherever there are two",
        "both: phases": "the same, where the other rate is `good`",
        "both: rate": "by events and repetition, where it is `good`",
    }
    rows = [
        [
            title,
            str(own[name]["recordings"]),
            number(own[name]["median_error_per_min"], 1),
            f"{own[name]['within_2_per_min']:.0%}",
        ]
        for name, title in titles.items()
        if own[name]["recordings"]
    ]
    return table(["rate", "recordings", "median error a minute", "within 2"], rows)


def simulated(load: Load) -> str:
    """What is told of simulated recordings, whose truth is known."""
    own = load(FILE)["simulated"]
    ie, crackles, tones = own["ie"], own["crackles"], own["tones"]
    rows = [["recordings whose phases are told", f"{own['told']} of {own['recordings']}"]]
    rows.append(["measured, as if all that hold a whole breath were told", str(own["measured"])])
    if own["measured"]:
        rows += [
            ["inspirations and expirations that are right", with_interval(own["right"])],
            ["onsets of inspiration, F", with_interval(own["onsets"]["f"])],
        ]
    if ie["recordings"]:
        low, high = ie["quartiles"]
        rows.append(
            [
                "I:E found over true, median (quartiles)",
                f"{ie['found_over_true']:.2f} ({low:.2f} to {high:.2f})",
            ]
        )
    rows += [
        [
            "found crackles, all of them inspiratory: told, of these as inspiratory",
            f"{crackles['phase_told']} of {crackles['events']}, {crackles['inspiration']}",
        ],
        [
            "third of inspiration: right, the next one",
            f"{crackles['third_right']} of {crackles['thirds_told']}, {crackles['third_next']}",
        ],
        [
            "found wheezes: phase told, right, the other one",
            f"{tones['phase_told']} of {tones['events']}, {tones['phase_right']}, {tones['phase_wrong']}",
        ],
        ["pitch within 5 %", f"{tones['pitch_within_5_percent']} of {tones['pitch_told']}"],
    ]
    return table(["simulated", ""], rows)


def kauh(load: Load) -> str:
    """In which phase wheezes are told to be, whose phase names of files tell."""
    found = load(FILE)["kauh"]
    rows = [
        [
            name,
            str(each["persons"]),
            *(str(each[key]) for key in ("events", "inspiration", "expiration", "both", "unknown")),
        ]
        for name, each in found["wheezes"].items()
    ]
    header = [
        "wheezes by the file's name",
        "persons",
        "found",
        "inspiration",
        "expiration",
        "both",
        "unknown",
    ]
    told = f"Told: {with_interval(found['told'])} of the recordings. As if all of them were:"
    return f"{told}\n\n{table(header, rows)}"


TABLES: dict[str, Callable[[Load], str]] = {
    "breaths-held-out": held_out,
    "breaths-onsets": onsets,
    "breaths-surest": surest,
    "breaths-rates": rates,
    "breaths-simulated": simulated,
    "breaths-kauh": kauh,
}
