"""One target under inputs: which of them are faults, and how small they can be made."""

import hashlib
import os
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from laennec.errors import LaennecError
from mutate import MOST_BYTES
from targets import Target
from watch import Board, Limits, watched

MINIMISING_S = 10.0
OWN_MUTATIONS = 0.8  # the share of ours beside those of libFuzzer
FROM_SEED = 0.5  # the share of seeds beside inputs that were found, most of which are refused early


@dataclass
class Run:
    """A target in its process: kept inputs first, then new ones; faults are kept and noted."""

    target: Target
    corpus: Path
    scratch: Path
    board: Board
    limits: Limits
    seen: set[str] = field(default_factory=set)  # faults, by kind and place

    def go(self, seconds: float, inputs: int, seed: int, engine: str, replayed: int) -> None:
        """Replay the kept inputs from number `replayed` on, then fuzz."""
        deadline = time.monotonic() + seconds
        folder = self.scratch / "folder"
        folder.mkdir(exist_ok=True)
        self.folder = folder
        for number, path in enumerate(sorted(self.corpus.glob("*"))):
            if number >= replayed:
                (self.scratch / "replayed").write_text(str(number + 1))
                self.one(path.read_bytes(), path)
        pool = [seed_ for seed_ in self.target.seeds() if len(seed_) <= MOST_BYTES]
        if engine == "atheris":
            self._atheris(pool, deadline, inputs, seed)
        else:
            self._plain(pool, deadline, inputs, seed)

    def one(self, data: bytes, kept: Path | None = None) -> None:
        """Give the target an input."""
        self.board.begin(data)
        fault = fault_of(self.target, data, self.folder)
        self.board.end(fault == "")
        if fault and fault != REFUSED and fault not in self.seen:
            self.seen.add(fault)
            if kept is None:
                data = minimised(data, lambda less: fault_of(self.target, less, self.folder) == fault)
                kept = keep(self.corpus, data)
            note(self.scratch, fault, kept)

    def _plain(self, pool: list[bytes], deadline: float, inputs: int, seed: int) -> None:
        rng = random.Random(seed)
        for data in pool:
            self.one(data)
        while time.monotonic() < deadline and self.board.inputs < inputs:
            data = rng.choice(pool)
            for _ in range(rng.choice((1, 1, 2, 3))):
                data = self.target.mutate(data, rng, pool)
            self.one(data)

    def _atheris(self, pool: list[bytes], deadline: float, inputs: int, seed: int) -> None:
        import atheris

        grown = self.scratch / "grown"  # what libFuzzer adds survives a process that has to be ended
        grown.mkdir(exist_ok=True)
        for data in pool:
            (grown / hashlib.sha1(data).hexdigest()).write_bytes(data)

        def mutate(data: bytes, most: int, number: int) -> bytes:
            rng = random.Random(number)
            if rng.random() < FROM_SEED:
                data = rng.choice(pool)
            if rng.random() < OWN_MUTATIONS:
                return self.target.mutate(data, rng, pool)[:most]
            return bytes(atheris.Mutate(data, most))

        def one(data: bytes) -> None:
            if time.monotonic() > deadline or self.board.inputs >= inputs:
                os._exit(0)
            self.one(data)

        # The watch looks after time and memory.
        flags = ["-timeout=100000", "-rss_limit_mb=0", "-mutate_depth=2", "-verbosity=0"]
        flags += ["-report_slow_units=100000", f"-artifact_prefix={self.scratch}/"]
        flags += [f"-max_len={MOST_BYTES}", f"-seed={seed + 1}", str(grown)]
        atheris.Setup([sys.argv[0], *flags], one, custom_mutator=mutate)
        atheris.Fuzz()


REFUSED = "LaennecError"


def fault_of(target: Target, data: bytes, folder: Path) -> str:
    """Return "" for an input that is taken, `REFUSED`, or the exception and the place that it came from."""
    try:
        target.run(data, folder)
    except LaennecError:
        return REFUSED
    except Exception as error:
        return f"{type(error).__name__} in {_place(error)}"
    return ""


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/laennec/" in frame.filename] or frames
    path = Path(ours[-1].filename)
    return f"{path.parent.name}/{path.name}, {ours[-1].name}"


def minimised(data: bytes, same: Callable[[bytes], bool], seconds: float = MINIMISING_S) -> bytes:
    """Return a smaller input that is the same fault: parts are cut out, large ones first."""
    deadline = time.monotonic() + seconds
    size = len(data) // 2
    while size:
        place = 0
        while place < len(data):
            if time.monotonic() > deadline:
                return data
            less = data[:place] + data[place + size :]
            if same(less):
                data = less
            else:
                place += size
        size //= 2
    return data


def minimised_apart(data: bytes, target: Target, scratch: Path, limits: Limits, fault: str) -> bytes:
    """The same for an input that ends its process, each try in a process of its own."""

    def same(less: bytes) -> bool:
        board = Board()

        def work() -> None:
            quiet(scratch)
            board.begin(less)
            fault_of(target, less, scratch / "folder")
            board.end(True)

        return watched(work, board, limits, scratch / "log") == fault

    return minimised(data, same, 20 * limits.cpu_s)


def keep(corpus: Path, data: bytes) -> Path:
    """Write an input into the corpus, by its content's name."""
    corpus.mkdir(parents=True, exist_ok=True)
    path = corpus / hashlib.sha1(data).hexdigest()[:12]
    path.write_bytes(data)
    return path


def note(scratch: Path, fault: str, path: Path) -> None:
    with (scratch / "faults").open("a") as file:
        file.write(f"{fault}\t{path.name}\n")


def noted(scratch: Path) -> Iterator[tuple[str, str]]:
    """Yield faults and the names of their inputs."""
    for line in (scratch / "faults").read_text().splitlines() if (scratch / "faults").exists() else ():
        fault, _, name = line.partition("\t")
        yield fault, name


def replayed_in(scratch: Path) -> int:
    """How many of the kept inputs have been replayed, the one that ended the process among them."""
    path = scratch / "replayed"
    return int(path.read_text()) if path.exists() else 0


def quiet(scratch: Path) -> None:
    """Send what libraries print into a file, and make no dump of memory."""
    os.dup2(os.open(scratch / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
