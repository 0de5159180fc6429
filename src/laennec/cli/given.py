"""The recordings that a command is to copy, and what it says of the folders among what is named."""

import sys
from collections.abc import Sequence
from pathlib import Path

from laennec.errors import LaennecError
from laennec.files import printable
from laennec.output.files import Recordings, find_recordings


def recordings_of(files: Sequence[Path]) -> Recordings:
    """Return the recordings named or found in folders; an empty one of several folders is `lost`.

    UsageError if nothing is named, LaennecError if there is no recording at all.
    """
    recordings = find_recordings(files)
    if not recordings.names:
        raise LaennecError("; ".join(f"{folder}: {why}" for folder, why in recordings.lost.items()))
    return recordings


def say_left_out(recordings: Recordings, done: str) -> int:
    """Print what of the folders was not taken, `done` being what is done to a recording.

    Returns how many folders hold no recording or cannot be read.
    """
    for line in recordings.left_out(done):
        print(printable(line))
    for folder, why in recordings.lost.items():
        print(f"laennec: {printable(f'{folder}: {why}')}", file=sys.stderr)
    return len(recordings.lost)
