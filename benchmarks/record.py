"""What benchmarks share: a record of a measurement with command, machine, versions and day; taking turns."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def about(*packages: str) -> dict[str, Any]:
    """Return processor, cores and versions; of packages that are not installed, none."""
    versions = {}
    for name in ("numpy", "onnxruntime", *packages):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **versions,
    }


def processor() -> str:
    """Return the processor's name, and the widest instructions for vectors that it reports."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    name = next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name"))
    widest = next((own for own in ("avx512_vnni", "avx512f", "avx2") if f" {own}" in text), "")
    return f"{name} ({widest})" if widest else name


def write(out: Path, name: str, rows: Any, *packages: str, **more: Any) -> None:
    """Put a measurement into a JSON file of several, under its name."""
    known = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    script = Path(sys.argv[0])
    words = [f"benchmarks/{script.name}", *map(_named, sys.argv[1:])]
    known[name] = {
        "command": f"OMP_NUM_THREADS=1 python {' '.join(words)}",
        "machine": about(*packages),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        **more,
        "rows": rows,
    }
    out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def _named(word: str) -> str:
    """Return a word without the folders of this computer, which mean nothing elsewhere."""
    return Path(word).name if Path(word).is_absolute() else word


def in_turn(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the processor milliseconds of each side, round by round, after one outside the clock."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, run in sides.items():
            start = time.process_time()
            run()
            if number:
                taken[name].append(1000 * (time.process_time() - start))
    return taken


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median over the rounds of the ratio of two sides."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))
