"""What of a folder of results is done, and of which recordings: one state for all runs, and its summary.

The state is the file ``.laennec-analyze.json``. It is read again before it is written, under a lock, so that
runs into one folder add to each other, one after the other or at once.
"""

import hashlib
import json
import math
import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from laennec.audio.samples import by_number
from laennec.errors import LaennecError
from laennec.files import locked, printable, sha256_of, write_json, write_text
from laennec.output.files import SUMMARY, called, refuse_twice
from laennec.output.formats import Summary, to_summary_csv

LEDGER = ".laennec-analyze.json"
LEDGER_FORMAT = 1
SAVE_EVERY_S = 5.0  # the ledger; what an interruption costs at most, besides the recording at hand
SAVE_SHARE = 20  # of the time goes into saving, at most one part in so many

# Always `path` and `name` (of the results). Of a recording that is done also `size`, `mtime_ns`, `sha256`,
# `options`, `formats`, `outputs`, `summary`; of one whose last analysis failed `failed`, a summary too.
Entry = dict[str, Any]


class Ledger:
    """What of a folder of results is done, by which model and options, from which files.

    What of a ledger cannot be read counts as not there; `remark` tells so. Results depend on the options:
    other ones make them out of date. Where saving fails the run goes on, and `problem` has the reason.
    `pipes` is what those among the recordings hold that can be read only once.
    """

    def __init__(
        self, out: Path, options: Mapping[str, Any], pipes: Mapping[Path, bytes] | None = None
    ) -> None:
        self.out, self.path = out, out / LEDGER
        self.pipes = pipes or {}
        told = json.dumps(options, sort_keys=True, default=str)
        self._options = hashlib.sha256(told.encode()).hexdigest()
        self._entries, self.remark = _read(self.path)
        self._keys: dict[Path, str] = {}
        self.names: dict[Path, str] = {}
        self._claimed: dict[str, Entry] = {}  # recordings of this run
        self._own: dict[str, Entry] = {}  # those that this run has come to
        self._due = time.monotonic() + SAVE_EVERY_S
        self.problem: str | None = None

    def claim(self, names: Mapping[Path, str], formats: Sequence[str]) -> None:
        """Reserve the results of this run; UsageError if some are there already, of another recording.

        `names` are as for :func:`laennec.output.files.planned`. Afterwards those of this ledger hold: a
        recording whose name is taken by results of another one keeps that of its own earlier results.
        """
        with locked(self.out):
            self._entries, _ = _read(self.path)  # another run may have written it since
            self._keys = {source: self._key(source, name) for source, name in names.items()}
            others = {
                key: entry
                for key, entry in self._entries.items()
                if key not in self._keys.values() and (self._has_results(entry) or _is_claim(entry))
            }
            taken = {entry["name"].lower() for entry in others.values()}
            self.names = {
                source: self._kept_name(source, name) if name.lower() in taken else name
                for source, name in names.items()
            }
            self._claimed = {
                self._keys[source]: {"path": _path(source), "name": name}
                for source, name in self.names.items()
            }
            earlier = {_source_of(entry): entry["name"] for entry in others.values()}
            refuse_twice(self.out, self.names, formats, earlier)
            self._save()

    def key(self, source: Path) -> str:
        """Return what ledger and summary call a recording: its path below the folder that was given.

        Where another recording without results has that name, it is the whole path.
        """
        return self._keys[source]

    def name(self, key: str) -> str:
        """Return what the results of a recording that is done are called."""
        return str(self._own[key]["name"])

    def done(self, key: str, source: Path, formats: Sequence[str]) -> Summary | None:
        """Return the summary of a recording whose results are there and up to date, else None."""
        entry = self._entries.get(key, {})
        try:
            wanted = set(formats) <= set(entry["formats"]) and entry["options"] == self._options
            there = all(os.path.isfile(self.out / name) for name in entry["outputs"])
            if wanted and there and self._same_content(entry, source):
                known = {name: value for name, value in entry.items() if name != "failed"}
                self._own[key] = {**known, "path": _path(source)}
                return stored_summary(entry["summary"])
        except (KeyError, OSError):
            pass  # not there, of another release, or the recording is gone: it is analysed as any other
        return None

    def add(
        self,
        key: str,
        source: Path,
        formats: Sequence[str],
        outputs: Iterable[Path],
        row: Summary,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep what was done; it is written every few seconds.

        `facts` are :func:`content_facts` of the source, by whoever has read it; they are found otherwise.
        """
        written = [path.relative_to(self.out).as_posix() for path in outputs]
        earlier = self._entries.get(key, {}).get("outputs", ())
        entry: Entry = {
            "path": _path(source),
            **self._claimed.get(key, {}),
            "options": self._options,
            "formats": list(formats),
            "outputs": list(dict.fromkeys([*written, *self._still_there(earlier)])),
            "summary": asdict(row),
        }
        entry |= content_facts(self.pipes.get(source, source)) if facts is None else facts
        self._own[key] = entry
        self._save_in_time()

    def fail(self, key: str, row: Summary) -> None:
        """Keep why a recording failed; what an earlier run wrote of it stays its own."""
        self._own[key] = {**self._entries.get(key, {}), **self._claimed[key], "failed": asdict(row)}
        self._save_in_time()

    def save(self) -> None:
        """Write what this run has done so far."""
        with locked(self.out):
            self._save()

    def close(self, more: Sequence[Summary] | None = None) -> int:
        """Write ledger and summary for the last time, and return how many rows are of other recordings.

        The summary gets `more` rows; without, it is written where there is one. What was not come to is given
        free.
        """
        with locked(self.out):
            merged = self._save(closing=True)
            # Perhaps they were there by another name before, of another folder.
            own = {entry["path"] for entry in self._own.values()}
            others = [entry for entry in merged.values() if entry["path"] not in own and self._is_kept(entry)]
            entries = (*others, *self._in_order().values())
            rows = [row for entry in entries if (row := _row(entry)) is not None]
            try:
                if more is not None or os.path.isfile(self.out / SUMMARY):
                    write_text(self.out / SUMMARY, to_summary_csv([*rows, *(more or ())]))
            except LaennecError as error:
                self.problem = str(error)
        return len(others)

    def _key(self, source: Path, name: str) -> str:
        shown = shown_name(source, name)
        entry = self._entries.get(shown)
        return shown if entry is None or self._same_recording(entry, source) else printable(_path(source))

    def _kept_name(self, source: Path, name: str) -> str:
        """Return what the results of a recording are called that are there already, else `name`."""
        entry = self._entries.get(self._keys[source])
        there = entry is not None and self._has_results(entry) and self._same_recording(entry, source)
        return str(entry["name"]) if entry is not None and there else name

    def _same_recording(self, entry: Entry, source: Path) -> bool:
        """Whether an entry is of this file, changed or not, or of one with the same content.

        What a pipe or standard input holds is another recording each time, unless it is the same again.
        """
        try:
            same_place = entry["path"] == _path(source) and (source.is_file() or not source.exists())
            return bool(same_place and called(source) == source.name) or self._same_content(entry, source)
        except (KeyError, OSError):
            return False

    def _same_content(self, entry: Entry, source: Path) -> bool:
        """Whether a recording is the one of before: untouched where it was, or with the same content."""
        if source in self.pipes:
            content = self.pipes[source]
            same_size = bool(len(content) == entry["size"])
            return same_size and hashlib.sha256(content).hexdigest() == entry["sha256"]
        facts = source.stat()
        if facts.st_size != entry["size"]:
            return False
        untouched = entry["path"] == _path(source) and entry.get("mtime_ns") == facts.st_mtime_ns
        return bool(untouched or sha256_of(source) == entry["sha256"])

    def _has_results(self, entry: Entry) -> bool:
        return bool(self._still_there(entry.get("outputs", ())))

    def _is_kept(self, entry: Entry) -> bool:
        """Whether another recording has a row: its results are there, or it failed and is there itself."""
        there = self._has_results(entry) or ("outputs" not in entry and os.path.exists(entry["path"]))
        return there and _row(entry) is not None

    def _still_there(self, outputs: Iterable[str]) -> list[str]:
        return [name for name in outputs if os.path.isfile(self.out / name)]

    def _in_order(self) -> dict[str, Entry]:
        """Return this run's entries in the order of the recordings.

        What is done already is known before what is still being analysed by other processes.
        """
        order = {self.key(path): number for number, path in enumerate(self.names)}
        return dict(sorted(self._own.items(), key=lambda item: order.get(item[0], len(order))))

    def _save_in_time(self) -> None:
        if time.monotonic() < self._due:
            return
        began = time.monotonic()
        self.save()
        ended = time.monotonic()
        self._due = ended + max(SAVE_EVERY_S, SAVE_SHARE * (ended - began))

    def _save(self, closing: bool = False) -> dict[str, Entry]:
        """Write this run's entries beside what other runs have written, and return all; under the lock."""
        there, _ = _read(self.path)
        claimed = self._claimed
        if closing:
            there = {key: entry for key, entry in there.items() if entry != claimed.get(key)}
            claimed = {}
        merged = {**claimed, **there, **self._in_order()}
        try:
            if closing and not merged:
                self.path.unlink(missing_ok=True)  # nothing was done: nothing stays
            else:
                write_json(self.path, {"format": LEDGER_FORMAT, "files": merged})
            self.problem = None
        except (LaennecError, OSError) as error:
            self.problem = str(error)
        return merged


def content_facts(source: Path | bytes) -> Entry:
    """Return what a file or the content of a pipe is known again by; nothing of a file that is gone."""
    if isinstance(source, bytes):
        return {"size": len(source), "sha256": hashlib.sha256(source).hexdigest()}
    try:
        facts = source.stat()
        if stat.S_ISREG(facts.st_mode):
            return {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns, "sha256": sha256_of(source)}
    except OSError:
        pass  # it cannot be known again, and its results stay
    return {}


def shown_name(source: Path, name: str) -> str:
    """Return a recording's path below the folder that was given, `name` being that of its results."""
    return printable(Path(name).with_name(called(source)))


def _read(path: Path) -> tuple[dict[str, Entry], str | None]:
    """Return the entries of a ledger by key, and in one line what of it cannot be read."""
    again = "; what it should tell of is analysed again"
    try:
        ledger = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'not JSON'}){again}"
    files = ledger.get("files") if isinstance(ledger, dict) else None
    if not isinstance(files, dict) or ledger.get("format") != LEDGER_FORMAT:
        return {}, f"{path}: not a ledger of this release{again}"
    entries = {}
    for key, value in files.items():
        try:
            entries[key] = _entry(key, value)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            continue
    lost = len(files) - len(entries)
    of_all = f"{lost} of {len(files):,} {by_number(len(files), 'entry', 'entries')}"
    return entries, f"{path}: {of_all} cannot be read{again}" if lost else None


