"""``laennec simulate``: recordings with exact ground truth."""

from collections.abc import Sequence

from laennec import simulate
from laennec.audio.samples import by_number, counted
from laennec.cli.arguments import Simulate
from laennec.errors import UsageError
from laennec.progress import progress_bar


def run(command: Simulate) -> int:
    """Write simulated recordings in a data set's layout, a cohort, or the two of the demonstration."""
    out, layout, seed, each = command.out, command.layout, command.seed, command.recordings
    if layout == "demo":
        paths = simulate.write_demo(out, seed=seed)
    else:
        counts = count_subjects(command.subjects, layout)
        with progress_bar("simulating") as show:
            if layout == "multichannel":
                recordings = None if each is None else dict.fromkeys(counts, each)
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
    print(f"{counted(len(paths), 'simulated recording')} {by_number(len(paths), 'is', 'are')} in {out}")
    return 0


def count_subjects(words: Sequence[str], layout: str) -> dict[str, int]:
    """``12``, or ``16 healthy 7 ipf`` for a cohort; else the usual ones. UsageError if it is neither."""
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
