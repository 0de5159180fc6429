"""A model's card as the Applied Model Card of the Coalition for Health AI (CHAI), in XML.

The elements, their order and what may be missing are those of version 0.2 of the published schema,
https://mc.chai.org/v0.2/schema.xsd; texts may be Markdown, and a result is JSON (``kind`` ``single`` or
``estimate_ci``) as in its examples. What nobody has done or knows is said in plain words, never left empty.

Source: Coalition for Health AI, mc-schema, github.com/coalition-for-health-ai/mc-schema.
"""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from laennec.audio.samples import counted
from laennec.model.card import BREATHS, RECORDING, WINDOW
from laennec.score.phases import phase_scores
from laennec.score.text import of_patients
from laennec.score.windows import SPECIFICITY
from laennec.train.card_facts import REMARKS, citations, development_data, inputs, measured_on, purpose
from laennec.train.recording_certainty import CERTAIN, PREVALENCE
from laennec.version import DISCLAIMER

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"
DEVELOPERS = "The Laennec developers"
UNNAMED = "Not stated in the model file: whoever trained it with Laennec"
NONE, NOT_DONE = "None", "Not done"
DIGITS = 4  # of a result
NOT_XML = re.compile("[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
NOT_MEASURED = [{"Label": "Not measured", "ValueJson": json.dumps({"kind": "single", "value": None})}]

Element = str | Mapping[str, Any] | Sequence[Any]


class Measured(NamedTuple):
    """A result with its interval of 95 % over patients, where there is one."""

    label: str
    value: float
    bounds: Sequence[float] | None = None


def render_chai(metadata: Mapping[str, Any], sha256: str, developer: str = UNNAMED) -> str:
    """Return the card as a document in XML.

    Parameters
    ----------
    metadata
        The metadata of a model file of any task.
    sha256
        Of the file.
    developer
        Who made the model.
    """
    content: dict[str, Element] = {
        "BasicInfo": {
            "ModelName": f"Laennec {metadata['name']}",
            "ModelDeveloper": developer,
            "DeveloperContact": NONE,
        },
        "ReleaseInfo": _release(metadata, sha256),
        "ModelSummary": {
            "Summary": f"{purpose(metadata)} {DISCLAIMER}",
            "Keywords": {"Keyword": ["lung sounds", "auscultation", "crackles", "wheezes"]},
        },
        "UsesAndDirections": _uses(metadata),
        "Warnings": _warnings(metadata),
        "TrustIngredients": {
            "AISystemFacts": _facts(metadata),
            "TransparencyInformation": {
                "FundingSource": f"{NONE} stated",
                "ThirdPartyInformation": "Training data are of others; their licences stand under "
                "DevelopmentDataCharacterization.",
                "StakeholdersConsulted": f"{NONE} on record",
            },
        },
        "KeyMetrics": _metrics(metadata),
        "Resources": {
            "EvaluationReferences": _command(metadata),
            "ClinicalTrial": NONE,
            "PeerReviewedPublications": f"{NONE} of this model",
            "ReimbursementStatus": NONE,
            "PatientConsentOrDisclosure": "The model file records nothing of it. What patients consented to, "
            "the publications of the training data say.",
        },
        "Bibliography": bibliography(citations(metadata)),
    }
    root = ET.Element("AppliedModelCard", xmlns=NAMESPACE)
    _append(root, content)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def bibliography(references: Sequence[str]) -> str:
    """Return citations as BibTeX, each as the note of an entry, since its parts are not told apart."""
    escaped = (reference.replace("{", "(").replace("}", ")").replace("&", r"\&") for reference in references)
    return "\n".join(f"@misc{{data{k}, note = {{{note}}}}}" for k, note in enumerate(escaped, start=1))


def _append(parent: ET.Element, content: Mapping[str, Element]) -> None:
    for name, value in content.items():
        for each in [value] if isinstance(value, str | Mapping) else value:
            child = ET.SubElement(parent, name)
            if isinstance(each, str):
                child.text = NOT_XML.sub("\ufffd", each)
            else:
                _append(child, each)


# --- sections -----------------------------------------------------------------------------------------------


def _release(metadata: Mapping[str, Any], sha256: str) -> dict[str, Element]:
    return {
        "ReleaseStage": f"{DISCLAIMER} Not for clinical use.",
        "ReleaseDate": "Not recorded in the model file",
        "ReleaseVersion": f"written by Laennec {metadata['version']}, SHA-256 {sha256}",
        "GlobalAvailability": "As software for research alone; cleared nowhere",
        "EHRCompatibility": {"EHR": [NONE]},
        "RegulatoryApproval": f"{NONE}: no clearance, approval or certification by any authority",
    }


def _uses(metadata: Mapping[str, Any]) -> dict[str, Element]:
    commands = {
        RECORDING: "`laennec analyze recording.wav --model MODEL` finds the events and answers for the "
        "whole; uncertain answers are marked and sounds that are no lung refused.",
        WINDOW: "`laennec export --target microcontroller` writes it as a C program. Each probability is "
        "compared with its threshold.",
        BREATHS: "`laennec analyze recording.wav --phases` tells the phases of a recording's breaths, or "
        "that they are not known.",
    }
    events = "`laennec analyze recording.wav --events FILE --model MODEL` classifies events with given "
    return {
        "IntendedUseAndWorkflow": "Research and teaching: to annotate lung-sound recordings, to be looked at "
        "and listened to by a person. No part of care.",
        "PrimaryIntendedUsers": "Researchers, teachers and developers who know lung sounds",
        "HowToUse": commands.get(metadata["task"], events + "boundaries."),
        "TargetedPatientPopulation": f"{NONE} for clinical use. Whose recordings it was trained and measured "
        "on stands under DevelopmentDataCharacterization and KeyMetrics.",
        "CautionedOutOfScopeSettings": "Diagnosis, triage, monitoring, and any other decision about a "
        "patient; devices, ages and diseases on which it was not measured.",
    }


def _warnings(metadata: Mapping[str, Any]) -> dict[str, Element]:
    return {
        "KnownRisksAndLimitations": str(metadata.get("limits") or "Not stated in the model file"),
        "KnownBiasesOrEthicalConsiderations": "Differences by ethnicity, body weight and disease were not "
        "measured. Those that were measured stand under FairnessEquity.",
        "ClinicalRiskLevel": f"{NOT_DONE}: no risk was classified, since it is not for clinical use",
    }


def _facts(metadata: Mapping[str, Any]) -> dict[str, Element]:
    recipe = metadata.get("recipe", {})
    kinds = [str(recipe.get(part, {}).get("kind", "")) for part in ("model", "front_end")]
    network = f": architecture {kinds[0]} on {kinds[1]}" if all(kinds) else ""
    labels = ", ".join(metadata["labels"])
    every = " for every frame" if metadata["task"] == BREATHS else ""
    return {
        "OutcomesAndOutputs": purpose(metadata),
        "ModelType": f"Neural network{network}",
        "FoundationModels": NONE,
        "InputDataSource": "Sound of an electronic stethoscope or a microphone on the chest",
        "OutputAndInputDataTypes": f"{inputs(metadata)}. Output: probabilities of {labels}{every}",
        "DevelopmentDataCharacterization": "\n".join(development_data(metadata))
        or "Not stated in the model file",
        "BiasMitigationApproaches": f"{NONE} by age, sex or ethnicity",
        "OngoingMaintenance": f"{NONE} on a schedule; changes are listed in Laennec's changelog. What "
        "becomes of a model in use is not watched.",
        "Security": f"It runs on the user's computer and sends nothing. {NOT_DONE}: an audit by others.",
        "Transparency": "Code and recipes are published under Apache-2.0; figures name the command that gave "
        "them.",
    }


def _command(metadata: Mapping[str, Any]) -> str:
    command = metadata.get("metrics", {}).get("command")
    return f"`{command}`" if command else "docs/results of Laennec's source, where the model ships with it"


# --- figures ------------------------------------------------------------------------------------------------


def _metrics(metadata: Mapping[str, Any]) -> dict[str, Element]:
    by_task = {RECORDING: _of_recordings, WINDOW: _of_windows, BREATHS: _of_phases}
    of_task = by_task.get(metadata["task"], _of_clips)
    use, groups, safety = of_task(metadata.get("metrics", {}))
    held_out = measured_on(metadata) or f"{NOT_DONE}."
    of_recordings = metadata["task"] == RECORDING
    shifts = "Scores of tasks are with the challenge's shifts, which `laennec analyze` does not apply."
    goals = {
        "UsefulnessUsabilityEfficacy": (
            "To agree with those who annotated the recordings.",
            use,
            f"{shifts if of_recordings else ''} Usability and benefit to patients were not measured.",
        ),
        "FairnessEquity": (
            "To show how figures differ by patient, place and device, where these are known.",
            groups,
            "Whether groups differ was not tested; small ones have wide intervals.",
        ),
        "SafetyReliability": (
            "To show how far certainty may be trusted.",
            safety,
            "Harm from wrong answers was not measured.",
        ),
    }
    return {
        name: {
            "MetricGoal": goal,
            "Results": {"MetricResult": [_result(each) for each in results] or NOT_MEASURED},
            "Interpretation": interpretation.strip(),
            "TestType": "Retrospective, on recordings that were there; no prospective or clinical test",
            "TestingDataDescription": held_out,
            "ValidationProcessAndJustification": f"{held_out} Intervals, where given, are of 95 %, from a "
            "bootstrap over patients.",
        }
        for name, (goal, results, interpretation) in goals.items()
    }


def _result(own: Measured) -> dict[str, str]:
    value: dict[str, Any] = {"kind": "single", "value": round(own.value, DIGITS)}
    if own.bounds is not None:
        low, high = (round(bound, DIGITS) for bound in own.bounds)
        value = {"kind": "estimate_ci", "estimate": value["value"], "lower": low, "upper": high, "level": 95}
    return {"Label": own.label, "ValueJson": json.dumps(value)}


Results = tuple[list[Measured], list[Measured], list[Measured]]
"""Of usefulness, of fairness, of safety; undefined ones are left out."""


def _of_clips(metrics: Mapping[str, Any]) -> Results:
    bounds = metrics.get("intervals_95", {})
    scores = [
        Measured(name.replace("_", " "), value, bounds.get(name))
        for name, value in metrics.get("scores", {}).items()
        if value is not None
    ]
    classes = [
        Measured(f"{name} of {label} ({_size(own, 'event')})", own[name])
        for label, own in metrics.get("classes", {}).items()
        for name in ("precision", "recall")
        if own[name] is not None
    ]
    groups = [
        Measured(
            f"challenge score, {group} {member} ({_size(own, 'event')})",
            own["scores"]["challenge_score"],
            own["intervals"]["challenge_score"],
        )
        for group, members in metrics.get("groups", {}).items()
        for member, own in members.items()
        if own["clips"] and own["scores"]["challenge_score"] is not None
    ]
    safety = [each for each in scores if "calibration" in each.label]
    return [each for each in scores if each not in safety] + classes, groups, safety


def _of_recordings(metrics: Mapping[str, Any]) -> Results:
    scores = [
        Measured(" ".join((key, REMARKS.get(key, ""))).rstrip(), value)
        for key, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    safety = [each for each in scores if each.label.startswith("ECE")]
    strangers = metrics.get("strangers", {})
    certain = {**CERTAIN, "refused": "lungs refused"}
    safety += _by_group(strangers, certain, at=f" (at a prevalence of {PREVALENCE:g})", whole=True)
    return (
        [each for each in scores if each not in safety],
        _by_group(strangers, {"auc": "AUC, sick or well"}),
        safety,
    )


def _by_group(
    strangers: Mapping[str, Any], names: Mapping[str, str], at: str = "", whole: bool = False
) -> list[Measured]:
    """Return figures of every split and group; with `whole`, of data sets without their groups."""
    return [
        Measured(f"{title}{at}, {split}: {group} ({_size(own, 'recording')})", own[name])
        for split, groups in strangers.items()
        for group, own in groups.items()
        for name, title in names.items()
        if own.get(name) is not None and not (whole and ", " in group)
    ]


def _size(own: Mapping[str, Any], what: str) -> str:
    """Return how many clips, recordings or windows of how many patients a figure is of."""
    count = next(own[name] for name in ("clips", "recordings", "windows") if name in own)
    return f"{counted(count, what, '')} of {of_patients(own.get('patients', own.get('subjects')))}"


def _of_phases(metrics: Mapping[str, Any]) -> Results:
    use = [
        Measured(f"{what}, {of} (seed {seed})", score["value"], score["interval"])
        for seed, own in metrics.get("seeds", {}).items()
        for of, what, score in phase_scores(own)
    ]
    return use, [], []


def _of_windows(metrics: Mapping[str, Any]) -> Results:
    def measured(name: str, title: str) -> Iterator[Measured]:
        for dataset, labels in metrics.get("datasets", {}).items():
            for label, own in labels.items():
                if own[name] is not None:
                    where = f"{label}, {dataset} ({_size(own, 'window')})"
                    yield Measured(f"{title}, {where}", own[name], own[f"{name}_interval"])

    sensitivity = list(measured("sensitivity", f"sensitivity at specificity {SPECIFICITY:g}"))
    return [*measured("auc", "AUC"), *sensitivity], [], []