def _entry(key: str, value: Mapping[str, Any]) -> Entry:
    """Return an entry if all in it has the types it should have; TypeError or the like otherwise."""
    entry = {"name": str(Path(key).with_suffix("")), **value}  # the first release wrote no name
    wanted = {**dict.fromkeys(("path", "name", "sha256", "options"), str), "size": int, "mtime_ns": int}
    for name, kind in wanted.items():
        if not isinstance(entry.get(name, None if name == "path" else kind()), kind):
            raise TypeError(name)
    for name in ("formats", "outputs"):
        listed = entry.get(name, [])
        if not (isinstance(listed, list) and all(isinstance(text, str) for text in listed)):
            raise TypeError(name)
    for name in ("summary", "failed"):
        if name in entry:
            stored_summary(entry[name])
    json.dumps(entry, allow_nan=False)  # what is read has to be written again, and NaN cannot be
    return entry


def stored_summary(value: Mapping[str, Any]) -> Summary:
    """Return a summary that was written as JSON; TypeError or the like if it is none."""
    row = Summary(**{**value, "quality": tuple(value["quality"])})
    texts = (row.recording, row.rate_quality, row.normal, *row.quality, *row.events)
    maybe = (row.label, row.refused, row.error, row.heard_as)
    numbers = (row.probability, row.rate_per_min, row.duration_s, row.not_analysed_s)
    if not (
        all(isinstance(each, str) for each in texts)
        and all(each is None or isinstance(each, str) for each in maybe)
        and all(each is None or math.isfinite(each) for each in numbers)
        and isinstance(row.events, dict)
        and isinstance(row.uncertain_events, dict)
        and all(type(n) is int for n in (*row.events.values(), *row.uncertain_events.values()))
        and isinstance(row.uncertain, bool)
    ):
        raise TypeError(row)
    return row


def _row(entry: Entry) -> Summary | None:
    """Return an entry's row of the summary: that of its last analysis."""
    row = entry.get("failed", entry.get("summary"))
    return None if row is None else stored_summary(row)


def _source_of(entry: Entry) -> Path:
    """Return the file of an entry, or words for it where that was a pipe, which may hold others since."""
    is_pipe = "options" in entry and "mtime_ns" not in entry
    return Path(f"an earlier pipe ({entry['name']})" if is_pipe else entry["path"])


def _is_claim(entry: Entry) -> bool:
    """Whether another run is about to analyse the recording, or was killed before it could."""
    return _row(entry) is None and os.path.exists(entry["path"])


def _path(source: Path) -> str:
    return os.path.abspath(source)
