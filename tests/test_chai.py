"""Cards in CHAI's format: valid by the published schema, true to the model file, as those that ship."""

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from importlib.resources import files
from pathlib import Path

import pytest

from laennec.cli import main
from laennec.errors import LaennecError
from laennec.model.integer import load_integer_model
from laennec.model.load import OTHER_USES, load_model, shipped_models
from laennec.model.phases import NAME, load_phase_model
from laennec.targets.chai import chai_card
from laennec.targets.microcontroller import SHIPPED
from laennec.train.chai import NAMESPACE, UNNAMED, bibliography, render_chai

PRETRAINED = Path(str(files("laennec") / "pretrained"))
MODELS = (*shipped_models(), SHIPPED, NAME)
# Elements of version 0.2 of the published schema, in their order: "?" may be missing, "*" may be several.
METRIC = """MetricGoal Results Results/MetricResult* Results/MetricResult/Label Results/MetricResult/ValueJson
    Interpretation TestType TestingDataDescription ValidationProcessAndJustification"""
SECTIONS = {
    "BasicInfo": "ModelName ModelDeveloper DeveloperContact",
    "ReleaseInfo": """ReleaseStage ReleaseDate ReleaseVersion GlobalAvailability EHRCompatibility?
        EHRCompatibility/EHR* RegulatoryApproval?""",
    "ModelSummary": "Summary Keywords Keywords/Keyword*",
    "UsesAndDirections": """IntendedUseAndWorkflow PrimaryIntendedUsers HowToUse TargetedPatientPopulation
        CautionedOutOfScopeSettings""",
    "Warnings": "KnownRisksAndLimitations KnownBiasesOrEthicalConsiderations ClinicalRiskLevel",
    "TrustIngredients/AISystemFacts": """OutcomesAndOutputs ModelType FoundationModels? InputDataSource
        OutputAndInputDataTypes DevelopmentDataCharacterization BiasMitigationApproaches OngoingMaintenance
        Security? Transparency?""",
    "TrustIngredients/TransparencyInformation": "FundingSource ThirdPartyInformation? StakeholdersConsulted",
    "KeyMetrics/UsefulnessUsabilityEfficacy": METRIC,
    "KeyMetrics/FairnessEquity": METRIC,
    "KeyMetrics/SafetyReliability": METRIC,
    "Resources": """EvaluationReferences? ClinicalTrial? PeerReviewedPublications ReimbursementStatus?
        PatientConsentOrDisclosure""",
    "Bibliography": "",
}


def paths(element: ET.Element, above: str = "") -> list[str]:
    """Every element below one by its path, in the order of the document."""
    found = []
    for child in element:
        name = above + child.tag.removeprefix(f"{{{NAMESPACE}}}")
        found += [name, *paths(child, f"{name}/")]
    return found


def schema_order() -> list[tuple[str, bool, bool]]:
    """Path of every element of the schema, whether it must be there, and whether it may be several."""
    order, above = [], set()
    for section, inside in SECTIONS.items():
        outer = section.rpartition("/")[0]
        if outer and outer not in above:
            above.add(outer)
            order.append((outer, True, False))
        order.append((section, True, False))
        for word in inside.split():
            bare = word.rstrip("?*")
            order.append((f"{section}/{bare}", word[-1] not in "?", "*" in word or "MetricResult/" in word))
    return order


def assert_valid(text: str) -> ET.Element:
    """The document has the elements of the schema, in their order, and each has a text or parts."""
    root = ET.fromstring(text)
    assert root.tag == f"{{{NAMESPACE}}}AppliedModelCard"
    found, order = paths(root), schema_order()
    known = {path for path, _, _ in order}
    assert set(found) <= known, set(found) - known
    for path, required, several in order:
        count = found.count(path)
        assert count or not required, path
        assert count <= 1 or several, path
    places = [path for path, _, _ in order]
    once = list(dict.fromkeys(found))
    assert once == sorted(once, key=places.index)
    for element in root.iter():
        if element.tag.endswith("Bibliography"):
            continue  # of data that nobody published
        assert len(element) or (element.text or "").strip(), element.tag
    for value in root.iter(f"{{{NAMESPACE}}}ValueJson"):
        assert json.loads(str(value.text))["kind"] in ("single", "estimate_ci")
    return root


