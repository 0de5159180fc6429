"""The referee finds each fault that published figures have, and is silent on an honest one.

Splits and answers are constructed from the names of ICBHI's official list, each with one fault.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from laennec.cli import main
from laennec.errors import LaennecError, UsageError
from laennec.labels import ICBHI_CYCLES
from laennec.referee import CAUTION, FAULT, NOTE, Report, referee
from laennec.referee.definitions import definitions, read_claim
from laennec.referee.names import read_names
from laennec.referee.official import official_sets
from laennec.referee.split import TEST, TRAIN, read_split
from laennec.referee.submitted import read_submitted

SHARED_OFFICIALLY = ("156", "218")


def codes(report: Report, severity: str) -> set[str]:
    return {each.code for each in report.findings if each.severity == severity}


def write_split(path: Path, sets: dict[str, str]) -> Path:
    path.write_text("".join(f"{name}\t{which}\n" for name, which in sets.items()))
    return path


def honest_split(tmp_path: Path) -> Path:
    """The official split, of whose training recordings those of the test set's patients are left out."""
    sets = official_sets("icbhi")
    tested = {name[:3] for name, which in sets.items() if which == TEST}
    kept = {name: which for name, which in sets.items() if which == TEST or name[:3] not in tested}
    return write_split(tmp_path / "honest.txt", kept)


def answers(
    path: Path, accuracy: float = 0.8, cycles: int = 6, seed: int = 0, recordings: list[str] | None = None
) -> Path:
    """Answers for some cycles of each test recording, right as often as said, and no rule behind."""
    rng = np.random.default_rng(seed)
    labelled = np.random.default_rng(7)  # labels are the same for every system
    tested = recordings or [name for name, which in official_sets("icbhi").items() if which == TEST]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "y_true", "y_pred"])
        for name in tested:
            for cycle in range(cycles):
                label = labelled.choice(4, p=(0.6, 0.2, 0.12, 0.08))
                right = rng.random() < accuracy
                answer = label if right else rng.choice([k for k in range(4) if k != label])
                writer.writerow([f"{name}_{cycle}.wav", ICBHI_CYCLES[label], ICBHI_CYCLES[answer]])
    return path


def score_of(path: Path, name: str) -> str:
    submitted = read_submitted(path, "icbhi")
    found = definitions(submitted.confusion, submitted.classes)
    return f"{100 * next(each.value for each in found if each.name == name):.2f}"


def test_an_honest_figure_has_no_fault_and_no_caution(tmp_path):
    given = answers(tmp_path / "answers.csv")
    report = referee(
        "icbhi",
        [honest_split(tmp_path)],
        given,
        [score_of(given, "average_score"), f"sensitivity={score_of(given, 'sensitivity')}"],
    )
    assert {each.severity for each in report.findings} == {NOTE}
    assert codes(report, NOTE) == {"official", "claim-reproduced", "baselines"}
    assert report.scores["average_score"].interval is not None


def test_the_official_split_itself_is_noted_for_its_two_patients(tmp_path):
    split = write_split(tmp_path / "official.txt", dict(official_sets("icbhi")))
    given = answers(tmp_path / "answers.csv")
    report = referee("icbhi", [split], given)
    shared = next(each for each in report.findings if each.code == "shared-patients")
    assert (shared.severity, tuple(shared.evidence["patients"])) == (NOTE, SHARED_OFFICIALLY)
    without = next(each for each in report.findings if each.code == "score-without-shared")
    kept = [
        name
        for name, which in official_sets("icbhi").items()
        if which == TEST and name[:3] not in SHARED_OFFICIALLY
    ]
    assert without.evidence["clips"] == 6 * len(kept)


def test_a_shuffle_of_files_shares_patients_and_is_not_the_official_split(tmp_path):
    names = sorted(official_sets("icbhi"))
    shuffled = np.random.default_rng(0).permutation(names)
    sets = {name: TRAIN if k < 0.6 * len(names) else TEST for k, name in enumerate(shuffled)}
    report = referee("icbhi", [write_split(tmp_path / "random.txt", sets)])
    shared = next(each for each in report.findings if each.code == "shared-patients")
    expected = {n[:3] for n, w in sets.items() if w == TRAIN} & {n[:3] for n, w in sets.items() if w == TEST}
    assert shared.severity == FAULT
    assert set(shared.evidence["patients"]) == expected
    assert len(expected) > 50
    assert "not-official" in codes(report, CAUTION)
    moved = [n for n, w in sets.items() if w == TRAIN and official_sets("icbhi")[n] == TEST]
    official = next(each for each in report.findings if each.code == "not-official")
    assert official.evidence["test_in_training"] == sorted(moved)


