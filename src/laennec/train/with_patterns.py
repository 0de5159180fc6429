"""A trained network with patterns of the sounds that it was trained on (`laennec.train.sound_patterns`)."""

import sys
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from laennec.datasets.not_lung import NAME as NOT_LUNG
from laennec.labels import SOUND_KINDS
from laennec.models.recording import RecordingNet, SoundPatterns
from laennec.progress import track
from laennec.train.recipe import Recipe
from laennec.train.sound_patterns import FEWEST, Floats, Names, fit_patterns

GENERATED = "generated"  # data set of sounds that are
MOST = 2000  # sounds of a source; more are drawn from evenly


def source_name(dataset: str, device: str, kind: int) -> str:
    """Of the source of a sound: its data set, of other sounds their device, or what was generated."""
    if dataset == GENERATED:
        return f"{dataset} {SOUND_KINDS[kind]}"
    return device if dataset == NOT_LUNG and device else dataset


def with_patterns(network: nn.Module, examples: Any, recipe: Recipe) -> nn.Module:
    """The network with patterns of the sounds that it was trained on, where its recipe has a share for them.

    Parameters
    ----------
    examples
        `laennec.train.recordings.RecordingExamples`: what it was trained on.
    """
    share = recipe.recording.pattern_share
    if not share or not isinstance(network, RecordingNet):
        return network
    features, kinds, sources = heard(network, examples)
    if lacking := [kind for number, kind in enumerate(SOUND_KINDS) if number not in kinds]:
        print(
            f"note: no patterns of sounds: each needs {FEWEST} of a source, and there are not as many of "
            f"{', '.join(lacking)}",
            file=sys.stderr,
        )
        return network
    weight, bias = (values.double().numpy() for values in network.kind_layer())
    patterns = fit_patterns(features, kinds, sources, (weight, bias), share)
    network.patterns = SoundPatterns(features.shape[1], patterns.kinds, patterns.sources)
    with torch.no_grad():
        network.patterns.weight[:] = torch.from_numpy(patterns.weight)[:, :, None]
        network.patterns.bias[:] = torch.from_numpy(patterns.bias)  # type: ignore[index]
    return network


@torch.no_grad()
def heard(network: RecordingNet, examples: Any) -> tuple[Floats, NDArray[np.int64], Names]:
    """Mean features, class and source of examples, of the sources that have `FEWEST`."""
    rows: dict[tuple[int, str], list[int]] = {}
    for row, own in enumerate(examples.examples):
        rows.setdefault((own.kind, source_name(own.dataset, own.device, own.kind)), []).append(row)
    chosen = [
        (row, *of) for of, own in rows.items() if len(own) >= FEWEST for row in own[:: -(-len(own) // MOST)]
    ]
    features = [
        network.features(examples.__getitems__([row])["image"])[1].mean(2)[0].double().numpy()
        for row, *_ in track(chosen, "patterns of sounds")
    ]
    kinds, sources = ([own[place] for own in chosen] for place in (1, 2))
    return np.array(features), np.array(kinds, int), np.array(sources, str)