def text_of(root: ET.Element, path: str) -> str:
    return str(root.findtext("/".join(f"{{{NAMESPACE}}}{part}" for part in path.split("/"))))


def results(root: ET.Element, metric: str) -> dict[str, dict[str, float]]:
    place = f"{{{NAMESPACE}}}KeyMetrics/{{{NAMESPACE}}}{metric}//{{{NAMESPACE}}}MetricResult"
    return {
        str(each.findtext(f"{{{NAMESPACE}}}Label")): json.loads(
            str(each.findtext(f"{{{NAMESPACE}}}ValueJson"))
        )
        for each in root.iterfind(place)
    }


@pytest.mark.parametrize("name", MODELS)
def test_the_cards_that_ship_are_valid_and_true_to_their_files(name: str) -> None:
    committed = (PRETRAINED / f"{name}.chai.xml").read_text(encoding="utf-8")
    assert committed == chai_card(name), f"laennec export --target chai {name} --out {name}.chai.xml"
    root = assert_valid(committed)
    model_file = next(PRETRAINED.glob(f"{name}.[on]*"))
    assert hashlib.sha256(model_file.read_bytes()).hexdigest() in text_of(root, "ReleaseInfo/ReleaseVersion")
    assert text_of(root, "BasicInfo/ModelDeveloper") == "The Laennec developers"
    for nothing in ("Resources/ClinicalTrial", "ReleaseInfo/RegulatoryApproval"):
        assert text_of(root, nothing).startswith("None")


@pytest.mark.needs("pandas")
@pytest.mark.parametrize("name", MODELS)
def test_the_cards_in_markdown_say_what_the_files_say(name: str) -> None:
    """Each line is what the file gives; a remark may follow in it."""
    from laennec.train.card import (
        render_card,
        render_phase_card,
        render_recording_card,
        render_window_card,
    )

    if name == "microcontroller":
        path = PRETRAINED / "microcontroller.npz"
        rendered = render_window_card(load_integer_model(path), hashlib.sha256(path.read_bytes()).hexdigest())
    elif name == "phases":
        model = load_phase_model()
        digest = hashlib.sha256((PRETRAINED / "phases.onnx").read_bytes()).hexdigest()
        rendered = render_phase_card(json.loads(str(model.graph.metadata)), digest)
    else:
        model = load_model(name)
        entries = json.loads(str(model.graph.metadata))
        render = render_recording_card if entries["task"] == "recording" else render_card
        rendered = render(entries, model.sha256)
    committed = (PRETRAINED / f"{name}.md").read_text(encoding="utf-8").splitlines()
    assert len(committed) == len(rendered.splitlines())
    for own, line in zip(committed, rendered.splitlines(), strict=True):
        assert own.startswith(line) if line else not own


def test_figures_are_those_of_the_model() -> None:
    metrics = load_model().card.metrics
    root = ET.fromstring(chai_card("default"))
    use = results(root, "UsefulnessUsabilityEfficacy")
    for score in ("sensitivity", "specificity", "challenge score"):
        own, name = use[score], score.replace(" ", "_")
        assert own["estimate"] == pytest.approx(metrics["scores"][name], abs=5e-5)
        bounds = metrics["intervals_95"][name]
        assert [own["lower"], own["upper"]] == pytest.approx(bounds, abs=5e-5)
    fair = results(root, "FairnessEquity")
    assert len(fair) == sum(len(members) for members in metrics["groups"].values())
    assert "expected calibration error" in results(root, "SafetyReliability")
    told = results(ET.fromstring(chai_card("phases")), "UsefulnessUsabilityEfficacy")
    clips = json.loads(str(load_phase_model().graph.metadata))["metrics"]["seeds"]["0"]["clips"]
    (area,) = [own for label, own in told.items() if "inspiration against expiration, AUC" in label]
    assert area["estimate"] == pytest.approx(clips["auc"]["value"], abs=5e-5)
    assert [area["lower"], area["upper"]] == pytest.approx(clips["auc"]["interval"], abs=5e-5)
    strangers = load_model("recording").card.metrics["strangers"]
    safety = results(ET.fromstring(chai_card("recording")), "SafetyReliability")
    (missed,) = [own for label, own in safety.items() if "sick called Normal" in label and ": icbhi" in label
                 and "leave-one-out" in label]  # fmt: skip
    assert missed["value"] == strangers["leave-one-out, icbhi"]["icbhi"]["missed"]