def test_a_shuffle_of_cycles_shares_recordings(tmp_path):
    names = sorted(official_sets("icbhi"))[:40]
    lists = {"train": [], "test": []}
    for k, name in enumerate(f"{name}_cycle{c}.wav" for name in names for c in range(5)):
        lists["test" if k % 3 == 0 else "train"].append(name)
    for which, own in lists.items():
        (tmp_path / f"{which}.txt").write_text("\n".join(own))
    report = referee("icbhi", [tmp_path])
    shared = next(each for each in report.findings if each.code == "shared-recordings")
    assert (shared.severity, len(shared.evidence["recordings"])) == (FAULT, 40)


def test_a_two_class_sensitivity_under_a_four_class_heading(tmp_path):
    given = answers(tmp_path / "answers.csv", accuracy=0.6)
    report = referee("icbhi", predictions=given, claimed=[score_of(given, "binary_average_score")])
    claim = next(each for each in report.findings if each.code == "claim-by-another-definition")
    assert claim.severity == FAULT
    assert claim.evidence["reproduced_by"] == ["binary AS"]
    assert "two-class" in claim.sentence


@pytest.mark.parametrize("definition", ["macro_f1", "accuracy", "weighted_f1", "macro_sensitivity"])
def test_the_definition_behind_a_figure_is_named(tmp_path, definition):
    given = answers(tmp_path / "answers.csv", accuracy=0.55)
    report = referee("icbhi", predictions=given, claimed=[score_of(given, definition)])
    claim = next(each for each in report.findings if each.code == "claim-by-another-definition")
    names = {each.title for each in report.definitions if each.name == definition}
    assert names <= set(claim.evidence["reproduced_by"])


def test_a_figure_that_no_definition_gives(tmp_path):
    report = referee("icbhi", predictions=answers(tmp_path / "answers.csv", accuracy=0.3), claimed=["99.9"])
    assert codes(report, FAULT) >= {"claim-not-reproduced"}


def test_poor_quality_as_a_class_or_left_out(tmp_path):
    counts = [[80, 5, 5, 5, 5], [10, 50, 5, 5, 10], [10, 5, 50, 5, 10], [5, 5, 5, 30, 5], [20, 0, 0, 0, 60]]
    path = tmp_path / "confusion.json"
    path.write_text(
        json.dumps({"counts": counts, "classes": ["Normal", "CAS", "DAS", "CAS & DAS", "Poor Quality"]})
    )
    confusion = np.array(counts, float)
    as_class = np.trace(confusion[1:, 1:]) / confusion[1:].sum()
    report = referee("sprsound", predictions=path, claimed=[f"sensitivity={100 * as_class:.3f}"])
    claim = next(each for each in report.findings if each.code == "claim-by-another-definition")
    assert any("Poor Quality as a class" in each for each in claim.evidence["reproduced_by"])
    kept = confusion[:4, :4]
    without = kept[0, 0] / kept[0].sum()
    report = referee("sprsound", predictions=path, claimed=[f"specificity={100 * without:.3f}"])
    claim = next(each for each in report.findings if each.code == "claim-by-another-definition")
    assert any("without Poor Quality" in each for each in claim.evidence["reproduced_by"])


def test_an_epoch_that_was_chosen_on_the_test_set(tmp_path):
    table = tmp_path / "epochs.csv"
    table.write_text("epoch,test_score,val_score\n1,60.0,61.0\n2,64.5,62.0\n3,62.3,63.5\n4,62.1,62.9\n")
    report = referee("icbhi", epochs=table, claimed=["64.5"])
    found = next(each for each in report.findings if each.code == "epoch-chosen-on-test")
    assert found.severity == FAULT
    assert found.evidence["worth"] == pytest.approx(0.022)
    assert not codes(referee("icbhi", epochs=table, claimed=["62.3"]), FAULT)


def test_answers_that_only_know_the_device_are_reached_by_the_rule(tmp_path):
    """Labels depend on the device alone, and so do the answers: nothing was heard."""
    path = tmp_path / "answers.csv"
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "label", "predicted"])
        for name, which in official_sets("icbhi").items():
            if which == TEST:
                sick = "AKGC417L" in name
                label = "crackle" if rng.random() < (0.8 if sick else 0.2) else "normal"
                writer.writerow([name, label, "crackle" if sick else "normal"])
    report = referee("icbhi", predictions=path)
    assert codes(report, FAULT) == {"baseline-reached"}
    reached = next(each for each in report.findings if each.code == "baseline-reached")
    assert "device" in reached.sentence


