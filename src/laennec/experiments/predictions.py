"""The out-of-fold predictions behind published tables, kept small, for others to stack, audit and rescore.

    python -m laennec.experiments.predictions CV NAME --recipe default --command "laennec crossvalidate …"

CV is the folder of a finished cross-validation with a folder for each seed. Its ``predictions.csv`` and,
where the model finds events, ``events.csv`` are written below ``docs/results/predictions`` as
``NAME-seedN.csv.gz`` and ``NAME-seedN-events.csv.gz``, unchanged, and entered in ``manifest.json`` there.
"""

import argparse
import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError
from laennec.experiments import run
from laennec.files import sha256_of, write_json, written_whole
from laennec.score.predictions import read_table

MANIFEST = "manifest.json"


def keep(cv: Path, name: str, out: Path, about: dict[str, Any]) -> list[str]:
    """Compress the predictions of every seed below `cv` into `out`, and enter them in the manifest.

    Returns the names of the files; `about` is what the manifest says of all of them. LaennecError if there
    are no predictions.
    """
    manifest = read_manifest(out)
    written = []
    for seed in sorted(cv.glob("seed[0-9]*")):
        for source, suffix in (("predictions.csv", ""), ("events.csv", "-events")):
            if not (seed / source).exists():
                continue
            file = f"{name}-{seed.name}{suffix}.csv.gz"
            with written_whole(out / file) as temporary:
                temporary.write_bytes(gzip.compress((seed / source).read_bytes(), 9, mtime=0))
            manifest[file] = {
                **about,
                "seed": int(seed.name.removeprefix("seed")),
                "n": len(read_table(out / file)) - 1,
                "sha256": sha256_of(out / file),
            }
            written.append(file)
    if not written:
        raise LaennecError(f"{cv} holds no seed*/predictions.csv; laennec crossvalidate writes them")
    write_json(out / MANIFEST, dict(sorted(manifest.items())))
    return written


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what is kept in a folder, by file name."""
    path = folder / MANIFEST
    entries: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return entries


def main() -> None:
    """Keep the predictions of a cross-validation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cv", type=Path, help="folder of a finished cross-validation")
    parser.add_argument("name", help="of the files, such as default")
    parser.add_argument("--command", required=True, help="the command that made it, as it was typed")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/results/predictions"))
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=False, capture_output=True, text=True).stdout
    about = {"command": options.command, "recipe": options.recipe, "commit": commit.strip() or None}
    print("\n".join(keep(options.cv, options.name, options.out, about)))


if __name__ == "__main__":
    run(main)
