"""The image of a recording by which the phases of breaths are told apart."""

from laennec.features.recording import RecordingLogMel
from laennec.model.card import BREATHS


class PhaseLogMel(RecordingLogMel):
    """As `RecordingLogMel`, coarser, from a rate that every stethoscope has.

    Phases last a second and differ in loudness and in the slope of their spectrum, so 32 bands up to 1.9 kHz
    every 25 ms do.
    """

    kind = "phase-log-mel"
    task = BREATHS

    def __init__(
        self,
        sample_rate: int = 4000,
        n_fft: int = 256,
        hop_length: int = 100,
        bands: int = 32,
        fmin_hz: float = 60.0,
        fmax_hz: float = 1900.0,
        level_reach_s: float = 4.0,
        by_band: bool = True,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop_length, bands, fmin_hz, fmax_hz, level_reach_s, by_band)