def test_durations_alone_are_a_rule(tmp_path):
    path = tmp_path / "answers.npz"
    rng = np.random.default_rng(0)
    names = [f"{name}_0" for name, which in official_sets("icbhi").items() if which == TEST]
    label = rng.integers(0, 2, len(names))
    seconds = np.where(label == 1, 3.0, 2.0) + 0.2 * rng.standard_normal(len(names))
    np.savez(path, name=np.array(names), y_true=label, y_pred=np.roll(label, 1), duration=seconds)
    report = referee("icbhi", predictions=path)
    assert "baseline-reached" in codes(report, FAULT)
    assert any("duration" in row["name"] and row["scores"]["average_score"] > 0.9 for row in report.baselines)


def test_two_systems_are_compared_pair_by_pair(tmp_path):
    better, worse = answers(tmp_path / "a.csv", 0.8, seed=1), answers(tmp_path / "b.csv", 0.6, seed=2)
    rows = worse.read_text().splitlines()
    worse.write_text("\n".join([rows[0], *reversed(rows[1:])]))  # another order of the same clips
    report = referee("icbhi", predictions=better, against=worse)
    score = report.comparison["average_score"]
    assert score.value == pytest.approx(
        float(score_of(worse, "average_score")) / 100 - float(score_of(better, "average_score")) / 100,
        abs=1e-4,
    )
    assert score.interval[1] < 0
    alike = referee("icbhi", predictions=better, against=answers(tmp_path / "c.csv", 0.8, seed=3))
    assert "comparison" in codes(alike, CAUTION)


def test_a_comparison_needs_the_names_of_clips(tmp_path):
    given = answers(tmp_path / "a.csv", cycles=1)
    np.save(tmp_path / "b.npy", read_submitted(given, "icbhi").confusion.astype(int))
    report = referee("icbhi", predictions=tmp_path / "b.npy")
    assert codes(report, CAUTION) == {"no-patients"}
    assert report.definitions
    assert not report.scores
    with pytest.raises(LaennecError, match="so the systems cannot be compared"):
        referee("icbhi", predictions=tmp_path / "b.npy", against=given)


def test_predictions_for_what_was_trained_on(tmp_path):
    trained = next(name for name, which in official_sets("icbhi").items() if which == TRAIN)
    tested = [name for name, which in official_sets("icbhi").items() if which == TEST]
    given = answers(tmp_path / "answers.csv", recordings=[*tested, trained])
    split = write_split(tmp_path / "official.txt", dict(official_sets("icbhi")))
    report = referee("icbhi", [split], given)
    found = next(each for each in report.findings if each.code == "predicted-trained-on")
    assert (found.severity, found.evidence["recordings"]) == (FAULT, [trained])
    with given.open("a") as file:
        file.write(given.read_text().splitlines()[1])
    assert "predicted-twice" in codes(referee("icbhi", predictions=given), FAULT)


# --- forms --------------------------------------------------------------------------------------------------


def test_every_form_of_a_split_says_the_same(tmp_path):
    sets = {TRAIN: ["101_1b1_Al_sc_Meditron", "102_1b1_Ar_sc_Meditron"], TEST: ["103_2b2_Ar_mc_LittC2SE"]}
    (tmp_path / "a.json").write_text(json.dumps(sets))
    (tmp_path / "b.json").write_text(
        json.dumps({name: which for which, names in sets.items() for name in names})
    )
    np.savez(tmp_path / "c.npz", **{which: np.array(names) for which, names in sets.items()})
    rows = [(name, which) for which, names in sets.items() for name in names]
    (tmp_path / "d.csv").write_text(
        "id,filename,phase\n" + "".join(f"{k},data/{n}.wav,{w}\n" for k, (n, w) in enumerate(rows))
    )
    (tmp_path / "e.txt").write_text("".join(f"{n} {w}\n" for n, w in rows))
    for which, names in sets.items():
        (tmp_path / f"f_{which}_list.txt").write_text("\n".join(names))
    forms = [
        [tmp_path / "a.json"],
        [tmp_path / "b.json"],
        [tmp_path / "c.npz"],
        [tmp_path / "d.csv"],
        [tmp_path / "e.txt"],
    ]
    forms.append([tmp_path / "f_train_list.txt", tmp_path / "f_test_list.txt"])
    for form in forms:
        found = {
            which: [each.recording for each in read_names(names, "icbhi")]
            for which, names in read_split(form).items()
        }
        assert found == sets, form