def test_a_model_of_which_little_is_known_has_a_valid_card() -> None:
    entries = json.loads(str(load_model().graph.metadata))
    bare = {
        key: value for key, value in entries.items() if key not in ("data", "metrics", "recipe", "limits")
    }
    text = render_chai({**bare, "name": "own <&> model", "limits": "a\x00b & c"}, "0" * 64)
    root = assert_valid(text)
    assert text_of(root, "BasicInfo/ModelDeveloper") == UNNAMED
    assert text_of(root, "BasicInfo/ModelName") == "Laennec own <&> model"
    assert text_of(root, "Warnings/KnownRisksAndLimitations") == "a\ufffdb & c"
    for metric in ("UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability"):
        assert results(root, metric) == {"Not measured": {"kind": "single", "value": None}}
        assert text_of(root, f"KeyMetrics/{metric}/TestingDataDescription") == "Not done."


def test_citations_are_entries_of_bibtex() -> None:
    text = bibliography(["A. & B., {Title}, 2020", "C., 2021"])
    assert re.findall(r"@misc\{(\w+), note = \{(.*)\}\}", text) == [
        ("data1", r"A. \& B., (Title), 2020"),
        ("data2", "C., 2021"),
    ]
    assert text.count("{") == text.count("}") == 4


def laennec(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    return int(ended.value.code or 0)


def test_the_command_writes_the_card_of_a_file_of_ones_own(tmp_path: Path, capsys) -> None:
    own = tmp_path / "own.onnx"
    own.write_bytes((PRETRAINED / "default.onnx").read_bytes())
    out = tmp_path / "card.xml"
    assert laennec("export", own, "--target", "chai", "--out", out) == 0
    assert UNNAMED in out.read_text(encoding="utf-8")
    assert str(tmp_path) not in out.read_text(encoding="utf-8")
    assert laennec("export", "--target", "chai") == 2
    assert "--out is missing" in capsys.readouterr().err
    assert laennec("export", "--target", "chai", "--out", tmp_path) == 2
    assert "is a folder, not a file to write; --out names a file" in capsys.readouterr().err


EVERY = "(those are: default, microcontroller, phases, recording, recording-int8, source)"
OF_SOUND = "default, recording, recording-int8, source"
OF_PHASES = "phases: tells phases of breaths alone; `laennec analyze --phases` uses it"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("export", "gone", "--target", "chai", "--out", "x"),
            EVERY,
        ),
        (
            ("export", "gone", "--target", "web", "--out", "x"),
            f"(those are: {OF_SOUND})",
        ),
        (("export", "phases", "--target", "web", "--out", "x"), f"{OF_PHASES}; others that ship: {OF_SOUND}"),
        (("export", "phases", "--target", "int8"), f"{OF_PHASES}; others that ship: {OF_SOUND}"),
        (("export", "phases"), "phases: ships as a model file; --target onnx writes one of a run of"),
        (("export", "phases", "--target", "microcontroller"), "phases: not in integers of 8 bits, as a"),
        (("export", "recording", "--target", "microcontroller"), "microcontroller ships, and `laennec train"),
        (("analyze", "x.wav", "--model", "phases"), f"{OF_PHASES}; others that ship: {OF_SOUND}"),
        (("analyze", "x.wav", "--model", "microcontroller"), "microcontroller: for microcontrollers alone; "),
    ],
)
def test_every_model_that_ships_is_named_where_it_can_be_taken(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert laennec(*words) == 1
    assert said in capsys.readouterr().err


def test_models_of_other_uses_are_called_what_they_are() -> None:
    assert {NAME, SHIPPED} == set(OTHER_USES)


def test_metadata_that_others_wrote_are_refused_in_a_sentence(monkeypatch) -> None:
    entries = json.loads(str(load_model().graph.metadata))
    wrong = {**entries, "data": {"dataset": "no counts"}}
    monkeypatch.setattr("laennec.targets.chai._metadata", lambda _: (wrong, PRETRAINED / "default.onnx"))
    with pytest.raises(LaennecError, match="not as Laennec writes them"):
        chai_card("default")
