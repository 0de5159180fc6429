"""``laennec crossvalidate``: what a recipe is worth on patients that it was not trained on."""

from laennec.train.jobs import CrossValidationJob as Command


def run(command: Command) -> int:
    """Train and measure the folds; with ``--final``, train on all patients and export."""
    from laennec.train.commands import crossvalidate

    return crossvalidate(command)
