"""A model for whole recordings, ready to run: the sound of a channel in, the outputs of every frame out."""

from dataclasses import dataclass, field

import numpy as np

from laennec.errors import LaennecError
from laennec.model.card import OUTPUTS, RecordingCard
from laennec.model.probability import Array
from laennec.model.session import Graph, fits


@dataclass(frozen=True, eq=False)
class Detector:
    """A model file for recordings, ready to run. It can be pickled.

    Attributes
    ----------
    card : RecordingCard
        What the file says of itself.
    graph : Graph
    """

    card: RecordingCard
    graph: Graph = field(repr=False)

    @property
    def sha256(self) -> str:
        """Of the file, 64 hexadecimal digits: names the model in every result."""
        return self.graph.sha256

    @property
    def source(self) -> str:
        """The file's path, for messages."""
        return self.graph.source

    def run(self, samples: Array) -> dict[str, Array]:
        """The graph's outputs for one piece of sound.

        Parameters
        ----------
        samples : numpy.ndarray
            ``(samples,)`` float32 at the card's sample rate.

        Returns
        -------
        dict
            Each of `OUTPUTS` without the graph's first axis; time, in frames, is the last axis.

        Raises
        ------
        LaennecError
            If the graph fails, or gives other shapes than its card says or non-finite values.
        """
        values = self.graph.run(OUTPUTS, {"waveform": samples[None]})
        outputs = dict(zip(OUTPUTS, values, strict=True))
        lengths = {value.shape[-1] if value.ndim else 0 for value in values}
        expected = self.card.outputs
        if len(lengths) > 1 or not all(fits(outputs[name].shape, expected[name]) for name in OUTPUTS):
            shapes = ", ".join(f"{name} {value.shape}" for name, value in outputs.items())
            raise LaennecError(f"{self.source}: the model gave other shapes than its metadata says: {shapes}")
        (frames,) = lengths
        if abs(frames - samples.size / self.card.frame_samples) > 1:
            raise LaennecError(
                f"{self.source}: the model gave {frames} frames for {samples.size} samples, "
                f"which is not one every {self.card.frame_samples} (frame_samples)"
            )
        if not all(np.isfinite(value).all() for value in values):
            raise LaennecError(f"{self.source}: the model gave a non-finite value")
        return {name: value[0] for name, value in outputs.items()}
