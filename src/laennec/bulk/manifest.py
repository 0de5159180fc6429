"""The manifest: every recording with a row number and a key, in shards; and what results are of.

``run.json`` is written last and only if there is none, and names its manifest by content. So several that
begin at once agree: the first one's holds, and the others read it.
"""

import hashlib
import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from laennec.bulk.places import Place
from laennec.bulk.rows import COMPRESSION
from laennec.bulk.source import Entry, Source, is_archive, no_recording
from laennec.errors import LaennecError

RUN = "run.json"
FORMAT = 1
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("shard", pa.int32()),
        ("key", pa.string()),
        ("path", pa.string()),
        ("size", pa.int64()),
    ]
)
LARGEST_SHARD = 100_000


@dataclass(frozen=True)
class Run:
    """What results are of: a listing, a model and its options, a release."""

    source: str
    base: str
    model: str
    model_version: str
    model_sha256: str
    calibration_sha256: str | None
    any_sound: bool
    labels: tuple[str, ...]
    laennec: str
    shard_size: int
    manifest: str = ""
    rows: int = 0
    shards: int = 0

    @property
    def digest(self) -> str:
        """Of all of it: what parts are known by."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def model_columns(self) -> dict[str, str | None]:
        """What each row says of the model."""
        names = ("model", "model_version", "model_sha256", "calibration_sha256", "laennec")
        return {name: getattr(self, name) for name in names}


def key_of(path: str) -> str:
    """Return the key of a path: 32 hexadecimal digits that depend on nothing else."""
    return hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:32]


def settled(run: Run, source: Source, entries: Iterable[Entry], place: Place) -> Run:
    """Return the run of a place: the one that is there, or this one, whose source is listed then.

    LaennecError if results of another source, model, option or release are there, or nothing is listed.
    """
    there = read_run(place)
    if there is None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "manifest.parquet"
            rows, shards, digest = _write(path, entries, source, run.shard_size)
            own = replace(run, manifest=f"manifest-{digest[:16]}.parquet", rows=rows, shards=shards)
            place.put(path, own.manifest)
        if place.create(RUN, (json.dumps({"format": FORMAT, **asdict(own)}, indent=2) + "\n").encode()):
            return own
        there = read_run(place)
        if there is None:
            raise LaennecError(
                f"{place.root}: {RUN} cannot be read; is another program removing files there?"
            )
        if there.manifest != own.manifest:
            place.remove(own.manifest)
    _refuse_another(run, there, place)
    return there


def read_run(place: Place) -> Run | None:
    """Return what a place holds results of, None if there are none; LaennecError if that is damaged."""
    content = place.read(RUN)
    if content is None:
        return None
    try:
        found = json.loads(content)
        if found.pop("format") != FORMAT:
            raise ValueError("of another format")
        run = Run(**{**found, "labels": tuple(found["labels"])})
        wanted = {"rows": int, "shards": int, "manifest": str, "source": str, "model_sha256": str}
        if not all(isinstance(getattr(run, name), kind) for name, kind in wanted.items()):
            raise TypeError("a value of another type")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise LaennecError(f"{place.root}/{RUN}: damaged ({error}); name another --out") from error
    return run


def _refuse_another(run: Run, there: Run, place: Place) -> None:
    for name in ("source", "model_sha256", "calibration_sha256", "any_sound", "laennec"):
        own, other = getattr(run, name), getattr(there, name)
        if own != other:
            what = {"model_sha256": "model", "calibration_sha256": "calibration"}.get(name, name)
            raise LaennecError(
                f"{place.root}: holds results of another {what} ({_short(other)}, not {_short(own)}), "
                "and results are not mixed; name another --out"
            )


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:8] if len(text) == 64 else text


# --- writing ------------------------------------------------------------------------------------------------


def _write(path: Path, entries: Iterable[Entry], source: Source, shard_size: int) -> tuple[int, int, str]:
    """Write a manifest with a row group for each shard; return rows, shards and the digest of its paths."""
    digest, hashes = hashlib.sha256(), array("Q")
    shard = -1
    try:
        with pq.ParquetWriter(path, SCHEMA, compression=COMPRESSION) as writer:
            for shard, rows in enumerate(_in_shards(entries, shard_size)):
                first = len(hashes)
                keys = [key_of(entry.path) for entry in rows]
                hashes.extend(int(key[:16], 16) for key in keys)
                digest.update(
                    "".join(f"{entry.path}\n{entry.size}\n" for entry in rows).encode(
                        errors="surrogateescape"
                    )
                )
                columns: list[Any] = [
                    range(first, first + len(rows)),
                    [shard] * len(rows),
                    keys,
                    [_utf8(entry.path, source) for entry in rows],
                    [entry.size for entry in rows],
                ]
                arrays = [pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)]
                writer.write_table(pa.table(arrays, schema=SCHEMA), row_group_size=len(rows))
    except OSError as error:
        raise LaennecError(f"the manifest cannot be written ({error.strerror or error})") from error
    if not hashes:
        raise no_recording(source)
    _refuse_twice(path, hashes, source)
    return len(hashes), shard + 1, digest.hexdigest()


def _utf8(path: str, source: Source) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
        raise LaennecError(
            f"{source.given}: the name {shown} is no UTF-8, and tables hold no other"
        ) from error
    return path


def _in_shards(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Yield entries in lots of `size`; an archive, which holds many recordings, is a lot of its own."""
    lot: list[Entry] = []
    for entry in entries:
        if lot and (len(lot) == size or is_archive(entry.path)):
            yield lot
            lot = []
        lot.append(entry)
        if is_archive(entry.path):
            yield lot
            lot = []
    if lot:
        yield lot


def _refuse_twice(path: Path, hashes: "array[int]", source: Source) -> None:
    """Refuse a listing that has a path twice; of each, eight bytes are enough to see it."""
    values = np.sort(np.frombuffer(hashes, np.uint64))
    twice = values[1:][values[1:] == values[:-1]]
    if not twice.size:
        return
    suspects = {int(each) for each in twice[:1000]}
    first: dict[str, int] = {}
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(columns=["row", "key", "path"]):
            for row, key, name in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if int(key[:16], 16) in suspects and first.setdefault(name, row) != row:
                    more = f"; {twice.size} in all" if twice.size > 1 else ""
                    raise LaennecError(
                        f"{source.given}: names {name} twice, as its recordings {first[name] + 1} and "
                        f"{row + 1}{more}; keep one of each"
                    )


# --- reading ------------------------------------------------------------------------------------------------


class Manifest:
    """A manifest that is open: any shard of it can be read at once."""

    def __init__(self, place: Place, run: Run) -> None:
        self.run, self._name = run, f"{place.root}/{run.manifest}"
        try:
            self._table = pq.ParquetFile(place.opened(run.manifest))
        except (pa.ArrowException, OSError) as error:
            raise LaennecError(f"{self._name}: cannot be read ({error}); name another --out") from error
        facts = self._table.metadata
        if facts.num_rows != run.rows or facts.num_row_groups != run.shards:
            raise LaennecError(f"{self._name}: is not the manifest that {RUN} names; name another --out")

    def shard(self, number: int) -> pa.Table:
        """Return the rows of a shard."""
        try:
            return self._table.read_row_group(number)
        except (pa.ArrowException, OSError) as error:
            raise LaennecError(f"{self._name}: cannot be read ({error})") from error

    def close(self) -> None:
        """Close the file."""
        self._table.close()

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
