"""The ledger of a folder: what is done already."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from laennec.files import write_json
from laennec.output.summary import Summary

LEDGER = ".laennec-analyze.json"
LEDGER_FORMAT = 1
SAVE_EVERY_S = 5.0  # the ledger; what an interruption costs at most, besides the recording at hand
SAVE_SHARE = 20  # of the time goes into saving, at most one part in so many


class Ledger:
    """What of a folder of results is done, by which model and options, from which files.

    A ledger that cannot be read counts as none. Results depend on the options, in JSON's types: other ones
    make them out of date.
    """

    def __init__(self, out: Path, options: Mapping[str, Any]) -> None:
        self.path = out / LEDGER
        self._options = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()
        self._files = _read_ledger(self.path)
        self._due = time.monotonic() + SAVE_EVERY_S
        self._changed = False

    def done(self, key: str, source: Path, formats: Sequence[str]) -> Summary | None:
        """Return the summary of a recording whose results are there and up to date, else None."""
        try:
            entry = self._files[key]
            wanted = set(formats) <= set(entry["formats"]) and entry["options"] == self._options
            there = all((self.path.parent / name).is_file() for name in entry["outputs"])
            if wanted and there and _same_file(entry, source):
                row = entry["summary"]
                return Summary(**{**row, "quality": tuple(row["quality"])})
        except (KeyError, TypeError, OSError):
            pass  # not there, of another release, or the recording is gone: it is analysed as any other
        return None

    def add(
        self, key: str, source: Path, formats: Sequence[str], outputs: Iterable[Path], row: Summary
    ) -> None:
        """Keep what was done; it is written every few seconds."""
        stat = source.stat()
        self._files[key] = {
            "path": printable(os.path.abspath(source)),
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "sha256": _sha256(source),
            "options": self._options,
            "formats": list(formats),
            "outputs": [path.relative_to(self.path.parent).as_posix() for path in outputs],
            "summary": asdict(row),
        }
        self._changed = True
        if time.monotonic() >= self._due:
            self.save()

    def save(self) -> None:
        """Write it, whole or not at all, if there is anything new in it."""
        if not self._changed:
            return
        began = time.monotonic()
        write_json(self.path, {"format": LEDGER_FORMAT, "files": self._files})
        self._changed = False
        ended = time.monotonic()
        self._due = ended + max(SAVE_EVERY_S, SAVE_SHARE * (ended - began))


def _read_ledger(path: Path) -> dict[str, Any]:
    try:
        ledger = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    known = isinstance(ledger, dict) and ledger.get("format") == LEDGER_FORMAT
    return ledger["files"] if known and isinstance(ledger.get("files"), dict) else {}


def _same_file(entry: Mapping[str, Any], source: Path) -> bool:
    """Whether a recording is the one of before: untouched where it was, or with the same content."""
    stat = source.stat()
    if stat.st_size != entry["size"]:
        return False
    untouched = entry["path"] == printable(os.path.abspath(source)) and entry["mtime_ns"] == stat.st_mtime_ns
    return bool(untouched or _sha256(source) == entry["sha256"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(path: str) -> str:
    """Return a path as text that can be written; bytes that are no UTF-8 are spelt out."""
    return path.encode("utf-8", "backslashreplace").decode()
