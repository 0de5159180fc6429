"""FHIR bundles: valid by an independent reader, marked as software's, and events come back."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analyses import bare_analysis
from laennec.analyze.analysis import Analysis, Event, RecordingPrediction, RespiratoryRate
from laennec.annotations import read_labels
from laennec.annotations.fhir import FINDINGS
from laennec.labels import ICBHI_CYCLES, SPRSOUND_EVENTS
from laennec.output.fhir import R4, R5, to_fhir

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def event(start_s: float, end_s: float, label: str, channel: int = 0, uncertain: bool = False) -> Event:
    return Event(start_s, end_s, label, 0.8, {label: 0.8}, channel, uncertain=uncertain)


def analysis(*events: Event, label: str | None = "CAS & DAS", rate: str = "good") -> Analysis:
    return bare_analysis(
        name="ward/patient one.wav",
        duration_s=15.0,
        channels=2,
        events=events,
        model_name="recording",
        position="left-posterior",
        record=RecordingPrediction(
            label,
            None if label is None else 0.9,
            {},
            refused="sounds like speech, not like a lung" if label is None else None,
            rate=RespiratoryRate(18.0, rate, "few breaths", 5),
        ),
    )


EVENTS = (
    event(0.5, 1.25, "Normal"),
    event(2.0, 2.75, "Wheeze"),
    event(3.0, 3.5001, "Fine Crackle", uncertain=True),
    event(4.0, 4.5, "Wheeze+Crackle", channel=1),
    event(5.0, 5.5, "Wheeze", channel=1),
)


def resources(bundle: dict, kind: str) -> list[dict]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


@pytest.mark.parametrize("version", [R4, R5])
@pytest.mark.parametrize("label", ["CAS & DAS", "Normal", "Poor Quality", None])
def test_an_independent_reader_takes_the_bundle(version, label):
    bundles = pytest.importorskip("fhir.resources.R4B.bundle" if version == R4 else "fhir.resources.bundle")
    made = to_fhir(analysis(*EVENTS, label=label), version, AT)
    read = bundles.Bundle.model_validate_json(json.dumps(made))
    again = json.loads(read.model_dump_json())
    assert [entry["resource"]["id"] for entry in again["entry"]] == [
        entry["resource"]["id"] for entry in made["entry"]
    ]
    assert len(resources(made, "Media" if version == R4 else "DocumentReference")) == 1


@pytest.mark.parametrize("version", [R4, R5])
def test_every_reference_is_of_the_bundle_and_all_is_asserted_by_software(version):
    made = to_fhir(analysis(*EVENTS), version, AT)
    known = {entry["fullUrl"] for entry in made["entry"]}
    text = json.dumps(made)
    referred = {part.split('"')[0] for part in text.split('"reference": "')[1:]}
    assert referred <= known
    assert len(known) == len(made["entry"])
    for kind in ("Observation", "DiagnosticReport"):
        for each in resources(made, kind):
            assert [label["code"] for label in each["meta"]["security"]] == ["AIAST"]
            assert each["status"] == "preliminary"
    targets = {each["reference"] for each in resources(made, "Provenance")[0]["target"]}
    own = [*resources(made, "Observation"), *resources(made, "DiagnosticReport")]
    assert targets == {f"urn:uuid:{each['id']}" for each in own}
    assert "not a medical device" in resources(made, "DiagnosticReport")[0]["conclusion"]


def test_events_come_back(tmp_path: Path):
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(to_fhir(analysis(*EVENTS), R4, AT)))
    labels = read_labels(path)
    assert not labels.problems
    found = sorted((each.channel, each.start_s, each.end_s, each.annotated) for each in labels.events)
    assert found == sorted((e.channel, e.start_s, e.end_s, e.label) for e in EVENTS if e.label != "Normal")


def test_findings_have_the_codes_that_were_verified():
    """SNOMED CT as HL7's public value sets have it; a label of two sounds is two findings."""
    assert set(FINDINGS) == {*SPRSOUND_EVENTS, *ICBHI_CYCLES}
    codes = {label: [code.code for code in own] for label, own in FINDINGS.items()}
    assert codes["Wheeze+Crackle"] == ["56018004", "48409008"] == codes["both"]
    assert codes["Stridor"] == ["70407001"]
    assert codes["Rhonchi"] == ["24612001"]
    assert codes["Fine Crackle"] == codes["Coarse Crackle"] == ["48409008"]
    made = to_fhir(analysis(*EVENTS), R4, AT)
    crackles = next(
        each
        for each in resources(made, "Observation")
        if each.get("valueCodeableConcept", {}).get("text") == "Fine Crackle"
    )
    # It is uncertain, and nothing else is of that finding in that channel.
    assert crackles["interpretation"][0]["coding"][0]["code"] == "IND"


def test_a_rate_that_is_not_good_is_absent():
    rates = [
        next(
            each
            for each in resources(to_fhir(analysis(rate=q), R4, AT), "Observation")
            if "9279-1" in str(each)
        )
        for q in ("good", "doubtful")
    ]
    assert rates[0]["valueQuantity"]["value"] == 18.0
    assert rates[0]["valueQuantity"]["code"] == "/min"
    assert "valueQuantity" not in rates[1]
    assert rates[1]["dataAbsentReason"]["coding"][0]["code"] == "unknown"


def test_a_refused_recording_says_why_and_an_uncertain_one_has_no_code():
    refused = resources(to_fhir(analysis(label=None), R4, AT), "DiagnosticReport")[0]
    assert "sounds like speech" in refused["conclusion"]
    assert "conclusionCode" not in refused
    given = analysis(label="Normal")
    unsure = replace(given, record=replace(given.record, uncertain=True))
    report = resources(to_fhir(unsure, R4, AT), "DiagnosticReport")[0]
    assert "uncertain" in report["conclusion"]
    assert "conclusionCode" not in report
    assert resources(to_fhir(given, R4, AT), "DiagnosticReport")[0]["conclusionCode"][0]["coding"]


def test_the_same_analysis_gives_the_same_bundle():
    assert to_fhir(analysis(*EVENTS), R4, AT) == to_fhir(analysis(*EVENTS), R4, AT)
    other = to_fhir(replace(analysis(*EVENTS), name="another.wav"), R4, AT)
    assert not {entry["fullUrl"] for entry in other["entry"]} & {
        entry["fullUrl"] for entry in to_fhir(analysis(*EVENTS), R4, AT)["entry"]
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"resourceType": "Bundle"}',
        '{"resourceType": "Patient", "entry": 3}',
        '{"resourceType": "B", "entry": [{"resource": {"resourceType": "Observation", "component": [{}]}}]}',
        '{"resourceType": "Bundle", "entry": [',
    ],
)
def test_another_resource_is_a_problem_and_no_traceback(tmp_path: Path, text: str):
    path = tmp_path / "other.json"
    path.write_text(text)
    assert len(read_labels(path).problems) == 1
