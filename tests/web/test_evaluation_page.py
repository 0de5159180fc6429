"""The page of one evaluation: what it says, what it lets one hear, and that it asks nothing of anybody."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from accessibility import contrast, faults, mixed

pd = pytest.importorskip("pandas")

from laennec.errors import LaennecError
from laennec.labels import ICBHI_CYCLES, SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.output.html import asset
from laennec.score.calibration import risk_at
from laennec.score.confusion import predicted_classes
from laennec.score.evaluation import score, score_detections
from laennec.score.events_table import Detection
from laennec.score.page import WORST, evaluation_page, render_evaluation
from laennec.score.predictions import Predictions
from laennec.score.ranking import roc_auc
from laennec.version import DISCLAIMER

VOID = {"meta", "link", "img", "br", "input", "path", "rect", "circle"}
SECTIONS = (
    "Scores",
    "Confusion matrix",
    "Class by class",
    "Curves",
    "How far to trust",
    "Groups",
    "most wrong",
)
RATE = 8_000


class Page(HTMLParser):
    """Every element with its attributes, and the text of each section by its heading."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "h2":
            self.words.append("## ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [told for name, told in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def section(self, heading: str) -> str:
        return next(part for part in self.text.split("## ") if heading in part[:40])


def predicted(classes: tuple[str, ...] = SPRSOUND_EVENTS, n: int = 90, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    index = rng.integers(len(classes), size=n)
    logits = rng.normal(size=(n, len(classes))) + 2 * np.eye(len(classes))[index]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(
        tuple(f"clip-{k}" for k in range(n)),
        tuple(f"p{k % 9}" for k in range(n)),
        tuple(classes[k] for k in index),
        tuple(classes),
        probabilities,
    )


def clips_of(predictions: Predictions, path: Path) -> pd.DataFrame:
    """A clips table in another order: patients of all ages, every clip in one recording of 30 s."""
    if not path.exists():
        time = np.arange(30 * RATE) / RATE
        soundfile.write(path, 0.01 * np.sin(2 * np.pi * 200 * time), RATE, subtype="FLOAT")
    n = len(predictions.clip_ids)
    patient = np.array([int(subject[1:]) for subject in predictions.subjects])
    clips = pd.DataFrame(
        {
            "clip_id": predictions.clip_ids,
            "path": str(path),
            "start_s": np.arange(n) % 20 * 1.0,
            "end_s": np.arange(n) % 20 + 1.5,
            "channel": pd.Series([0] * n, dtype="Int64"),
            "age_years": np.array([1.9, 2, 5.9, 6, 12.9, 13, 40, np.nan, 3])[patient],
            "sex": pd.Series(["male" if k % 2 else "female" for k in patient], dtype=object),
            "location": None,
            "device": "stethoscope",
        }
    )
    return clips.sample(frac=1, random_state=0).reset_index(drop=True)


def rendered(predictions: Predictions, **options: object) -> Page:
    found = score(predictions, {"model": "tiny, sha256 00ff", "seeds": [1]}, draws=100)
    return Page(render_evaluation(found, predictions, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("classes", [SPRSOUND_EVENTS, SPRSOUND_RECORDS, ICBHI_CYCLES])
def test_page_says_what_metrics_json_says(classes: tuple[str, ...], tmp_path: Path) -> None:
    predictions = predicted(classes)
    found = score(predictions, draws=100)
    read = Page(render_evaluation(found, predictions, clips_of(predictions, tmp_path / "a.wav")))
    for heading in SECTIONS:
        assert read.section(heading)
    headline = "average_score" if classes == ICBHI_CYCLES else "challenge_score"
    low, high = found["intervals"][headline]
    assert f"Score {found['scores'][headline]:.3f} 95 % interval {low:.3f} to {high:.3f}" in read.text
    assert f"expected calibration error {found['scores']['expected_calibration_error']:.3f}" in read.text
    for name, told in found["classes"].items():
        row = [name, told["clips"], told["subjects"], told["predicted"], f"{told['precision']:.3f}"]
        assert " ".join(map(str, row)) in read.section("Class by class")
    assert f"{found['confusion']['counts'][1][1]} " in read.section("Confusion matrix")
    assert ("Tasks of the BioCAS challenge" in read.text) == (classes != ICBHI_CYCLES)
    assert read.text.count(DISCLAIMER) == 1


def test_anybody_can_use_it(tmp_path: Path) -> None:
    for classes in (SPRSOUND_EVENTS, SPRSOUND_RECORDS):
        predictions = predicted(classes)
        clips = clips_of(predictions, tmp_path / "a.wav")
        assert faults(render_evaluation(score(predictions, draws=100), predictions, clips)) == []


def test_text_stands_out_in_the_fullest_cell_of_a_matrix() -> None:
    assert "calc(var(--share) * .5)" in asset("evaluation.css")
    for block in re.findall(r":root\s*\{([^}]*)\}", asset("page.css")):
        colours = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block))
        assert contrast(colours["ink"], mixed(colours["accent"], colours["paper"], 0.5)) >= 4.5


def test_page_asks_nothing_of_anybody_and_escapes_names(tmp_path: Path) -> None:
    predictions = predicted()
    evil = '<img src=x onerror="alert(1)">'
    own = predictions.probabilities[
        range(90), [predictions.classes.index(name) for name in predictions.labels]
    ]
    names = [f"clip-{k}" for k in range(90)]
    names[int(own.argmin())] = evil
    predictions = replace(predictions, clip_ids=tuple(names))
    found = score(predictions, {"model": evil, "command": evil}, draws=20)
    read = Page(render_evaluation(found, predictions, clips_of(predictions, tmp_path / "a.wav")))
    assert evil in read.text
    policy = next(told["content"] for told in read.all("meta") if "http-equiv" in told)
    assert "default-src 'none'; script-src 'none'" in policy
    assert not read.all("script")
    for _, told in read.elements:
        assert not [name for name in told if name.startswith("on")]
        for name in ("src", "href"):
            assert told.get(name, "data:").startswith("data:")
    assert str(tmp_path) not in read.html


def test_curves_and_matrices_end_where_they_should() -> None:
    predictions = predicted(("Normal", "Adventitious"))
    read = rendered(predictions)
    lines = [told["d"] for told in read.all("path") if told.get("class") == "line" and told["d"] != "M0 4H28"]
    roc, ranked, risk = lines[:2], lines[2:4], lines[4:]
    for line in roc:
        corners = np.array([point.split() for point in line[1:].split("L")], int)
        assert corners[0].tolist() == [0, 300]
        assert corners[-1].tolist() == [300, 0]
        assert (np.diff(corners[:, 0]) >= 0).all()
        assert (np.diff(corners[:, 1]) <= 0).all()
        area = -np.trapezoid(corners[:, 0], corners[:, 1]) if hasattr(np, "trapezoid") else None
        positive = np.array(predictions.labels) == predictions.classes[roc.index(line)]
        told = roc_auc(positive, predictions.probabilities[:, roc.index(line)])
        assert area is None or 1 - area / 300**2 == pytest.approx(told, abs=0.01)
    assert all(line.split("L")[-1].startswith("300 ") for line in ranked)
    assert len(risk) == 1
    shares = [told["style"] for told in read.all("span") if told.get("class", "").startswith("cell")]
    assert len(shares) == 4


def test_answering_only_where_sure() -> None:
    predictions = predicted()
    answers = predicted_classes(predictions.probabilities, predictions.classes)
    correct = [a == label for a, label in zip(answers, predictions.labels, strict=True)]
    read = rendered(predictions).section("How far to trust")
    for coverage in (1.0, 0.8, 0.5):
        risk = risk_at(predictions.probabilities.max(axis=1), correct, coverage)
        assert re.search(rf"{100 * coverage:.0f} % {100 * coverage:.0f} % {100 * risk:.1f} %", read)


def test_groups_have_the_scores_of_their_clips(tmp_path: Path) -> None:
    predictions = predicted()
    clips = clips_of(predictions, tmp_path / "a.wav")
    read = rendered(predictions, clips=clips).section("Groups")
    # Patients of 1.9, 2 | 5.9, 3 | 6 | 12.9, 13 | 40 years and one unknown, ten clips each.
    for name, count, patients in (
        ("1 to 2", 20, 2),
        ("3 to 5", 20, 2),
        ("6 to 11", 10, 1),
        ("12 to 17", 20, 2),
        ("18 to 64", 10, 1),
        ("not known", 10, 1),
    ):
        assert re.search(rf"{name} [\d.–]+ (–|[\d.]+ to [\d.]+) [\d.–]+ [\d.–]+ {count} {patients}\b", read)
    assert re.search(r"6 to 11 [\d.–]+ – ", read)  # one patient: no interval
    female = [k for k, subject in enumerate(predictions.subjects) if int(subject[1:]) % 2 == 0]
    part = Predictions(
        *(
            tuple(getattr(predictions, name)[k] for k in female)
            for name in ("clip_ids", "subjects", "labels")
        ),
        predictions.classes,
        predictions.probabilities[female],
    )
    told = score(part, draws=100)
    low, high = told["intervals"]["challenge_score"]
    assert f"female {told['scores']['challenge_score']:.3f} {low:.3f} to {high:.3f}" in read
    assert "stethoscope" in read
    assert "Not in this data: position." in read


def test_worst_clips_can_be_seen_and_heard(tmp_path: Path) -> None:
    predictions = predicted()
    clips = clips_of(predictions, tmp_path / "a.wav")
    read = rendered(predictions, clips=clips)
    own = predictions.probabilities[
        range(90), [predictions.classes.index(name) for name in predictions.labels]
    ]
    shown = re.findall(r"clip-\d+", read.section("most wrong"))
    assert shown == [f"clip-{k}" for k in np.argsort(own)[:WORST]]
    assert f"(annotated) {own.min():.3f}" in read.section("most wrong")
    sounds, pictures = read.all("audio"), read.all("img")
    assert len(sounds) == len(pictures) == WORST
    assert all(told["src"].startswith("data:image/png;base64,") for told in pictures)
    data = base64.b64decode(sounds[0]["src"].removeprefix("data:audio/wav;base64,"))
    samples, rate = soundfile.read(io.BytesIO(data))
    assert (rate, soundfile.info(io.BytesIO(data)).subtype) == (RATE, "PCM_16")
    assert len(samples) == 1.5 * RATE
    assert np.abs(samples).max() == pytest.approx(10 ** (-3 / 20), abs=1e-3)


def test_whole_recordings_are_cut_and_a_missing_one_is_said(tmp_path: Path) -> None:
    predictions = predicted(SPRSOUND_RECORDS, n=2)
    clips = clips_of(predictions, tmp_path / "a.wav")
    clips[["start_s", "end_s"]] = np.nan
    clips["channel"] = pd.Series([pd.NA] * 2, dtype="Int64")
    clips.loc[clips["clip_id"] == "clip-1", "path"] = str(tmp_path / "absent.wav")
    read = rendered(predictions, clips=clips)
    [sound] = read.all("audio")
    assert len(base64.b64decode(sound["src"].split(",")[1])) == 44 + 2 * 20 * RATE
    assert "No sound: the recording is not where" in read.section("most wrong")
    assert "absent" not in read.html


def test_without_a_clips_table_the_page_says_so() -> None:
    read = rendered(predicted())
    assert "the groups are not known" in read.section("Groups")
    assert "there is no sound" in read.section("most wrong")
    assert not read.all("audio")


def test_one_patient_and_absent_classes(tmp_path: Path) -> None:
    predictions = predicted(n=12)
    predictions = replace(predictions, subjects=("p1",) * 12, labels=("Normal",) * 11 + ("Wheeze",))
    read = rendered(predictions, clips=clips_of(predictions, tmp_path / "a.wav"))
    assert "No intervals: there is only one patient." in read.text
    assert "Without a curve, as all clips or none are of it: Rhonchi, Stridor" in read.text
    assert "nan" not in read.text


def test_detected_events_have_a_table_of_their_own() -> None:
    events = [
        Detection("a", "p1", ((0.0, 1.0, "Normal"), (2.0, 3.0, "Wheeze")), ((0.0, 1.0, "Normal"),)),
        Detection("b", "p2", ((0.0, 1.0, "Normal"),), ((0.0, 1.0, "Wheeze"),)),
    ]
    predictions = predicted(SPRSOUND_RECORDS)
    given, scored = (
        rendered(predictions, **options).section("Detection of events")
        for options in ({"events": events}, {"detection": score_detections(events)})
    )
    assert given == scored
    assert "3 events annotated, 2 found; 1 correct, 1 substituted, 1 missed, 0 inserted" in given
    assert re.search(r"error rate \(0 best, may exceed 1\) 0\.667", given)
    assert "Detection of events" not in rendered(predictions).text


def test_files(tmp_path: Path) -> None:
    predictions = predicted()
    found = score(predictions, draws=20)
    assert evaluation_page(tmp_path, None, predictions, found) == tmp_path / "index.html"
    (written,) = tmp_path.iterdir()
    assert written.read_text(encoding="utf-8") == render_evaluation(found, predictions)
    with pytest.raises(LaennecError, match="not the predictions that were scored"):
        evaluation_page(tmp_path, None, predicted(n=10), found)
