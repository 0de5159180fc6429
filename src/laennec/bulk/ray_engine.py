"""Ray: actors on the machines of a cluster score shards; what Ray starts again does a shard again."""

import inspect
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before the import: nothing is sent to its makers

import ray

from laennec.bulk.manifest import Manifest, Run
from laennec.bulk.places import Place, place_of
from laennec.bulk.score import Options, is_remote, score_shards, workers_for
from laennec.errors import LaennecError

RESTARTS = 100  # of an actor, and tries of a shard
IN_FLIGHT = 2  # shards an actor is given at a time


class ScoreShard:
    """An actor: one core, one process of one thread beneath it, which alone is lost to a bad recording."""

    def __init__(self, options: Options, run: Run, results: str) -> None:
        self.place = place_of(results)
        self.manifest = Manifest(self.place, run)
        self.workers = workers_for(options, 1, is_remote(run))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        rows = [0]

        def count(more: int) -> None:
            rows[0] += more

        shards = [int(shard) for shard in batch["shard"]]
        done = list(score_shards(self.workers, self.manifest, self.place, shards, count))
        return {"shard": done, "rows": [rows[0], *[0] * (len(done) - 1)]}


def cluster(
    options: Options,
    manifest: Manifest,
    place: Place,
    shards: Sequence[int],
    jobs: int | None,
    on_rows: Callable[[int], None],
) -> Iterator[int]:
    """Score shards by actors of the cluster that ``RAY_ADDRESS`` names, or of one started here.

    `jobs` is the largest number of actors; all cores of the cluster otherwise.
    """
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False
    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    actors = min(jobs or int(there.get("CPU", 1)), len(shards))
    table = ray.data.from_items([{"shard": shard} for shard in shards], override_num_blocks=len(shards))
    # Releases of Ray differ in what is started again by itself; later ones take no such arguments any more.
    takes_them = "ray_remote_args" in inspect.signature(table.map_batches).parameters
    restarts: Any = {"max_restarts": RESTARTS, "max_task_retries": RESTARTS} if takes_them else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scored = table.map_batches(
            ScoreShard,
            fn_constructor_args=(options, manifest.run, place.root),
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=IN_FLIGHT),
            **restarts,
        )
    try:
        for row in scored.iter_rows():
            on_rows(int(row["rows"]))
            yield int(row["shard"])
    except ray.exceptions.RayError as error:
        first: BaseException = error  # Ray wraps what an actor raises, and says at length where
        while isinstance(first, ray.exceptions.RayError) and first.__cause__ is not None:
            first = first.__cause__
        lines = str(first).splitlines() or [type(first).__name__]
        raise LaennecError(lines[-1 if isinstance(first, ray.exceptions.RayError) else 0]) from error
