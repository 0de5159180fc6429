"""The analysis of a recording whose patient is described: by the name of its file, or by whoever keeps it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from laennec.analyze import analyze
from laennec.analyze.analysis import Analysis
from laennec.audio.recording import Recording
from laennec.model.clips import LungModel
from laennec.model.detector import Detector
from laennec.patient import nearest_place

METADATA = ("age_years", "sex", "position")


def analyze_described(
    recording: Recording, model: Detector | LungModel, known: Mapping[str, Any], **options: Any
) -> Analysis:
    """Analyse a recording of which something is known.

    Parameters
    ----------
    known
        Age, sex and position in their one spelling, a position as in
        :data:`laennec.patient.CHEST_PLACES`; None where they are not known. The model is given what it makes
        use of, the analysis tells all of it.
    options
        Those of :func:`laennec.analyze`; what they say of the patient goes before what is known.

    Raises
    ------
    LaennecError
        As :func:`laennec.analyze`.
    """
    lacking = [name for name in METADATA if options.get(name) is None and known.get(name) is not None]
    told = {name: known[name] for name in lacking}
    analysis = analyze(recording, model=model, **{**options, **known_to(model, told)})
    return replace(analysis, **told)


def known_to(model: Detector | LungModel, known: Mapping[str, Any]) -> dict[str, Any]:
    """What of age, sex and position a model makes use of; of a place that it does not know, the next coarser.

    A place that is in none of the model's is not known to it.
    """
    if not model.card.uses_metadata:
        return {}
    place = nearest_place(known.get("position"), model.card.positions)
    return {**known, "position": place} if "position" in known else dict(known)
