"""An analysis as a FHIR bundle: report, observations, the recording, the software and the provenance.

Everything is marked as asserted by software (HL7 "AI Transparency on FHIR"), and the report is preliminary
until somebody has read it. The bundle names no patient: the system that takes it in says whose it is. An
event is a component of the observation of its finding, with its seconds as a range; probabilities of every
class are not held, the highest of each finding is.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from laennec.analyze.analysis import Analysis, Breathing, Event, RecordingPrediction
from laennec.analyze.breath_words import timing_in_words
from laennec.annotations.fhir import (
    AUSCULTATION,
    BY_SOFTWARE,
    CHANNEL,
    FINDINGS,
    IN_PHASE,
    INDETERMINATE,
    NORMAL_SOUNDS,
    RESPIRATORY_RATE,
    UCUM,
    Code,
)
from laennec.labels import NORMAL
from laennec.version import DISCLAIMER, __version__

R4, R5 = "R4", "R5"
NAMESPACE = uuid.UUID("6c61656e-6e65-4c00-8000-000000000001")
PROBABILITY = "highest probability of an event of this finding"
TEXTS = {
    "CAS": "Continuous adventitious sounds",
    "DAS": "Discontinuous adventitious sounds",
    "CAS & DAS": "Continuous and discontinuous adventitious sounds",
    "Poor Quality": "Recording of poor quality",
}
DIGITS = 4
SURE_PHASE = 0.9  # chance from which a finding gets the code of its phase: loud wheezes mislead the model
Resource = dict[str, Any]
UNKNOWN: Resource = {
    "dataAbsentReason": {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason",
                "code": "unknown",
                "display": "Unknown",
            }
        ]
    }
}


def to_fhir(analysis: Analysis, version: str = R4, recorded: datetime | None = None) -> Resource:
    """Return a Bundle of type collection, in JSON's types.

    Parameters
    ----------
    analysis
        Of one recording. Every channel has its own observations.
    version
        `R4`, in which the recording is a Media, or `R5`, in which it is a DocumentReference.
    recorded
        When it was analysed, with a time zone; now by default.

    Returns
    -------
    dict
        The same analysis and time give the same bundle: identities are made from the recording's name, the
        model's hash and what each resource is.
    """
    writer = _Writer(analysis, version)
    at = (recorded or datetime.now(UTC)).isoformat(timespec="seconds")
    device, sound = writer.device(), writer.sound()
    observations = [*writer.observations()]
    report = writer.report(observations)
    targets = [report, *observations]
    entries = [report, *observations, sound, device, writer.provenance(targets, at)]
    return {
        "resourceType": "Bundle",
        "id": writer.identity("bundle"),
        "meta": {"security": [BY_SOFTWARE.coding()]},
        "type": "collection",
        "timestamp": at,
        "entry": [{"fullUrl": f"urn:uuid:{each['id']}", "resource": each} for each in entries],
    }


class _Writer:
    """The resources of one analysis, which refer to each other by the identities made here."""

    def __init__(self, analysis: Analysis, version: str) -> None:
        self.analysis, self.version = analysis, version

    def identity(self, what: str) -> str:
        """Return the same UUID for the same part of the same analysis."""
        own = self.analysis
        return str(uuid.uuid5(NAMESPACE, f"{own.name}\n{own.duration_s}\n{own.model_sha256}\n{what}"))

    def _reference(self, what: str) -> dict[str, str]:
        return {"reference": f"urn:uuid:{self.identity(what)}"}

    def device(self) -> Resource:
        own = self.analysis
        note = " ".join(part for part in (DISCLAIMER, own.model_data, own.model_limits) if part)
        named = f"Laennec, model {own.model_name}"
        versions = [
            {"type": {"text": "program"}, "value": __version__},
            {"type": {"text": "model"}, "value": own.model_version},
            {"type": {"text": "SHA-256 of the model"}, "value": own.model_sha256},
        ]
        if own.calibration is not None:
            calibration = {"type": {"text": "SHA-256 of the calibration"}, "value": own.calibration.sha256}
            versions.append(calibration)
        if own.phase_model is not None:
            phases = {"type": {"text": "SHA-256 of the model of phases"}, "value": own.phase_model.sha256}
            versions.append(phases)
        name = {"name" if self.version == R4 else "value": named}
        kind = {"text": "Software that analyses lung sounds"}
        return {
            "resourceType": "Device",
            "id": self.identity("device"),
            ("deviceName" if self.version == R4 else "name"): [
                {**name, "type": "model-name" if self.version == R4 else "user-friendly-name"}
            ],
            "type": kind if self.version == R4 else [kind],
            "version": [each for each in versions if each["value"]],
            "note": [{"text": note}],
        }

    def sound(self) -> Resource:
        own = self.analysis
        attachment: Resource = {"title": own.name}
        if self.version == R4:
            return {
                "resourceType": "Media",
                "id": self.identity("sound"),
                "status": "completed",
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/media-type",
                            "code": "audio",
                            "display": "Audio",
                        }
                    ]
                },
                **self._body_site(),
                "duration": round(own.duration_s, DIGITS),
                "content": attachment,
            }
        attachment["duration"] = round(own.duration_s, DIGITS)
        site = self._body_site().get("bodySite")
        return {
            "resourceType": "DocumentReference",
            "id": self.identity("sound"),
            "status": "current",
            "type": {"text": "Recording of auscultation"},
            **({"bodySite": [{"concept": site}]} if site else {}),
            "content": [{"attachment": attachment}],
        }

    def observations(self) -> Iterator[Resource]:
        """Yield an observation for each channel and finding, and the rate of the whole recording."""
        own = self.analysis
        for channel in range(own.channels):
            events = [event for event in own.events if event.channel == channel]
            for finding, heard in _by_finding(events, own.normal).items():
                yield self._finding(channel, finding, heard)
        if own.record is not None and own.record.label == NORMAL:
            yield self._normal(own.record)
        if own.record is not None and own.record.rate is not None:
            yield self._rate(own.record)
        for breathing in own.breathing or ():
            yield self._breathing(breathing)

    def _breathing(self, breathing: Breathing) -> Resource:
        """Return the phases of a channel's breaths, for which no code was verified."""
        resource = {
            **self._observation(f"phases {breathing.channel}"),
            "code": {"text": "Phases of breathing"},
            "method": {"text": "As given" if breathing.source == "given" else "Told from the sound"},
        }
        components: list[Resource] = [{"code": {"text": CHANNEL}, "valueInteger": breathing.channel}]
        if not breathing.known:
            note = [{"text": f"Unknown: {breathing.reason}"}]
            return {**resource, **UNKNOWN, "note": note, "component": components}
        if breathing.ie_ratio:
            ratio = {"numerator": {"value": 1}, "denominator": {"value": round(1 / breathing.ie_ratio, 2)}}
            components.append({"code": {"text": "I:E ratio, median"}, "valueRatio": ratio})
        for name in ("inspiration", "expiration", "pause"):
            length_s = getattr(breathing, f"{name}_s")
            if length_s is not None:
                value = _quantity(length_s, "s", digits=DIGITS)
                components.append({"code": {"text": f"{name}, median"}, "valueQuantity": value})
        components.append({"code": {"text": "whole breaths"}, "valueInteger": breathing.breaths})
        if breathing.probability is not None:
            value = _quantity(breathing.probability, "1")
            components.append({"code": {"text": "probability that a phase is right"}, "valueQuantity": value})
        return {**resource, "component": components}

    def _finding(self, channel: int, finding: Code | str, events: Sequence[Event]) -> Resource:
        labels = ", ".join(dict.fromkeys(event.label for event in events))
        value = {"text": finding} if isinstance(finding, str) else finding.concept(labels)
        what = finding if isinstance(finding, str) else finding.code
        sure = [event for event in events if not event.uncertain]
        components: list[Resource] = [
            {"code": {"text": "events"}, "valueInteger": len(events)},
            {"code": {"text": CHANNEL}, "valueInteger": channel},
            {
                "code": {"text": PROBABILITY},
                "valueQuantity": _quantity(max(event.probability for event in events), "1"),
            },
            *map(_component, events),
            *(_timing(event) for event in events if event.timing is not None and event.timing.phase),
        ]
        return {
            **self._observation(f"finding {channel} {what}"),
            "valueCodeableConcept": value,
            **({} if sure else {"interpretation": [_uncertain()]}),
            "component": components,
        }

    def _normal(self, record: RecordingPrediction) -> Resource:
        return {
            **self._observation("normal"),
            "valueCodeableConcept": NORMAL_SOUNDS.concept(),
            **({"interpretation": [_uncertain()]} if record.uncertain else {}),
        }

    def _rate(self, record: RecordingPrediction) -> Resource:
        rate = record.rate
        assert rate is not None
        resource = {**self._observation("rate"), "code": RESPIRATORY_RATE.concept()}
        how = "From the onsets of events and how soon their sound repeats itself"
        note = [{"text": f"{how}, {rate.quality}: {rate.reason}"}] if rate.reason else []
        if rate.per_min is None or rate.quality != "good":
            resource |= UNKNOWN
        else:
            resource["valueQuantity"] = _quantity(rate.per_min, "/min", "breaths/min", digits=1)
        return {**resource, **({"note": note} if note else {})}

    def _observation(self, what: str) -> Resource:
        return {
            "resourceType": "Observation",
            "id": self.identity(what),
            "meta": {"security": [BY_SOFTWARE.coding()]},
            "status": "preliminary",
            "category": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                            "code": "exam",
                            "display": "Exam",
                        }
                    ]
                }
            ],
            "code": AUSCULTATION.concept(),
            **self._body_site(),
            "device": self._reference("device"),
            "derivedFrom": [self._reference("sound")],
        }

    def _body_site(self) -> Resource:
        position = self.analysis.position
        return {"bodySite": {"text": f"Chest, {position.replace('-', ' ')}"}} if position else {}

    def report(self, observations: Sequence[Resource]) -> Resource:
        record = self.analysis.record
        link = {"link": self._reference("sound")}
        return {
            "resourceType": "DiagnosticReport",
            "id": self.identity("report"),
            "meta": {"security": [BY_SOFTWARE.coding()]},
            "status": "preliminary",
            "code": AUSCULTATION.concept("Auscultation of the lungs, analysed by software"),
            "result": [{"reference": f"urn:uuid:{each['id']}"} for each in observations],
            "media": [link],
            "conclusion": _conclusion(record),
            **_conclusion_code(record),
        }

    def provenance(self, targets: Sequence[Resource], at: str) -> Resource:
        kind = {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                    "code": "assembler",
                    "display": "Assembler",
                }
            ]
        }
        return {
            "resourceType": "Provenance",
            "id": self.identity("provenance"),
            "target": [{"reference": f"urn:uuid:{each['id']}"} for each in targets],
            "recorded": at,
            "agent": [{"type": kind, "who": self._reference("device")}],
            "entity": [{"role": "source", "what": self._reference("sound")}],
        }


