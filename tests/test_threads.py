"""Reading ahead: in order, as many at a time as there are cores, and no further than needed."""

import threading
import time
from collections.abc import Iterator

import pytest

from laennec import threads
from laennec.cores import cores
from laennec.threads import in_threads


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 2)


@pytest.mark.usefixtures("two_cores")
def test_results_come_in_order_and_two_at_a_time() -> None:
    together = threading.Barrier(2, timeout=10)  # a single thread would never pass it

    def slow_first(number: int) -> int:
        together.wait()
        time.sleep(0.01 if number % 2 == 0 else 0.0)
        return number

    assert list(in_threads(slow_first, range(10))) == list(range(10))


@pytest.mark.usefixtures("two_cores")
def test_no_more_is_read_than_is_soon_taken() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            begun.append(number)
            yield number

    read = in_threads(lambda number: number, items())
    assert [next(read), next(read)] == [0, 1]
    assert len(begun) <= 7
    read.close()  # ends the threads, and what they have not begun
    assert len(begun) <= 7


@pytest.mark.usefixtures("two_cores")
def test_an_error_comes_where_its_item_would() -> None:
    read = in_threads(lambda number: 1 // number, [1, 0, 1])
    assert next(read) == 1
    with pytest.raises(ZeroDivisionError):
        next(read)


def test_one_thread_reads_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cores() == 1
    names = list(in_threads(lambda _: threading.current_thread().name, range(3)))
    assert set(names) == {threading.current_thread().name}
