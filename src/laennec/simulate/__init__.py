"""A lung-sound simulator with exact ground truth: `sound` makes recordings, `dataset` data sets of them."""

from laennec.simulate.dataset import simulate_dataset, write_demo
from laennec.simulate.multichannel import simulate_cohort
from laennec.simulate.sound import SimulatedRecording, demo_recordings, simulate_recording

__all__ = [
    "SimulatedRecording",
    "demo_recordings",
    "simulate_cohort",
    "simulate_dataset",
    "simulate_recording",
    "write_demo",
]
