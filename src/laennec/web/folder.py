"""The files of the folder, and what the workspace knows of them: no name that was sent becomes a path."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Row
from typing import Any

from laennec.annotations.described import described
from laennec.audio.folder import AUDIO_SUFFIXES, files_below, found_among
from laennec.errors import LaennecError
from laennec.files import printable, sha256_of
from laennec.web.database import Database, Execute, now_utc
from laennec.web.described import FIELDS

UPLOADS = "uploads"  # folder of recordings that were sent, below the folder
HIDDEN = ".laennec"  # folder of what can be made anew, below the folder; no scan looks into it
LONGEST_NAME = 200  # characters
RAW = "bytes:"  # before a path that is no UTF-8, in hexadecimal digits


class TooManyError(LaennecError):
    """The folder is full, by the server's limit."""

    status = 413


class Folder:
    """The folder of recordings; `most` is how many it may have."""

    def __init__(self, path: Path, database: Database, most: int) -> None:
        self.path, self._database, self._most = path, database, most

    @property
    def hidden(self) -> Path:
        """Where decoded sound and incoming files are."""
        return self.path / HIDDEN

    def path_of(self, stored: str) -> Path:
        """The file of a path as the workspace keeps it."""
        if stored.startswith(RAW):
            return self.path / os.fsdecode(bytes.fromhex(stored.removeprefix(RAW)))
        return self.path / stored

    # --- scan ---

    def scan(self) -> tuple[dict[str, int], list[int], list[int]]:
        """Take new, changed and gone files down.

        Returns how many are ``added``, ``changed``, ``gone``, ``moved`` and ``left_out``, and the numbers of
        the recordings that have changed, and that are gone.
        """
        here = self._here()
        known = {row["path"]: row for row in self._database.rows("SELECT * FROM recording")}
        added = [stored for stored in here if stored not in known]
        vanished = [row for stored, row in known.items() if stored not in here and not row["gone"]]
        lost = [row for stored, row in known.items() if stored not in here]
        counts = Counter(dict.fromkeys(("added", "changed", "gone", "moved", "left_out"), 0))
        changed: list[int] = []
        moved: set[int] = set()
        room = self._most - (len(known) - len(lost))
        with self._database.transaction() as do:
            for stored in added:
                size, modified_ns = here[stored]
                row = self._moved(stored, size, [row for row in lost if row["id"] not in moved])
                if row is not None:
                    moved.add(row["id"])
                    _keep_place(do, row, stored, size, modified_ns)
                    counts["moved"] += 1
                elif counts["added"] < room:
                    self._insert(do, stored, self.path_of(stored).name, None, size, modified_ns)
                    counts["added"] += 1
                else:
                    counts["left_out"] += 1
            for stored, row in known.items():
                if stored in here and self._refresh(do, row, *here[stored]):
                    changed.append(row["id"])
            gone = [row["id"] for row in vanished if row["id"] not in moved]
            for number in gone:
                do("UPDATE recording SET gone = 1 WHERE id = ?", (number,))
        counts["changed"], counts["gone"] = len(changed), len(gone)
        return dict(counts), changed, gone

    def _here(self) -> dict[str, tuple[int, int]]:
        """Size and time of change of each recording in the folder, by its path as it is kept."""
        unreadable: dict[Path, str] = {}
        found = found_among(files_below(self.path, unreadable.__setitem__))
        if self.path in unreadable:  # else every recording would be gone
            raise LaennecError(f"the folder cannot be read ({unreadable[self.path]}); is its disk there?")
        here = {}
        for path in found.paths:
            try:
                facts = path.stat()
            except OSError:  # it went just now, or is a link to nothing
                continue
            here[_stored(path.relative_to(self.path))] = (facts.st_size, facts.st_mtime_ns)
        return here

    def _moved(self, stored: str, size: int, lost: Sequence[Row]) -> Row | None:
        """The recording that a new file is, which was elsewhere: the same content."""
        alike = [row for row in lost if row["size"] == size and row["sha256"]]
        if not alike:
            return None
        sha256 = _content(self.path_of(stored))
        return next((row for row in alike if row["sha256"] == sha256), None)

    def _refresh(self, do: Execute, row: Row, size: int, modified_ns: int) -> bool:
        """Take a file's facts down where they are new; whether its content has changed."""
        if row["gone"]:
            do("UPDATE recording SET gone = 0 WHERE id = ?", (row["id"],))
        if (size, modified_ns) == (row["size"], row["modified_ns"]):
            return False
        if row["sha256"] and size == row["size"] and row["sha256"] == _content(self.path_of(row["path"])):
            _keep_place(do, row, row["path"], size, modified_ns)
            return False
        do(
            "UPDATE recording SET size = ?, modified_ns = ?, sha256 = NULL, duration_s = NULL, "
            "sample_rate = NULL, channels = NULL WHERE id = ?",
            (size, modified_ns, row["id"]),
        )
        return True

    def _insert(
        self, do: Execute, stored: str, name: str, sha256: str | None, size: int, modified_ns: int
    ) -> int:
        name = printable(name)[:LONGEST_NAME]
        known = described(Path(name).stem)
        names = ("path", "name", "sha256", "size", "modified_ns", "added", *FIELDS)
        added = now_utc()
        values: tuple[Any, ...] = (stored, name, sha256, size, modified_ns, added)
        marks = ",".join("?" * len(names))
        number = do(
            f"INSERT INTO recording ({','.join(names)}) VALUES ({marks})",
            (*values, *(getattr(known, field) for field in FIELDS)),
        ).lastrowid
        assert number is not None
        return number

    # --- what is sent ---

    def add(self, temporary: Path, name: str, sha256: str, size: int) -> tuple[int, bool]:
        """Move a whole file in under a name of its content; its number, and whether it is new."""
        same = self._same(sha256, size)
        if same is not None:
            temporary.unlink(missing_ok=True)
            return same, False
        try:
            self.check_room()
        except TooManyError:
            temporary.unlink(missing_ok=True)
            raise
        stored = f"{UPLOADS}/{sha256[:24]}{suffix_of(name)}"
        path = self.path_of(stored)
        path.parent.mkdir(exist_ok=True)
        with self._database.transaction() as do:
            modified_ns = temporary.stat().st_mtime_ns
            earlier = self._database.row("SELECT * FROM recording WHERE path = ?", (stored,))
            if earlier is None:
                number = self._insert(do, stored, name, sha256, size, modified_ns)
            else:  # its file was gone, and is here again
                number = int(earlier["id"])
                do("UPDATE recording SET gone = 0 WHERE id = ?", (number,))
                _keep_place(do, earlier, stored, size, modified_ns)
            os.replace(temporary, path)
            _synchronised(path.parent)
        return number, earlier is None

    def check_room(self) -> None:
        """Refuse one more recording where the folder is full: TooManyError."""
        count = self._database.row("SELECT count(*) AS count FROM recording WHERE gone = 0")
        if count is not None and count["count"] >= self._most:
            raise TooManyError(f"the folder has {self._most} recordings, the most that is taken")

    def _same(self, sha256: str, size: int) -> int | None:
        """The recording of the same content, if its file is there."""
        for row in self._database.rows("SELECT * FROM recording WHERE size = ? AND gone = 0", (size,)):
            if _content(self.path_of(row["path"])) == sha256:
                return int(row["id"])
        return None


