"""The out-of-fold predictions behind published tables, kept small, for others to stack, audit and rescore.

    python -m laennec.experiments.predictions CV NAME --recipe default --command "laennec crossvalidate …"

CV is the folder of a finished cross-validation with a folder for each seed. Its ``predictions.csv`` and,
where the model finds events, ``events.csv`` are written below ``docs/results/predictions`` as
``NAME-seedN.csv.gz`` and ``NAME-seedN-events.csv.gz``, unchanged, and entered in ``manifest.json`` there.

    python -m laennec.experiments.predictions OUT NAME --recipe nguyen2022 --command "laennec reproduce …"

OUT is the folder of a reproduction of Nguyen & Pernkopf: every row below ``OUT/rows`` becomes one table,
``NAME-ROW.csv.gz``, with the probability of the crackle in a column for each whole run.
"""

import argparse
import csv
import gzip
import io
import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from laennec.annotations.table import for_spreadsheet
from laennec.errors import LaennecError
from laennec.experiments import run
from laennec.files import sha256_of, write_json, written_whole
from laennec.score.predictions import COLUMNS, Predictions, read_runs, read_table

MANIFEST = "manifest.json"


def keep(cv: Path, name: str, out: Path, about: dict[str, Any]) -> list[str]:
    """Compress the predictions of every seed below `cv` into `out`, and enter them in the manifest.

    Returns the names of the files; `about` is what the manifest says of all of them. LaennecError if there
    are no predictions.
    """
    tables: dict[str, tuple[bytes, dict[str, Any]]] = {}
    for seed in sorted(cv.glob("seed[0-9]*")):
        for source, suffix in (("predictions.csv", ""), ("events.csv", "-events")):
            if not (seed / source).exists():
                continue
            number = {"seed": int(seed.name.removeprefix("seed"))}
            tables[f"{name}-{seed.name}{suffix}.csv.gz"] = ((seed / source).read_bytes(), number)
    for row in sorted(path for path in cv.glob("rows/*") if any(path.glob("run-*/predictions.csv"))):
        files = sorted(row.glob("run-*/predictions.csv"), key=lambda path: int(path.parent.name[4:]))
        seeds = [int(path.parent.name[4:]) - 1 for path in files]
        runs = read_runs(files)
        own = [replace(runs, probabilities=values) for values in runs.probabilities]
        tables[f"{name}-{row.name}.csv.gz"] = (_of_runs(own, seeds), {"seed": seeds})
    if not tables:
        raise LaennecError(f"{cv} holds no seed*/predictions.csv; laennec crossvalidate writes them")
    for file, (content, number) in tables.items():
        _enter(out, file, content, {**about, **number})
    return list(tables)


def keep_row(out: Path, name: str, row: str, runs: Sequence[Predictions], about: dict[str, Any]) -> None:
    """Keep a row's predictions of several runs; `about` says of which seeds they are (`seed`)."""
    _enter(out, f"{name}-{row}.csv.gz", _of_runs(runs, about["seed"]), about)


def _enter(out: Path, file: str, content: bytes, about: dict[str, Any]) -> None:
    """Write a table, and enter it in the manifest."""
    with written_whole(out / file) as temporary:
        temporary.write_bytes(gzip.compress(content, 9, mtime=0))
    count, digest = len(read_table(out / file)) - 1, sha256_of(out / file)
    manifest = {**read_manifest(out), file: {**about, "n": count, "sha256": digest}}
    write_json(out / MANIFEST, dict(sorted(manifest.items())))


def _of_runs(runs: Sequence[Predictions], seeds: Sequence[int]) -> bytes:
    """A table of several runs on the same cycles: the probability of the last class, a column for each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"run-{seed + 1}" for seed in seeds)])
    first, values_of = runs[0], [run.probabilities[:, -1] for run in runs]
    named = zip(first.clip_ids, first.subjects, first.labels, strict=True)
    for names, values in zip(named, np.array(values_of).T, strict=True):
        writer.writerow([*map(for_spreadsheet, names), *(f"{value:.9g}" for value in values)])
    return text.getvalue().encode()


def read_row(path: Path, classes: tuple[str, str] = ("normal", "crackle")) -> list[Predictions]:
    """The predictions of a kept row, run by run."""
    _, *rows = read_table(path)
    ids, subjects, labels = (tuple(row[k] for row in rows) for k in range(len(COLUMNS)))
    values = np.array([row[len(COLUMNS) :] for row in rows], dtype=float)
    return [Predictions(ids, subjects, labels, classes, np.stack([1 - own, own], axis=1)) for own in values.T]


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what is kept in a folder, by file name."""
    path = folder / MANIFEST
    entries: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return entries


def present_commit() -> str | None:
    """The commit of the work tree that this runs in, if it is one."""
    told = subprocess.run(["git", "rev-parse", "HEAD"], check=False, capture_output=True, text=True).stdout
    return told.strip() or None


def main() -> None:
    """Keep the predictions of a cross-validation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cv", type=Path, help="folder of a finished cross-validation, or of a reproduction")
    parser.add_argument("name", help="of the files, such as default")
    parser.add_argument("--command", required=True, help="the command that made it, as it was typed")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--commit", help="that trained it, where it is not the present one")
    parser.add_argument("--out", type=Path, default=Path("docs/results/predictions"))
    options = parser.parse_args()
    about = {
        "command": options.command,
        "recipe": options.recipe,
        "commit": options.commit or present_commit(),
    }
    print("\n".join(keep(options.cv, options.name, options.out, about)))


if __name__ == "__main__":
    run(main)
