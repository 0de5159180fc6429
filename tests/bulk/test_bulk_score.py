"""`laennec score`: every recording has one row, whatever it is, and whoever is interrupted."""

import csv
import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

import pyarrow as pa
import pyarrow.parquet as pq

from bulk.conftest import archive, sound
from isolated import run_isolated
from laennec.bulk import manifest, places
from laennec.bulk.jobs import Score
from laennec.bulk.score import part_name
from laennec.cli import analyze as analyze_command
from laennec.cli import score as score_command
from laennec.cli.analyze_arguments import Analyze
from laennec.errors import LaennecError, UsageError


def score(source: Path, out: Path, model: str, **options: Any) -> int:
    return score_command.run(Score(str(source), str(out), model, **{"shard_size": 3, "jobs": 1, **options}))


def rows(out: Path, table: str = "recordings") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / f"{table}.parquet").to_pylist()
    return found


def tables(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in ("recordings.parquet", "events.parquet", "score.json")]


def proof(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "score.json").read_text())
    return found


# --- what the tables hold -----------------------------------------------------------------------------------


def test_rows_are_those_of_the_csv_of_analyze(ward: Path, tmp_path: Path, model: str) -> None:
    assert score(ward, tmp_path / "scores", model, jobs=2) == 0
    analyze_command.run(Analyze((ward,), model=model, out=tmp_path / "csv", format="csv", jobs=1))
    found = rows(tmp_path / "scores")
    with (tmp_path / "csv" / "summary.csv").open(newline="") as file:
        wanted = {row["recording"]: row for row in csv.DictReader(file)}
    assert [row["recording"] for row in found] == sorted(wanted, key=lambda name: ("/" in name, name))
    for row in found:
        for name, text in wanted[row["recording"]].items():
            own = row[name]
            shown = "" if own is None else str(own).lower() if isinstance(own, bool) else str(own)
            assert (float(shown) == float(text)) if isinstance(own, float) else shown == text, name
    with (tmp_path / "csv" / "0.csv").open(newline="") as file:
        events = list(csv.DictReader(file))
    own_events = [event for event in rows(tmp_path / "scores", "events") if event["recording"] == "0.wav"]
    assert len(own_events) == len(events) > 0
    for own, event in zip(own_events, events, strict=True):
        assert (own["label"], own["start_s"]) == (event["label"], float(event["start_s"]))
        assert own["Wheeze"] == float(event["Wheeze"])


