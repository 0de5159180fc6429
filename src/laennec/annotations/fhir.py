"""FHIR: the codes of what is heard, and the events of a bundle that Laennec wrote.

Codes are of public value sets and stand for no more than they say; what has no verified code is text. Fine
and coarse crackles have the code of respiratory crackles and say the rest as text. A wheeze with a crackle is
two findings.

Sources: HL7 FHIR R4 (4.0.1) and R5 (5.0.0); SNOMED CT and LOINC as published in HL7's value sets; HL7 "AI
Transparency on FHIR" for the label of what software asserts.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from laennec.annotations.events import LabelFile, Problem, Row, collect
from laennec.labels import PHASES

SNOMED, LOINC, UCUM = "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"


@dataclass(frozen=True)
class Code:
    """A concept of a code system."""

    system: str
    code: str
    display: str

    def coding(self) -> dict[str, str]:
        """Return FHIR's Coding."""
        return {"system": self.system, "code": self.code, "display": self.display}

    def concept(self, text: str = "") -> dict[str, Any]:
        """Return FHIR's CodeableConcept, with what was meant exactly as its text."""
        return {"coding": [self.coding()], "text": text or self.display}


AUSCULTATION = Code(SNOMED, "37931006", "Auscultation")
CRACKLES = Code(SNOMED, "48409008", "Respiratory crackles")
WHEEZING = Code(SNOMED, "56018004", "Wheezing")
INSPIRATORY_WHEEZING = Code(SNOMED, "31572008", "Inspiratory wheezing")
EXPIRATORY_WHEEZING = Code(SNOMED, "9763007", "Expiratory wheezing")
RHONCHI = Code(SNOMED, "24612001", "Wheeze - rhonchi")
STRIDOR = Code(SNOMED, "70407001", "Stridor")
NORMAL_SOUNDS = Code(SNOMED, "48348007", "Normal breath sounds")
RESPIRATORY_RATE = Code(LOINC, "9279-1", "Respiratory rate")
BY_SOFTWARE = Code(
    "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "AIAST", "Artificial Intelligence asserted"
)
INDETERMINATE = Code(
    "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "IND", "Indeterminate"
)

# The findings that each label stands for.
FINDINGS: Mapping[str, tuple[Code, ...]] = {
    "Normal": (NORMAL_SOUNDS,),
    "Rhonchi": (RHONCHI,),
    "Wheeze": (WHEEZING,),
    "Stridor": (STRIDOR,),
    "Coarse Crackle": (CRACKLES,),
    "Fine Crackle": (CRACKLES,),
    "Wheeze+Crackle": (WHEEZING, CRACKLES),
    "normal": (NORMAL_SOUNDS,),
    "crackle": (CRACKLES,),
    "wheeze": (WHEEZING,),
    "both": (WHEEZING, CRACKLES),
}
# Findings that have a code of their own where they are heard in one phase of the breath.
IN_PHASE: Mapping[tuple[Code, str], Code] = {
    (WHEEZING, PHASES[0]): INSPIRATORY_WHEEZING,
    (WHEEZING, PHASES[1]): EXPIRATORY_WHEEZING,
}
CHANNEL = "channel"


def looks_like(text: str) -> bool:
    """Whether a JSON text is a FHIR resource."""
    return text.lstrip().startswith("{") and '"resourceType"' in text[:10_000]


def read(text: str) -> LabelFile:
    """Read the events of a bundle: the components of its observations that have a range of seconds.

    Bundles of other programs have none, which is a problem of the file. The two findings of one event are one
    event again.
    """
    try:
        bundle = json.loads(text)
    except (ValueError, RecursionError) as error:
        return LabelFile(problems=(Problem("", f"not JSON ({error})"),))
    try:
        rows = list(_rows(bundle))
    except (AttributeError, KeyError, TypeError, IndexError):
        return LabelFile(problems=(Problem("", "not a FHIR bundle of observations as Laennec writes it"),))
    observations = [each for each in _resources(bundle) if each.get("resourceType") == "Observation"]
    if not observations:
        return LabelFile(problems=(Problem("", "a FHIR resource without observations; expected a bundle"),))
    once = {(row.start_s, row.end_s, row.label, row.channel): row for row in rows}
    return collect(once.values())


def _resources(bundle: Any) -> list[Any]:
    return [entry["resource"] for entry in bundle.get("entry", ())]


def _rows(bundle: Any) -> Iterator[Row]:
    for number, observation in enumerate(_resources(bundle), start=1):
        components = observation.get("component", ())
        channel = next(
            (each["valueInteger"] for each in components if each["code"].get("text") == CHANNEL), None
        )
        for component in components:
            span = component.get("valueRange")
            if span is not None:
                times = (span["low"]["value"], span["high"]["value"])
                yield Row(f"entry {number}", *times, component["code"]["text"], channel)
