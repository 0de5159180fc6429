"""Engines: who scores which shards. Each only gives out shard numbers; the parts are the same from any."""

from collections.abc import Callable, Iterator, Sequence

from laennec.bulk.manifest import Manifest
from laennec.bulk.places import Place
from laennec.bulk.score import Options, is_remote, score_shards, workers_for
from laennec.errors import UsageError

OnRows = Callable[[int], None]


def local(
    options: Options, manifest: Manifest, place: Place, shards: Sequence[int], jobs: int, on_rows: OnRows
) -> Iterator[int]:
    """Score shards by processes of this computer, one after the other without a pause between two."""
    with workers_for(options, jobs, is_remote(manifest.run)) as workers:
        yield from score_shards(workers, manifest, place, shards, on_rows)


def cluster(
    options: Options,
    manifest: Manifest,
    place: Place,
    shards: Sequence[int],
    actors: int | None,
    on_rows: OnRows,
) -> Iterator[int]:
    """Score shards by actors of a Ray cluster, at most so many; as many as it has cores otherwise."""
    from laennec.bulk import ray_engine  # a large package, which nobody else needs

    return ray_engine.cluster(options, manifest, place, shards, actors, on_rows)


def share_of(shards: Sequence[int], share: str | None) -> list[int]:
    """Return the shards of one of several jobs, "2/10" being the second of ten; all without a share.

    UsageError if it is no such share.
    """
    if share is None:
        return list(shards)
    number, _, count = share.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(
            f"--shard {share}: expected the number of a job and how many there are, 1/10 to 10/10"
        )
    return [shard for shard in shards if shard % int(count) == int(number) - 1]
