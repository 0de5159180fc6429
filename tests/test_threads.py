"""Reading ahead: in order, as many at a time as there are cores, and no further than needed."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from laennec import threads
from laennec.threads import cores, in_threads


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


# --- how many cores there are -------------------------------------------------------------------------------


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of control groups; the process is in ``a/b`` of each version."""
    monkeypatch.setattr(threads, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(threads, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    for folder in ("groups/a/b", "groups/cpu/a/b"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/a/b\n", {}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "250000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "10000 100000\n"}, 1),
        ("0::/elsewhere\n", {"cpu.max": "400000 100000\n"}, 4),  # in a container
        ("0::/a/b\n", {"a/b/cpu.max": "nonsense\n"}, 8),
        (
            "5:cpu,cpuacct:/a/b\n4:memory:/a/b\n",
            {"cpu/a/cpu.cfs_quota_us": "150000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            2,
        ),
        ("5:cpu,cpuacct:/a/b\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
    ],
)
def test_cores_are_those_of_the_container(
    groups: Path, own: str, files: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (groups / "own").write_text(own)
    for name, text in files.items():
        (groups / "groups" / name).write_text(text)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads.usable_cores() == expected
    assert cores() == min(2, expected)


def test_without_control_groups_cores_are_those_it_is_bound_to(groups: Path) -> None:
    assert threads.usable_cores() == 8
