"""`laennec score --engine ray` on a cluster of two nodes, all of them on this computer."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")
# Read when Ray is imported. Its own address would be the one that leads out of this computer.
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
pytest.importorskip("ray", reason="Ray is not installed: pip install laennec[ray]")

import ray
from ray.cluster_utils import Cluster

from laennec.bulk import ray_engine  # before ray: it turns its reports off
from laennec.bulk.jobs import Score
from laennec.cli import score as score_command

pytestmark = pytest.mark.slow  # a cluster takes ten seconds to start


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2] / "src"), before])
    two = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "node_ip_address": "127.0.0.1"})
    two.add_node(num_cpus=1)
    ray.init(address=two.address, log_to_driver=False)
    yield two
    ray.shutdown()
    two.shutdown()
    os.environ["PYTHONPATH"] = before


def score(source: Path, out: Path, model: str, engine: Any) -> int:
    return score_command.run(Score(str(source), str(out), model, jobs=2, engine=engine, shard_size=1))


def tables(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in ("recordings.parquet", "events.parquet", "score.json")]


def test_nothing_is_reported() -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert ray_engine.RESTARTS > 0


def test_two_nodes_make_the_tables_of_one_computer_also_where_an_actor_is_killed(
    cluster: Any, ward: Path, tmp_path: Path, model: str
) -> None:
    assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    score(ward, tmp_path / "local", model, "local")
    killed: list[int] = []

    def kill() -> None:
        """The first actor that is seen at work, by its process."""
        until = time.monotonic() + 60
        while not killed and time.monotonic() < until:
            for line in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    if b"ray::" in line.read_bytes() and b"MapWorker" in line.read_bytes():
                        os.kill(int(line.parent.name), signal.SIGKILL)
                        killed.append(int(line.parent.name))
                        return
                except OSError:
                    continue
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    score(ward, tmp_path / "ray", model, "ray")
    thread.join()
    assert killed
    assert tables(tmp_path / "ray") == tables(tmp_path / "local")
