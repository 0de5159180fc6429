"""``laennec transfer``: a model for a small cohort of one's own."""

from laennec.train.jobs import TransferJob as Command


def run(command: Command) -> int:
    """Cross-validate on the cohort, then train on all of it and export."""
    from laennec.train.transfer import transfer

    return transfer(command)
