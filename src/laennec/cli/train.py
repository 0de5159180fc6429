"""``laennec train``: a model by a recipe."""

from laennec.train.jobs import TrainJob as Command


def run(command: Command) -> int:
    """Train, export and measure one run."""
    from laennec.train.commands import train

    return train(command)
