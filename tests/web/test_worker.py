"""The worker process: one that could not be started, and one that dies slowly."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

pytest.importorskip("fastapi")
from laennec.web.worker import Limits, Order, Worker, WorkerLostError
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


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="only POSIX can halt a process")
def test_an_order_after_one_that_took_too_long_is_done(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the worker that was ended takes its time to die."""
    assert [message["kind"] for message in worker.run(Order(is_decoding=True))] == ["loaded"]
    process = worker._process
    os.kill(process.pid, signal.SIGSTOP)
    with monkeypatch.context() as patched:
        patched.setattr(process, "kill", lambda: threading.Timer(0.3, os.kill, (process.pid, 9)).start())
        patched.setattr(worker, "limits", replace(worker.limits, silence_s=0.1))
        with pytest.raises(WorkerLostError, match="took too long"):
            next(worker.run(Order(is_decoding=True)))
    assert [message["kind"] for message in worker.run(Order(is_decoding=True))] == ["loaded"]
