"""What is known of a clip without listening to it, for the baselines beside a model's scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd


def unheard(clips: pd.DataFrame, clip_ids: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Return duration, position and device of clips, as :func:`laennec.score.baselines.baselines` takes them.

    Parameters
    ----------
    clips
        A clips table that holds them, in any order.
    clip_ids
        Whose values are returned, in this order.

    Returns
    -------
    dict
        ``duration`` in seconds (NaN where not known), ``position`` and ``device`` ("" where not known); what
        is the same for all clips is left out.
    """
    rows = clips.drop_duplicates("clip_id").set_index("clip_id").loc[list(clip_ids)]
    known: dict[str, Any] = {}
    for name, column in (("position", "location"), ("device", "device")):
        if column in rows:
            known[name] = rows[column].astype(object).fillna("").to_numpy(str)
    if {"start_s", "end_s"} <= set(rows):
        known["duration"] = (rows["end_s"] - rows["start_s"]).to_numpy(float)
    return {name: values for name, values in known.items() if len(np.unique(values)) > 1}
