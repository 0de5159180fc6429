"""How many cores there are, and how many processes that makes."""

from pathlib import Path

import pytest

from laennec.cores import cores, jobs_of, usable_cores
from laennec.errors import UsageError


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of control groups; the process is in ``a/b`` of each version."""
    monkeypatch.setattr("laennec.cores.CGROUPS", tmp_path / "groups")
    monkeypatch.setattr("laennec.cores.OWN_CGROUPS", tmp_path / "own")
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
    assert usable_cores() == expected
    assert cores() == min(2, expected)


def test_without_control_groups_cores_are_those_it_is_bound_to(groups: Path) -> None:
    assert usable_cores() == 8


def test_the_number_of_processes_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("laennec.cores.usable_cores", lambda: 3)
    assert (jobs_of(None), jobs_of(5)) == (3, 5)
    for jobs in (0, -1, 1025):
        with pytest.raises(UsageError, match="expected 1 to 1024"):
            jobs_of(jobs)
