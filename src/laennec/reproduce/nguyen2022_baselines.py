"""What rows of Table II are compared with besides each other: systems that need no network.

They have the rows' cycles and folds. All other folds train a regression; its penalty is the one with the best
AUC when each of those is left out in turn. One has folds of cycles dealt at random instead, to show what
patient-wise folds mean: it is measured on patients that it knows.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from laennec.files import has_content
from laennec.score.predictions import Predictions, read_predictions, write_predictions
from laennec.train.cohort import Cohort
from laennec.train.crossval import CrossValidationData
from laennec.train.data import predictions
from laennec.train.regression import Values, cross_validated

QUANTILE = 0.95

BASELINES = {
    "all": "every cycle called a crackle",
    "duration": "logistic regression on the cycle's duration",
    "bands": "logistic regression on mean, deviation and 95 % quantile of the 45 bands",
    "bands-random": "the same, its folds of cycles dealt at random: patients on both sides",
}


def band_statistics(image: Tensor) -> Values:
    """Mean, deviation and 95 % quantile of each band over time.

    ``(clips, 1, bands, frames) -> (clips, 3 * bands)``.
    """
    bands = image[:, 0].double()
    found = [bands.mean(2), bands.std(2), torch.quantile(bands, QUANTILE, dim=2)]
    return np.asarray(torch.cat(found, dim=1).numpy(), np.float64)


def baseline_predictions(cohort: Cohort, data: CrossValidationData, seed: int) -> dict[str, Predictions]:
    """The predictions of each of `BASELINES` for every cycle of a cohort, whose images `data` holds."""
    positive = (cohort.clips["label"] == cohort.labels[-1]).to_numpy()
    duration = np.log(np.asarray(cohort.lengths, np.float64) / cohort.sample_rate)[:, None]
    bands = band_statistics(data.examples.image)
    at_random = np.random.default_rng(seed).permutation(len(positive)) % cohort.folds
    chances = {
        "all": np.ones(len(positive)),
        "duration": cross_validated(duration, positive, cohort.fold),
        "bands": cross_validated(bands, positive, cohort.fold),
        "bands-random": cross_validated(bands, positive, at_random),
    }
    return {
        name: predictions(cohort.clips, cohort.labels, np.stack([1 - chance, chance], axis=1))
        for name, chance in chances.items()
    }


def write_baselines(out: Path, cohort: Cohort, data: CrossValidationData, seed: int) -> None:
    """Write the predictions of every baseline below `out`."""
    for name, found in baseline_predictions(cohort, data, seed).items():
        write_predictions(baseline_file(out, name), found)


def read_baselines(out: Path) -> dict[str, list[Predictions]]:
    """The baselines that are there, as runs of one each."""
    files = {name: baseline_file(out, name) for name in BASELINES}
    return {name: [read_predictions(path)] for name, path in files.items() if has_content(path)}


def baseline_file(out: Path, name: str) -> Path:
    """Where a baseline's predictions lie."""
    return out / "baselines" / f"{name}.csv"