@pytest.mark.usefixtures("here")
def test_each_row_says_what_it_is_of_and_failures_say_why(
    ward: Path, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert score(ward, out, model) == 0
    found = {row["recording"]: row for row in rows(out)}
    assert len(found) == 7
    assert [row["row"] for row in rows(out)] == list(range(7))
    assert len({row["key"] for row in found.values()}) == 7
    assert {row["model_sha256"] for row in found.values()} == {proof(out)["model_sha256"]}
    assert "not audio" in found["broken.wav"]["error"]
    assert found["broken.wav"]["uncertain"] is None
    assert found["4.wav"]["id"] == found["b/4 again.wav"]["id"] != found["0.wav"]["id"]
    assert (proof(out)["recordings"], proof(out)["failed"], proof(out)["same_content_as_another"]) == (
        7,
        1,
        1,
    )
    printed = capsys.readouterr().out
    assert "7 recordings, each with one row, 1 of them failed" in printed
    assert "1 of them have the content of another" in printed


def test_nothing_leaves_the_computer_and_nothing_is_left_at_home(
    ward: Path, tmp_path: Path, model: str
) -> None:
    words = ["score", str(ward), "--out", str(tmp_path / "out"), "--model", model, "--jobs", "2"]
    left, sent = run_isolated([words], tmp_path / "home", tmp_path / "trace")
    assert (left, sent) == (set(), [])
    assert len(rows(tmp_path / "out")) == 7


# --- tables of paths ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("kind", ["csv", "semicolons", "tsv", "parquet"])
def test_tables_name_recordings(kind: str, ward: Path, tmp_path: Path, model: str) -> None:
    paths = ["ward/0.wav", str(ward / "b" / "1.wav"), "ward/nowhere.wav"]
    if kind == "parquet":
        source = tmp_path / "t.parquet"
        pq.write_table(pa.table({"n": [1, 2, 3], "File": paths}), source)
    else:
        between = {"csv": ",", "semicolons": ";", "tsv": "\t"}[kind]
        source = tmp_path / ("t.tsv" if kind == "tsv" else "t.csv")
        lines = [f"n{between}URL", *(f"{number}{between}{path}" for number, path in enumerate(paths))]
        source.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    assert score(source, tmp_path / "out", model) == 0
    found = rows(tmp_path / "out")
    assert [row["recording"] for row in found] == paths
    assert [row["error"] for row in found] == [None, None, "is not there"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,age\na.wav,3\n", "no column path"),
        ("", "no column path"),
        ("path\n", "no recording in it"),
        ("path,n\na.wav,1\n,2\n", "line 3 has no path"),
        ("path\na.wav\nb.wav\na.wav\n", "names a.wav twice, as its recordings 1 and 3"),
        ("path\n" + "a" * 200_000 + "\n", "no table can be read there .*field larger than field limit"),
        (
            "path\nhttp://example.org/a.wav\n",
            r"line 2: http://example.org/a.wav: no address of an object store",
        ),
        ("path\n\xff\n", "no table can be read there"),
        ('path\n"a\0b.wav"\n', "has no path"),
    ],
)
def test_tables_that_are_none_are_refused_and_nothing_is_left(
    content: str, message: str, tmp_path: Path, model: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(LaennecError, match=message):
        score(tmp_path / "t.csv", tmp_path / "out", model)
    assert not list(tmp_path.glob("out/*"))


def test_parquet_that_is_none_is_refused(tmp_path: Path, model: str) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(LaennecError, match="no Parquet file that can be read"):
        score(tmp_path / "t.parquet", tmp_path / "out", model)
    pq.write_table(pa.table({"path": [1, 2]}), tmp_path / "t.parquet")
    with pytest.raises(LaennecError, match="its column path is int64; expected text"):
        score(tmp_path / "t.parquet", tmp_path / "out", model)
    with pytest.raises(LaennecError, match="no such file or folder"):
        score(tmp_path / "nowhere", tmp_path / "out", model)


# --- archives -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_archives_have_a_row_for_each_recording(mode: str, tmp_path: Path, model: str) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    first = {"a/1.wav": sound(1), "a/1.json": b"{}", "a/2.wav": b"broken", ".hidden.wav": sound(3)}
    ending = ".tar" if mode == "w" else ".tgz"
    (shards / f"0{ending}").write_bytes(archive(first, mode))
    (shards / f"1{ending}").write_bytes(archive({"b.json": b"{}"}, mode))
    (shards / "2.wav").write_bytes(sound(2))
    assert score(shards, tmp_path / "out", model) == 0
    found = [(row["recording"], row["member"], row["error"] is None) for row in rows(tmp_path / "out")]
    assert found == [
        (f"0{ending}/a/1.wav", 0, True),
        (f"0{ending}/a/2.wav", 1, False),
        (f"1{ending}", None, False),
        ("2.wav", None, True),
    ]
    assert rows(tmp_path / "out")[2]["error"] == "holds no recording"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("damage", ["header", "cut at a header", "cut in a member", "no archive"])
def test_a_damaged_archive_gives_what_was_before_and_says_so(damage: str, tmp_path: Path, model: str) -> None:
    whole = archive({f"{number}.wav": sound(number) for number in range(3)})
    second = 512 + -(-len(sound(0)) // 512) * 512
    damaged = {
        "header": whole[:second] + b"\xff" * 512 + whole[second + 512 :],
        "cut at a header": whole[:second],
        "cut in a member": whole[: second + 5000],
        "no archive": b"something else",
    }[damage]
    (tmp_path / "s.tar").write_bytes(damaged)
    assert score(tmp_path / "s.tar", tmp_path / "out", model) == 0
    *before, last = rows(tmp_path / "out")
    assert [row["recording"] for row in before] == ([] if damage == "no archive" else ["s.tar/0.wav"])
    assert last["recording"] == "s.tar"
    assert "damaged or cut short after" in last["error"]


@pytest.mark.usefixtures("here")
def test_the_merge_sees_a_gap_among_the_recordings_of_an_archive(tmp_path: Path, model: str) -> None:
    (tmp_path / "s.tar").write_bytes(archive({f"{number}.wav": sound(number) for number in range(3)}))
    out = tmp_path / "out"
    score(tmp_path / "s.tar", out, model)
    whole = pq.read_table(out / part_name(0))
    for rows_kept in ([0, 2], [0, 1, 1, 2], [1, 0, 2]):
        pq.write_table(whole.take(rows_kept), out / part_name(0))
        with pytest.raises(LaennecError, match="not those of the archive, once each"):
            score(tmp_path / "s.tar", out, model)


# --- resuming, shares, refusals -----------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_only_missing_parts_are_made_again(
    ward: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    score(ward, out, model)
    wanted = tables(out)
    written: list[str] = []
    write = places.Folder.write
    monkeypatch.setattr(
        places.Folder, "write", lambda self, name, content: (written.append(name), write(self, name, content))
    )
    (out / part_name(1)).unlink()
    (out / part_name(2)).write_bytes(b"")  # as a full disk leaves one
    (ward / "new.wav").write_bytes(sound(9))  # after the listing
    score(ward, out, model)
    assert written == [part_name(1), part_name(2), "score.json"]
    assert tables(out) == wanted


@pytest.mark.usefixtures("here")
def test_jobs_that_know_nothing_of_each_other_make_the_same_tables(
    ward: Path, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    score(ward, tmp_path / "one", model)
    out = tmp_path / "several"
    assert score(ward, out, model, list=True) == 0
    assert "7 files in 3 shards; 3 not done yet" in capsys.readouterr().out
    assert score(ward, out, model, shard="2/2") == 0
    assert not (out / "recordings.parquet").exists()
    with pytest.raises(LaennecError, match=r"2 shards of 3 not done \(0, 2\)"):
        score(ward, out, model, merge=True)
    assert score(ward, out, model, shard="1/2") == 0
    assert tables(out) == tables(tmp_path / "one")
    shutil.rmtree(ward)
    ward.mkdir()
    (out / "events.parquet").unlink()
    assert score(ward, out, model, merge=True) == 0
    assert tables(out) == tables(tmp_path / "one")


@pytest.mark.usefixtures("here")
def test_results_of_something_else_are_not_mixed(ward: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "out"
    score(ward, out, model)
    with pytest.raises(LaennecError, match=r"holds results of another model .* name another --out"):
        score_command.run(Score(str(ward), str(out), "default", jobs=1))
    with pytest.raises(LaennecError, match="holds results of another source"):
        score(ward / "b", out, model)
    with pytest.raises(LaennecError, match="another any_sound"):
        score(ward, out, model, any_sound=True)
    score(ward / "b", tmp_path / "other", model)
    shutil.copy(tmp_path / "other" / part_name(0), out / part_name(0))
    with pytest.raises(LaennecError, match="of another manifest or model, and parts are not mixed"):
        score(ward, out, model, merge=True)


@pytest.mark.usefixtures("here")
def test_the_merge_sees_what_is_wrong_with_a_part(ward: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "out"
    score(ward, out, model)
    path = out / part_name(1)
    whole, content = pq.read_table(path), path.read_bytes()
    for part in (whole.slice(1), pa.concat_tables([whole, whole.slice(2)]), whole.take([0, 0, 2])):
        pq.write_table(part, path)
        with pytest.raises(LaennecError, match="its rows are not those of its shard, once each"):
            score(ward, out, model)
    path.write_bytes(content[:-20])
    with pytest.raises(LaennecError, match=r"damaged .*delete it, and the same command"):
        score(ward, out, model)
    path.unlink()
    assert score(ward, out, model) == 0
    assert path.read_bytes() == content


@pytest.mark.usefixtures("here")
def test_two_that_list_at_once_agree(ward: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "out"
    place, create = places.Folder(str(out)), places.Folder.create

    def second(self: places.Folder, name: str, content: bytes) -> bool:
        """Another one, which has found one recording more, comes first."""
        places.Folder.create = create  # type: ignore[method-assign]
        (ward / "late.wav").write_bytes(sound(8))
        score(ward, out, model)
        return create(self, name, content)

    places.Folder.create = second  # type: ignore[method-assign]
    try:
        score(ward, out, model)
    finally:
        places.Folder.create = create  # type: ignore[method-assign]
    assert proof(out)["recordings"] == 8
    assert len(list(out.glob("manifest-*"))) == 1
    assert manifest.read_run(place) is not None


@pytest.mark.usefixtures("here")
def test_a_full_disk_ends_it_and_it_goes_on_later(
    ward: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def full(source: Any, target: Any) -> None:
        if "shard-0000001" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("laennec.files.os.replace", full)
        with pytest.raises(LaennecError, match="No space left on device"):
            score(ward, out, model)
    assert [path.name for path in (out / "parts").iterdir()] == ["shard-0000000.parquet"]
    assert score(ward, out, model) == 0


def test_results_are_not_written_among_the_recordings(ward: Path, tmp_path: Path, model: str) -> None:
    for out in (ward, ward / "b" / "out"):
        with pytest.raises(LaennecError, match="lies in the source"):
            score(ward, out, model)
    (tmp_path / "a file").write_text("")
    with pytest.raises(LaennecError, match="no folder can be made there"):
        score(ward, tmp_path / "a file" / "out", model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": "0/4"}, "1/10 to 10/10"),
        ({"shard": "5/4"}, "1/10 to 10/10"),
        ({"shard": "1"}, "1/10 to 10/10"),
        ({"shard_size": 0}, "--shard-size is 0"),
        ({"jobs": 0}, "--jobs is 0"),
        ({"list": True, "merge": True}, "three steps"),
        ({"engine": "ray", "shard": "1/2"}, "leave out --engine"),
    ],
)
def test_options_are_checked_first(options: dict[str, Any], message: str, tmp_path: Path, model: str) -> None:
    with pytest.raises(UsageError, match=message):
        score(tmp_path / "nowhere", tmp_path / "out", model, **options)


@pytest.mark.usefixtures("here")
def test_a_damaged_run_file_is_named(ward: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "out"
    score(ward, out, model)
    for content in ("{", "[]", '{"format": 1}', '{"format": 2}'):
        (out / "run.json").write_text(content)
        with pytest.raises(LaennecError, match=r"run\.json: damaged"):
            score(ward, out, model)


@pytest.mark.usefixtures("here")
def test_a_long_recording_is_read_from_its_file(
    ward: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(ward, tmp_path / "held", model)
    monkeypatch.setattr("laennec.bulk.score.HELD_BYTES", 100)
    score(ward, tmp_path / "files", model)
    assert tables(tmp_path / "files")[:2] == tables(tmp_path / "held")[:2]


def test_one_recording_is_a_source(ward: Path, tmp_path: Path, model: str) -> None:
    assert score(ward / "0.wav", tmp_path / "one", model) == 0
    (row,) = rows(tmp_path / "one")
    assert row["recording"] == "0.wav"
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(LaennecError, match="expected a folder, a recording, or a file that ends in"):
        score(tmp_path / "notes.txt", tmp_path / "two", model)


def test_dicom_in_a_folder_is_scored(tmp_path: Path, model: str) -> None:
    pytest.importorskip("pydicom")
    from laennec.clinic.dicom import write_all

    (tmp_path / "a.wav").write_bytes(sound(0))
    list(write_all([tmp_path / "a.wav"], tmp_path / "study"))
    assert score(tmp_path / "study", tmp_path / "out", model) == 0
    (row,) = rows(tmp_path / "out")
    assert (row["recording"], row["error"]) == ("a.dcm", None)
