"""Every table of figures in README and docs, rendered from docs/results.

    python -m laennec.experiments.figures [--check]

A table stands between ``<!-- figures: NAME -->`` and ``<!-- end -->``; NAME is one of `TABLES`. Without
``--check`` the pages are written anew; with it nothing is written, and the exit code is 1 if a table differs
from its JSON.
"""

import argparse
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from laennec.errors import LaennecError
from laennec.experiments import (
    adapting_tables,
    breath_tables,
    clip_tables,
    graph_tables,
    leaderboard,
    microcontroller_tables,
    paper_tables,
    rates,
    recording_tables,
    rehearsal_trials,
    reliability_tables,
    run,
    scale_tables,
    speed_tables,
    stranger_tables,
    streams,
    training_tables,
)
from laennec.files import write_text

MARKED = re.compile(r"<!-- figures: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)
TABLES: Mapping[str, Callable[[Callable[[str], Any]], str]] = {
    **clip_tables.TABLES,
    **recording_tables.TABLES,
    **paper_tables.TABLES,
    **reliability_tables.TABLES,
    **rehearsal_trials.TABLES,
    **stranger_tables.TABLES,
    **streams.TABLES,
    **rates.TABLES,
    **breath_tables.TABLES,
    **adapting_tables.TABLES,
    **microcontroller_tables.TABLES,
    **scale_tables.TABLES,
    **graph_tables.TABLES,
    **leaderboard.TABLES,
    **speed_tables.TABLES,
    **training_tables.TABLES,
}


def rendered(page: str, results: Path) -> str:
    """Return a page with its tables as the JSON files below `results` have them.

    LaennecError if a marker names no table, or a JSON file is missing.
    """
    load = partial(_load, results)

    def table(match: re.Match[str]) -> str:
        name = match[1]
        if name not in TABLES:
            raise LaennecError(f"no table is called {name!r}; there are: {', '.join(TABLES)}")
        return f"<!-- figures: {name} -->\n\n{TABLES[name](load)}\n\n<!-- end -->"

    return MARKED.sub(table, page)


def _load(results: Path, name: str) -> Any:
    try:
        return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LaennecError(f"{results / name}.json cannot be read ({error})") from error


def pages(root: Path) -> list[Path]:
    """Return README.md and every page of docs."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def main() -> int:
    """Write the tables, or compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a table differs")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of README.md and docs")
    options = parser.parse_args()
    stale = []
    for page in pages(options.root):
        text = page.read_text(encoding="utf-8")
        new = rendered(text, options.root / "docs" / "results")
        if new != text:
            stale.append(str(page))
            if not options.check:
                write_text(page, new)
    print("\n".join(stale) or "every table is as its JSON has it")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    run(main)
