"""Tables of models for events at given boundaries."""

from collections.abc import Mapping, Sequence
from typing import Any

from laennec.score.markdown import Load, change, numbers, table
from laennec.score.text import interval, number, with_interval

CONFIRMED = {
    "task 12 Score (seven classes)": ("task_12/challenge_score",),
    "Se, Sp (exact class)": ("sensitivity", "specificity"),
    "TS (Chen & Zhang, equation 1)": ("total_score",),
    "task 11 Score (normal or adventitious)": ("task_11/challenge_score",),
    "AUC, adventitious against normal": ("binary_roc_auc",),
    "normal against crackle: F": ("normal_crackle/binary_f1",),
    "normal against crackle: AUC": ("normal_crackle/binary_roc_auc",),
    "normal against wheeze: F": ("normal_wheeze/binary_f1",),
    "normal against wheeze: AUC": ("normal_wheeze/binary_roc_auc",),
    "expected calibration error": ("expected_calibration_error",),
}


def of(metrics: Mapping[str, Any], key: str) -> tuple[float | None, Sequence[float] | None]:
    """Return a score and its interval from metrics.json; ``task_12/challenge_score`` is that of a part."""
    part, _, name = key.rpartition("/")
    block = metrics[part] if part else metrics
    return block["scores"][name], block["intervals"].get(name)


def readme(load: Load) -> str:
    """The shipped model against the baseline."""
    baseline, ours, published = (
        load(name) for name in ("baseline-crossvalidation", "default-crossvalidation", "published")
    )
    rows = []
    for title, key in (
        ("seven classes: task 12 Score", "task_12/challenge_score"),
        ("normal or adventitious: task 11 Score", "task_11/challenge_score"),
        ("TS of Chen & Zhang", "total_score"),
        ("AUC, adventitious against normal", "binary_roc_auc"),
        ("calibration error", "expected_calibration_error"),
    ):
        printed = published.get(key.split("/")[0], [])
        digits = 3 if key == "total_score" else 2
        scores = with_interval(*of(baseline, key)), with_interval(*of(ours, key), bold=True)
        rows.append([title, *scores, interval(printed, digits) if printed else ""])
    header = ["", "a plain residual CNN", "ours", "published, on the challenge's test set"]
    return table(header, rows)


def confirmed(load: Load) -> str:
    """Baseline, baseline with the decision, shipped recipe."""
    systems = [
        load(name) for name in ("baseline-crossvalidation", "baseline-decision", "default-crossvalidation")
    ]
    rows = []
    for title, keys in CONFIRMED.items():
        scores = [[of(system, key) for key in keys] for system in systems]
        if len(keys) > 1:
            cells = [numbers(value for value, _ in each) for each in scores]
        else:
            cells = [with_interval(*score) for (score,) in scores]
            cells[-1] = f"**{cells[-1]}**"
        rows.append([title, *cells])
    return table(["", "baseline", "baseline, with the decision", "shipped recipe"], rows)


def by_seed(load: Load) -> str:
    """Task 12, TS, task 11 and AUC of each seed."""
    keys, systems = ("task_12", "ts", "task_11", "auc"), ("baseline", "baseline-decision", "default")
    return table(
        ["seed", "baseline", "baseline, with the decision", "shipped recipe"],
        [
            [row["seed"], *(numbers(row[system][key] for key in keys) for system in systems)]
            for row in load("crossvalidation-by-seed")["seeds"]
        ],
    )


def by_class(load: Load) -> str:
    """Every class of the shipped recipe."""
    return table(
        ["class", "events", "patients", "precision", "recall", "F1", "AUC"],
        [
            [
                name,
                *(own[key] for key in ("clips", "subjects", "precision", "recall")),
                with_interval(own["f1"], own["intervals"]["f1"]),
                own["roc_auc"],
            ]
            for name, own in load("default-crossvalidation")["classes"].items()
        ],
    )


def shipped(load: Load) -> str:
    """The shipped recipe's main scores."""
    rows = []
    for title, *keys in (
        ("Score (BioCAS task 12)", "task_12/challenge_score"),
        ("Se, Sp", "sensitivity", "specificity"),
        ("TS", "total_score"),
        ("Score, normal against adventitious (task 11)", "task_11/challenge_score"),
        ("AUC, adventitious against normal", "binary_roc_auc"),
        ("expected calibration error", "expected_calibration_error"),
    ):
        scores = [of(load("default-crossvalidation"), key) for key in keys]
        bounds = ", ".join(interval(each, missing="") for _, each in scores)
        rows.append([title, numbers(value for value, _ in scores), bounds])
    return table(["score", "", "95 % over patients"], rows)


def robustness(load: Load) -> str:
    """What changed recordings and boundaries cost."""
    conditions = load("robustness")["conditions"]
    plain = next(iter(conditions))
    return table(
        ["", "Score", "change (95 %, paired)"],
        [
            [name, own["score"], "" if name == plain else change(own["difference"], own["interval"])]
            for name, own in conditions.items()
        ],
    )


def other_devices(load: Load) -> str:
    """Area under the curve by device, before and after training on ICBHI's cycles."""
    before, after = (load(name)["auc"] for name in ("other-devices-before", "other-devices"))
    return table(
        ["device", "sound", "cycles with it", "before", "after", "after less before (paired)"],
        [
            [
                device,
                sound,
                f"{own['with']} of {own['cycles']}",
                *(
                    with_interval(each[sound][device]["auc"], each[sound][device]["interval"])
                    for each in (before, after)
                ),
                change(own["difference"]["difference"], own["difference"]["interval"]),
            ]
            for sound, devices in after.items()
            for device, own in devices.items()
        ],
    )


def trials(load: Load) -> str:
    """Every trial on the way to the shipped recipe."""
    rows = []
    for own in load("experiments"):
        score, auc = own.get("difference"), own.get("auc_difference")
        rows.append(
            [
                own["trial"],
                own["what"],
                own["against"] or "",
                with_interval(own["score"], own["interval"]),
                own["task_11"],
                number(own["auc"], 4),
                change(score["difference"], score["interval"]) if score else "",
                f"{auc['difference']:+.4f}" if auc else "",
                own["kept"] or "–",
            ]
        )
    header = ["trial", "what", "against", "task 12 Score (95 %)", "task 11 Score", "AUC"]
    return table([*header, "Score, difference (95 %)", "AUC", "kept"], rows)


TABLES = {
    "clips-readme": readme,
    "clips-confirmed": confirmed,
    "clips-by-seed": by_seed,
    "clips-by-class": by_class,
    "clips-shipped": shipped,
    "clips-robustness": robustness,
    "clips-other-devices": other_devices,
    "clips-trials": trials,
}