def test_every_form_of_answers_says_the_same(tmp_path):
    given = answers(tmp_path / "a.csv", accuracy=0.7, cycles=2)
    first = read_submitted(given, "icbhi")
    header, *rows = csv.reader(given.open())
    numbers = {name: k for k, name in enumerate(ICBHI_CYCLES)}
    true, predicted = ([numbers[row[k]] for row in rows] for k in (1, 2))
    one_hot = np.eye(4)[predicted]
    np.savez(
        tmp_path / "b.npz", filename=np.array([row[0] for row in rows]), targets=true, logits=5 * one_hot
    )
    np.save(tmp_path / "c.npy", np.column_stack([true, predicted]))
    np.save(tmp_path / "d.npy", first.confusion.astype(int))
    (tmp_path / "e.csv").write_text("\n".join(",".join(str(int(n)) for n in row) for row in first.confusion))
    (tmp_path / "f.tsv").write_text(
        "clip\tlabel\tp_none\tp_crackles\tp_wheezes\tp_both\n"
        + "".join(
            f"{row[0]}\t{row[1]}\t" + "\t".join(map(str, one_hot[k])) + "\n" for k, row in enumerate(rows)
        )
    )
    (tmp_path / "g.json").write_text(json.dumps([dict(zip(header, row, strict=True)) for row in rows]))
    (tmp_path / "h.csv").write_text(
        "name,label,prob_0,prob_1,prob_2,prob_3\n"
        + "".join(
            f"{row[0]},{true[k]}," + ",".join(map(str, one_hot[k])) + "\n" for k, row in enumerate(rows)
        )
    )
    for name in ("b.npz", "c.npy", "d.npy", "e.csv", "f.tsv", "g.json", "h.csv"):
        other = read_submitted(tmp_path / name, "icbhi")
        assert other.classes == first.classes, name
        assert np.array_equal(other.confusion, first.confusion), name
        assert other.names in ((), first.names), name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("a,b\n1\n", "has 1 cell; expected 2"),
        ("name,label\nx,normal\n", "neither a prediction"),
        ("name,pred\nx,normal\n", "no column of annotated classes"),
        ("name,label,pred\nx,normal,hiss\n", "hiss"),
        ("name,label,pred\nx,-1,0\n", "-1"),
        ("1,2\n3,4\n5,6\n", "no confusion matrix"),
        ("0,0,0,0\n0,0,0,0\n0,0,0,0\n0,0,0,0\n", "counts no clip"),
        ("name,label,prob_0,prob_1\nx,0,nan,1\n", "non-finite"),
        ('"a\nb', "no column"),
        ("name,label,predicted\n", "has no clip"),
        ("name,label,prob_0,prob_1\n", "has no clip"),
    ],
)
def test_bad_answers_end_in_one_sentence(tmp_path, content, said):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(LaennecError) as error:
        read_submitted(path, "icbhi")
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_answers_without_a_clip_end_in_one_sentence(tmp_path):
    """Also of the other system."""
    some = answers(tmp_path / "some.csv", cycles=1)
    empty = tmp_path / "empty.npz"
    np.savez(empty, name=np.array([], str), label=np.array([], str), predicted=np.array([], str))
    with pytest.raises(LaennecError, match=r"empty\.npz: names its columns and has no clip"):
        referee("icbhi", predictions=empty)
    with pytest.raises(LaennecError, match=r"empty\.npz: names its columns and has no clip"):
        referee("icbhi", predictions=some, against=empty)


def test_python_objects_are_not_unpickled(tmp_path):
    path = tmp_path / "bad.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(LaennecError, match="Python objects"):
        read_submitted(path, "icbhi")
    with pytest.raises(LaennecError, match="Python objects"):
        read_split([path])


@pytest.mark.parametrize("text", ["", "abc", "score=", "recall=5", "-3", "101", "6.5.5"])
def test_a_claim_that_is_none(text):
    with pytest.raises(UsageError):
        read_claim(text)


@pytest.mark.parametrize(
    ("text", "value", "tolerance"),
    [("66.5", 0.665, 5e-4), ("0.665", 0.665, 5e-4), ("66 %", 0.66, 5e-3), ("uar=.5", 0, 0)],
)
def test_a_claim_is_as_exact_as_its_digits(text, value, tolerance):
    if text == "uar=.5":
        with pytest.raises(UsageError):
            read_claim(text)
        return
    claim = read_claim(text)
    assert (claim.value, claim.tolerance) == (pytest.approx(value), pytest.approx(tolerance))


# --- the command --------------------------------------------------------------------------------------------


def test_the_command_prints_and_writes(tmp_path, capsys):
    given = answers(tmp_path / "answers.csv")
    arguments = [
        "referee",
        "--dataset",
        "icbhi",
        "--predictions",
        str(given),
        "--claimed",
        "99",
        "--out",
        str(tmp_path / "r.json"),
    ]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--strict"])
    assert ended.value.code == 1
    assert "not reproduced by any definition" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text())
    assert next(each["code"] for each in report["findings"]) == "claim-not-reproduced"


def test_the_training_layer_is_not_imported():
    """Without --data the referee runs on the base install."""
    code = "import sys, laennec.cli.referee; sys.exit(bool({'torch', 'pandas', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