def _by_finding(events: Sequence[Event], normal: str) -> Mapping[Code | str, list[Event]]:
    """Return the events of each finding but normal breathing; a label without a code is its own text."""
    found: dict[Code | str, list[Event]] = {}
    for event in events:
        if event.label != normal:
            phase = _sure_phase(event)
            for finding in FINDINGS.get(event.label, (event.label,)):
                own = finding if isinstance(finding, str) else IN_PHASE.get((finding, phase), finding)
                found.setdefault(own, []).append(event)
    return found


def _sure_phase(event: Event) -> str:
    """Return the phase that an event is in, given or `SURE_PHASE`; empty otherwise."""
    own = event.timing
    if own is None or own.phase is None or (own.probability is not None and own.probability < SURE_PHASE):
        return ""
    return own.phase


def _component(event: Event) -> Resource:
    span = {
        name: _quantity(seconds, "s", digits=DIGITS)
        for name, seconds in (("low", event.start_s), ("high", event.end_s))
    }
    uncertain = {"interpretation": [_uncertain()]} if event.uncertain else {}
    return {"code": {"text": event.label}, "valueRange": span, **uncertain}


def _timing(event: Event) -> Resource:
    """Return when in a breath an event is heard, as text."""
    assert event.timing is not None
    when = f"{event.start_s:.{DIGITS}f} to {event.end_s:.{DIGITS}f} s"
    return {"code": {"text": f"timing of {when}"}, "valueString": timing_in_words(event.timing)}


def _quantity(value: float, code: str, unit: str = "", digits: int = 6) -> Resource:
    return {"value": round(value, digits), "unit": unit or code, "system": UCUM, "code": code}


def _uncertain() -> Resource:
    return INDETERMINATE.concept("uncertain: the model abstains")


def _conclusion(record: RecordingPrediction | None) -> str:
    """Return the report's conclusion, with its uncertainty and with what the software is."""
    if record is None:
        said = "The model gives no answer for the whole recording."
    elif record.label is None:
        said = f"No answer: {record.refused}."
    else:
        sure = (
            "uncertain, the model abstains" if record.uncertain else f"probability {record.probability:.2f}"
        )
        said = f"{TEXTS.get(record.label, record.label)} ({sure})."
    return f"{said} {DISCLAIMER}"


def _conclusion_code(record: RecordingPrediction | None) -> Resource:
    if record is None or record.label is None or record.uncertain:
        return {}
    if record.label == NORMAL:
        return {"conclusionCode": [NORMAL_SOUNDS.concept()]}
    return {"conclusionCode": [{"text": TEXTS.get(record.label, record.label)}]}
