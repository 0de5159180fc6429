"""What the commands of the base install do: ``analyze``, ``simulate`` and ``challenge``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from laennec.errors import LaennecError, UsageError
from laennec.files import make_folder


def analyze_files(
    files: Sequence[Path],
    events: Path | None,
    model: str,
    age: float | None,
    sex: str | None,
    position: str | None,
    out: Path | None,
    picture: bool,
    as_json: bool,
) -> int:
    """Analyse recordings one after the other; a bad one is reported and the others go on."""
    from laennec.analyze import analyze
    from laennec.audio import Recording
    from laennec.model import check_age, check_position, check_sex, load_model
    from laennec.report import draw, print_table, to_json, write_json

    if not files:
        raise UsageError("name at least one recording; see --help")
    if events is not None and len(files) > 1:
        raise UsageError("--events belongs to one recording; name one file")
    if picture and out is None:
        raise UsageError("--picture needs --out")
    if out is not None and len({path.stem for path in files}) < len(files):
        raise UsageError("two recordings have the same name, so their results would overwrite each other")
    loaded = load_model(model)
    try:
        check_age(age)
        check_sex(sex)
        check_position(position, loaded.card.positions)
    except LaennecError as error:
        raise UsageError(str(error)) from error
    if out is not None:
        make_folder(out)  # before the work, not after it
    found, bad = [], 0
    for path in files:
        try:
            recording = Recording.read(path)
            analysis = analyze(
                recording, events=events, model=loaded, age_years=age, sex=sex, position=position
            )
            found.append(analysis)
            if out is not None:
                write_json(analysis, out / f"{path.stem}.json")
                if picture:
                    draw(analysis, recording, out / f"{path.stem}.png")
        except LaennecError as error:
            bad += 1
            print(f"laennec: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps([to_json(analysis) for analysis in found], indent=2, ensure_ascii=False))
    elif found:
        print_table(found, Console())
        if out is not None:
            print(f"Results are in {out}")
    return 1 if bad else 0


def simulate_folder(
    out: Path, layout: str, subjects: Sequence[str], recordings: int | None, seed: int
) -> int:
    """Write simulated recordings in a data set's layout, a cohort, or the two of the demonstration."""
    from laennec.simulate import simulate_cohort, simulate_dataset, write_demo

    if layout == "demo":
        paths = write_demo(out, seed=seed)
    else:
        counts = count_subjects(subjects, layout)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task("simulating")

            def show(done: int, total: int) -> None:
                progress.update(bar, completed=done, total=total)

            if layout == "multichannel":
                each = dict.fromkeys(counts, recordings) if recordings else None
                paths = simulate_cohort(out, subjects=counts, recordings=each, seed=seed, progress=show)
            else:
                paths = simulate_dataset(
                    out,
                    subjects=counts["all"],
                    seed=seed,
                    layout=layout,
                    recordings_per_subject=4 if recordings is None else recordings,
                    progress=show,
                )
    print(f"{len(paths)} simulated recordings are in {out}")
    return 0


def count_subjects(told: Sequence[str], layout: str) -> dict[str, int]:
    """``12``, or ``16 healthy 7 ipf`` for a cohort; what is usual where nothing is told.

    Raises
    ------
    UsageError
        If it is neither.
    """
    words = [word for part in told for word in part.split()]
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


def answer_challenge(task: int, wav: Path, out: Path, model: str) -> int:
    """Answer tasks 11 and 12 of the BioCAS challenge for a folder of events."""
    from laennec.challenge import run
    from laennec.model import load_model

    run(task, wav, out, load_model(model), progress=sys.stderr.isatty())
    return 0
