"""What every card of a model says, from the metadata of its file: purpose, input, training data, figures."""

from collections.abc import Mapping
from typing import Any

from laennec.audio.samples import counted
from laennec.model.card import BREATHS, OF_RECORDINGS, RECORDING, WINDOW
from laennec.score.text import of_patients

# Figures of a model for whole recordings that need a word to be read rightly.
REMARKS = dict.fromkeys(("task 21 Score", "task 22 Score"), "with the challenge's shifts")


def purpose(metadata: Mapping[str, Any]) -> str:
    """Return what the model does, in a sentence or two."""
    labels = metadata["labels"]
    if metadata["task"] == RECORDING:
        return (
            "Finds respiratory events in recordings without annotation, classifies them "
            f"({', '.join(labels)}) and the whole ({', '.join(metadata['records'])}), and refuses what does "
            "not sound like a lung."
        )
    if metadata["task"] == WINDOW:
        heard, seconds = " and ".join(f"{label}s" for label in labels), clip_s(metadata)
        sounds = "Wheezes include rhonchi and stridors."
        return f"Tells whether {heard} are heard in {seconds:g} s of sound. {sounds}"
    if metadata["task"] == BREATHS:
        return f"Tells the phases of breaths in sound of a lung: {', '.join(labels)}."
    return f"Tells what a respiratory event is whose boundaries are given: {clip_classes(metadata)}."


def clip_classes(metadata: Mapping[str, Any]) -> str:
    """Return the classes of a model for clips."""
    return f"one of {len(metadata['labels'])} classes for an event: {', '.join(metadata['labels'])}"


def clip_s(metadata: Mapping[str, Any]) -> float:
    """Return the seconds that a model for clips or windows takes."""
    return float(metadata["clip_samples"] / metadata["sample_rate"])


def inputs(metadata: Mapping[str, Any]) -> str:
    """Return what the model takes."""
    rate = f"{metadata['sample_rate']} Hz"
    if metadata["task"] in (RECORDING, BREATHS):
        frame_s = metadata["frame_samples"] / metadata["sample_rate"]
        return (
            f"Sample rate {rate}, a prediction every {1000 * frame_s:g} ms, from "
            f"{metadata['reach_frames'] * frame_s:g} s to either side"
        )
    if metadata["task"] == WINDOW:
        return f"Sample rate {rate}, samples of 16 bits"
    return (
        f"Input: waveform at {rate}; a clip is brought to {clip_s(metadata):g} s ({metadata['padding']}); "
        "age, sex and position may be missing"
    )


def development_data(metadata: Mapping[str, Any]) -> list[str]:
    """Return what the model was trained on, with licence and citation, as lines of Markdown."""
    data = metadata.get("data", {})
    if metadata["task"] in OF_RECORDINGS:
        return [f"- {key}: {value}" for key, value in data.items()]
    lines = []
    for own in (data, *auxiliary(data)) if data else ():
        counts = ", ".join(f"{label} {count}" for label, count in own["per_class"].items())
        cited = f" Cite: {own['citation']}." if own["citation"] else ""
        lines += [
            f"{own['dataset']}: {counted(own['clips'], 'event', '')} of {of_patients(own['patients'])} "
            f"({counts}).",
            "",
            f"Licence: {own['licence']}.{cited}",
            "",
        ]
    return lines[:-1]


def auxiliary(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the entries of the data sets that a model was trained on beside its first."""
    beside = data.get("beside", [])
    return beside if isinstance(beside, list) else [beside]


def citations(metadata: Mapping[str, Any]) -> list[str]:
    """Return the citations of the training data, each once."""
    data = metadata.get("data", {})
    every = [str(own.get("citation") or "") for own in (data, *auxiliary(data))]
    return list(dict.fromkeys(part.strip() for each in every for part in each.split("; ") if part.strip()))


def measured_on(metadata: Mapping[str, Any]) -> str:
    """Return whose sounds the figures are of, in sentences; empty where nothing was measured."""
    metrics = metadata.get("metrics", {})
    if metadata["task"] in OF_RECORDINGS or not metrics:
        how, of = str(metrics.get("how", "")), metrics.get("of")
        return (f"{how[:1].upper()}{how[1:]}." if how else "") + (f" The figures are of {of}." if of else "")
    events, seeds = (
        f"{counted(metrics['clips'], 'event', '')} of {of_patients(metrics['patients'])}",
        metrics.get("seeds"),
    )
    if not seeds:
        return (
            f"On the validation set, {events} (split {metrics['split']}). The best epoch and the temperature "
            "were chosen there, so the figures are somewhat optimistic."
        )
    return (
        f"Cross-validation, {events} ({metrics['split']}; mean of seeds {', '.join(map(str, seeds))}): each "
        "was predicted by the fold that did not train on that patient. The file itself was trained on all of "
        "them and has no figures of its own."
    )
