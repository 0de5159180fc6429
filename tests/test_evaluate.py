import gzip
import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from laennec.errors import LaennecError
from laennec.labels import ICBHI_CYCLES, SPRSOUND_EVENTS, SPRSOUND_RECORDS, TASK_11, task_class
from laennec.output.challenge import answers_of
from laennec.score.confusion import confusion_matrix
from laennec.score.evaluation import score, score_predictions
from laennec.score.picture import draw
from laennec.score.predictions import Predictions, read_predictions, write_predictions
from laennec.score.summary import evaluate
from laennec.score.tasks import TASK_SCORES, shifted, task_scores
from laennec.score.text import SCORE_NAMES, render_tables
from laennec.version import __version__


def made_up(classes=SPRSOUND_RECORDS, n=120, patients=12, seed=0):
    rng = np.random.default_rng(seed)
    index = rng.integers(len(classes), size=n)
    logits = rng.normal(size=(n, len(classes))) + 2 * np.eye(len(classes))[index]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(
        clip_ids=tuple(f"clip {k}" for k in range(n)),
        subjects=tuple(f"p{k}" for k in rng.integers(patients, size=n)),
        labels=tuple(classes[k] for k in index),
        classes=tuple(classes),
        probabilities=probabilities,
    )


@pytest.mark.parametrize("classes", [SPRSOUND_EVENTS, SPRSOUND_RECORDS, TASK_11, ICBHI_CYCLES])
def test_predictions_survive_the_file_exactly(tmp_path, classes):
    written = made_up(classes)
    write_predictions(tmp_path / "predictions.csv", written)
    first = (tmp_path / "predictions.csv").read_text().splitlines()[0]
    assert first == ",".join(("clip_id", "subject", "label", *classes))
    read = read_predictions(tmp_path / "predictions.csv")
    np.testing.assert_array_equal(read.probabilities, written.probabilities)
    assert replace(read, probabilities=None) == replace(written, probabilities=None)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_float32_probabilities_and_names_with_commas(tmp_path):
    written = made_up()
    written = replace(
        written,
        clip_ids=('a,b "c"', *written.clip_ids[1:]),
        probabilities=written.probabilities.astype(np.float32),
    )
    write_predictions(tmp_path / "predictions.csv", written)
    read = read_predictions(tmp_path / "predictions.csv")
    assert read.clip_ids[0] == 'a,b "c"'
    np.testing.assert_array_equal(read.probabilities.astype(np.float32), written.probabilities)


