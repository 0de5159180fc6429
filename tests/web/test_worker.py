"""The worker process: one that could not be started."""

import multiprocessing
from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi")
from laennec.web.worker import Limits, Order, Worker
from waiting import WAIT_S


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(Limits(4 * 2**30, WAIT_S, WAIT_S))
    yield worker
    worker.stop()


def test_a_worker_that_could_not_be_started_is_started_by_the_next_order(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the system has no more processes for a moment."""

    def refused(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    process = multiprocessing.get_context("spawn").Process
    with monkeypatch.context() as patched:
        patched.setattr(process, "start", refused)
        with pytest.raises(BlockingIOError):
            next(worker.run(Order(is_decoding=True)))
        assert worker.process_id is None
        worker.kill()  # as somebody who cancels does
    assert [message["kind"] for message in worker.run(Order(is_decoding=True))] == ["loaded"]
