"""Fuzzing: give every target wrong inputs, and keep those that end in anything but a `LaennecError`.

    python tests/fuzz/run.py [--minutes 1] [--seed 0] [--only NAME …] [--json FILE] [--engine plain]

Atheris (libFuzzer) chooses what to mutate by the code that an input reaches. Where it is not installed,
seeds are mutated at random; targets and mutators are the same. A target runs in a process of its own, which
this one watches. What is found is made small and kept in ``tests/fuzz/corpus/TARGET``, and replayed by
each later run and by ``test_corpus.py``. The exit code is 1 if there is a fault.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
ENDLESS = 2**62  # inputs: time is the limit, the same for each target
MOST_PROCESSES = 12  # of a target; each but the last was ended by an input

sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "src")]
os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1", "no_proxy": "*", "MPLBACKEND": "agg"}


def main() -> int:
    """Fuzz the targets one after the other, and print what came of each."""
    options = _options()
    if options.engine == "atheris" and importlib.util.find_spec("atheris") is None:
        print('Atheris is not installed (pip install "laennec[fuzz]"): seeds are mutated at random')
        options.engine = "plain"
    chosen = _targets(options)
    seconds = 60 * options.minutes / max(len(chosen), 1)
    counts = {}
    for name, target in chosen.items():
        counts[name] = fuzz(target, CORPUS / name, seconds, ENDLESS, options.seed, options.engine)
        print(_line(name, counts[name]), flush=True)
        if options.json:
            _write(options, name, counts[name])
    return _report(counts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=(), help="names of targets")
    parser.add_argument("--json", type=Path, help="add the counts to those of other targets and seeds")
    parser.add_argument("--engine", choices=("atheris", "plain"), default="atheris")
    return parser.parse_args()


def _targets(options: argparse.Namespace) -> dict[str, Any]:
    """Import the targets that are wanted, and with them Laennec: Atheris has to see that."""
    traced: Any = contextlib.nullcontext()
    if options.engine == "atheris":
        import atheris

        traced = atheris.instrument_imports(include=["laennec"])
    chosen = {}
    with contextlib.redirect_stderr(io.StringIO()), traced:
        from targets import TARGETS, missing

        for name in options.only or TARGETS:
            if lacking := missing(TARGETS[name]):
                print(f"{name}: left out, needs {', '.join(lacking)}")
                continue
            chosen[name] = TARGETS[name]
            for module in TARGETS[name].modules:
                importlib.import_module(module)
    return chosen


def fuzz(
    target: Any, corpus: Path, seconds: float, inputs: int, seed: int, engine: str, limits: Any = None
) -> dict[str, Any]:
    """Fuzz one target; return how many inputs it had and took, and its faults with their kept inputs."""
    from engine import Run, keep, minimised_apart, note, noted, quiet, replayed_in
    from watch import Board, Limits, watched

    board, limits, began = Board(), limits or Limits(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="laennec-fuzz-", dir=_memory_folder()) as folder:
        scratch, replayed = Path(folder), 0
        for start in range(MOST_PROCESSES):
            left = seconds - (time.monotonic() - began)
            if start and (left <= 0 or board.inputs >= inputs):
                break

            def work(left: float = left, start: int = start, replayed: int = replayed) -> None:
                quiet(scratch)
                seen = {fault for fault, _ in noted(scratch)}
                run = Run(target, corpus, scratch, board, limits, seen)
                run.go(left, inputs, seed + start, engine, replayed)

            fault = watched(work, board, limits, scratch / "log")
            if fault is None:
                break
            data, replayed = board.data, replayed_in(scratch)
            kept = next((path for path in corpus.glob("*") if path.read_bytes() == data), None)
            note(scratch, fault, kept or keep(corpus, minimised_apart(data, target, scratch, limits, fault)))
        faults = {name: fault for fault, name in noted(scratch)}
    return {
        "inputs": board.inputs,
        "accepted": board.accepted,
        "seconds": round(time.monotonic() - began, 1),
        "kept": len(list(corpus.glob("*"))),
        "faults": faults,
    }


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _line(name: str, counts: dict[str, Any]) -> str:
    accepted = 100 * counts["accepted"] / max(counts["inputs"], 1)
    rate = counts["inputs"] / max(counts["seconds"], 0.1)
    line = f"{name:15}{counts['inputs']:10,} inputs, {accepted:3.0f} % accepted, {rate:7,.0f} a second"
    return "\n".join([line, *(f"    {path}: {fault}" for path, fault in counts["faults"].items())])


def _write(options: argparse.Namespace, name: str, counts: dict[str, Any]) -> None:
    """Add the counts of a target to those of its runs with other seeds; a seed that was run begins anew."""
    path, atheris = options.json, options.engine == "atheris"
    targets = json.loads(path.read_text(encoding="utf-8"))["targets"] if path.exists() else {}
    earlier = targets.get(name, {"seeds": []})
    seeds = earlier["seeds"]
    if seeds and options.seed not in seeds:
        counts |= {key: round(earlier[key] + counts[key], 1) for key in ("inputs", "accepted", "seconds")}
    else:
        seeds = []
    counts["engine"] = f"Atheris {importlib.metadata.version('atheris')}" if atheris else "plain"
    targets[name] = {**counts, "seeds": [*seeds, options.seed]}
    about = {"inputs": sum(each["inputs"] for each in targets.values()), "targets": targets}
    path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _report(counts: dict[str, dict[str, Any]]) -> int:
    inputs = sum(each["inputs"] for each in counts.values())
    faults = sum(len(each["faults"]) for each in counts.values())
    print(f"{inputs:,} inputs, {faults} faults")
    if faults:
        print(f"the inputs are in {CORPUS}; python -m pytest tests/fuzz shows where each ends")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
