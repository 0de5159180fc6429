"""Merging: the parts become two tables, and every recording is shown to have its row, once."""

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from laennec.audio.samples import counted
from laennec.bulk.manifest import Manifest
from laennec.bulk.places import Place
from laennec.bulk.rows import COMPRESSION, RUN_KEY, event_schema, flat_events, part_schema, recording_schema
from laennec.bulk.score import done_shards, part_name
from laennec.bulk.source import is_archive
from laennec.errors import LaennecError

RECORDINGS, EVENTS, PROOF = "recordings.parquet", "events.parquet", "score.json"
GROUP_ROWS = 50_000  # of a merged table's row group
MOST_REASONS = 20
_FEW = 5


@dataclass
class Proof:
    """What the merge has counted."""

    recordings: int = 0
    failed: int = 0
    events: int = 0
    ids: "array[int]" = field(default_factory=lambda: array("Q"))  # eight bytes of each content's hash
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, part: pa.Table, events: int) -> None:
        """Count a part."""
        errors = [error for error in part.column("error").to_pylist() if error is not None]
        self.recordings += part.num_rows
        self.failed += len(errors)
        self.events += events
        self.ids.extend(int(own[:16], 16) for own in part.column("id").to_pylist() if own is not None)
        for error in errors:
            if error in self.reasons or len(self.reasons) < 10 * MOST_REASONS:
                self.reasons[error] += 1

    @property
    def same_content(self) -> int:
        """Recordings whose content an earlier one has."""
        return len(self.ids) - int(np.unique(np.frombuffer(self.ids, np.uint64)).size)


def missing(manifest: Manifest, place: Place) -> list[int]:
    """Return the shards that have no part yet."""
    done = done_shards(place)
    return [shard for shard in range(manifest.run.shards) if shard not in done]


def merge(manifest: Manifest, place: Place) -> dict[str, Any]:
    """Write the tables of all parts and, last, the proof, which is returned.

    LaennecError if a part is missing, damaged or of another run, or its rows are not those of its shard.
    """
    lacking = missing(manifest, place)
    if lacking:
        few = ", ".join(str(shard) for shard in lacking[:_FEW]) + (", …" if len(lacking) > _FEW else "")
        raise LaennecError(
            f"{place.root}: {counted(len(lacking), 'shard')} of {manifest.run.shards} not done ({few}); "
            "the same command without --merge does them"
        )
    run, proof = manifest.run, Proof()
    with ExitStack() as stack:
        writers = []
        for name, schema in (
            (RECORDINGS, recording_schema(run.labels)),
            (EVENTS, _events_schema(run.labels)),
        ):
            path = stack.enter_context(place.writing(name))
            writers.append(stack.enter_context(_Grouped(str(path), schema)))
        for part in _parts(manifest, place):
            events = flat_events(part, run.labels)
            proof.add(part, events.num_rows)
            writers[0].add(part.drop_columns(["events"]))
            writers[1].add(events)
    found = {
        "format": 1,
        "recordings": proof.recordings,
        "failed": proof.failed,
        "events": proof.events,
        "same_content_as_another": proof.same_content,
        "listed": run.rows,
        "shards": run.shards,
        **run.model_columns,
        "manifest": run.manifest,
        "reasons": dict(proof.reasons.most_common(MOST_REASONS)),
    }
    place.write(PROOF, (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode())
    return found


def _events_schema(labels: tuple[str, ...]) -> pa.Schema:
    own = [("row", pa.int64()), ("member", pa.int32()), ("id", pa.string()), ("recording", pa.string())]
    return pa.schema([*own, *event_schema(labels)])


class _Grouped:
    """Writes a table in row groups of a good size, whatever the size of what it is given."""

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self._writer, self._schema = pq.ParquetWriter(path, schema, compression=COMPRESSION), schema
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def __enter__(self) -> "_Grouped":
        return self

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table.cast(self._schema))
        self._rows += table.num_rows
        if self._rows >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=self._rows or None)
        self._waiting, self._rows = [], 0

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def _parts(manifest: Manifest, place: Place) -> Iterator[pa.Table]:
    """Yield the parts in order, each checked against its shard."""
    run = manifest.run
    schema = part_schema(run.labels, run.digest)
    for shard in range(run.shards):
        name = f"{place.root}/{part_name(shard)}"
        remedy = "delete it, and the same command without --merge makes it anew"
        try:
            with place.opened(part_name(shard)) as file:
                part = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise LaennecError(f"{name}: damaged ({first}); {remedy}") from error
        own = (part.schema.metadata or {}).get(RUN_KEY, b"")
        if own != run.digest.encode() or not part.schema.equals(schema):
            raise LaennecError(f"{name}: of another manifest or model, and parts are not mixed; {remedy}")
        wrong = _wrong(part, manifest.shard(shard))
        if wrong:
            raise LaennecError(f"{name}: {wrong}; {remedy}")
        yield part


def _wrong(part: pa.Table, listed: pa.Table) -> str:
    """What keeps the rows of a part from being those of its shard, once each; nothing if they are."""
    paths = listed.column("path")
    if listed.num_rows == 1 and is_archive(paths[0].as_py()):
        whole = set(part.column("row").to_pylist()) == {listed.column("row")[0].as_py()}
        whole = whole and set(part.column("key").to_pylist()) == {listed.column("key")[0].as_py()}
        inside = [number for number in part.column("member").to_pylist() if number is not None]
        once = inside == list(range(len(inside))) and part.num_rows - len(inside) <= 1
        return "" if whole and once else "its rows are not those of the archive, once each"
    same = all(part.column(name).equals(listed.column(name)) for name in ("row", "key"))
    alone = part.column("member").null_count == part.num_rows
    return "" if same and alone else "its rows are not those of its shard, once each"
