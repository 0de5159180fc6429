"""The recordings of a folder: found, described, analysed, and what is known of each."""

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from laennec.annotations import sprsound
from laennec.audio.folder import AUDIO_SUFFIXES, files_below, found_among
from laennec.datasets import icbhi
from laennec.errors import LaennecError
from laennec.files import printable, sha256_of
from laennec.labels import POSITIONS
from laennec.model.card import RECORDING
from laennec.model.load import SHIPPED, load_model, model_path, shipped_models
from laennec.patient import Patient
from laennec.web.activity import Activity
from laennec.web.database import Database
from laennec.web.jobs import AnalysisQueue, Task
from laennec.web.rows import row_of, summary_of
from laennec.web.settings import Settings
from laennec.web.worker import Limits, Message, Order, Worker

UPLOADS = "uploads"  # folder of recordings that were sent, below the folder
HIDDEN = ".laennec"  # folder of what can be made anew
LONGEST_NAME = 200  # characters
PLACES = tuple(dict.fromkeys((*POSITIONS, *icbhi.LOCATIONS.values())))  # on the chest
METADATA = ("patient", "position", "age_years", "sex", "device")
RAW = "bytes:"  # before the path of a file whose name is no UTF-8, in hexadecimal digits

# The analysis that counts: of the file as it is, by the model in use where there is one, the latest.
CURRENT = """
SELECT id FROM analysis
WHERE recording = recording.id AND size = recording.size AND modified_ns = recording.modified_ns
ORDER BY model_sha256 = :sha256 AND calibration_sha256 IS :calibration DESC, id DESC LIMIT 1
"""
CURRENT = CURRENT.replace("recording = recording.id", "analysis.recording = recording.id")
"""


"""
