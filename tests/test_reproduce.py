import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("torch")

from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS
from laennec.reproduce.chen2022 import (
    LITERAL,
    MODELS,
    PAPER,
    collect,
    mean_ts_interval,
    paper_scores,
    render,
    reproduce_chen2022,
)
from laennec.reproduce.jobs import ChenJob
from laennec.score.predictions import Predictions, write_predictions
from laennec.score.summary import evaluate
from laennec.train.recipe import load_recipe


def test_the_papers_tables_are_consistent_with_its_own_formulas() -> None:
    odd = set()
    for side, table in PAPER.items():
        assert list(table) == list(MODELS)
        for model, (se, sp, average, harmonic, _) in table.items():
            assert average == pytest.approx((se + sp) / 2, abs=6e-5)
            if harmonic != pytest.approx(2 * se * sp / (se + sp), abs=6e-5):
                odd.add((side, model))
    assert odd == {("validation", "chen2022-cnn"), ("validation", "chen2022-convlstm")}  # docs/metrics.md


def predictions(seed: int, patients: int = 12) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.choice(SPRSOUND_EVENTS, 300, p=[0.6, 0.05, 0.1, 0.05, 0.05, 0.1, 0.05])
    return Predictions(
        tuple(map(str, range(300))),
        tuple(str(k % patients) for k in range(300)),
        tuple(map(str, labels)),
        SPRSOUND_EVENTS,
        rng.dirichlet(np.ones(7), 300),
    )


def test_interval_of_one_seed_is_that_of_the_metrics() -> None:
    one = predictions(0)
    found = evaluate(one.labels, one.probabilities, one.subjects, one.classes)
    expected = found["intervals"]["total_score"]
    assert mean_ts_interval([one]) == pytest.approx(expected, abs=1e-12)


def test_interval_of_unknown_patients_is_none() -> None:
    one = predictions(0)
    assert mean_ts_interval([replace(one, subjects=("",) * 300)]) is None
    assert mean_ts_interval([replace(one, subjects=("a",) * 300)]) is None


def test_the_papers_ts_is_shown_by_its_own_equation() -> None:
    row = paper_scores("validation", "chen2022-cnn")
    assert row is not None
    assert row["ts"] == pytest.approx((row["se"] + row["sp"] + row["as"] + row["hs"]) / 4, abs=2e-4)
    assert row["ts_printed"] == 0.5298
    assert paper_scores("test-inter", "chen2022") is None


def test_a_patient_who_was_trained_on_is_counted(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "random" / "chen2022-cnn" / "seed-0"
    run.mkdir(parents=True)
    one = predictions(0)
    write_predictions(run / "predictions.csv", one)
    (run / "clips.csv").write_text("clip_id,subject,side\nx,3,train\ny,4,validation\nz,stranger,train\n")
    told = {"seed": 0, "epochs": 1, "seconds": 1.0, "last_epoch": {"val_ts": 0.5}}
    machine = {"processor": "p", "threads": 1}
    (run / "run.json").write_text(json.dumps({**told, "machine": machine}))
    (row,) = collect(tmp_path)
    assert row["shared_patients"] == 1
    # A run of other clips is another row, not an error.
    other = run.with_name("seed-1")
    shutil.copytree(run, other)
    write_predictions(other / "predictions.csv", replace(one, clip_ids=tuple(f"o{k}" for k in range(300))))
    assert len(collect(tmp_path)) == 2


def test_unknown_model() -> None:
    with pytest.raises(LaennecError, match="'lstm' is not in the ablation"):
        reproduce_chen2022(ChenJob(Path("."), Path("x"), models=("lstm",)))


def test_literal_recipes_differ_by_what_the_paper_says() -> None:
    told = ("model", "name", "title")
    full = load_recipe("chen2022-literal")
    assert (full.class_weights, full.start_from) == ("balanced", "")
    for literal, ours in LITERAL.items():
        recipe = load_recipe(literal)
        assert recipe.model == load_recipe(ours).model
        assert replace(recipe, **{name: getattr(full, name) for name in told}) == full
    chain = [
        load_recipe(name).epochs for name in ("chen2022-upsampling-cnn", "chen2022-convlstm", "chen2022")
    ]
    assert full.epochs == sum(chain)


def test_a_literal_run_stands_below_ours_and_the_papers(tmp_path: Path) -> None:
    machine = {"processor": "p", "threads": 1, "gpus": ["card"]}
    told = {"seed": 0, "epochs": 1, "seconds": 1.0, "last_epoch": {"val_ts": 0.5}, "machine": machine}
    for seed, recipe in enumerate(("chen2022-literal", "chen2022", "chen2022-cnn")):
        run = tmp_path / "runs" / "patient" / recipe / "seed-0"
        run.mkdir(parents=True)
        write_predictions(run / "predictions.csv", predictions(seed))
        (run / "clips.csv").write_text("clip_id,subject,side\nx,stranger,train\n")
        (run / "run.json").write_text(json.dumps(told))
    rows = collect(tmp_path)
    assert [row["recipe"] for row in rows] == ["chen2022-cnn", "chen2022", "chen2022-literal"]
    assert rows[2]["paper"] == rows[1]["paper"]
    assert (rows[2]["machine"], rows[2]["precision"]) == ("card, p, 1 threads", None)
    text = render({"command": "c", "test_set": "missing", "rows": rows})
    lines = [line.split(" | ")[:2] for line in text.splitlines() if line.startswith("|")][2:]
    assert [line[1] for line in lines] == ["paper", "ours", "paper", "ours", "literal"]


@pytest.mark.slow
def test_quick_reproduction_fills_both_tables_and_is_resumed(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(simulated, data)
    out = tmp_path / "out"
    models = ("chen2022-cnn", "chen2022-upsampling-cnn")
    lines: list[str] = []
    result = reproduce_chen2022(
        ChenJob(data, out, quick=True, models=models, epochs=1, threads=1), lines.append
    )
    assert result["test_set"].startswith("missing")
    assert [row["table"] for row in result["rows"]] == [2, 2]
    assert len(lines) == 2
    # Two patients become a test set, as the public archive has it.
    (data / "test_wav").mkdir()
    (data / "test_json" / "inter_test_json").mkdir(parents=True)
    for patient in ("90000002", "90000003"):
        for path in sorted((data / "train_wav").glob(f"{patient}*")):
            path.rename(data / "test_wav" / path.name)
        for path in sorted((data / "train_json").glob(f"{patient}*")):
            path.rename(data / "test_json" / "inter_test_json" / path.name)
    result = reproduce_chen2022(
        ChenJob(data, tmp_path / "two", quick=True, models=models[:1], epochs=1, threads=1), lines.append
    )
    assert [row["side"] for row in result["rows"]] == ["validation", "test", "test-inter"]
    assert [row["shared_patients"] for row in result["rows"]] == [0, 0, 0]
    assert json.loads((tmp_path / "two" / "quick" / "tables.json").read_text())["rows"][1]["clips"] > 0
    text = (tmp_path / "two" / "quick" / "tables.md").read_text()
    assert text == render(result)
    assert "0.4482 | 0.7604" in text
    again = reproduce_chen2022(
        ChenJob(data, tmp_path / "two", quick=True, models=models[:1], epochs=1, threads=1), lines.append
    )
    assert again["rows"] == result["rows"]
    assert lines[-1].endswith("done already")
