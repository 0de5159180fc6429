"""``laennec evaluate``: what a model is worth on annotated recordings."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Command:
    """Measure a model on annotated events, with 95 % intervals over patients.

    OUT receives predictions.csv, metrics.json, tables.txt, confusion.png and a page, index.html. A model for
    whole recordings is measured on both: the events that it finds and its answers (detection.json,
    events.csv besides).

    Example:  laennec evaluate runs/first --data ~/data/SPRSound --split validation --out results

    Attributes
    ----------
    model
        An .onnx file, a run folder, "default" or "recording".
    data
        The data set's folder.
    out
        Folder for the results.
    split
        validation (what the model's recipe held out), all, train, test (or official), official-disjoint,
        which leaves out test clips of patients who are trained on, test-inter or test-intra.
    dataset
        {datasets}; otherwise the model's recipe's.
    """

    model: Positional[str]
    data: Path
    out: Path
    split: str = "validation"
    dataset: str | None = None


def run(command: Command) -> int:
    """Write predictions, scores, figures and a page."""
    from laennec.train.evaluate import evaluate_model

    return evaluate_model(command.model, command.dataset, command.data, command.split, command.out)
