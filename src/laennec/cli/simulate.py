"""``laennec simulate``: recordings with exact ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from laennec.errors import UsageError


@dataclass(frozen=True)
class Command:
    """Make lung-sound recordings with exact ground truth, for demonstrations and tests.

    Example:  laennec simulate practice --subjects 12 --seed 0 --layout sprsound

    Example:  laennec simulate cohort --layout multichannel --subjects 16 healthy 7 ipf

    Attributes
    ----------
    out
        Folder to write; new or empty, or one that the same command wrote before.
    layout
        Files as SPRSound or ICBHI has them; "multichannel" makes a cohort recorded by sixteen sensors
        with airflow (1 GB); "demo" makes two recordings with label tracks.
    subjects
        How many patients, 12; of a cohort, how many healthy and ipf, 16 and 7.
    recordings
        Recordings a patient, 4; of a cohort, 2 of the healthy and 5 of the others.
    seed
        The same seed makes the same bytes.
    """

    out: Positional[Path] = Path("simulated")
    layout: Literal["sprsound", "icbhi", "multichannel", "demo"] = "sprsound"
    subjects: Annotated[tuple[str, ...], arg(metavar="N | N GROUP …")] = ()
    recordings: int | None = None
    seed: int = 0


def run(command: Command) -> int:
    """Write simulated recordings in a data set's layout, a cohort, or the two of the demonstration."""
    from laennec import simulate
    from laennec.progress import progress_bar

    out, layout, seed, each = command.out, command.layout, command.seed, command.recordings
    if layout == "demo":
        paths = simulate.write_demo(out, seed=seed)
    else:
        counts = count_subjects(command.subjects, layout)
        with progress_bar("simulating") as show:
            if layout == "multichannel":
                recordings = dict.fromkeys(counts, each) if each else None
                paths = simulate.simulate_cohort(
                    out, subjects=counts, recordings=recordings, seed=seed, progress=show
                )
            else:
                paths = simulate.simulate_dataset(
                    out,
                    subjects=counts["all"],
                    seed=seed,
                    layout=layout,
                    recordings_per_subject=4 if each is None else each,
                    progress=show,
                )
    print(f"{len(paths)} simulated recordings are in {out}")
    return 0


def count_subjects(words: Sequence[str], layout: str) -> dict[str, int]:
    """``12``, or ``16 healthy 7 ipf`` for a cohort; what is usual where no word is given.

    Raises
    ------
    UsageError
        If it is neither.
    """
    words = [word for part in words for word in part.split()]
    try:
        if layout != "multichannel":
            (count,) = words or ["12"]
            return {"all": int(count)}
        words = words or ["16", "healthy", "7", "ipf"]
        counts = {group.lower(): int(count) for count, group in zip(words[::2], words[1::2], strict=True)}
        if not set(counts) <= {"healthy", "ipf"} or 2 * len(counts) != len(words):
            raise ValueError
    except ValueError:
        wanted = "16 healthy 7 ipf" if layout == "multichannel" else "a number"
        raise UsageError(f"--subjects {' '.join(words)}: expected {wanted} with --layout {layout}") from None
    return counts