def _keep_place(do: Execute, row: Row, stored: str, size: int, modified_ns: int) -> None:
    """The same content has another path or time of change: its analyses are still of it."""
    do(
        "UPDATE recording SET path = ?, size = ?, modified_ns = ?, gone = 0 WHERE id = ?",
        (stored, size, modified_ns, row["id"]),
    )
    do(
        "UPDATE analysis SET modified_ns = ? WHERE recording = ? AND size = ? AND modified_ns = ?",
        (modified_ns, row["id"], row["size"], row["modified_ns"]),
    )


def _content(path: Path) -> str | None:
    """The SHA-256 of a file; None where it cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return None


def _synchronised(folder: Path) -> None:
    """Have what was moved into a folder survive a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _stored(path: Path) -> str:
    """A path below the folder as the workspace keeps it."""
    text = path.as_posix()
    try:
        text.encode()
    except UnicodeEncodeError:
        return RAW + os.fsencode(path).hex()
    return RAW + text.encode().hex() if text.startswith(RAW) else text


def clean_name(name: str) -> str:
    """What a recording that was sent is called: the last part of its path, in one line; never a path."""
    last = re.split(r"[/\\]", name.strip())[-1].strip()
    text = printable(last.encode(errors="replace").decode(errors="replace"))[:LONGEST_NAME]
    return text if text.strip(". ") else "recording"


def suffix_of(name: str) -> str:
    """The ending of a sent file, if it is one of sound; its content decides, whatever it is."""
    return next((suffix for suffix in AUDIO_SUFFIXES if name.lower().endswith(suffix)), ".wav")
