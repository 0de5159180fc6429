"""Processes that do tasks: in order, few at a time, whatever becomes of one of them."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from laennec.cores import forks_safely
from laennec.errors import LaennecError
from laennec.processes import Lost, Ready, Workers

pytestmark = pytest.mark.skipif(not forks_safely(), reason="the tests fork, as on Linux")


def squares(tasks: Iterator[float]) -> Iterator[tuple[float, int]]:
    """Takes as long as the number says, in hundredths of a second."""
    for task in tasks:
        time.sleep(task / 100)
        yield task**2, os.getpid()


def dying(tasks: Iterator[tuple[str, Path]]) -> Iterator[str]:
    """Ends its own process: at each task "always", and at "once" if its file is not there."""
    for name, mark in tasks:
        if name == "always" or (name == "once" and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield name


def failing(tasks: Iterator[int]) -> Iterator[int]:
    for task in tasks:
        if task == 3:
            raise LaennecError("the bucket is gone")
        yield 1 // (2 - task)


def ending(tasks: Iterator[int]) -> Iterator[int]:
    os._exit(7)
    yield from tasks


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("fork", [True, False])
def test_results_come_in_order_from_several_processes(fork: bool) -> None:
    with Workers(squares, 2, fork=fork) as workers:
        found = list(workers.results([4, 0, 0, 0, 3, 0]))
    assert [value for value, _ in found] == [16, 0, 0, 0, 9, 0]
    processes = {process for _, process in found}
    assert len(processes) == 2
    assert not any(is_alive(process) for process in processes)


def test_what_is_there_already_takes_its_turn() -> None:
    with Workers(squares, 2) as workers:
        found = list(workers.results([2, Ready("a"), 0, Ready("b"), Ready("c")]))
    assert [each if isinstance(each, str) else each[0] for each in found] == [4, "a", 0, "b", "c"]


def test_a_slow_task_lets_few_of_the_others_wait() -> None:
    taken = 0

    def tasks() -> Iterator[float]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield 50 if number == 0 else 0

    with Workers(squares, 2) as workers:
        results = workers.results(tasks())
        assert next(results)[0] == 2500
        assert taken < 50


@pytest.mark.parametrize("count", [1, 2])
def test_a_process_that_dies_costs_its_task_a_second_try_and_the_others_nothing(
    tmp_path: Path, count: int
) -> None:
    names = ["a", "once", "b", "always", "c", "d", "once", "e"]
    tasks = [(name, tmp_path / f"{number}") for number, name in enumerate(names)]
    with Workers(dying, count, ahead=4) as workers:
        found = list(workers.results(tasks))
    lost = found.pop(3)
    assert found == ["a", "once", "b", "c", "d", "once", "e"]
    assert isinstance(lost, Lost)
    assert "ended by signal 9" in lost.why
    assert "twice" in lost.why


def test_an_error_of_the_work_ends_it_and_every_process() -> None:
    workers: Workers[int, int] = Workers(failing, 2)
    with pytest.raises(LaennecError, match="the bucket is gone"), workers:
        list(workers.results([0, 1, 3, 0, 0]))
    with (
        pytest.raises(LaennecError, match=r"ZeroDivisionError.*an error in Laennec"),
        Workers(failing, 1) as one,
    ):
        list(one.results([2]))


def test_processes_that_cannot_begin_end_it() -> None:
    wanted = "before they begin; the last ended with exit code 7"
    with pytest.raises(LaennecError, match=wanted), Workers(ending, 2) as workers:
        list(workers.results(range(5)))


def test_large_tasks_and_results_do_not_wait_for_each_other() -> None:
    """Both are larger than what a pipe holds."""
    tasks = [bytes([number]) * 2**20 for number in range(8)]
    with Workers(iter, 1, ahead=4) as workers:
        assert list(workers.results(tasks)) == tasks


def test_no_process_outlives_one_that_stops_early() -> None:
    with Workers(squares, 2) as workers:
        results = workers.results([0, 0, 0, 0, 1000, 1000])
        started = [next(results)[1] for _ in range(4)]
        assert all(is_alive(process) for process in started)
    assert not any(is_alive(process) for process in started)
