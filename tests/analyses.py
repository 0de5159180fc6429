"""An analysis with nothing found, which tests fill."""

from dataclasses import replace

from laennec.analyze.analysis import Analysis
from laennec.labels import SPRSOUND_EVENTS


def bare_analysis(**changes: object) -> Analysis:
    """An analysis of a second's recording, with some of its fields changed."""
    found = Analysis(
        name="a.wav",
        duration_s=1.0,
        sample_rate=8000,
        channels=1,
        events=(),
        segmentation="detected",
        window_s=None,
        hop_s=None,
        quality=(),
        repairs=(),
        notes=(),
        model_name="tiny",
        model_version="0.1.0",
        model_sha256="0123456789abcdef" * 4,
        labels=SPRSOUND_EVENTS,
        normal="Normal",
    )
    return replace(found, **changes)  # type: ignore[arg-type]
