"""``laennec evaluate``: predictions, scores, figures and a page of a model on annotated recordings."""

from laennec.train.evaluate import evaluate_model
from laennec.train.jobs import EvaluateJob


def run(command: EvaluateJob) -> int:
    return evaluate_model(command.model, command.dataset, command.data, command.split, command.out)