def test_a_spreadsheet_may_have_saved_it(tmp_path):
    """A byte-order mark, CRLF and an empty last line change nothing."""
    path = tmp_path / "predictions.csv"
    path.write_bytes(
        "\ufeffclip_id,subject,label,normal,crackle\r\na,1,normal,1,0\r\nb,2,crackle,0,1\r\n\r\n".encode()
    )
    assert read_predictions(path).labels == ("normal", "crackle")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must be clip_id,subject,label and then two or more classes"),
        ("clip,subject,label,Normal,CAS\n", "the first line must be"),
        ("clip_id,subject,label,Normal\n", "the first line must be"),
        ("clip_id,subject,label,Normal,CAS\n", "there is no clip to score"),
        ("clip_id,subject,label,Normal,CAS\na,p,Normal,1\n", "clip 1 has 4 fields; expected 5"),
        ("clip_id,subject,label,Normal,CAS\na,p,Normal,1,\n", "a probability is no number"),
        (
            "clip_id,subject,label,Normal,CAS\na,p,Normal,nan,1\n",
            "clip 1 has a probability that is no number",
        ),
        ("clip_id,subject,label,Normal,CAS\na,p,Normal,0.5,0.6\n", "do not sum to 1"),
        ("clip_id,subject,label,Normal,CAS\na,p,DAS,0.5,0.5\n", "label 'DAS' is not one of the classes"),
        (
            "clip_id,subject,label,DAS,CAS\na,p,DAS,0.5,0.5\n",
            "exactly one class must be called Normal or normal",
        ),
        ("clip_id,subject,label,Normal,CAS\n" + "a,p,CAS,0,1\n" * 2, "clip 'a' occurs twice"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(LaennecError, match=re.escape(str(path)) + ".*" + message):
        read_predictions(path)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(LaennecError, match=r"absent\.csv: no such file"):
        read_predictions(tmp_path / "absent.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(LaennecError, match=r"a\.csv: cannot be read"):
        read_predictions(tmp_path / "a.csv")
    whole = gzip.compress(b"clip_id,subject,label,Normal,CAS\n" * 99)
    for name, content in {"cut": whole[:-9], "changed": whole[:12] + b"\xff\xff" + whole[14:]}.items():
        (tmp_path / f"{name}.csv.gz").write_bytes(content)
        with pytest.raises(LaennecError, match=rf"{name}\.csv\.gz: cannot be read"):
            read_predictions(tmp_path / f"{name}.csv.gz")


def test_nothing_unscorable_is_written(tmp_path):
    bad = replace(made_up(), subjects=("p1",))
    with pytest.raises(LaennecError, match="1 subjects for 120 clips"):
        write_predictions(tmp_path / "predictions.csv", bad)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LaennecError, match="2 clip names for 120 labels"):
        score(replace(made_up(), clip_ids=("a", "b")))


def test_poor_quality_counts_in_neither_se_nor_sp():
    predictions = made_up(SPRSOUND_RECORDS)
    kept = [k for k, label in enumerate(predictions.labels) if label != "Poor Quality"]
    without = Predictions(
        clip_ids=tuple(predictions.clip_ids[k] for k in kept),
        subjects=tuple(predictions.subjects[k] for k in kept),
        labels=tuple(predictions.labels[k] for k in kept),
        classes=predictions.classes,
        probabilities=predictions.probabilities[kept],
    )
    whole, part = (score(p, draws=10)["scores"] for p in (predictions, without))
    for key in ("sensitivity", "specificity", "total_score", "binary_precision", "binary_roc_auc"):
        assert whole[key] == part[key]
    assert whole["macro_f1"] != part["macro_f1"]


@pytest.mark.needs("matplotlib")
@pytest.mark.parametrize("classes", [SPRSOUND_EVENTS, SPRSOUND_RECORDS, TASK_11, ICBHI_CYCLES])
def test_score_predictions_writes_everything(tmp_path, classes):
    write_predictions(tmp_path / "predictions.csv", made_up(classes))
    provenance = {
        "model": "a.onnx",
        "data": "SPRSound",
        "split": "inter",
        "command": "laennec …",
        "seeds": [1, 2],
    }
    found = score_predictions(tmp_path / "predictions.csv", tmp_path / "out", provenance, draws=200)
    written = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert written == found
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "confusion.png",
        "metrics.json",
        "tables.txt",
    ]
    assert written["provenance"]["version"] == __version__
    assert written["provenance"]["split"] == "inter"
    assert len(written["provenance"]["predictions_sha256"]) == 64
    assert written["scores"].keys() == SCORE_NAMES.keys()
    assert (tmp_path / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")
    predictions = made_up(classes)
    alone = evaluate(
        predictions.labels,
        predictions.probabilities,
        predictions.subjects,
        classes,
        normal=classes[0],
        ignored=[name for name in classes if name == "Poor Quality"],
        draws=200,
    )
    assert {key: written[key] for key in alone} == alone


def test_unknown_provenance_is_null():
    assert score(made_up(), draws=5)["provenance"] == {
        "model": None,
        "data": None,
        "split": None,
        "command": None,
        "seeds": None,
        "version": __version__,
    }


def test_tables_show_scores_intervals_classes_and_counts():
    found = score(made_up(), {"model": "a.onnx", "seeds": [3, 4]}, draws=200)
    text = render_tables(found)
    low, high = found["intervals"]["total_score"]
    assert re.search(rf"TS = .* {found['scores']['total_score']:.4f}  {low:.4f} to {high:.4f}", text)
    assert "model: a.onnx" in text
    assert "seeds: 3, 4" in text
    assert "120 clips of 12 patients" in text
    counts = found["confusion"]["counts"][1]
    assert re.search(r"^CAS +" + " +".join(map(str, counts)) + "$", text, re.MULTILINE)
    assert re.search(rf"^CAS & DAS .* {found['classes']['CAS & DAS']['f1']:.4f} ", text, re.MULTILINE)


@pytest.mark.needs("matplotlib")
def test_tables_and_picture_without_a_class_or_an_interval(tmp_path):
    predictions = made_up(SPRSOUND_EVENTS, n=6, patients=1)
    predictions = replace(predictions, labels=("Normal",) * 6)
    found = score(predictions)
    text = render_tables(found)
    assert "No intervals: there is only one patient." in text
    assert "6 clips of 1 patient\n" in text
    assert re.search(r"^Se, sensitivity \(exact class\) +- +-$", text, re.MULTILINE)
    draw(found, tmp_path / "confusion.svg")
    assert "<!-- Stridor (0) -->" in (tmp_path / "confusion.svg").read_text()


def test_matplotlib_is_asked_for_only_when_drawing(tmp_path, monkeypatch):
    code = (
        "import sys, laennec.score.predictions; "
        "sys.exit('matplotlib' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(LaennecError, match=r"pip install \"laennec\[web\]\""):
        draw(score(made_up(), draws=5), tmp_path / "a.png")


def test_the_tables_note_unknown_patients():
    known = score(made_up(), draws=50)
    unknown = score(replace(made_up(), subjects=("", "", *made_up().subjects[2:])), draws=50)
    assert "Note: the patient of 2 of 120 clips is unknown" in render_tables(unknown)
    assert "Note:" not in render_tables(known)
    assert unknown["task_21"]["intervals"]["challenge_score"] is not None


def test_a_shift_makes_normal_rarer_in_one_task_only_where_it_is_asked_for():
    predictions = made_up(SPRSOUND_RECORDS)
    alike = shifted(predictions, 0.0)
    np.testing.assert_allclose(alike.probabilities, predictions.probabilities, atol=1e-15)
    moved = shifted(predictions, np.where(np.arange(120) < 60, 0.0, 2.0))
    np.testing.assert_allclose(moved.probabilities[:60], predictions.probabilities[:60], atol=1e-15)
    odds = [p.probabilities[60:, 1] / p.probabilities[60:, 0] for p in (moved, predictions)]
    np.testing.assert_allclose(odds[0], np.exp(2) * odds[1])
    before, after = (task_scores(each, draws=0)["task_22"]["scores"] for each in (predictions, moved))
    assert after["sensitivity"] >= before["sensitivity"]
    assert after["specificity"] <= before["specificity"]


def of_rows(classes, rows):
    """Predictions from (label, probabilities) of one patient each."""
    labels, probabilities = zip(*rows, strict=True)
    names = tuple(f"{k}" for k in range(len(rows)))
    return Predictions(names, names, labels, tuple(classes), np.array(probabilities, float))


def test_tasks_of_records_by_hand():
    found = task_scores(
        of_rows(
            SPRSOUND_RECORDS,
            [
                ("Normal", [0.9, 0.1, 0, 0, 0]),
                ("Normal", [0.4, 0.3, 0.3, 0, 0]),  # the likeliest class is Normal, adventitious is likelier
                ("CAS", [0, 1, 0, 0, 0]),
                ("CAS & DAS", [0, 0, 1, 0, 0]),  # adventitious, but the wrong class
                ("DAS", [0, 0, 0, 0, 1]),  # called Poor Quality: wrong
                ("DAS", [1, 0, 0, 0, 0]),
                ("Poor Quality", [0, 1, 0, 0, 0]),  # counts nowhere
                ("Poor Quality", [0, 0, 0, 0, 1]),
            ],
        ),
        draws=200,
    )
    assert found.keys() == {"task_21", "task_22"}
    assert found["task_21"]["classes"] == ["Normal", "Adventitious", "Poor Quality"]
    assert found["task_21"]["confusion"] == [[1, 1, 0], [1, 2, 1], [0, 1, 1]]
    assert found["task_21"]["scores"]["sensitivity"] == 2 / 4
    assert found["task_21"]["scores"]["specificity"] == 1 / 2
    assert found["task_21"]["scores"]["challenge_score"] == 1 / 2
    assert found["task_22"]["scores"]["sensitivity"] == 1 / 4
    assert found["task_22"]["scores"]["specificity"] == 2 / 2
    assert found["task_22"]["scores"]["harmonic_score"] == pytest.approx(2 * 0.25 / 1.25)
    low, high = found["task_22"]["intervals"]["sensitivity"]
    assert 0 <= low < 1 / 4 < high <= 1


def test_tasks_of_events_answer_as_the_challenge_command_does():
    predictions = made_up(SPRSOUND_EVENTS)
    found = score(predictions, draws=50)
    answers = answers_of(predictions.probabilities, predictions.classes, "Normal", 11)
    labels = [task_class(11, label) for label in predictions.labels]
    assert found["task_11"]["confusion"] == confusion_matrix(labels, answers, TASK_11).tolist()
    exact = {key: found["scores"][key] for key in TASK_SCORES}
    assert found["task_12"]["scores"] == exact
    assert found["task_12"]["intervals"] == {key: found["intervals"][key] for key in TASK_SCORES}
    told = found["task_11"]["scores"]["challenge_score"]
    assert re.search(rf"^task 11: Normal / Adventitious .* {told:.4f} ", render_tables(found), re.MULTILINE)


def test_tasks_do_not_depend_on_the_order_of_the_classes():
    predictions = made_up(SPRSOUND_RECORDS)
    turned = replace(
        predictions, classes=predictions.classes[::-1], probabilities=predictions.probabilities[:, ::-1]
    )
    first, second = (task_scores(each, draws=20) for each in (predictions, turned))
    assert first["task_21"] == second["task_21"]
    assert first["task_22"]["scores"] == second["task_22"]["scores"]


def test_other_classes_have_no_tasks_and_one_patient_no_intervals():
    assert not [key for key in score(made_up(ICBHI_CYCLES), draws=5) if key.startswith("task_")]
    alone = score(replace(made_up(), subjects=("p",) * 120), draws=50)
    assert set(alone["task_21"]["intervals"].values()) == {None}
    assert "BioCAS challenge" not in render_tables(score(made_up(ICBHI_CYCLES), draws=5))
