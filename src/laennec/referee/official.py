"""The split that a data set's authors published, by recording.

ICBHI 2017: the list of 920 recordings (Rocha et al., Physiological Measurement 40(3), 2019; the challenge's
page), 156 and 218 being patients of both halves. SPRSound: the training set of BioCAS 2022, 1,949 recordings;
its other releases are test sets, whose recordings are not listed here.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from laennec.datasets.icbhi import SPLIT_FILE
from laennec.datasets.sprsound import read_index
from laennec.referee.split import TEST, TRAIN

TITLES = {
    "icbhi": f"the official split of ICBHI 2017 ({SPLIT_FILE})",
    "sprsound": "SPRSound's training set of BioCAS 2022",
}


@cache
def official_sets(dataset: str) -> Mapping[str, str]:
    """Return ``train`` or ``test`` of each recording that the official split lists."""
    if dataset == "sprsound":
        return dict.fromkeys(read_index(), TRAIN)
    lines = files("laennec.datasets").joinpath("icbhi_split.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def official_set(recording: str, dataset: str) -> str | None:
    """Return the set of a recording: ``train``, ``test``, or None where it is in no list.

    What is not in SPRSound's training set is a test recording, or of another data set.
    """
    sets = official_sets(dataset)
    return sets.get(recording) or (TEST if dataset == "sprsound" else None)
